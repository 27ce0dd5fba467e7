//! POSTs of which nobody knows what became: never made again, and settled by evidence.

use std::time::Duration;

use e2e::{Setup, World, until};
use serde_json::json;

use crate::on_both_databases;

on_both_databases! {
    /// Taken in, and the answer lost on the way back: in doubt, until the webhook tells.
    async fn a_lost_answer_is_in_doubt_until_a_webhook_settles_it(database) within 300; {
        let lossy = json!({"faults": {"lost_response_share": 0.02, "truncated_response_share": 0.02},
            "webhook": {"hold": true}});
        let (world, _serve) = World::with_serve(Setup::on(database).simulating(lossy)).await;
        world.import("spring", 0..500).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        until("nothing left but what is in doubt", Duration::from_secs(180), async || {
            let counts = world.shown(&campaign).await?["counts"].clone();
            ["planned", "queued", "submitting"].iter().all(|state| counts[*state] == 0).then_some(())
        })
        .await;
        let shown = world.hudhud(&["campaign", "show", "spring"]).await.ok();
        let doubts = shown["counts"]["in_doubt"].as_u64().expect("a count");
        assert!(doubts > 5, "{shown}");
        assert_eq!(world.simulator.taken_in().await, 500);
        let listed = world.hudhud(&["indoubt", "ls", "--campaign", "spring"]).await.ok();
        assert_eq!(listed.as_array().map(|list| list.len() as u64), Some(doubts));
        assert_ne!(shown["state"], "finished", "a campaign with a send in doubt is not finished");

        world.simulator.set(json!({"webhook": {"hold": false}})).await;
        world.settle(&campaign).await;
        assert_eq!(world.simulator.report().await["lost_responses"].as_u64(), Some(doubts));
    }
}

on_both_databases! {
    /// Redirected, thrown away, or met by a gateway's page: POSTed once, and then it waits for a person to say what became
    /// of it.
    async fn a_redirect_or_a_gateways_page_is_never_posted_again_and_waits_for_a_person(database) within 300; {
        let broken = json!({"faults": {"redirect_share": 0.4, "dropped_request_share": 0.3, "bad_gateway_share": 0.3}});
        let (world, _serve) = World::with_serve(Setup::on(database).simulating(broken)).await;
        world.import("spring", 0..9).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.counted(&campaign, "in_doubt", 9, Duration::from_secs(60)).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        let rows = world.simulator.ledger().await;
        assert_eq!(rows.len(), 9, "each is POSTed exactly once: {rows:#?}");
        assert!(rows.iter().all(|row| !row.was_taken_in()), "{rows:#?}");
        assert!(rows.iter().any(|row| row.outcome == "redirected"), "{rows:#?}");
        let wait = world.hudhud(&["campaign", "wait", "spring", "--timeout", "1"]).await;
        let _ = wait.coded(1);

        assert_eq!(world.judge_doubts(&campaign).await, 9);
        let shown = world.settle(&campaign).await;
        assert_eq!((&shown["counts"]["failed"], &shown["failed_by_code"]), (&json!(9), &json!({"settled-by-hand": 9})));
        assert_eq!(world.simulator.ledger().await.len(), 9, "a person's word is no reason to POST again");
    }
}
