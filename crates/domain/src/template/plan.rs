//! A template joined with what a campaign gives it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use thiserror::Error;

use super::components::{fixed_length, placeholders};
use super::values::{self, LONGEST_BODY, LONGEST_HEADER, LONGEST_URL};
use super::{
    ButtonKind, Component, Expression, ExpressionError, ParamKey, ParameterFormat, RenderedComponents, RowProblem,
    Slot, Template, request,
};
use crate::csv_row::Field;
use crate::payload::{Intent, button_intent};

/// A template and an expression for each thing it asks for. Made once for a campaign, used for each of its contacts.
#[derive(Clone, Debug)]
pub struct Plan {
    format: ParameterFormat,
    filled: Vec<Filled>,
    quick_replies: Vec<(u8, Intent)>,
    /// The characters of the body and of the header that stand outside their variables.
    body_length: usize,
    header_length: usize,
}

#[derive(Clone, Debug)]
struct Filled {
    slot: Slot,
    key: String,
    expression: Expression,
    /// How often the value stands in the text.
    times: usize,
    /// The characters of a button's address outside its variable.
    url_length: usize,
}

/// Why a campaign cannot be launched with these parameters.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// A key that no template could have.
    #[error(
        "{0:?} is not a parameter; use 1, 2 … or a variable's name, header.1, header (for a media link) or button.0"
    )]
    BadKey(String),
    /// A key that this template does not have.
    #[error("the template has no parameter {key:?}; it takes {}", list(.known))]
    UnknownKey {
        /// The key that was given.
        key: String,
        /// The keys it takes.
        known: Vec<String>,
    },
    /// A thing the template asks for and nobody gave.
    #[error("the parameter {key:?} is missing: {what}; give it with --param {key}=TEXT")]
    MissingKey {
        /// The key to give.
        key: String,
        /// What it is for.
        what: String,
    },
    /// A text whose braces do not fit.
    #[error("the parameter {key:?} cannot be read: {error}")]
    BadExpression {
        /// Its key.
        key: String,
        /// What is wrong with it.
        error: ExpressionError,
    },
    /// A text that is the same for everybody, and that Meta would refuse for everybody.
    #[error("the parameter {key:?} cannot be sent: {reason}")]
    BadValue {
        /// Its key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A part of the template that this version cannot fill.
    #[error("the template has a {0}, which is not supported; choose a template without it")]
    Unsupported(String),
}

impl PlanError {
    /// The reason in kebab-case; it does not change.
    pub const fn code(&self) -> &'static str {
        match self {
            PlanError::BadKey(_) => "parameter-bad-key",
            PlanError::UnknownKey { .. } => "parameter-unknown",
            PlanError::MissingKey { .. } => "parameter-missing",
            PlanError::BadExpression { .. } => "parameter-unreadable",
            PlanError::BadValue { .. } => "parameter-bad-value",
            PlanError::Unsupported(_) => "template-unsupported",
        }
    }
}

/// What is known of a contact, for expressions to draw on.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// `{phone}`: with its `+`. Absent for somebody known by a user id only.
    pub phone: Option<&'a str>,
    /// `{name}`
    pub name: Option<&'a str>,
    /// `{language}`
    pub language: Option<&'a str>,
    /// The other columns, by their headers.
    pub attributes: &'a BTreeMap<String, String>,
}

impl<'a> Fields<'a> {
    /// What stands in a column. A header is found in whatever case it is written, and the three fields of our own also
    /// by the header that a file had for them (`{Nombre}` for `{name}`).
    pub fn get(&self, column: &str) -> Option<&'a str> {
        let own = match column {
            "phone" => self.phone,
            "name" => self.name,
            "language" => self.language,
            _ => None,
        };
        own.or_else(|| self.attributes.get(column).map(String::as_str)).or_else(|| self.get_loosely(column))
    }

    fn get_loosely(&self, column: &str) -> Option<&'a str> {
        let lower = |text: &'a str| text.chars().flat_map(char::to_lowercase);
        let alike = |name: &'a str| lower(name).eq(column.chars().flat_map(char::to_lowercase));
        let attribute = self.attributes.iter().find(|(name, _)| alike(name));
        attribute.map(|(_, value)| value.as_str()).or_else(|| match Field::guess(column)? {
            Field::Phone => self.phone,
            Field::Name => self.name,
            Field::Language => self.language,
            // The country and the time zone are attributes, found above.
            _ => None,
        })
    }
}

