//! One term of a lane: from taking it to losing or leaving it. What surrounds the lane's own loop: the orphans of the
//! last owner, the beat, the queue's tasks, and the sweep.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use cloud_api::PhoneNumberId;
use domain::pacing::{Micros, Spread, gap};
use store::{BusinessNumber, Owner};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::hand::{self, Campaign, Hand, Ids};
use super::meters::Meters;
use super::outage::Circuit;
use super::pace::Pace;
use super::tasks::Tasks;
use super::{CLAIM_VALID, Handed, Inlets, Lane, Orders, Recorder, Showing, Stopped, orphans, pause_for as pause};
use crate::fault::{Fault, Result};
use crate::journal::Journal;
use crate::queue::{BATCHES_IN_HAND, Redis};
use crate::renderer::Renderer;
use crate::worker::Before;
use crate::{App, Clock, accounts, high_water, numbers};

/// How often the owner shows itself and looks for changed orders.
const BEAT: Duration = Duration::from_millis(500);
/// After the last owner let something go, so long passes before our first turn: the sliding second, then the jitter.
const FIRST_TURN: Duration = Duration::from_millis(1_050);
/// What surrounds the lane has so long to end.
const HELPERS_END: Duration = Duration::from_secs(1);
/// A lease has so long to be given back.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(2);

/// What it takes to run a term.
pub struct Term {
    /// The app.
    pub app: Arc<App>,
    /// The queue.
    pub redis: Redis,
    /// This process.
    pub owner: Owner,
    /// Its journal.
    pub journal: Arc<Journal>,
    /// Where outcomes go.
    pub recorder: Recorder,
    /// The lane's number.
    pub number: BusinessNumber,
    /// The lease's name.
    pub lease: String,
    /// The fence of this term.
    pub token: i64,
    /// The last owner.
    pub before: Before,
}

/// Runs a term until the process stops or somebody else owns the lane, and gives the lease back. `false`: something
/// failed, so that the lane is better left alone for a moment.
#[crate::boxed]
pub async fn run(term: Term, shutdown: CancellationToken) -> bool {
    let number = term.number.id;
    tracing::info!(number, token = term.token, "took the lane");
    let served = serve(&term, &shutdown).await;
    if let Err(error) = &served {
        tracing::error!(number, error = format!("{error:#}"), "the lane stopped and will be taken again");
    }
    let given_back = tokio::select! {
        given_back = term.app.store.release_lease(&term.lease, term.token) => match given_back {
            Ok(beat) => {
                if let Some(beat) = beat {
                    note(&term.app, &term.lease, term.token, beat);
                }
                true
            }
            Err(_) => false,
        },
        () = term.app.clock.sleep(GIVE_BACK_WITHIN) => false,
    };
    if !given_back {
        tracing::warn!(number, "the lane could not be given back; it will be taken when its lease runs out");
    }
    served.is_ok()
}

