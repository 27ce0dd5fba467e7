//! One term of a lane: from taking it to losing or leaving it. What surrounds the lane's own loop: the orphans of the
//! last owner, the beat, the queue's tasks, and the sweep.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use cloud_api::PhoneNumberId;
use store::{BusinessNumber, Owner};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::hand::{Campaign, Hand, Ids};
use super::meters::Meters;
use super::outage::Circuit;
use super::pace::Pace;
use super::tasks::Tasks;
use super::{Handed, Inlets, Lane, Orders, Recorder, Showing, Stopped, orphans, pause_for as pause};
use crate::fault::{Fault, Result};
use crate::journal::Journal;
use crate::queue::{BATCHES_IN_HAND, Redis};
use crate::renderer::Renderer;
use crate::worker::Before;
use crate::{App, accounts, high_water, numbers};

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
    if term.before == Before::Silent && !pause(app, Duration::from_micros(super::CLAIM_VALID), &lost).await {
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

/// The number's rate and sender as the database has them now.
async fn orders(app: &App, number_id: i64) -> anyhow::Result<Orders> {
    let number = app.store.number(number_id).await?.context("the number is gone")?;
    // Read before the token: a token that is newer than its name is at worst read once more.
    let account = app.store.account(number.account_id).await?.context("the number's account is gone")?;
    let rate = numbers::rate_in_force(app, &number);
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
    Ok(Orders { rate, sender, sealed_token: Arc::from(account.access_token) })
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

/// Shows that the owner lives, and follows what others change: the rate, the token.
async fn keep(keeper: Keeper) {
    let Keeper { app, number_id, lease, token, orders: out, showing, lost } = keeper;
    let mut known: Option<(Option<u32>, Vec<u8>)> = None;
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
        let seen = (numbers::rate_in_force(&app, &number), account.access_token);
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
pub(super) async fn load_campaign(app: &App, campaign_id: i64) -> Result<Campaign> {
    let row = app.store.campaign(campaign_id).await?.ok_or_else(|| Fault::not_found("The campaign is gone."))?;
    let renderer = Renderer::of(&row)?;
    let pace = match row.rate_cap {
        None => None,
        Some(cap) => {
            // A cap over several numbers is split among them.
            let numbers = app.store.campaign_number_ids(campaign_id).await?.len().max(1);
            let share = cap / i64::try_from(numbers).unwrap_or(1);
            Some(Pace::new(app.clock.clone(), Some(u32::try_from(share.max(1)).unwrap_or(u32::MAX))))
        }
    };
    let weight = u32::try_from(row.weight).unwrap_or(1);
    Ok(Campaign { renderer, pace, weight })
}
