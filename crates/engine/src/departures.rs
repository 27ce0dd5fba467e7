//! Who said stop a moment ago, and which messages are on their way: a stop turns back what this process has claimed and
//! not handed over yet, in place of waiting until it has left.
//!
//! The gate of each message asks here, under the lock under which a stop is noted. So one of the two comes first: either
//! the message is on its way when the stop is noted, and the stop's acknowledgement waits for its answer; or it finds the
//! stop and stays. What was claimed after the stop was noted may leave: its claim has asked the database, which knows how
//! far the stop reaches. What other processes have claimed is not known here: for that the acknowledgement waits until
//! it has left, or is void.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::pacing::Micros;

use crate::lane::CLAIM_VALID;

/// Locks, so that gates of different people seldom wait for each other.
const SHARDS: i64 = 64;
/// A stop is remembered for so long: whatever was claimed before it is void by then.
const REMEMBERED: Micros = CLAIM_VALID * 2;
/// A shard that remembers so many people forgets those whom it need not remember.
const MANY: usize = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Departures {
    shards: Vec<Mutex<Shard>>,
    /// How many stops were noted.
    stops: AtomicU64,
    /// The lanes of this process, each by its number and fence. Whatever is claimed under one of them passes our gates.
    lanes: Mutex<HashSet<(i64, i64)>>,
}

#[derive(Debug, Default)]
struct Shard {
    /// When each of these people said stop, on this process's boot-time clock.
    stopped: HashMap<i64, Micros>,
    /// How many messages to each of these people were handed over and have no answer yet.
    under_way: HashMap<i64, u32>,
}

impl Shard {
    fn holds(&self, person: i64, claimed_at: Micros) -> bool {
        self.stopped.get(&person).is_some_and(|at| *at >= claimed_at)
    }
}

impl Default for Departures {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            stops: AtomicU64::new(0),
            lanes: Mutex::default(),
        }
    }
}

impl Departures {
    fn shard(&self, person: i64) -> MutexGuard<'_, Shard> {
        let place = usize::try_from(person.rem_euclid(SHARDS)).unwrap_or(0);
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way out for one message to a person, claimed by a statement that began at `claimed_at`.
    pub(crate) fn way(self: &Arc<Self>, person: i64, claimed_at: Micros) -> Arc<Way> {
        Arc::new(Way { departures: Arc::clone(self), person, claimed_at, has_left: AtomicBool::new(false) })
    }

    /// Notes at `now` that a stop of these people is in force: nothing that was claimed for them until now leaves any
    /// more through a gate of this process.
    pub(crate) fn stop(&self, people: &[i64], now: Micros) {
        for person in people {
            let mut shard = self.shard(*person);
            if shard.stopped.len() >= MANY {
                shard.stopped.retain(|_, at| now.saturating_sub(*at) < REMEMBERED);
            }
            shard.stopped.insert(*person, now);
        }
        self.stops.fetch_add(1, Ordering::Release);
    }

    /// Changes whenever a stop was noted.
    pub(crate) fn stops(&self) -> u64 {
        self.stops.load(Ordering::Acquire)
    }

    /// Whether a person said stop since a claim that began at `claimed_at`. Only [`Way::leave`] is sure: they may say so
    /// right after this.
    pub(crate) fn is_stopped(&self, person: i64, claimed_at: Micros) -> bool {
        self.shard(person).holds(person, claimed_at)
    }

    /// Whether a message to any of these people is under way: handed over, and without an answer.
    pub(crate) fn any_under_way(&self, people: &[i64]) -> bool {
        people.iter().any(|person| self.shard(*person).under_way.contains_key(person))
    }

    /// A lane's term begins in this process, before its first claim; it is ours until the term is dropped. What it still
    /// holds then is looked for in the database again.
    pub(crate) fn term(self: &Arc<Self>, number_id: i64, token: i64) -> Term {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).insert((number_id, token));
        Term { departures: Arc::clone(self), lane: (number_id, token) }
    }

    /// Whether what was claimed under this term of a lane passes our gates.
    pub(crate) fn is_ours(&self, number_id: i64, token: i64) -> bool {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).contains(&(number_id, token))
    }
}

/// One message's way out. It is under way from when it leaves until this is dropped.
#[derive(Debug)]
pub(crate) struct Way {
    departures: Arc<Departures>,
    person: i64,
    claimed_at: Micros,
    has_left: AtomicBool,
}

impl Way {
    /// Lets the message go if its person did not say stop since it was claimed, and `hand_over` says yes.
    pub(crate) fn leave(&self, hand_over: impl FnOnce() -> bool) -> bool {
        let mut shard = self.departures.shard(self.person);
        if shard.holds(self.person, self.claimed_at) || self.has_left.load(Ordering::Relaxed) || !hand_over() {
            return false;
        }
        self.has_left.store(true, Ordering::Relaxed);
        *shard.under_way.entry(self.person).or_default() += 1;
        true
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        if !*self.has_left.get_mut() {
            return;
        }
        let mut shard = self.departures.shard(self.person);
        if let Some(count) = shard.under_way.get_mut(&self.person) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                shard.under_way.remove(&self.person);
            }
        }
    }
}

/// A lane's term in this process.
#[derive(Debug)]
pub(crate) struct Term {
    departures: Arc<Departures>,
    lane: (i64, i64),
}

impl Drop for Term {
    fn drop(&mut self) {
        self.departures.lanes.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.lane);
    }
}

#[cfg(test)]
mod tests;
