//! What is in a spreadsheet's container, looked at before any of it is kept in memory.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek};

use zip::ZipArchive;
use zip::result::ZipError;

use super::source::{Kind, refused};

/// The most files in a container.
const FILES: usize = 10_000;
/// What all of them may unpack to together.
const ALL: u64 = 4 * 1024 * 1024 * 1024;
/// What one that is kept in memory may unpack to: a million names of sixty letters are a fourth of it.
const IN_MEMORY: u64 = 256 * 1024 * 1024;
/// The longest text or tag. A cell of a spreadsheet has at most 32,767 characters.
const LONGEST_TEXT: usize = 1024 * 1024;
/// How often a cell or row of an ODS may be said to repeat, all such sayings together. Blank ones at the end of rows
/// and sheets do not count.
const REPEATS: u64 = 5_000_000;

/// What kind of spreadsheet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Book {
    /// Office Open XML.
    Xlsx,
    /// The same with binary parts.
    Xlsb,
    /// Excel 97 to 2003.
    Xls,
    /// OpenDocument.
    Ods,
}

/// Looks through the container. Nothing of it has more than bounded memory until this has said yes; the file is at its
/// beginning then.
///
/// # Errors
/// [`super::source::Refused`] for anything but a spreadsheet of bounded size.
pub(super) fn book_of(file: &mut File, kind: Kind) -> io::Result<Book> {
    if kind == Kind::Compound {
        return Ok(Book::Xls);
    }
    let mut archive = ZipArchive::new(io::BufReader::new(&mut *file)).map_err(|error| damaged(&error))?;
    if archive.len() > FILES {
        return Err(too_much());
    }
    let names: Vec<String> = archive.file_names().map_while(Result::ok).map(Cow::into_owned).collect();
    let has = |name: &str| names.iter().any(|other| other.eq_ignore_ascii_case(name));
    let book = if has("xl/workbook.bin") {
        Book::Xlsb
    } else if has("xl/workbook.xml") || has("_rels/.rels") && names.iter().any(|name| name.ends_with("/workbook.xml")) {
        Book::Xlsx
    } else if has("content.xml") && has("mimetype") {
        Book::Ods
    } else {
        return Err(refused(no_spreadsheet(&names)));
    };
    let mut all = 0;
    for place in 0..archive.len() {
        let entry = archive.by_index(place).map_err(|error| damaged(&error))?;
        let name = entry.name().map_err(|error| damaged(&error))?.to_ascii_lowercase();
        // Pictures and the like are never opened.
        if !(name.ends_with(".xml") || name.ends_with(".rels") || name.ends_with(".bin")) {
            continue;
        }
        let streamed = name.contains("worksheets/");
        let most = if streamed { ALL } else { IN_MEMORY };
        all += measure(entry, most, book)?;
        if all > ALL {
            return Err(too_much());
        }
    }
    drop(archive);
    file.rewind()?;
    Ok(book)
}

/// How many bytes come out of an entry, whatever it says about itself.
fn measure(mut entry: impl Read, most: u64, book: Book) -> io::Result<u64> {
    let mut block = vec![0; 128 * 1024];
    let (mut out, mut run, mut repeats) = (0_u64, 0, Repeats::default());
    loop {
        let read = match entry.read(&mut block) {
            Ok(0) => return Ok(out),
            Ok(read) => read,
            Err(error) => return Err(refused(format!("The spreadsheet is damaged: {error}."))),
        };
        out += read as u64;
        let bytes = &block[..read];
        if book != Book::Xlsb {
            run = match (memchr::memchr(b'<', bytes), memchr::memrchr(b'<', bytes)) {
                (Some(first), Some(_)) if run + first > LONGEST_TEXT => return Err(too_much()),
                (_, Some(last)) => read - last,
                _ => run + read,
            };
        }
        if book == Book::Ods {
            repeats.take(bytes);
        }
        if out > most || run > LONGEST_TEXT || repeats.sum > REPEATS {
            return Err(too_much());
        }
    }
}

/// Adds up how often an ODS says that something repeats. What it says of blank cells is huge and harmless: it stands in
/// a tag that has no more than a style.
#[derive(Default)]
struct Repeats {
    sum: u64,
    tag: Vec<u8>,
    in_tag: bool,
}

