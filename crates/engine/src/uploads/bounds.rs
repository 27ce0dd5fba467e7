//! How large a file may be: as large as a setting says, and half as large as what the disk has left.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use nix::sys::statvfs::statvfs;
use serde::Serialize;
use tokio::io::{AsyncRead, ReadBuf};
use utoipa::ToSchema;

use crate::App;
use crate::fault::{Fault, FaultKind, Result};

/// How large a file may be unless a setting says otherwise: 5 GiB.
pub const USUAL_LIMIT: u64 = 5 << 30;
/// A file's people take about as much room again as the file.
const TIMES: u64 = 2;

/// How large a file may be that is uploaded now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UploadRoom {
    /// Bytes of one file, at most: the setting `upload_limit`.
    pub limit: u64,
    /// Bytes that the disk of the data directory has left, where that can be known. A file needs twice its size of them.
    pub free: Option<u64>,
}

/// How large a file may be.
#[must_use]
pub fn room(app: &App) -> UploadRoom {
    let disk = statvfs(&app.data_dir).ok();
    #[expect(clippy::useless_conversion, reason = "these are narrower on other systems")]
    let free = disk.map(|disk| u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size())));
    UploadRoom { limit: app.upload_limit, free }
}

/// Lets a file in of which so much is here and `length` bytes are announced to come, or refuses it before they do.
///
/// # Errors
/// `TooLarge` where it would be, `Unavailable` where the disk has no room for it.
pub fn admit(app: &App, length: Option<u64>, here: u64) -> Result<()> {
    let Some(length) = length else { return Ok(()) };
    let whole = here.saturating_add(length);
    if whole > app.upload_limit {
        return Err(too_large(app, Some(whole)));
    }
    let free = room(app).free.filter(|free| length.saturating_mul(TIMES) > *free);
    free.map_or(Ok(()), |free| {
        Err(Fault::unavailable(format!(
            "The disk of the data directory has {} left, and a file of {} needs twice its size.",
            in_words(free),
            in_words(length)
        ))
        .kept("Nothing of it was kept.")
        .action("Make room there, or split the file and import its parts one after the other."))
    })
}

/// A file that is too large: by how much, where it said so itself.
pub(crate) fn too_large(app: &App, length: Option<u64>) -> Fault {
    let limit = in_words(app.upload_limit);
    let detail = match length {
        Some(length) => format!("The file has {}, and at most {limit} are taken.", in_words(length)),
        None => format!("The file has more than {limit}, and no more are taken."),
    };
    Fault::new(FaultKind::TooLarge, detail).kept("Nothing of it was kept.").action(
        "Split it and import its parts one after the other, or have whoever runs the server raise HUDHUD_UPLOAD_LIMIT.",
    )
}

/// Bytes as people say them: `5 GiB`, `1.5 MiB`, `300 bytes`.
fn in_words(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let Some((unit, size)) = units.into_iter().find(|(_, size)| bytes >= *size) else {
        return format!("{bytes} bytes");
    };
    match (bytes % size) * 10 / size {
        0 => format!("{} {unit}", bytes / size),
        tenths => format!("{}.{tenths} {unit}", bytes / size),
    }
}

/// A file as it comes in, that breaks off where it becomes too long.
#[derive(Debug)]
pub struct Bounded<R> {
    file: R,
    left: u64,
    is_too_long: bool,
}

impl<R> Bounded<R> {
    /// At most so many bytes of it.
    pub const fn new(file: R, most: u64) -> Self {
        Self { file, left: most, is_too_long: false }
    }

    /// Whether it broke off for being too long.
    pub const fn is_too_long(&self) -> bool {
        self.is_too_long
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Bounded<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.file).poll_read(context, buffer))?;
        let came = u64::try_from(buffer.filled().len() - before).unwrap_or(u64::MAX);
        if came > self.left {
            self.is_too_long = true;
            buffer.set_filled(before);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than is taken")));
        }
        self.left -= came;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_as_people_say_them() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (1_023, "1023 bytes"),
            (1_536, "1.5 KiB"),
            (5 << 30, "5 GiB"),
            ((6 << 30) + (1 << 29), "6.5 GiB"),
        ] {
            assert_eq!(in_words(bytes), words);
        }
    }
}
