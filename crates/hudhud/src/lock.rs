//! Who has the data directory: one `serve`, or one short command, at a time.
//!
//! One process writes an SQLite file. The lock is the kernel's (`flock`), so a process that is killed leaves none
//! behind. The file's text says who holds it, for the message that the other one prints.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

/// The lock's file in the data directory.
pub const LOCK: &str = "serve.lock";
/// The control socket of the `serve` that holds the data directory.
pub const SOCKET: &str = "serve.sock";

/// Who holds, or wants, the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// `hudhud serve` (or the demo's): for as long as it runs.
    Serve,
    /// A command: for as long as it takes.
    Command,
}

/// The data directory is this process's until this is dropped.
#[derive(Debug)]
pub struct DirLock {
    files: Vec<File>,
}

/// The data directory is somebody else's.
#[derive(Debug, thiserror::Error)]
#[error("{} is in use by {holder}", path.display())]
pub struct Held {
    /// The file whose lock is held.
    pub path: PathBuf,
    /// The holder in words, with its process id.
    pub holder: String,
}

impl DirLock {
    /// Takes the lock, waiting up to `patience` for a short command to end.
    ///
    /// The embedded database (`sqlite_file`) has a lock of its own beside it, so that two data directories do not write
    /// one file.
    ///
    /// # Errors
    /// [`Held`] when somebody else keeps it, or the system's error when the file cannot be made.
    pub async fn take(
        data_dir: &Path,
        sqlite_file: Option<&Path>,
        who: Who,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let mut paths = vec![data_dir.join(LOCK)];
        if let Some(file) = sqlite_file {
            let mut beside = file.as_os_str().to_owned();
            beside.push(".lock");
            paths.push(PathBuf::from(beside));
        }
        let deadline = Instant::now() + patience;
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            files.push(loop {
                match try_take(&path, who)? {
                    Ok(file) => break file,
                    Err(held) if Instant::now() >= deadline => return Err(held.into()),
                    Err(_) => tokio::time::sleep(Duration::from_millis(25)).await,
                }
            });
        }
        Ok(Self { files })
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        for file in &mut self.files {
            // The text must not outlive the lock; closing the file is what frees it.
            let _ = file.set_len(0);
        }
    }
}

fn try_take(path: &Path, who: Who) -> anyhow::Result<Result<File, Held>> {
    let context = || format!("opening {}", path.display());
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .with_context(context)?;
    match file.try_lock() {
        Ok(()) => {
            let what = match who {
                Who::Serve => "hudhud serve",
                Who::Command => "a hudhud command",
            };
            file.set_len(0).and_then(|()| file.rewind()).with_context(context)?;
            write!(file, "{what}, process {}", std::process::id()).with_context(context)?;
            Ok(Ok(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Between taking the lock and writing its name the holder has none yet.
            if file.read_to_string(&mut holder).is_err() || holder.is_empty() {
                holder = "another hudhud process".to_owned();
            }
            Ok(Err(Held { path: path.to_owned(), holder }))
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", path.display())),
    }
}

/// Makes the data directory, private to this user, if it is not there.
///
/// # Errors
/// The system's, with the path.
pub fn make_data_dir(data_dir: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .with_context(|| format!("creating the data directory {}", data_dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_one_is_told_who_holds_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::take(dir.path(), None, Who::Serve, Duration::ZERO).await.unwrap();
        let refused = DirLock::take(dir.path(), None, Who::Command, Duration::ZERO).await.unwrap_err();
        let held = refused.downcast_ref::<Held>().unwrap();
        assert_eq!(held.holder, format!("hudhud serve, process {}", std::process::id()));
        drop(first);
        DirLock::take(dir.path(), None, Who::Command, Duration::ZERO).await.unwrap();
    }

    #[tokio::test]
    async fn a_command_waits_for_a_shorter_one_to_end() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::take(dir.path(), None, Who::Command, Duration::ZERO).await.unwrap();
        let path = dir.path().to_owned();
        let second =
            tokio::spawn(async move { DirLock::take(&path, None, Who::Command, Duration::from_secs(20)).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn two_data_directories_cannot_share_one_database_file() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = one.path().join("hudhud.db");
        let _serve = DirLock::take(one.path(), Some(&file), Who::Serve, Duration::ZERO).await.unwrap();
        let refused = DirLock::take(other.path(), Some(&file), Who::Command, Duration::ZERO).await.unwrap_err();
        assert_eq!(refused.downcast_ref::<Held>().unwrap().path, one.path().join("hudhud.db.lock"));
        // The refused one holds nothing: its own directory is free for its own file.
        let own = other.path().join("hudhud.db");
        DirLock::take(other.path(), Some(&own), Who::Command, Duration::ZERO).await.unwrap();
    }
}
