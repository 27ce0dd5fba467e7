//! Every way of saying stop, end to end: a signed webhook or a request goes in through the socket, and the suppression and
//! its evidence are asked for through the API.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use engine::intake;
use serde_json::{Value, json};

use super::front::{Front, change, envelope, made_whole};
use super::tests::{ask, get, post};

/// A way of saying stop.
struct Case {
    what: &'static str,
    /// What Meta reports.
    change: Value,
    /// Who must be suppressed by it, as somebody here would ask.
    person: String,
    /// How it was said, and the words that must be in the evidence.
    source: &'static str,
    said: &'static str,
}

/// The digits of the first person whom campaign "spring" was sent to.
const SENT: i64 = 201_005_600_000;

/// The person of this place among those that campaign "spring" was sent to: their digits.
fn sent_to(place: i64) -> String {
    (SENT + place).to_string()
}

/// A stranger's digits.
fn stranger(n: usize) -> String {
    format!("2010055{n:05}")
}

fn message(from: Value, id: &str, kind: &str, part: Value) -> Value {
    let mut message = json!({"id": format!("wamid.{id}"), "timestamp": "1790000000", "type": kind});
    message[kind] = part;
    for (key, value) in from.as_object().unwrap() {
        message[key] = value.clone();
    }
    change("messages", message)
}

fn tapped(payload: &str, label: &str) -> Value {
    json!({"payload": payload, "text": label})
}

/// Taps and replies, with and without what they answer.
fn taps() -> Vec<Case> {
    let ours = "HH1:c1:b1:OPTOUT";
    let from = |n: usize| json!({"from": stranger(n)});
    let quoting = |n: usize| json!({"from": stranger(n), "context": {"from": "1", "id": "wamid.not.ours"}});
    let reply = |kind: &str, id: &str, title: &str| json!({"type": kind, kind: {"id": id, "title": title}});
    [
        ("our payload", message(from(0), "a0", "button", tapped(ours, "Shop now")), "Shop now"),
        ("our payload, with context", message(quoting(1), "a1", "button", tapped(ours, "Adios")), "Adios"),
        ("a label", message(from(2), "a2", "button", tapped("Stop promotions", "Stop promotions")), "Stop promotions"),
        ("an Arabic label", message(quoting(3), "a3", "button", tapped("x", "إيقاف العروض")), "إيقاف العروض"),
        ("a label alone", message(from(4), "a4", "button", json!({"text": "Unsubscribe"})), "Unsubscribe"),
        ("a button's reply", message(from(5), "a5", "interactive", reply("button_reply", ours, "Later")), "Later"),
        ("its title", message(from(6), "a6", "interactive", reply("button_reply", "7", "Opt out")), "Opt out"),
        (
            "a list's reply",
            message(from(7), "a7", "interactive", reply("list_reply", "row", "Darme de baja")),
            "Darme de baja",
        ),
    ]
    .into_iter()
    .enumerate()
    .map(|(n, (what, change, said))| Case { what, change, person: format!("+{}", stranger(n)), source: "button", said })
    .collect()
}

/// Words of both tiers, in each language.
fn words() -> Vec<Case> {
    [
        ("English", "STOP!"),
        ("English, inside", "please stop messaging me"),
        ("Arabic", "إيقاف"),
        ("Egyptian", "مش عايز رسايل تاني"),
        ("of the Gulf", "لا عاد ترسلون"),
        ("Levantine", "ما بدي رسائل"),
        ("Maghrebi", "ما تبقاوش تصيفطو"),
        ("Spanish", "Baja"),
        ("Spanish, inside", "no quiero más mensajes"),
        ("Portuguese", "sair"),
        ("Portuguese, inside", "não quero receber mensagens"),
        ("French", "arrêt"),
        ("French, inside", "je ne veux plus recevoir vos messages"),
        ("Hindi", "बंद करो"),
        ("Hindi in Latin letters", "message mat bhejo"),
        ("Turkish", "DUR"),
        ("Turkish, inside", "bana mesaj atmayın"),
        ("Indonesian", "berhenti"),
        ("Indonesian, inside", "jangan kirim pesan lagi"),
        ("German", "abmelden"),
        ("German, inside", "bitte keine Nachrichten mehr"),
    ]
    .into_iter()
    .enumerate()
    .map(|(n, (what, said))| {
        let n = n + 100;
        let change = message(json!({"from": stranger(n)}), &format!("w{n}"), "text", json!({"body": said}));
        Case { what, change, person: format!("+{}", stranger(n)), source: "text", said }
    })
    .collect()
}

