//! Files that come in pieces: what was received stays when a connection breaks, and the next piece goes on from there.
//! An import then reads the whole as if it had come at once.
//!
//! A file in pieces lies in the data directory of the process that took its first byte, beside the name of whoever may
//! go on with it. Nobody else finds it, and a day after its last piece it is gone.

mod bounds;
#[cfg(test)]
mod tests;

use std::fs::{OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use domain::Millis;
use serde::Serialize;
use serde_json::json;
use tokio::fs;
use tokio::io::{AsyncRead, AsyncWriteExt};
use utoipa::ToSchema;

use crate::fault::{Fault, Result};
use crate::importer::{self, ImportOrder};
use crate::imports::ImportSummary;
use crate::views::iso;
use crate::{Actor, App};

pub use bounds::{Bounded, USUAL_LIMIT, UploadRoom, admit, room};

/// In the data directory.
const PLACE: &str = "uploads";
/// How long a file waits for its next piece, or to be imported: ms.
const LASTS: Millis = 24 * 3_600_000;
/// Of a piece that was not taken as a whole.
const KEPT: &str = "What had come of it is kept.";
/// So many files of one caller may wait at once: more are somebody's loop.
const MOST: usize = 20;

/// A file that comes in pieces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UploadView {
    /// Ours.
    pub id: String,
    /// How many bytes are here: where the next piece begins.
    pub offset: u64,
    /// When it is thrown away if nothing more comes, RFC 3339.
    pub expires_at: String,
}

/// Begins a file of which nothing is here yet. `length`: how long it will be, where that is known.
///
/// # Errors
/// When it is too large, the caller has too many of them, or the data directory cannot be written.
#[crate::boxed]
pub async fn begin(app: &App, actor: &Actor, length: Option<u64>) -> Result<UploadView> {
    admit(app, length, 0)?;
    let place = app.data_dir.join(PLACE);
    fs::create_dir_all(&place).await.map_err(unwritable)?;
    if throw_old_away(&place, app.clock.now_ms(), actor).await.map_err(unwritable)? >= MOST {
        let fault = Fault::wrong_state(format!("{MOST} files of yours wait to be imported."));
        return Err(fault.action("Import or delete some of them; each is gone a day after its last piece."));
    }
    let id = hex::encode(app.vault.random_bytes::<16>().map_err(Fault::internal)?);
    fs::write(owner_file(&place, &id), actor.as_str()).await.map_err(unwritable)?;
    fs::write(place.join(&id), []).await.map_err(unwritable)?;
    show(app, actor, &id).await
}

/// How much of it is here.
///
/// # Errors
/// `NotFound` when there is none, or it is somebody else's.
#[crate::boxed]
pub async fn show(app: &App, actor: &Actor, id: &str) -> Result<UploadView> {
    let file = find(app, actor, id).await?;
    let known = fs::metadata(&file).await.map_err(unwritable)?;
    Ok(view(id, known.len(), touched(&known)))
}

/// Appends a piece that begins at `offset` and is `length` bytes long, where that is known. Of a piece that breaks off, what
/// came is kept.
///
/// # Errors
/// `Conflict`, with the true offset in its document, when the file is of another length or a piece of it is being
/// written; `Invalid` when the piece breaks off; `TooLarge` when the whole becomes so; `NotFound` as [`show`].
pub async fn append(
    app: &App,
    actor: &Actor,
    id: &str,
    offset: u64,
    length: Option<u64>,
    piece: impl AsyncRead + Unpin,
) -> Result<UploadView> {
    let path = find(app, actor, id).await?;
    let file = OpenOptions::new().append(true).open(&path).map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Fault::conflict("Another piece of this file is being written.")),
        Err(TryLockError::Error(error)) => return Err(unwritable(error)),
    }
    let here = file.metadata().map_err(unwritable)?.len();
    if here != offset {
        let fault = Fault::conflict(format!("The file is {here} bytes long, not {offset}."));
        return Err(fault.action("Go on from its end.").with_document(json!({"offset": here})));
    }
    let so_far = |fault: Fault, here: u64| fault.kept(KEPT).with_document(json!({"offset": here}));
    admit(app, length, here).map_err(|fault| so_far(fault, here))?;
    let mut file = fs::File::from_std(file);
    let mut piece = Bounded::new(piece, app.upload_limit - here.min(app.upload_limit));
    let copied = tokio::io::copy(&mut piece, &mut file).await;
    file.flush().await.map_err(unwritable)?;
    file.sync_data().await.map_err(unwritable)?;
    let known = file.metadata().await.map_err(unwritable)?;
    match copied {
        Ok(_) => Ok(view(id, known.len(), touched(&known))),
        Err(_) if piece.is_too_long() => Err(so_far(bounds::too_large(app, None), known.len())),
        Err(error) => {
            let fault = Fault::invalid("The piece broke off.").kept(KEPT).because(error);
            Err(fault
                .action("Ask how much is here, and go on from there.")
                .with_document(json!({"offset": known.len()})))
        }
    }
}

