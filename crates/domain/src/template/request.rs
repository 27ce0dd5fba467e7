//! The `components` of a send request, in the Cloud API's shape (v26.0, 2026-11).

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{MediaKind, ParameterFormat, VariableName};
use crate::payload::{self, Intent};

/// The `components` of one message: a list, which is left out of the request where it is empty. Serialises to the
/// request's JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RenderedComponents(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Part {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_type: Option<&'static str>,
    /// Meta takes it as a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<String>,
    parameters: Vec<Parameter>,
}

/// One value in a component.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Parameter {
    Text { name: Option<String>, text: String },
    Code(String),
    Payload(String),
    Media { kind: MediaKind, link: String },
}

impl Serialize for Parameter {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(None)?;
        match self {
            Parameter::Text { name, text } => {
                map.serialize_entry("type", "text")?;
                if let Some(name) = name {
                    map.serialize_entry("parameter_name", name)?;
                }
                map.serialize_entry("text", text)?;
            }
            Parameter::Code(code) => {
                map.serialize_entry("type", "coupon_code")?;
                map.serialize_entry("coupon_code", code)?;
            }
            Parameter::Payload(payload) => {
                map.serialize_entry("type", "payload")?;
                map.serialize_entry("payload", payload)?;
            }
            Parameter::Media { kind, link } => {
                map.serialize_entry("type", kind.as_str())?;
                map.serialize_entry(kind.as_str(), &Media { link, filename: file_name(*kind, link) })?;
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Media<'a> {
    link: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
}

impl RenderedComponents {
    pub(super) fn with_capacity(parts: usize) -> RenderedComponents {
        RenderedComponents(Vec::with_capacity(parts))
    }

    /// True if the request takes no `components`: a template without variables, media and quick replies.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn header(&mut self, parameter: Parameter) {
        self.push("header", vec![parameter]);
    }

    pub(super) fn body(&mut self, parameters: Vec<Parameter>) {
        if !parameters.is_empty() {
            self.push("body", parameters);
        }
    }

    fn push(&mut self, kind: &'static str, parameters: Vec<Parameter>) {
        self.0.push(Part { kind, sub_type: None, index: None, parameters });
    }

    pub(super) fn button(&mut self, sub_type: &'static str, index: u8, parameter: Parameter) {
        let index = Some(index.to_string());
        self.0.push(Part { kind: "button", sub_type: Some(sub_type), index, parameters: vec![parameter] });
    }

    pub(super) fn quick_reply(&mut self, campaign_id: i64, index: u8, intent: Intent) {
        self.button("quick_reply", index, Parameter::Payload(payload::encode(campaign_id, index, intent)));
    }
}

/// A text parameter; a named one carries its name.
pub(super) fn text(format: ParameterFormat, name: &VariableName, value: &str) -> Parameter {
    let name = match format {
        ParameterFormat::Positional => None,
        ParameterFormat::Named => Some(name.to_string()),
    };
    Parameter::Text { name, text: value.to_owned() }
}

/// The end of a button's address.
pub(super) fn url_end(value: &str) -> Parameter {
    Parameter::Text { name: None, text: value.to_owned() }
}

/// A code to copy.
pub(super) fn code(value: &str) -> Parameter {
    Parameter::Code(value.to_owned())
}

/// A header's media by its link.
pub(super) fn media(kind: MediaKind, link: &str) -> Parameter {
    Parameter::Media { kind, link: link.to_owned() }
}

/// A document is shown under a file name, which is the last part of the link's path.
fn file_name(kind: MediaKind, link: &str) -> Option<&str> {
    let path = link.split(['?', '#']).next()?.splitn(4, '/').nth(3)?;
    path.rsplit('/').next().filter(|name| kind == MediaKind::Document && !name.is_empty())
}
