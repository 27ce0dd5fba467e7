//! Evidence of consent, held against the entries that vouch for it: each chunk of an import has one, with the root over
//! the leaves of its people.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use store::{ConsentText, EntryRow, EvidenceRow};

use super::Haste;
use super::tree::{self, Hash};
use crate::App;
use crate::fault::Result;

/// Pieces of evidence read at once.
const PAGE: i64 = 2_000;

/// What the detail of an import's entry says.
#[derive(Deserialize)]
struct Vouched {
    chunk: i64,
    people: usize,
    root: String,
}

/// The leaves of one chunk, by both names that its people may have had when they came.
struct Leaves {
    seq: i64,
    people: usize,
    root: String,
    by_phone: Vec<Hash>,
    by_user_id: Vec<Hash>,
    /// The root was found to be right.
    held: bool,
}

/// What the chain says of consents, chunk by chunk.
#[derive(Default)]
pub(super) struct Consents {
    chunks: HashMap<(i64, i64), Leaves>,
    /// Imports whose evidence was taken back with them.
    undone: HashSet<i64>,
}

impl Consents {
    /// Takes note of an entry that holds.
    pub(super) fn note(&mut self, seq: i64, entry: &EntryRow) {
        let Some(import_id) = entry.import_id else { return };
        match entry.kind.as_str() {
            "import-undone" => drop(self.undone.insert(import_id)),
            "opt-in" => {
                // An entry whose detail was erased vouches for nobody any more.
                let Ok(Vouched { chunk, people, root }) = serde_json::from_str(&entry.detail) else { return };
                let (by_phone, by_user_id) = (Vec::new(), Vec::new());
                let leaves = Leaves { seq, people, root, by_phone, by_user_id, held: false };
                self.chunks.insert((import_id, chunk), leaves);
            }
            _ => {}
        }
    }

    /// Reads all evidence once, in the order of people, and compares. How many pieces are as they were, and the entry
    /// of the first chunk that has lost, gained or changed one. A chunk's leaves are let go as soon as it is whole.
    ///
    /// # Errors
    /// As the database's.
    pub(super) async fn check(mut self, app: &App, haste: Haste) -> Result<(i64, Option<i64>)> {
        // What is being undone is half gone, and its entry not sealed yet; what is undone may wait for its seal.
        self.undone.extend(app.store.undone_imports().await?);
        let undone = std::mem::take(&mut self.undone);
        self.chunks.retain(|(import_id, _), _| !undone.contains(import_id));
        let mut good = 0;
        let mut after = (0, 0, 0);
        while !self.chunks.is_empty() {
            let began = app.clock.boot_us();
            let page = app.store.evidence_after(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = (last.contact_id, last.at, last.text_id);
            for row in &page {
                good += self.take(row);
            }
            haste.rest(app, began).await;
        }
        let broken = self.chunks.values().filter(|leaves| !leaves.held).map(|leaves| leaves.seq).min();
        Ok((good, broken))
    }

    /// Takes one piece of evidence. How many pieces of its chunk hold, if it was the last one.
    fn take(&mut self, row: &EvidenceRow) -> i64 {
        let Some(leaves) = row.import_id.zip(row.chunk).and_then(|of| self.chunks.get_mut(&of)) else { return 0 };
        if std::mem::take(&mut leaves.held) {
            // One more than there were.
            leaves.root.clear();
            return -(i64::try_from(leaves.people).unwrap_or(0));
        }
        let Some((by_phone, by_user_id)) = both(row) else { return 0 };
        leaves.by_phone.push(by_phone);
        leaves.by_user_id.push(by_user_id);
        if leaves.by_phone.len() < leaves.people {
            return 0;
        }
        let roots = [std::mem::take(&mut leaves.by_phone), std::mem::take(&mut leaves.by_user_id)];
        leaves.held = roots.into_iter().any(|leaves_of| hex::encode(tree::root(leaves_of)) == leaves.root);
        if leaves.held { i64::try_from(leaves.people).unwrap_or(0) } else { 0 }
    }
}

/// The leaf of a person's number, where they have one, and that of their user id, where they have one.
pub(crate) fn both(row: &EvidenceRow) -> Option<(Hash, Hash)> {
    if let Some(leaf) = &row.leaf {
        // Of an erased person: one leaf, or both that it may have been.
        let (one, other) = leaf.split_at_checked(32)?;
        let one: Hash = one.try_into().ok()?;
        return Some((one, other.try_into().unwrap_or(one)));
    }
    let salt: [u8; 16] = row.salt.as_deref()?.try_into().ok()?;
    let text = ConsentText { source: row.source.clone(), wording: row.wording.clone() };
    let by_phone = row.phone_key.map(|key| tree::leaf(&salt, key, row.at, &text));
    let by_user_id = row.user_id.as_deref().map(|user_id| tree::leaf_by_user_id(&salt, user_id, row.at, &text));
    let one = by_phone.or(by_user_id)?;
    Some((one, by_user_id.unwrap_or(one)))
}
