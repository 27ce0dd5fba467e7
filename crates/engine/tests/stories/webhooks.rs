//! Webhooks that are odd, foreign or new must not hold up the others.

use std::time::Duration;

use crate::world::{APP_SECRET, NUMBER, PARAMS, World};
use engine::accounts::{self, NewAccount};
use engine::webhook::{self, Received};
use ring::hmac;
use secrecy::SecretString;
use serde_json::json;
use store::testing::Database;

fn signed(secret: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", hex::encode(hmac::sign(&key, body.as_bytes())))
}

fn status(waba: &str, wamid: &str, callback: Option<&str>) -> String {
    let mut status =
        json!({"id": wamid, "status": "delivered", "timestamp": "1790000000", "recipient_id": "201000000001"});
    if let Some(callback) = callback {
        status["biz_opaque_callback_data"] = callback.into();
    }
    json!({"object": "whatsapp_business_account", "entry": [{"id": waba, "changes": [{"field": "messages", "value": {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "1", "phone_number_id": NUMBER},
        "statuses": [status],
    }}]}]})
    .to_string()
}

async fn receive(world: &World, body: &str) -> Received {
    let signature = signed(APP_SECRET, body);
    webhook::receive(&world.app, body.as_bytes(), Some(&signature)).await.unwrap()
}

store::on_both_databases! {
    async fn a_body_that_cannot_be_applied_does_not_hold_up_those_behind_it(db: Database) {
        let mut world = World::new(db).await;
        world.rate(100, 0).await;
        world.people("all", 3, |_| true).await;
        let id = world.campaign("eid", "all", PARAMS).await;
        world.launch(id).await;
        world.start();
        world.settle(id).await;
        // PostgreSQL keeps no NUL in a text: nothing of this body can be written there.
        assert_eq!(receive(&world, &status("100200300400500", "wamid.\u{0}", None)).await, Received::Kept);
        let install = &world.app.install;
        for contact in 1..=3 {
            let callback = format!("hh1.{install}.{id}.{contact}.1");
            let body = status("100200300400500", &format!("wamid.{contact}"), Some(&callback));
            assert_eq!(receive(&world, &body).await, Received::Kept);
            assert_eq!(receive(&world, &body).await, Received::Duplicate);
        }
        world.until(id, |view| view.counts.delivered == 3).await;
        world.stop().await;
    }

    async fn a_new_accounts_webhooks_are_known_at_once_and_a_foreign_signature_never_is(db: Database) {
        let world = World::new(db).await;
        assert_eq!(receive(&world, &status("100200300400500", "wamid.a", None)).await, Received::Kept);
        let body = status("999", "wamid.b", None);
        let signature = signed("another-app-secret", &body);
        let receive = || webhook::receive(&world.app, body.as_bytes(), Some(&signature));
        assert_eq!(receive().await.unwrap(), Received::BadSignature);
        let secret = |text: &str| SecretString::from(text);
        let new = NewAccount {
            name: "second".into(),
            waba_id: "999".into(),
            portfolio: None,
            access_token: secret("t"),
            app_secret: secret("another-app-secret"),
            verify_token: secret("v"),
        };
        accounts::add(&world.app, new).await.unwrap();
        // What is known of secrets is a second old at the most when a body is refused.
        tokio::time::sleep(Duration::from_millis(1_050)).await;
        assert_eq!(receive().await.unwrap(), Received::Kept);
    }
}
