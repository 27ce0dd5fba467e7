//! SQLite's log is copied back into the database beside the writer.
//!
//! A commit that finds the log past its mark (`wal_autocheckpoint`) copies it back before it returns, with a sync of
//! both files: tens of milliseconds for whichever transaction it meets. While planning and imports write much in short
//! transactions, a connection of its own does so meanwhile, a few MiB at a time, which holds up neither readers nor the
//! writer. Not while a campaign is sent: its many commits wait for the same disk.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::watch;

/// How many pages of the log, 4 KiB each, one round is to find: more cost the disk more at a time, fewer are written
/// back that the next transaction changes again.
const WANTED: u32 = 2_000;
/// Between two rounds: where the log grows fast, and where hardly anything is written.
const PAUSES: [Duration; 2] = [Duration::from_millis(25), Duration::from_secs(2)];

/// Copies back until the sender, which tells of each transaction of bulk work, is gone.
pub(crate) async fn copy_back(options: SqliteConnectOptions, mut writes: watch::Receiver<()>) {
    let mut connection: Option<SqliteConnection> = None;
    let mut pause = PAUSES[0];
    let mut done = 0;
    while writes.changed().await.is_ok() {
        tokio::time::sleep(pause).await;
        let Ok((log, copied)) = round(&options, &mut connection).await else {
            // The writer finds the same, and says it to whoever writes.
            connection = None;
            pause = PAUSES[1];
            continue;
        };
        // The log begins anew when all of it is copied back and nobody reads it.
        let found = if log < done { log } else { log - done };
        done = copied;
        pause = next(pause, found);
    }
    if let Some(connection) = connection {
        let _ = connection.close().await;
    }
}

/// The pause after one after which so many new pages were found.
fn next(pause: Duration, found: u32) -> Duration {
    (pause * WANTED / found.max(1)).clamp(pause / 4, pause * 4).clamp(PAUSES[0], PAUSES[1])
}

/// Copies back what nobody reads any more. How many pages the log has, and how many of them are copied.
async fn round(options: &SqliteConnectOptions, held: &mut Option<SqliteConnection>) -> sqlx::Result<(u32, u32)> {
    let mut connection = match held.take() {
        Some(connection) => connection,
        None => options.connect().await?,
    };
    let (_, log, copied): (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut connection).await?;
    *held = Some(connection);
    Ok((u32::try_from(log).unwrap_or(0), u32::try_from(copied).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Priority, on};
    use crate::testing::Database;

    #[test]
    fn the_pause_follows_what_is_written() {
        let [shortest, longest] = PAUSES;
        let second = Duration::from_secs(1);
        assert_eq!(next(second, WANTED), second);
        assert_eq!(next(second, 2 * WANTED), second / 2);
        assert_eq!(next(second, u32::MAX), second / 4, "by a factor of four at most");
        assert_eq!(next(longest, 0), longest);
        assert_eq!(next(shortest, u32::MAX), shortest);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_written_is_copied_back_without_a_commit_that_does_it() {
        let db = Database::sqlite().await;
        let path = db.url.strip_prefix("sqlite://").expect("an SQLite URL").to_owned();
        let size = || std::fs::metadata(&path).map_or(0, |file| file.len());
        let before = size();
        // Well below the mark at which a commit copies back by itself.
        for _ in 0..4 {
            let mut tx = db.store.write(Priority::Bulk).await.unwrap();
            on!(&mut tx, c => sqlx::query(
                "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 500)
                 INSERT INTO reached (contact_id, portfolio, at)
                 SELECT (SELECT count(*) FROM reached) + n, hex(zeroblob(500)), 1 FROM i").execute(c).await.map(drop))
            .unwrap();
            tx.commit().await.unwrap();
        }
        let waited = async {
            while size() < before + 1_000_000 {
                // A write tells that there is something to copy.
                db.store.write(Priority::Bulk).await.unwrap().commit().await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waited).await.expect("the log is copied back");
    }
}
