//! The frozen audience, and its planning: a row per person and campaign, chunk by chunk.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use domain::filter::Filter;
use domain::optout::scope::Forbidding;
use domain::send::SendState;
use sqlx::Row;

use crate::claims::OPTED_OUT;
use crate::db::{Db, Link, Priority, Store, on};
use crate::error::{Error, Result};
use crate::filters::{self, Asked, Value};
use crate::frequency::{self, FREQUENCY_CAP};
use crate::tallies::Deltas;

/// Why a send was skipped at planning: the person is on a list that the campaign excludes.
pub const EXCLUDED_LIST: &str = "excluded-list";
/// Why a send was skipped at planning: the campaign's filter does not mean the person.
pub const FILTERED_OUT: &str = "filtered-out";
/// Why a send was skipped at planning: the person has neither a number nor a user id.
pub const NO_ADDRESS: &str = "no-address";
/// Why a send was skipped: the campaign was cancelled before it left.
pub const CANCELLED: &str = "cancelled";

/// Bits of what an audience's page says of a person.
const IS_EXCLUDED: i64 = 1;
const IS_SUPPRESSED: i64 = 2;
const IS_UNREACHABLE: i64 = 4;
/// This one is found out by what the page tells for the filter.
const IS_FILTERED_OUT: i64 = 8;
const HAS_HAD_ENOUGH: i64 = 16;

/// The first parameter of a page that is free for a filter.
const FILTERS_FIRST: usize = 8;

/// Whom a campaign's lists hold as of a moment. Lists that a campaign needs cannot be removed, so it stays right while
/// the campaign is planned.
#[derive(Clone, Debug)]
pub struct Audience {
    /// Members of its lists who were added by then, epoch ms.
    pub frozen_at: i64,
    included: Vec<i64>,
    excluded: Vec<i64>,
    filter: Option<Asked>,
    /// Which stops forbid its messages, from whichever of its numbers.
    forbidding: Forbidding,
    /// Who has had as many marketing messages as a cap allows, as a condition on `c`.
    had_enough: Option<String>,
}

/// How much of each person a page of an audience brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Who it is and what forbids a message to them. Name, language and attributes are left out.
    Verdicts,
    /// What it takes to render, too.
    Fields,
}

/// A person of an audience, with what it takes to render.
#[derive(Clone)]
pub struct AudienceRow {
    /// The person.
    pub contact_id: i64,
    /// The number, digits without the plus sign.
    pub phone: Option<i64>,
    /// The name.
    pub name: Option<String>,
    /// The language.
    pub language: Option<String>,
    /// The other columns, a JSON object of texts. Empty where it was not asked for.
    pub attributes: String,
    bars: i64,
}

impl std::fmt::Debug for AudienceRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudienceRow")
            .field("contact_id", &self.contact_id)
            .field("barred", &self.barred())
            .finish_non_exhaustive()
    }
}

impl AudienceRow {
    /// Why nothing may be sent to this person, whatever the message is: the first reason that holds.
    #[must_use]
    pub fn barred(&self) -> Option<&'static str> {
        [
            (IS_EXCLUDED, EXCLUDED_LIST),
            (IS_FILTERED_OUT, FILTERED_OUT),
            (IS_SUPPRESSED, OPTED_OUT),
            (IS_UNREACHABLE, NO_ADDRESS),
            (HAS_HAD_ENOUGH, FREQUENCY_CAP),
        ]
        .into_iter()
        .find_map(|(bit, reason)| (self.bars & bit != 0).then_some(reason))
    }
}

/// What planning makes of one person.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The person.
    pub contact_id: i64,
    /// Skipped, for this reason as it is counted (`variable-missing:name`); `None`: to be sent.
    pub skipped: Option<Cow<'static, str>>,
}

/// One chunk of planning: everybody of the audience between two contact ids.
#[derive(Clone, Debug)]
pub struct PlanChunk<'a> {
    /// The campaign.
    pub campaign_id: i64,
    /// Where the last chunk ended (`planned_through`).
    pub after: i64,
    /// Where this one ends, included.
    pub through: i64,
    /// The last one.
    pub last: bool,
    /// The people of it, in the order of their ids.
    pub people: &'a [Verdict],
}

