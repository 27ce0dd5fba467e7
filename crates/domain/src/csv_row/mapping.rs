//! Which column is what.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use thiserror::Error;

use super::headers;
use crate::optout::normalise;

/// What Hudhud itself knows of a contact. Every other column is an attribute under its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// `phone`
    Phone,
    /// `name`
    Name,
    /// `language`
    Language,
    /// `opt_in_at`
    OptInAt,
}

/// A text that names no field.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a field; the fields are phone, name, language and opt_in_at")]
pub struct UnknownField(pub String);

/// What one column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Phone,
    Name,
    Language,
    OptInAt,
    Attribute,
    /// A column without a header: nothing could be said about what stands there.
    Ignored,
}

/// Which column of a file is what, found once from its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    headers: Vec<String>,
    roles: Vec<Role>,
}

/// Why a header cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MappingError {
    /// No column looks like the phone number, or the opt-in's time where that is needed.
    #[error("no column looks like {field}; the columns are {}; name one with --map {field}=COLUMN", columns.join(", "))]
    NotFound {
        /// What was looked for.
        field: Field,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// Several columns could be it.
    #[error("{} could each be {field}; name one with --map {field}=COLUMN", columns.join(" and "))]
    Ambiguous {
        /// What was looked for.
        field: Field,
        /// The columns that look like it.
        columns: Vec<String>,
    },
    /// A named column is not there.
    #[error("there is no column {column:?}; the columns are {}", columns.join(", "))]
    NoSuchColumn {
        /// The name that was given.
        column: String,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// A field was named twice, or a column for two fields.
    #[error("{0} is mapped twice; map each field and each column once")]
    MappedTwice(String),
    /// Two columns of the same name: one would hide the other.
    #[error("two columns are called {0:?}; rename or remove one of them")]
    SameHeader(String),
}

impl Field {
    const ALL: [Field; 4] = [Field::Phone, Field::Name, Field::Language, Field::OptInAt];

    /// The field's name in commands and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Field::Phone => "phone",
            Field::Name => "name",
            Field::Language => "language",
            Field::OptInAt => "opt_in_at",
        }
    }

    /// The field that a header means, in English, Arabic, Spanish, Portuguese or French.
    pub fn guess(header: &str) -> Option<Field> {
        meaning(header).map(|(field, _)| field)
    }

    /// What columns for this field are called, the surest first.
    const fn words(self) -> &'static [&'static str] {
        match self {
            Field::Phone => headers::PHONE,
            Field::Name => headers::NAME,
            Field::Language => headers::LANGUAGE,
            Field::OptInAt => headers::OPT_IN_AT,
        }
    }

    const fn role(self) -> Role {
        match self {
            Field::Phone => Role::Phone,
            Field::Name => Role::Name,
            Field::Language => Role::Language,
            Field::OptInAt => Role::OptInAt,
        }
    }
}

impl Mapping {
    /// Finds out from a header which column is what. `overrides` name columns outright; the rest is guessed from the
    /// headers' words. The phone number must be found, and the opt-in's time if `needs_opt_in_at`.
    ///
    /// # Errors
    /// [`MappingError`] if a needed column is missing, if several could be the phone number, or if the header
    /// contradicts itself. Of several names the likeliest is taken and the others stay attributes.
    pub fn from_header(
        header: &[String],
        overrides: &[(Field, String)],
        needs_opt_in_at: bool,
    ) -> Result<Mapping, MappingError> {
        let headers: Vec<String> = header.iter().map(|name| clean(name).to_owned()).collect();
        for (place, name) in headers.iter().enumerate() {
            if !name.is_empty() && headers[..place].contains(name) {
                return Err(MappingError::SameHeader(name.clone()));
            }
        }
        let roles = headers.iter().map(|name| if name.is_empty() { Role::Ignored } else { Role::Attribute }).collect();
        let mut mapping = Mapping { headers, roles };
        for (field, column) in overrides {
            if mapping.has(*field) {
                return Err(MappingError::MappedTwice(field.to_string()));
            }
            let place = mapping.find(column)?;
            if mapping.roles[place] != Role::Attribute {
                return Err(MappingError::MappedTwice(column.clone()));
            }
            mapping.roles[place] = field.role();
        }
        for field in Field::ALL {
            let needed = match field {
                Field::Phone => true,
                Field::Name | Field::Language => false,
                // Where the whole file has one time, a column of times is an attribute like any other.
                Field::OptInAt if !needs_opt_in_at => continue,
                Field::OptInAt => true,
            };
            if !mapping.has(field) {
                mapping.guess(field, needed)?;
            }
        }
        Ok(mapping)
    }

