//! The scheduler: one process at a time plans, feeds, finishes, takes webhooks in, and seals the ledger.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use domain::pacing::Micros;
use tokio_util::sync::CancellationToken;

use crate::lane::pause_for;
use crate::worker::LEASE;
use crate::{App, feeder, host, intake, ledger, planner};

/// The lease's name.
const NAME: &str = "scheduler";
/// How often the leader shows itself, and others look.
const BEAT: Duration = Duration::from_millis(500);
/// Bodies of webhooks are known again for so long: Meta repeats for up to seven days.
const REMEMBER_BODIES: i64 = 8 * 24 * 3_600_000;

/// Leads when nobody else does, until shutdown. Outages are waited out.
///
/// # Errors
/// None at present; kept for what a later version may have to refuse.
pub async fn run(app: Arc<App>, shutdown: CancellationToken) -> anyhow::Result<()> {
    let owner = host::owner(&host::new_instance());
    let mut watched: Option<(i64, i64, Micros)> = None;
    let mut told = false;
    while !shutdown.is_cancelled() {
        match try_to_lead(&app, &owner, &mut watched).await {
            Ok(Some(token)) => {
                told = false;
                watched = None;
                lead(&app, token, &shutdown).await;
            }
            Ok(None) => told = false,
            Err(error) => {
                if !told {
                    told = true;
                    tracing::warn!(%error, "the scheduler waits for the database; nothing is lost");
                }
            }
        }
        pause_for(&app, BEAT / 2, &shutdown).await;
    }
    Ok(())
}

async fn try_to_lead(
    app: &App,
    owner: &store::Owner,
    watched: &mut Option<(i64, i64, Micros)>,
) -> store::Result<Option<i64>> {
    let now = app.clock.boot_us();
    let seen = match app.store.lease(NAME).await? {
        None => None,
        Some(lease) => {
            let (token, beat) = (lease.token, lease.beat);
            let since = match *watched {
                Some((seen_token, seen_beat, since)) if (seen_token, seen_beat) == (token, beat) => since,
                _ => now,
            };
            *watched = Some((token, beat, since));
            let free = lease.owner.is_empty() || now - since >= LEASE || app.store.is_gone(&lease.owner).await?;
            if !free {
                return Ok(None);
            }
            Some((token, beat))
        }
    };
    app.store.take_lease(NAME, None, owner, seen, app.clock.now_ms()).await
}

/// Does the scheduler's work until somebody else leads or the process stops.
async fn lead(app: &Arc<App>, token: i64, shutdown: &CancellationToken) {
    let lost = shutdown.child_token();
    let mut feeder = feeder::Feeder::default();
    tokio::join!(
        keep_leading(app, token, &lost),
        repeat(app, "planning", Duration::from_millis(300), &lost, async || planner::tick(app).await),
        repeat_mut(app, "feeding", Duration::from_millis(100), &lost, &mut feeder),
        repeat(app, "finishing", Duration::from_millis(500), &lost, async || planner::finish(app).await),
        repeat(app, "taking webhooks in", Duration::from_millis(50), &lost, async || intake::tick(app).await),
        repeat(app, "matching parked statuses", Duration::from_secs(2), &lost, async || {
            intake::match_parked(app).await
        }),
        repeat(app, "sealing the ledger", Duration::from_millis(100), &lost, async || Ok(ledger::seal_next(app, 500).await? == 500)),
        repeat(app, "housekeeping", Duration::from_secs(60), &lost, async || housekeep(app).await),
    );
    if let Err(error) = app.store.release_lease(NAME, token).await {
        tracing::debug!(%error, "the scheduler's lease will run out by itself");
    }
}

async fn keep_leading(app: &App, token: i64, lost: &CancellationToken) {
    while pause_for(app, BEAT, lost).await {
        if let Ok(false) = app.store.beat(NAME, token, "{}", app.clock.now_ms()).await {
            tracing::info!("another process schedules now");
            lost.cancel();
        }
    }
}

/// Does some work again and again: at once while there is more, else after `every` or when woken. A failure is said
/// once, and once more when it is over.
async fn repeat<F>(app: &App, what: &str, every: Duration, lost: &CancellationToken, mut work: F)
where
    F: AsyncFnMut() -> anyhow::Result<bool>,
{
    let mut failing = false;
    while !lost.is_cancelled() {
        let more = match work().await {
            Ok(more) => {
                if std::mem::take(&mut failing) {
                    tracing::info!(what, "goes on");
                }
                more
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(what, error = format!("{error:#}"), "waits and tries again; nothing is lost");
                }
                false
            }
        };
        if more {
            tokio::task::yield_now().await;
            continue;
        }
        let wait = if failing { every.max(Duration::from_millis(500)) } else { every };
        tokio::select! {
            () = app.clock.sleep(wait) => {}
            () = app.scheduler_wake.notified() => {}
            () = lost.cancelled() => return,
        }
    }
}

async fn repeat_mut(
    app: &Arc<App>,
    what: &str,
    every: Duration,
    lost: &CancellationToken,
    feeder: &mut feeder::Feeder,
) {
    repeat(app, what, every, lost, async || feeder.tick(app).await).await;
}

fn housekeep(app: &App) -> impl Future<Output = anyhow::Result<bool>> {
    async {
        let before = app.clock.now_ms() - REMEMBER_BODIES;
        let gone = app.store.forget_arrivals(before, 500).await?;
        Ok(gone == 500)
    }
}
