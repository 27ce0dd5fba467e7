//! A large campaign: how fast it is planned, how soon its first message leaves, what it takes of memory and Redis, and
//! how long its writes take.
//!
//! `cargo bench -p e2e --bench scale -- [RECIPIENTS] [sqlite|postgres] [--history SENDS]` with `HUDHUD_BIN` and
//! `SIMULATOR_BIN` naming release builds. One million on both databases unless told otherwise; imports them first.
//! `--history` puts so many finished sends of old campaigns beside them first, with `sqlite3` or `psql`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use e2e::{Database, NUMBER, Serve, Setup, World, now_us, until};
use nix::sys::signal::Signal;
use serde_json::json;

/// The longest that planning may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// For so long the campaign is watched once it is planned.
const WATCHED: Duration = Duration::from_secs(20);

/// What is measured.
struct Order {
    people: u32,
    databases: Vec<Database>,
    history: u64,
}

impl Order {
    fn read() -> Self {
        let mut order = Self { people: 1_000_000, databases: vec![Database::Sqlite, Database::Postgres], history: 0 };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--history" => {
                    let sends = arguments.next().expect("--history takes a number of sends");
                    order.history = sends.parse().expect("a number of sends");
                }
                "sqlite" => order.databases = vec![Database::Sqlite],
                "postgres" => order.databases = vec![Database::Postgres],
                // Cargo's own.
                flag if flag.starts_with("--") => {}
                number => order.people = number.parse().expect("a number of recipients"),
            }
        }
        order
    }
}

fn main() {
    let order = Order::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        for database in &order.databases {
            measure(*database, &order).await;
        }
    });
}

async fn measure(database: Database, order: &Order) {
    let people = order.people;
    println!("{database:?}, {people} recipients, {} sends of old campaigns", order.history);
    let quiet = json!({"default_rate": 0, "webhook": {"url": null}, "pair_rate": {"enabled": false}});
    let (world, mut serve) = World::with_serve(Setup::on(database).with_private_redis().simulating(quiet)).await;
    let began = Instant::now();
    world.import("all", 0..people).await;
    println!("  import                  {:>9.1} s", began.elapsed().as_secs_f64());
    let _ = world.create("looked at", "all", &[]).await;
    let _ = world.create("large", "all", &[]).await;
    world.set_rate(NUMBER, 80).await;
    if order.history > 0 {
        let began = Instant::now();
        add_history(&world, &mut serve, order.history, people).await;
        println!("  history                 {:>9.1} s", began.elapsed().as_secs_f64());
        serve = world.serve("main", &[]).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;

    // What a person waits for who looks first; then the launch of another campaign that nobody looked at.
    for what in ["preflight", "preflight again"] {
        let clock = Instant::now();
        let _ = world.hudhud(&["campaign", "preflight", "looked at"]).await.ok();
        println!("  {what:<23} {:>9.2} s", clock.elapsed().as_secs_f64());
    }
    let before = Writes::of(&serve).await;
    let launched = now_us();
    let clock = Instant::now();
    let _ = world.hudhud(&["campaign", "launch", "large", "--yes"]).await.ok();
    let answered = clock.elapsed();
    let planned = until("the campaign is planned", PATIENCE, async || {
        serve.log().contains("the campaign's audience is planned").then(|| clock.elapsed())
    })
    .await;
    let while_planning = Writes::of(&serve).await.since(&before);
    tokio::time::sleep(WATCHED).await;
    let writes = Writes::of(&serve).await.since(&before);
    let rows = world.simulator.ledger().await;
    let first = rows.iter().map(|row| row.at_us).min().expect("messages arrived");
    println!("  launch answered after   {:>9.2} s", answered.as_secs_f64());
    println!("  first message after     {:>9.2} s", (first - launched) as f64 / 1e6);
    println!("  planned after           {:>9.2} s", (planned - answered).as_secs_f64());
    println!("  peak memory             {:>9.0} MB", peak_megabytes(serve.pid().as_raw()));
    println!("  peak of Redis           {:>9.1} MB", redis_megabytes(&world));
    println!("  write transactions while planning, then until {} s later:", WATCHED.as_secs());
    for (when, writes) in [("planning", &while_planning), ("all", &writes)] {
        for (kind, told) in &writes.0 {
            println!("    {when:<9} {kind:<30} {told}");
        }
    }
    serve.expect_running();
}

/// Histograms of the process, by metric and what they are about.
struct Writes(BTreeMap<String, Histogram>);

/// How many observations were at most so long (seconds), in order.
#[derive(Clone, Default)]
struct Histogram {
    buckets: Vec<(f64, u64)>,
    sum: f64,
}

impl Writes {
    async fn of(serve: &Serve) -> Self {
        let mut found: BTreeMap<String, Histogram> = BTreeMap::new();
        for line in serve.metrics().await.lines() {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Some((metric, labels)) = name.split_once('{') else { continue };
            let label =
                |key: &str| labels.split_once(&format!("{key}=\"")).and_then(|(_, rest)| rest.split('"').next());
            let Some(about) = label("kind").or_else(|| label("work")) else { continue };
            let (metric, part) = metric.rsplit_once('_').unwrap_or((metric, ""));
            let short = match metric {
                "hudhud_write_seconds" => "takes",
                "hudhud_write_wait_seconds" => "waits",
                "hudhud_scheduler_round_seconds" => "round",
                _ => continue,
            };
            let histogram = found.entry(format!("{about} {short}")).or_default();
            match (part, label("le")) {
                ("bucket", Some(le)) => {
                    let bound = le.parse().unwrap_or(f64::INFINITY);
                    histogram.buckets.push((bound, value.parse().expect("a count")));
                }
                ("sum", _) => histogram.sum = value.parse().expect("seconds"),
                _ => {}
            }
        }
        Self(found)
    }

    fn since(mut self, before: &Self) -> Self {
        for (kind, histogram) in &mut self.0 {
            if let Some(earlier) = before.0.get(kind) {
                histogram.sum -= earlier.sum;
                for ((_, count), (_, before)) in histogram.buckets.iter_mut().zip(&earlier.buckets) {
                    *count -= before;
                }
            }
        }
        self.0.retain(|_, histogram| histogram.count() > 0);
        self
    }
}

impl Histogram {
    fn count(&self) -> u64 {
        self.buckets.last().map_or(0, |(_, count)| *count)
    }

    /// The bound under which this share of the observations lies, in milliseconds.
    fn within(&self, share: f64) -> f64 {
        let wanted = self.count() as f64 * share;
        let bucket = self.buckets.iter().find(|(_, count)| *count as f64 >= wanted);
        bucket.map_or(f64::INFINITY, |(bound, _)| bound * 1e3)
    }
}

impl std::fmt::Display for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mean = self.sum / self.count() as f64 * 1e3;
        let (half, most, all) = (self.within(0.5), self.within(0.99), self.within(1.0));
        write!(f, "{:>7} times, mean {mean:>7.2} ms, p50 <= {half} ms, p99 <= {most} ms, all <= {all} ms", self.count())
    }
}

