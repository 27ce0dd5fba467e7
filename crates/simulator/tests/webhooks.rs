//! Webhooks over a socket: what people do, and how the platform tells of it.

mod support;

use serde_json::{Value, json};
use simulator::{Act, Inbound, Release, Reply, Simulator, TemplateChange};
use support::{Caller, NUMBER, Receiver, begin, callback, egyptian, finish, offer, prompt, quiet, simulator, until};

/// A simulator that tells this receiver everything at once, with more settings on top.
async fn telling(receiver: &Receiver, patch: Value) -> (Simulator, Caller) {
    let sim = simulator(prompt(&receiver.url)).await;
    sim.patch(&patch).expect("valid settings");
    let caller = Caller::of(&sim);
    (sim, caller)
}

fn words(statuses: &[Value]) -> Vec<&str> {
    statuses.iter().map(|s| s["status"].as_str().expect("a status")).collect()
}

fn act(from: &str, act: Act) -> Inbound {
    Inbound { from: from.to_owned(), act, phone_number_id: None, context: true }
}

#[tokio::test]
async fn a_message_is_sent_delivered_and_read_and_each_status_echoes_the_callback_data() {
    let receiver = Receiver::start().await;
    let (sim, caller) = telling(&receiver, json!({"people": {"read_share": 1.0}})).await;
    let id =
        caller.send(&offer(&egyptian(1), &callback(1))).await.expect("an answer").json()["messages"][0]["id"].clone();
    quiet(&sim).await;
    let statuses = receiver.statuses();
    assert_eq!(words(&statuses), ["sent", "delivered", "read"]);
    for status in &statuses {
        assert_eq!(status["id"], id);
        assert_eq!(status["biz_opaque_callback_data"], callback(1));
        assert_eq!(status["recipient_id"], "201000000001");
    }
    assert_eq!(sim.report().by_status["read"], 1);
    assert_eq!(sim.messages(0, 1)[0].status.as_deref(), Some("read"));
    sim.stop().await;
}

#[tokio::test]
async fn what_is_not_answered_with_200_comes_again_unchanged() {
    let receiver = Receiver::start().await;
    receiver.refuse(2);
    let (sim, caller) = telling(&receiver, json!({"people": {"delivered_share": 0.0}})).await;
    caller.send(&offer(&egyptian(1), &callback(1))).await.expect("an answer");
    quiet(&sim).await;
    let refused = receiver.refused();
    assert_eq!(refused.len(), 2);
    assert_eq!(receiver.bodies(), [refused[0].clone()]);
    assert_eq!(refused[0], refused[1]);
    let webhooks = sim.report().webhooks;
    assert_eq!((webhooks.failed, webhooks.bodies, webhooks.delivered), (2, 1, 1));
    sim.stop().await;
}

#[tokio::test]
async fn an_opt_out_counts_from_its_acknowledgement_on() {
    let receiver = Receiver::start().await;
    let (sim, caller) = telling(&receiver, json!({"webhook": {"retry_ms": 400, "retry_max_ms": 400}})).await;
    caller.send(&offer(&egyptian(1), &callback(1))).await.expect("an answer");
    quiet(&sim).await;
    receiver.refuse(1);
    let receipt = sim.inbound(&act(&egyptian(1), Act::Tap { button: None })).expect("a tap");
    assert!(receipt.opt_out);
    until("the first try was refused", || receiver.refused().len() == 1).await;
    caller.send(&offer(&egyptian(1), "hh1.abcdefgh.13.1.1")).await.expect("an answer");
    assert_eq!(sim.report().opt_outs_acknowledged, 0);
    assert_eq!(sim.report().after_opt_out, 0, "nobody had confirmed the opt-out yet");
    quiet(&sim).await;
    assert_eq!(sim.report().opt_outs_acknowledged, 1);
    caller.send(&offer(&egyptian(1), "hh1.abcdefgh.14.1.1")).await.expect("an answer");
    caller.send(&offer(&egyptian(2), "hh1.abcdefgh.14.2.1")).await.expect("an answer");
    let report = sim.report();
    assert_eq!((report.after_opt_out, report.after_opt_out_rows[0].seq), (1, 3));
    let tap = &receiver.messages()[0];
    assert_eq!(tap["button"]["payload"], "HH1:c12:b1:OPTOUT", "a tap echoes what the message carried");
    assert_eq!(tap["button"]["text"], "Stop promotions");
    assert_eq!(tap["context"]["id"].as_str(), sim.messages(0, 1)[0].wamid.as_deref());
    assert_eq!(tap["id"].as_str(), receipt.id.as_deref());
    sim.stop().await;
}

