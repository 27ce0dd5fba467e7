//! The check before sending: what speaks against it, who would get the message, what it costs and when it is done.

use std::collections::BTreeMap;

use domain::campaign::CampaignState;
use domain::pricing::Micros;
use domain::schedule::{Calendar, Forecast, Outlook, Places, Tz, Whereabouts, forecast_with_waits, length};
use domain::template::{Category, Template, TemplateStatus};
use serde::Serialize;
use store::CampaignRow;
use utoipa::ToSchema;

use crate::campaigns::approval::{self, ApprovalView};
use crate::campaigns::terms::BlackoutWait;
use crate::campaigns::weighing::{self, Kept, Weighing};
use crate::campaigns::{NextRun, recur, terms};
use crate::fault::Result;
use crate::renderer::{KeptTemplate, Renderer};
use crate::views::iso;
use crate::{App, accounts, campaigns, limits, numbers};

/// What one market costs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MarketCost {
    /// Meta's market.
    pub market: String,
    /// People of it.
    pub recipients: i64,
    /// The rate of a delivered message; `null`: the rate card has no price for this market.
    pub rate: Option<f64>,
    /// Recipients times rate.
    pub total: Option<f64>,
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
    /// People in markets that the rate card has no price for: they are not in the sum.
    pub unpriced: i64,
    /// Where the rates are from.
    pub card: String,
    /// From which day on they are valid.
    pub valid_from: String,
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
    /// Whom blackout days would hold back while it runs, the first that end first. Part of `estimated_finish` already.
    pub waits: Vec<BlackoutWait>,
    /// Whether it has the second person's approval that it needs; `null`: it needs none.
    pub approval: Option<ApprovalView>,
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
    paces: Paces,
    /// When the account's token ends, epoch ms.
    token_ends_at: Option<i64>,
}

/// How fast a campaign goes.
#[derive(Debug, Default)]
struct Paces {
    /// Of each of its numbers, messages a second; `None`: as fast as answers come.
    numbers: Vec<Option<f64>>,
    /// What limits it, in words.
    limit: Option<String>,
}

/// Checks a campaign as it stands. Changes nothing but what is remembered of this check.
///
/// # Errors
/// When there is none of that id, or the database is away. What speaks against launching is data, not an error.
#[crate::boxed]
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
    let mut token_ends_at = None;
    // First: what is read anew of templates and numbers is what the rest looks at.
    if is_new(&campaign)?
        && let Some(account) = app.store.account(campaign.account_id).await?
    {
        let findings = accounts::inspect(app, &account).await?;
        blockers.extend(findings.blockers);
        warnings.extend(findings.warnings);
        token_ends_at = findings.token_ends_at;
    }

    let synced = app.store.template_of(&campaign).await?;
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
    let paces = paces(app, &campaign, (&mut blockers, &mut warnings)).await?;
    check_terms(app, &campaign, &mut blockers)?;
    Ok(Checks { campaign, blockers, warnings, renderer, category, paces, token_ends_at })
}

/// What people are shown. It is kept: a launch that follows is held to it.
pub(super) async fn document(app: &App, checks: Checks, weighing: &Weighing) -> Result<Preflight> {
    let Reckoned { outlook, limit, waits } = reckon(app, &checks, weighing).await?;
    let cut_off = cut_off(app, &checks, weighing).await?;
    let Checks { campaign, mut blockers, mut warnings, token_ends_at, .. } = checks;
    // A launch has said so already.
    match cut_off {
        Some(CutOff::Some(words)) if !warnings.contains(&words) => warnings.push(words),
        Some(CutOff::Everybody(words)) if !blockers.contains(&words) => blockers.push(words),
        _ => {}
    }
    if let (Some(ends), Some(outlook)) = (token_ends_at, outlook)
        && outlook.finish > ends
        && ends > app.clock.now_ms()
    {
        warnings.push(format!("The account's access token ends at {}, before the campaign does.", iso(ends)));
    }
    if campaign.frozen_at.is_none() {
        weighing::keep(app, &campaign, weighing).await;
    }
    let eligible = weighing.eligible;
    if eligible == 0 {
        blockers.push(NOBODY.to_owned());
    }
    let approval = if campaign.frozen_at.is_none() { approval::view(app, &campaign, weighing).await? } else { None };
    if let Some(missing) = approval.as_ref().and_then(|view| approval::missing(view, eligible))
        && !blockers.contains(&missing)
    {
        blockers.push(missing);
    }
    Ok(Preflight {
        approval,
        estimated_finish: outlook
            .filter(|outlook| eligible > 0 && (outlook.left_over == 0 || campaign.terms.stop_at.is_some()))
            .map(|outlook| iso(outlook.finish.min(campaign.terms.stop_at.unwrap_or(i64::MAX)))),
        next_runs: recur::next_runs(&campaign, app.clock.now_ms())?,
        binding_limit: limit,
        waits,
        eligible,
        excluded: weighing.excluded.clone(),
        estimated_cost: cost(weighing),
        blockers,
        warnings,
    })
}

