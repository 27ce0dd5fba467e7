//! Planning: scheduled campaigns start at their time, frozen audiences become rows chunk by chunk, finished campaigns
//! are closed.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use domain::campaign::{CampaignEvent, CampaignState};
use domain::pacing::{Micros, SECOND};
use store::{
    Audience, AudienceRow, CANCELLED, CampaignRow, Detail, MessageKind, Moved, OFFER_ENDED, PlanChunk, Verdict,
};

use crate::campaigns::weighing::Judge;
use crate::renderer::Renderer;
use crate::{App, campaigns};

/// The first people of a campaign, who leave while the rest is planned.
const FIRST_CHUNK: i64 = 500;
/// People of the first chunk of a round.
const CHUNK: i64 = 2_000;
/// People of any chunk.
const CHUNKS: std::ops::RangeInclusive<i64> = 500..=4_000;
/// A write transaction that takes longer than this makes the next one smaller.
const TOO_LONG: Duration = Duration::from_millis(12);
/// One that takes less makes it larger.
const BRIEF: Duration = Duration::from_millis(6);
/// For so long one campaign is planned before the next one has its turn, and before its state is looked at again.
const ROUND: Micros = SECOND / 5;
/// Sends skipped in one transaction when a campaign is cancelled.
const SKIP_CHUNK: i64 = 1_000;

/// One round over all campaigns. `true`: there is more to do at once.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
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
        CampaignState::Running | CampaignState::Paused if !campaign.planned => {
            let more = plan(app, campaign, None).await?;
            campaigns::mind_canary(app, campaign).await?;
            Ok(more)
        }
        CampaignState::Running | CampaignState::Paused if campaign.kind == MessageKind::Reply as i16 => {
            campaigns::mind_window(app, campaign).await
        }
        CampaignState::Running => {
            campaigns::mind_canary(app, campaign).await?;
            Ok(false)
        }
        CampaignState::Cancelled if !campaign.planned => plan(app, campaign, Some(CANCELLED)).await,
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
        return plan(app, campaign, Some(OFFER_ENDED)).await;
    }
    if app.store.tally(campaign.id).await?.planned == 0 {
        return Ok(false);
    }
    let skipped = app.store.skip_planned(campaign.id, OFFER_ENDED, SKIP_CHUNK).await?;
    tracing::info!(campaign = campaign.id, skipped, "the offer has ended: whoever is left is skipped");
    Ok(skipped > 0)
}

/// Plans for a moment. `true`: there is more to plan.
async fn plan(app: &App, campaign: &CampaignRow, skip_all: Option<&'static str>) -> anyhow::Result<bool> {
    let Some(frozen_at) = campaign.frozen_at else { return Ok(false) };
    let renderer = Renderer::of(campaign);
    let rule = match (skip_all, &renderer) {
        (Some(reason), _) => Rule::SkipAll(reason),
        (None, Ok(renderer)) => Rule::Judge(Judge::of(renderer)),
        (None, Err(fault)) => {
            crate::consequences::pause_campaign(app, campaign.id, &fault.detail).await;
            return Ok(false);
        }
    };
    let audience = app.store.audience(campaign.id, frozen_at).await?;
    let planning = Planning { app, audience: &audience, rule };
    let until = app.clock.boot_us() + ROUND;
    let mut size = if campaign.planned_through == 0 { FIRST_CHUNK } else { CHUNK };
    let mut page = planning.read(campaign.planned_through, size).await?;
    loop {
        let chunk = PlanChunk {
            campaign_id: campaign.id,
            after: page.after,
            through: page.through,
            last: page.is_last,
            people: &page.people,
        };
        let goes_on = !page.is_last && app.clock.boot_us() < until;
        // The next page is read and judged while this one is written: the database reads beside its writer.
        let ahead = async { if goes_on { planning.read(page.through, size).await.map(Some) } else { Ok(None) } };
        let (written, next) = tokio::join!(app.store.plan_chunk(&chunk), ahead);
        let Some(took) = written? else { return Ok(false) };
        if page.after == 0 {
            // The first messages need not wait for the feeder's next look.
            app.scheduler_wake.notify_waiters();
        }
        if page.is_last {
            tracing::info!(campaign = campaign.id, audience = campaign.audience, "the campaign's audience is planned");
            return Ok(false);
        }
        size = next_size(size, took);
        match next? {
            Some(next) => page = next,
            None => return Ok(true),
        }
    }
}

/// How many people the next chunk takes, after one of `size` took so long: whoever else writes waits for it.
fn next_size(size: i64, took: Duration) -> i64 {
    let size = if took > TOO_LONG {
        size / 2
    } else if took < BRIEF {
        size * 2
    } else {
        size
    };
    size.clamp(*CHUNKS.start(), *CHUNKS.end())
}

/// What it takes to plan one campaign.
struct Planning<'a> {
    app: &'a App,
    audience: &'a Audience,
    rule: Rule<'a>,
}

/// What decides about each person.
enum Rule<'a> {
    /// Whether their message can be written and sent.
    Judge(Judge<'a>),
    /// Nobody gets it, for this reason.
    SkipAll(&'static str),
}

/// People who are judged and not yet written down.
struct Page {
    people: Vec<Verdict>,
    after: i64,
    through: i64,
    is_last: bool,
}

impl Planning<'_> {
    async fn read(&self, after: i64, size: i64) -> anyhow::Result<Page> {
        let detail = match &self.rule {
            Rule::Judge(judge) => judge.needs(),
            Rule::SkipAll(_) => Detail::Verdicts,
        };
        let page = self.app.store.audience_page(self.audience, after, size, detail).await?;
        let verdict = |person: &AudienceRow| Verdict {
            contact_id: person.contact_id,
            skipped: match &self.rule {
                Rule::Judge(judge) => judge.objection(person),
                Rule::SkipAll(reason) => Some(Cow::Borrowed(*reason)),
            },
        };
        Ok(Page {
            people: page.iter().map(verdict).collect(),
            after,
            // No further than what was read: people who are imported meanwhile lie beyond it.
            through: page.last().map_or(after, |person| person.contact_id),
            is_last: i64::try_from(page.len()).unwrap_or(size) < size,
        })
    }
}

/// Closes campaigns that have nothing open, and opens those again that a late failure gave something to do.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
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
