//! Preferences of people and changes of templates.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::lenient;
use crate::numbers::required;

/// What a person chose about marketing in WhatsApp itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreferenceValue {
    /// No more of it.
    Stop,
    /// It may come again. Lifts nothing that was recorded elsewhere.
    Resume,
    /// `signup` and whatever comes.
    Other(String),
}

/// A person's choice about a category of messages.
#[derive(Clone, PartialEq, Eq)]
pub struct PreferenceEvent {
    /// The person's WhatsApp id, digits; absent for those who hide their number.
    pub wa_id: Option<String>,
    /// The person's business-scoped user id.
    pub user_id: Option<String>,
    /// That id's parent form, which several portfolios share.
    pub parent_user_id: Option<String>,
    /// Meta's category; `marketing_messages` is the only one so far.
    pub category: String,
    /// What they chose.
    pub value: PreferenceValue,
    /// When, by Meta's clock: epoch milliseconds.
    pub at_ms: i64,
    /// Meta's sentence about it.
    pub detail: Option<String>,
}

impl PreferenceEvent {
    /// Reads one element of `user_preferences`.
    pub(super) fn read(raw: &RawValue, entry_ms: Option<i64>) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(default, deserialize_with = "lenient::text")]
            wa_id: Option<String>,
            #[serde(default, deserialize_with = "lenient::text")]
            user_id: Option<String>,
            #[serde(default, deserialize_with = "lenient::text")]
            parent_user_id: Option<String>,
            #[serde(default, deserialize_with = "lenient::text")]
            category: Option<String>,
            #[serde(deserialize_with = "required")]
            value: String,
            #[serde(default, deserialize_with = "lenient::int")]
            timestamp: Option<i64>,
            #[serde(default, deserialize_with = "lenient::text")]
            detail: Option<String>,
        }
        let wire: Wire = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
        if wire.wa_id.is_none() && wire.user_id.is_none() && wire.parent_user_id.is_none() {
            return Err("a preference of nobody".to_owned());
        }
        Ok(Self {
            wa_id: wire.wa_id,
            user_id: wire.user_id,
            parent_user_id: wire.parent_user_id,
            category: wire.category.unwrap_or_default(),
            value: match wire.value.as_str() {
                "stop" => PreferenceValue::Stop,
                "resume" => PreferenceValue::Resume,
                _ => PreferenceValue::Other(wire.value),
            },
            at_ms: wire.timestamp.and_then(lenient::epoch_ms).or(entry_ms).ok_or("no usable timestamp")?,
            detail: wire.detail,
        })
    }
}

/// A template's status changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateStatusEvent {
    /// Meta's word: `APPROVED`, `REJECTED`, `PAUSED`, `DISABLED`, `FLAGGED`…
    pub event: String,
    /// The template's id.
    pub template_id: Option<String>,
    /// The template's name.
    pub name: Option<String>,
    /// The template's exact language key.
    pub language: Option<String>,
    /// The template's category.
    pub category: Option<String>,
    /// Meta's reason; `NONE` where there is none.
    pub reason: Option<String>,
    /// When, by Meta's clock: epoch milliseconds. The only time is the entry's.
    pub at_ms: Option<i64>,
}

impl TemplateStatusEvent {
    /// Reads the value of `message_template_status_update`.
    pub(super) fn read(raw: &RawValue, entry_ms: Option<i64>) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(deserialize_with = "required")]
            event: String,
            #[serde(default, deserialize_with = "lenient::text")]
            message_template_id: Option<String>,
            #[serde(default, deserialize_with = "lenient::text")]
            message_template_name: Option<String>,
            #[serde(default, deserialize_with = "lenient::text")]
            message_template_language: Option<String>,
            #[serde(default, deserialize_with = "lenient::text")]
            message_template_category: Option<String>,
            #[serde(default, deserialize_with = "lenient::text")]
            reason: Option<String>,
        }
        let wire: Wire = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
        if wire.message_template_id.is_none() && wire.message_template_name.is_none() {
            return Err("a status of no template".to_owned());
        }
        Ok(Self {
            event: wire.event,
            template_id: wire.message_template_id,
            name: wire.message_template_name,
            language: wire.message_template_language,
            category: wire.message_template_category,
            reason: wire.reason,
            at_ms: entry_ms,
        })
    }
}

impl fmt::Debug for PreferenceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreferenceEvent")
            .field("category", &self.category)
            .field("value", &self.value)
            .field("at_ms", &self.at_ms)
            .finish_non_exhaustive()
    }
}
