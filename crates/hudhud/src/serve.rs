//! `hudhud serve`: starts the parts in order, stops them in reverse.
//!
//! Start: ports (a port that is taken should be said at once) · admin port (so that a wait for the database can be
//! seen) · the data directory's lock (opening an embedded database writes it) · database (held, if it is an older
//! copy) · Redis · scheduler and worker · API and control socket · ready.
//!
//! Stop: not ready any more · API, scheduler and worker together, each finishing what is under way · Redis · database ·
//! lock · admin port. All within [`DRAIN`]; a second signal ends the process at once, and nothing is lost even then.

mod doorman;
mod listen;
mod signals;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::ConnectInfo;
use clap::{Args, ValueEnum};
use engine::access::users;
use engine::{Actor, App, high_water, host, scheduler, worker};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Health};
use crate::cli::Session;
use crate::commands::user::console_url;
use crate::exit::Exit;
use crate::http::{self, Door};
use crate::lock::{self, DirLock, Held, Who};
use crate::redis_child::ManagedRedis;
use crate::settings::{RedisAt, Settings};
use crate::{telemetry, wiring};

use doorman::Doorman;
use listen::ControlSocket;

/// Everything that is under way has so long to finish.
pub const DRAIN: Duration = Duration::from_secs(30);
/// Of that, what Redis and the database get at the end.
const CLOSE: Duration = Duration::from_secs(6);
/// How long a short command may keep the data directory.
const PATIENCE: Duration = Duration::from_secs(10);

/// `hudhud serve …`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// What this process does
    #[arg(long, value_delimiter = ',', value_enum, default_value = "api,scheduler,worker")]
    roles: Vec<Role>,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Answers the API, the console and the webhooks.
    Api,
    /// Plans, feeds, sweeps, takes webhooks in. One process at a time leads; the others stand by.
    Scheduler,
    /// Owns lanes and sends.
    Worker,
}

/// All roles in one process.
pub const ALL_ROLES: &[Role] = &[Role::Api, Role::Scheduler, Role::Worker];

/// A Hudhud that is up.
#[derive(Debug)]
pub struct Running {
    /// The engine.
    pub app: Arc<App>,
    /// Where the API listens, when this process has that role.
    pub listening: Option<SocketAddr>,
    /// Where health and metrics are.
    pub admin: SocketAddr,
    health: Arc<Health>,
    stop: CancellationToken,
    stop_admin: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
    admin_task: JoinSet<anyhow::Result<()>>,
    redis: Option<ManagedRedis>,
    socket: Option<ControlSocket>,
    lock: Option<DirLock>,
}

/// Runs until a signal or a failure.
///
/// # Errors
/// What kept it from starting, or the role that failed.
pub async fn run(args: ServeArgs, session: Session) -> anyhow::Result<Exit> {
    let mut signals = signals::Signals::new()?;
    let metrics = telemetry::metrics()?;
    let starting = start(&session.settings, &args.roles, metrics, Path::new("/proc/self/exe"));
    let mut running = tokio::select! {
        running = starting => running?,
        signal = signals.next() => {
            tracing::info!(signal, "asked to stop while starting");
            return Ok(Exit::Done);
        }
    };
    if session.out.is_json() {
        session.out.document(&json!({
            "listening": running.listening.map(|address| address.to_string()),
            "admin": running.admin.to_string(),
            "version": env!("CARGO_PKG_VERSION"),
        }))?;
    }
    if running.listening.is_some() {
        offer_first_link(&session, &running).await;
    }
    let ended = tokio::select! {
        failed = running.failed() => Err(failed),
        signal = signals.next() => {
            tracing::info!(signal, "draining; a second signal ends the process at once");
            Ok(Exit::Done)
        }
    };
    tokio::select! {
        () = running.stop() => {}
        signal = signals.next() => {
            tracing::warn!(signal, "ended at once; what was on the wire is in doubt until a webhook settles it");
            std::process::exit(1);
        }
    }
    ended
}

/// Says how to become the first user, while nobody can sign in. Beside the log and not in it: logs are sent elsewhere
/// and kept, and the link opens everything.
async fn offer_first_link(session: &Session, running: &Running) {
    match users::first_link(&running.app, &Actor::system()).await {
        Ok(Some(link)) => {
            let mut settings = session.settings.clone();
            settings.listen = running.listening.unwrap_or(settings.listen);
            let (url, page) = (console_url(&settings), http::welcome_page(&link));
            session.out.remark(&format!(
                "Nobody can sign in yet. Open this link within a day to become the first user; it opens once:\n  \
                 {url}{page}\nhudhud user link makes a new one."
            ));
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "no link for the first user was made; hudhud user link makes one"),
    }
}

