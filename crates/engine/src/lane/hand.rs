//! The batches a lane has in hand, and their claimed sends that wait for a turn.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloud_api::{Recipient, TemplateMessage};
use domain::pacing::Micros;
use store::{Batch, ClaimedSend};
use tokio::sync::oneshot;

use crate::lane::pace::Pace;
use crate::renderer::Renderer;

/// The batches that a lane has, or is about to get.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids(Arc<Mutex<HashSet<i64>>>);

impl Ids {
    fn lock(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a batch as the lane's until the task is dropped. `None`: it is the lane's already.
    pub(super) fn mark(&self, batch_id: i64) -> Option<(Task, oneshot::Receiver<()>)> {
        if !self.lock().insert(batch_id) {
            return None;
        }
        let (done, told) = oneshot::channel();
        Some((Task { batch_id, ids: self.clone(), _done: done }, told))
    }

    /// Which they are.
    pub(super) fn all(&self) -> HashSet<i64> {
        self.lock().clone()
    }
}

/// A batch's task. It goes wherever the batch goes; dropping it, wherever that happens, tells the queue that the batch
/// is done or put down, and lets it be taken again.
#[derive(Debug)]
pub(super) struct Task {
    batch_id: i64,
    ids: Ids,
    _done: oneshot::Sender<()>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.ids.lock().remove(&self.batch_id);
    }
}

/// What the lane knows of a campaign.
#[derive(Debug)]
pub(super) struct Campaign {
    pub(super) renderer: Renderer,
    /// Its own cap on this lane.
    pub(super) pace: Option<Pace>,
}

/// A claimed send that waits for its turn.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) claimed: ClaimedSend,
    pub(super) message: TemplateMessage,
    pub(super) deadline: Micros,
}

/// A batch in hand.
#[derive(Debug)]
pub(super) struct InHand {
    pub(super) batch: Batch,
    pub(super) campaign: Arc<Campaign>,
    /// Claimed up to this contact.
    pub(super) after: i64,
    pub(super) ready: VecDeque<Ready>,
    pub(super) exhausted: bool,
    /// Dropped with the batch.
    pub(super) _task: Task,
}

/// Everything in hand, in the order in which campaigns take turns.
#[derive(Debug, Default)]
pub(super) struct Hand {
    batches: VecDeque<InHand>,
}

impl Hand {
    pub(super) fn take(&mut self, batch: InHand) {
        self.batches.push_back(batch);
    }

    pub(super) fn holds(&self, batch_id: i64) -> bool {
        self.batches.iter().any(|in_hand| in_hand.batch.id == batch_id)
    }

    pub(super) fn len(&self) -> usize {
        self.batches.len()
    }

    pub(super) fn get_mut(&mut self, batch_id: i64) -> Option<&mut InHand> {
        self.batches.iter_mut().find(|in_hand| in_hand.batch.id == batch_id)
    }

    /// Claimed sends that wait.
    pub(super) fn ready(&self) -> usize {
        self.batches.iter().map(|in_hand| in_hand.ready.len()).sum()
    }

    /// Puts a batch down: what was claimed of it and did not leave.
    pub(super) fn put_down(&mut self, batch_id: i64) -> VecDeque<Ready> {
        let Some(place) = self.batches.iter().position(|in_hand| in_hand.batch.id == batch_id) else {
            return VecDeque::new();
        };
        self.batches.remove(place).map(|in_hand| in_hand.ready).unwrap_or_default()
    }

    /// Puts everything down.
    pub(super) fn put_all_down(&mut self) -> Vec<Ready> {
        self.batches.drain(..).flat_map(|in_hand| in_hand.ready).collect()
    }

    /// Drops batches that have nothing left to claim or send.
    pub(super) fn drop_done(&mut self) {
        self.batches.retain(|in_hand| !(in_hand.exhausted && in_hand.ready.is_empty()));
    }

    /// Claimed sends that could go at once if the lane had the turns: those whose campaign's own cap does not hold them.
    pub(super) fn pressing(&self, now: Micros) -> usize {
        let free = |pace: &Pace| pace.next_turn_at() <= now;
        self.batches
            .iter()
            .filter(|in_hand| !in_hand.ready.is_empty() && in_hand.campaign.pace.as_ref().is_none_or(free))
            .map(|in_hand| in_hand.ready.len())
            .sum()
    }

    /// The batch to claim from next and how many: the first, in turn order, that has more to claim and whose campaign's
    /// own cap lets some more go before `soon`. `Err`: when a cap may let one go, if that is all there is to wait for.
    pub(super) fn hungry(&self, limit: usize, soon: Micros) -> Result<(&InHand, usize), Option<Micros>> {
        let mut wait: Option<Micros> = None;
        for in_hand in self.batches.iter().filter(|in_hand| !in_hand.exhausted) {
            let Some(pace) = &in_hand.campaign.pace else { return Ok((in_hand, limit)) };
            let turn_at = pace.next_turn_at();
            if turn_at > soon {
                wait = Some(wait.map_or(turn_at, |wait| wait.min(turn_at)));
                continue;
            }
            let waiting: usize = self
                .batches
                .iter()
                .filter(|other| Arc::ptr_eq(&other.campaign, &in_hand.campaign))
                .map(|other| other.ready.len())
                .sum();
            let turns = pace.turns_within(super::GROUP_TIME).unwrap_or(limit);
            // Its next turns are claimed already: their sending wakes the lane.
            if waiting < turns.div_ceil(2) {
                return Ok((in_hand, limit.min(turns)));
            }
        }
        Err(wait)
    }

    /// When a claimed send may go as far as its campaign's own cap is concerned, at the earliest.
    pub(super) fn earliest(&self, now: Micros) -> Option<Micros> {
        let turn_at = |in_hand: &InHand| in_hand.campaign.pace.as_ref().map_or(now, Pace::next_turn_at);
        self.batches.iter().filter(|in_hand| !in_hand.ready.is_empty()).map(turn_at).min()
    }

    /// Lets every campaign have its turn: asks the batches in order for one whose campaign may send now, and moves the
    /// one that does to the end. `Err`: when a campaign's own cap may let one go.
    pub(super) fn next(&mut self) -> std::result::Result<(Ready, Option<super::pace::Turn>), Option<Micros>> {
        let mut wait: Option<Micros> = None;
        for place in 0..self.batches.len() {
            let in_hand = &mut self.batches[place];
            if in_hand.ready.is_empty() {
                continue;
            }
            let turn = match in_hand.campaign.pace.as_ref().map(Pace::try_turn).transpose() {
                Ok(turn) => turn,
                Err(until) => {
                    wait = Some(wait.map_or(until, |wait| wait.min(until)));
                    continue;
                }
            };
            let Some(ready) = in_hand.ready.pop_front() else { continue };
            if let Some(moved) = self.batches.remove(place) {
                self.batches.push_back(moved);
            }
            return Ok((ready, turn));
        }
        Err(wait)
    }
}

/// Whom a claimed send goes to; `None` for somebody with neither a number nor a user id.
pub(super) fn recipient(claimed: &ClaimedSend) -> Option<Recipient> {
    match (claimed.phone, &claimed.user_id) {
        (Some(digits), _) => u64::try_from(digits).ok().map(Recipient::Phone),
        (None, Some(user_id)) => Some(Recipient::UserId(user_id.clone())),
        (None, None) => None,
    }
}