impl Repeats {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'<' => {
                    self.tag.clear();
                    self.in_tag = true;
                }
                b'>' if self.in_tag => {
                    self.in_tag = false;
                    self.sum += self.count();
                }
                _ if self.in_tag && self.tag.len() < 4096 => self.tag.push(*byte),
                _ => {}
            }
        }
    }

    fn count(&self) -> u64 {
        let Ok(tag) = std::str::from_utf8(&self.tag) else { return 0 };
        let Some((_, rest)) = tag.split_once("-repeated=\"") else { return 0 };
        let is_cell = tag.starts_with("table:table-cell");
        // `<table:table-cell … />` has nothing in it unless it says a value.
        if is_cell && tag.ends_with('/') && !tag.contains("office:value-type") {
            return 0;
        }
        // A row of blank cells is a row as well; only the trailing ones, which repeat to the sheet's end, are let be.
        let times = rest.split('"').next().and_then(|times| times.parse::<u64>().ok()).unwrap_or(u64::MAX);
        if tag.starts_with("table:table-row") && times > 1_000_000 - 100_000 { 0 } else { times }
    }
}

fn no_spreadsheet(names: &[String]) -> String {
    let holds = |start: &str| names.iter().any(|name| name.starts_with(start));
    if holds("word/") {
        return "The file is a Word document. Copy its table to a spreadsheet and save that.".to_owned();
    }
    if holds("ppt/") {
        return "The file is a presentation. Copy its table to a spreadsheet and save that.".to_owned();
    }
    if holds("Index/") {
        return "The file is of Apple Numbers. Export it as XLSX or CSV and import that.".to_owned();
    }
    let files: Vec<&str> = names.iter().filter(|name| !name.ends_with('/')).map(String::as_str).collect();
    match files.as_slice() {
        [] => "The file is an empty ZIP archive.".to_owned(),
        [one] => format!("The file is a ZIP archive with {one:?} in it. Unpack it and import that."),
        [first, others @ ..] => {
            let count = others.len();
            format!(
                "The file is a ZIP archive with {first:?} and {count} more in it. Unpack it and import what you want."
            )
        }
    }
}

fn damaged(error: &ZipError) -> io::Error {
    refused(match error {
        ZipError::UnsupportedArchive(reason) if reason.to_ascii_lowercase().contains("password") => {
            "The spreadsheet is locked by a password. Save it without one and import that.".to_owned()
        }
        error => format!("The spreadsheet is damaged or cut off: {error}. Save it anew and import that."),
    })
}

fn too_much() -> io::Error {
    refused(
        "The spreadsheet unpacks to more than can be read in bounded memory. Save the sheet as CSV UTF-8 and import that.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(bytes: &[u8], book: Book) -> Option<u64> {
        measure(bytes, 1024 * 1024, book).ok()
    }

    #[test]
    fn parts_of_bounded_size_and_texts_of_bounded_length_are_let_through() {
        let cell = b"<c><v>1</v></c>";
        assert_eq!(measured(&cell.repeat(1000), Book::Xlsx), Some(15_000));
        assert_eq!(measured(&cell.repeat(100_000), Book::Xlsx), None, "more than was allowed");
        let endless = io::repeat(b'x').take(1024 * 1024 * 1024);
        assert!(measure(endless, u64::MAX, Book::Xlsx).is_err(), "one text without end");
        let tags = io::repeat(b'<').take(3 * 1024 * 1024);
        assert_eq!(measure(tags, u64::MAX, Book::Xlsx).ok(), Some(3 * 1024 * 1024));
    }

    #[test]
    fn cells_that_repeat_without_end_are_refused_and_blank_ones_let_be() {
        let blank = br#"<table:table-cell table:number-columns-repeated="16384"/>"#.repeat(1000);
        assert!(measured(&blank, Book::Ods).is_some());
        let rest = br#"<table:table-row table:number-rows-repeated="1048570"><table:table-cell/></table:table-row>"#;
        assert!(measured(rest, Book::Ods).is_some());
        let filled =
            br#"<table:table-cell table:number-columns-repeated="16384" office:value-type="string"/>"#.repeat(1000);
        assert!(measured(&filled, Book::Ods).is_none());
    }
}
