//! The reading half of an import alone: what an uploaded file's bytes come to, with no database and no clock. For the
//! fuzz target and for tests of files.

use std::collections::HashMap;
use std::io::{self, Cursor, Read};

use domain::Millis;
use domain::csv_row::{DateOrder, OptInAt, TimeRules};
use domain::delimiter;
use domain::reasons::Tongue;
use encoding_rs::{Encoding, UTF_8, UTF_16LE, WINDOWS_1256};
use tokio::sync::mpsc;

use super::encoding::{self, Decoded};
use super::found::Found;
use super::rows::{self, Reading, Said};

/// 2026-11-22T00:00:00Z, the present of a survey.
const NOW: Millis = 1_795_305_600_000;

/// What a file came to.
#[derive(Debug, Default)]
pub struct Survey {
    /// How it was read; `None` if it was refused before its first row.
    pub found: Option<Found>,
    /// Why it was refused.
    pub refused: Option<String>,
    /// Rows without the header.
    pub rows: i64,
    /// Of them people.
    pub people: i64,
    /// Of them repeats.
    pub duplicates: i64,
    /// Of them rejects.
    pub rejected: i64,
    /// The rejects' file, with its header.
    pub rejects: Vec<u8>,
}

/// What somebody tells of a file before it is read.
#[derive(Clone, Copy, Debug)]
struct Told {
    region: bool,
    delimiter: Option<u8>,
    encoding: Option<&'static Encoding>,
    header: Option<bool>,
    order: Option<DateOrder>,
    times_in_a_column: bool,
    tongue: Tongue,
    /// So many bytes come at once, at the most.
    piece: usize,
}

impl Told {
    const NOTHING: Self = Self {
        region: true,
        delimiter: None,
        encoding: None,
        header: None,
        order: None,
        times_in_a_column: false,
        tongue: Tongue::English,
        piece: usize::MAX,
    };

    /// Any two bytes tell something.
    fn by([one, two]: [u8; 2]) -> Self {
        let pick = |byte: u8, shift: u8, bits: u8| usize::from(byte >> shift & ((1 << bits) - 1));
        Self {
            region: pick(one, 0, 1) == 0,
            delimiter: [None, None, None, None, Some(b','), Some(b';'), Some(b'\t'), Some(b'|')][pick(one, 1, 3)],
            encoding: [None, None, Some(WINDOWS_1256), Some(UTF_16LE)][pick(one, 4, 2)],
            header: [None, None, Some(true), Some(false)][pick(one, 6, 2)],
            order: [None, None, Some(DateOrder::DayFirst), Some(DateOrder::MonthFirst)][pick(two, 0, 2)],
            times_in_a_column: pick(two, 2, 1) == 1,
            tongue: [Tongue::English, Tongue::English, Tongue::Arabic, Tongue::Spanish][pick(two, 3, 2)],
            piece: [usize::MAX, usize::MAX, 1, 2, 7, 100, 4_095, 65_537][pick(two, 5, 3)],
        }
    }
}

/// A file that comes in pieces.
struct Trickle {
    file: Cursor<Vec<u8>>,
    piece: usize,
}

impl Read for Trickle {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let room = out.len().min(self.piece);
        self.file.read(&mut out[..room])
    }
}

/// Reads a file as an import with the region `EG` and one time of consent would. Spreadsheets are kept in the system's
/// directory for temporary files while they are read.
///
/// # Panics
/// When reading panics, which no file may bring about.
#[must_use]
pub fn survey(file: Vec<u8>) -> Survey {
    survey_told(file, Told::NOTHING)
}

