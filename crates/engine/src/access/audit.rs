//! The audit log: who did what through the API, and every sign-in.

use serde::Serialize;
use store::{AuditFilter, AuditRow};
use utoipa::ToSchema;

use crate::App;
use crate::fault::Result;
use crate::views::as_iso;

/// A row of the audit log.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AuditView {
    /// The cursor of the next page; later rows are higher.
    pub id: i64,
    /// RFC 3339.
    #[serde(serialize_with = "as_iso")]
    #[schema(value_type = String)]
    pub at: i64,
    /// `cli:amr`, `key:ci`, `user:mona@example.com`; `nobody` where nobody was recognised.
    pub actor: String,
    /// What: the operation's name in the API's description, such as `campaigns_launch`.
    pub action: String,
    /// To what: the parameters of the path.
    pub target: String,
    /// The HTTP status that it ended with.
    pub status: i64,
    /// Where it came from; `local` for this machine's commands.
    pub address: String,
    /// The request's id, under which the log has more.
    pub request_id: String,
}

impl From<AuditRow> for AuditView {
    fn from(row: AuditRow) -> Self {
        let AuditRow { id, at, actor, action, target, status, address, request_id } = row;
        Self { id, at, actor, action, target, status, address, request_id }
    }
}

/// A page of it, the newest first.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn ls(app: &App, filter: &AuditFilter<'_>, limit: u32) -> Result<Vec<AuditView>> {
    let rows = app.store.audit(filter, i64::from(limit)).await?;
    Ok(rows.into_iter().map(AuditView::from).collect())
}
