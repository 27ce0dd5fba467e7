use serde_json::{Value, json};
use store::testing::Database;
use store::{EXCLUDED_LIST, NO_ADDRESS, OPTED_OUT};

use super::*;
use crate::campaigns::{NewCampaign, create, preflight};
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
        scope: "all",
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
