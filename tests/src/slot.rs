//! At most so many stories at once on this machine, however the tests are run: as threads of one process, or as a
//! process each. Within a process they come in the order in which they asked.

use std::fs::{File, OpenOptions};
use std::sync::LazyLock;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::is_long;

/// So many stories at once, unless `HUDHUD_STORIES_AT_ONCE` says otherwise: most of a story is waiting.
const AT_ONCE: usize = 3;
/// So many of the long ones, which measure what a release must reach.
const LONG_AT_ONCE: usize = 2;

static OF_THIS_PROCESS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(at_once()));

/// Held while a story is told.
#[derive(Debug)]
pub(crate) struct Slot {
    _turn: SemaphorePermit<'static>,
    // The lock is the kernel's, and ends with the file.
    _file: File,
}

/// Waits for a turn.
pub(crate) async fn slot() -> Slot {
    let turn = OF_THIS_PROCESS.acquire().await.expect("it is never closed");
    let own = std::env::current_exe().expect("a process knows its executable");
    let dir = own.with_file_name("story-slots");
    std::fs::create_dir_all(&dir).expect("a place for locks beside the test");
    loop {
        for number in 0..at_once() {
            let path = dir.join(number.to_string());
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).expect("a lock's file");
            if file.try_lock().is_ok() {
                return Slot { _turn: turn, _file: file };
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn at_once() -> usize {
    let said = std::env::var("HUDHUD_STORIES_AT_ONCE").ok().and_then(|text| text.parse().ok());
    said.unwrap_or(if is_long() { LONG_AT_ONCE } else { AT_ONCE }).max(1)
}
