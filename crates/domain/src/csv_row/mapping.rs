//! Which column is what.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use thiserror::Error;

use super::{headers, user_id};
use crate::optout::normalise;
use crate::phone::{self, PhoneError, Region};

/// What Hudhud itself knows of a contact. Every other column is an attribute under its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// `phone`
    Phone,
    /// `user_id`: the business-scoped user id of WhatsApp (`EG.1349…`).
    UserId,
    /// `name`
    Name,
    /// `language`
    Language,
    /// `country`: whose numbering plan the row's number is read by. Kept as an attribute too.
    Country,
    /// `time_zone`: kept as the attribute `time_zone`.
    TimeZone,
    /// `opt_in_at`
    OptInAt,
    /// `opt_in_source`
    OptInSource,
    /// `opt_in_wording`
    OptInWording,
}

/// A text that names no field.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not a field; the fields are phone, user_id, name, language, country, time_zone, opt_in_at, opt_in_source \
     and opt_in_wording"
)]
pub struct UnknownField(pub String);

/// What one column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Is(Field),
    Attribute,
}

/// Which column of a file is what, found once from its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    headers: Vec<String>,
    roles: Vec<Role>,
    remarks: Vec<String>,
}

/// The first rows of a file, by which columns are told apart that look alike by name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample<'a> {
    /// Some rows, without the header.
    pub rows: &'a [Vec<String>],
    /// The country of phone numbers without a country code.
    pub region: Option<Region>,
}

/// Why a header cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MappingError {
    /// No column looks like the phone number, or the opt-in's time where that is needed.
    #[error("no column looks like {field}; the columns are {}; {}", columns.join(", "), advice(*field, holding.as_deref()))]
    NotFound {
        /// What was looked for.
        field: Field,
        /// The columns there are.
        columns: Vec<String>,
        /// The one column that holds such values, by whatever name.
        holding: Option<String>,
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
}

fn advice(field: Field, holding: Option<&str>) -> String {
    match holding {
        Some(column) => format!("{column} holds such values: if it is meant, say --map {field}={column}"),
        None => format!("name one with --map {field}=COLUMN"),
    }
}

impl Field {
    /// Every field, in the order in which they are looked for.
    pub const ALL: [Field; 9] = [
        Field::Phone,
        Field::UserId,
        Field::Name,
        Field::Language,
        Field::Country,
        Field::TimeZone,
        Field::OptInAt,
        Field::OptInSource,
        Field::OptInWording,
    ];

    /// The field's name in commands and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Field::Phone => "phone",
            Field::UserId => "user_id",
            Field::Name => "name",
            Field::Language => "language",
            Field::Country => "country",
            Field::TimeZone => "time_zone",
            Field::OptInAt => "opt_in_at",
            Field::OptInSource => "opt_in_source",
            Field::OptInWording => "opt_in_wording",
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
            Field::UserId => headers::USER_ID,
            Field::Name => headers::NAME,
            Field::Language => headers::LANGUAGE,
            Field::Country => headers::COUNTRY,
            Field::TimeZone => headers::TIME_ZONE,
            Field::OptInAt => headers::OPT_IN_AT,
            Field::OptInSource => headers::OPT_IN_SOURCE,
            Field::OptInWording => headers::OPT_IN_WORDING,
        }
    }
}

impl Mapping {
    /// Finds out from a header which column is what. `overrides` name columns outright; the rest is guessed from the
    /// headers' words, and between columns of like names from what stands in them. A column of phone numbers or of
    /// user ids must be found, and the opt-in's time if `needs_opt_in_at`.
    ///
    /// Columns without a header are called `column1`, `column2` … by their place, and the second of two of one name
    /// `city (2)`, so that no cell is lost.
    ///
    /// # Errors
    /// [`MappingError`] if a needed column is missing, if several could be the phone number, or if the overrides
    /// contradict the header or themselves. Of several names the likeliest is taken and the others stay attributes.
    pub fn from_header(
        header: &[String],
        overrides: &[(Field, String)],
        needs_opt_in_at: bool,
        sample: Sample<'_>,
    ) -> Result<Mapping, MappingError> {
        let mut mapping = Mapping::overridden(named(header), overrides)?;
        mapping.find_phone(sample)?;
        mapping.find_user_id(sample);
        if !mapping.has(Field::Phone) && !mapping.has(Field::UserId) {
            return Err(mapping.not_found(Field::Phone, sample));
        }
        for field in [Field::Name, Field::Language, Field::Country, Field::TimeZone] {
            mapping.guess(field);
        }
        // Where the whole file has one time, a column of times is an attribute like any other.
        if needs_opt_in_at && !mapping.has(Field::OptInAt) {
            let found = mapping.candidates(Field::OptInAt);
            if found.len() > 1 && found[0].0 > 0 {
                return Err(mapping.ambiguous(Field::OptInAt, found.iter().map(|(_, place)| *place)));
            }
            mapping.guess(Field::OptInAt);
            if !mapping.has(Field::OptInAt) {
                return Err(mapping.not_found(Field::OptInAt, sample));
            }
        }
        Ok(mapping)
    }

