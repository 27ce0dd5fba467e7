//! Lists of people.

use std::collections::{BTreeMap, BTreeSet};

use domain::filter::Filter;
use domain::names::ListName;
use serde::{Deserialize, Serialize};
use store::{Detail, EXCLUDED_LIST, FILTERED_OUT, List, NO_ADDRESS, OPTED_OUT};

use crate::App;
use crate::campaigns::weighing::Pages;
use crate::fault::{Fault, Result};
use crate::limits::grouped;

/// So many people are looked at to find out which columns there are.
const LOOKED_AT: i64 = 1_000;
/// So many columns are named to whoever wrote one that is not there.
const NAMED: usize = 20;

/// A list as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ListView {
    /// Ours.
    pub id: i64,
    /// Unique.
    pub name: String,
    /// How many people are on it.
    pub members: i64,
    /// How many of them are opted out.
    pub suppressed: i64,
    /// RFC 3339.
    #[serde(serialize_with = "crate::views::as_iso")]
    #[schema(value_type = String)]
    pub created_at: i64,
}

impl From<List> for ListView {
    fn from(list: List) -> Self {
        let List { id, name, created_at, members, suppressed } = list;
        Self { id, name, members, suppressed, created_at }
    }
}

/// Every list, by name.
///
/// # Errors
/// As the database's.
#[crate::boxed]
pub async fn ls(app: &App) -> Result<Vec<ListView>> {
    Ok(app.store.lists().await?.into_iter().map(ListView::from).collect())
}

/// One list, by its name.
///
/// # Errors
/// `NotFound`.
#[crate::boxed]
pub async fn show(app: &App, name: &str) -> Result<ListView> {
    let name = checked_name(name)?;
    let found = app.store.list_named(name.as_str()).await?;
    found.map(ListView::from).ok_or_else(|| not_found(&name))
}

/// Removes a list. Its people stay, with their consent and their opt-outs; so do the campaigns that were planned
/// from it.
///
/// # Errors
/// `NotFound`; `WrongState` while a campaign still needs it.
#[crate::boxed]
pub async fn rm(app: &App, name: &str) -> Result<()> {
    let name = checked_name(name)?;
    let id = app.store.list_id(name.as_str()).await?.ok_or_else(|| not_found(&name))?;
    let needing = app.store.campaigns_needing(id).await?;
    if !needing.is_empty() {
        return Err(Fault::wrong_state(format!("The list {name} is still needed by: {}.", needing.join(", ")))
            .action("Cancel these campaigns, or wait until their audience is planned."));
    }
    app.store.remove_list(id).await?;
    Ok(())
}

/// Which people a count is of.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CountOrder {
    /// Lists whose members are meant. Whoever is on several is one person.
    pub lists: Vec<String>,
    /// Lists whose members are left out.
    #[serde(default)]
    pub excluded_lists: Vec<String>,
    /// Who of them is meant, in the words of the filter language: `city = Cairo and not messaged within 30 days`.
    #[serde(default)]
    pub filter: Option<String>,
}

/// How many people are meant, and where the others fall out. Each person is counted once, at the first of the reasons
/// that holds: `people = excluded + filtered_out + suppressed + no_address + remaining`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CountView {
    /// People of the lists together.
    pub people: i64,
    /// Of them, on an excluded list.
    pub excluded: i64,
    /// Of the others, not meant by the filter.
    pub filtered_out: i64,
    /// Of the others, opted out.
    pub suppressed: i64,
    /// Of the others, without a number or user id.
    pub no_address: i64,
    /// Whoever is left: a campaign could write to them.
    pub remaining: i64,
    /// The filter, as it was understood.
    pub filter: Option<String>,
    /// What looks like a mistake.
    pub warnings: Vec<String>,
}

/// Lists and a filter that exist and fit together.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// Our ids.
    pub(crate) lists: Vec<i64>,
    /// Our ids.
    pub(crate) excluded: Vec<i64>,
    pub(crate) filter: Option<Filter>,
}

