//! What the number of suppressed people costs: looking one up, suppressing one more, importing, and claiming a campaign's
//! people, first beside a few and then beside millions, in one run on one machine.
//!
//! `cargo bench -p e2e --bench suppressed -- [SUPPRESSED] [MESSAGES] [sqlite|postgres]` with `HUDHUD_BIN` and
//! `SIMULATOR_BIN` naming release builds. Five million and 30,000 on both databases unless told otherwise. The suppressed
//! are strangers to the campaign's list, but for one in ten of its people. They are written with `sqlite3` or `psql`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::{Duration, Instant};

use e2e::{Database, NUMBER, Serve, Setup, World, phone, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

mod measure;

use measure::{pace, percentile};

/// What one campaign may take at the most.
const PATIENCE: Duration = Duration::from_secs(300);
/// How many people are looked up, and how many are suppressed one after the other.
const LOOKED_UP: u32 = 1_000;
/// The suppressed strangers' first number, without its plus sign: beyond those of everybody else here.
const STRANGERS: u64 = 201_001_000_000;

fn main() {
    let mut numbers = Vec::new();
    let mut databases = vec![Database::Sqlite, Database::DurablePostgres];
    for argument in std::env::args().skip(1).filter(|argument| !argument.starts_with("--")) {
        match argument.as_str() {
            "sqlite" => databases = vec![Database::Sqlite],
            "postgres" => databases = vec![Database::DurablePostgres],
            number => numbers.push(number.parse::<u32>().expect("a number")),
        }
    }
    let (suppressed, messages) = (numbers.first().copied().unwrap_or(5_000_000), *numbers.get(1).unwrap_or(&30_000));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        for database in databases {
            measure(database, suppressed, messages).await;
        }
    });
}

async fn measure(database: Database, suppressed: u32, messages: u32) {
    let quiet = json!({"default_rate": 0, "webhook": {"url": null}, "pair_rate": {"enabled": false}});
    let (world, mut serve) = World::with_serve(Setup::on(database).simulating(quiet)).await;
    let _ = world.hudhud(&["number", "set", NUMBER, "--rate", "unlimited"]).await.ok();
    println!("{database:?}, {messages} messages");
    println!(
        "{:>12} {:>13} {:>13} {:>14} {:>14} {:>12} {:>12} {:>9}",
        "suppressed", "look-up p50", "look-up p99", "suppress p50", "suppress p99", "import", "campaign", "memory"
    );
    for (turn, all) in [(0_u32, 0), (1, suppressed)] {
        if all > 0 {
            let clock = Instant::now();
            add_strangers(&world, &mut serve, all).await;
            println!("{:>12} written in {:.0} s", "", clock.elapsed().as_secs_f64());
            serve = world.serve("main", &[]).await;
        }
        let first = turn * 2 * messages;
        let clock = Instant::now();
        world.import(&format!("list {turn}"), first..first + messages).await;
        let import = f64::from(messages) / clock.elapsed().as_secs_f64();
        let campaign = world.create(&format!("campaign {turn}"), &format!("list {turn}"), &[]).await;
        let asked = Asked::new(&world, &serve).await;
        let mut stops =
            asked.each("optouts", (0..messages / 10).map(|n| phone(first + n * 10)).take(LOOKED_UP as usize)).await;
        let taken_out = u32::try_from(stops.len()).expect("few");
        // Every other one is suppressed; the others were never heard of.
        let among = |n: u32| {
            if n.is_multiple_of(2) && all > 0 {
                format!("+{}", STRANGERS + u64::from(n) * 4_931 % u64::from(all))
            } else {
                phone(first + n)
            }
        };
        let mut looks = asked.each("optouts/check", (0..LOOKED_UP).map(among)).await;
        let before = world.simulator.ledger().await.len();
        let _ = world.hudhud(&["campaign", "launch", &format!("campaign {turn}"), "--yes"]).await.ok();
        until("every message arrived", PATIENCE, async || {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let shown = world.shown(&campaign).await?;
            (shown["state"] == "finished").then_some(())
        })
        .await;
        let rows = world.simulator.ledger().await;
        assert_eq!(rows.len() - before, (messages - taken_out) as usize, "everybody but whoever is suppressed");
        let ours: Vec<_> = rows.iter().skip(before).collect();
        let ms = |times: &mut Vec<Duration>, share| percentile(times, share).as_secs_f64() * 1e3;
        println!(
            "{:>12} {:>10.2} ms {:>10.2} ms {:>11.2} ms {:>11.2} ms {:>10.0}/s {:>10.0}/s {:>5.0} MiB",
            all + taken_out,
            ms(&mut looks, 0.5),
            ms(&mut looks, 0.99),
            ms(&mut stops, 0.5),
            ms(&mut stops, 0.99),
            import,
            pace(&ours),
            e2e::usage_of_tree(serve.pid().as_raw()).megabytes,
        );
    }
    serve.expect_running();
}

/// The HTTP API, asked one thing after the other.
struct Asked {
    http: reqwest::Client,
    origin: String,
    key: String,
}

impl Asked {
    async fn new(world: &World, serve: &Serve) -> Self {
        let webhooks = serve.webhook_url();
        let origin = webhooks.strip_suffix("/webhooks/whatsapp").expect("the webhooks' path").to_owned();
        Self { http: reqwest::Client::new(), origin, key: world.api_key().await.to_owned() }
    }

    /// How long each answer took.
    async fn each(&self, path: &str, people: impl Iterator<Item = String>) -> Vec<Duration> {
        let url = format!("{}/api/v1/{path}", self.origin);
        let mut times = Vec::new();
        for person in people {
            let mut body = json!({"person": person});
            if path == "optouts" {
                body["reason"] = json!("asked by letter");
            }
            loop {
                let clock = Instant::now();
                let asking = self.http.post(&url).bearer_auth(&self.key).json(&body).send();
                let answer = asking.await.expect("an answer");
                // A caller has a hundred requests a second.
                if answer.status() == 429 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
                assert!(answer.status().is_success(), "{}", answer.status());
                let _: Value = answer.json().await.expect("JSON");
                times.push(clock.elapsed());
                break;
            }
        }
        times
    }
}

/// So many people of no list who are suppressed.
async fn add_strangers(world: &World, serve: &mut Serve, count: u32) {
    serve.signal(Signal::SIGTERM);
    assert!(serve.ended(Duration::from_secs(60)).await.success(), "it stops in order");
    let most = u64::from(count);
    world.sql(&format!(
        "INSERT INTO contacts (phone_key, phone, created_at, updated_at)
         WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {})
         SELECT {STRANGERS} + n, {STRANGERS} + n, 1, 1 FROM n",
        most - 1
    ));
    world.sql(&format!(
        "INSERT INTO suppressions (contact_id, scope, since, source)
         SELECT id, 'all', 1, 'import' FROM contacts WHERE phone_key BETWEEN {STRANGERS} AND {}",
        STRANGERS + most
    ));
    world.sql("ANALYZE");
}
