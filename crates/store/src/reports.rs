//! What a campaign came to, for its report: its sends page by page with what was said of them, and the sums that the
//! engine keeps so that no page view goes through them again.

use crate::db::{Priority, Store, on};
use crate::error::Result;

/// A send as a report counts it.
#[derive(Clone, Debug)]
pub struct ReportRow {
    /// The person.
    pub contact_id: i64,
    /// [`domain::send::SendState`] as its number.
    pub state: i16,
    /// How often it was claimed.
    pub attempt: i64,
    /// When Meta accepted it.
    pub accepted_at: Option<i64>,
    /// When it was sent.
    pub sent_at: Option<i64>,
    /// When it was delivered.
    pub delivered_at: Option<i64>,
    /// When it was read.
    pub read_at: Option<i64>,
    /// Meta's last error code.
    pub code: Option<i64>,
    /// Our word for why it is where it is.
    pub reason: Option<String>,
    /// What Meta said of its price, as [`domain::pricing::Billed::code`].
    pub billed: Option<i16>,
    /// The person's number, digits.
    pub phone: Option<i64>,
    /// Since when a stop stands that the person said to this campaign.
    pub opted_out_at: Option<i64>,
}

from_row!(ReportRow {
    contact_id,
    state,
    attempt,
    accepted_at,
    sent_at,
    delivered_at,
    read_at,
    code,
    reason,
    billed,
    phone,
    opted_out_at
});

/// What somebody answered to a campaign.
#[derive(Clone, Debug)]
pub struct ReplyRow {
    /// The person.
    pub contact_id: i64,
    /// `button`, `text`, …
    pub kind: String,
    /// What it says, JSON.
    pub detail: String,
    /// When it was sent.
    pub at: i64,
}

from_row!(ReplyRow { contact_id, kind, detail, at });

/// A campaign's sums as they were last counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSums {
    /// When.
    pub as_of: i64,
    /// How long that took, ms.
    pub took: i64,
    /// What stood in the tallies, and whatever else they rest on.
    pub stamp: String,
    /// The sums, JSON.
    pub sums: String,
}

from_row!(KeptSums { as_of, took, stamp, sums });

impl Store {
    /// A page of a campaign's sends for its report, after a contact id and in its order.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn report_page(&self, campaign_id: i64, after: i64, limit: i64) -> Result<Vec<ReportRow>> {
        let mut link = self.read().await?;
        // Not joined: see `export_page`.
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT s.contact_id, s.state, s.attempt, s.accepted_at, s.sent_at, s.delivered_at, s.read_at, s.code,
                    s.reason, s.billed, (SELECT c.phone FROM contacts c WHERE c.id = s.contact_id) AS phone,
                    (SELECT min(p.since) FROM suppressions p
                     WHERE p.contact_id = s.contact_id AND p.campaign_id = s.campaign_id) AS opted_out_at
             FROM sends s WHERE s.campaign_id = $1 AND s.contact_id > $2 ORDER BY s.contact_id LIMIT $3")
            .bind(campaign_id).bind(after).bind(limit).fetch_all(c).await)?)
    }

    /// What the people of a page answered to its campaign: those after one contact id, up to another.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn replies_between(&self, campaign_id: i64, after: i64, through: i64) -> Result<Vec<ReplyRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT contact_id, kind, detail, at FROM inbound
             WHERE campaign_id = $1 AND contact_id > $2 AND contact_id <= $3 AND NOT inferred ORDER BY contact_id, wamid")
            .bind(campaign_id).bind(after).bind(through).fetch_all(c).await)?)
    }

    /// The sums of a campaign as they were last counted.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn kept_sums(&self, campaign_id: i64) -> Result<Option<KeptSums>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT as_of, took, stamp, sums FROM campaign_sums WHERE campaign_id = $1")
            .bind(campaign_id).fetch_optional(c).await)?)
    }

    /// Keeps a campaign's sums. Of two processes that counted, the later count stays.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn keep_sums(&self, campaign_id: i64, kept: &KeptSums) -> Result<()> {
        let mut tx = self.write(Priority::Bulk).await?;
        on!(&mut tx, c => sqlx::query(
            "INSERT INTO campaign_sums (campaign_id, as_of, took, stamp, sums) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (campaign_id) DO UPDATE SET as_of = excluded.as_of, took = excluded.took,
                 stamp = excluded.stamp, sums = excluded.sums
             WHERE campaign_sums.as_of <= excluded.as_of")
            .bind(campaign_id).bind(kept.as_of).bind(kept.took).bind(&kept.stamp).bind(&kept.sums)
            .execute(c).await.map(drop))?;
        tx.commit().await
    }
}

#[cfg(test)]
mod tests {
    use domain::send::{Current, SendEvent, Status};

