//! The lane's tasks in Redis: taken while it has room, and pushed again where Redis lost them.

use std::sync::Arc;
use std::time::Duration;

use domain::pacing::SECOND;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::hand::Ids;
use super::{Handed, pause_for as pause};
use crate::App;
use crate::queue::{BATCHES_IN_HAND, OnBatch, Redis};

/// A batch that was pushed so long ago and is not in hand is pushed again by a lane with room for it.
const LOST_AFTER: i64 = 3_000;
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
    pub(super) async fn push_again(self, cleared: bool, lost: CancellationToken) {
        let clock = &self.app.clock;
        let mut first = cleared;
        let mut tidied = clock.boot_us();
        loop {
            let wait = if first { Duration::ZERO } else { LOOK };
            if !pause(&self.app, wait, &lost).await {
                return;
            }
            tokio::select! {
                () = self.push_missing(first) => {}
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

    async fn push_missing(&self, all: bool) {
        let held = self.ids.all();
        let room = BATCHES_IN_HAND.saturating_sub(held.len());
        if room == 0 {
            return;
        }
        let Ok(open) = self.app.store.lane_batches(self.number_id).await else { return };
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
}