    /// As [`Mapping::from_header`], for a file without a header: its columns are `column1`, `column2` …, and the
    /// phone number is the one column that holds phone numbers.
    ///
    /// # Errors
    /// [`MappingError`] as there.
    pub fn without_header(
        width: usize,
        overrides: &[(Field, String)],
        needs_opt_in_at: bool,
        sample: Sample<'_>,
    ) -> Result<Mapping, MappingError> {
        let mut mapping = Mapping::overridden(named(&vec![String::new(); width]), overrides)?;
        if !mapping.has(Field::Phone) && !mapping.has(Field::UserId) {
            let holding = mapping.holding_phones(sample);
            match holding.as_slice() {
                [place] => mapping.roles[*place] = Role::Is(Field::Phone),
                [] => return Err(mapping.not_found(Field::Phone, sample)),
                several => return Err(mapping.ambiguous(Field::Phone, several.iter().copied())),
            }
        }
        if needs_opt_in_at && !mapping.has(Field::OptInAt) {
            return Err(mapping.not_found(Field::OptInAt, sample));
        }
        Ok(mapping)
    }

    /// Whether a file's first row is a header. It is none if one of its cells is a phone number and none of them is
    /// the name of a field.
    pub fn is_header(first: &[String], region: Option<Region>) -> bool {
        let is_phone = |cell: &String| match phone::parse(cell, region) {
            Ok(_) => true,
            // A number that only lacks its country, or that the plan does not know, is still no name of a column.
            Err(PhoneError::NeedsRegion | PhoneError::NotAssigned) => {
                cell.chars().filter(|c| phone::ascii_digit(*c).is_some()).count() >= 8
            }
            Err(_) => false,
        };
        !first.iter().any(is_phone) || first.iter().any(|cell| meaning(clean(cell)).is_some())
    }

    fn overridden(headers: Vec<String>, overrides: &[(Field, String)]) -> Result<Mapping, MappingError> {
        let roles = vec![Role::Attribute; headers.len()];
        let mut mapping = Mapping { headers, roles, remarks: Vec::new() };
        for (field, column) in overrides {
            if mapping.has(*field) {
                return Err(MappingError::MappedTwice(field.to_string()));
            }
            let place = mapping.find(column)?;
            if mapping.roles[place] != Role::Attribute {
                return Err(MappingError::MappedTwice(column.clone()));
            }
            mapping.roles[place] = Role::Is(*field);
        }
        Ok(mapping)
    }

    /// The headers, as they name attributes and columns in reports.
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// What was decided between columns that looked alike, in sentences.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The header of the column that a field is read from.
    pub fn column_of(&self, field: Field) -> Option<&str> {
        self.headers.get(self.place_of(field)?).map(String::as_str)
    }

    /// The place of the column that a field is read from, from 0.
    pub fn place_of(&self, field: Field) -> Option<usize> {
        self.roles.iter().position(|role| *role == Role::Is(field))
    }

    /// The fields that are read from columns, with the columns' headers.
    pub fn fields(&self) -> impl Iterator<Item = (Field, &str)> {
        Field::ALL.into_iter().filter_map(|field| Some((field, self.column_of(field)?)))
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
        self.roles.contains(&Role::Is(field))
    }

    fn find(&self, column: &str) -> Result<usize, MappingError> {
        let wanted = clean(column);
        let exact = self.headers.iter().position(|name| name == wanted);
        let loose = || {
            let wanted = wanted.to_lowercase();
            self.headers.iter().position(|name| name.to_lowercase() == wanted)
        };
        exact
            .or_else(loose)
            .ok_or_else(|| MappingError::NoSuchColumn { column: wanted.to_owned(), columns: self.headers.clone() })
    }

