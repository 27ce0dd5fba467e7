//! How far the database had come when this data directory last saw it, kept outside of it: so that a database restored
//! from a copy is known for one, and nobody gets again what the copy knows nothing of.
//!
//! Every owner of a lease beats in the database twice a second, and the beats of a lease only grow. After each beat its
//! number is written to a small file. A database whose beats stand lower than the files say is an older one: then
//! everything is *held* until a person says otherwise, and the database gets a new installation id, so that no callback
//! data is used twice and the files of the other line of history do not count any more.
//!
//! What it cannot see: a copy that was taken less than a beat before the crash that made somebody need it, and a whole
//! machine set back with this directory. The files are not synced: one that is lost with the power claims less, never
//! more.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;
use store::{Lease, Store};

use crate::views::iso;
use crate::{Clock, Fault};

/// Where the files lie in the data directory.
const FOLDER: &str = "high-water";

/// How far a lease had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    token: i64,
    beat: i64,
    /// When, by this machine's wall clock (epoch ms): for people to read.
    at: i64,
}

impl Mark {
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split_ascii_whitespace().map(|field| field.parse().ok());
        Some(Self { token: fields.next()??, beat: fields.next()??, at: fields.next()?? })
    }

    /// Whether a database with this lease has forgotten what the mark saw.
    fn is_ahead_of(&self, lease: Option<&Lease>) -> bool {
        lease.is_none_or(|lease| lease.beat < self.beat || lease.token < self.token)
    }
}

/// A database's installation id and a lease's name make a file's name; neither holds a slash.
fn path(data_dir: &Path, install: &str, lease: &str) -> PathBuf {
    data_dir.join(FOLDER).join(format!("{install}.{}", lease.replace('/', "_")))
}

/// Notes the beat that a lease of ours has just made. What cannot be written is said for those who look closely: an
/// older mark holds less, and sending need not wait for it.
pub(crate) fn note(data_dir: &Path, install: &str, lease: &str, token: i64, beat: i64, clock: &Clock) {
    let path = path(data_dir, install, lease);
    // Only a database that was put back can be behind, and its beats must not hide that.
    if read(&path).is_some_and(|mark| mark.beat > beat || mark.token > token) {
        return;
    }
    let text = format!("{token} {beat} {}\n", clock.now_ms());
    // Renamed into place, so that a reader finds the old mark or the new one.
    let fresh = path.with_extension(format!("{}.new", lease.replace('/', "_")));
    let write = || std::fs::write(&fresh, &text).and_then(|()| std::fs::rename(&fresh, &path));
    let written = match write() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            std::fs::create_dir_all(data_dir.join(FOLDER)).and_then(|()| write())
        }
        written => written,
    };
    if let Err(error) = written {
        tracing::debug!(%error, "how far the database has come could not be noted");
    }
}

/// Looks whether the database is older than this data directory knows, and if so holds everything. Why, if it did now.
///
/// To be asked before the installation's id is used for anything else: a hold gives the database a new one.
///
/// # Errors
/// When the database is away or the marks cannot be read: without them nobody knows, and nothing should be sent.
#[crate::boxed]
pub async fn hold_if_older(store: &Store, data_dir: &Path) -> anyhow::Result<Option<String>> {
    let install = store.install_id().await.map_err(Fault::from)?;
    let marks = marks(&data_dir.join(FOLDER), &install)?;
    if marks.is_empty() {
        return Ok(None);
    }
    let leases = store.leases().await.map_err(Fault::from)?;
    let lease_of = |name: &str| leases.iter().find(|lease| lease.name.replace('/', "_") == name);
    let ahead: Vec<&Mark> =
        marks.iter().filter(|(name, mark)| mark.is_ahead_of(lease_of(name))).map(|(_, mark)| mark).collect();
    let Some(last_seen) = ahead.iter().map(|mark| mark.at).max() else { return Ok(None) };
    let stands = leases.iter().map(|lease| lease.beat_at).max();
    let stands = stands.map_or_else(|| "it was never worked with".to_owned(), |at| format!("it ends at {}", iso(at)));
    let reason = format!(
        "Held: this database is older than what was sent: {stands}, and this machine worked with a newer one until {}. \
         Who got a message in between would get it again, and who said stop in between is not known. Put the newer \
         database back; or cancel what has gone out already, and let the rest go on with `hudhud resume-all`.",
        iso(last_seen)
    );
    let held = store.hold(&install, &reason).await.map_err(Fault::from)?;
    Ok(held.then_some(reason))
}

/// Whether a lease stands lower in the database than it once did here: the database was put back while this process
/// ran. What cannot be read counts as unknown, so that a start looks again.
pub(crate) fn is_older(data_dir: &Path, install: &str, name: &str, lease: Option<&Lease>) -> bool {
    read(&path(data_dir, install, name)).is_some_and(|mark| mark.is_ahead_of(lease))
}

fn read(path: &Path) -> Option<Mark> {
    Mark::parse(&std::fs::read_to_string(path).ok()?)
}

/// What a process says that finds its database replaced by an older one. Its next start holds it.
pub(crate) const REPLACED: &str =
    "the database was replaced by an older one while this process ran; start it again: it will hold and say more";

/// Every mark of an installation, by its lease.
fn marks(dir: &Path, install: &str) -> anyhow::Result<Vec<(String, Mark)>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("listing {}", dir.display())),
    };
    let prefix = format!("{install}.");
    let mut marks = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("listing {}", dir.display()))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(&prefix));
        let Some(name) = name.filter(|name| !name.ends_with(".new")) else { continue };
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        // An empty file is what a lost power leaves of one that was being renamed.
        if let Some(mark) = Mark::parse(&text) {
            marks.push((name.to_owned(), mark));
        }
    }
    Ok(marks)
}

#[cfg(test)]
mod tests;