impl Plan {
    /// Joins a template with a campaign's parameters (`KEY` → `TEXT`).
    ///
    /// # Errors
    /// Everything that stands in the way of a launch, at once.
    pub fn new(template: &Template, params: &BTreeMap<String, String>) -> Result<Plan, Vec<PlanError>> {
        let mut errors: Vec<_> = template.unsupported().into_iter().map(PlanError::Unsupported).collect();
        let mut given: BTreeMap<ParamKey, (&str, &str)> = BTreeMap::new();
        for (key, text) in params {
            match key.parse() {
                Ok(parsed) => _ = given.insert(parsed, (key, text)),
                Err(_) => errors.push(PlanError::BadKey(key.clone())),
            }
        }
        let slots = template.variables();
        let mut filled = Vec::with_capacity(slots.len());
        let mut used = Vec::with_capacity(slots.len());
        for slot in &slots {
            let Some(key) = keys_for(slot).into_iter().find(|key| given.contains_key(key)) else {
                errors.push(PlanError::MissingKey { key: slot.key().to_string(), what: slot.to_string() });
                continue;
            };
            let (written, text) = given[&key];
            match fill(template, slot, written, text) {
                Ok(value) => filled.push(value),
                Err(error) => errors.push(error),
            }
            used.push(key);
        }
        for (_, (written, _)) in given.iter().filter(|(key, _)| !used.contains(key)) {
            let known = slots.iter().map(|slot| slot.key().to_string()).collect();
            errors.push(PlanError::UnknownKey { key: (*written).to_owned(), known });
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Plan {
            format: template.format,
            filled,
            quick_replies: template
                .buttons()
                .filter(|button| button.kind == ButtonKind::QuickReply)
                .map(|button| (button.index, button_intent(&button.label)))
                .collect(),
            body_length: text_of(template, false).map_or(0, fixed_length),
            header_length: text_of(template, true).map_or(0, fixed_length),
        })
    }

    /// Tells whether a contact's message can be written, without writing it.
    ///
    /// # Errors
    /// Everything that is wrong with this row.
    pub fn check(&self, contact: &Fields<'_>) -> Result<(), Vec<RowProblem>> {
        self.values(contact).map(|_| ())
    }

    /// Writes a contact's message: the `components` of the request.
    ///
    /// # Errors
    /// Everything that is wrong with this row.
    pub fn render(&self, contact: &Fields<'_>, campaign_id: i64) -> Result<RenderedComponents, Vec<RowProblem>> {
        let values = self.values(contact)?;
        let mut components = RenderedComponents::with_capacity(2 + self.quick_replies.len());
        let mut body = Vec::new();
        for (filled, value) in self.filled.iter().zip(&values) {
            match &filled.slot {
                Slot::HeaderText(name) => components.header(request::text(self.format, name, value)),
                Slot::HeaderMedia(kind) => components.header(request::media(*kind, value)),
                Slot::Body(name) => body.push(request::text(self.format, name, value)),
                Slot::ButtonUrl(_) | Slot::ButtonCode(_) => {}
            }
        }
        components.body(body);
        for (filled, value) in self.filled.iter().zip(&values) {
            match filled.slot {
                Slot::ButtonUrl(index) => components.button("url", index, request::url_end(value)),
                Slot::ButtonCode(index) => components.button("copy_code", index, request::code(value)),
                Slot::HeaderText(_) | Slot::HeaderMedia(_) | Slot::Body(_) => {}
            }
        }
        for (index, intent) in &self.quick_replies {
            components.quick_reply(campaign_id, *index, *intent);
        }
        Ok(components)
    }

    /// The columns that its expressions name, and whether each has a fallback there.
    pub fn columns(&self) -> impl Iterator<Item = (&str, bool)> {
        self.filled.iter().flat_map(|filled| filled.expression.columns())
    }

