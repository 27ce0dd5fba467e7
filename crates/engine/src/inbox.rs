//! Webhook bodies are kept in groups: while one group is being committed, the next gathers. A body is acknowledged when
//! its group is durable. Whoever says stop goes first.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use store::{Arrival, Kept};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::App;
use crate::fault::{Fault, Result};

/// The most bodies of one transaction.
const GROUP: usize = 256;
/// A transaction takes no more bodies once it has so many bytes: SQLite's writer has others waiting for it.
const GROUP_BYTES: usize = 2 << 20;
/// How long a body waits for others to join it; one that says stop does not.
const GATHER: Duration = Duration::from_millis(5);
/// Bodies that may wait before Meta is told to come back later.
const WAITING: usize = 4_096;
/// As many KiB may wait; the largest bodies have 3 MB.
const WAITING_KIB: u32 = 64 << 10;

type Reply = oneshot::Sender<std::result::Result<Kept, String>>;

struct Waiting {
    arrival: Arrival,
    reply: Reply,
    /// Its share of the memory that all together may take.
    _room: OwnedSemaphorePermit,
}

/// Where bodies are handed in.
#[derive(Debug)]
pub struct Inbox {
    writer: Mutex<Option<Writer>>,
    room: Arc<Semaphore>,
}

/// The ways to the task that writes.
#[derive(Clone, Debug)]
struct Writer {
    /// For bodies that say stop.
    stops: mpsc::Sender<Waiting>,
    others: mpsc::Sender<Waiting>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self { writer: Mutex::default(), room: Arc::new(Semaphore::new(WAITING_KIB as usize)) }
    }
}

impl Inbox {
    /// Keeps a body, durable when this returns.
    ///
    /// # Errors
    /// When the database is away or too many wait; Meta repeats what was not acknowledged.
    #[crate::boxed]
    pub async fn keep(&self, app: &App, arrival: Arrival) -> Result<Kept> {
        let kib = u32::try_from(arrival.body.len() >> 10).unwrap_or(u32::MAX).saturating_add(1);
        let room = Arc::clone(&self.room).try_acquire_many_owned(kib.min(WAITING_KIB));
        let room = room.map_err(|_| away("too many webhooks wait"))?;
        let (reply, answer) = oneshot::channel();
        let writer = self.writer(app);
        let way = if arrival.stops.is_empty() { writer.others } else { writer.stops };
        way.try_send(Waiting { arrival, reply, _room: room }).map_err(|_| away("too many webhooks wait"))?;
        match answer.await {
            Ok(Ok(kept)) => Ok(kept),
            Ok(Err(reason)) => Err(away(&reason)),
            Err(_) => Err(away("the writer stopped")),
        }
    }

    /// The task that writes; a new one if there is none, or it is gone.
    fn writer(&self, app: &App) -> Writer {
        let mut kept = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = kept.as_ref().filter(|writer| !writer.others.is_closed()) {
            return writer.clone();
        }
        let ((stops, first), (others, next)) = (mpsc::channel(WAITING), mpsc::channel(WAITING));
        let queue = Queue { stops: first, others: next };
        // The task must not keep the app alive: it ends with the app's sender.
        tokio::spawn(write_all(app.store.clone(), app.clock.clone(), queue));
        let writer = Writer { stops, others };
        *kept = Some(writer.clone());
        writer
    }
}

fn away(reason: &str) -> Fault {
    Fault::unavailable(format!("The webhook could not be kept: {reason}."))
        .kept("Nothing of it was kept; it was not acknowledged.")
        .action("Meta repeats it by itself for up to seven days.")
}

/// What waits to be written.
struct Queue {
    stops: mpsc::Receiver<Waiting>,
    others: mpsc::Receiver<Waiting>,
}

impl Queue {
    /// The next body: one that says stop, if there is any. `None`: nobody hands in any more.
    async fn next(&mut self) -> Option<Waiting> {
        tokio::select! {
            biased;
            Some(stop) = self.stops.recv() => Some(stop),
            Some(other) = self.others.recv() => Some(other),
            else => None,
        }
    }

