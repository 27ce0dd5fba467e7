//! The claim: the one statement that lets a POST happen. It is committed before the act, in groups, and made only
//! while everything that could forbid it says yes: the lane's fence, every pause, the campaign, the suppressions.

use domain::campaign::CampaignState;
use domain::frequency::FrequencyCap;
use domain::optout::scope::{Forbidding, SERVICE};
use domain::send::SendState;
use domain::window::Window;

use crate::batches::{Batch, BatchKind};
use crate::db::{Link, Priority, Store, on};
use crate::error::Result;
use crate::frequency::{self, FREQUENCY_CAP};
use crate::limits;
use crate::messages::MessageKind;
use crate::tallies::Deltas;
use crate::terms::{self, CLAIM_LASTS, Hours};

/// Why a skipped send was skipped at the claim: the person is suppressed.
pub const OPTED_OUT: &str = "opted-out";
/// The same of an answer in free text: its person wrote too long ago.
pub const WINDOW_CLOSED: &str = "window-closed";

/// What a lane asks for.
#[derive(Clone, Debug)]
pub struct ClaimOrder<'a> {
    /// The lane's lease, `lane:<number id>`.
    pub lane: &'a str,
    /// The fence of the lane's owner.
    pub token: i64,
    /// The batch that is being worked on.
    pub batch: &'a Batch,
    /// For a range: only contacts above this one.
    pub after: i64,
    /// At most so many.
    pub limit: usize,
    /// The time of the claim, epoch milliseconds.
    pub now: i64,
}

/// Why nothing may be claimed just now. The batch stays open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Somebody else owns the lane now.
    LaneLost,
    /// An operator paused everything.
    AllPaused(String),
    /// The account was stopped: its token, its payment, its standing.
    AccountStopped(String),
    /// The number is paused.
    NumberPaused(String),
    /// The portfolio has written to as many people as it may in 24 hours.
    LimitReached {
        /// How many people that is.
        people: i64,
        /// When the next place is free, epoch ms.
        free_at: i64,
    },
    /// The portfolio has a messaging limit, and whom it wrote to in the last 24 hours is still being counted.
    LimitUncounted {
        /// How many people it may write to in 24 hours.
        people: i64,
    },
    /// The campaign is not running (its state), or is gone (`None`).
    CampaignNotRunning(Option<CampaignState>),
    /// The campaign's offer has ended, or would before the message leaves.
    OfferEnded,
}

/// What a claim brought.
#[derive(Clone, Debug)]
pub enum Claim {
    /// Nothing may go now.
    Halted(Halt),
    /// These are submitting now. `skipped` more were suppressed or have had enough; `exhausted`: the batch has nothing left and is closed.
    Made {
        /// The claimed sends, in their order.
        sends: Vec<ClaimedSend>,
        /// How many were excluded by the claim.
        skipped: usize,
        /// The batch is done and deleted.
        exhausted: bool,
        /// Which stops forbid these: what the second look asks for.
        forbidding: Box<Forbidding>,
    },
}

/// A send whose claim is committed: what it takes to render and post it.
#[derive(Clone, Debug)]
pub struct ClaimedSend {
    /// The campaign.
    pub campaign_id: i64,
    /// The person.
    pub contact_id: i64,
    /// The attempt that this claim opened.
    pub attempt: i64,
    /// How many earlier attempts were refused or failed for later.
    pub tries: i64,
    /// The number to send to, digits without the plus sign.
    pub phone: Option<i64>,
    /// The business-scoped user id, for people without a number.
    pub user_id: Option<String>,
    /// The person's name.
    pub name: Option<String>,
    /// The person's language.
    pub language: Option<String>,
    /// The person's other columns, a JSON object of texts.
    pub attributes: String,
    is_suppressed: bool,
}

/// As the statements of [`candidates`] give it: by place, since looking up names costs more than reading the values.
type Candidate = (i64, i64, i64, Option<i64>, Option<String>, Option<String>, String, bool, Option<String>);

impl ClaimedSend {
    fn of(campaign_id: i64, row: Candidate) -> Self {
        let (contact_id, attempt, tries, phone, name, language, attributes, is_suppressed, user_id) = row;
        Self { campaign_id, contact_id, attempt, tries, phone, user_id, name, language, attributes, is_suppressed }
    }
}

