//! The worker: takes lanes that nobody owns, and runs their terms.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::pacing::{Micros, SECOND};
use store::{BusinessNumber, Lease, Owner};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::journal::Journal;
use crate::lane::{self, Recorder, Term};
use crate::{App, high_water, host, presence};

/// How often lanes are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// A beat that stood still for so long, on our own clock, has an owner who is gone. Longer than a claim is valid by
/// far, so that an owner who was only slow cannot have a valid claim left.
pub const LEASE: Micros = 5 * SECOND;
/// A worker leaves a free lane so long to others for each lane that it has, so that lanes spread…
const MODESTY: Micros = SECOND / 4;
/// …up to this, so that one worker alone takes a hundred lanes as soon as eight.
const MOST_MODEST: Micros = 2 * SECOND;
/// Where others own lanes too, an owner whose sign of life is gone must also have been still for so long: after an
/// outage of the database everybody's sign is gone for a moment.
pub(crate) const STILL: Micros = SECOND;
/// A lane whose term failed is left alone for so long.
const REST: Micros = SECOND;
/// The last outcomes have so long to be written when the process stops.
const LAST_OUTCOMES: Duration = Duration::from_secs(2);

/// What was last seen of a lease, and since when it has not moved.
#[derive(Clone, Copy, Debug)]
struct Seen {
    token: i64,
    beat: i64,
    since: Micros,
}

/// Takes lanes and runs them until shutdown; then gives them back, having waited for what is on the wire. That takes at
/// most 24 s, whatever does not answer: what is not known by then is in doubt after the next start.
///
/// # Errors
/// When the journal cannot be opened, or outcomes can no longer be written for a defect. Outages of the database, Redis
/// or the Graph API are waited out.
#[crate::boxed]
pub async fn run(app: Arc<App>, shutdown: CancellationToken, instance: String) -> anyhow::Result<()> {
    let Some(redis) = app.redis.clone() else {
        anyhow::bail!("a worker needs Redis: set HUDHUD_REDIS_URL");
    };
    let owner = host::owner(&instance);
    let _presence = presence::Presence::show(&app.data_dir, &instance)?;
    let journal = Arc::new(Journal::open(&app.data_dir, &instance)?);
    let (recorder, mut recording) = Recorder::start(Arc::clone(&app));
    let _alive = AbortOnDrop(tokio::spawn(stay_alive(Arc::clone(&app), instance.clone(), shutdown.clone())));
    let mut terms = JoinSet::new();
    let mut lanes = Lanes::default();
    let mut running: HashMap<tokio::task::Id, i64> = HashMap::new();
    let mut told = false;
    while !shutdown.is_cancelled() && !recorder.is_gone() && !lanes.replaced {
        while let Some(ended) = terms.try_join_next_with_id() {
            let (id, went_well) = match &ended {
                Ok((id, went_well)) => (*id, *went_well),
                Err(error) => (error.id(), false),
            };
            if let Err(error) = ended
                && error.is_panic()
            {
                tracing::error!(%error, "a lane's task panicked; the lane will be taken again");
            }
            if let Some(number_id) = running.remove(&id) {
                lanes.ended(number_id, went_well, app.clock.boot_us());
            }
        }
        match lanes.take_free(&app, &owner).await {
            Ok(taken) => {
                told = false;
                for Taken { number, lease, token, before } in taken {
                    let number_id = number.id;
                    let term = Term {
                        app: Arc::clone(&app),
                        redis: redis.clone(),
                        owner: owner.clone(),
                        journal: Arc::clone(&journal),
                        recorder: recorder.clone(),
                        number,
                        lease,
                        token,
                        before,
                    };
                    let handle = terms.spawn(lane::run(term, shutdown.clone()));
                    running.insert(handle.id(), number_id);
                    lanes.owned.insert(number_id);
                }
            }
            Err(error) => {
                if !told {
                    told = true;
                    tracing::warn!(%error, "lanes cannot be looked at; trying again");
                }
            }
        }
        tokio::select! {
            () = app.clock.sleep(LOOK) => {}
            () = shutdown.cancelled() => {}
        }
    }
    let broken = recorder.is_gone();
    if broken || lanes.replaced {
        // Nothing may be sent whose outcome cannot be kept.
        terms.abort_all();
    }
    while terms.join_next().await.is_some() {}
    drop(recorder);
    let all_written = tokio::select! {
        _ = &mut recording => !broken,
        () = app.clock.sleep(LAST_OUTCOMES) => false,
    };
    anyhow::ensure!(!broken, "the task that writes outcomes ended; start the process again");
    anyhow::ensure!(!lanes.replaced, high_water::REPLACED);
    // Where something is not written yet, the next owner needs the journal.
    if all_written && let Err(error) = Journal::forget(&app.data_dir, &instance) {
        tracing::debug!(error = format!("{error:#}"), "the journal of a clean stop stays behind");
    }
    Ok(())
}

