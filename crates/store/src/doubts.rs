//! Sends in doubt, as a person looks at them, and claims that outlived their owner.

use sqlx::FromRow;

use crate::db::{Store, on};
use crate::error::Result;

/// A send in doubt.
#[derive(Clone, Debug, FromRow)]
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

/// A claim whose owner is gone.
#[derive(Clone, Debug, FromRow)]
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

impl Store {
    /// Sends in doubt, of one campaign or of all, oldest first.
    ///
    /// # Errors
    /// As every read.
    pub async fn doubts(&self, campaign_id: Option<i64>, limit: i64) -> Result<Vec<Doubt>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT s.campaign_id, k.name AS campaign, s.contact_id, p.phone, n.phone_number_id, s.attempt,
                    s.claimed_at, s.reason
             FROM sends s JOIN campaigns k ON k.id = s.campaign_id JOIN contacts p ON p.id = s.contact_id
             JOIN numbers n ON n.id = s.number_id
             WHERE s.state IN (1, 2) AND s.state = 2 AND ($1 IS NULL OR s.campaign_id = $1)
             ORDER BY s.claimed_at, s.campaign_id, s.contact_id LIMIT $2")
            .bind(campaign_id).bind(limit).fetch_all(c).await)?)
    }

    /// How many sends are in doubt in all.
    ///
    /// # Errors
    /// As every read.
    pub async fn doubt_count(&self) -> Result<i64> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_scalar(
            "SELECT count(*) FROM sends WHERE state IN (1, 2) AND state = 2").fetch_one(c).await)?)
    }

    /// Claims of a lane that were made under an earlier owner.
    ///
    /// # Errors
    /// As every read.
    pub async fn orphans(&self, number_id: i64, before_term: i64, limit: i64) -> Result<Vec<Orphan>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT campaign_id, contact_id, attempt, term, claimed_at FROM sends
             WHERE number_id = $1 AND state IN (1, 2) AND state = 1 AND (term IS NULL OR term < $2) LIMIT $3")
            .bind(number_id).bind(before_term).bind(limit).fetch_all(c).await)?)
    }

    /// Per number (our id): sends submitting now, and when the oldest was claimed.
    ///
    /// # Errors
    /// As every read.
    pub async fn in_flight(&self) -> Result<Vec<(i64, i64, Option<i64>)>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT number_id, count(*), min(claimed_at) FROM sends WHERE state IN (1, 2) AND state = 1
             GROUP BY number_id").fetch_all(c).await)?)
    }
}

#[cfg(test)]
mod tests;
