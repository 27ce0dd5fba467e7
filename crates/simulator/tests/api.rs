//! The Graph API over a socket: answers, limits, faults, outages.

mod support;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::{Caller, NUMBER, WABA, begin, callback, egyptian, finish, offer, simulator, until};

#[tokio::test]
async fn a_sound_message_is_accepted_in_metas_shape_and_written_down() {
    let sim = simulator(json!({})).await;
    let caller = Caller::of(&sim);
    let answer = caller.send(&offer("+20 (100) 000-0001", &callback(1))).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::OK);
    let body = answer.json();
    assert_eq!(body["messaging_product"], "whatsapp");
    assert_eq!(body["contacts"], json!([{"input": "+20 (100) 000-0001", "wa_id": "201000000001"}]));
    assert_eq!(body["messages"][0]["message_status"], "accepted");
    let rows = sim.messages(0, 10);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].outcome, "accepted");
    assert_eq!(rows[0].to.as_deref(), Some("+201000000001"));
    assert_eq!(rows[0].callback, callback(1));
    assert_eq!((rows[0].template.as_str(), rows[0].language.as_str()), ("eid_offer", "en"));
    assert_eq!(rows[0].wamid.as_deref(), body["messages"][0]["id"].as_str());
    let report = sim.report();
    assert_eq!((report.requests, report.accepted, report.duplicates), (1, 1, 0));
    assert_eq!(report.accepted_by_campaign["hh1.abcdefgh.12."], 1);
    sim.stop().await;
}

fn text_to(to: &str, body: &str) -> Value {
    json!({"messaging_product": "whatsapp", "recipient_type": "individual", "to": to, "type": "text",
           "biz_opaque_callback_data": callback(9), "text": {"body": body, "preview_url": false}})
}

#[tokio::test]
async fn each_mistake_has_its_code_and_status() {
    let sim = simulator(json!({})).await;
    let caller = Caller::of(&sim);
    let good = offer(&egyptian(1), &callback(1));
    let changed = |pointer: &str, value: Value| {
        let mut message = good.clone();
        *message.pointer_mut(pointer).expect("a field of the message") = value;
        message
    };
    let text = "/template/components/0/parameters/0/text";
    let cases = [
        (changed("/template/name", json!("nobody_wrote_this")), 132_001, 404),
        (changed("/template/language/code", json!("en_US")), 132_001, 404),
        (changed("/template/name", json!("winter_preview")), 132_001, 404),
        (changed("/template/name", json!("flash_deal")), 132_015, 400),
        (changed("/template/components/0/parameters", json!([])), 132_000, 400),
        (changed(text, json!("")), 131_008, 400),
        (changed(text, json!("a\nb")), 132_018, 400),
        (changed("/to", json!("not a number")), 131_009, 400),
        (changed("/to", json!(null)), 100, 400),
        (changed("/to", json!("+20 2 5550 0101")), 131_021, 400),
        (changed("/messaging_product", json!("sms")), 100, 400),
        (changed("/template/language", json!(null)), 131_008, 400),
        (changed("/template/components", json!([{"type": "body", "oops": 1}])), 100, 400),
        (changed("/type", json!("text")), 131_008, 400),
        (text_to(&egyptian(1), "Hello"), 131_047, 400),
        (text_to(&egyptian(1), &"x".repeat(4097)), 100, 400),
        (changed("/type", json!("sticker")), 131_051, 400),
        (json!("not an object"), 100, 400),
        (changed("/biz_opaque_callback_data", json!("x".repeat(513))), 100, 400),
    ];
    let count = cases.len();
    for (message, code, status) in cases {
        let answer = caller.send(&message).await.expect("an answer");
        assert_eq!((answer.code(), answer.status.as_u16()), (code, status), "{message}\n{}", answer.text);
    }
    let wrong = caller.send_as(Some("stolen"), NUMBER, &good).await.expect("an answer");
    assert_eq!((wrong.code(), wrong.status.as_u16()), (190, 401));
    let absent = caller.send_as(None, NUMBER, &good).await.expect("an answer");
    assert_eq!((absent.code(), absent.status.as_u16()), (104, 401));
    let elsewhere = caller.send_as(Some("simulated-access-token"), "999", &good).await.expect("an answer");
    assert_eq!((elsewhere.code(), elsewhere.json()["error"]["error_subcode"].as_i64()), (100, Some(33)));
    let report = sim.report();
    assert_eq!(report.accepted, 0);
    assert_eq!(report.refused_by_code.values().sum::<u64>(), count as u64 + 3);
    assert_eq!(report.refused_by_code[&132_001], 3);
    sim.stop().await;
}

