//! 10,000 events a second, ten a body, for messages that were sent; people tap the opt-out button of another campaign
//! right before it comes to them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use e2e::{Campaign, Database, NUMBER, NUMBERS, Serve, Setup, World, now_us, phone, until};
use serde_json::json;

use crate::measure::{cpu_seconds, percentile};
use crate::posting::{self, Acknowledged};
use crate::sent::{self, Letter, Pen, Sent};

/// Events a second.
const EVENTS: f64 = 10_000.0;
/// Events of a body.
const TEN: usize = 10;
/// One body in so many has a tap among its events.
const TAPS: usize = 50;
/// Messages of which all is told before the next ones' turn comes: half a second lies between a message's statuses.
const TOLD_TOGETHER: usize = 5_000;
/// Messages a second of the other campaign.
const PACE: u32 = 80;
/// Who taps is so many people ahead of the other campaign, which is three quarters of a second.
const AHEAD: u32 = 60;
/// What a wait may take.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) async fn run(databases: &[Database], seconds: u32) {
    println!("{EVENTS} events a second for {seconds} s, {TEN} a body, an opt-out in every {TAPS}th");
    for database in databases {
        measure(*database, seconds).await;
    }
}

async fn measure(database: Database, seconds: u32) {
    let people = seconds * 10_000 / 3 + 1;
    let (world, mut serve, told, paced) = prepared(database, people).await;
    let sent = sent::of_campaign(&world, told.id).await;
    let pen = Pen::new(world.app_secret(), now_us() / 1_000_000);
    let url = serve.webhook_url();

    let _ = world.hudhud(&["campaign", "launch", "paced", "--yes"]).await.ok();
    let at_first = until("the paced campaign runs", PATIENCE, async || arrived(&world, &paced).await).await;
    let (from_us, clock, cpu) = (now_us(), Instant::now(), cpu_seconds(serve.pid().as_raw()));
    let acknowledged = posting::post(&url, letters(&pen, &sent, paced.id, at_first), Some(EVENTS / TEN as f64)).await;
    let (to_us, took) = (now_us(), clock.elapsed());
    let cpu = (cpu_seconds(serve.pid().as_raw()) - cpu) / took.as_secs_f64();
    until("every status is applied", PATIENCE, async || {
        (world.shown(&told).await?["counts"]["read"] == sent.len()).then_some(())
    })
    .await;
    let behind = clock.elapsed() - took;
    serve.expect_running();

    let mut all: Vec<Duration> = acknowledged.iter().map(|ack| ack.took).collect();
    let mut stops: Vec<Duration> = acknowledged.iter().filter(|ack| is_tap(ack.place)).map(|ack| ack.took).collect();
    let rows = world.simulator.ledger().await;
    let paced_rows: Vec<_> = rows.iter().filter(|row| row.campaign() == Some(paced.id)).collect();
    let late = sent_after_stop(&acknowledged, at_first, &paced_rows);
    let kept = paced_rows.iter().filter(|row| (from_us..to_us).contains(&row.at_us)).count();
    println!(
        "{:<10} {:.0} events/s acknowledged; ack p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms; opt-out effective p50 {:.1} \
         ms, p99 {:.1} ms of {}; all applied {:.2} s after the last; {late} sent after an opt-out; another campaign \
         kept {:.1} % of {PACE}/s; {cpu:.2} cores of Hudhud's process",
        format!("{database:?}"),
        (acknowledged.len() * TEN) as f64 / took.as_secs_f64(),
        milliseconds(percentile(&mut all, 0.5)),
        milliseconds(percentile(&mut all, 0.99)),
        milliseconds(percentile(&mut all, 1.0)),
        milliseconds(percentile(&mut stops, 0.5)),
        milliseconds(percentile(&mut stops, 0.99)),
        stops.len(),
        behind.as_secs_f64(),
        kept as f64 / ((to_us - from_us) as f64 / 1e6) / f64::from(PACE) * 100.0,
    );
    assert_eq!(late, 0, "nobody was sent anything after their opt-out was acknowledged");
}

/// A world in which one campaign is sent and silent, and another is ready to be launched at [`PACE`].
pub(crate) async fn prepared(database: Database, people: u32) -> (World, Serve, Campaign, Campaign) {
    let quiet = json!({"default_rate": 0, "webhook": {"url": null}, "pair_rate": {"enabled": false}});
    let (world, serve) = World::with_serve(Setup::on(database).simulating(quiet)).await;
    let _ = world.hudhud(&["number", "set", NUMBER, "--rate", "unlimited"]).await.ok();
    world.set_rate(NUMBERS[2], PACE).await;
    world.import("all", 0..people).await;
    let told = world.launch("told", "all", &[]).await;
    until("every message is sent", PATIENCE, async || (world.shown(&told).await?["state"] == "finished").then_some(()))
        .await;
    let paced = world.create("paced", "all", &["--number", NUMBERS[2]]).await;
    (world, serve, told, paced)
}

/// How many messages of a campaign arrived, once some did.
async fn arrived(world: &World, campaign: &Campaign) -> Option<u32> {
    let counts = world.shown(campaign).await?["counts"].clone();
    let taken = counts["accepted"].as_u64()? + counts["submitting"].as_u64()?;
    u32::try_from(taken).ok().filter(|taken| *taken >= PACE)
}

fn is_tap(place: usize) -> bool {
    place % TAPS == TAPS - 1
}

/// Who taps in a body: somebody whom the paced campaign has not come to yet, and soon will.
fn who_taps(place: usize, at_first: u32) -> String {
    let seconds = place as f64 * TEN as f64 / EVENTS;
    phone(at_first + AHEAD + (seconds * f64::from(PACE)) as u32)
}

/// All statuses, the messages of half a second at a time.
fn letters<'a>(pen: &'a Pen, sent: &'a [Sent], campaign: i64, at_first: u32) -> impl Iterator<Item = Letter> + 'a {
    bodies(sent).enumerate().map(move |(place, (sent, status))| {
        let tap = is_tap(place).then(|| who_taps(place, at_first));
        pen.body(sent, status, tap.as_deref().map(|person| (person.trim_start_matches('+'), campaign)))
    })
}

/// The messages and the status of each body.
pub(crate) fn bodies(sent: &[Sent]) -> impl Iterator<Item = (&[Sent], &'static str)> {
    sent.chunks(TOLD_TOGETHER).flat_map(|together| {
        ["sent", "delivered", "read"]
            .into_iter()
            .flat_map(move |status| together.chunks(TEN).map(move |ten| (ten, status)))
    })
}

/// How many messages of the paced campaign arrived after their person's opt-out was acknowledged.
fn sent_after_stop(acknowledged: &[Acknowledged], at_first: u32, rows: &[&e2e::LedgerRow]) -> usize {
    let mut stopped: HashMap<String, i64> = HashMap::new();
    for ack in acknowledged.iter().filter(|ack| is_tap(ack.place)) {
        stopped.entry(who_taps(ack.place, at_first)).or_insert(ack.at_us);
    }
    rows.iter()
        .filter(|row| row.to.as_ref().and_then(|to| stopped.get(to)).is_some_and(|stopped| row.at_us > *stopped))
        .count()
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
