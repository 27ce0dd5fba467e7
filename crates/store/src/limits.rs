//! The messaging limit: how many distinct people the numbers of one business portfolio may write to in a moving 24
//! hours. Meta shows no counter, so that it is counted here: a row per person and portfolio while it matters, and how
//! many those are, changed in the transaction of the claim that takes a place.
//!
//! Nothing is written for a portfolio without a limit. Once it gets one, whoever it wrote to in the last day is counted
//! first ([`Store::count_reached`]), and nothing is claimed before that is done.

use std::collections::{BTreeMap, HashSet};

use domain::send::{SendEvent, SendState, Status};
use serde::Serialize;

use crate::claims::{ClaimOrder, ClaimedSend, Halt};
use crate::db::{Link, Priority, Store, on};
use crate::error::Result;
use crate::numbers::REMOVED;
use crate::sends::Happening;

/// A claim comes before Meta's own moment, by the time of the POST, and hosts' clocks differ a little: a place is kept
/// so much longer than the 24 hours, ms.
pub(crate) const SLACK: i64 = 60_000;
/// How long a place is taken, ms.
pub(crate) const WINDOW: i64 = 24 * 3_600_000 + SLACK;
/// Places given free by one claim: more than the claim takes, so that it always catches up.
const PRUNED: i64 = 1_000;
/// Sends looked at in one step of counting.
const PAGE: i64 = 2_000;

/// To so many milliseconds it is told when places come free.
const COMING_FREE: i64 = 300_000;

/// The portfolio of a row `a` of accounts.
macro_rules! portfolio_of {
    () => {
        "coalesce('portfolio:' || a.portfolio, 'account:' || CAST(a.id AS TEXT))"
    };
}

/// How a portfolio with a messaging limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Distinct people per moving 24 hours.
    pub people: i64,
    /// Places that are taken now.
    pub used: i64,
    /// Whether everybody of the last 24 hours is counted; nothing is claimed before.
    pub counted: bool,
    /// When the next place will be free, epoch ms; `None`: none is taken.
    pub free_at: Option<i64>,
}

impl Limit {
    /// How many more people may be written to now.
    #[must_use]
    pub fn room(&self) -> i64 {
        (self.people - self.used).max(0)
    }
}

/// What the limit leaves of a claim.
pub(crate) enum Room {
    /// All of it.
    Enough,
    /// Only the first of its sends, and no other place is free before this time, epoch ms.
    Until(i64),
    /// Nothing: it is not known yet how many places are free.
    Uncounted,
}

