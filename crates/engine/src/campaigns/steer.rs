//! Launching, pausing, resuming and cancelling.

use std::sync::Arc;

use domain::campaign::{CampaignEvent, CampaignState};
use domain::schedule::length;
use serde::Deserialize;
use serde_json::json;
use store::{CampaignRow, Frozen, Moved};
use utoipa::ToSchema;

use crate::campaigns::preflight::{Checks, CutOff, NOBODY, checks, cut_off, document};
use crate::campaigns::weighing::{self, Kept, Weighing};
use crate::campaigns::{CampaignView, approval, recur, row, show, terms};
use crate::fault::{Fault, FaultKind, Result};
use crate::limits::grouped;
use crate::{Actor, App, consequences, evidence};

/// A campaign that starts by itself so long after its time was late, ms.
const LATE: i64 = 60_000;

/// How often an audience is counted that changes meanwhile, before a launch gives up.
const COUNTS: u32 = 3;

/// What a person says when launching.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LaunchOrder {
    /// Refuse unless exactly so many would get the message.
    #[serde(default)]
    pub expect_recipients: Option<i64>,
    /// Yes to the preflight's warnings.
    #[serde(default)]
    pub yes: bool,
}

/// Launches a draft: at once, or at its time. What was checked is what is sent: the audience is frozen as of the moment
/// when it was counted, where somebody saw the count or named one.
///
/// # Errors
/// [`FaultKind::PreflightRefused`] with the preflight's document when it has blockers, warnings without yes, another
/// number of recipients than expected, or than was last shown without yes; [`FaultKind::WrongState`] when it was launched
/// before; [`FaultKind::Conflict`] when the audience changes faster than it can be counted.
#[crate::boxed]
pub async fn launch(app: &Arc<App>, actor: &Actor, id: i64, order: &LaunchOrder) -> Result<CampaignView> {
    let campaign = row(app, id).await?;
    if !matches!(campaign.state()?, CampaignState::Draft | CampaignState::Scheduled) {
        return Err(Fault::wrong_state(format!("The campaign is {} already.", campaign.state()?)));
    }
    if let Some(import) = app.store.undo_under_way(id).await? {
        return Err(awaits_undo(import));
    }
    for count in 0..COUNTS {
        let mut checks = checks(app, id).await?;
        let kept = match weighing::kept(app, &checks.campaign).await? {
            // It did not hold a moment ago.
            Kept::Valid(weighing) if count > 0 => Kept::Stale(weighing),
            kept => kept,
        };
        let mut weighing = weigh_if_needed(app, &mut checks, kept, order).await?;
        let needs_count = rests_on_a_count(&campaign) || app.store.approval_above().await?.is_some();
        if weighing.is_none() && needs_count {
            weighing = Some(checks.weigh(app).await?);
        }
        if let Some(weighing) = &weighing {
            match cut_off(app, &checks, weighing).await? {
                Some(CutOff::Some(words)) => checks.warnings.push(words),
                Some(CutOff::Everybody(words)) => checks.blockers.push(words),
                None => {}
            }
            checks.blockers.extend(approval::why_not(app, actor, &checks.campaign, weighing).await?);
        }
        if let Some((detail, action)) = refusal(app, &checks, weighing.as_ref(), order).await? {
            let weighing = match weighing {
                Some(weighing) => weighing,
                None => checks.weigh(app).await?,
            };
            let document = document(app, checks, &weighing).await?;
            return Err(Fault::new(FaultKind::PreflightRefused, detail)
                .kept("Nothing was sent; the campaign is as it was.")
                .action(action)
                .with_document(serde_json::to_value(&document).unwrap_or_default()));
        }
        let eligible = weighing.as_ref().map_or(0, |weighing| weighing.eligible);
        let first_run = recur::first_run(&campaign, app.clock.now_ms())?;
        let later = first_run.is_some() || campaign.start_at.is_some_and(|at| at > app.clock.now_ms());
        if campaign.terms.spread.is_some() {
            app.store.keep_spread(id, eligible).await?;
        }
        if first_run.is_some() {
            app.store.set_start(id, first_run).await?;
            app.store.keep_last_eligible(id, eligible).await?;
        }
        if later {
            moved(app.store.move_campaign(id, CampaignEvent::Scheduled, None, None, app.clock.now_ms()).await?)?;
        } else if !freeze(app, &checks.campaign, weighing.as_ref()).await? {
            continue;
        }
        let checked = weighing.as_ref();
        let detail = json!({
            "eligible": checked.map(|weighing| weighing.eligible),
            "excluded": checked.map(|weighing| &weighing.excluded),
            "later": later,
        });
        note(app, actor, "launched", id, &detail).await?;
        app.scheduler_wake.notify_waiters();
        return show(app, id).await;
    }
    Err(Fault::conflict("The audience changes while it is being counted.")
        .kept("Nothing was sent; the campaign is as it was.")
        .action("Wait for the imports into its lists to end, and launch again."))
}

