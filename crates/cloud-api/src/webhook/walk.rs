//! The way through a webhook's body: entry, change, item.
//!
//! Each level is read on its own and its inside left as raw text, so that what
//! cannot be read is exactly as large as the piece it stands in. A body of
//! nothing but statuses in their documented shape, as nearly all are, is read
//! in one pass instead.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::account::{PreferenceEvent, TemplateStatusEvent};
use super::inbound::{Card, InboundMessage};
use super::standing::StandingEvent;
use super::status::StatusEvent;
use super::{Change, ChangeKind};
use crate::lenient::{self, Text};

/// Why a body is no webhook at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not JSON, or cut off.
    #[error("the webhook's body is not JSON")]
    NotJson,
    /// JSON without a list of entries.
    #[error("the webhook's body has no list of entries")]
    NoEntries,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default, deserialize_with = "lenient::text")]
    object: Option<String>,
    #[serde(borrow)]
    entry: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    id: Text,
    #[serde(default, deserialize_with = "lenient::int")]
    time: Option<i64>,
    #[serde(borrow)]
    changes: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Field<'a> {
    field: Text,
    #[serde(borrow)]
    value: &'a RawValue,
}

#[derive(Deserialize)]
struct Value<'a> {
    #[serde(default, deserialize_with = "lenient::lossy")]
    metadata: Option<Metadata>,
    #[serde(default, borrow)]
    contacts: Option<&'a RawValue>,
    #[serde(default, borrow)]
    messages: Option<&'a RawValue>,
    #[serde(default, borrow)]
    statuses: Option<&'a RawValue>,
    #[serde(default, borrow)]
    user_preferences: Option<&'a RawValue>,
    #[serde(default, borrow)]
    errors: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default, deserialize_with = "lenient::text")]
    phone_number_id: Option<String>,
}

/// Reads a webhook's body into what it reports, in its order: per change the
/// statuses, then the messages.
///
/// # Errors
/// [`ParseError`] when the body as a whole is not a webhook. Anything smaller
/// that cannot be read is a [`ChangeKind::Unreadable`] among the others.
pub fn parse(body: &[u8]) -> Result<Vec<Change>, ParseError> {
    let text = std::str::from_utf8(body).map_err(|_| ParseError::NotJson)?;
    if let Some(changes) = usual::read(text) {
        return Ok(changes);
    }
    careful(text)
}

/// Reads level by level, so that what cannot be read is as small as may be.
fn careful(text: &str) -> Result<Vec<Change>, ParseError> {
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => ParseError::NoEntries,
        _ => ParseError::NotJson,
    })?;
    let mut walk = Walk {
        text,
        ours: envelope.object.as_deref() == Some("whatsapp_business_account"),
        waba_id: String::new(),
        phone_number_id: None,
        entry_ms: None,
        changes: Vec::new(),
    };
    for entry in envelope.entry {
        walk.entry(entry);
    }
    Ok(walk.changes)
}

struct Walk<'a> {
    text: &'a str,
    /// Whether the fields mean what they mean for WhatsApp; an app can be
    /// subscribed to other products of Meta's.
    ours: bool,
    waba_id: String,
    phone_number_id: Option<String>,
    entry_ms: Option<i64>,
    changes: Vec<Change>,
}