/// What holds of whatever is found out about a text before it is read, by its first bytes: text that is UTF-8 is taken for
/// it; letters come out the same however the bytes are cut; nothing is lost of what the beginning showed; and the
/// delimiter is one that there is.
///
/// # Panics
/// When it does not hold.
pub fn check_detector(bytes: &[u8]) {
    let encoding = encoding::detect(bytes);
    let is_marked = Encoding::for_bom(bytes).is_some();
    if !is_marked && !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok() {
        assert_eq!(encoding, UTF_8, "UTF-8 is taken for it");
    }
    if let Some((marked, _)) = Encoding::for_bom(bytes) {
        assert_eq!(encoding, marked, "a mark is believed");
    }
    let text_of = |piece| {
        let mut text = Vec::new();
        let read = Decoded::new(Trickle { file: Cursor::new(bytes.to_vec()), piece }, encoding).read_to_end(&mut text);
        assert!(read.is_ok(), "memory does not break off");
        text
    };
    let text = text_of(usize::MAX);
    assert!(std::str::from_utf8(&text).is_ok(), "it is text");
    for piece in [1, 3, 4_096] {
        assert_eq!(text, text_of(piece), "cut into pieces of {piece}");
    }
    let beginning = encoding::beginning_in_utf8(bytes, encoding);
    assert!(text.starts_with(&beginning), "the beginning is the text's");
    // At its end at most one letter was cut off.
    assert!(text.len() - beginning.len() <= 2 * char::REPLACEMENT_CHARACTER.len_utf8(), "and all of it but a letter");
    let text = String::from_utf8_lossy(&text);
    let found =
        delimiter::named_in(text.lines().next().unwrap_or_default()).unwrap_or_else(|| delimiter::detect(&text));
    assert!(b",;\t|".contains(&found), "{found}");
}

#[expect(clippy::panic, reason = "what this looks for")]
fn survey_told(file: Vec<u8>, told: Told) -> Survey {
    let reading = Reading {
        mapping: Vec::new(),
        remembered: HashMap::new(),
        region: "EG".parse().ok().filter(|_| told.region),
        opt_in_at: if told.times_in_a_column { OptInAt::Column } else { OptInAt::Fixed(0) },
        times: TimeRules { order: told.order, ..TimeRules::default() },
        now: NOW,
        delimiter: told.delimiter,
        encoding: told.encoding,
        header: told.header,
        sheet: None,
        tongue: told.tongue,
        spool: std::env::temp_dir(),
    };
    let file = Trickle { file: Cursor::new(file), piece: told.piece };
    let (to, mut said) = mpsc::channel(4);
    let reader = std::thread::spawn(move || rows::read(file, &reading, &to));
    let mut survey = Survey::default();
    while let Some(said) = said.blocking_recv() {
        match said {
            Said::Unusable(reason) => survey.refused = Some(reason),
            Said::Header(begun) => {
                survey.rejects = begun.rejects;
                survey.found = Some(begun.found);
            }
            Said::Parcel(parcel) => {
                survey.people += i64::try_from(parcel.people.len()).unwrap_or(i64::MAX);
                survey.rejects.extend(parcel.rejects);
                (survey.rows, survey.duplicates, survey.rejected) = (parcel.rows, parcel.duplicates, parcel.rejected);
            }
        }
    }
    match reader.join() {
        Ok(Ok(())) => survey,
        Ok(Err(error)) => panic!("reading failed: {error}"),
        Err(panicked) => std::panic::resume_unwind(panicked),
    }
}

/// What holds of every file, whatever is in it: see [`check_told`].
///
/// # Panics
/// When it does not hold.
pub fn check(file: Vec<u8>) {
    check_survey(file, Told::NOTHING);
}

/// What holds of every file, whatever is in it and whatever is told of it (by the first two bytes here): the counts add
/// up; the rejects are a file of their own with a line, a code and a reason for each; and imported again as they are,
/// none of them is taken for a person but one who had no more than a number in their row. How the file is cut on its way makes no difference.
///
/// # Panics
/// When it does not hold.
pub fn check_told(bytes: &[u8]) {
    if let Some((told, file)) = bytes.split_first_chunk() {
        check_survey(file.to_vec(), Told::by(*told));
    }
}

