//! The check before sending: what speaks against it, who would get the message, what it costs and when it is done.

use std::collections::BTreeMap;

use domain::campaign::CampaignState;
use domain::pricing;
use domain::schedule::{Forecast, Outlook, Tz, forecast, length, parse_zone};
use domain::template::{Category, Template, TemplateStatus};
use serde::Serialize;
use store::CampaignRow;
use utoipa::ToSchema;

use crate::campaigns::weighing::{self, Kept, Weighing};
use crate::campaigns::{NextRun, recur, terms};
use crate::fault::Result;
use crate::renderer::{KeptTemplate, Renderer};
use crate::views::iso;
use crate::{App, campaigns, limits, numbers};

/// What one market costs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MarketCost {
    /// Meta's market.
    pub market: String,
    /// People of it.
    pub recipients: i64,
    /// The rate of a delivered message.
    pub rate: f64,
    /// Recipients times rate.
    pub total: f64,
}

/// What a campaign costs if every message is delivered.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CostEstimate {
    /// `USD`.
    pub currency: String,
    /// The sum.
    pub total: f64,
    /// By market.
    pub by_market: Vec<MarketCost>,
    /// Where the rates are from.
    pub card: String,
}

/// What would happen at launch.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Preflight {
    /// People who would get the message.
    pub eligible: i64,
    /// People of the audience who would not, by reason.
    pub excluded: BTreeMap<String, i64>,
    /// An estimate; Meta's invoice is final.
    pub estimated_cost: CostEstimate,
    /// When the last message would leave, RFC 3339; `null` when there is nothing to send or no pace to reckon with.
    pub estimated_finish: Option<String>,
    /// The next runs of a campaign that recurs.
    pub next_runs: Vec<NextRun>,
    /// What limits the pace.
    pub binding_limit: Option<String>,
    /// Why launch would refuse.
    pub blockers: Vec<String>,
    /// What needs saying yes to.
    pub warnings: Vec<String>,
}

/// Nobody is left to send to.
pub(super) const NOBODY: &str = "Nobody would get the message.";

/// What can be said of a campaign without going through its audience.
#[derive(Debug)]
pub(super) struct Checks {
    /// The campaign with the template as it is now, which is the one that a launch keeps.
    pub campaign: CampaignRow,
    /// Why launch would refuse, apart from there being nobody to send to.
    pub blockers: Vec<String>,
    /// What needs saying yes to.
    pub warnings: Vec<String>,
    /// What writes its messages; `None` where that is blocked.
    pub renderer: Option<Renderer>,
    category: Category,
    rate: Option<u32>,
    limit: Option<String>,
}

/// Checks a campaign as it stands. Changes nothing but what is remembered of this check.
///
/// # Errors
/// When there is none of that id, or the database is away. What speaks against launching is data, not an error.
pub async fn preflight(app: &App, id: i64) -> Result<Preflight> {
    let checks = checks(app, id).await?;
    let weighing = match weighing::kept(app, &checks.campaign).await? {
        Kept::Valid(kept) if checks.campaign.frozen_at.is_none() => kept,
        _ => checks.weigh(app).await?,
    };
    document(app, checks, &weighing).await
}

impl Checks {
    /// Goes through the whole audience.
    pub(super) async fn weigh(&self, app: &App) -> Result<Weighing> {
        weighing::weigh(app, &self.campaign, self.renderer.as_ref(), &self.category).await
    }
}

/// Everything that can be checked without going through the audience: it takes as long for ten people as for ten million.
pub(super) async fn checks(app: &App, id: i64) -> Result<Checks> {
    let mut campaign = campaigns::row(app, id).await?;
    let mut blockers = Vec::new();
    let mut warnings = Vec::new();

    let synced = app.store.template(campaign.template_id).await?;
    let kept = synced.as_ref().map(KeptTemplate::of).transpose()?;
    let mut category = Category::Marketing;
    match &synced {
        None => blockers.push("The template is gone.".to_owned()),
        Some(template) => {
            category = Category::parse(&template.category);
            if !TemplateStatus::parse(&template.status).is_sendable() {
                blockers.push(format!(
                    "The template {} ({}) is {}, and only an APPROVED one can be sent. Sync the account once Meta \
                     approves it.",
                    template.name, template.language, template.status
                ));
            }
        }
    }
    if let Some(kept) = &kept {
        campaign.template = serde_json::to_string(kept).map_err(crate::Fault::internal)?;
        if category == Category::Marketing && !offers_a_way_out(&kept.parse()?) {
            warnings.push(
                "The template has no button that stops marketing messages; Meta recommends one and the law of most \
                 markets asks for an easy way out."
                    .to_owned(),
            );
        }
    }
    let renderer = match Renderer::of(&campaign) {
        Ok(renderer) => Some(renderer),
        Err(fault) => {
            blockers.push(fault.detail);
            None
        }
    };
    if let Some(account) = app.store.account(campaign.account_id).await?
        && let Some(reason) = account.stopped_reason
    {
        blockers.push(format!("The account is stopped: {reason}"));
    }
    let (rate, limit) = pace(app, &campaign, &mut blockers).await?;
    check_terms(app, &campaign, &mut blockers)?;
    Ok(Checks { campaign, blockers, warnings, renderer, category, rate, limit })
}

