//! A large campaign: how fast it is planned, how soon its first message leaves, what it takes of memory and Redis.
//!
//! `cargo bench -p e2e --bench scale [RECIPIENTS]` with `HUDHUD_BIN` and `SIMULATOR_BIN` naming release builds. One
//! million unless told otherwise; imports them first, which takes longest.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::{Duration, Instant};

use e2e::{Database, NUMBER, Setup, World, now_us, until};
use serde_json::json;

/// The longest that planning may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// For so long the campaign is watched once it is planned.
const WATCHED: Duration = Duration::from_secs(20);

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let people: u32 = arguments.next().map_or(1_000_000, |text| text.parse().expect("a number of recipients"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        println!(
            "{:<10} {:>11} {:>10} {:>10} {:>12} {:>12} {:>10}",
            "database", "recipients", "import s", "plan s", "first msg s", "peak MB", "Redis MB"
        );
        for database in [Database::Sqlite, Database::Postgres] {
            measure(database, people).await;
        }
    });
}

async fn measure(database: Database, people: u32) {
    let quiet = json!({"default_rate": 0, "webhook": {"url": null}, "pair_rate": {"enabled": false}});
    let (world, mut serve) = World::with_serve(Setup::on(database).with_private_redis().simulating(quiet)).await;
    let began = Instant::now();
    world.import("all", 0..people).await;
    let import = began.elapsed();
    let _ = world.create("large", "all", &[]).await;
    world.set_rate(NUMBER, 80).await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    let launched = now_us();
    let clock = Instant::now();
    let _ = world.hudhud(&["campaign", "launch", "large", "--yes"]).await.ok();
    let answered = clock.elapsed();
    let planned = until("the campaign is planned", PATIENCE, async || {
        serve.log().contains("the campaign's audience is planned").then(|| clock.elapsed())
    })
    .await;
    tokio::time::sleep(WATCHED).await;
    let rows = world.simulator.ledger().await;
    let first = rows.iter().map(|row| row.at_us).min().expect("messages arrived");
    println!(
        "{:<10} {people:>11} {:>10.1} {:>10.1} {:>12.2} {:>12.0} {:>10.1}   launch answered in {:.2} s",
        format!("{database:?}"),
        import.as_secs_f64(),
        planned.as_secs_f64(),
        (first - launched) as f64 / 1e6,
        peak_megabytes(serve.pid().as_raw()),
        redis_megabytes(&world),
        answered.as_secs_f64(),
    );
    serve.expect_running();
}

/// The most memory that a process ever had, from `/proc`.
fn peak_megabytes(pid: i32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    peak.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

/// The most memory that Redis ever used for data.
fn redis_megabytes(world: &World) -> f64 {
    let told = world.redis.as_ref().expect("a private Redis").command("INFO memory");
    let peak = told.lines().find_map(|line| line.strip_prefix("used_memory_peak:")).expect("a peak");
    peak.trim().parse::<f64>().expect("a number of bytes") / 1024.0 / 1024.0
}
