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

use anyhow::Context;

/// Bytes of a record: campaign, contact and attempt, little-endian.
const RECORD: usize = 24;
/// Records of a segment. The two newest are kept, far more than can be on the wire at once.
const SEGMENT: u64 = 500_000;

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
        let open = Mutex::new(Segment { file, number: 0, records: 0 });
        Ok(Self { dir, instance: instance.to_owned(), open })
    }

    /// Notes that this attempt is about to be handed over. Only after this returned may the bytes leave.
    ///
    /// # Errors
    /// When the record cannot be written (disk full); then nothing may leave.
    pub fn note(&self, key: AttemptKey) -> std::io::Result<()> {
        let mut segment = self.open.lock().map_err(|_| std::io::Error::other("a writer of the journal panicked"))?;
        if segment.records >= SEGMENT {
            let number = segment.number + 1;
            *segment = Segment { file: create(&segment_path(&self.dir, &self.instance, number))?, number, records: 0 };
            if let Some(old) = number.checked_sub(2) {
                // A segment that cannot be removed costs its space, nothing else.
                let _ = std::fs::remove_file(segment_path(&self.dir, &self.instance, old));
            }
        }
        // One write, so that a record is whole or absent but for a torn tail.
        segment.file.write_all(&key.to_record())?;
        segment.records += 1;
        Ok(())
    }

    /// What an earlier process handed over: `None` if it left no journal here, so that nothing is known.
    ///
    /// # Errors
    /// When a journal is there and cannot be read.
    pub fn read(data_dir: &Path, instance: &str) -> anyhow::Result<Option<HashSet<AttemptKey>>> {
        let dir = data_dir.join("journal");
        let mut handed_over = HashSet::new();
        let mut found = false;
        for path in segments(&dir, instance)? {
            let mut bytes = Vec::new();
            File::open(&path)
                .and_then(|mut file| file.read_to_end(&mut bytes))
                .with_context(|| format!("reading {}", path.display()))?;
            found = true;
            handed_over.extend(bytes.chunks_exact(RECORD).filter_map(AttemptKey::from_record));
        }
        Ok(found.then_some(handed_over))
    }

    /// Removes the journals of earlier processes once nothing of theirs is on the wire.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn forget(data_dir: &Path, instance: &str) -> anyhow::Result<()> {
        for path in segments(&data_dir.join("journal"), instance)? {
            std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
        Ok(())
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

    #[test]
    fn a_journal_tells_exactly_what_was_handed_over() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), "one").unwrap();
        journal.note(key(1)).unwrap();
        journal.note(key(i64::MAX)).unwrap();
        let read = Journal::read(dir.path(), "one").unwrap().unwrap();
        assert_eq!(read, HashSet::from([key(1), key(i64::MAX)]));
    }

    #[test]
    fn a_process_without_a_journal_proves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Journal::read(dir.path(), "gone").unwrap().is_none());
        Journal::open(dir.path(), "other").unwrap();
        assert!(Journal::read(dir.path(), "gone").unwrap().is_none());
        assert_eq!(Journal::read(dir.path(), "other").unwrap(), Some(HashSet::new()));
    }

    #[test]
    fn a_torn_last_record_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), "torn").unwrap();
        journal.note(key(1)).unwrap();
        let path = segment_path(&dir.path().join("journal"), "torn", 0);
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(&key(2).to_record()[..11]).unwrap();
        assert_eq!(Journal::read(dir.path(), "torn").unwrap().unwrap(), HashSet::from([key(1)]));
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