async fn serve(term: &Term, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let app = &term.app;
    let _is_ours = app.departures.term(term.number.id, term.token);
    let lost = shutdown.child_token();
    let _ends_with_us = lost.clone().drop_guard();
    let (orders_in, orders) = watch::channel(orders(app, term.number.id).await?);
    let (showing_in, showing) = watch::channel(Showing::default());
    let (handed_in, handed) = mpsc::channel::<Handed>(BATCHES_IN_HAND);
    let (lessons_in, lessons) = mpsc::unbounded_channel();
    let ids = Ids::default();

    // Dropped with this future, whichever way it ends.
    let mut helpers = JoinSet::new();
    helpers.spawn(keep(Keeper {
        app: Arc::clone(app),
        number_id: term.number.id,
        lease: term.lease.clone(),
        token: term.token,
        orders: orders_in,
        showing,
        lost: lost.clone(),
    }));
    // Until its last claim is void, an owner who is only silent may let go what it holds.
    if term.before == Before::Silent && !pause(app, Duration::from_micros(CLAIM_VALID), &lost).await {
        return Ok(());
    }
    let silent_since = app.clock.boot_us();
    orphans::settle(term, term.token).await?;
    // The last owner's tasks may be held by a worker that is gone: start from what SQL says.
    let cleared = tokio::select! {
        cleared = term.redis.clear(term.number.id) => cleared.is_ok(),
        () = lost.cancelled() => return Ok(()),
    };
    let worker = format!("{}-{}", term.owner.instance, term.token);
    let tasks = Tasks { redis: term.redis.clone(), app: Arc::clone(app), number_id: term.number.id, ids };
    helpers.spawn(tasks.clone().take(worker, handed_in.clone(), lost.clone()));
    helpers.spawn(tasks.push_again(cleared, handed_in, lost.clone()));
    helpers.spawn(orphans::sweep(Arc::clone(app), term.number.id, term.token, lost.clone()));
    helpers.spawn(orphans::forget(Arc::clone(app), term.number.id, lost.clone()));

    let mut lane = Lane {
        app: Arc::clone(app),
        number_id: term.number.id,
        phone_number_id: Arc::from(term.number.phone_number_id.as_str()),
        lease: term.lease.clone(),
        token: term.token,
        journal: Arc::clone(&term.journal),
        recorder: term.recorder.clone(),
        pace: Pace::new(app.clock.clone(), orders.borrow().rate),
        orders: orders.borrow().clone(),
        hand: Hand::default(),
        campaigns: HashMap::new(),
        // The first orders make room, as much as the rate needs.
        places: Arc::new(Semaphore::new(0)),
        in_flight_limit: 0,
        circuit: Circuit::default(),
        share: 100,
        troubled: Arc::default(),
        halted: None,
        throttle: 1.0,
        throttled_at: 0,
        unknown_in_a_row: HashMap::new(),
        lessons: lessons_in,
        showing: showing_in,
        done_lately: HashMap::new(),
        give_up: CancellationToken::new(),
        void_claims: 0,
        meters: Arc::new(Meters::new(&term.number.phone_number_id)),
        shown_at: 0,
        stops_seen: 0,
    };
    let mut inlets = Inlets { handed, orders, lessons };
    if term.before != Before::Nobody {
        let waited = Duration::from_micros(app.clock.boot_us().saturating_sub(silent_since));
        if !pause(app, FIRST_TURN.saturating_sub(waited), &lost).await {
            return Ok(());
        }
    }
    let outcome = loop {
        let stopped = {
            let run = lane.run(&mut inlets, &lost, shutdown);
            tokio::pin!(run);
            tokio::select! {
                stopped = &mut run => stopped,
                // They end when the lane is lost, and never before.
                ended = helpers.join_next() => {
                    lost.cancel();
                    run.await;
                    match ended {
                        Some(Err(error)) => break Err(anyhow::Error::new(error).context("a helper of the lane failed")),
                        _ => Stopped::Lost,
                    }
                }
            }
        };
        match stopped {
            Stopped::Shutdown | Stopped::Lost => break Ok(()),
            // Everything of ours is written or given back by now; whatever is still submitting is the lost claim.
            Stopped::ClaimLost => {
                let mut wait = Duration::from_millis(200);
                while pause(app, wait, &lost).await && orphans::settle(term, term.token + 1).await.is_err() {
                    wait = (wait * 2).min(Duration::from_secs(2));
                }
                if lost.is_cancelled() {
                    break Ok(());
                }
                tracing::info!(number = term.number.id, "the database answers again: sending goes on");
            }
        }
    };
    lost.cancel();
    let ended = async { while helpers.join_next().await.is_some() {} };
    tokio::select! {
        () = ended => {}
        // Whatever they wait for, Redis or the database, nothing of it matters any more.
        () = app.clock.sleep(HELPERS_END) => {}
    }
    outcome
}

