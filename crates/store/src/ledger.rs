//! The ledger's rows: appended in the transaction of what they record, chained later by one sealer.

use crate::db::{Link, on};
use crate::error::Result;

/// An entry to append. The engine makes salt and commitment; the chain never sees `detail` itself.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// When it happened.
    pub at: i64,
    /// What it is: `opt-out`, `opt-in`, …
    pub kind: &'static str,
    /// Who did it: `cli:amr`, `webhook`, …
    pub actor: String,
    /// The person it is about.
    pub contact_id: Option<i64>,
    /// The campaign it is about.
    pub campaign_id: Option<i64>,
    /// The import it is about.
    pub import_id: Option<i64>,
    /// Personal data beside the chain, JSON.
    pub detail: String,
    /// Random, erased with the detail.
    pub salt: Vec<u8>,
    /// SHA-256 of salt and detail.
    pub commitment: Vec<u8>,
}

/// Appends an entry within the caller's transaction. Its id.
pub(crate) async fn append(tx: &mut Link, entry: &NewEntry) -> Result<i64> {
    Ok(on!(tx, c => sqlx::query_scalar(
        "INSERT INTO ledger (at, kind, actor, contact_id, campaign_id, import_id, detail, salt, commitment)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id")
        .bind(entry.at).bind(entry.kind).bind(&entry.actor).bind(entry.contact_id).bind(entry.campaign_id)
        .bind(entry.import_id).bind(&entry.detail).bind(&entry.salt).bind(&entry.commitment)
        .fetch_one(c).await)?)
}