    /// The free columns whose headers mean this field, the surest first, each with the rank of its word.
    fn candidates(&self, field: Field) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> = self
            .headers
            .iter()
            .enumerate()
            .filter(|(place, _)| self.roles[*place] == Role::Attribute)
            .filter_map(|(place, name)| {
                // The second of two columns of one name means what the first does.
                let name = name
                    .strip_suffix(')')
                    .and_then(|name| name.rsplit_once(" ("))
                    .map_or(name.as_str(), |(name, _)| name);
                meaning(name).filter(|(meant, _)| *meant == field).map(|(_, rank)| (rank, place))
            })
            .collect();
        found.sort_unstable();
        found
    }

    fn guess(&mut self, field: Field) {
        if !self.has(field)
            && let Some((_, place)) = self.candidates(field).first()
        {
            self.roles[*place] = Role::Is(field);
        }
    }

    /// Several columns may be called something like a phone. The one that holds numbers where the others hold few is
    /// meant; else the one that bears the field's own name; else it is not ours to say.
    fn find_phone(&mut self, sample: Sample<'_>) -> Result<(), MappingError> {
        if self.has(Field::Phone) {
            return Ok(());
        }
        let found = self.candidates(Field::Phone);
        let Some((rank, likeliest)) = found.first().copied() else { return Ok(()) };
        let mut chosen = likeliest;
        if found.len() > 1 {
            let count = |place: usize| phones_in(sample, place).0;
            let mut counts: Vec<(usize, usize)> = found.iter().map(|(_, place)| (count(*place), *place)).collect();
            counts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
            let (best, second) = (counts[0], counts[1]);
            let twins = found.iter().filter(|(other, _)| *other == rank).count() > 1;
            if best.0 > 0 && second.0 * 10 <= best.0 {
                chosen = best.1;
            } else if rank > 0 || twins {
                return Err(self.ambiguous(Field::Phone, found.iter().map(|(_, place)| *place)));
            }
            let others: Vec<&str> = found
                .iter()
                .filter(|(_, place)| *place != chosen)
                .map(|(_, place)| self.headers[*place].as_str())
                .collect();
            self.remarks.push(format!(
                "The phone number was read from {} and not from {}: of the first {} rows {} hold a number there.",
                self.headers[chosen],
                others.join(", "),
                sample.rows.len(),
                count(chosen),
            ));
        }
        self.roles[chosen] = Role::Is(Field::Phone);
        Ok(())
    }

    /// Many files have ids of users that are their own. A column is taken for WhatsApp's only if it looks so.
    fn find_user_id(&mut self, sample: Sample<'_>) {
        if self.has(Field::UserId) {
            return;
        }
        let fitting = self.candidates(Field::UserId).into_iter().find(|(_, place)| {
            let cells = sample.rows.iter().filter_map(|row| row.get(*place)).map(|cell| cell.trim());
            let (mut filled, mut ids) = (0, 0);
            for cell in cells.filter(|cell| !cell.is_empty()) {
                filled += 1;
                ids += usize::from(user_id::read(cell).is_ok());
            }
            ids > 0 && ids * 2 >= filled
        });
        if let Some((_, place)) = fitting {
            self.roles[place] = Role::Is(Field::UserId);
        }
    }

    /// The free columns of which most filled cells are phone numbers.
    fn holding_phones(&self, sample: Sample<'_>) -> Vec<usize> {
        let free = (0..self.headers.len()).filter(|place| self.roles[*place] == Role::Attribute);
        free.filter(|place| {
            let (phones, filled) = phones_in(sample, *place);
            phones > 0 && phones * 2 >= filled
        })
        .collect()
    }

    fn not_found(&self, field: Field, sample: Sample<'_>) -> MappingError {
        let holding = match (field, self.holding_phones(sample).as_slice()) {
            (Field::Phone, [place]) => Some(self.headers[*place].clone()),
            _ => None,
        };
        MappingError::NotFound { field, columns: self.headers.clone(), holding }
    }

    fn ambiguous(&self, field: Field, places: impl Iterator<Item = usize>) -> MappingError {
        MappingError::Ambiguous { field, columns: places.map(|place| self.headers[place].clone()).collect() }
    }
}

/// How many cells of a column are phone numbers, or would be with a country, and how many are filled.
fn phones_in(sample: Sample<'_>, place: usize) -> (usize, usize) {
    let cells = sample.rows.iter().filter_map(|row| row.get(place)).filter(|cell| !cell.trim().is_empty());
    cells.fold((0, 0), |(phones, filled), cell| {
        let digits = || cell.chars().filter(|c| phone::ascii_digit(*c).is_some()).count();
        let is_phone = match phone::parse(cell, sample.region) {
            Ok(_) => true,
            Err(PhoneError::NeedsRegion) => (8..=15).contains(&digits()),
            Err(_) => false,
        };
        (phones + usize::from(is_phone), filled + 1)
    })
}

/// The names of the columns: the headers, places for those without one, a count for those that come again.
fn named(header: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(header.len());
    let mut taken: HashSet<String> = HashSet::with_capacity(header.len());
    for (place, text) in header.iter().enumerate() {
        let text = match clean(text) {
            "" => format!("column{}", place + 1),
            text => text.to_owned(),
        };
        let mut name = text.clone();
        let mut count = 2;
        while !taken.insert(name.clone()) {
            name = format!("{text} ({count})");
            count += 1;
        }
        names.push(name);
    }
    names
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

/// A header without its blanks, and without the marks that nobody sees; line breaks within it are blanks.
fn clean(header: &str) -> &str {
    header.trim_matches(|c: char| c.is_whitespace() || c.is_control() || phone::is_invisible(c))
}

impl FromStr for Field {
    type Err = UnknownField;

    fn from_str(text: &str) -> Result<Self, UnknownField> {
        let name = text.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        Field::ALL.into_iter().find(|field| field.as_str() == name).ok_or_else(|| UnknownField(text.to_owned()))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
