//! The scheduler: one process at a time plans, feeds, finishes, takes webhooks in, and seals the ledger.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::pacing::Micros;
use tokio_util::sync::CancellationToken;

use crate::lane::pause_for;
use crate::worker::{AbortOnDrop, LEASE, STILL, stay_alive};
use crate::{App, chores, expiry, feeder, high_water, host, imports, intake, ledger, persons, planner, presence};

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
/// When the data directory cannot be written.
#[crate::boxed]
pub async fn run(app: Arc<App>, shutdown: CancellationToken) -> anyhow::Result<()> {
    let owner = host::owner(&host::new_instance());
    let _presence = presence::Presence::show(&app.data_dir, &owner.instance)?;
    // Without a sign of life of its own every other scheduler would take this one for dead.
    let _alive = AbortOnDrop(tokio::spawn(stay_alive(Arc::clone(&app), owner.instance.clone(), shutdown.clone())));
    let mut watched: Option<(i64, i64, Micros)> = None;
    let mut told = false;
    while !shutdown.is_cancelled() {
        match try_to_lead(&app, &owner, &mut watched).await {
            Ok(Some(token)) => {
                told = false;
                watched = None;
                lead(&app, &owner, token, &shutdown).await;
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
            let still_for = now - since;
            let dead = presence::is_dead(&app.data_dir, owner, &lease);
            let may_be_gone = app.store.is_embedded() || still_for >= STILL;
            let free = dead
                || lease.owner.is_empty()
                || still_for >= LEASE
                || may_be_gone && app.store.is_gone(&lease.owner).await?;
            if !free {
                return Ok(None);
            }
            Some((token, beat))
        }
    };
    app.store.take_lease(NAME, None, owner, seen, app.clock.now_ms()).await
}

/// Does the scheduler's work until somebody else leads or the process stops.
async fn lead(app: &Arc<App>, owner: &store::Owner, token: i64, shutdown: &CancellationToken) {
    let lost = shutdown.child_token();
    let feeder = Arc::new(tokio::sync::Mutex::new(feeder::Feeder::default()));
    let parking = Arc::new(tokio::sync::Mutex::new(intake::Parking::default()));
    let mut loops = tokio::task::JoinSet::new();
    let mut every = |what: &'static str, pause: Duration, wakes: bool, work: Work| {
        let rhythm = Rhythm { what, pause, wakes };
        loops.spawn(repeat(Arc::clone(app), rhythm, lost.clone(), work));
    };
    every(
        "planning",
        Duration::from_millis(300),
        true,
        Box::new(|app| Box::pin(async move { planner::tick(&app).await })),
    );
    every("feeding", Duration::from_millis(100), true, {
        Box::new(move |app| {
            let feeder = Arc::clone(&feeder);
            Box::pin(async move { feeder.lock().await.tick(&app).await })
        })
    });
    every(
        "finishing",
        Duration::from_millis(500),
        false,
        Box::new(|app| Box::pin(async move { planner::finish(&app).await })),
    );
    every(
        "taking webhooks in",
        Duration::from_millis(100),
        false,
        Box::new(|app| Box::pin(async move { intake::tick(&app).await })),
    );
    every("matching parked statuses", Duration::from_secs(2), false, {
        Box::new(move |app| {
            let parking = Arc::clone(&parking);
            Box::pin(async move { parking.lock().await.tick(&app).await })
        })
    });
    every(
        "sweeping after erasures",
        Duration::from_secs(10),
        false,
        Box::new(|app| Box::pin(async move { persons::sweep(&app).await })),
    );
    every(
        "sealing the ledger",
        Duration::from_millis(100),
        false,
        Box::new(|app| {
            Box::pin(async move { Ok(i64::try_from(ledger::seal_next(&app, SEAL).await?).unwrap_or(SEAL) == SEAL) })
        }),
    );
    every("watching imports", Duration::from_secs(2), false, {
        let watch = Arc::new(tokio::sync::Mutex::new(imports::Watch::default()));
        let owner = owner.clone();
        Box::new(move |app| {
            let (watch, owner) = (Arc::clone(&watch), owner.clone());
            Box::pin(async move { watch.lock().await.tick(&app, &owner).await })
        })
    });
    every(
        "watching times to live",
        Duration::from_secs(60),
        false,
        Box::new(|app| Box::pin(async move { expiry::tick(&app).await })),
    );
    every(
        "housekeeping",
        Duration::from_secs(60),
        false,
        Box::new(|app| Box::pin(async move { housekeep(&app).await })),
    );
    loops.spawn(chores::run(Arc::clone(app), lost.clone()));
    tokio::select! {
        () = keep_leading(app, token, &lost) => {}
        // They end when the lead is lost. One that ends before has panicked; without it nothing would be planned, or
        // taken in, for as long as this process leads.
        Some(Err(error)) = loops.join_next() => {
            tracing::error!(%error, "a part of the scheduler panicked; it starts again with the next lead");
        }
    }
    lost.cancel();
    while loops.join_next().await.is_some() {}
    match app.store.release_lease(NAME, token).await {
        Ok(Some(beat)) => note(app, token, beat),
        Ok(None) => {}
        Err(error) => tracing::debug!(%error, "the scheduler's lease will run out by itself"),
    }
}