    use super::*;
    use crate::fixture::{NOW, Shop, exec, stop_of};
    use crate::testing::{Database, on_both_databases};
    use crate::{Happening, NewInbound, Stop};

    fn reply(wamid: &str, contact_id: i64, campaign_id: Option<i64>) -> NewInbound {
        NewInbound {
            wamid: wamid.into(),
            account_id: 1,
            number_id: None,
            contact_id: Some(contact_id),
            campaign_id,
            kind: "text".into(),
            detail: "{}".into(),
            opens: true,
            at: NOW,
            received_at: NOW,
            ..NewInbound::default()
        }
    }

    on_both_databases! {
        async fn a_page_has_each_send_with_its_price_its_person_and_the_stop_that_was_said_to_this_campaign(db: Database) {
            let shop = Shop::open(&db.store, 1).await;
            let campaign = shop.campaign_to(5).await;
            let lane = shop.lane().await;
            let claimed = lane.claim(campaign, 5).await;
            let accepted = claimed.iter().map(|send| Happening {
                wamid: Some(format!("wamid.{}", send.contact_id)),
                ..Happening::new((campaign, send.contact_id), Some(1), SendEvent::Accepted, NOW)
            });
            db.store.apply(Priority::Urgent, &accepted.collect::<Vec<_>>()).await.unwrap();
            let said = |person: i64, status, billed, at| Happening {
                billed,
                ..Happening::new((campaign, person), Some(1), SendEvent::Status(status, Current::Yes), at)
            };
            let told = [
                said(1, Status::Sent, Some(3), NOW + 1),
                said(1, Status::Delivered, None, NOW + 2),
                said(2, Status::Delivered, Some(6), NOW + 3),
            ];
            assert!(db.store.apply_progress(Priority::Urgent, &told).await.unwrap().is_empty());
            db.store.stop(&Stop { campaign_id: Some(campaign), ..stop_of(2) }).await.unwrap();
            db.store.stop(&stop_of(3)).await.unwrap();
            db.store.keep_inbound(&[reply("a", 2, Some(campaign)), reply("b", 2, None), reply("c", 4, Some(campaign)), reply("d", 4, Some(campaign + 1))]).await.unwrap();

            let page = db.store.report_page(campaign, 0, 3).await.unwrap();
            let told: Vec<_> = page
                .iter()
                .map(|row| (row.contact_id, row.delivered_at, row.billed, row.opted_out_at.is_some()))
                .collect();
            assert_eq!(
                told,
                [(1, Some(NOW + 2), Some(3), false), (2, Some(NOW + 3), Some(6), true), (3, None, None, false)]
            );
            assert_eq!(page[0].phone, Some(15_550_000_001));
            assert_eq!(db.store.report_page(campaign, 3, 3).await.unwrap().len(), 2);
            let replies = |after, through| db.store.replies_between(campaign, after, through);
            let people = |replies: Vec<ReplyRow>| replies.iter().map(|reply| reply.contact_id).collect::<Vec<_>>();
            assert_eq!(people(replies(0, 3).await.unwrap()), [2]);
            assert_eq!(people(replies(3, 9).await.unwrap()), [4]);
        }

        async fn what_was_said_of_a_price_belongs_to_its_attempt(db: Database) {
            let shop = Shop::open(&db.store, 1).await;
            let campaign = shop.campaign_to(1).await;
            let lane = shop.lane().await;
            lane.claim(campaign, 1).await;
            let status = |status, billed| Happening {
                billed,
                wamid: Some("wamid.1".into()),
                not_before: Some(NOW + 9),
                ..Happening::new((campaign, 1), Some(1), SendEvent::Status(status, Current::Yes), NOW)
            };
            db.store.apply(Priority::Urgent, &[status(Status::Sent, Some(3))]).await.unwrap();
            assert_eq!(crate::fixture::send(&db.store, campaign, 1).await.billed, Some(3));
            db.store.apply(Priority::Urgent, &[status(Status::Failed { later: true }, None)]).await.unwrap();
            assert_eq!(crate::fixture::send(&db.store, campaign, 1).await.billed, None, "a new attempt begins");
        }

        async fn the_later_count_stays(db: Database) {
            let shop = Shop::open(&db.store, 1).await;
            let campaign = shop.campaign_to(1).await;
            let kept = |as_of| KeptSums { as_of, took: 3, stamp: format!("{as_of}"), sums: "{}".into() };
            assert_eq!(db.store.kept_sums(campaign).await.unwrap(), None);
            for as_of in [5, 9, 7] {
                db.store.keep_sums(campaign, &kept(as_of)).await.unwrap();
            }
            assert_eq!(db.store.kept_sums(campaign).await.unwrap(), Some(kept(9)));
            exec(&db.store, "DELETE FROM campaign_sums").await;
        }
    }
}
