//! A database that was put back from a copy: it does not know who got a message since, nor who said stop.

use std::time::Duration;

use e2e::{Serve, Setup, World};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::on_both_databases;

on_both_databases! {
    /// Held until a person lifts it, through restarts; the newer database goes on as if nothing had been.
    async fn a_database_restored_from_yesterday_sends_nothing_until_a_person_says_so(database) within 300; {
        let (world, mut serve) = World::with_serve(Setup::on(database).at(150)).await;
        // The story's own key is in the copy too.
        let _ = world.api_key().await;
        world.import("spring", 0..600).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(100).await;
        world.back_up(&mut serve, "yesterday");
        world.taken_in(300).await;
        // Statuses would be acknowledged by the copy, and then the newer database would never hear of them.
        world.simulator.set(json!({"webhook": {"hold": true}})).await;
        stopped(&mut serve).await;
        world.back_up(&mut serve, "today");

        world.restore("yesterday");
        let mut serve = world.serve("main", &[]).await;
        it_is_held(&world, &serve).await;
        let said = serve.log().lines().filter(|line| line.contains("ERROR") && line.contains("older than what")).count();
        assert_eq!(said, 1, "the start says it once");
        serve.kill();
        let mut serve = world.serve("main", &[]).await;
        it_is_held(&world, &serve).await;
        stopped(&mut serve).await;

        world.restore("today");
        let mut serve = world.serve("main", &[]).await;
        world.simulator.set(json!({"webhook": {"hold": false}})).await;
        world.settle(&campaign).await;
        assert_eq!(world.simulator.taken_in().await, 600);
        stopped(&mut serve).await;

        // There is no newer database any more: a person cancels what has gone out, and lets the rest go on.
        world.restore("yesterday");
        let serve = world.serve("main", &[]).await;
        it_is_held(&world, &serve).await;
        let _ = world.hudhud(&["campaign", "cancel", "spring"]).await.ok();
        let _ = world.hudhud(&["resume-all"]).await.ok();
        world.import("summer", 600..700).await;
        let other = world.launch("summer", "summer", &[]).await;
        world.settle(&other).await;
        assert_eq!(world.simulator.taken_in().await, 700, "nobody of the cancelled campaign got it again");
        assert!(!serve.health().await.contains("older"), "lifted");
    }
}

async fn stopped(serve: &mut Serve) {
    serve.signal(Signal::SIGTERM);
    let status = serve.ended(Duration::from_secs(30)).await;
    assert!(status.success(), "{status}");
}

/// Ready, and yet it sends nothing, and says why wherever one looks.
async fn it_is_held(world: &World, serve: &Serve) {
    let before = world.simulator.ledger().await.len();
    // A lane is taken, and would send, within a second and a half.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(world.simulator.ledger().await.len(), before, "a held database sends nothing");
    let queue = world.hudhud(&["queue"]).await.ok();
    for lane in queue.as_array().expect("a list") {
        let reason = lane["reason"].as_str().unwrap_or_default();
        assert_eq!(lane["state"], "paused", "{lane}");
        assert!(reason.contains("older than what was sent") && reason.contains("hudhud resume-all"), "{lane}");
    }
    assert_eq!(queue.as_array().map(Vec::len), Some(e2e::NUMBERS.len()));
    assert_eq!(serve.admin_status("readyz").await, Some(200), "webhooks and commands go on");
    let health = serve.health().await;
    assert!(health.contains("older than what was sent"), "{health}");
    let shown = world.hudhud(&["campaign", "show", "spring"]).await.ok();
    assert_eq!(shown["state"], "running", "{shown}");
}
