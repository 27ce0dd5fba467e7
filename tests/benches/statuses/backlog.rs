//! Statuses that were taken in while nobody applied them, and a campaign that keeps its pace while they are.

use std::time::{Duration, Instant};

use e2e::{Database, until};
use nix::sys::signal::Signal;

use crate::events::{bodies, prepared};
use crate::posting;
use crate::sent::{self, Pen};

/// Messages a second that the campaign must keep.
const PACE: f64 = 80.0;
/// What a wait may take.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) async fn run(databases: &[Database], messages: u32) {
    println!("a backlog of three statuses of each of {messages} messages");
    for database in databases {
        measure(*database, messages).await;
    }
}

async fn measure(database: Database, messages: u32) {
    let (world, mut serve, told, paced) = prepared(database, messages).await;
    let sent = sent::of_campaign(&world, told.id).await;
    serve.signal(Signal::SIGTERM);
    serve.ended(PATIENCE).await;
    // The api alone: what comes in is kept, and nobody applies it.
    let mut serve = world.serve("main", &["api"]).await;
    let pen = Pen::new(world.app_secret(), e2e::now_us() / 1_000_000);
    let clock = Instant::now();
    let letters = bodies(&sent).map(|(sent, status)| pen.body(sent, status, None));
    let kept = posting::post(&serve.webhook_url(), letters, None).await.len();
    let kept_at = f64::from(messages) * 3.0 / clock.elapsed().as_secs_f64();
    let _ = world.hudhud(&["campaign", "launch", "paced", "--yes"]).await.ok();
    serve.signal(Signal::SIGTERM);
    serve.ended(PATIENCE).await;

    let mut serve = world.serve("main", &[]).await;
    let clock = Instant::now();
    let of_paced = async || {
        let rows = world.simulator.ledger().await;
        let rows = rows.into_iter().filter(|row| row.campaign() == Some(paced.id));
        rows.map(|row| row.at_us).collect::<Vec<i64>>()
    };
    until("every status is applied", PATIENCE, async || {
        (world.shown(&told).await?["counts"]["read"] == sent.len()).then_some(())
    })
    .await;
    let (until_us, applied) = (e2e::now_us(), clock.elapsed());
    let times: Vec<i64> = of_paced().await.into_iter().filter(|at| *at <= until_us).collect();
    let from_us = times.iter().min().copied().unwrap_or(until_us);
    let span = (until_us - from_us) as f64 / 1e6;
    println!(
        "{:<10} {kept} bodies kept at {kept_at:.0} events/s; applied in {:.1} s, {:.0} events/s; meanwhile {} messages \
         in {span:.1} s, {:.1} % of {PACE}/s",
        format!("{database:?}"),
        applied.as_secs_f64(),
        f64::from(messages) * 3.0 / applied.as_secs_f64(),
        times.len(),
        times.len() as f64 / span / PACE * 100.0,
    );
    serve.expect_running();
}
