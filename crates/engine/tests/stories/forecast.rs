//! What the preflight foretells, held against what happens: twenty campaigns of all kinds, their ends and their costs. All
//! twenty with `HUDHUD_LONG`, optimised and on a machine that does nothing else, for theirs are three dozen lanes; else six,
//! three on each database.
//!
//! All of them run at once, on one clock, from the same moment: until the last one is launched everything is paused, and the
//! clock is set back. While anybody can be written to it goes as every clock does; when whoever is left waits for a
//! morning, a start or a place of the messaging limit, the wall's clock is set to the first of these.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::world::{APP_SECRET, PARAMS, Pauses, World, hook};
use domain::schedule::{QuietHours, Tz, parse_at};
use engine::accounts::{self, NewAccount};
use engine::campaigns::{self, LaunchOrder, NewCampaign, Preflight};
use engine::numbers::{self, Rate};
use engine::views::iso;
use engine::{Actor, App, Clock};
use secrecy::SecretString;
use store::testing::Database;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const CAIRO: Tz = Tz::Africa__Cairo;
/// From so long after the launches on it is quiet where a campaign has quiet hours that are about to begin.
const EVENING: i64 = 12 * SECOND;
/// A limited account of its own for each campaign that waits for places, with so many in 24 hours.
const PLACES: i64 = 120;
/// People of a campaign by country.
type People = [(Country, i64)];

/// Where somebody lives, and what a marketing message to them costs, in ten-thousandths of a dollar: read off the rate card
/// by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Country {
    Egypt = 644,
    India = 118,
    Germany = 1365,
    SaudiArabia = 576,
}
use Country::{Egypt, Germany, India, SaudiArabia};

const COUNTRIES: [(Country, i64); 4] =
    [(Egypt, 201_000_000_000), (India, 919_800_000_000), (Germany, 4_915_110_000_000), (SaudiArabia, 966_500_000_000)];

/// One of the twenty. Its numbers are its own.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    people: &'static People,
    /// The rate of each of its numbers.
    rates: &'static [u32],
    cap: Option<u32>,
    spread: Option<&'static str>,
    /// When it is quiet by the clock of Cairo: minutes from the evening, and for how long.
    quiet: Option<(i64, u16)>,
    /// It starts by itself, so long after its launch, ms.
    starts: i64,
    /// The offer ends so long after its launch, ms.
    ends: Option<i64>,
    limited: bool,
}

const PLAIN: Case = Case {
    name: "",
    people: &[(Egypt, 200)],
    rates: &[10],
    cap: None,
    spread: None,
    quiet: None,
    starts: 0,
    ends: None,
    limited: false,
};

#[rustfmt::skip]
const CASES: [Case; 20] = [
    Case { name: "ten a second", ..PLAIN },
    Case { name: "a single person", people: &[(Egypt, 1)], starts: 50 * MINUTE, ..PLAIN },
    Case { name: "four countries", people: &[(Egypt, 100), (India, 90), (Germany, 50), (SaudiArabia, 60)], rates: &[15], ..PLAIN },
    Case { name: "thirty a second", people: &[(SaudiArabia, 600)], rates: &[30], ..PLAIN },
    Case { name: "two numbers", people: &[(Egypt, 360)], rates: &[10, 10], ..PLAIN },
    Case { name: "two numbers of which one is slow", people: &[(Egypt, 160)], rates: &[4, 20], ..PLAIN },
    Case { name: "a cap", people: &[(Germany, 240)], rates: &[30], cap: Some(12), ..PLAIN },
    Case { name: "a cap over two numbers", people: &[(Egypt, 320)], rates: &[30, 30], cap: Some(16), ..PLAIN },
    Case { name: "a cap that only one number can use", people: &[(Egypt, 200)], rates: &[5, 30], cap: Some(20), ..PLAIN },
    Case { name: "spread", people: &[(India, 100)], spread: Some("20s"), rates: &[30], ..PLAIN },
    Case { name: "spread over two numbers", people: &[(Egypt, 60)], spread: Some("24s"), rates: &[30, 30], ..PLAIN },
    Case { name: "an evening that comes", people: &[(Egypt, 240)], rates: &[15], quiet: Some((0, 600)), ..PLAIN },
    Case { name: "a night that lasts", people: &[(Egypt, 120)], rates: &[15], quiet: Some((-300, 660)), ..PLAIN },
    Case { name: "nights in four zones", people: &[(Egypt, 60), (India, 60), (Germany, 60), (SaudiArabia, 60)], rates: &[15], quiet: Some((-30, 720)), ..PLAIN },
    Case { name: "a later start", people: &[(Egypt, 90)], starts: 3 * HOUR, ..PLAIN },
    Case { name: "a start at night", people: &[(Egypt, 60), (Germany, 30)], starts: 4 * HOUR, quiet: Some((60, 540)), ..PLAIN },
    Case { name: "an offer that ends", people: &[(Egypt, 300)], ends: Some(18 * SECOND), ..PLAIN },
    Case { name: "an offer that ends in the morning", people: &[(Egypt, 200), (Germany, 100)], quiet: Some((-60, 360)), ends: Some(5 * HOUR + 30 * SECOND), ..PLAIN },
    Case { name: "more people than places", people: &[(Egypt, 150)], rates: &[20], limited: true, ..PLAIN },
    Case { name: "places that come free at night", people: &[(Egypt, 300)], rates: &[20], quiet: Some((-120, 900)), limited: true, ..PLAIN },
];