/// What can be foretold of a campaign.
struct Reckoned {
    /// `None` where there is no pace to reckon with.
    outlook: Option<Outlook>,
    /// By which limit its last message leaves when it does.
    limit: Option<String>,
    /// Whom blackout days hold back.
    waits: Vec<BlackoutWait>,
}

/// When the last message leaves, and what it waits for.
async fn reckon(app: &App, checks: &Checks, weighing: &Weighing) -> Result<Reckoned> {
    let row = &checks.campaign;
    let now = app.clock.now_ms();
    let first_run = recur::first_run(row, now).unwrap_or(None);
    let from = first_run.or(row.start_at).unwrap_or(0).max(now);
    let (paces, mut limit) = checks.paces.beside_spread(row, weighing.eligible);
    let mut people: Vec<(Whereabouts, i64)> =
        weighing.zones.iter().filter_map(|(place, people)| Some((place.parse().ok()?, *people))).collect();
    if people.is_empty() {
        people.push((Tz::UTC.into(), weighing.eligible));
    }
    let calendar = app.store.hours(row.id).await?.map_or_else(Calendar::default, |hours| hours.calendar);
    let places = places(app, row.id, from).await?;
    if paces.is_empty() {
        return Ok(Reckoned { outlook: None, limit, waits: Vec::new() });
    }
    let stop_at = row.terms.stop_at;
    // The others wait for the canary. How little that adds to its own messages' time is not reckoned.
    let from = row
        .canary()?
        .filter(|canary| weighing.eligible > canary.size.of(weighing.eligible))
        .map_or(from, |canary| from.saturating_add(canary.wait));
    let (outlook, waits) = forecast_with_waits(&Forecast {
        from,
        people: &people,
        paces: &paces,
        calendar: &calendar,
        places: places.as_ref().map(|(places, _)| places.clone()),
        stop_at,
    });
    if let Some((_, people)) = places.filter(|_| outlook.waits_for_places > 0) {
        let words = format!("the portfolio's messaging limit: {} people in 24 hours", limits::grouped(people));
        limit = Some(limit.map_or_else(|| words.clone(), |pace| format!("{words}; {pace}")));
    }
    let waits = waits.iter().filter_map(|waiting| terms::blackout_wait(&calendar, waiting)).collect();
    Ok(Reckoned { outlook: Some(outlook), limit, waits })
}

impl Paces {
    /// What each number sends in a second (0: as fast as may be) of a campaign that may be spread, and what limits that.
    fn beside_spread(&self, row: &CampaignRow, eligible: i64) -> (Vec<f64>, Option<String>) {
        let own = self.numbers.iter().map(|pace| pace.unwrap_or(0.0)).collect();
        let people = row.spread_people.unwrap_or(eligible);
        let Some(over) = row.terms.spread.filter(|_| people > 0 && !self.numbers.is_empty()) else {
            return (own, self.limit.clone());
        };
        let even = terms::spread_rate(people, over);
        #[expect(clippy::cast_precision_loss, reason = "a few numbers")]
        let share = even / self.numbers.len() as f64;
        if self.numbers.iter().all(|pace| pace.is_some_and(|pace| pace <= share)) {
            return (own, self.limit.clone());
        }
        let paces = self.numbers.iter().map(|pace| pace.map_or(share, |pace| pace.min(share))).collect();
        (paces, Some(format!("the campaign's spread over {}: {even:.2} messages a second", length(over))))
    }
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

/// Whom an offer leaves out that ends before everybody can be written to.
#[derive(Debug)]
pub(super) enum CutOff {
    /// Some: a warning.
    Some(String),
    /// Everybody, since it is quiet for all of them until then: a blocker.
    Everybody(String),
}

/// What to say where the offer ends before everybody can be written to.
pub(super) async fn cut_off(app: &App, checks: &Checks, weighing: &Weighing) -> Result<Option<CutOff>> {
    let row = &checks.campaign;
    let (Some(stop_at), true) = (row.terms.stop_at, is_new(row)?) else { return Ok(None) };
    let left_over = reckon(app, checks, weighing).await?.outlook.map_or(0, |outlook| outlook.left_over);
    if left_over > 0 && left_over >= weighing.eligible {
        let at = iso(stop_at);
        return Ok(Some(CutOff::Everybody(format!("The offer ends at {at} before anybody can be written to."))));
    }
    Ok((left_over > 0).then(|| {
        CutOff::Some(format!(
            "The offer ends at {} before everybody can be written to: about {} people would be left out.",
            iso(stop_at),
            limits::grouped(left_over)
        ))
    }))
}

/// An amount in whole units of its currency, as pages show it.
pub(super) fn units(micros: Micros) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "amounts of money, far below 2^53 millionths")]
    let units = micros as f64 / 1_000_000.0;
    units
}

