//! The thread that reads a file's rows: people in parcels for the database, rejects as CSV for the person who mends
//! them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, Read};

use domain::Millis;
use domain::csv_row::{Field, Mapping, NewContact, OptInAt, RowError, RowRules, parse_row};
use domain::delimiter;
use domain::phone::Region;
use store::Arriving;
use tokio::sync::mpsc;

use super::lines::{Framed, Frames, LONGEST_ROW, Shape};
use crate::fault::{Fault, Result};

/// People in one parcel: what SQLite writes in some 20 ms.
const PEOPLE: usize = 1_000;
/// Bytes of rejects in one parcel.
const REJECTS: usize = 256 * 1024;
/// Rows in one parcel, whatever became of them, so that progress is seen in a file of repeats.
const ROWS: i64 = 10_000;
/// The columns that a file of rejects has after the original ones. When such a file comes back mended, they go.
pub(super) const REASON_COLUMNS: [&str; 5] = ["line", "column", "value", "code", "reason"];
/// Code and reason of a cell whose bytes are wrong.
const NOT_UTF8: (&str, &str) = (
    "cell-not-utf8",
    "the cell is not in UTF-8; if the whole file is not, name its encoding (--encoding windows-1252)",
);
/// Code and reason of a cell that holds U+FFFD.
const LETTERS_LOST: (&str, &str) = (
    "cell-letters-lost",
    "the cell holds \u{fffd}, which stands for letters that a conversion lost; export it again in UTF-8",
);
/// The most characters of a bad row that its report repeats.
const LONGEST_VALUE: usize = 64;

/// How to read the rows.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) mapping: Vec<(Field, String)>,
    pub(super) region: Option<Region>,
    pub(super) opt_in_at: OptInAt,
    pub(super) now: Millis,
    /// `None`: found out.
    pub(super) delimiter: Option<u8>,
}

/// What the thread has to say.
pub(super) enum Said {
    /// First: the header is good. With the header of the file of rejects.
    Header(Vec<u8>),
    /// Or: the file cannot be imported, and why.
    Unusable(String),
    /// Then: what came of the next rows.
    Parcel(Parcel),
}

/// What came of some rows. The counts are of all rows so far.
pub(super) struct Parcel {
    pub(super) people: Vec<Arriving>,
    /// Lines of the file of rejects.
    pub(super) rejects: Vec<u8>,
    pub(super) rows: i64,
    pub(super) duplicates: i64,
    pub(super) rejected: i64,
}

/// The delimiter that a person named.
pub(super) fn delimiter_of(text: &str) -> Result<u8> {
    match text {
        "," | "comma" => Ok(b','),
        ";" | "semicolon" => Ok(b';'),
        "\t" | "\\t" | "tab" => Ok(b'\t'),
        "|" | "pipe" => Ok(b'|'),
        _ => Err(Fault::invalid(format!("The delimiter {text:?} is none of , ; | and tab."))),
    }
}

/// Reads a file to its end and says what came of its rows. Ends quietly when nobody listens any more, and when the
/// file breaks off: the upload tells that.
///
/// # Errors
/// When the file of rejects cannot be formed in memory.
pub(super) fn read(file: impl Read, reading: &Reading, out: &mpsc::Sender<Said>) -> anyhow::Result<()> {
    match read_rows(file, reading, out) {
        Ok(()) | Err(Ended::Quietly) => Ok(()),
        Err(Ended::Unusable(reason)) => {
            // Nobody listens: then somebody else has told another reason.
            let _ = out.blocking_send(Said::Unusable(reason));
            Ok(())
        }
        Err(Ended::Failed(error)) => Err(error),
    }
}

enum Ended {
    Quietly,
    Unusable(String),
    Failed(anyhow::Error),
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Quietly
    }
}

impl From<csv::Error> for Ended {
    fn from(error: csv::Error) -> Self {
        Self::Failed(error.into())
    }
}