/// Notes outside the database how far it has come.
fn note(app: &App, token: i64, beat: i64) {
    high_water::note(&app.data_dir, &app.install, NAME, token, beat, &app.clock);
}

async fn keep_leading(app: &App, token: i64, lost: &CancellationToken) {
    let mut last_beat = 0;
    while pause_for(app, BEAT, lost).await {
        match app.store.beat(NAME, token, "{}", app.clock.now_ms()).await {
            Ok(Some(beat)) if beat > last_beat => {
                last_beat = beat;
                note(app, token, beat);
            }
            Ok(Some(_)) => {
                tracing::error!("{}", high_water::REPLACED);
                lost.cancel();
            }
            Ok(None) => {
                tracing::info!("another process schedules now");
                lost.cancel();
            }
            // The next one may be heard.
            Err(_) => {}
        }
    }
}

/// One round of some work; `true`: there is more to do at once.
type Work = Box<dyn FnMut(Arc<App>) -> Pin<Box<dyn Future<Output = anyhow::Result<bool>> + Send>> + Send>;

/// How often some work is done.
struct Rhythm {
    /// What it is, for the log.
    what: &'static str,
    /// The pause when there is nothing more to do at once.
    pause: Duration,
    /// Whether a wake-up ends the pause: something was launched or resumed.
    wakes: bool,
}

/// Does some work again and again: at once while there is more, else after its pause or when woken. A failure is said
/// once, and once more when it is over.
async fn repeat(app: Arc<App>, rhythm: Rhythm, lost: CancellationToken, mut work: Work) {
    let Rhythm { what, pause, wakes } = rhythm;
    let mut failing = false;
    let took = metrics::histogram!("hudhud_scheduler_round_seconds", "work" => what);
    while !lost.is_cancelled() {
        let began = app.clock.boot_us();
        let done = work(Arc::clone(&app)).await;
        took.record(Duration::from_micros(app.clock.boot_us().saturating_sub(began)));
        let more = match done {
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
            () = app.scheduler_wake.notified(), if wakes => {}
            () = lost.cancelled() => return,
        }
    }
}

async fn housekeep(app: &App) -> anyhow::Result<bool> {
    let before = app.clock.now_ms() - REMEMBER_BODIES;
    let gone = app.store.forget_arrivals(before, 500).await?;
    app.store.drop_old_answers(app.clock.now_ms() - REMEMBER_ANSWERS, 500).await?;
    app.store.forget_parked(before, 500).await?;
    Ok(gone == 500)
}
