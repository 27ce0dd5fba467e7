//! The pace as the receiver sees it: never above the rate in any second, and nearly all of it used.
//!
//! One at a time: what is measured is the lane, not the fight for the machine.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a story stops at the first surprise")]

mod world;

use std::time::Duration;

use store::testing::Database;
use world::{Pauses, World};

static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Sends at a rate for some seconds. The share of the rate that was used once under way, and the share of the time in which
/// nothing ran: the machine may be the guest of one that lets it stand for tenths of a second.
async fn used(db: Database, rate: u32, seconds: u32) -> (f64, f64) {
    let _alone = ALONE.lock().await;
    let mut world = World::new(db).await;
    // The simulator does not refuse: what is too fast would be seen, not mended by a retry.
    world.rate(rate, 0).await;
    world.simulator.update(|settings| settings.latency_ms = simulator::Span::new(20, 60)).unwrap();
    world.people("all", i64::from(rate) * i64::from(seconds + 4), |_| true).await;
    let id = world.campaign("eid", "all", world::PARAMS).await;
    world.start();
    world.launch(id).await;
    world.until(id, |view| view.counts.accepted > i64::from(rate) * 2).await;
    let pauses = Pauses::from_now();
    let (began, first) = (world.app.clock.boot_us(), world.simulator.report().accepted);
    tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
    let (ended, last) = (world.app.clock.boot_us(), world.simulator.report().accepted);
    let lost = pauses.lost();
    let report = world.simulator.report();
    assert!(report.max_in_sliding_second.values().all(|most| *most <= u64::from(rate)), "{report:?}");
    assert_eq!(report.duplicates, 0);
    engine::campaigns::cancel(&world.app, &engine::Actor::system(), id).await.unwrap();
    world.stop().await;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand messages and microseconds")]
    let (took, sent) = ((ended - began) as f64 / 1e6, (last - first) as f64);
    let (used, lost) = (sent / (f64::from(rate) * took), lost.as_secs_f64() / took);
    let most = report.max_in_sliding_second;
    println!("{used:.3} of {rate} a second, at most {most:?} in any; {lost:.3} of the time nothing ran");
    (used, lost)
}

// The bounds only tell a lane that stands still from one that is paced: this is an unoptimised build on a machine that
// does other things too. What the pace itself loses is counted on a manual clock, in `lane::pace`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eighty_a_second() {
    let (used, lost) = used(Database::sqlite().await, 80, 5).await;
    // What was not sent while the machine stood still is not sent later, and answers that come late keep their places.
    let least = if lost > 0.1 { 0.4 * (1.0 - lost) } else { 0.6 };
    assert!(used > least, "{used}, where {lost} of the time nothing ran");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_a_second() {
    let (used, _) = used(Database::postgres().await, 1_000, 5).await;
    assert!(used > 0.1, "{used}");
}