fn read_rows(file: impl Read, reading: &Reading, out: &mpsc::Sender<Said>) -> std::result::Result<(), Ended> {
    let mut looks_wide = false;
    let mut frames = Frames::new(file, |beginning| {
        looks_wide = beginning.iter().take(64).filter(|byte| **byte == 0).count() > 4;
        reading.delimiter.unwrap_or_else(|| delimiter::detect(&String::from_utf8_lossy(beginning)))
    })?;
    if looks_wide {
        let reason = "The file is not in UTF-8; it looks like UTF-16 without its mark. Give --encoding utf-16le.";
        return Err(Ended::Unusable(reason.to_owned()));
    }
    let (mapping, width) = header(&mut frames, reading)?;
    let rules = RowRules { region: reading.region, opt_in_at: reading.opt_in_at, now: reading.now };
    let mut sorting = Sorting::new(mapping, width);
    let columns = sorting.mapping.headers().iter().map(String::as_str).chain(REASON_COLUMNS);
    let mut heading = csv::Writer::from_writer(Vec::new());
    heading.write_record(columns)?;
    send(out, Said::Header(into_bytes(heading)?))?;
    while let Some(row) = frames.next()? {
        sorting.sort(&frames, &row, &rules)?;
        if sorting.is_full() {
            send(out, Said::Parcel(sorting.parcel()?))?;
        }
    }
    send(out, Said::Parcel(sorting.parcel()?))
}

fn send(out: &mpsc::Sender<Said>, said: Said) -> std::result::Result<(), Ended> {
    out.blocking_send(said).map_err(|_| Ended::Quietly)
}

fn into_bytes(writer: csv::Writer<Vec<u8>>) -> std::result::Result<Vec<u8>, Ended> {
    writer.into_inner().map_err(|error| Ended::Failed(anyhow::anyhow!("writing rejects to memory: {}", error.error())))
}

/// Which column is what, and how many cells a row has.
fn header<R: Read>(frames: &mut Frames<R>, reading: &Reading) -> std::result::Result<(Mapping, usize), Ended> {
    let unusable = |reason: &str| Ended::Unusable(format!("The header cannot be read: {reason}."));
    let row =
        frames.next()?.ok_or_else(|| Ended::Unusable("The file is empty: it has not even a header.".to_owned()))?;
    match row.shape {
        Shape::Cells => {}
        Shape::OpenQuote => return Err(unusable("a quote in it is not closed")),
        Shape::TooLong => return Err(unusable("the first line is far too long for one")),
    }
    let mut names = Vec::new();
    for cell in frames.cells() {
        let name = std::str::from_utf8(cell);
        names.push(name.map_err(|_| unusable("it is not in UTF-8; name the file's encoding (--encoding)"))?.to_owned());
    }
    // Blank cells at its end are what a spreadsheet appends.
    while names.last().is_some_and(|name| name.trim().is_empty()) {
        names.pop();
    }
    let width = names.len();
    if names.ends_with(&REASON_COLUMNS.map(str::to_owned)) {
        names.truncate(width - REASON_COLUMNS.len());
    }
    let by_column = reading.opt_in_at == OptInAt::Column;
    let mapping = Mapping::from_header(&names, &reading.mapping, by_column)
        .map_err(|error| Ended::Unusable(format!("The header cannot be used: {error}.")))?;
    frames.set_columns(width);
    Ok((mapping, width))
}

/// Sorts rows into people, repeats and rejects.
struct Sorting {
    mapping: Mapping,
    /// How many cells a row has, reasons of an earlier import included.
    width: usize,
    seen: HashSet<u64>,
    people: Vec<Arriving>,
    rejects: csv::Writer<Vec<u8>>,
    rows: i64,
    duplicates: i64,
    rejected: i64,
    rows_sent: i64,
}

impl Sorting {
    fn new(mapping: Mapping, width: usize) -> Self {
        Self {
            mapping,
            width,
            seen: HashSet::new(),
            people: Vec::with_capacity(PEOPLE),
            rejects: csv::Writer::from_writer(Vec::new()),
            rows: 0,
            duplicates: 0,
            rejected: 0,
            rows_sent: 0,
        }
    }