    /// The headers, as they name attributes and columns in reports.
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// The header of the column that a field is read from.
    pub fn column_of(&self, field: Field) -> Option<&str> {
        let place = self.roles.iter().position(|role| *role == field.role())?;
        self.headers.get(place).map(String::as_str)
    }

    /// The headers of the columns that become attributes.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .zip(&self.roles)
            .filter(|(_, role)| **role == Role::Attribute)
            .map(|(name, _)| name.as_str())
    }

    pub(super) fn roles(&self) -> &[Role] {
        &self.roles
    }

    fn has(&self, field: Field) -> bool {
        self.roles.contains(&field.role())
    }

    fn find(&self, column: &str) -> Result<usize, MappingError> {
        let wanted = clean(column);
        let exact = self.headers.iter().position(|name| name == wanted);
        let loose = || {
            let wanted = wanted.to_lowercase();
            self.headers.iter().position(|name| !name.is_empty() && name.to_lowercase() == wanted)
        };
        exact
            .filter(|_| !wanted.is_empty())
            .or_else(loose)
            .ok_or_else(|| MappingError::NoSuchColumn { column: wanted.to_owned(), columns: self.headers.clone() })
    }

    fn guess(&mut self, field: Field, needed: bool) -> Result<(), MappingError> {
        // Each with the rank of its word, the surest first.
        let mut found: Vec<(usize, usize)> = self
            .headers
            .iter()
            .enumerate()
            .filter(|(place, _)| self.roles[*place] == Role::Attribute)
            .filter_map(|(place, name)| {
                meaning(name).filter(|(meant, _)| *meant == field).map(|(_, rank)| (rank, place))
            })
            .collect();
        found.sort_unstable();
        // A column that bears the field's own name is meant; otherwise which of two numbers is not ours to say.
        let sure = found.first().is_some_and(|(rank, _)| *rank == 0);
        if needed && found.len() > 1 && !sure {
            let columns = found.iter().map(|(_, place)| self.headers[*place].clone()).collect();
            return Err(MappingError::Ambiguous { field, columns });
        }
        match found.first() {
            Some((_, place)) => self.roles[*place] = field.role(),
            None if needed => return Err(MappingError::NotFound { field, columns: self.headers.clone() }),
            None => {}
        }
        Ok(())
    }
}

/// The field that a header means, and how surely: the place of its word in the field's list. Rows without a value ask
/// for it too, so the words are normalised once.
fn meaning(header: &str) -> Option<(Field, usize)> {
    static WORDS: LazyLock<HashMap<String, (Field, usize)>> = LazyLock::new(|| {
        let ranked = |field: Field| field.words().iter().enumerate().map(move |(rank, word)| (word, (field, rank)));
        // The surer word of two that are normalised alike comes later and stays.
        Field::ALL
            .into_iter()
            .flat_map(|field| ranked(field).rev())
            .map(|(word, meant)| (normalise(word), meant))
            .collect()
    });
    WORDS.get(&normalise(header)).copied()
}

/// A header without its blanks, and without the mark that a file of UTF-8 may begin with.
fn clean(header: &str) -> &str {
    header.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200e}' | '\u{200f}'))
}

impl FromStr for Field {
    type Err = UnknownField;

    fn from_str(text: &str) -> Result<Self, UnknownField> {
        let name = text.trim().to_ascii_lowercase().replace('-', "_");
        Field::ALL.into_iter().find(|field| field.as_str() == name).ok_or_else(|| UnknownField(text.to_owned()))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