/// Takes places for the people of a claim, in its transaction, and leaves those sends for which there are places: the
/// first ones, up to the first person who would be one too many. Somebody whom the portfolio reached within 24 hours
/// takes none. The portfolio's row is locked, so that two lanes never take the same place.
pub(crate) async fn take(
    tx: &mut Link,
    order: &ClaimOrder<'_>,
    people: i64,
    sends: &mut Vec<ClaimedSend>,
) -> Result<Room> {
    let sql = tx.pick(
        concat!(
            "SELECT p.name, p.used, p.counted FROM portfolios p WHERE p.name = (SELECT ",
            portfolio_of!(),
            " FROM numbers n JOIN accounts a ON a.id = n.account_id WHERE n.id = $1)"
        ),
        concat!(
            "SELECT p.name, p.used, p.counted FROM portfolios p WHERE p.name = (SELECT ",
            portfolio_of!(),
            " FROM numbers n JOIN accounts a ON a.id = n.account_id WHERE n.id = $1) FOR UPDATE"
        ),
    );
    let row: Option<(String, i64, bool)> =
        on!(tx, c => sqlx::query_as(sql).bind(order.batch.number_id).fetch_optional(c).await)?;
    let Some((portfolio, used, true)) = row else {
        sends.clear();
        return Ok(Room::Uncounted);
    };
    let freed = on!(tx, c => sqlx::query(
        "DELETE FROM reached WHERE portfolio = $1 AND contact_id IN (
             SELECT contact_id FROM reached WHERE portfolio = $1 AND at <= $2 ORDER BY at LIMIT $3)")
        .bind(&portfolio).bind(order.now.saturating_sub(WINDOW)).bind(PRUNED)
        .execute(c).await.map(|done| done.rows_affected()))?;
    let freed = i64::try_from(freed).unwrap_or(i64::MAX);
    let known = known(tx, &portfolio, sends).await?;
    let mut taken = 0;
    let mut free = people - (used - freed);
    let kept = sends.iter().position(|send| {
        let is_new = !known.contains(&send.contact_id);
        if is_new && free <= 0 {
            return true;
        }
        taken += i64::from(is_new);
        free -= i64::from(is_new);
        false
    });
    let is_cut = kept.is_some();
    sends.truncate(kept.unwrap_or(sends.len()));
    write(tx, &portfolio, order.now, sends).await?;
    if taken != freed {
        on!(tx, c => sqlx::query("UPDATE portfolios SET used = used + $2 WHERE name = $1")
            .bind(&portfolio).bind(taken - freed).execute(c).await.map(drop))?;
    }
    if !is_cut {
        return Ok(Room::Enough);
    }
    let oldest: Option<i64> = on!(tx, c => sqlx::query_scalar("SELECT min(at) FROM reached WHERE portfolio = $1")
        .bind(&portfolio).fetch_one(c).await)?;
    Ok(Room::Until(oldest.map_or(order.now, |oldest| oldest.saturating_add(WINDOW))))
}

impl Room {
    /// Why nothing may be claimed, where the limit left nothing.
    pub(crate) fn halt(&self, people: i64) -> Option<Halt> {
        match self {
            Self::Enough => None,
            Self::Until(free_at) => Some(Halt::LimitReached { people, free_at: *free_at }),
            Self::Uncounted => Some(Halt::LimitUncounted { people }),
        }
    }
}

/// Who of these has a place already.
async fn known(tx: &mut Link, portfolio: &str, sends: &[ClaimedSend]) -> Result<HashSet<i64>> {
    let sql = tx.pick(
        "SELECT contact_id FROM reached WHERE portfolio = $1 AND contact_id IN (SELECT value FROM json_each($2))",
        "SELECT contact_id FROM reached WHERE portfolio = $1
           AND contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text($2::jsonb))::bigint))",
    );
    let json = serde_json::to_string(&sends.iter().map(|send| send.contact_id).collect::<Vec<_>>())?;
    let known: Vec<i64> = on!(tx, c => sqlx::query_scalar(sql).bind(portfolio).bind(json).fetch_all(c).await)?;
    Ok(known.into_iter().collect())
}

/// A place: person, time, and the attempt that gives it back if it does not reach them.
#[derive(Serialize)]
struct Place(i64, i64, Option<i64>, Option<i64>);

async fn write(tx: &mut Link, portfolio: &str, now: i64, sends: &[ClaimedSend]) -> Result<()> {
    let place = |send: &ClaimedSend| Place(send.contact_id, now, Some(send.campaign_id), Some(send.attempt + 1));
    upsert(tx, portfolio, &sends.iter().map(place).collect::<Vec<_>>()).await
}

/// Somebody who has a place keeps it for longer; no single attempt gives that back.
async fn upsert(tx: &mut Link, portfolio: &str, places: &[Place]) -> Result<()> {
    if places.is_empty() {
        return Ok(());
    }
    let sql = tx.pick(
        "INSERT INTO reached (contact_id, portfolio, at, campaign_id, attempt)
         SELECT value ->> 0, $1, value ->> 1, value ->> 2, value ->> 3 FROM json_each($2) WHERE true
         ON CONFLICT (contact_id, portfolio) DO UPDATE SET at = max(reached.at, excluded.at), campaign_id = NULL,
             attempt = NULL",
        "INSERT INTO reached (contact_id, portfolio, at, campaign_id, attempt)
         SELECT (v ->> 0)::bigint, $1, (v ->> 1)::bigint, (v ->> 2)::bigint, (v ->> 3)::bigint
         FROM jsonb_array_elements($2::jsonb) AS e(v) ORDER BY 1
         ON CONFLICT (contact_id, portfolio) DO UPDATE SET at = greatest(reached.at, excluded.at), campaign_id = NULL,
             attempt = NULL",
    );
    let json = serde_json::to_string(places)?;
    on!(tx, c => sqlx::query(sql).bind(portfolio).bind(json).execute(c).await.map(drop))?;
    Ok(())
}

