//! The batches a lane has in hand, and their claimed sends that wait for a turn.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use cloud_api::{Message, Recipient};
use domain::pacing::{Micros, Spread};
use store::{Batch, ClaimedSend};
use tokio::sync::oneshot;

use crate::Clock;
use crate::lane::pace::Pace;
use crate::lane::shares::Shares;
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

/// A campaign's own pace on a lane, with gaps that are drawn where there is a seed.
pub(super) fn pace(clock: &Clock, cap: Option<u32>, spread: Option<Spread>, human: Option<u64>) -> Pace {
    match human {
        Some(seed) => Pace::human(clock.clone(), cap, spread, seed),
        None => Pace::even(clock.clone(), cap, spread),
    }
}

/// What the lane knows of a campaign.
#[derive(Debug)]
pub(super) struct Campaign {
    pub(super) renderer: Renderer,
    /// Its own cap on this lane, and its spread; none until it has either.
    pub(super) pace: OnceLock<Pace>,
    /// By which seed the gaps of that pace are drawn, where they are.
    pub(super) human: Option<u64>,
    /// Its share of the lane, against the others'.
    pub(super) weight: u32,
    /// A single message: it goes before whatever is sent to many.
    pub(super) overtakes: bool,
}

impl Campaign {
    /// Its own pace, if it has one.
    pub(super) fn pace(&self) -> Option<&Pace> {
        self.pace.get()
    }

    /// Gives it another cap on this lane, from the next turn on; `None`: none of its own.
    pub(super) fn set_cap(&self, clock: &Clock, cap: Option<u32>) {
        match (self.pace.get(), cap) {
            (Some(pace), cap) => pace.set_rate(cap),
            (None, Some(cap)) => drop(self.pace.set(pace(clock, Some(cap), None, self.human))),
            (None, None) => {}
        }
    }

    /// Whether its own cap lets one go now.
    fn is_free(&self, now: Micros) -> bool {
        self.pace().is_none_or(|pace| pace.next_turn_at(now) <= now)
    }
}

/// A claimed send that waits for its turn.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) claimed: ClaimedSend,
    pub(super) message: Message,
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

