//! The check before sending: every row rendered, every reason counted, before anything leaves.

use std::collections::{BTreeMap, HashMap};

use domain::campaign::CampaignState;
use domain::phone::PhoneNumber;
use domain::pricing;
use domain::schedule::{Forecast, Outlook, Tz, forecast, length};
use domain::template::{Category, Template, TemplateStatus};
use serde::Serialize;
use store::{EXCLUDED_LIST, OPTED_OUT};
use utoipa::ToSchema;

use crate::campaigns::{NextRun, recur, terms};
use crate::fault::Result;
use crate::planner::NO_ADDRESS;
use crate::renderer::{KeptTemplate, Renderer};
use crate::views::iso;
use crate::{App, campaigns, limits, numbers};

/// People read at once.
const PAGE: i64 = 2_000;

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

/// Checks a campaign as it stands. Changes nothing.
///
/// # Errors
/// When there is none of that id, or the database is away. What speaks against launching is data, not an error.
pub async fn preflight(app: &App, id: i64) -> Result<Preflight> {
    let row = campaigns::row(app, id).await?;
    let mut blockers = Vec::new();
    let mut warnings = Vec::new();

    let synced = app.store.template(row.template_id).await?;
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
    // What is rendered is the template as it is now, which is the one that launch keeps.
    let mut current = row.clone();
    if let Some(kept) = &kept {
        current.template = serde_json::to_string(kept).map_err(crate::Fault::internal)?;
        if category == Category::Marketing && !offers_a_way_out(&kept.parse()?) {
            warnings.push(
                "The template has no button that stops marketing messages; Meta recommends one and the law of most \
                 markets asks for an easy way out."
                    .to_owned(),
            );
        }
    }
    let renderer = match Renderer::of(&current) {
        Ok(renderer) => Some(renderer),
        Err(fault) => {
            blockers.push(fault.detail);
            None
        }
    };
    if let Some(account) = app.store.account(row.account_id).await?
        && let Some(reason) = account.stopped_reason
    {
        blockers.push(format!("The account is stopped: {reason}"));
    }
    let (rate, limit) = pace(app, &row, &mut blockers).await?;

    let frozen_at = row.frozen_at.unwrap_or_else(|| app.clock.now_ms());
    let hours = terms::hours(&row)?;
    let audience = weigh(app, id, frozen_at, renderer.as_ref(), &category, hours).await?;
    if audience.eligible == 0 {
        blockers.push("Nobody would get the message.".to_owned());
    }
    let next_runs = recur::next_runs(&row, app.clock.now_ms())?;
    let first_run = recur::first_run(&row, app.clock.now_ms()).unwrap_or(None);
    let from = first_run.or(row.start_at).unwrap_or(0).max(app.clock.now_ms());
    let (rate, limit) = spread_pace(&row, &audience, rate, limit);
    let outlook = rate.map(|per_second| {
        forecast(&Forecast {
            from,
            people: &audience.zones,
            per_second,
            quiet: terms::quiet(hours),
            stop_at: row.terms.stop_at,
        })
    });
    check_terms(app, &row, outlook.as_ref(), &mut blockers, &mut warnings)?;
    let (delay, limit) = match scarcest(app, id, from, audience.eligible).await? {
        Some((delay, people)) => {
            let words = format!("the portfolio's messaging limit: {} people in 24 hours", limits::grouped(people));
            (delay, Some(limit.map_or_else(|| words.clone(), |pace| format!("{words}; {pace}"))))
        }
        None => (0, limit),
    };
    Ok(Preflight {
        estimated_finish: outlook
            .filter(|_| audience.eligible > 0)
            .map(|outlook| iso((outlook.finish + delay).min(row.terms.stop_at.unwrap_or(i64::MAX)))),
        next_runs,
        binding_limit: limit,
        eligible: audience.eligible,
        excluded: audience.excluded,
        estimated_cost: audience.cost,
        blockers,
        warnings,
    })
}

/// The pace with the campaign's spread, which binds where it is slower than everything else.
fn spread_pace(
    row: &store::CampaignRow,
    audience: &Audience,
    rate: Option<u32>,
    limit: Option<String>,
) -> (Option<f64>, Option<String>) {
    let rate = rate.map(f64::from);
    let people = row.spread_people.unwrap_or(audience.eligible);
    match row.terms.spread.map(|over| (over, terms::spread_rate(people, over))) {
        Some((over, even)) if people > 0 && rate.is_none_or(|rate| even < rate) => {
            let words = format!("the campaign's spread over {}: {even:.2} messages a second", length(over));
            (Some(even), Some(words))
        }
        _ => (rate, limit),
    }
}