fn check_survey(file: Vec<u8>, told: Told) {
    let survey = survey_told(file.clone(), told);
    assert_eq!(survey.rows, survey.people + survey.duplicates + survey.rejected, "the counts add up");
    let delimiter = survey.found.as_ref().and_then(|found| found.delimiter.clone());
    let mut rejects = csv::ReaderBuilder::new().from_reader(&survey.rejects[..]);
    let (mut lines, mut lone) = (0, 0);
    for record in rejects.byte_records() {
        let record = record.unwrap_or_default();
        let cell = |from_end: usize| record.len().checked_sub(from_end).and_then(|place| record.get(place));
        assert!(cell(5).is_some_and(|line| !line.is_empty() && line.iter().all(u8::is_ascii_digit)), "a line");
        assert!(cell(2).is_some_and(|code| !code.is_empty()) && cell(1).is_some_and(|reason| !reason.is_empty()));
        lines += 1;
        let (row, mark) = (record.get(0).unwrap_or_default(), delimiter.as_deref().unwrap_or_default().as_bytes());
        let filled = |cell: &&[u8]| !cell.trim_ascii().is_empty();
        let is_lone = mark.is_empty() || row.split(|byte| mark.contains(byte)).filter(filled).count() <= 1;
        lone += i64::from(cell(4) == Some(b"") && is_lone);
    }
    assert_eq!(lines, survey.rejected, "a line for each reject");
    if told.piece < usize::MAX {
        let whole = survey_told(file, Told { piece: usize::MAX, ..told });
        let facts = |survey: &Survey| {
            let Survey { found, refused, rows, people, duplicates, rejected, .. } = survey;
            (found.clone(), refused.clone(), *rows, *people, *duplicates, *rejected)
        };
        assert_eq!(facts(&survey), facts(&whole), "the same file in pieces");
        assert_eq!(survey.rejects, whole.rejects, "the same rejects");
    }
    let again = Told { delimiter: Some(b','), encoding: Some(UTF_8), header: Some(true), piece: usize::MAX, ..told };
    let (mapping, rejected) = (survey.found.map(|found| found.mapping), survey.rejected);
    let text = String::from_utf8_lossy(&survey.rejects).chars().take(1_000).collect::<String>();
    let again = survey_told(survey.rejects, again);
    // Where the columns are known by what they hold, the bad rows alone may look otherwise.
    if rejected > 0 && again.found.map(|found| found.mapping) == mapping {
        assert_eq!(again.rows, rejected, "as many rows: {text}");
        // A row of one cell, the number, says nothing else that could be lost: with blanks beside it, its own or those of
        // the file of rejects, it is a person.
        assert!(again.people + again.duplicates <= lone, "rejected again unless mended: {text}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    /// The hostile files.
    static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/hostile");
        let files = std::fs::read_dir(dir).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        let mut seeds: Vec<Vec<u8>> = files.filter(|file| file.len() < 64 * 1024).collect();
        seeds.sort();
        seeds
    });

    #[test]
    fn no_hostile_file_breaks_the_reader_whatever_is_told_of_it() {
        for file in SEEDS.iter() {
            for told in [[0, 0], [0x48, 0x80], [0x4b, 0x62], [0x88, 0xc4], [0xc1, 0xf9]] {
                check_told(&[&told[..], file].concat());
            }
        }
    }

    #[test]
    fn what_is_found_out_of_a_hostile_files_beginning_holds() {
        for file in SEEDS.iter() {
            check_detector(file);
            check_detector(&file[..file.len() / 2]);
            check_detector(&file[file.len() / 3..]);
        }
    }

    /// Files that broke it once, or broke what holds of every file: found by the fuzzer, made small.
    #[test]
    fn nothing_that_once_broke_the_reader_does_again() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/found");
        for entry in std::fs::read_dir(dir).unwrap() {
            check_told(&std::fs::read(entry.unwrap().path()).unwrap());
        }
    }

    proptest! {
        // The same files each time: a run that fails can be run again. New ones are for the fuzzer to find.
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(22_11), ..ProptestConfig::with_cases(600) })]

        /// The fuzz target's own check, on the hostile files with some bytes changed, cut or doubled, whatever is told
        /// of them.
        #[test]
        fn no_spoilt_file_breaks_the_reader(
            told in any::<[u8; 2]>(),
            which in any::<prop::sample::Index>(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..6),
        ) {
            let mut file = which.get(&SEEDS).clone();
            for (place, byte, change) in changes {
                if file.is_empty() {
                    break;
                }
                let place = place.index(file.len());
                match change {
                    0 => file[place] = byte,
                    1 => file.insert(place, byte),
                    2 => file.truncate(place),
                    _ => {
                        let end = (place + usize::from(byte)).min(file.len());
                        let piece = file[place..end].to_vec();
                        file.extend(piece);
                    }
                }
            }
            check_told(&[&told[..], &file].concat());
            check_detector(&file);
            check(file);
        }

        #[test]
        fn no_heap_of_marks_breaks_the_reader(file in prop::collection::vec(
            prop::sample::select(&b"\"\"\n\r,;\t|=0123+p\x00\xc7\xe1\xff\xfe"[..]), 0..200)
        ) {
            check(file.clone());
            check([&b"phone,name\n"[..], &file].concat());
            check_told(&[&b"\x00\x80phone,name\n"[..], &file].concat());
        }
    }
}
