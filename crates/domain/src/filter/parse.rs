//! A filter as people write it.

use std::str::FromStr;

use thiserror::Error;

use super::{Bound, Condition, DEEPEST, Filter, LONGEST, Test};
use crate::Millis;
use crate::phone::Region;
use crate::schedule::{parse_at, parse_zone};

/// Why a text is no filter, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FilterError {
    /// Something else was expected.
    #[error("at {place}: expected {expected}{}", found.as_ref().map(|found| format!(", found {found:?}")).unwrap_or_default())]
    Expected {
        /// Which character of the text, from 1.
        place: usize,
        /// What could stand there.
        expected: &'static str,
        /// What stands there; `None`: the text ends.
        found: Option<String>,
    },
    /// A text in quotes does not end.
    #[error("at {0}: the quote that opens here is not closed")]
    OpenQuote(usize),
    /// A character that means nothing.
    #[error("at {0}: the character {1:?} has no meaning here; put texts in quotes")]
    Character(usize, char),
    /// Too many characters.
    #[error("a filter has at most {LONGEST} bytes")]
    TooLong,
    /// Too many brackets.
    #[error("a filter is nested at most {DEEPEST} deep")]
    TooDeep,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// Letters, digits and what numbers, days and codes are made of.
    Word(String),
    /// In quotes.
    Text(String),
    /// An operator or a bracket.
    Sign(&'static str),
}

/// Longer ones first, so that `<=` is not `<` and `=`.
const SIGNS: [&str; 11] = ["!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ",", "،"];
/// Those that compare a column.
const COMPARISONS: [&str; 6] = ["!=", "<=", ">=", "=", "<", ">"];
/// The longest time that `within` goes back.
const MOST_DAYS: u32 = 36_500;

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, FilterError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut place = 1;
    while let Some(first) = rest.chars().next() {
        let at = place;
        let mut step = |count: usize| {
            let bytes = rest.char_indices().nth(count).map_or(rest.len(), |(byte, _)| byte);
            let taken = &rest[..bytes];
            rest = &rest[bytes..];
            place += count;
            taken
        };
        if first.is_whitespace() {
            step(1);
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| text_after(text, at).starts_with(sign)) {
            step(sign.chars().count());
            let sign = match sign {
                "<>" => "!=",
                "،" => ",",
                sign => sign,
            };
            tokens.push((at, Token::Sign(sign)));
        } else if let Some(end) = closing(first) {
            step(1);
            let mut inside = String::new();
            loop {
                match step(1).chars().next() {
                    None => return Err(FilterError::OpenQuote(at)),
                    Some('\\') => inside.push_str(step(1)),
                    // No database takes it in a text.
                    Some('\0') => return Err(FilterError::Character(place - 1, '\0')),
                    Some(c) if c == end => break,
                    Some(c) => inside.push(c),
                }
            }
            tokens.push((at, Token::Text(inside)));
        } else if is_word(first) {
            let length = text_after(text, at).chars().take_while(|c| is_word(*c)).count();
            tokens.push((at, Token::Word(step(length).to_owned())));
        } else {
            return Err(FilterError::Character(at, first));
        }
    }
    Ok(tokens)
}

/// The text from a character on, counted from 1.
fn text_after(text: &str, place: usize) -> &str {
    text.char_indices().nth(place - 1).map_or("", |(byte, _)| &text[byte..])
}