/// How often what an audience rests on has changed: people, their lists, what forbids messages to them. Two that are
/// equal were read with the same audience in between.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AudienceMarks {
    /// Entries of the ledger: every stop, every lift, every consent that an import brought makes one.
    pub entries: i64,
    /// Imports.
    pub imports: i64,
    /// Rows that imports have taken in: a file may change people without new evidence.
    pub rows: i64,
    /// How often a name that was learned carried a block over to another person.
    pub carried: i64,
    /// Imports that were taken back, or are being so: from its first change on, and once more in the ledger at its end.
    #[serde(default)]
    pub undone: i64,
}

from_row!(AudienceMarks { entries, imports, rows, carried, undone });

/// `meta.key` of [`AudienceMarks::carried`].
const CARRIED: &str = "blocks_carried";

/// Counts that blocks were carried from one person to another, in the transaction that does it.
pub(crate) async fn note_carried(tx: &mut Link) -> Result<()> {
    on!(tx, c => sqlx::query(
        "INSERT INTO meta (key, value) VALUES ($1, '1')
         ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(meta.value AS BIGINT) + 1 AS TEXT)")
        .bind(CARRIED).execute(c).await.map(drop))?;
    Ok(())
}

/// The columns of a page as PostgreSQL gives them: arrays, of people in the order of their ids.
type Columns = (Vec<i64>, Vec<Option<i64>>, Vec<i64>);
type MoreColumns = (Vec<Option<String>>, Vec<Option<String>>, Vec<String>);

