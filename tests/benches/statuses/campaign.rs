//! A campaign without a pace, whose every message has all three statuses told to the same process.

use std::time::{Duration, Instant};

use e2e::{Database, LedgerRow, NUMBER, Setup, World, until};
use serde_json::json;

use crate::measure::{bare, cpu_seconds, pace};

/// What one campaign with its statuses may take at the most.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) async fn run(databases: &[Database], messages: u32, rounds: u32) {
    println!("messages {messages}, rounds {rounds}");
    println!(
        "{:<10} {:>5} {:>9} {:>10} {:>7} {:>12} {:>12} {:>9} {:>11}",
        "database", "round", "bare/s", "hudhud/s", "share", "applied/s", "of bare", "a body", "CPU s/100k"
    );
    for database in databases {
        let mut shares = Vec::new();
        for round in 1..=rounds {
            let told = measure(*database, messages).await;
            shares.push(told.sent / told.bare);
            println!(
                "{:<10} {round:>5} {:>9.0} {:>10.0} {:>7.2} {:>12.0} {:>12.2} {:>9.1} {:>11.1}",
                format!("{database:?}"),
                told.bare,
                told.sent,
                told.sent / told.bare,
                told.applied,
                told.applied / told.bare,
                told.per_body,
                told.cpu
            );
        }
        shares.sort_by(f64::total_cmp);
        println!("{:<10} median share {:.2}", format!("{database:?}"), shares[shares.len() / 2]);
    }
}

/// What one round told.
struct Told {
    /// Messages a second of the bare loop, the mean of before and after.
    bare: f64,
    /// Messages a second from the first arrival to the last.
    sent: f64,
    /// Messages a second from the first arrival until each is shown as read.
    applied: f64,
    /// Statuses in a body.
    per_body: f64,
    /// CPU seconds of Hudhud's process for 100,000 messages, until each is shown as read.
    cpu: f64,
}

/// One round in a world of its own: bare loop without webhooks, campaign with them, bare loop without.
async fn measure(database: Database, messages: u32) -> Told {
    let settings = json!({"default_rate": 0, "pair_rate": {"enabled": false}, "people": {"read_share": 1.0},
        "webhook": {"batch": 10, "concurrency": 64}});
    let (world, mut serve) = World::with_serve(Setup::on(database).simulating(settings)).await;
    let _ = world.hudhud(&["number", "set", NUMBER, "--rate", "unlimited"]).await.ok();
    world.import("all", 0..messages).await;
    let campaign = world.create("unpaced", "all", &[]).await;

    world.simulator.set(json!({"webhook": {"url": null}})).await;
    let before = bare(&world, messages, 1).await;
    world.simulator.set(json!({"webhook": {"url": serve.webhook_url()}})).await;
    let cpu_before = cpu_seconds(serve.pid().as_raw());
    let _ = world.hudhud(&["campaign", "launch", "unpaced", "--yes"]).await.ok();
    let first = until("the first message", PATIENCE, async || {
        (world.simulator.report().await["accepted"].as_u64()? > u64::from(messages)).then(Instant::now)
    })
    .await;
    until("every message is read", PATIENCE, async || {
        (world.shown(&campaign).await?["counts"]["read"] == messages).then_some(())
    })
    .await;
    let took = first.elapsed().as_secs_f64();
    let cpu = cpu_seconds(serve.pid().as_raw()) - cpu_before;
    let webhooks = world.simulator.report().await["webhooks"].clone();
    world.simulator.set(json!({"webhook": {"url": null}})).await;
    let after = bare(&world, messages, 2).await;
    serve.expect_running();

    let rows = world.simulator.ledger().await;
    let ours: Vec<&LedgerRow> = rows.iter().filter(|row| row.callback.starts_with("hh1.")).collect();
    assert_eq!(ours.len(), messages as usize, "each message arrived once");
    let told = |what: &str| webhooks[what].as_f64().expect("a count");
    Told {
        bare: f64::midpoint(before, after),
        sent: pace(&ours),
        applied: f64::from(messages) / took,
        per_body: told("delivered") / told("bodies"),
        cpu: cpu / f64::from(messages) * 100_000.0,
    }
}
