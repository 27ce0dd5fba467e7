//! A row of an uploaded file becomes a contact, or says why not.
//!
//! Splitting the file into cells is the caller's. Here the header becomes a [`Mapping`], once, and each row goes
//! through [`parse_row`]. A row with several faults names them all, so that a file is mended in one go.

mod country;
mod headers;
mod language;
mod mapping;
mod months;
mod opt_in;
mod user_id;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::Millis;
use crate::phone::{self, PhoneError, PhoneNumber, Region};
use crate::reasons::{self, Tongue};

pub use mapping::{Field, Mapping, MappingError, Sample, UnknownField};
pub use opt_in::{DateOrder, TimeRules, UnknownDateOrder};

use mapping::Role;

/// The most characters of a value that a rejected row repeats.
const LONGEST_VALUE: usize = 64;
/// The most bytes a cell may have. No placeholder takes more.
const LONGEST_CELL: usize = 4096;

/// The most characters of what says where a consent comes from.
pub const LONGEST_SOURCE: usize = 200;
/// Under what name the time zone is kept among the attributes.
const TIME_ZONE: &str = "time_zone";

/// What spreadsheets show, and write into their exports, where a formula has no value.
const FORMULA_ERRORS: [&str; 11] =
    ["#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#¡REF!", "#¡VALOR!", "#¡DIV/0!", "#¿NOMBRE?"];

/// What holds for every row of a file.
#[derive(Clone, Copy, Debug)]
pub struct RowRules {
    /// The country of phone numbers without a country code, where the row has no country of its own.
    pub region: Option<Region>,
    /// Where the time of the opt-in comes from.
    pub opt_in_at: OptInAt,
    /// How the file writes times.
    pub times: TimeRules,
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

/// A contact as a row gives it. Phone or user id is there, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewContact {
    /// The person's number.
    pub phone: Option<PhoneNumber>,
    /// The person's business-scoped user id.
    pub user_id: Option<String>,
    /// The person's name, on one line.
    pub name: Option<String>,
    /// A language code as Meta writes them: `ar`, `en_US`.
    pub language: Option<String>,
    /// What stands in the other columns, by their headers. Empty cells are left out.
    pub attributes: BTreeMap<String, String>,
    /// When the person opted in.
    pub opt_in_at: Millis,
    /// Where the consent comes from, where a column says it.
    pub opt_in_source: Option<String>,
    /// The words that the person agreed to, where a column says them.
    pub opt_in_wording: Option<String>,
}

/// One fault of a row. `Debug` leaves the value and the facts out, since they may be a person's number.
#[derive(Clone, PartialEq, Eq)]
pub struct RowError {
    /// The column's header; empty if the fault is the row's.
    pub column: String,
    /// What stands in the cell, shortened to 64 characters.
    pub value: String,
    /// The reason in kebab-case; it does not change.
    pub code: &'static str,
    /// What the reason's text names, in its order: counts, a character, a column.
    pub facts: Vec<String>,
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
    let mut row = Row::new(rules);
    let country = mapping.place_of(Field::Country).and_then(|place| cells.get(place)).map(|cell| cell.trim());
    if let Some(country) = country.filter(|text| !text.is_empty()) {
        row.region = country::read(country);
        row.country_unknown = row.region.is_none();
    }
    for ((role, header), cell) in columns.iter().zip(mapping.headers()).zip(cells) {
        match (check_cell(cell), role) {
            (Err((code, facts)), _) => row.errors.push(RowError::new(header, cell, code, facts)),
            (Ok(()), Role::Is(field)) => row.take(*field, header, cell),
            (Ok(()), Role::Attribute) => row.keep(header, cell),
        }
    }
    row.end(mapping, cells)
}