impl Store {
    /// Whom a campaign's lists hold as of `frozen_at`, with its filter.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn audience(&self, campaign_id: i64, frozen_at: i64) -> Result<Audience> {
        let mut link = self.read().await?;
        let filter: Option<Option<String>> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT filter FROM campaigns WHERE id = $1").bind(campaign_id).fetch_optional(c).await)?;
        let lists: Vec<(i64, bool)> = on!(&mut link, c => sqlx::query_as(
            "SELECT list_id, included FROM campaign_lists WHERE campaign_id = $1 ORDER BY list_id")
            .bind(campaign_id).fetch_all(c).await)?;
        let of = |wanted| lists.iter().filter(|(_, included)| *included == wanted).map(|(list, _)| *list).collect();
        let (included, excluded): (Vec<i64>, Vec<i64>) = (of(true), of(false));
        let filter = filter.flatten().map(|text| filters::kept(&text)).transpose()?;
        let filter = match &filter {
            Some(filter) => Some(filters::ask(&mut link, filter, &included, frozen_at, FILTERS_FIRST).await?),
            None => None,
        };
        let caps = frequency::frequency_caps(&mut link, campaign_id).await?;
        let had_enough = frequency::condition(&mut link, campaign_id, &caps, frozen_at).await?;
        let category: Option<String> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT t.category FROM campaigns k JOIN templates t ON t.id = k.template_id WHERE k.id = $1")
            .bind(campaign_id).fetch_optional(c).await)?;
        let numbers: Vec<(String, Option<String>)> = on!(&mut link, c => sqlx::query_as(
            "SELECT n.phone_number_id, n.brand FROM campaign_numbers k JOIN numbers n ON n.id = k.number_id
             WHERE k.campaign_id = $1").bind(campaign_id).fetch_all(c).await)?;
        // Who stopped one of several numbers is found by that number's claim.
        let forbidding = Forbidding::of_every(&category.unwrap_or_default(), &numbers);
        Ok(Audience { frozen_at, included, excluded, filter, forbidding, had_enough })
    }

    /// Whom lists (our ids) hold as of a moment, before there is a campaign to them: of marketing, as far as stops are
    /// concerned. A list that is both is excluded.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn audience_of(
        &self,
        lists: &[i64],
        excluded: &[i64],
        filter: Option<&Filter>,
        at: i64,
    ) -> Result<Audience> {
        let filter = match filter {
            Some(filter) => Some(filters::ask(&mut self.read().await?, filter, lists, at, FILTERS_FIRST).await?),
            None => None,
        };
        let forbidding = Forbidding::of_every("MARKETING", &[]);
        let (included, excluded) = (lists.to_vec(), excluded.to_vec());
        Ok(Audience { frozen_at: at, included, excluded, filter, forbidding, had_enough: None })
    }

    /// How many people an audience holds.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn audience_size(&self, audience: &Audience) -> Result<i64> {
        let members: Vec<String> = audience
            .included
            .iter()
            .map(|list| format!("SELECT contact_id FROM list_members WHERE list_id = {list} AND added_at <= $1"))
            .collect();
        if members.is_empty() {
            return Ok(0);
        }
        // The order lets SQLite merge several lists, which lie in it, instead of gathering everybody in a table.
        let order = if members.len() > 1 { " ORDER BY contact_id" } else { "" };
        let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM ({}{order}) u", members.join(" UNION ")));
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_scalar(sql).bind(audience.frozen_at).fetch_one(c).await)?)
    }

    /// The next people of an audience after a contact id, in the order of their ids; fewer than `limit` only at its end.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn audience_page(
        &self,
        audience: &Audience,
        after: i64,
        limit: i64,
        detail: Detail,
    ) -> Result<Vec<AudienceRow>> {
        if audience.included.is_empty() {
            return Ok(Vec::new());
        }
        let filter = audience.filter.as_ref();
        let detail = if filter.is_some_and(Asked::needs_attributes) { Detail::Fields } else { detail };
        let mut link = self.read().await?;
        let mut columns = match detail {
            Detail::Verdicts => vec!["id", "phone", "bars"],
            Detail::Fields => vec!["id", "phone", "bars", "name", "language", "attributes"],
        };
        let told_at = columns.len();
        columns.extend(filter.map(|_| "told"));
        // A page comes as one row with a list for each column: a row for each person costs more than what is in it.
        let lists =
            |gather: &str| columns.iter().map(|name| format!("{gather}(r.{name})")).collect::<Vec<_>>().join(", ");
        let page = page_of(audience, detail, matches!(link, Link::Sqlite(..)));
        macro_rules! bound {
            ($sql:expr) => {{
                let mut query = sqlx::query($sql).bind(after).bind(audience.frozen_at).bind(limit);
                for scope in audience.forbidding.scopes() {
                    query = query.bind(scope.as_str());
                }
                for value in filter.iter().flat_map(|filter| &filter.values) {
                    query = match value {
                        Value::Text(text) => query.bind(text.as_str()),
                        Value::Whole(number) => query.bind(*number),
                        Value::Number(number) => query.bind(*number),
                    };
                }
                query
            }};
        }
        let (mut people, told) = match &mut link {
            Link::Sqlite(held, _) => {
                let sql = sqlx::AssertSqlSafe(format!("SELECT {} FROM ({page}) r", lists("json_group_array")));
                let row = bound!(sql).fetch_one(&mut **held).await?;
                let told: Vec<String> = if filter.is_some() { list_in(&row, told_at)? } else { Vec::new() };
                (from_json(&row, detail)?, told)
            }
            Link::Postgres(held) => {
                let sql =
                    sqlx::AssertSqlSafe(format!("SELECT {} FROM ({page}) r HAVING count(*) > 0", lists("array_agg")));
                match bound!(sql).fetch_optional(&mut **held).await? {
                    Some(row) => {
                        let told = if filter.is_some() { row.try_get(told_at)? } else { Vec::new() };
                        (from_arrays(&row, detail)?, told)
                    }
                    None => (Vec::new(), Vec::new()),
                }
            }
        };
        if let Some(filter) = filter {
            if told.len() != people.len() {
                return Err(Error::bug("a page of an audience that does not tell of everybody whether they are meant"));
            }
            for (person, told) in people.iter_mut().zip(&told) {
                if !filter.means(told, person.phone, &person.attributes) {
                    person.bars |= IS_FILTERED_OUT;
                }
            }
        }
        // Both databases gather rows as they come, which is in this order; neither promises it.
        if !people.is_sorted_by_key(|person| person.contact_id) {
            people.sort_unstable_by_key(|person| person.contact_id);
        }
        Ok(people)
    }

    /// How often what audiences rest on has changed so far.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn audience_marks(&self) -> Result<AudienceMarks> {
        let mut link = self.read().await?;
        // Entries are sealed one after the other without a gap, so the last number and those to come make all of them.
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT (SELECT coalesce(max(sealed_seq), 0) FROM ledger)
                        + (SELECT count(*) FROM ledger WHERE sealed_seq IS NULL) AS entries,
                    (SELECT count(*) FROM imports) AS imports,
                    (SELECT CAST(coalesce(sum(line_count + accepted), 0) AS BIGINT) FROM imports) AS rows,
                    coalesce((SELECT CAST(value AS BIGINT) FROM meta WHERE key = $1), 0) AS carried,
                    (SELECT count(*) FROM imports WHERE state IN ('undoing', 'undone')) AS undone")
            .bind(CARRIED).fetch_one(c).await)?)
    }

    /// What the last check of a campaign found, as its keeper wrote it.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn kept_check(&self, campaign_id: i64) -> Result<Option<String>> {
        let mut link = self.read().await?;
        let kept: Option<Option<String>> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT checked FROM campaigns WHERE id = $1").bind(campaign_id).fetch_optional(c).await)?;
        Ok(kept.flatten())
    }

    /// Keeps what a check of a campaign found.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn keep_check(&self, campaign_id: i64, found: &str) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("UPDATE campaigns SET checked = $2 WHERE id = $1")
            .bind(campaign_id).bind(found).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Plans one chunk: a row for each of its people, with the tallies, all or nothing. How long the transaction took;
    /// `None`: somebody else planned it meanwhile.
    ///
    /// The verdicts are those of the reader: whoever is suppressed after they were read is found by the claim.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn plan_chunk(&self, chunk: &PlanChunk<'_>) -> Result<Option<Duration>> {
        let mut tx = self.write(Priority::Bulk).await?.named("plan");
        let planned = on!(&mut tx, c => sqlx::query(
            "UPDATE campaigns SET planned_through = $3, planned = $4
             WHERE id = $1 AND planned_through = $2 AND NOT planned AND frozen_at IS NOT NULL")
            .bind(chunk.campaign_id).bind(chunk.after).bind(chunk.through).bind(chunk.last)
            .execute(c).await.map(|done| done.rows_affected()))?;
        if planned == 0 {
            return Ok(None);
        }
        let numbers: Vec<i64> = on!(&mut tx, c => sqlx::query_scalar(
            "SELECT number_id FROM campaign_numbers WHERE campaign_id = $1 ORDER BY position")
            .bind(chunk.campaign_id).fetch_all(c).await)?;
        if numbers.is_empty() {
            return Err(Error::bug("a campaign without a number to send from"));
        }
        // A person falls to the number at the remainder of their id.
        let mut groups: BTreeMap<(usize, Option<&str>), Vec<i64>> = BTreeMap::new();
        for person in chunk.people {
            let place = usize::try_from(person.contact_id.rem_euclid(numbers.len() as i64)).unwrap_or(0);
            groups.entry((place, person.skipped.as_deref())).or_default().push(person.contact_id);
        }
        let mut deltas = Deltas::default();
        for ((place, skipped), people) in groups {
            let state = if skipped.is_some() { SendState::Skipped } else { SendState::Planned } as i16;
            let number = numbers[place];
            deltas.add(chunk.campaign_id, number, state, skipped.unwrap_or_default(), people.len() as i64);
            insert(&mut tx, chunk.campaign_id, number, state, skipped, people).await?;
        }
        deltas.write(&mut tx).await?;
        let took = tx.commit_timed().await?;
        self.count_grown().await?;
        Ok(Some(took))
    }

    /// Lets PostgreSQL count `sends` when the table has doubled since it last did. Its own turn comes once a minute, and
    /// all that long statements would keep the plans that were made for an empty table.
    async fn count_grown(&self) -> Result<()> {
        let Db::Postgres(pool) = &self.db else { return Ok(()) };
        let has_doubled: bool = sqlx::query_scalar(
            "SELECT pg_relation_size(oid) / current_setting('block_size')::bigint > 2 * greatest(relpages, 32)
             FROM pg_class WHERE oid = 'sends'::regclass",
        )
        .fetch_one(pool)
        .await?;
        if has_doubled {
            // Skipped while somebody else is at it.
            sqlx::raw_sql("ANALYZE (SKIP_LOCKED) sends").execute(pool).await?;
        }
        Ok(())
    }

    /// Skips up to `limit` planned sends of a cancelled campaign, whose planning is complete. How many it skipped.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn skip_planned(&self, campaign_id: i64, reason: &str, limit: i64) -> Result<u64> {
        // Looked up before the writer is taken: what left before the campaign was cancelled may be millions of rows.
        let (people, through) = self.left_to_skip(campaign_id, limit).await?;
        let mut tx = self.write(Priority::Bulk).await?;
        let sql = tx.pick(
            "UPDATE sends SET state = 8, reason = $2, not_before = NULL
             WHERE campaign_id = $1 AND state = 0 AND contact_id IN (SELECT value FROM json_each($3))
             RETURNING contact_id, number_id",
            // As an array: see `mark_submitting`.
            "UPDATE sends SET state = 8, reason = $2, not_before = NULL
             WHERE campaign_id = $1 AND state = 0
               AND contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text($3::jsonb))::bigint))
             RETURNING contact_id, number_id",
        );
        let json = serde_json::to_string(&people)?;
        let rows: Vec<(i64, i64)> = on!(&mut tx, c => sqlx::query_as(sql)
            .bind(campaign_id).bind(reason).bind(json).fetch_all(c).await)?;
        on!(&mut tx, c => sqlx::query("UPDATE campaigns SET skipped_through = $2 WHERE id = $1 AND skipped_through < $2")
            .bind(campaign_id).bind(through).execute(c).await.map(drop))?;
        let mut deltas = Deltas::default();
        for (_, number_id) in &rows {
            deltas.add(campaign_id, *number_id, SendState::Planned as i16, "", -1);
            deltas.add(campaign_id, *number_id, SendState::Skipped as i16, reason, 1);
        }
        deltas.write(&mut tx).await?;
        crate::tallies::forget_empty(&mut tx, campaign_id).await?;
        on!(&mut tx, c => sqlx::query("DELETE FROM batches WHERE campaign_id = $1")
            .bind(campaign_id).execute(c).await.map(drop))?;
        tx.commit().await?;
        Ok(rows.len() as u64)
    }

    /// People of a cancelled campaign whose sends are still planned, and up to where no fresh one is left after them.
    async fn left_to_skip(&self, campaign_id: i64, limit: i64) -> Result<(Vec<i64>, i64)> {
        let mut link = self.read().await?;
        // Sends that were planned again (0: for at once) may lie anywhere; they have an index. Fresh ones are passed once,
        // in order.
        let mut people: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT s.contact_id FROM campaign_numbers n CROSS JOIN sends s
             WHERE n.campaign_id = $1 AND s.campaign_id = n.campaign_id AND s.number_id = n.number_id
               AND s.state = 0 AND s.not_before >= 0 LIMIT $2")
            .bind(campaign_id).bind(limit).fetch_all(c).await)?;
        let passed: i64 = on!(&mut link, c => sqlx::query_scalar("SELECT skipped_through FROM campaigns WHERE id = $1")
            .bind(campaign_id).fetch_optional(c).await)?
        .unwrap_or(i64::MAX);
        let room = limit - i64::try_from(people.len()).unwrap_or(limit);
        let fresh: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT contact_id FROM sends
             WHERE campaign_id = $1 AND contact_id > $2 AND state = 0 AND not_before IS NULL
             ORDER BY contact_id LIMIT $3")
            .bind(campaign_id).bind(passed).bind(room).fetch_all(c).await)?;
        let is_end = i64::try_from(fresh.len()).unwrap_or(room) < room;
        let through = if is_end { i64::MAX } else { fresh.last().copied().unwrap_or(passed) };
        people.extend(fresh);
        Ok((people, through))
    }
}

