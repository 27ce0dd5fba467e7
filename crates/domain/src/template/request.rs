//! The `components` of a send request, in the Cloud API's shape (v26.0, 2026-11).

use serde_json::{Value, json};

use super::{MediaKind, ParameterFormat, VariableName};
use crate::payload::{self, Intent};

/// The `components` of one message: a list, which is left out of the request where it is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderedComponents(Vec<Value>);

impl RenderedComponents {
    pub(super) fn with_capacity(parts: usize) -> RenderedComponents {
        RenderedComponents(Vec::with_capacity(parts))
    }

    /// True if the request takes no `components`: a template without variables, media and quick replies.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The list as JSON.
    pub fn into_value(self) -> Value {
        Value::Array(self.0)
    }

    pub(super) fn header(&mut self, parameter: Value) {
        self.0.push(json!({"type": "header", "parameters": [parameter]}));
    }

    pub(super) fn body(&mut self, parameters: Vec<Value>) {
        if !parameters.is_empty() {
            self.0.push(json!({"type": "body", "parameters": parameters}));
        }
    }

    pub(super) fn button(&mut self, sub_type: &str, index: u8, parameter: Value) {
        self.0.push(json!({
            "type": "button", "sub_type": sub_type, "index": index.to_string(), "parameters": [parameter],
        }));
    }

    pub(super) fn quick_reply(&mut self, campaign_id: i64, index: u8, intent: Intent) {
        let payload = payload::encode(campaign_id, index, intent);
        self.button("quick_reply", index, json!({"type": "payload", "payload": payload}));
    }
}

/// A text parameter; a named one carries its name.
pub(super) fn text(format: ParameterFormat, name: &VariableName, value: &str) -> Value {
    match format {
        ParameterFormat::Positional => json!({"type": "text", "text": value}),
        ParameterFormat::Named => json!({"type": "text", "parameter_name": name.to_string(), "text": value}),
    }
}

/// The end of a button's address.
pub(super) fn url_end(value: &str) -> Value {
    json!({"type": "text", "text": value})
}

/// A code to copy.
pub(super) fn code(value: &str) -> Value {
    json!({"type": "coupon_code", "coupon_code": value})
}

/// A header's media by its link. A document is shown under a file name, which is the last part of the link's path.
pub(super) fn media(kind: MediaKind, link: &str) -> Value {
    let mut file = json!({"link": link});
    if kind == MediaKind::Document
        && let Some(name) = link.split(['?', '#']).next().and_then(|path| path.splitn(4, '/').nth(3))
        && let Some(name) = name.rsplit('/').next().filter(|name| !name.is_empty())
    {
        file["filename"] = Value::from(name);
    }
    json!({"type": kind.as_str(), kind.as_str(): file})
}
