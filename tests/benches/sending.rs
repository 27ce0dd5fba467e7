//! Messages a second of a campaign without a pace, beside a bare loop of the same HTTP client with the same bodies
//! against the same simulator, in one run, on both databases.
//!
//! `cargo bench -p e2e --bench sending [MESSAGES] [ROUNDS]` with `HUDHUD_BIN` and `SIMULATOR_BIN` naming release
//! builds, or beside them in the target folder. Both are timed by the simulator's own ledger: from the first arrival to
//! the last.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::sync::Arc;
use std::time::Duration;

use e2e::{Database, LedgerRow, NUMBER, NUMBERS, Setup, World, phone, until};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// Requests of the bare loop under way at once; a lane without a rate has as many.
const IN_FLIGHT: usize = 256;
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

/// CPU seconds that a process has used so far, from `/proc`.
fn cpu_seconds(pid: i32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
    let after_name = stat.rsplit(')').next().expect("a name in parentheses");
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<f64>().ok()).expect("a number of ticks");
    // Linux counts in hundredths of a second here.
    (ticks() + ticks()) / 100.0
}
