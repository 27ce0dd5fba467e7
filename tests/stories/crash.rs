//! Processes that are killed, drained and stopped in the middle of a campaign.

use std::time::{Duration, Instant};

use e2e::{Campaign, Database, Serve, Setup, World, at_length, is_long, now_us, story};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::on_both_databases;

on_both_databases! {
    /// SIGKILL at a random moment, and again: nobody twice, nobody missing; it sends again within two seconds of being
    /// ready.
    async fn serve_killed_in_the_middle_of_a_campaign_finishes_it_after_its_restart(database) within 400; {
        let (people, rate, kills) = at_length((900, 250, 1), (20_000, 1_000, 3));
        let (world, mut serve) = World::with_serve(Setup::on(database).at(rate)).await;
        world.import("spring", 0..people).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        for kill in 1..=kills {
            let share = f64::from(kill) / f64::from(kills + 1) - rand::random_range(0.0..0.2);
            world.taken_in((f64::from(people) * share) as u64).await;
            serve.kill();
            serve = restarted_and_sending(&world, &campaign).await;
        }
        // Between the journal's line and the socket lie microseconds, in which each thread of a killed process can have
        // one message: noted as on its way, and never gone.
        let doubts = world.settle_by_hand(&campaign, 4 * kills as usize).await;
        eprintln!("{doubts} were in doubt after {kills} kills");
        drop(serve);
    }
}

/// From being ready to the first message. One second of it is the sliding second of what the killed process let go.
const SENDS_AGAIN_WITHIN: Duration = Duration::from_secs(2);

/// Starts `main` again and looks how soon it sends.
async fn restarted_and_sending(world: &World, campaign: &Campaign) -> Serve {
    let before = world.simulator.ledger().await.len();
    let mut serve = world.serve_unready("main", &[]);
    serve.ready().await;
    let ready = now_us();
    let deadline = Instant::now() + Duration::from_secs(if is_long() { 10 } else { 30 });
    let first = loop {
        let rows = world.simulator.ledger().await;
        if let Some(row) = rows.get(before) {
            break row.at_us;
        }
        let shown = world.shown(campaign).await;
        assert!(Instant::now() < deadline, "nothing is sent after the restart: {shown:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let silent = Duration::from_micros(u64::try_from(first - ready).unwrap_or(0));
    eprintln!("it sent again {silent:?} after it was ready");
    // The figure is one of the release executables on a machine that does nothing else.
    let most = if is_long() { SENDS_AGAIN_WITHIN } else { SENDS_AGAIN_WITHIN * 3 };
    assert!(silent <= most, "it sent again only {silent:?} after it was ready");
    serve
}

on_both_databases! {
    /// SIGTERM ends it in at most 30 s with nothing on the wire; the rest is sent after the next start.
    async fn serve_drains_at_sigterm_and_goes_on_at_its_next_start(database) within 300; {
        let latency = json!({"latency_ms": {"min": 50, "max": 800}});
        let (world, mut serve) = World::with_serve(Setup::on(database).simulating(latency)).await;
        world.import("spring", 0..500).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(150).await;
        let asked = Instant::now();
        serve.signal(Signal::SIGTERM);
        let status = serve.ended(Duration::from_secs(30)).await;
        assert!(status.success(), "{status}");
        eprintln!("drained in {:?}", asked.elapsed());

        let shown = world.hudhud(&["campaign", "show", "spring"]).await.ok();
        assert_eq!((&shown["counts"]["submitting"], &shown["counts"]["in_doubt"]), (&json!(0), &json!(0)), "{shown}");
        assert_eq!(shown["state"], "running");
        let counts = &shown["counts"];
        let left = ["planned", "queued"].iter().filter_map(|state| counts[*state].as_u64()).sum::<u64>();
        assert_eq!(world.simulator.taken_in().await, 500 - left, "{shown}");

        let _serve = world.serve("main", &[]).await;
        world.settle(&campaign).await;
    }
}

#[tokio::test]
async fn an_owner_stopped_past_its_lease_does_not_send_when_it_wakes() {
    story(Duration::from_secs(300), async {
        let world = World::new(Setup::on(Database::Postgres).with_private_redis()).await;
        let _main = world.serve("main", &["api", "scheduler"]).await;
        let mut owner = world.serve("owner", &["worker"]).await;
        world.open_account().await;
        world.import("spring", 0..at_length(1_000, 2_000)).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(150).await;
        let _taker = world.serve("taker", &["worker"]).await;
        owner.signal(Signal::SIGSTOP);
        // What the kernel had already may still arrive.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = world.simulator.taken_in().await;
        let stopped = Instant::now();
        world.taken_in(before + 50).await;
        let taken_over = stopped.elapsed();
        eprintln!("taken over after {taken_over:?}");
        // The figure is one of the release executables; `taken_in` gives up on its own where nothing comes.
        assert!(
            !is_long() || taken_over < Duration::from_secs(10),
            "the lane was taken over only after {taken_over:?}"
        );
        owner.signal(Signal::SIGCONT);
        // The taker cannot read the owner's journal, so what the owner had claimed is in doubt, until the owner wakes
        // and takes back what never left.
        world.settle(&campaign).await;
        owner.expect_running();
    })
    .await;
}

#[tokio::test]
async fn a_process_that_was_stopped_for_a_moment_neither_catches_up_nor_sends_what_it_had_claimed_long_ago() {
    story(Duration::from_secs(300), async {
        let (world, mut serve) = World::with_serve(Setup::on(Database::Sqlite)).await;
        world.import("spring", 0..at_length(500, 800)).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        for taken in [100, 250, 400] {
            world.taken_in(taken).await;
            serve.signal(Signal::SIGSTOP);
            tokio::time::sleep(Duration::from_millis(rand::random_range(300..3_000))).await;
            serve.signal(Signal::SIGCONT);
        }
        world.settle(&campaign).await;
    })
    .await;
}
