//! Campaigns that recur: at each time of a crontab line a child of their own, never doubled and never lost.

use std::sync::Arc;

use domain::Millis;
use domain::names::LONGEST_NAME;
use domain::schedule::{CronLine, Tz, at_in_words, wall_clock_words};
use serde::Serialize;
use serde_json::json;
use store::{CampaignRow, NewCampaign, Terms};
use utoipa::ToSchema;

use crate::campaigns::steer::note;
use crate::fault::{Fault, Result};
use crate::views::iso;
use crate::{Actor, App};

/// So many next runs are told.
const TOLD: usize = 5;
/// Runs that were missed while nothing ran are counted up to here.
const MISSED: usize = 10_000;

/// A run to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NextRun {
    /// RFC 3339.
    pub at: String,
    /// As a calendar of the campaign's time zone has it: `Monday 2 March 2026, 10:00 in Cairo`.
    pub words: String,
}

/// The next runs of a campaign that recurs: from the one that it waits for, or from now.
///
/// # Errors
/// When its line was not written by us.
pub(super) fn next_runs(row: &CampaignRow, now: Millis) -> Result<Vec<NextRun>> {
    let Some((line, zone)) = row.terms.recurrence()? else { return Ok(Vec::new()) };
    if row.state()?.is_over() {
        return Ok(Vec::new());
    }
    // A draft may not begin before its own start; one that is launched waits for its next run there.
    let first = line.next_after(row.start_at.unwrap_or(now).max(now) - 1, zone);
    let runs = std::iter::successors(first, |run| line.next_after(*run, zone)).take(TOLD);
    Ok(runs.map(|run| NextRun { at: iso(run), words: at_in_words(run, zone) }).collect())
}

/// When a recurring campaign that is launched now runs for the first time.
///
/// # Errors
/// `Invalid` when its line names no time to come.
pub(super) fn first_run(row: &CampaignRow, now: Millis) -> Result<Option<Millis>> {
    let Some((line, zone)) = row.terms.recurrence()? else { return Ok(None) };
    let after = row.start_at.unwrap_or(now).max(now) - 1;
    let first = line.next_after(after, zone);
    first.map(Some).ok_or_else(|| Fault::invalid(format!("The line {line} names no time to come.")))
}

/// The run that is to be made now, how many before it were missed altogether, and the next one. `due` is the run that
/// was waited for. Of several that have passed only the last one is made.
fn due_run(line: &CronLine, zone: Tz, due: Millis, now: Millis) -> (Millis, usize, Option<Millis>) {
    let (mut run, mut missed) = (due, 0);
    loop {
        match line.next_after(run, zone) {
            Some(next) if next <= now && missed < MISSED => {
                run = next;
                missed += 1;
            }
            // So much has passed that counting it takes too long: go on from now.
            Some(next) if next <= now => return (run, missed, line.next_after(now, zone)),
            next => return (run, missed, next),
        }
    }
}

