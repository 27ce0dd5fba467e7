//! The bytes of a webhook's body as they come in: no more than Meta sends, no slower than a line that works, and not
//! more of them at once than this process has room for.
//!
//! Anybody may send here, and only the whole body tells whose it is. So until then each one costs what it has sent so
//! far, and a sender who drips is cut off.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use futures::StreamExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::problem::{Kind, Problem};

/// Meta's batches are up to 3 MB.
const LARGEST: usize = 3 << 20;
/// A body has so long to begin, and that for every further [`A_SECOND`] bytes that it has sent.
const AT_FIRST: Duration = Duration::from_secs(4);
/// Bytes that a line brings in a second at the least: half of a slow telephone's.
const A_SECOND: u32 = 32 << 10;
/// All bodies that are being read have so much room together, in KiB: twenty of the largest.
const ROOM_KIB: usize = 64 << 10;

/// Bodies that are being read, and those that are not durable yet.
static ROOM: Semaphore = Semaphore::const_new(ROOM_KIB);

/// Reads a body to its end. The room that it takes is kept with it.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<(Vec<u8>, Vec<SemaphorePermit<'static>>), Problem> {
    let told = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|told| told > LARGEST) {
        return Err(too_large());
    }
    let began = Instant::now();
    let (mut bytes, mut room) = (Vec::new(), Vec::new());
    let mut chunks = body.into_data_stream();
    loop {
        let sent = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let until = began + AT_FIRST + Duration::from_secs(1) * sent / A_SECOND;
        // What is here already is taken however late we are: it is asked for before the clock.
        let chunk = match timeout_at(until, chunks.next()).await {
            Err(_) => return Err(too_slow()),
            Ok(None) => return Ok((bytes, room)),
            Ok(Some(Err(_))) => return Err(broken_off()),
            Ok(Some(Ok(chunk))) => chunk,
        };
        if bytes.len() + chunk.len() > LARGEST {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
        let wanted = bytes.len().div_ceil(1 << 10);
        let held: usize = room.iter().map(SemaphorePermit::num_permits).sum();
        let more = u32::try_from(wanted.saturating_sub(held)).unwrap_or(u32::MAX);
        if more > 0 {
            room.push(ROOM.try_acquire_many(more).map_err(|_| too_many())?);
        }
    }
}

fn too_large() -> Problem {
    Problem::new(Kind::TooLarge, "A webhook has at most 3 MB.", "Send less at once.")
}

fn too_slow() -> Problem {
    Problem::new(Kind::TooSlow, "The body came too slowly and was given up.", "Send it again over a better line.")
}

fn broken_off() -> Problem {
    Problem::new(Kind::Unreadable, "The body broke off.", "Send it again.")
}

fn too_many() -> Problem {
    Problem::new(Kind::Unavailable, "Too many webhooks come in at once.", "Send it again; Meta does so by itself.")
}
