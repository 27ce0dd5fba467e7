//! Rows for PostgreSQL's COPY in its binary format (its manual, "COPY", "Binary Format"): several times as fast as
//! INSERT, which writes a log record and takes the page's lock for each row.

use sqlx::PgConnection;

use crate::error::Result;

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
        let mut copy = connection.copy_in_raw(statement).await?;
        copy.send(self.bytes).await?;
        copy.finish().await?;
        Ok(())
    }
}
