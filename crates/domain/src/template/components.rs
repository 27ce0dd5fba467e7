//! A template's parts, understood from the Graph API's JSON.

use serde_json::Value;

use super::{Slot, VariableName};

/// One part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Component {
    /// What stands above the body.
    Header(Header),
    /// The text, with its placeholders.
    Body(String),
    /// The small text below.
    Footer(String),
    /// The buttons, in their order.
    Buttons(Vec<Button>),
    /// A part that this version does not fill, by Meta's name for it.
    Other(String),
}

/// What stands above the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// A line of text with at most one placeholder.
    Text(String),
    /// A picture, film or document, given with each message.
    Media(MediaKind),
    /// A header that this version does not fill, by Meta's name for it.
    Other(String),
}

/// The kinds of media that a header may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// JPEG or PNG, up to 5 MB.
    Image,
    /// MP4, up to 16 MB.
    Video,
    /// PDF and the like, up to 100 MB.
    Document,
}

/// One button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    /// Its place among all buttons of the template, from zero: Meta's `index`.
    pub index: u8,
    /// What the person reads on it.
    pub label: String,
    /// What it does.
    pub kind: ButtonKind,
}

/// What a button does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ButtonKind {
    /// Sends its payload back to us.
    QuickReply,
    /// Opens an address, which may end in a placeholder.
    Url(String),
    /// Copies a code that is given with each message.
    CopyCode,
    /// Needs nothing from us: a call, or a question for the person's number.
    Static,
    /// A button that this version does not fill, by Meta's name for it.
    Other(String),
}

impl MediaKind {
    /// Meta's word, as it stands in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            MediaKind::Image => "image",
            MediaKind::Video => "video",
            MediaKind::Document => "document",
        }
    }
}

impl Component {
    /// The placeholders in its text, in the order of the text, repetitions included.
    pub(super) fn placeholders(&self) -> Vec<VariableName> {
        match self {
            Component::Header(Header::Text(text)) | Component::Body(text) => placeholders(text),
            _ => Vec::new(),
        }
    }

    /// Each placeholder once: numbers in their order, names in the order of the text.
    pub(super) fn distinct_placeholders(&self) -> Vec<VariableName> {
        let mut distinct: Vec<VariableName> = Vec::new();
        for name in self.placeholders() {
            if !distinct.contains(&name) {
                distinct.push(name);
            }
        }
        distinct.sort_by_key(|name| name.position().unwrap_or(u16::MAX));
        distinct
    }

    pub(super) fn unsupported(&self) -> Vec<String> {
        match self {
            Component::Header(Header::Other(kind)) => vec![format!("{kind} header")],
            Component::Other(kind) => vec![kind.clone()],
            Component::Buttons(buttons) => buttons
                .iter()
                .filter_map(|button| match &button.kind {
                    ButtonKind::Other(kind) => Some(format!("{kind} button")),
                    _ => None,
                })
                .collect(),
            Component::Header(_) | Component::Body(_) | Component::Footer(_) => Vec::new(),
        }
    }
}

impl Button {
    /// What the button asks for with each message, if anything.
    pub(super) fn slot(&self) -> Option<Slot> {
        match &self.kind {
            ButtonKind::Url(url) if !placeholders(url).is_empty() => Some(Slot::ButtonUrl(self.index)),
            ButtonKind::CopyCode => Some(Slot::ButtonCode(self.index)),
            _ => None,
        }
    }
}

pub(super) fn read(component: &Value) -> Component {
    let kind = word(component, "type");
    match kind.as_str() {
        "HEADER" => Component::Header(header(component)),
        "BODY" => Component::Body(text(component, "text")),
        "FOOTER" => Component::Footer(text(component, "text")),
        "BUTTONS" => {
            let buttons = component.get("buttons").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            // Meta allows ten.
            Component::Buttons((0..=u8::MAX).zip(buttons).map(|(index, value)| button(index, value)).collect())
        }
        _ => Component::Other(kind),
    }
}

fn header(component: &Value) -> Header {
    let format = word(component, "format");
    match format.as_str() {
        // Templates from before formats had only text.
        "TEXT" | "" => Header::Text(text(component, "text")),
        "IMAGE" => Header::Media(MediaKind::Image),
        "VIDEO" => Header::Media(MediaKind::Video),
        "DOCUMENT" => Header::Media(MediaKind::Document),
        _ => Header::Other(format),
    }
}

fn button(index: u8, value: &Value) -> Button {
    let kind = word(value, "type");
    let kind = match kind.as_str() {
        "QUICK_REPLY" => ButtonKind::QuickReply,
        "URL" => ButtonKind::Url(text(value, "url")),
        "COPY_CODE" => ButtonKind::CopyCode,
        "PHONE_NUMBER" | "VOICE_CALL" | "REQUEST_CONTACT_INFO" => ButtonKind::Static,
        _ => ButtonKind::Other(kind),
    };
    Button { index, label: text(value, "text"), kind }
}

/// A word of Meta's, in capitals; empty if absent.
fn word(value: &Value, key: &str) -> String {
    text(value, key).trim().to_ascii_uppercase()
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The names between `{{` and `}}`. Braces round anything else are text.
pub(super) fn placeholders(text: &str) -> Vec<VariableName> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        let Some((inner, beyond)) = after.split_once("}}") else { break };
        match inner.trim().parse() {
            Ok(name) => {
                names.push(name);
                rest = beyond;
            }
            Err(_) => rest = after,
        }
    }
    names
}

/// How many characters of `text` stand outside its placeholders.
pub(super) fn fixed_length(text: &str) -> usize {
    let mut outside = 0;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        outside += before.chars().count();
        match after.split_once("}}") {
            Some((inner, beyond)) if inner.trim().parse::<VariableName>().is_ok() => rest = beyond,
            _ => {
                outside += 2;
                rest = after;
            }
        }
    }
    outside + rest.chars().count()
}
