//! Which people of a list are meant: a small language over what is known of them and what was sent to them.
//!
//! `city = "Cairo" and not messaged within 30 days and (read campaign "spring" or read last campaign)`
//!
//! A [`Filter`] is the same thing as a tree, which programs exchange as JSON. `Display` writes it in words that
//! `Filter::from_str` reads back. Texts are compared letter by letter, capitals included, so that every database
//! answers alike; numbers are compared as numbers, and whoever has no number there is not meant.

mod parse;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use parse::FilterError;

/// The longest filter, in bytes of its text.
pub const LONGEST: usize = 4_000;
/// The deepest nesting.
pub const DEEPEST: usize = 20;
/// The longest number that is compared as one, in characters: fifteen digits are exact everywhere.
pub const LONGEST_NUMBER: usize = 16;

/// Who is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Everyone of whom all of these are true.
    All(Vec<Filter>),
    /// Everyone of whom one of these is true.
    Any(Vec<Filter>),
    /// Everyone of whom this is not true.
    Not(Box<Filter>),
    /// What is known of them.
    Has(Condition),
    /// A message went to them within so many days, from any campaign: `messaged within 30 days`.
    MessagedWithinDays(u32),
    /// They read a message of that campaign: `read campaign "spring"`.
    ReadCampaign(String),
    /// They read a message of the campaign that was launched last, of those that were sent to them:
    /// `read last campaign`.
    ReadLastCampaign,
    /// They have opted out at some time, whether it stands or was lifted: `ever opted out`.
    EverOptedOut,
}

/// A comparison of what stands in one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// `name`, `language`, or the header of another column, letter by letter.
    pub column: String,
    /// How it is compared.
    #[serde(flatten)]
    pub test: Test,
}

/// How a column is compared. An empty cell, or none, is the empty text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", content = "value", rename_all = "snake_case")]
pub enum Test {
    /// `=`
    Equal(String),
    /// `!=`
    Different(String),
    /// `<`
    Below(Bound),
    /// `<=`
    AtMost(Bound),
    /// `>`
    Above(Bound),
    /// `>=`
    AtLeast(Bound),
    /// `contains`
    Contains(String),
    /// `is empty`
    Empty,
}

/// What `<` and its like compare with: a number with numbers, any other text with texts by the order of their letters,
/// which is right for days written as 2026-01-31. An empty cell is never below or above anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bound(pub String);

impl Bound {
    /// The number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        number(&self.0)
    }
}

/// A plain decimal number: digits, perhaps a minus before and a fraction after a point; not too long to be exact.
#[must_use]
pub fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() <= LONGEST_NUMBER && plain(whole) && plain(fraction) { text.parse().ok() } else { None }
}

/// What is known of one person, to judge a filter without a database.
pub trait Person {
    /// What stands in that column.
    fn column(&self, column: &str) -> Option<&str>;
    /// Whether a message went to them within so many days.
    fn messaged_within_days(&self, days: u32) -> bool;
    /// Whether they read a message of that campaign.
    fn read_campaign(&self, name: &str) -> bool;
    /// Whether they read a message of the last campaign that was sent to them.
    fn read_last_campaign(&self) -> bool;
    /// Whether they ever opted out.
    fn ever_opted_out(&self) -> bool;
}

impl Filter {
    /// Whether this person is meant.
    pub fn matches(&self, person: &impl Person) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(person)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(person)),
            Self::Not(part) => !part.matches(person),
            Self::Has(condition) => condition.test.holds(person.column(&condition.column).unwrap_or_default()),
            Self::MessagedWithinDays(days) => person.messaged_within_days(*days),
            Self::ReadCampaign(name) => person.read_campaign(name),
            Self::ReadLastCampaign => person.read_last_campaign(),
            Self::EverOptedOut => person.ever_opted_out(),
        }
    }

    /// How deep it is nested: 1 for a condition alone.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => 1 + parts.iter().map(Self::depth).max().unwrap_or(0),
            Self::Not(part) => 1 + part.depth(),
            _ => 1,
        }
    }

    /// Whether a filter that came as JSON is one that could have been written as text.
    ///
    /// # Errors
    /// [`FilterError::TooLong`] and [`FilterError::TooDeep`].
    pub fn check(&self) -> Result<(), FilterError> {
        if self.depth() > DEEPEST {
            return Err(FilterError::TooDeep);
        }
        if self.to_string().len() > LONGEST {
            return Err(FilterError::TooLong);
        }
        Ok(())
    }
}

impl Test {
    /// Whether it is true of what stands in the column.
    #[must_use]
    pub fn holds(&self, cell: &str) -> bool {
        let compared = |bound: &Bound, right: fn(std::cmp::Ordering) -> bool| match bound.number() {
            Some(wanted) => number(cell).and_then(|value| value.partial_cmp(&wanted)).is_some_and(right),
            None => !cell.is_empty() && right(cell.cmp(&bound.0)),
        };
        match self {
            Self::Equal(text) => cell == text,
            Self::Different(text) => cell != text,
            Self::Below(bound) => compared(bound, std::cmp::Ordering::is_lt),
            Self::AtMost(bound) => compared(bound, std::cmp::Ordering::is_le),
            Self::Above(bound) => compared(bound, std::cmp::Ordering::is_gt),
            Self::AtLeast(bound) => compared(bound, std::cmp::Ordering::is_ge),
            Self::Contains(text) => cell.contains(text.as_str()),
            Self::Empty => cell.is_empty(),
        }
    }
}

/// A text in quotes, with a backslash before each quote and backslash in it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Filter], word: &str, none: &str| {
            if parts.is_empty() {
                return f.write_str(none);
            }
            for (place, part) in parts.iter().enumerate() {
                if place > 0 {
                    write!(f, " {word} ")?;
                }
                match part {
                    Filter::All(_) | Filter::Any(_) => write!(f, "({part})")?,
                    _ => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::All(parts) => joined(f, parts, "and", "everyone"),
            Self::Any(parts) => joined(f, parts, "or", "nobody"),
            Self::Not(part) => match **part {
                Self::All(_) | Self::Any(_) => write!(f, "not ({part})"),
                _ => write!(f, "not {part}"),
            },
            Self::Has(Condition { column, test }) => {
                let column = quoted(column);
                match test {
                    Test::Equal(text) => write!(f, "{column} = {}", quoted(text)),
                    Test::Different(text) => write!(f, "{column} != {}", quoted(text)),
                    Test::Below(bound) => write!(f, "{column} < {}", quoted(&bound.0)),
                    Test::AtMost(bound) => write!(f, "{column} <= {}", quoted(&bound.0)),
                    Test::Above(bound) => write!(f, "{column} > {}", quoted(&bound.0)),
                    Test::AtLeast(bound) => write!(f, "{column} >= {}", quoted(&bound.0)),
                    Test::Contains(text) => write!(f, "{column} contains {}", quoted(text)),
                    Test::Empty => write!(f, "{column} is empty"),
                }
            }
            Self::MessagedWithinDays(days) => write!(f, "messaged within {days} days"),
            Self::ReadCampaign(name) => write!(f, "read campaign {}", quoted(name)),
            Self::ReadLastCampaign => f.write_str("read last campaign"),
            Self::EverOptedOut => f.write_str("ever opted out"),
        }
    }
}

#[cfg(test)]
mod tests;
