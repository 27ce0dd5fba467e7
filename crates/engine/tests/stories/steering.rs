//! Pausing, resuming, cancelling, and campaigns side by side: counted, not timed.

use std::time::Duration;

use crate::world::{PARAMS, World};
use engine::{Actor, campaigns};
use store::testing::Database;

store::on_both_databases! {
    async fn after_a_pause_nothing_is_claimed_and_a_resume_goes_on_where_it_was(db: Database) {
        let mut world = World::new(db).await;
        world.rate(100, 0).await;
        world.start();
        let id = world.launched(300).await;
        world.until(id, |view| view.counts.accepted > 50).await;
        world.pause(id).await;
        // What was claimed in the last quarter of a second may still leave.
        tokio::time::sleep(Duration::from_millis(400)).await;
        world.until(id, |view| view.counts.submitting == 0).await;
        let left = world.simulator.report().accepted;
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert_eq!(world.simulator.report().accepted, left, "POSTs claimed after the pause");
        let view = world.view(id).await;
        assert_eq!((view.state.as_str(), view.counts.submitting), ("paused", 0), "{view:?}");
        assert!(view.counts.planned + view.counts.queued > 100, "everyone keeps their place: {view:?}");
        world.resume(id).await;
        let view = world.settle(id).await;
        assert_eq!(view.counts.accepted, 300, "{view:?}");
        world.stop().await;
    }

    async fn a_cancelled_campaign_skips_whoever_had_nothing_and_recalls_nobody(db: Database) {
        let mut world = World::new(db).await;
        world.rate(100, 0).await;
        world.start();
        let id = world.launched(300).await;
        world.until(id, |view| view.counts.accepted > 50).await;
        campaigns::cancel(&world.app, &Actor::system(), id).await.unwrap();
        let view = world.until(id, |view| view.counts.accepted + view.counts.skipped == 300).await;
        assert_eq!(view.state, "cancelled");
        assert_eq!(view.skipped_by_reason.get("cancelled"), Some(&view.counts.skipped), "{view:?}");
        assert_eq!(i64::try_from(world.simulator.report().accepted).unwrap(), view.counts.accepted);
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(i64::try_from(world.simulator.report().accepted).unwrap(), view.counts.accepted);
        assert_eq!(world.app.store.tally(id).await.unwrap(), world.app.store.count_anew(id).await.unwrap());
        world.stop().await;
    }

    async fn campaigns_share_a_number_by_their_weights_and_a_small_one_does_not_wait_for_a_large_one(db: Database) {
        let mut world = World::new(db).await;
        world.rate(200, 0).await;
        world.people("all", 900, |_| true).await;
        world.people("few", 20, |_| true).await;
        world.start();
        let heavy = world.weighed_campaign("heavy", "all", PARAMS, 30).await;
        let light = world.weighed_campaign("light", "all", PARAMS, 10).await;
        world.launch(heavy).await;
        world.launch(light).await;
        world.until(light, |view| view.counts.accepted > 20).await;
        let (heavy_before, light_before) = (world.view(heavy).await.counts.accepted, world.view(light).await.counts.accepted);
        let small = world.weighed_campaign("small", "few", PARAMS, 100).await;
        world.launch(small).await;
        world.settle(small).await;
        let left = world.view(heavy).await.counts;
        assert!(left.planned + left.queued > 200, "the small one waited for the large one: {left:?}");
        world.until(heavy, |view| view.counts.accepted > heavy_before + 300).await;
        let heavy_got = world.view(heavy).await.counts.accepted - heavy_before;
        let light_got = world.view(light).await.counts.accepted - light_before;
        assert!((light_got * 3 - heavy_got).abs() < 90, "{heavy_got} to {light_got} at weights of 30 to 10");
        world.stop().await;
    }

    async fn slow_campaigns_do_not_hold_up_a_quick_one_nor_claim_what_they_cannot_send(db: Database) {
        let mut world = World::new(db).await;
        world.rate(200, 0).await;
        world.people("few", 60, |_| true).await;
        world.people("all", 200, |_| true).await;
        world.simulator.update(|settings| settings.pair_rate.enabled = false).unwrap();
        world.start();
        // How long it takes on this machine when nothing stands beside it.
        let sent = async |name: &str| {
            let id = world.campaign(name, "all", PARAMS).await;
            world.launch(id).await;
            let began = world.app.clock.boot_us();
            world.settle(id).await;
            Duration::from_micros(world.app.clock.boot_us() - began)
        };
        let alone = sent("alone").await;
        let slow_since = world.app.clock.boot_us();
        let mut slow = Vec::new();
        for n in 0..6 {
            let id = world.capped_campaign(&format!("slow {n}"), "few", PARAMS, Some(2)).await;
            world.launch(id).await;
            slow.push(id);
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let beside = sent("beside six slow ones").await;
        // Held up by them it would keep the pace of the slow: a hundred seconds. That it is not slowed down at all is for
        // the benchmarks; here the machine's own mood is allowed for.
        let most = alone * 3 + Duration::from_secs(5);
        assert!(beside < most.min(Duration::from_secs(80)), "alone {alone:?}, beside six slow ones {beside:?}");
        for id in slow {
            let seconds = (world.app.clock.boot_us() - slow_since) / 1_000_000 + 1;
            let accepted = u64::try_from(world.view(id).await.counts.accepted).unwrap();
            assert!((1..=seconds * 2 + 2).contains(&accepted), "{accepted} in {seconds} s");
            // One that was claimed before its turn could come was claimed in vain.
            for contact in 1..=60 {
                if let Some(send) = world.app.store.send((id, contact)).await.unwrap() {
                    assert!(send.attempt <= 2, "{send:?}");
                }
            }
        }
        world.stop().await;
    }
}