impl Store {
    /// Claims the next sends of a batch for its lane's owner, in one transaction: durable when it returns.
    ///
    /// # Errors
    /// As every write; then nothing was claimed, unless the answer to the commit itself was lost: such claims are
    /// found by the lane's next sweep.
    #[crate::boxed]
    pub async fn claim(&self, order: &ClaimOrder<'_>) -> Result<Claim> {
        let mut tx = self.write(Priority::Urgent).await?.named("claim");
        let Permitted { people, hours, forbidding, caps, answers } = match permitted(&mut tx, order).await? {
            Ok(permitted) => permitted,
            Err(halt) => return Ok(Claim::Halted(halt)),
        };
        let (candidates, mut exhausted) = match hours {
            Some(hours) => hours.awake(&mut tx, order, &forbidding).await?,
            None => {
                let candidates = candidates(&mut tx, order, &forbidding).await?;
                let exhausted = candidates.len() < order.limit;
                (candidates, exhausted)
            }
        };
        let (suppressed, mut sends): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|send| send.is_suppressed);
        let suppressed: Vec<i64> = suppressed.iter().map(|send| send.contact_id).collect();
        let mut closed = Vec::new();
        if answers == Some(false) {
            closed.extend(sends.drain(..).map(|send| send.contact_id));
        }
        let capped = if caps.is_empty() || sends.is_empty() {
            Vec::new()
        } else {
            frequency::take_out(&mut tx, order, &caps, &mut sends).await?
        };
        // Who is answered within the service window does not count.
        if let Some(people) = people
            && answers.is_none()
            && !sends.is_empty()
            && let Some(halt) = limits::take(&mut tx, order, people, &mut sends).await?.halt(people)
        {
            if sends.is_empty() && suppressed.is_empty() && capped.is_empty() {
                tx.commit().await?;
                return Ok(Claim::Halted(halt));
            }
            exhausted = false;
        }
        let campaign_id = order.batch.campaign_id;
        let number_id = order.batch.number_id;
        let mut deltas = Deltas::default();
        if !sends.is_empty() {
            let ids: Vec<i64> = sends.iter().map(|send| send.contact_id).collect();
            if !mark_submitting(&mut tx, order, &ids).await? {
                return Ok(again(forbidding));
            }
            let n = i64::try_from(ids.len()).unwrap_or(i64::MAX);
            deltas.add(campaign_id, number_id, SendState::Planned as i16, "", -n);
            deltas.add(campaign_id, number_id, SendState::Submitting as i16, "", n);
        }
        for (ids, reason) in [(&suppressed, OPTED_OUT), (&capped, FREQUENCY_CAP), (&closed, WINDOW_CLOSED)] {
            if ids.is_empty() {
                continue;
            }
            if !mark_skipped(&mut tx, order, ids, reason).await? {
                return Ok(again(forbidding));
            }
            let n = i64::try_from(ids.len()).unwrap_or(i64::MAX);
            deltas.add(campaign_id, number_id, SendState::Planned as i16, "", -n);
            deltas.add(campaign_id, number_id, SendState::Skipped as i16, reason, n);
        }
        deltas.write(&mut tx).await?;
        if exhausted {
            on!(&mut tx, c => sqlx::query("DELETE FROM batches WHERE id = $1")
                .bind(order.batch.id).execute(c).await.map(drop))?;
        }
        tx.commit().await?;
        for send in &mut sends {
            send.attempt += 1;
        }
        let skipped = suppressed.len() + capped.len() + closed.len();
        Ok(Claim::Made { sends, skipped, exhausted, forbidding: Box::new(forbidding) })
    }

    /// Whom of these people a stop forbids to be sent what was claimed. Read after the claim is committed and before
    /// the POST: an opt-out that commits later finds the send submitting, and waits for it.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn suppressed_among(&self, contact_ids: &[i64], forbidding: &Forbidding) -> Result<Vec<i64>> {
        let [all, marketing, number, brand] = forbidding.scopes();
        let mut link = self.read().await?;
        let mut people: Vec<i64> = match &mut link {
            // The plus sign keeps it at one walk over a person's blocks, in place of a look for each scope.
            Link::Sqlite(held, _) => {
                sqlx::query_scalar(
                    "SELECT contact_id FROM suppressions
                     WHERE contact_id IN (SELECT value FROM json_each($1)) AND +scope IN ($2, $3, $4, $5)",
                )
                .bind(serde_json::to_string(contact_ids)?)
                .bind(all)
                .bind(marketing)
                .bind(number)
                .bind(brand)
                .fetch_all(&mut **held)
                .await?
            }
            Link::Postgres(held) => {
                sqlx::query_scalar(
                    "SELECT contact_id FROM suppressions WHERE contact_id = ANY ($1) AND scope IN ($2, $3, $4, $5)",
                )
                .bind(contact_ids)
                .bind(all)
                .bind(marketing)
                .bind(number)
                .bind(brand)
                .fetch_all(&mut **held)
                .await?
            }
        };
        people.sort_unstable();
        people.dedup();
        Ok(people)
    }

    /// Who of these people said stop to anything, whatever the scope.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn stopped_among(&self, contact_ids: &[i64]) -> Result<Vec<i64>> {
        let mut link = self.read().await?;
        let mut people: Vec<i64> = match &mut link {
            Link::Sqlite(held, _) => {
                sqlx::query_scalar(
                    "SELECT contact_id FROM suppressions WHERE contact_id IN (SELECT value FROM json_each($1))",
                )
                .bind(serde_json::to_string(contact_ids)?)
                .fetch_all(&mut **held)
                .await?
            }
            Link::Postgres(held) => {
                sqlx::query_scalar("SELECT contact_id FROM suppressions WHERE contact_id = ANY ($1)")
                    .bind(contact_ids)
                    .fetch_all(&mut **held)
                    .await?
            }
        };
        people.sort_unstable();
        people.dedup();
        Ok(people)
    }
}

