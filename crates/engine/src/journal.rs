//! The local journal: which attempts were handed to the HTTP client. After a crash within the same boot it tells which
//! claims never left, so that they can be planned again instead of being in doubt.
//!
//! A record is appended, without fsync, right before the request's bytes are handed over: the page cache outlives the
//! process, though not the machine, which is why a journal of an earlier boot proves nothing.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;

use crate::presence;

/// Bytes of a record: campaign, contact and attempt, little-endian.
const RECORD: usize = 24;
/// Records of a segment. The two newest are kept, far more than can be on the wire at once.
const SEGMENT: u64 = 500_000;
/// Journals of processes that crashed are kept so long.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3_600);

/// One attempt at one send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptKey {
    /// The campaign.
    pub campaign_id: i64,
    /// The person.
    pub contact_id: i64,
    /// The attempt.
    pub attempt: i64,
}

impl AttemptKey {
    fn to_record(self) -> [u8; RECORD] {
        let mut record = [0; RECORD];
        let fields = [self.campaign_id, self.contact_id, self.attempt];
        for (slot, field) in record.chunks_exact_mut(8).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        record
    }

    fn from_record(record: &[u8]) -> Option<Self> {
        let mut fields = record.chunks_exact(8).map(|slot| slot.try_into().map(i64::from_le_bytes).ok());
        Some(Self { campaign_id: fields.next()??, contact_id: fields.next()??, attempt: fields.next()?? })
    }
}

/// The journal of this process.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    instance: String,
    open: Mutex<Segment>,
}

#[derive(Debug)]
struct Segment {
    file: File,
    number: u64,
    records: u64,
    /// The last write failed and may have left a part of a record.
    torn: bool,
}

/// What an earlier process left behind.
#[derive(Debug)]
pub struct Past {
    handed_over: HashSet<AttemptKey>,
    /// Set where older segments are gone: claims before this wall time (epoch ms) may have stood in them.
    complete_since: Option<i64>,
}

impl Past {
    /// Whether it is certain that this attempt, claimed at that wall time (epoch ms), was never handed over.
    #[must_use]
    pub fn proves_unsent(&self, key: AttemptKey, claimed_at: Option<i64>) -> bool {
        let covered = match (self.complete_since, claimed_at) {
            (None, _) => true,
            (Some(since), Some(claimed_at)) => claimed_at > since,
            (Some(_), None) => false,
        };
        covered && !self.handed_over.contains(&key)
    }
}

fn segment_path(dir: &Path, instance: &str, number: u64) -> PathBuf {
    dir.join(format!("{instance}.{number}.journal"))
}

fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create_new(true).open(path)
}

impl Journal {
    /// Opens a fresh journal for this process start, under `<data_dir>/journal`.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn open(data_dir: &Path, instance: &str) -> anyhow::Result<Self> {
        let dir = data_dir.join("journal");
        std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        let path = segment_path(&dir, instance, 0);
        let file = create(&path).with_context(|| format!("creating {}", path.display()))?;
        let open = Mutex::new(Segment { file, number: 0, records: 0, torn: false });
        forget_old(&dir, &path);
        Ok(Self { dir, instance: instance.to_owned(), open })
    }

    /// Notes that this attempt is about to be handed over. Only after this returned may the bytes leave.
    ///
    /// # Errors
    /// When the record cannot be written (disk full); then nothing may leave.
    pub fn note(&self, key: AttemptKey) -> std::io::Result<()> {
        let mut segment = self.open.lock().map_err(|_| std::io::Error::other("a writer of the journal panicked"))?;
        if segment.torn {
            // What follows half a record would be read out of step, and so not be found.
            segment.file.set_len(segment.records * RECORD as u64)?;
            segment.torn = false;
        }
        if segment.records >= SEGMENT {
            let number = segment.number + 1;
            let file = create(&segment_path(&self.dir, &self.instance, number))?;
            *segment = Segment { file, number, records: 0, torn: false };
            if let Some(old) = number.checked_sub(2) {
                // A segment that cannot be removed costs its space, nothing else.
                let _ = std::fs::remove_file(segment_path(&self.dir, &self.instance, old));
            }
        }
        // One write, so that a record is whole or absent but for a torn tail.
        if let Err(error) = segment.file.write_all(&key.to_record()) {
            segment.torn = true;
            return Err(error);
        }
        segment.records += 1;
        Ok(())
    }

    /// What an earlier process handed over: `None` if it left no journal here, so that nothing is known.
    ///
    /// # Errors
    /// When a journal is there and cannot be read.
    pub fn read(data_dir: &Path, instance: &str) -> anyhow::Result<Option<Past>> {
        let dir = data_dir.join("journal");
        let paths = segments(&dir, instance)?;
        if paths.is_empty() {
            return Ok(None);
        }
        let mut handed_over = HashSet::new();
        for path in &paths {
            let mut bytes = Vec::new();
            File::open(path)
                .and_then(|mut file| file.read_to_end(&mut bytes))
                .with_context(|| format!("reading {}", path.display()))?;
            handed_over.extend(bytes.chunks_exact(RECORD).filter_map(AttemptKey::from_record));
        }
        let is_whole = paths.contains(&segment_path(&dir, instance, 0));
        let complete_since = (!is_whole).then(|| paths.iter().map(|path| begun(path)).min().unwrap_or(i64::MAX));
        Ok(Some(Past { handed_over, complete_since }))
    }

    /// Removes a process's journal, once nothing of it is on the wire.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn forget(data_dir: &Path, instance: &str) -> anyhow::Result<()> {
        for path in segments(&data_dir.join("journal"), instance)? {
            std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
        Ok(())
    }
}

