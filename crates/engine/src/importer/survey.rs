//! The reading half of an import alone: what an uploaded file's bytes come to, with no database and no clock. For the
//! fuzz target and for tests of files.

use std::collections::HashMap;
use std::io::Cursor;

use domain::Millis;
use domain::csv_row::{OptInAt, TimeRules};
use domain::reasons::Tongue;
use tokio::sync::mpsc;

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

/// Reads a file as an import with the region `EG` and one time of consent would. Spreadsheets are kept in the system's
/// directory for temporary files while they are read.
///
/// # Panics
/// When reading panics, which no file may bring about.
#[must_use]
#[expect(clippy::panic, reason = "what this looks for")]
pub fn survey(file: Vec<u8>) -> Survey {
    let reading = Reading {
        mapping: Vec::new(),
        remembered: HashMap::new(),
        region: "EG".parse().ok(),
        opt_in_at: OptInAt::Fixed(0),
        times: TimeRules::default(),
        now: NOW,
        delimiter: None,
        encoding: None,
        header: None,
        sheet: None,
        tongue: Tongue::default(),
        spool: std::env::temp_dir(),
    };
    let (to, mut said) = mpsc::channel(4);
    let reader = std::thread::spawn(move || rows::read(Cursor::new(file), &reading, &to));
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

/// What holds of every file, whatever is in it: the counts add up, and the rejects are a file of their own with a line,
/// a code and a reason for each.
///
/// # Panics
/// When it does not hold.
pub fn check(file: Vec<u8>) {
    let survey = survey(file);
    assert_eq!(survey.rows, survey.people + survey.duplicates + survey.rejected, "the counts add up");
    let mut rejects = csv::ReaderBuilder::new().from_reader(&survey.rejects[..]);
    let mut lines = 0;
    for record in rejects.byte_records() {
        let record = record.unwrap_or_default();
        let cell = |from_end: usize| record.len().checked_sub(from_end).and_then(|place| record.get(place));
        assert!(cell(5).is_some_and(|line| !line.is_empty() && line.iter().all(u8::is_ascii_digit)), "a line");
        assert!(cell(2).is_some_and(|code| !code.is_empty()) && cell(1).is_some_and(|reason| !reason.is_empty()));
        lines += 1;
    }
    assert_eq!(lines, survey.rejected, "a line for each reject");
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    /// The hostile files.
    static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/hostile");
        let files = std::fs::read_dir(dir).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        let mut seeds: Vec<Vec<u8>> = files.filter(|file| file.len() < 64 * 1024).collect();
        seeds.sort();
        seeds
    });

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// The fuzz target's own check, on the hostile files with some bytes changed, cut or doubled.
        #[test]
        fn no_spoilt_file_breaks_the_reader(
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
            check(file);
        }

        #[test]
        fn no_heap_of_marks_breaks_the_reader(file in prop::collection::vec(
            prop::sample::select(&b"\"\"\n\r,;\t|=0123+p\x00\xc7\xe1\xff\xfe"[..]), 0..200)
        ) {
            check(file.clone());
            check([&b"phone,name\n"[..], &file].concat());
        }
    }
}