/// The number's rate, less what comes in.
async fn rate(app: &App, number: &BusinessNumber) -> store::Result<Option<u32>> {
    let inbound = numbers::inbound_lately(app, number).await?;
    Ok(numbers::beside_inbound(numbers::rate_in_force(app, number), numbers::rate_of_level(number), inbound))
}

/// The number's rate and sender as the database has them now.
async fn orders(app: &App, number_id: i64) -> anyhow::Result<Orders> {
    let number = app.store.number(number_id).await?.context("the number is gone")?;
    // Read before the token: a token that is newer than its name is at worst read once more.
    let account = app.store.account(number.account_id).await?.context("the number's account is gone")?;
    let rate = rate(app, &number).await?;
    let sender = match accounts::access_token(app, number.account_id).await {
        Ok(token) => {
            let id = PhoneNumberId::parse(&number.phone_number_id)?;
            app.graph.sender(&token, &id).ok()
        }
        Err(fault) if fault.kind == crate::FaultKind::Unavailable => return Err(fault.into()),
        Err(fault) => {
            tracing::error!(number = number_id, %fault, "the account's access token cannot be read");
            None
        }
    };
    let caps = caps(app, number_id).await?;
    Ok(Orders { rate, sender, sealed_token: Arc::from(account.access_token), caps })
}

struct Keeper {
    app: Arc<App>,
    number_id: i64,
    lease: String,
    token: i64,
    orders: watch::Sender<Orders>,
    showing: watch::Receiver<Showing>,
    lost: CancellationToken,
}

/// What the lane was last told: the number's rate, the sealed token, the campaigns' caps.
type Known = (Option<u32>, Vec<u8>, Arc<HashMap<i64, Option<u32>>>);

/// Shows that the owner lives, and follows what others change: the rate, the token, the campaigns' caps.
async fn keep(keeper: Keeper) {
    let Keeper { app, number_id, lease, token, orders: out, showing, lost } = keeper;
    let mut known: Option<Known> = None;
    let (mut is_first, mut last_beat) = (true, 0);
    // The first beat comes at once: what is sent before it would be beyond what is known of this database outside.
    while std::mem::take(&mut is_first) || pause(&app, BEAT, &lost).await {
        let said = serde_json::to_string(&*showing.borrow()).unwrap_or_else(|_| "{}".to_owned());
        match app.store.beat(&lease, token, &said, app.clock.now_ms()).await {
            Ok(Some(beat)) if beat > last_beat => {
                last_beat = beat;
                note(&app, &lease, token, beat);
            }
            Ok(Some(_)) => {
                tracing::error!(number = number_id, "{}", high_water::REPLACED);
                lost.cancel();
                return;
            }
            Ok(None) => {
                tracing::warn!(number = number_id, "another worker owns the lane now");
                lost.cancel();
                return;
            }
            // The claims say no by themselves while the database is away.
            Err(_) => continue,
        }
        let Ok(Some(number)) = app.store.number(number_id).await else { continue };
        let Ok(Some(account)) = app.store.account(number.account_id).await else { continue };
        let Ok(caps) = caps(&app, number_id).await else { continue };
        let Ok(rate) = rate(&app, &number).await else { continue };
        let seen = (rate, account.access_token, caps);
        if known.as_ref() != Some(&seen) {
            // What cannot be read now is tried again at the next beat.
            if let Ok(orders) = orders(&app, number_id).await {
                out.send_replace(orders);
                known = Some(seen);
            }
        }
    }
}

/// Notes outside the database how far it has come.
fn note(app: &App, lease: &str, token: i64, beat: i64) {
    high_water::note(&app.data_dir, &app.install, lease, token, beat, &app.clock);
}

