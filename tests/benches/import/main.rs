//! Rows a second of an import and the memory it takes; beside what the databases' own tools need for the same file.
//!
//! `cargo bench -p e2e --bench import [ROWS] [sqlite|postgres|both] [beside|xlsx|stdin]` with `HUDHUD_BIN` and
//! `SIMULATOR_BIN` naming release builds. One million rows unless told otherwise: written to a file, imported through a
//! running `serve`, imported once more, then read by `sqlite3 .import` and by COPY into a plain table.
//!
//! - `beside`: a campaign sends from the same database at 80 messages a second while the file is imported, and its share
//!   of them is told.
//! - `xlsx`: the file is a workbook; 200,000 rows unless told otherwise.
//! - `stdin`: the number is of megabytes, 2,000 unless told otherwise, which come through a pipe; the memory is told
//!   along the way. With `dry` they are only read.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod files;

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::{Database, NUMBER, Serve, Setup, World, now_us};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

/// What each import is told.
const ORDER: [&str; 6] =
    ["--list", "bench", "--opt-in-source", "checkout box, shop.example", "--opt-in-at", "2026-03-25T10:00:00Z"];
/// Messages a second of the campaign beside an import.
const RATE: u32 = 80;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let number = arguments.iter().find_map(|text| text.parse::<u64>().ok());
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let rows = number.unwrap_or(if has("xlsx") { 200_000 } else { 1_000_000 });
    assert!((1..=5_000_000).contains(&rows), "between one row and five million");
    let databases: &[Database] = match (has("sqlite"), has("postgres")) {
        (true, false) => &[Database::Sqlite],
        (false, true) => &[Database::DurablePostgres],
        _ => &[Database::Sqlite, Database::DurablePostgres],
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        if !has("stdin") {
            println!(
                "{:<10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8}",
                "database", "rows", "first s", "rows/s", "again s", "rows/s", "tool s", "ratio", "peak MB", "again MB"
            );
        }
        for database in databases {
            if has("beside") {
                beside_a_campaign(*database, rows).await;
            } else if has("stdin") {
                through_a_pipe(*database, number.unwrap_or(2_000) * 1_000_000, has("dry")).await;
            } else {
                alone(*database, rows, has("xlsx")).await;
            }
        }
    });
}

/// A world whose simulator answers at once and without webhooks.
async fn world(database: Database) -> (World, Serve) {
    let quiet = json!({"default_rate": 0, "webhook": {"url": null}, "pair_rate": {"enabled": false}});
    World::with_serve(Setup::on(database).simulating(quiet)).await
}

async fn alone(database: Database, rows: u64, workbook: bool) {
    let (world, mut serve) = world(database).await;
    let file = if workbook { files::xlsx(world.dir(), rows) } else { files::csv(world.dir(), rows) };
    let (first, summary) = import(&world, &file).await;
    assert_eq!(summary["created"], rows, "{summary}");
    let peak = peak_megabytes(serve.pid().as_raw());
    let (again, summary) = import(&world, &file).await;
    assert_eq!((&summary["created"], &summary["updated"]), (&json!(0), &json!(0)), "{summary}");
    serve.expect_running();
    let peak_again = peak_megabytes(serve.pid().as_raw());
    drop(serve);
    let tool = match world.database_url() {
        _ if workbook => None,
        None => sqlite_import(world.dir(), &file),
        Some(url) => copy(url, &file),
    };
    let per_second = |time: Duration| rows as f64 / time.as_secs_f64();
    let (tool, ratio) = match tool {
        Some(tool) => {
            (format!("{:.2}", tool.as_secs_f64()), format!("{:.1}", first.as_secs_f64() / tool.as_secs_f64()))
        }
        None => ("none".to_owned(), String::new()),
    };
    println!(
        "{:<10} {rows:>9} {:>9.2} {:>9.0} {:>9.2} {:>9.0} {tool:>9} {ratio:>8} {peak:>8.0} {peak_again:>8.0}",
        name(database),
        first.as_secs_f64(),
        per_second(first),
        again.as_secs_f64(),
        per_second(again),
    );
}

