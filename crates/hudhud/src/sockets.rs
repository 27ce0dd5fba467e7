//! Where the unix sockets of a data directory are.
//!
//! The kernel takes no more than 107 bytes of a socket's path (`sun_path`, unix(7)). A data directory that lies deeper
//! gets its sockets in a short directory of its own under `/tmp`, private to the user, found again by the path's hash.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ring::digest;

/// Longer paths move to `/tmp`. A little less than the kernel's limit, for the room that names in it may take.
const LONGEST: usize = 100;

/// The path of the socket `name` of `data_dir`; the directory it is in exists and belongs to this user alone.
///
/// # Errors
/// When the short directory cannot be made, or somebody else made it.
pub fn path(data_dir: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let direct = data_dir.join(name);
    if direct.as_os_str().len() <= LONGEST {
        return Ok(direct);
    }
    let hash = digest::digest(&digest::SHA256, data_dir.as_os_str().as_bytes());
    let uid = nix::unistd::geteuid().as_raw();
    // Not the TMPDIR of the environment: a command must find the socket of a serve that was started elsewhere.
    let short = Path::new("/tmp").join(format!("hudhud-{uid}-{}", hex::encode(&hash.as_ref()[..8])));
    match fs::DirBuilder::new().mode(0o700).create(&short) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(|| format!("creating {}", short.display())),
    }
    // Anybody may write to /tmp, so a directory that was there before us must prove to be ours.
    let found = fs::symlink_metadata(&short).with_context(|| format!("looking at {}", short.display()))?;
    if !found.is_dir() || found.uid() != uid || found.mode() & 0o077 != 0 {
        bail!(
            "{} is not a private directory of this user; remove it, or use a shorter data directory",
            short.display()
        );
    }
    Ok(short.join(name.rsplit('/').next().unwrap_or(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_path_stays_in_the_data_directory() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(path(dir.path(), "serve.sock").unwrap(), dir.path().join("serve.sock"));
    }

    #[test]
    fn a_long_path_gets_the_same_short_one_each_time_and_another_directory_another() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("x".repeat(120)), dir.path().join("y".repeat(120)));
        let first = path(&one, "serve.sock").unwrap();
        assert!(first.as_os_str().len() <= LONGEST);
        assert_eq!(first, path(&one, "serve.sock").unwrap());
        assert_ne!(first, path(&other, "serve.sock").unwrap());
        for made in [&one, &other] {
            fs::remove_dir(path(made, "serve.sock").unwrap().parent().unwrap()).unwrap();
        }
    }
}
