//! What a campaign came to: who got it, who answered, what failed and why, and what it cost.
//!
//! The sums are made by going through the campaign's sends, in pages and behind the answers, and kept with the campaign:
//! a page view reads one row, whether ten people were written to or ten million. They are made anew where the tallies say
//! that something has moved since, and a running campaign's no oftener than so that it costs a twentieth of one reader.

mod compare;
mod sums;

use std::sync::{Arc, PoisonError};

use domain::schedule::{Tz, parse_zone};
use domain::template::{Button, Component};
use serde::Serialize;
use store::{CampaignRow, KeptSums};
use utoipa::ToSchema;

use crate::campaigns::preflight::{CostEstimate, cost, units};
use crate::campaigns::weighing::Weighing;
use crate::fault::{Fault, Result};
use crate::rate_card::Cards;
use crate::renderer::KeptTemplate;
use crate::views::iso;
use crate::{App, refusals};

pub use compare::{Compared, Comparison, Shares, compare};
pub(super) use sums::button_of;
use sums::{Counting, Sums};
pub use sums::{Funnel, Place};

/// Sends read at once.
const PAGE: i64 = 4_000;
/// A campaign to so few is counted before the answer.
const FEW: i64 = 2_000;
/// Sums of a campaign that has moved are renewed after so long at the soonest, ms…
const SOONEST: i64 = 5_000;
/// …and after so many times what counting takes.
const RESTS: i64 = 20;
/// What does not show in the tallies, a reply or a stop, is looked for after so long, ms…
const AGES: i64 = 60_000;
/// …and, once a campaign has been over for a month, no more.
const SETTLED: i64 = 30 * 24 * 3_600_000;

/// Money in one currency.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Money {
    /// ISO 4217.
    pub currency: String,
    /// How much, in whole units.
    pub total: f64,
}

/// Messages that Meta bills alike.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CostRow {
    /// Meta's market.
    pub market: String,
    /// What Meta bills them as: its own word, whatever the template's category.
    pub category: String,
    /// Whether they cost anything: `false` within a free window.
    pub billable: bool,
    /// How many were delivered.
    pub messages: i64,
    /// ISO 4217, of the card that was valid as they arrived.
    pub currency: String,
    /// What they cost; `null`: that card has no price for them.
    pub cost: Option<f64>,
}

/// What a campaign was to cost, and what it did.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CostReport {
    /// As its last preflight had it, if there was one: what it costs if every message is delivered.
    #[schema(value_type = Option<CostEstimate>)]
    pub estimated: Option<Estimate>,
    /// Delivered messages that Meta called billable, by the prices of the card that was valid as they arrived.
    pub actual: Vec<Money>,
    /// The same by market and category, the free ones too.
    pub rows: Vec<CostRow>,
    /// Billable messages that no card has a price for: they are not in the sum.
    pub unpriced: i64,
    /// Delivered messages of whose price Meta has said nothing (yet): they are not in the sum either.
    pub unsaid: i64,
}

/// An estimate that can be compared.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(transparent)]
pub struct Estimate(pub CostEstimate);

impl PartialEq for Estimate {
    fn eq(&self, other: &Self) -> bool {
        serde_json::to_value(self).ok() == serde_json::to_value(other).ok()
    }
}

/// Messages that failed for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Failure {
    /// Meta's code, or our word.
    pub code: String,
    /// How many.
    pub messages: i64,
    /// What it means and what to do, for a person.
    pub advice: String,
}

/// One hour of a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Hour {
    /// Its beginning by the clock of the report's time zone: `2026-11-24T10:00`.
    pub hour: String,
    /// Accepted by Meta within it.
    pub accepted: i64,
    /// Delivered within it.
    pub delivered: i64,
    /// Read within it.
    pub read: i64,
}

/// The people of one country.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Country {
    /// ISO 3166, by the phone number; `null`: of none that is known.
    pub country: Option<String>,
    /// How they fared.
    #[serde(flatten)]
    pub place: Place,
}

/// A button of the template, and who tapped it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Tapped {
    /// What the person reads on it.
    pub label: String,
    /// Whether it stops messages.
    pub stops: bool,
    /// Taps.
    pub taps: i64,
    /// People who tapped it.
    pub people: i64,
}

