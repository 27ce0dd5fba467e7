//! How far stops reach: what an operator set for each way they come, and which business number is of which brand.

use domain::optout::scope::{Reach, Scope, Way};

use crate::db::{Priority, Store, on};
use crate::error::Result;
use crate::ledger::{self, NewEntry};

/// Stops that are carried from a brand to a number in one transaction.
const CARRIED_AT_ONCE: i64 = 500;

/// How far stops of one way reach, as somebody set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachRow {
    /// The way's name.
    pub way: String,
    /// The reach's name.
    pub reach: String,
    /// Who set it.
    pub actor: String,
    /// When, epoch ms.
    pub at: i64,
}

from_row!(ReachRow { way, reach, actor, at });

impl Store {
    /// What was set, by way.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn reaches(&self) -> Result<Vec<ReachRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as("SELECT way, reach, actor, at FROM stop_reaches ORDER BY way")
            .fetch_all(c).await)?)
    }

    /// Sets how far stops of a way reach from now on, with the ledger's entry of it.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_reach(&self, way: Way, reach: Reach, actor: &str, at: i64, evidence: &NewEntry) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "INSERT INTO stop_reaches (way, reach, actor, at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (way) DO UPDATE SET reach = excluded.reach, actor = excluded.actor, at = excluded.at")
            .bind(way.as_str()).bind(reach.as_str()).bind(actor).bind(at).execute(c).await.map(drop))?;
        ledger::append(&mut tx, evidence).await?;
        tx.commit().await
    }

    /// Lets every stop for a brand hold for one business number as well, with the same evidence, in chunks: so that it
    /// goes on to hold when the number is of the brand no longer. How many did not before.
    ///
    /// # Errors
    /// As every read and write; what was carried until then stays.
    #[crate::boxed]
    pub async fn stop_number_for_brand(&self, phone_number_id: &str, brand: &str) -> Result<u64> {
        let (number, brand) = (Scope::Number(phone_number_id.to_owned()), Scope::Brand(brand.to_owned()));
        let (number, brand) = (number.to_string(), brand.to_string());
        let (mut after, mut carried) = (0, 0);
        loop {
            let mut link = self.read().await?;
            let people: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
                "SELECT contact_id FROM suppressions WHERE contact_id > $1 AND scope = $2 ORDER BY contact_id LIMIT $3")
                .bind(after).bind(&brand).bind(CARRIED_AT_ONCE).fetch_all(c).await)?;
            drop(link);
            let Some(last) = people.last() else { return Ok(carried) };
            after = *last;
            let mut tx = self.write(Priority::Soon).await?;
            let sql = tx.pick(
                "INSERT INTO suppressions (contact_id, scope, since, source, campaign_id, evidence_id)
                 SELECT p.contact_id, $3, p.since, p.source, p.campaign_id, p.evidence_id
                 FROM json_each($1) j CROSS JOIN suppressions p ON p.contact_id = j.value AND p.scope = $2
                 WHERE true ON CONFLICT (contact_id, scope) DO NOTHING",
                "INSERT INTO suppressions (contact_id, scope, since, source, campaign_id, evidence_id)
                 SELECT p.contact_id, $3, p.since, p.source, p.campaign_id, p.evidence_id FROM suppressions p
                 WHERE p.contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text($1::jsonb))::bigint)) AND p.scope = $2
                 ORDER BY p.contact_id ON CONFLICT (contact_id, scope) DO NOTHING",
            );
            let json = serde_json::to_string(&people)?;
            let new = on!(&mut tx, c => sqlx::query(sql).bind(json).bind(&brand).bind(&number)
                .execute(c).await.map(|done| done.rows_affected()))?;
            if new > 0 {
                crate::planning::note_carried(&mut tx).await?;
            }
            tx.commit().await?;
            carried += new;
        }
    }

    /// Says of which brand a business number is (`None`: of none), with the ledger's entry of it. In force from the next
    /// claim on. `false`, and nothing done, when there is no such number.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_number_brand(
        &self,
        phone_number_id: &str,
        brand: Option<&str>,
        evidence: &NewEntry,
    ) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let changed = on!(&mut tx, c => sqlx::query("UPDATE numbers SET brand = $2 WHERE phone_number_id = $1")
            .bind(phone_number_id).bind(brand).execute(c).await.map(|done| done.rows_affected()))?;
        if changed == 0 {
            return Ok(false);
        }
        ledger::append(&mut tx, evidence).await?;
        tx.commit().await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{NOW, Shop, number_of, stop_of};
    use crate::suppressions::Stop;
    use crate::testing::{Database, entry, on_both_databases};

    on_both_databases! {
        async fn what_is_set_is_kept_once_for_each_way_and_is_in_the_ledger(db: Database) {
            Shop::open(&db.store, 1).await;
            for reach in [Reach::Brand, Reach::All] {
                db.store.set_reach(Way::Text, reach, "cli:mona", NOW, &entry("scope", NOW)).await.unwrap();
            }
            let rows = db.store.reaches().await.unwrap();
            assert_eq!((rows.len(), rows[0].way.as_str(), rows[0].reach.as_str()), (1, "text", "all"));
            assert!(db.store.set_number_brand("pnid-0", Some("Nile"), &entry("scope", NOW)).await.unwrap());
            assert!(!db.store.set_number_brand("nobody's", Some("Nile"), &entry("scope", NOW)).await.unwrap());
            assert_eq!(db.store.numbers().await.unwrap()[0].brand.as_deref(), Some("Nile"));
            assert_eq!(number_of(&db.store, "SELECT count(*) FROM ledger WHERE kind = 'scope'").await, 3);
        }

        async fn stops_for_a_brand_are_carried_to_a_number_with_their_evidence_and_once(db: Database) {
            Shop::open(&db.store, 1).await.list("everybody", 1..=5, NOW - 1).await;
            let brand = |name: &str| Scope::Brand(name.to_owned());
            for person in 1..=5 {
                let scope = if person == 3 { brand("Delta") } else { brand("Nile") };
                db.store.stop(&Stop { scope, ..stop_of(person) }).await.unwrap();
            }
            let own = Stop { scope: Scope::Number("pnid-0".to_owned()), ..stop_of(5) };
            db.store.stop(&own).await.unwrap();
            assert_eq!(db.store.stop_number_for_brand("pnid-0", "Nile").await.unwrap(), 3);
            assert_eq!(db.store.stop_number_for_brand("pnid-0", "Nile").await.unwrap(), 0, "a second time");
            assert_eq!(db.store.stop_number_for_brand("pnid-0", "Amazon").await.unwrap(), 0);
            let carried = "SELECT count(*) FROM suppressions n JOIN suppressions b
                ON b.contact_id = n.contact_id AND b.scope = 'brand:Nile' AND b.evidence_id = n.evidence_id
                   AND b.since = n.since AND b.source = n.source
                WHERE n.scope = 'number:pnid-0'";
            assert_eq!(number_of(&db.store, carried).await, 3);
            assert_eq!(number_of(&db.store, "SELECT count(*) FROM suppressions").await, 9);
        }
    }
}
