//! People on their way from the thread that reads to the database: gathered, and put into the order of their numbers
//! while those before them are written.

use store::Arriving;
use tokio::sync::mpsc;

use super::rows::{Begun, PEOPLE, Parcel, Said};

/// People gathered at first, so that the database has something to do at once; then twice as many each time.
const FIRST_GATHERED: usize = 4_096;
/// The most people gathered. In the order of their numbers a chunk of them meets few pages of an index, which in the
/// order of a file it would meet nearly all.
const MOST_GATHERED: usize = 32_768;
/// Bytes of rejects, and rows of whatever kind, that are passed on even if they hold few people.
const MOST_REJECTS: usize = 1024 * 1024;
const MOST_ROWS: i64 = 250_000;

/// What is to be done next.
pub(super) enum Next {
    /// First: the header is good.
    Begin(Box<Begun>),
    /// Or: the file cannot be imported, and why.
    Unusable(String),
    /// Then: what came of the next rows, of many parcels, with their people in the order of their keys.
    Batch(Parcel),
}

/// Passes on what the reading thread says, its parcels in batches. Gathers no batch before the one before is taken, so
/// that two are in memory at the most. Ends when there is no more, or nobody listens.
///
/// `emptied` brings back the rooms of batches that were written. Each is some megabytes: to ask for new ones cost most of
/// an import's page faults, and what was given up for them was the process's for a second longer.
pub(super) async fn gather(said: mpsc::Receiver<Said>, to: mpsc::Sender<Next>, emptied: mpsc::Receiver<Vec<Arriving>>) {
    let mut parcels = Parcels { said, emptied, held: None, enough: FIRST_GATHERED, rows: 0 };
    while let Ok(place) = to.reserve().await {
        let Some(next) = parcels.next().await else { return };
        place.send(next);
    }
}

struct Parcels {
    said: mpsc::Receiver<Said>,
    emptied: mpsc::Receiver<Vec<Arriving>>,
    /// Why there is no more, while what came before is passed on.
    held: Option<String>,
    enough: usize,
    /// Rows passed on.
    rows: i64,
}

impl Parcels {
    async fn next(&mut self) -> Option<Next> {
        let mut batch: Option<Parcel> = None;
        while self.held.is_none() {
            match self.said.recv().await {
                None => break,
                Some(Said::Header(begun)) => return Some(Next::Begin(begun)),
                Some(Said::Unusable(reason)) => self.held = Some(reason),
                Some(Said::Parcel(parcel)) => {
                    let batch = batch.get_or_insert_with(|| Parcel { people: self.room(), ..Parcel::default() });
                    batch.add(parcel);
                    if self.is_full(batch) {
                        break;
                    }
                }
            }
        }
        let Some(mut batch) = batch else { return self.held.take().map(Next::Unusable) };
        self.rows = batch.rows;
        self.enough = (self.enough * 2).min(MOST_GATHERED);
        let sorted = tokio::task::spawn_blocking(move || {
            // The keys apart: people are large, and would be moved at each comparison.
            batch.people.sort_by_cached_key(|person| {
                (person.phone_key, person.user_id.clone().filter(|_| person.phone_key.is_none()))
            });
            batch
        });
        // It does not panic, and is not cancelled but with the whole process.
        sorted.await.ok().map(Next::Batch)
    }

    /// Room for a batch: that of one before, if it is large enough.
    fn room(&mut self) -> Vec<Arriving> {
        let mut room = self.emptied.try_recv().unwrap_or_default();
        room.reserve_exact(self.enough + PEOPLE);
        room
    }

    fn is_full(&self, batch: &Parcel) -> bool {
        batch.people.len() >= self.enough || batch.rejects.len() >= MOST_REJECTS || batch.rows - self.rows >= MOST_ROWS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(rows: std::ops::Range<i64>) -> Said {
        let people = rows.clone().map(|n| Arriving {
            // In no order.
            phone_key: Some(n * 7_919 % 100_003),
            phone: Some(n),
            user_id: None,
            name: None,
            language: None,
            attributes: "{}".to_owned(),
            opt_in_at: 0,
            opt_in_source: None,
            opt_in_wording: None,
            salt: [0; 16],
        });
        let (people, rejects) = (people.collect(), rows.start.to_string().into_bytes());
        Said::Parcel(Parcel {
            people,
            rejects,
            rows: rows.end,
            duplicates: 0,
            rejected: 0,
            forgot: false,
            encoding: None,
        })
    }

    #[tokio::test]
    async fn everybody_is_passed_on_in_order_before_the_reason_why_there_is_no_more() {
        let (say, said) = mpsc::channel(100);
        let (to, mut next) = mpsc::channel(1);
        for n in 0..60 {
            say.send(parcel(n * 1_000..(n + 1) * 1_000)).await.unwrap();
        }
        say.send(Said::Unusable("it is damaged".to_owned())).await.unwrap();
        drop(say);
        let (empty, emptied) = mpsc::channel(2);
        let gathering = tokio::spawn(gather(said, to, emptied));
        let (mut batches, mut people) = (Vec::new(), 0);
        let reason = loop {
            match next.recv().await.unwrap() {
                Next::Batch(mut batch) => {
                    assert!(batch.people.is_sorted_by_key(|person| person.phone_key));
                    people += batch.people.len();
                    assert_eq!(batch.rows, i64::try_from(people).unwrap());
                    batches.push(batch.people.len());
                    batch.people.clear();
                    empty.try_send(batch.people).unwrap();
                }
                Next::Unusable(reason) => break reason,
                Next::Begin(_) => unreachable!("nobody said so"),
            }
        };
        assert_eq!((reason.as_str(), people), ("it is damaged", 60_000));
        assert_eq!(batches, [5_000, 9_000, 17_000, 29_000], "the first soon, then more");
        assert!(next.recv().await.is_none());
        gathering.await.unwrap();
    }
}