#[tokio::test]
async fn a_message_that_had_begun_before_the_acknowledgement_is_no_breach() {
    let receiver = Receiver::start().await;
    let (sim, caller) = telling(&receiver, json!({})).await;
    let body = offer(&egyptian(1), &callback(1)).to_string();
    let mut slow = begin(&sim, &body).await;
    sim.inbound(&act(&egyptian(1), Act::Stop)).expect("a stop");
    until("the stop is acknowledged", || sim.report().opt_outs_acknowledged == 1).await;
    finish(&mut slow, &body).await;
    until("the message is taken in", || sim.report().accepted == 1).await;
    assert_eq!(sim.report().after_opt_out, 0);
    sim.update(|settings| settings.opt_out_grace_ms = 60_000).expect("valid");
    caller.send(&offer(&egyptian(1), &callback(1))).await.expect("an answer");
    assert_eq!(sim.report().after_opt_out, 0, "within the grace");
    sim.update(|settings| settings.opt_out_grace_ms = 0).expect("valid");
    caller.send(&offer(&egyptian(1), &callback(1))).await.expect("an answer");
    assert_eq!(sim.report().after_opt_out, 1);
    sim.stop().await;
}

#[tokio::test]
async fn people_do_what_their_fate_says() {
    let receiver = Receiver::start().await;
    let people = json!({"opt_out_tap_share": 0.2, "other_tap_share": 0.2, "stop_text_share": 0.2,
        "native_stop_share": 0.1, "tap_without_context_share": 0.5, "delivered_share": 0.9});
    let (sim, caller) = telling(&receiver, json!({"people": people, "default_rate": 0})).await;
    let (mut taps, mut texts, mut switches) = (0, 0, 0);
    for n in 0..200 {
        match sim.fate(&egyptian(n), "eid_offer", "en").expect("known").reply {
            Some(Reply::OptOutTap(_) | Reply::OtherTap(_)) => taps += 1,
            Some(Reply::StopText(_)) => texts += 1,
            Some(Reply::NativeStop) => switches += 1,
            None => {}
        }
        caller.send(&offer(&egyptian(n), &callback(n))).await.expect("an answer");
    }
    quiet(&sim).await;
    let messages = receiver.messages();
    let of = |kind: &str| messages.iter().filter(|m| m["type"] == kind).collect::<Vec<_>>();
    assert_eq!((of("button").len(), of("text").len()), (taps, texts));
    assert_eq!(receiver.changes().iter().filter(|c| c["field"] == "user_preferences").count(), switches);
    assert!(of("button").iter().any(|m| m.get("context").is_none()), "some taps come without context");
    assert!(of("button").iter().any(|m| m.get("context").is_some()));
    let arabic = sim.settings().people.stop_texts["ar"].clone();
    assert!(of("text").iter().all(|m| arabic.iter().any(|word| m["text"]["body"] == **word)));
    let report = sim.report();
    assert_eq!(report.opt_outs_sent, report.opt_outs_acknowledged);
    assert!(receiver.bodies().len() < receiver.changes().len(), "changes share bodies");
    let longest =
        receiver.bodies().iter().map(|body| String::from_utf8_lossy(body).matches("\"status\":").count()).max();
    assert!(longest <= Some(10), "{longest:?}");
    sim.stop().await;
}

#[tokio::test]
async fn who_hides_the_number_appears_by_user_id_only() {
    let receiver = Receiver::start().await;
    let people = json!({"username_share": 1.0, "opt_out_tap_share": 1.0, "delivered_share": 1.0});
    let (sim, caller) = telling(&receiver, json!({"people": people})).await;
    caller.send(&offer(&egyptian(1), &callback(1))).await.expect("an answer");
    quiet(&sim).await;
    let user = sim.messages(0, 1)[0].user_id.clone().expect("everybody has one");
    for status in receiver.statuses() {
        assert!(status.get("recipient_id").is_none());
        assert_eq!(status["recipient_user_id"], user);
    }
    let tap = &receiver.messages()[0];
    assert!(tap.get("from").is_none());
    assert_eq!(tap["from_user_id"], user);
    assert!(receiver.changes().iter().all(|c| c["value"]["contacts"][0].get("wa_id").is_none()));
    sim.stop().await;
}

#[tokio::test]
async fn statuses_can_come_doubled_and_in_reverse() {
    let receiver = Receiver::start().await;
    let (sim, caller) = telling(
        &receiver,
        json!({"people": {"read_share": 1.0}, "webhook": {"duplicate_share": 1.0, "reorder_share": 1.0,
            "batch": 1, "concurrency": 1, "linger_ms": 0,
            "sent_ms": {"min": 20, "max": 20}, "delivered_ms": {"min": 20, "max": 20}, "read_ms": {"min": 20, "max": 20},
            "duplicate_ms": {"min": 0, "max": 0}}}),
    )
    .await;
    caller.send(&offer(&egyptian(1), &callback(1))).await.expect("an answer");
    quiet(&sim).await;
    let statuses = receiver.statuses();
    assert_eq!(words(&statuses), ["read", "read", "delivered", "delivered", "sent", "sent"]);
    assert_eq!(statuses[0], statuses[1]);
    sim.stop().await;
}

