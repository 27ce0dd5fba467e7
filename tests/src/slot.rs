//! At most so many stories at once on this machine, however the tests are run: as threads of one process, or as a
//! process each.

use std::fs::{File, OpenOptions};
use std::time::Duration;

/// Held while a story is told.
#[derive(Debug)]
pub(crate) struct Slot {
    // The lock is the kernel's, and ends with the file.
    _file: File,
}

/// Waits for a turn.
pub(crate) async fn slot() -> Slot {
    let at_once = std::env::var("HUDHUD_STORIES_AT_ONCE").ok().and_then(|text| text.parse().ok()).unwrap_or(2_u32);
    let own = std::env::current_exe().expect("a process knows its executable");
    let dir = own.with_file_name("story-slots");
    std::fs::create_dir_all(&dir).expect("a place for locks beside the test");
    loop {
        for number in 0..at_once.max(1) {
            let path = dir.join(number.to_string());
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).expect("a lock's file");
            if file.try_lock().is_ok() {
                return Slot { _file: file };
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
