//! What people said that a person must read: kept until somebody decides.

use crate::db::{Priority, Store, on};
use crate::error::Result;
use crate::ledger::{self, NewEntry};
use crate::suppressions::{Stop, Stopped, one_at_a_time, stop_within};

/// Something to be read.
#[derive(Clone, Debug)]
pub struct NewReview {
    /// The message's id: it is kept once.
    pub wamid: String,
    /// What it seems to ask: `stop` or `start`.
    pub asks: &'static str,
    /// The words.
    pub said: String,
    /// Whom it means and by which evidence, JSON of the engine's.
    pub stop: String,
    /// Whose webhook it was.
    pub account_id: i64,
    /// The person, where known.
    pub contact_id: Option<i64>,
    /// The campaign it answers, where known.
    pub campaign_id: Option<i64>,
    /// When it was said.
    pub at: i64,
}

/// Something that was said, and what was decided of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewRow {
    /// Ours.
    pub id: i64,
    /// The message's id.
    pub wamid: String,
    /// What it seems to ask: `stop` or `start`.
    pub asks: String,
    /// The words.
    pub said: String,
    /// Whom it means and by which evidence, JSON of the engine's.
    pub stop: String,
    /// Whose webhook it was.
    pub account_id: i64,
    /// The person, where known.
    pub contact_id: Option<i64>,
    /// The campaign it answers, where known.
    pub campaign_id: Option<i64>,
    /// When it was said.
    pub at: i64,
    /// `confirmed` or `dismissed`; `None` while it waits.
    pub decided: Option<String>,
    /// By whom.
    pub decided_by: Option<String>,
    /// Why.
    pub decided_reason: Option<String>,
    /// When, epoch ms.
    pub decided_at: Option<i64>,
}

from_row!(ReviewRow {
    id,
    wamid,
    asks,
    said,
    stop,
    account_id,
    contact_id,
    campaign_id,
    at,
    decided,
    decided_by,
    decided_reason,
    decided_at
});

/// What somebody decides of a review.
#[derive(Debug)]
pub struct Decision<'a> {
    /// The review.
    pub id: i64,
    /// Who.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
    /// When, epoch ms.
    pub at: i64,
    /// The ledger's entry of it.
    pub evidence: NewEntry,
    /// What follows where it is confirmed; `None`: it is dismissed.
    pub stop: Option<Stop>,
}

const SELECT: &str = "SELECT id, wamid, asks, said, stop, account_id, contact_id, campaign_id, at, decided, decided_by,
    decided_reason, decided_at FROM reviews";

impl Store {
    /// Keeps what is to be read, each message once.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn keep_reviews(&self, reviews: &[NewReview]) -> Result<()> {
        if reviews.is_empty() {
            return Ok(());
        }
        let mut tx = self.write(Priority::Urgent).await?;
        // Doubtful words are rare: a statement for each.
        for review in reviews {
            on!(&mut tx, c => sqlx::query(
                "INSERT INTO reviews (wamid, asks, said, stop, account_id, contact_id, campaign_id, at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (wamid) DO NOTHING")
                .bind(&review.wamid).bind(review.asks).bind(&review.said).bind(&review.stop).bind(review.account_id)
                .bind(review.contact_id).bind(review.campaign_id).bind(review.at).execute(c).await.map(drop))?;
        }
        tx.commit().await
    }

    /// A page of what waits to be read after an id, oldest first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn open_reviews(&self, after: i64, limit: i64) -> Result<Vec<ReviewRow>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} WHERE decided IS NULL AND id > $1 ORDER BY id LIMIT $2"));
        Ok(on!(&mut link, c => sqlx::query_as(sql).bind(after).bind(limit).fetch_all(c).await)?)
    }

    /// A review, decided or not.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn review(&self, id: i64) -> Result<Option<ReviewRow>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} WHERE id = $1"));
        Ok(on!(&mut link, c => sqlx::query_as(sql).bind(id).fetch_optional(c).await)?)
    }

    /// Decides a review once, with what follows from it in the same transaction. `None`, and nothing done, where
    /// somebody was faster or there is no such review.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn decide_review(&self, decision: &Decision<'_>) -> Result<Option<Stopped>> {
        let mut tx = self.write(Priority::Urgent).await?;
        one_at_a_time(&mut tx).await?;
        let decided = if decision.stop.is_some() { "confirmed" } else { "dismissed" };
        let changed = on!(&mut tx, c => sqlx::query(
            "UPDATE reviews SET decided = $2, decided_by = $3, decided_reason = $4, decided_at = $5
             WHERE id = $1 AND decided IS NULL")
            .bind(decision.id).bind(decided).bind(decision.actor).bind(decision.reason).bind(decision.at)
            .execute(c).await.map(|done| done.rows_affected()))?;
        if changed == 0 {
            return Ok(None);
        }
        ledger::append(&mut tx, &decision.evidence).await?;
        let stopped = match &decision.stop {
            Some(stop) => stop_within(self, &mut tx, stop).await?,
            None => Stopped { contact_ids: Vec::new(), new: 0, evidence_id: None },
        };
        tx.commit().await?;
        Ok(Some(stopped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{NOW, Shop, stop_of};
    use crate::testing::{Database, entry, on_both_databases};

    fn review(wamid: &str) -> NewReview {
        NewReview {
            wamid: wamid.into(),
            asks: "stop",
            said: "cancel".into(),
            stop: "{}".into(),
            account_id: 1,
            contact_id: Some(1),
            campaign_id: None,
            at: NOW,
        }
    }

    fn decision(id: i64, stop: Option<Stop>) -> Decision<'static> {
        Decision { id, actor: "cli:mona", reason: "read it", at: NOW + 9, evidence: entry("review", NOW), stop }
    }

    on_both_databases! {
        async fn what_was_said_waits_once_and_is_decided_once(db: Database) {
            Shop::open(&db.store, 1).await.list("all", 1..=3, NOW).await;
            db.store.keep_reviews(&[review("a"), review("b"), review("a")]).await.unwrap();
            let open = db.store.open_reviews(0, 10).await.unwrap();
            assert_eq!(open.iter().map(|row| row.wamid.as_str()).collect::<Vec<_>>(), ["a", "b"]);
            let stopped = db.store.decide_review(&decision(open[0].id, Some(stop_of(1)))).await.unwrap().unwrap();
            assert_eq!(stopped.contact_ids, [1]);
            assert!(db.store.decide_review(&decision(open[0].id, None)).await.unwrap().is_none());
            assert!(db.store.decide_review(&decision(open[1].id, None)).await.unwrap().is_some());
            assert!(db.store.decide_review(&decision(99, None)).await.unwrap().is_none());
            assert!(db.store.open_reviews(0, 10).await.unwrap().is_empty());
            let row = db.store.review(open[0].id).await.unwrap().unwrap();
            assert_eq!((row.decided.as_deref(), row.decided_at), (Some("confirmed"), Some(NOW + 9)));
            assert_eq!(db.store.stopped_among(&[1, 2]).await.unwrap().len(), 1);
        }
    }
}