/// So many bytes of a file that nobody ever had as a whole; the memory of `serve` at each tenth of it.
async fn through_a_pipe(database: Database, bytes: u64, dry: bool) {
    let (world, mut serve) = world(database).await;
    let pid = serve.pid().as_raw();
    println!(
        "{}: {} MB through standard input; idle {:.0} MB",
        name(database),
        bytes / 1_000_000,
        megabytes(pid, "VmRSS:")
    );
    let order = [&ORDER[..], if dry { &["--dry-run"] } else { &[] }].concat();
    let began = Instant::now();
    let mut command = world.start(&[&["import", "-"], &order[..]].concat());
    let of_the_command = i32::try_from(command.pid()).expect("a process's id");
    let mut pipe = command.stdin();
    let (mut row, mut written, mut told) = (0, 0_u64, 0);
    while written < bytes {
        let piece = files::piece(&mut row);
        pipe.write_all(piece.as_bytes()).await.expect("the command reads on");
        written += piece.len() as u64;
        if written * 10 / bytes > told {
            told = written * 10 / bytes;
            println!(
                "{:>5} MB {row:>9} rows {:>7.1} s: serve {:>4.0} MB, command {:>3.0} MB",
                written / 1_000_000,
                began.elapsed().as_secs_f64(),
                megabytes(pid, "VmRSS:"),
                megabytes(of_the_command, "VmRSS:"),
            );
        }
    }
    drop(pipe);
    let summary = command.answer().await.ok();
    assert_eq!((&summary["rows"], &summary["accepted"]), (&json!(row), &json!(row)), "{summary}");
    serve.expect_running();
    let peak = peak_megabytes(pid);
    println!("{row} rows in {:.1} s, peak {peak:.0} MB; {}", began.elapsed().as_secs_f64(), summary["remarks"]);
}

/// A paced campaign on the same database, before and while the file is imported: its share of what it may send.
async fn beside_a_campaign(database: Database, rows: u64) {
    let (world, mut serve) = world(database).await;
    world.set_rate(NUMBER, RATE).await;
    // As many as it can send while all of this goes on.
    world.import("all", 0..RATE * 120).await;
    let _ = world.create("paced", "all", &[]).await;
    let file = files::csv(world.dir(), rows);
    let _ = world.hudhud(&["campaign", "launch", "paced", "--yes"]).await.ok();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let calm = (now_us(), tokio::time::sleep(Duration::from_secs(6)).await, now_us());
    let began = now_us();
    let (took, summary) = import(&world, &file).await;
    let ended = now_us();
    assert_eq!(summary["accepted"], rows, "{summary}");
    serve.expect_running();
    let arrivals: Vec<i64> = world.simulator.ledger().await.iter().map(|row| row.at_us).collect();
    let share = |from: i64, to: i64| {
        let within = arrivals.iter().filter(|at| (from..to).contains(at)).count();
        within as f64 / ((to - from) as f64 / 1e6 * f64::from(RATE))
    };
    let worst = (began..ended - 1_000_000).step_by(250_000).map(|from| share(from, from + 1_000_000));
    println!(
        "{:<10} {rows:>9} {:>9.2} {:>9.0}   share of {RATE}/s before {:.3}, meanwhile {:.3}, in its worst second {:.2}; {} MB",
        name(database),
        took.as_secs_f64(),
        rows as f64 / took.as_secs_f64(),
        share(calm.0, calm.2),
        share(began, ended),
        worst.fold(f64::INFINITY, f64::min),
        peak_megabytes(serve.pid().as_raw()).round(),
    );
}

fn name(database: Database) -> &'static str {
    if database == Database::Sqlite { "SQLite" } else { "PostgreSQL" }
}

/// Imports the file through the running `serve`, as a person would; how long the command took, and what it said.
async fn import(world: &World, file: &str) -> (Duration, Value) {
    let began = Instant::now();
    let summary = world.hudhud(&[&["import", file], &ORDER[..]].concat()).await.ok();
    (began.elapsed(), summary)
}

/// What SQLite's own shell needs for the same file, into one plain table of texts, as durably.
fn sqlite_import(dir: &Path, file: &str) -> Option<Duration> {
    let script = format!(
        "PRAGMA journal_mode=WAL;\nPRAGMA synchronous=FULL;\n\
         CREATE TABLE people (phone TEXT, name TEXT, language TEXT, city TEXT, points TEXT);\n\
         .import --csv --skip 1 {file} people\n"
    );
    let began = Instant::now();
    let mut shell = Command::new("sqlite3")
        .arg(dir.join("plain.db"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .ok()?;
    shell.stdin.take()?.write_all(script.as_bytes()).ok()?;
    shell.wait().ok()?.success().then(|| began.elapsed())
}

/// What COPY needs for the same file, into one plain table of texts.
fn copy(url: &str, file: &str) -> Option<Duration> {
    let psql = |command: &str| {
        let mut psql = Command::new("psql");
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", command, url]);
        psql.status().is_ok_and(|status| status.success())
    };
    let made = psql("CREATE TABLE plain (phone text, name text, language text, city text, points text)");
    let began = Instant::now();
    let copied = made && psql(&format!("\\copy plain FROM '{file}' WITH (FORMAT csv, HEADER true)"));
    copied.then(|| began.elapsed())
}

/// The most memory that a process ever had.
fn peak_megabytes(pid: i32) -> f64 {
    megabytes(pid, "VmHWM:")
}

/// A line of a process's status, from `/proc`.
fn megabytes(pid: i32, line: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let size = status.lines().find_map(|text| text.strip_prefix(line)).expect("such a line");
    size.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}
