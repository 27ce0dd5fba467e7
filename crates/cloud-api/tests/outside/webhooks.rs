//! Webhook bodies, from Meta's samples to noise.

use cloud_api::RefusalKind;
use cloud_api::webhook::{
    Change, ChangeKind, InboundKind, InboundMessage, ParseError, PreferenceValue, StandingEvent, StatusEvent,
    StatusKind, parse,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(body: &Value) -> Vec<Change> {
    let body = body.to_string();
    let changes = parse(body.as_bytes()).expect("a webhook");
    for change in &changes {
        let slice = &body[change.span.clone()];
        assert!(serde_json::from_str::<Value>(slice).is_ok(), "the span is not one JSON value: {slice}");
    }
    changes
}

fn envelope(field: &str, value: &Value) -> Value {
    json!({"object": "whatsapp_business_account", "entry": [
        {"id": "102290129340398", "time": 1_750_030_000, "changes": [{"field": field, "value": value}]}
    ]})
}

fn messages(value: &Value) -> Value {
    let mut value = value.clone();
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({"display_phone_number": "15550783881", "phone_number_id": "106540352242922"});
    envelope("messages", &value)
}

fn status(item: &Value) -> StatusEvent {
    match read(&messages(&json!({"statuses": [item]}))).remove(0).kind {
        ChangeKind::Status(event) => event,
        other => panic!("{other:?}"),
    }
}

fn inbound(contacts: &Value, item: &Value) -> InboundMessage {
    match read(&messages(&json!({"contacts": contacts, "messages": [item]}))).remove(0).kind {
        ChangeKind::Inbound(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_delivered_status_is_read_with_all_it_says() {
    let changes = read(&messages(&json!({"statuses": [{
        "id": "wamid.A", "status": "delivered", "timestamp": "1750030073", "recipient_id": "201001234567",
        "recipient_user_id": "EG.1", "parent_recipient_user_id": "EG.ENT.2",
        "biz_opaque_callback_data": "hh1.abcdefgh.12.9981.1",
        "pricing": {"billable": true, "pricing_model": "PMP", "type": "regular", "category": "marketing"}, "new": 1
    }]})));
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].waba_id, "102290129340398");
    assert_eq!(changes[0].phone_number_id.as_deref(), Some("106540352242922"));
    let ChangeKind::Status(event) = &changes[0].kind else { panic!("{changes:?}") };
    assert_eq!((event.wamid.as_str(), &event.status), ("wamid.A", &StatusKind::Delivered));
    assert_eq!(event.at_ms, 1_750_030_073_000);
    assert_eq!(event.recipient_id.as_deref(), Some("201001234567"));
    assert_eq!(event.recipient_user_id.as_deref(), Some("EG.1"));
    assert_eq!(event.parent_user_id.as_deref(), Some("EG.ENT.2"));
    assert_eq!(event.callback_data.as_deref(), Some("hh1.abcdefgh.12.9981.1"));
    let pricing = event.pricing.as_ref().expect("pricing");
    assert_eq!((pricing.billable, pricing.category.as_deref()), (Some(true), Some("marketing")));
}

#[test]
fn a_failed_status_says_why_and_a_pacing_drop_is_about_the_account() {
    let event = status(&json!({
        "id": "wamid.A", "status": "failed", "timestamp": 1_750_030_073, "recipient_id": null,
        "errors": [
            {"code": 135_000, "title": "Generic", "message": "m", "error_data": {"details": "d"}},
            {"code": "131049", "error_data": "plain"},
            {"title": "no code"}, 7
        ]
    }));
    assert_eq!(event.status, StatusKind::Failed);
    let told: Vec<_> = event.errors.iter().map(|e| (e.kind, e.code, e.details.as_deref())).collect();
    assert_eq!(told, [(RefusalKind::Portfolio, 135_000, Some("d")), (RefusalKind::PerUser, 131_049, Some("plain"))]);
}

#[test]
fn optional_parts_of_a_status_may_be_anything() {
    let event = status(&json!({
        "id": "wamid.A", "status": "played", "timestamp": "soon", "recipient_id": {"a": 1},
        "biz_opaque_callback_data": [], "errors": "?", "pricing": 5
    }));
    assert_eq!(event.status, StatusKind::Other("played".into()));
    assert_eq!(event.at_ms, 1_750_030_000_000, "the entry's time stands in");
    assert_eq!((event.recipient_id, event.callback_data, event.pricing), (None, None, None));
    assert!(event.errors.is_empty());
}

#[test]
fn a_tap_carries_its_payload_with_and_without_context() {
    let tap = json!({"from": "201001234567", "id": "wamid.B", "timestamp": "1750030073", "type": "button",
        "context": {"from": "15550783881", "id": "wamid.A"},
        "button": {"payload": "HH1:c12:b1:OPTOUT", "text": "Stop promotions"}});
    let message = inbound(&json!([{"wa_id": "201001234567", "user_id": "EG.1", "parent_user_id": "EG.ENT.2"}]), &tap);
    assert_eq!(message.from.as_deref(), Some("201001234567"));
    assert_eq!(message.wa_id.as_deref(), Some("201001234567"));
    assert_eq!(message.from_user_id.as_deref(), Some("EG.1"));
    assert_eq!(message.parent_user_id.as_deref(), Some("EG.ENT.2"));
    assert_eq!(message.context_id.as_deref(), Some("wamid.A"));
    let said = InboundKind::Button { payload: "HH1:c12:b1:OPTOUT".into(), text: "Stop promotions".into() };
    assert_eq!(message.kind, said);
    let mut bare = tap;
    bare.as_object_mut().expect("an object").remove("context");
    bare["button"] = json!({"text": "Stop promotions"});
    let message = inbound(&Value::Null, &bare);
    assert_eq!((message.context_id, message.wa_id), (None, None));
    let label = InboundKind::Button { payload: "Stop promotions".into(), text: "Stop promotions".into() };
    assert_eq!(message.kind, label);
}

#[test]
fn a_stop_from_someone_who_hides_their_number_is_read() {
    let message = inbound(
        &json!([{"profile": {"name": "M", "username": "mona"}, "user_id": "EG.1"}]),
        &json!({"from_user_id": "EG.1", "from_parent_user_id": "EG.ENT.2", "id": "wamid.B", "timestamp": "1750030073",
            "type": "text", "text": {"body": " \u{625}\u{64a}\u{642}\u{627}\u{641} "}}),
    );
    assert_eq!((message.from, message.wa_id), (None, None));
    assert_eq!(message.from_user_id.as_deref(), Some("EG.1"));
    assert_eq!(message.parent_user_id.as_deref(), Some("EG.ENT.2"));
    assert_eq!(message.kind, InboundKind::Text(" إيقاف ".into()), "words stay as written");
}

#[test]
fn each_message_gets_its_own_contact_card() {
    let body = messages(&json!({
        "contacts": [{"wa_id": "1", "user_id": "EG.1"}, {"wa_id": "2", "user_id": "EG.2"}],
        "messages": [
            {"from": "2", "id": "m2", "timestamp": "1", "type": "text", "text": {"body": "a"}},
            {"from_user_id": "EG.1", "id": "m1", "timestamp": "1", "type": "image", "image": {}},
            {"from": "3", "id": "m3", "timestamp": "1", "type": "text", "text": {"body": "b"}, "group_id": "g"}
        ]
    }));
    let seen: Vec<_> = read(&body)
        .into_iter()
        .map(|change| match change.kind {
            ChangeKind::Inbound(message) => (message.wa_id, message.from_user_id, message.group),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        seen,
        [
            (Some("2".into()), Some("EG.2".into()), false),
            (Some("1".into()), Some("EG.1".into()), false),
            (None, None, true)
        ]
    );
}

#[test]
fn a_lone_card_of_somebody_else_is_not_the_senders() {
    let message = inbound(
        &json!([{"wa_id": "1", "user_id": "EG.1"}]),
        &json!({"from_user_id": "EG.9", "id": "m", "timestamp": "1", "type": "text", "text": {"body": "a"}}),
    );
    assert_eq!((message.wa_id, message.from_user_id.as_deref()), (None, Some("EG.9")));
}

#[test]
fn replies_changes_of_identity_and_the_rest_are_told_apart() {
    let kind = |extra: Value| {
        let mut item = json!({"from": "201001234567", "id": "m", "timestamp": "1750030073"});
        let fields = item.as_object_mut().expect("an object");
        fields.extend(extra.as_object().expect("an object").clone());
        inbound(&Value::Null, &item).kind
    };
    assert_eq!(
        kind(
            json!({"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "x", "title": "Stop"}}})
        ),
        InboundKind::Interactive { id: "x".into(), title: "Stop".into() }
    );
    assert_eq!(
        kind(json!({"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "y"}}})),
        InboundKind::Interactive { id: "y".into(), title: String::new() }
    );
    assert_eq!(
        kind(json!({"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {}}})),
        InboundKind::Other("interactive".into())
    );
    assert_eq!(
        kind(
            json!({"type": "system", "system": {"type": "user_changed_number", "wa_id": "201001234568", "user_id": "EG.3"}})
        ),
        InboundKind::IdentityChanged {
            new_wa_id: Some("201001234568".into()),
            new_user_id: Some("EG.3".into()),
            previous_user_id: None
        }
    );
    assert_eq!(
        kind(json!({"type": "system", "system": {"type": "customer_identity_changed"}})),
        InboundKind::Other("system".into())
    );
    assert_eq!(kind(json!({"type": "reaction", "reaction": {"emoji": "👎"}})), InboundKind::Other("reaction".into()));
}

#[test]
fn a_tap_that_cannot_be_read_is_not_passed_off_as_something_else() {
    for item in [
        json!({"from": "1", "id": "m", "timestamp": "1", "type": "button"}),
        json!({"from": "1", "id": "m", "timestamp": "1", "type": "button", "button": {}}),
        json!({"from": "1", "id": "m", "timestamp": "1", "type": "text", "text": {"body": 5}}),
        json!({"from": "1", "timestamp": "1", "type": "text", "text": {"body": "STOP"}}),
    ] {
        let changes = read(&messages(&json!({"messages": [item]})));
        let ChangeKind::Unreadable { raw, reason } = &changes[0].kind else { panic!("{changes:?}") };
        assert_eq!(serde_json::from_str::<Value>(raw).expect("JSON"), item);
        assert!(!reason.is_empty());
    }
}

#[test]
fn a_preference_is_read_with_whichever_identity_it_has() {
    let value = json!({"user_preferences": [
        {"wa_id": "201001234567", "user_id": "EG.1", "detail": "User requested to stop marketing messages",
         "category": "marketing_messages", "value": "stop", "timestamp": 1_731_705_721},
        {"user_id": "EG.2", "category": "marketing_messages", "value": "resume", "timestamp": "1731705721000"},
        {"value": "stop", "timestamp": 1}
    ], "metadata": {"phone_number_id": 106_540_352_242_922_u64}});
    let changes = read(&envelope("user_preferences", &value));
    assert_eq!(changes[0].phone_number_id.as_deref(), Some("106540352242922"));
    let ChangeKind::Preference(stop) = &changes[0].kind else { panic!("{changes:?}") };
    assert_eq!((&stop.value, stop.wa_id.as_deref()), (&PreferenceValue::Stop, Some("201001234567")));
    let ChangeKind::Preference(resume) = &changes[1].kind else { panic!("{changes:?}") };
    assert_eq!((&resume.value, resume.at_ms, &resume.wa_id), (&PreferenceValue::Resume, stop.at_ms, &None));
    assert!(matches!(changes[2].kind, ChangeKind::Unreadable { .. }));
}

#[test]
fn a_templates_status_is_read_and_other_fields_are_kept_raw() {
    let value = json!({"event": "PAUSED", "message_template_id": 594_425_479_261_596_u64,
        "message_template_name": "eid_offer", "message_template_language": "ar", "reason": "NONE"});
    let changes = read(&envelope("message_template_status_update", &value));
    let ChangeKind::TemplateStatus(event) = &changes[0].kind else { panic!("{changes:?}") };
    assert_eq!((event.event.as_str(), event.template_id.as_deref()), ("PAUSED", Some("594425479261596")));
    assert_eq!((event.name.as_deref(), event.at_ms), (Some("eid_offer"), Some(1_750_030_000_000)));
    let changes = read(&envelope("account_review_update", &json!({"decision": "APPROVED"})));
    let ChangeKind::Other { field, raw } = &changes[0].kind else { panic!("{changes:?}") };
    assert_eq!((field.as_str(), raw.as_str()), ("account_review_update", r#"{"decision":"APPROVED"}"#));
}

#[test]
fn errors_of_a_number_and_empty_values_are_not_lost() {
    let changes = read(&messages(&json!({"errors": [{"code": 130_429}]})));
    assert!(matches!(&changes[0].kind, ChangeKind::Other { field, .. } if field == "messages.errors"));
    let changes = read(&messages(&json!({})));
    assert!(matches!(&changes[0].kind, ChangeKind::Other { field, .. } if field == "messages"));
}

#[test]
fn another_product_of_metas_is_never_taken_for_whatsapp() {
    let mut body = messages(&json!({"statuses": [{"id": "a", "status": "sent", "timestamp": "1"}]}));
    body["object"] = json!("instagram");
    assert!(matches!(&read(&body)[0].kind, ChangeKind::Other { field, .. } if field == "messages"));
}

#[test]
fn every_level_fails_alone() {
    let good = json!({"field": "messages", "value": {"statuses": [{"id": "ok", "status": "read", "timestamp": "1"}]}});
    let body = json!({"object": "whatsapp_business_account", "entry": [
        5,
        {"changes": [good]},
        {"id": "1", "changes": 5},
        {"id": "2", "changes": [5, {"field": "messages"}, {"field": "messages", "value": 5},
            {"field": "messages", "value": {"statuses": 5, "messages": {}, "contacts": 5}}, good]}
    ]});
    let changes = read(&body);
    let unreadable = changes.iter().filter(|c| matches!(c.kind, ChangeKind::Unreadable { .. })).count();
    assert_eq!((changes.len(), unreadable), (9, 8));
    let last = changes.last().expect("the good one");
    assert!(matches!(&last.kind, ChangeKind::Status(event) if event.wamid == "ok"));
    assert_eq!(last.waba_id, "2");
    assert!(changes[0].waba_id.is_empty() && changes[1].waba_id.is_empty());
}

#[test]
fn a_body_that_is_no_webhook_is_an_error() {
    for (body, error) in [
        (&b""[..], ParseError::NotJson),
        (b"{\"entry\":[", ParseError::NotJson),
        (b"\xff\xfe", ParseError::NotJson),
        (b"{}", ParseError::NoEntries),
        (b"[]", ParseError::NoEntries),
        (b"{\"entry\":{}}", ParseError::NoEntries),
    ] {
        assert_eq!(parse(body), Err(error), "{body:?}");
    }
    assert_eq!(parse(b"{\"entry\":[]}"), Ok(vec![]));
}

#[test]
fn deep_nesting_neither_overflows_nor_takes_the_batch_with_it() {
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let body = format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"1","changes":[{{"field":"messages","value":{{"statuses":[{deep},{{"id":"ok","status":"read","timestamp":"1","x":{deep}}}]}}}}]}}]}}"#
    );
    let changes = parse(body.as_bytes()).expect("a webhook");
    assert!(matches!(changes[0].kind, ChangeKind::Unreadable { .. }));
    assert!(matches!(&changes[1].kind, ChangeKind::Status(event) if event.wamid == "ok"));
}

#[test]
fn debug_output_holds_no_number_id_or_word_of_a_person() {
    let body = messages(&json!({
        "contacts": [{"wa_id": "201001234567"}],
        "messages": [
            {"from": "201001234567", "id": "wamid.B", "timestamp": "1", "type": "text", "text": {"body": "secret words"}},
            {"from": "201001234567", "id": 5, "type": "text"}
        ],
        "statuses": [{"id": "wamid.A", "status": "failed", "timestamp": "1", "recipient_id": "201001234567",
            "errors": [{"code": 1, "message": "201001234567"}]}],
        "errors": [{"wa_id": "201001234567"}]
    }));
    let shown = format!("{:?}", read(&body));
    for private in ["201001234567", "wamid.", "secret"] {
        assert!(!shown.contains(private), "{private} in {shown}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let keys = prop::sample::select(vec![
        "id",
        "status",
        "timestamp",
        "type",
        "from",
        "button",
        "text",
        "body",
        "payload",
        "errors",
        "code",
        "value",
        "wa_id",
        "user_id",
        "statuses",
        "messages",
        "contacts",
        "metadata",
        "field",
        "changes",
        "entry",
        "pricing",
        "context",
        "interactive",
        "system",
        "event",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "sent",
            "failed",
            "button",
            "text",
            "system",
            "interactive",
            "1750030073",
            "messages"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_parsing_panic(body in any::<Vec<u8>>()) {
        let _ = parse(&body);
    }

    #[test]
    fn no_json_makes_parsing_panic(value in any_json(), field in ".{0,8}") {
        let _ = parse(value.to_string().as_bytes());
        let whole = json!({"object": "whatsapp_business_account", "entry": value});
        let _ = parse(whole.to_string().as_bytes());
        for field in ["messages", "user_preferences", "message_template_status_update", field.as_str()] {
            let changes = read(&envelope(field, &value));
            prop_assert!(!changes.is_empty(), "something was reported and nothing came out");
        }
    }

    #[test]
    fn no_single_changed_byte_makes_parsing_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let body = messages(&json!({
            "contacts": [{"wa_id": "1"}],
            "messages": [{"from": "1", "id": "m", "timestamp": "1", "type": "button", "button": {"payload": "p\u{645}"}}],
            "statuses": [{"id": "a", "status": "sent", "timestamp": "1", "errors": [{"code": 1}]}]
        }));
        let mut bytes = body.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = parse(&bytes);
        let _ = parse(&bytes[..at]);
    }

    /// Good items among bad ones all come out, in order, and every bad one is
    /// accounted for.
    #[test]
    fn one_bad_item_never_fails_its_batch(bad in prop::collection::vec(any_json(), 0..6), good in 1_usize..6) {
        let mut statuses = Vec::new();
        let mut texts = Vec::new();
        for n in 0..good.max(bad.len()) {
            if n < good {
                statuses.push(json!({"id": format!("good-{n}"), "status": "sent", "timestamp": "1750030073"}));
                texts.push(json!({"id": format!("good-{n}"), "from": "1", "timestamp": "1", "type": "text", "text": {"body": "STOP"}}));
            }
            if let Some(bad) = bad.get(n) {
                statuses.push(bad.clone());
                texts.push(bad.clone());
            }
        }
        let changes = read(&messages(&json!({"statuses": statuses, "messages": texts, "contacts": bad})));
        prop_assert_eq!(changes.len(), 2 * (good + bad.len()));
        let ids = |wanted: &str| -> Vec<String> {
            changes.iter().filter_map(|change| match &change.kind {
                ChangeKind::Status(event) if wanted == "status" => Some(event.wamid.clone()),
                ChangeKind::Inbound(message) if wanted == "inbound" => Some(message.id.clone()),
                _ => None,
            }).filter(|id| id.starts_with("good-")).collect()
        };
        let expected: Vec<String> = (0..good).map(|n| format!("good-{n}")).collect();
        prop_assert_eq!(ids("status"), expected.clone());
        prop_assert_eq!(ids("inbound"), expected);
    }
}

fn standing(field: &str, value: &Value) -> StandingEvent {
    match read(&envelope(field, value)).remove(0).kind {
        ChangeKind::Standing(event) => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_portfolios_limit_is_read_in_every_form_it_came_in() {
    use cloud_api::MessagingLimit::{People, Unlimited};
    for (value, limit) in [
        (json!({"max_daily_conversations_per_business": 2_000}), Some(People(2_000))),
        (
            json!({"max_daily_conversations_per_business": "TIER_10K", "max_phone_numbers_per_waba": 20}),
            Some(People(10_000)),
        ),
        (json!({"max_daily_conversation_per_phone": "TIER_UNLIMITED"}), Some(Unlimited)),
        (json!({"max_daily_conversations_per_business": "TIER_NOT_SET"}), None),
        (json!({"max_daily_conversations_per_business": -1}), None),
        (json!({"max_phone_numbers_per_business": 25}), None),
    ] {
        let event = standing("business_capability_update", &value);
        assert_eq!(event, StandingEvent::Capability { messaging_limit: limit }, "{value}");
    }
}

#[test]
fn a_numbers_and_an_accounts_standing_are_read_with_what_they_name() {
    let number = standing(
        "phone_number_quality_update",
        &json!({"display_phone_number": "15550783881", "event": "THROUGHPUT_UPGRADE", "current_limit": "TIER_100K"}),
    );
    let StandingEvent::Number { display_phone_number, event, messaging_limit } = number else { panic!("{number:?}") };
    assert_eq!((display_phone_number.as_deref(), event.as_str()), (Some("15550783881"), "THROUGHPUT_UPGRADE"));
    assert_eq!(messaging_limit, Some(cloud_api::MessagingLimit::People(100_000)));

    let restricted = json!({"event": "ACCOUNT_RESTRICTION", "restriction_info": [
        {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": 1_750_030_000}, {}]});
    let StandingEvent::Account { event, restrictions, ban_state, violation } = standing("account_update", &restricted)
    else {
        panic!("another kind")
    };
    assert_eq!(
        (event.as_str(), restrictions),
        ("ACCOUNT_RESTRICTION", vec!["RESTRICTED_BIZ_INITIATED_MESSAGING".to_owned()])
    );
    assert_eq!((ban_state, violation), (None, None));

    let banned = json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE"}, "violation_info": 5});
    assert!(matches!(standing("account_update", &banned),
        StandingEvent::Account { ban_state: Some(state), violation: None, .. } if state == "DISABLE"));
    let nothing =
        read(&envelope("account_update", &json!({"violation_info": {"violation_type": "SPAM"}}))).remove(0).kind;
    assert!(matches!(nothing, ChangeKind::Unreadable { .. }), "{nothing:?}");
}
