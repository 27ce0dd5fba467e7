//! The worker: takes lanes that nobody owns, and runs their terms.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::pacing::{Micros, SECOND};
use store::{BusinessNumber, Lease, Owner};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::journal::Journal;
use crate::lane::{self, Recorder, Term};
use crate::{App, host};

/// How often lanes are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// A beat that stood still for so long, on our own clock, has an owner who is gone. Longer than a claim is valid by
/// far, so that an owner who was only slow cannot have a valid claim left.
pub const LEASE: Micros = 5 * SECOND;
/// A worker leaves a free lane so long to others for each lane that it has, so that lanes spread.
const MODESTY: Micros = SECOND / 2;

/// What was last seen of a lease, and since when it has not moved.
#[derive(Clone, Copy, Debug)]
struct Seen {
    token: i64,
    beat: i64,
    since: Micros,
}

/// Takes lanes and runs them until shutdown; then gives them back, having waited for what is on the wire.
///
/// # Errors
/// When the journal cannot be opened. Outages of the database, Redis or the Graph API are waited out.
pub async fn run(app: Arc<App>, shutdown: CancellationToken, instance: String) -> anyhow::Result<()> {
    let Some(redis) = app.redis.clone() else {
        anyhow::bail!("a worker needs Redis: set HUDHUD_REDIS_URL");
    };
    let owner = host::owner(&instance);
    let journal = Arc::new(Journal::open(&app.data_dir, &instance)?);
    let (recorder, recording) = Recorder::start(Arc::clone(&app));
    let alive = tokio::spawn(stay_alive(Arc::clone(&app), instance.clone(), shutdown.clone()));
    let mut terms = JoinSet::new();
    let mut owned: HashMap<i64, ()> = HashMap::new();
    let mut running: HashMap<tokio::task::Id, i64> = HashMap::new();
    let mut seen: HashMap<String, Seen> = HashMap::new();
    let mut told = false;
    while !shutdown.is_cancelled() {
        while let Some(ended) = terms.try_join_next_with_id() {
            let id = match &ended {
                Ok((id, ())) => *id,
                Err(error) => error.id(),
            };
            if let Some(number_id) = running.remove(&id) {
                owned.remove(&number_id);
            }
            if let Err(error) = ended
                && error.is_panic()
            {
                tracing::error!(%error, "a lane's task panicked; the lane will be taken again");
            }
        }
        match take_free_lanes(&app, &owner, &owned, &mut seen).await {
            Ok(taken) => {
                told = false;
                for (number, lease, token) in taken {
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
                    };
                    let handle = terms.spawn(lane::run(term, shutdown.clone()));
                    running.insert(handle.id(), number_id);
                    owned.insert(number_id, ());
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
    while terms.join_next().await.is_some() {}
    drop(recorder);
    let _ = recording.await;
    alive.abort();
    if let Err(error) = Journal::forget(&app.data_dir, &instance) {
        tracing::debug!(error = format!("{error:#}"), "the journal of a clean stop stays behind");
    }
    Ok(())
}

/// Looks at every number's lane and takes those whose owner is gone.
async fn take_free_lanes(
    app: &App,
    owner: &Owner,
    owned: &HashMap<i64, ()>,
    seen: &mut HashMap<String, Seen>,
) -> store::Result<Vec<(BusinessNumber, String, i64)>> {
    let numbers = app.store.numbers().await?;
    let leases: HashMap<String, Lease> =
        app.store.leases().await?.into_iter().map(|lease| (lease.name.clone(), lease)).collect();
    let mut taken = Vec::new();
    for number in numbers {
        if owned.contains_key(&number.id) {
            continue;
        }
        let name = lane_name(number.id);
        let now = app.clock.boot_us();
        let (token, beat) = leases.get(&name).map_or((0, 0), |lease| (lease.token, lease.beat));
        let entry = seen.entry(name.clone()).or_insert(Seen { token, beat, since: now });
        if (entry.token, entry.beat) != (token, beat) {
            *entry = Seen { token, beat, since: now };
        }
        let still_for = now.saturating_sub(entry.since);
        let modesty = MODESTY * u64::try_from(owned.len() + taken.len()).unwrap_or(u64::MAX);
        let expected = match leases.get(&name) {
            None if still_for >= modesty => None,
            Some(lease) if lease.owner.is_empty() && still_for >= modesty => Some((token, beat)),
            Some(lease) if !lease.owner.is_empty() => {
                let gone = lease.owner == owner.instance || app.store.is_gone(&lease.owner).await?;
                if !(gone && still_for >= modesty || still_for >= LEASE) {
                    continue;
                }
                Some((token, beat))
            }
            _ => continue,
        };
        if let Some(token) = app.store.take_lease(&name, Some(number.id), owner, expected, app.clock.now_ms()).await? {
            seen.remove(&name);
            taken.push((number, name, token));
        }
    }
    Ok(taken)
}

/// The name of a number's lease.
#[must_use]
pub fn lane_name(number_id: i64) -> String {
    format!("lane:{number_id}")
}

/// Keeps the sign that this process lives, anew whenever its connection broke.
async fn stay_alive(app: Arc<App>, instance: String, shutdown: CancellationToken) {
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