/// A campaign's report.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CampaignReport {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// As of when these sums are, RFC 3339; `null`: they are being made, and all of them are empty. Ask again in a moment.
    pub counted_at: Option<String>,
    /// The zone of the hours.
    pub timezone: String,
    /// From the plan to the answers. Each step counts people, and those of the steps after it are among them.
    pub funnel: Funnel,
    /// What failed, by reason, the most frequent first.
    pub failures: Vec<Failure>,
    /// What it was to cost and what it did.
    pub cost: CostReport,
    /// Hour by hour.
    pub by_hour: Vec<Hour>,
    /// By country, the largest first.
    pub by_country: Vec<Country>,
    /// Taps on the template's buttons.
    pub by_button: Vec<Tapped>,
}

/// A campaign's report, from the sums that are kept. Where they are missing or old they are made anew: before the answer
/// for a small campaign, behind it for a large one.
///
/// # Errors
/// When there is none of that id, or the database is away.
#[crate::boxed]
pub async fn report(app: &Arc<App>, id: i64) -> Result<CampaignReport> {
    let row = super::row(app, id).await?;
    let (kept, stamp, people) = tokio::try_join!(kept_sums(app, id), stamp(app, &row), people(app, &row))?;
    if !needs_count(&row, kept.as_ref(), &stamp, app.clock.now_ms()) {
        return view(app, &row, kept.as_ref()).await;
    }
    if people <= FEW {
        let kept = count(app, &row, stamp).await?;
        return view(app, &row, Some(&kept)).await;
    }
    // Only one of this process counts a campaign.
    if app.counting.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
        let (app, row) = (Arc::clone(app), row.clone());
        tokio::spawn(async move {
            if let Err(fault) = count(&app, &row, stamp).await {
                tracing::warn!(%fault, campaign = row.id, "a campaign's report could not be counted; it is tried again");
            }
            app.counting.lock().unwrap_or_else(PoisonError::into_inner).remove(&row.id);
        });
    }
    view(app, &row, kept.as_ref()).await
}

async fn kept_sums(app: &App, id: i64) -> Result<Option<KeptSums>> {
    Ok(app.store.kept_sums(id).await?)
}

async fn people(app: &App, row: &CampaignRow) -> Result<i64> {
    Ok(app.store.tally(row.id).await?.total())
}

/// What the sums rest on, as far as a look tells: where the sends stand, and the rate cards.
async fn stamp(app: &App, row: &CampaignRow) -> Result<String> {
    let tally = app.store.tally(row.id).await?;
    let cards = Cards::load(app).await?;
    Ok(format!("1 {} {} {tally:?}", cards.stamp(), row.started_at.unwrap_or_default()))
}

fn needs_count(row: &CampaignRow, kept: Option<&KeptSums>, stamp: &str, now: i64) -> bool {
    let Some(kept) = kept else { return true };
    // A clock that was set back makes no report last for ever.
    let age = now.saturating_sub(kept.as_of).saturating_abs();
    let rested = age >= SOONEST.max(kept.took.saturating_mul(RESTS));
    if kept.stamp != stamp {
        return rested;
    }
    let is_settled = row.finished_at.is_some_and(|ended| kept.as_of.saturating_sub(ended) > SETTLED);
    rested && age >= AGES && !is_settled
}