/// What ends a text that begins with this quote, as keyboards and word processors write them.
const fn closing(first: char) -> Option<char> {
    match first {
        '"' => Some('"'),
        '\'' => Some('\''),
        '“' => Some('”'),
        '«' => Some('»'),
        _ => None,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | ':' | '/' | '@' | '%')
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    end: usize,
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        if text.len() > LONGEST {
            return Err(FilterError::TooLong);
        }
        let mut parser = Parser { tokens: tokens(text)?, at: 0, end: text.chars().count() + 1 };
        let filter = parser.any(0)?;
        match parser.peek() {
            None => Ok(filter),
            Some(_) => Err(parser.expected("and, or, or the end")),
        }
    }
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn expected(&self, expected: &'static str) -> FilterError {
        let (place, found) = match self.tokens.get(self.at) {
            None => (self.end, None),
            Some((place, Token::Word(text) | Token::Text(text))) => (*place, Some(text.clone())),
            Some((place, Token::Sign(sign))) => (*place, Some((*sign).to_owned())),
        };
        FilterError::Expected { place, expected, found }
    }

    /// Takes a word of the language, in whatever capitals.
    fn word(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(is);
        is
    }

    fn sign(&mut self, sign: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(is);
        is
    }

    /// Whether a word follows the one that is next: only then does that one begin a phrase and is no column.
    fn phrase(&self, first: &str, second: &[&str]) -> bool {
        let is = |token: Option<&(usize, Token)>, words: &[&str]| matches!(token, Some((_, Token::Word(found))) if words.iter().any(|word| found.eq_ignore_ascii_case(word)));
        is(self.tokens.get(self.at), &[first]) && is(self.tokens.get(self.at + 1), second)
    }

    fn any(&mut self, depth: usize) -> Result<Filter, FilterError> {
        let mut parts = vec![self.all(depth)?];
        while self.word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Filter::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Filter, FilterError> {
        let mut parts = vec![self.one(depth)?];
        while self.word("and") {
            parts.push(self.one(depth)?);
        }
        Ok(one_or(parts, Filter::All))
    }

    fn one(&mut self, depth: usize) -> Result<Filter, FilterError> {
        if depth > DEEPEST {
            return Err(FilterError::TooDeep);
        }
        if self.sign("(") {
            let inside = self.any(depth + 1)?;
            return if self.sign(")") { Ok(inside) } else { Err(self.expected("a closing bracket")) };
        }
        if self.phrase("never", &["opted"]) {
            self.at += 1;
            return Ok(Filter::Not(Box::new(self.opted_out()?)));
        }
        if self.phrase("ever", &["opted"]) {
            self.at += 1;
            return self.opted_out();
        }
        if self.phrase("messaged", &["within"]) {
            self.at += 2;
            return self.days().map(Filter::MessagedWithinDays);
        }
        if self.phrase("joined", &["since"]) {
            self.at += 2;
            return self.day().map(Filter::JoinedSince);
        }
        if self.phrase("replied", &["within"]) {
            self.at += 2;
            return self.days().map(|days| Filter::Replied(Some(days)));
        }
        if self.phrase("replied", &["to"]) {
            self.at += 2;
            if !self.word("campaign") {
                return Err(self.expected("campaign"));
            }
            return Ok(Filter::RepliedTo(self.value("the name of a campaign")?));
        }
        if self.phrase("read", &["last", "the", "campaign"]) {
            self.at += 1;
            return self.read();
        }
        // In quotes these are columns of a file.
        if self.word("country") {
            return self.several("a country's two letters, as EG", |text| text.parse::<Region>().ok(), Filter::Country);
        }
        if self.word("timezone") || self.two_words("time", "zone") {
            return self.several("a time zone, as Africa/Cairo", |text| parse_zone(text).ok(), Filter::TimeZone);
        }
        let next = self.tokens.get(self.at + 1).map(|(_, token)| token);
        let is_comparison = matches!(next, Some(Token::Sign(sign)) if COMPARISONS.contains(sign));
        if !is_comparison {
            let ends = match next {
                None | Some(Token::Sign(_)) => true,
                Some(Token::Word(word)) => ["and", "or"].iter().any(|known| word.eq_ignore_ascii_case(known)),
                Some(Token::Text(_)) => false,
            };
            if ends && self.word("replied") {
                return Ok(Filter::Replied(None));
            }
            if self.word("not") {
                return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
            }
            if self.word("everyone") {
                return Ok(Filter::All(Vec::new()));
            }
            if self.word("nobody") {
                return Ok(Filter::Any(Vec::new()));
            }
        }
        self.condition()
    }

    fn opted_out(&mut self) -> Result<Filter, FilterError> {
        if self.word("opted") && self.word("out") { Ok(Filter::EverOptedOut) } else { Err(self.expected("opted out")) }
    }

    fn days(&mut self) -> Result<u32, FilterError> {
        let days = match self.peek() {
            Some(Token::Word(word)) => word.parse::<u32>().ok().filter(|days| (1..=MOST_DAYS).contains(days)),
            _ => None,
        };
        let Some(days) = days else { return Err(self.expected("a number of days")) };
        self.at += 1;
        if self.word("days") || self.word("day") { Ok(days) } else { Err(self.expected("days")) }
    }

    /// A day, which begins at midnight UTC, or a time with its offset.
    fn day(&mut self) -> Result<Millis, FilterError> {
        let at = match self.peek() {
            Some(Token::Word(text) | Token::Text(text)) => {
                parse_at(text).or_else(|_| parse_at(&format!("{text}T00:00:00Z"))).ok()
            }
            _ => None,
        };
        let Some(at) = at else {
            return Err(self.expected("a day as 2026-01-31, or a time as 2026-01-31T10:00:00+02:00"));
        };
        self.at += 1;
        Ok(at)
    }

    fn two_words(&mut self, first: &str, second: &str) -> bool {
        let is = self.phrase(first, &[second]);
        self.at += 2 * usize::from(is);
        is
    }

    /// `=`, `!=`, `in (…)` or `not in (…)`, and what they compare with.
    fn several<T>(
        &mut self,
        what: &'static str,
        read: fn(&str) -> Option<T>,
        filter: fn(Vec<T>) -> Filter,
    ) -> Result<Filter, FilterError> {
        let (is_not, is_list) = if self.sign("=") {
            (false, false)
        } else if self.sign("!=") {
            (true, false)
        } else if self.word("in") {
            (false, true)
        } else if self.two_words("not", "in") {
            (true, true)
        } else {
            return Err(self.expected("=, !=, in or not in; put a column of this name in quotes"));
        };
        let one = |parser: &mut Self| {
            let at = parser.at;
            let found = read(&parser.value(what)?);
            found.ok_or_else(|| {
                parser.at = at;
                parser.expected(what)
            })
        };
        let wanted = if is_list { self.listed(one)? } else { vec![one(self)?] };
        Ok(if is_not { Filter::Not(Box::new(filter(wanted))) } else { filter(wanted) })
    }

    /// Values in brackets, with commas between them.
    fn listed<T>(&mut self, one: impl Fn(&mut Self) -> Result<T, FilterError>) -> Result<Vec<T>, FilterError> {
        if !self.sign("(") {
            return Err(self.expected("an opening bracket"));
        }
        let mut all = vec![one(self)?];
        while self.sign(",") {
            all.push(one(self)?);
        }
        if self.sign(")") { Ok(all) } else { Err(self.expected("a comma, or a closing bracket")) }
    }

    fn read(&mut self) -> Result<Filter, FilterError> {
        let _ = self.word("the");
        if self.word("last") {
            return if self.word("campaign") { Ok(Filter::ReadLastCampaign) } else { Err(self.expected("campaign")) };
        }
        if !self.word("campaign") {
            return Err(self.expected("campaign, or last campaign"));
        }
        Ok(Filter::ReadCampaign(self.value("the name of a campaign")?))
    }

    fn value(&mut self, what: &'static str) -> Result<String, FilterError> {
        match self.peek() {
            Some(Token::Word(text) | Token::Text(text)) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.expected(what)),
        }
    }

    fn condition(&mut self) -> Result<Filter, FilterError> {
        let column = self.value("a column, not, a bracket, messaged, read, replied, joined, or never opted out")?;
        let test = if self.word("contains") {
            Test::Contains(self.value("a text")?)
        } else if self.word("in") {
            Test::OneOf(self.listed(|parser| parser.value("a value"))?)
        } else if self.two_words("not", "in") {
            let test = Test::OneOf(self.listed(|parser| parser.value("a value"))?);
            return Ok(Filter::Not(Box::new(Filter::Has(Condition { column, test }))));
        } else if self.word("is") {
            let not = self.word("not");
            if !self.word("empty") {
                return Err(self.expected("empty"));
            }
            let empty = Filter::Has(Condition { column, test: Test::Empty });
            return Ok(if not { Filter::Not(Box::new(empty)) } else { empty });
        } else {
            let Some(Token::Sign(sign)) = self.peek().cloned() else {
                return Err(self.expected("=, !=, <, <=, >, >=, in, contains, or is empty"));
            };
            self.at += 1;
            match sign {
                "=" => Test::Equal(self.value("a value")?),
                "!=" => Test::Different(self.value("a value")?),
                "<" => Test::Below(Bound(self.value("a value")?)),
                "<=" => Test::AtMost(Bound(self.value("a value")?)),
                ">" => Test::Above(Bound(self.value("a value")?)),
                ">=" => Test::AtLeast(Bound(self.value("a value")?)),
                _ => {
                    self.at -= 1;
                    return Err(self.expected("=, !=, <, <=, >, >=, in, contains, or is empty"));
                }
            }
        };
        Ok(Filter::Has(Condition { column, test }))
    }
}

fn one_or(mut parts: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}
