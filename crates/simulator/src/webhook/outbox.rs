//! What waits to be delivered: changes that fall due, and bodies that were not answered with 200.

use bytes::Bytes;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What a due change reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    Sent,
    Delivered,
    Read,
    Failed,
    Reply,
    /// A change that was written beforehand; `seq` is its number in the outbox.
    Ready,
}

/// One change and when it is due. Ordered by that time first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    /// When to deliver it.
    pub(crate) due_us: i64,
    /// When it happened: its timestamp.
    pub(crate) at_us: i64,
    pub(crate) seq: u32,
    pub(crate) kind: Kind,
    /// Whether it brings no next one, being a copy or one of a reversed row.
    pub(crate) alone: bool,
    /// Whether it repeats one that was delivered before.
    pub(crate) copy: bool,
}

/// What the 200 to a body confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ack {
    /// This person's opt-out.
    OptOut(u32),
    /// This person's wish to hear from the business again.
    Resume(u32),
}

/// A change that was written beforehand.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    /// The account, by position in the settings.
    pub(crate) account: usize,
    /// `{"field":…,"value":…}`.
    pub(crate) change: String,
    pub(crate) ack: Option<Ack>,
}

/// A body and its signature.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) body: Bytes,
    pub(crate) signature: String,
    pub(crate) acks: Vec<Ack>,
    /// How many changes it settles.
    pub(crate) changes: usize,
    pub(crate) tries: u32,
    pub(crate) first_try_us: i64,
    /// The outbox's generation that it belongs to; a reset forgets older ones.
    pub(crate) generation: u8,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Write these changes into bodies.
    Compose(Vec<Due>),
    /// Post this body again.
    Retry(Parcel),
    /// Nothing before this time; `None` is nothing at all.
    Wait(Option<i64>),
}

/// How the postman may take from the outbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) now_us: i64,
    pub(crate) batch: usize,
    pub(crate) linger_us: i64,
    pub(crate) hold: bool,
}

/// Bodies waiting for another try above which no new ones are written, so that a long outage of the receiver costs
/// little memory.
const MOST_RETRIES: usize = 256;

/// The outbox.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    inner: Mutex<Inner>,
    /// Told whenever something may be due earlier than was thought.
    pub(crate) wake: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    due: BinaryHeap<Reverse<Due>>,
    /// Changes that are due and wait for company.
    forming: Vec<Due>,
    forming_since_us: i64,
    ready: HashMap<u32, Ready>,
    next_ready: u32,
    /// By the time of the next try, then a serial number.
    retries: std::collections::BTreeMap<(i64, u64), Parcel>,
    next_retry: u64,
    /// Changes that are not settled yet, wherever they are.
    pending: usize,
    generation: u8,
}

impl Outbox {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds changes to what waits.
    pub(crate) fn push(&self, changes: impl IntoIterator<Item = Due>) {
        let mut inner = self.inner();
        let mut earlier = false;
        for due in changes {
            earlier |= inner.due.peek().is_none_or(|Reverse(first)| due.due_us < first.due_us);
            inner.due.push(Reverse(due));
            inner.pending += 1;
        }
        drop(inner);
        if earlier {
            self.wake.notify_one();
        }
    }

    /// Adds a change that is written already.
    pub(crate) fn push_ready(&self, ready: Ready, due_us: i64) {
        let mut inner = self.inner();
        let seq = inner.next_ready;
        inner.next_ready = seq.wrapping_add(1);
        inner.ready.insert(seq, ready);
        inner.due.push(Reverse(Due { due_us, at_us: due_us, seq, kind: Kind::Ready, alone: true, copy: false }));
        inner.pending += 1;
        drop(inner);
        self.wake.notify_one();
    }

    /// Takes out a change that is written already.
    pub(crate) fn take_ready(&self, seq: u32) -> Option<Ready> {
        self.inner().ready.remove(&seq)
    }

