//! What an auditor asks of campaigns: who was left out and why, and whether anything was sent after a stop.

use domain::optout::scope::Forbidding;
use serde::Serialize;
use store::ExclusionRow;
use tokio::io::AsyncWrite;
use utoipa::ToSchema;

use crate::campaigns::row;
use crate::fault::{Fault, Result};
use crate::proof::{AfterStop, scope_of, why_after_stop};
use crate::renderer::KeptTemplate;
use crate::sheet::{Sheet, disarm};
use crate::views::iso;
use crate::{Actor, App, disclosures};

/// Rows read at once.
const PAGE: i64 = 2_000;
/// Messages after a stop that are named; the rest are counted.
const NAMED: usize = 1_000;

/// Somebody whom a campaign left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExclusionView {
    /// Our id of the person: the cursor of the next page.
    pub contact_id: i64,
    /// The number, where there is one.
    pub phone: Option<String>,
    /// `opted-out`, `excluded-list`, …
    pub reason: String,
    /// `plan`: as the audience was planned; `claim`: as the message was about to leave.
    pub found_at: String,
    /// When, where the claim found it. RFC 3339.
    pub at: Option<String>,
    /// The ledger's entry of the widest block that forbids the message, where one stands now.
    pub evidence_id: Option<i64>,
    /// That block's scope: `all`, `marketing`, `brand:NAME` or `number:PHONE_NUMBER_ID`.
    pub scope: Option<String>,
}

fn view(row: ExclusionRow) -> ExclusionView {
    ExclusionView {
        contact_id: row.contact_id,
        phone: crate::views::phone(row.phone),
        reason: row.reason.unwrap_or_default(),
        found_at: if row.claimed_at.is_some() { "claim" } else { "plan" }.to_owned(),
        at: row.claimed_at.map(iso),
        evidence_id: row.evidence_id,
        scope: row.scope,
    }
}

/// Whom a campaign left out: a page, by person. The look is recorded.
///
/// # Errors
/// When there is no such campaign, or the database is away.
#[crate::boxed]
pub async fn ls(
    app: &App,
    actor: &Actor,
    campaign_id: i64,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<ExclusionView>> {
    row(app, campaign_id).await?;
    disclosures::note(app, actor, "exclusions", None, &format!("campaign {campaign_id}")).await?;
    let rows = app.store.exclusions(campaign_id, after.unwrap_or(0), i64::from(limit)).await?;
    Ok(rows.into_iter().map(view).collect())
}

/// Writes all of them as CSV (UTF-8 with BOM; cells that a spreadsheet would reckon with are text). How many rows. The
/// export is recorded.
///
/// # Errors
/// When there is no such campaign, or reading or writing fails; what was written until then stays.
pub async fn export(
    app: &App,
    actor: &Actor,
    campaign_id: i64,
    out: &mut (impl AsyncWrite + Unpin + Send),
) -> Result<u64> {
    row(app, campaign_id).await?;
    disclosures::note(app, actor, "exclusions-export", None, &format!("campaign {campaign_id}")).await?;
    let mut sheet = Sheet::begin(out, &["phone", "reason", "found_at", "at", "evidence_id", "scope"]).await?;
    let mut after = 0;
    loop {
        let page = app.store.exclusions(campaign_id, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.contact_id;
        for one in page.into_iter().map(view) {
            sheet.row([
                one.phone.map(|phone| disarm(&phone)).unwrap_or_default(),
                disarm(&one.reason),
                one.found_at,
                one.at.unwrap_or_default(),
                one.evidence_id.map(|id| id.to_string()).unwrap_or_default(),
                one.scope.map(|scope| disarm(&scope)).unwrap_or_default(),
            ])?;
        }
        sheet.end_page().await?;
    }
    sheet.end().await
}

/// Whether anything was sent after a stop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct AfterStopReport {
    /// Whether there is none, or each is explained.
    pub ok: bool,
    /// Campaigns that were looked through.
    pub campaigns: i64,
    /// Messages that Meta took after a stop of their person was recorded.
    pub after_stop: i64,
    /// Those of them that are not explained.
    pub unexplained: i64,
    /// The first of them, by campaign and person.
    pub messages: Vec<AfterStopMessage>,
}

/// A message that Meta took after a stop.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AfterStopMessage {
    /// Our id of the campaign.
    pub campaign_id: i64,
    /// Its name.
    pub campaign: String,
    /// The number, where there is one.
    pub phone: Option<String>,
    /// When the stop was recorded, RFC 3339.
    pub stopped_at: String,
    /// When Meta took the message, RFC 3339.
    pub accepted_at: String,
    /// How long after, and why.
    #[serde(flatten)]
    pub after: AfterStop,
    /// The stop's ledger entry.
    pub evidence_id: i64,
}

/// Looks through one campaign, or all of them, for messages that Meta took after a stop. The look is recorded.
///
/// # Errors
/// When there is no such campaign, or the database is away.
#[crate::boxed]
pub async fn after_stop(app: &App, actor: &Actor, campaign_id: Option<i64>) -> Result<AfterStopReport> {
    disclosures::note(app, actor, "sent-after-stop", None, "").await?;
    let mut report = AfterStopReport { ok: true, ..AfterStopReport::default() };
    let mut before = i64::MAX;
    loop {
        let page = match campaign_id {
            Some(id) => vec![row(app, id).await?],
            None => app.store.campaigns(before, 200).await?,
        };
        let Some(last) = page.last() else { break };
        before = last.id;
        for campaign in page.iter().filter(|campaign| campaign.frozen_at.is_some()) {
            look_through(app, campaign, &mut report).await?;
        }
        if campaign_id.is_some() {
            break;
        }
    }
    report.ok = report.unexplained == 0;
    Ok(report)
}

async fn look_through(app: &App, campaign: &store::CampaignRow, report: &mut AfterStopReport) -> Result<()> {
    let template: KeptTemplate = serde_json::from_str(&campaign.template).map_err(Fault::internal)?;
    report.campaigns += 1;
    let mut after = 0;
    loop {
        let page = app.store.sent_after_stop(campaign.id, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.contact_id;
        // Of several stops of a person the one counts that explains the message least.
        for stops in page.chunk_by(|one, other| one.contact_id == other.contact_id) {
            let judged = stops.iter().map(|one| {
                let forbidding = Forbidding::of(&template.category, &one.phone_number_id, one.brand.as_deref());
                let claimed = one.claimed_at.unwrap_or(one.accepted_at);
                (why_after_stop(claimed, one.stopped_at, &forbidding, &scope_of(&one.detail)), one)
            });
            let Some((why, one)) = judged.max_by_key(|(why, _)| *why) else { continue };
            let why = why.as_str();
            report.after_stop += 1;
            report.unexplained += i64::from(why == "unexplained");
            if report.messages.len() < NAMED {
                report.messages.push(AfterStopMessage {
                    campaign_id: campaign.id,
                    campaign: campaign.name.clone(),
                    phone: crate::views::phone(one.phone),
                    stopped_at: iso(one.stopped_at),
                    accepted_at: iso(one.accepted_at),
                    after: AfterStop { ms: one.accepted_at - one.stopped_at, why: why.to_owned() },
                    evidence_id: one.evidence_id,
                });
            }
        }
    }
}