/// People who are named otherwise than by the number that they were written to.
fn names() -> Vec<Case> {
    let case = |what, change, person: String, source, said| Case { what, change, person, source, said };
    let stop = |from: Value, id: &str| message(from, id, "text", json!({"body": "stop"}));
    let switch = |mut who: Value| {
        for (key, value) in [("category", "marketing_messages"), ("value", "stop"), ("timestamp", "1790000000")] {
            who[key] = json!(value);
        }
        who["detail"] = json!("User requested to stop marketing messages");
        let mut change = change("user_preferences", who);
        change["field"] = json!("user_preferences");
        change
    };
    let detail = "User requested to stop marketing messages";
    let sent = |place| format!("+{}", sent_to(place));
    vec![
        case(
            "the switch",
            switch(json!({"wa_id": stranger(200)})),
            format!("+{}", stranger(200)),
            "user_preferences",
            detail,
        ),
        case("the switch, by user id", switch(json!({"user_id": "US.met3"})), sent(3), "user_preferences", detail),
        case(
            "the switch, by parent id",
            switch(json!({"parent_user_id": "US.ENT.met4"})),
            sent(4),
            "user_preferences",
            detail,
        ),
        case(
            "a user id alone that quotes a message",
            stop(json!({"from_user_id": "US.hidden5", "context": {"id": "wamid.sent5"}}), "n5"),
            sent(5),
            "text",
            "stop",
        ),
        case(
            "a tap by a user id alone",
            message(
                json!({"from_user_id": "US.hidden6", "context": {"id": "wamid.sent6"}}),
                "n6",
                "button",
                tapped("HH1:c1:b1:OPTOUT", "Stop"),
            ),
            sent(6),
            "button",
            "Stop",
        ),
        case(
            "a user id that nobody knows",
            stop(json!({"from_user_id": "EG.nobody7"}), "n7"),
            "EG.nobody7".into(),
            "text",
            "stop",
        ),
        case(
            "a parent id",
            stop(json!({"from_user_id": "US.new8", "from_parent_user_id": "US.ENT.met8"}), "n8"),
            sent(8),
            "text",
            "stop",
        ),
        case(
            "a Mexican, as WhatsApp writes it",
            stop(json!({"from": "5215512345678"}), "n9"),
            "+52 55 1234 5678".into(),
            "text",
            "stop",
        ),
        case(
            "an Argentine, as WhatsApp writes it",
            stop(json!({"from": "5491123456789"}), "n10"),
            "+54 11 2345 6789".into(),
            "text",
            "stop",
        ),
        case(
            "an Argentine, without the 9",
            stop(json!({"from": "541123456780"}), "n11"),
            "+54 9 11 2345 6780".into(),
            "text",
            "stop",
        ),
        case(
            "a Brazilian without the ninth digit",
            stop(json!({"from": "553187654321"}), "n12"),
            "+55 31 98765-4321".into(),
            "text",
            "stop",
        ),
        case(
            "a Brazilian with it",
            stop(json!({"from": "5531987654322"}), "n13"),
            "+55 31 8765-4322".into(),
            "text",
            "stop",
        ),
    ]
}

impl Front {
    async fn checked(&self, person: &str) -> Value {
        let answered = ask(&self.api.local, post("/api/v1/optouts/check", &json!({"person": person}))).await;
        assert_eq!(answered.status, StatusCode::OK, "{person}: {}", answered.body);
        answered.body
    }

    async fn applied(&self) {
        while intake::tick(&self.api.app).await.unwrap() {}
    }

    /// Campaign "spring", its messages sent to fifteen people: wamids `wamid.sentN`, user ids `US.metN`, `US.ENT.metN`.
    async fn sent(&self) -> i64 {
        let campaign = store::testing::in_doubt(&self.api.app.store, "spring", 15, |_| 1).await;
        made_whole(&self.api.app.store, SENT).await;
        let statuses: Vec<Value> = (0..15)
            .map(|place| {
                let mut status = self.status(campaign, place, "sent");
                status["recipient_user_id"] = json!(format!("US.met{place}"));
                status["parent_recipient_user_id"] = json!(format!("US.ENT.met{place}"));
                change("statuses", status)
            })
            .collect();
        assert_eq!(self.post(&envelope(&statuses)).await, Some(200));
        self.applied().await;
        campaign
    }