    fn sort<R: Read>(&mut self, frames: &Frames<R>, row: &Framed, rules: &RowRules) -> std::result::Result<(), Ended> {
        self.rows += 1;
        match row.shape {
            Shape::Cells => {}
            Shape::OpenQuote => return self.reject(row, None, &[open_quote()]),
            Shape::TooLong => return self.reject(row, None, &[too_long()]),
        }
        let texts: Vec<Cow<'_, str>> = frames.cells().map(String::from_utf8_lossy).collect();
        let cells: Vec<&str> = texts.iter().map(|text| &**text).collect();
        let own = self.mapping.headers().len();
        let data = if cells.len() >= self.width && own < self.width { &cells[..own] } else { &cells[..] };
        let unreadable = self.unreadable_cells(frames, data);
        if !unreadable.is_empty() {
            return self.reject(row, Some(data), &unreadable);
        }
        match parse_row(&self.mapping, rules, data) {
            Ok(contact) if self.seen.insert(contact.phone.key()) => self.people.push(arriving(contact)),
            Ok(_) => self.duplicates += 1,
            Err(errors) => return self.reject(row, Some(data), &errors),
        }
        Ok(())
    }

    /// Cells that are not in UTF-8, and cells in which an earlier conversion lost letters.
    fn unreadable_cells<R: Read>(&self, frames: &Frames<R>, texts: &[&str]) -> Vec<RowError> {
        let columns = self.mapping.headers().iter().map(String::as_str).chain(std::iter::repeat(""));
        let cells = frames.cells().zip(texts).zip(columns);
        // What is not UTF-8 was read with this mark in it, so the common row is looked at once.
        let marked = cells.filter(|((_, text), _)| text.contains(char::REPLACEMENT_CHARACTER));
        marked
            .map(|((bytes, text), column)| {
                let (code, reason) = if std::str::from_utf8(bytes).is_err() { NOT_UTF8 } else { LETTERS_LOST };
                let value = text.chars().take(LONGEST_VALUE).collect();
                RowError { column: column.to_owned(), value, code, reason: reason.to_owned() }
            })
            .collect()
    }

    /// One line for one bad row: its cells, its first fault, and the reasons of all its faults.
    fn reject(&mut self, row: &Framed, cells: Option<&[&str]>, errors: &[RowError]) -> std::result::Result<(), Ended> {
        self.rejected += 1;
        let text = String::from_utf8_lossy(&row.text);
        let own = self.mapping.headers().len();
        // A row whose cells cannot be told stands whole in the first column.
        let mut record: Vec<&str> = cells.map_or_else(|| vec![&*text], |cells| cells[..cells.len().min(own)].to_vec());
        record.resize(own, "");
        let shortened: String = text.chars().take(LONGEST_VALUE).collect();
        let (column, value, code) = match errors.first() {
            // A fault of the row as a whole shows the row.
            Some(error) if error.column.is_empty() && error.value.is_empty() => ("", shortened.as_str(), error.code),
            Some(error) => (error.column.as_str(), error.value.as_str(), error.code),
            None => ("", "", ""),
        };
        let line = row.line.to_string();
        let reasons: Vec<&str> = errors.iter().map(|error| error.reason.as_str()).collect();
        let reasons = reasons.join("; ");
        record.extend([line.as_str(), column, value, code, &reasons]);
        self.rejects.write_record(record)?;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.people.len() >= PEOPLE || self.rejects.get_ref().len() >= REJECTS || self.rows - self.rows_sent >= ROWS
    }

    fn parcel(&mut self) -> std::result::Result<Parcel, Ended> {
        self.rows_sent = self.rows;
        let rejects = std::mem::replace(&mut self.rejects, csv::Writer::from_writer(Vec::new()));
        Ok(Parcel {
            people: std::mem::replace(&mut self.people, Vec::with_capacity(PEOPLE)),
            rejects: into_bytes(rejects)?,
            rows: self.rows,
            duplicates: self.duplicates,
            rejected: self.rejected,
        })
    }
}

fn arriving(contact: NewContact) -> Arriving {
    Arriving {
        // At most fifteen digits, so both fit.
        phone_key: contact.phone.key().cast_signed(),
        phone: contact.phone.e164().cast_signed(),
        name: contact.name,
        language: contact.language,
        attributes: contact.attributes,
        opt_in_at: contact.opt_in_at,
        salt: rand::random(),
    }
}

fn fault_of_row(code: &'static str, reason: String) -> RowError {
    RowError { column: String::new(), value: String::new(), code, reason }
}

fn open_quote() -> RowError {
    fault_of_row("row-open-quote", "a quote opens a cell and does not close it; close or remove it".to_owned())
}

fn too_long() -> RowError {
    fault_of_row("row-too-long", format!("the row is longer than {LONGEST_ROW} bytes; look for a missing line end"))
}
