//! The same campaign once more: a copy under another name, or one for those whose message failed.

use domain::names::LONGEST_NAME;
use domain::schedule::length;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::campaigns::create::create_child;
use crate::campaigns::steer::note;
use crate::campaigns::{CampaignView, Gaps, NewCampaign, blackout_days, canary, create, row};
use crate::fault::{Fault, Result};
use crate::renderer::KeptTemplate;
use crate::views::iso;
use crate::{Actor, App};

/// The name of a copy.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloneOrder {
    /// A name that no other campaign has.
    pub name: String,
}

/// Drafts a copy of a campaign under another name: its template, lists, filter, numbers, parameters and terms, but for the time
/// at which it was to start, and an end that has passed. The audience is whoever is on the lists at its own launch.
///
/// # Errors
/// As for making a campaign: what it names may be gone.
#[crate::boxed]
pub async fn clone(app: &App, actor: &Actor, id: i64, order: &CloneOrder) -> Result<CampaignView> {
    let copy = NewCampaign { name: order.name.clone(), ..as_ordered(app, id).await? };
    let made = create(app, actor, &copy).await?;
    note(app, actor, "cloned", made.id, &json!({"from": id})).await?;
    Ok(made)
}

/// Drafts a campaign for those whose message failed for good in another one, and never for the skipped: a child that
/// names it as its parent, on a list of its own. Whom an excluded list or an opt-out holds back since then is held back.
/// With `code`, a key of the campaign's `failed_by_code`, it is for those alone who failed for that reason.
///
/// # Errors
/// `WrongState` when nobody's message failed (for that reason), or the offer has ended.
#[crate::boxed]
pub async fn retry_failed(app: &App, actor: &Actor, id: i64, code: Option<&str>) -> Result<CampaignView> {
    let parent = row(app, id).await?;
    let now = app.clock.now_ms();
    let tally = app.store.tally(id).await?;
    if tally.failed == 0 {
        return Err(Fault::wrong_state("No message of the campaign has failed.").action("There is nothing to retry."));
    }
    if let Some(code) = code.filter(|code| tally.failed_by_code.get(*code).is_none_or(|people| *people == 0)) {
        let fault = Fault::wrong_state(format!("No message of the campaign has failed with {code:?}."));
        return Err(fault.action("Look at what its messages failed with."));
    }
    if parent.terms.has_ended(now) {
        return Err(Fault::wrong_state("The campaign's offer has ended, so nothing of it is sent again."));
    }
    let (name, list) = names_of_retry(app, &parent.name).await?;
    let list_id = app.store.ensure_list(&list, now).await?;
    let people = app.store.list_failed(id, code, list_id, now).await?;
    let order = as_ordered(app, id).await?;
    let order =
        NewCampaign { name, lists: vec![list.clone()], cron: None, audience_guard: None, canary: None, ..order };
    let made = create_child(app, actor, &order, id).await?;
    let detail = json!({"parent": id, "people": people, "list": list, "code": code});
    note(app, actor, "retries the failed", made.id, &detail).await?;
    Ok(made)
}

/// Names that nobody uses yet, for the next retry of a campaign: its own, and its list's.
async fn names_of_retry(app: &App, parent: &str) -> Result<(String, String)> {
    for n in 1..1_000 {
        let tail = if n == 1 { " (retry)".to_owned() } else { format!(" (retry {n})") };
        let room = LONGEST_NAME.saturating_sub(tail.chars().count());
        let name = format!("{}{tail}", parent.chars().take(room).collect::<String>().trim_end());
        if app.store.campaign_named(&name).await?.is_none() && app.store.list_id(&name).await?.is_none() {
            return Ok((name.clone(), name));
        }
    }
    Err(Fault::conflict("The campaign was retried a thousand times."))
}

/// What would make a campaign like this one, without its start and an end that has passed.
async fn as_ordered(app: &App, id: i64) -> Result<NewCampaign> {
    let row = row(app, id).await?;
    let (lists, excluded_lists) = app.store.campaign_list_names(id).await?;
    let mut numbers = Vec::new();
    for number in app.store.campaign_number_ids(id).await? {
        numbers.extend(app.store.number(number).await?.map(|number| number.phone_number_id));
    }
    let template: KeptTemplate = serde_json::from_str(&row.template).map_err(Fault::internal)?;
    let canary = canary::as_ordered(&row)?;
    let gaps = Gaps::of(&row);
    let blackouts = row.terms.blackouts()?.iter().map(blackout_days).collect();
    let has_ended = row.terms.has_ended(app.clock.now_ms());
    Ok(NewCampaign {
        name: row.name,
        template: template.name,
        language: template.language,
        lists,
        excluded_lists,
        filter: row.filter,
        numbers,
        params: serde_json::from_str(&row.params).map_err(Fault::internal)?,
        rate: row.rate_cap.and_then(|cap| u32::try_from(cap).ok()),
        weight: u32::try_from(row.weight).ok(),
        at: None,
        spread: row.terms.spread.map(length),
        quiet_hours: row.terms.quiet_hours,
        timezone: row.terms.timezone,
        stop_at: row.terms.stop_at.filter(|_| !has_ended).map(iso),
        cron: row.terms.cron,
        audience_guard: row.terms.size_guard.and_then(|share| u32::try_from(share).ok()),
        latest_start: None,
        frequency_cap: row.terms.frequency_cap,
        canary,
        blackouts,
        gaps,
    })
}
