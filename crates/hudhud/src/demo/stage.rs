//! What the demo plays on: the simulator, a whole `serve` in this process, and a client of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use engine::App;
use engine::access::users;
use serde_json::{Value, json};
use simulator::{CodeShare, Simulator, Span};
use tokio::time::Instant;

use crate::client::ApiClient;
use crate::http::{self, access::Role};
use crate::serve::{self, Running};
use crate::settings::{RedisAt, Settings};
use crate::telemetry;

/// The simulator's first business number.
pub(super) const NUMBER: &str = "200100000000001";
/// Its account and the secrets that it knows.
const WABA: &str = "100200300400500";
const TOKEN: &str = "simulated-access-token";
const APP_SECRET: &str = "simulated-app-secret";
const VERIFY_TOKEN: &str = "simulated-verify-token";
/// Webhooks are quiet within this long after the last message.
const QUIET_WITHIN: Duration = Duration::from_secs(60);

pub(super) struct Stage {
    app: Arc<App>,
    simulator: Simulator,
    client: ApiClient,
    data_dir: PathBuf,
    listening: SocketAddr,
    rate: u32,
}

impl Stage {
    pub(super) async fn set(settings: &Settings, rate: u32) -> anyhow::Result<(Self, Running)> {
        let data_dir = super::temporary_dir()?;
        let simulator = simulator::start(people_who_read_and_reply(rate)).await.context("starting the simulator")?;
        let any = |wanted: SocketAddr| match std::net::TcpListener::bind(wanted) {
            Ok(_) => wanted,
            // The demo runs beside whatever is there.
            Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        };
        let mut settings = settings.clone();
        settings.database_url = format!("sqlite://{}", data_dir.join("hudhud.db").display());
        settings.redis = RedisAt::Managed;
        settings.listen = any(settings.listen);
        settings.admin_listen = any(settings.admin_listen);
        settings.graph_url = simulator.base_url();
        (settings.url, settings.api_key, settings.secret_key) = (None, None, None);
        settings.data_dir.clone_from(&data_dir);
        let metrics = telemetry::metrics()?;
        let running = serve::start(&settings, serve::ALL_ROLES, metrics, Path::new("/proc/self/exe")).await?;
        let listening = running.listening.context("the API listens")?;
        simulator.update(|simulated| {
            simulated.webhook.url = Some(format!("http://{listening}/webhooks/whatsapp"));
            simulated.webhook.app_secret = APP_SECRET.to_owned();
        })?;
        let client = ApiClient::open(&settings).await?;
        let app = Arc::clone(&running.app);
        Ok((Self { app, simulator, client, data_dir, listening, rate }, running))
    }

    /// Adds the account, reads its numbers and templates, and sets the pace.
    pub(super) async fn connect(&self, rate: u32) -> anyhow::Result<()> {
        let account = json!({
            "name": "demo", "waba_id": WABA, "access_token": TOKEN, "app_secret": APP_SECRET,
            "verify_token": VERIFY_TOKEN,
        });
        self.client.post("/api/v1/accounts", &account).await?;
        self.client.post("/api/v1/accounts/sync", &json!({})).await?;
        self.client.post(&format!("/api/v1/numbers/{NUMBER}/rate"), &json!({"rate": rate})).await?;
        Ok(())
    }

    pub(super) fn client(&self) -> &ApiClient {
        &self.client
    }

    pub(super) fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(super) fn rate(&self) -> u32 {
        self.rate
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.listening)
    }

    /// A link that signs its first visitor in as an admin of this demo.
    pub(super) async fn sign_in_link(&self) -> anyhow::Result<String> {
        let link = users::demo_link(&self.app, "demo@localhost", Role::Admin.as_str()).await?;
        Ok(format!("{}{}", self.url(), http::enter_page(&link)))
    }

    /// Messages of the demo's number within the last second.
    pub(super) async fn pace(&self) -> anyhow::Result<u64> {
        let queue = self.client.get("/api/v1/queue").await?;
        let rows = queue.as_array().or_else(|| queue["items"].as_array());
        let row = rows.into_iter().flatten().find(|row| row["phone_number_id"] == NUMBER);
        Ok(row.and_then(|row| row["pace"].as_u64()).unwrap_or(0))
    }

    /// Waits until every webhook was delivered and applied.
    pub(super) async fn quiet(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + QUIET_WITHIN;
        loop {
            let pending = self.simulator.report().webhooks.pending;
            let (waiting, _) = self.app.store.inbox_depth().await?;
            if pending == 0 && waiting == 0 {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "{pending} webhooks are still on their way");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Stops everything and removes the directory.
    pub(super) async fn clear(self, running: Running) {
        drop(self.client);
        running.stop().await;
        self.simulator.stop().await;
        if let Err(error) = std::fs::remove_dir_all(&self.data_dir) {
            tracing::warn!(%error, dir = %self.data_dir.display(), "the demo's directory stays behind");
        }
    }

    /// Our own numbers of a person's opt-outs, for the report.
    pub(super) async fn opted_out(&self) -> anyhow::Result<Vec<Value>> {
        self.client.list("/api/v1/optouts").await
    }
}

/// A network with some unevenness, answers that get lost, webhooks that come twice and out of order, people who read,
/// reply and opt out, some of whom show no number.
fn people_who_read_and_reply(rate: u32) -> simulator::Settings {
    let mut settings =
        simulator::Settings { default_rate: rate, latency_ms: Span::new(15, 60), ..simulator::Settings::default() };
    settings.faults.lost_response_share = 0.004;
    settings.people.failed = vec![CodeShare { code: 131_026, share: 0.015, times: None, phone_number_id: None }];
    settings.people.delivered_share = 0.97;
    settings.people.read_share = 0.7;
    settings.people.read_without_delivered_share = 0.05;
    settings.people.opt_out_tap_share = 0.04;
    settings.people.other_tap_share = 0.08;
    settings.people.stop_text_share = 0.01;
    settings.people.tap_without_context_share = 0.2;
    settings.people.username_share = 0.03;
    settings.webhook.sent_ms = Span::new(20, 300);
    settings.webhook.delivered_ms = Span::new(50, 900);
    settings.webhook.read_ms = Span::new(200, 3_000);
    settings.webhook.reply_ms = Span::new(200, 2_000);
    settings.webhook.duplicate_share = 0.05;
    settings.webhook.reorder_share = 0.05;
    settings
}
