//! One term of a lane: from taking it to losing or leaving it. What surrounds the lane's own loop: the orphans of the
//! last owner, the beat, the queue's worker, and pushing open batches again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use cloud_api::PhoneNumberId;
use domain::pacing::SECOND;
use domain::send::SendEvent;
use store::{BusinessNumber, Happening, Orphan, Owner, Priority};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::hand::{Campaign, Hand};
use super::outage::Circuit;
use super::pace::Pace;
use super::{FREE_IN_FLIGHT, Handed, Lane, Orders, Recorder, Showing, Stopped, pause_for as pause};
use crate::fault::{Fault, Result};
use crate::journal::{AttemptKey, Journal};
use crate::queue::{BATCHES_IN_HAND, OnBatch, Redis};
use crate::renderer::Renderer;
use crate::{App, accounts, numbers};

/// How often the owner shows itself and looks for changed orders.
const BEAT: Duration = Duration::from_millis(500);
/// A new owner waits so long before its first turn: the last owner's claims are void by then, and the messages that it
/// sent in its last moment have left the sliding second.
const FIRST_TURN: Duration = Duration::from_millis(1_050);
/// A batch that was pushed so long ago and is not in hand is pushed again by a lane with room for it.
const LOST_AFTER: i64 = 3_000;
/// How often finished tasks are removed from Redis.
const TIDY: Duration = Duration::from_secs(15);
/// Orphans settled in one transaction.
const ORPHANS: i64 = 500;

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
}

/// Runs a term until the process stops or somebody else owns the lane, and gives the lease back.
pub async fn run(term: Term, shutdown: CancellationToken) {
    let number = term.number.id;
    tracing::info!(number, token = term.token, "took the lane");
    match serve(&term, &shutdown).await {
        Ok(()) => {}
        Err(error) => tracing::error!(number, error = format!("{error:#}"), "the lane stopped and will be taken again"),
    }
    if let Err(error) = term.app.store.release_lease(&term.lease, term.token).await {
        tracing::warn!(number, %error, "the lane could not be given back; it will be taken when its lease runs out");
    }
}

async fn serve(term: &Term, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let app = &term.app;
    let lost = shutdown.child_token();
    let _ends_with_us = lost.clone().drop_guard();
    let (orders_in, orders) = watch::channel(orders(app, term.number.id).await?);
    let (showing_in, showing) = watch::channel(Showing::default());
    let (handed_in, mut handed) = mpsc::channel::<Handed>(BATCHES_IN_HAND);
    let in_hand = Arc::new(std::sync::Mutex::new(std::collections::HashSet::new()));

    let keeper = tokio::spawn(keep(Keeper {
        app: Arc::clone(app),
        number_id: term.number.id,
        lease: term.lease.clone(),
        token: term.token,
        orders: orders_in,
        showing: showing.clone(),
        lost: lost.clone(),
    }));
    if !pause(app, FIRST_TURN, &lost).await {
        return Ok(());
    }
    settle_orphans(term, term.token).await?;
    let taker = tokio::spawn(take_batches(
        term.redis.clone(),
        Arc::clone(app),
        term.number.id,
        format!("{}-{}", term.owner.instance, term.token),
        handed_in,
        Arc::clone(&in_hand),
        lost.clone(),
    ));
    let pusher = tokio::spawn(push_again(
        term.redis.clone(),
        Arc::clone(app),
        term.number.id,
        Arc::clone(&in_hand),
        lost.clone(),
    ));

    let outcome = loop {
        let (lessons_in, lessons) = mpsc::unbounded_channel();
        let lane = Lane {
            app: Arc::clone(app),
            number_id: term.number.id,
            lease: term.lease.clone(),
            token: term.token,
            journal: Arc::clone(&term.journal),
            recorder: term.recorder.clone(),
            pace: Pace::new(app.clock.clone(), orders.borrow().rate),
            orders: orders.borrow().clone(),
            hand: Hand::default(),
            campaigns: std::collections::HashMap::new(),
            places: Arc::new(Semaphore::new(FREE_IN_FLIGHT)),
            in_flight_limit: FREE_IN_FLIGHT,
            circuit: Circuit::default(),
            halted: None,
            throttle: 1.0,
            throttled_at: 0,
            unknown_in_a_row: std::collections::HashMap::new(),
            lessons: lessons_in,
            showing: showing_in.clone(),
        };
        let (lane_in, lane_handed) = mpsc::channel::<Handed>(1);
        let run = lane.run(lane_handed, orders.clone(), lessons, lost.clone());
        let stopped = {
            tokio::pin!(run);
            loop {
                tokio::select! {
                    stopped = &mut run => break stopped,
                    Some(batch) = handed.recv() => {
                        tokio::select! {
                            stopped = &mut run => break stopped,
                            _ = lane_in.send(batch) => {}
                        }
                    }
                }
            }
        };
        match stopped {
            Stopped::Shutdown | Stopped::Lost => break Ok(()),
            // Everything of ours is written or given back by now; whatever is still submitting is the lost claim.
            Stopped::ClaimLost => {
                let mut wait = Duration::from_millis(200);
                loop {
                    if !pause(app, wait, &lost).await {
                        break;
                    }
                    match settle_orphans(term, term.token + 1).await {
                        Ok(()) => break,
                        Err(_) => wait = (wait * 2).min(Duration::from_secs(2)),
                    }
                }
                if lost.is_cancelled() {
                    break Ok(());
                }
                // What left in the last second counts for the new loop's fresh window.
                if !pause(app, FIRST_TURN, &lost).await {
                    break Ok(());
                }
                tracing::info!(number = term.number.id, "the database answers again: sending goes on");
            }
        }
    };
    lost.cancel();
    for task in [keeper, taker, pusher] {
        let _ = task.await;
    }
    outcome
}

