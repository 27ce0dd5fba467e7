use domain::campaign::CampaignState;
use domain::send::SendState;
use serde_json::{Value, json};
use store::testing::Database;
use store::{Arrival, Claim, ClaimOrder, Owner, on_both_databases};

use super::*;
use crate::testing::{NOW, TestApp, running_campaign};

/// A running campaign whose first sends Meta took, as many as `held` has entries: held where it says so.
async fn accepted(db: Database, held: &[bool]) -> (TestApp, i64) {
    let (app, campaign) = running_campaign(db).await;
    let owner = Owner { instance: "one".to_owned(), host: "here".to_owned(), boot: "now".to_owned() };
    let number = app.store.number_of_meta("1").await.unwrap().unwrap().id;
    let lane = format!("lane:{number}");
    let token = app.store.take_lease(&lane, Some(number), &owner, None, NOW).await.unwrap().unwrap();
    let batch = app.store.next_batch(campaign, number, 50, NOW).await.unwrap().unwrap();
    let order = ClaimOrder { lane: &lane, token, batch: &batch, after: 0, limit: held.len(), now: NOW };
    let Claim::Made { sends, .. } = app.store.claim(&order).await.unwrap() else { panic!("nothing was claimed") };
    let happenings: Vec<_> = sends
        .iter()
        .zip(held)
        .map(|(send, held)| {
            let event = SendEvent::Accepted;
            let mut happening = Happening::new((campaign, send.contact_id), Some(send.attempt), event, NOW);
            happening.wamid = Some(format!("wamid.{}", send.contact_id));
            happening.held = *held;
            happening
        })
        .collect();
    app.store.apply(Priority::Urgent, &happenings).await.unwrap();
    (app, campaign)
}

/// Takes a webhook of the account in.
async fn told(app: &TestApp, field: &str, value: Value) {
    let account_id = app.store.account_named("shop").await.unwrap().unwrap().id;
    let body = json!({"object": "whatsapp_business_account",
        "entry": [{"id": "100", "changes": [{"field": field, "value": value}]}]});
    let body = body.to_string().into_bytes();
    let mut body_hash = [0; 32];
    body_hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, &body).as_ref());
    let arrival =
        Arrival { account_id, received_at: NOW, body_hash, signature: String::new(), body, stops: Vec::new() };
    app.store.keep_arrivals(&[arrival]).await.unwrap();
    while tick(&app.app).await.unwrap() {}
}

/// Says of these messages that they failed with a code.
async fn failed(app: &TestApp, wamids: &[&str], code: i64) {
    let statuses: Vec<Value> = wamids
        .iter()
        .map(|wamid| {
            json!({"id": wamid, "status": "failed", "timestamp": (NOW / 1_000 + 5).to_string(),
                "errors": [{"code": code, "title": "made up"}]})
        })
        .collect();
    let metadata = json!({"display_phone_number": "1", "phone_number_id": "1"});
    told(app, "messages", json!({"messaging_product": "whatsapp", "metadata": metadata, "statuses": statuses})).await;
}

async fn template_is(app: &TestApp, event: &str) {
    let value = json!({"event": event, "message_template_id": 7, "message_template_name": "sale",
        "message_template_language": "en", "reason": "NONE"});
    told(app, "message_template_status_update", value).await;
}

async fn state(app: &TestApp, campaign: i64, person: i64) -> SendState {
    SendState::try_from(app.store.send((campaign, person)).await.unwrap().unwrap().state).unwrap()
}

async fn campaign_is(app: &TestApp, campaign: i64) -> (CampaignState, String) {
    let row = app.store.campaign(campaign).await.unwrap().unwrap();
    (row.state().unwrap(), row.reason.unwrap_or_default())
}