/// The whole of what is here, to be imported.
///
/// # Errors
/// `NotFound` as [`show`]; `Unavailable` when it cannot be read.
#[crate::boxed]
pub async fn open(app: &App, actor: &Actor, id: &str) -> Result<fs::File> {
    fs::File::open(find(app, actor, id).await?).await.map_err(unwritable)
}

/// Imports a file as it comes in, as [`importer::import`], and no more of it than is taken.
///
/// # Errors
/// As that, and `TooLarge` for a file that turns out to be: what was imported of it by then is kept.
#[crate::boxed]
pub async fn import<R: AsyncRead + Send + Unpin>(app: &App, order: ImportOrder, file: R) -> Result<ImportSummary> {
    let mut file = Bounded::new(file, app.upload_limit);
    let imported = importer::import(app, order, &mut file, |_| {}).await;
    imported.map_err(|fault| {
        // What it says is kept stays true.
        if file.is_too_long() { bounds::too_large(app, None).kept(fault.kept) } else { fault }
    })
}

/// Throws it away, imported or not.
///
/// # Errors
/// `NotFound` as [`show`]; `Unavailable` when it cannot be removed.
#[crate::boxed]
pub async fn remove(app: &App, actor: &Actor, id: &str) -> Result<()> {
    let file = find(app, actor, id).await?;
    discard(&file).await.map_err(unwritable)
}

fn view(id: &str, offset: u64, touched: Millis) -> UploadView {
    UploadView { id: id.to_owned(), offset, expires_at: iso(touched + LASTS) }
}

/// The file of this id, if it is the caller's.
async fn find(app: &App, actor: &Actor, id: &str) -> Result<PathBuf> {
    let nobody = || {
        let fault = Fault::not_found("There is no such file in pieces.");
        fault.action("Begin anew; each is gone a day after its last piece.")
    };
    // Only what `begin` gives out: nothing that leads elsewhere.
    if id.len() != 32 || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(nobody());
    }
    let place = app.data_dir.join(PLACE);
    match fs::read_to_string(owner_file(&place, id)).await {
        Ok(owner) if owner == actor.as_str() => Ok(place.join(id)),
        Ok(_) => Err(nobody()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(nobody()),
        Err(error) => Err(unwritable(error)),
    }
}

fn owner_file(place: &Path, id: &str) -> PathBuf {
    place.join(format!("{id}.of"))
}

async fn discard(file: &Path) -> std::io::Result<()> {
    fs::remove_file(file).await?;
    fs::remove_file(file.with_extension("of")).await
}

/// Throws away what nobody went on with. How many of the caller's are left.
async fn throw_old_away(place: &Path, now: Millis, actor: &Actor) -> std::io::Result<usize> {
    let mut left = 0;
    let mut files = fs::read_dir(place).await?;
    while let Some(entry) = files.next_entry().await? {
        let owner = entry.path();
        if owner.extension().is_none_or(|ending| ending != "of") {
            continue;
        }
        let file = owner.with_extension("");
        // One that was removed since, or is only half made, is not old.
        let Ok(known) = fs::metadata(&file).await else { continue };
        if touched(&known) + LASTS < now {
            discard(&file).await?;
        } else if fs::read_to_string(&owner).await.is_ok_and(|name| name == actor.as_str()) {
            left += 1;
        }
    }
    Ok(left)
}

/// When a file was last written, epoch ms.
fn touched(known: &std::fs::Metadata) -> Millis {
    let since = known.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or(Duration::ZERO);
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

fn unwritable(error: std::io::Error) -> Fault {
    let fault = Fault::unavailable(format!("The data directory cannot be used: {}.", error.kind())).because(error);
    fault.action("Look at its disk and its permissions, then try again.")
}
