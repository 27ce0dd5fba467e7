//! How many sends of a campaign stand where. Kept in the transaction that moves the sends, so that a look at a
//! campaign costs the same for ten people and for ten million.

use std::collections::BTreeMap;

use domain::send::SendState;
use serde::Serialize;

use crate::db::{Link, Priority, Store, on};
use crate::error::{Error, Result};

/// Tally rows beside the states: sends that Meta accepted and holds for a quality check.
pub(crate) const HELD: i16 = 100;
/// Tally rows beside the states: accepted sends whose template's time to live ran out undelivered.
pub(crate) const EXPIRED: i16 = 101;

/// Changes to the tallies of one transaction, gathered in the order of their keys so that two transactions on
/// PostgreSQL lock rows in the same order.
#[derive(Debug, Default)]
pub(crate) struct Deltas(BTreeMap<(i64, i64, i16, String), i64>);

impl Deltas {
    pub(crate) fn add(&mut self, campaign_id: i64, number_id: i64, state: i16, detail: &str, n: i64) {
        *self.0.entry((campaign_id, number_id, state, detail.to_owned())).or_default() += n;
    }

    pub(crate) async fn write(self, tx: &mut Link) -> Result<()> {
        #[derive(Serialize)]
        struct Row<'a>(i64, i64, i16, &'a str, i64);
        let rows: Vec<Row<'_>> = self
            .0
            .iter()
            .filter(|(_, n)| **n != 0)
            .map(|((campaign, number, state, detail), n)| Row(*campaign, *number, *state, detail, *n))
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let sql = tx.pick(
            "INSERT INTO tallies (campaign_id, number_id, state, detail, n)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each($1) WHERE true
             ON CONFLICT (campaign_id, number_id, state, detail) DO UPDATE SET n = tallies.n + excluded.n",
            "INSERT INTO tallies (campaign_id, number_id, state, detail, n)
             SELECT (v ->> 0)::bigint, (v ->> 1)::bigint, (v ->> 2)::smallint, v ->> 3, (v ->> 4)::bigint
             FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS e(v, o) ORDER BY o
             ON CONFLICT (campaign_id, number_id, state, detail) DO UPDATE SET n = tallies.n + excluded.n",
        );
        let json = serde_json::to_string(&rows)?;
        on!(tx, c => sqlx::query(sql).bind(json).execute(c).await.map(drop))?;
        Ok(())
    }
}

/// A group of sends in a fresh count: state, reason, code, held, expired, how many.
type Counted = (i16, Option<String>, Option<i64>, bool, bool, i64);

/// Where the sends of a campaign stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Planned, batches included.
    pub planned: i64,
    /// Claimed, the answer not known yet.
    pub submitting: i64,
    /// Outcome unknown.
    pub in_doubt: i64,
    /// Accepted by Meta, no status yet.
    pub accepted: i64,
    /// Status sent.
    pub sent: i64,
    /// Status delivered.
    pub delivered: i64,
    /// Status read.
    pub read: i64,
    /// Failed for good.
    pub failed: i64,
    /// Not sent, with a reason.
    pub skipped: i64,
    /// Accepted and held for a quality check (part of `accepted`).
    pub held: i64,
    /// Accepted and past the template's time to live (part of `accepted` or `sent`).
    pub expired: i64,
    /// `skipped` by reason.
    pub skipped_by_reason: BTreeMap<String, i64>,
    /// `failed` by Meta's code, or by our word where there is none.
    pub failed_by_code: BTreeMap<String, i64>,
}

impl Tally {
    /// All sends that are rows already.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.open() + self.accepted + self.sent + self.delivered + self.read + self.failed + self.skipped
    }

    /// Sends whose outcome is not known yet: planned, submitting or in doubt.
    #[must_use]
    pub fn open(&self) -> i64 {
        self.planned + self.submitting + self.in_doubt
    }

    fn add(&mut self, state: i16, detail: String, n: i64) -> Result<()> {
        match state {
            HELD => self.held += n,
            EXPIRED => self.expired += n,
            _ => match SendState::try_from(state).map_err(|_| Error::bug(format!("tally of state {state}")))? {
                SendState::Planned => self.planned += n,
                SendState::Submitting => self.submitting += n,
                SendState::InDoubt => self.in_doubt += n,
                SendState::Accepted => self.accepted += n,
                SendState::Sent => self.sent += n,
                SendState::Delivered => self.delivered += n,
                SendState::Read => self.read += n,
                SendState::Failed => {
                    self.failed += n;
                    if n != 0 {
                        *self.failed_by_code.entry(detail).or_default() += n;
                    }
                }
                SendState::Skipped => {
                    self.skipped += n;
                    if n != 0 {
                        *self.skipped_by_reason.entry(detail).or_default() += n;
                    }
                }
            },
        }
        Ok(())
    }
}