#[tokio::test]
async fn some_webhooks_never_come_but_the_books_know() {
    let receiver = Receiver::start().await;
    let (sim, caller) =
        telling(&receiver, json!({"people": {"read_share": 1.0}, "webhook": {"drop_share": 1.0}})).await;
    caller.send(&offer(&egyptian(1), &callback(1))).await.expect("an answer");
    quiet(&sim).await;
    assert_eq!(receiver.statuses().len(), 0);
    let report = sim.report();
    assert_eq!((report.by_status["read"], report.webhooks.dropped), (1, 3));
    sim.stop().await;
}

#[tokio::test]
async fn held_messages_wait_for_their_release() {
    let receiver = Receiver::start().await;
    let (sim, caller) = telling(&receiver, json!({"held_share": 1.0, "people": {"delivered_share": 0.0}})).await;
    let answer = caller.send(&offer(&egyptian(1), &callback(1))).await.expect("an answer").json();
    assert_eq!(answer["messages"][0]["message_status"], "held_for_quality_assessment");
    assert_eq!(sim.report().by_status["held"], 1);
    assert_eq!(sim.release(Release::Sent), 1);
    quiet(&sim).await;
    assert_eq!(words(&receiver.statuses()), ["sent"]);
    caller.send(&offer(&egyptian(2), &callback(2))).await.expect("an answer");
    assert_eq!(sim.release(Release::Failed), 1);
    quiet(&sim).await;
    let statuses = receiver.statuses();
    assert_eq!(statuses[1]["status"], "failed");
    assert_eq!(statuses[1]["errors"][0]["code"], 132_015);
    assert_eq!(sim.release(Release::Sent), 0);
    sim.stop().await;
}

#[tokio::test]
async fn failures_come_by_webhook_as_often_as_the_setting_says() {
    let receiver = Receiver::start().await;
    let failed = json!([{"code": 131_049, "share": 1.0, "times": 1}]);
    let (sim, caller) = telling(&receiver, json!({"people": {"failed": failed, "delivered_share": 0.0}})).await;
    for attempt in 1..=2 {
        caller.send(&offer(&egyptian(1), &format!("hh1.abcdefgh.12.1.{attempt}"))).await.expect("an answer");
        quiet(&sim).await;
    }
    assert_eq!(words(&receiver.statuses()), ["failed", "sent"]);
    let report = sim.report();
    assert_eq!(report.failed_by_code[&131_049], 1);
    assert_eq!(report.duplicates, 1, "a second attempt is a second accepted message");
    sim.stop().await;
}

#[tokio::test]
async fn who_stopped_marketing_on_the_phone_gets_131050_until_resuming() {
    let receiver = Receiver::start().await;
    let (sim, caller) = telling(&receiver, json!({"people": {"delivered_share": 0.0}})).await;
    sim.inbound(&act(&egyptian(1), Act::NativeStop)).expect("a stop");
    quiet(&sim).await;
    assert_eq!(receiver.changes()[0]["value"]["user_preferences"][0]["value"], "stop");
    caller.send(&offer(&egyptian(1), &callback(1))).await.expect("an answer");
    quiet(&sim).await;
    assert_eq!(receiver.statuses()[0]["errors"][0]["code"], 131_050);
    assert_eq!(sim.report().after_opt_out, 1);
    sim.inbound(&act(&egyptian(1), Act::NativeResume)).expect("a resume");
    quiet(&sim).await;
    caller.send(&offer(&egyptian(1), &callback(2))).await.expect("an answer");
    quiet(&sim).await;
    assert_eq!(receiver.statuses()[1]["status"], "sent");
    assert_eq!(sim.report().after_opt_out, 1);
    sim.stop().await;
}

#[tokio::test]
async fn a_paused_template_is_told_and_refused() {
    let receiver = Receiver::start().await;
    let (sim, caller) = telling(&receiver, json!({})).await;
    let change = TemplateChange {
        name: "eid_offer".into(),
        language: "en".into(),
        status: "PAUSED".into(),
        reason: "NONE".into(),
    };
    sim.change_template(&change).expect("a known template");
    quiet(&sim).await;
    let told = &receiver.changes()[0];
    assert_eq!(told["field"], "message_template_status_update");
    assert_eq!(told["value"]["event"], "PAUSED");
    assert_eq!(caller.send(&offer(&egyptian(1), "")).await.expect("an answer").code(), 132_015);
    sim.stop().await;
}

