use serde_json::{Value, json};
use store::testing::Database;
use store::{EXCLUDED_LIST, FILTERED_OUT, NO_ADDRESS, OPTED_OUT};

use super::*;
use crate::campaigns::{CloneOrder, NewCampaign, clone, create, preflight, show};
use crate::lists::{self, CountOrder};
use crate::planner;
use crate::testing::{NOW, TestApp, running_campaign};

/// A draft to the twenty people of the list `people`, with what else is said of it.
async fn draft(app: &TestApp, name: &str, more: Value) -> i64 {
    let mut order = json!({"name": name, "template": "sale", "language": "en", "lists": ["people"], "numbers": ["1"]});
    for (key, value) in more.as_object().unwrap() {
        order[key] = value.clone();
    }
    let order: NewCampaign = serde_json::from_value(order).unwrap();
    create(app, &Actor::system(), &order).await.unwrap().id
}

fn expecting(people: i64) -> LaunchOrder {
    LaunchOrder { expect_recipients: Some(people), yes: false }
}

async fn launched(app: &TestApp, id: i64, order: &LaunchOrder) -> Result<CampaignView> {
    launch(&app.app, &Actor::system(), id, order).await
}

/// The preflight that a refusal brings.
fn document(refused: Result<CampaignView>) -> Value {
    let fault = refused.expect_err("it is refused");
    assert_eq!(fault.kind, FaultKind::PreflightRefused, "{fault:?}");
    fault.document.expect("a refusal brings its preflight")
}

/// Somebody opts out, with an entry in the ledger.
async fn stop(app: &TestApp, contact_id: i64) {
    let evidence = evidence::entry(app, "opt-out", &Actor::system(), &json!({})).unwrap();
    let stop = store::Stop {
        contact_id: Some(contact_id),
        phone: None,
        user_id: None,
        parent_user_id: None,
        quoted_wamid: None,
        campaign_id: None,
        scope: domain::optout::scope::Scope::All,
        source: "test",
        at: NOW,
        evidence,
    };
    app.store.stop(&stop).await.unwrap();
}

/// People who came at `added_at`.
async fn join(app: &TestApp, people: std::ops::RangeInclusive<i64>, added_at: i64) {
    let (from, to) = (people.start(), people.end());
    let ids = format!("WITH RECURSIVE i(id) AS (SELECT {from} UNION ALL SELECT id + 1 FROM i WHERE id < {to})");
    app.store
        .tamper(format!(
            "{ids} INSERT INTO contacts (id, phone_key, phone, name, created_at, updated_at)
             SELECT id, 15550100000 + id, 15550100000 + id, 'Made Up', 0, 0 FROM i"
        ))
        .await;
    app.store
        .tamper(format!(
            "{ids} INSERT INTO list_members (list_id, contact_id, added_at) SELECT 1, id, {added_at} FROM i"
        ))
        .await;
}

