use hmac_of_tests::signed;
use serde_json::{Value, json};
use store::on_both_databases;
use store::testing::Database;

use super::*;
use crate::testing::{NOW, TestApp, running_campaign};

/// Signs as Meta does.
mod hmac_of_tests {
    use ring::hmac;

    pub(super) fn signed(body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret-of-the-app");
        format!("sha256={}", hex::encode(hmac::sign(&key, body)))
    }
}

/// A webhook of the shop's, from its signature to the end of the intake.
async fn told(app: &TestApp, field: &str, value: Value) {
    let body = json!({"object": "whatsapp_business_account",
        "entry": [{"id": "100", "changes": [{"field": field, "value": value}]}]});
    let body = body.to_string().into_bytes();
    let signature = signed(&body);
    let receiving = webhook::receive(&app.app, &body, Some(&signature));
    tokio::pin!(receiving);
    // A body that stops nobody waits a moment for others to be kept with it, on a clock that only we advance: slower than
    // the true one, so that a slow database does not make hours of it.
    let received = loop {
        tokio::select! {
            biased;
            received = &mut receiving => break received.unwrap(),
            () = tokio::time::sleep(std::time::Duration::from_millis(1)) => {
                app.app.clock.advance(std::time::Duration::from_micros(500));
            }
        }
    };
    assert!(matches!(received, webhook::Received::Kept | webhook::Received::Duplicate), "{received:?}");
    while crate::intake::tick(&app.app).await.unwrap() {}
}

/// Somebody's message; `at` in seconds after now.
pub(crate) async fn said(app: &TestApp, from: &str, at: i64, mut message: Value) {
    message["from"] = json!(from);
    message["id"] = json!(format!("wamid.{from}.{at}"));
    message["timestamp"] = json!((NOW / 1_000 + at).to_string());
    let metadata = json!({"display_phone_number": "1", "phone_number_id": "1"});
    told(app, "messages", json!({"messaging_product": "whatsapp", "metadata": metadata, "messages": [message]})).await;
}

pub(crate) fn text(body: &str) -> Value {
    json!({"type": "text", "text": {"body": body}})
}

async fn preference(app: &TestApp, wa_id: &str, value: &str, at: i64) {
    let event = json!({"wa_id": wa_id, "user_id": "EG.1", "detail": "by the switch", "category": "marketing_messages",
        "value": value, "timestamp": NOW / 1_000 + at});
    let metadata = json!({"display_phone_number": "1", "phone_number_id": "1"});
    told(
        app,
        "user_preferences",
        json!({"messaging_product": "whatsapp", "metadata": metadata, "user_preferences": [event]}),
    )
    .await;
}

async fn source(app: &App, phone: &str) -> Option<String> {
    crate::optouts::check(app, phone).await.unwrap().source
}

const ONE: &str = "15550100001";
const TWO: &str = "15550100002";

