//! Webhooks, and stop means stop.

use std::time::Duration;

use e2e::{Database, NUMBER, Setup, World, at_length, now_us, phone, story, until};
use serde_json::json;

use crate::on_both_databases;

#[tokio::test]
async fn a_webhook_proves_itself_by_token_and_signature() {
    story(Duration::from_secs(300), async {
        let (world, serve) = World::with_serve(Setup::on(Database::Sqlite)).await;
        assert_eq!(world.simulator.handshake(world.verify_token()).await, Ok(()));
        assert!(world.simulator.handshake("some-other-token").await.is_err(), "an unknown token is answered");

        let body = json!({"object": "whatsapp_business_account", "entry": []}).to_string();
        let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
        let zeros = format!("sha256={}", "0".repeat(64));
        for signature in [None, Some("sha256="), Some("nonsense"), Some(zeros.as_str())] {
            let mut request = http.post(serve.webhook_url()).body(body.clone());
            if let Some(signature) = signature {
                request = request.header("x-hub-signature-256", signature);
            }
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), 401, "signature {signature:?}");
        }
        // Signed with another app's secret: nothing of it may take effect.
        world.simulator.set(json!({"webhook": {"app_secret": "another-app-secret", "give_up_ms": 500}})).await;
        world.import("spring", 0..1).await;
        world.simulator.inbound(&json!({"from": phone(0), "act": "stop"})).await;
        until("the simulator gives it up", Duration::from_secs(15), async || {
            (world.simulator.report().await["webhooks"]["given_up"] == 1).then_some(())
        })
        .await;
        let verdict = world.hudhud(&["optout", "check", &phone(0)]).await.ok();
        assert_eq!(verdict["suppressed"], false, "{verdict}");
    })
    .await;
}

on_both_databases! {
    /// Many people stop while their messages are being sent: once one is acknowledged, no POST to that person begins.
    async fn no_message_begins_after_an_acknowledged_stop(database) within 360; {
        let quick = json!({"webhook": {"linger_ms": 1, "batch": 3}});
        let (world, _serve) = World::with_serve(Setup::on(database).simulating(quick)).await;
        let people = at_length(500, 1_000);
        world.import("spring", 0..people).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(20).await;
        // Spread over the whole audience, so that stops fall before, in and after the turn of their person.
        let mut stopped = 0;
        for n in (0..people).step_by(5) {
            world.simulator.inbound(&json!({"from": phone(n * 7 % people), "act": "stop"})).await;
            stopped += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let shown = world.settle(&campaign).await;
        let report = world.simulator.report().await;
        assert_eq!(report["opt_outs_acknowledged"], json!(stopped), "{report}");
        assert_eq!(report["after_opt_out"], 0, "{report}");
        assert!(shown["counts"]["skipped"].as_u64() > Some(20), "{shown}");
        assert!(world.simulator.taken_in().await < u64::from(people));
    }
}

on_both_databases! {
    /// The same for a stop that somebody types in: when the command is done, nothing begins.
    async fn no_message_begins_after_a_stop_by_command(database) within 360; {
        let (world, _serve) = World::with_serve(Setup::on(database)).await;
        // Slow enough for a machine on which a command takes a second.
        world.set_rate(NUMBER, 20).await;
        world.import("spring", 0..600).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(50).await;
        let mut done = Vec::new();
        // Of those who are next and of those who are last, in turn: the ones race, the others are sure to be in time.
        let (next, last) = ((100..350).step_by(25), (350..600).rev().step_by(25));
        for n in next.zip(last).flat_map(|(next, last)| [next, last]) {
            let stop = ["optout", "add", &phone(n), "--reason", "they called us"];
            let _ = world.hudhud(&stop).await.ok();
            done.push((phone(n), now_us()));
        }
        world.settle(&campaign).await;
        let rows = world.simulator.ledger().await;
        for (phone, at_us) in &done {
            let late = rows.iter().find(|row| row.to.as_ref() == Some(phone) && row.at_us > *at_us);
            assert!(late.is_none(), "{late:?} came {} µs after the stop", late.map_or(0, |row| row.at_us - at_us));
        }
        let skipped = world.books(&campaign).await.phones(&["skipped"]);
        assert!(skipped.len() > 5, "{} skipped", skipped.len());
        world.set_rate(NUMBER, 100).await;
        let other_campaign = world.launch("next", "spring", &[]).await;
        world.settle(&other_campaign).await;
        let skipped = world.books(&other_campaign).await.phones(&["skipped"]);
        assert_eq!(skipped, done.into_iter().map(|(phone, _)| phone).collect());
    }
}

#[tokio::test]
async fn a_person_with_a_username_and_no_number_in_their_webhooks_is_stopped_too() {
    story(Duration::from_secs(300), async {
        let hidden = json!({"people": {"username_share": 1.0, "opt_out_tap_share": 0.3, "stop_text_share": 0.3,
            "tap_without_context_share": 0.5}});
        let (world, _serve) = World::with_serve(Setup::on(Database::Sqlite).simulating(hidden)).await;
        world.import("spring", 0..100).await;
        let first = world.launch("first", "spring", &[]).await;
        world.settle(&first).await;
        let acknowledged = world.simulator.report().await["opt_outs_acknowledged"].as_u64().expect("a count");
        assert!(acknowledged > 30, "{acknowledged}");
        let second = world.launch("second", "spring", &[]).await;
        let shown = world.settle(&second).await;
        assert_eq!(shown["counts"]["skipped"].as_u64(), Some(acknowledged), "{shown}");
    })
    .await;
}