/// The count that this launch is held to. What the last preflight found holds while nothing it rests on has changed. It
/// takes a new one where a number is expected, or where somebody saw an older one and has not said yes to whatever has
/// become of it. Without either nobody was promised a number: planning weighs each person anyway, and millions of them
/// need not wait for it.
async fn weigh_if_needed(app: &App, checks: &mut Checks, kept: Kept, order: &LaunchOrder) -> Result<Option<Weighing>> {
    let shown = match kept {
        Kept::Valid(weighing) => return Ok(Some(weighing)),
        Kept::Stale(_) | Kept::Nothing if order.expect_recipients.is_some() => None,
        Kept::Stale(shown) if !order.yes => Some(shown.eligible),
        Kept::Stale(_) | Kept::Nothing => return Ok(None),
    };
    let weighing = checks.weigh(app).await?;
    if let Some(shown) = shown.filter(|shown| *shown != weighing.eligible) {
        let eligible = weighing.eligible;
        checks.warnings.push(format!(
            "The audience has changed since the last preflight: {shown} people would have got the message, {eligible} \
             would now."
        ));
    }
    Ok(Some(weighing))
}

/// Why it is not launched, and what to do about it.
async fn refusal(
    app: &App,
    checks: &Checks,
    weighing: Option<&Weighing>,
    order: &LaunchOrder,
) -> Result<Option<(String, &'static str)>> {
    let mut blockers = checks.blockers.clone();
    let is_for_nobody = match weighing {
        Some(weighing) => weighing.eligible == 0,
        None => !weighing::is_for_anybody(app, &checks.campaign, checks.renderer.as_ref()).await?,
    };
    if is_for_nobody {
        blockers.push(NOBODY.to_owned());
    }
    if !blockers.is_empty() {
        return Ok(Some((blockers.join(" "), "Remove what blocks it and launch again.")));
    }
    if let (Some(expected), Some(weighing)) = (order.expect_recipients, weighing)
        && expected != weighing.eligible
    {
        let detail = format!("{} people would get the message, not {expected}.", weighing.eligible);
        return Ok(Some((detail, "Look at the preflight and launch with the number you mean.")));
    }
    if !checks.warnings.is_empty() && !order.yes {
        return Ok(Some((checks.warnings.join(" "), "Launch again with --yes if you mean it.")));
    }
    Ok(None)
}

/// Freezes the audience and lets the campaign run, with the template as it was checked. `false`: it is no longer the
/// audience that was weighed, and nothing is done.
async fn freeze(app: &App, campaign: &CampaignRow, weighing: Option<&Weighing>) -> Result<bool> {
    let now = app.clock.now_ms();
    let at = weighing.map_or(now, |weighing| weighing.at);
    let audience = app.store.audience(campaign.id, at).await?;
    let frozen = Frozen { at, people: app.store.audience_size(&audience).await? };
    // Whoever was added since then is left out by the time that stands beside them. Only an import whose transaction
    // began before and ended after the count could slip in, and whoever was removed is missing.
    if weighing.is_some_and(|weighing| weighing.audience() != frozen.people) {
        return Ok(false);
    }
    app.store.keep_template(campaign.id, &campaign.template).await?;
    moved(app.store.move_campaign(campaign.id, CampaignEvent::Launched, None, Some(frozen), now).await?)?;
    Ok(true)
}

