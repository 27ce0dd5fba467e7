//! The record of who looked at a person and who took data out of here.

use serde::Serialize;
use store::NewDisclosure;
use utoipa::ToSchema;

use crate::fault::Result;
use crate::views::iso;
use crate::{Actor, App};

/// A look at a person, or data that left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DisclosureView {
    /// Ours: the cursor of the next page.
    pub id: i64,
    /// When, RFC 3339.
    pub at: String,
    /// To whom: `cli:mona`, `key:crm`.
    pub actor: String,
    /// What: `check`, `prove`, `person-export`, `ledger-export`, …
    pub what: String,
    /// Our id of the person it was about.
    pub contact_id: Option<i64>,
    /// What else belongs to it, as how many rows left.
    pub detail: String,
}

/// Notes that somebody gets to see a person, or takes data out. To be called before they do.
///
/// # Errors
/// When the database is away; then nothing may be shown.
#[crate::boxed]
pub async fn note(app: &App, actor: &Actor, what: &str, contact_id: Option<i64>, detail: &str) -> Result<()> {
    let new = NewDisclosure { at: app.clock.now_ms(), actor: actor.as_str(), what, contact_id, detail };
    Ok(app.store.note_disclosure(&new).await?)
}

impl From<store::DisclosureRow> for DisclosureView {
    fn from(row: store::DisclosureRow) -> Self {
        Self {
            id: row.id,
            at: iso(row.at),
            actor: row.actor,
            what: row.what,
            contact_id: row.contact_id,
            detail: row.detail,
        }
    }
}

/// A page of the record after an id, oldest first.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn ls(app: &App, after: Option<i64>, limit: u32) -> Result<Vec<DisclosureView>> {
    let rows = app.store.disclosures(None, after.unwrap_or(0), i64::from(limit)).await?;
    Ok(rows.into_iter().map(DisclosureView::from).collect())
}

/// A page of the record before an id, newest first.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn latest(app: &App, before: Option<i64>, limit: u32) -> Result<Vec<DisclosureView>> {
    let rows = app.store.latest_disclosures(before, i64::from(limit)).await?;
    Ok(rows.into_iter().map(DisclosureView::from).collect())
}
