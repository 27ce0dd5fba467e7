//! Something runs out in the middle of a campaign, and comes back: Redis's memory, the database's lock, the disk.

use std::process::Command;
use std::time::Duration;

use e2e::{Database, Process, Serve, Setup, World, story, until};

/// Redis answers and takes nothing more: what is in it goes on, the rest waits in the database.
#[tokio::test]
async fn a_redis_out_of_memory_delays_and_loses_nobody() {
    story(Duration::from_secs(300), async {
        let (world, mut serve) = World::with_serve(Setup::on(Database::Postgres).with_private_redis().at(200)).await;
        world.import("spring", 0..1_200).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(150).await;
        let redis = world.redis.as_ref().expect("a Redis of its own");
        assert!(redis.command("CONFIG SET maxmemory-policy noeviction").starts_with("+OK"));
        assert!(redis.command("CONFIG SET maxmemory 1000").starts_with("+OK"));
        tokio::time::sleep(Duration::from_secs(4)).await;
        serve.expect_running();
        let refused = redis.command("INFO errorstats");
        assert!(refused.contains("errorstat_OOM"), "Redis had to refuse something: {refused}");
        let shown = world.hudhud(&["campaign", "show", "spring"]).await.ok();
        assert_eq!((&shown["counts"]["failed"], &shown["counts"]["in_doubt"]), (&0.into(), &0.into()), "{shown}");
        assert!(redis.command("CONFIG SET maxmemory 0").starts_with("+OK"));
        world.settle(&campaign).await;
    })
    .await;
}

/// Longer than Hudhud waits for SQLite's lock.
const LOCKED_FOR: Duration = Duration::from_secs(8);

/// What another program does with the file that nobody but Hudhud should open.
const LOCKER: &str = r"
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute('BEGIN IMMEDIATE')
print('locked', flush=True)
time.sleep(float(sys.argv[2]))
connection.execute('ROLLBACK')
";

#[tokio::test]
async fn an_sqlite_file_locked_by_another_program_is_waited_for() {
    story(Duration::from_secs(300), async {
        let (world, mut serve) = World::with_serve(Setup::on(Database::Sqlite)).await;
        world.import("spring", 0..800).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(200).await;
        let mut command = Command::new("python3");
        command.args(["-c", LOCKER]).arg(world.data_dir("main").join("hudhud.db"));
        command.arg(LOCKED_FOR.as_secs().to_string());
        let mut locker = Process::spawn("the locker", command, &world.dir().join("locker.log"), false);
        until("the lock", Duration::from_secs(20), async || locker.log().contains("locked").then_some(())).await;
        nothing_new_is_sent_while(&world, Duration::from_secs(6)).await;
        assert!(locker.is_running(), "it was locked all the while");
        serve.expect_running();
        assert!(locker.ended(LOCKED_FOR * 3).await.success());
        world.settle(&campaign).await;
    })
    .await;
}

#[tokio::test]
async fn a_full_disk_stops_the_sending_and_room_on_it_lets_it_go_on() {
    story(Duration::from_secs(300), async {
        let (world, mut serve) = World::with_serve(Setup::on(Database::Sqlite).on_a_disk_of(24)).await;
        world.import("spring", 0..800).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(200).await;
        world.fill_disk(&serve);
        // The write-ahead log has room of its own for a while; then no claim can be made.
        until("a standstill", Duration::from_secs(30), async || {
            let before = world.simulator.taken_in().await;
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            (world.simulator.taken_in().await == before).then_some(())
        })
        .await;
        let went = world.simulator.taken_in().await;
        assert!(went < 800, "the disk was not felt: all {went} went");
        it_lives_and_says_why(&mut serve).await;
        world.empty_disk(&serve);
        world.settle(&campaign).await;
        serve.expect_running();
    })
    .await;
}

async fn it_lives_and_says_why(serve: &mut Serve) {
    serve.expect_running();
    assert_eq!(serve.admin_status("livez").await, Some(200));
    let log = serve.log();
    assert!(log.contains("full"), "the log names the disk");
}

/// What had been handed over before may still arrive.
async fn nothing_new_is_sent_while(world: &World, time: Duration) {
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let before = world.simulator.ledger().await.len();
    tokio::time::sleep(time - Duration::from_secs(1)).await;
    assert_eq!(world.simulator.ledger().await.len(), before, "no claim can be made, so nothing may be sent");
}
