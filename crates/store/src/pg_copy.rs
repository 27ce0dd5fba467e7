//! Rows for PostgreSQL's COPY in its binary format (its manual, "COPY", "Binary Format"): several times as fast as
//! INSERT, which writes a log record and takes the page's lock for each row.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::PgConnection;

use crate::error::Result;

/// How many connections go back to their pools no more.
static SPOILED: AtomicU32 = AtomicU32::new(0);

/// Whether a connection that comes back to its pool of at most [`crate::db::POSTGRES_CONNECTIONS`] must be closed: it may
/// be the one on which a COPY was dropped half-way.
pub(crate) fn is_spoiled() -> bool {
    SPOILED.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

/// A COPY that its caller may drop half-way. sqlx takes the server's answer to that for the answer to whatever is asked
/// next on the connection. Which one it is cannot be told from here, so all that come back next are closed.
struct Unfinished;

impl Drop for Unfinished {
    fn drop(&mut self) {
        SPOILED.store(crate::db::POSTGRES_CONNECTIONS, Ordering::SeqCst);
    }
}

/// Signature, flags and the length of the header's extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The count of fields that ends the data.
const END: i16 = -1;
/// The length of a field that is NULL.
const NULL: i32 = -1;

/// Rows of one COPY, in memory.
pub(crate) struct CopyRows {
    bytes: Vec<u8>,
    columns: i16,
}

impl CopyRows {
    /// With so many columns each.
    pub(crate) fn new(columns: i16) -> Self {
        Self { bytes: HEADER.to_vec(), columns }
    }

    /// The fields that follow, one by one, are those of another row.
    pub(crate) fn row(&mut self) -> &mut Self {
        self.bytes.extend(self.columns.to_be_bytes());
        self
    }

    /// A `bigint`.
    pub(crate) fn int(&mut self, value: i64) -> &mut Self {
        self.field(&value.to_be_bytes())
    }

    /// A `bigint` that may be NULL.
    pub(crate) fn maybe_int(&mut self, value: Option<i64>) -> &mut Self {
        match value {
            Some(value) => self.int(value),
            None => self.null(),
        }
    }

    /// A `text`.
    pub(crate) fn text(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(text) => self.field(text.as_bytes()),
            None => self.null(),
        }
    }

    fn null(&mut self) -> &mut Self {
        self.bytes.extend(NULL.to_be_bytes());
        self
    }

    /// A `bytea`, or whatever else the bytes are.
    pub(crate) fn field(&mut self, value: &[u8]) -> &mut Self {
        // No field of ours comes near two gigabytes; a cut one would be refused by its type.
        self.bytes.extend(i32::try_from(value.len()).unwrap_or(i32::MAX).to_be_bytes());
        self.bytes.extend(value);
        self
    }

    /// Runs `COPY … FROM STDIN (FORMAT binary)` with these rows.
    pub(crate) async fn send(mut self, connection: &mut PgConnection, statement: &str) -> Result<()> {
        self.bytes.extend(END.to_be_bytes());
        let unfinished = Unfinished;
        let mut copy = connection.copy_in_raw(statement).await?;
        copy.send(self.bytes).await?;
        copy.finish().await?;
        std::mem::forget(unfinished);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;
    use crate::db::{Link, Priority};
    use crate::testing::Database;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_copy_that_was_dropped_half_way_spoils_nothing_for_the_next() {
        let db = Database::postgres().await;
        for most in 1..12_u32 {
            let mut tx = db.store.write(Priority::Bulk).await.unwrap();
            let mut rows = CopyRows::new(3);
            for contact in 0..20_000 {
                rows.row().int(contact).text(Some("account:1")).int(1);
            }
            let Link::Postgres(held) = &mut tx else { unreachable!("it is PostgreSQL") };
            let statement = "COPY reached (contact_id, portfolio, at) FROM STDIN (FORMAT binary)";
            let mut copy = Box::pin(rows.send(held, statement));
            // Dropped where it waits for the server for the so-many-th time.
            let mut waits = 0;
            let finished = poll_fn(|context| match copy.as_mut().poll(context) {
                Poll::Ready(end) => Poll::Ready(Some(end)),
                Poll::Pending => {
                    waits += 1;
                    if waits < most { Poll::Pending } else { Poll::Ready(None) }
                }
            })
            .await;
            drop(copy);
            drop(tx);
            for _ in 0..3 {
                let depth = db.store.inbox_depth().await;
                assert!(depth.is_ok(), "dropped at the {most}. wait ({finished:?}): {depth:?}");
            }
        }
    }
}
