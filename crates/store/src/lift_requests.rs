//! Lifts of a block that somebody of ours asks for: they wait until a second person decides.

use crate::db::{Priority, Store, on};
use crate::error::Result;
use crate::ledger::{self, NewEntry};

/// A lift that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiftRequestRow {
    /// Ours.
    pub id: i64,
    /// The person.
    pub contact_id: i64,
    /// Who asked.
    pub requested_by: String,
    /// Why.
    pub reason: String,
    /// When, epoch ms.
    pub at: i64,
    /// `approved` or `refused`; `None` while it waits.
    pub decided: Option<String>,
    /// By whom.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<i64>,
}

from_row!(LiftRequestRow { id, contact_id, requested_by, reason, at, decided, decided_by, decided_at });

impl Store {
    /// Asks for a lift. The one that waits already, if there is one.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn request_lift(&self, contact_id: i64, by: &str, reason: &str, now: i64) -> Result<LiftRequestRow> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "INSERT INTO lift_requests (contact_id, requested_by, reason, at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (contact_id) WHERE decided IS NULL DO NOTHING")
            .bind(contact_id).bind(by).bind(reason).bind(now).execute(c).await.map(drop))?;
        let row = on!(&mut tx, c => sqlx::query_as(
            "SELECT * FROM lift_requests WHERE contact_id = $1 AND decided IS NULL")
            .bind(contact_id).fetch_one(c).await)?;
        tx.commit().await?;
        Ok(row)
    }

    /// A lift that was asked for.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn lift_request(&self, id: i64) -> Result<Option<LiftRequestRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as("SELECT * FROM lift_requests WHERE id = $1")
            .bind(id).fetch_optional(c).await)?)
    }

    /// Lifts that wait, after an id: a page.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn open_lift_requests(&self, after: i64, limit: i64) -> Result<Vec<LiftRequestRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT * FROM lift_requests WHERE decided IS NULL AND id > $1 ORDER BY id LIMIT $2")
            .bind(after).bind(limit).fetch_all(c).await)?)
    }

    /// Decides a lift once: approved, the block is gone and the evidence in the ledger, in one transaction. `false`, and
    /// nothing done, where somebody was faster. A stop of the person's that was taken in after the lift was asked for
    /// stands.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn decide_lift(&self, id: i64, by: &str, evidence: Option<&NewEntry>, now: i64) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let decided = if evidence.is_some() { "approved" } else { "refused" };
        let contact_id: Option<i64> = on!(&mut tx, c => sqlx::query_scalar(
            "UPDATE lift_requests SET decided = $2, decided_by = $3, decided_at = $4
             WHERE id = $1 AND decided IS NULL AND requested_by <> $3 RETURNING contact_id")
            .bind(id).bind(decided).bind(by).bind(now).fetch_optional(c).await)?;
        let Some(contact_id) = contact_id else { return Ok(false) };
        if let Some(evidence) = evidence {
            let scopes: Vec<String> = on!(&mut tx, c => sqlx::query_scalar(
                "DELETE FROM suppressions WHERE contact_id = $1 AND source <> 'erasure'
                   AND since <= (SELECT at FROM lift_requests WHERE id = $2) RETURNING scope")
                .bind(contact_id).bind(id).fetch_all(c).await)?;
            crate::lifts::note_lifted(&mut tx, contact_id, &scopes, now).await?;
            ledger::append(&mut tx, &NewEntry { contact_id: Some(contact_id), ..evidence.clone() }).await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{NOW, Shop, stop_of};
    use crate::testing::{Database, entry, on_both_databases};

    on_both_databases! {
        async fn a_lift_takes_two_and_is_decided_once(db: Database) {
            Shop::open(&db.store, 1).await.list("all", 1..=2, NOW).await;
            db.store.stop(&stop_of(1)).await.unwrap();
            let asked = db.store.request_lift(1, "user:a", "asked by phone", NOW).await.unwrap();
            assert_eq!(db.store.request_lift(1, "user:b", "again", NOW + 1).await.unwrap(), asked);
            let lift = entry("lift", NOW);
            assert!(!db.store.decide_lift(asked.id, "user:a", Some(&lift), NOW + 2).await.unwrap(), "nobody alone");
            assert_eq!(db.store.stopped_among(&[1]).await.unwrap(), [1]);
            assert!(db.store.decide_lift(asked.id, "user:b", Some(&lift), NOW + 2).await.unwrap());
            assert!(!db.store.decide_lift(asked.id, "user:c", None, NOW + 3).await.unwrap());
            assert!(db.store.stopped_among(&[1]).await.unwrap().is_empty());
            assert!(db.store.open_lift_requests(0, 9).await.unwrap().is_empty());
            db.store.stop(&stop_of(1)).await.unwrap();
            assert!(db.store.stopped_among(&[1]).await.unwrap().is_empty(), "said before the lift, and come again");
        }

        async fn a_stop_that_is_said_again_outruns_the_lift_that_was_asked_for_before(db: Database) {
            Shop::open(&db.store, 1).await.list("all", 1..=2, NOW).await;
            db.store.stop(&stop_of(1)).await.unwrap();
            let asked = db.store.request_lift(1, "user:a", "asked by phone", NOW + 1).await.unwrap();
            db.store.stop(&stop_of(1)).await.unwrap();
            assert_eq!(db.store.open_lift_requests(0, 9).await.unwrap().len(), 1, "the same stop once more is no new one");
            db.store.stop(&crate::Stop { at: NOW + 2, ..stop_of(1) }).await.unwrap();
            assert!(db.store.open_lift_requests(0, 9).await.unwrap().is_empty());
            assert!(!db.store.decide_lift(asked.id, "user:b", Some(&entry("lift", NOW)), NOW + 3).await.unwrap());
            // A wider stop that came after the lift was asked for stands, whatever becomes of the older one.
            let asked = db.store.request_lift(1, "user:a", "by letter", NOW + 5).await.unwrap();
            let wider = crate::Stop { at: NOW + 6, scope: domain::optout::scope::Scope::All, ..stop_of(1) };
            db.store.stop(&wider).await.unwrap();
            assert!(db.store.decide_lift(asked.id, "user:b", Some(&entry("lift", NOW)), NOW + 7).await.unwrap());
            assert_eq!(db.store.stopped_among(&[1]).await.unwrap(), [1]);
        }
    }
}