on_both_databases! {
    async fn messages_that_portfolio_pacing_dropped_stop_the_whole_portfolio(db: Database) {
        let (app, campaign) = accepted(db, &[false; 5]).await;
        failed(&app, &["wamid.1", "wamid.2", "wamid.3"], 135_000).await;
        let accounts = app.store.accounts().await.unwrap();
        let stopped: Vec<_> = accounts.iter().filter(|account| account.stopped_reason.is_some()).collect();
        assert_eq!(stopped.iter().map(|account| account.name.as_str()).collect::<Vec<_>>(), ["shop", "sister"]);
        assert!(stopped.iter().all(|account| account.stopped_reason.as_deref().is_some_and(|why| why.contains("portfolio"))));
        assert_eq!(state(&app, campaign, 1).await, SendState::Planned, "nobody loses their place");
        assert_eq!(campaign_is(&app, campaign).await.0, CampaignState::Running, "it is not the campaign's doing");
    }

    async fn what_meta_holds_is_counted_by_itself_and_not_sent_again_when_it_is_dropped(db: Database) {
        let (app, campaign) = accepted(db, &[true, true, false]).await;
        let counts = crate::campaigns::show(&app, campaign).await.unwrap();
        assert_eq!((counts.counts.accepted, counts.held), (3, 2));
        failed(&app, &["wamid.1", "wamid.3"], 132_015).await;
        let counts = crate::campaigns::show(&app, campaign).await.unwrap();
        assert_eq!((counts.held, counts.failed_by_code.get("132015").copied()), (1, Some(1)));
        assert_eq!(state(&app, campaign, 1).await, SendState::Failed, "held, then dropped: never again");
        assert_eq!(state(&app, campaign, 3).await, SendState::Planned, "not held: again once the template is back");
    }

    async fn a_template_that_meta_pauses_and_approves_again_takes_its_campaign_along(db: Database) {
        let (app, campaign) = accepted(db, &[false]).await;
        template_is(&app, "PAUSED").await;
        let (paused, reason) = campaign_is(&app, campaign).await;
        assert!(paused == CampaignState::Paused && reason.contains("PAUSED"), "{paused}: {reason}");
        template_is(&app, "APPROVED").await;
        assert_eq!(campaign_is(&app, campaign).await.0, CampaignState::Running);

        template_is(&app, "DISABLED").await;
        template_is(&app, "APPROVED").await;
        assert_eq!(campaign_is(&app, campaign).await.0, CampaignState::Paused, "after anything worse a person looks first");
    }

    async fn a_dropped_message_pauses_the_campaign_until_the_template_is_approved_again(db: Database) {
        let (app, campaign) = accepted(db, &[false; 2]).await;
        failed(&app, &["wamid.1"], 132_015).await;
        assert_eq!(campaign_is(&app, campaign).await.0, CampaignState::Paused);
        let template = app.store.templates().await.unwrap().remove(0);
        assert_eq!(template.status, "PAUSED", "a launch is refused until Meta says otherwise");
        template_is(&app, "REINSTATED").await;
        assert_eq!(campaign_is(&app, campaign).await.0, CampaignState::Running);
    }

    async fn a_person_with_enough_marketing_is_left_alone_for_a_day_then_two_then_for_good(db: Database) {
        let (app, campaign) = accepted(db, &[false]).await;
        let number = app.store.number_of_meta("1").await.unwrap().unwrap().id;
        let lane = format!("lane:{number}");
        let (mut waited, mut wamid) = (Vec::new(), "wamid.1".to_owned());
        for attempt in 1..=3 {
            failed(&app, &[&wamid], 131_049).await;
            let row = app.store.send((campaign, 1)).await.unwrap().unwrap();
            if row.state == SendState::Failed as i16 {
                break;
            }
            let due = row.not_before.unwrap();
            waited.push((due - app.clock.now_ms()) / 3_600_000);
            wamid = format!("wamid.1.{attempt}");
            // A refusal of another kind in between does not use up a try.
            let token = app.store.lease(&lane).await.unwrap().unwrap().token;
            for (round, code) in [(0, Some(130_429)), (1, None)] {
                let batch = app.store.due_batch(campaign, number, due).await.unwrap().unwrap();
                let order = ClaimOrder { lane: &lane, token, batch: &batch, after: 0, limit: 5, now: due };
                assert!(matches!(app.store.claim(&order).await.unwrap(), Claim::Made { sends, .. } if sends.len() == 1));
                let event = code.map_or(SendEvent::Accepted, |_| SendEvent::Refused { later: true });
                let mut happening = Happening::new((campaign, 1), Some(attempt * 2 + round), event, due);
                happening.code = code;
                happening.not_before = Some(due);
                happening.wamid = code.is_none().then(|| wamid.clone());
                app.store.apply(Priority::Urgent, &[happening]).await.unwrap();
            }
        }
        assert_eq!(waited, [24, 48]);
        assert_eq!(state(&app, campaign, 1).await, SendState::Failed);
        assert_eq!(crate::campaigns::show(&app, campaign).await.unwrap().failed_by_code.get("131049"), Some(&1));
    }
}
