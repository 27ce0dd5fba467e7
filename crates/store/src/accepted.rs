//! The common outcome, on a short way: claimed sends that Meta accepted.
//!
//! Nearly every event of a campaign is this one. The state machine's answer to it is known beforehand as long as the
//! send is still submitting, in the attempt that was accepted, and nothing else was heard of it; the statement asks for
//! just that. Where it does not find it so for every send of the group, the group takes the long way
//! ([`crate::sends::apply_within`]), which looks at each row.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use domain::send::{SendEvent, SendState};

use crate::chunks::Chunks;
use crate::db::Link;
use crate::error::Result;
use crate::sends::{Happening, SendKey};
use crate::tallies::Deltas;

impl Happening {
    /// Whether it is an acceptance by a lane's own answer with nothing else to say: groups of only such events are
    /// written quickest.
    #[must_use]
    pub fn is_plain_acceptance(&self) -> bool {
        Accepted::of(self).is_some()
    }
}

/// A plain acceptance.
pub(crate) struct Accepted<'a> {
    contact_id: i64,
    number_id: i64,
    attempt: i64,
    wamid: &'a str,
    at: i64,
}

impl Accepted<'_> {
    fn of(happening: &Happening) -> Option<Accepted<'_>> {
        let is_plain = happening.event == SendEvent::Accepted && !happening.held && happening.reason.is_none();
        let wamid = happening.wamid.as_deref().filter(|_| is_plain)?;
        Some(Accepted {
            contact_id: happening.contact_id,
            number_id: happening.number_id?,
            attempt: happening.attempt?,
            wamid,
            at: happening.at,
        })
    }
}

/// The events by their sends, if all of them are plain acceptances and each of another send.
pub(crate) fn plain(happenings: &[Happening]) -> Option<BTreeMap<SendKey, Accepted<'_>>> {
    let mut group = BTreeMap::new();
    for happening in happenings {
        let key = (happening.campaign_id, happening.contact_id);
        if group.insert(key, Accepted::of(happening)?).is_some() {
            return None;
        }
    }
    Some(group)
}

/// Applies them, with their tallies. `false`: some send was not as expected; then the transaction must be rolled back.
pub(crate) async fn apply(tx: &mut Link, group: BTreeMap<SendKey, Accepted<'_>>) -> Result<bool> {
    let mut deltas = Deltas::default();
    let mut campaigns: BTreeMap<i64, Vec<Accepted<'_>>> = BTreeMap::new();
    // In the order of the table, as every writer takes its rows.
    for ((campaign_id, _), accepted) in group {
        deltas.add(campaign_id, accepted.number_id, SendState::Submitting as i16, "", -1);
        deltas.add(campaign_id, accepted.number_id, SendState::Accepted as i16, "", 1);
        campaigns.entry(campaign_id).or_default().push(accepted);
    }
    for (campaign_id, group) in campaigns {
        if write(tx, campaign_id, &group).await? != group.len() as u64 {
            return Ok(false);
        }
    }
    deltas.write(tx).await?;
    Ok(true)
}

/// How many rows were as expected and are accepted now.
async fn write(tx: &mut Link, campaign_id: i64, group: &[Accepted<'_>]) -> Result<u64> {
    match tx {
        Link::Sqlite(held, _) => {
            let mut written = 0;
            for (statement, rows) in SQLITE.over(group) {
                let mut query = sqlx::query(statement);
                for row in rows {
                    query =
                        query.bind(row.contact_id).bind(row.number_id).bind(row.attempt).bind(row.wamid).bind(row.at);
                }
                written += query.bind(campaign_id).execute(&mut **held).await?.rows_affected();
            }
            Ok(written)
        }
        Link::Postgres(held) => {
            let column = |value: fn(&Accepted<'_>) -> i64| group.iter().map(value).collect::<Vec<_>>();
            let wamids: Vec<&str> = group.iter().map(|row| row.wamid).collect();
            let written: i64 = sqlx::query_scalar(POSTGRES)
                .bind(campaign_id)
                .bind(column(|row| row.contact_id))
                .bind(column(|row| row.number_id))
                .bind(column(|row| row.attempt))
                .bind(wamids)
                .bind(column(|row| row.at))
                .fetch_one(&mut **held)
                .await?;
            Ok(u64::try_from(written).unwrap_or(0))
        }
    }
}

/// An upsert of rows that are there, on PostgreSQL too: each is looked up by the unique key, whatever the planner takes
/// the campaign for, and locked in the order of the arrays, as every other writer does. What was claimed has the time of
/// that; a row that was not there, and came to be by this, has not, and is not counted.
const POSTGRES: &str = "WITH written AS (
         INSERT INTO sends AS s (campaign_id, contact_id, number_id, attempt, state, wamid, accepted_at)
         SELECT $1, n.contact_id, n.number_id, n.attempt, 3, n.wamid, n.at
         FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[]) AS
             n(contact_id, number_id, attempt, wamid, at)
         ON CONFLICT (campaign_id, contact_id) DO UPDATE SET state = excluded.state, wamid = excluded.wamid,
             accepted_at = excluded.accepted_at
         WHERE s.number_id = excluded.number_id AND s.attempt = excluded.attempt
           AND s.state = 1 AND s.wamid IS NULL AND s.accepted_at IS NULL
         RETURNING s.claimed_at)
     SELECT count(claimed_at) FROM written";

/// As [`POSTGRES`]: the form for which SQLite looks each row up by its key. A plain UPDATE … FROM goes
/// through the campaign once for each.
static SQLITE: LazyLock<Chunks> = LazyLock::new(|| {
    Chunks::new(5, |values| {
        format!(
            "INSERT INTO sends (campaign_id, contact_id, number_id, state, attempt, wamid, accepted_at)
             SELECT s.campaign_id, s.contact_id, s.number_id, 3, s.attempt, n.column4, n.column5
             FROM (VALUES {values}) n CROSS JOIN sends s ON s.campaign_id = ? AND s.contact_id = n.column1
             WHERE s.number_id = n.column2 AND s.attempt = n.column3 AND s.state = 1
               AND s.wamid IS NULL AND s.accepted_at IS NULL
             ON CONFLICT (campaign_id, contact_id) DO UPDATE SET state = excluded.state, wamid = excluded.wamid,
                 accepted_at = excluded.accepted_at"
        )
    })
});