/// An attempt whose person was not reached: person, campaign, attempt.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Unreached(pub(crate) i64, pub(crate) i64, pub(crate) i64);

/// Locks the portfolios that these events may give places back to, before the sends are locked: a claim locks its
/// portfolio first, too. Costs nothing for events that give nothing back, which are nearly all.
pub(crate) async fn hold(tx: &mut Link, happenings: &[Happening]) -> Result<()> {
    let gives_back = |event: &SendEvent| {
        matches!(
            event,
            SendEvent::NotPosted { .. } | SendEvent::Refused { .. } | SendEvent::Status(Status::Failed { .. }, _)
        )
    };
    let people: Vec<i64> = happenings
        .iter()
        .filter(|happening| gives_back(&happening.event))
        .map(|happening| happening.contact_id)
        .collect();
    // SQLite has one writer.
    if let Link::Postgres(held) = tx
        && !people.is_empty()
    {
        sqlx::query(
            "SELECT name FROM portfolios WHERE people IS NOT NULL AND name IN (
                 SELECT portfolio FROM reached
                 WHERE contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text($1::jsonb))::bigint)))
             ORDER BY name FOR UPDATE",
        )
        .bind(serde_json::to_string(&people)?)
        .execute(&mut **held)
        .await?;
    }
    Ok(())
}

/// Whether this step of an attempt means that its person was not reached. A person's own word is no proof of that.
pub(crate) fn is_unreached(from: i16, to: i16, settled_by_hand: bool) -> bool {
    let is_one_of = |state: i16, states: &[SendState]| states.iter().any(|one| *one as i16 == state);
    let (was_out, is_back) = (
        [SendState::Submitting, SendState::InDoubt, SendState::Accepted, SendState::Sent],
        [SendState::Planned, SendState::Skipped, SendState::Failed],
    );
    is_one_of(from, &was_out) && is_one_of(to, &is_back) && !settled_by_hand
}

/// Gives back the places that these attempts took, and that nothing else keeps.
pub(crate) async fn give_back(tx: &mut Link, attempts: &[Unreached]) -> Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    let sql = tx.pick(
        "DELETE FROM reached WHERE contact_id IN (SELECT value ->> 0 FROM json_each($1))
           AND (contact_id, campaign_id, attempt) IN (
               SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1)) RETURNING portfolio",
        "DELETE FROM reached
         WHERE contact_id = ANY (ARRAY(SELECT (v ->> 0)::bigint FROM jsonb_array_elements($1::jsonb) AS e(v)))
           AND (contact_id, campaign_id, attempt) IN (
               SELECT (v ->> 0)::bigint, (v ->> 1)::bigint, (v ->> 2)::bigint
               FROM jsonb_array_elements($1::jsonb) AS e(v)) RETURNING portfolio",
    );
    let json = serde_json::to_string(attempts)?;
    let freed: Vec<String> = on!(tx, c => sqlx::query_scalar(sql).bind(json).fetch_all(c).await)?;
    let mut places: BTreeMap<String, i64> = BTreeMap::new();
    for portfolio in freed {
        *places.entry(portfolio).or_default() += 1;
    }
    for (portfolio, n) in places {
        on!(tx, c => sqlx::query("UPDATE portfolios SET used = used - $2 WHERE name = $1")
            .bind(portfolio).bind(n).execute(c).await.map(drop))?;
    }
    Ok(())
}