/// What people are shown. It is kept: a launch that follows is held to it.
pub(super) async fn document(app: &App, checks: Checks, weighing: &Weighing) -> Result<Preflight> {
    let (outlook, from, limit) = reckon(app, &checks, weighing)?;
    let cut_off = cut_off(app, &checks, weighing)?;
    let Checks { campaign, mut blockers, mut warnings, .. } = checks;
    // A launch has said so already.
    warnings.extend(cut_off.filter(|words| !warnings.contains(words)).into_iter().collect::<Vec<_>>());
    if campaign.frozen_at.is_none() {
        weighing::keep(app, &campaign, weighing).await;
    }
    let eligible = weighing.eligible;
    if eligible == 0 {
        blockers.push(NOBODY.to_owned());
    }
    let (delay, limit) = match scarcest(app, campaign.id, from, eligible).await? {
        Some((delay, people)) => {
            let words = format!("the portfolio's messaging limit: {} people in 24 hours", limits::grouped(people));
            (delay, Some(limit.map_or_else(|| words.clone(), |pace| format!("{words}; {pace}"))))
        }
        None => (0, limit),
    };
    Ok(Preflight {
        estimated_finish: outlook
            .filter(|_| eligible > 0)
            .map(|outlook| iso((outlook.finish + delay).min(campaign.terms.stop_at.unwrap_or(i64::MAX)))),
        next_runs: recur::next_runs(&campaign, app.clock.now_ms())?,
        binding_limit: limit,
        eligible,
        excluded: weighing.excluded.clone(),
        estimated_cost: cost(weighing),
        blockers,
        warnings,
    })
}

/// When the last message leaves, from when, and by which limit. No outlook where there is no pace to reckon with.
fn reckon(app: &App, checks: &Checks, weighing: &Weighing) -> Result<(Option<Outlook>, i64, Option<String>)> {
    let row = &checks.campaign;
    let now = app.clock.now_ms();
    let first_run = recur::first_run(row, now).unwrap_or(None);
    let from = first_run.or(row.start_at).unwrap_or(0).max(now);
    let rate = checks.rate.map(f64::from);
    let people = row.spread_people.unwrap_or(weighing.eligible);
    let spread = row.terms.spread.map(|over| (over, terms::spread_rate(people, over)));
    let (rate, limit) = match spread.filter(|(_, even)| people > 0 && rate.is_none_or(|rate| *even < rate)) {
        Some((over, even)) => {
            let words = format!("the campaign's spread over {}: {even:.2} messages a second", length(over));
            (Some(even), Some(words))
        }
        None => (rate, checks.limit.clone()),
    };
    let mut zones: Vec<(Tz, i64)> =
        weighing.zones.iter().filter_map(|(zone, people)| Some((parse_zone(zone).ok()?, *people))).collect();
    if zones.is_empty() {
        zones.push((Tz::UTC, weighing.eligible));
    }
    let quiet = row.terms.hours()?.map(|hours| hours.quiet);
    let outlook = rate
        .map(|per_second| forecast(&Forecast { from, people: &zones, per_second, quiet, stop_at: row.terms.stop_at }));
    Ok((outlook, from, limit))
}

fn is_new(row: &CampaignRow) -> Result<bool> {
    Ok(matches!(row.state()?, CampaignState::Draft | CampaignState::Scheduled))
}

