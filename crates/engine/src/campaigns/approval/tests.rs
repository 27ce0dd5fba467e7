use serde_json::json;
use store::testing::Database;

use super::*;
use crate::FaultKind;
use crate::campaigns::{LaunchOrder, NewCampaign, create, launch, preflight, set_rate, show, start};
use crate::house::{RulesChange, set_rules};
use crate::testing::{NOW, TestApp, running_campaign};

fn person(name: &str) -> Actor {
    Actor(format!("user:{name}"))
}

async fn draft(app: &TestApp, more: serde_json::Value) -> i64 {
    let mut order =
        json!({"name": "large", "template": "sale", "language": "en", "lists": ["people"], "numbers": ["1"]});
    for (key, value) in more.as_object().unwrap() {
        order[key] = value.clone();
    }
    let order: NewCampaign = serde_json::from_value(order).unwrap();
    create(app, &person("mona"), &order).await.unwrap().id
}

/// What a launch by somebody is refused with; `None`: it is launched.
async fn refusal(app: &TestApp, who: &str, id: i64) -> Option<String> {
    let order = LaunchOrder { yes: true, ..LaunchOrder::default() };
    match launch(&app.app, &person(who), id, &order).await {
        Ok(_) => None,
        Err(fault) => {
            assert_eq!(fault.kind, FaultKind::PreflightRefused, "{fault:?}");
            Some(fault.detail)
        }
    }
}

async fn above(app: &TestApp, people: i64) {
    let change = RulesChange { approval_above: Some(Some(people)), ..RulesChange::default() };
    set_rules(app, &person("omar"), &change).await.unwrap();
}

store::on_both_databases! {
    async fn a_large_campaign_takes_two_people_and_a_small_one_does_not(db: Database) {
        let (app, _) = running_campaign(db).await;
        let id = draft(&app, json!({})).await;
        above(&app, 20).await;
        assert!(preflight(&app, id).await.unwrap().approval.is_none(), "twenty are not above twenty");
        above(&app, 19).await;
        let found = preflight(&app, id).await.unwrap();
        assert!(found.blockers[0].starts_with("It is for 20 people, and above 19 a second person"), "{found:?}");
        assert!(refusal(&app, "mona", id).await.is_some_and(|words| words.contains("second person must approve")));
        approve(&app.app, &person("mona"), id).await.unwrap();
        let own = refusal(&app, "mona", id).await.expect("her own approval is none");
        assert!(own.contains("is not its second person"), "{own}");
        let view = approve(&app.app, &person("sara"), id).await.unwrap();
        assert!(view.approved_by.contains(&"user:sara".to_owned()) && view.above == 19, "{view:?}");
        let found = preflight(&app, id).await.unwrap();
        assert_eq!(found.approval.map(|view| view.seal), Some(view.seal));
        assert_eq!(found.blockers, Vec::<String>::new());
        assert_eq!(refusal(&app, "mona", id).await, None);
        assert!(approve(&app.app, &person("sara"), id).await.is_err_and(|fault| fault.kind == FaultKind::WrongState));
    }

    async fn whoever_approves_finds_what_waits_for_them(db: Database) {
        let (app, _) = running_campaign(db).await;
        let waiting = async || {
            let found = awaiting_approval(&app, None, 10).await.unwrap();
            found.into_iter().map(|campaign| campaign.name).collect::<Vec<_>>()
        };
        let [first, second, third] = [
            draft(&app, json!({})).await,
            draft(&app, json!({"name": "second"})).await,
            draft(&app, json!({"name": "third"})).await,
        ];
        for id in [first, second] {
            preflight(&app, id).await.unwrap();
        }
        assert!(waiting().await.is_empty(), "the house asks for no approval");
        above(&app, 19).await;
        assert_eq!(waiting().await, ["second", "large"], "the third was not checked yet, and asks for nothing");
        preflight(&app, third).await.unwrap();
        assert_eq!(waiting().await, ["third", "second", "large"]);
        let page = awaiting_approval(&app, Some(third), 1).await.unwrap();
        assert_eq!(page.iter().map(|campaign| campaign.id).collect::<Vec<_>>(), [second]);
        approve(&app.app, &person("sara"), second).await.unwrap();
        assert_eq!(waiting().await, ["third", "large"]);
        set_rate(&app, &person("mona"), second, Some(7)).await.unwrap();
        assert_eq!(waiting().await, ["third", "second", "large"], "it is something else than what was approved");
        approve(&app.app, &person("sara"), first).await.unwrap();
        assert_eq!(refusal(&app, "mona", first).await, None);
        crate::campaigns::discard(&app, third).await.unwrap();
        assert_eq!(waiting().await, ["second"], "what was launched or removed waits for nobody");
        above(&app, 20).await;
        assert!(waiting().await.is_empty());
    }

    async fn an_edit_or_another_audience_voids_an_approval(db: Database) {
        let (app, _) = running_campaign(db).await;
        above(&app, 5).await;
        let id = draft(&app, json!({})).await;
        let approved = async || {
            let found = preflight(&app, id).await.unwrap();
            !found.approval.expect("it needs one").approved_by.is_empty()
        };
        approve(&app.app, &person("sara"), id).await.unwrap();
        assert!(approved().await);
        set_rate(&app, &person("mona"), id, Some(7)).await.unwrap();
        assert!(!approved().await, "another pace");
        set_rate(&app, &person("mona"), id, None).await.unwrap();
        assert!(approved().await, "exactly what was approved");
        // One goes and another comes: as many people, and not the same.
        app.store.tamper("UPDATE list_members SET contact_id = 9001 WHERE contact_id = (SELECT max(contact_id) FROM list_members)").await;
        app.store
            .tamper(format!(
                "INSERT INTO contacts (id, phone_key, phone, name, created_at, updated_at)
                 VALUES (9001, 201000009001, 201000009001, 'Made Up', {NOW}, {NOW})"
            ))
            .await;
        app.store.tamper("UPDATE campaigns SET checked = NULL").await;
        assert!(!approved().await, "another audience");
        assert!(refusal(&app, "mona", id).await.is_some());
    }

    async fn what_was_approved_and_scheduled_waits_for_a_person_if_it_has_grown(db: Database) {
        let (app, _) = running_campaign(db).await;
        above(&app, 5).await;
        let at = iso(NOW + 3_600_000);
        let id = draft(&app, json!({"at": at})).await;
        approve(&app.app, &person("sara"), id).await.unwrap();
        assert_eq!(refusal(&app, "mona", id).await, None);
        app.store
            .tamper(format!(
                "INSERT INTO contacts (id, phone_key, phone, name, created_at, updated_at)
                 VALUES (9001, 201000009001, 201000009001, 'Made Up', {NOW}, {NOW})"
            ))
            .await;
        app.store
            .tamper(format!(
                "INSERT INTO list_members (list_id, contact_id, added_at)
                 SELECT list_id, 9001, {NOW} FROM list_members LIMIT 1"
            ))
            .await;
        app.clock.advance(std::time::Duration::from_secs(3_601));
        let row = app.store.campaign(id).await.unwrap().unwrap();
        start(&app.app, &row).await.unwrap();
        let view = show(&app, id).await.unwrap();
        assert_eq!(view.state, "paused");
        assert!(view.reason.is_some_and(|why| why.contains("for fewer people")), "it says why");
    }
}
