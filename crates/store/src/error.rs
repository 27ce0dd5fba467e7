//! What can go wrong with the database, in three kinds: wait, you lost a race, or we have a bug.

use std::borrow::Cow;

/// A failed statement or connection. The cause stays attached as the source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached or cannot write just now (down, locked, disk full, no connection free).
    /// Nothing of the statement's transaction was kept; the same call may succeed later.
    #[error("the database is unavailable: {reason}")]
    Unavailable {
        /// The cause in words, without values of any row.
        reason: Cow<'static, str>,
        /// The driver's own error, where there was one.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// A row with the same identity is already there.
    #[error("it already exists")]
    Conflict(#[source] sqlx::Error),
    /// A statement or a row is not what this code expects. A defect of ours or a foreign hand in the database.
    #[error("the database answered what this version does not expect: {what}")]
    Bug {
        /// Where it was noticed.
        what: Cow<'static, str>,
        /// The driver's own error, where there was one.
        #[source]
        source: Option<sqlx::Error>,
    },
}

/// The result of every call of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A row or value that this version cannot read.
    pub fn bug(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Bug { what: what.into(), source: None }
    }

    /// Whether the same call may succeed later without anybody changing it.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    fn unavailable(reason: impl Into<Cow<'static, str>>, source: sqlx::Error) -> Self {
        Self::Unavailable { reason: reason.into(), source: Some(source) }
    }
}

/// SQLite's primary result codes (https://www.sqlite.org/rescode.html) that time or a person can cure.
fn sqlite_reason(code: i32) -> Option<&'static str> {
    match code & 0xff {
        5 => Some("it is busy with another writer"),
        6 => Some("a table is locked"),
        7 => Some("out of memory"),
        8 => Some("its file is read-only"),
        10 => Some("reading or writing its file failed"),
        13 => Some("the disk is full"),
        14 => Some("its file cannot be opened"),
        _ => None,
    }
}

/// PostgreSQL's SQLSTATE classes (its manual, appendix A) that time or a person can cure.
fn postgres_reason(state: &str) -> Option<&'static str> {
    match (state.get(..2)?, state) {
        ("08", _) => Some("the connection broke"),
        ("53", "53100") => Some("the disk is full"),
        ("53", _) => Some("the server is out of a resource"),
        ("57", "57014") => Some("a statement took too long"),
        ("57", _) => Some("the server is stopping or starting"),
        ("58", _) => Some("the server has a system error"),
        ("25", "25P03" | "25P04") => Some("the server ended a transaction that stood still"),
        ("25", "25006") => Some("the server takes no writes: it is a standby"),
        ("28", _) => Some("the server refuses the user or password"),
        ("3D", _) => Some("the named database does not exist"),
        ("40", _) => Some("the transaction lost against another one"),
        ("55", _) => Some("a row or object is locked"),
        _ => None,
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(cause) => Self::unavailable(format!("{}", cause.kind()), error),
            sqlx::Error::Tls(_) => Self::unavailable("the TLS handshake failed", error),
            sqlx::Error::PoolTimedOut => Self::unavailable("no connection became free in time", error),
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Self::unavailable("it is closed", error),
            // A connection that is cut in the middle of an answer shows as a protocol error.
            sqlx::Error::Protocol(_) => Self::unavailable("the connection broke in the middle of an answer", error),
            sqlx::Error::Database(cause) => {
                if cause.is_unique_violation() {
                    return Self::Conflict(error);
                }
                let code = cause.code().map(Cow::into_owned).unwrap_or_default();
                let is_sqlite = cause.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some();
                let reason = if is_sqlite { code.parse().ok().and_then(sqlite_reason) } else { postgres_reason(&code) };
                match reason {
                    Some(reason) => Self::unavailable(reason, error),
                    None => Self::Bug { what: format!("code {code}").into(), source: Some(error) },
                }
            }
            _ => Self::Bug { what: "an unreadable answer".into(), source: Some(error) },
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::bug(format!("a JSON column: {error}"))
    }
}