/// A row half read.
struct Row<'a> {
    rules: &'a RowRules,
    /// Of the row's numbers.
    region: Option<Region>,
    /// The row names a country that nobody here knows.
    country_unknown: bool,
    phone_empty: bool,
    phone: Option<PhoneNumber>,
    user_id: Option<String>,
    name: Option<String>,
    language: Option<String>,
    attributes: BTreeMap<String, String>,
    opt_in_at: Option<Millis>,
    opt_in_source: Option<String>,
    opt_in_wording: Option<String>,
    errors: Vec<RowError>,
}

impl<'a> Row<'a> {
    fn new(rules: &'a RowRules) -> Self {
        let opt_in_at = match rules.opt_in_at {
            OptInAt::Fixed(at) => Some(at),
            OptInAt::Column => None,
        };
        Row {
            rules,
            region: rules.region,
            country_unknown: false,
            phone_empty: false,
            phone: None,
            user_id: None,
            name: None,
            language: None,
            attributes: BTreeMap::new(),
            opt_in_at,
            opt_in_source: None,
            opt_in_wording: None,
            errors: Vec::new(),
        }
    }

    fn take(&mut self, field: Field, header: &str, cell: &str) {
        match field {
            Field::Phone => match phone::parse(cell, self.region) {
                Ok(number) => self.phone = Some(number),
                // Somebody without a number may have a user id; that is seen at the row's end.
                Err(PhoneError::Empty) => self.phone_empty = true,
                Err(PhoneError::NeedsRegion) if self.country_unknown => self.fault(header, cell, "country-unknown"),
                Err(PhoneError::UnexpectedCharacter(c)) => {
                    let facts = vec![format!("{c:?}")];
                    self.errors.push(RowError::new(header, cell, "phone-unexpected-character", facts));
                }
                Err(error) => self.fault(header, cell, error.code()),
            },
            Field::UserId if cell.trim().is_empty() => {}
            Field::UserId => match user_id::read(cell) {
                Ok(id) => self.user_id = Some(id),
                Err(error) => self.fault(header, cell, error.code()),
            },
            Field::Name => self.name = on_one_line(cell),
            Field::Language => match language::read(cell) {
                Ok(code) => self.language = code,
                Err(error) => self.fault(header, cell, error.code()),
            },
            Field::TimeZone if cell.trim().is_empty() => {}
            Field::TimeZone => match time_zone(cell) {
                Some(zone) => drop(self.attributes.insert(TIME_ZONE.to_owned(), zone)),
                None => self.fault(header, cell, "time-zone-unknown"),
            },
            Field::OptInAt if self.rules.opt_in_at == OptInAt::Column => {
                match opt_in::read(cell, self.rules.times, self.rules.now) {
                    Ok(at) => self.opt_in_at = Some(at),
                    Err(error) => self.fault(header, cell, error.code()),
                }
            }
            Field::OptInSource => match on_one_line(cell) {
                None => self.fault(header, cell, "opt-in-source-empty"),
                Some(source) if source.chars().count() > LONGEST_SOURCE => {
                    let facts = vec![LONGEST_SOURCE.to_string()];
                    self.errors.push(RowError::new(header, cell, "opt-in-source-too-long", facts));
                }
                source => self.opt_in_source = source,
            },
            Field::OptInWording if cell.trim().is_empty() => self.fault(header, cell, "opt-in-wording-empty"),
            Field::OptInWording => self.opt_in_wording = Some(cell.trim().to_owned()),
            Field::OptInAt | Field::Country => self.keep(header, cell),
        }
    }

    fn keep(&mut self, header: &str, cell: &str) {
        let value = cell.trim();
        if !value.is_empty() {
            self.attributes.insert(header.to_owned(), value.to_owned());
        }
    }

    fn fault(&mut self, header: &str, cell: &str, code: &'static str) {
        self.errors.push(RowError::new(header, cell, code, Vec::new()));
    }

