//! Sends in doubt: listed, and settled by a person.

use std::sync::Arc;

use domain::send::SendEvent;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Doubt, Happening, Priority};
use utoipa::ToSchema;

use crate::fault::{Fault, Result};
use crate::views::{self, iso};
use crate::{Actor, App, evidence};

/// A send in doubt.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DoubtView {
    /// Names it to `settle`: campaign and person, `12.9981`.
    pub id: String,
    /// The campaign.
    pub campaign_id: i64,
    /// Its name.
    pub campaign: String,
    /// The person's number.
    pub phone: Option<String>,
    /// The business number.
    pub phone_number_id: String,
    /// The attempt in doubt.
    pub attempt: i64,
    /// When it was claimed, RFC 3339.
    pub since: Option<String>,
    /// What is known of why.
    pub reason: Option<String>,
}

impl From<Doubt> for DoubtView {
    fn from(doubt: Doubt) -> Self {
        Self {
            id: format!("{}.{}", doubt.campaign_id, doubt.contact_id),
            campaign_id: doubt.campaign_id,
            campaign: doubt.campaign,
            phone: views::phone(doubt.phone),
            phone_number_id: doubt.phone_number_id,
            attempt: doubt.attempt,
            since: doubt.claimed_at.map(iso),
            reason: doubt.reason,
        }
    }
}

/// How a person settles a doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It went out.
    Sent,
    /// It did not; it is counted as failed, and not sent again.
    NotSent,
}

/// Sends in doubt, oldest first.
///
/// # Errors
/// When the database is away.
pub async fn ls(app: &App, campaign_id: Option<i64>, limit: u32) -> Result<Vec<DoubtView>> {
    Ok(app.store.doubts(campaign_id, i64::from(limit)).await?.into_iter().map(DoubtView::from).collect())
}

/// How many sends are in doubt.
///
/// # Errors
/// When the database is away.
pub async fn count(app: &App) -> Result<i64> {
    Ok(app.store.doubt_count().await?)
}

/// Settles one doubt, with the reason kept in the ledger.
///
/// # Errors
/// When there is no such send, it is not in doubt, or the reason is empty.
pub async fn settle(app: &Arc<App>, actor: &Actor, id: &str, verdict: Verdict, reason: &str) -> Result<()> {
    let key = id.split_once('.').and_then(|(campaign, contact)| Some((campaign.parse().ok()?, contact.parse().ok()?)));
    let Some(key): Option<(i64, i64)> = key else {
        return Err(Fault::invalid("An id of a send in doubt looks like 12.9981; `hudhud indoubt ls` shows them."));
    };
    if reason.trim().is_empty() {
        return Err(Fault::invalid("Settling a doubt by hand needs a reason: how you know."));
    }
    let event = match verdict {
        Verdict::Sent => SendEvent::SettledSent,
        Verdict::NotSent => SendEvent::SettledNotSent { replan: false },
    };
    let mut happening = Happening::new(key, None, event, app.clock.now_ms());
    happening.reason = Some("settled-by-hand".to_owned());
    let applied = app.store.apply(Priority::Urgent, &[happening]).await?;
    if !applied.unknown.is_empty() {
        return Err(Fault::not_found("There is no such send."));
    }
    if applied.moved == 0 {
        return Err(Fault::wrong_state("This send is not in doubt (any more)."));
    }
    let detail = json!({"verdict": verdict, "reason": reason.trim()});
    let mut entry = evidence::entry(app, "settled", actor, &detail).map_err(Fault::internal)?;
    (entry.campaign_id, entry.contact_id) = (Some(key.0), Some(key.1));
    app.store.append_entry(&entry).await?;
    app.scheduler_wake.notify_one();
    Ok(())
}