/// The people of one page: `$1` after, `$2` frozen at, `$3` how many, `$4` to `$7` the scopes of stops that forbid; a
/// filter's values follow.
///
/// Each person is looked up by a key. LATERAL, LIMIT and + 0 keep PostgreSQL from what it would rather do: reading every
/// contact, block, excluded member or user id there is, for each page anew.
fn page_of(audience: &Audience, detail: Detail, is_embedded: bool) -> String {
    // One list is read in the order of its key; several are merged, each read no further than needed.
    let parts: Vec<String> = audience
        .included
        .iter()
        .map(|list| {
            format!(
                "SELECT contact_id FROM (SELECT contact_id FROM list_members
                 WHERE list_id = {list} AND contact_id > $1 AND added_at <= $2 ORDER BY contact_id LIMIT $3) l{list}"
            )
        })
        .collect();
    let excluded = match &audience.excluded[..] {
        [] => "0".to_owned(),
        lists => {
            let lists: Vec<String> = lists.iter().map(ToString::to_string).collect();
            format!(
                "CASE WHEN (SELECT m.contact_id FROM list_members m
                            WHERE m.list_id IN ({}) AND m.contact_id = c.id LIMIT 1) IS NOT NULL
                 THEN {IS_EXCLUDED} ELSE 0 END",
                lists.join(", ")
            )
        }
    };
    let people = if is_embedded {
        "CROSS JOIN contacts c ON c.id = page.contact_id"
    } else {
        "CROSS JOIN LATERAL (SELECT * FROM contacts WHERE id = page.contact_id LIMIT 1) c"
    };
    // See `claims::candidates`.
    let plus = if is_embedded { "+" } else { "" };
    let fields = if detail == Detail::Fields { ", c.name, c.language, c.attributes" } else { "" };
    let had_enough = match &audience.had_enough {
        Some(condition) => format!("CASE WHEN {condition} THEN {HAS_HAD_ENOUGH} ELSE 0 END"),
        None => "0".to_owned(),
    };
    let told = audience.filter.as_ref().map_or_else(String::new, |filter| format!(", {} AS told", filter.column()));
    format!(
        "SELECT c.id, c.phone{fields},
                CAST({excluded}
                    + CASE WHEN (SELECT p.contact_id FROM suppressions p
                                 WHERE p.contact_id = c.id AND {plus}p.scope IN ($4, $5, $6, $7) LIMIT 1) IS NOT NULL
                           THEN {IS_SUPPRESSED} ELSE 0 END
                    + CASE WHEN c.phone IS NULL AND (SELECT i.contact_id FROM identities i
                               WHERE i.contact_id = c.id AND i.kind + 0 = 2 LIMIT 1) IS NULL
                           THEN {IS_UNREACHABLE} ELSE 0 END
                    + {had_enough} AS BIGINT) AS bars{told}
         FROM (SELECT contact_id FROM ({}) u ORDER BY contact_id LIMIT $3) page
         {people} ORDER BY page.contact_id",
        parts.join(" UNION ")
    )
}

