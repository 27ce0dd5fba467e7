//! The lane's tasks in Redis: taken while it has room, pushed again where Redis lost them, and taken from the database
//! itself where Redis does not bring them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::pacing::{Micros, SECOND};
use store::Batch;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::hand::Ids;
use super::{Handed, pause_for as pause};
use crate::App;
use crate::queue::{BATCHES_IN_HAND, OnBatch, Redis};

/// A batch that was pushed so long ago and is not in hand is pushed again by a lane with room for it.
const LOST_AFTER: i64 = 3_000;
/// A batch that a lane with room for it misses for so long, although it was pushed again, is taken without Redis: it is
/// away, or keeps its tasks to itself.
const BY_HAND_AFTER: Micros = 8 * SECOND;
/// The same once one was, until Redis brings one.
const BY_HAND_AGAIN_AFTER: Micros = SECOND / 2;
/// How often a lane with room looks for such batches.
const LOOK: Duration = Duration::from_millis(500);
/// How often finished tasks are removed from Redis.
const TIDY: u64 = 15 * SECOND;

/// A lane's end of the queue.
#[derive(Clone)]
pub(super) struct Tasks {
    pub(super) redis: Redis,
    pub(super) app: Arc<App>,
    pub(super) number_id: i64,
    /// The batches that the lane has.
    pub(super) ids: Ids,
}