pub(super) fn cost(weighing: &Weighing) -> CostEstimate {
    let total = |(recipients, rate): &(i64, Option<Micros>)| rate.map(|rate| rate.saturating_mul(*recipients));
    let by_market: Vec<MarketCost> = weighing
        .markets
        .iter()
        .map(|(market, counted)| MarketCost {
            market: market.clone(),
            recipients: counted.0,
            rate: counted.1.map(units),
            total: total(counted).map(units),
        })
        .collect();
    CostEstimate {
        currency: weighing.currency.clone(),
        total: units(weighing.markets.values().filter_map(total).sum()),
        unpriced: weighing.markets.values().filter(|(_, rate)| rate.is_none()).map(|(people, _)| people).sum(),
        by_market,
        card: weighing.source.clone(),
        valid_from: weighing.valid_from.clone(),
    }
}

/// The places of the messaging limit that leaves these numbers the fewest, and how many it has in all; `None` without
/// one. A campaign's numbers are of one account, and so of one portfolio.
async fn places(app: &App, id: i64, from: i64) -> Result<Option<(Places, i64)>> {
    let mut fewest: Option<(Places, i64)> = None;
    for number in app.store.campaign_number_ids(id).await? {
        if let Some(limit) = app.store.limit_of(number, from).await?
            && fewest.as_ref().is_none_or(|(places, _)| limit.room() < places.free)
        {
            let coming = app.store.places_coming_free(number, from).await?;
            fewest = Some((Places { free: limit.room(), coming }, limit.people));
        }
    }
    Ok(fewest)
}

fn offers_a_way_out(template: &Template) -> bool {
    template.buttons().any(|button| {
        matches!(button.kind, domain::template::ButtonKind::QuickReply)
            && domain::payload::button_intent(&button.label) == domain::payload::Intent::OptOut
    })
}

/// The pace of each number, and what limits it; what speaks against a number is a blocker.
async fn paces(
    app: &App,
    row: &CampaignRow,
    (blockers, warnings): (&mut Vec<String>, &mut Vec<String>),
) -> Result<Paces> {
    let ids = app.store.campaign_number_ids(row.id).await?;
    let cap = row.rate_cap.and_then(|cap| u32::try_from(cap).ok());
    // A cap is split among the numbers, and what one of them cannot use is not another's.
    let share = cap.map(|cap| (cap / u32::try_from(ids.len().max(1)).unwrap_or(1)).max(1));
    let mut paces = Paces::default();
    let mut names = Vec::new();
    let mut cap_binds = false;
    for id in ids {
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
        match numbers::fitness(&number) {
            numbers::Fitness::Fit => {}
            numbers::Fitness::Doubtful(why) => warnings.push(why),
            numbers::Fitness::Unfit(why) => blockers.push(why),
        }
        let rate = numbers::rate_in_force(app, &number);
        names.push(match rate {
            Some(rate) => format!("{}: {rate} messages a second", number.phone_number_id),
            None => format!("{}: no limit", number.phone_number_id),
        });
        cap_binds |= share.is_some_and(|share| rate.is_none_or(|rate| share < rate));
        let own = share.filter(|share| rate.is_none_or(|rate| *share <= rate));
        paces.numbers.push(own.map_or(rate.map(f64::from), |share| Some(terms::pace_of_cap(share, row))));
    }
    paces.limit = match cap {
        Some(cap) if cap_binds => Some(format!("the campaign's own cap: {cap} messages a second")),
        _ => Some(names.join("; ")).filter(|names| !names.is_empty()),
    };
    Ok(paces)
}