/// Counts whom a campaign to these lists would write to if it were launched now, by the rule by which it is planned.
/// Changes nothing.
///
/// # Errors
/// `NotFound` for a list or campaign that does not exist; `Invalid` for a filter that cannot be read, and where.
#[crate::boxed]
pub async fn count(app: &App, order: &CountOrder) -> Result<CountView> {
    let Chosen { lists, excluded, filter } =
        choose(app, &order.lists, &order.excluded_lists, order.filter.as_deref()).await?;
    let now = app.clock.now_ms();
    let audience = app.store.audience_of(&lists, &excluded, filter.as_ref(), now).await?;
    let mut pages = Pages::verdicts(app, &audience);
    let mut by_reason: BTreeMap<Option<&'static str>, i64> = BTreeMap::new();
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            break;
        }
        for person in &page {
            *by_reason.entry(person.barred()).or_default() += 1;
        }
    }
    let of = |reason| by_reason.get(&reason).copied().unwrap_or(0);
    Ok(CountView {
        people: by_reason.values().sum(),
        excluded: of(Some(EXCLUDED_LIST)),
        filtered_out: of(Some(FILTERED_OUT)),
        suppressed: of(Some(OPTED_OUT)),
        no_address: of(Some(NO_ADDRESS)),
        remaining: of(None),
        warnings: match &filter {
            Some(filter) => unknown_columns(app, &lists, filter, now).await?.into_iter().collect(),
            None => Vec::new(),
        },
        filter: filter.map(|filter| filter.to_string()),
    })
}

/// Looks lists up and reads a filter.
pub(crate) async fn choose(
    app: &App,
    included: &[String],
    excluded: &[String],
    filter: Option<&str>,
) -> Result<Chosen> {
    let lists = ids(app, included).await?;
    if lists.is_empty() {
        return Err(Fault::invalid("It takes at least one list.").action("Name one with --list."));
    }
    if let Some(both) = included.iter().find(|list| excluded.contains(list)) {
        return Err(Fault::invalid(format!("The list {both:?} is both included and excluded.")));
    }
    let excluded = ids(app, excluded).await?;
    let filter = filter.map(read_filter).transpose()?.flatten();
    for name in filter.iter().flat_map(Filter::campaigns) {
        if app.store.campaign_named(name).await?.is_none() {
            return Err(Fault::not_found(format!("The filter names a campaign {name:?}, and there is none."))
                .action("`hudhud campaign ls` shows what there is."));
        }
    }
    Ok(Chosen { lists, excluded, filter })
}

/// Reads a filter as people write it; an empty text is none.
pub(crate) fn read_filter(text: &str) -> Result<Option<Filter>> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| {
        Fault::invalid(format!("The filter cannot be read: {error}."))
            .action("Write it as: city = \"New Cairo\" and not messaged within 30 days and never opted out.")
    })
}

/// Says so where a filter compares a column that nobody has of those who are looked at.
pub(crate) async fn unknown_columns(app: &App, lists: &[i64], filter: &Filter, now: i64) -> Result<Option<String>> {
    let asked: BTreeSet<&str> = filter.columns().filter(|column| !["name", "language"].contains(column)).collect();
    if asked.is_empty() {
        return Ok(None);
    }
    let everybody = app.store.audience_of(lists, &[], None, now).await?;
    let people = app.store.audience_page(&everybody, 0, LOOKED_AT, Detail::Fields).await?;
    let mut known: BTreeSet<String> = BTreeSet::new();
    for person in &people {
        let columns: BTreeMap<String, String> = serde_json::from_str(&person.attributes).unwrap_or_default();
        known.extend(columns.into_keys());
    }
    let unknown: Vec<String> =
        asked.into_iter().filter(|column| !known.contains(*column)).map(|column| format!("{column:?}")).collect();
    if unknown.is_empty() || people.is_empty() {
        return Ok(None);
    }
    let known: Vec<String> = known.into_iter().take(NAMED).collect();
    let what_is_there = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
    Ok(Some(format!(
        "None of the first {} people has a column {}; they have: {what_is_there}.",
        grouped(i64::try_from(people.len()).unwrap_or(LOOKED_AT)),
        unknown.join(" or ")
    )))
}

/// Our ids of lists, each once.
async fn ids(app: &App, names: &[String]) -> Result<Vec<i64>> {
    let mut ids = Vec::new();
    for name in names {
        let id = app.store.list_id(name.trim()).await?;
        ids.push(id.ok_or_else(|| {
            Fault::not_found(format!("There is no list {name:?}.")).action("`hudhud list ls` shows what there is.")
        })?);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

pub(crate) fn checked_name(name: &str) -> Result<ListName> {
    name.parse().map_err(|error| Fault::invalid(format!("List: {error}.")))
}

fn not_found(name: &ListName) -> Fault {
    Fault::not_found(format!("There is no list called {name}.")).action("`hudhud list ls` shows them.")
}