/// Those that are told every time, on SQLite and on PostgreSQL: when a campaign ends is not for the database to decide.
const SHORT: [[&str; 3]; 2] = [
    ["four countries", "two numbers of which one is slow", "an offer that ends"],
    ["a cap", "an evening that comes", "more people than places"],
];

/// The cases that are told, with their places among all.
fn told(db: &Database) -> Vec<(usize, Case)> {
    let all = !cfg!(debug_assertions) && std::env::var_os("HUDHUD_LONG").is_some();
    let short = SHORT[usize::from(!db.url.starts_with("sqlite:"))];
    CASES.into_iter().enumerate().filter(|(_, case)| all || short.contains(&case.name)).collect()
}

/// A campaign that was launched.
struct Running {
    case: Case,
    id: i64,
    foretold: Preflight,
    is_over: bool,
}

/// Meta's id of a case's number.
fn number(case: usize, place: usize) -> String {
    format!("2002000000{case:03}{place:02}")
}

fn waba(case: usize) -> String {
    format!("1002000000{case:05}")
}

/// Gives every case its numbers: on the shop's account, or on one of its own where the messaging limit counts.
async fn numbers_of_all(world: &World, app: &Arc<App>, told: &[(usize, Case)]) {
    world
        .simulator
        .update(|settings| {
            settings.default_rate = 0;
            let shop = settings.accounts[0].clone();
            for &(at, case) in told {
                let made = (0..case.rates.len()).map(|place| simulator::Number {
                    id: number(at, place),
                    display_phone_number: format!("+20 2 5551 {at:02}{place:02}"),
                    messaging_limit: if case.limited { PLACES.to_string() } else { "TIER_UNLIMITED".into() },
                    ..shop.numbers[0].clone()
                });
                if case.limited {
                    let numbers = made.collect();
                    settings.accounts.push(simulator::Account { waba_id: waba(at), numbers, ..shop.clone() });
                } else {
                    settings.accounts[0].numbers.extend(made);
                }
            }
        })
        .unwrap();
    for &(at, case) in told.iter().filter(|(_, case)| case.limited) {
        let new = NewAccount {
            name: case.name.into(),
            waba_id: waba(at),
            portfolio: Some(case.name.into()),
            access_token: SecretString::from("simulated-access-token"),
            app_secret: SecretString::from(APP_SECRET),
            verify_token: SecretString::from("simulated-verify-token"),
        };
        accounts::add(app, new).await.unwrap();
    }
    accounts::sync(app, None).await.unwrap();
    for &(at, case) in told {
        for (place, rate) in case.rates.iter().enumerate() {
            numbers::set_rate(app, &number(at, place), Rate::PerSecond(*rate)).await.unwrap();
        }
    }
}

/// The list and the draft of a case. Nobody is on two lists.
async fn draft(world: &World, at: usize, evening: i64, launches: i64) -> i64 {
    let case = &CASES[at];
    let mut people = Vec::new();
    for (country, count) in case.people {
        let (_, first) = COUNTRIES.iter().find(|(named, _)| named == country).unwrap();
        let first = first + i64::try_from(at).unwrap() * 10_000;
        people.extend(first..first + count);
    }
    world.people_of(case.name, &people, |_| true).await;
    let quiet = case.quiet.map(|(from, lasts)| {
        let begins = evening + from * MINUTE;
        let all = (0..1_440).filter_map(|from| QuietHours::from_minutes(from, (from + lasts) % 1_440));
        let begin = |hours: &QuietHours| hours.next_change(begins - 1, CAIRO) == Some(begins);
        let mut found = all.filter(|hours| begin(hours) && hours.closed_until(begins, CAIRO).is_some());
        found.next().expect("it begins at a whole minute").to_string()
    });
    let numbers = (0..case.rates.len()).map(|place| number(at, place)).collect();
    let new = NewCampaign {
        numbers,
        rate: case.cap,
        spread: case.spread.map(str::to_owned),
        quiet_hours: quiet,
        timezone: case.quiet.map(|_| "Africa/Cairo".to_owned()),
        at: (case.starts > 0).then(|| iso(launches + case.starts)),
        stop_at: case.ends.map(|ends| iso(launches + ends)),
        ..world.draft(case.name, case.name, PARAMS)
    };
    world.create(new).await
}