    fn end(mut self, mapping: &Mapping, cells: &[&str]) -> Result<NewContact, Vec<RowError>> {
        if self.phone.is_none() && self.user_id.is_none() && !self.errors.iter().any(|error| error.concerns(mapping)) {
            let nobody = nobody(mapping, cells, self.region);
            // In the order of the columns, as the other faults are.
            let place = |error: &RowError| mapping.headers().iter().position(|header| *header == error.column);
            let before = self.errors.iter().take_while(|error| place(error) < place(&nobody)).count();
            self.errors.insert(before, nobody);
        }
        match self.opt_in_at {
            Some(opt_in_at) if self.errors.is_empty() => Ok(NewContact {
                phone: self.phone,
                user_id: self.user_id,
                name: self.name,
                language: self.language,
                attributes: self.attributes,
                opt_in_at,
                opt_in_source: self.opt_in_source,
                opt_in_wording: self.opt_in_wording,
            }),
            None if self.errors.is_empty() => Err(vec![RowError::of_row("opt-in-no-column", Vec::new())]),
            _ => Err(self.errors),
        }
    }
}

/// The fault of a row without a number and without a user id. If another column that is called like a phone holds a
/// number, that is the repair to make.
#[cold]
fn nobody(mapping: &Mapping, cells: &[&str], region: Option<Region>) -> RowError {
    let Some(column) = mapping.column_of(Field::Phone) else {
        return RowError::new(mapping.column_of(Field::UserId).unwrap_or_default(), "", "user-id-empty", Vec::new());
    };
    let another = mapping.headers().iter().zip(cells).find(|(header, cell)| {
        header.as_str() != column && Field::guess(header) == Some(Field::Phone) && phone::parse(cell, region).is_ok()
    });
    match another {
        Some((header, _)) => RowError::new(column, "", "phone-in-columns", vec![header.clone()]),
        None => RowError::new(column, "", "phone-empty", Vec::new()),
    }
}

/// `Africa/Cairo`, in any case; an offset (`GMT+3`) is no zone, since it forgets the summer.
fn time_zone(cell: &str) -> Option<String> {
    let wanted = cell.trim();
    let loosely = || chrono_tz::TZ_VARIANTS.iter().copied().find(|zone| zone.name().eq_ignore_ascii_case(wanted));
    let zone: chrono_tz::Tz = wanted.parse().ok().or_else(loosely)?;
    Some(zone.name().to_owned()).filter(|name| name.contains('/') || name == "UTC")
}

/// What no cell may be, whatever stands in it.
fn check_cell(cell: &str) -> Result<(), (&'static str, Vec<String>)> {
    if cell.len() > LONGEST_CELL {
        return Err(("cell-too-long", vec![LONGEST_CELL.to_string()]));
    }
    if cell.contains('\0') {
        return Err(("cell-binary", Vec::new()));
    }
    if cell.starts_with('#') && FORMULA_ERRORS.contains(&cell.trim_end()) {
        return Err(("cell-formula-error", vec![cell.trim_end().to_owned()]));
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
    let code = if cells < columns { "row-too-few-cells" } else { "row-too-many-cells" };
    RowError::of_row(code, vec![cells.to_string(), columns.to_string()])
}

impl RowError {
    /// A fault of one cell.
    pub fn new(column: &str, value: &str, code: &'static str, facts: Vec<String>) -> RowError {
        let value = match value.char_indices().nth(LONGEST_VALUE) {
            Some((end, _)) => &value[..end],
            None => value,
        };
        RowError { column: column.to_owned(), value: value.to_owned(), code, facts }
    }

    /// A fault of the row as a whole.
    pub fn of_row(code: &'static str, facts: Vec<String>) -> RowError {
        RowError { column: String::new(), value: String::new(), code, facts }
    }

    /// What is wrong and what to do, for a person.
    pub fn reason(&self, tongue: Tongue) -> String {
        reasons::text(self.code, &self.facts, tongue)
    }

    /// Whether it is about who the person is.
    fn concerns(&self, mapping: &Mapping) -> bool {
        [Field::Phone, Field::UserId].iter().any(|field| mapping.column_of(*field) == Some(self.column.as_str()))
    }
}

impl fmt::Debug for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowError({} in {:?})", self.code, self.column)
    }
}

#[cfg(test)]
mod tests;