#[tokio::test]
async fn a_number_without_plus_reaches_a_stranger() {
    let sim = simulator(json!({})).await;
    let caller = Caller::of(&sim);
    let answer = caller.send(&offer("201000000001", &callback(1))).await.expect("an answer");
    assert_eq!(answer.json()["contacts"][0]["wa_id"], "20201000000001");
    assert_eq!(sim.report().strangers, 1);
    sim.stop().await;
}

#[tokio::test]
async fn national_variants_are_one_person_and_so_a_duplicate() {
    let sim = simulator(json!({})).await;
    let caller = Caller::of(&sim);
    for to in ["+525500000001", "+5215500000001"] {
        let answer = caller.send(&offer(to, &callback(1))).await.expect("an answer");
        assert_eq!(answer.json()["contacts"][0]["wa_id"], "5215500000001");
    }
    caller.send(&offer("+525500000001", "hh1.abcdefgh.13.1.1")).await.expect("an answer");
    let report = sim.report();
    assert_eq!((report.accepted, report.distinct_recipients, report.duplicates), (3, 1, 1));
    sim.stop().await;
}

#[tokio::test]
async fn a_person_can_be_addressed_by_user_id() {
    let sim = simulator(json!({})).await;
    let caller = Caller::of(&sim);
    caller.send(&offer(&egyptian(1), &callback(1))).await.expect("an answer");
    let user = sim.messages(0, 1)[0].user_id.clone().expect("everybody has a user id");
    assert!(user.starts_with("EG."), "{user}");
    let mut message = offer("", "hh1.abcdefgh.13.1.1");
    let object = message.as_object_mut().expect("an object");
    object.remove("to");
    object.insert("recipient".into(), json!(user));
    let body = caller.send(&message).await.expect("an answer").json();
    assert_eq!(body["contacts"], json!([{"input": user, "user_id": user}]));
    let rows = sim.messages(1, 1);
    assert_eq!(rows[0].wa_id.as_deref(), Some("201000000001"));
    assert_eq!(rows[0].to, None);
    sim.stop().await;
}

#[tokio::test]
async fn the_rate_holds_in_a_sliding_second_and_refused_arrivals_are_reported() {
    let sim = simulator(json!({"rates": {NUMBER: 5}})).await;
    let caller = Caller::of(&sim);
    let began = Instant::now();
    for n in 0..5 {
        assert_eq!(caller.send(&offer(&egyptian(n), "")).await.expect("an answer").status, StatusCode::OK);
    }
    let over = caller.send(&offer(&egyptian(5), "")).await.expect("an answer");
    assert!(began.elapsed() < Duration::from_secs(1), "the machine is too slow for this test");
    assert_eq!((over.code(), over.status.as_u16()), (130_429, 429));
    let other = caller.send_as(Some("simulated-access-token"), "200100000000002", &offer(&egyptian(6), "")).await;
    assert_eq!(other.expect("an answer").status, StatusCode::OK, "another number has its own rate");
    tokio::time::sleep(Duration::from_millis(1010)).await;
    assert_eq!(caller.send(&offer(&egyptian(5), "")).await.expect("an answer").status, StatusCode::OK);
    let report = sim.report();
    assert_eq!(report.max_in_sliding_second[NUMBER], 6);
    assert_eq!(report.refused_by_code[&130_429], 1);
    sim.update(|settings| {
        settings.rates.insert(NUMBER.into(), 0);
    })
    .expect("valid");
    for n in 10..110 {
        assert_eq!(caller.send(&offer(&egyptian(n), "")).await.expect("an answer").status, StatusCode::OK);
    }
    sim.stop().await;
}

