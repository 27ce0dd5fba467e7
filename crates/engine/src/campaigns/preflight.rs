//! The check before sending: what speaks against it, who would get the message, what it costs and when it is done.

use std::collections::BTreeMap;

use domain::pricing;
use domain::template::{Category, Template, TemplateStatus};
use serde::Serialize;
use store::CampaignRow;
use utoipa::ToSchema;

use crate::campaigns::weighing::{self, Kept, Weighing};
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
    Ok(Checks { campaign, blockers, warnings, renderer, category, rate, limit })
}

/// What people are shown. It is kept: a launch that follows is held to it.
pub(super) async fn document(app: &App, checks: Checks, weighing: &Weighing) -> Result<Preflight> {
    let Checks { campaign, mut blockers, warnings, rate, limit, .. } = checks;
    if campaign.frozen_at.is_none() {
        weighing::keep(app, &campaign, weighing).await;
    }
    let eligible = weighing.eligible;
    if eligible == 0 {
        blockers.push(NOBODY.to_owned());
    }
    let seconds = rate.map(|rate| eligible.div_euclid(i64::from(rate.max(1))) + 1);
    let from = campaign.start_at.unwrap_or(0).max(app.clock.now_ms());
    let (delay, limit) = match scarcest(app, campaign.id, from, eligible).await? {
        Some((delay, people)) => {
            let words = format!("the portfolio's messaging limit: {} people in 24 hours", limits::grouped(people));
            (delay, Some(limit.map_or_else(|| words.clone(), |pace| format!("{words}; {pace}"))))
        }
        None => (0, limit),
    };
    Ok(Preflight {
        estimated_finish: seconds.filter(|_| eligible > 0).map(|seconds| iso(from + seconds * 1_000 + delay)),
        binding_limit: limit,
        eligible,
        excluded: weighing.excluded.clone(),
        estimated_cost: cost(weighing),
        blockers,
        warnings,
    })
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