impl<'a> Walk<'a> {
    fn entry(&mut self, raw: &'a RawValue) {
        self.waba_id.clear();
        self.phone_number_id = None;
        match serde_json::from_str::<Entry<'a>>(raw.get()) {
            Ok(Entry { id: Text(id), time, changes }) if !id.trim().is_empty() => {
                self.waba_id = lenient::trimmed(id);
                self.entry_ms = time.and_then(lenient::epoch_ms);
                for change in changes {
                    self.change(change);
                }
            }
            Ok(_) => self.unreadable(raw, "an entry without an account".to_owned()),
            Err(error) => self.unreadable(raw, error.to_string()),
        }
    }

    fn change(&mut self, raw: &'a RawValue) {
        self.phone_number_id = None;
        let Field { field: Text(field), value } = match serde_json::from_str(raw.get()) {
            Ok(field) => field,
            Err(error) => return self.unreadable(raw, error.to_string()),
        };
        match field.as_str() {
            "messages" | "user_preferences" if self.ours => self.items(field, raw, value),
            "message_template_status_update" if self.ours => {
                let event = TemplateStatusEvent::read(value, self.entry_ms);
                self.push(raw, event.map(ChangeKind::TemplateStatus));
            }
            "business_capability_update" if self.ours => {
                self.push(raw, StandingEvent::read_capability(value).map(ChangeKind::Standing));
            }
            "phone_number_quality_update" if self.ours => {
                self.push(raw, StandingEvent::read_number(value).map(ChangeKind::Standing));
            }
            "account_update" if self.ours => {
                self.push(raw, StandingEvent::read_account(value).map(ChangeKind::Standing));
            }
            _ => self.other(field, raw, value),
        }
    }

    /// The fields whose value is lists of items.
    fn items(&mut self, field: String, raw: &'a RawValue, value: &'a RawValue) {
        let lists: Value<'a> = match serde_json::from_str(value.get()) {
            Ok(lists) => lists,
            Err(error) => return self.unreadable(raw, error.to_string()),
        };
        self.phone_number_id = lists.metadata.and_then(|metadata| metadata.phone_number_id);
        let before = self.changes.len();
        let entry_ms = self.entry_ms;
        self.each(lists.statuses, |item| StatusEvent::read(item, entry_ms).map(ChangeKind::Status));
        if let Some(messages) = lists.messages {
            let cards = lists.contacts.map(read_cards).unwrap_or_default();
            self.each(Some(messages), |item| InboundMessage::read(item, &cards, entry_ms).map(ChangeKind::Inbound));
        }
        self.each(lists.user_preferences, |item| PreferenceEvent::read(item, entry_ms).map(ChangeKind::Preference));
        if let Some(errors) = lists.errors {
            self.other("messages.errors".to_owned(), errors, errors);
        }
        if self.changes.len() == before {
            self.other(field, raw, value);
        }
    }

    fn each(&mut self, list: Option<&'a RawValue>, read: impl Fn(&'a RawValue) -> Result<ChangeKind, String>) {
        let Some(list) = list else { return };
        match lenient::elements(list) {
            Some(items) => {
                for item in items {
                    self.push(item, read(item));
                }
            }
            None => self.unreadable(list, "not a list".to_owned()),
        }
    }

    fn other(&mut self, field: String, raw: &'a RawValue, value: &'a RawValue) {
        self.push(raw, Ok(ChangeKind::Other { field, raw: value.get().to_owned() }));
    }

    fn unreadable(&mut self, raw: &'a RawValue, reason: String) {
        self.push(raw, Err(reason));
    }

    fn push(&mut self, raw: &'a RawValue, kind: Result<ChangeKind, String>) {
        self.changes.push(Change {
            waba_id: self.waba_id.clone(),
            phone_number_id: self.phone_number_id.clone(),
            span: span_of(self.text, raw),
            kind: kind.unwrap_or_else(|reason| unreadable(raw, reason)),
        });
    }
}

/// Where in the body a raw piece of it stands: it is borrowed from there, so
/// its address tells.
fn span_of(text: &str, raw: &RawValue) -> Range<usize> {
    let start = raw.get().as_ptr().addr() - text.as_ptr().addr();
    start..start + raw.get().len()
}

fn unreadable(raw: &RawValue, reason: String) -> ChangeKind {
    ChangeKind::Unreadable { raw: raw.get().to_owned(), reason }
}

fn read_cards(raw: &RawValue) -> Vec<Card> {
    lenient::elements(raw)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|card| serde_json::from_str(card.get()).ok())
        .collect()
}

/// Bodies of nothing but statuses, in the types that Meta documents.
mod usual {
    use std::borrow::Cow;

    use serde::Deserialize;
    use serde::de::IgnoredAny;
    use serde_json::value::RawValue;

