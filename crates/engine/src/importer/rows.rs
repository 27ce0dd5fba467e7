//! The thread that reads a file's rows: people in parcels for the database, rejects as CSV for the person who mends
//! them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::PathBuf;

use domain::Millis;
use domain::csv_row::{Field, Mapping, NewContact, OptInAt, RowError, RowRules, TimeRules, parse_row};
use domain::delimiter;
use domain::phone::Region;
use domain::reasons::Tongue;
use encoding_rs::{Encoding, UTF_8};
use store::Arriving;
use tokio::sync::mpsc;

use super::encoding::{self, Decoded};
use super::found::Found;
use super::header;
use super::late::{self, Late};
use super::lines::{Frames, LONGEST_ROW};
use super::seen::{Before, Seen};
use super::sheet;
use super::source::{Kind, Refused, Source};
use super::table::{Framed, Shape, Table};
use crate::fault::{Fault, Result};

/// People in one parcel.
pub(super) const PEOPLE: usize = 1_000;
/// Bytes of rejects in one parcel.
const REJECTS: usize = 256 * 1024;
/// Rows in one parcel, whatever became of them, so that progress is seen in a file of repeats.
const ROWS: i64 = 10_000;
/// The columns that a file of rejects has after the original ones. When such a file comes back mended, they go.
pub(super) const REASON_COLUMNS: [&str; 5] = ["line", "column", "value", "code", "reason"];
/// The most characters of a bad row that its report repeats.
const LONGEST_VALUE: usize = 64;

/// How to read the rows.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) mapping: Vec<(Field, String)>,
    /// What files of known headers were mapped to, by [`header::fingerprint`].
    pub(super) remembered: HashMap<String, Vec<(Field, String)>>,
    pub(super) region: Option<Region>,
    pub(super) opt_in_at: OptInAt,
    pub(super) times: TimeRules,
    pub(super) now: Millis,
    /// `None`: found out, here and below.
    pub(super) delimiter: Option<u8>,
    pub(super) encoding: Option<&'static Encoding>,
    pub(super) header: Option<bool>,
    pub(super) sheet: Option<String>,
    /// What the reasons of rejects are written in.
    pub(super) tongue: Tongue,
    /// Where a spreadsheet is kept while it is read.
    pub(super) spool: PathBuf,
}

/// What the thread has to say.
pub(super) enum Said {
    /// First: the header is good.
    Header(Box<Begun>),
    /// Or: the file cannot be imported, and why.
    Unusable(String),
    /// Then: what came of the next rows.
    Parcel(Parcel),
}

/// What is known of a file before its first row.
pub(super) struct Begun {
    /// The header of the file of rejects.
    pub(super) rejects: Vec<u8>,
    /// How the file is read.
    pub(super) found: Found,
    /// By what the header is known again; `None` for a file without one.
    pub(super) fingerprint: Option<String>,
}

/// What came of some rows. The counts are of all rows so far.
#[derive(Default)]
pub(super) struct Parcel {
    pub(super) people: Vec<Arriving>,
    /// Lines of the file of rejects.
    pub(super) rejects: Vec<u8>,
    pub(super) rows: i64,
    pub(super) duplicates: i64,
    pub(super) rejected: i64,
    /// The file is so long that who came first was forgotten: see [`super::seen`].
    pub(super) forgot: bool,
    /// The encoding of a file that began in plain ASCII, once it is found out.
    pub(super) encoding: Option<&'static Encoding>,
}