/// What the campaign's own terms say against launching it now.
fn check_terms(app: &App, row: &CampaignRow, blockers: &mut Vec<String>) -> Result<()> {
    let now = app.clock.now_ms();
    if let (Some(at), Some(latest)) = (row.start_at, row.terms.latest_start)
        && is_new(row)?
        && row.terms.cron.is_none()
        && now.saturating_sub(at) > latest
    {
        blockers.push(format!(
            "Its time to start was {}, and its latest start {} after that has passed.",
            iso(at),
            length(latest)
        ));
    }
    if let Some(stop_at) = row.terms.stop_at
        && row.terms.has_ended(now)
    {
        blockers.push(format!("The offer ended at {}.", iso(stop_at)));
    }
    Ok(())
}

/// A warning where the offer ends before everybody can be written to.
pub(super) fn cut_off(app: &App, checks: &Checks, weighing: &Weighing) -> Result<Option<String>> {
    let row = &checks.campaign;
    let (Some(stop_at), true) = (row.terms.stop_at, is_new(row)?) else { return Ok(None) };
    let left_over = reckon(app, checks, weighing)?.0.map_or(0, |outlook| outlook.left_over);
    Ok((left_over > 0).then(|| {
        format!(
            "The offer ends at {} before everybody can be written to: about {} people would be left out.",
            iso(stop_at),
            limits::grouped(left_over)
        )
    }))
}

fn cost(weighing: &Weighing) -> CostEstimate {
    let dollars = |tenth_mills: i64| {
        #[expect(clippy::cast_precision_loss, reason = "an estimate in dollars, far below 2^53 ten-thousandths")]
        let dollars = tenth_mills as f64 / 10_000.0;
        dollars
    };
    let by_market: Vec<MarketCost> = weighing
        .markets
        .iter()
        .map(|(market, (recipients, rate))| MarketCost {
            market: market.clone(),
            recipients: *recipients,
            rate: dollars(i64::from(*rate)),
            total: dollars(recipients * i64::from(*rate)),
        })
        .collect();
    let total = dollars(weighing.markets.values().map(|(recipients, rate)| recipients * i64::from(*rate)).sum());
    CostEstimate { currency: "USD".to_owned(), total, by_market, card: pricing::CARD.to_owned() }
}

/// The messaging limit that delays these people the most, if one does: by how much (ms), and its people. A
/// campaign's numbers are of one account, and so of one portfolio.
async fn scarcest(app: &App, id: i64, from: i64, eligible: i64) -> Result<Option<(i64, i64)>> {
    let numbers = app.store.campaign_number_ids(id).await?;
    let mut scarcest = None;
    for number in numbers {
        if let Some(limit) = app.store.limit_of(number, from).await? {
            let delay = limits::delay(&limit, eligible);
            if delay > 0 {
                scarcest = scarcest.max(Some((delay, limit.people)));
            }
        }
    }
    Ok(scarcest)
}

fn offers_a_way_out(template: &Template) -> bool {
    template.buttons().any(|button| {
        matches!(button.kind, domain::template::ButtonKind::QuickReply)
            && domain::payload::button_intent(&button.label) == domain::payload::Intent::OptOut
    })
}

/// The pace of all numbers together, and what limits it; what speaks against a number is a blocker.
async fn pace(
    app: &App,
    row: &store::CampaignRow,
    blockers: &mut Vec<String>,
) -> Result<(Option<u32>, Option<String>)> {
    let mut total = Some(0_u32);
    let mut names = Vec::new();
    for id in app.store.campaign_number_ids(row.id).await? {
        let Some(number) = app.store.number(id).await? else {
            blockers.push("One of its business numbers is gone.".to_owned());
            continue;
        };
        if number.status == store::REMOVED {
            blockers.push(format!("The business number {} is no longer in the account.", number.phone_number_id));
        }
        if let Some(reason) = &number.paused_reason {
            blockers.push(format!("The business number {} is paused: {reason}", number.phone_number_id));
        }
        let rate = numbers::rate_in_force(app, &number);
        names.push(match rate {
            Some(rate) => format!("{}: {rate} messages a second", number.phone_number_id),
            None => format!("{}: no limit", number.phone_number_id),
        });
        total = total.zip(rate).map(|(total, rate)| total.saturating_add(rate));
    }
    let cap = row.rate_cap.and_then(|cap| u32::try_from(cap).ok());
    Ok(match (cap, total) {
        (Some(cap), Some(total)) if cap < total => {
            (Some(cap), Some(format!("the campaign's own cap: {cap} messages a second")))
        }
        (Some(cap), None) => (Some(cap), Some(format!("the campaign's own cap: {cap} messages a second"))),
        (_, total) => (total, Some(names.join("; ")).filter(|names| !names.is_empty())),
    })
}
