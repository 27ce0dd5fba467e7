//! The main job, end to end: from a CSV to "read", and to the people who want no more of it.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::{Database, Setup, World, phone};
use serde_json::json;

use crate::on_both_databases;

const PEOPLE: u32 = 500;

on_both_databases! {
    /// Everybody gets the first campaign; exactly those who opted out are left out of the second.
    async fn from_a_csv_to_read_and_those_who_opted_out_are_left_out_of_the_next_campaign(database) within 300; {
        let people = json!({"people": {"opt_out_tap_share": 0.06, "stop_text_share": 0.02, "other_tap_share": 0.05,
            "username_share": 0.1, "tap_without_context_share": 0.3, "native_stop_share": 0.02,
            "failed": [{"code": 131_026, "share": 0.02}]}});
        let (world, serve) = World::with_serve(Setup::on(database).at(200).simulating(people)).await;
        world.import("spring", 0..PEOPLE).await;
        let first = world.launch("first", "spring", &["--rate", "150"]).await;

        let waited = world.hudhud(&["campaign", "wait", "first", "--timeout", "60"]).await;
        let document = waited.clone().coded(if waited.json["counts"]["failed"] == 0 { 0 } else { 3 });
        assert_eq!(document["state"], "finished");
        let shown = world.settle(&first).await;
        assert_eq!((&shown["total"], &shown["counts"]["skipped"]), (&json!(PEOPLE), &json!(0)));
        assert!(shown["counts"]["read"].as_u64() > Some(200), "{shown}");
        assert!(shown["counts"]["failed"].as_u64() > Some(0), "{shown}");
        assert_eq!(shown["failed_by_code"]["131026"], shown["counts"]["failed"], "{shown}");
        let most = &world.simulator.report().await["max_in_sliding_second"][e2e::NUMBER];
        assert!(most.as_u64() <= Some(150), "the campaign's own rate is a cap too: {most}");

        let stopped = who_opted_out(&world).await;
        assert!(stopped.len() > 20, "{} opted out", stopped.len());
        let listed = everybody_in_our_list(&world, stopped.len()).await;
        assert_eq!(listed, stopped, "our list, and who opted out");
        let one = stopped.first().expect("more than twenty");
        let verdict = world.hudhud(&["optout", "check", one]).await.ok();
        assert_eq!(verdict["suppressed"], true, "{verdict}");

        let second = world.launch("second", "spring", &[]).await;
        let shown = world.settle(&second).await;
        let skipped = world.books(&second).await.phones(&["skipped"]);
        assert_eq!(skipped, stopped);
        let reasons = shown["skipped_by_reason"].as_object().expect("reasons");
        assert_eq!(reasons.values().filter_map(serde_json::Value::as_u64).sum::<u64>(), stopped.len() as u64, "{shown}");

        let verified = world.hudhud(&["ledger", "verify"]).await.ok();
        assert_eq!(verified["ok"], true, "{verified}");
        assert!(verified["entries"].as_u64() > Some(stopped.len() as u64), "{verified}");
        what_an_operator_sees(&serve).await;
        nothing_secret_is_logged(&serve.log());
    }
}

/// The phone numbers in our list of opt-outs, once there are so many, or after ten seconds.
async fn everybody_in_our_list(world: &World, expected: usize) -> BTreeSet<String> {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        let listed = world.hudhud(&["optout", "ls"]).await.ok();
        let rows = listed.as_array().expect("a list").iter();
        // Whoever has no number stands there as a whole row, for the message.
        let name = |row: &serde_json::Value| row["phone"].as_str().map_or_else(|| row.to_string(), str::to_owned);
        let phones: BTreeSet<_> = rows.map(name).collect();
        if phones.len() >= expected || std::time::Instant::now() > deadline {
            return phones;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Whom the simulator made opt out, by its fates.
async fn who_opted_out(world: &World) -> BTreeSet<String> {
    let mut stopped = BTreeSet::new();
    for n in 0..PEOPLE {
        let fate = world.simulator.fate(&phone(n), "eid_offer", "en").await;
        let reply = fate["reply"].to_string();
        if ["opt-out-tap", "stop-text", "native-stop"].iter().any(|stop| reply.contains(stop)) {
            stopped.insert(phone(n));
        }
    }
    stopped
}

async fn what_an_operator_sees(serve: &e2e::Serve) {
    assert_eq!(serve.admin_status("livez").await, Some(200));
    let metrics = serve.metrics().await;
    for name in [
        "hudhud_queue_depth",
        "hudhud_queue_oldest_age_seconds",
        "hudhud_send_attempts_total",
        "hudhud_pace_limit_per_second",
        "hudhud_message_status_total",
        "hudhud_webhook_events_total",
        "hudhud_optouts_total",
        "hudhud_optout_effective_seconds",
        "hudhud_in_doubt",
        "hudhud_ledger_ok",
    ] {
        assert!(metrics.contains(name), "{name} is not among the metrics");
    }
}

fn nothing_secret_is_logged(log: &str) {
    for secret in ["simulated-access-token", "simulated-app-secret", "made-up-verify-token", "2010000"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "a log line holds {secret}");
    }
}

/// A demo smaller than the one that people run, with the same end.
#[tokio::test]
async fn the_demo_ends_with_equal_books_and_leaves_nothing_behind() {
    e2e::story(Duration::from_secs(300), async {
        let world = World::new(Setup::on(Database::Sqlite)).await;
        let temporary = world.data_dir("temporary");
        std::fs::create_dir(&temporary).expect("a directory");
        let temporary = temporary.display().to_string();
        let anywhere =
            [("HUDHUD_LISTEN", "127.0.0.1:0"), ("HUDHUD_ADMIN_LISTEN", "127.0.0.1:0"), ("TMPDIR", &*temporary)];
        let demo = ["demo", "--contacts", "200", "--rate", "80", "--exit"];
        let report = world.hudhud_in("main", &demo, &anywhere).await.ok();
        assert_eq!(report["equal_books"], true, "{report}");
        assert_eq!(report["campaigns"].as_array().map(Vec::len), Some(2), "{report}");
        let left: Vec<_> =
            std::fs::read_dir(&temporary).expect("it is there").flatten().map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "{left:?}");
    })
    .await;
}
