//! What a marketer writes for a variable: text with columns in it.

use std::borrow::Cow;
use std::str::FromStr;

use thiserror::Error;

/// A text with columns of the contact in it: `Hi {name|friend}`. `{{` and `}}` stand for single braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Column { name: String, fallback: Option<String> },
}

/// Why a text is no expression. Places are counted in characters, from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ExpressionError {
    /// `{name` without its end.
    #[error("the {{ at character {0} is never closed; close it with }}, or write {{{{ for a brace")]
    Unclosed(usize),
    /// A `}` that closes nothing.
    #[error("the }} at character {0} closes nothing; remove it, or write }}}} for a brace")]
    Unopened(usize),
    /// `{}` or `{|friend}`.
    #[error("the braces at character {0} name no column; write for example {{name}}")]
    NoColumn(usize),
    /// `{a{b}}`
    #[error("there is a {{ within the braces at character {0}; columns cannot be nested")]
    Nested(usize),
}

/// The contact has nothing in a column, and the expression no fallback for it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the column {column:?} is empty or absent for this person, and there is no fallback; fill it, or write {{{column}|…}}"
)]
pub struct MissingVariable {
    /// The column's name as the expression has it.
    pub column: String,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`ExpressionError`] says which brace is wrong.
    pub fn parse(text: &str) -> Result<Expression, ExpressionError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars().enumerate().map(|(place, c)| (place + 1, c)).peekable();
        while let Some((place, c)) = chars.next() {
            match c {
                '{' if chars.next_if(|(_, next)| *next == '{').is_some() => literal.push('{'),
                '}' if chars.next_if(|(_, next)| *next == '}').is_some() => literal.push('}'),
                '}' => return Err(ExpressionError::Unopened(place)),
                '{' => {
                    let mut inner = String::new();
                    loop {
                        match chars.next() {
                            Some((_, '}')) => break,
                            Some((_, '{')) => return Err(ExpressionError::Nested(place)),
                            Some((_, c)) => inner.push(c),
                            None => return Err(ExpressionError::Unclosed(place)),
                        }
                    }
                    let (name, fallback) = match inner.split_once('|') {
                        Some((name, fallback)) => (name, Some(fallback.to_owned())),
                        None => (inner.as_str(), None),
                    };
                    let name = name.trim();
                    if name.is_empty() {
                        return Err(ExpressionError::NoColumn(place));
                    }
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Column { name: name.to_owned(), fallback });
                }
                c => literal.push(c),
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Expression { parts })
    }

    /// The text for one contact. `column` gives what stands in a column; nothing but blanks counts as nothing.
    ///
    /// # Errors
    /// [`MissingVariable`] for the first column that has nothing and no fallback.
    pub fn render<'f>(&self, column: &dyn Fn(&str) -> Option<&'f str>) -> Result<String, MissingVariable> {
        self.value(column).map(Cow::into_owned)
    }

    /// As [`Expression::render`], without a copy where the value is one column or one piece of text.
    pub(super) fn value<'s, 'f: 's>(
        &'s self,
        column: &dyn Fn(&str) -> Option<&'f str>,
    ) -> Result<Cow<'s, str>, MissingVariable> {
        match self.parts.as_slice() {
            [] => Ok(Cow::Borrowed("")),
            [only] => only.value(column).map(Cow::Borrowed),
            parts => {
                let mut text = String::new();
                for part in parts {
                    text.push_str(part.value(column)?);
                }
                Ok(Cow::Owned(text))
            }
        }
    }

    /// The columns it names, and whether each has a fallback.
    pub fn columns(&self) -> impl Iterator<Item = (&str, bool)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Column { name, fallback } => Some((name.as_str(), fallback.is_some())),
            Part::Literal(_) => None,
        })
    }

    /// The text, if it is the same for everybody.
    pub fn constant(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }
}

impl Part {
    fn value<'s, 'f: 's>(&'s self, column: &dyn Fn(&str) -> Option<&'f str>) -> Result<&'s str, MissingVariable> {
        match self {
            Part::Literal(text) => Ok(text),
            Part::Column { name, fallback } => match column(name).map(str::trim).filter(|value| !value.is_empty()) {
                Some(value) => Ok(value),
                None => fallback.as_deref().ok_or_else(|| MissingVariable { column: name.clone() }),
            },
        }
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        Expression::parse(text)
    }
}