/// A campaign as a lane needs it.
pub(super) async fn load_campaign(app: &App, campaign_id: i64, number_id: i64) -> Result<Campaign> {
    let row = app.store.campaign(campaign_id).await?.ok_or_else(|| Fault::not_found("The campaign is gone."))?;
    let renderer = Renderer::of(&row)?;
    let lanes = i64::try_from(app.store.campaign_number_ids(campaign_id).await?.len()).unwrap_or(1);
    let cap = row.rate_cap.map(|cap| share_of_cap(cap, lanes));
    let spread = match (row.terms.spread, row.spread_people) {
        (Some(length), Some(people)) => {
            let gap = gap(people, length, lanes);
            let next = app.store.next_of_spread(campaign_id, number_id).await?;
            Some(Spread::new(gap, first_of_spread(&app.clock, next, gap)))
        }
        _ => None,
    };
    // Quiet hours and blackout days ask at the claim; days may be added at any time.
    store::warm_up_zones();
    // Another one for each lane and each start: nobody sees a pattern in it.
    let human = row.terms.human_gaps.then(rand::random);
    let pace = OnceLock::new();
    if cap.is_some() || spread.is_some() {
        let _ = pace.set(hand::pace(&app.clock, cap, spread, human));
    }
    let weight = u32::try_from(row.weight).unwrap_or(1);
    Ok(Campaign { renderer, pace, human, weight, overtakes: row.kind != store::CAMPAIGN })
}

/// A cap over several numbers is split among them.
fn share_of_cap(cap: i64, lanes: i64) -> u32 {
    u32::try_from((cap / lanes.max(1)).max(1)).unwrap_or(u32::MAX)
}

/// When a spread campaign's first message of this process may leave, in boot time, where an earlier one kept that its
/// next may leave at `next`. Never later than a gap and a claim's time from now: the wall clock may have been set.
fn first_of_spread(clock: &Clock, next: Option<i64>, gap: Micros) -> Micros {
    let wait = next.map_or(0, |next| next.saturating_sub(clock.now_ms()).max(0).unsigned_abs().saturating_mul(1_000));
    clock.boot_us().saturating_add(wait.min(gap.saturating_add(CLAIM_VALID)))
}

/// From when the next message may leave after so many of a spread campaign that are claimed now, by the wall clock.
pub(super) fn after_so_many(clock: &Clock, pace: &Pace, claimed: usize) -> i64 {
    let now = clock.boot_us();
    let wait = pace.next_turn_at(now).saturating_sub(now);
    let gaps = pace.gap().unwrap_or(0).saturating_mul(claimed as u64);
    clock.now_ms().saturating_add_unsigned(wait.saturating_add(gaps) / 1_000)
}

/// The caps of the campaigns that a number sends, as far as one lane is concerned.
async fn caps(app: &App, number_id: i64) -> store::Result<Arc<HashMap<i64, Option<u32>>>> {
    let caps = app.store.rate_caps(number_id).await?;
    Ok(Arc::new(caps.into_iter().map(|(id, cap, lanes)| (id, cap.map(|cap| share_of_cap(cap, lanes)))).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_restart_a_spread_campaign_waits_for_its_next_message_and_no_longer_than_a_gap() {
        let clock = Clock::manual(1_000_000);
        let gap = 10_000_000;
        assert_eq!(first_of_spread(&clock, None, gap), 0);
        assert_eq!(first_of_spread(&clock, Some(1_004_000), gap), 4_000_000);
        assert_eq!(first_of_spread(&clock, Some(900_000), gap), 0, "long ago: at once, and one message only");
        assert_eq!(first_of_spread(&clock, Some(90_000_000), gap), gap + CLAIM_VALID, "the clock was set back");
        // Claimed just before its turn, and then two more: the next one is three gaps after that turn.
        let pace = Pace::even(clock.clone(), None, Some(Spread::new(gap, 50_000)));
        assert_eq!(after_so_many(&clock, &pace, 3), 1_000_000 + 30_050);
        assert_eq!(share_of_cap(10, 3), 3);
        assert_eq!(share_of_cap(1, 3), 1);
    }
}
