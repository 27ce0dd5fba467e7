//! The common statuses, on a short way: sent, delivered and read of a send's current attempt.
//!
//! Nearly every status is one of these, and its send stands at accepted or above, with nothing remarkable about it.
//! There the state machine only climbs: from *accepted* over *sent* and *delivered* to *read*, whichever is higher, and
//! each status leaves its earliest time. All that a group says of one send is one write of the few columns that change.
//! The statement finds only such sends; whatever else there is, the caller applies the long way ([`crate::sends`]), which
//! looks at each row.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use domain::send::{SendEvent, SendState, Status};

use crate::chunks::Chunks;
use crate::db::{Link, Priority, Store};
use crate::error::Result;
use crate::sends::{Happening, SendKey};
use crate::tallies::Deltas;

/// What a group of statuses says of one send.
#[derive(Debug)]
struct Told {
    contact_id: i64,
    attempt: i64,
    /// The highest of them.
    state: i16,
    /// The earliest time of any: by then it was accepted.
    accepted_at: i64,
    sent_at: Option<i64>,
    delivered_at: Option<i64>,
    read_at: Option<i64>,
    /// The greatest word of any on the price.
    billed: Option<i16>,
}

impl Told {
    /// What one status says; `None` if it is not one of these.
    fn of(happening: &Happening) -> Option<Self> {
        let SendEvent::Status(status, _) = happening.event else { return None };
        let state = match status {
            Status::Sent => SendState::Sent,
            Status::Delivered => SendState::Delivered,
            Status::Read => SendState::Read,
            Status::Failed { .. } => return None,
        };
        let at = |of: SendState| (of == state).then_some(happening.at);
        Some(Self {
            contact_id: happening.contact_id,
            attempt: happening.attempt?,
            state: state as i16,
            accepted_at: happening.at,
            sent_at: at(SendState::Sent),
            delivered_at: at(SendState::Delivered),
            read_at: at(SendState::Read),
            billed: happening.billed,
        })
    }

    /// Takes in what else is said of the same attempt.
    fn join(&mut self, other: &Self) {
        fn earliest(one: &mut Option<i64>, other: Option<i64>) {
            *one = [*one, other].into_iter().flatten().min();
        }
        self.state = self.state.max(other.state);
        self.accepted_at = self.accepted_at.min(other.accepted_at);
        earliest(&mut self.sent_at, other.sent_at);
        earliest(&mut self.delivered_at, other.delivered_at);
        earliest(&mut self.read_at, other.read_at);
        self.billed = self.billed.max(other.billed);
    }
}

/// The sends of which only common statuses of one attempt are said, in the table's order.
fn gathered(happenings: &[Happening]) -> BTreeMap<SendKey, Told> {
    let mut sends: BTreeMap<SendKey, Option<Told>> = BTreeMap::new();
    for happening in happenings {
        let told = Told::of(happening);
        sends
            .entry((happening.campaign_id, happening.contact_id))
            .and_modify(|known| {
                *known = match (known.take(), &told) {
                    (Some(mut known), Some(told)) if known.attempt == told.attempt => {
                        known.join(told);
                        Some(known)
                    }
                    _ => None,
                };
            })
            .or_insert(told);
    }
    sends.into_iter().filter_map(|(key, told)| Some((key, told?))).collect()
}

impl Store {
    /// Applies the common statuses among these events, durable when it returns. The places of the others, which are
    /// still to be applied ([`Store::apply`]): of a send that does not stand as such statuses usually find it, or of
    /// which the group says anything else.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn apply_progress(&self, priority: Priority, happenings: &[Happening]) -> Result<Vec<usize>> {
        let mut campaigns: BTreeMap<i64, Vec<Told>> = BTreeMap::new();
        for ((campaign_id, _), told) in gathered(happenings) {
            campaigns.entry(campaign_id).or_default().push(told);
        }
        let mut applied: HashSet<SendKey> = HashSet::new();
        if !campaigns.is_empty() {
            let mut tx = self.write(priority).await?;
            let mut deltas = Deltas::default();
            for (campaign_id, group) in &campaigns {
                let people = write(&mut tx, *campaign_id, group, &mut deltas).await?;
                applied.extend(people.into_iter().map(|person| (*campaign_id, person)));
            }
            deltas.write(&mut tx).await?;
            tx.commit().await?;
        }
        let is_left = |happening: &Happening| !applied.contains(&(happening.campaign_id, happening.contact_id));
        Ok((0..happenings.len()).filter(|place| is_left(&happenings[*place])).collect())
    }
}