    /// What the postman should do now. Changes handed out stay pending until [`Outbox::settled`].
    pub(crate) fn next(&self, rules: Rules) -> Next {
        let mut inner = self.inner();
        if rules.hold {
            return Next::Wait(None);
        }
        if inner.retries.first_key_value().is_some_and(|((at_us, _), _)| *at_us <= rules.now_us)
            && let Some((_, parcel)) = inner.retries.pop_first()
        {
            return Next::Retry(parcel);
        }
        let retry_at = inner.retries.first_key_value().map(|((at_us, _), _)| *at_us);
        if inner.retries.len() >= MOST_RETRIES {
            return Next::Wait(retry_at);
        }
        while inner.forming.len() < rules.batch
            && inner.due.peek().is_some_and(|Reverse(first)| first.due_us <= rules.now_us)
            && let Some(Reverse(due)) = inner.due.pop()
        {
            if inner.forming.is_empty() {
                inner.forming_since_us = rules.now_us;
            }
            inner.forming.push(due);
        }
        let leaves_at = inner.forming_since_us + rules.linger_us;
        if inner.forming.len() >= rules.batch || (!inner.forming.is_empty() && leaves_at <= rules.now_us) {
            return Next::Compose(std::mem::take(&mut inner.forming));
        }
        let forming_at = (!inner.forming.is_empty()).then_some(leaves_at);
        let due_at = inner.due.peek().map(|Reverse(first)| first.due_us);
        Next::Wait([retry_at, forming_at, due_at].into_iter().flatten().min())
    }

    /// Puts a body back for another try.
    pub(crate) fn retry(&self, parcel: Parcel, at_us: i64) {
        let mut inner = self.inner();
        if parcel.generation != inner.generation {
            return;
        }
        let serial = inner.next_retry;
        inner.next_retry += 1;
        inner.retries.insert((at_us, serial), parcel);
        drop(inner);
        self.wake.notify_one();
    }

    /// Strikes off changes of this generation that were delivered, dropped or given up.
    pub(crate) fn settled(&self, changes: usize, generation: u8) {
        let mut inner = self.inner();
        if generation == inner.generation {
            inner.pending = inner.pending.saturating_sub(changes);
        }
    }

    /// Changes that are not settled yet.
    pub(crate) fn pending(&self) -> usize {
        self.inner().pending
    }

    /// Bodies that wait for another try.
    pub(crate) fn retrying(&self) -> usize {
        self.inner().retries.len()
    }

    pub(crate) fn generation(&self) -> u8 {
        self.inner().generation
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let mut inner = self.inner();
        let generation = inner.generation.wrapping_add(1);
        *inner = Inner { generation, ..Inner::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(due_us: i64, seq: u32) -> Due {
        Due { due_us, at_us: due_us, seq, kind: Kind::Sent, alone: false, copy: false }
    }

    fn rules(now_us: i64) -> Rules {
        Rules { now_us, batch: 3, linger_us: 10, hold: false }
    }

    fn seqs(next: Next) -> Vec<u32> {
        match next {
            Next::Compose(changes) => changes.iter().map(|due| due.seq).collect(),
            other => unreachable!("expected changes, got {other:?}"),
        }
    }

    #[test]
    fn changes_leave_in_order_when_a_batch_is_full_or_the_first_has_lingered() {
        let outbox = Outbox::default();
        outbox.push([due(300, 3), due(100, 1), due(200, 2), due(400, 4)]);
        assert!(matches!(outbox.next(rules(50)), Next::Wait(Some(100))));
        assert!(matches!(outbox.next(rules(100)), Next::Wait(Some(110))));
        assert_eq!(seqs(outbox.next(rules(110))), [1]);
        assert_eq!(seqs(outbox.next(rules(400))), [2, 3, 4]);
        assert!(matches!(outbox.next(rules(500)), Next::Wait(None)));
        assert_eq!(outbox.pending(), 4, "handed out is not settled");
        outbox.settled(4, 0);
        assert_eq!(outbox.pending(), 0);
    }

    #[test]
    fn while_held_nothing_leaves() {
        let outbox = Outbox::default();
        outbox.push([due(1, 1)]);
        assert!(matches!(outbox.next(Rules { hold: true, ..rules(100) }), Next::Wait(None)));
        assert!(matches!(outbox.next(rules(100)), Next::Wait(Some(110))));
    }

    #[test]
    fn a_reset_forgets_bodies_that_come_back_for_another_try() {
        let outbox = Outbox::default();
        let parcel = Parcel {
            body: Bytes::new(),
            signature: String::new(),
            acks: vec![],
            changes: 1,
            tries: 1,
            first_try_us: 0,
            generation: outbox.generation(),
        };
        outbox.retry(parcel.clone(), 5);
        assert!(matches!(outbox.next(rules(4)), Next::Wait(Some(5))));
        outbox.clear();
        outbox.retry(parcel, 5);
        assert!(matches!(outbox.next(rules(9)), Next::Wait(None)));
    }
}
