//! The sign on this machine that a process lives: a file that the kernel keeps locked until the process is dead.
//!
//! A beat that stands still, or a session of the database that ended, tells only that an owner is silent: it may wake.
//! Whoever can take this lock knows that the owner is gone for good, so that its lanes need not be waited for.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::Context;
use store::{Lease, Owner};

/// Where signs lie, beside the journals.
const FOLDER: &str = "journal";

/// This process's sign, until it is dropped or the process dies.
#[derive(Debug)]
pub struct Presence {
    path: PathBuf,
    _locked: File,
}

impl Presence {
    /// Shows that the instance lives, under `<data_dir>/journal`.
    ///
    /// # Errors
    /// When the file cannot be made or locked.
    pub fn show(data_dir: &Path, instance: &str) -> anyhow::Result<Self> {
        let journals = data_dir.join(FOLDER);
        let path = sign(&journals, instance).with_context(|| format!("{instance:?} is no instance"))?;
        let context = || format!("making {}", path.display());
        std::fs::create_dir_all(&journals).with_context(context)?;
        let file = OpenOptions::new().write(true).create_new(true).open(&path).with_context(context)?;
        file.try_lock().with_context(context)?;
        Ok(Self { path, _locked: file })
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // A sign that stays behind is found to be nobody's.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether it is certain that a lease's owner is dead: it ran on this machine since its last start, with this data
/// directory, and its lock is free.
#[must_use]
pub fn is_dead(data_dir: &Path, ours: &Owner, lease: &Lease) -> bool {
    let Lease { owner, host, boot, .. } = lease.clone();
    owner_is_dead(data_dir, ours, &Owner { instance: owner, host, boot })
}

/// The same for whoever owns something else.
#[must_use]
pub fn owner_is_dead(data_dir: &Path, ours: &Owner, theirs: &Owner) -> bool {
    theirs.host == ours.host
        && theirs.boot == ours.boot
        && theirs.instance != ours.instance
        && was_left(&data_dir.join(FOLDER), &theirs.instance)
}

/// Whether an instance's sign is there and held. `journals` is the folder of the signs.
pub(crate) fn lives(journals: &Path, instance: &str) -> bool {
    sign(journals, instance).is_some_and(|path| File::open(path).is_ok_and(|file| file.try_lock_shared().is_err()))
}

/// Whether an instance left its sign behind: it is there, and nobody holds it.
fn was_left(journals: &Path, instance: &str) -> bool {
    sign(journals, instance).is_some_and(|path| File::open(path).is_ok_and(|file| file.try_lock_shared().is_ok()))
}

/// `None` for a name that no instance has.
fn sign(journals: &Path, instance: &str) -> Option<PathBuf> {
    let is_name = !instance.is_empty() && instance.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_name.then(|| journals.join(format!("{instance}.alive")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(owner: &str, host: &str, boot: &str) -> Lease {
        let (owner, host, boot) = (owner.to_owned(), host.to_owned(), boot.to_owned());
        Lease { name: "lane:1".into(), owner, token: 1, beat: 1, host, boot, note: "{}".into(), beat_at: 0 }
    }

    #[test]
    fn only_an_owner_of_this_machine_whose_lock_is_free_is_dead_for_certain() {
        let dir = tempfile::tempdir().unwrap();
        let ours = Owner { instance: "b".into(), host: "here".into(), boot: "1".into() };
        let theirs = Presence::show(dir.path(), "a").unwrap();
        assert!(!is_dead(dir.path(), &ours, &lease("a", "here", "1")), "it lives");
        // As the kernel does when the process dies: the lock is gone and the file stays.
        theirs._locked.unlock().unwrap();
        assert!(is_dead(dir.path(), &ours, &lease("a", "here", "1")));
        assert!(!is_dead(dir.path(), &ours, &lease("a", "elsewhere", "1")));
        assert!(!is_dead(dir.path(), &ours, &lease("a", "here", "0")));
        assert!(!is_dead(dir.path(), &ours, &lease("c", "here", "1")), "it never was here");
        assert!(!is_dead(dir.path(), &ours, &lease("../journal/a", "here", "1")));
        drop(theirs);
        assert!(!is_dead(dir.path(), &ours, &lease("a", "here", "1")), "it stopped by itself and left nothing");
    }

    #[test]
    fn an_instance_cannot_be_shown_twice() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Presence::show(dir.path(), "a").unwrap();
        assert!(Presence::show(dir.path(), "a").is_err());
    }
}
