//! A row of an uploaded file becomes a contact, or says why not.
//!
//! Splitting the file into cells is the caller's. Here the header becomes a [`Mapping`], once, and each row goes
//! through [`parse_row`]. A row with several faults names them all, so that a file is mended in one go.

mod headers;
mod language;
mod mapping;
mod opt_in;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::Millis;
use crate::phone::{self, PhoneNumber, Region};

pub use mapping::{Field, Mapping, MappingError, UnknownField};

use mapping::Role;

/// The most characters of a value that a rejected row repeats.
const LONGEST_VALUE: usize = 64;
/// The most bytes a cell may have. No placeholder takes more.
const LONGEST_CELL: usize = 4096;

/// What holds for every row of a file.
#[derive(Clone, Copy, Debug)]
pub struct RowRules {
    /// The country of phone numbers without a country code.
    pub region: Option<Region>,
    /// Where the time of the opt-in comes from.
    pub opt_in_at: OptInAt,
    /// The present. An opt-in cannot be later.
    pub now: Millis,
}

/// Where the time of the opt-in comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptInAt {
    /// One time for the whole file.
    Fixed(Millis),
    /// The row's own, in the column that the mapping has for [`Field::OptInAt`].
    Column,
}

/// A contact as a row gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewContact {
    /// The person's number.
    pub phone: PhoneNumber,
    /// The person's name, on one line.
    pub name: Option<String>,
    /// A language code as Meta writes them: `ar`, `en_US`.
    pub language: Option<String>,
    /// What stands in the other columns, by their headers. Empty cells are left out.
    pub attributes: BTreeMap<String, String>,
    /// When the person opted in.
    pub opt_in_at: Millis,
}

/// One fault of a row. `Debug` leaves the value out, since it may be a person's number.
#[derive(Clone, PartialEq, Eq)]
pub struct RowError {
    /// The column's header; empty if the fault is the row's.
    pub column: String,
    /// What stands in the cell, shortened to 64 characters.
    pub value: String,
    /// The reason in kebab-case; it does not change.
    pub code: &'static str,
    /// What is wrong and what to do, for a person.
    pub reason: String,
}

/// Reads one row. `cells` are the row's, in the order of the header.
///
/// # Errors
/// Every fault of the row; at least one.
pub fn parse_row(mapping: &Mapping, rules: &RowRules, cells: &[&str]) -> Result<NewContact, Vec<RowError>> {
    let columns = mapping.roles();
    // Blank cells past the header's end are what a spreadsheet appends, not data.
    let extra = cells.iter().skip(columns.len()).any(|cell| !cell.trim().is_empty());
    if cells.len() < columns.len() || extra {
        return Err(vec![ragged(cells.len(), columns.len())]);
    }
    let mut errors = Vec::new();
    let mut phone = None;
    let mut name = None;
    let mut language = None;
    let mut attributes = BTreeMap::new();
    let mut opt_in_at = match rules.opt_in_at {
        OptInAt::Fixed(at) => Some(at),
        OptInAt::Column => None,
    };
    for ((role, header), cell) in columns.iter().zip(mapping.headers()).zip(cells) {
        if let Err((code, reason)) = check_cell(cell) {
            errors.push(RowError::new(header, cell, code, reason));
            continue;
        }
        match role {
            Role::Phone => match phone::parse(cell, rules.region) {
                Ok(number) => phone = Some(number),
                Err(error) => errors.push(RowError::new(header, cell, error.code(), error.to_string())),
            },
            Role::Name => name = on_one_line(cell),
            Role::Language => match language::read(cell) {
                Ok(code) => language = code,
                Err(error) => errors.push(RowError::new(header, cell, error.code(), error.to_string())),
            },
            Role::OptInAt if rules.opt_in_at == OptInAt::Column => match opt_in::read(cell, rules.now) {
                Ok(at) => opt_in_at = Some(at),
                Err(error) => errors.push(RowError::new(header, cell, error.code(), error.to_string())),
            },
            Role::Attribute | Role::OptInAt => {
                let value = cell.trim();
                if !value.is_empty() {
                    attributes.insert(header.clone(), value.to_owned());
                }
            }
            Role::Ignored => {}
        }
    }
    match (phone, opt_in_at) {
        (Some(phone), Some(opt_in_at)) if errors.is_empty() => {
            Ok(NewContact { phone, name, language, attributes, opt_in_at })
        }
        (_, None) if errors.is_empty() => Err(vec![RowError {
            column: String::new(),
            value: String::new(),
            code: "opt-in-no-column",
            reason: "no column holds the time of the opt-in; name it".to_owned(),
        }]),
        _ => Err(errors),
    }
}

/// What no cell may be, whatever stands in it.
fn check_cell(cell: &str) -> Result<(), (&'static str, String)> {
    if cell.len() > LONGEST_CELL {
        let reason = format!("the cell is longer than {LONGEST_CELL} bytes; shorten it, or check for a missing quote");
        return Err(("cell-too-long", reason));
    }
    if cell.contains('\0') {
        return Err(("cell-binary", "the cell holds a zero byte; export the file as text, in UTF-8".to_owned()));
    }
    Ok(())
}

/// The text without line breaks and doubled blanks; `None` if nothing is left.
fn on_one_line(cell: &str) -> Option<String> {
    let text = cell.trim();
    if text.is_empty() {
        return None;
    }
    let clean = |text: &str| !text.contains(|c: char| c.is_control()) && !text.contains("  ");
    let text = if clean(text) {
        Cow::Borrowed(text)
    } else {
        let without: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Cow::Owned(without.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    Some(text.into_owned()).filter(|text| !text.is_empty())
}

#[cold]
fn ragged(cells: usize, columns: usize) -> RowError {
    let (code, cause) = if cells < columns {
        ("row-too-few-cells", "a delimiter or a cell is missing")
    } else {
        ("row-too-many-cells", "a value with the delimiter in it needs quotes")
    };
    RowError {
        column: String::new(),
        value: String::new(),
        code,
        reason: format!("the row has {cells} cells and the header {columns}; {cause}"),
    }
}

impl RowError {
    fn new(column: &str, value: &str, code: &'static str, reason: String) -> RowError {
        let value = match value.char_indices().nth(LONGEST_VALUE) {
            Some((end, _)) => &value[..end],
            None => value,
        };
        RowError { column: column.to_owned(), value: value.to_owned(), code, reason }
    }
}

impl fmt::Debug for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowError({} in {:?}: {})", self.code, self.column, self.reason)
    }
}

#[cfg(test)]
mod tests;
