//! Whole-system stories: what they are made of.
//!
//! Owns: a [`World`] around the built executables, started as processes and used as people use them, through command
//! lines and sockets: `hudhud serve` in its roles, a database (an SQLite file, or a private PostgreSQL), Redis (the
//! one that Hudhud keeps, or a private one that a story may kill), and the simulated Cloud API with its own ledger.
//! [`World::settle`] ends every story: our books must equal that ledger.
//!
//! Must not know: any private item of the other crates. It depends on none of them, not even on their types, so that a
//! mistake in one of those cannot hide itself here.

#![expect(clippy::panic, reason = "a story that goes wrong must stop, and say where")]

mod books;
mod command;
mod executables;
mod people;
mod ports;
mod postgres;
mod process;
mod redis;
mod serve;
mod simulator;
mod slot;
mod stalls;
mod usage;
mod wait;
mod world;

pub use books::{Books, Recipient};
pub use command::{Answer, Started};
pub use executables::{Executable, executable};
pub use people::{people_csv, phone};
pub use postgres::Cluster;
pub use process::Process;
pub use redis::{PrivateRedis, inline};
pub use serve::Serve;
pub use simulator::{LedgerRow, Simulator};
pub use stalls::Pauses;
pub use usage::{Usage, usage_of_tree};
pub use wait::{now_us, story, until};
pub use world::{Campaign, Database, NUMBER, NUMBERS, Queue, Setup, WABA, World, at_length, is_long};
