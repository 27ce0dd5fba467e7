//! Messages a second of a campaign without a pace, beside a bare loop of the same HTTP client with the same bodies
//! against the same simulator, in one run, on both databases.
//!
//! `cargo bench -p e2e --bench sending [MESSAGES] [ROUNDS]` with `HUDHUD_BIN` and `SIMULATOR_BIN` naming release
//! builds, or beside them in the target folder. Both are timed by the simulator's own ledger: from the first arrival to
//! the last.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::Duration;

use e2e::{Database, LedgerRow, NUMBER, Setup, World, until};
use serde_json::{Value, json};

mod measure;

use measure::{bare, cpu_seconds, pace};

/// What one in-flight campaign may take at the most.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let messages: u32 = arguments.next().map_or(20_000, |text| text.parse().expect("a number of messages"));
    let rounds: u32 = arguments.next().map_or(3, |text| text.parse().expect("a number of rounds"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        println!("messages {messages}, rounds {rounds}");
        println!(
            "{:<12} {:>6} {:>10} {:>10} {:>8} {:>12}",
            "database", "round", "bare/s", "hudhud/s", "share", "CPU s/100k"
        );
        for database in [Database::Sqlite, Database::Postgres] {
            let mut shares = Vec::new();
            for round in 1..=rounds {
                let (bare, ours, cpu) = measure(database, messages).await;
                let share = ours / bare;
                shares.push(share);
                println!(
                    "{:<12} {round:>6} {bare:>10.0} {ours:>10.0} {share:>8.2} {cpu:>12.1}",
                    format!("{database:?}")
                );
            }
            shares.sort_by(f64::total_cmp);
            println!("{:<12} median share {:.2}", format!("{database:?}"), shares[shares.len() / 2]);
        }
    });
}

/// One round in a world of its own: bare loop, campaign, bare loop. Messages a second of the mean bare loop and of the
/// campaign, and the CPU seconds of Hudhud's process for 100,000 messages.
async fn measure(database: Database, messages: u32) -> (f64, f64, f64) {
    let quiet = json!({"default_rate": 0, "webhook": {"url": null}, "pair_rate": {"enabled": false}});
    let (world, mut serve) = World::with_serve(Setup::on(database).simulating(quiet)).await;
    let _ = world.hudhud(&["number", "set", NUMBER, "--rate", "unlimited"]).await.ok();
    world.import("all", 0..messages).await;
    let campaign = world.create("unpaced", "all", &[]).await;

    let before = bare(&world, messages, 1).await;
    let cpu_before = cpu_seconds(serve.pid().as_raw());
    let _ = world.hudhud(&["campaign", "launch", "unpaced", "--yes"]).await.ok();
    until("every message arrived", PATIENCE, async || {
        let shown = world.shown(&campaign).await?;
        (shown["state"] == "finished").then_some(())
    })
    .await;
    let cpu = cpu_seconds(serve.pid().as_raw()) - cpu_before;
    let after = bare(&world, messages, 2).await;
    serve.expect_running();

    let rows = world.simulator.ledger().await;
    let ours: Vec<&LedgerRow> = rows.iter().filter(|row| row.callback.starts_with("hh1.")).collect();
    assert_eq!(ours.len(), messages as usize, "each message arrived once");
    let report: Value = world.simulator.report().await;
    assert_eq!(report["duplicates"], 0);
    (f64::midpoint(before, after), pace(&ours), cpu / f64::from(messages) * 100_000.0)
}
