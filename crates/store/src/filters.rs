//! Filters as SQL: what of a filter a database can tell of a person, as conditions over `c`, the row of `contacts`.
//! Whatever comes from outside is a parameter. Countries and time zones stand in the numbering plans and not in the
//! database: they are looked up here, for the people of a page, and only those whom the rest leaves open to them.
//!
//! What was sent, read and answered is looked up person by person, by the keys of the tables that hold it, and as of the
//! moment for which the audience stands: what leaves while a campaign is planned changes nothing about whom it is for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::filter::{Bound, Filter, Test};
use domain::phone::{Countries, Region};
use domain::schedule::{Tz, own_zone, zone_of_region};

use crate::db::{Link, Store, on};
use crate::error::{Error, Result};

/// A day, ms.
const DAY: i64 = 86_400_000;
/// `read last campaign` looks back so far, ms: whoever got nothing for so long would be looked for in every campaign
/// there ever was.
const LAST_LOOKS_BACK: i64 = 366 * DAY;

/// A value of a statement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Whole(i64),
    Number(f64),
}

/// A filter that is asked of the people of an audience's pages.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The values of its parameters, in their order.
    pub(crate) values: Vec<Value>,
    /// What the database tells of each person, one condition each.
    conditions: Vec<String>,
    tree: Tree,
    countries: Arc<Mutex<Countries>>,
}

/// What decides about a person.
#[derive(Clone, Debug)]
enum Tree {
    /// What the database says: which of its conditions.
    Told(usize),
    Country(Vec<Region>),
    TimeZone(Vec<Tz>),
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Not(Box<Tree>),
}

/// What a filter's words stand for at a moment.
#[derive(Debug)]
struct Setting<'a> {
    is_embedded: bool,
    /// As of when, epoch ms.
    at: i64,
    /// The lists that are meant.
    lists: &'a [i64],
    /// Campaigns by name, with their runs and retries, as a JSON array of our ids.
    campaigns: BTreeMap<String, String>,
    /// By a number of days: the campaigns that may have sent something within them.
    active: BTreeMap<u32, String>,
    /// The number of the next parameter.
    next: usize,
    values: Vec<Value>,
}

impl Asked {
    /// As a column of the page: a text with a 1 or a 0 for each condition.
    pub(crate) fn column(&self) -> String {
        let told: Vec<String> =
            self.conditions.iter().map(|condition| format!("CASE WHEN {condition} THEN '1' ELSE '0' END")).collect();
        told.join(" || ")
    }

    /// Whether it takes a person's columns to judge them.
    pub(crate) fn needs_attributes(&self) -> bool {
        self.tree.asks_for_a_zone()
    }

    /// Whether a person is meant, of whom the page tells this.
    pub(crate) fn means(&self, told: &str, phone: Option<i64>, attributes: &str) -> bool {
        self.tree.holds(&Person { told: told.as_bytes(), phone, attributes, countries: &self.countries })
    }
}

struct Person<'a> {
    told: &'a [u8],
    phone: Option<i64>,
    attributes: &'a str,
    countries: &'a Mutex<Countries>,
}

impl Person<'_> {
    fn country(&self) -> Option<Region> {
        let digits = u64::try_from(self.phone?).ok()?;
        self.countries.lock().unwrap_or_else(PoisonError::into_inner).of(digits)
    }

    fn zone(&self) -> Option<Tz> {
        let columns: BTreeMap<String, String> = serde_json::from_str(self.attributes).unwrap_or_default();
        let own = own_zone(columns.iter().map(|(column, text)| (column.as_str(), text.as_str())));
        own.or_else(|| self.country().and_then(zone_of_region))
    }
}

impl Tree {
    fn holds(&self, person: &Person<'_>) -> bool {
        match self {
            Self::Told(place) => person.told.get(*place) == Some(&b'1'),
            Self::Country(countries) => person.country().is_some_and(|country| countries.contains(&country)),
            Self::TimeZone(zones) => person.zone().is_some_and(|zone| zones.contains(&zone)),
            Self::All(parts) => parts.iter().all(|part| part.holds(person)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(person)),
            Self::Not(part) => !part.holds(person),
        }
    }

    fn asks_for_a_zone(&self) -> bool {
        match self {
            Self::Told(_) | Self::Country(_) => false,
            Self::TimeZone(_) => true,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::asks_for_a_zone),
            Self::Not(part) => part.asks_for_a_zone(),
        }
    }
}

/// Whether the database can tell all of it.
fn is_told(filter: &Filter) -> bool {
    !filter.questions().iter().any(|asked| matches!(asked, Filter::Country(_) | Filter::TimeZone(_)))
}