/// Ends a task with its owner.
pub(crate) struct AbortOnDrop(pub(crate) tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is known of a lane's last owner by whoever takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// There was none.
    Nobody,
    /// It gave the lane back, or it is dead: it lets nothing go any more.
    Gone,
    /// Nothing was heard of it. It may be stopped, and hold a claim that is valid for a moment.
    Silent,
}

/// A lane that was taken.
struct Taken {
    number: BusinessNumber,
    lease: String,
    token: i64,
    before: Before,
}

/// What a worker knows of the lanes.
#[derive(Debug, Default)]
struct Lanes {
    /// Its own.
    owned: HashSet<i64>,
    /// The others, by their lease.
    seen: HashMap<String, Seen>,
    /// Left alone until then.
    resting: HashMap<i64, Micros>,
    /// The database is older than it was: nothing of this process holds for it.
    replaced: bool,
}

impl Lanes {
    fn ended(&mut self, number_id: i64, went_well: bool, now: Micros) {
        self.owned.remove(&number_id);
        if !went_well {
            self.resting.insert(number_id, now + REST);
        }
    }

    /// Looks at every number's lane and takes those whose owner is gone.
    async fn take_free(&mut self, app: &App, owner: &Owner) -> store::Result<Vec<Taken>> {
        let numbers = app.store.numbers().await?;
        let leases: HashMap<String, Lease> =
            app.store.leases().await?.into_iter().map(|lease| (lease.name.clone(), lease)).collect();
        let now = app.clock.boot_us();
        self.resting.retain(|_, until| now < *until);
        let mut gone: HashMap<String, bool> = HashMap::new();
        let mut taken = Vec::new();
        for number in numbers {
            if self.owned.contains(&number.id) || self.resting.contains_key(&number.id) {
                continue;
            }
            let name = lane_name(number.id);
            let lease = leases.get(&name);
            let still_for = self.still_for(&name, lease, now);
            let lanes = u64::try_from(self.owned.len() + taken.len()).unwrap_or(u64::MAX);
            let modesty = if app.store.is_embedded() { 0 } else { MODESTY.saturating_mul(lanes).min(MOST_MODEST) };
            let (expected, before) = match lease {
                None if still_for >= modesty => (None, Before::Nobody),
                Some(lease) if lease.owner.is_empty() && still_for >= modesty => {
                    (Some((lease.token, lease.beat)), Before::Gone)
                }
                Some(lease) if !lease.owner.is_empty() && presence::is_dead(&app.data_dir, owner, lease) => {
                    (Some((lease.token, lease.beat)), Before::Gone)
                }
                Some(lease) if !lease.owner.is_empty() => {
                    let ours = lease.owner == owner.instance;
                    // Asked once for each owner, not for each lane.
                    let may_be_gone = !ours && (app.store.is_embedded() || still_for >= STILL.max(modesty));
                    if may_be_gone && !gone.contains_key(&lease.owner) {
                        gone.insert(lease.owner.clone(), app.store.is_gone(&lease.owner).await?);
                    }
                    let is_gone = may_be_gone && gone.get(&lease.owner).copied().unwrap_or(false);
                    if !(ours || is_gone || still_for >= LEASE) {
                        continue;
                    }
                    // One process at a time has the embedded database. A term of our own that ended badly may have left
                    // a claim that is valid for a moment.
                    let certain = !ours && app.store.is_embedded();
                    (Some((lease.token, lease.beat)), if certain { Before::Gone } else { Before::Silent })
                }
                _ => continue,
            };
            if high_water::is_older(&app.data_dir, &app.install, &name, lease) {
                self.replaced = true;
                return Ok(taken);
            }
            let take = app.store.take_lease(&name, Some(number.id), owner, expected, app.clock.now_ms());
            if let Some(token) = take.await? {
                self.seen.remove(&name);
                taken.push(Taken { number, lease: name, token, before });
            }
        }
        Ok(taken)
    }

    /// How long a lease has not moved, as far as this worker saw.
    fn still_for(&mut self, name: &str, lease: Option<&Lease>, now: Micros) -> Micros {
        let (token, beat) = lease.map_or((0, 0), |lease| (lease.token, lease.beat));
        let seen = self.seen.entry(name.to_owned()).or_insert(Seen { token, beat, since: now });
        if (seen.token, seen.beat) != (token, beat) {
            *seen = Seen { token, beat, since: now };
        }
        now.saturating_sub(seen.since)
    }
}

/// The name of a number's lease.
#[must_use]
pub fn lane_name(number_id: i64) -> String {
    format!("lane:{number_id}")
}

/// Keeps the sign that this process lives, anew whenever its connection broke.
pub(crate) async fn stay_alive(app: Arc<App>, instance: String, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        if let Ok(mut alive) = app.store.show_alive(&instance).await {
            while alive.check().await {
                if !lane::pause_for(&app, Duration::from_secs(2), &shutdown).await {
                    // Held until the process ends: its lanes are still draining.
                    std::future::pending::<()>().await;
                }
            }
        }
        if !lane::pause_for(&app, Duration::from_millis(500), &shutdown).await {
            return;
        }
    }
}