/// When a segment was begun (epoch ms). Where the filesystem does not tell: later than any claim, so that its gaps
/// prove nothing.
fn begun(path: &Path) -> i64 {
    let made = std::fs::metadata(path).and_then(|metadata| metadata.created()).ok();
    made.and_then(|made| made.duration_since(UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(i64::MAX)
}

/// Removes journals, and signs of life, of processes that are dead and last wrote long before this one was begun. Without its journal an orphan is in doubt,
/// and the next owner settles orphans within seconds; so nothing is lost with them.
fn forget_old(dir: &Path, own: &Path) {
    let written = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let (Some(now), Ok(entries)) = (written(own), std::fs::read_dir(dir)) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((instance, kind)) = name.split_once('.') else { continue };
        let age = written(&path).and_then(|at| now.duration_since(at).ok());
        if age.is_none_or(|age| age <= KEEP) || presence::lives(dir, instance) {
            continue;
        }
        if kind == "alive" || kind.ends_with(".journal") {
            // One that cannot be removed costs its space, nothing else.
            let _ = std::fs::remove_file(&path);
        }
    }
}

fn segments(dir: &Path, instance: &str) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("listing {}", dir.display())),
    };
    let prefix = format!("{instance}.");
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: i64) -> AttemptKey {
        AttemptKey { campaign_id: 7, contact_id: n, attempt: 1 }
    }

    fn handed_over(data_dir: &Path, instance: &str) -> HashSet<AttemptKey> {
        Journal::read(data_dir, instance).unwrap().unwrap().handed_over
    }

    #[test]
    fn a_journal_tells_exactly_what_was_handed_over() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), "one").unwrap();
        journal.note(key(1)).unwrap();
        journal.note(key(i64::MAX)).unwrap();
        let read = Journal::read(dir.path(), "one").unwrap().unwrap();
        assert_eq!(read.handed_over, HashSet::from([key(1), key(i64::MAX)]));
        assert!(!read.proves_unsent(key(1), None));
        assert!(read.proves_unsent(key(2), None));
    }

    #[test]
    fn a_process_without_a_journal_proves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Journal::read(dir.path(), "gone").unwrap().is_none());
        Journal::open(dir.path(), "other").unwrap();
        assert!(Journal::read(dir.path(), "gone").unwrap().is_none());
        assert!(Journal::read(dir.path(), "other").unwrap().unwrap().handed_over.is_empty());
    }

    #[test]
    fn a_torn_last_record_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), "torn").unwrap();
        journal.note(key(1)).unwrap();
        let path = segment_path(&dir.path().join("journal"), "torn", 0);
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(&key(2).to_record()[..11]).unwrap();
        assert_eq!(handed_over(dir.path(), "torn"), HashSet::from([key(1)]));
    }

    #[test]
    fn after_a_write_that_failed_halfway_later_records_are_still_found() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), "full").unwrap();
        journal.note(key(1)).unwrap();
        {
            // What a full disk does: a part of the record, then an error.
            let mut segment = journal.open.lock().unwrap();
            segment.file.write_all(&key(2).to_record()[..11]).unwrap();
            segment.torn = true;
        }
        journal.note(key(3)).unwrap();
        assert_eq!(handed_over(dir.path(), "full"), HashSet::from([key(1), key(3)]));
    }

    #[test]
    fn a_journal_whose_beginning_is_gone_proves_nothing_about_older_claims() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), "long").unwrap();
        for _ in 0..2 {
            journal.open.lock().unwrap().records = SEGMENT;
            journal.note(key(1)).unwrap();
        }
        let past = Journal::read(dir.path(), "long").unwrap().unwrap();
        assert!(!past.proves_unsent(key(2), Some(1_600_000_000_000)), "claimed before what is left was begun");
        assert!(!past.proves_unsent(key(2), None));
        assert!(!past.proves_unsent(key(1), Some(i64::MAX)));
    }

    #[test]
    fn journals_of_long_ago_are_removed_and_fresh_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        Journal::open(dir.path(), "old").unwrap();
        Journal::open(dir.path(), "fresh").unwrap();
        let old = segment_path(&dir.path().join("journal"), "old", 0);
        let long_ago = UNIX_EPOCH + Duration::from_secs(1_600_000_000);
        File::options().append(true).open(old).unwrap().set_modified(long_ago).unwrap();
        Journal::open(dir.path(), "new").unwrap();
        assert!(Journal::read(dir.path(), "old").unwrap().is_none());
        assert!(Journal::read(dir.path(), "fresh").unwrap().is_some());
    }

    #[test]
    fn a_forgotten_journal_is_gone_and_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        Journal::open(dir.path(), "a").unwrap();
        Journal::open(dir.path(), "b").unwrap();
        Journal::forget(dir.path(), "a").unwrap();
        assert!(Journal::read(dir.path(), "a").unwrap().is_none());
        assert!(Journal::read(dir.path(), "b").unwrap().is_some());
    }
}
