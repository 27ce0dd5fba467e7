//! What the benchmarks of sending share: the bare loop that they are held against, and what is read off afterwards.

#![allow(dead_code, reason = "each benchmark uses some of it")]

use std::sync::Arc;
use std::time::Duration;

use e2e::{LedgerRow, NUMBERS, World, phone};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// Requests of the bare loop under way at once; a lane without a rate has as many.
const IN_FLIGHT: usize = 256;

/// Arrivals a second, from the first to the last.
pub(crate) fn pace(rows: &[&LedgerRow]) -> f64 {
    let (first, last) = (rows.iter().map(|row| row.at_us).min(), rows.iter().map(|row| row.at_us).max());
    let span = last.zip(first).map_or(1, |(last, first)| (last - first).max(1));
    rows.len() as f64 / (span as f64 / 1e6)
}

/// The bare loop: the same client, the same bodies, nothing kept.
pub(crate) async fn bare(world: &World, messages: u32, run: u32) -> f64 {
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
pub(crate) fn cpu_seconds(pid: i32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
    let after_name = stat.rsplit(')').next().expect("a name in parentheses");
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<f64>().ok()).expect("a number of ticks");
    // Linux counts in hundredths of a second here.
    (ticks() + ticks()) / 100.0
}

/// The time that a share of all stayed within: `percentile(times, 0.99)`. Sorts them.
pub(crate) fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let place = (times.len() as f64 * share).ceil() as usize;
    times.get(place.saturating_sub(1)).copied().unwrap_or_default()
}
