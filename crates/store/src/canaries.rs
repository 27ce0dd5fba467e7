//! Canaries: how far a campaign may be fed while its first people alone are written to, and how that stands.

use domain::campaign::CampaignState;
use domain::canary::Tally;

use crate::campaigns::CampaignRow;
use crate::db::{Priority, Store, on};
use crate::error::{Error, Result};

/// `campaigns.canary_state` while the others are held back.
const ON: i16 = 0;
/// They may go.
const PASSED: i16 = 1;
/// They may not, until a person says otherwise.
const FAILED: i16 = 2;

impl CampaignRow {
    /// The canary that goes first, if there is one.
    ///
    /// # Errors
    /// [`Error::Bug`] for a text that we did not write.
    pub fn canary(&self) -> Result<Option<domain::canary::Canary>> {
        let read = |text: &String| serde_json::from_str(text).map_err(|_| Error::bug(format!("a canary {text:?}")));
        self.terms.canary.as_ref().map(read).transpose()
    }

    /// Whether everybody but its canary is held back.
    #[must_use]
    pub fn is_held_back(&self) -> bool {
        self.canary_state == Some(ON)
    }

    /// `waiting`, `passed` or `failed`, where it has a canary.
    #[must_use]
    pub fn canary_word(&self) -> Option<&'static str> {
        match self.canary_state? {
            ON => Some("waiting"),
            PASSED => Some("passed"),
            _ => Some("failed"),
        }
    }
}

