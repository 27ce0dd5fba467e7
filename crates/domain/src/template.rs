//! Templates: what one asks for, what a campaign gives it, and the part of the request that comes of the two.
//!
//! [`Template`] is what Meta approved. [`Expression`] is what a marketer writes for one of its variables, such as
//! `Hi {name|friend}`. [`Plan`] joins them for a campaign, and then writes the request's `components` for one contact
//! after the other. What would make Meta refuse a message is found here first, with the row and the column named.

mod components;
mod expression;
mod key;
mod plan;
mod request;
mod values;

use std::fmt;

use serde_json::Value;
use thiserror::Error;

use crate::Millis;

pub use components::{Button, ButtonKind, Component, Header, MediaKind};
pub use expression::{Expression, ExpressionError, MissingVariable};
pub use key::{BadParamKey, ParamKey, VariableName};
pub use plan::{Fields, Plan, PlanError};
pub use request::RenderedComponents;
pub use values::RowProblem;

/// A message template as Meta has it: identified by account, name and language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its name: `[a-z0-9_]`, up to 512.
    pub name: String,
    /// Its exact language key: `en` is not `en_US`.
    pub language: String,
    /// What Meta bills it as.
    pub category: Category,
    /// Whether it may be sent.
    pub status: TemplateStatus,
    /// How its variables are named.
    pub format: ParameterFormat,
    /// Its parts, in Meta's order.
    pub components: Vec<Component>,
}

/// A template's fields as the Graph API writes them, ready to be understood.
#[derive(Clone, Copy, Debug)]
pub struct MetaFields<'a> {
    /// `name`
    pub name: &'a str,
    /// `language`
    pub language: &'a str,
    /// `category`
    pub category: &'a str,
    /// `status`
    pub status: &'a str,
    /// `parameter_format`, absent in older templates.
    pub parameter_format: Option<&'a str>,
    /// `components`
    pub components: &'a Value,
}

/// The Graph API's answer is not a template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the template {name:?} ({language}) came without its list of components")]
pub struct NotATemplate {
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
}

/// What Meta bills a template as.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Category {
    /// `MARKETING`
    Marketing,
    /// `UTILITY`
    Utility,
    /// `AUTHENTICATION`
    Authentication,
    /// A category that this version does not know.
    Other(String),
}

/// For how long Meta tries to deliver a message, ms, by its template's category and `message_send_ttl_seconds`. Without
/// that, and for -1: thirty days, and ten minutes for authentication. A marketing template's own time holds on the
/// Marketing Messages API alone, which is not the one that messages leave by here.
#[must_use]
pub fn time_to_live(category: &Category, seconds: Option<i64>) -> Millis {
    const DAY: Millis = 24 * 3_600_000;
    match (category, seconds) {
        (Category::Marketing, _) => 30 * DAY,
        (_, Some(seconds)) if seconds > 0 => seconds.saturating_mul(1_000),
        (Category::Authentication, None) => 600_000,
        _ => 30 * DAY,
    }
}

/// Where a template stands with Meta. Only an approved one may be sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TemplateStatus {
    /// `APPROVED`
    Approved,
    /// `PENDING`
    Pending,
    /// `REJECTED`
    Rejected,
    /// `PAUSED`
    Paused,
    /// `DISABLED`
    Disabled,
    /// Any other, as Meta wrote it: `IN_APPEAL`, `ARCHIVED`, `PENDING_DELETION`…
    Other(String),
}

/// How a template's variables are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParameterFormat {
    /// `{{1}}`, `{{2}}`…
    Positional,
    /// `{{first_name}}`…
    Named,
}

/// One thing that a template asks for with each message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The variable in a text header; there is at most one.
    HeaderText(VariableName),
    /// The picture, film or document of a header, by its link.
    HeaderMedia(MediaKind),
    /// A variable of the body.
    Body(VariableName),
    /// What is appended to the address of the button at this place.
    ButtonUrl(u8),
    /// The code that the button at this place copies.
    ButtonCode(u8),
}

impl Template {
    /// Understands a template of the Graph API's. Unknown categories, statuses and components are kept as they are.
    ///
    /// # Errors
    /// [`NotATemplate`] if `components` is not a list.
    pub fn from_meta(fields: &MetaFields<'_>) -> Result<Template, NotATemplate> {
        let components = fields
            .components
            .as_array()
            .ok_or_else(|| NotATemplate { name: fields.name.to_owned(), language: fields.language.to_owned() })?;
        let components: Vec<_> = components.iter().map(components::read).collect();
        let named = fields.parameter_format.map(|format| format.eq_ignore_ascii_case("NAMED"));
        let by_looks =
            || components.iter().any(|part| part.placeholders().iter().any(|name| name.position().is_none()));
        let format = if named.unwrap_or_else(by_looks) { ParameterFormat::Named } else { ParameterFormat::Positional };
        Ok(Template {
            name: fields.name.to_owned(),
            language: fields.language.to_owned(),
            category: Category::parse(fields.category),
            status: TemplateStatus::parse(fields.status),
            format,
            components,
        })
    }

