//! The main job against real parts: both databases, a private Redis, and the simulator across a socket.

use std::time::Duration;

use crate::world::{NUMBER, PARAMS, World};
use engine::campaigns::{self, LaunchOrder};
use engine::{Actor, numbers, optouts};
use store::testing::Database;

store::on_both_databases! {
    async fn a_campaign_reaches_everyone_once(db: Database) {
        let mut world = World::new(db).await;
        world.people("all", 300, |_| true).await;
        let id = world.campaign("eid", "all", PARAMS).await;
        numbers::set_rate(&world.app, NUMBER, numbers::Rate::PerSecond(200)).await.unwrap();
        world.simulator.update(|settings| settings.default_rate = 200).unwrap();
        campaigns::launch(&world.app, &Actor::system(), id, &LaunchOrder::default()).await.unwrap();
        world.start();
        let view = world.settle(id).await;
        assert_eq!((view.total, view.counts.accepted), (300, 300), "{view:?}");
        let report = world.simulator.report();
        assert_eq!(report.accepted, 300);
        assert!(report.max_in_sliding_second.values().all(|most| *most <= 200), "{report:?}");
        world.stop().await;
    }

    async fn a_row_that_cannot_be_rendered_is_skipped_by_name_and_an_opt_out_is_never_sent_to(db: Database) {
        let mut world = World::new(db).await;
        world.people("all", 60, |n| n % 10 != 0).await;
        numbers::set_rate(&world.app, NUMBER, numbers::Rate::Unlimited).await.unwrap();
        world.simulator.update(|settings| settings.default_rate = 0).unwrap();
        let id = world.campaign("eid", "all", &[("1", "{name}"), ("2", "20%")]).await;
        optouts::add(&world.app, &Actor::system(), "+201000000001", "asked by phone").await.unwrap();
        let checked = campaigns::preflight(&world.app, id).await.unwrap();
        assert_eq!(checked.eligible, 53);
        assert_eq!(checked.excluded.get("variable-missing:name"), Some(&6), "{checked:?}");
        assert_eq!(checked.excluded.get("opted-out"), Some(&1), "{checked:?}");
        campaigns::launch(&world.app, &Actor::system(), id, &LaunchOrder::default()).await.unwrap();
        world.start();
        let view = world.settle(id).await;
        assert_eq!((view.counts.accepted, view.counts.skipped), (53, 7), "{view:?}");
        assert_eq!(world.simulator.report().accepted, 53);
        world.stop().await;
    }

    async fn lost_answers_are_in_doubt_and_never_sent_again(db: Database) {
        let mut world = World::new(db).await;
        world.people("all", 100, |_| true).await;
        numbers::set_rate(&world.app, NUMBER, numbers::Rate::PerSecond(100)).await.unwrap();
        world.simulator.update(|settings| {
            settings.default_rate = 0;
            settings.faults.lost_response_share = 0.05;
        }).unwrap();
        let id = world.campaign("eid", "all", PARAMS).await;
        campaigns::launch(&world.app, &Actor::system(), id, &LaunchOrder::default()).await.unwrap();
        world.start();
        for _ in 0..300 {
            let view = campaigns::show(&world.app, id).await.unwrap();
            if view.counts.planned + view.counts.queued + view.counts.submitting == 0 && view.total == 100 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let view = campaigns::show(&world.app, id).await.unwrap();
        assert!(view.counts.in_doubt > 0, "{view:?}");
        assert_eq!(view.counts.in_doubt + view.counts.accepted, 100, "{view:?}");
        assert_eq!(view.state, "running");
        assert_eq!(world.simulator.report().duplicates, 0);
        world.stop().await;
    }

    async fn redis_flushed_in_the_middle_costs_nobody_their_message(db: Database) {
        let mut world = World::new(db).await;
        world.people("all", 400, |_| true).await;
        numbers::set_rate(&world.app, NUMBER, numbers::Rate::PerSecond(100)).await.unwrap();
        world.simulator.update(|settings| settings.default_rate = 100).unwrap();
        let id = world.campaign("eid", "all", PARAMS).await;
        campaigns::launch(&world.app, &Actor::system(), id, &LaunchOrder::default()).await.unwrap();
        world.start();
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        world.redis.command(&["flushall"]);
        let view = world.settle(id).await;
        assert_eq!(view.counts.accepted, 400, "{view:?}");
        world.stop().await;
    }
}