impl Parcel {
    /// Takes in the one after it.
    pub(super) fn add(&mut self, next: Self) {
        self.people.extend(next.people);
        self.rejects.extend(next.rejects);
        (self.rows, self.duplicates, self.rejected) = (next.rows, next.duplicates, next.rejected);
        self.forgot = next.forgot;
        self.encoding = next.encoding;
    }
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
pub(super) fn read(file: impl Read + 'static, reading: &Reading, out: &mpsc::Sender<Said>) -> anyhow::Result<()> {
    match read_file(file, reading, out) {
        Ok(()) | Err(Ended::Quietly) => Ok(()),
        Err(Ended::Unusable(reason)) => {
            // Nobody listens: then somebody else has told another reason.
            let _ = out.blocking_send(Said::Unusable(reason));
            Ok(())
        }
        Err(Ended::Failed(error)) => Err(error),
    }
}

pub(super) enum Ended {
    Quietly,
    Unusable(String),
    Failed(anyhow::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        match error.into_inner().map(|cause| cause.downcast::<Refused>()) {
            Some(Ok(refused)) => Self::Unusable(refused.0),
            _ => Self::Quietly,
        }
    }
}

impl From<csv::Error> for Ended {
    fn from(error: csv::Error) -> Self {
        Self::Failed(error.into())
    }
}

fn read_file(file: impl Read + 'static, reading: &Reading, out: &mpsc::Sender<Said>) -> std::result::Result<(), Ended> {
    let source = Source::open(file)?;
    match source.kind {
        Kind::Text => {
            let (frames, found, late) = text(source, reading)?;
            read_rows(frames, found, late, reading, out)
        }
        Kind::Zip | Kind::Compound => sheet::read(source, &reading.spool, reading.sheet.as_deref(), |sheet, format| {
            let mut found = Found { format: format.to_owned(), sheet: Some(sheet.name.clone()), ..Found::default() };
            if !sheet.others.is_empty() {
                let others = sheet.others.join(", ");
                found.remarks.push(format!(
                    "Only the sheet {} was read; {others} hold rows too: name one with --sheet to import it.",
                    sheet.name
                ));
            }
            read_rows(sheet, found, None, reading, out)
        }),
    }
}

/// A text file's rows, how it is read, and, where its beginning left that open, what will be found out.
type Text = (Frames<Box<dyn Read>>, Found, Option<late::Told>);

/// The rows of a text file, in UTF-8, cut at the right character.
fn text(source: Source, reading: &Reading) -> std::result::Result<Text, Ended> {
    // A byte order mark is surer than anybody's word.
    let marked = Encoding::for_bom(&source.beginning).map(|(encoding, _)| encoding);
    let encoding = marked.or(reading.encoding).unwrap_or_else(|| encoding::detect(&source.beginning));
    let whole = source.whole;
    let beginning: Vec<u8> = if encoding == UTF_8 {
        source.beginning.clone()
    } else {
        encoding::beginning_in_utf8(&source.beginning, encoding)
    };
    let first = beginning.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let delimiter = reading
        .delimiter
        .or_else(|| delimiter::named_in(&String::from_utf8_lossy(first)))
        .unwrap_or_else(|| delimiter::detect(&String::from_utf8_lossy(&beginning)));
    let found = Found {
        format: "csv".to_owned(),
        encoding: Some(encoding.name().to_ascii_lowercase()),
        delimiter: Some(char::from(delimiter).to_string()),
        ..Found::default()
    };
    let is_open = !whole && marked.or(reading.encoding).is_none() && beginning.is_ascii() && encoding == UTF_8;
    let (reader, late): (Box<dyn Read>, _) = if is_open {
        let (reader, told) = Late::new(source.into_reader());
        (Box::new(reader), Some(told))
    } else if encoding == UTF_8 {
        (Box::new(source.into_reader()), None)
    } else {
        (Box::new(Decoded::new(source.into_reader(), encoding)), None)
    };
    Ok((Frames::new(reader, delimiter, &beginning, whole)?, found, late))
}

fn read_rows<T: Table>(
    mut table: T,
    mut found: Found,
    late: Option<late::Told>,
    reading: &Reading,
    out: &mpsc::Sender<Said>,
) -> std::result::Result<(), Ended> {
    let header::Header { mapping, width, skip, fingerprint } = header::find(&table, reading, &mut found)?;
    table.set_columns(width);
    for _ in 0..skip {
        table.next()?;
    }
    let rules =
        RowRules { region: reading.region, opt_in_at: reading.opt_in_at, times: reading.times, now: reading.now };
    let mut sorting = Sorting::new(mapping, width, reading.tongue, late);
    let columns = sorting.mapping.headers().iter().map(String::as_str).chain(REASON_COLUMNS);
    let mut heading = csv::Writer::from_writer(Vec::new());
    heading.write_record(columns)?;
    send(out, Said::Header(Box::new(Begun { rejects: into_bytes(heading)?, found, fingerprint })))?;
    loop {
        match table.next() {
            Ok(Some(row)) => sorting.sort(&table, &row, &rules)?,
            Ok(None) => break,
            Err(error) => {
                // What was read by then is told before why there is no more.
                send(out, Said::Parcel(sorting.parcel()?))?;
                return Err(error.into());
            }
        }
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

/// Sorts rows into people, repeats and rejects.
struct Sorting {
    mapping: Mapping,
    /// How many cells a row has, reasons of an earlier import included.
    width: usize,
    tongue: Tongue,
    late: Option<late::Told>,
    /// Where the phone number stands.
    phone: Option<usize>,
    seen: Seen,
    people: Vec<Arriving>,
    rejects: csv::Writer<Vec<u8>>,
    rows: i64,
    duplicates: i64,
    rejected: i64,
    rows_sent: i64,
}

impl Sorting {
    fn new(mapping: Mapping, width: usize, tongue: Tongue, late: Option<late::Told>) -> Self {
        Self {
            phone: mapping.place_of(Field::Phone),
            mapping,
            width,
            tongue,
            late,
            seen: Seen::default(),
            people: Vec::with_capacity(PEOPLE),
            rejects: csv::Writer::from_writer(Vec::new()),
            rows: 0,
            duplicates: 0,
            rejected: 0,
            rows_sent: 0,
        }
    }

    fn sort<T: Table>(&mut self, table: &T, row: &Framed, rules: &RowRules) -> std::result::Result<(), Ended> {
        self.rows += 1;
        match row.shape {
            Shape::Cells => {}
            Shape::OpenQuote => return self.reject(row, None, &[RowError::of_row("row-open-quote", Vec::new())]),
            Shape::TooLong => {
                let error = RowError::of_row("row-too-long", vec![LONGEST_ROW.to_string()]);
                return self.reject(row, None, &[error]);
            }
        }
        let mut texts: Vec<Cow<'_, str>> = table.cells().map(String::from_utf8_lossy).collect();
        if let Some(place) = self.phone.filter(|place| table.is_rounded(*place)) {
            // As the spreadsheet shows it: so it is refused as what it is.
            texts[place] = texts[place].parse::<f64>().map_or(Cow::Borrowed(""), |number| format!("{number:E}").into());
        }
        let cells: Vec<&str> = texts.iter().map(|text| &**text).collect();
        let own = self.mapping.headers().len();
        let data = if cells.len() >= self.width && own < self.width { &cells[..own] } else { &cells[..] };
        let unreadable = self.unreadable_cells(table, data);
        if !unreadable.is_empty() {
            return self.reject(row, Some(data), &unreadable);
        }
        match parse_row(&self.mapping, rules, data) {
            Ok(contact) => match self.seen.note(key_of(&contact), contact.user_id.as_deref()) {
                Before::No => self.people.push(arriving(contact)),
                Before::Yes => self.duplicates += 1,
                Before::WithAnotherNumber => {
                    let column = self.mapping.column_of(Field::UserId).unwrap_or_default().to_owned();
                    let user_id = contact.user_id.unwrap_or_default();
                    let error = RowError::new(&column, &user_id, "user-id-of-two-numbers", Vec::new());
                    return self.reject(row, Some(data), &[error]);
                }
            },
            Err(errors) => return self.reject(row, Some(data), &errors),
        }
        Ok(())
    }

    /// Cells that are not in UTF-8, and cells in which an earlier conversion lost letters.
    fn unreadable_cells<T: Table>(&self, table: &T, texts: &[&str]) -> Vec<RowError> {
        let columns = self.mapping.headers().iter().map(String::as_str).chain(std::iter::repeat(""));
        let cells = table.cells().zip(texts).zip(columns);
        // What is not UTF-8 was read with this mark in it, so the common row is looked at once.
        let marked = cells.filter(|((_, text), _)| text.contains(char::REPLACEMENT_CHARACTER));
        marked
            .map(|((bytes, text), column)| {
                let lost_before = std::str::from_utf8(bytes).is_ok();
                let code = if lost_before { "cell-letters-lost" } else { "cell-not-utf8" };
                RowError::new(column, text, code, Vec::new())
            })
            .collect()
    }

    /// One line for one bad row: its cells, its first fault, and the reasons of all its faults.
    fn reject(&mut self, row: &Framed, cells: Option<&[&str]>, errors: &[RowError]) -> std::result::Result<(), Ended> {
        self.rejected += 1;
        let text = match cells {
            // A sheet's row has no text of its own.
            Some(cells) if row.text.is_empty() => Cow::Owned(cells.join(", ")),
            _ => String::from_utf8_lossy(&row.text),
        };
        let own = self.mapping.headers().len();
        // A row whose cells cannot be told, or of which nobody knows under which headers they belong, stands whole in the
        // first column: cut to the header's length it would be taken for a good one when it comes back.
        let ragged = errors.iter().any(|error| matches!(error.code, "row-too-few-cells" | "row-too-many-cells"));
        let mut record: Vec<&str> = cells.filter(|_| !ragged).map_or_else(|| vec![&*text], <[&str]>::to_vec);
        record.resize(own, "");
        let shortened: String = text.chars().take(LONGEST_VALUE).collect();
        let (column, value, code) = match errors.first() {
            // A fault of the row as a whole shows the row.
            Some(error) if error.column.is_empty() && error.value.is_empty() => ("", shortened.as_str(), error.code),
            Some(error) => (error.column.as_str(), error.value.as_str(), error.code),
            None => ("", "", ""),
        };
        let line = row.line.to_string();
        let reasons: Vec<String> = errors.iter().map(|error| error.reason(self.tongue)).collect();
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
            forgot: self.seen.forgot(),
            encoding: self.late.as_ref().and_then(|told| told.get().copied()),
        })
    }
}

fn key_of(contact: &NewContact) -> Option<u64> {
    contact.phone.map(domain::phone::PhoneNumber::key)
}

fn arriving(contact: NewContact) -> Arriving {
    Arriving {
        // At most fifteen digits, so both fit.
        phone_key: key_of(&contact).map(u64::cast_signed),
        phone: contact.phone.map(|phone| phone.e164().cast_signed()),
        user_id: contact.user_id,
        name: contact.name,
        language: contact.language,
        // A map of texts has always a JSON form.
        attributes: serde_json::to_string(&contact.attributes).unwrap_or_default(),
        opt_in_at: contact.opt_in_at,
        opt_in_source: contact.opt_in_source,
        opt_in_wording: contact.opt_in_wording,
        salt: rand::random(),
    }
}