    /// Everything that must be given with each message, in the order of the request. Quick replies are not among it:
    /// their payloads are ours.
    pub fn variables(&self) -> Vec<Slot> {
        let mut slots = Vec::new();
        for component in &self.components {
            match component {
                Component::Header(Header::Text(_)) => {
                    slots.extend(component.distinct_placeholders().into_iter().map(Slot::HeaderText));
                }
                Component::Header(Header::Media(kind)) => slots.push(Slot::HeaderMedia(*kind)),
                Component::Body(_) => slots.extend(component.distinct_placeholders().into_iter().map(Slot::Body)),
                Component::Buttons(buttons) => slots.extend(buttons.iter().filter_map(Button::slot)),
                Component::Header(Header::Other(_)) | Component::Footer(_) | Component::Other(_) => {}
            }
        }
        slots
    }

    /// The parts that ask for something this version cannot give, by Meta's names for them (`CAROUSEL`,
    /// `LIMITED_TIME_OFFER`, a `LOCATION` header, an `OTP` button). A template with any of them cannot be launched.
    pub fn unsupported(&self) -> Vec<String> {
        self.components.iter().flat_map(Component::unsupported).collect()
    }

    /// The buttons, in their order.
    pub fn buttons(&self) -> impl Iterator<Item = &Button> {
        self.components.iter().flat_map(|component| match component {
            Component::Buttons(buttons) => buttons.as_slice(),
            _ => &[],
        })
    }

    /// The body's text with its placeholders, as a person reads it.
    pub fn body(&self) -> Option<&str> {
        self.components.iter().find_map(|component| match component {
            Component::Body(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

impl TemplateStatus {
    /// Understands Meta's word. Whatever it does not know is kept as [`TemplateStatus::Other`].
    pub fn parse(text: &str) -> TemplateStatus {
        match text.trim().to_ascii_uppercase().as_str() {
            "APPROVED" => TemplateStatus::Approved,
            "PENDING" => TemplateStatus::Pending,
            "REJECTED" => TemplateStatus::Rejected,
            "PAUSED" => TemplateStatus::Paused,
            "DISABLED" => TemplateStatus::Disabled,
            other => TemplateStatus::Other(other.to_owned()),
        }
    }

    /// Meta's word.
    pub fn as_str(&self) -> &str {
        match self {
            TemplateStatus::Approved => "APPROVED",
            TemplateStatus::Pending => "PENDING",
            TemplateStatus::Rejected => "REJECTED",
            TemplateStatus::Paused => "PAUSED",
            TemplateStatus::Disabled => "DISABLED",
            TemplateStatus::Other(other) => other,
        }
    }

    /// True for the one status that Meta sends.
    pub const fn is_sendable(&self) -> bool {
        matches!(self, TemplateStatus::Approved)
    }
}

impl Category {
    /// Understands Meta's word. Whatever it does not know is kept as [`Category::Other`].
    pub fn parse(text: &str) -> Category {
        match text.trim().to_ascii_uppercase().as_str() {
            "MARKETING" => Category::Marketing,
            "UTILITY" => Category::Utility,
            "AUTHENTICATION" => Category::Authentication,
            other => Category::Other(other.to_owned()),
        }
    }

    /// Meta's word.
    pub fn as_str(&self) -> &str {
        match self {
            Category::Marketing => "MARKETING",
            Category::Utility => "UTILITY",
            Category::Authentication => "AUTHENTICATION",
            Category::Other(other) => other,
        }
    }
}

impl Slot {
    /// The key under which a campaign gives it: `1`, `first_name`, `header.1`, `header`, `button.0`.
    pub fn key(&self) -> ParamKey {
        match self {
            Slot::HeaderText(name) => ParamKey::HeaderText(name.clone()),
            Slot::HeaderMedia(_) => ParamKey::HeaderMedia,
            Slot::Body(name) => ParamKey::Body(name.clone()),
            Slot::ButtonUrl(place) | Slot::ButtonCode(place) => ParamKey::Button(*place),
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slot::HeaderText(name) => write!(f, "the variable {{{{{name}}}}} of the header"),
            Slot::HeaderMedia(kind) => write!(f, "the link to the header's {}", kind.as_str()),
            Slot::Body(name) => write!(f, "the variable {{{{{name}}}}} of the body"),
            Slot::ButtonUrl(place) => write!(f, "the end of the address of button {place}"),
            Slot::ButtonCode(place) => write!(f, "the code that button {place} copies"),
        }
    }
}

#[cfg(test)]
mod tests;