struct Permission {
    fence: Option<i64>,
    all_paused: Option<String>,
    account_stopped: Option<String>,
    number_paused: Option<String>,
    campaign_state: Option<i16>,
    stop_at: Option<i64>,
    quiet_hours: Option<String>,
    timezone: Option<String>,
    own_blackouts: Option<String>,
    house_blackouts: Option<String>,
    people_limit: Option<i64>,
    phone_number_id: String,
    brand: Option<String>,
    category: Option<String>,
    house_cap: Option<String>,
    frequency_cap: Option<String>,
    marketing: Option<bool>,
    kind: Option<i16>,
    heard_at: Option<i64>,
}

from_row!(Permission {
    fence,
    all_paused,
    account_stopped,
    number_paused,
    campaign_state,
    stop_at,
    quiet_hours,
    timezone,
    own_blackouts,
    house_blackouts,
    people_limit,
    phone_number_id,
    brand,
    category,
    house_cap,
    frequency_cap,
    marketing,
    kind,
    heard_at
});

/// What a claim may take.
#[derive(Debug, PartialEq)]
struct Permitted {
    /// So many people in 24 hours, where that is limited.
    people: Option<i64>,
    /// For whom it is not quiet.
    hours: Option<Hours>,
    /// Nobody who said one of these stops.
    forbidding: Forbidding,
    /// So many messages to each of them.
    caps: Vec<FrequencyCap>,
    /// Of an answer in free text: whether its person's service window is open for as long as the claim is valid.
    answers: Option<bool>,
}

/// A lease that was given back is nobody's, though its token is still the old owner's.
const FENCE: &str = "SELECT token FROM leases WHERE name = $1 AND owner <> ''";

