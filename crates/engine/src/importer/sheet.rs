//! Rows of a spreadsheet: XLSX and XLSB as a stream, XLS and ODS, whose formats allow no better, in memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use calamine::{DataType, Ods, Reader, Sheet as Listed, SheetType, SheetVisible, Xls, Xlsb, Xlsx};

use super::archive::{self, Book};
use super::source::{Kind, Source, refused};
use super::table::{Framed, HEAD, HeadRow, Shape, Table};

/// The largest spreadsheet that is taken, in bytes.
const LARGEST: u64 = 1024 * 1024 * 1024;
/// The largest of those that are read into memory whole.
const LARGEST_IN_MEMORY: u64 = 64 * 1024 * 1024;
/// The columns of the widest sheet.
const COLUMNS: usize = 16_384;

/// A cell on its way: its row and column from 0, and what stands in it.
type Placed = (u32, u32, Value);
/// The cells of a sheet, one after the other.
type Cells<'a> = Box<dyn FnMut() -> io::Result<Option<Placed>> + 'a>;

/// What stands in a cell, as text.
#[derive(Clone, Debug, Default)]
struct Value {
    text: String,
    /// A number of ten digits or more that ends in six zeros.
    rounded: bool,
}

/// A sheet that is read.
pub(super) struct Sheet<'a> {
    /// What the sheet is called.
    pub(super) name: String,
    /// Other sheets that hold rows, and are not read.
    pub(super) others: Vec<String>,
    cells: Cells<'a>,
    /// The first cell of the next row.
    ahead: Option<Placed>,
    head: Vec<HeadRow>,
    again: VecDeque<(u64, Vec<Value>)>,
    row: Vec<Value>,
    columns: usize,
}

/// Opens a spreadsheet that is read cell by cell: the two kinds are alike, and calamine names nothing that they share.
macro_rules! streamed {
    ($book:ty, $file:expr, $named:expr, $then:expr) => {{
        let mut book: $book = open($file)?;
        let listed = book.sheets_metadata().to_vec();
        let (name, others) = choose(&listed, $named, |name, most| {
            let mut reader = guarded(|| book.worksheet_cells_reader(name))?;
            rows_of(most, || guarded(|| reader.next_cell()).map(|cell| cell.map(|cell| cell.get_position().0)))
        })?;
        let mut reader = guarded(|| book.worksheet_cells_reader(&name))?;
        let cells = move || {
            let cell = guarded(|| reader.next_cell())?;
            Ok(cell.map(|cell| (cell.get_position().0, cell.get_position().1, value_of(cell.get_value()))))
        };
        let then = $then;
        then(Sheet::new(name, others, Box::new(cells))?)
    }};
}

/// Copies the spreadsheet to an unnamed file in `dir`, looks whether it can be read without harm, and gives its table
/// to `then`. `named` is the sheet to read; without it, the first that holds a table.
///
/// # Errors
/// [`super::source::Refused`] for what is no spreadsheet, is locked, damaged or too large, or has no such sheet;
/// [`super::source::BrokeOff`]; and what `then` says.
pub(super) fn read<T, E: From<io::Error>>(
    source: Source,
    dir: &Path,
    named: Option<&str>,
    then: impl FnOnce(Sheet<'_>, &'static str) -> Result<T, E>,
) -> Result<T, E> {
    let kind = source.kind;
    let mut file = spooled(source, dir)?;
    match archive::book_of(&mut file, kind)? {
        Book::Xlsx => streamed!(Xlsx<_>, file, named, |sheet| then(sheet, "xlsx")),
        Book::Xlsb => streamed!(Xlsb<_>, file, named, |sheet| then(sheet, "xlsb")),
        Book::Xls => in_memory::<Xls<_>, _, _>(open(file)?, named, |sheet| then(sheet, "xls")),
        Book::Ods => in_memory::<Ods<_>, _, _>(open(file)?, named, |sheet| then(sheet, "ods")),
    }
}

