//! `hudhud campaign wait`: follows a campaign to its end.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::campaign::path;
use super::with_client;
use crate::cli::{Bar, Line, Session};
use crate::exit::{Exit, code_of};

const EVERY: Duration = Duration::from_millis(500);
/// The exit code of what may succeed later.
const TRY_AGAIN: u8 = 8;
/// The pace shown is the mean over this long.
const PACE_OVER: Duration = Duration::from_secs(5);

pub(super) async fn wait(session: &Session, campaign: &str, timeout: Option<Duration>) -> anyhow::Result<Exit> {
    tokio::select! {
        exit = follow(session, campaign, timeout) => exit,
        _ = tokio::signal::ctrl_c() => {
            session.out.remark(&format!("\nNo longer watching; the campaign goes on. To stop it: hudhud campaign pause {campaign}"));
            Ok(Exit::TimedOut)
        }
    }
}

/// One look at the campaign. Each opens and closes its own way there: whoever waits for hours must not keep the data
/// directory from a `serve` that is about to start.
async fn look(session: &Session, campaign: &str) -> anyhow::Result<Value> {
    with_client(session, async |client| client.get(&path(campaign, "")).await).await
}

async fn follow(session: &Session, campaign: &str, timeout: Option<Duration>) -> anyhow::Result<Exit> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut bar = Bar::new(session.out, false);
    let mut pace = Pace::default();
    let mut was_away = false;
    // The first look tells a wrong name from a server that went away later, which is waited for.
    let mut shown = look(session, campaign).await?;
    let exit = loop {
        if let Some(exit) = end_of(&shown) {
            break exit;
        }
        bar.show(&line(&shown, &mut pace));
        let now = Instant::now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            session.out.remark("Not over yet; the campaign goes on.");
            break Exit::TimedOut;
        }
        let next = now + EVERY;
        tokio::time::sleep_until(deadline.map_or(next, |deadline| next.min(deadline))).await;
        match look(session, campaign).await {
            Ok(fresh) => {
                shown = fresh;
                was_away = false;
            }
            // A restart, a database that is away, a directory in use: the next look may succeed.
            Err(error) if code_of(&error) == TRY_AGAIN => {
                if !was_away {
                    session.out.remark("Hudhud does not answer just now; waiting for it. Nothing is lost.");
                }
                was_away = true;
            }
            Err(error) => return Err(error),
        }
    };
    bar.clear();
    session.out.document(&shown)?;
    Ok(exit)
}

/// How it ended, once it is over.
fn end_of(shown: &Value) -> Option<Exit> {
    let is_over = matches!(shown["state"].as_str(), Some("finished" | "cancelled")) && open(shown) == 0;
    let failed = shown["counts"]["failed"].as_u64().unwrap_or(0);
    is_over.then_some(if failed > 0 { Exit::DoneWithRejects } else { Exit::Done })
}

/// Sends that have not come to an end. A cancelled campaign is over once what was on its way has landed.
fn open(shown: &Value) -> u64 {
    ["planned", "queued", "submitting"].iter().filter_map(|state| shown["counts"][state].as_u64()).sum()
}

fn line(shown: &Value, pace: &mut Pace) -> Line {
    let total = shown["total"].as_u64().unwrap_or(0);
    let done = total.saturating_sub(open(shown));
    let per_second = pace.seen(done);
    let state = shown["state"].as_str().unwrap_or_default();
    let count = |state: &str| shown["counts"][state].as_u64().unwrap_or(0);
    let mut text = format!("{per_second:.0} msg/s");
    if let Some(limit) = shown["rate"].as_u64() {
        text.push_str(&format!(" limit {limit}"));
    }
    if per_second >= 1.0 && open(shown) > 0 {
        #[expect(clippy::cast_precision_loss, reason = "seconds to the end, shown whole")]
        let left = open(shown) as f64 / per_second;
        text.push_str(&format!(" · ends in {}", indicatif::HumanDuration(Duration::from_secs_f64(left.ceil()))));
    }
    text.push_str(&format!(" · {} failed · {} skipped", count("failed"), count("skipped")));
    if count("in_doubt") > 0 {
        text.push_str(&format!(" · {} in doubt", count("in_doubt")));
    }
    if state != "running" {
        text.push_str(&format!(" · {state}"));
    }
    if let Some(reason) = shown["reason"].as_str() {
        text.push_str(&format!(": {reason}"));
    }
    Line { done, total, text }
}

/// Messages a second over the last moments.
#[derive(Default)]
struct Pace(VecDeque<(Instant, u64)>);

impl Pace {
    fn seen(&mut self, done: u64) -> f64 {
        let now = Instant::now();
        self.0.push_back((now, done));
        while self.0.len() > 2 && self.0.get(1).is_some_and(|(at, _)| now - *at > PACE_OVER) {
            self.0.pop_front();
        }
        match self.0.front() {
            Some((at, before)) if now > *at => done.saturating_sub(*before) as f64 / (now - *at).as_secs_f64(),
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_over_when_finished_and_tells_failures_from_none() {
        let shown = |state: &str, failed: u64, planned: u64| json!({"state": state, "counts": {"failed": failed, "planned": planned, "queued": 0, "submitting": 0}});
        assert_eq!(end_of(&shown("running", 0, 0)), None);
        assert_eq!(end_of(&shown("paused", 0, 3)), None);
        assert_eq!(end_of(&shown("finished", 0, 0)), Some(Exit::Done));
        assert_eq!(end_of(&shown("finished", 2, 0)), Some(Exit::DoneWithRejects));
        assert_eq!(end_of(&shown("cancelled", 0, 5)), None);
        assert_eq!(end_of(&shown("cancelled", 0, 0)), Some(Exit::Done));
    }
}
