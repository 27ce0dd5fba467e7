//! The verbs of Hudhud: import, plan, feed, pace, claim, send, take in, sweep, settle; and the ledger's rules.
//!
//! Owns: what is done, in which order, and what is said when it cannot be done ([`Fault`]). Every verb takes the
//! [`App`] and answers with plain data that the HTTP API passes on. `queue` is the only room that names apalis and
//! redis, `lane` the only one that names governor, [`Clock`] the only one that asks the machine for the time.
//!
//! Must not know: SQL text, axum, Meta's error codes.

pub mod actor;
pub mod app;
pub mod clock;
pub mod fault;
pub mod vault;

pub use actor::Actor;
pub use app::{App, AppParts};
pub use clock::Clock;
pub use fault::{Fault, FaultKind, Result};
pub use vault::Vault;