fn in_memory<B: Reader<BufReader<File>>, T, E: From<io::Error>>(
    mut book: B,
    named: Option<&str>,
    then: impl FnOnce(Sheet<'_>) -> Result<T, E>,
) -> Result<T, E>
where
    B::Error: std::fmt::Display,
{
    let listed = book.sheets_metadata().to_vec();
    let (name, others) = choose(&listed, named, |name, most| {
        let range = guarded(|| book.worksheet_range(name))?;
        let mut rows = range.used_cells().map(|(row, _, _)| u32::try_from(row).unwrap_or(u32::MAX));
        rows_of(most, || Ok(rows.next()))
    })?;
    let range = guarded(|| book.worksheet_range(&name))?;
    let (top, left) = range.start().unwrap_or_default();
    let number = |place: usize, from: u32| u32::try_from(place).unwrap_or(u32::MAX).saturating_add(from);
    let mut cells = range.used_cells();
    let next = || Ok(cells.next().map(|(row, column, cell)| (number(row, top), number(column, left), value_of(cell))));
    then(Sheet::new(name, others, Box::new(next))?)
}

/// Copies the upload to a file that has no name and goes with its handle.
fn spooled(source: Source, dir: &Path) -> io::Result<File> {
    let largest = if source.kind == Kind::Compound { LARGEST_IN_MEMORY } else { LARGEST };
    let mut file = tempfile::tempfile_in(dir).map_err(|error| no_room(&error))?;
    let mut from = source.into_reader().take(largest + 1);
    let mut block = vec![0; 64 * 1024];
    let mut copied = 0;
    loop {
        let read = from.read(&mut block)?;
        if read == 0 {
            break;
        }
        file.write_all(&block[..read]).map_err(|error| no_room(&error))?;
        copied += read as u64;
    }
    if copied > largest {
        let mib = largest / 1024 / 1024;
        return Err(refused(format!(
            "The spreadsheet is larger than {mib} MiB. Save the sheet as CSV UTF-8 and import that."
        )));
    }
    file.rewind()?;
    Ok(file)
}

fn no_room(error: &io::Error) -> io::Error {
    refused(format!("The spreadsheet cannot be kept in the data directory while it is read: {error}."))
}

fn open<B: Reader<BufReader<File>>>(file: File) -> io::Result<B>
where
    B::Error: std::fmt::Display,
{
    guarded(|| B::new(BufReader::new(file)))
}

/// What the reader of spreadsheets says, in our words. A defect of it that a file brings out is a fault of that file.
fn guarded<T, E: std::fmt::Display>(read: impl FnOnce() -> Result<T, E>) -> io::Result<T> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let reason = error.to_string();
            Err(refused(if reason.to_ascii_lowercase().contains("password") {
                "The spreadsheet is locked by a password. Save it without one and import that.".to_owned()
            } else {
                format!("The spreadsheet is damaged: {reason}. Open it, save it anew and import that.")
            }))
        }
        Err(_) => Err(refused("The spreadsheet is damaged. Open it, save it anew and import that.")),
    }
}

/// How many rows there are, up to `most`.
fn rows_of(most: usize, mut next_row: impl FnMut() -> io::Result<Option<u32>>) -> io::Result<usize> {
    let (mut rows, mut last) = (0, None);
    while rows < most
        && let Some(row) = next_row()?
    {
        rows += usize::from(last.replace(row) != Some(row));
    }
    Ok(rows)
}

/// The sheet to read, and what the others with rows in them are called. `rows_in` tells how many rows a sheet has, up to
/// a number.
fn choose(
    listed: &[Listed],
    named: Option<&str>,
    mut rows_in: impl FnMut(&str, usize) -> io::Result<usize>,
) -> io::Result<(String, Vec<String>)> {
    let sheets: Vec<&Listed> = listed.iter().filter(|sheet| sheet.typ == SheetType::WorkSheet).collect();
    if let Some(wanted) = named.map(str::trim) {
        let exact = sheets.iter().find(|sheet| sheet.name == wanted);
        let found = exact.or_else(|| sheets.iter().find(|sheet| sheet.name.to_lowercase() == wanted.to_lowercase()));
        let names: Vec<&str> = sheets.iter().map(|sheet| sheet.name.as_str()).collect();
        return found
            .map(|sheet| (sheet.name.clone(), Vec::new()))
            .ok_or_else(|| refused(format!("There is no sheet {wanted:?}; the sheets are {}.", names.join(", "))));
    }
    // What its owner hid is not what they mean to import.
    let shown = sheets.iter().filter(|sheet| sheet.visible == SheetVisible::Visible);
    let mut filled = Vec::new();
    for sheet in shown {
        let rows = rows_in(&sheet.name, 2)?;
        if rows > 0 {
            filled.push((rows, sheet.name.clone()));
        }
    }
    let place = filled.iter().position(|(rows, _)| *rows > 1).unwrap_or(0);
    if filled.is_empty() {
        return Err(refused("No sheet of the spreadsheet holds a row. If it is a hidden one, name it (--sheet)."));
    }
    let (_, name) = filled.remove(place);
    Ok((name, filled.into_iter().filter(|(rows, _)| *rows > 1).map(|(_, name)| name).collect()))
}

impl<'a> Sheet<'a> {
    fn new(name: String, others: Vec<String>, cells: Cells<'a>) -> io::Result<Self> {
        let (head, again, row) = (Vec::new(), VecDeque::new(), Vec::new());
        let mut sheet = Sheet { name, others, cells, ahead: None, head, again, row, columns: 0 };
        sheet.ahead = sheet.next_cell()?;
        while sheet.again.len() < HEAD
            && let Some((line, row)) = sheet.next_row()?
        {
            let cells = row.iter().map(|value| value.text.clone()).collect();
            sheet.head.push(HeadRow { line, shape: Shape::Cells, cells });
            sheet.again.push_back((line, row));
        }
        Ok(sheet)
    }