/// Everything that may forbid a claim, in one look. On PostgreSQL the lease row is locked, so that a new owner cannot
/// come between this look and the commit. The template's category is the one it has now: Meta may call it marketing in
/// the middle of a campaign.
async fn permitted(tx: &mut Link, order: &ClaimOrder<'_>) -> Result<std::result::Result<Permitted, Halt>> {
    let lock = tx.pick(FENCE, "SELECT token FROM leases WHERE name = $1 AND owner <> '' FOR SHARE");
    let fence: Option<i64> = on!(tx, c => sqlx::query_scalar(lock).bind(order.lane).fetch_optional(c).await)?;
    let permission: Option<Permission> = on!(tx, c => sqlx::query_as(
        "SELECT $3 AS fence,
                (SELECT value FROM meta WHERE key = 'paused_all') AS all_paused,
                a.stopped_reason AS account_stopped, n.paused_reason AS number_paused, n.people_limit,
                n.phone_number_id, n.brand, t.category, k.state AS campaign_state, k.stop_at, k.quiet_hours, k.timezone,
                k.frequency_cap, k.marketing, k.kind, (SELECT value FROM meta WHERE key = 'frequency_cap') AS house_cap,
                CASE WHEN k.kind = 3 THEN (
                    SELECT i.at FROM inbound i WHERE i.contact_id = k.planned_through AND i.number_id = n.id AND i.opens
                    ORDER BY i.at DESC LIMIT 1) END AS heard_at,
                k.blackouts AS own_blackouts, CASE WHEN k.marketing AND k.kind NOT IN (2, 3) THEN
                    (SELECT value FROM meta WHERE key = 'blackouts') END AS house_blackouts
         FROM numbers n JOIN accounts a ON a.id = n.account_id LEFT JOIN campaigns k ON k.id = $2
         LEFT JOIN templates t ON t.id = k.template_id WHERE n.id = $1")
        .bind(order.batch.number_id).bind(order.batch.campaign_id).bind(fence).fetch_optional(c).await)?;
    let Some(permission) = permission else {
        return Ok(Err(Halt::LaneLost));
    };
    let running = i16::from(CampaignState::Running);
    Ok(if permission.fence != Some(order.token) {
        Err(Halt::LaneLost)
    } else if let Some(reason) = permission.all_paused {
        Err(Halt::AllPaused(reason))
    } else if let Some(reason) = permission.account_stopped {
        Err(Halt::AccountStopped(reason))
    } else if let Some(reason) = permission.number_paused {
        Err(Halt::NumberPaused(reason))
    } else if permission.campaign_state != Some(running) {
        Err(Halt::CampaignNotRunning(permission.campaign_state.and_then(|state| CampaignState::try_from(state).ok())))
    } else if terms::ended(permission.stop_at, order.now) {
        Err(Halt::OfferEnded)
    } else {
        let blackouts = [permission.own_blackouts.as_deref(), permission.house_blackouts.as_deref()];
        let hours = Hours::read(permission.quiet_hours.as_deref(), blackouts, permission.timezone.as_deref())?;
        // Far from all blackout days nobody's zone need be found.
        let hours = hours.filter(|hours| hours.calendar.may_forbid(order.now));
        let caps = match permission.marketing {
            Some(true) => frequency::caps(permission.house_cap.as_deref(), permission.frequency_cap.as_deref())?,
            _ => Vec::new(),
        };
        let answers = (permission.kind == Some(MessageKind::Reply as i16))
            .then(|| Window::is_open_for(permission.heard_at, order.now, CLAIM_LASTS));
        let category = if answers.is_some() { SERVICE } else { permission.category.as_deref().unwrap_or_default() };
        let forbidding = Forbidding::of(category, &permission.phone_number_id, permission.brand.as_deref());
        Ok(Permitted { people: permission.people_limit, hours, forbidding, caps, answers })
    })
}

/// What it takes to post the sends that `$rest` picks, and whether a stop forbids each. Each person's blocks are walked
/// over once, by their key: the plus sign says so to SQLite, LIMIT to PostgreSQL. `kind + 0`: see `audience_page`.
macro_rules! claimable {
    ($scope:literal, $rest:literal) => {
        concat!(
            "SELECT s.contact_id, s.attempt, s.tries, c.phone, c.name, c.language, c.attributes,
                    (SELECT 1 FROM suppressions p WHERE p.contact_id = s.contact_id AND ",
            $scope,
            " IN ($4, $5, $6, $7) LIMIT 1) IS NOT NULL AS suppressed,
                    CASE WHEN c.phone IS NULL THEN
                        (SELECT i.value FROM identities i WHERE i.contact_id = c.id AND i.kind + 0 = 2 LIMIT 1) END
                        AS user_id
             FROM sends s JOIN contacts c ON c.id = s.contact_id
             WHERE s.campaign_id = $1 AND s.number_id = $2 AND s.state = 0 AND ",
            $rest,
            " LIMIT $3"
        )
    };
}

/// The fresh sends of a range, for SQLite and PostgreSQL.
const FRESH: [&str; 2] = [
    claimable!("+p.scope", "s.contact_id > $8 AND s.contact_id <= $9 AND s.not_before IS NULL ORDER BY s.contact_id"),
    claimable!("p.scope", "s.contact_id > $8 AND s.contact_id <= $9 AND s.not_before IS NULL ORDER BY s.contact_id"),
];
/// Those that are due again.
const DUE: [&str; 2] = [
    claimable!("+p.scope", "s.not_before <= $8 ORDER BY s.not_before"),
    claimable!("p.scope", "s.not_before <= $8 ORDER BY s.not_before"),
];

pub(crate) async fn candidates(
    tx: &mut Link,
    order: &ClaimOrder<'_>,
    forbidding: &Forbidding,
) -> Result<Vec<ClaimedSend>> {
    let batch = order.batch;
    let limit = i64::try_from(order.limit).unwrap_or(i64::MAX);
    let [all, marketing, number, brand] = forbidding.scopes();
    let after = order.after.max(batch.lo - 1);
    let rows: Vec<Candidate> = match batch.kind()? {
        BatchKind::Fresh => {
            let sql = tx.pick(FRESH[0], FRESH[1]);
            on!(tx, c => sqlx::query_as(sql).bind(batch.campaign_id).bind(batch.number_id).bind(limit)
                .bind(all).bind(marketing).bind(number).bind(brand)
                .bind(after).bind(batch.hi).fetch_all(c).await)?
        }
        BatchKind::Due => {
            let sql = tx.pick(DUE[0], DUE[1]);
            on!(tx, c => sqlx::query_as(sql).bind(batch.campaign_id).bind(batch.number_id).bind(limit)
                .bind(all).bind(marketing).bind(number).bind(brand)
                .bind(order.now).fetch_all(c).await)?
        }
    };
    Ok(rows.into_iter().map(|row| ClaimedSend::of(batch.campaign_id, row)).collect())
}

/// Another writer took a row since the candidates were read (PostgreSQL): a cancelled campaign, a late status. The
/// whole claim is given up and made again.
fn again(forbidding: Forbidding) -> Claim {
    Claim::Made { sends: Vec::new(), skipped: 0, exhausted: false, forbidding: Box::new(forbidding) }
}

/// Marks them and notes where they are. `false`: not all of them were still planned.
///
/// PostgreSQL gets the ids as an array, of which it does not know the length as it plans: see `Store::open_postgres`. As
/// a subquery they are joined, and before the new campaign's rows were counted (ANALYZE) its planner takes the campaign
/// for empty and goes through all of it once per id: seconds for a claim.
async fn mark_submitting(tx: &mut Link, order: &ClaimOrder<'_>, ids: &[i64]) -> Result<bool> {
    const NOTE: &str = "INSERT INTO claims (number_id, campaign_id, contact_ids) VALUES ($1, $2, $3)";
    let batch = order.batch;
    let json = serde_json::to_string(ids)?;
    let marked = match tx {
        Link::Sqlite(held, _) => {
            sqlx::query(NOTE).bind(batch.number_id).bind(batch.campaign_id).bind(&json).execute(&mut **held).await?;
            sqlx::query(
                "UPDATE sends SET state = 1, attempt = attempt + 1, claimed_at = $3, term = $4, not_before = NULL,
                                  failed_at = NULL, code = NULL, reason = NULL
                 WHERE campaign_id = $1 AND contact_id IN (SELECT value FROM json_each($2)) AND state = 0",
            )
            .bind(batch.campaign_id)
            .bind(&json)
            .bind(order.now)
            .bind(order.token)
            .execute(&mut **held)
            .await?
            .rows_affected()
        }
        Link::Postgres(held) => sqlx::query(
            "WITH noted AS (INSERT INTO claims (number_id, campaign_id, contact_ids) VALUES ($5, $1, $6))
             UPDATE sends SET state = 1, attempt = attempt + 1, claimed_at = $3, term = $4, not_before = NULL,
                              failed_at = NULL, code = NULL, reason = NULL
             WHERE campaign_id = $1 AND contact_id = ANY ($2) AND state = 0",
        )
        .bind(batch.campaign_id)
        .bind(ids)
        .bind(order.now)
        .bind(order.token)
        .bind(batch.number_id)
        .bind(&json)
        .execute(&mut **held)
        .await?
        .rows_affected(),
    };
    Ok(usize::try_from(marked).ok() == Some(ids.len()))
}

/// As [`mark_submitting`]. The time and the term tell it later from a send that was skipped when it was planned.
async fn mark_skipped(tx: &mut Link, order: &ClaimOrder<'_>, ids: &[i64], reason: &str) -> Result<bool> {
    let sql = tx.pick(
        "UPDATE sends SET state = 8, reason = $3, not_before = NULL, claimed_at = $4, term = $5
         WHERE campaign_id = $1 AND contact_id IN (SELECT value FROM json_each($2)) AND state = 0",
        "UPDATE sends SET state = 8, reason = $3, not_before = NULL, claimed_at = $4, term = $5
         WHERE campaign_id = $1 AND contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text($2::jsonb))::bigint))
           AND state = 0",
    );
    let json = serde_json::to_string(ids)?;
    let marked = on!(tx, c => sqlx::query(sql).bind(order.batch.campaign_id).bind(json).bind(reason)
        .bind(order.now).bind(order.token).execute(c).await.map(|done| done.rows_affected()))?;
    Ok(usize::try_from(marked).ok() == Some(ids.len()))
}

#[cfg(test)]
mod tests;