/// The number's rate and sender as the database has them now.
async fn orders(app: &App, number_id: i64) -> anyhow::Result<Orders> {
    let number = app.store.number(number_id).await?.context("the number is gone")?;
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
    Ok(Orders { rate, sender })
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
    while pause(&app, BEAT, &lost).await {
        let note = serde_json::to_string(&*showing.borrow()).unwrap_or_else(|_| "{}".to_owned());
        match app.store.beat(&lease, token, &note, app.clock.now_ms()).await {
            Ok(true) => {}
            Ok(false) => {
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
            if let Ok(orders) = orders(&app, number_id).await {
                out.send_replace(orders);
            }
            known = Some(seen);
        }
    }
}

type InHandIds = Arc<std::sync::Mutex<std::collections::HashSet<i64>>>;

/// Keeps a worker of the queue running: Redis may go and come.
async fn take_batches(
    redis: Redis,
    app: Arc<App>,
    number_id: i64,
    worker: String,
    handed: mpsc::Sender<Handed>,
    in_hand: InHandIds,
    lost: CancellationToken,
) {
    let on_batch: OnBatch = {
        let in_hand = Arc::clone(&in_hand);
        let lost = lost.clone();
        Arc::new(move |batch_id| {
            let (handed, in_hand, lost) = (handed.clone(), Arc::clone(&in_hand), lost.clone());
            Box::pin(async move {
                // A task that Redis doubled finds its batch in hand.
                if !lock(&in_hand).insert(batch_id) {
                    return;
                }
                let (task, done) = oneshot::channel();
                if handed.send(Handed { batch_id, task }).await.is_ok() {
                    tokio::select! {
                        _ = done => {}
                        () = lost.cancelled() => {}
                    }
                }
                lock(&in_hand).remove(&batch_id);
            })
        })
    };
    let mut told = false;
    let mut starts = 0_u64;
    let mut wait = Duration::from_millis(100);
    while !lost.is_cancelled() {
        starts += 1;
        let began = app.clock.boot_us();
        let name = format!("{worker}-{starts}");
        match redis.take(number_id, &name, Arc::clone(&on_batch), lost.clone()).await {
            Ok(()) => {}
            Err(error) => {
                // A worker that ran for a while is news again.
                if app.clock.boot_us() - began > 10 * SECOND {
                    (told, wait) = (false, Duration::from_millis(100));
                }
                if !told {
                    told = true;
                    tracing::warn!(
                        number = number_id,
                        error = format!("{error:#}"),
                        "Redis is away; the queue waits, nothing is lost, and it goes on by itself"
                    );
                }
            }
        }
        let jitter = Duration::from_millis(rand::random::<u64>() % 100);
        if !pause(&app, wait + jitter, &lost).await {
            return;
        }
        wait = (wait * 2).min(Duration::from_secs(1));
    }
}

fn lock(in_hand: &InHandIds) -> std::sync::MutexGuard<'_, std::collections::HashSet<i64>> {
    in_hand.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Pushes open batches whose tasks are missing: those of the last owner at first, later what Redis lost.
async fn push_again(redis: Redis, app: Arc<App>, number_id: i64, in_hand: InHandIds, lost: CancellationToken) {
    // The last owner's tasks may be held by a worker that is gone: start from what SQL says.
    let mut first = redis.clear(number_id).await.is_ok();
    let mut tidied = app.clock.boot_us();
    loop {
        let wait = if first { Duration::ZERO } else { Duration::from_millis(500) };
        if !pause(&app, wait, &lost).await {
            return;
        }
        let room = BATCHES_IN_HAND.saturating_sub(lock(&in_hand).len());
        if room > 0
            && let Ok(open) = app.store.lane_batches(number_id).await
        {
            let now = app.clock.now_ms();
            let held = lock(&in_hand).clone();
            let missing: Vec<i64> = open
                .iter()
                .filter(|batch| !held.contains(&batch.id))
                // A clock that was set back must not hide a batch for ever.
                .filter(|batch| first || batch.pushed_at.is_none_or(|at| (now - at).abs() > LOST_AFTER))
                .map(|batch| batch.id)
                .take(BATCHES_IN_HAND)
                .collect();
            if !missing.is_empty() && redis.push(number_id, &missing).await.is_ok() {
                let _ = app.store.mark_pushed(&missing, now).await;
            }
        }
        first = false;
        if app.clock.boot_us() - tidied > TIDY.as_micros().try_into().unwrap_or(SECOND) {
            tidied = app.clock.boot_us();
            let _ = redis.tidy(number_id).await;
        }
    }
}

/// Settles claims of terms before `before`: planned again where a journal of this boot proves that they never left, in
/// doubt otherwise.
async fn settle_orphans(term: &Term, before: i64) -> anyhow::Result<()> {
    let app = &term.app;
    loop {
        let orphans = app.store.orphans(term.number.id, before, ORPHANS).await?;
        if orphans.is_empty() {
            return Ok(());
        }
        let terms = app.store.unsettled_terms(term.number.id, before).await?;
        let mut journals = std::collections::HashMap::new();
        for past in &terms {
            let trusted = past.host == term.owner.host && past.boot == term.owner.boot;
            let journal = if trusted { Journal::read(&app.data_dir, &past.owner)? } else { None };
            journals.insert(past.term, journal);
        }
        let now = app.clock.now_ms();
        let (mut planned, mut doubted) = (0, 0);
        let happenings: Vec<Happening> = orphans
            .iter()
            .map(|orphan| {
                let journal = orphan.term.and_then(|term| journals.get(&term)).and_then(Option::as_ref);
                let never_left = journal.is_some_and(|journal| !journal.contains(&key_of(orphan)));
                let event = if never_left {
                    planned += 1;
                    SendEvent::NotPosted { back_to_planned: true }
                } else {
                    doubted += 1;
                    SendEvent::Unknown
                };
                let key = (orphan.campaign_id, orphan.contact_id);
                let mut happening = Happening::new(key, Some(orphan.attempt), event, now);
                happening.not_before = Some(now);
                happening.reason = (!never_left).then(|| "owner-died".to_owned());
                happening
            })
            .collect();
        app.store.apply(Priority::Urgent, &happenings).await?;
        tracing::info!(
            number = term.number.id,
            planned,
            in_doubt = doubted,
            "settled the claims of an earlier owner: what never left is planned again, the rest is in doubt"
        );
    }
}

fn key_of(orphan: &Orphan) -> AttemptKey {
    AttemptKey { campaign_id: orphan.campaign_id, contact_id: orphan.contact_id, attempt: orphan.attempt }
}

/// A campaign as a lane needs it, with how many numbers share its cap.
pub(super) async fn load_campaign(app: &App, campaign_id: i64) -> Result<(Campaign, usize)> {
    let row = app.store.campaign(campaign_id).await?.ok_or_else(|| Fault::not_found("The campaign is gone."))?;
    let renderer = Renderer::of(&row)?;
    let numbers = app.store.campaign_number_ids(campaign_id).await?.len().max(1);
    let cap = row.rate_cap.map(|cap| {
        // A cap over several numbers is split among them.
        let share = cap / i64::try_from(numbers).unwrap_or(1);
        u32::try_from(share.max(1)).unwrap_or(u32::MAX)
    });
    let pace = cap.map(|cap| Pace::new(app.clock.clone(), Some(cap)));
    Ok((Campaign { renderer, pace }, numbers))
}
