//! Whole-system stories, by what they are about. Each drives the built executables as processes; those that send end
//! with `World::settle`: our books equal the simulator's ledger.
//!
//! `HUDHUD_LONG=1` tells them at the length that a release must pass; `HUDHUD_STORIES_AT_ONCE` (3, or 2 at length) bounds
//! how many run side by side, however the tests are run.

#![expect(clippy::panic, reason = "a story that goes wrong must stop, and say where")]

mod architecture;
mod commands;
mod control;
mod crash;
mod database;
mod doubt;
mod graph;
mod import;
mod import_broken_off;
mod kills;
mod lanes;
mod lists;
mod main_job;
mod pace;
mod redis;
mod restore;
mod scarcity;
mod single;
mod statuses;
mod stop;

/// Writes each story once and tells it on both databases: `name::sqlite` and `name::postgres`.
macro_rules! on_both_databases {
    ($(#[$meta:meta])* async fn $name:ident($database:ident) within $limit:expr; $body:block) => {
        mod $name {
            use super::*;

            async fn told($database: e2e::Database) {
                e2e::story(std::time::Duration::from_secs($limit), async move { $body }).await;
            }

            $(#[$meta])*
            #[tokio::test]
            async fn sqlite() {
                told(e2e::Database::Sqlite).await;
            }

            $(#[$meta])*
            #[tokio::test]
            async fn postgres() {
                told(e2e::Database::Postgres).await;
            }
        }
    };
}
pub(crate) use on_both_databases;
