//! The way of statuses: webhook, inbox, intake, sends. Three modes, each with `HUDHUD_BIN` and `SIMULATOR_BIN` naming
//! release builds:
//!
//! - `cargo bench -p e2e --bench statuses campaign [MESSAGES] [ROUNDS]`: a campaign without a pace while all three
//!   statuses of every message come back, beside a bare loop.
//! - `cargo bench -p e2e --bench statuses events [SECONDS]`: 10,000 signed events a second and opt-outs among them, while
//!   another campaign keeps its pace.
//! - `cargo bench -p e2e --bench statuses backlog [MESSAGES]`: three statuses of each message wait in the inbox when
//!   sending at 80 a second begins.
//!
//! A last argument `sqlite` or `postgres` measures that one only.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use e2e::Database;

mod backlog;
mod campaign;
mod events;
#[path = "../measure/mod.rs"]
mod measure;
mod posting;
mod sent;

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let databases = match arguments.last().map(String::as_str) {
        Some("sqlite") => vec![Database::Sqlite],
        Some("postgres") => vec![Database::Postgres],
        _ => vec![Database::Sqlite, Database::Postgres],
    };
    if databases.len() == 1 {
        arguments.pop();
    }
    let number =
        |place: usize, otherwise: u32| arguments.get(place).map_or(otherwise, |text| text.parse().expect("a number"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    match arguments.first().map(String::as_str) {
        Some("campaign") => runtime.block_on(campaign::run(&databases, number(1, 20_000), number(2, 3))),
        Some("events") => runtime.block_on(events::run(&databases, number(1, 30))),
        Some("backlog") => runtime.block_on(backlog::run(&databases, number(1, 333_334))),
        _ => println!("campaign [MESSAGES] [ROUNDS], events [SECONDS] or backlog [MESSAGES]; then sqlite or postgres"),
    }
}