    /// The next cell that is not blank.
    fn next_cell(&mut self) -> io::Result<Option<Placed>> {
        loop {
            match (self.cells)()? {
                Some((_, _, value)) if value.text.is_empty() => {}
                cell => return Ok(cell),
            }
        }
    }

    fn next_row(&mut self) -> io::Result<Option<(u64, Vec<Value>)>> {
        let Some((row, column, value)) = self.ahead.take() else { return Ok(None) };
        let mut values = Vec::with_capacity(self.columns);
        place(&mut values, column, value)?;
        loop {
            match self.next_cell()? {
                Some((next, column, value)) if next == row => place(&mut values, column, value)?,
                ahead => {
                    self.ahead = ahead;
                    return Ok(Some((u64::from(row) + 1, values)));
                }
            }
        }
    }
}

fn place(row: &mut Vec<Value>, column: u32, value: Value) -> io::Result<()> {
    let column = column as usize;
    if column >= COLUMNS {
        return Err(refused("The spreadsheet is damaged: a cell stands beyond the last column."));
    }
    if row.len() <= column {
        row.resize_with(column + 1, Value::default);
    }
    row[column] = value;
    Ok(())
}

impl Table for Sheet<'_> {
    fn head(&self) -> &[HeadRow] {
        &self.head
    }

    fn set_columns(&mut self, columns: usize) {
        self.columns = columns;
    }

    fn next(&mut self) -> io::Result<Option<Framed>> {
        let next = match self.again.pop_front() {
            Some(row) => Some(row),
            None => self.next_row()?,
        };
        let Some((line, row)) = next else { return Ok(None) };
        self.row = row;
        // A sheet keeps no blank cells, so a row ends with its last filled one.
        if self.row.len() < self.columns {
            self.row.resize_with(self.columns, Value::default);
        }
        Ok(Some(Framed { line, text: Vec::new(), shape: Shape::Cells }))
    }

    fn cells(&self) -> impl Iterator<Item = &[u8]> {
        self.row.iter().map(|value| value.text.as_bytes())
    }

    fn is_rounded(&self, place: usize) -> bool {
        self.row.get(place).is_some_and(|value| value.rounded)
    }
}

/// A cell as text: numbers in full, dates as ISO 8601.
fn value_of(cell: &impl DataType) -> Value {
    let text = |text: String| Value { text, rounded: false };
    if let Some(words) = cell.get_string() {
        return text(words.to_owned());
    }
    if let Some(number) = cell.get_int() {
        return number_of(number as f64);
    }
    if let Some(number) = cell.get_float() {
        return number_of(number);
    }
    if let Some(date) = cell.get_datetime() {
        let (year, month, day, hour, minute, second, milli) = date.to_ymd_hms_milli();
        return text(if date.is_duration() || date.as_f64() < 1.0 {
            format!("{hour:02}:{minute:02}:{second:02}")
        } else if (hour, minute, second, milli) == (0, 0, 0, 0) {
            format!("{year:04}-{month:02}-{day:02}")
        } else {
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
        });
    }
    if let Some(iso) = cell.get_datetime_iso().or_else(|| cell.get_duration_iso()) {
        return text(iso.to_owned());
    }
    if let Some(truth) = cell.get_bool() {
        return text(if truth { "TRUE" } else { "FALSE" }.to_owned());
    }
    cell.get_error().map_or_else(Value::default, |error| text(error.to_string()))
}

/// A number as its cell holds it, to the fifteen digits that spreadsheets keep. One with more digits than that has lost
/// some, and is left in the notation that says so.
fn number_of(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        let rounded = number.abs() >= 1e9 && number % 1e6 == 0.0;
        return Value { text: format!("{number:.0}"), rounded };
    }
    if number.abs() >= 1e15 {
        return Value { text: format!("{number:E}"), rounded: false };
    }
    // 0.1 + 0.2 is 0.3 on every screen.
    let shown = format!("{number:.14e}").parse::<f64>().unwrap_or(number);
    Value { text: shown.to_string(), rounded: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_full_and_what_lost_digits_shows_it() {
        for (number, text) in [
            (201_001_234_567.0, "201001234567"),
            (0.0, "0"),
            (-5.0, "-5"),
            (0.1 + 0.2, "0.3"),
            (12.5, "12.5"),
            (201_001_234_567_890_123.0, "2.010012345678901E17"),
        ] {
            assert_eq!(number_of(number).text, text);
        }
        assert!(number_of(201_000_000_000.0).rounded);
        assert!(!number_of(201_001_234_567.0).rounded);
        assert!(!number_of(2_000_000.0).rounded, "no phone number is so short");
    }
}
