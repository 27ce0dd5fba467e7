//! Statuses: what became of a message of ours.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::lenient::{self, Int};
use crate::numbers::required;
use crate::refusal::{Channel, RefusalKind, details, kind_of};

/// Meta's word for what became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusKind {
    /// Handed to WhatsApp's network.
    Sent,
    /// On the person's device.
    Delivered,
    /// Seen; may come with no `delivered` before it.
    Read,
    /// Not delivered; [`StatusEvent::errors`] says why.
    Failed,
    /// `played`, `deleted` and whatever comes.
    Other(String),
}

/// One status of one message. Statuses repeat, regress and come in any order.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusEvent {
    /// The message.
    pub wamid: String,
    /// What became of it.
    pub status: StatusKind,
    /// When, by Meta's clock: epoch milliseconds.
    pub at_ms: i64,
    /// The person's WhatsApp id, digits; absent for those who hide their number.
    pub recipient_id: Option<String>,
    /// The person's business-scoped user id.
    pub recipient_user_id: Option<String>,
    /// That id's parent form, which several portfolios share.
    pub parent_user_id: Option<String>,
    /// What we gave along with the message.
    pub callback_data: Option<String>,
    /// Why it failed.
    pub errors: Vec<WireError>,
    /// How Meta bills it; comes with some statuses only.
    pub pricing: Option<Pricing>,
}

/// An error in a webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct WireError {
    /// What it is about.
    pub kind: RefusalKind,
    /// Meta's code.
    pub code: i64,
    /// Meta's short name for it.
    pub title: Option<String>,
    /// Meta's message. May quote the person's number: not for logs.
    pub message: Option<String>,
    /// Meta's `error_data.details`. May quote the person's number.
    pub details: Option<String>,
    /// The error as it came, where it says that the person opted out: it is the evidence of that.
    pub raw: Option<Box<str>>,
}

/// How Meta bills a message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Pricing {
    /// Whether it costs anything.
    #[serde(default, deserialize_with = "lenient::lossy")]
    pub billable: Option<bool>,
    /// `PMP`: per message.
    #[serde(default, rename = "pricing_model", deserialize_with = "lenient::text")]
    pub model: Option<String>,
    /// `regular`, `free_customer_service` or `free_entry_point`.
    #[serde(default, rename = "type", deserialize_with = "lenient::text")]
    pub rate: Option<String>,
    /// `marketing`, `marketing_lite`, `utility`, `authentication` and others:
    /// the category that is billed, whatever the template's.
    #[serde(default, deserialize_with = "lenient::text")]
    pub category: Option<String>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(deserialize_with = "required")]
    id: String,
    #[serde(deserialize_with = "required")]
    status: String,
    #[serde(default, deserialize_with = "lenient::int")]
    timestamp: Option<i64>,
    #[serde(default, deserialize_with = "lenient::text")]
    recipient_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    recipient_user_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    parent_recipient_user_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    parent_user_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    biz_opaque_callback_data: Option<String>,
    #[serde(default, borrow)]
    errors: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "lenient::lossy")]
    pricing: Option<Pricing>,
}

/// A status in the types that Meta documents, which nearly every one has: read
/// in one pass.
#[derive(Deserialize)]
struct Usual<'a> {
    id: String,
    status: String,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    recipient_id: Option<String>,
    recipient_user_id: Option<String>,
    parent_recipient_user_id: Option<String>,
    parent_user_id: Option<String>,
    biz_opaque_callback_data: Option<String>,
    #[serde(borrow)]
    errors: Option<&'a RawValue>,
    pricing: Option<Pricing>,
}

impl<'a> Wire<'a> {
    fn read(raw: &'a RawValue) -> Result<Self, String> {
        match serde_json::from_str::<Usual<'a>>(raw.get()) {
            Ok(usual) if !usual.id.trim().is_empty() && !usual.status.trim().is_empty() => Ok(usual.into()),
            _ => serde_json::from_str(raw.get()).map_err(|error| error.to_string()),
        }
    }
}

impl<'a> From<Usual<'a>> for Wire<'a> {
    fn from(usual: Usual<'a>) -> Self {
        let text = |text: Option<String>| text.map(lenient::trimmed).filter(|text| !text.is_empty());
        Self {
            id: lenient::trimmed(usual.id),
            status: lenient::trimmed(usual.status),
            timestamp: usual.timestamp.trim().parse().ok(),
            recipient_id: text(usual.recipient_id),
            recipient_user_id: text(usual.recipient_user_id),
            parent_recipient_user_id: text(usual.parent_recipient_user_id),
            parent_user_id: text(usual.parent_user_id),
            biz_opaque_callback_data: text(usual.biz_opaque_callback_data),
            errors: usual.errors,
            pricing: usual.pricing,
        }
    }
}