/// Takes over what Meta says of the numbers of an account, within the sync: the lowest limit that is said of any
/// number of its portfolio. Where there was none, nothing is claimed until [`Store::count_reached`] is done.
pub(crate) async fn follow(tx: &mut Link, account_id: i64) -> Result<()> {
    let name: Option<String> = on!(tx, c => sqlx::query_scalar(
        concat!("SELECT ", portfolio_of!(), " FROM accounts a WHERE a.id = $1"))
        .bind(account_id).fetch_optional(c).await)?;
    let Some(name) = name else { return Ok(()) };
    let words: Vec<String> = on!(tx, c => sqlx::query_scalar(
        concat!("SELECT n.messaging_limit FROM numbers n JOIN accounts a ON a.id = n.account_id
                 WHERE n.status <> $2 AND ", portfolio_of!(), " = $1"))
        .bind(&name).bind(REMOVED).fetch_all(c).await)?;
    let people = words.iter().filter_map(|word| word.parse::<i64>().ok()).filter(|people| *people >= 0).min();
    let before: Option<Option<i64>> = on!(tx, c => sqlx::query_scalar("SELECT people FROM portfolios WHERE name = $1")
        .bind(&name).fetch_optional(c).await)?;
    if before.flatten().is_none() && people.is_some() {
        // A claim that saw no limit has ended when this is through, and each later one sees it: claims share this lock.
        if let Link::Postgres(held) = tx {
            sqlx::query(concat!(
                "SELECT l.name FROM leases l WHERE l.name IN (
                     SELECT 'lane:' || n.id FROM numbers n JOIN accounts a ON a.id = n.account_id WHERE ",
                portfolio_of!(),
                " = $1) ORDER BY l.name FOR UPDATE"
            ))
            .bind(&name)
            .execute(&mut **held)
            .await?;
        }
    }
    if before.is_some() || people.is_some() {
        on!(tx, c => sqlx::query(
            "INSERT INTO portfolios (name, people) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET
                 counted = portfolios.counted AND portfolios.people IS NOT NULL AND excluded.people IS NOT NULL,
                 people = excluded.people")
            .bind(&name).bind(people).execute(c).await.map(drop))?;
    }
    on!(tx, c => sqlx::query(
        concat!("UPDATE numbers SET people_limit = $2 WHERE people_limit IS DISTINCT FROM $2 AND account_id IN (
                     SELECT a.id FROM accounts a WHERE ", portfolio_of!(), " = $1)"))
        .bind(&name).bind(people).execute(c).await.map(drop))?;
    Ok(())
}

/// A send as the count looks at it.
struct Seen {
    contact_id: i64,
    state: i16,
    claimed_at: Option<i64>,
    delivered_at: Option<i64>,
}

from_row!(Seen { contact_id, state, claimed_at, delivered_at });

impl Seen {
    /// When its person was written to, if they may have been.
    fn reached_at(&self) -> Option<i64> {
        let not_reached = [SendState::Planned as i16, SendState::Failed as i16, SendState::Skipped as i16];
        if not_reached.contains(&self.state) {
            return None;
        }
        self.claimed_at.max(self.delivered_at)
    }
}

impl Store {
    /// Counts whom an account's portfolio wrote to in the last 24 hours, if it has a limit and that was not done since
    /// it has one. Claims of the portfolio are halted until this is through; it goes in short steps and may be begun
    /// again.
    ///
    /// # Errors
    /// As every write; then the portfolio stays uncounted.
    #[crate::boxed]
    pub async fn count_reached(&self, account_id: i64, now: i64) -> Result<()> {
        let mut link = self.read().await?;
        let name: Option<String> = on!(&mut link, c => sqlx::query_scalar(
            concat!("SELECT p.name FROM portfolios p WHERE p.people IS NOT NULL AND NOT p.counted
                       AND p.name = (SELECT ", portfolio_of!(), " FROM accounts a WHERE a.id = $1)"))
            .bind(account_id).fetch_optional(c).await)?;
        let Some(name) = name else { return Ok(()) };
        let since = now.saturating_sub(WINDOW);
        let campaigns: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
            concat!("SELECT k.id FROM campaigns k JOIN accounts a ON a.id = k.account_id
                     WHERE k.launched_at IS NOT NULL AND (k.finished_at IS NULL OR k.finished_at > $2)
                       AND ", portfolio_of!(), " = $1"))
            .bind(&name).bind(since).fetch_all(c).await)?;
        drop(link);
        for campaign_id in campaigns {
            self.count_campaign(&name, campaign_id, since).await?;
        }
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "UPDATE portfolios SET counted = people IS NOT NULL,
                    used = (SELECT count(*) FROM reached r WHERE r.portfolio = $1) WHERE name = $1")
            .bind(&name).execute(c).await.map(drop))?;
        tx.commit().await
    }

    async fn count_campaign(&self, portfolio: &str, campaign_id: i64, since: i64) -> Result<()> {
        let mut after = 0;
        loop {
            let mut link = self.read().await?;
            let page: Vec<Seen> = on!(&mut link, c => sqlx::query_as(
                "SELECT contact_id, state, claimed_at, delivered_at FROM sends
                 WHERE campaign_id = $1 AND contact_id > $2 ORDER BY contact_id LIMIT $3")
                .bind(campaign_id).bind(after).bind(PAGE).fetch_all(c).await)?;
            drop(link);
            let Some(last) = page.last() else { return Ok(()) };
            after = last.contact_id;
            let places: Vec<Place> = page
                .iter()
                .filter_map(|seen| Some((seen.contact_id, seen.reached_at().filter(|at| *at > since)?)))
                .map(|(person, at)| Place(person, at, None, None))
                .collect();
            if !places.is_empty() {
                let mut tx = self.write(Priority::Bulk).await?;
                upsert(&mut tx, portfolio, &places).await?;
                tx.commit().await?;
            }
        }
    }

    /// How the portfolio of a business number stands; `None`: it has no limit that we know of.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn limit_of(&self, number_id: i64, now: i64) -> Result<Option<Limit>> {
        let mut link = self.read().await?;
        let row: Option<(i64, i64, bool, i64, Option<i64>)> = on!(&mut link, c => sqlx::query_as(
            concat!("SELECT p.people, p.used, p.counted,
                            (SELECT count(*) FROM reached r WHERE r.portfolio = p.name AND r.at <= $2),
                            (SELECT min(r.at) FROM reached r WHERE r.portfolio = p.name AND r.at > $2)
                     FROM portfolios p WHERE p.people IS NOT NULL AND p.name = (SELECT ", portfolio_of!(),
                " FROM numbers n JOIN accounts a ON a.id = n.account_id WHERE n.id = $1)"))
            .bind(number_id).bind(now.saturating_sub(WINDOW)).fetch_optional(c).await)?;
        Ok(row.map(|(people, used, counted, over, oldest)| Limit {
            people,
            used: used - over,
            counted,
            free_at: oldest.map(|oldest| oldest.saturating_add(WINDOW)),
        }))
    }

    /// When the places come free that the portfolio of a business number has given out, and how many at a time: to five
    /// minutes, rounded up. Reads through everybody of the last 24 hours: for a forecast, and no hot path.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn places_coming_free(&self, number_id: i64, now: i64) -> Result<Vec<(i64, i64)>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            concat!("SELECT (r.at / $3 + 1) * $3 + $4, count(*) FROM reached r
                     WHERE r.at > $2 AND r.portfolio = (SELECT ", portfolio_of!(),
                " FROM numbers n JOIN accounts a ON a.id = n.account_id WHERE n.id = $1)
                     GROUP BY 1 ORDER BY 1"))
            .bind(number_id).bind(now.saturating_sub(WINDOW)).bind(COMING_FREE).bind(WINDOW)
            .fetch_all(c).await)?)
    }
}

#[cfg(test)]
mod tests;
