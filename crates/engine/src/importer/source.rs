//! What an uploaded file is: text or a spreadsheet, packed or not. Known by its bytes, never by its name.

use std::fmt;
use std::io::{self, Cursor, Read};

use flate2::read::MultiGzDecoder;

use super::late::Failed;

/// How much of a file is looked at before it is read; more would keep a slow upload from beginning.
pub(super) const BEGINNING: usize = 64 * 1024;
/// What an archive may unpack to before its ratio is looked at.
const HARMLESS: u64 = 64 * 1024 * 1024;
/// Rows of people pack to a tenth, repeated ones to a hundredth. What unpacks to more than this is no file of people.
const GREATEST_RATIO: u64 = 250;

/// Why a file cannot be read, in sentences for the person who brought it. Travels as the cause of an [`io::Error`].
#[derive(Debug)]
pub(super) struct Refused(pub(super) String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// The upload broke off; whoever feeds it says why.
#[derive(Debug)]
pub(super) struct BrokeOff;

impl fmt::Display for BrokeOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the upload broke off")
    }
}

impl std::error::Error for BrokeOff {}

pub(super) fn refused(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Refused(reason.into()))
}

/// A file whose bytes say what it is. Reading it begins at its first byte.
pub(super) struct Source {
    /// What the file is.
    pub(super) kind: Kind,
    /// The first 64 KiB, or all there is.
    pub(super) beginning: Vec<u8>,
    /// Whether `beginning` is all of it.
    pub(super) whole: bool,
    rest: Box<dyn Read>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Rows of text.
    Text,
    /// A ZIP archive: XLSX, XLSB or ODS, if it is anything of use.
    Zip,
    /// A compound file: XLS.
    Compound,
}

impl Source {
    /// Looks at the beginning of a file, through gzip if it is packed.
    ///
    /// # Errors
    /// [`Refused`] for what holds no table, [`BrokeOff`] when the upload broke off.
    pub(super) fn open(file: impl Read + 'static) -> io::Result<Source> {
        let mut file: Box<dyn Read> = Box::new(file);
        let (mut beginning, mut failed) = begin(&mut file);
        if beginning.starts_with(b"\x1f\x8b") {
            let rest = Failed(failed).chain(file);
            file = Box::new(Unpacked::new(Cursor::new(beginning).chain(rest)));
            (beginning, failed) = begin(&mut file);
            if beginning.starts_with(b"\x1f\x8b") {
                return Err(refused("The file is packed twice over. Unpack it once and import what is in it."));
            }
        }
        let whole = beginning.len() < BEGINNING && failed.is_none();
        let kind = kind_of(&beginning).map_err(refused)?;
        // What came before a file broke off is read, and then that it did.
        Ok(Source { kind, beginning, whole, rest: Box::new(Failed(failed).chain(file)) })
    }

    /// The whole file from its first byte.
    pub(super) fn into_reader(self) -> impl Read {
        Cursor::new(self.beginning).chain(self.rest)
    }
}

/// The first 64 KiB, or what there is; and why there is no more, if it is not the file's end.
fn begin(file: &mut dyn Read) -> (Vec<u8>, Option<io::Error>) {
    let mut beginning = Vec::new();
    let failed = file.take(BEGINNING as u64).read_to_end(&mut beginning).err();
    (beginning, failed)
}

