//! A campaign whose first people get it alone: the others follow when those took no harm, and not otherwise.

use std::time::Duration;

use crate::world::{PARAMS, World, hook};
use engine::campaigns::{self, CanaryOrder, LaunchOrder, NewCampaign};
use engine::{Actor, Clock};
use simulator::CodeShare;
use store::testing::Database;

fn canary(size: &str, wait: &str) -> Option<CanaryOrder> {
    Some(CanaryOrder { size: size.into(), wait: Some(wait.into()), most_failed: Some(10.0), most_opted_out: Some(5.0) })
}

store::on_both_databases! {
    async fn the_others_wait_for_the_canary_and_a_sentence_says_so_until_it_has_passed(db: Database) {
        let world = World::new(db).await;
        world.rate(200, 0).await;
        let clock = Clock::steppable();
        let dir = world.dir.path().to_owned();
        let app = crate::world::open_with(&world.db, &world.simulator, &world.redis.url, dir, clock.clone()).await;
        let hook = hook(&app, &world.simulator).await;
        world.people("all", 300, |_| true).await;
        let roles = [world.scheduler(&app), world.worker(&app)];
        let new = NewCampaign { canary: canary("10%", "1h"), ..world.draft("eid", "all", PARAMS) };
        let id = world.create(new).await;
        let order = LaunchOrder { yes: true, ..LaunchOrder::default() };
        campaigns::launch(&app, &Actor::system(), id, &order).await.unwrap();
        let view = world.until(id, |view| view.reason.is_some()).await;
        let told = view.reason.expect("a reason");
        assert!(told.starts_with("waiting for the canary: 30 people were written to"), "{told}");
        assert_eq!(view.canary.map(|canary| canary.state).as_deref(), Some("waiting"));
        // Longer than the feeder takes for strays.
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(world.simulator.report().accepted, 30);
        clock.step_wall(3_601_000);
        let view = world.settle(id).await;
        assert_eq!(view.canary.map(|canary| canary.state).as_deref(), Some("passed"));
        assert_eq!(world.simulator.report().accepted, 300);
        for role in roles {
            role.stop().await;
        }
        drop(hook);
    }

    async fn a_canary_that_fails_stops_the_campaign_and_a_person_may_go_on_all_the_same(db: Database) {
        let mut world = World::new(db).await;
        world.rate(200, 0).await;
        let app = world.app.clone();
        let hook = hook(&app, &world.simulator).await;
        world.people("all", 200, |_| true).await;
        world.simulator.update(|settings| {
            settings.people.failed = vec![CodeShare { code: 131_026, share: 0.5, times: None, phone_number_id: None }];
        }).unwrap();
        world.start();
        let new = NewCampaign { canary: canary("40", "1h"), ..world.draft("eid", "all", PARAMS) };
        let id = world.create(new).await;
        world.launch(id).await;
        let view = world.until(id, |view| view.state == "paused").await;
        let told = view.reason.expect("a reason");
        assert!(told.starts_with("The canary failed: ") && told.contains("of its 40 failed, more than 10 %"), "{told}");
        assert_eq!(view.canary.map(|canary| canary.state).as_deref(), Some("failed"));
        assert!(world.simulator.report().accepted <= 40, "{:?}", world.simulator.report());
        world.resume(id).await;
        world.settle(id).await;
        assert_eq!(world.simulator.report().accepted, 200);
        world.stop().await;
        drop(hook);
    }
}
