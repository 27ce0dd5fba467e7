//! The way through a webhook's body: entry, change, item.
//!
//! Each level is read on its own and its inside left as raw text, so that what
//! cannot be read is exactly as large as the piece it stands in.

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
        let kind = kind.unwrap_or_else(|reason| ChangeKind::Unreadable { raw: raw.get().to_owned(), reason });
        // Every raw piece is borrowed from the body, so its address tells where
        // in the body it stands.
        let start = raw.get().as_ptr().addr() - self.text.as_ptr().addr();
        self.changes.push(Change {
            waba_id: self.waba_id.clone(),
            phone_number_id: self.phone_number_id.clone(),
            span: start..start + raw.get().len(),
            kind,
        });
    }
}

fn read_cards(raw: &RawValue) -> Vec<Card> {
    lenient::elements(raw)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|card| serde_json::from_str(card.get()).ok())
        .collect()
}
