//! Campaigns: made, looked at, launched, steered.

mod again;
mod approval;
mod canary;
mod create;
mod export;
mod preflight;
mod recur;
pub(crate) mod reply;
mod report;
pub(crate) mod single;
mod steer;
mod terms;
mod trial;
pub(crate) mod weighing;

use domain::campaign::CampaignState;
use serde::Serialize;
use store::CampaignRow;
use utoipa::ToSchema;

pub use again::{CloneOrder, clone, retry_failed};
pub use approval::{ApprovalView, approve, awaiting_approval};
pub use canary::{CanaryOrder, CanaryView, mind_canary};
pub use create::{NewCampaign, create, discard};
pub use export::export;
pub use preflight::{CostEstimate, MarketCost, Preflight, preflight};
pub use recur::{NextRun, recur};
pub use reply::{ReplyOrder, answered, mind_window, send_reply};
pub use report::{
    CampaignReport, Compared, Comparison, CostReport, CostRow, Country, Failure, Funnel, Hour, Money, Place, Shares,
    Tapped, compare, report,
};
pub use single::{ListedMessageView, MessageOrder, MessageView, message, messages, send_message};
pub use steer::{LaunchOrder, cancel, launch, pause, resume, set_rate, start};
pub(crate) use terms::offer_ended;
pub use terms::{BlackoutDays, BlackoutWait, Gaps, QuietHoursView, SpreadView};
pub(crate) use terms::{blackout_days, read_blackouts};
pub use trial::{TestOrder, try_out};

use crate::App;
use crate::fault::{Fault, Result};
use crate::views::iso;

/// How many sends stand where; they sum to the total. `queued` are planned ones whose batch is out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counts {
    /// To be sent.
    pub planned: i64,
    /// To be sent, and handed to the queue.
    pub queued: i64,
    /// On the way to Meta.
    pub submitting: i64,
    /// Taken by Meta.
    pub accepted: i64,
    /// On the way to the person.
    pub sent: i64,
    /// On the person's device.
    pub delivered: i64,
    /// Opened.
    pub read: i64,
    /// Failed for good.
    pub failed: i64,
    /// Not sent, for a reason.
    pub skipped: i64,
    /// Nobody knows whether it went out.
    pub in_doubt: i64,
}

/// A campaign as it stands.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct CampaignView {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// `draft`, `scheduled`, `running`, `paused`, `cancelled` or `finished`.
    pub state: String,
    /// Why, where there is a why.
    pub reason: Option<String>,
    /// After a pause, a resume or a cancel: what has gone and cannot be recalled, and what has not, in numbers. Of a
    /// draft that was just made: what in its filter looks like a mistake.
    pub note: Option<String>,
    /// The frozen audience.
    pub total: i64,
    /// Where its sends stand.
    pub counts: Counts,
    /// Accepted and held by Meta for a quality check (part of `accepted`).
    pub held: i64,
    /// Undelivered when the template's time to live ran out.
    pub expired: i64,
    /// `skipped` by reason.
    pub skipped_by_reason: std::collections::BTreeMap<String, i64>,
    /// `failed` by Meta's code.
    pub failed_by_code: std::collections::BTreeMap<String, i64>,
    /// The campaign whose failed ones it tries again, or whose run it is.
    pub parent_id: Option<i64>,
    /// Of a run of a campaign that recurs: the time that it is for, RFC 3339.
    pub occurrence: Option<String>,
    /// The crontab line at whose times it recurs.
    pub cron: Option<String>,
    /// The time zone by whose clock it recurs, and in which the quiet hours of people are counted whose own is not known.
    pub timezone: Option<String>,
    /// The next runs of a campaign that recurs.
    pub next_runs: Vec<NextRun>,
    /// The template's name.
    pub template: String,
    /// The template's language.
    pub language: String,
    /// Lists whose members are its audience.
    pub lists: Vec<String>,
    /// Lists whose members are skipped.
    pub excluded_lists: Vec<String>,
    /// Who of its lists is meant; `null`: everyone.
    pub filter: Option<String>,
    /// Meta's ids of its business numbers.
    pub numbers: Vec<String>,
    /// Hard cap in any sliding second.
    pub rate: Option<i64>,
    /// Its share of a number that several campaigns send from, against theirs: 1 to 100.
    pub weight: i64,
    /// When it starts by itself, RFC 3339.
    pub start_at: Option<String>,
    /// How late after that it may start (`2h`); where it could not, it is cancelled.
    pub latest_start: Option<String>,
    /// Its messages leave evenly over so long.
    pub spread: Option<SpreadView>,
    /// How far apart they leave.
    pub gaps: Gaps,
    /// Nobody is written to then, by their own clock.
    pub quiet_hours: Option<QuietHoursView>,
    /// Its own blackout days; those of the house are among the rules.
    pub blackouts: Vec<BlackoutDays>,
    /// The offer ends then, RFC 3339: nothing is sent from then on.
    pub stop_at: Option<String>,
    /// At most so many marketing messages to one person in so many days, over all campaigns, beside the cap of the house.
    pub frequency_cap: Option<String>,
    /// Who goes first, and how that stands.
    pub canary: Option<CanaryView>,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When its first send could go, RFC 3339.
    pub started_at: Option<String>,
    /// When it was finished or cancelled, RFC 3339.
    pub finished_at: Option<String>,
}

