//! The simulated platform: its settings, its state, its outbox, its clock. Everything that the sockets touch.

use crate::chance::{IntMap, IntSet};
use crate::clock::Clock;
use crate::ledger::{Ledger, Status};
use crate::limits::{Pairs, Throughput};
use crate::settings::{Outage, Settings};
use crate::webhook::outbox::{Ack, Outbox, Parcel};
use crate::world::World;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::watch;

/// Shared by all connections. One mutex holds the state: a request keeps it for about a microsecond, so sharding it
/// would buy nothing.
#[derive(Debug)]
pub(crate) struct Platform {
    world: RwLock<Arc<World>>,
    state: Mutex<State>,
    pub(crate) outbox: Outbox,
    pub(crate) clock: Clock,
    /// Tells listeners and hanging requests when the outage changes.
    pub(crate) outage: watch::Sender<Outage>,
    in_flight: AtomicUsize,
    /// Every request to the Graph API, also those an outage swallowed.
    requests: AtomicU64,
}

/// What arrived and what followed from it.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) ledger: Ledger,
    /// By the ledger's number of the business number.
    pub(crate) throughput: Vec<Throughput>,
    pub(crate) pairs: Pairs,
    /// How often a pair has met an error or failure, by a hash of both.
    pub(crate) met: IntMap<u64, u32>,
    /// When a person's opt-out was acknowledged.
    pub(crate) opted_out: IntMap<u32, i64>,
    /// When a person last wrote to a business number, by both.
    heard: IntMap<u64, i64>,
    /// Who used WhatsApp's own "stop marketing".
    pub(crate) stopped: IntSet<u32>,
    /// Messages that are held.
    pub(crate) held: Vec<u32>,
    /// Messages after an acknowledged opt-out: the row, and how much later its first byte came, in microseconds.
    pub(crate) after_opt_out: Vec<(u32, i64)>,
    /// Free texts after an acknowledged opt-out: answers to somebody who wrote.
    pub(crate) texts_after_opt_out: u64,
    pub(crate) tally: Tally,
}

/// What is only counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) refused_by_code: BTreeMap<u32, u64>,
    pub(crate) strangers: u64,
    pub(crate) opt_outs_sent: u64,
    pub(crate) opt_outs_acknowledged: u64,
    pub(crate) inbound: u64,
    pub(crate) bodies_delivered: u64,
    pub(crate) changes_delivered: u64,
    pub(crate) posts_failed: u64,
    pub(crate) bodies_given_up: u64,
    pub(crate) webhooks_dropped: u64,
}

fn pair(number: u16, person: u32) -> u64 {
    u64::from(number) << 32 | u64::from(person)
}

impl State {
    /// Raises a message's status; it never falls.
    pub(crate) fn reached(&mut self, seq: u32, status: Status) {
        if let Some(row) = self.ledger.row_mut(seq) {
            row.status = row.status.max(status);
        }
    }

    /// A person wrote to a business number, or tapped: its service window is open from then on.
    pub(crate) fn hear(&mut self, number: u16, person: u32, at_us: i64) {
        let last = self.heard.entry(pair(number, person)).or_insert(at_us);
        *last = at_us.max(*last);
    }

    /// Whether the service window of a pair is open.
    pub(crate) fn is_open(&self, number: u16, person: u32, at_us: i64, window_ms: u64) -> bool {
        let lasts = i64::try_from(window_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
        self.heard.get(&pair(number, person)).is_some_and(|heard| at_us.saturating_sub(*heard) < lasts)
    }

    /// A person used WhatsApp's own switch.
    pub(crate) fn native_stop(&mut self, person: u32, stop: bool) {
        if stop {
            self.stopped.insert(person);
        } else {
            self.stopped.remove(&person);
        }
    }

    /// Whether an entry that a pair meets still bites: at most `times` times, 0 being always.
    pub(crate) fn bites(&mut self, key: u64, times: u32) -> bool {
        if times == 0 {
            return true;
        }
        let met = self.met.entry(key).or_insert(0);
        *met = met.saturating_add(1);
        *met <= times
    }
}

impl Platform {
    pub(crate) fn new(settings: Settings) -> anyhow::Result<Platform> {
        let outage = watch::Sender::new(settings.outage);
        Ok(Platform {
            world: RwLock::new(Arc::new(World::new(settings)?)),
            state: Mutex::default(),
            outbox: Outbox::default(),
            clock: Clock::start(),
            outage,
            in_flight: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
        })
    }

    pub(crate) fn world(&self) -> Arc<World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the settings by what `change` makes of them. The lock is held meanwhile, so that two changes at once
    /// both count.
    pub(crate) fn change(&self, change: impl FnOnce(&Settings) -> anyhow::Result<Settings>) -> anyhow::Result<()> {
        let mut world = self.world.write().unwrap_or_else(PoisonError::into_inner);
        let old = &world.settings;
        let new = change(old)?;
        anyhow::ensure!(
            new.listen == old.listen && new.control_listen == old.control_listen,
            "listen, control_listen: fixed once started"
        );
        let outage = new.outage;
        *world = Arc::new(World::new(new)?);
        drop(world);
        self.outage.send_if_modified(|current| std::mem::replace(current, outage) != outage);
        self.outbox.wake.notify_one();
        Ok(())
    }

    /// Forgets what arrived and what was to follow; the settings stay.
    pub(crate) fn reset(&self) {
        let mut state = self.state();
        *state = State::default();
        self.outbox.clear();
        self.requests.store(0, Ordering::Relaxed);
    }

    pub(crate) fn count_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn posts_in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn post_began(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn post_ended(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// A body got its 200 at this time: from now on the opt-outs in it must be respected.
    pub(crate) fn webhook_confirmed(&self, parcel: &Parcel, at_us: i64) {
        let mut guard = self.state();
        if parcel.generation != self.outbox.generation() {
            return;
        }
        let state = &mut *guard;
        state.tally.bodies_delivered += 1;
        state.tally.changes_delivered += parcel.changes as u64;
        for ack in &parcel.acks {
            match *ack {
                Ack::OptOut(person) => {
                    // The first acknowledgement counts: a repeated stop does not start anew.
                    state.opted_out.entry(person).or_insert_with(|| {
                        state.tally.opt_outs_acknowledged += 1;
                        at_us
                    });
                }
                Ack::Resume(person) => {
                    state.opted_out.remove(&person);
                }
            }
        }
        drop(guard);
        self.outbox.settled(parcel.changes, parcel.generation);
    }

    pub(crate) fn webhook_failed(&self) {
        self.state().tally.posts_failed += 1;
    }

    pub(crate) fn webhook_given_up(&self, parcel: &Parcel) {
        self.state().tally.bodies_given_up += 1;
        self.outbox.settled(parcel.changes, parcel.generation);
    }
}
