//! Messages a second of a campaign without a pace, beside a bare loop of the same HTTP client with the same bodies
//! against the same simulator, in one run, on both databases.
//!
//! `cargo bench -p e2e --bench sending -- [MESSAGES] [ROUNDS] [sqlite|postgres]` with `HUDHUD_BIN` and `SIMULATOR_BIN`
//! naming release builds, or beside them in the target folder. Both are timed by the simulator's own ledger: from the
//! first arrival to the last. Processor time and memory are those of Hudhud with its Redis, and of the PostgreSQL
//! server, whose commits are durable.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::Duration;

use e2e::{Database, LedgerRow, NUMBER, Setup, Usage, World, until, usage_of_tree};
use serde_json::{Value, json};

mod measure;

use measure::{bare, pace};

/// What one in-flight campaign may take at the most.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// What one round gave.
struct Round {
    /// Messages a second of the mean bare loop.
    bare: f64,
    /// Messages a second of the campaign.
    ours: f64,
    /// Processor time for 100,000 messages: Hudhud with its Redis, and the PostgreSQL server.
    cpu: [f64; 2],
    /// The most memory, MiB: Hudhud with its Redis, and the PostgreSQL server.
    megabytes: [f64; 2],
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let messages: u32 = arguments.next().map_or(20_000, |text| text.parse().expect("a number of messages"));
    let rounds: u32 = arguments.next().map_or(3, |text| text.parse().expect("a number of rounds"));
    let chosen = arguments.next();
    let databases: Vec<Database> = [("sqlite", Database::Sqlite), ("postgres", Database::DurablePostgres)]
        .into_iter()
        .filter(|(name, _)| chosen.as_deref().is_none_or(|chosen| chosen == *name))
        .map(|(_, database)| database)
        .collect();
    assert!(!databases.is_empty(), "a database is sqlite or postgres");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        println!("messages {messages}, rounds {rounds}; CPU seconds per 100,000 messages; memory in MiB");
        println!(
            "{:<16} {:>5} {:>8} {:>9} {:>6} {:>12} {:>10} {:>11} {:>9}",
            "database", "round", "bare/s", "hudhud/s", "share", "hudhud CPU", "server CPU", "hudhud MiB", "server MiB"
        );
        for database in databases {
            let name = format!("{database:?}");
            let mut shares = Vec::new();
            for round in 1..=rounds {
                let Round { bare, ours, cpu, megabytes } = measure(database, messages).await;
                let share = ours / bare;
                shares.push(share);
                println!(
                    "{name:<16} {round:>5} {bare:>8.0} {ours:>9.0} {share:>6.2} {:>12.1} {:>10.1} {:>11.0} {:>9.0}",
                    cpu[0], cpu[1], megabytes[0], megabytes[1]
                );
            }
            shares.sort_by(f64::total_cmp);
            println!("{name:<16} median share {:.2}", shares[shares.len() / 2]);
        }
    });
}

/// One round in a world of its own: bare loop, campaign, bare loop.
async fn measure(database: Database, messages: u32) -> Round {
    let quiet = json!({"default_rate": 0, "webhook": {"url": null}, "pair_rate": {"enabled": false}});
    let (world, mut serve) = World::with_serve(Setup::on(database).simulating(quiet)).await;
    let _ = world.hudhud(&["number", "set", NUMBER, "--rate", "unlimited"]).await.ok();
    world.import("all", 0..messages).await;
    let campaign = world.create("unpaced", "all", &[]).await;

    let before = bare(&world, messages, 1).await;
    let hudhud = serve.pid().as_raw();
    let server = world.postgres.as_ref().map(e2e::Cluster::pid);
    let usage = || [usage_of_tree(hudhud), server.map_or_else(Usage::default, usage_of_tree)];
    let cpu_before = usage().map(|usage| usage.cpu_seconds);
    let mut megabytes = [0.0_f64; 2];
    let _ = world.hudhud(&["campaign", "launch", "unpaced", "--yes"]).await.ok();
    until("every message arrived", PATIENCE, async || {
        let now = usage();
        megabytes = [0, 1].map(|side| megabytes[side].max(now[side].megabytes));
        tokio::time::sleep(LOOK).await;
        let shown = world.shown(&campaign).await?;
        (shown["state"] == "finished").then_some(())
    })
    .await;
    let after = usage().map(|usage| usage.cpu_seconds);
    let cpu = [0, 1].map(|side| (after[side] - cpu_before[side]) / f64::from(messages) * 100_000.0);
    let after = bare(&world, messages, 2).await;
    serve.expect_running();

    let rows = world.simulator.ledger().await;
    let ours: Vec<&LedgerRow> = rows.iter().filter(|row| row.callback.starts_with("hh1.")).collect();
    assert_eq!(ours.len(), messages as usize, "each message arrived once");
    let report: Value = world.simulator.report().await;
    assert_eq!(report["duplicates"], 0);
    Round { bare: f64::midpoint(before, after), ours: pace(&ours), cpu, megabytes }
}
