//! Checking a proof with nothing but the proof.

use serde::Serialize;
use store::EntryRow;

use super::{FORMAT, Proof, ProofEntry};
use crate::ledger::{chain_hash, commitment};

/// What a check of a proof found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProofCheck {
    /// Whether every sealed entry in it has the hash that it says, and every signed head its signature.
    pub ok: bool,
    /// How many entries hold.
    pub entries: usize,
    /// How many signed heads hold.
    pub signed_heads: usize,
    /// The id of the first entry that does not hold, or the number of entries under the first head that does not.
    pub first_broken: Option<i64>,
}

/// Recomputes every sealed entry's commitment and hash, and checks every signature. That the entries stand in the whole
/// chain is shown by the exported ledger, whose lines have the same hashes.
///
/// # Errors
/// When the text is no proof.
pub fn verify(text: &str) -> anyhow::Result<ProofCheck> {
    let proof: Proof = serde_json::from_str(text)?;
    anyhow::ensure!(proof.format == FORMAT, "this is no proof that Hudhud made: it does not say {FORMAT:?}");
    let mut check = ProofCheck { ok: true, entries: 0, signed_heads: 0, first_broken: None };
    for entry in proof.entries.iter().filter(|entry| entry.seq.is_some()) {
        if !holds(entry) {
            return Ok(ProofCheck { ok: false, first_broken: Some(entry.id), ..check });
        }
        check.entries += 1;
    }
    for head in &proof.signed_heads {
        let covered = proof.entries.iter().find(|entry| entry.seq == Some(head.entries));
        if !head.holds() || covered.is_some_and(|entry| entry.hash != head.hash) {
            return Ok(ProofCheck { ok: false, first_broken: Some(head.entries), ..check });
        }
        check.signed_heads += 1;
    }
    Ok(check)
}

fn holds(entry: &ProofEntry) -> bool {
    let (Ok(salt), Ok(committed), Ok(before)) =
        (hex::decode(&entry.salt), hex::decode(&entry.commitment), hex::decode(&entry.before))
    else {
        return false;
    };
    let erased = entry.detail.is_empty() && entry.salt.is_empty();
    let row = EntryRow {
        id: entry.id,
        at: entry.at,
        kind: entry.kind.clone(),
        actor: entry.actor.clone(),
        contact_id: entry.contact_id,
        campaign_id: entry.campaign_id,
        import_id: entry.import_id,
        detail: String::new(),
        salt: Vec::new(),
        commitment: committed.clone(),
        sealed_seq: entry.seq,
        hash: None,
    };
    let hash = chain_hash(&before, entry.seq.unwrap_or_default(), &row);
    (erased || commitment(&salt, &entry.detail) == committed) && hex::encode(hash) == entry.hash
}
