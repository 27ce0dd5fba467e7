//! What a webhook says, in Meta's shapes.

use crate::chance::{Draw, Salt};
use crate::identity::{Direction, parent_user_id, profile_name, user_id, username, wamid};
use crate::json::quoted;
use crate::refusal::title;
use crate::settings::Settings;
use crate::world::{BusinessNumber, World};
use std::fmt::Write as _;
use std::sync::Arc;

/// A person as webhooks name them: with the number, or by user id only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Face<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) wa_id: u64,
    /// Whether only the user id may be named.
    pub(crate) hidden: bool,
}

impl<'a> Face<'a> {
    pub(crate) fn of(settings: &'a Settings, wa_id: u64) -> Face<'a> {
        Face { settings, wa_id, hidden: crate::fate::hides_number(settings, wa_id) }
    }

    /// Fields that identify the person, each under the name that this place gives it, each with a comma after it.
    fn fields(&self, out: &mut String, number: &str, user: &str, parent: &str) {
        let seed = self.settings.seed;
        if !self.hidden {
            let _ = write!(out, "\"{number}\":\"{}\",", self.wa_id);
        }
        if self.hidden || self.settings.webhook.user_ids {
            let _ = write!(out, "\"{user}\":\"{}\",", user_id(seed, self.wa_id));
            if self.settings.webhook.parent_user_ids {
                let _ = write!(out, "\"{parent}\":\"{}\",", parent_user_id(seed, self.wa_id));
            }
        }
    }

    /// An entry of `contacts`.
    fn contact(&self, out: &mut String) {
        out.push('{');
        self.fields(out, "wa_id", "user_id", "parent_user_id");
        out.push_str("\"profile\":{\"name\":");
        quoted(out, profile_name(self.settings.seed, self.wa_id));
        if self.hidden {
            out.push_str(",\"username\":");
            quoted(out, &username(self.settings.seed, self.wa_id));
        }
        out.push_str("}}");
    }
}

/// One thing to report, before it is put into a body.
#[derive(Debug)]
pub(crate) enum Piece {
    /// An element of `statuses`, with an entry of `contacts` where there is one.
    Status { number: Arc<BusinessNumber>, contact: String, status: String },
    /// A whole change.
    Change { account: usize, change: String },
}

/// A status of a message.
pub(crate) struct StatusText<'a> {
    pub(crate) wamid: &'a str,
    pub(crate) status: &'a str,
    pub(crate) at_us: i64,
    pub(crate) callback: &'a str,
    pub(crate) category: &'a str,
    /// Whether this status carries `pricing`.
    pub(crate) priced: bool,
    /// The code of a failure.
    pub(crate) failed_code: Option<u32>,
    pub(crate) draw: Draw,
}

fn timestamp(settings: &Settings, at_us: i64, draw: Draw) -> i64 {
    if draw.within(Salt::Milliseconds, settings.webhook.millisecond_share) { at_us / 1000 } else { at_us / 1_000_000 }
}

/// Writes one status.
pub(crate) fn status(face: &Face<'_>, number: Arc<BusinessNumber>, text: &StatusText<'_>) -> Piece {
    let mut out = String::with_capacity(420);
    out.push_str("{\"id\":");
    quoted(&mut out, text.wamid);
    let time = timestamp(face.settings, text.at_us, text.draw);
    let _ = write!(out, ",\"status\":\"{}\",\"timestamp\":\"{time}\",", text.status);
    face.fields(&mut out, "recipient_id", "recipient_user_id", "parent_recipient_user_id");
    if !text.callback.is_empty() {
        out.push_str("\"biz_opaque_callback_data\":");
        quoted(&mut out, text.callback);
        out.push(',');
    }
    if text.priced {
        let category = text.category.to_ascii_lowercase();
        let _ = write!(
            out,
            "\"pricing\":{{\"billable\":true,\"pricing_model\":\"PMP\",\"type\":\"regular\",\"category\":\"{category}\"}},"
        );
    }
    if let Some(code) = text.failed_code {
        let _ = write!(out, "\"errors\":[{{\"code\":{code},\"title\":");
        quoted(&mut out, title(code));
        out.push_str(",\"message\":");
        quoted(&mut out, title(code));
        out.push_str(",\"error_data\":{\"details\":");
        quoted(&mut out, title(code));
        out.push_str("},\"href\":\"https:\\/\\/developers.facebook.com\\/docs\\/whatsapp\\/cloud-api\\/support\\/error-codes\\/\"}],");
    }
    close(&mut out);
    let mut contact = String::new();
    if text.failed_code.is_none() {
        face.contact(&mut contact);
    }
    Piece::Status { number, contact, status: out }
}

