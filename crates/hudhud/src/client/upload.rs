//! A file on its way to the API: read in chunks, its progress counted as they leave.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use bytes::Bytes;
use futures::StreamExt;
use tokio::fs::File;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use super::Chunks;

/// Large enough that a chunk costs little, small enough that progress is smooth.
const CHUNK: usize = 64 * 1024;

/// An open file, or standard input for `-`.
pub struct Upload {
    source: Box<dyn AsyncRead + Send + Unpin>,
    /// Bytes in the file; `None` for a pipe.
    pub length: Option<u64>,
    sent: Arc<AtomicU64>,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Upload {
    /// Opens it.
    ///
    /// # Errors
    /// When it is not there, is a directory, or cannot be read.
    pub async fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { source: Box::new(tokio::io::stdin()), length: None, sent: Arc::default() });
        }
        let reading = || format!("reading {}", path.display());
        let file = File::open(path).await.with_context(reading)?;
        let facts = file.metadata().await.with_context(reading)?;
        if facts.is_dir() {
            bail!("{} is a directory, not a file", path.display());
        }
        let length = facts.is_file().then_some(facts.len());
        Ok(Self { source: Box::new(file), length, sent: Arc::default() })
    }

    /// How many bytes have left, for a progress bar; counts on while the upload goes on.
    #[must_use]
    pub fn sent(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }

    pub(super) fn chunks(self) -> Chunks {
        let sent = self.sent;
        ReaderStream::with_capacity(self.source, CHUNK)
            .inspect(move |chunk: &std::io::Result<Bytes>| {
                if let Ok(chunk) = chunk {
                    sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                }
            })
            .boxed()
    }
}

/// The file's name without its directories, for the record of the import.
#[must_use]
pub fn file_name(path: &Path) -> String {
    if path == Path::new("-") {
        return "(standard input)".to_owned();
    }
    PathBuf::from(path).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
