//! The keys under which a campaign gives a template its values.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The name of a template's variable.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VariableName {
    /// `{{1}}`, from one.
    Position(u16),
    /// `{{first_name}}`
    Name(String),
}

/// Where in a template a value goes: the KEY of `--param KEY=TEXT`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ParamKey {
    /// `1`, `2`… or a name: a variable of the body.
    Body(VariableName),
    /// `header.1` or `header.name`: the variable of a text header.
    HeaderText(VariableName),
    /// `header`: the link to the header's media.
    HeaderMedia,
    /// `button.0`: what the button at this place needs, an address's end or a code.
    Button(u8),
}

/// A text that is no key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a parameter; use 1, 2 … or a variable's name, header.1, header (for a media link) or button.0")]
pub struct BadParamKey(pub String);

impl VariableName {
    /// The number of a positional variable.
    pub const fn position(&self) -> Option<u16> {
        match self {
            VariableName::Position(position) => Some(*position),
            VariableName::Name(_) => None,
        }
    }
}

impl FromStr for VariableName {
    type Err = BadParamKey;

    fn from_str(text: &str) -> Result<Self, BadParamKey> {
        let bad = || BadParamKey(text.chars().take(64).collect());
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            let position = text.parse().map_err(|_| bad())?;
            return if position == 0 { Err(bad()) } else { Ok(VariableName::Position(position)) };
        }
        // Meta allows small letters, digits and underscores; capitals are let through for what it may allow later.
        let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if fits && text.len() <= 64 && !text.is_empty() { Ok(VariableName::Name(text.to_owned())) } else { Err(bad()) }
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VariableName::Position(position) => write!(f, "{position}"),
            VariableName::Name(name) => f.write_str(name),
        }
    }
}

impl FromStr for ParamKey {
    type Err = BadParamKey;

    fn from_str(text: &str) -> Result<Self, BadParamKey> {
        let text = text.trim();
        let bad = || BadParamKey(text.chars().take(64).collect());
        if text == "header" {
            Ok(ParamKey::HeaderMedia)
        } else if let Some(name) = text.strip_prefix("header.") {
            name.parse().map(ParamKey::HeaderText).map_err(|_| bad())
        } else if let Some(place) = text.strip_prefix("button.") {
            let digits = !place.is_empty() && place.bytes().all(|b| b.is_ascii_digit());
            place.parse().ok().filter(|_| digits).map(ParamKey::Button).ok_or_else(bad)
        } else {
            text.parse().map(ParamKey::Body).map_err(|_| bad())
        }
    }
}

impl fmt::Display for ParamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParamKey::Body(name) => write!(f, "{name}"),
            ParamKey::HeaderText(name) => write!(f, "header.{name}"),
            ParamKey::HeaderMedia => f.write_str("header"),
            ParamKey::Button(place) => write!(f, "button.{place}"),
        }
    }
}
