//! Which row is the header, and which column is what.

use domain::csv_row::{Field, Mapping, OptInAt, Sample};
use ring::digest::{SHA256, digest};

use super::found::Found;
use super::rows::{Ended, REASON_COLUMNS, Reading};
use super::table::{HeadRow, Shape, Table};

/// The most rows above a sheet's header that are taken for its title.
const TITLES: usize = 10;
/// The fields that a header's mapping is remembered for. Those of consent are said anew for each file.
const REMEMBERED: [Field; 6] =
    [Field::Phone, Field::UserId, Field::Name, Field::Language, Field::Country, Field::TimeZone];

/// What is known of a table before its first row is read.
pub(super) struct Header {
    pub(super) mapping: Mapping,
    /// How many cells a row has, reasons of an earlier import included.
    pub(super) width: usize,
    /// How many rows come before the first one of data.
    pub(super) skip: usize,
    /// By what this header is known again.
    pub(super) fingerprint: Option<String>,
}

/// Looks at the first rows of a table. What is found out is noted in `found`.
pub(super) fn find(table: &impl Table, reading: &Reading, found: &mut Found) -> Result<Header, Ended> {
    let head = table.head();
    let titles = if found.sheet.is_some() { titles_in(head) } else { 0 };
    let Some(first) = head.get(titles) else {
        return Err(Ended::Unusable("The file is empty: it has not even a header.".to_owned()));
    };
    if titles > 0 {
        found.remarks.push(format!("What stands above row {} was taken for a title and not read.", first.line));
    }
    let unusable = |reason: &str| Ended::Unusable(format!("The header cannot be read: {reason}."));
    match first.shape {
        Shape::Cells => {}
        Shape::OpenQuote => {
            let line = first.line;
            return Err(unusable(&format!("a quote in it, opened on line {line}, is not closed")));
        }
        Shape::TooLong => return Err(unusable("the first line is far too long for one")),
    }
    found.header = reading.header.unwrap_or_else(|| Mapping::is_header(&first.cells, reading.region));
    if found.header && first.cells.iter().any(|cell| cell.contains(char::REPLACEMENT_CHARACTER)) {
        return Err(unusable("letters of it are lost; name the file's encoding (--encoding)"));
    }
    let skip = titles + usize::from(found.header);
    let rows: Vec<Vec<String>> = head.iter().skip(skip).map(|row| row.cells.clone()).collect();
    let sample = Sample { rows: &rows, region: reading.region };
    let by_column = reading.opt_in_at == OptInAt::Column;
    let (mapping, width, fingerprint) = if found.header {
        let (names, width) = names(&first.cells);
        let fingerprint = fingerprint(&names);
        let remembered = reading.remembered.get(&fingerprint).map(Vec::as_slice).unwrap_or_default();
        let known = with_remembered(&reading.mapping, remembered);
        let mapping = Mapping::from_header(&names, &known, by_column, sample);
        found.mapping_from = match () {
            () if known.len() > reading.mapping.len() => "remembered",
            () if reading.mapping.iter().any(|(field, _)| REMEMBERED.contains(field)) => "flags",
            () => "names",
        }
        .to_owned();
        (mapping, width, Some(fingerprint))
    } else {
        let width = rows.iter().map(Vec::len).max().unwrap_or_default();
        found.mapping_from = if reading.mapping.is_empty() { "names" } else { "flags" }.to_owned();
        (Mapping::without_header(width, &reading.mapping, by_column, sample), width, None)
    };
    let mapping = mapping.map_err(|error| Ended::Unusable(format!("The header cannot be used: {error}.")))?;
    found.mapping = mapping.fields().map(|(field, column)| (field.to_string(), column.to_owned())).collect();
    found.remarks.extend(mapping.remarks().iter().cloned());
    Ok(Header { mapping, width, skip, fingerprint })
}