/// Replaces the comma after the last field by the closing brace.
fn close(out: &mut String) {
    if out.ends_with(',') {
        out.pop();
    }
    out.push('}');
}

/// What a person sends.
#[derive(Clone, Debug)]
pub(crate) enum Said<'a> {
    /// A tap on a template's quick reply.
    Tap { payload: &'a str, label: &'a str },
    /// A text.
    Text(&'a str),
}

/// Writes an inbound message: a change of its own. `context` is the message that was answered.
pub(crate) fn message(
    face: &Face<'_>,
    number: &BusinessNumber,
    id: &str,
    at_us: i64,
    draw: Draw,
    said: &Said<'_>,
    context: Option<&str>,
) -> Piece {
    let mut out = String::with_capacity(640);
    open_change(&mut out, "messages", number);
    out.push_str(",\"contacts\":[");
    face.contact(&mut out);
    out.push_str("],\"messages\":[{");
    face.fields(&mut out, "from", "from_user_id", "from_parent_user_id");
    out.push_str("\"id\":");
    quoted(&mut out, id);
    let _ = write!(out, ",\"timestamp\":\"{}\"", timestamp(face.settings, at_us, draw));
    if let Some(context) = context {
        let _ = write!(out, ",\"context\":{{\"from\":\"{}\",\"id\":", number.digits);
        quoted(&mut out, context);
        out.push('}');
    }
    match said {
        Said::Tap { payload, label } => {
            out.push_str(",\"type\":\"button\",\"button\":{\"payload\":");
            quoted(&mut out, payload);
            out.push_str(",\"text\":");
            quoted(&mut out, label);
            out.push('}');
        }
        Said::Text(body) => {
            out.push_str(",\"type\":\"text\",\"text\":{\"body\":");
            quoted(&mut out, body);
            out.push('}');
        }
    }
    out.push_str("}]}}");
    Piece::Change { account: number.account, change: out }
}

/// Writes a use of WhatsApp's own marketing switch; `value` is `stop` or `resume`.
pub(crate) fn preference(face: &Face<'_>, number: &BusinessNumber, at_us: i64, value: &str) -> Piece {
    let mut out = String::with_capacity(520);
    open_change(&mut out, "user_preferences", number);
    out.push_str(",\"contacts\":[");
    face.contact(&mut out);
    out.push_str("],\"user_preferences\":[{");
    face.fields(&mut out, "wa_id", "user_id", "parent_user_id");
    let detail = if value == "stop" { "stop" } else { "resume" };
    let _ = write!(
        out,
        "\"detail\":\"User requested to {detail} marketing messages\",\"category\":\"marketing_messages\",\
         \"value\":\"{value}\",\"timestamp\":{}}}]}}}}",
        at_us / 1_000_000
    );
    Piece::Change { account: number.account, change: out }
}

/// Opens a change of a business number, up to its metadata.
fn open_change(out: &mut String, field: &str, number: &BusinessNumber) {
    let _ = write!(out, "{{\"field\":\"{field}\",\"value\":{{\"messaging_product\":\"whatsapp\",\"metadata\":{{");
    let _ = write!(out, "\"display_phone_number\":\"{}\",\"phone_number_id\":", number.digits);
    quoted(out, &number.number.id);
    out.push('}');
}