/// Starts a scheduled campaign whose time has come: what blocks it by now pauses it instead, and says why. One whose
/// latest start has passed is cancelled, and says so.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn start(app: &Arc<App>, campaign: &CampaignRow) -> Result<()> {
    let now = app.clock.now_ms();
    let late = campaign.start_at.map_or(0, |at| now.saturating_sub(at));
    if let (Some(at), Some(latest)) = (campaign.start_at, campaign.terms.latest_start)
        && late > latest
    {
        let why = terms::missed(at, latest);
        moved(app.store.move_campaign(campaign.id, CampaignEvent::Cancelled, Some(&why), None, now).await?)?;
        note(app, &Actor::system(), "missed", campaign.id, &json!({"late_ms": late, "latest_ms": latest})).await?;
        tracing::warn!(campaign = campaign.id, reason = why, "a campaign whose time was missed is cancelled");
        return Ok(());
    }
    if app.store.undo_under_way(campaign.id).await?.is_some() {
        // Its time has come all the same: it starts a moment later.
        return Ok(());
    }
    let checks = checks(app, campaign.id).await?;
    let order = LaunchOrder { yes: true, ..LaunchOrder::default() };
    let blockers = refusal(app, &checks, None, &order).await?.map(|(blockers, _)| blockers);
    let (mut guarded, mut unapproved) = (None, None);
    if rests_on_a_count(campaign) || app.store.approval_above().await?.is_some() {
        let weighing = checks.weigh(app).await?;
        let eligible = weighing.eligible;
        unapproved = approval::why_not_by_itself(app, &checks.campaign, &weighing).await?;
        if campaign.terms.spread.is_some() {
            app.store.keep_spread(campaign.id, eligible).await?;
        }
        guarded = recur::why_guarded(app, campaign, eligible).await?;
        if let (Some(parent), Some(_), None, None) = (campaign.parent_id, campaign.occurrence, &guarded, &blockers) {
            app.store.keep_last_eligible(parent, eligible).await?;
        }
    }
    freeze(app, &checks.campaign, None).await?;
    if late > LATE {
        let detail = json!({"late_ms": late});
        note(app, &Actor::system(), "started late", campaign.id, &detail).await?;
        tracing::warn!(campaign = campaign.id, late = length(late), "its time was missed, and it starts now");
    }
    let against: Vec<String> = blockers.into_iter().chain(guarded).chain(unapproved).collect();
    if against.is_empty() {
        tracing::info!(campaign = campaign.id, "its time has come: started");
    } else {
        consequences::pause_campaign(app, campaign.id, &against.join(" ")).await;
    }
    Ok(())
}

/// Whether something of a campaign is reckoned from how many people it is for: how far its messages are spread, whether
/// a run's audience is a strange one, who would be left out when the offer ends.
fn rests_on_a_count(campaign: &CampaignRow) -> bool {
    let terms = &campaign.terms;
    let has_guard = terms.size_guard.is_some() && campaign.occurrence.is_some();
    terms.spread.is_some() || terms.cron.is_some() || terms.stop_at.is_some() || has_guard
}

/// Pauses: no claim is made from the next one on. What was claimed within the last moment still leaves.
///
/// # Errors
/// When it is not running.
#[crate::boxed]
pub async fn pause(app: &App, actor: &Actor, id: i64, reason: Option<&str>) -> Result<CampaignView> {
    let words = reason.map_or_else(|| format!("paused by {actor}"), str::to_owned);
    steer(app, actor, id, CampaignEvent::Paused, Some(&words)).await
}

/// Lets a paused campaign go on.
///
/// # Errors
/// When it is not paused, or its template cannot be sent.
#[crate::boxed]
pub async fn resume(app: &App, actor: &Actor, id: i64) -> Result<CampaignView> {
    // A campaign with nobody left to send to may be resumed: it is about to finish.
    let checks = checks(app, id).await?;
    if checks.campaign.state()? == CampaignState::Paused && !checks.blockers.is_empty() {
        return Err(Fault::new(FaultKind::PreflightRefused, checks.blockers.join(" "))
            .kept("The campaign stays paused; everyone keeps their place.")
            .action("Remove what blocks it and resume again."));
    }
    steer(app, actor, id, CampaignEvent::Resumed, None).await
}