/// Takes a filter apart: into conditions for the database, and what is left to decide.
struct Split<'a> {
    setting: Setting<'a>,
    conditions: Vec<String>,
}

impl Split<'_> {
    fn told(&mut self, filter: &Filter) -> Tree {
        self.conditions.push(self.setting.condition(filter));
        Tree::Told(self.conditions.len() - 1)
    }

    fn tree(&mut self, filter: &Filter) -> Tree {
        if is_told(filter) {
            return self.told(filter);
        }
        match filter {
            Filter::Country(countries) => Tree::Country(countries.clone()),
            Filter::TimeZone(zones) => Tree::TimeZone(zones.clone()),
            Filter::All(parts) => Tree::All(self.several(parts, Filter::All)),
            Filter::Any(parts) => Tree::Any(self.several(parts, Filter::Any)),
            Filter::Not(part) => Tree::Not(Box::new(self.tree(part))),
            _ => self.told(filter),
        }
    }

    /// Whatever the database can tell stays together as one condition, and comes first, since it is known by then.
    fn several(&mut self, parts: &[Filter], join: fn(Vec<Filter>) -> Filter) -> Vec<Tree> {
        let (known, rest): (Vec<_>, Vec<_>) = parts.iter().cloned().partition(is_told);
        let mut trees = Vec::with_capacity(rest.len() + 1);
        if !known.is_empty() {
            trees.push(self.told(&join(known)));
        }
        trees.extend(rest.iter().map(|part| self.tree(part)));
        trees
    }
}

