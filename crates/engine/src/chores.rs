//! Chores: what is done every night by whoever schedules, at the times of a crontab line in UTC.
//!
//! When a chore was last done stands in the database, so that a restart does not repeat it, and one whose time passed
//! while nobody ran is done once at the start. A chore that fails is tried again an hour later, and says so once. None
//! of them holds up a send.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use domain::Millis;
use domain::schedule::{CronLine, Tz};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::lane::pause_for;
use crate::{App, accounts, ledger};

/// How often to see whether something is due: lines are to the minute.
const LOOK: Duration = Duration::from_secs(20);
/// From a failure to the next try.
const AGAIN: Millis = 3_600_000;

/// Something to be done from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chore {
    /// The whole ledger is checked.
    CheckLedger,
    /// The head of the ledger's chain is signed.
    SignLedger,
    /// Every account's numbers and templates are read anew, which heals missed webhooks.
    ReadAccounts,
}

impl Chore {
    const ALL: [Self; 3] = [Self::CheckLedger, Self::SignLedger, Self::ReadAccounts];

    fn name(self) -> &'static str {
        match self {
            Self::CheckLedger => "check-ledger",
            Self::SignLedger => "sign-ledger",
            Self::ReadAccounts => "read-accounts",
        }
    }

    /// When it is due, UTC. Odd minutes: everybody's machine does something on the hour.
    fn line(self) -> CronLine {
        let line = match self {
            Self::CheckLedger => "43 2 * * *",
            Self::SignLedger => "7 0 * * *",
            Self::ReadAccounts => "17 3 * * *",
        };
        CronLine::parse(line).expect("a line of ours, which a test reads")
    }

    /// `meta.key` of its [`Note`].
    fn key(self) -> String {
        format!("chore.{}", self.name())
    }

    /// What is noted of a chore that was never done here: the ledger's check is due at once, so that no new head is
    /// trusted without a look at what came before; reading the accounts waits for its
    /// time.
    fn first_note(self, now: Millis) -> Note {
        let done = if self == Self::CheckLedger { 0 } else { now };
        Note { done, tried: done, holds: None }
    }
}

/// What the database remembers of a chore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// When it was last done: epoch ms.
    done: Millis,
    /// When it was last begun.
    tried: Millis,
    /// Whether the ledger held, for the chore that checks it.
    #[serde(default)]
    holds: Option<bool>,
}

impl Note {
    /// The first time of the line after the chore was done; an hour after the last try where that one failed.
    fn due(&self, line: &CronLine) -> Option<Millis> {
        let due = line.next_after(self.done, Tz::UTC)?;
        Some(if self.tried < due { due } else { self.tried.saturating_add(AGAIN) })
    }

    /// Whether the last try failed.
    fn failing(&self) -> bool {
        self.tried > self.done
    }
}

/// Does chores when they are due, until `lost`.
pub(crate) async fn run(app: Arc<App>, lost: CancellationToken) {
    if let Err(error) = show_last_check(&app).await {
        tracing::debug!(%error, "the result of the ledger's last check is not known yet");
    }
    loop {
        tokio::select! {
            // They only read, or write in small transactions: the next leader does them.
            () = lost.cancelled() => return,
            () = do_what_is_due(&app) => {}
        }
        if !pause_for(&app, LOOK, &lost).await {
            return;
        }
    }
}

async fn do_what_is_due(app: &App) {
    for chore in Chore::ALL {
        if let Err(error) = do_if_due(app, chore).await {
            // The database is away, which the scheduler's other parts have said.
            tracing::debug!(chore = chore.name(), error = format!("{error:#}"), "cannot be looked up; it waits");
        }
    }
}

/// Does a chore if it is due, and notes how that went.
async fn do_if_due(app: &App, chore: Chore) -> anyhow::Result<()> {
    let now = app.clock.now_ms();
    let known = note(app, chore).await?;
    // A note from the future was written under a clock that was wrong, and would put the chore off until then.
    let Some(before) = known.filter(|note| note.done.max(note.tried) <= now) else {
        return keep(app, chore, chore.first_note(now)).await;
    };
    if before.due(&chore.line()).is_none_or(|due| now < due) {
        return Ok(());
    }
    // Noted before it begins: a chore that takes the process down with it must not do so at every start.
    keep(app, chore, Note { tried: now, ..before }).await?;
    match carry_out(app, chore).await {
        Ok(holds) => {
            keep(app, chore, Note { done: now, tried: now, holds }).await?;
            if before.failing() {
                tracing::info!(chore = chore.name(), "is done, after it had failed");
            } else {
                tracing::debug!(chore = chore.name(), "is done");
            }
        }
        Err(error) if before.failing() => {
            tracing::debug!(chore = chore.name(), error = format!("{error:#}"), "failed again");
        }
        Err(error) => {
            tracing::warn!(chore = chore.name(), error = format!("{error:#}"), "failed; it is tried again every hour");
        }
    }
    Ok(())
}

/// Does a chore. The ledger's check says whether the chain holds.
async fn carry_out(app: &App, chore: Chore) -> anyhow::Result<Option<bool>> {
    match chore {
        Chore::CheckLedger => check_ledger(app).await.map(Some),
        Chore::SignLedger => {
            ledger::heads::sign(app).await?;
            Ok(None)
        }
        Chore::ReadAccounts => {
            accounts::reread(app).await?;
            Ok(None)
        }
    }
}

async fn check_ledger(app: &App) -> anyhow::Result<bool> {
    let check = ledger::verify_aside(app).await?;
    show_check(check.ok);
    if !check.ok {
        tracing::error!(
            entries = check.entries,
            first_broken = check.first_broken,
            "the ledger's chain does not hold: compare the database with a backup; `hudhud ledger verify` repeats this"
        );
    }
    Ok(check.ok)
}

/// When the whole ledger was last checked by itself, epoch ms, and whether it held. `None`: not yet.
///
/// # Errors
/// When the database is away.
pub(crate) async fn last_ledger_check(app: &App) -> anyhow::Result<Option<(Millis, bool)>> {
    let note = note(app, Chore::CheckLedger).await?;
    Ok(note.and_then(|note| note.holds.map(|holds| (note.done, holds))))
}

fn show_check(holds: bool) {
    metrics::gauge!("hudhud_ledger_ok").set(if holds { 1.0 } else { 0.0 });
}

/// After a restart the metrics show what the last check found, until the next one.
async fn show_last_check(app: &App) -> anyhow::Result<()> {
    if let Some(holds) = note(app, Chore::CheckLedger).await?.and_then(|note| note.holds) {
        show_check(holds);
    }
    Ok(())
}

/// What is remembered of a chore. A note that cannot be read counts as none.
async fn note(app: &App, chore: Chore) -> anyhow::Result<Option<Note>> {
    let kept = app.store.meta(&chore.key()).await?;
    Ok(kept.and_then(|text| serde_json::from_str(&text).ok()))
}

async fn keep(app: &App, chore: Chore, note: Note) -> anyhow::Result<()> {
    let text = serde_json::to_string(&note)?;
    app.store.set_meta(&chore.key(), Some(&text)).await.context("noting a chore")
}

#[cfg(test)]
mod tests;
