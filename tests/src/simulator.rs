//! The simulated Cloud API, as a process, and its control API.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::executables::{Executable, executable, tethered};
use crate::process::Process;
use crate::stalls::Stalls;

/// A running simulator.
#[derive(Debug)]
pub struct Simulator {
    graph: String,
    control: String,
    http: reqwest::Client,
    stalls: Stalls,
    _process: Process,
}

/// One row of its ledger: a POST that arrived.
#[derive(Clone, Debug, Deserialize)]
pub struct LedgerRow {
    /// Counts from 1.
    pub seq: u64,
    /// When it arrived, microseconds since 1970 UTC.
    pub at_us: i64,
    /// The business number it was sent from.
    pub phone_number_id: String,
    /// `+` and digits.
    pub to: Option<String>,
    /// The callback data, unique per attempt.
    pub callback: String,
    /// `accepted`, `lost`, `refused:CODE`, `dropped`, `redirected` or `bad-gateway`.
    pub outcome: String,
    /// `held`, `sent`, `delivered`, `read` or `failed`; absent until a webhook was made.
    pub status: Option<String>,
}

impl LedgerRow {
    /// Whether the message was taken in, so that the person gets it.
    #[must_use]
    pub fn was_taken_in(&self) -> bool {
        matches!(self.outcome.as_str(), "accepted" | "lost")
    }

    /// The campaign that its callback data names: `hh1.INSTALL.CAMPAIGN.CONTACT.ATTEMPT`.
    #[must_use]
    pub fn campaign(&self) -> Option<i64> {
        self.callback.split('.').nth(2)?.parse().ok()
    }
}

impl Simulator {
    /// Starts one with these settings on top of its defaults.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(dir: &Path, settings: &Value) -> Self {
        let config = dir.join("simulator.json");
        std::fs::write(&config, settings.to_string()).expect("the simulator's settings");
        let mut command = tethered(&executable(Executable::Simulator));
        command.args(["--listen", "127.0.0.1:0", "--config"]).arg(&config);
        let mut process = Process::spawn("the simulator", command, &dir.join("simulator.log"), true);
        let mut first = String::new();
        BufReader::new(process.stdout()).read_line(&mut first).expect("the simulator says where it listens");
        let line: Value = serde_json::from_str(&first).expect("the simulator's first line is JSON");
        let at = |key: &str| format!("http://{}", line[key].as_str().expect("an address"));
        let stalls = Stalls::of(process.pid());
        Self { graph: at("listening"), control: at("control"), http: client(), stalls, _process: process }
    }

    /// The Graph API's base.
    #[must_use]
    pub fn graph_url(&self) -> &str {
        &self.graph
    }

    /// The longest that it waited for a processor within a quarter of a second: messages that came meanwhile are in its
    /// ledger as if they had come together.
    #[must_use]
    pub fn longest_stall(&self) -> std::time::Duration {
        self.stalls.worst()
    }

    /// Changes settings while it runs (a JSON merge patch).
    pub async fn set(&self, patch: Value) {
        self.put("settings", &patch).await;
    }

    /// Its settings.
    pub async fn settings(&self) -> Value {
        self.get("settings").await
    }

    /// Its report.
    pub async fn report(&self) -> Value {
        self.get("report").await
    }

    /// Every POST that arrived, in order.
    pub async fn ledger(&self) -> Vec<LedgerRow> {
        let mut rows: Vec<LedgerRow> = Vec::new();
        loop {
            let after = rows.last().map_or(0, |row| row.seq);
            let page = self.get(&format!("messages?after={after}&limit=10000")).await;
            let page: Vec<LedgerRow> = serde_json::from_value(page["messages"].clone()).expect("rows of the ledger");
            if page.is_empty() {
                return rows;
            }
            rows.extend(page);
        }
    }

    /// How many messages were taken in.
    pub async fn taken_in(&self) -> u64 {
        self.report().await["accepted"].as_u64().expect("a count")
    }

    /// A person acts now: `{"from": "+20…", "act": "stop"}`; see the simulator's control API.
    pub async fn inbound(&self, act: &Value) -> Value {
        self.post("inbound", act).await
    }

    /// Asks the webhook's address for the challenge, as Meta does. What it says when that fails.
    pub async fn handshake(&self, verify_token: &str) -> Result<(), String> {
        let answer = self.ask(reqwest::Method::POST, "handshake", Some(&json!({ "verify_token": verify_token }))).await;
        answer.map(|_| ())
    }

    /// Refuses every token but this one from now on.
    pub async fn set_access_token(&self, token: &str) {
        let mut accounts = self.settings().await["accounts"].clone();
        for account in accounts.as_array_mut().expect("accounts") {
            account["access_token"] = json!(token);
        }
        self.set(json!({ "accounts": accounts })).await;
    }

    async fn get(&self, path: &str) -> Value {
        self.ask(reqwest::Method::GET, path, None).await.expect("the control API answers")
    }

    async fn put(&self, path: &str, body: &Value) -> Value {
        self.ask(reqwest::Method::PUT, path, Some(body)).await.expect("the control API takes it")
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.ask(reqwest::Method::POST, path, Some(body)).await.expect("the control API takes it")
    }

    async fn ask(&self, method: reqwest::Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let mut request = self.http.request(method, format!("{}/_sim/{path}", self.control));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let is_success = answer.status().is_success();
        let document: Value = answer.json().await.map_err(|error| error.to_string())?;
        if is_success { Ok(document) } else { Err(document["error"].as_str().unwrap_or_default().to_owned()) }
    }
}

/// A client for loopback.
pub(crate) fn client() -> reqwest::Client {
    // Whoever comes first sets the process's TLS provider; nothing here speaks TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        // So the system's certificates are not read anew with each client.
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        .timeout(std::time::Duration::from_secs(60))
        .build()
        .expect("a plain client")
}

impl Simulator {
    /// What will become of the first message to a person with a template: see the simulator's control API.
    pub async fn fate(&self, to: &str, template: &str, language: &str) -> Value {
        let to = to.replace('+', "%2B");
        self.get(&format!("fate?to={to}&template={template}&language={language}")).await
    }
}