/// Ends a campaign: what has not left never will. What has, cannot be recalled.
///
/// # Errors
/// When it is finished.
#[crate::boxed]
pub async fn cancel(app: &App, actor: &Actor, id: i64) -> Result<CampaignView> {
    steer(app, actor, id, CampaignEvent::Cancelled, Some(&format!("cancelled by {actor}"))).await
}

async fn steer(app: &App, actor: &Actor, id: i64, event: CampaignEvent, reason: Option<&str>) -> Result<CampaignView> {
    let state = moved(app.store.move_campaign(id, event, reason, None, app.clock.now_ms()).await?)?;
    note(app, actor, state.as_str(), id, &json!({"reason": reason})).await?;
    app.scheduler_wake.notify_waiters();
    let mut view = show(app, id).await?;
    view.note = Some(what_has_gone(&view, event));
    Ok(view)
}

/// What a steered campaign can no longer change, and what it still can, in numbers.
fn what_has_gone(view: &CampaignView, event: CampaignEvent) -> String {
    let counts = &view.counts;
    let (under_way, doubtful) = (counts.submitting, counts.in_doubt);
    let gone = counts.accepted + counts.sent + counts.delivered + counts.read + counts.failed + under_way + doubtful;
    let left = counts.planned + counts.queued;
    let what_is_left = match event {
        CampaignEvent::Cancelled => "will not go",
        CampaignEvent::Paused => "wait and keep their place",
        _ => "are still to go",
    };
    let mut text = format!("{} have gone and cannot be recalled", grouped(gone));
    let parts = [(under_way, "on their way this moment"), (doubtful, "in doubt")];
    let parts: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, words)| format!("{} {words}", grouped(*n))).collect();
    if !parts.is_empty() {
        text = format!("{text} (of them {})", parts.join(", "));
    }
    // A cancelled campaign's sends are written down as skipped in the moments that follow.
    let cancelled = view.skipped_by_reason.get(store::CANCELLED).copied().unwrap_or(0);
    format!("{text}; {} {what_is_left}.", grouped(left + cancelled))
}

/// Gives a campaign another cap (`None`: none of its own), before it is launched or while it runs. Lanes follow within a
/// second.
///
/// # Errors
/// When it is over, or the rate is less than one message a second for each of its numbers.
#[crate::boxed]
pub async fn set_rate(app: &App, actor: &Actor, id: i64, rate: Option<u32>) -> Result<CampaignView> {
    let campaign = row(app, id).await?;
    let numbers = app.store.campaign_number_ids(id).await?.len();
    if rate.is_some_and(|rate| (rate as usize) < numbers.max(1)) {
        return Err(Fault::invalid("A campaign's rate must be at least 1 message a second for each of its numbers.")
            .action("Pause it to send nothing, or spread it over a length of time to send less."));
    }
    if !app.store.set_rate_cap(id, rate.map(i64::from)).await? {
        return Err(Fault::wrong_state(format!("The campaign is {} already.", campaign.state()?)));
    }
    note(app, actor, "rate", id, &json!({"from": campaign.rate_cap, "to": rate})).await?;
    show(app, id).await
}

fn moved(moved: Moved) -> Result<CampaignState> {
    match moved {
        Moved::To(state) => Ok(state),
        Moved::Refused(illegal) => Err(Fault::wrong_state(format!("{illegal}."))),
        Moved::AwaitsUndo(import) => Err(awaits_undo(import)),
        Moved::NotFound => Err(Fault::not_found("There is no such campaign.")),
    }
}

/// Of a launch while an import into one of the campaign's lists is being taken back.
fn awaits_undo(import: i64) -> Fault {
    Fault::wrong_state(format!("Import {import}, which went to one of its lists, is being undone."))
        .kept("Nothing was sent; the campaign is as it was.")
        .action("Launch again once it is undone; `hudhud imports show` tells.")
}

/// Who steered what, into the ledger.
pub(super) async fn note(app: &App, actor: &Actor, what: &str, id: i64, detail: &serde_json::Value) -> Result<()> {
    let detail = json!({"what": what, "detail": detail});
    let mut entry = evidence::entry(app, "campaign", actor, &detail).map_err(Fault::internal)?;
    entry.campaign_id = Some(id);
    app.store.append_entry(&entry).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
