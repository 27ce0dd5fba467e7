//! Who approved a campaign, and what exactly: a hash of what it was then, which any edit changes.

use crate::db::{Priority, Store, on};
use crate::error::{Error, Result};
use crate::meta;

/// `meta.key` of the number of people above which a campaign needs an approval.
const APPROVAL_ABOVE: &str = "approval_above";

/// One person's approval of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Who.
    pub actor: String,
    /// The hash of what they approved, hex.
    pub seal: String,
    /// The hash of the same without its audience, hex.
    pub terms_seal: String,
    /// For how many people it was.
    pub people: i64,
    /// When, epoch ms.
    pub at: i64,
}

from_row!(Approval { actor, seal, terms_seal, people, at });

impl Store {
    /// Above how many people a campaign needs a second person's approval; `None`: none does.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn approval_above(&self) -> Result<Option<i64>> {
        let text = self.meta(APPROVAL_ABOVE).await?;
        let read = |text: String| text.parse().map_err(|_| Error::bug(format!("approval above {text:?}")));
        text.map(read).transpose()
    }

    /// Sets or removes that number.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_approval_above(&self, people: Option<i64>) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        meta::set(&mut tx, APPROVAL_ABOVE, people.map(|people| people.to_string()).as_deref()).await?;
        tx.commit().await
    }

    /// Keeps somebody's approval, in the place of an earlier one of theirs.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn approve_campaign(&self, campaign_id: i64, approval: &Approval) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "INSERT INTO approvals (campaign_id, actor, seal, terms_seal, people, at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (campaign_id, actor) DO UPDATE SET
                 seal = excluded.seal, terms_seal = excluded.terms_seal, people = excluded.people, at = excluded.at")
            .bind(campaign_id).bind(&approval.actor).bind(&approval.seal).bind(&approval.terms_seal)
            .bind(approval.people).bind(approval.at).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Everybody's approvals of a campaign, the newest first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn approvals(&self, campaign_id: i64) -> Result<Vec<Approval>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT actor, seal, terms_seal, people, at FROM approvals WHERE campaign_id = $1 ORDER BY at DESC, actor")
            .bind(campaign_id).fetch_all(c).await)?)
    }
}