store::on_both_databases! {
    async fn a_launch_that_expects_a_number_goes_with_exactly_that_number(db: Database) {
        let (app, _) = running_campaign(db).await;
        let id = draft(&app, "counted", json!({})).await;
        let told = document(launched(&app, id, &expecting(19)).await);
        assert_eq!((&told["eligible"], &told["blockers"]), (&json!(20), &json!([])), "{told}");
        let running = launched(&app, id, &expecting(20)).await.unwrap();
        assert_eq!((running.state.as_str(), running.total), ("running", 20));
    }

    async fn whoever_joins_after_the_preflight_is_not_in_the_launch_that_rests_on_it(db: Database) {
        let (app, _) = running_campaign(db).await;
        let id = draft(&app, "looked at", json!({})).await;
        assert_eq!(preflight(&app, id).await.unwrap().eligible, 20);
        join(&app, 21..=30, NOW + 1).await;
        app.clock.advance(std::time::Duration::from_secs(60));
        assert_eq!(launched(&app, id, &expecting(20)).await.unwrap().total, 20);
        while planner::tick(&app.app).await.unwrap() {}
        assert_eq!(app.store.tally(id).await.unwrap().planned, 20);
    }

    async fn an_audience_that_changed_since_its_preflight_is_asked_about_again(db: Database) {
        let (app, _) = running_campaign(db).await;
        let id = draft(&app, "looked at", json!({})).await;
        preflight(&app, id).await.unwrap();
        stop(&app, 3).await;
        let told = document(launched(&app, id, &LaunchOrder::default()).await);
        assert_eq!((&told["eligible"], &told["excluded"]), (&json!(19), &json!({OPTED_OUT: 1})), "{told}");
        let warnings = told["warnings"].to_string();
        assert!(warnings.contains("20 people") && warnings.contains("19 would now"), "{warnings}");
        // Now they have seen it.
        launched(&app, id, &LaunchOrder::default()).await.unwrap();
        // Something happened elsewhere, and it comes to the same.
        let same = draft(&app, "the same", json!({})).await;
        preflight(&app, same).await.unwrap();
        join(&app, 21..=21, NOW + 1).await;
        stop(&app, 21).await;
        launched(&app, same, &LaunchOrder::default()).await.unwrap();
        // Whoever says yes beforehand, or names the new number, is not asked.
        let orders = [(4, LaunchOrder { expect_recipients: None, yes: true }), (5, expecting(17))];
        for (person, order) in orders {
            let id = draft(&app, &format!("after {person}"), json!({})).await;
            preflight(&app, id).await.unwrap();
            stop(&app, person).await;
            launched(&app, id, &order).await.unwrap();
        }
    }

    async fn people_who_slip_into_a_counted_audience_are_counted_again(db: Database) {
        let (app, _) = running_campaign(db).await;
        let id = draft(&app, "looked at", json!({})).await;
        preflight(&app, id).await.unwrap();
        // As an import would that began before the count and ended after it, and leaves no mark.
        join(&app, 21..=22, NOW - 1).await;
        let told = document(launched(&app, id, &expecting(20)).await);
        assert_eq!(told["eligible"], json!(22), "{told}");
        assert_eq!(launched(&app, id, &expecting(22)).await.unwrap().total, 22);
    }

    async fn a_launch_for_nobody_is_refused_without_counting_everybody(db: Database) {
        let (app, _) = running_campaign(db).await;
        let id = draft(&app, "stopped", json!({})).await;
        for person in 1..=20 {
            stop(&app, person).await;
        }
        let told = document(launched(&app, id, &LaunchOrder { expect_recipients: None, yes: true }).await);
        assert_eq!(told["blockers"], json!([NOBODY]), "{told}");
        assert_eq!(told["excluded"], json!({OPTED_OUT: 20}), "{told}");
    }

    async fn planning_comes_to_what_the_preflight_showed_for_every_reason(db: Database) {
        let (app, _) = running_campaign(db).await;
        // Several chunks.
        join(&app, 21..=6_500, NOW).await;
        app.store.ensure_list("out", NOW).await.unwrap();
        app.store.tamper(
            "INSERT INTO list_members (list_id, contact_id, added_at)
             SELECT (SELECT id FROM lists WHERE name = 'out'), id, 0 FROM contacts WHERE id % 10 = 0").await;
        app.store.tamper("UPDATE contacts SET phone = NULL WHERE id % 100 = 1").await;
        app.store.tamper("UPDATE contacts SET name = NULL WHERE id % 100 IN (2, 10)").await;
        for person in [3, 10, 102] {
            stop(&app, person).await;
        }
        app.store.tamper(
            "UPDATE templates SET components = '[{\"type\":\"BODY\",\"text\":\"Hello {{1}}\"}]' WHERE name = 'sale'").await;
        let more = json!({"params": {"1": "{name}"}, "excluded_lists": ["out"], "numbers": ["1", "2"]});
        let id = draft(&app, "all reasons", more).await;
        let shown = preflight(&app, id).await.unwrap();
        let expected = [(EXCLUDED_LIST, 650), (NO_ADDRESS, 65), (OPTED_OUT, 2), ("variable-missing:name", 64)];
        let expected: std::collections::BTreeMap<_, _> = expected.into_iter().map(|(why, n)| (why.to_owned(), n)).collect();
        assert_eq!((shown.eligible, &shown.excluded), (6_500 - 781, &expected));
        assert_eq!(shown.estimated_cost.by_market.iter().map(|market| market.recipients).sum::<i64>(), shown.eligible);
        launched(&app, id, &expecting(shown.eligible)).await.unwrap();
        while planner::tick(&app.app).await.unwrap() {}
        let tally = app.store.tally(id).await.unwrap();
        assert_eq!((tally.planned, &tally.skipped_by_reason), (shown.eligible, &expected));
        assert_eq!(app.store.count_anew(id).await.unwrap(), tally);
    }

    async fn a_filtered_campaign_plans_exactly_whom_count_and_preflight_named(db: Database) {
        let (app, _) = running_campaign(db).await;
        join(&app, 21..=6_500, NOW).await;
        for list in ["more", "out"] {
            app.store.ensure_list(list, NOW).await.unwrap();
        }
        for (list, people) in [("more", "id % 3 = 0"), ("out", "id % 10 = 0")] {
            app.store.tamper(format!(
                "INSERT INTO list_members (list_id, contact_id, added_at)
                 SELECT (SELECT id FROM lists WHERE name = '{list}'), id, 0 FROM contacts WHERE {people}")).await;
        }
        app.store.tamper("UPDATE contacts SET attributes = '{\"city\":\"Cairo\"}' WHERE id % 4 <> 0").await;
        app.store.tamper("UPDATE contacts SET phone = CASE WHEN id % 100 = 1 THEN NULL ELSE 12025550000 + id END").await;
        for person in [3, 4, 5, 10] {
            stop(&app, person).await;
        }
        let filter = "city = Cairo and country = US";
        let lists = json!({"lists": ["people", "more"], "excluded_lists": ["out"], "filter": filter});
        let order: CountOrder = serde_json::from_value(lists.clone()).unwrap();
        let count = lists::count(&app, &order).await.unwrap();
        // Of 6,500 every tenth is excluded; of the others every fourth is elsewhere, and 65 have no number at all.
        let everybody = (count.people, count.excluded, count.filtered_out, count.suppressed, count.remaining);
        assert_eq!(everybody, (6_500, 650, 1_300 + 65, 2, 6_500 - 650 - 1_365 - 2), "{count:?}");
        assert_eq!((count.filter.as_deref(), count.no_address), (Some("\"city\" = \"Cairo\" and country in (\"US\")"), 0));
        let id = draft(&app, "to some", lists).await;
        let shown = preflight(&app, id).await.unwrap();
        assert_eq!(shown.eligible, count.remaining);
        let expected = [(EXCLUDED_LIST, 650), (FILTERED_OUT, 1_365), (OPTED_OUT, 2)];
        let expected: std::collections::BTreeMap<_, _> = expected.into_iter().map(|(why, n)| (why.to_owned(), n)).collect();
        assert_eq!(shown.excluded, expected);
        launched(&app, id, &expecting(count.remaining)).await.unwrap();
        while planner::tick(&app.app).await.unwrap() {}
        let tally = app.store.tally(id).await.unwrap();
        assert_eq!((tally.planned, &tally.skipped_by_reason, tally.total()), (count.remaining, &expected, 6_500));
        assert_eq!(app.store.count_anew(id).await.unwrap(), tally);
        let copy = clone(&app, &Actor::system(), id, &CloneOrder { name: "copy".into() }).await.unwrap();
        assert_eq!((copy.filter, copy.lists.len(), copy.excluded_lists), (count.filter, 2, vec!["out".to_owned()]));
        assert_eq!(preflight(&app, copy.id).await.unwrap().eligible, count.remaining);
    }

    async fn a_preflight_whose_filter_asks_for_history_is_counted_again_once_something_was_sent(db: Database) {
        let (app, running) = running_campaign(db).await;
        while planner::tick(&app.app).await.unwrap() {}
        let id = draft(&app, "the others", json!({"filter": "not messaged within 30 days"})).await;
        assert_eq!(preflight(&app, id).await.unwrap().eligible, 20);
        app.store.tamper(format!(
            "UPDATE sends SET state = 3, claimed_at = {NOW} WHERE campaign_id = {running} AND contact_id <= 5")).await;
        app.store.heal_tallies(running).await.unwrap();
        let told = document(launched(&app, id, &LaunchOrder::default()).await);
        assert_eq!((&told["eligible"], &told["excluded"]), (&json!(15), &json!({FILTERED_OUT: 5})), "{told}");
        launched(&app, id, &expecting(15)).await.unwrap();
        // Whoever is written to while it is planned was meant all the same: its moment was before.
        app.store.tamper(format!(
            "UPDATE sends SET state = 3, claimed_at = {NOW} + 1 WHERE campaign_id = {running} AND contact_id > 5")).await;
        while planner::tick(&app.app).await.unwrap() {}
        assert_eq!(app.store.tally(id).await.unwrap().planned, 15);
    }

    async fn a_filter_that_cannot_be_is_refused_with_where_and_why(db: Database) {
        let (app, _) = running_campaign(db).await;
        let count = async |lists: &[&str], filter: &str| {
            let lists = lists.iter().map(|list| (*list).to_owned()).collect();
            lists::count(&app, &CountOrder { lists, excluded_lists: Vec::new(), filter: Some(filter.to_owned()) }).await
        };
        for (filter, kind, said) in [
            ("city = ", FaultKind::Invalid, "at 8: expected a value"),
            ("city = Cairo Giza", FaultKind::Invalid, "at 14: expected and, or, or the end, found \"Giza\""),
            ("read campaign autumn", FaultKind::NotFound, "campaign \"autumn\""),
        ] {
            let fault = count(&["people"], filter).await.unwrap_err();
            assert!(fault.kind == kind && fault.detail.contains(said), "{fault:?}");
        }
        assert_eq!(count(&["nobody's"], "").await.unwrap_err().kind, FaultKind::NotFound);
        assert_eq!(count(&[], "").await.unwrap_err().kind, FaultKind::Invalid);
        app.store.tamper("UPDATE contacts SET attributes = '{\"city\":\"Cairo\"}' WHERE id < 9").await;
        let misspelt = count(&["people"], "ctiy = Cairo and name is not empty").await.unwrap();
        assert_eq!(misspelt.warnings, ["None of the first 20 people has a column \"ctiy\"; they have: city."]);
        let fine = count(&["people"], " ").await.unwrap();
        assert_eq!((fine.remaining, fine.filter, fine.warnings), (20, None, Vec::new()));
        let order = json!({"name": "odd", "template": "sale", "language": "en", "lists": ["people"], "numbers": ["1"], "filter": "ctiy = x"});
        let made = create(&app, &Actor::system(), &serde_json::from_value(order).unwrap()).await.unwrap();
        assert!(made.note.is_some_and(|note| note.contains("ctiy")) && made.filter.is_some());
    }

    async fn a_launch_waits_until_an_import_into_its_list_is_undone(db: Database) {
        let (app, _) = running_campaign(db).await;
        let id = draft(&app, "spring again", json!({})).await;
        preflight(&app, id).await.unwrap();
        app.store.tamper("INSERT INTO imports (id, list_id, list_name, state, actor, opt_in_source, started_at, finished_at)
                          VALUES (70, 1, 'people', 'done', 'cli:amr', 'shop', 0, 0)").await;
        app.store.begin_undo(70).await.unwrap();
        let fault = launched(&app, id, &LaunchOrder::default()).await.unwrap_err();
        assert!(fault.kind == FaultKind::WrongState && fault.detail.contains("Import 70"), "{fault:?}");
        // One that starts by itself waits without a word, and starts a moment later.
        app.store.move_campaign(id, CampaignEvent::Scheduled, None, None, NOW).await.unwrap();
        planner::tick(&app.app).await.unwrap();
        assert_eq!(show(&app, id).await.unwrap().state, "scheduled");
        app.store.give_up_undo(70).await.unwrap();
        planner::tick(&app.app).await.unwrap();
        assert_eq!(show(&app, id).await.unwrap().state, "running");
    }

    async fn an_import_whose_people_were_written_to_is_not_undone_and_the_number_is_told(db: Database) {
        let (app, _) = running_campaign(db).await;
        app.store.tamper("INSERT INTO imports (id, list_id, list_name, state, actor, opt_in_source, started_at, finished_at)
                          VALUES (70, 1, 'people', 'done', 'cli:amr', 'shop', 0, 0)").await;
        app.store.tamper("UPDATE list_members SET import_id = 70 WHERE contact_id <= 12").await;
        app.store.tamper("UPDATE campaigns SET planned = FALSE").await;
        let planning = crate::imports::undo(&app, 70, &Actor::system()).await.unwrap_err();
        assert!(planning.detail.contains("spring (its audience is being planned"), "{planning}");
        app.store.tamper("UPDATE campaigns SET planned = TRUE").await;
        let fault = crate::imports::undo(&app, 70, &Actor::system()).await.unwrap_err();
        assert!(fault.kind == FaultKind::WrongState && fault.detail.contains("spring (written to, or to be written to: 12 of them)"), "{fault}");
        assert_eq!(app.store.import(70).await.unwrap().unwrap().state, "done", "other imports may begin");
        app.store.tamper("UPDATE sends SET state = 8").await;
        let undone = crate::imports::undo(&app, 70, &Actor::system()).await.unwrap();
        assert_eq!((undone.left_list, undone.removed), (12, 0));
    }
}

#[test]
fn whoever_steers_is_told_what_cannot_be_recalled() {
    let counts = crate::campaigns::Counts {
        planned: 31_000,
        queued: 880,
        submitting: 20,
        read: 8_000,
        failed: 100,
        ..crate::campaigns::Counts::default()
    };
    let view = CampaignView { counts, ..CampaignView::default() };
    assert_eq!(
        what_has_gone(&view, CampaignEvent::Cancelled),
        "8,120 have gone and cannot be recalled (of them 20 on their way this moment); 31,880 will not go."
    );
    assert!(what_has_gone(&view, CampaignEvent::Paused).ends_with("31,880 wait and keep their place."));
    let quiet = CampaignView::default();
    assert_eq!(what_has_gone(&quiet, CampaignEvent::Resumed), "0 have gone and cannot be recalled; 0 are still to go.");
}
