//! A Graph API that refuses, hangs, fails, takes its token back, and tells of statuses in any order.

use std::time::Duration;

use e2e::{Database, Setup, World, story, until};
use serde_json::json;

/// Breaks the Graph API for some seconds in the middle of a campaign. How many sends came to be in doubt.
async fn broken_for_a_while(outage: &'static str, most: usize) {
    story(Duration::from_secs(400), async move {
        let (world, mut serve) = World::with_serve(Setup::on(Database::Sqlite)).await;
        world.import("spring", 0..600).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(150).await;
        world.simulator.set(json!({ "outage": outage })).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        let shown = world.hudhud(&["campaign", "show", "spring"]).await.ok();
        assert_eq!(shown["state"], "running", "an outage is waited out: {shown}");
        assert_eq!(shown["counts"]["failed"], 0, "nobody's message fails for it: {shown}");
        let left = ["planned", "queued"].iter().filter_map(|state| shown["counts"][*state].as_u64()).sum::<u64>();
        assert!(left >= 100, "the rest waits: {shown}");
        serve.expect_running();
        world.simulator.set(json!({"outage": "none"})).await;
        // What was on the wire when it broke was not taken in, and no webhook will tell of it. A broken platform is
        // tried with one message at a time.
        let doubts = world.settle_by_hand(&campaign, most).await;
        eprintln!("{outage}: {doubts} were in doubt");
    })
    .await;
}

#[tokio::test]
async fn a_graph_api_that_refuses_connections_is_waited_for() {
    broken_for_a_while("refused", 100).await;
}

#[tokio::test]
async fn a_graph_api_that_hangs_is_waited_for() {
    // Until the first answer is given up nothing tells a slow platform from one that hangs: three seconds' worth may be
    // under way.
    broken_for_a_while("hanging", 330).await;
}

#[tokio::test]
async fn a_graph_api_that_answers_503_is_waited_for() {
    broken_for_a_while("503", 100).await;
}

#[tokio::test]
async fn statuses_doubled_and_reversed_end_where_they_belong() {
    story(Duration::from_secs(300), async {
        let shuffled = json!({"webhook": {"duplicate_share": 1.0, "reorder_share": 1.0, "millisecond_share": 0.3},
            "people": {"read_without_delivered_share": 0.2, "delivered_share": 0.9}});
        let (world, _serve) = World::with_serve(Setup::on(Database::Sqlite).at(200).simulating(shuffled)).await;
        world.import("spring", 0..600).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        let shown = world.settle(&campaign).await;
        for state in ["sent", "delivered", "read"] {
            assert!(shown["counts"][state].as_u64() > Some(30), "{state}: {shown}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_refused_token_stops_the_account_with_advice_and_a_new_one_lets_it_go_on() {
    story(Duration::from_secs(400), async {
        let (world, _serve) = World::with_serve(Setup::on(Database::Sqlite)).await;
        world.import("spring", 0..500).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(100).await;
        world.simulator.set_access_token("another-simulated-token").await;
        let reason = until("an account that is stopped", Duration::from_secs(10), async || {
            let accounts = world.hudhud(&["account", "list"]).await.ok();
            accounts[0]["stopped_reason"].as_str().map(str::to_owned)
        })
        .await;
        assert!(reason.contains("account rotate"), "it says what to do: {reason}");
        tokio::time::sleep(Duration::from_secs(2)).await;
        let refused = refused(&world, "190").await;
        assert!(refused <= 100, "{refused} messages were tried with a token that is refused");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(self::refused(&world, "190").await, refused, "a stopped account sends nothing");
        let shown = world.hudhud(&["campaign", "show", "spring"]).await.ok();
        assert_eq!(shown["counts"]["failed"], 0, "{shown}");

        let token = world.secret("new-token", "another-simulated-token");
        let _ = world.hudhud(&["account", "rotate", "hoopoe", "--access-token-file", &token]).await.ok();
        // Whoever met the refusal waits for a minute.
        world.settle_within(&campaign, Duration::from_secs(180)).await;
    })
    .await;
}

async fn refused(world: &World, code: &str) -> u64 {
    world.simulator.report().await["refused_by_code"][code].as_u64().unwrap_or(0)
}

#[tokio::test]
async fn people_who_cannot_be_reached_fail_by_code_and_a_throttled_number_slows_down() {
    story(Duration::from_secs(400), async {
        let errors =
            json!({"errors": [{"code": 131_026, "share": 0.05, "times": 0}, {"code": 131_000, "share": 0.02}]});
        let (world, _serve) = World::with_serve(Setup::on(Database::Sqlite).simulating(errors)).await;
        world.import("spring", 0..400).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        // Meta's own limit drops far below ours until it is met: refused with 130429, and tried again later.
        world.taken_in(100).await;
        world.simulator.set(json!({"default_rate": 2})).await;
        let throttled = async || (refused(&world, "130429").await > 0).then_some(());
        until("a message that is too many for Meta's limit", Duration::from_secs(60), throttled).await;
        world.simulator.set(json!({"default_rate": 100})).await;
        let shown = world.settle_within(&campaign, Duration::from_secs(180)).await;
        let failed: u64 =
            shown["failed_by_code"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
        assert_eq!(
            shown["failed_by_code"].as_object().map(|codes| codes.keys().cloned().collect::<Vec<_>>()),
            Some(vec!["131026".to_owned()]),
            "{shown}"
        );
        assert!(failed > 5 && shown["counts"]["failed"] == failed, "{shown}");
        assert!(refused(&world, "130429").await > 0, "the throttle was not met");
    })
    .await;
}