fn list_in<'a, T: serde::Deserialize<'a>>(row: &'a sqlx::sqlite::SqliteRow, place: usize) -> Result<T> {
    Ok(serde_json::from_str(row.try_get::<&str, _>(place)?)?)
}

fn from_json(row: &sqlx::sqlite::SqliteRow, detail: Detail) -> Result<Vec<AudienceRow>> {
    let more = match detail {
        Detail::Verdicts => None,
        Detail::Fields => Some((list_in(row, 3)?, list_in(row, 4)?, list_in(row, 5)?)),
    };
    people_of((list_in(row, 0)?, list_in(row, 1)?, list_in(row, 2)?), more)
}

fn from_arrays(row: &sqlx::postgres::PgRow, detail: Detail) -> Result<Vec<AudienceRow>> {
    let more = match detail {
        Detail::Verdicts => None,
        Detail::Fields => Some((row.try_get(3)?, row.try_get(4)?, row.try_get(5)?)),
    };
    people_of((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?), more)
}

fn people_of((ids, phones, bars): Columns, more: Option<MoreColumns>) -> Result<Vec<AudienceRow>> {
    let (names, languages, attributes) = more.unwrap_or_else(|| {
        let none = vec![None; ids.len()];
        (none.clone(), none, vec![String::new(); ids.len()])
    });
    let lengths = [phones.len(), bars.len(), names.len(), languages.len(), attributes.len()];
    if lengths.iter().any(|length| *length != ids.len()) {
        return Err(Error::bug("a page of an audience whose columns differ in length"));
    }
    let fields = names.into_iter().zip(languages).zip(attributes);
    Ok(ids
        .into_iter()
        .zip(phones)
        .zip(bars)
        .zip(fields)
        .map(|(((contact_id, phone), bars), ((name, language), attributes))| AudienceRow {
            contact_id,
            phone,
            name,
            language,
            attributes,
            bars,
        })
        .collect())
}

async fn insert(
    tx: &mut Link,
    campaign_id: i64,
    number_id: i64,
    state: i16,
    reason: Option<&str>,
    people: Vec<i64>,
) -> Result<()> {
    match tx {
        Link::Sqlite(held, _) => sqlx::query(
            "INSERT INTO sends (campaign_id, contact_id, number_id, state, reason)
             SELECT $1, value, $2, $3, $4 FROM json_each($5)",
        )
        .bind(campaign_id)
        .bind(number_id)
        .bind(state)
        .bind(reason)
        .bind(serde_json::to_string(&people)?)
        .execute(&mut **held)
        .await
        .map(drop)?,
        Link::Postgres(held) => sqlx::query(
            "INSERT INTO sends (campaign_id, contact_id, number_id, state, reason)
             SELECT $1, u.id, $2, $3, $4 FROM unnest($5::bigint[]) AS u(id)",
        )
        .bind(campaign_id)
        .bind(number_id)
        .bind(state)
        .bind(reason)
        .bind(people)
        .execute(&mut **held)
        .await
        .map(drop)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests;