/// Until when nobody of a campaign can be written to; `None`: somebody can.
async fn waits_until(app: &App, campaign: i64) -> Option<i64> {
    let now = app.clock.now_ms();
    let row = app.store.campaign(campaign).await.unwrap().unwrap();
    if let Some(at) = row.start_at.filter(|at| *at > now) {
        return Some(at);
    }
    let tally = app.store.tally(campaign).await.unwrap();
    if tally.planned == 0 || tally.submitting > 0 || !row.planned {
        return None;
    }
    let ends = row.terms.stop_at.unwrap_or(i64::MAX);
    let asleep = app.store.asleep(campaign, now).await.unwrap();
    if asleep.iter().map(|group| group.people).sum::<i64>() == tally.planned {
        return asleep.iter().map(|group| group.until).min().map(|until| until.min(ends));
    }
    let first = app.store.campaign_number_ids(campaign).await.unwrap()[0];
    let limit = app.store.limit_of(first, now).await.unwrap()?;
    if limit.room() == 0 { limit.free_at.map(|free| free.min(ends)) } else { None }
}

/// Runs all to their ends, and passes over the time in which nothing can be sent.
async fn run(app: &App, clock: &Clock, running: &mut [Running]) {
    let mut idle = 0;
    for _ in 0..15_000 {
        let mut wake = Some(i64::MAX);
        for one in running.iter_mut().filter(|one| !one.is_over) {
            let row = app.store.campaign(one.id).await.unwrap().unwrap();
            if row.planned && app.store.tally(one.id).await.unwrap().open() == 0 {
                one.is_over = true;
                continue;
            }
            wake = match (wake, waits_until(app, one.id).await) {
                (Some(first), Some(other)) => Some(first.min(other)),
                _ => None,
            };
        }
        if running.iter().all(|one| one.is_over) {
            return;
        }
        // Twice in a row, so that nothing is about to move.
        idle = if wake.is_some() { idle + 1 } else { 0 };
        if let (Some(wake), 2..) = (wake, idle) {
            clock.step_wall((wake - clock.now_ms()).max(0));
            idle = 0;
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    let mut open = Vec::new();
    for one in running.iter().filter(|one| !one.is_over) {
        open.push((one.case.name, app.store.tally(one.id).await.unwrap(), waits_until(app, one.id).await));
    }
    panic!("these do not end at {}: {open:#?}", clock.now_ms());
}

/// When each campaign's last message was claimed, by the clock that foretold it: the simulator's own is never set.
async fn last_claims(app: &App, world: &World) -> BTreeMap<i64, i64> {
    let mut last = BTreeMap::new();
    for row in world.simulator.all_messages() {
        let key: Vec<i64> = row.callback.split('.').skip(2).take(2).map(|id| id.parse().unwrap()).collect();
        let claimed = app.store.send((key[0], key[1])).await.unwrap().unwrap().claimed_at.unwrap();
        last.entry(key[0]).and_modify(|known: &mut i64| *known = claimed.max(*known)).or_insert(claimed);
    }
    last
}

/// For how long somebody on this machine waited for a processor, as the kernel tells it, microseconds.
/// Where it does not tell, nobody knows: as if somebody always did.
fn waited_us(clock: &Clock) -> u64 {
    let text = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    let some = text.lines().find(|line| line.starts_with("some"));
    let total = some.and_then(|line| line.rsplit('=').next()).and_then(|total| total.trim().parse().ok());
    total.unwrap_or_else(|| clock.boot_us())
}

/// What the simulator's platform bills for a campaign, in ten-thousandths of a dollar: each message that arrived.
fn billed(world: &World, campaign: i64) -> i64 {
    let mut billed = 0;
    for row in world.simulator.all_messages() {
        let is_its = row.callback.split('.').nth(2) == Some(&campaign.to_string());
        if is_its && matches!(row.status.as_deref(), Some("delivered" | "read")) {
            let to: i64 = row.wa_id.unwrap().parse().unwrap();
            let country = COUNTRIES.iter().find(|(_, first)| first / 1_000_000_000 == to / 1_000_000_000);
            billed += country.expect("a known country").0 as i64;
        }
    }
    billed
}

/// Until everything that was taken in has arrived.
async fn all_arrived(world: &World) {
    for _ in 0..300 {
        if world.simulator.report().webhooks.pending == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("statuses are still under way: {:?}", world.simulator.report());
}

/// The campaign's report, once the last statuses are in it.
async fn counted(app: &Arc<App>, id: i64, billed: i64) -> campaigns::CampaignReport {
    for _ in 0..300 {
        let report = campaigns::report(app, id).await.unwrap();
        if report.cost.actual.iter().map(|money| tenth_mills(money.total)).sum::<i64>() >= billed {
            return report;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    campaigns::report(app, id).await.unwrap()
}

#[expect(clippy::cast_possible_truncation, reason = "dollars of a small campaign")]
fn tenth_mills(dollars: f64) -> i64 {
    (dollars * 10_000.0).round() as i64
}

store::on_both_databases! {
    async fn twenty_campaigns_end_when_it_was_foretold_and_cost_what_it_was_foretold(db: Database) {
        let world = World::new(db).await;
        let clock = Clock::steppable();
        let dir = world.dir.path().to_owned();
        let app = crate::world::open_with(&world.db, &world.simulator, &world.redis.url, dir, clock.clone()).await;
        let hook = hook(&app, &world.simulator).await;
        let told = told(&world.db);
        numbers_of_all(&world, &app, &told).await;
        let roles = [world.scheduler(&app), world.worker(&app)];
        // The launches come so long before a whole minute that it is the evening.
        let launches = (clock.now_ms() / MINUTE + 6) * MINUTE - EVENING;
        let mut ids = Vec::new();
        for (at, _) in &told {
            ids.push(draft(&world, *at, launches + EVENING, launches).await);
        }
        numbers::pause_all(&app, "until all are launched").await.unwrap();
        let mut running = Vec::new();
        for (id, (_, case)) in ids.into_iter().zip(told) {
            clock.step_wall(launches - clock.now_ms());
            let foretold = campaigns::preflight(&app, id).await.unwrap();
            let order = LaunchOrder { yes: true, ..LaunchOrder::default() };
            campaigns::launch(&app, &Actor::system(), id, &order).await.expect(case.name);
            running.push(Running { case, id, foretold, is_over: false });
        }
        let (began, waited, pauses) = (clock.boot_us(), waited_us(&clock), Pauses::from_now());
        clock.step_wall(launches - clock.now_ms());
        numbers::resume_all(&app).await.unwrap();
        run(&app, &clock, &mut running).await;
        let lost = pauses.lost();
        let waited = waited_us(&clock) - waited + u64::try_from(lost.as_micros()).unwrap();
        let busy = waited * 10 > clock.boot_us() - began;
        let lost = i64::try_from(lost.as_millis()).unwrap();
        all_arrived(&world).await;

        // A machine on which others want the processors for more than a tenth of the time keeps no pace to the second:
        // there nothing may end too early, and how late it ends says nothing. Only an offer's end cuts off what such a machine
        // holds up just then, and its last message is one before that.
        let last = last_claims(&app, &world).await;
        let mut wrong: BTreeMap<&str, String> = BTreeMap::new();
        for Running { case, id, foretold, .. } in &running {
            let foretold_end = parse_at(foretold.estimated_finish.as_deref().expect("an end")).unwrap();
            let (took, expected) = (last[id] - launches, foretold_end - launches);
            let told = format!("took {took} ms, foretold {expected} ms by {:?}", foretold.binding_limit);
            let held_up = if case.ends.is_some() { lost } else { 0 };
            let off = if busy { expected - took - held_up } else { (took - expected).abs() };
            if off * 20 > took.max(expected) {
                wrong.insert(case.name, told);
            }
            let left_over = app.store.tally(*id).await.unwrap().skipped_by_reason.values().sum::<i64>();
            let (billed, estimated) = (billed(&world, *id), tenth_mills(foretold.estimated_cost.total));
            assert_eq!(foretold.eligible, case.people.iter().map(|(_, people)| people).sum::<i64>());
            let report = counted(&app, *id, billed).await;
            let actual: i64 = report.cost.actual.iter().map(|money| tenth_mills(money.total)).sum();
            assert_eq!(actual, billed, "{}: our actual cost, and what was billed: {:?}", case.name, report.cost);
            assert_eq!((report.cost.unsaid, report.cost.unpriced), (0, 0), "{}", case.name);
            if left_over == 0 {
                assert_eq!(billed, estimated, "{}: billed, and estimated", case.name);
            } else {
                assert!(billed < estimated, "{}", case.name);
                assert!(foretold.warnings.iter().any(|warning| warning.contains("would be left out")), "{foretold:?}");
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(world.simulator.report().duplicates, 0);
        for role in roles {
            role.stop().await;
        }
        drop(hook);
    }
}