    fn status(&self, campaign: i64, place: i64, status: &str) -> Value {
        let callback = format!("hh1.{}.{campaign}.{}.1", self.api.app.install, 900_000 + place);
        json!({"id": format!("wamid.sent{place}"), "status": status, "timestamp": "1790000000",
            "recipient_id": sent_to(place), "biz_opaque_callback_data": callback})
    }

    /// Asserts that a person is suppressed, how that was said, and that the evidence holds the words.
    async fn holds(&self, what: &str, person: &str, source: &str, said: &str) {
        let verdict = self.checked(person).await;
        assert_eq!((&verdict["suppressed"], &verdict["source"]), (&json!(true), &json!(source)), "{what}: {verdict}");
        assert!(verdict["evidence_id"].is_i64(), "{what}: {verdict}");
        let proof = ask(&self.api.local, post("/api/v1/ledger/prove", &json!({"person": person}))).await.body;
        let stops = proof["stops"].as_array().unwrap();
        assert!(stops.iter().any(|stop| stop.to_string().contains(said)), "{what}: {stops:?}");
    }
}

#[tokio::test]
async fn each_way_of_saying_stop_suppresses_whom_it_means_and_leaves_its_evidence() {
    let front = Front::new().await;
    front.sent().await;
    for Case { what, change, person, source, said } in taps().into_iter().chain(words()).chain(names()) {
        assert_eq!(front.checked(&person).await["suppressed"], false, "{what}, before");
        let body = envelope(std::slice::from_ref(&change));
        assert_eq!(front.post(&body).await, Some(200), "{what}");
        // The acknowledgement says so: nothing was applied since.
        front.holds(what, &person, source, said).await;
        front.applied().await;
        front.holds(what, &person, source, said).await;
    }
    for place in [0, 1, 2, 9, 10] {
        assert_eq!(front.checked(&format!("+{}", sent_to(place))).await["suppressed"], false, "nobody else: {place}");
    }
    let verified = ask(&front.api.local, post("/api/v1/ledger/verify", &json!({}))).await.body;
    assert_eq!(verified["ok"], true, "{verified}");
}

#[tokio::test]
async fn a_refusal_of_metas_and_a_new_number_carry_a_stop_once_they_are_applied() {
    let front = Front::new().await;
    let campaign = front.sent().await;
    let mut failed = front.status(campaign, 1, "failed");
    failed["errors"] = json!([{"code": 131_050, "title": "Unable to deliver the message",
        "error_data": {"details": "The user stopped marketing messages."}}]);
    let old = message(json!({"from": sent_to(2)}), "o1", "text", json!({"body": "stop"}));
    assert_eq!(front.post(&envelope(&[change("statuses", failed), old])).await, Some(200));
    front.applied().await;
    front.holds("131050", &format!("+{}", sent_to(1)), "meta", "Meta refuses marketing").await;
    for (kind, key, new) in
        [("user_changed_number", "wa_id", stranger(1)), ("customer_changed_number", "new_wa_id", stranger(2))]
    {
        let moved = message(json!({"from": sent_to(2)}), kind, "system", json!({"type": kind, key: new}));
        assert_eq!(front.post(&envelope(&[moved])).await, Some(200));
        front.applied().await;
        assert_eq!(front.checked(&format!("+{new}")).await["suppressed"], true, "{kind}");
    }
}

