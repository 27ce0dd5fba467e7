//! The messaging limit from the sync to the simulator's ledger: what leaves, and what people are told.

use crate::world::World;
use engine::{accounts, campaigns, queue_view};
use store::testing::Database;

async fn allow(world: &World, tier: &str) {
    let tier = tier.to_owned();
    let change = |settings: &mut simulator::Settings| {
        for number in settings.accounts.iter_mut().flat_map(|account| &mut account.numbers) {
            number.messaging_limit.clone_from(&tier);
        }
    };
    world.simulator.update(change).unwrap();
    accounts::sync(&world.app, None).await.unwrap();
}

store::on_both_databases! {
    async fn a_campaign_stops_at_the_limit_says_so_and_goes_on_when_the_limit_is_raised(db: Database) {
        let mut world = World::new(db).await;
        world.rate(200, 0).await;
        allow(&world, "60").await;
        world.start();
        let id = world.launched(100).await;
        let view = world.until(id, |view| view.counts.accepted == 60).await;
        let told = world.until(id, |view| view.reason.is_some()).await.reason.unwrap();
        assert!(told.starts_with("24-hour limit of 60 people reached; the next place is free at "), "{told}");
        let verdict = campaigns::preflight(&world.app, id).await.unwrap();
        assert!(verdict.binding_limit.unwrap().contains("messaging limit: 60 people"), "{view:?}");
        tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
        let rows = queue_view::view(&world.app).await.unwrap();
        assert!(rows.iter().any(|row| row.reason.as_deref() == Some(&*told)), "{rows:?}");
        assert_eq!(world.simulator.report().accepted, 60);
        allow(&world, "TIER_250").await;
        let view = world.settle(id).await;
        assert_eq!((view.counts.accepted, view.reason), (100, None));
        world.stop().await;
    }
}
