//! Choosing the way to Hudhud.

use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::Instant;

use super::{ApiClient, Way, wire};
use crate::http::{self, Door};
use crate::lock::{self, DirLock, Held, Who};
use crate::settings::Settings;
use crate::sockets;
use crate::wiring;

/// How long a command waits for a shorter one to leave the data directory, or for a `serve` that starts to answer.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl ApiClient {
    /// The remote one that the settings name, else the `serve` of this data directory, else this process.
    ///
    /// # Errors
    /// [`Held`] when another process keeps an embedded database; what opening it says, otherwise.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        if let Some(url) = &settings.url {
            let client = wire(reqwest::Client::builder())?;
            let key = settings.api_key.clone();
            if key.is_some() && url.starts_with("http:") && !settings.url_is_loopback() {
                tracing::warn!("the key travels unencrypted: use https for HUDHUD_URL");
            }
            return Ok(Self { way: Way::Wire { client, base: url.clone(), key, name: url.clone() } });
        }
        lock::make_data_dir(&settings.data_dir)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(client) = Self::of_socket(settings).await? {
                return Ok(client);
            }
            // On PostgreSQL any number of processes may write, so a command needs nobody's leave.
            if !settings.is_embedded() {
                return Self::inside(settings, None).await;
            }
            let file = settings.sqlite_file();
            match DirLock::take(&settings.data_dir, file.as_deref(), Who::Command, Duration::ZERO).await {
                Ok(lock) => return Self::inside(settings, Some(lock)).await,
                // The holder is a short command, or a serve that does not listen yet, or one of another data directory.
                Err(error) if error.is::<Held>() && Instant::now() < deadline => tokio::time::sleep(LOOK_AGAIN).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// The control socket of this data directory, if somebody answers there.
    async fn of_socket(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let path = sockets::path(&settings.data_dir, lock::SOCKET)?;
        // A socket file without a listener is what a killed serve leaves behind.
        if UnixStream::connect(&path).await.is_err() {
            return Ok(None);
        }
        // No TLS happens on a socket, so the system's certificates need not be read.
        let client = wire(reqwest::Client::builder().unix_socket(path).tls_certs_only([]))?;
        let name = format!("the hudhud serve of {}", settings.data_dir.display());
        Ok(Some(Self { way: Way::Wire { client, base: "http://hudhud".to_owned(), key: None, name } }))
    }

    async fn inside(settings: &Settings, lock: Option<DirLock>) -> anyhow::Result<Self> {
        let store = wiring::open_store(settings).await?;
        let app = wiring::engine(settings, store, None).await?;
        Ok(Self { way: Way::Inside { router: http::router(&app, Door::Process), app, lock } })
    }
}
