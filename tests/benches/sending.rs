//! Messages a second of a campaign without a pace, beside a bare loop of the same HTTP client with the same bodies
//! against the same simulator, in one run, on both databases.
//!
//! `cargo bench -p e2e --bench sending -- [MESSAGES] [ROUNDS] [sqlite|postgres]` with `HUDHUD_BIN` and `SIMULATOR_BIN`
//! naming release builds, or beside them in the target folder. Both are timed by the simulator's own ledger: from the
//! first arrival to the last. Processor time and memory are those of Hudhud with its Redis, and of the PostgreSQL
//! server, whose commits are durable.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::sync::Arc;
use std::time::Duration;

use e2e::{Database, LedgerRow, NUMBER, NUMBERS, Setup, Usage, World, phone, until, usage_of_tree};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// Requests of the bare loop under way at once; a lane without a rate has as many.
const IN_FLIGHT: usize = 256;
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
    let databases = match arguments.next().as_deref() {
        None => vec![Database::Sqlite, Database::DurablePostgres],
        Some("sqlite") => vec![Database::Sqlite],
        Some("postgres") => vec![Database::DurablePostgres],
        Some(other) => panic!("{other} is neither sqlite nor postgres"),
    };
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

/// Arrivals a second, from the first to the last.
fn pace(rows: &[&LedgerRow]) -> f64 {
    let (first, last) = (rows.iter().map(|row| row.at_us).min(), rows.iter().map(|row| row.at_us).max());
    let span = last.zip(first).map_or(1, |(last, first)| (last - first).max(1));
    rows.len() as f64 / (span as f64 / 1e6)
}

/// The bare loop: the same client, the same bodies, nothing kept.
async fn bare(world: &World, messages: u32, run: u32) -> f64 {
    let http = reqwest::Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .http1_only()
        .pool_max_idle_per_host(IN_FLIGHT)
        .build()
        .expect("a client");
    let url = format!("{}/v26.0/{}/messages", world.simulator.graph_url(), NUMBERS[1]);
    let places = Arc::new(Semaphore::new(IN_FLIGHT));
    for n in 0..messages {
        let place = Arc::clone(&places).acquire_owned().await.expect("never closed");
        let (http, url) = (http.clone(), url.clone());
        let body = body(n, run);
        tokio::spawn(async move {
            let _place = place;
            let request =
                http.post(url).bearer_auth("simulated-access-token").header("content-type", "application/json");
            let answer = request.body(body).send().await.expect("the simulator answers");
            let answer: Value = serde_json::from_slice(&answer.bytes().await.expect("an answer")).expect("JSON");
            assert!(answer["messages"][0]["id"].is_string(), "{answer}");
        });
    }
    let _ = places.acquire_many(u32::try_from(IN_FLIGHT).expect("a small number")).await;
    let prefix = format!("bare.{run}.");
    let rows = world.simulator.ledger().await;
    let rows: Vec<&LedgerRow> = rows.iter().filter(|row| row.callback.starts_with(&prefix)).collect();
    assert_eq!(rows.len(), messages as usize);
    pace(&rows)
}

fn body(n: u32, run: u32) -> String {
    json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": phone(n), "type": "template",
        "biz_opaque_callback_data": format!("bare.{run}.{n}.1.1"),
        "template": {"name": "eid_offer", "language": {"code": "en"}, "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "Mona"}, {"type": "text", "text": "20%"}]},
            {"type": "button", "sub_type": "quick_reply", "index": "0",
             "parameters": [{"type": "payload", "payload": "HH1:c1:b0:REPLY"}]},
            {"type": "button", "sub_type": "quick_reply", "index": "1",
             "parameters": [{"type": "payload", "payload": "HH1:c1:b1:OPTOUT"}]},
        ]},
    })
    .to_string()
}
