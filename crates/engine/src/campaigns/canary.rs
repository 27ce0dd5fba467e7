//! A campaign's canary: who of it goes first, and what must hold before the others follow.

use std::sync::Arc;

use domain::canary::{Canary, CanarySize, Verdict};
use domain::schedule::{Tz, length, parse_length, time_of_day};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::CampaignRow;
use utoipa::ToSchema;

use crate::campaigns::steer::note;
use crate::fault::{Fault, Result};
use crate::limits::grouped;
use crate::{Actor, App};

/// The share of messages that may fail, per cent, unless it is said.
const USUAL_FAILED: f64 = 5.0;
/// The share of people who may opt out, per cent, unless it is said.
const USUAL_OPTED_OUT: f64 = 2.0;
/// How long after the canary's last message the others wait, unless it is said, ms.
const USUAL_WAIT: i64 = 30 * 60_000;

/// A canary as it is asked for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryOrder {
    /// Who goes first: a number of people (`100`), or a share of the audience (`1%`).
    pub size: String,
    /// How long after its last message the others wait: `30m`.
    #[serde(default)]
    pub wait: Option<String>,
    /// It fails when more than so many per cent of its messages fail: 5 unless given.
    #[serde(default)]
    pub most_failed: Option<f64>,
    /// It fails when more than so many per cent of its people opt out: 2 unless given.
    #[serde(default)]
    pub most_opted_out: Option<f64>,
}

/// A campaign's canary as it stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CanaryView {
    /// Who goes first.
    pub size: String,
    /// How long after its last message the others wait.
    pub wait: String,
    /// It fails when more than so many per cent of its messages fail.
    pub most_failed: f64,
    /// It fails when more than so many per cent of its people opt out.
    pub most_opted_out: f64,
    /// `waiting`, `passed` or `failed`; after a failure, `campaign resume` sends to the others all the same.
    pub state: String,
}

/// As it is kept.
pub(super) fn read(order: &CanaryOrder) -> Result<String> {
    let size: CanarySize =
        order.size.parse().map_err(|error| Fault::invalid(format!("The canary's size cannot be read: {error}.")))?;
    let wait = order.wait.as_deref().map(parse_length).transpose();
    let wait = wait.map_err(|error| Fault::invalid(format!("The canary's wait cannot be read: {error}.")))?;
    let share = |given: Option<f64>, usual: f64| {
        let share = given.unwrap_or(usual);
        if (0.0..=100.0).contains(&share) {
            return Ok(share);
        }
        Err(Fault::invalid("A canary's thresholds are per cent, from 0 to 100."))
    };
    let canary = Canary {
        size,
        wait: wait.unwrap_or(USUAL_WAIT),
        most_failed: share(order.most_failed, USUAL_FAILED)?,
        most_opted_out: share(order.most_opted_out, USUAL_OPTED_OUT)?,
    };
    serde_json::to_string(&canary).map_err(Fault::internal)
}

/// What would ask for the same.
pub(super) fn as_ordered(row: &CampaignRow) -> Result<Option<CanaryOrder>> {
    Ok(row.canary()?.map(|canary| CanaryOrder {
        size: canary.size.to_string(),
        wait: Some(length(canary.wait)),
        most_failed: Some(canary.most_failed),
        most_opted_out: Some(canary.most_opted_out),
    }))
}

pub(super) fn view(row: &CampaignRow) -> Result<Option<CanaryView>> {
    Ok(row.canary()?.map(|canary| CanaryView {
        size: canary.size.to_string(),
        wait: length(canary.wait),
        most_failed: canary.most_failed,
        most_opted_out: canary.most_opted_out,
        state: row.canary_word().unwrap_or("waiting").to_owned(),
    }))
}

/// Looks after the canary of a running campaign: says who is of it, and judges it.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn mind_canary(app: &Arc<App>, row: &CampaignRow) -> Result<()> {
    let Some(canary) = row.canary()?.filter(|_| row.is_held_back()) else { return Ok(()) };
    let Some(through) = row.canary_through else {
        if app.store.bound_canary(row, canary.size.of(row.audience)).await? {
            app.scheduler_wake.notify_waiters();
        }
        return Ok(());
    };
    let tally = app.store.canary_tally(row.id, through).await?;
    let (passed, ended) = match canary.judge(&tally, app.clock.now_ms()) {
        Verdict::Waits(_) => return Ok(()),
        Verdict::Passed => (true, app.store.pass_canary(row.id).await?),
        Verdict::Failed(why) => {
            let words =
                format!("The canary failed: {why}. Nobody else was written to; `campaign resume` does so anyway.");
            (false, app.store.fail_canary(row.id, &words).await?)
        }
    };
    if ended {
        let what = if passed { "canary passed" } else { "canary failed" };
        tracing::info!(campaign = row.id, people = tally.people, failed = tally.failed, what, "the canary is over");
        let detail = json!({"people": tally.people, "failed": tally.failed, "opted_out": tally.opted_out});
        note(app, &Actor::system(), what, row.id, &detail).await?;
        app.scheduler_wake.notify_waiters();
    }
    Ok(())
}

/// Why a campaign waits for its canary, in one sentence; `None`: it does not, or the canary is under way.
pub(super) async fn why_waiting(app: &App, row: &CampaignRow) -> Result<Option<String>> {
    let Some(canary) = row.canary()?.filter(|_| row.is_held_back()) else { return Ok(None) };
    let Some(through) = row.canary_through else { return Ok(None) };
    let tally = app.store.canary_tally(row.id, through).await?;
    let now = app.clock.now_ms();
    Ok(match canary.judge(&tally, now) {
        Verdict::Waits(Some(until)) => Some(format!(
            "waiting for the canary: {} people were written to, and the others follow at {} UTC unless more than {} % fail or \
             {} % opt out",
            grouped(tally.people),
            time_of_day(until, now, Tz::UTC),
            canary.most_failed,
            canary.most_opted_out
        )),
        _ => None,
    })
}