    /// The value of each slot, checked; or all that is wrong.
    fn values<'a>(&'a self, contact: &Fields<'a>) -> Result<Vec<Cow<'a, str>>, Vec<RowProblem>> {
        let mut values = Vec::with_capacity(self.filled.len());
        let mut problems = Vec::new();
        let (mut body, mut header) = (self.body_length, self.header_length);
        for filled in &self.filled {
            match filled.value(contact) {
                Ok(value) => {
                    match filled.slot {
                        Slot::Body(_) => body += filled.times * value.chars().count(),
                        Slot::HeaderText(_) => header += filled.times * value.chars().count(),
                        _ => {}
                    }
                    values.push(value);
                }
                Err(problem) => problems.push(problem),
            }
        }
        for (what, length, longest) in [("body", body, LONGEST_BODY), ("header", header, LONGEST_HEADER)] {
            // Meta checked the template itself; only values can make it too long.
            if length > longest && problems.is_empty() {
                problems.push(RowProblem {
                    key: what.to_owned(),
                    column: None,
                    code: "text-too-long",
                    reason: format!("with this row's values the {what} has {length} characters; Meta takes {longest}"),
                });
            }
        }
        if problems.is_empty() { Ok(values) } else { Err(problems) }
    }
}

impl Filled {
    fn value<'a>(&'a self, contact: &Fields<'a>) -> Result<Cow<'a, str>, RowProblem> {
        let value = self.expression.value(&|column| contact.get(column)).map_err(|missing| RowProblem {
            key: self.key.clone(),
            reason: missing.to_string(),
            column: Some(missing.column),
            code: "variable-missing",
        })?;
        let value = trimmed(value);
        let problem = |code, reason| RowProblem { key: self.key.clone(), column: self.column(), code, reason };
        values::check(&self.slot, &value).map_err(|bad| problem(bad.code, bad.reason))?;
        if self.url_length > 0 && self.url_length + value.chars().count() > LONGEST_URL {
            let reason =
                format!("the button's whole address is longer than the {LONGEST_URL} characters that Meta takes");
            return Err(problem("url-too-long", reason));
        }
        Ok(value)
    }

    /// The column to blame for a bad value, if only one can be.
    fn column(&self) -> Option<String> {
        let mut columns = self.expression.columns();
        columns.next().filter(|_| columns.next().is_none()).map(|(name, _)| name.to_owned())
    }
}

fn trimmed(value: Cow<'_, str>) -> Cow<'_, str> {
    match value {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

/// The keys under which a slot may be given, the proper one first.
fn keys_for(slot: &Slot) -> Vec<ParamKey> {
    let mut keys = vec![slot.key()];
    if let Slot::HeaderText(name) = slot
        && name.position().is_none()
    {
        // A header has one variable, so its place says as much as its name; and a name is one wherever it stands.
        keys.extend(["header.1".parse().ok(), Some(ParamKey::Body(name.clone()))].into_iter().flatten());
    }
    keys
}

fn fill(template: &Template, slot: &Slot, key: &str, text: &str) -> Result<Filled, PlanError> {
    let expression =
        Expression::parse(text).map_err(|error| PlanError::BadExpression { key: key.to_owned(), error })?;
    if let Some(constant) = expression.constant() {
        values::check(slot, constant.trim())
            .map_err(|bad| PlanError::BadValue { key: key.to_owned(), reason: bad.reason })?;
    }
    let count = |text: Option<&str>, name| placeholders(text.unwrap_or_default()).iter().filter(|n| *n == name).count();
    let times = match slot {
        Slot::HeaderText(name) => count(text_of(template, true), name),
        Slot::Body(name) => count(text_of(template, false), name),
        _ => 1,
    };
    let url_length = match slot {
        Slot::ButtonUrl(place) => template
            .buttons()
            .find(|button| button.index == *place)
            .map_or(0, |button| if let ButtonKind::Url(url) = &button.kind { fixed_length(url) } else { 0 }),
        _ => 0,
    };
    Ok(Filled { slot: slot.clone(), key: key.to_owned(), expression, times, url_length })
}

/// The text of the header or of the body.
fn text_of(template: &Template, header: bool) -> Option<&str> {
    template.components.iter().find_map(|component| match component {
        Component::Header(super::Header::Text(text)) if header => Some(text.as_str()),
        Component::Body(text) if !header => Some(text.as_str()),
        _ => None,
    })
}

fn list(keys: &[String]) -> String {
    if keys.is_empty() { "none".to_owned() } else { keys.join(", ") }
}