/// Writes what is told of those sends that stand as expected. Whose they are.
async fn write(tx: &mut Link, campaign_id: i64, group: &[Told], deltas: &mut Deltas) -> Result<Vec<i64>> {
    let mut count = |number_id: i64, was: i16, is: i16, sends: i64| {
        deltas.add(campaign_id, number_id, was, "", -sends);
        deltas.add(campaign_id, number_id, is, "", sends);
    };
    match tx {
        Link::Sqlite(held, _) => {
            let mut people = Vec::with_capacity(group.len());
            for (statement, told) in COUNT_SQLITE.over(group) {
                let mut query = sqlx::query_as::<_, (i64, i16, i16, i64)>(statement);
                for told in told {
                    query = query.bind(told.contact_id).bind(told.attempt).bind(told.state);
                }
                let mut found = 0;
                for (number_id, was, is, sends) in query.bind(campaign_id).fetch_all(&mut **held).await? {
                    count(number_id, was, is, sends);
                    found += sends;
                }
                if usize::try_from(found) == Ok(told.len()) {
                    people.extend(told.iter().map(|told| told.contact_id));
                } else {
                    let attempts: Vec<(i64, i64)> = told.iter().map(|told| (told.contact_id, told.attempt)).collect();
                    let attempts = serde_json::to_string(&attempts)?;
                    let found = sqlx::query_scalar::<_, i64>(FIND_SQLITE).bind(attempts).bind(campaign_id);
                    people.extend(found.fetch_all(&mut **held).await?);
                }
            }
            for (statement, told) in WRITE_SQLITE.over(group) {
                let mut query = sqlx::query(statement);
                for told in told {
                    query = query
                        .bind(told.contact_id)
                        .bind(told.attempt)
                        .bind(told.state)
                        .bind(told.accepted_at)
                        .bind(told.sent_at)
                        .bind(told.delivered_at)
                        .bind(told.read_at)
                        .bind(told.billed);
                }
                query.bind(campaign_id).execute(&mut **held).await?;
            }
            Ok(people)
        }
        Link::Postgres(held) => {
            let column = |value: fn(&Told) -> i64| group.iter().map(value).collect::<Vec<_>>();
            let time = |value: fn(&Told) -> Option<i64>| group.iter().map(value).collect::<Vec<_>>();
            let moved: Vec<(i64, i16, i16, Vec<i64>)> = sqlx::query_as(POSTGRES)
                .bind(campaign_id)
                .bind(column(|told| told.contact_id))
                .bind(column(|told| told.attempt))
                .bind(group.iter().map(|told| told.state).collect::<Vec<_>>())
                .bind(column(|told| told.accepted_at))
                .bind(time(|told| told.sent_at))
                .bind(time(|told| told.delivered_at))
                .bind(time(|told| told.read_at))
                .bind(group.iter().map(|told| told.billed).collect::<Vec<_>>())
                .fetch_all(&mut **held)
                .await?;
            let mut people = Vec::with_capacity(group.len());
            for (number_id, was, is, sends) in moved {
                count(number_id, was, is, i64::try_from(sends.len()).unwrap_or(i64::MAX));
                people.extend(sends);
            }
            Ok(people)
        }
    }
}

/// A send of which common statuses have nothing to clear away: Meta took its current attempt and named it, nobody holds
/// it, nothing failed, nobody settled it by hand. The numbers of these states climb as their ranks do.
macro_rules! is_common {
    () => {
        "s.state IN (3, 4, 5, 6) AND NOT s.held AND NOT s.expired AND s.wamid IS NOT NULL AND s.code IS NULL
             AND s.reason IS NULL AND s.failed_at IS NULL"
    };
}