/// Everything in hand. A campaign's batches are in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Hand {
    batches: VecDeque<InHand>,
    shares: Shares,
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

    /// Takes out what may not leave any more.
    pub(super) fn take_stopped(&mut self, is_stopped: impl Fn(&Ready) -> bool) -> Vec<Ready> {
        let mut stopped = Vec::new();
        for in_hand in self.batches.iter_mut().filter(|in_hand| in_hand.ready.iter().any(&is_stopped)) {
            let (out, kept): (VecDeque<_>, _) = std::mem::take(&mut in_hand.ready).into_iter().partition(&is_stopped);
            in_hand.ready = kept;
            stopped.extend(out);
        }
        stopped
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
        self.batches
            .iter()
            .filter(|in_hand| !in_hand.ready.is_empty() && in_hand.campaign.is_free(now))
            .map(|in_hand| in_hand.ready.len())
            .sum()
    }

    /// Claimed sends of a campaign that wait.
    fn waiting(&self, campaign_id: i64) -> usize {
        let own = self.batches.iter().filter(|in_hand| in_hand.batch.campaign_id == campaign_id);
        own.map(|in_hand| in_hand.ready.len()).sum()
    }

    /// The first batch in hand of each campaign that it picks.
    fn firsts(&self, pick: impl Fn(&InHand) -> bool) -> impl Iterator<Item = &InHand> {
        let picked = move |in_hand: &&InHand| pick(in_hand);
        let mut seen: Vec<i64> = Vec::new();
        self.batches.iter().filter(picked).filter(move |in_hand| {
            let is_new = !seen.contains(&in_hand.batch.campaign_id);
            seen.push(in_hand.batch.campaign_id);
            is_new
        })
    }

    /// Where a campaign's next turn stands if `waiting` others of its own come first: least goes first. A single message
    /// goes before whatever is sent to many.
    fn place(&self, in_hand: &InHand, waiting: usize) -> u64 {
        let Campaign { overtakes, weight, .. } = &*in_hand.campaign;
        if *overtakes { 0 } else { self.shares.place(in_hand.batch.campaign_id, *weight, waiting) }
    }

    /// The batch to claim from next and how many, at most `limit`: of the campaigns that have more to claim, and whose
    /// own cap lets some more go before `soon`, the one whose turn comes next. Of the lane's next `group` turns each
    /// gets its share, `least` at the least, and no more while half of that still waits. `Err`: when a cap may let one
    /// go, if that is all there is to wait for.
    pub(super) fn hungry(&self, ask: Ask) -> Result<(&InHand, usize), Option<Micros>> {
        let Ask { limit, group, least, now, soon } = ask;
        let mut wait: Option<Micros> = None;
        let mut best: Option<(u64, &InHand, usize)> = None;
        let contending = self.firsts(|in_hand| !(in_hand.exhausted && in_hand.ready.is_empty()));
        let all: u64 = contending.map(|in_hand| u64::from(in_hand.campaign.weight)).sum();
        for in_hand in self.firsts(|in_hand| !in_hand.exhausted) {
            let campaign = &in_hand.campaign;
            let share = (group as u64 * u64::from(campaign.weight)).div_ceil(all.max(1));
            let mut share = usize::try_from(share).unwrap_or(group).max(least);
            if let Some(pace) = campaign.pace() {
                let turn_at = pace.next_turn_at(now);
                if turn_at > soon {
                    wait = Some(wait.map_or(turn_at, |wait| wait.min(turn_at)));
                    continue;
                }
                share = share.min(pace.turns_within(super::GROUP_TIME).unwrap_or(share));
            }
            let waiting = self.waiting(in_hand.batch.campaign_id);
            // Its next turns are claimed already: their sending wakes the lane.
            if waiting * 2 > share {
                continue;
            }
            let place = self.place(in_hand, waiting);
            if best.is_none_or(|(first, ..)| place < first) {
                best = Some((place, in_hand, limit.min(share)));
            }
        }
        best.map(|(_, in_hand, limit)| (in_hand, limit)).ok_or(wait)
    }

    /// When a claimed send may go as far as its campaign's own cap is concerned, at the earliest.
    pub(super) fn earliest(&self, now: Micros) -> Option<Micros> {
        let turn_at = |in_hand: &InHand| in_hand.campaign.pace().map_or(now, |pace| pace.next_turn_at(now));
        self.batches.iter().filter(|in_hand| !in_hand.ready.is_empty()).map(turn_at).min()
    }

    /// The next send: of the campaigns that have one ready and whose own cap lets it go, the one whose turn it is.
    /// `Err`: when a campaign's own cap may let one go.
    pub(super) fn next(
        &mut self,
        now: Micros,
    ) -> std::result::Result<(Ready, Option<super::pace::Turn>), Option<Micros>> {
        let mut wait: Option<Micros> = None;
        let mut first: Option<(u64, usize)> = None;
        for (at, in_hand) in self.batches.iter().enumerate().filter(|(_, in_hand)| !in_hand.ready.is_empty()) {
            if let Some(turn_at) = in_hand.campaign.pace().map(|pace| pace.next_turn_at(now)).filter(|at| *at > now) {
                wait = Some(wait.map_or(turn_at, |wait| wait.min(turn_at)));
                continue;
            }
            let place = self.place(in_hand, 0);
            // Of one campaign's batches, the one that came first.
            if first.is_none_or(|(least, _)| place < least) {
                first = Some((place, at));
            }
        }
        let Some(in_hand) = first.and_then(|(_, at)| self.batches.get_mut(at)) else { return Err(wait) };
        let turn = in_hand.campaign.pace().map(Pace::try_turn).transpose().map_err(Some)?;
        let Some(ready) = in_hand.ready.pop_front() else { return Err(wait) };
        self.shares.took(in_hand.batch.campaign_id, in_hand.campaign.weight);
        Ok((ready, turn))
    }
}

/// What a lane asks for when it can claim.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    /// At most so many.
    pub(super) limit: usize,
    /// The lane's next turns that claims are made for.
    pub(super) group: usize,
    /// Fewer would not be worth their commit.
    pub(super) least: usize,
    /// The time since boot.
    pub(super) now: Micros,
    /// The boot time before which a campaign's own cap must let one go.
    pub(super) soon: Micros,
}

/// Whom a claimed send goes to; `None` for somebody with neither a number nor a user id.
pub(super) fn recipient(claimed: &ClaimedSend) -> Option<Recipient> {
    match (claimed.phone, &claimed.user_id) {
        (Some(digits), _) => u64::try_from(digits).ok().map(Recipient::Phone),
        (None, Some(user_id)) => Some(Recipient::UserId(user_id.clone())),
        (None, None) => None,
    }
}