#[tokio::test]
async fn one_person_cannot_be_flooded() {
    let sim = simulator(json!({"pair_rate": {"burst": 2}})).await;
    let caller = Caller::of(&sim);
    for _ in 0..2 {
        assert_eq!(caller.send(&offer(&egyptian(1), "")).await.expect("an answer").status, StatusCode::OK);
    }
    assert_eq!(caller.send(&offer(&egyptian(1), "")).await.expect("an answer").code(), 131_056);
    sim.patch(&json!({"pair_rate": {"enabled": false}})).expect("valid");
    assert_eq!(caller.send(&offer(&egyptian(1), "")).await.expect("an answer").status, StatusCode::OK);
    sim.stop().await;
}

#[tokio::test]
async fn templates_come_in_pages_with_absolute_links() {
    let sim = simulator(json!({})).await;
    let caller = Caller::of(&sim);
    let mut next = Some(format!("/v26.0/{WABA}/message_templates?fields=id,name,language,status&limit=100"));
    let mut names = Vec::new();
    let mut pages = 0;
    while let Some(path) = next {
        let page = caller.get(&path).await.json();
        for template in page["data"].as_array().expect("data") {
            names.push(format!("{}/{}", template["name"], template["language"]));
            assert!(template.get("components").is_none(), "only the fields that were asked for");
        }
        next = page["paging"]["next"].as_str().map(str::to_owned);
        pages += 1;
    }
    let expected = sim.settings().accounts[0].templates.len();
    names.sort();
    names.dedup();
    assert_eq!((names.len(), pages), (expected, 3));
    let bad = caller.get(&format!("/v26.0/{WABA}/message_templates?after=zzz")).await;
    assert_eq!(bad.code(), 100);
    let whole = caller.get(&format!("/v26.0/{WABA}/message_templates")).await.json();
    assert!(whole["data"][0]["components"].is_array());
    sim.stop().await;
}

#[tokio::test]
async fn business_numbers_are_listed_and_apps_subscribed() {
    let sim = simulator(json!({"rates": {NUMBER: 1000}})).await;
    let caller = Caller::of(&sim);
    let fields = "id,display_phone_number,throughput,status";
    let numbers = caller.get(&format!("/v26.0/{WABA}/phone_numbers?fields={fields}")).await.json();
    assert_eq!(numbers["data"].as_array().expect("data").len(), 3);
    assert_eq!(numbers["data"][0]["throughput"]["level"], "HIGH");
    assert_eq!(numbers["data"][1]["throughput"]["level"], "STANDARD");
    assert_eq!(caller.get(&format!("/v26.0/{NUMBER}")).await.json()["id"], NUMBER);
    let url = format!("{}/v26.0/{WABA}/subscribed_apps", sim.base_url());
    let answer = caller.request(Method::POST, &url, Some("simulated-access-token"), String::new()).await;
    assert_eq!(answer.expect("an answer").json(), json!({"success": true}));
    assert_eq!(caller.get("/v26.0/123/phone_numbers").await.code(), 100);
    sim.stop().await;
}

#[tokio::test]
async fn messages_whose_answer_is_lost_are_taken_in() {
    for (fault, outcome) in
        [("lost_response_share", "lost"), ("truncated_response_share", "lost"), ("unanswered_share", "lost")]
    {
        let sim = simulator(json!({"faults": {fault: 1.0}})).await;
        let caller = Caller::of(&sim);
        assert!(caller.send(&offer(&egyptian(1), &callback(1))).await.is_none(), "{fault}");
        assert_eq!(sim.messages(0, 1)[0].outcome, outcome);
        let report = sim.report();
        assert_eq!((report.accepted, report.lost_responses), (1, 1));
        sim.stop().await;
    }
}