/// Goes through the campaign's sends and keeps what they come to.
async fn count(app: &App, row: &CampaignRow, stamp: String) -> Result<KeptSums> {
    let (as_of, began) = (app.clock.now_ms(), app.clock.boot_us());
    let cards = Cards::load(app).await?;
    let mut counting = Counting::new(&cards, zone(row), as_of);
    let mut after = 0;
    loop {
        let page = app.store.report_page(row.id, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        let through = last.contact_id;
        let replies = app.store.replies_between(row.id, after, through).await?;
        counting.take(&page, &replies);
        after = through;
        // Others of this process have their turn.
        tokio::task::yield_now().await;
        if app.ending.is_cancelled() {
            return Err(Fault::unavailable("Hudhud is ending."));
        }
    }
    let sums = serde_json::to_string(&counting.end()).map_err(Fault::internal)?;
    let took = i64::try_from(app.clock.boot_us().saturating_sub(began) / 1_000).unwrap_or(i64::MAX);
    let kept = KeptSums { as_of, took, stamp, sums };
    app.store.keep_sums(row.id, &kept).await?;
    Ok(kept)
}

fn zone(row: &CampaignRow) -> Tz {
    row.terms.timezone.as_deref().and_then(|zone| parse_zone(zone).ok()).unwrap_or(Tz::UTC)
}

async fn view(app: &App, row: &CampaignRow, kept: Option<&KeptSums>) -> Result<CampaignReport> {
    // What another version wrote may not be read: then it is as if nothing had been counted.
    let read = kept.and_then(|kept| Some((kept.as_of, serde_json::from_str::<Sums>(&kept.sums).ok()?)));
    let (counted_at, sums) = read.map_or((None, Sums::default()), |(at, sums)| (Some(iso(at)), sums));
    let checked = app.store.kept_check(row.id).await?;
    let estimated =
        checked.and_then(|text| serde_json::from_str::<Weighing>(&text).ok()).map(|weighing| Estimate(cost(&weighing)));
    let template: KeptTemplate = serde_json::from_str(&row.template).map_err(Fault::internal)?;
    Ok(CampaignReport {
        id: row.id,
        name: row.name.clone(),
        state: row.state()?.as_str().to_owned(),
        counted_at,
        timezone: zone(row).name().to_owned(),
        failures: failures(&sums),
        cost: cost_report(&sums, estimated),
        by_hour: sums
            .hours
            .iter()
            .map(|(hour, [accepted, delivered, read])| Hour {
                hour: hour.clone(),
                accepted: *accepted,
                delivered: *delivered,
                read: *read,
            })
            .collect(),
        by_country: countries(&sums),
        by_button: buttons(&sums, &template),
        funnel: sums.funnel,
    })
}

fn failures(sums: &Sums) -> Vec<Failure> {
    let mut failures: Vec<Failure> = sums
        .failures
        .iter()
        .map(|(code, messages)| Failure { code: code.clone(), messages: *messages, advice: refusals::explain(code) })
        .collect();
    failures.sort_by(|a, b| b.messages.cmp(&a.messages).then_with(|| a.code.cmp(&b.code)));
    failures
}

fn countries(sums: &Sums) -> Vec<Country> {
    let mut countries: Vec<Country> = sums
        .countries
        .iter()
        .map(|(code, place)| Country { country: (!code.is_empty()).then(|| code.clone()), place: *place })
        .collect();
    countries.sort_by(|a, b| b.place.people.cmp(&a.place.people).then_with(|| a.country.cmp(&b.country)));
    countries
}

fn cost_report(sums: &Sums, estimated: Option<Estimate>) -> CostReport {
    let mut actual: Vec<Money> = Vec::new();
    let mut totals: std::collections::BTreeMap<&str, i64> = std::collections::BTreeMap::new();
    for row in &sums.costs {
        if let Some(micros) = row.micros.filter(|_| row.billable) {
            *totals.entry(&row.currency).or_default() += micros;
        }
    }
    actual.extend(
        totals.into_iter().map(|(currency, micros)| Money { currency: currency.to_owned(), total: units(micros) }),
    );
    CostReport {
        estimated,
        actual,
        unpriced: sums.costs.iter().filter(|row| row.billable && row.micros.is_none()).map(|row| row.messages).sum(),
        unsaid: sums.unsaid,
        rows: sums
            .costs
            .iter()
            .map(|row| CostRow {
                market: row.market.clone(),
                category: row.category.clone(),
                billable: row.billable,
                messages: row.messages,
                currency: row.currency.clone(),
                cost: row.micros.map(units),
            })
            .collect(),
    }
}

/// The buttons that people can tap, each with its taps; and whatever else was tapped, by its words.
fn buttons(sums: &Sums, template: &KeptTemplate) -> Vec<Tapped> {
    let parsed = template.parse().ok();
    let buttons: Vec<&Button> = parsed
        .iter()
        .flat_map(|template| &template.components)
        .filter_map(|component| match component {
            Component::Buttons(buttons) => Some(buttons),
            _ => None,
        })
        .flatten()
        .filter(|button| button.kind == domain::template::ButtonKind::QuickReply)
        .collect();
    let mut told: Vec<Tapped> = buttons
        .iter()
        .map(|button| {
            let tap = sums.taps.get(&button.index.to_string());
            Tapped {
                label: button.label.clone(),
                stops: tap.is_some_and(|tap| tap.stops),
                taps: tap.map_or(0, |tap| tap.taps),
                people: tap.map_or(0, |tap| tap.people),
            }
        })
        .collect();
    let is_ours = |key: &str| buttons.iter().any(|button| button.index.to_string() == key);
    told.extend(sums.taps.iter().filter(|(key, _)| !is_ours(key)).map(|(_, tap)| Tapped {
        label: tap.label.clone(),
        stops: tap.stops,
        taps: tap.taps,
        people: tap.people,
    }));
    told
}

#[cfg(test)]
mod tests;
