//! Two people for a large campaign: one launches, another has approved exactly what is launched.
//!
//! What is approved is named by a hash over the audience person by person, the template, what fills it, the numbers, the
//! pace and the times. Whoever changes any of it afterwards, or joins or leaves the audience, makes another campaign of it
//! as far as the approval is concerned, and it is asked for again.

use std::sync::Arc;

use ring::digest;
use serde::Serialize;
use serde_json::json;
use store::{Approval, CampaignRow};
use utoipa::ToSchema;

use crate::campaigns::preflight::{Checks, checks};
use crate::campaigns::steer::note;
use crate::campaigns::weighing::{self, Kept, Weighing};
use crate::campaigns::{CampaignView, show};
use crate::fault::{Fault, Result};
use crate::limits::grouped;
use crate::renderer::KeptTemplate;
use crate::views::iso;
use crate::{Actor, App};

/// Whether a campaign has the approval that it needs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ApprovalView {
    /// Campaigns to more people than this need one.
    pub above: i64,
    /// The hash of what it is now.
    pub seal: String,
    /// Who approved exactly this.
    pub approved_by: Vec<String>,
    /// When the last of them did, RFC 3339.
    pub approved_at: Option<String>,
}

/// What a campaign is, as a hash: with its audience, and without.
struct Seals {
    whole: String,
    terms: String,
}

async fn seals(app: &App, campaign: &CampaignRow, weighing: &Weighing) -> Result<Seals> {
    let numbers = app.store.campaign_number_ids(campaign.id).await?;
    let terms = &campaign.terms;
    let said = json!([
        campaign.template,
        campaign.params,
        numbers,
        campaign.rate_cap,
        campaign.filter,
        app.store.campaign_list_ids(campaign.id).await?,
        campaign.start_at,
        terms.spread,
        terms.quiet_hours,
        terms.timezone,
        terms.stop_at,
        terms.latest_start,
        terms.cron,
        terms.frequency_cap,
        terms.canary,
        terms.blackouts,
        terms.human_gaps,
    ]);
    let hash = |what: &serde_json::Value| hex::encode(digest::digest(&digest::SHA256, what.to_string().as_bytes()));
    let of_terms = hash(&said);
    Ok(Seals { whole: hash(&json!([of_terms, weighing.people, weighing.eligible])), terms: of_terms })
}

/// So many campaigns are looked at at once.
const LOOKED_AT: i64 = 50;

/// Who approved exactly this, where a campaign of that size needs it.
pub(super) async fn view(app: &App, campaign: &CampaignRow, weighing: &Weighing) -> Result<Option<ApprovalView>> {
    let Some(above) = app.store.approval_above().await?.filter(|above| weighing.eligible > *above) else {
        return Ok(None);
    };
    let seal = seals(app, campaign, weighing).await?.whole;
    let mut valid = app.store.approvals(campaign.id).await?;
    valid.retain(|approval| approval.seal == seal);
    let approved_at = valid.first().map(|approval| iso(approval.at));
    Ok(Some(ApprovalView {
        above,
        seal,
        approved_by: valid.into_iter().map(|approval| approval.actor).collect(),
        approved_at,
    }))
}

/// Campaigns for whose launch a second person's approval is missing, newest first, before an id: as their last check found
/// them. Whoever has not been checked yet asks for nothing.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn awaiting_approval(app: &App, before: Option<i64>, limit: u32) -> Result<Vec<CampaignView>> {
    let mut waiting = Vec::new();
    let mut before = before.unwrap_or(i64::MAX);
    if app.store.approval_above().await?.is_none() {
        return Ok(waiting);
    }
    loop {
        let page = app.store.campaigns_checked(before, LOOKED_AT).await?;
        let is_over = i64::try_from(page.len()).unwrap_or(LOOKED_AT) < LOOKED_AT;
        for mut campaign in page {
            before = campaign.id;
            let (Kept::Valid(weighing) | Kept::Stale(weighing)) = weighing::kept(app, &campaign).await? else {
                continue;
            };
            // What is approved is the template as it is now.
            if let Some(template) = app.store.template_of(&campaign).await? {
                let kept = KeptTemplate::of(&template)?;
                campaign.template = serde_json::to_string(&kept).map_err(Fault::internal)?;
            }
            if view(app, &campaign, &weighing).await?.is_some_and(|view| view.approved_by.is_empty()) {
                waiting.push(show(app, campaign.id).await?);
            }
            if waiting.len() >= limit as usize {
                return Ok(waiting);
            }
        }
        if is_over {
            return Ok(waiting);
        }
    }
}

