//! Who was left out of a campaign, and what was sent after a stop: what an auditor asks.

use std::sync::LazyLock;

use crate::db::{Store, on};
use crate::error::Result;
use crate::suppressions::FORBIDS;

/// Somebody whom a campaign left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExclusionRow {
    /// The person.
    pub contact_id: i64,
    /// The number's digits, where there is one.
    pub phone: Option<i64>,
    /// Why.
    pub reason: Option<String>,
    /// When the claim found it; `None`: it was found when the audience was planned.
    pub claimed_at: Option<i64>,
    /// The ledger entry of the widest block that forbids it, where one stands now.
    pub evidence_id: Option<i64>,
    /// That block's scope.
    pub scope: Option<String>,
}

from_row!(ExclusionRow { contact_id, phone, reason, claimed_at, evidence_id, scope });

/// A message that Meta took after a stop of its person was recorded, and before any lift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AfterStopRow {
    /// The person.
    pub contact_id: i64,
    /// The number's digits, where there is one.
    pub phone: Option<i64>,
    /// When the attempt was claimed, epoch ms.
    pub claimed_at: Option<i64>,
    /// When Meta took it, epoch ms.
    pub accepted_at: i64,
    /// When the stop was recorded, epoch ms.
    pub stopped_at: i64,
    /// What the ledger keeps of the stop, JSON; empty where it was erased.
    pub detail: String,
    /// The business number that sent, by Meta's id.
    pub phone_number_id: String,
    /// Its brand.
    pub brand: Option<String>,
    /// The stop's ledger entry.
    pub evidence_id: i64,
}

from_row!(AfterStopRow {
    contact_id,
    phone,
    claimed_at,
    accepted_at,
    stopped_at,
    detail,
    phone_number_id,
    brand,
    evidence_id
});

impl Store {
    /// Whom a campaign left out, by person after a contact id: a page.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn exclusions(&self, campaign_id: i64, after: i64, limit: i64) -> Result<Vec<ExclusionRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(sqlx::AssertSqlSafe(LEFT_OUT.as_str()))
            .bind(campaign_id).bind(after).bind(limit).fetch_all(c).await)?)
    }

    /// Messages of a campaign that Meta took after a stop, by person after a contact id: a page of so many people, each
    /// with every such stop of theirs, the last first; its scope says whether it forbade the message. Judged by the
    /// ledger's own entries, so that a block which was lifted since is found, too.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn sent_after_stop(&self, campaign_id: i64, after: i64, limit: i64) -> Result<Vec<AfterStopRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "WITH stopped AS (
                 SELECT s.contact_id, s.number_id, s.claimed_at, s.accepted_at, l.at AS stopped_at, l.id, l.detail,
                        dense_rank() OVER (ORDER BY s.contact_id) AS place
                 FROM sends s
                 JOIN ledger l ON l.contact_id = s.contact_id AND l.kind = 'opt-out' AND l.at < s.accepted_at
                 WHERE s.campaign_id = $1 AND s.contact_id > $2
                   AND NOT EXISTS (SELECT 1 FROM ledger x WHERE x.contact_id = s.contact_id AND x.at >= l.at
                                   AND x.kind = 'lift' AND x.at <= s.accepted_at))
             SELECT s.contact_id, c.phone, s.claimed_at, s.accepted_at, s.stopped_at, s.id AS evidence_id, s.detail,
                    n.phone_number_id, n.brand
             FROM stopped s JOIN numbers n ON n.id = s.number_id LEFT JOIN contacts c ON c.id = s.contact_id
             WHERE s.place <= $3 ORDER BY s.contact_id, s.id DESC")
            .bind(campaign_id).bind(after).bind(limit).fetch_all(c).await)?)
    }
}

/// Whom a campaign left out. The widest block that forbids the message tells why.
static LEFT_OUT: LazyLock<String> = LazyLock::new(|| {
    let widest = |column: &str| {
        format!(
            "(SELECT p.{column} FROM suppressions p WHERE p.contact_id = s.contact_id AND {FORBIDS}
              ORDER BY CASE p.scope WHEN 'all' THEN 0 WHEN 'marketing' THEN 1 ELSE 2 END, p.scope LIMIT 1) AS {column}"
        )
    };
    format!(
        "SELECT s.contact_id, c.phone, s.reason, s.claimed_at, {}, {}
         FROM sends s JOIN campaigns k ON k.id = s.campaign_id LEFT JOIN templates t ON t.id = k.template_id
         JOIN numbers n ON n.id = s.number_id LEFT JOIN contacts c ON c.id = s.contact_id
         WHERE s.campaign_id = $1 AND s.contact_id > $2 AND s.state = 8 ORDER BY s.contact_id LIMIT $3",
        widest("evidence_id"),
        widest("scope")
    )
});

#[cfg(test)]
mod tests {
    use crate::fixture::{NOW, Shop, exec, stop_of};
    use crate::testing::{Database, on_both_databases};

    on_both_databases! {
        async fn whom_a_campaign_left_out_is_told_with_when_it_was_found(db: Database) {
            let shop = Shop::open(&db.store, 1).await;
            let list = shop.list("everybody", 1..=4, NOW - 1).await;
            db.store.stop(&stop_of(1)).await.unwrap();
            let campaign = shop.campaign("news", &[list]).await;
            let lane = shop.lane().await;
            let batch = lane.batch(campaign, 10).await;
            db.store.stop(&stop_of(3)).await.unwrap();
            assert_eq!(crate::fixture::made(lane.try_claim(&batch, 10, NOW + 7).await).len(), 2);
            let rows = db.store.exclusions(campaign, 0, 10).await.unwrap();
            let told: Vec<_> = rows.iter().map(|row| (row.contact_id, row.reason.as_deref(), row.claimed_at)).collect();
            assert_eq!(told, [(1, Some("opted-out"), None), (3, Some("opted-out"), Some(NOW + 7))]);
            assert!(rows.iter().all(|row| row.evidence_id.is_some()));
            assert_eq!(db.store.exclusions(campaign, 1, 10).await.unwrap().len(), 1);
        }

        async fn a_message_after_a_stop_is_found_and_one_after_a_lift_is_not(db: Database) {
            let shop = Shop::open(&db.store, 1).await;
            let campaign = shop.campaign_to(3).await;
            db.store.stop(&stop_of(1)).await.unwrap();
            db.store.stop(&stop_of(2)).await.unwrap();
            exec(&db.store, format!("UPDATE sends SET state = 3, claimed_at = {NOW}, accepted_at = {NOW} + 50")).await;
            exec(&db.store, format!("UPDATE sends SET accepted_at = {NOW} - 50 WHERE contact_id = 2")).await;
            let rows = db.store.sent_after_stop(campaign, 0, 10).await.unwrap();
            let stopped_at = crate::fixture::number_of(&db.store, "SELECT min(at) FROM ledger").await;
            let told: Vec<_> = rows.iter().map(|row| (row.contact_id, row.accepted_at, row.stopped_at)).collect();
            assert!(told.contains(&(1, NOW + 50, stopped_at)), "{told:?}");
            let mut lifted = crate::testing::entry("lift", NOW);
            (lifted.contact_id, lifted.at) = (Some(1), stopped_at + 1);
            db.store.append_entry(&lifted).await.unwrap();
            let rows = db.store.sent_after_stop(campaign, 0, 10).await.unwrap();
            assert!(rows.iter().all(|row| row.contact_id != 1));
        }
    }
}