impl StatusEvent {
    /// Reads one element of `statuses`. An unusable timestamp is replaced by
    /// the entry's, where that has one.
    pub(super) fn read(raw: &RawValue, entry_ms: Option<i64>) -> Result<Self, String> {
        let wire = Wire::read(raw)?;
        Ok(Self {
            wamid: wire.id,
            status: match wire.status.as_str() {
                "sent" => StatusKind::Sent,
                "delivered" => StatusKind::Delivered,
                "read" => StatusKind::Read,
                "failed" => StatusKind::Failed,
                _ => StatusKind::Other(wire.status),
            },
            at_ms: wire.timestamp.and_then(lenient::epoch_ms).or(entry_ms).ok_or("no usable timestamp")?,
            recipient_id: wire.recipient_id,
            recipient_user_id: wire.recipient_user_id,
            parent_user_id: wire.parent_recipient_user_id.or(wire.parent_user_id),
            callback_data: wire.biz_opaque_callback_data,
            errors: wire.errors.map(read_errors).unwrap_or_default(),
            pricing: wire.pricing,
        })
    }
}

/// Reads an `errors` array; an element without a code says nothing and is left
/// out.
pub(super) fn read_errors(raw: &RawValue) -> Vec<WireError> {
    #[derive(Deserialize)]
    struct Wire {
        code: Int,
        #[serde(default, deserialize_with = "lenient::text")]
        title: Option<String>,
        #[serde(default, deserialize_with = "lenient::text")]
        message: Option<String>,
        #[serde(default, deserialize_with = "details")]
        error_data: Option<String>,
    }
    lenient::elements(raw)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|raw| {
            let Wire { code: Int(code), title, message, error_data } = serde_json::from_str(raw.get()).ok()?;
            let kind = kind_of(code, None, Channel::Webhook);
            let raw = (kind == RefusalKind::OptedOut).then(|| raw.get().into());
            Some(WireError { kind, code, title, message, details: error_data, raw })
        })
        .collect()
}

impl fmt::Debug for StatusEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusEvent")
            .field("status", &self.status)
            .field("at_ms", &self.at_ms)
            .field("callback_data", &self.callback_data)
            .field("errors", &self.errors)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireError")
            .field("kind", &self.kind)
            .field("code", &self.code)
            .field("title", &self.title)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_error_that_tells_of_an_opt_out_is_kept_as_it_came() {
        let raw = r#"[{"code":131026,"title":"a"},{ "code": 131050, "title": "stopped" }]"#;
        let errors = read_errors(serde_json::from_str(raw).unwrap());
        let kept: Vec<_> = errors.iter().map(|error| (error.code, error.raw.as_deref())).collect();
        assert_eq!(kept, [(131_026, None), (131_050, Some(r#"{ "code": 131050, "title": "stopped" }"#))]);
    }

    /// Values as Meta documents them, and as nobody does.
    fn some_value(usual: &'static str) -> impl Strategy<Value = Value> {
        prop_oneof![
            6 => Just(json!(usual)),
            1 => Just(json!(format!(" {usual} \u{e9}"))),
            1 => prop_oneof![
                Just(Value::Null), Just(json!(12)), Just(json!(-1.5)), Just(json!(true)), Just(json!("")),
                Just(json!(" ")), Just(json!(["x"])), Just(json!({"a": {"b": []}})),
            ],
        ]
    }

    prop_compose! {
        fn some_status()(
            values in (
                some_value("wamid.A"), some_value("delivered"), some_value("1750030073"), some_value("201000000001"),
                some_value("EG.1"), some_value("EG.ENT.1"), some_value("hh1.a.1.2.1"), some_value("regular"),
            ),
            errors in prop_oneof![4 => Just(None), 1 => Just(Some(json!([{"code": 131026}, {"title": "x"}]))),
                                  1 => Just(Some(json!("none")))],
            absent in proptest::collection::vec(0..10_usize, 0..3),
            lone_surrogate in 0..20,
        ) -> String {
            let (id, status, timestamp, recipient, user, parent, callback, kind) = values;
            let mut fields = vec![
                ("id", id), ("status", status), ("timestamp", timestamp), ("recipient_id", recipient),
                ("recipient_user_id", user), ("parent_recipient_user_id", parent),
                ("biz_opaque_callback_data", callback), ("conversation", json!({"id": "x"})),
                ("pricing", json!({"billable": true, "pricing_model": "PMP", "type": kind, "category": "marketing"})),
                ("errors", errors.unwrap_or(Value::Null)),
            ];
            for place in absent {
                fields.remove(place.min(fields.len() - 1));
            }
            let mut text: Vec<String> =
                fields.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
            if lone_surrogate == 0 {
                text.push(r#""recipient_parent":"\ud800","parent_user_id":"\ud800""#.to_owned());
            }
            format!("{{{}}}", text.join(","))
        }
    }

    proptest! {
        #[test]
        fn the_usual_reading_says_what_the_careful_one_says(status in some_status()) {
            let raw: Box<RawValue> = serde_json::from_str(&status).unwrap();
            let careful = serde_json::from_str::<Wire<'_>>(raw.get()).map_err(|error| error.to_string());
            let parts = |wire: Result<Wire<'_>, String>| wire.map(|wire| (
                (wire.id, wire.status, wire.timestamp, wire.recipient_id, wire.recipient_user_id),
                (wire.parent_recipient_user_id, wire.parent_user_id, wire.biz_opaque_callback_data, wire.pricing),
                wire.errors.map(|errors| errors.get().to_owned()),
            ));
            prop_assert_eq!(parts(Wire::read(&raw)), parts(careful));
        }
    }
}
