//! The verbs of Hudhud: import, plan, feed, pace, claim, send, take in, sweep, settle; and the ledger's rules.
//!
//! Owns: what is done, in which order, and what is said when it cannot be done ([`Fault`]). Every verb takes the
//! [`App`] and answers with plain data that the HTTP API passes on. `queue` is the only room that names apalis and
//! redis, `lane` the only one that names governor, [`Clock`] the only one that asks the machine for the time.
//!
//! Must not know: SQL text, axum, Meta's error codes.

pub mod access;
pub mod accounts;
pub mod actor;
pub mod app;
pub mod callback;
pub mod campaigns;
pub(crate) mod chores;
pub mod clock;
pub mod consequences;
pub mod counts;
mod departures;
pub mod disclosures;
pub mod evidence;
pub mod exclusions;
mod expiry;
pub mod fault;
pub mod feeder;
pub mod high_water;
pub mod host;
pub mod house;
pub mod importer;
pub mod imports;
pub mod inbound;
mod inbox;
pub mod indoubt;
pub mod intake;
pub mod journal;
pub mod lane;
pub mod ledger;
pub mod lift_requests;
mod limits;
pub mod lists;
pub mod numbers;
mod optout_file;
pub mod optout_lists;
pub mod optouts;
pub mod persons;
pub mod planner;
pub mod presence;
pub mod proof;
pub mod queue;
pub mod queue_view;
pub mod rate_card;
pub mod refusals;
pub mod renderer;
pub mod reviews;
pub mod scheduler;
pub mod scopes;
mod sheet;
mod standing;
pub mod templates;
#[cfg(test)]
mod testing;
pub mod uploads;
pub mod vault;
pub mod views;
mod vouchers;
pub mod webhook;
pub mod webhook_log;
pub mod words;
pub mod worker;

/// For each public `async fn`: its future is boxed, and so compiled here, once. The compiler makes a plain `async fn`'s
/// body where it is polled, which would be every executable and every test.
use async_recursion::async_recursion as boxed;

pub use actor::Actor;
pub use app::{App, AppParts};
pub use clock::Clock;
pub use fault::{Fault, FaultKind, Result};
pub use vault::Vault;