impl Store {
    /// Says who is of the canary: the first so many people of a campaign who are to get it. Nothing of it is fed before.
    /// `false`: too few are planned yet to say.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn bound_canary(&self, campaign: &CampaignRow, people: i64) -> Result<bool> {
        let mut link = self.read().await?;
        let last: Option<i64> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT contact_id FROM sends WHERE campaign_id = $1 AND state = 0
             ORDER BY contact_id LIMIT 1 OFFSET $2")
            .bind(campaign.id).bind(people.max(1) - 1).fetch_optional(c).await)?;
        drop(link);
        let through = match last {
            Some(last) => last,
            // All of them are of the canary.
            None if campaign.planned => campaign.planned_through,
            None => return Ok(false),
        };
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "UPDATE campaigns SET canary_through = $2 WHERE id = $1 AND canary_state = 0 AND canary_through IS NULL")
            .bind(campaign.id).bind(through).execute(c).await.map(drop))?;
        tx.commit().await?;
        Ok(true)
    }

    /// How the people of a canary stand who were to get the campaign.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn canary_tally(&self, campaign_id: i64, through: i64) -> Result<Tally> {
        let mut link = self.read().await?;
        let row: (i64, i64, i64, i64, Option<i64>) = on!(&mut link, c => sqlx::query_as(
            "SELECT count(*), CAST(coalesce(sum(CASE WHEN s.state IN (0, 1, 2) THEN 1 ELSE 0 END), 0) AS BIGINT),
                    CAST(coalesce(sum(CASE WHEN s.state = 7 THEN 1 ELSE 0 END), 0) AS BIGINT),
                    CAST(coalesce(sum(CASE WHEN (SELECT max(p.since) FROM suppressions p WHERE p.contact_id = s.contact_id)
                        >= s.claimed_at THEN 1 ELSE 0 END), 0) AS BIGINT),
                    max(s.accepted_at)
             FROM sends s WHERE s.campaign_id = $1 AND s.contact_id <= $2 AND s.state <> 8")
            .bind(campaign_id).bind(through).fetch_one(c).await)?;
        let (people, open, failed, opted_out, last_at) = row;
        Ok(Tally { people, open, failed, opted_out, last_at })
    }

    /// Lets the others follow. `false`: the canary was over already.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn pass_canary(&self, campaign_id: i64) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let ended = on!(&mut tx, c => sqlx::query(
            "UPDATE campaigns SET canary_state = $2 WHERE id = $1 AND canary_state = 0")
            .bind(campaign_id).bind(PASSED)
            .execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(ended > 0)
    }

    /// Ends a canary that failed and pauses its campaign with the reason, both or neither: a campaign whose canary is over
    /// and that runs writes to everybody. `false`: it was over already, or the campaign is.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn fail_canary(&self, campaign_id: i64, reason: &str) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let ended = on!(&mut tx, c => sqlx::query(
            "UPDATE campaigns SET canary_state = $2, state = $3, reason = $4
             WHERE id = $1 AND canary_state = 0 AND state IN ($3, $5)")
            .bind(campaign_id).bind(FAILED).bind(i16::from(CampaignState::Paused)).bind(reason)
            .bind(i16::from(CampaignState::Running))
            .execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(ended > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Claim;
    use crate::fixture::{Lane, NOW, Shop, exec, ids};
    use crate::testing::{Database, on_both_databases};

    const CANARY: &str = r#"{"size":"3","wait":60000,"most_failed":5.0,"most_opted_out":1.0}"#;

    on_both_databases! {
        async fn nobody_beyond_the_canary_is_fed_until_it_has_passed(db: Database) {
            let shop = Shop::open(&db.store, 1).await;
            let list = shop.list("all", 1..=10, NOW - 1).await;
            let campaign = shop.campaign("news", &[list]).await;
            exec(&db.store, format!("UPDATE sends SET state = 8 WHERE campaign_id = {campaign} AND contact_id = 2")).await;
            exec(&db.store, format!("UPDATE campaigns SET canary = '{CANARY}', canary_state = 0 WHERE id = {campaign}"))
                .await;
            let number = shop.numbers[0];
            let next = async || db.store.next_batch(campaign, number, 100, NOW).await.unwrap();
            assert!(next().await.is_none(), "nobody, before it is known who is of it");
            let row = db.store.campaign(campaign).await.unwrap().unwrap();
            assert!(row.is_held_back() && row.canary().unwrap().is_some());
            assert!(db.store.bound_canary(&row, 3).await.unwrap());
            let lane = Lane::take(&db.store, number, "one").await;
            let batch = next().await.expect("the canary");
            let claim = db.store.claim(&lane.order(&batch, 0, 100, NOW)).await.unwrap();
            let Claim::Made { sends, .. } = claim else { panic!("{claim:?}") };
            assert_eq!(ids(&sends), [1, 3, 4], "three who are to get it");
            db.store.refeed(campaign, number).await.unwrap();
            assert!(next().await.is_none(), "nor by looking from the start again");
            exec(&db.store, format!("UPDATE sends SET state = 3, accepted_at = {NOW} WHERE campaign_id = {campaign} AND contact_id = 1")).await;
            exec(&db.store, format!("UPDATE sends SET state = 7 WHERE campaign_id = {campaign} AND contact_id = 3")).await;
            exec(&db.store, format!("INSERT INTO suppressions (contact_id, scope, since, source) VALUES (1, 'all', {NOW}, 'text')"))
                .await;
            // One person may be suppressed as far as several scopes reach.
            exec(&db.store, format!("INSERT INTO suppressions (contact_id, scope, since, source) VALUES (1, 'marketing', {NOW} - 1, 'text')"))
                .await;
            let tally = db.store.canary_tally(campaign, 4).await.unwrap();
            assert_eq!(tally, Tally { people: 3, open: 1, failed: 1, opted_out: 1, last_at: Some(NOW) });
            assert!(db.store.pass_canary(campaign).await.unwrap());
            assert!(!db.store.fail_canary(campaign, "late").await.unwrap(), "it is over");
            assert_eq!(next().await.map(|batch| (batch.lo, batch.hi)), Some((5, 10)));
        }

        async fn a_canary_that_fails_pauses_its_campaign_in_the_same_write(db: Database) {
            let shop = Shop::open(&db.store, 1).await;
            let list = shop.list("all", 1..=10, NOW - 1).await;
            let campaign = shop.campaign("news", &[list]).await;
            let set = async |state: CampaignState| {
                let (id, state) = (campaign, i16::from(state));
                exec(&db.store, format!("UPDATE campaigns SET canary_state = 0, state = {state}, reason = 'by hand' WHERE id = {id}"))
                    .await;
            };
            for state in [CampaignState::Running, CampaignState::Paused] {
                set(state).await;
                assert!(db.store.fail_canary(campaign, "too many failed").await.unwrap());
                let row = db.store.campaign(campaign).await.unwrap().unwrap();
                assert_eq!((row.state().unwrap(), row.reason.as_deref()), (CampaignState::Paused, Some("too many failed")));
                assert!(!row.is_held_back(), "a person may go on");
                assert!(!db.store.pass_canary(campaign).await.unwrap(), "it is over");
            }
            // One that was cancelled meanwhile stays what it is.
            set(CampaignState::Cancelled).await;
            assert!(!db.store.fail_canary(campaign, "too many failed").await.unwrap());
            let row = db.store.campaign(campaign).await.unwrap().unwrap();
            assert_eq!((row.state().unwrap(), row.reason.as_deref()), (CampaignState::Cancelled, Some("by hand")));
        }
    }
}