/// Finished campaigns to everybody there is, with so many sends together.
async fn add_history(world: &World, serve: &mut Serve, sends: u64, people: u32) {
    serve.signal(Signal::SIGTERM);
    assert!(serve.ended(Duration::from_secs(60)).await.success(), "it stops in order");
    for old in 1..=sends.div_ceil(u64::from(people)) {
        world.sql(&format!(
            "INSERT INTO campaigns (name, state, account_id, template_id, template, params, created_by, created_at,
                                    launched_at, started_at, finished_at, frozen_at, audience, planned_through, planned)
             SELECT 'old {old}', 5, account_id, template_id, template, params, 'bench', 1, 1, 1, 1, 1, {people},
                    (SELECT max(id) FROM contacts), TRUE FROM campaigns WHERE name = 'large'"
        ));
        world.sql(&format!(
            "INSERT INTO sends (campaign_id, contact_id, number_id, state, attempt, claimed_at, term, wamid, accepted_at,
                                sent_at, delivered_at, read_at)
             SELECT c.id, k.id, n.number_id, 6, 1, 1, 1, 'wamid.old.' || c.id || '.' || k.id, 1, 1, 1, 1
             FROM campaigns c
             JOIN campaign_numbers n ON n.campaign_id = (SELECT id FROM campaigns WHERE name = 'large')
             JOIN contacts k ON k.id > 0 WHERE c.name = 'old {old}' ORDER BY k.id"
        ));
        // Hashes of message ids are spread over the whole range; these are, too.
        world.sql(&format!(
            "INSERT INTO wamids (hash, campaign_id, contact_id)
             SELECT (s.contact_id * 2654435761 + s.campaign_id) * 40503 % 9007199254740881 AS hash, s.campaign_id,
                    s.contact_id
             FROM sends s WHERE s.campaign_id = (SELECT id FROM campaigns WHERE name = 'old {old}') ORDER BY hash"
        ));
        world.sql(&format!(
            "INSERT INTO tallies (campaign_id, number_id, state, detail, n)
             SELECT campaign_id, number_id, 6, '', count(*) FROM sends
             WHERE campaign_id = (SELECT id FROM campaigns WHERE name = 'old {old}') GROUP BY campaign_id, number_id"
        ));
    }
    if world.has_postgres() {
        world.sql("ANALYZE");
    }
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
