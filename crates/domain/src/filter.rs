//! Which people of a list are meant: a small language over what is known of them and what was sent to them.
//!
//! `city = "Cairo" and not messaged within 30 days and (read campaign "spring" or read last campaign)`
//!
//! | it says | who is meant |
//! |---|---|
//! | `city = Cairo`, `!=`, `<`, `<=`, `>`, `>=`, `contains`, `is empty`, `in (Cairo, Giza)`, `not in (…)` | by a column of theirs; `name` and `language` are columns, too |
//! | `country = EG`, `country in (EG, SA)` | by the country of their number; `"country"` in quotes is the file's column |
//! | `time zone = Africa/Cairo` | by the zone that their column names, else that of their number's country |
//! | `messaged within 30 days` | a message of any campaign left for them, or may have |
//! | `read campaign "spring"`, `read last campaign` | they opened it |
//! | `replied`, `replied within 30 days`, `replied to campaign "spring"` | they wrote to us |
//! | `joined since 2026-01-31` | they came to one of the lists then or later; a day begins at midnight UTC |
//! | `ever opted out`, `never opted out` | whether the stop stands or was lifted |
//!
//! `and`, `or`, `not` and brackets join them. A [`Filter`] is the same thing as a tree. `Display` writes it in words
//! that `Filter::from_str` reads back. Texts are compared letter by letter, capitals included, so that every database
//! answers alike; numbers are compared as numbers, and whoever has no number there is not meant.

mod parse;

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::Millis;
use crate::phone::Region;
use crate::schedule::Tz;

pub use parse::FilterError;

/// The longest filter, in bytes of its text.
pub const LONGEST: usize = 4_000;
/// The deepest nesting.
pub const DEEPEST: usize = 20;
/// The longest number that is compared as one, in characters: fifteen digits are exact everywhere.
pub const LONGEST_NUMBER: usize = 16;

/// Who is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Everyone of whom all of these are true.
    All(Vec<Filter>),
    /// Everyone of whom one of these is true.
    Any(Vec<Filter>),
    /// Everyone of whom this is not true.
    Not(Box<Filter>),
    /// What is known of them.
    Has(Condition),
    /// Their number is of one of these countries: `country in (EG, SA)`.
    Country(Vec<Region>),
    /// Their clock is that of one of these zones: `time zone = Africa/Cairo`.
    TimeZone(Vec<Tz>),
    /// A message left for them within so many days, from any campaign, or may have: `messaged within 30 days`.
    MessagedWithinDays(u32),
    /// They read a message of that campaign, or of a run of it: `read campaign "spring"`.
    ReadCampaign(String),
    /// They read a message of the campaign that was launched last, of those of the last year that were sent to them:
    /// `read last campaign`.
    ReadLastCampaign,
    /// They wrote to us, at some time or within so many days: `replied`, `replied within 30 days`.
    Replied(Option<u32>),
    /// They wrote to us in answer to that campaign, or to a run of it: `replied to campaign "spring"`.
    RepliedTo(String),
    /// They came to one of the lists that are meant then or later, epoch ms: `joined since 2026-01-31`.
    JoinedSince(Millis),
    /// They have opted out at some time, whether it stands or was lifted: `ever opted out`.
    EverOptedOut,
}

/// A comparison of what stands in one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `name`, `language`, or the header of another column, letter by letter.
    pub column: String,
    /// How it is compared.
    pub test: Test,
}

/// How a column is compared. An empty cell, or none, is the empty text.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// `in (…)`
    OneOf(Vec<String>),
}

/// What `<` and its like compare with: a number with numbers, any other text with texts by the order of their letters,
/// which is right for days written as 2026-01-31. An empty cell is never below or above anything.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The country of their number.
    fn country(&self) -> Option<Region>;
    /// The zone of their clock, where it is known.
    fn time_zone(&self) -> Option<Tz>;
    /// Whether a message went to them within so many days.
    fn messaged_within_days(&self, days: u32) -> bool;
    /// Whether they read a message of that campaign.
    fn read_campaign(&self, name: &str) -> bool;
    /// Whether they read a message of the last campaign that was sent to them.
    fn read_last_campaign(&self) -> bool;
    /// Whether they wrote to us, at some time or within so many days.
    fn replied(&self, within_days: Option<u32>) -> bool;
    /// Whether they wrote to us in answer to that campaign.
    fn replied_to(&self, campaign: &str) -> bool;
    /// Whether they came to a list at that time or later.
    fn joined_since(&self, at: Millis) -> bool;
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
            Self::Country(countries) => person.country().is_some_and(|country| countries.contains(&country)),
            Self::TimeZone(zones) => person.time_zone().is_some_and(|zone| zones.contains(&zone)),
            Self::MessagedWithinDays(days) => person.messaged_within_days(*days),
            Self::ReadCampaign(name) => person.read_campaign(name),
            Self::ReadLastCampaign => person.read_last_campaign(),
            Self::Replied(days) => person.replied(*days),
            Self::RepliedTo(name) => person.replied_to(name),
            Self::JoinedSince(at) => person.joined_since(*at),
            Self::EverOptedOut => person.ever_opted_out(),
        }
    }

    /// Everything that it asks, without what joins it.
    #[must_use]
    pub fn questions(&self) -> Vec<&Self> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::questions).collect(),
            Self::Not(part) => part.questions(),
            asked => vec![asked],
        }
    }

    /// The columns that it compares, `name` and `language` among them.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.questions().into_iter().filter_map(|asked| match asked {
            Self::Has(condition) => Some(condition.column.as_str()),
            _ => None,
        })
    }

    /// The campaigns that it names.
    pub fn campaigns(&self) -> impl Iterator<Item = &str> {
        self.questions().into_iter().filter_map(|asked| match asked {
            Self::ReadCampaign(name) | Self::RepliedTo(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether its answer changes with what is sent to people, read by them and answered.
    #[must_use]
    pub fn rests_on_history(&self) -> bool {
        self.questions().into_iter().any(|asked| {
            matches!(
                asked,
                Self::MessagedWithinDays(_)
                    | Self::ReadCampaign(_)
                    | Self::ReadLastCampaign
                    | Self::Replied(_)
                    | Self::RepliedTo(_)
            )
        })
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
            Self::OneOf(texts) => texts.iter().any(|text| cell == text),
        }
    }
}

/// A text in quotes, with a backslash before each quote and backslash in it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Several texts in brackets.
fn listed<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    format!("({})", texts.map(quoted).collect::<Vec<_>>().join(", "))
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
                    Test::OneOf(texts) => write!(f, "{column} in {}", listed(texts.iter().map(String::as_str))),
                }
            }
            Self::Country(countries) => write!(f, "country in {}", listed(countries.iter().map(Region::as_str))),
            Self::TimeZone(zones) => write!(f, "time zone in {}", listed(zones.iter().map(|zone| zone.name()))),
            Self::MessagedWithinDays(days) => write!(f, "messaged within {days} days"),
            Self::ReadCampaign(name) => write!(f, "read campaign {}", quoted(name)),
            Self::ReadLastCampaign => f.write_str("read last campaign"),
            Self::Replied(None) => f.write_str("replied"),
            Self::Replied(Some(days)) => write!(f, "replied within {days} days"),
            Self::RepliedTo(name) => write!(f, "replied to campaign {}", quoted(name)),
            Self::JoinedSince(at) => {
                let at = DateTime::<Utc>::from_timestamp_millis(*at).unwrap_or_default();
                write!(f, "joined since {}", at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
            }
            Self::EverOptedOut => f.write_str("ever opted out"),
        }
    }
}

#[cfg(test)]
mod tests;