    /// The next body that is here already.
    fn try_next(&mut self) -> Option<Waiting> {
        self.stops.try_recv().or_else(|_| self.others.try_recv()).ok()
    }

    /// The next group, or nothing once nobody hands in any more.
    async fn group(&mut self, clock: &crate::Clock) -> Vec<Waiting> {
        let Some(first) = self.next().await else { return Vec::new() };
        let mut group = Group { bytes: 0, says_stop: false, bodies: Vec::with_capacity(GROUP) };
        group.push(first);
        let gather = clock.sleep(GATHER);
        tokio::pin!(gather);
        while !group.is_full() {
            if let Some(next) = self.try_next() {
                group.push(next);
            } else if group.says_stop {
                break;
            } else {
                tokio::select! {
                    biased;
                    next = self.next() => match next {
                        Some(next) => group.push(next),
                        None => break,
                    },
                    () = &mut gather => break,
                }
            }
        }
        group.bodies
    }
}

struct Group {
    bytes: usize,
    says_stop: bool,
    bodies: Vec<Waiting>,
}

impl Group {
    fn push(&mut self, body: Waiting) {
        self.bytes += body.arrival.body.len();
        self.says_stop |= !body.arrival.stops.is_empty();
        self.bodies.push(body);
    }

    fn is_full(&self) -> bool {
        self.bodies.len() >= GROUP || self.bytes >= GROUP_BYTES
    }
}

async fn write_all(store: store::Store, clock: crate::Clock, mut queue: Queue) {
    loop {
        let group = queue.group(&clock).await;
        if group.is_empty() {
            return;
        }
        let mut arrivals = Vec::with_capacity(group.len());
        let mut replies = Vec::with_capacity(group.len());
        for Waiting { arrival, reply, _room } in group {
            arrivals.push(arrival);
            replies.push((reply, _room));
        }
        match store.keep_arrivals(&arrivals).await {
            Ok(kept) => {
                for ((reply, _), kept) in replies.into_iter().zip(kept) {
                    // Whoever asked may have hung up; the body is kept all the same.
                    let _ = reply.send(Ok(kept));
                }
            }
            Err(error) if error.is_unavailable() || arrivals.len() == 1 => {
                for (reply, _) in replies {
                    let _ = reply.send(Err(error.to_string()));
                }
            }
            // One of them is what the database cannot take; the others must not suffer for it.
            Err(_) => {
                for (arrival, (reply, _)) in arrivals.iter().zip(replies) {
                    let kept = store.keep_arrivals(std::slice::from_ref(arrival)).await;
                    let one = kept.map(|mut kept| kept.pop()).map_err(|error| error.to_string());
                    let _ = reply.send(one.and_then(|kept| kept.ok_or_else(|| "nothing was kept".to_owned())));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(room: &Arc<Semaphore>, said: &str, bytes: usize) -> Waiting {
        let arrival = Arrival {
            account_id: 1,
            received_at: 0,
            body_hash: [0; 32],
            signature: said.to_owned(),
            body: vec![0; bytes],
            stops: Vec::new(),
        };
        let room = Arc::clone(room).try_acquire_many_owned(1).unwrap();
        Waiting { arrival, reply: oneshot::channel().0, _room: room }
    }

    fn said(group: Vec<Waiting>) -> Vec<String> {
        group.into_iter().map(|waiting| waiting.arrival.signature).collect()
    }

    #[tokio::test]
    async fn whoever_says_stop_goes_before_all_that_waits_and_large_bodies_make_small_groups() {
        let room = Arc::new(Semaphore::new(1_000));
        let ((stops, first), (others, next)) = (mpsc::channel(9), mpsc::channel(9));
        let mut queue = Queue { stops: first, others: next };
        let clock = crate::Clock::system();
        for said in ["one", "two", "three"] {
            others.send(waiting(&room, said, GROUP_BYTES / 2)).await.unwrap();
        }
        stops.send(waiting(&room, "stop", 1)).await.unwrap();
        assert_eq!(said(queue.group(&clock).await), ["stop", "one", "two"]);
        assert_eq!(said(queue.group(&clock).await), ["three"]);
        drop((stops, others));
        assert!(queue.group(&clock).await.is_empty(), "nobody hands in any more");
    }
}
