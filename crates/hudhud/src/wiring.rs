//! From settings to a running engine: the key, the database, the queue, the Cloud API, put together once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use engine::queue::Redis;
use engine::{App, AppParts, Clock, Fault, FaultKind, Vault};
use store::Store;

use crate::settings::{Settings, without_password};

/// The generated secret key, in the data directory.
pub const SECRET_KEY: &str = "secret.key";

/// The engine's parts around an open database. `redis_url`: none for commands, which neither schedule nor send.
///
/// # Errors
/// When a part cannot be made; each error says which.
pub async fn engine(settings: &Settings, store: Store, redis_url: Option<&str>) -> anyhow::Result<Arc<App>> {
    let install = store.install_id().await.map_err(Fault::from)?;
    let redis = redis_url.map(|url| Redis::open(url, &install)).transpose()?;
    let app = App::new(AppParts {
        store,
        graph: graph(settings)?,
        graph_is_loopback: settings.graph_is_loopback(),
        vault: vault(settings)?,
        clock: Clock::system(),
        data_dir: settings.data_dir.clone(),
        upload_limit: settings.upload_limit,
        redis,
        install,
    });
    engine::persons::check_key(&app).await?;
    Ok(app)
}

/// The vault under the configured key, or under the one in the data directory, which is made on first use.
///
/// # Errors
/// When the key is too short or its file cannot be read or made.
pub fn vault(settings: &Settings) -> anyhow::Result<Vault> {
    match &settings.secret_key {
        Some(key) => Vault::new(key),
        None => {
            let file = settings.data_dir.join(SECRET_KEY);
            let key = engine::vault::read_or_create_key(&file)?;
            Vault::new(&key).with_context(|| format!("the secret key in {}", file.display()))
        }
    }
}

/// The client of the Cloud API.
///
/// # Errors
/// When the Graph URL is refused.
pub fn graph(settings: &Settings) -> anyhow::Result<cloud_api::Client> {
    let config = cloud_api::Config {
        base_url: settings.graph_url.clone(),
        version: settings.graph_version.clone(),
        ..cloud_api::Config::default()
    };
    cloud_api::Client::new(&config).context("HUDHUD_GRAPH_URL")
}

/// Opens and migrates the database.
///
/// # Errors
/// A [`Fault`] that says where the database should be.
pub async fn open_store(settings: &Settings) -> anyhow::Result<Store> {
    Store::open(&settings.database_url).await.map_err(|error| {
        let mut fault = Fault::from(error);
        let place = without_password(&settings.database_url);
        fault.detail = format!("{} It should be at {place} ({}).", fault.detail, settings.origin("database_url"));
        fault.into()
    })
}

/// Opens the database, and while it is away says so once and tries again.
///
/// # Errors
/// Whatever waiting cannot cure.
pub async fn wait_for_store(settings: &Settings) -> anyhow::Result<Store> {
    let mut pause = Duration::from_millis(200);
    let mut was_away = false;
    loop {
        let error = match open_store(settings).await {
            Ok(store) if was_away => {
                tracing::info!("the database is back");
                return Ok(store);
            }
            Ok(store) => return Ok(store),
            Err(error) => error,
        };
        let is_away = error.downcast_ref::<Fault>().is_some_and(|fault| fault.kind == FaultKind::Unavailable);
        // An embedded database that cannot be opened is a wrong path or a full disk: waiting would hide it.
        if !is_away || settings.is_embedded() {
            return Err(error);
        }
        if !was_away {
            tracing::warn!(error = format!("{error:#}"), "waiting for the database; nothing is lost");
            was_away = true;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}