/// The tally rows of a send: its state with the detail that is counted there, then what is counted beside it.
pub(crate) fn marks(
    state: SendState,
    reason: Option<&str>,
    code: Option<i64>,
    held: bool,
    expired: bool,
) -> impl Iterator<Item = (i16, String)> {
    let detail = match state {
        SendState::Skipped => reason.unwrap_or("unknown").to_owned(),
        SendState::Failed => code.map_or_else(|| reason.unwrap_or("unknown").to_owned(), |code| code.to_string()),
        _ => String::new(),
    };
    let undelivered = matches!(state, SendState::Accepted | SendState::Sent);
    [
        Some((state as i16, detail)),
        (held && state == SendState::Accepted).then(|| (HELD, String::new())),
        (expired && undelivered).then(|| (EXPIRED, String::new())),
    ]
    .into_iter()
    .flatten()
}

/// Removes the empty tallies of a campaign's open states: campaigns that are over leave nothing to look through.
pub(crate) async fn forget_empty(tx: &mut Link, campaign_id: i64) -> Result<()> {
    on!(tx, c => sqlx::query("DELETE FROM tallies WHERE campaign_id = $1 AND state IN (0, 1, 2) AND n = 0")
        .bind(campaign_id).execute(c).await.map(drop))?;
    Ok(())
}

impl Store {
    /// Where the sends of a campaign stand, over all its numbers.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn tally(&self, campaign_id: i64) -> Result<Tally> {
        let mut link = self.read().await?;
        let sql =
            "SELECT state, detail, CAST(sum(n) AS BIGINT) FROM tallies WHERE campaign_id = $1 GROUP BY state, detail";
        let rows: Vec<(i16, String, i64)> =
            on!(&mut link, c => sqlx::query_as(sql).bind(campaign_id).fetch_all(c).await)?;
        let mut tally = Tally::default();
        for (state, detail, n) in rows {
            tally.add(state, detail, n)?;
        }
        Ok(tally)
    }

    /// Counts the sends of a campaign anew, row by row, without touching anything: what [`Store::tally`] must equal.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn count_anew(&self, campaign_id: i64) -> Result<Tally> {
        let mut link = self.read().await?;
        let rows: Vec<Counted> = on!(&mut link, c => sqlx::query_as(
            "SELECT state, CASE WHEN state IN (7, 8) THEN reason END AS why, CASE WHEN state = 7 THEN code END AS number,
                    held, expired, count(*) AS n
             FROM sends WHERE campaign_id = $1
             GROUP BY state, CASE WHEN state IN (7, 8) THEN reason END, CASE WHEN state = 7 THEN code END, held, expired")
            .bind(campaign_id).fetch_all(c).await)?;
        let mut tally = Tally::default();
        for (state, reason, code, held, expired, n) in rows {
            let state = SendState::try_from(state).map_err(|_| Error::bug(format!("a send in state {state}")))?;
            for (state, detail) in marks(state, reason.as_deref(), code, held, expired) {
                tally.add(state, detail, n)?;
            }
        }
        Ok(tally)
    }

    /// Replaces a campaign's tallies by a fresh count, in one transaction: heals what a defect broke.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn heal_tallies(&self, campaign_id: i64) -> Result<()> {
        let mut tx = self.write(Priority::Bulk).await?;
        if let Link::Postgres(held) = &mut tx {
            // Whoever moved sends has committed their tallies, too, or waits until the count below has.
            sqlx::query("LOCK TABLE tallies IN SHARE ROW EXCLUSIVE MODE").execute(&mut **held).await?;
        }
        on!(&mut tx, c => sqlx::query("DELETE FROM tallies WHERE campaign_id = $1")
            .bind(campaign_id).execute(c).await.map(drop))?;
        let sql = "INSERT INTO tallies (campaign_id, number_id, state, detail, n)
             SELECT campaign_id, number_id, state, detail, count(*) FROM (
                 SELECT campaign_id, number_id, state,
                        CASE WHEN state = 8 THEN coalesce(reason, 'unknown')
                             WHEN state = 7 THEN coalesce(CAST(code AS TEXT), reason, 'unknown') ELSE '' END AS detail
                 FROM sends WHERE campaign_id = $1
                 UNION ALL SELECT campaign_id, number_id, 100, '' FROM sends WHERE campaign_id = $1 AND held AND state = 3
                 UNION ALL SELECT campaign_id, number_id, 101, '' FROM sends
                           WHERE campaign_id = $1 AND expired AND state IN (3, 4)) marks
             GROUP BY campaign_id, number_id, state, detail";
        on!(&mut tx, c => sqlx::query(sql).bind(campaign_id).execute(c).await.map(drop))?;
        tx.commit().await
    }
}
