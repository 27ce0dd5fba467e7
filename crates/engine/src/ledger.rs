//! The ledger's chain: sealing new entries, and checking that nothing was changed since.
//!
//! Entries are appended unsealed, in the transaction of what they record ([`crate::evidence`] makes them), and chained
//! here by one sealer, so that a stop never waits behind an import. The chain holds when, what, who and about which
//! ids, and of the detail only its salted commitment: a person's detail and salt can be erased while it still verifies.

mod consents;
pub mod file;
pub mod heads;
pub mod state;
pub mod tree;

use std::time::Duration;

use ring::digest;
use serde::Serialize;
use store::{EntryRow, LedgerHead, Seal};

use crate::App;
use crate::fault::Result;

use consents::Consents;
pub(crate) use consents::both as leaves_of;

pub use crate::evidence::{commitment, entry};

/// Entries sealed in one short transaction.
const BATCH: i64 = 500;
/// Entries read at once by a check.
const PAGE: i64 = 1_000;
/// The longest rest of a check that nobody waits for.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// What a check of the ledger found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LedgerCheck {
    /// Whether every sealed entry is what it was when it was sealed, and none is missing.
    pub ok: bool,
    /// How many sealed entries hold, from the first one on.
    pub entries: i64,
    /// How many wait to be sealed.
    pub unsealed: i64,
    /// The hash of the last entry that holds, in hexadecimal; empty for an empty ledger.
    pub head: String,
    /// The place in the chain of the first entry that does not hold: itself, or because the evidence of consent that it
    /// vouches for was changed.
    pub first_broken: Option<i64>,
    /// How many pieces of evidence of consent are as their imports' entries say.
    pub evidence: i64,
}

/// The chain's hash up to an entry: SHA-256 over the hash before (empty for the first) and the entry's fields. Every
/// text is preceded by its length and every id by whether it is there, so that no two entries read alike.
pub(crate) fn chain_hash(before: &[u8], seq: i64, entry: &EntryRow) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut text = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    };
    text(b"hudhud ledger 1");
    text(before);
    text(&seq.to_be_bytes());
    text(&entry.at.to_be_bytes());
    text(entry.kind.as_bytes());
    text(entry.actor.as_bytes());
    for id in [entry.contact_id, entry.campaign_id, entry.import_id] {
        match id {
            Some(id) => text(&id.to_be_bytes()),
            None => text(b""),
        }
    }
    text(&entry.commitment);
    context.finish().as_ref().to_vec()
}

/// Seals the next entries, up to `limit`, and says how many that were. 0 also when another process was faster.
///
/// # Errors
/// As the database's.
#[crate::boxed]
pub async fn seal_next(app: &App, limit: i64) -> Result<usize> {
    let head = app.store.ledger_head().await?;
    let entries = app.store.unsealed(limit).await?;
    let mut before = head.hash.clone();
    let mut seals = Vec::with_capacity(entries.len());
    for (entry, seq) in entries.iter().zip(head.seq + 1..) {
        before = chain_hash(&before, seq, entry);
        seals.push(Seal { id: entry.id, seq, hash: before.clone() });
    }
    Ok(if app.store.seal(&head, &seals).await? { seals.len() } else { 0 })
}

/// Seals a batch of the next entries; `true` while there are more. For the scheduler, ten times a second: any number of
/// processes may do this, one at a time gets through.
///
/// # Errors
/// As the database's.
#[crate::boxed]
pub async fn seal(app: &App) -> anyhow::Result<bool> {
    Ok(seal_next(app, BATCH).await? as u64 == BATCH.unsigned_abs())
}

/// Reads the whole sealed chain and checks every entry: its place, its hash, its detail against its commitment where
/// the detail was not erased, and the evidence of consent that imports brought against the roots of their entries. Takes
/// no lock; entries sealed meanwhile are left to the next check.
///
/// # Errors
/// As the database's. A broken chain is no error but an answer.
#[crate::boxed]
pub async fn verify(app: &App) -> Result<LedgerCheck> {
    check(app, Haste::Awaited).await
}

/// As [`verify`], but for most of the time at rest, so that what is sent meanwhile keeps the machine: ten times as long.
///
/// # Errors
/// As the database's.
pub(crate) async fn verify_aside(app: &App) -> Result<LedgerCheck> {
    check(app, Haste::Aside).await
}

/// How much of the machine a check may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Haste {
    /// All of it: somebody waits for the answer.
    Awaited,
    /// A tenth: nobody does.
    Aside,
}

impl Haste {
    /// How long to rest after so much work at one go.
    fn rest_after(self, work: Duration) -> Duration {
        match self {
            Self::Awaited => Duration::ZERO,
            Self::Aside => (work * 9).min(LONGEST_REST),
        }
    }

    /// Rests after work that began at this boot time (microseconds).
    async fn rest(self, app: &App, began: u64) {
        let work = Duration::from_micros(app.clock.boot_us().saturating_sub(began));
        let rest = self.rest_after(work);
        if !rest.is_zero() {
            app.clock.sleep(rest).await;
        }
    }
}

async fn check(app: &App, haste: Haste) -> Result<LedgerCheck> {
    let end = app.store.ledger_head().await?;
    let mut consents = Consents::default();
    let (good, broken) = walk(app, &end, &mut consents, haste).await?;
    let (evidence, forged) = consents.check(app, haste).await?;
    let first_broken = broken.into_iter().chain(forged).min();
    Ok(LedgerCheck {
        ok: first_broken.is_none(),
        entries: good.seq,
        unsealed: app.store.unsealed_size().await?,
        head: hex::encode(&good.hash),
        first_broken,
        evidence,
    })
}

/// Follows the chain to its recorded end: how far it holds, and the place of the first entry that does not.
async fn walk(app: &App, end: &LedgerHead, consents: &mut Consents, haste: Haste) -> Result<(LedgerHead, Option<i64>)> {
    let mut good = LedgerHead::default();
    while good.seq < end.seq {
        let began = app.clock.boot_us();
        let page = app.store.sealed_entries(good.seq, PAGE.min(end.seq - good.seq)).await?;
        if page.is_empty() {
            // Entries were cut off the end.
            let missing = good.seq + 1;
            return Ok((good, Some(missing)));
        }
        for entry in &page {
            match follows(&good, entry) {
                Some(next) => {
                    good = next;
                    consents.note(good.seq, entry);
                }
                None => {
                    let broken = good.seq + 1;
                    return Ok((good, Some(broken)));
                }
            }
        }
        haste.rest(app, began).await;
    }
    if good.hash != end.hash {
        // The chain was made anew up to here by somebody who could not know the recorded head, or did not change it.
        return Ok((good, Some(end.seq)));
    }
    // Sealed entries beyond the end are right only if the end has moved on since we read it.
    let beyond = !app.store.sealed_entries(end.seq, 1).await?.is_empty();
    let set_back = beyond && app.store.ledger_head().await?.seq == end.seq;
    Ok((good, set_back.then_some(end.seq + 1)))
}

/// The head after an entry, if the entry is the one that was sealed in this place.
fn follows(head: &LedgerHead, entry: &EntryRow) -> Option<LedgerHead> {
    let seq = head.seq + 1;
    let hash = chain_hash(&head.hash, seq, entry);
    let in_place = entry.sealed_seq == Some(seq) && entry.hash.as_deref() == Some(hash.as_slice());
    let erased = entry.salt.is_empty() && entry.detail.is_empty();
    let detail_holds = erased || commitment(&entry.salt, &entry.detail) == entry.commitment;
    (in_place && detail_holds).then_some(LedgerHead { seq, hash })
}

#[cfg(test)]
mod tests;
