//! The batches a lane has in hand, and their claimed sends that wait for a turn.

use std::collections::VecDeque;
use std::sync::Arc;

use cloud_api::{Recipient, TemplateMessage};
use domain::pacing::Micros;
use store::{Batch, ClaimedSend};
use tokio::sync::oneshot;

use crate::lane::pace::Pace;
use crate::renderer::Renderer;

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
    /// Tells the queue that the batch is done, or put down. Told by dropping it.
    pub(super) _task: oneshot::Sender<()>,
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

    /// The batch to claim from next: the first, in turn order, that has few claimed sends left, more to claim, and a
    /// cap of its campaign that lets one go before `soon`.
    pub(super) fn hungry(&self, low_water: usize, soon: Micros) -> Option<&InHand> {
        self.batches.iter().find(|in_hand| {
            !in_hand.exhausted
                && in_hand.ready.len() <= low_water
                && in_hand.campaign.pace.as_ref().is_none_or(|pace| pace.next_turn_at() <= soon)
        })
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
