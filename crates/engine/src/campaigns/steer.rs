//! Launching, pausing, resuming and cancelling.

use std::sync::Arc;

use domain::campaign::{CampaignEvent, CampaignState};
use domain::schedule::length;
use serde::Deserialize;
use serde_json::json;
use store::{CampaignRow, Moved};
use utoipa::ToSchema;

use crate::campaigns::{CampaignView, Preflight, preflight, row, show};
use crate::campaigns::{recur, terms};
use crate::fault::{Fault, FaultKind, Result};
use crate::limits::grouped;
use crate::renderer::KeptTemplate;
use crate::{Actor, App, consequences, evidence};

/// A campaign that starts by itself so long after its time was late, ms.
const LATE: i64 = 60_000;

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

/// Launches a draft: at once, or at its time.
///
/// # Errors
/// [`FaultKind::PreflightRefused`] with the preflight's document when it has blockers, warnings without yes, or another
/// number of recipients than expected; [`FaultKind::WrongState`] when it was launched before.
pub async fn launch(app: &Arc<App>, actor: &Actor, id: i64, order: &LaunchOrder) -> Result<CampaignView> {
    let campaign = row(app, id).await?;
    if !matches!(campaign.state()?, CampaignState::Draft | CampaignState::Scheduled) {
        return Err(Fault::wrong_state(format!("The campaign is {} already.", campaign.state()?)));
    }
    let checked = preflight(app, id).await?;
    refuse(&checked, order)?;
    let first_run = recur::first_run(&campaign, app.clock.now_ms())?;
    let later = first_run.is_some() || campaign.start_at.is_some_and(|at| at > app.clock.now_ms());
    if first_run.is_some() {
        app.store.set_start(id, first_run).await?;
        app.store.keep_last_eligible(id, checked.eligible).await?;
    }
    if later {
        moved(app.store.move_campaign(id, CampaignEvent::Scheduled, None, None, app.clock.now_ms()).await?)?;
    } else {
        freeze(app, &campaign, &checked).await?;
    }
    let detail = json!({"eligible": checked.eligible, "excluded": checked.excluded, "later": later});
    note(app, actor, "launched", id, &detail).await?;
    app.scheduler_wake.notify_waiters();
    show(app, id).await
}

fn refuse(checked: &Preflight, order: &LaunchOrder) -> Result<()> {
    let document = || serde_json::to_value(checked).unwrap_or_default();
    let refusal = |detail: String, action: &str| {
        Err(Fault::new(FaultKind::PreflightRefused, detail)
            .kept("Nothing was sent; the campaign is as it was.")
            .action(action)
            .with_document(document()))
    };
    if !checked.blockers.is_empty() {
        return refusal(checked.blockers.join(" "), "Remove what blocks it and launch again.");
    }
    if let Some(expected) = order.expect_recipients
        && expected != checked.eligible
    {
        return refusal(
            format!("{} people would get the message, not {expected}.", checked.eligible),
            "Look at the preflight and launch with the number you mean.",
        );
    }
    if !checked.warnings.is_empty() && !order.yes {
        return refusal(checked.warnings.join(" "), "Launch again with --yes if you mean it.");
    }
    Ok(())
}

/// Freezes the audience and lets the campaign run, with the template as it is now.
async fn freeze(app: &App, campaign: &CampaignRow, checked: &Preflight) -> Result<()> {
    if let Some(template) = app.store.template(campaign.template_id).await? {
        let kept = serde_json::to_string(&KeptTemplate::of(&template)?).map_err(Fault::internal)?;
        app.store.keep_template(campaign.id, &kept).await?;
    }
    if campaign.terms.spread.is_some() {
        app.store.keep_spread(campaign.id, checked.eligible).await?;
    }
    let now = app.clock.now_ms();
    let audience = app.store.audience_size(campaign.id, now).await?;
    moved(app.store.move_campaign(campaign.id, CampaignEvent::Launched, None, Some(audience), now).await?)?;
    Ok(())
}

/// Starts a scheduled campaign whose time has come: what blocks it by now pauses it instead, and says why. One whose
/// latest start has passed is cancelled, and says so.
///
/// # Errors
/// When the database is away.
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
    let checked = preflight(app, campaign.id).await?;
    freeze(app, campaign, &checked).await?;
    if late > LATE {
        let detail = json!({"late_ms": late});
        note(app, &Actor::system(), "started late", campaign.id, &detail).await?;
        tracing::warn!(campaign = campaign.id, late = length(late), "its time was missed, and it starts now");
    }
    let guarded = recur::why_guarded(app, campaign, checked.eligible).await?;
    let against: Vec<String> = checked.blockers.into_iter().chain(guarded).collect();
    if against.is_empty() {
        if let (Some(parent), Some(_)) = (campaign.parent_id, campaign.occurrence) {
            app.store.keep_last_eligible(parent, checked.eligible).await?;
        }
        tracing::info!(campaign = campaign.id, "its time has come: started");
    } else {
        consequences::pause_campaign(app, campaign.id, &against.join(" ")).await;
    }
    Ok(())
}

/// Pauses: no claim is made from the next one on. What was claimed within the last moment still leaves.
///
/// # Errors
/// When it is not running.
pub async fn pause(app: &App, actor: &Actor, id: i64, reason: Option<&str>) -> Result<CampaignView> {
    let words = reason.map_or_else(|| format!("paused by {actor}"), str::to_owned);
    steer(app, actor, id, CampaignEvent::Paused, Some(&words)).await
}

/// Lets a paused campaign go on.
///
/// # Errors
/// When it is not paused, or its template cannot be sent.
pub async fn resume(app: &App, actor: &Actor, id: i64) -> Result<CampaignView> {
    let checked = preflight(app, id).await?;
    let campaign = row(app, id).await?;
    // A campaign with nobody left to send to may be resumed: it is about to finish.
    let blockers: Vec<String> = checked.blockers.into_iter().filter(|words| !words.starts_with("Nobody")).collect();
    if campaign.state()? == CampaignState::Paused && !blockers.is_empty() {
        return Err(Fault::new(FaultKind::PreflightRefused, blockers.join(" "))
            .kept("The campaign stays paused; everyone keeps their place.")
            .action("Remove what blocks it and resume again."));
    }
    steer(app, actor, id, CampaignEvent::Resumed, None).await
}

/// Ends a campaign: what has not left never will. What has, cannot be recalled.
///
/// # Errors
/// When it is finished.
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
        Moved::NotFound => Err(Fault::not_found("There is no such campaign.")),
    }
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
mod tests {
    use super::*;
    use crate::campaigns::Counts;

    #[test]
    fn whoever_steers_is_told_what_cannot_be_recalled() {
        let counts =
            Counts { planned: 31_000, queued: 880, submitting: 20, read: 8_000, failed: 100, ..Counts::default() };
        let view = CampaignView { counts, ..CampaignView::default() };
        assert_eq!(
            what_has_gone(&view, CampaignEvent::Cancelled),
            "8,120 have gone and cannot be recalled (of them 20 on their way this moment); 31,880 will not go."
        );
        assert!(what_has_gone(&view, CampaignEvent::Paused).ends_with("31,880 wait and keep their place."));
        let quiet = CampaignView::default();
        assert_eq!(
            what_has_gone(&quiet, CampaignEvent::Resumed),
            "0 have gone and cannot be recalled; 0 are still to go."
        );
    }
}