/// What the campaign's own terms say against launching it now.
fn check_terms(
    app: &App,
    row: &store::CampaignRow,
    outlook: Option<&Outlook>,
    blockers: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let now = app.clock.now_ms();
    let is_new = matches!(row.state()?, CampaignState::Draft | CampaignState::Scheduled);
    if let (Some(at), Some(latest)) = (row.start_at, row.terms.latest_start)
        && is_new
        && row.terms.cron.is_none()
        && now.saturating_sub(at) > latest
    {
        blockers.push(format!(
            "Its time to start was {}, and its latest start {} after that has passed.",
            iso(at),
            length(latest)
        ));
    }
    let Some(stop_at) = row.terms.stop_at else { return Ok(()) };
    if row.terms.has_ended(now) {
        blockers.push(format!("The offer ended at {}.", iso(stop_at)));
    } else if let Some(outlook) = outlook.filter(|outlook| is_new && outlook.left_over > 0) {
        warnings.push(format!(
            "The offer ends at {} before everybody can be written to: about {} people would be left out.",
            iso(stop_at),
            limits::grouped(outlook.left_over)
        ));
    }
    Ok(())
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

struct Audience {
    eligible: i64,
    excluded: BTreeMap<String, i64>,
    cost: CostEstimate,
    /// Eligible people by the time zone in which their day is counted; in one where nothing is quiet.
    zones: Vec<(Tz, i64)>,
}

/// Goes through the whole audience, in the order in which planning tries the reasons.
async fn weigh(
    app: &App,
    id: i64,
    frozen_at: i64,
    renderer: Option<&Renderer>,
    category: &Category,
    hours: Option<store::Hours>,
) -> Result<Audience> {
    let mut zones: HashMap<Tz, i64> = HashMap::new();
    let mut excluded: BTreeMap<String, i64> = BTreeMap::new();
    let mut markets: BTreeMap<&'static str, (i64, u32)> = BTreeMap::new();
    let (mut after, mut eligible) = (0, 0);
    loop {
        let page = app.store.audience_page(id, frozen_at, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.contact_id;
        let more = i64::try_from(page.len()).unwrap_or(PAGE) == PAGE;
        for person in &page {
            let reason = if person.excluded {
                Some(EXCLUDED_LIST.to_owned())
            } else if person.suppressed {
                Some(OPTED_OUT.to_owned())
            } else if !person.reachable {
                Some(NO_ADDRESS.to_owned())
            } else {
                renderer.and_then(|renderer| renderer.check(person).err())
            };
            if let Some(reason) = reason {
                *excluded.entry(reason).or_default() += 1;
                continue;
            }
            eligible += 1;
            let zone = hours.map_or(Tz::UTC, |hours| hours.zone_of(person.phone, &person.attributes));
            *zones.entry(zone).or_default() += 1;
            let number = person.phone.and_then(|digits| u64::try_from(digits).ok()).and_then(PhoneNumber::from_e164);
            let (market, rate) = pricing::rate(number.and_then(PhoneNumber::region), category);
            let entry = markets.entry(market).or_insert((0, rate));
            entry.0 += 1;
        }
        if !more {
            break;
        }
        tokio::task::yield_now().await;
    }
    let dollars = |tenth_mills: i64| {
        #[expect(clippy::cast_precision_loss, reason = "an estimate in dollars, far below 2^53 ten-thousandths")]
        let dollars = tenth_mills as f64 / 10_000.0;
        dollars
    };
    let by_market: Vec<MarketCost> = markets
        .iter()
        .map(|(market, (recipients, rate))| MarketCost {
            market: (*market).to_owned(),
            recipients: *recipients,
            rate: dollars(i64::from(*rate)),
            total: dollars(recipients * i64::from(*rate)),
        })
        .collect();
    let total = dollars(markets.values().map(|(recipients, rate)| recipients * i64::from(*rate)).sum());
    let cost = CostEstimate { currency: "USD".to_owned(), total, by_market, card: pricing::CARD.to_owned() };
    Ok(Audience { eligible, excluded, cost, zones: zones.into_iter().collect() })
}