/// Starts the roles in order.
///
/// `launcher` is this executable; the private Redis is started through it.
///
/// # Errors
/// The first part that cannot be started; what was started before it is stopped by being dropped.
pub async fn start(
    settings: &Settings,
    roles: &[Role],
    metrics: PrometheusHandle,
    launcher: &Path,
) -> anyhow::Result<Running> {
    let has = |role| roles.contains(&role);
    let needs_redis = has(Role::Scheduler) || has(Role::Worker);
    let admin = listen::tcp(settings.admin_listen, "HUDHUD_ADMIN_LISTEN").await?;
    let api = match has(Role::Api) {
        true => Some(listen::tcp(settings.listen, "HUDHUD_LISTEN").await?),
        false => None,
    };
    let (admin_address, listening) = (admin.local_addr()?, api.as_ref().map(TcpListener::local_addr).transpose()?);
    let health = Health::new(needs_redis && !has(Role::Api));
    let (stop, stop_admin) = (CancellationToken::new(), CancellationToken::new());
    let mut admin_task = JoinSet::new();
    admin_task.spawn({
        let router = admin::router(Arc::clone(&health), metrics.clone());
        let stop = stop_admin.clone();
        async move {
            Doorman::default().serve(admin, router, |_, _| (), stop).await;
            Ok(())
        }
    });

    lock::make_data_dir(&settings.data_dir)?;
    let lock = take_lock(settings).await?;
    let store = wiring::wait_for_store(settings).await?;
    if let Some(reason) = high_water::hold_if_older(&store, &settings.data_dir).await? {
        tracing::error!("{reason}");
    }
    let (redis, redis_url) = match &settings.redis {
        RedisAt::Managed if needs_redis => {
            let redis = ManagedRedis::start(&settings.data_dir, launcher).await?;
            let url = redis.url().to_owned();
            (Some(redis), Some(url))
        }
        RedisAt::Managed => (None, None),
        RedisAt::Url(url) => (None, Some(url.clone())),
    };
    if settings.redis == RedisAt::Managed && !settings.is_embedded() && roles.len() < ALL_ROLES.len() {
        tracing::warn!("processes with other roles must share this data directory, or one HUDHUD_REDIS_URL");
    }
    let app = wiring::engine(settings, store, redis_url.as_deref()).await?;
    if settings.is_embedded() {
        // The lock says that nobody else runs on this database, so an import that is still open ended with its process.
        let why = engine::imports::INTERRUPTED;
        app.store.interrupt_imports(why, app.clock.now_ms()).await.map_err(engine::Fault::from)?;
    }

    let mut tasks = JoinSet::new();
    if has(Role::Scheduler) {
        let (app, stop) = (Arc::clone(&app), stop.clone());
        tasks.spawn(async move { scheduler::run(app, stop).await.context("the scheduler") });
    }
    if has(Role::Worker) {
        let (app, stop) = (Arc::clone(&app), stop.clone());
        tasks.spawn(async move { worker::run(app, stop, host::new_instance()).await.context("the worker") });
    }
    if let Some(listener) = api {
        let (router, stop) = (http::router(&app, Door::Network), stop.clone());
        tasks.spawn(async move {
            Doorman::default().serve(listener, router, |_, peer| ConnectInfo(*peer), stop).await;
            Ok(())
        });
    }
    // Commands find whoever holds the data directory by its socket, whatever its roles.
    let socket = lock.is_some().then(|| ControlSocket::bind(&settings.data_dir)).transpose()?;
    if let Some(socket) = &socket {
        tasks.spawn(socket.serve(http::router(&app, Door::Socket), stop.clone())?);
    }
    tasks.spawn(upkeep(metrics, stop.clone()));
    health.ready(&app);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        ?roles,
        listening = listening.map(|address| address.to_string()),
        admin = %admin_address,
        data_dir = %settings.data_dir.display(),
        "ready"
    );
    Ok(Running {
        app,
        listening,
        admin: admin_address,
        health,
        stop,
        stop_admin,
        tasks,
        admin_task,
        redis,
        socket,
        lock,
    })
}

/// The data directory's lock. On PostgreSQL several processes may share a directory: the first one gets the socket.
async fn take_lock(settings: &Settings) -> anyhow::Result<Option<DirLock>> {
    let file: Option<PathBuf> = settings.sqlite_file();
    let patience = if settings.is_embedded() { PATIENCE } else { Duration::ZERO };
    match DirLock::take(&settings.data_dir, file.as_deref(), Who::Serve, patience).await {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.is::<Held>() && !settings.is_embedded() => Ok(None),
        Err(error) => Err(error.context(
            "one process at a time writes an SQLite database; stop the other one, or use another HUDHUD_DATA_DIR",
        )),
    }
}

impl Running {
    /// Resolves when a role ends by itself, which none should.
    pub async fn failed(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok(Ok(()))) | None => anyhow::anyhow!("a part of the process ended without being asked"),
            Some(Ok(Err(error))) => error,
            Some(Err(panicked)) => anyhow::anyhow!(panicked).context("a part of the process panicked"),
        }
    }

    /// Stops everything, in reverse order, within [`DRAIN`].
    pub async fn stop(mut self) {
        let deadline = Instant::now() + DRAIN;
        self.health.draining();
        self.app.ending.cancel();
        self.stop.cancel();
        // Requests and sends under way end side by side: an upload that takes long must not eat the sends' time.
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout_at(deadline - CLOSE, drained).await.is_err() {
            tracing::warn!("not everything finished in time; what was on the wire is settled by webhooks");
            self.tasks.abort_all();
        }
        drop(self.socket);
        if let Some(redis) = self.redis {
            // It ends with this process in any case.
            let _ = tokio::time::timeout(CLOSE, redis.stop()).await;
        }
        let _ = tokio::time::timeout_at(deadline, self.app.store.close()).await;
        drop(self.lock);
        tracing::info!("stopped");
        self.stop_admin.cancel();
        let _ = tokio::time::timeout(Duration::from_millis(500), self.admin_task.join_next()).await;
    }
}

/// Keeps the metrics' memory in bounds.
async fn upkeep(metrics: PrometheusHandle, stop: CancellationToken) -> anyhow::Result<()> {
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => metrics.run_upkeep(),
            () = stop.cancelled() => return Ok(()),
        }
    }
}