#[tokio::test]
async fn only_the_person_starts_again_what_only_the_person_stopped() {
    let front = Front::new().await;
    front.sent().await;
    let say = async |place: i64, id: &str, at: u32, body: &str| {
        let mut said = message(json!({"from": sent_to(place)}), id, "text", json!({"body": body}));
        said["value"]["messages"][0]["timestamp"] = json!(at.to_string());
        assert_eq!(front.post(&envelope(&[said])).await, Some(200));
        front.applied().await;
        front.checked(&format!("+{}", sent_to(place))).await["suppressed"].clone()
    };
    for (n, start) in ["START", "اشتراك", "alta"].into_iter().enumerate() {
        let place = i64::try_from(n).unwrap();
        assert_eq!(say(place, &format!("s{n}"), 1_790_000_000, "stop").await, true);
        assert_eq!(say(place, &format!("k{n}"), 1_790_000_001, "ok, thanks").await, true, "never inferred");
        assert_eq!(say(place, &format!("r{n}"), 1_790_000_002, start).await, false, "{start}");
    }
    let letter = json!({"person": format!("+{}", sent_to(5)), "reason": "a letter"});
    assert_eq!(ask(&front.api.local, post("/api/v1/optouts", &letter)).await.status, StatusCode::CREATED);
    front.holds("the API", &format!("+{}", sent_to(5)), "manual", "a letter").await;
    assert_eq!(say(5, "s5", 1_790_000_003, "START").await, true, "somebody else recorded it");
    let switch = |value: &str, at: u32| {
        let mut change = change(
            "user_preferences",
            json!({"wa_id": sent_to(6), "category": "marketing_messages", "value": value, "timestamp": at}),
        );
        change["field"] = json!("user_preferences");
        envelope(&[change])
    };
    for (value, at, suppressed) in [("stop", 1_790_000_000, true), ("resume", 1_790_000_009, false)] {
        assert_eq!(front.post(&switch(value, at)).await, Some(200));
        front.applied().await;
        assert_eq!(front.checked(&format!("+{}", sent_to(6))).await["suppressed"], suppressed, "{value}");
    }
}

#[tokio::test]
async fn traps_stop_nobody_and_doubtful_words_wait_for_a_person() {
    let front = Front::new().await;
    let said = [
        ("I will stop by the shop", false),
        ("إلغاء الطلب", false),
        ("baja de precio", false),
        ("don't stop", false),
        ("cancel", true),
        ("no me interesa", true),
        ("🛑", true),
    ];
    let changes: Vec<Value> = (0..)
        .zip(&said)
        .map(|(n, (body, _))| message(json!({"from": stranger(n)}), &format!("t{n}"), "text", json!({"body": body})))
        .chain([message(json!({"from": stranger(50), "group_id": "g1"}), "group", "text", json!({"body": "stop"}))])
        .collect();
    assert_eq!(front.post(&envelope(&changes)).await, Some(200));
    front.applied().await;
    for n in (0..said.len()).chain([50]) {
        assert_eq!(front.checked(&format!("+{}", stranger(n))).await["suppressed"], false, "{n}");
    }
    let reviews = ask(&front.api.local, get("/api/v1/optouts/reviews")).await.body["items"].clone();
    let waiting: Vec<&str> = reviews.as_array().unwrap().iter().map(|row| row["said"].as_str().unwrap()).collect();
    for (body, is_doubtful) in said {
        assert_eq!(waiting.contains(&body), is_doubtful, "{body}: {waiting:?}");
    }
}

#[tokio::test]
async fn lists_of_other_tools_are_taken_over_with_their_name_as_evidence() {
    let front = Front::new().await;
    let twilio = "contact_id,sender_id,status,source,date_of_consent\n\
        +201005550001,MG1,opt-out,sms,2026-01-02T03:04:05Z\n+201005550002,MG1,opt-in,website,\n";
    let listmonk = "uuid,email,name,attributes,status,created_at,updated_at\n\
        1,a@example.com,A,\"{\"\"phone\"\": \"\"+201005550003\"\"}\",blocklisted,x,y\n\
        2,b@example.com,B,\"{\"\"phone\"\": \"\"+201005550004\"\"}\",enabled,x,y\n";
    for (format, file, stopped, not) in
        [("twilio", twilio, "+201005550001", "+201005550002"), ("listmonk", listmonk, "+201005550003", "+201005550004")]
    {
        let request = Request::post("/api/v1/optouts/import").header(header::CONTENT_TYPE, "text/csv");
        let answered = ask(&front.api.local, request.body(Body::from(file)).unwrap()).await;
        assert_eq!(
            (&answered.body["format"], &answered.body["suppressed"]),
            (&json!(format), &json!(1)),
            "{}",
            answered.body
        );
        front.holds(format, stopped, "import", format).await;
        assert_eq!(front.checked(not).await["suppressed"], false, "{format}");
    }
}
