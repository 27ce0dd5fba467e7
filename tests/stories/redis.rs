//! Redis is a hint: flushed, killed, away for a while.

use std::time::Duration;

use e2e::{Database, Setup, World, at_length, story};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[tokio::test]
async fn redis_flushed_in_the_middle_of_a_campaign_loses_nobody() {
    story(Duration::from_secs(300), async {
        let (people, rate) = at_length((600, 200), (20_000, 1_000));
        let (world, _serve) = World::with_serve(Setup::on(Database::Sqlite).at(rate)).await;
        world.import("spring", 0..people).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        for share in [1, 2, 3] {
            world.taken_in(u64::from(people / 4 * share)).await;
            let answer = world.managed_redis("main", "FLUSHALL");
            assert!(answer.starts_with("+OK"), "{answer}");
        }
        world.settle(&campaign).await;
    })
    .await;
}

#[tokio::test]
async fn redis_killed_and_back_after_a_while_goes_on_by_itself() {
    story(Duration::from_secs(300), async {
        let setup = Setup::on(Database::Postgres).with_private_redis();
        let (mut world, mut serve) = World::with_serve(setup).await;
        world.import("spring", 0..at_length(600, 1_000)).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(200).await;
        world.redis.as_mut().expect("a Redis of its own").kill();
        tokio::time::sleep(Duration::from_secs(4)).await;
        serve.expect_running();
        let said = serve.log().lines().filter(|line| line.contains("Redis") && line.contains("WARN")).count();
        assert!(said <= 10, "an outage is said once, not {said} times");
        world.redis.as_mut().expect("a Redis of its own").restart().await;
        world.settle(&campaign).await;
    })
    .await;
}

#[tokio::test]
async fn the_managed_redis_is_started_again_when_it_dies() {
    story(Duration::from_secs(300), async {
        let (world, mut serve) = World::with_serve(Setup::on(Database::Sqlite)).await;
        world.import("spring", 0..at_length(500, 800)).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(200).await;
        let info = world.managed_redis("main", "INFO server");
        let pid = info.lines().find_map(|line| line.strip_prefix("process_id:")).expect("Redis tells its process id");
        kill(Pid::from_raw(pid.trim().parse().expect("a process id")), Signal::SIGKILL).expect("the managed Redis");
        world.settle(&campaign).await;
        serve.expect_running();
        serve.kill();
        // It dies with its parent, however the parent ends.
        e2e::until("the end of the managed Redis", Duration::from_secs(5), async || {
            std::os::unix::net::UnixStream::connect(world.data_dir("main").join("redis/redis.sock")).err()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_campaign_goes_on_without_redis_though_it_stays_away() {
    story(Duration::from_secs(300), async {
        let setup = Setup::on(Database::Postgres).with_private_redis();
        let (mut world, mut serve) = World::with_serve(setup).await;
        world.import("spring", 0..at_length(400, 600)).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(100).await;
        world.redis.as_mut().expect("a Redis of its own").kill();
        world.settle(&campaign).await;
        serve.expect_running();
        let said = serve.log().lines().filter(|line| line.contains("Redis") && line.contains("WARN")).count();
        assert!(said <= 40, "an outage is said once, and each batch that is taken without Redis, not {said} times");
    })
    .await;
}
