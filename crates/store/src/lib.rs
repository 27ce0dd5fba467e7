//! Every SQL statement and migration of Hudhud, for SQLite (embedded, the default) and PostgreSQL (several hosts).
//!
//! Owns: tables, transactions, what is atomic with what, and who writes next. One method per use case, with concrete
//! types; shared SQL where the dialects agree, two texts side by side where they do not.
//!
//! Must not know: Redis, HTTP, Meta's codes, clocks (times are arguments, epoch milliseconds UTC).

mod db;
mod error;
mod meta;

pub use db::{Priority, Store};
pub use error::{Error, Result};
