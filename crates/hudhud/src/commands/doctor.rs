//! `hudhud doctor`: looks at everything that Hudhud needs, and says what is wrong and what to do.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::cli::Session;
use crate::client::ApiClient;
use crate::exit::Exit;
use crate::redis_child::find_server;
use crate::settings::{RedisAt, Settings};

/// What was looked at, and what was found: words for a person, or what is wrong.
type Finding = (&'static str, anyhow::Result<String>);

pub(super) async fn run(session: &Session) -> anyhow::Result<Exit> {
    let settings = &session.settings;
    let mut findings: Vec<Finding> = Vec::new();
    if settings.url.is_none() {
        findings.push(("data directory", data_dir(settings)));
        findings.push(("redis", redis(settings).await));
        findings.push(("graph api", graph(settings).await));
    }
    match session.client().await {
        Ok(client) => {
            let place =
                settings.url.clone().unwrap_or_else(|| crate::settings::without_password(&settings.database_url));
            findings.push(("database", Ok(format!("open and migrated: {place}"))));
            findings.push(("accounts", accounts(&client).await));
            findings.push(("business numbers", count(&client, "/api/v1/numbers", "business numbers").await));
            findings.push(("templates", count(&client, "/api/v1/templates", "templates").await));
            client.close().await;
        }
        Err(error) => findings.push(("database", Err(error))),
    }
    let rows: Vec<Value> = findings
        .iter()
        .map(|(what, found)| match found {
            Ok(found) => json!({"check": what, "ok": true, "found": found}),
            Err(error) => json!({"check": what, "ok": false, "found": format!("{error:#}")}),
        })
        .collect();
    session.out.table(&[("CHECK", "check"), ("OK", "ok"), ("FOUND", "found")], &rows)?;
    let is_well = findings.iter().all(|(_, found)| found.is_ok());
    Ok(if is_well { Exit::Done } else { Exit::Failed })
}

fn data_dir(settings: &Settings) -> anyhow::Result<String> {
    crate::lock::make_data_dir(&settings.data_dir)?;
    let dir = &settings.data_dir;
    let probe = dir.join(format!(".doctor-{}", std::process::id()));
    std::fs::write(&probe, "probe").and_then(|()| std::fs::remove_file(&probe)).context("it cannot be written")?;
    let mode = std::fs::metadata(dir)?.mode();
    anyhow::ensure!(mode & 0o077 == 0, "others may look into {}; chmod 700 it", dir.display());
    let free = nix::sys::statvfs::statvfs(dir).map(|room| room.blocks_available() * room.fragment_size())?;
    anyhow::ensure!(free > 1 << 30, "less than 1 GiB is free under {}", dir.display());
    Ok(format!("{}, {} GiB free", dir.display(), free >> 30))
}

async fn redis(settings: &Settings) -> anyhow::Result<String> {
    match &settings.redis {
        RedisAt::Managed => Ok(format!("managed, by {}", find_server()?.display())),
        RedisAt::Url(url) => {
            engine::queue::Redis::open(url, "doctor")?.ping().await?;
            Ok(format!("{} answers", settings.redis))
        }
    }
}

/// Any answer at all shows that the way there is open; no token is spent on it.
async fn graph(settings: &Settings) -> anyhow::Result<String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(10))
        .build()?;
    let answer = client.get(&settings.graph_url).send().await;
    let answer = answer.map_err(reqwest::Error::without_url).with_context(|| {
        format!("{} does not answer; check the network, its proxy and its clock", settings.graph_url)
    })?;
    Ok(format!("{} answers ({})", settings.graph_url, answer.status().as_u16()))
}

async fn accounts(client: &ApiClient) -> anyhow::Result<String> {
    let accounts = client.list("/api/v1/accounts").await?;
    for account in &accounts {
        if let Some(reason) = account["stopped_reason"].as_str() {
            anyhow::bail!("{} is stopped: {reason}", account["name"].as_str().unwrap_or_default());
        }
    }
    match accounts.len() {
        0 => Ok("none yet: hudhud account add".to_owned()),
        n => Ok(format!("{n}")),
    }
}

async fn count(client: &ApiClient, path: &str, what: &str) -> anyhow::Result<String> {
    match client.list(path).await?.len() {
        0 => Ok(format!("no {what} yet: hudhud account sync")),
        n => Ok(format!("{n}")),
    }
}