impl Tasks {
    /// Hands batches in as Redis gives them. Keeps a worker of the queue running: Redis may go and come.
    pub(super) async fn take(self, worker: String, handed: mpsc::Sender<Handed>, lost: CancellationToken) {
        let Self { redis, app, number_id, ids } = self;
        let on_batch: OnBatch = {
            let lost = lost.clone();
            Arc::new(move |batch_id| {
                let (handed, ids, lost) = (handed.clone(), ids.clone(), lost.clone());
                Box::pin(async move {
                    // A task that Redis doubled finds its batch in hand.
                    let Some((task, done)) = ids.mark(batch_id) else { return };
                    // This future is dropped when Redis fails; the task stays with the batch wherever it is by then.
                    if handed.send(Handed { batch_id, task }).await.is_ok() {
                        tokio::select! {
                            _ = done => {}
                            () = lost.cancelled() => {}
                        }
                    }
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
            if let Err(error) = redis.take(number_id, &name, Arc::clone(&on_batch), lost.clone()).await {
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
            let jitter = Duration::from_millis(rand::random::<u64>() % 100);
            if !pause(&app, wait + jitter, &lost).await {
                return;
            }
            wait = (wait * 2).min(Duration::from_secs(1));
        }
    }

    /// Pushes open batches whose tasks are missing: what Redis lost, and at first, where the lane's keys were
    /// `cleared`, all of them.
    pub(super) async fn push_again(self, cleared: bool, handed: mpsc::Sender<Handed>, lost: CancellationToken) {
        let clock = &self.app.clock;
        let mut first = cleared;
        let mut missed = Missed::default();
        let mut tidied = clock.boot_us();
        loop {
            let wait = if first { Duration::ZERO } else { LOOK };
            if !pause(&self.app, wait, &lost).await {
                return;
            }
            tokio::select! {
                () = self.push_missing(first, &mut missed, &handed) => {}
                () = lost.cancelled() => return,
            }
            first = false;
            if clock.boot_us() - tidied > TIDY {
                tidied = clock.boot_us();
                tokio::select! {
                    // What is not removed now is removed next time.
                    _ = self.redis.tidy(self.number_id) => {}
                    () = lost.cancelled() => return,
                }
            }
        }
    }

    async fn push_missing(&self, all: bool, missed: &mut Missed, handed: &mpsc::Sender<Handed>) {
        let held = self.ids.all();
        let room = BATCHES_IN_HAND.saturating_sub(held.len());
        if room == 0 {
            missed.since.clear();
            return;
        }
        let Ok(open) = self.app.store.lane_batches(self.number_id).await else { return };
        self.take_by_hand(missed.look(&open, &held, self.app.clock.boot_us()), handed);
        let now = self.app.clock.now_ms();
        let missing: Vec<i64> = open
            .iter()
            .filter(|batch| !held.contains(&batch.id))
            // A clock that was set back must not hide a batch for ever.
            .filter(|batch| all || batch.pushed_at.is_none_or(|at| (now - at).abs() > LOST_AFTER))
            .map(|batch| batch.id)
            .take(BATCHES_IN_HAND)
            .collect();
        if !missing.is_empty() && self.redis.push(self.number_id, &missing).await.is_ok() {
            // A batch that is not marked is pushed once more, and found in hand.
            let _ = self.app.store.mark_pushed(&missing, now).await;
        }
    }

    /// Hands batches in that Redis does not bring. Their tasks, if they come after all, find them in hand or gone.
    fn take_by_hand(&self, late: Vec<i64>, handed: &mpsc::Sender<Handed>) {
        for batch_id in late {
            let Some((task, _)) = self.ids.mark(batch_id) else { continue };
            if handed.try_send(Handed { batch_id, task }).is_err() {
                return;
            }
            tracing::warn!(
                number = self.number_id,
                batch = batch_id,
                "Redis does not bring a batch: it is taken from the database"
            );
        }
    }
}

/// Open batches that a lane with room for them does not have.
#[derive(Debug, Default)]
struct Missed {
    /// Since when, on the boot clock.
    since: HashMap<i64, Micros>,
    /// Those that were taken without Redis.
    by_hand: HashSet<i64>,
    /// One was, and Redis has brought none since.
    without_redis: bool,
}

impl Missed {
    /// Looks again. The batches that have been missed for too long, oldest first; once Redis failed to bring one, it
    /// is not waited for so long, until it brings one.
    fn look(&mut self, open: &[Batch], held: &HashSet<i64>, now: Micros) -> Vec<i64> {
        self.by_hand.retain(|id| held.contains(id));
        self.without_redis &= held.iter().all(|id| self.by_hand.contains(id));
        let patience = if self.without_redis { BY_HAND_AGAIN_AFTER } else { BY_HAND_AFTER };
        let missing = open.iter().map(|batch| batch.id).filter(|id| !held.contains(id));
        let since: HashMap<i64, Micros> = missing.map(|id| (id, self.since.get(&id).copied().unwrap_or(now))).collect();
        let late = open.iter().map(|batch| batch.id);
        let late: Vec<i64> = late.filter(|id| since.get(id).is_some_and(|since| now - since > patience)).collect();
        self.since = since;
        self.without_redis |= !late.is_empty();
        self.by_hand.extend(&late);
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(id: i64) -> Batch {
        let mut batch = Batch::default();
        batch.id = id;
        batch
    }

    #[test]
    fn a_batch_that_redis_keeps_is_taken_after_a_while_and_the_next_one_soon() {
        let mut missed = Missed::default();
        let nothing = HashSet::new();
        assert!(missed.look(&[batch(1)], &nothing, 0).is_empty());
        assert!(missed.look(&[batch(1)], &nothing, BY_HAND_AFTER).is_empty());
        assert_eq!(missed.look(&[batch(1)], &nothing, BY_HAND_AFTER + 1), [1]);
        let one = HashSet::from([1]);
        let later = BY_HAND_AFTER + 2;
        assert!(missed.look(&[batch(1), batch(2)], &one, later).is_empty());
        assert_eq!(missed.look(&[batch(1), batch(2)], &one, later + BY_HAND_AGAIN_AFTER + 1), [2]);
    }

    #[test]
    fn a_batch_that_redis_brings_in_time_is_never_taken_by_hand() {
        let mut missed = Missed::default();
        assert!(missed.look(&[batch(1), batch(2)], &HashSet::new(), 0).is_empty());
        let both = HashSet::from([1, 2]);
        assert!(missed.look(&[batch(1), batch(2)], &both, BY_HAND_AFTER + 1).is_empty());
        // Given back: it is missed anew from here.
        assert!(missed.look(&[batch(2)], &HashSet::from([1]), BY_HAND_AFTER + 2).is_empty());
        assert!(missed.look(&[batch(2)], &HashSet::from([1]), BY_HAND_AFTER + 2 + BY_HAND_AGAIN_AFTER).is_empty());
    }
}
