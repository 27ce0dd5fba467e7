//! What people write, read and answered through the API, by whoever may.

use axum::http::StatusCode;
use engine::intake;
use serde_json::{Value, json};
use store::SyncedNumber;

use super::access::Role;
use super::front::{Front, NUMBER, change, envelope};
use super::tests::{ask, bearer, get, post};

const MONA: &str = "201000000001";

/// A server whose account has the number that people write to.
async fn front() -> Front {
    let front = Front::new().await;
    let number = SyncedNumber {
        phone_number_id: NUMBER.into(),
        display: "+20 2 5550 0101".into(),
        verified_name: "Hoopoe".into(),
        quality: "GREEN".into(),
        throughput: "STANDARD".into(),
        messaging_limit: String::new(),
        status: "CONNECTED".into(),
        on_biz_app: false,
    };
    let account = front.api.app.store.accounts().await.unwrap()[0].id;
    front.api.app.store.sync_numbers(account, &[number], front.api.app.clock.now_ms()).await.unwrap();
    front
}

/// Somebody writes, so many seconds ago; and it is taken in.
async fn writes(front: &Front, id: &str, from: &str, text: &str, ago: i64) {
    let at = front.api.app.clock.now_ms() / 1_000 - ago;
    let said = json!({"id": format!("wamid.{id}"), "from": from, "timestamp": at.to_string(), "type": "text",
        "text": {"body": text}});
    assert_eq!(front.post(&envelope(&[change("messages", said)])).await, Some(200));
    while intake::tick(&front.api.app).await.unwrap() {}
}

fn reply(key: &str, to: &str) -> Value {
    json!({"key": key, "to": to, "number": NUMBER, "text": "At nine."})
}

#[tokio::test]
async fn what_people_write_is_read_in_pages_by_those_who_may_and_by_nobody_else() {
    let front = front().await;
    for n in 0..5 {
        writes(&front, &format!("in{n}"), MONA, &format!("question {n}"), 100 - n).await;
    }
    // Meta repeats itself.
    writes(&front, "in4", MONA, "question 4", 90).await;
    let local = &front.api.local;
    let first = ask(local, get("/api/v1/messages/inbound?limit=2")).await.body;
    assert_eq!(first["items"][0]["text"], "question 4");
    assert_eq!((&first["items"][0]["from"], &first["items"][0]["contact_id"]), (&json!("+201000000001"), &Value::Null));
    assert_eq!(first["items"][0]["window"]["open"], true);
    let next = first["next"].as_str().unwrap();
    let rest = ask(local, get(&format!("/api/v1/messages/inbound?after={next}&number={NUMBER}"))).await.body;
    let texts: Vec<&str> =
        rest["items"].as_array().unwrap().iter().map(|item| item["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["question 2", "question 1", "question 0"]);
    for path in ["/api/v1/messages/inbound?campaign=none", "/api/v1/messages/inbound?number=7"] {
        assert_eq!(ask(local, get(path)).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for role in Role::ALL {
        let key = front.api.key(role).await;
        let expected = match role {
            Role::Admin | Role::Compliance => StatusCode::OK,
            _ => StatusCode::FORBIDDEN,
        };
        let asked = [
            get("/api/v1/messages/inbound"),
            post("/api/v1/messages/window", &json!({"person": MONA})),
            post("/api/v1/messages/reply", &reply("one", "+201000000001")),
        ];
        for request in asked {
            let what = format!("{role:?} {}", request.uri());
            assert_eq!(ask(&front.api.network, bearer(request, &key)).await.status, expected, "{what}");
        }
    }
}

#[tokio::test]
async fn an_answer_outside_the_window_is_refused_with_when_it_closed_and_what_to_do() {
    let front = front().await;
    let local = &front.api.local;
    let answer = async |body: Value| ask(local, post("/api/v1/messages/reply", &body)).await;
    let refused = answer(reply("one", "+20 100 000 0001")).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    assert!(refused.body["detail"].as_str().unwrap().contains("has not written"), "{}", refused.body);
    writes(&front, "old", MONA, "hello?", 86_400 + 60).await;
    let refused = answer(reply("one", "+20 100 000 0001")).await;
    assert!(refused.body["detail"].as_str().unwrap().contains("ended at"), "{}", refused.body);
    assert_eq!(refused.body["kept"], "Nothing was sent.");
    assert!(refused.body["action"].as_str().unwrap().contains("/api/v1/messages"), "{}", refused.body);
    let windows = ask(local, post("/api/v1/messages/window", &json!({"person": "+201000000001"}))).await.body;
    assert_eq!((&windows["contact_id"], &windows["windows"][0]["open"]), (&Value::Null, &json!(false)), "{windows}");
    assert!(windows["windows"][0]["until"].is_string(), "{windows}");
    writes(&front, "new", MONA, "anybody?", 5).await;
    let planned = answer(reply("one", "+20 100 000 0001")).await;
    assert_eq!((planned.status, &planned.body["state"]), (StatusCode::OK, &json!("planned")), "{}", planned.body);
    let again = answer(reply("one", "+20 100 000 0001")).await;
    assert_eq!(again.body["id"], planned.body["id"]);
    let shown = ask(local, get("/api/v1/messages/one")).await;
    assert_eq!(shown.body["id"], planned.body["id"]);
    let stands = ask(local, get("/api/v1/messages/reply/one")).await;
    assert_eq!((&stands.body["id"], &stands.body["state"]), (&planned.body["id"], &planned.body["state"]));
    assert_eq!(ask(local, get("/api/v1/messages/reply/none")).await.status, StatusCode::NOT_FOUND);
    for (body, words) in [
        (json!({"key": "two", "to": "+201000000001", "number": NUMBER, "text": " "}), "it is empty"),
        (json!({"key": "two", "to": "+201000000001", "number": NUMBER, "text": "x".repeat(4097)}), "4097 characters"),
        (json!({"key": "two", "to": "nobody", "number": NUMBER, "text": "x"}), "neither a phone number"),
        (json!({"key": "reply", "to": "+201000000001", "number": NUMBER, "text": "x"}), "the word is taken"),
        (
            json!({"key": "two", "to": "+201000000001", "number": NUMBER, "text": "x", "answers": "wamid.other"}),
            "not one of this person's",
        ),
    ] {
        let refused = answer(body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
        assert!(refused.body["detail"].as_str().unwrap().contains(words), "{}", refused.body);
    }
    let quoting = json!({"key": "two", "to": "+201000000001", "number": NUMBER, "text": "x", "answers": "wamid.new"});
    assert_eq!(answer(quoting).await.status, StatusCode::OK);
}