/// A campaign by its name, or else by its id.
///
/// # Errors
/// When there is none.
#[crate::boxed]
pub async fn find(app: &App, name_or_id: &str) -> Result<i64> {
    let text = name_or_id.trim();
    if let Some(campaign) = app.store.campaign_named(text).await? {
        return Ok(campaign.id);
    }
    if let Ok(id) = text.parse()
        && let Some(campaign) = app.store.campaign(id).await?
    {
        return Ok(campaign.id);
    }
    Err(Fault::not_found(format!("There is no campaign {text:?}.")).action("`hudhud campaign ls` shows what there is."))
}

/// One campaign as it stands.
///
/// # Errors
/// When there is none of that id.
#[crate::boxed]
pub async fn show(app: &App, id: i64) -> Result<CampaignView> {
    let row = row(app, id).await?;
    view(app, row).await
}

/// Campaigns, newest first, before an id.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn ls(app: &App, before: Option<i64>, limit: u32) -> Result<Vec<CampaignView>> {
    let mut views = Vec::new();
    for row in app.store.campaigns(before.unwrap_or(i64::MAX), i64::from(limit)).await? {
        views.push(view(app, row).await?);
    }
    Ok(views)
}

pub(crate) async fn row(app: &App, id: i64) -> Result<CampaignRow> {
    app.store.campaign(id).await?.ok_or_else(|| Fault::not_found(format!("There is no campaign with the id {id}.")))
}

async fn view(app: &App, row: CampaignRow) -> Result<CampaignView> {
    let tally = app.store.tally(row.id).await?;
    let queued = if tally.planned > 0 { app.store.queued(row.id).await?.min(tally.planned) } else { 0 };
    // What is frozen and not yet a row is planned all the same.
    let unplanned = if row.planned { 0 } else { (row.audience - tally.total()).max(0) };
    let (lists, excluded_lists) = app.store.campaign_list_names(row.id).await?;
    let mut numbers = Vec::new();
    let number_ids = app.store.campaign_number_ids(row.id).await?;
    for id in &number_ids {
        numbers.extend(app.store.number(*id).await?.map(|number| number.phone_number_id));
    }
    let waits = row.reason.is_none() && row.state()? == CampaignState::Running && tally.planned > 0;
    let reason = if waits { terms::why_waiting(app, &row, &tally, &number_ids).await? } else { row.reason.clone() };
    let next_runs = recur::next_runs(&row, app.clock.now_ms())?;
    let canary = canary::view(&row)?;
    let (spread, quiet_hours) = (terms::spread(&row), terms::quiet_hours(&row));
    let gaps = Gaps::of(&row);
    let blackouts = row.terms.blackouts()?.iter().map(blackout_days).collect();
    let template: crate::renderer::KeptTemplate = serde_json::from_str(&row.template).map_err(Fault::internal)?;
    Ok(CampaignView {
        id: row.id,
        state: row.state()?.as_str().to_owned(),
        name: row.name,
        reason,
        note: None,
        parent_id: row.parent_id,
        occurrence: row.occurrence.map(iso),
        cron: row.terms.cron,
        timezone: row.terms.timezone,
        next_runs,
        total: tally.total() + unplanned,
        counts: Counts {
            planned: tally.planned - queued + unplanned,
            queued,
            submitting: tally.submitting,
            accepted: tally.accepted,
            sent: tally.sent,
            delivered: tally.delivered,
            read: tally.read,
            failed: tally.failed,
            skipped: tally.skipped,
            in_doubt: tally.in_doubt,
        },
        held: tally.held,
        expired: tally.expired,
        skipped_by_reason: tally.skipped_by_reason,
        failed_by_code: tally.failed_by_code,
        template: template.name,
        language: template.language,
        lists,
        excluded_lists,
        filter: row.filter,
        numbers,
        rate: row.rate_cap,
        weight: row.weight,
        start_at: row.start_at.map(iso),
        latest_start: row.terms.latest_start.map(domain::schedule::length),
        spread,
        gaps,
        quiet_hours,
        blackouts,
        stop_at: row.terms.stop_at.map(iso),
        canary,
        frequency_cap: row.terms.frequency_cap,
        created_at: iso(row.created_at),
        started_at: row.started_at.map(iso),
        finished_at: row.finished_at.map(iso),
    })
}
