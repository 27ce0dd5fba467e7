//! Planning: scheduled campaigns start at their time, frozen audiences become rows chunk by chunk, finished campaigns
//! are closed.

use std::sync::Arc;

use anyhow::Context;
use domain::campaign::{CampaignEvent, CampaignState};
use store::{Blocked, CANCELLED, CampaignRow, Moved, OFFER_ENDED, PlanChunk};

use crate::renderer::Renderer;
use crate::{App, campaigns};

/// People of one chunk: a write transaction of about ten milliseconds.
const CHUNK: i64 = 1_000;
/// Sends skipped in one transaction when a campaign is cancelled.
const SKIP_CHUNK: i64 = 1_000;
/// Skipped for having neither number nor user id.
pub const NO_ADDRESS: &str = "no-address";

/// One round over all campaigns. `true`: there is more to do at once.
///
/// # Errors
/// When the database is away.
pub async fn tick(app: &Arc<App>) -> anyhow::Result<bool> {
    let mut more = false;
    let mut failed = Ok(());
    for campaign in app.store.campaigns_alive().await? {
        // What is wrong with one campaign must not keep the others from being planned.
        match step(app, &campaign).await.with_context(|| format!("campaign {}", campaign.id)) {
            Ok(another) => more |= another,
            Err(error) => failed = failed.and(Err(error)),
        }
    }
    failed.map(|()| more)
}

async fn step(app: &Arc<App>, campaign: &CampaignRow) -> anyhow::Result<bool> {
    match campaign.state()? {
        CampaignState::Scheduled => {
            let is_due = campaign.start_at.is_none_or(|at| at <= app.clock.now_ms());
            if campaign.terms.cron.is_some() {
                // Its line may name no time any more.
                if is_due && campaign.start_at.is_some() {
                    campaigns::recur(app, campaign).await?;
                    return Ok(true);
                }
                return Ok(false);
            }
            if is_due {
                campaigns::start(app, campaign).await?;
                return Ok(true);
            }
            Ok(false)
        }
        CampaignState::Running | CampaignState::Paused if campaign.terms.has_ended(app.clock.now_ms()) => {
            end_offer(app, campaign).await
        }
        CampaignState::Running | CampaignState::Paused if !campaign.planned => plan_chunk(app, campaign, None).await,
        CampaignState::Cancelled if !campaign.planned => plan_chunk(app, campaign, Some(CANCELLED)).await,
        CampaignState::Cancelled => {
            let skipped = app.store.skip_planned(campaign.id, CANCELLED, SKIP_CHUNK).await?;
            Ok(skipped > 0)
        }
        _ => Ok(false),
    }
}

/// Skips whoever is left when the offer ends. `true`: there may be more.
async fn end_offer(app: &App, campaign: &CampaignRow) -> anyhow::Result<bool> {
    if !campaign.planned {
        return plan_chunk(app, campaign, Some(OFFER_ENDED)).await;
    }
    if app.store.tally(campaign.id).await?.planned == 0 {
        return Ok(false);
    }
    let skipped = app.store.skip_planned(campaign.id, OFFER_ENDED, SKIP_CHUNK).await?;
    tracing::info!(campaign = campaign.id, skipped, "the offer has ended: whoever is left is skipped");
    Ok(skipped > 0)
}

/// Plans the next chunk. `true`: there may be another.
async fn plan_chunk(app: &App, campaign: &CampaignRow, skip_all: Option<&str>) -> anyhow::Result<bool> {
    let Some(frozen_at) = campaign.frozen_at else { return Ok(false) };
    let page = app.store.audience_page(campaign.id, frozen_at, campaign.planned_through, CHUNK).await?;
    let last = i64::try_from(page.len()).unwrap_or(CHUNK) < CHUNK;
    // No further than what was read: people who are imported meanwhile lie beyond it.
    let through = page.last().map_or(campaign.planned_through, |person| person.contact_id);
    let mut blocked = Vec::new();
    if skip_all.is_none() {
        let renderer = match Renderer::of(campaign) {
            Ok(renderer) => renderer,
            Err(fault) => {
                crate::consequences::pause_campaign(app, campaign.id, &fault.detail).await;
                return Ok(false);
            }
        };
        for person in page.iter().filter(|person| !person.suppressed && !person.excluded) {
            let reason = if person.reachable { renderer.check(person).err() } else { Some(NO_ADDRESS.to_owned()) };
            blocked.extend(reason.map(|reason| Blocked { contact_id: person.contact_id, reason }));
        }
    }
    let chunk = PlanChunk {
        campaign_id: campaign.id,
        after: campaign.planned_through,
        through,
        last,
        blocked: &blocked,
        skip_all,
    };
    let planned = app.store.plan_chunk(&chunk).await?;
    if planned && last {
        tracing::info!(campaign = campaign.id, audience = campaign.audience, "the campaign's audience is planned");
    }
    Ok(planned && !last)
}

/// Closes campaigns that have nothing open, and opens those again that a late failure gave something to do.
///
/// # Errors
/// When the database is away.
pub async fn finish(app: &Arc<App>) -> anyhow::Result<bool> {
    let now = app.clock.now_ms();
    for campaign in app.store.campaigns_alive().await? {
        let state = campaign.state()?;
        if !campaign.planned || !matches!(state, CampaignState::Running | CampaignState::Paused) {
            continue;
        }
        let tally = app.store.tally(campaign.id).await?;
        if tally.open() != 0 {
            continue;
        }
        // The rows have the last word.
        if app.store.has_open_sends(campaign.id).await? {
            tracing::error!(campaign = campaign.id, "the tallies disagree with the sends; they are counted anew");
            metrics::counter!("hudhud_reconcile_mismatches_total", "kind" => "tally").increment(1);
            app.store.heal_tallies(campaign.id).await?;
            continue;
        }
        let left_over = tally.skipped_by_reason.get(OFFER_ENDED).copied().unwrap_or(0);
        let why = campaign.terms.stop_at.filter(|_| left_over > 0).map(|at| campaigns::offer_ended(at, left_over));
        if let Moved::To(CampaignState::Finished) =
            app.store.move_campaign(campaign.id, CampaignEvent::Finished, why.as_deref(), None, now).await?
        {
            tracing::info!(campaign = campaign.id, "finished: every recipient has a known outcome");
        }
    }
    for campaign_id in app.store.finished_with_open().await? {
        app.store.move_campaign(campaign_id, CampaignEvent::Reopened, None, None, now).await?;
        tracing::info!(campaign = campaign_id, "running again: a late failure can be tried once more");
    }
    Ok(false)
}