/// The id of the message with this `seq`, or of the reply to it. Its frame names the person the way the message was
/// addressed, which does not change when settings do.
pub(crate) fn id_of(
    direction: Direction,
    settings: &Settings,
    wa_id: u64,
    by_number: bool,
    generation: u8,
    seq: u64,
) -> String {
    let subject = if by_number { wa_id.to_string() } else { user_id(settings.seed, wa_id) };
    wamid(direction, &subject, generation, settings.seed, seq)
}

/// Puts pieces of one account into a body. Now and then neighbouring statuses of one business number share a change,
/// and a long body has two entries: a reader must loop over every level.
pub(crate) fn body(world: &World, account: usize, pieces: &[Piece]) -> String {
    let mut changes: Vec<String> = Vec::with_capacity(pieces.len());
    let mut at = 0;
    while let Some(piece) = pieces.get(at) {
        at += 1;
        match piece {
            Piece::Change { change, .. } => changes.push(change.clone()),
            Piece::Status { number, contact, status } => {
                let mut contacts = contact.clone();
                let mut statuses = status.clone();
                // Every fourth change takes its neighbour in.
                if changes.len() % 4 == 3
                    && let Some(Piece::Status { number: next, contact, status }) = pieces.get(at)
                    && next.number.id == number.number.id
                {
                    at += 1;
                    if !contacts.is_empty() && !contact.is_empty() {
                        contacts.push(',');
                    }
                    contacts.push_str(contact);
                    statuses.push(',');
                    statuses.push_str(status);
                }
                let mut change = String::with_capacity(statuses.len() + contacts.len() + 220);
                open_change(&mut change, "messages", number);
                if !contacts.is_empty() {
                    let _ = write!(change, ",\"contacts\":[{contacts}]");
                }
                let _ = write!(change, ",\"statuses\":[{statuses}]}}}}");
                changes.push(change);
            }
        }
    }
    let waba_id = world.settings.accounts.get(account).map_or("", |a| a.waba_id.as_str());
    let mut out = String::with_capacity(changes.iter().map(String::len).sum::<usize>() + 160);
    out.push_str("{\"object\":\"whatsapp_business_account\",\"entry\":[");
    for (at, entry) in changes.chunks(6).enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str("{\"id\":");
        quoted(&mut out, waba_id);
        let _ = write!(out, ",\"changes\":[{}]}}", entry.join(","));
    }
    out.push_str("]}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn world(patch: Value) -> World {
        World::new(Settings::default().patched(&patch).expect("a valid patch")).expect("valid settings")
    }

    fn status_piece(world: &World, failed_code: Option<u32>, hidden: bool) -> Piece {
        let face = Face { settings: &world.settings, wa_id: 201_000_000_001, hidden };
        let number = world.number("200100000000001").expect("built in").clone();
        let text = StatusText {
            wamid: "wamid.A/B=",
            status: if failed_code.is_some() { "failed" } else { "sent" },
            at_us: 1_750_030_073_000_000,
            callback: "hh1.abcdefgh.12.9981.1",
            category: "MARKETING",
            priced: failed_code.is_none(),
            failed_code,
            draw: Draw::new(1),
        };
        status(&face, number, &text)
    }

    fn parsed(world: &World, pieces: &[Piece]) -> Value {
        let body = body(world, 0, pieces);
        assert!(body.is_ascii());
        serde_json::from_str(&body).expect("valid JSON")
    }

    #[test]
    fn a_status_echoes_the_callback_data_and_names_the_person() {
        let world = world(json!({}));
        let body = parsed(&world, &[status_piece(&world, None, false)]);
        assert_eq!(body["object"], "whatsapp_business_account");
        assert_eq!(body["entry"][0]["id"], "100200300400500");
        let value = &body["entry"][0]["changes"][0]["value"];
        assert_eq!(value["metadata"]["phone_number_id"], "200100000000001");
        assert_eq!(value["contacts"][0]["wa_id"], "201000000001");
        let status = &value["statuses"][0];
        assert_eq!(status["id"], "wamid.A/B=");
        assert_eq!(status["timestamp"], "1750030073");
        assert_eq!(status["recipient_id"], "201000000001");
        assert_eq!(status["biz_opaque_callback_data"], "hh1.abcdefgh.12.9981.1");
        assert_eq!(status["pricing"]["category"], "marketing");
    }

    #[test]
    fn who_hides_the_number_is_named_by_user_id_only() {
        let world = world(json!({"webhook": {"user_ids": false}}));
        let body = parsed(&world, &[status_piece(&world, None, true)]);
        let text = body.to_string();
        assert!(!text.contains("201000000001"), "{text}");
        let value = &body["entry"][0]["changes"][0]["value"];
        assert!(value["statuses"][0].get("recipient_id").is_none());
        let user = value["statuses"][0]["recipient_user_id"].as_str().expect("a user id");
        assert_eq!(crate::identity::wa_id_of_user(world.settings.seed, user), Some(201_000_000_001));
        assert!(value["contacts"][0]["profile"]["username"].is_string());
    }

    #[test]
    fn a_failure_carries_its_error_and_no_contact() {
        let world = world(json!({}));
        let body = parsed(&world, &[status_piece(&world, Some(131_026), false)]);
        let value = &body["entry"][0]["changes"][0]["value"];
        assert!(value.get("contacts").is_none());
        assert_eq!(value["statuses"][0]["errors"][0]["code"], 131_026);
        assert_eq!(value["statuses"][0]["errors"][0]["title"], "Message undeliverable");
    }

    #[test]
    fn no_status_is_lost_between_shared_changes_and_several_entries() {
        let world = world(json!({}));
        let pieces: Vec<Piece> = (0..20).map(|_| status_piece(&world, None, false)).collect();
        let body = parsed(&world, &pieces);
        let entries = body["entry"].as_array().expect("entries");
        assert!(entries.len() > 1);
        let mut statuses = 0;
        let mut shared = 0;
        for change in entries.iter().flat_map(|e| e["changes"].as_array().expect("changes")) {
            let count = change["value"]["statuses"].as_array().expect("statuses").len();
            statuses += count;
            shared += usize::from(count > 1);
            assert_eq!(change["value"]["contacts"].as_array().expect("contacts").len(), count);
        }
        assert_eq!(statuses, 20);
        assert!(shared > 0);
    }

    #[test]
    fn a_tap_echoes_its_payload_and_quotes_the_message() {
        let world = world(json!({}));
        let face = Face { settings: &world.settings, wa_id: 201_000_000_001, hidden: false };
        let number = world.number("200100000000001").expect("built in");
        let said = Said::Tap { payload: "HH1:c12:b1:OPTOUT", label: "إيقاف العروض" };
        let piece = message(&face, number, "wamid.IN", 1_750_030_073_000_000, Draw::new(1), &said, Some("wamid.OUT"));
        let Piece::Change { change, .. } = &piece else { unreachable!("a message is a change of its own") };
        assert!(change.contains("\\u0625"), "Arabic is escaped: {change}");
        let body = parsed(&world, &[piece]);
        let message = &body["entry"][0]["changes"][0]["value"]["messages"][0];
        assert_eq!(message["type"], "button");
        assert_eq!(message["button"]["payload"], "HH1:c12:b1:OPTOUT");
        assert_eq!(message["button"]["text"], "إيقاف العروض");
        assert_eq!(message["context"]["id"], "wamid.OUT");
        assert_eq!(message["context"]["from"], "20255500101");
        assert_eq!(message["from"], "201000000001");
    }

    #[test]
    fn the_marketing_switch_is_a_change_of_its_own_field() {
        let world = world(json!({}));
        let face = Face { settings: &world.settings, wa_id: 201_000_000_001, hidden: false };
        let number = world.number("200100000000001").expect("built in");
        let body = parsed(&world, &[preference(&face, number, 1_731_705_721_000_000, "stop")]);
        let change = &body["entry"][0]["changes"][0];
        assert_eq!(change["field"], "user_preferences");
        assert_eq!(change["value"]["user_preferences"][0]["value"], "stop");
        assert_eq!(change["value"]["user_preferences"][0]["timestamp"], 1_731_705_721);
    }
}