on_both_databases! {
    async fn each_way_of_saying_stop_suppresses_with_its_evidence(db: Database) {
        let (app, campaign) = running_campaign(db).await;
        let ours = domain::payload::encode(campaign, 1, domain::payload::Intent::OptOut);
        let button = |payload: &str, label: &str| json!({"type": "button", "button": {"payload": payload, "text": label}});
        let with_context = |mut message: Value| {
            message["context"] = json!({"id": "wamid.ORIGINAL"});
            message
        };
        let ways = [
            (button(&ours, "Shop now"), "button"),
            (with_context(button(&ours, "Shop now")), "button"),
            (button("x", "Stop promotions"), "button"),
            (with_context(button("x", "إيقاف العروض")), "button"),
            (json!({"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "a", "title": "Unsubscribe"}}}), "button"),
            (json!({"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "a", "title": "Darme de baja"}}}), "button"),
            (text("please remove me from your list"), "text"),
            (text("لا ترسلوا لي رسائل بعد الآن"), "text"),
        ];
        for (n, (message, expected)) in ways.into_iter().enumerate() {
            let phone = format!("155501000{:02}", n + 1);
            assert_eq!(source(&app, &phone).await, None);
            said(&app, &phone, 1, message.clone()).await;
            assert_eq!(source(&app, &phone).await.as_deref(), Some(expected), "{message}");
            let evidence = crate::optouts::check(&app, &phone).await.unwrap().evidence_id;
            assert!(evidence.is_some());
        }
        preference(&app, "15550100011", "stop", 1).await;
        assert_eq!(source(&app, "15550100011").await.as_deref(), Some("user_preferences"));
        for (n, trap) in ["stop by the shop", "إلغاء الطلب", "baja de precio", "para mañana"].into_iter().enumerate() {
            let phone = format!("155501000{:02}", n + 12);
            said(&app, &phone, 1, text(trap)).await;
            assert_eq!(source(&app, &phone).await, None, "{trap}");
        }
    }

    async fn a_stop_reaches_as_far_as_its_way_is_set_to_and_its_proof_says_so(db: Database) {
        let (app, _) = running_campaign(db).await;
        let mona = Actor::cli("mona");
        crate::scopes::set_brand(&app, &mona, "1", Some("Nile")).await.unwrap();
        let scope = async |phone: &str| crate::optouts::check(&app, phone).await.unwrap().scope;
        said(&app, ONE, 1, text("stop")).await;
        assert_eq!(scope(ONE).await.as_deref(), Some("marketing"));
        crate::scopes::set(&app, &mona, "text", "brand").await.unwrap();
        said(&app, TWO, 1, text("stop")).await;
        assert_eq!(scope(TWO).await.as_deref(), Some("brand:Nile"));
        // A second stop may reach further than the first, and both stand with their evidence.
        crate::optouts::add_within(&app.app, &mona, TWO, "by letter", Some("all")).await.unwrap();
        let check = crate::optouts::check(&app, TWO).await.unwrap();
        assert_eq!(check.scope.as_deref(), Some("all"));
        let blocks: Vec<_> = check.blocks.iter().map(|block| (block.scope.as_str(), block.source.as_str())).collect();
        assert_eq!(blocks, [("all", "manual"), ("brand:Nile", "text")]);
        assert!(crate::optouts::add_within(&app.app, &mona, TWO, "x", Some("everything")).await.is_err());
        let proof = crate::proof::prove(&app, &mona, TWO).await.unwrap();
        let told: Vec<_> = proof.stops.iter().map(|stop| stop.scope.as_deref().unwrap()).collect();
        assert_eq!((told, proof.verdict.scopes), (vec!["brand:Nile", "all"], vec!["all".to_owned(), "brand:Nile".to_owned()]));
        let listed = crate::optouts::ls(&app, None, None, 10).await.unwrap();
        assert_eq!(listed.len(), 2, "a row for each person: {listed:?}");
        let mut sheet = Vec::new();
        assert_eq!(crate::optout_lists::export(&app, &mona, &mut sheet).await.unwrap(), 3, "a row for each scope");
        // Asking that number for messages again undoes the brand's stop; what somebody of ours recorded stays.
        said(&app, TWO, 5, text("START")).await;
        let check = crate::optouts::check(&app, TWO).await.unwrap();
        assert_eq!(check.blocks.len(), 1);
        assert_eq!(check.source.as_deref(), Some("manual"));
    }

    async fn doubtful_words_wait_for_a_person_who_confirms_or_dismisses(db: Database) {
        let (app, _) = running_campaign(db).await;
        said(&app, ONE, 1, text("cancel")).await;
        said(&app, TWO, 1, text("إلغاء")).await;
        said(&app, TWO, 1, text("إلغاء")).await;
        assert_eq!((source(&app, ONE).await, source(&app, TWO).await), (None, None));
        let open = ls(&app, None, 10).await.unwrap();
        assert_eq!(open.iter().map(|one| one.said.as_str()).collect::<Vec<_>>(), ["cancel", "إلغاء"]);
        assert_eq!(open[0].person.as_deref(), Some("+15550100001"));
        let mona = Actor::cli("mona");
        let confirmed = decide(&app.app, &mona, open[0].id, Ruling::Confirm, "they mean us").await.unwrap();
        assert_eq!(confirmed.decided.as_deref(), Some("confirmed"));
        decide(&app.app, &mona, open[1].id, Ruling::Dismiss, "an order").await.unwrap();
        assert_eq!(source(&app, ONE).await.as_deref(), Some("review"));
        assert_eq!(source(&app, TWO).await, None);
        assert!(ls(&app, None, 10).await.unwrap().is_empty());
        assert!(decide(&app.app, &mona, open[0].id, Ruling::Dismiss, "no").await.is_err());
        assert!(decide(&app.app, &mona, 99, Ruling::Dismiss, "no").await.is_err());
    }

    async fn a_message_that_no_database_can_hold_waits_for_a_person_and_stops_nobody_elses(db: Database) {
        let (app, _) = running_campaign(db).await;
        said(&app, ONE, 1, text("cancel\0")).await;
        said(&app, TWO, 1, text("cancel")).await;
        let open = ls(&app, None, 10).await.unwrap();
        assert_eq!(open.iter().map(|one| one.said.as_str()).collect::<Vec<_>>(), ["cancel\u{fffd}", "cancel"]);
        assert!(app.store.waiting_bodies(10, 1 << 20).await.unwrap().is_empty());
    }

    async fn only_the_person_lifts_and_only_what_they_stopped_themselves(db: Database) {
        let (app, _) = running_campaign(db).await;
        said(&app, ONE, 1, text("stop")).await;
        said(&app, ONE, 2, text("ok thanks")).await;
        assert!(source(&app, ONE).await.is_some(), "nothing is inferred");
        said(&app, ONE, 3, text("START")).await;
        assert_eq!(source(&app, ONE).await, None);
        // The first webhook once more, as Meta repeats what it is not sure of.
        said(&app, ONE, 1, text("stop")).await;
        assert_eq!(source(&app, ONE).await, None);
        said(&app, ONE, 4, text("stop")).await;
        preference(&app, ONE, "resume", 5).await;
        assert!(source(&app, ONE).await.is_some(), "WhatsApp's switch does not undo a word");
        preference(&app, TWO, "stop", 1).await;
        preference(&app, TWO, "resume", 2).await;
        assert_eq!(source(&app, TWO).await, None);
        crate::optouts::add(&app.app, &Actor::cli("mona"), TWO, "a letter").await.unwrap();
        said(&app, TWO, 600, text("اشتراك")).await;
        assert_eq!(source(&app, TWO).await.as_deref(), Some("manual"));
        let open = ls(&app, None, 10).await.unwrap();
        assert_eq!((open.len(), open[0].asks.as_str()), (1, "start"));
        assert!(decide(&app.app, &Actor::cli("mona"), open[0].id, Ruling::Confirm, "yes").await.is_err());
    }

    async fn a_block_follows_a_number_that_changes(db: Database) {
        let (app, _) = running_campaign(db).await;
        said(&app, ONE, 1, text("stop")).await;
        let change = json!({"type": "system", "system": {"type": "user_changed_number", "body": "changed", "wa_id": "15550109876"}});
        said(&app, ONE, 2, change).await;
        assert_eq!(source(&app, "15550109876").await.as_deref(), Some("text"));
        assert_eq!(source(&app, ONE).await.as_deref(), Some("text"));
    }
}