/// Makes the child of a recurring campaign whose time has come. The child then starts by itself, as any scheduled
/// campaign, or is called off where its latest start has passed.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn recur(app: &Arc<App>, parent: &CampaignRow) -> Result<()> {
    let (Some((line, zone)), Some(due)) = (parent.terms.recurrence()?, parent.start_at) else { return Ok(()) };
    let now = app.clock.now_ms();
    let (run, missed, next) = due_run(&line, zone, due, now);
    let (lists, excluded_lists) = app.store.campaign_list_ids(parent.id).await?;
    let numbers = app.store.campaign_number_ids(parent.id).await?;
    let when = wall_clock_words(run, zone);
    let room = LONGEST_NAME - 40;
    let start: String = parent.name.chars().take(room).collect();
    // A second try, where somebody gave that name to another campaign.
    for name in [format!("{} {when}", start.trim_end()), format!("{} {when} ({run})", start.trim_end())] {
        let child = NewCampaign {
            name: &name,
            account_id: parent.account_id,
            template_id: parent.template_id,
            template: &parent.template,
            params: &parent.params,
            rate_cap: parent.rate_cap,
            weight: parent.weight,
            start_at: Some(run),
            lists: &lists,
            excluded_lists: &excluded_lists,
            filter: parent.filter.as_deref(),
            numbers: &numbers,
            created_by: &parent.created_by,
            terms: Terms { cron: None, ..parent.terms.clone() },
            parent_id: Some(parent.id),
        };
        match app.store.occur(parent.id, due, (run, next), &child, now).await {
            Ok(Some(id)) => {
                let detail = json!({"parent": parent.id, "run": iso(run), "missed_before": missed});
                note(app, &Actor::system(), "recurs", id, &detail).await?;
                if missed > 0 {
                    tracing::warn!(
                        campaign = parent.id,
                        missed,
                        "runs passed while nothing ran: they are not made up for"
                    );
                }
                return Ok(());
            }
            // Another scheduler was faster, or it was cancelled.
            Ok(None) => return Ok(()),
            Err(store::Error::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Fault::conflict(format!("The campaign {} cannot name its run of {when}.", parent.id)))
}

/// Why the child of a recurring campaign must wait for a person: its audience is not what the last one's was.
///
/// # Errors
/// When the database is away.
pub(super) async fn why_guarded(app: &App, child: &CampaignRow, eligible: i64) -> Result<Option<String>> {
    let (Some(parent), Some(_), Some(share)) = (child.parent_id, child.occurrence, child.terms.size_guard) else {
        return Ok(None);
    };
    let last = app.store.campaign(parent).await?.and_then(|parent| parent.last_eligible);
    Ok(last.filter(|last| differs(*last, eligible, share)).map(|last| {
        format!(
            "Its audience is {} people, and the last one was {}: more than {share}% apart. Look at its lists, then \
             resume or cancel it.",
            crate::limits::grouped(eligible),
            crate::limits::grouped(last)
        )
    }))
}

/// Whether two sizes lie further apart than so many per cent of the first.
fn differs(last: i64, now: i64, share: i64) -> bool {
    i128::from(last.abs_diff(now)) * 100 > i128::from(last) * i128::from(share)
}

#[cfg(test)]
mod tests {
    use domain::schedule::parse_at;

    use super::*;

    fn at(text: &str) -> Millis {
        parse_at(text).unwrap()
    }

    #[test]
    fn of_runs_that_passed_while_nothing_ran_the_last_is_made_and_the_next_is_to_come() {
        let line = CronLine::parse("0 10 * * 1").unwrap();
        let cairo = Tz::Africa__Cairo;
        let due = at("2026-03-02T10:00:00+02:00");
        let week = 7 * 24 * 3_600_000;
        assert_eq!(due_run(&line, cairo, due, due), (due, 0, Some(due + week)));
        assert_eq!(due_run(&line, cairo, due, due + week - 1), (due, 0, Some(due + week)));
        assert_eq!(due_run(&line, cairo, due, due + 2 * week + 5), (due + 2 * week, 2, Some(due + 3 * week)));
        // Each minute, for a month.
        let line = CronLine::parse("* * * * *").unwrap();
        let (run, missed, next) = due_run(&line, cairo, due, due + 4 * week);
        assert_eq!((missed, next), (MISSED, Some(due + 4 * week + 60_000)));
        assert!(run < due + 4 * week);
    }

    #[test]
    fn a_weekly_run_comes_once_in_the_weeks_in_which_clocks_change() {
        let line = CronLine::parse("30 0 * * 5").unwrap();
        let cairo = Tz::Africa__Cairo;
        // Half past midnight on the Friday on which Cairo goes from 00:00 to 01:00, and back to 23:00 in autumn.
        let mut due = at("2026-04-17T00:30:00+02:00");
        let mut runs = Vec::new();
        for _ in 0..30 {
            let (run, missed, next) = due_run(&line, cairo, due, due);
            assert_eq!(missed, 0);
            runs.push(wall_clock_words(run, cairo));
            due = next.expect("there is another");
        }
        assert_eq!(runs[1], "2026-04-24 01:00", "at the end of the gap");
        assert_eq!(runs.iter().collect::<std::collections::BTreeSet<_>>().len(), 30);
        assert!(runs.iter().all(|run| run.ends_with("00:30") || run == &runs[1]), "{runs:?}");
    }

    #[test]
    fn a_guard_bites_above_its_share_in_either_direction() {
        for (last, now, share, bites) in [
            (1_000, 1_500, 50, false),
            (1_000, 1_501, 50, true),
            (1_000, 499, 50, true),
            (0, 1, 50, true),
            (0, 0, 50, false),
        ] {
            assert_eq!(differs(last, now, share), bites, "{last} {now}");
        }
    }
}
