//! The admin port: health and metrics, for machines, without a sign-in.
//!
//! It listens before anything else is started and until everything else has stopped, so that whoever watches sees a
//! process that waits for its database as alive but not ready.

mod gauges;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, response};
use engine::App;
use metrics_exporter_prometheus::PrometheusHandle;

use gauges::Gauges;

/// A part that does not answer by then counts as away.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the process is between its start and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Waiting for what it needs.
    Starting = 0,
    /// At work.
    Ready = 1,
    /// Finishing what is under way, and taking nothing new.
    Draining = 2,
}

/// What the admin port tells of this process.
#[derive(Debug)]
pub struct Health {
    phase: AtomicU8,
    app: OnceLock<Arc<App>>,
    /// A worker or scheduler without Redis can do nothing; the API can take webhooks all the same.
    needs_redis: bool,
}

impl Health {
    /// A process that starts.
    #[must_use]
    pub fn new(needs_redis: bool) -> Arc<Self> {
        Arc::new(Self { phase: AtomicU8::new(Phase::Starting as u8), app: OnceLock::new(), needs_redis })
    }

    /// Everything is up.
    pub fn ready(&self, app: &Arc<App>) {
        // Set once; a second start in one process would be another Health.
        let _ = self.app.set(Arc::clone(app));
        self.phase.store(Phase::Ready as u8, Ordering::SeqCst);
    }

    /// From now on nothing new is taken.
    pub fn draining(&self) {
        self.phase.store(Phase::Draining as u8, Ordering::SeqCst);
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }

    /// Every part and whether it is well: name, verdict, and whether readiness depends on it.
    async fn parts(&self) -> Vec<(&'static str, Result<(), String>, bool)> {
        let phase = match self.phase() {
            Phase::Ready => Ok(()),
            Phase::Starting => Err("starting".to_owned()),
            Phase::Draining => Err("draining".to_owned()),
        };
        let mut parts = vec![("process", phase, true)];
        let Some(app) = self.app.get() else { return parts };
        let database = tokio::time::timeout(PATIENCE, app.store.ping()).await;
        let database = match database {
            Ok(answered) => answered.map_err(|error| error.to_string()),
            Err(_) => Err("it does not answer".to_owned()),
        };
        // The schema was migrated before the process could be ready.
        parts.push(("database", database, true));
        // Whatever is not known of it, the database's own line tells.
        let paused = tokio::time::timeout(PATIENCE, engine::numbers::why_all_paused(app)).await;
        if let Ok(Ok(Some(reason))) = paused {
            parts.push(("sending", Err(reason), false));
        }
        if let Some(redis) = &app.redis {
            let redis = match tokio::time::timeout(PATIENCE, redis.ping()).await {
                Ok(answered) => answered.map_err(|error| format!("{error:#}")),
                Err(_) => Err("it does not answer".to_owned()),
            };
            parts.push(("redis", redis, self.needs_redis));
        }
        parts
    }
}

#[derive(Clone)]
struct Admin {
    health: Arc<Health>,
    metrics: PrometheusHandle,
    gauges: Arc<Gauges>,
}

/// `/livez`, `/readyz`, `/startupz` and `/metrics`.
pub fn router(health: Arc<Health>, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .route("/metrics", get(render))
        .with_state(Admin { health, metrics, gauges: Arc::default() })
}

/// 200 while requests should come here. `?verbose` names each part.
async fn readyz(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    let parts = admin.health.parts().await;
    let is_ready = parts.iter().all(|(_, verdict, counts)| verdict.is_ok() || !counts);
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let is_verbose = query.is_some_and(|query| query.split('&').any(|part| part.split('=').next() == Some("verbose")));
    let mut text = String::new();
    if is_verbose {
        for (name, verdict, counts) in &parts {
            let line = match verdict {
                Ok(()) => format!("[+] {name} ok"),
                Err(why) if *counts => format!("[-] {name}: {why}"),
                Err(why) => format!("[!] {name}: {why} (sending waits; webhooks and opt-outs go on)"),
            };
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{line}");
        }
    }
    text.push_str(if is_ready { "ready\n" } else { "not ready\n" });
    (status, text).into_response()
}

/// 200 once the process has started, whatever happened since.
async fn startupz(State(admin): State<Admin>) -> response::Result<&'static str> {
    match admin.health.phase() {
        Phase::Starting => Err((StatusCode::SERVICE_UNAVAILABLE, "starting\n").into()),
        Phase::Ready | Phase::Draining => Ok("started\n"),
    }
}

async fn render(State(admin): State<Admin>) -> Response {
    if let Some(app) = admin.health.app.get() {
        admin.gauges.refresh(app).await;
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], admin.metrics.render()).into_response()
}
