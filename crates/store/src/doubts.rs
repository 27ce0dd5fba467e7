//! Sends in doubt, as a person looks at them, and claims that outlived their owner.

use crate::db::{Priority, Store, on};
use crate::error::Result;
use crate::ledger::{self, NewEntry};
use crate::sends::{Applied, Happening, apply_within};

/// Which sends in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoubtFilter {
    /// Only those of this campaign.
    pub campaign_id: Option<i64>,
    /// Only those of this business number (our id).
    pub number_id: Option<i64>,
    /// Only those that were claimed by this time, epoch ms.
    pub claimed_by: i64,
}

impl DoubtFilter {
    /// All there are.
    pub const ALL: Self = Self { campaign_id: None, number_id: None, claimed_by: i64::MAX };
}

/// A place in the order of doubts: when it was claimed, its campaign, its person.
pub type DoubtPlace = (i64, i64, i64);

/// A send in doubt.
#[derive(Clone, Debug)]
pub struct Doubt {
    /// The campaign.
    pub campaign_id: i64,
    /// Its name.
    pub campaign: String,
    /// The person.
    pub contact_id: i64,
    /// The person's number, digits.
    pub phone: Option<i64>,
    /// Meta's id of the business number.
    pub phone_number_id: String,
    /// The attempt in doubt.
    pub attempt: i64,
    /// When it was claimed.
    pub claimed_at: Option<i64>,
    /// What is known of why.
    pub reason: Option<String>,
}

from_row!(Doubt { campaign_id, campaign, contact_id, phone, phone_number_id, attempt, claimed_at, reason });

/// A claim whose owner is gone.
#[derive(Clone, Debug)]
pub struct Orphan {
    /// The campaign.
    pub campaign_id: i64,
    /// The person.
    pub contact_id: i64,
    /// The attempt that was claimed.
    pub attempt: i64,
    /// In which term of the lane.
    pub term: Option<i64>,
    /// When, by the wall clock of whoever claimed it.
    pub claimed_at: Option<i64>,
}

from_row!(Orphan { campaign_id, contact_id, attempt, term, claimed_at });

impl Store {
    /// A page of the sends in doubt, oldest first, after a place in that order.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn doubts(&self, filter: &DoubtFilter, after: Option<DoubtPlace>, limit: i64) -> Result<Vec<Doubt>> {
        let (at, campaign, contact) = after.unwrap_or((i64::MIN, 0, 0));
        let mut link = self.read().await?;
        // Ids begin with 1: 0 stands for all of them.
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT s.campaign_id, k.name AS campaign, s.contact_id, p.phone, n.phone_number_id, s.attempt,
                    s.claimed_at, s.reason
             FROM sends s JOIN campaigns k ON k.id = s.campaign_id JOIN contacts p ON p.id = s.contact_id
             JOIN numbers n ON n.id = s.number_id
             WHERE s.doubt_since IS NOT NULL AND (s.campaign_id = $1 OR $1 = 0) AND (s.number_id = $2 OR $2 = 0)
               AND s.doubt_since <= $3 AND (s.doubt_since, s.campaign_id, s.contact_id) > ($4, $5, $6)
             ORDER BY s.doubt_since, s.campaign_id, s.contact_id LIMIT $7")
            .bind(filter.campaign_id.unwrap_or(0)).bind(filter.number_id.unwrap_or(0)).bind(filter.claimed_by)
            .bind(at).bind(campaign).bind(contact).bind(limit).fetch_all(c).await)?)
    }

    /// Applies events with the evidence for each, in one transaction: the entry of an event that moved its send is
    /// appended, and that of one that came too late is not. As [`Store::apply`] otherwise; keep groups as short.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn settle(&self, settled: Vec<(Happening, NewEntry)>) -> Result<Applied> {
        let (happenings, mut entries): (Vec<_>, Vec<_>) = settled.into_iter().unzip();
        let mut tx = self.write(Priority::Urgent).await?;
        let applied = apply_within(&mut tx, &happenings).await?;
        let came_late = |place: usize| {
            applied.unknown.contains(&place) || applied.illegal.iter().any(|(illegal, _)| *illegal == place)
        };
        let mut place = 0..;
        entries.retain(|_| !place.next().is_some_and(came_late));
        ledger::append_all(&mut tx, &entries).await?;
        tx.commit().await?;
        Ok(applied)
    }

    /// As [`Store::apply`]; for each event that contradicts what a person had settled, `evidence` makes an entry, which
    /// is appended in the same transaction.
    ///
    /// # Errors
    /// As every write, and as `evidence`.
    pub async fn apply_with_evidence<E: From<crate::Error>>(
        &self,
        priority: Priority,
        happenings: &[Happening],
        evidence: impl Fn(&Happening) -> std::result::Result<NewEntry, E>,
    ) -> std::result::Result<Applied, E> {
        if happenings.is_empty() {
            return Ok(Applied::default());
        }
        let (mut tx, applied) = self.begin_to_apply(priority, happenings).await?;
        let entries: Vec<NewEntry> = applied
            .overruled
            .iter()
            .map(|place| evidence(&happenings[*place]))
            .collect::<std::result::Result<_, E>>()?;
        ledger::append_all(&mut tx, &entries).await?;
        tx.commit().await?;
        Ok(applied)
    }

    /// How many sends are in doubt in all.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn doubt_count(&self) -> Result<i64> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_scalar(
            "SELECT count(*) FROM sends WHERE doubt_since IS NOT NULL").fetch_one(c).await)?)
    }

    /// Claims of a lane that were made under an earlier owner.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn orphans(&self, number_id: i64, before_term: i64, limit: i64) -> Result<Vec<Orphan>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT campaign_id, contact_id, attempt, term, claimed_at FROM submitting
             WHERE number_id = $1 AND (term IS NULL OR term < $2) LIMIT $3")
            .bind(number_id).bind(before_term).bind(limit).fetch_all(c).await)?)
    }

    /// Per number (our id): sends submitting now, and when the oldest was claimed.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn in_flight(&self) -> Result<Vec<(i64, i64, Option<i64>)>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT number_id, count(*), min(claimed_at) FROM submitting GROUP BY number_id").fetch_all(c).await)?)
    }
}

#[cfg(test)]
mod tests;