impl Setting<'_> {
    fn bind(&mut self, value: Value) -> String {
        let cast = match (&value, self.is_embedded) {
            (_, true) => "",
            (Value::Text(_), _) => "::text",
            (Value::Whole(_), _) => "::bigint",
            (Value::Number(_), _) => "::float8",
        };
        self.values.push(value);
        self.next += 1;
        format!("${}{cast}", self.next - 1)
    }

    fn text(&mut self, text: &str) -> String {
        self.bind(Value::Text(text.to_owned()))
    }

    fn condition(&mut self, filter: &Filter) -> String {
        match filter {
            Filter::All(parts) => self.joined(parts, " AND ", "TRUE"),
            Filter::Any(parts) => self.joined(parts, " OR ", "FALSE"),
            Filter::Not(part) => format!("NOT {}", self.condition(part)),
            Filter::Has(condition) => match condition.column.as_str() {
                "name" => self.test("coalesce(c.name, '')", &condition.test),
                "language" => self.test("coalesce(c.language, '')", &condition.test),
                column => self.attribute(column, &condition.test),
            },
            Filter::MessagedWithinDays(days) => {
                let ids = self.active.get(days).cloned().unwrap_or_default();
                let campaigns = self.among(ids);
                let since = self.bind(Value::Whole(self.at - i64::from(*days) * DAY));
                let at = self.bind(Value::Whole(self.at));
                // From its claim on a message may have left, whatever became of it but a failure.
                exists(
                    "s.contact_id",
                    &format!(
                        "sends s WHERE s.campaign_id {campaigns} AND s.contact_id = c.id AND s.state BETWEEN 1 AND 6
                       AND s.claimed_at > {since} AND s.claimed_at <= {at}"
                    ),
                )
            }
            Filter::ReadCampaign(name) => {
                let ids = self.campaigns.get(name).cloned().unwrap_or_default();
                let campaigns = self.among(ids);
                let at = self.bind(Value::Whole(self.at));
                exists(
                    "s.contact_id",
                    &format!("sends s WHERE s.campaign_id {campaigns} AND s.contact_id = c.id AND s.read_at <= {at}"),
                )
            }
            Filter::ReadLastCampaign => {
                let since = self.bind(Value::Whole(self.at - LAST_LOOKS_BACK));
                let at = self.bind(Value::Whole(self.at));
                // CROSS keeps SQLite at the order of the index, in which the first one found is the last one launched.
                let join = if self.is_embedded { "CROSS JOIN" } else { "JOIN" };
                format!(
                    "coalesce((SELECT s.read_at <= {at} FROM campaigns k {join} sends s ON s.campaign_id = k.id
                                 AND s.contact_id = c.id
                               WHERE k.kind = 0 AND k.started_at > {since} AND k.started_at <= {at}
                                 AND s.state BETWEEN 1 AND 6 AND s.claimed_at <= {at}
                               ORDER BY k.started_at DESC, k.id DESC LIMIT 1), FALSE)"
                )
            }
            Filter::Replied(days) => {
                let since = days.map_or(i64::MIN, |days| self.at - i64::from(days) * DAY);
                let (since, at) = (self.bind(Value::Whole(since)), self.bind(Value::Whole(self.at)));
                exists(
                    "i.contact_id",
                    &format!(
                        "inbound i WHERE i.contact_id = c.id AND i.received_at > {since} AND i.received_at <= {at}"
                    ),
                )
            }
            Filter::RepliedTo(name) => {
                let ids = self.campaigns.get(name).cloned().unwrap_or_default();
                let campaigns = self.among(ids);
                let at = self.bind(Value::Whole(self.at));
                exists(
                    "i.contact_id",
                    &format!(
                        "inbound i WHERE i.contact_id = c.id AND i.campaign_id {campaigns} AND NOT i.inferred
                       AND i.received_at <= {at}"
                    ),
                )
            }
            Filter::JoinedSince(since) => {
                let lists: Vec<String> = self.lists.iter().map(ToString::to_string).collect();
                let (since, at) = (self.bind(Value::Whole(*since)), self.bind(Value::Whole(self.at)));
                exists(
                    "m.contact_id",
                    &format!(
                        "list_members m WHERE m.list_id IN ({}) AND m.contact_id = c.id
                       AND m.added_at >= {since} AND m.added_at <= {at}",
                        lists.join(", ")
                    ),
                )
            }
            Filter::EverOptedOut => format!(
                "({} OR {})",
                exists("p.contact_id", "suppressions p WHERE p.contact_id = c.id"),
                exists("l.contact_id", "ledger l WHERE l.contact_id = c.id AND l.kind = 'opt-out'")
            ),
            // The tree looks these up.
            Filter::Country(_) | Filter::TimeZone(_) => "FALSE".to_owned(),
        }
    }

    fn joined(&mut self, parts: &[Filter], word: &str, none: &str) -> String {
        let parts: Vec<String> = parts.iter().map(|part| self.condition(part)).collect();
        if parts.is_empty() { none.to_owned() } else { format!("({})", parts.join(word)) }
    }

    /// Being one of a JSON array of ids, which is read once for a statement.
    fn among(&mut self, ids: String) -> String {
        let ids = self.bind(Value::Text(if ids.is_empty() { "[]".to_owned() } else { ids }));
        if self.is_embedded {
            format!("IN (SELECT value FROM json_each({ids}))")
        } else {
            format!("= ANY (ARRAY(SELECT (jsonb_array_elements_text({ids}::jsonb))::bigint))")
        }
    }

    /// A test of a column that is kept with a person's attributes, a JSON object of texts.
    fn attribute(&mut self, column: &str, test: &Test) -> String {
        let column = self.text(column);
        if !self.is_embedded {
            // The fence makes it read the object once, however often the test names the cell.
            let test = self.test("e.v", test);
            return format!(
                "(SELECT {test} FROM (SELECT coalesce(c.attributes::jsonb ->> {column}, '') AS v OFFSET 0) e)"
            );
        }
        // By the keys of the object, for a path could not name every header there may be. No such column is the empty
        // text: where that passes, only another text fails.
        let passes_empty = test.holds("");
        let test = self.test("e.value", test);
        let (not, test) = if passes_empty { ("NOT ", format!("NOT ({test})")) } else { ("", test) };
        format!("{not}EXISTS (SELECT 1 FROM json_each(c.attributes) e WHERE e.key = {column} AND {test})")
    }

    fn test(&mut self, cell: &str, test: &Test) -> String {
        match test {
            Test::Equal(text) => format!("{cell} = {}", self.text(text)),
            Test::Different(text) => format!("{cell} <> {}", self.text(text)),
            Test::Below(bound) => self.compared(cell, "<", bound),
            Test::AtMost(bound) => self.compared(cell, "<=", bound),
            Test::Above(bound) => self.compared(cell, ">", bound),
            Test::AtLeast(bound) => self.compared(cell, ">=", bound),
            Test::Contains(text) => {
                let find = if self.is_embedded { "instr" } else { "strpos" };
                format!("{find}({cell}, {}) > 0", self.text(text))
            }
            Test::Empty => format!("{cell} = ''"),
            Test::OneOf(texts) => {
                let texts = self.text(&serde_json::Value::from(texts.clone()).to_string());
                if self.is_embedded {
                    format!("{cell} IN (SELECT value FROM json_each({texts}))")
                } else {
                    format!("{cell} = ANY (ARRAY(SELECT jsonb_array_elements_text({texts}::jsonb)))")
                }
            }
        }
    }

    fn compared(&mut self, cell: &str, sign: &str, bound: &Bound) -> String {
        let Some(number) = bound.number() else {
            let order = if self.is_embedded { "" } else { " COLLATE \"C\"" };
            return format!("({cell} <> '' AND {cell}{order} {sign} {})", self.text(&bound.0));
        };
        let number = self.bind(Value::Number(number));
        let longest = domain::filter::LONGEST_NUMBER;
        if self.is_embedded {
            // Nearly every number is one of digits alone.
            format!(
                "CASE WHEN {cell} = '' OR length({cell}) > {longest} THEN FALSE
                      WHEN {cell} NOT GLOB '*[^0-9]*'
                        OR (rtrim({cell}, '0123456789.') IN ('', '-') AND {cell} NOT GLOB '*.*.*'
                            AND ltrim({cell}, '-') GLOB '[0-9]*' AND {cell} GLOB '*[0-9]')
                      THEN CAST({cell} AS REAL) {sign} {number} ELSE FALSE END"
            )
        } else {
            format!(
                "CASE WHEN octet_length({cell}) <= {longest} AND {cell} ~ '^-?[0-9]+([.][0-9]+)?$'
                      THEN {cell}::float8 {sign} {number} ELSE FALSE END"
            )
        }
    }
}

