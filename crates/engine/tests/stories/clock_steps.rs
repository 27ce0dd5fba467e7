//! A machine whose wall clock is set while it sends: an hour back, and forward again.

use std::sync::Arc;
use std::time::Duration;

use crate::world::{PARAMS, World};
use engine::campaigns::{self, LaunchOrder, NewCampaign};
use engine::{Actor, App, Clock};
use store::testing::Database;

const HOUR: i64 = 3_600_000;

/// An app of the same data directory and database, on a clock whose wall can be set.
async fn stepped(world: &World) -> (Arc<App>, Clock) {
    let clock = Clock::steppable();
    let dir = world.dir.path().to_owned();
    (crate::world::open_with(&world.db, &world.simulator, &world.redis.url, dir, clock.clone()).await, clock)
}

store::on_both_databases! {
    async fn a_wall_clock_that_is_set_changes_neither_the_pace_nor_who_gets_a_message(db: Database) {
        let world = World::new(db).await;
        world.rate(100, 0).await;
        let (app, clock) = stepped(&world).await;
        let (scheduler, worker) = (world.scheduler(&app), world.worker(&app));
        let id = world.launched(500).await;
        let began = app.clock.boot_us();
        // What is to be tried again at a time waits for that time by the wall; so it is set forward again at the end.
        for (reached, step) in [(100, -HOUR), (350, HOUR + 5_000)] {
            world.until(id, |view| view.counts.accepted >= reached).await;
            clock.step_wall(step);
        }
        let view = world.settle(id).await;
        assert_eq!(view.counts.accepted, 500, "{view:?}");
        let report = world.simulator.report();
        assert_eq!(report.accepted, 500);
        // Slack for an unoptimised build on a busy machine. A pace by the wall would burst, or stand still.
        assert!(report.max_in_sliding_second.values().all(|most| *most <= 110), "{report:?}");
        // Five seconds at its rate on a machine that is free; an hour, if anything waited by the wall.
        let took = Duration::from_micros(app.clock.boot_us() - began);
        assert!(took < Duration::from_secs(300), "it stood still for {took:?}");
        worker.stop().await;
        scheduler.stop().await;
    }

    async fn a_campaign_with_a_time_waits_while_the_clock_is_set_back_and_starts_when_it_is_set_forward(db: Database) {
        let world = World::new(db).await;
        world.rate(100, 0).await;
        let (app, clock) = stepped(&world).await;
        let (scheduler, worker) = (world.scheduler(&app), world.worker(&app));
        world.people("all", 50, |_| true).await;
        let at = Some(engine::views::iso(clock.now_ms() + HOUR));
        let new = NewCampaign { at, ..world.draft("eid", "all", PARAMS) };
        let id = campaigns::create(&app, &Actor::system(), &new).await.unwrap().id;
        campaigns::launch(&app, &Actor::system(), id, &LaunchOrder::default()).await.unwrap();
        clock.step_wall(-HOUR);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!((world.view(id).await.state.as_str(), world.simulator.report().accepted), ("scheduled", 0));
        clock.step_wall(2 * HOUR + 1_000);
        assert_eq!(world.settle(id).await.counts.accepted, 50);
        worker.stop().await;
        scheduler.stop().await;
    }
}