/// What is missing, to be said to whoever looks; `None`: nothing.
pub(super) fn missing(view: &ApprovalView, people: i64) -> Option<String> {
    view.approved_by.is_empty().then(|| {
        format!(
            "It is for {} people, and above {} a second person must approve it as it is now (`hudhud campaign approve`).",
            grouped(people),
            grouped(view.above)
        )
    })
}

/// Why somebody may not launch it, for want of another person's approval.
pub(super) async fn why_not(
    app: &App,
    actor: &Actor,
    campaign: &CampaignRow,
    weighing: &Weighing,
) -> Result<Option<String>> {
    let Some(view) = view(app, campaign, weighing).await? else { return Ok(None) };
    let by_another = view.approved_by.iter().any(|approver| approver != actor.as_str());
    if by_another {
        return Ok(None);
    }
    Ok(Some(missing(&view, weighing.eligible).unwrap_or_else(|| {
        format!("Only {actor} approved it, and the one who launches a campaign is not its second person.")
    })))
}

/// Why a campaign that starts by itself waits for a person: what was approved when it was scheduled is not this any more.
/// People may have left its audience since; others may have come, and so it must not have grown. A run of a campaign that
/// recurs goes by the approval of that.
pub(super) async fn why_not_by_itself(
    app: &App,
    campaign: &CampaignRow,
    weighing: &Weighing,
) -> Result<Option<String>> {
    let Some(view) = view(app, campaign, weighing).await? else { return Ok(None) };
    let is_a_run = campaign.occurrence.is_some();
    let approved = match campaign.parent_id {
        Some(parent) if is_a_run => app.store.approvals(parent).await?,
        _ => app.store.approvals(campaign.id).await?,
    };
    let terms = seals(app, campaign, weighing).await?.terms;
    let holds =
        |approval: &Approval| weighing.eligible <= approval.people && (is_a_run || approval.terms_seal == terms);
    if approved.iter().any(holds) {
        return Ok(None);
    }
    Ok(missing(&ApprovalView { approved_by: Vec::new(), ..view }, weighing.eligible)
        .map(|words| format!("{words} What was approved before was something else, or for fewer people.")))
}

/// Approves a campaign exactly as it is: the one who launches it must be somebody else.
///
/// # Errors
/// When there is none of that id, it is no draft any more, or something other than the approval blocks it.
#[crate::boxed]
pub async fn approve(app: &Arc<App>, actor: &Actor, id: i64) -> Result<ApprovalView> {
    let checks: Checks = checks(app, id).await?;
    let campaign = &checks.campaign;
    if campaign.frozen_at.is_some() {
        return Err(Fault::wrong_state(format!("The campaign is {} already.", campaign.state()?)));
    }
    if !checks.blockers.is_empty() {
        return Err(Fault::wrong_state(checks.blockers.join(" "))
            .action("What blocks it has to be removed first, and doing so makes something else of it."));
    }
    let weighing = match weighing::kept(app, campaign).await? {
        Kept::Valid(weighing) => weighing,
        _ => checks.weigh(app).await?,
    };
    let Seals { whole, terms } = seals(app, campaign, &weighing).await?;
    let now = app.clock.now_ms();
    let approval = Approval {
        actor: actor.as_str().to_owned(),
        seal: whole.clone(),
        terms_seal: terms,
        people: weighing.eligible,
        at: now,
    };
    app.store.approve_campaign(id, &approval).await?;
    weighing::keep(app, campaign, &weighing).await;
    note(app, actor, "approved", id, &json!({"seal": whole, "people": weighing.eligible})).await?;
    let found = view(app, campaign, &weighing).await?;
    Ok(found.unwrap_or(ApprovalView {
        above: app.store.approval_above().await?.unwrap_or(0),
        seal: whole,
        approved_by: vec![approval.actor],
        approved_at: Some(iso(now)),
    }))
}

#[cfg(test)]
mod tests;