/// LIMIT keeps PostgreSQL at one look by a key for each person.
fn exists(column: &str, what: &str) -> String {
    format!("(SELECT {column} FROM {what} LIMIT 1) IS NOT NULL")
}

/// Makes a filter ready for the people of these lists as of a moment. Its parameters begin at `$first`.
pub(crate) async fn ask(link: &mut Link, filter: &Filter, lists: &[i64], at: i64, first: usize) -> Result<Asked> {
    let is_embedded = matches!(link, Link::Sqlite(..));
    let mut campaigns = BTreeMap::new();
    for name in filter.campaigns() {
        let ids: Vec<i64> = on!(link, c => sqlx::query_scalar(
            "SELECT id FROM campaigns WHERE name = $1
             UNION SELECT id FROM campaigns WHERE parent_id = (SELECT id FROM campaigns WHERE name = $1) AND kind = 0")
            .bind(name).fetch_all(c).await)?;
        campaigns.insert(name.to_owned(), serde_json::to_string(&ids)?);
    }
    let mut active = BTreeMap::new();
    for asked in filter.questions() {
        let Filter::MessagedWithinDays(days) = asked else { continue };
        let ids: Vec<i64> = on!(link, c => sqlx::query_scalar(
            "SELECT id FROM campaigns
             WHERE started_at <= $1 AND (finished_at IS NULL OR finished_at > $2) ORDER BY started_at DESC")
            .bind(at).bind(at - i64::from(*days) * DAY).fetch_all(c).await)?;
        active.insert(*days, serde_json::to_string(&ids)?);
    }
    let setting = Setting { is_embedded, at, lists, campaigns, active, next: first, values: Vec::new() };
    let mut split = Split { setting, conditions: Vec::new() };
    let tree = split.tree(filter);
    if split.conditions.is_empty() {
        // The page has the column in any case.
        split.conditions.push("TRUE".to_owned());
    }
    Ok(Asked { values: split.setting.values, conditions: split.conditions, tree, countries: Arc::default() })
}

/// Reads a filter that was kept.
///
/// # Errors
/// [`Error::Bug`] for a text that we did not write.
pub(crate) fn kept(text: &str) -> Result<Filter> {
    text.parse().map_err(|error| Error::bug(format!("a kept filter that cannot be read: {error}")))
}

impl Store {
    /// How far what filters ask of history has come: how many sends are in which state, and how many messages people
    /// wrote to us. While it is the same, so is every filter's answer as of the same moment.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn history_marks(&self) -> Result<Vec<(i64, i64)>> {
        let mut link = self.read().await?;
        let mut marks: Vec<(i64, i64)> = on!(&mut link, c => sqlx::query_as(
            "SELECT CAST(state AS BIGINT), CAST(sum(n) AS BIGINT) FROM tallies
             WHERE state BETWEEN 1 AND 7 GROUP BY state ORDER BY state").fetch_all(c).await)?;
        let inbound: i64 = on!(&mut link, c => sqlx::query_scalar("SELECT count(*) FROM inbound").fetch_one(c).await)?;
        marks.push((-1, inbound));
        Ok(marks)
    }
}

#[cfg(test)]
mod tests;