/// What the first bytes say, or why nothing can be read from such a file.
fn kind_of(bytes: &[u8]) -> Result<Kind, &'static str> {
    const KNOWN: &[(&[u8], &str)] = &[
        (b"\x28\xb5\x2f\xfd", "The file is packed with Zstandard. Unpack it, or pack it with gzip."),
        (b"\xfd7zXZ\0", "The file is packed with xz. Unpack it, or pack it with gzip."),
        (b"BZh", "The file is packed with bzip2. Unpack it, or pack it with gzip."),
        (b"Rar!", "The file is a RAR archive. Unpack it and import what is in it."),
        (b"7z\xbc\xaf\x27\x1c", "The file is a 7z archive. Unpack it and import what is in it."),
        (b"%PDF", "The file is a PDF. Import the table that it was made from."),
        (b"{\\rtf", "The file is an RTF document. Save its table as CSV UTF-8."),
        (b"\x89PNG", "The file is a picture. Import the table that it shows."),
        (b"\xff\xd8\xff", "The file is a picture. Import the table that it shows."),
        (b"SQLite format 3\0", "The file is a database. Export its table as CSV UTF-8."),
        (b"PAR1", "The file is Parquet. Export it as CSV UTF-8."),
    ];
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return Ok(Kind::Zip);
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Ok(Kind::Compound);
    }
    if let Some((_, reason)) = KNOWN.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(reason);
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Err("The file is a tar archive. Unpack it and import what is in it.");
    }
    if bytes.len() >= 16 && bytes.iter().take(4096).all(|byte| *byte == 0) {
        return Err("The file begins with nothing but zero bytes; it was damaged on its way. Export it again.");
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let begins = |word: &[u8]| text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    if begins(b"<html") || begins(b"<!doctype html") || begins(b"<table") {
        // Many systems call such a page .xls.
        return Err("The file is a web page, whatever its name says. Open it in a spreadsheet and save it as XLSX or \
                    CSV UTF-8.");
    }
    if begins(b"<?xml") || begins(b"<workbook") {
        return Err("The file is XML. Open it in a spreadsheet and save it as XLSX or CSV UTF-8.");
    }
    if begins(b"[{") || begins(b"{\"") || begins(b"[\n") && text.trim_ascii_start().contains(&b'{') {
        return Err("The file is JSON. Convert it to CSV UTF-8, one row for each person.");
    }
    if begins(b"BEGIN:VCARD") {
        return Err("The file holds business cards (vCard). Export the contacts as CSV.");
    }
    Ok(Kind::Text)
}

/// What comes out of gzip, as long as it stays in proportion to what goes in.
struct Unpacked<R> {
    decoder: MultiGzDecoder<Counted<R>>,
    out: u64,
}

struct Counted<R> {
    from: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(out)?;
        self.count += read as u64;
        Ok(read)
    }
}

impl<R: Read> Unpacked<R> {
    fn new(from: R) -> Self {
        Self { decoder: MultiGzDecoder::new(Counted { from, count: 0 }), out: 0 }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = match self.decoder.read(out) {
            Ok(read) => read,
            Err(error) if is_ours(&error) => return Err(error),
            Err(_) => {
                let bytes = self.out;
                return Err(refused(format!(
                    "The gzip file is damaged or cut off after {bytes} bytes of what is in it."
                )));
            }
        };
        self.out += read as u64;
        let packed = self.decoder.get_ref().count.max(1);
        if self.out > HARMLESS && self.out / packed > GREATEST_RATIO {
            return Err(refused(format!(
                "The gzip file unpacks to more than {GREATEST_RATIO} times its size; that is no file of people."
            )));
        }
        Ok(read)
    }
}

/// Whether an error says already what there is to say.
pub(super) fn is_ours(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|cause| cause.is::<Refused>() || cause.is::<BrokeOff>())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        Source::open(Cursor::new(bytes))?.into_reader().read_to_end(&mut all)?;
        Ok(all)
    }

    #[test]
    fn a_packed_file_is_unpacked_in_all_its_members() {
        let mut file = packed(b"phone\n");
        file.extend(packed(b"0100\n"));
        assert_eq!(read(file).unwrap(), b"phone\n0100\n");
        assert_eq!(read(b"phone\n".to_vec()).unwrap(), b"phone\n");
    }

    #[test]
    fn a_damaged_a_doubled_and_a_swollen_file_are_refused_by_what_they_are() {
        let whole = packed(&vec![b'x'; 10_000]);
        let swollen = packed(&vec![b'0'; 70 * 1024 * 1024]);
        for (file, word) in [
            (whole[..whole.len() / 2].to_vec(), "damaged"),
            (packed(&whole), "twice"),
            (swollen, "250 times"),
            (packed(b"%PDF-1.7"), "PDF"),
        ] {
            let error = read(file).unwrap_err();
            assert!(is_ours(&error) && error.to_string().contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn what_holds_no_table_is_named() {
        for (bytes, word) in [
            (&b"BZh91AY"[..], "bzip2"),
            (b"<HTML><table>", "web page"),
            (b"\xef\xbb\xbf <?xml version=", "XML"),
            (b"[{\"phone\": 1}]", "JSON"),
            (b"BEGIN:VCARD\r\n", "vCard"),
            (&[0; 64], "zero bytes"),
        ] {
            assert!(kind_of(bytes).unwrap_err().contains(word), "{word}");
        }
        assert_eq!(kind_of(b"phone,name\n"), Ok(Kind::Text));
        assert_eq!(kind_of(b"[phone]\n"), Ok(Kind::Text));
        assert_eq!(kind_of(b""), Ok(Kind::Text));
        assert_eq!(kind_of(b"PK\x03\x04"), Ok(Kind::Zip));
    }
}