#[tokio::test]
async fn messages_that_are_turned_away_are_not_taken_in() {
    let sim = simulator(json!({"faults": {"dropped_request_share": 1.0}})).await;
    let caller = Caller::of(&sim);
    assert!(caller.send(&offer(&egyptian(1), "")).await.is_none());
    sim.patch(&json!({"faults": {"dropped_request_share": 0.0, "redirect_share": 1.0}})).expect("valid");
    let redirect = caller.send(&offer(&egyptian(1), "")).await.expect("an answer");
    assert_eq!(redirect.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(redirect.location, Some(format!("{}/v26.0/{NUMBER}/messages", sim.base_url())));
    sim.patch(&json!({"faults": {"redirect_share": 0.0, "bad_gateway_share": 1.0}})).expect("valid");
    let gateway = caller.send(&offer(&egyptian(1), "")).await.expect("an answer");
    assert_eq!(gateway.status, StatusCode::BAD_GATEWAY);
    assert!(gateway.text.starts_with("<!DOCTYPE html>"));
    let outcomes: Vec<_> = sim.messages(0, 9).into_iter().map(|row| row.outcome).collect();
    assert_eq!(outcomes, ["dropped", "redirected", "bad-gateway"]);
    let report = sim.report();
    assert_eq!((report.accepted, report.turned_away), (0, 3));
    sim.stop().await;
}

#[tokio::test]
async fn an_error_is_met_as_often_as_the_setting_says() {
    let sim = simulator(json!({"errors": [{"code": 131_000, "share": 1.0, "times": 2}]})).await;
    let caller = Caller::of(&sim);
    for _ in 0..2 {
        let answer = caller.send(&offer(&egyptian(1), "")).await.expect("an answer");
        assert_eq!((answer.code(), answer.status.as_u16()), (131_000, 500));
    }
    assert_eq!(caller.send(&offer(&egyptian(1), "")).await.expect("an answer").status, StatusCode::OK);
    assert_eq!(sim.fate(&egyptian(1), "eid_offer", "en").expect("known").refused_with, Some(131_000));
    sim.stop().await;
}

#[tokio::test]
async fn an_outage_can_refuse_hang_or_answer_503_and_ends_on_the_same_port() {
    let sim = simulator(json!({})).await;
    let caller = Caller::of(&sim);
    let message = offer(&egyptian(1), "");
    assert!(caller.send(&message).await.is_some());

    let set = |mode: &'static str| caller.control(Method::PUT, "settings", json!({"outage": mode}));
    set("refused").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(caller.send(&message).await.is_none(), "the kept connection was cut and a new one is refused");
    let plain = tokio::net::TcpStream::connect(sim.addr()).await;
    assert_eq!(plain.expect_err("must be refused").kind(), std::io::ErrorKind::ConnectionRefused);

    set("503").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let answer = caller.send(&message).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text.contains("<html"));

    set("hanging").await;
    assert!(caller.send(&message).await.is_none());

    set("none").await;
    assert_eq!(sim.report().accepted, 1, "nothing was taken in during the outage");
    assert_eq!(caller.send(&message).await.expect("an answer").status, StatusCode::OK);
    sim.stop().await;
}

#[tokio::test]
async fn jitter_comes_before_arrival_and_latency_after_it() {
    let sim = simulator(json!({"jitter_ms": {"min": 60, "max": 60}})).await;
    let caller = Caller::of(&sim);
    caller.send(&offer(&egyptian(1), "")).await.expect("an answer");
    sim.patch(&json!({"jitter_ms": {"min": 0, "max": 0}, "latency_ms": {"min": 200, "max": 200}})).expect("valid");
    let began = Instant::now();
    caller.send(&offer(&egyptian(2), "")).await.expect("an answer");
    assert!(began.elapsed() >= Duration::from_millis(200));
    caller.send(&offer(&egyptian(3), "")).await.expect("an answer");
    let at: Vec<i64> = sim.messages(0, 3).iter().map(|row| row.at_us).collect();
    assert!(at[2] - at[1] >= 200_000, "the third was sent after the second's answer");
    assert!(at[1] - at[0] < 200_000, "latency does not move the arrival");
    sim.stop().await;
}