    use super::super::status::StatusEvent;
    use super::super::{Change, ChangeKind};
    use super::{span_of, unreadable};
    use crate::lenient;

    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        object: Cow<'a, str>,
        #[serde(borrow)]
        entry: Vec<Entry<'a>>,
    }

    #[derive(Deserialize)]
    struct Entry<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
        time: Option<i64>,
        #[serde(borrow)]
        changes: Vec<Field<'a>>,
    }

    #[derive(Deserialize)]
    struct Field<'a> {
        #[serde(borrow)]
        field: Cow<'a, str>,
        #[serde(borrow)]
        value: Value<'a>,
    }

    #[derive(Deserialize)]
    struct Value<'a> {
        #[serde(borrow)]
        metadata: Option<Metadata<'a>>,
        #[serde(borrow)]
        statuses: Vec<&'a RawValue>,
        messages: Option<IgnoredAny>,
        user_preferences: Option<IgnoredAny>,
        errors: Option<IgnoredAny>,
    }

    #[derive(Deserialize)]
    struct Metadata<'a> {
        #[serde(borrow)]
        phone_number_id: Cow<'a, str>,
    }

    impl Value<'_> {
        fn is_usual(&self) -> bool {
            let more = [&self.messages, &self.user_preferences, &self.errors];
            !self.statuses.is_empty() && more.iter().all(|list| list.is_none())
        }
    }

    /// What the body reports; `None` if it is anything else, for the careful
    /// reading.
    pub(super) fn read(text: &str) -> Option<Vec<Change>> {
        let envelope: Envelope<'_> = serde_json::from_str(text).ok()?;
        let fields = || envelope.entry.iter().flat_map(|entry| &entry.changes);
        let is_usual = envelope.object == "whatsapp_business_account"
            && envelope.entry.iter().all(|entry| !entry.id.trim().is_empty())
            && fields().all(|field| field.field == "messages" && field.value.is_usual());
        if !is_usual {
            return None;
        }
        let mut changes = Vec::with_capacity(fields().map(|field| field.value.statuses.len()).sum());
        for entry in &envelope.entry {
            let entry_ms = entry.time.and_then(lenient::epoch_ms);
            for Field { value, .. } in &entry.changes {
                let number = value.metadata.as_ref().map(|metadata| metadata.phone_number_id.trim());
                let number = number.filter(|number| !number.is_empty());
                changes.extend(value.statuses.iter().map(|raw| {
                    Change {
                        waba_id: entry.id.trim().to_owned(),
                        phone_number_id: number.map(str::to_owned),
                        span: span_of(text, raw),
                        kind: StatusEvent::read(raw, entry_ms)
                            .map_or_else(|reason| unreadable(raw, reason), ChangeKind::Status),
                    }
                }));
            }
        }
        Some(changes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn some_status() -> impl Strategy<Value = Value> {
        prop_oneof![
            8 => Just(json!({"id": "wamid.A", "status": "read", "timestamp": "1750030073", "recipient_id": "2010"})),
            1 => Just(json!({"id": 12, "status": "sent", "recipient_id": null})),
            1 => Just(json!({"status": "sent"})),
        ]
    }

    fn some_value() -> impl Strategy<Value = Value> {
        let metadata = prop_oneof![
            8 => Just(json!({"display_phone_number": "1", "phone_number_id": " 2001"})),
            1 => Just(json!({"phone_number_id": 2001})),
            1 => prop_oneof![Just(Value::Null), Just(json!({})), Just(json!("x")), Just(json!({"phone_number_id": ""}))],
        ];
        let more = prop_oneof![
            8 => Just(None),
            1 => Just(Some(("messages", json!([{"id": "wamid.B", "timestamp": "1750030073", "type": "image"}])))),
            1 => prop_oneof![Just(Some(("messages", json!(7)))), Just(Some(("errors", json!([{"code": 1}])))),
                             Just(Some(("user_preferences", json!([])))), Just(Some(("statuses", json!({})))),
                             Just(Some(("messages", Value::Null)))],
        ];
        (metadata, proptest::collection::vec(some_status(), 0..4), more).prop_map(|(metadata, statuses, more)| {
            let mut value = json!({"messaging_product": "whatsapp", "metadata": metadata, "contacts": [{"wa_id": "1"}],
                "statuses": statuses});
            if let Some((name, list)) = more {
                value[name] = list;
            }
            value
        })
    }

    fn some_body() -> impl Strategy<Value = Value> {
        let field = prop_oneof![9 => Just(json!("messages")), 1 => Just(json!("account_update")), 1 => Just(json!(3))];
        let id = prop_oneof![9 => Just(json!("100")), 1 => Just(json!(100)), 1 => Just(json!(" "))];
        let time = prop_oneof![4 => Just(json!(1_750_030_000)), 1 => Just(json!("1750030000")), 1 => Just(Value::Null)];
        let changes = proptest::collection::vec((field, some_value()), 0..4).prop_map(|changes| {
            changes.into_iter().map(|(field, value)| json!({"field": field, "value": value})).collect::<Vec<_>>()
        });
        let entry =
            (id, time, changes).prop_map(|(id, time, changes)| json!({"id": id, "time": time, "changes": changes}));
        let object = prop_oneof![9 => Just(json!("whatsapp_business_account")), 1 => Just(json!("page"))];
        (object, proptest::collection::vec(entry, 0..3))
            .prop_map(|(object, entries)| json!({"object": object, "entry": entries}))
    }

    proptest! {
        #[test]
        fn one_pass_reads_what_the_careful_reading_reads(body in some_body()) {
            let text = body.to_string();
            if let Some(usual) = usual::read(&text) {
                prop_assert_eq!(usual, careful(&text).unwrap());
            }
        }
    }

    #[test]
    fn a_body_of_statuses_is_read_in_one_pass() {
        let value = json!({"metadata": {"phone_number_id": "2001"},
            "statuses": [{"id": "wamid.A", "status": "read", "timestamp": "1750030073"}]});
        let body = json!({"object": "whatsapp_business_account",
            "entry": [{"id": "100", "changes": [{"field": "messages", "value": value}]}]});
        assert_eq!(usual::read(&body.to_string()).map(|changes| changes.len()), Some(1));
    }
}
