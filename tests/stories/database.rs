//! A database that goes away in the middle of a campaign.

use std::time::Duration;

use e2e::{Database, Setup, World, at_length, story, until};

#[tokio::test]
async fn postgresql_killed_and_back_after_a_while_goes_on_by_itself() {
    story(Duration::from_secs(300), async {
        let (mut world, mut serve) = World::with_serve(Setup::on(Database::PostgresOfItsOwn)).await;
        world.import("spring", 0..at_length(600, 1_000)).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(200).await;
        world.postgres.as_mut().expect("a server of its own").kill();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let silent_from = world.simulator.ledger().await.len();
        let away = world.hudhud(&["campaign", "show", "spring"]).await;
        let _ = away.coded(8);
        assert_eq!(serve.admin_status("readyz").await, Some(503));
        assert_eq!(serve.admin_status("livez").await, Some(200));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(world.simulator.ledger().await.len(), silent_from, "no claim can be made, so nothing may be sent");
        serve.expect_running();

        world.postgres.as_mut().expect("a server of its own").restart();
        until("readiness, by itself", Duration::from_secs(15), async || {
            (serve.admin_status("readyz").await == Some(200)).then_some(())
        })
        .await;
        world.settle(&campaign).await;
    })
    .await;
}

#[tokio::test]
async fn a_serve_that_starts_before_its_database_waits_for_it() {
    story(Duration::from_secs(300), async {
        let mut world = World::new(Setup::on(Database::PostgresOfItsOwn)).await;
        world.postgres.as_mut().expect("a server of its own").kill();
        let mut serve = world.serve_unready("main", &[]);
        until("a process that is alive", Duration::from_secs(10), async || {
            (serve.admin_status("livez").await == Some(200)).then_some(())
        })
        .await;
        assert_eq!(serve.admin_status("readyz").await, Some(503));
        let _ = world.hudhud(&["list", "ls"]).await.coded(8);
        world.postgres.as_mut().expect("a server of its own").restart();
        serve.ready().await;
        let _ = world.hudhud(&["list", "ls"]).await.ok();
    })
    .await;
}
