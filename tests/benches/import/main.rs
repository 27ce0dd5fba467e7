//! Rows a second of an import and the memory it takes; beside what the databases' own tools need for the same file.
//!
//! `cargo bench -p e2e --bench import [ROWS] [sqlite|postgres|both] [beside]` with `HUDHUD_BIN` and `SIMULATOR_BIN`
//! naming release builds. One million rows unless told otherwise: written to a file, imported through a running
//! `serve`, imported once more, then read by `sqlite3 .import` and by COPY into a plain table. `beside`: a campaign
//! sends from the same database at 80 messages a second while the file is imported, and its share of them is told.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::{Database, NUMBER, Serve, Setup, World, now_us};
use serde_json::{Value, json};

/// Messages a second of the campaign beside an import.
const RATE: u32 = 80;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let number = |text: &String| text.parse::<u64>().ok();
    let rows = arguments.iter().find_map(number).unwrap_or(1_000_000);
    assert!((1..=5_000_000).contains(&rows), "between one row and five million");
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let databases: &[Database] = match (has("sqlite"), has("postgres")) {
        (true, false) => &[Database::Sqlite],
        (false, true) => &[Database::DurablePostgres],
        _ => &[Database::Sqlite, Database::DurablePostgres],
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        println!(
            "{:<10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8}",
            "database", "rows", "first s", "rows/s", "again s", "rows/s", "tool s", "ratio", "peak MB"
        );
        for database in databases {
            if has("beside") {
                beside_a_campaign(*database, rows).await;
            } else {
                alone(*database, rows).await;
            }
        }
    });
}

/// A world whose simulator answers at once and without webhooks.
async fn world(database: Database) -> (World, Serve) {
    let quiet = json!({"default_rate": 0, "webhook": {"url": null}, "pair_rate": {"enabled": false}});
    World::with_serve(Setup::on(database).simulating(quiet)).await
}

async fn alone(database: Database, rows: u64) {
    let (world, mut serve) = world(database).await;
    let file = people_file(world.dir(), rows);
    let (first, summary) = import(&world, &file).await;
    assert_eq!(summary["created"], rows, "{summary}");
    let (again, summary) = import(&world, &file).await;
    assert_eq!((&summary["created"], &summary["updated"]), (&json!(0), &json!(0)), "{summary}");
    serve.expect_running();
    let peak = peak_megabytes(serve.pid().as_raw());
    drop(serve);
    let tool = match world.database_url() {
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
        "{:<10} {rows:>9} {:>9.2} {:>9.0} {:>9.2} {:>9.0} {tool:>9} {ratio:>8} {peak:>8.0}",
        name(database),
        first.as_secs_f64(),
        per_second(first),
        again.as_secs_f64(),
        per_second(again),
    );
}

/// A paced campaign on the same database, before and while the file is imported: its share of what it may send.
async fn beside_a_campaign(database: Database, rows: u64) {
    let (world, mut serve) = world(database).await;
    world.set_rate(NUMBER, RATE).await;
    // As many as it can send while all of this goes on.
    world.import("all", 0..RATE * 120).await;
    let _ = world.create("paced", "all", &[]).await;
    let file = people_file(world.dir(), rows);
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
    let order = ["import", file, "--list", "bench", "--opt-in-source", "checkout box, shop.example"];
    let summary = world.hudhud(&[&order[..], &["--opt-in-at", "2026-03-25T10:00:00Z"]].concat()).await.ok();
    (began.elapsed(), summary)
}

/// A file of five columns; the numbers in no order, as they are in life.
fn people_file(dir: &Path, rows: u64) -> String {
    /// A prime above the most rows: multiplying by anything modulo it names each row once.
    const PRIME: u64 = 99_999_989;
    const NAMES: [&str; 8] = ["Mona Salem", "أحمد علي", "Layla", "خالد", "منى سالم", "Lucía Ruiz", "João", "Hélène"];
    const CITIES: [&str; 5] = ["Cairo", "الجيزة", "Alexandria", "Aswan", "المنصورة"];
    let path = dir.join("people.csv");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file of people"));
    file.write_all(b"phone,name,language,city,points\n").expect("the disk has room");
    for n in 0..rows {
        let shuffled = usize::try_from(n * 48_271_337 % PRIME).expect("a small number");
        let (name, city) = (NAMES[shuffled % NAMES.len()], CITIES[shuffled % CITIES.len()]);
        let language = if shuffled.is_multiple_of(2) { "ar" } else { "en" };
        writeln!(file, "+2010{shuffled:08},{name},{language},{city},{}", shuffled % 5_000).expect("the disk has room");
    }
    file.into_inner().expect("the disk has room").sync_all().expect("a file on the disk");
    path.display().to_string()
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

/// The most memory that a process ever had, from `/proc`.
fn peak_megabytes(pid: i32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    peak.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}
