//! The scheduler: one process at a time plans, feeds, finishes, takes webhooks in, and seals the ledger.

use std::future::Future;
use std::pin::Pin;
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
/// Ledger entries chained in one transaction.
const SEAL: i64 = 500;
/// Answers to keyed requests are repeated for so long.
const REMEMBER_ANSWERS: i64 = 24 * 3_600_000;
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
    let feeder = Arc::new(tokio::sync::Mutex::new(feeder::Feeder::default()));
    let mut loops = tokio::task::JoinSet::new();
    let mut every = |what: &'static str, pause: Duration, work: Work| {
        loops.spawn(repeat(Arc::clone(app), what, pause, lost.clone(), work));
    };
    every("planning", Duration::from_millis(300), Box::new(|app| Box::pin(async move { planner::tick(&app).await })));
    every("feeding", Duration::from_millis(100), {
        Box::new(move |app| {
            let feeder = Arc::clone(&feeder);
            Box::pin(async move { feeder.lock().await.tick(&app).await })
        })
    });
    every(
        "finishing",
        Duration::from_millis(500),
        Box::new(|app| Box::pin(async move { planner::finish(&app).await })),
    );
    every(
        "taking webhooks in",
        Duration::from_millis(50),
        Box::new(|app| Box::pin(async move { intake::tick(&app).await })),
    );
    every(
        "matching parked statuses",
        Duration::from_secs(2),
        Box::new(|app| Box::pin(async move { intake::match_parked(&app).await })),
    );
    every(
        "sealing the ledger",
        Duration::from_millis(100),
        Box::new(|app| {
            Box::pin(async move { Ok(i64::try_from(ledger::seal_next(&app, SEAL).await?).unwrap_or(SEAL) == SEAL) })
        }),
    );
    every("housekeeping", Duration::from_secs(60), Box::new(|app| Box::pin(async move { housekeep(&app).await })));
    keep_leading(app, token, &lost).await;
    lost.cancel();
    while let Some(ended) = loops.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a part of the scheduler panicked; it starts again with the next lead");
        }
    }
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

/// One round of some work; `true`: there is more to do at once.
type Work = Box<dyn FnMut(Arc<App>) -> Pin<Box<dyn Future<Output = anyhow::Result<bool>> + Send>> + Send>;

/// Does some work again and again: at once while there is more, else after `pause` or when woken. A failure is said
/// once, and once more when it is over.
async fn repeat(app: Arc<App>, what: &'static str, pause: Duration, lost: CancellationToken, mut work: Work) {
    let mut failing = false;
    while !lost.is_cancelled() {
        let more = match work(Arc::clone(&app)).await {
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
        let wait = if failing { pause.max(Duration::from_millis(500)) } else { pause };
        tokio::select! {
            () = app.clock.sleep(wait) => {}
            () = app.scheduler_wake.notified() => {}
            () = lost.cancelled() => return,
        }
    }
}

async fn housekeep(app: &App) -> anyhow::Result<bool> {
    let before = app.clock.now_ms() - REMEMBER_BODIES;
    let gone = app.store.forget_arrivals(before, 500).await?;
    app.store.drop_old_answers(app.clock.now_ms() - REMEMBER_ANSWERS, 500).await?;
    Ok(gone == 500)
}