/// The names in a header row, and how many cells a row has. Blank cells at its end are what a spreadsheet appends, and
/// the columns of reasons are our own, of an earlier import.
fn names(cells: &[String]) -> (Vec<String>, usize) {
    let filled = cells.iter().rposition(|name| !name.trim().is_empty()).map_or(0, |last| last + 1);
    let mut names = cells[..filled].to_vec();
    if names.ends_with(&REASON_COLUMNS.map(str::to_owned)) {
        names.truncate(filled - REASON_COLUMNS.len());
    }
    (names, filled)
}

/// How many rows of a sheet stand above its header: single cells above rows of at least three times as many.
fn titles_in(head: &[HeadRow]) -> usize {
    let filled = |row: &HeadRow| row.cells.iter().filter(|cell| !cell.trim().is_empty()).count();
    let widest = head.iter().map(filled).max().unwrap_or_default();
    let titles = head.iter().take(TITLES).take_while(|row| filled(row) * 3 <= widest).count();
    if titles < head.len() { titles } else { 0 }
}

/// A hash of the columns' names, in their order.
pub(super) fn fingerprint(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| domain::optout::normalise(name)).collect();
    hex::encode(digest(&SHA256, names.join("\u{1f}").as_bytes()))
}

/// What was said now, and beside it what was said of such a file before and is not said otherwise now.
fn with_remembered(said: &[(Field, String)], remembered: &[(Field, String)]) -> Vec<(Field, String)> {
    let free = |(field, column): &&(Field, String)| {
        REMEMBERED.contains(field) && said.iter().all(|(other, taken)| other != field && taken != column)
    };
    said.iter().chain(remembered.iter().filter(free)).cloned().collect()
}

/// What to remember of what was said: a JSON object of fields and columns. `None` if nothing was.
pub(super) fn to_remember(said: &[(Field, String)]) -> Option<String> {
    let kept: std::collections::BTreeMap<&str, &str> = said
        .iter()
        .filter(|(field, _)| REMEMBERED.contains(field))
        .map(|(field, column)| (field.as_str(), column.as_str()))
        .collect();
    if kept.is_empty() { None } else { serde_json::to_string(&kept).ok() }
}

/// What [`to_remember`] wrote. What cannot be read is forgotten.
pub(super) fn remembered(text: &str) -> Vec<(Field, String)> {
    let fields: std::collections::BTreeMap<String, String> = serde_json::from_str(text).unwrap_or_default();
    fields.into_iter().filter_map(|(field, column)| Some((field.parse().ok()?, column))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> HeadRow {
        HeadRow { line: 1, shape: Shape::Cells, cells: cells.iter().map(|cell| (*cell).to_owned()).collect() }
    }

    #[test]
    fn a_title_above_a_sheets_header_is_passed_over() {
        let table = [row(&["Customers 2026"]), row(&["", "June"]), row(&["a", "b", "c"]), row(&["1", "2", "3"])];
        assert_eq!(titles_in(&table), 2);
        assert_eq!(titles_in(&table[2..]), 0);
        assert_eq!(titles_in(&[row(&["phone"]), row(&["1"])]), 0);
        assert_eq!(titles_in(&[row(&["phone"]), row(&["1", "2"])]), 0, "a row with a cell too many is a row");
        assert_eq!(titles_in(&[]), 0);
    }

    #[test]
    fn what_was_said_is_remembered_unless_something_else_is_said() {
        let of = |pairs: &[(Field, &str)]| pairs.iter().map(|(field, name)| (*field, (*name).to_owned())).collect();
        let said: Vec<_> = of(&[(Field::Phone, "mob"), (Field::Name, "who"), (Field::OptInAt, "when")]);
        let known = remembered(&to_remember(&said).unwrap());
        assert_eq!(known, of(&[(Field::Name, "who"), (Field::Phone, "mob")]));
        assert_eq!(with_remembered(&[], &known), known);
        let now: Vec<_> = of(&[(Field::Phone, "tel"), (Field::Language, "who")]);
        assert_eq!(with_remembered(&now, &known), now);
        assert_eq!(to_remember(&of(&[(Field::OptInAt, "when")])), None);
        let names = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(fingerprint(&names("Phone,City")), fingerprint(&names(" phone,CITY")));
        assert_ne!(fingerprint(&names("phone,city")), fingerprint(&names("city,phone")));
    }
}
