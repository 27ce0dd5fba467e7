//! `hudhud migrate`, `hudhud check-config` and `hudhud openapi`.

use serde_json::json;

use crate::cli::Session;
use crate::exit::{Exit, Usage};
use crate::http;
use crate::settings::without_password;
use crate::wiring;

/// Opening the database migrates it, as every command does; this one does nothing else.
pub(super) async fn migrate(session: &Session) -> anyhow::Result<Exit> {
    if let Some(url) = &session.settings.url {
        let why = format!("migrate works on the database of this machine, and --url names {url}");
        return Err(Usage(why).into());
    }
    // A serve that holds the data directory has migrated it when it started.
    session.client().await?.close().await;
    let database = without_password(&session.settings.database_url);
    session.out.document(&json!({"migrated": true, "database": database}))?;
    Ok(Exit::Done)
}

/// The settings were read and checked before this is reached; the rest is what only their user can tell.
pub(super) fn check_config(session: &Session) -> anyhow::Result<Exit> {
    wiring::graph(&session.settings)?;
    let settings = session.settings.effective();
    let rows: Vec<_> = settings.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    session.out.table(&[("SETTING", "key"), ("VALUE", "value"), ("FROM", "origin")], &rows)?;
    Ok(Exit::Done)
}

/// The description as the console's build keeps it: indented, so that a change of the API can be read as one.
pub(super) fn openapi(session: &Session) -> anyhow::Result<Exit> {
    let description: serde_json::Value = serde_json::from_slice(&http::description())?;
    session.out.text(&format!("{description:#}"))?;
    Ok(Exit::Done)
}
