//! Whom a campaign is for, when it has several lists, one that it leaves out, and a filter.

use std::collections::BTreeSet;

use e2e::{Setup, World, phone};
use serde_json::json;

use crate::on_both_databases;

on_both_databases! {
    /// What `list count` says, the preflight says, and the simulator gets: each person once, and nobody else.
    async fn three_overlapping_lists_less_one_by_a_filter_send_exactly_whom_the_count_named(database) within 300; {
        let (world, _serve) = World::with_serve(Setup::on(database).at(200)).await;
        world.import("spring", 0..120).await;
        world.import("summer", 60..180).await;
        world.import("vip", 100..240).await;
        world.import("staff", 30..50).await;
        world.import("asked before", 200..220).await;
        let before = world.launch("before", "asked before", &[]).await;
        world.settle(&before).await;
        let stopped = phone(110);
        let _ = world.hudhud(&["optout", "add", &stopped, "--reason", "by phone"]).await.ok();

        // Points are the number of the person.
        let filter = "points >= 10 and (points < 235 or name = Mona) and not messaged within 30 days and country = EG";
        let lists = ["--list", "spring", "--list", "summer", "--list", "vip"];
        let count = [&["list", "count"], &lists[..], &["--exclude", "staff", "--filter", filter]].concat();
        let count = world.hudhud(&count).await.ok();
        let meant: BTreeSet<u32> = (10..240)
            .filter(|n| !(30..50).contains(n) && !(200..220).contains(n) && (*n < 235 || n % 6 == 0))
            .collect();
        let meant: BTreeSet<String> = meant.into_iter().map(phone).filter(|phone| *phone != stopped).collect();
        assert_eq!(count["people"], json!(240), "{count}");
        assert_eq!((&count["excluded"], &count["suppressed"]), (&json!(20), &json!(1)), "{count}");
        assert_eq!(count["filtered_out"], json!(240 - 20 - 1 - meant.len()), "{count}");
        assert_eq!(count["remaining"], json!(meant.len()), "{count}");

        let more = [&lists[2..], &["--exclude-list", "staff", "--filter", filter]].concat();
        let campaign = world.create("some of them", "spring", &more).await;
        let shown = world.hudhud(&["campaign", "show", "some of them"]).await.ok();
        assert_eq!(shown["filter"], count["filter"], "{shown}");
        assert_eq!(shown["lists"], json!(["spring", "summer", "vip"]), "{shown}");
        let preflight = world.hudhud(&["campaign", "preflight", "some of them"]).await.ok();
        assert_eq!(preflight["eligible"], count["remaining"], "{preflight}");
        let expected = count["remaining"].to_string();
        let launch = ["campaign", "launch", "some of them", "--expect-recipients", &expected, "--yes"];
        let _ = world.hudhud(&launch).await.ok();
        let shown = world.settle(&campaign).await;
        assert_eq!(shown["total"], json!(240), "{shown}");
        assert_eq!(shown["skipped_by_reason"]["filtered-out"], count["filtered_out"], "{shown}");

        let rows = world.simulator.ledger().await;
        let ours = rows.iter().filter(|row| row.campaign() == Some(campaign.id) && row.was_taken_in());
        let got: Vec<String> = ours.filter_map(|row| row.to.clone()).collect();
        assert_eq!(got.len(), meant.len(), "one message each");
        assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), meant);

        // All of them have their message now, so a copy is for nobody.
        let _ = world.hudhud(&["campaign", "clone", "some of them", "once more"]).await.ok();
        let again = world.hudhud(&["campaign", "preflight", "once more"]).await.coded(4);
        assert_eq!((&again["eligible"], &again["excluded"]["excluded-list"]), (&json!(0), &json!(20)), "{again}");
        let wrong = world.hudhud(&["list", "count", "--list", "spring", "--filter", "points >>"]).await;
        assert!(wrong.code == 2 && wrong.stderr.contains("at 9: expected a value"), "{wrong:?}");
    }
}