#[tokio::test]
async fn the_handshake_wants_the_challenge_back() {
    let receiver = Receiver::start().await;
    let (sim, _) = telling(&receiver, json!({})).await;
    sim.handshake("open sesame").await.expect("the receiver knows this token");
    let error = sim.handshake("guess").await.expect_err("the receiver does not know this one");
    assert!(error.to_string().contains("challenge"), "{error}");
    sim.stop().await;
}

#[tokio::test]
async fn webhooks_on_hold_wait_and_survive_the_receivers_absence() {
    let receiver = Receiver::start().await;
    let (sim, caller) =
        telling(&receiver, json!({"webhook": {"hold": true}, "people": {"delivered_share": 0.0}})).await;
    caller.send(&offer(&egyptian(1), &callback(1))).await.expect("an answer");
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    assert_eq!(receiver.bodies().len(), 0);
    assert_eq!(sim.report().webhooks.pending, 1);
    sim.patch(&json!({"webhook": {"hold": false, "url": "http://127.0.0.1:1/nobody"}})).expect("valid");
    until("posts to nobody fail", || sim.report().webhooks.failed > 0).await;
    sim.patch(&json!({"webhook": {"url": receiver.url}})).expect("valid");
    quiet(&sim).await;
    assert_eq!(words(&receiver.statuses()), ["sent"]);
    sim.stop().await;
}

#[tokio::test]
async fn a_person_acting_by_hand_must_exist_and_have_something_to_tap() {
    let receiver = Receiver::start().await;
    let (sim, caller) = telling(&receiver, json!({})).await;
    assert!(sim.inbound(&act(&egyptian(1), Act::Tap { button: None })).is_err(), "got no message yet");
    assert!(sim.inbound(&act("nobody", Act::Stop)).is_err());
    caller.send(&offer(&egyptian(1), &callback(1))).await.expect("an answer");
    assert!(sim.inbound(&act(&egyptian(1), Act::Tap { button: Some(7) })).is_err());
    let body = json!({"from": egyptian(1), "act": "tap", "button": 0, "phone_number_id": NUMBER, "context": false});
    let receipt = caller.control(http::Method::POST, "inbound", body).await.json();
    assert_eq!(receipt["opt_out"], false, "{receipt}");
    sim.inbound(&act(&egyptian(1), Act::Text { text: "¿hola?".into(), opt_out: false })).expect("a text");
    quiet(&sim).await;
    let messages = receiver.messages();
    let tap = messages.iter().find(|m| m["type"] == "button").expect("the tap");
    assert_eq!(tap["button"]["payload"], "HH1:c12:b0:REPLY");
    assert!(tap.get("context").is_none());
    assert!(messages.iter().any(|m| m["text"]["body"] == "¿hola?"));
    sim.stop().await;
}

#[tokio::test]
async fn free_text_is_taken_for_as_long_as_the_window_of_whoever_wrote_is_open() {
    let receiver = Receiver::start().await;
    let (sim, caller) = telling(&receiver, json!({"service_window_ms": 700})).await;
    let text = |to: &str, n: u64| {
        json!({"messaging_product": "whatsapp", "to": to, "type": "text", "context": {"message_id": "wamid.X"},
               "biz_opaque_callback_data": callback(n), "text": {"body": "At nine.", "preview_url": false}})
    };
    assert_eq!(caller.send(&text(&egyptian(1), 1)).await.expect("an answer").code(), 131_047, "they never wrote");
    sim.inbound(&act(&egyptian(1), Act::Text { text: "When do you open?".into(), opt_out: false })).expect("a text");
    let taken = caller.send(&text(&egyptian(1), 2)).await.expect("an answer");
    assert_eq!(taken.status.as_u16(), 200, "{}", taken.text);
    assert_eq!(caller.send(&text(&egyptian(2), 3)).await.expect("an answer").code(), 131_047, "somebody else wrote");
    sim.inbound(&act(&egyptian(2), Act::NativeStop)).expect("a preference");
    assert_eq!(caller.send(&text(&egyptian(2), 4)).await.expect("an answer").code(), 131_047, "a switch is no message");
    quiet(&sim).await;
    let statuses = receiver.statuses();
    assert_eq!(statuses[0]["pricing"]["category"], "service", "{statuses:?}");
    tokio::time::sleep(std::time::Duration::from_millis(750)).await;
    assert_eq!(caller.send(&text(&egyptian(1), 5)).await.expect("an answer").code(), 131_047, "the window has closed");
    sim.inbound(&act(&egyptian(1), Act::Stop)).expect("a stop");
    quiet(&sim).await;
    assert_eq!(caller.send(&text(&egyptian(1), 6)).await.expect("an answer").status.as_u16(), 200);
    let report = sim.report();
    assert_eq!((report.after_opt_out, report.texts_after_opt_out), (0, 1));
    sim.stop().await;
}
