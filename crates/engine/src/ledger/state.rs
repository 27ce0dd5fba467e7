//! How the ledger stands, from what is known already: nothing is computed anew.

use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::chores::last_ledger_check;
use crate::fault::{Fault, Result};
use crate::views::iso;

/// How the ledger stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LedgerState {
    /// How many entries are sealed.
    pub entries: i64,
    /// The hash of the last of them, in hexadecimal; empty for an empty ledger.
    pub head: String,
    /// When the whole of it was last checked by itself, RFC 3339: every night, and at the first start.
    pub checked_at: Option<String>,
    /// Whether it held then.
    pub held: Option<bool>,
}

/// How the ledger stands.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn show(app: &App) -> Result<LedgerState> {
    let head = app.store.ledger_head().await?;
    let check = last_ledger_check(app).await.map_err(Fault::internal)?;
    Ok(LedgerState {
        entries: head.seq,
        head: hex::encode(head.hash),
        checked_at: check.map(|(at, _)| iso(at)),
        held: check.map(|(_, held)| held),
    })
}