/// The rows are looked up by their keys, one by one whatever the planner takes the campaign for, and locked in the table's
/// order before any is changed, as every other writer does. Then an upsert of rows that are there: see
/// [`crate::accepted`].
const POSTGRES: &str = concat!(
    "WITH locked AS MATERIALIZED (
         SELECT n.*, s.number_id, s.state AS was
         FROM unnest($2::bigint[], $3::bigint[], $4::smallint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
                     $9::smallint[])
             AS n(contact_id, attempt, state, accepted_at, sent_at, delivered_at, read_at, billed)
         CROSS JOIN LATERAL (
             SELECT s.number_id, s.state FROM sends s
             WHERE s.campaign_id = $1 AND s.contact_id = n.contact_id AND s.attempt = n.attempt AND ",
    is_common!(),
    "
             FOR UPDATE) s),
     moved AS (
         INSERT INTO sends AS s (campaign_id, contact_id, number_id, state, accepted_at, sent_at, delivered_at, read_at,
             billed)
         SELECT $1, contact_id, number_id, state, accepted_at, sent_at, delivered_at, read_at, billed FROM locked
         ON CONFLICT (campaign_id, contact_id) DO UPDATE SET
             state = greatest(s.state, excluded.state), accepted_at = least(s.accepted_at, excluded.accepted_at),
             sent_at = least(s.sent_at, excluded.sent_at), delivered_at = least(s.delivered_at, excluded.delivered_at),
             read_at = least(s.read_at, excluded.read_at), billed = greatest(s.billed, excluded.billed))
     SELECT number_id, was, greatest(was, state), array_agg(contact_id) FROM locked GROUP BY 1, 2, 3"
);

/// From where to where the sends will go: SQLite's own RETURNING knows only the new row.
static COUNT_SQLITE: LazyLock<Chunks> = LazyLock::new(|| {
    Chunks::new(3, |values| {
        format!(
            "SELECT s.number_id, s.state, max(s.state, n.column3), count(*)
             FROM (VALUES {values}) n CROSS JOIN sends s ON s.campaign_id = ? AND s.contact_id = n.column1
             WHERE s.attempt = n.column2 AND {} GROUP BY 1, 2, 3",
            is_common!()
        )
    })
});

const FIND_SQLITE: &str = concat!(
    "SELECT s.contact_id FROM json_each($1) k CROSS JOIN sends s ON s.campaign_id = $2 AND s.contact_id = k.value ->> 0
     WHERE s.attempt = k.value ->> 1 AND ",
    is_common!()
);

/// An upsert of rows that are there: see [`crate::accepted`].
static WRITE_SQLITE: LazyLock<Chunks> = LazyLock::new(|| {
    Chunks::new(8, |values| {
        format!(
            "INSERT INTO sends (campaign_id, contact_id, number_id, state, accepted_at, sent_at, delivered_at, read_at,
                 billed)
             SELECT s.campaign_id, s.contact_id, s.number_id, max(s.state, n.column3),
                 min(coalesce(s.accepted_at, n.column4), n.column4),
                 min(coalesce(s.sent_at, n.column5), coalesce(n.column5, s.sent_at)),
                 min(coalesce(s.delivered_at, n.column6), coalesce(n.column6, s.delivered_at)),
                 min(coalesce(s.read_at, n.column7), coalesce(n.column7, s.read_at)),
                 max(coalesce(s.billed, n.column8), coalesce(n.column8, s.billed))
             FROM (VALUES {values}) n CROSS JOIN sends s ON s.campaign_id = ? AND s.contact_id = n.column1
             WHERE s.attempt = n.column2 AND {}
             ON CONFLICT (campaign_id, contact_id) DO UPDATE SET state = excluded.state,
                 accepted_at = excluded.accepted_at, sent_at = excluded.sent_at, delivered_at = excluded.delivered_at,
                 read_at = excluded.read_at, billed = excluded.billed",
            is_common!()
        )
    })
});

#[cfg(test)]
mod tests;