#[tokio::test]
async fn what_was_read_arrives_even_if_its_caller_is_gone() {
    let sim = simulator(json!({"jitter_ms": {"min": 100, "max": 100}})).await;
    let body = offer(&egyptian(1), "").to_string();
    let mut stream = begin(&sim, &body).await;
    finish(&mut stream, &body).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    drop(stream);
    until("the message is taken in", || sim.report().accepted == 1).await;
    sim.stop().await;
}

#[tokio::test]
async fn a_message_arrives_when_its_body_has_been_read() {
    let sim = simulator(json!({})).await;
    let caller = Caller::of(&sim);
    let body = offer(&egyptian(1), "").to_string();
    let mut slow = begin(&sim, &body).await;
    caller.send(&offer(&egyptian(2), "")).await.expect("an answer");
    tokio::time::sleep(Duration::from_millis(50)).await;
    finish(&mut slow, &body).await;
    until("both are taken in", || sim.report().accepted == 2).await;
    let rows = sim.messages(0, 2);
    assert_eq!(rows[0].to.as_deref(), Some("+201000000002"));
    assert!(rows[1].at_us - rows[0].at_us >= 50_000);
    sim.stop().await;
}

#[tokio::test]
async fn a_token_opens_its_own_account_only() {
    let sim = simulator(json!({})).await;
    sim.update(|settings| {
        let mut other = settings.accounts[0].clone();
        other.waba_id = "100200300400501".into();
        other.access_token = "another-token".into();
        other.numbers.truncate(1);
        other.numbers[0].id = "200100000000009".into();
        settings.accounts.push(other);
    })
    .expect("valid");
    let caller = Caller::of(&sim);
    let message = offer(&egyptian(1), "");
    let across = caller.send_as(Some("another-token"), NUMBER, &message).await.expect("an answer");
    assert_eq!((across.code(), across.json()["error"]["error_subcode"].as_i64()), (100, Some(33)));
    let own = caller.send_as(Some("another-token"), "200100000000009", &message).await.expect("an answer");
    assert_eq!(own.status, StatusCode::OK);
    assert_eq!(caller.get("/v26.0/100200300400501/message_templates").await.code(), 100);
    sim.stop().await;
}

#[tokio::test]
async fn the_control_api_refuses_what_it_does_not_understand() {
    let sim = simulator(json!({})).await;
    let caller = Caller::of(&sim);
    let bad = caller.control(Method::PUT, "settings", json!({"latency": 5})).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert!(bad.json()["error"].as_str().expect("a reason").contains("latency"));
    let moved = caller.control(Method::PUT, "settings", json!({"listen": "127.0.0.1:9"})).await;
    assert_eq!(moved.status, StatusCode::BAD_REQUEST);
    assert_eq!(caller.control(Method::GET, "nothing", Value::Null).await.status, StatusCode::NOT_FOUND);
    let fate = caller.control(Method::GET, "fate?to=+201000000001&template=eid_offer&language=en", Value::Null).await;
    assert!(fate.json()["end"].is_string(), "{}", fate.text);
    caller.send(&offer(&egyptian(1), "")).await.expect("an answer");
    let rows = caller.control(Method::GET, "messages?after=0&limit=5", Value::Null).await.json();
    assert_eq!(rows["messages"][0]["outcome"], "accepted");
    let report: simulator::Report =
        serde_json::from_value(caller.control(Method::GET, "report", Value::Null).await.json()).expect("a report");
    assert_eq!(report, sim.report());
    caller.control(Method::POST, "reset", Value::Null).await;
    assert_eq!(sim.report(), simulator::Report::default());
    sim.stop().await;
}
