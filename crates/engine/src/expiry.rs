//! Times to live: Meta tries to deliver a message for as long as its template says, and need not tell when it gives up.
//! Whatever was accepted and not delivered by then, and a while later, counts as expired.

use std::sync::Arc;

use domain::Millis;
use domain::template::{Category, time_to_live};
use store::Expiring;

use crate::App;
use crate::renderer::KeptTemplate;

/// Statuses may be under way for so long after the end of a time to live, ms.
const GRACE: Millis = 15 * 60_000;
/// Campaigns looked at in one round.
const ROUND: i64 = 50;
/// Messages marked in one transaction.
const CHUNK: i64 = 500;
/// How often a campaign is looked at while its messages come to their ends, at the least and at the most, ms.
const OFTEN: Millis = 10 * 60_000;
const SELDOM: Millis = 24 * 3_600_000;

/// One round. `true`: there is more to do at once.
///
/// # Errors
/// When the database is away.
pub(crate) async fn tick(app: &Arc<App>) -> anyhow::Result<bool> {
    let campaigns = app.store.expiring(app.clock.now_ms(), ROUND).await?;
    for campaign in &campaigns {
        let lives = lives(campaign);
        let now = app.clock.now_ms();
        let accepted_by = now.saturating_sub(lives).saturating_sub(GRACE);
        if campaign.started_at <= accepted_by {
            let tally = app.store.tally(campaign.id).await?;
            if tally.accepted + tally.sent > tally.expired {
                mark(app, campaign.id, accepted_by).await?;
            }
        }
        app.store.expires_next(campaign.id, next_look(campaign, lives, now)).await?;
    }
    Ok(i64::try_from(campaigns.len()).unwrap_or(ROUND) == ROUND)
}

async fn mark(app: &App, campaign: i64, accepted_by: Millis) -> anyhow::Result<()> {
    let mut after = Some(0);
    while let Some(from) = after {
        after = app.store.expire(campaign, from, accepted_by, CHUNK).await?;
    }
    Ok(())
}

/// For how long Meta tries to deliver a campaign's messages, ms.
fn lives(campaign: &Expiring) -> Millis {
    // Whatever cannot be read lives longest, so that nothing counts as expired too soon.
    let kept: Option<KeptTemplate> = serde_json::from_str(&campaign.template).ok();
    kept.map_or_else(
        || time_to_live(&Category::Marketing, None),
        |kept| time_to_live(&Category::parse(&kept.category), kept.ttl_seconds),
    )
}

/// When to look at a campaign again; `None` once everything that it sent has come to its end.
fn next_look(campaign: &Expiring, lives: Millis, now: Millis) -> Option<Millis> {
    let first = campaign.started_at.saturating_add(lives).saturating_add(GRACE);
    if first > now {
        return Some(first);
    }
    let last = campaign.finished_at.map(|at| at.saturating_add(lives).saturating_add(GRACE));
    if last.is_some_and(|last| last <= now) {
        return None;
    }
    let again = now.saturating_add((lives / 24).clamp(OFTEN, SELDOM));
    // The last look is not put off beyond the moment from which it can see everything.
    Some(last.map_or(again, |last| again.min(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    fn campaign(finished_at: Option<Millis>) -> Expiring {
        Expiring { id: 1, template: "{}".into(), started_at: 0, finished_at }
    }

    #[test]
    fn a_campaign_is_looked_at_from_its_first_end_to_its_last() {
        let lives = 24 * HOUR;
        let end_of_first = lives + GRACE;
        assert_eq!(next_look(&campaign(None), lives, 5), Some(end_of_first));
        assert_eq!(next_look(&campaign(None), lives, end_of_first), Some(end_of_first + HOUR));
        let finished = campaign(Some(HOUR / 2));
        assert_eq!(next_look(&finished, lives, end_of_first), Some(end_of_first + HOUR / 2));
        assert_eq!(next_look(&finished, lives, end_of_first + HOUR / 2), None);
    }

    #[test]
    fn what_cannot_be_read_lives_longest() {
        assert_eq!(lives(&campaign(None)), 30 * 24 * HOUR);
    }
}
