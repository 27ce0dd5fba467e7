//! Lists of people.

use domain::names::ListName;
use serde::Serialize;
use store::List;

use crate::App;
use crate::fault::{Fault, Result};

/// A list as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ListView {
    /// Ours.
    pub id: i64,
    /// Unique.
    pub name: String,
    /// How many people are on it.
    pub members: i64,
    /// How many of them are opted out.
    pub suppressed: i64,
    /// RFC 3339.
    #[serde(serialize_with = "crate::views::as_iso")]
    #[schema(value_type = String)]
    pub created_at: i64,
}

impl From<List> for ListView {
    fn from(list: List) -> Self {
        let List { id, name, created_at, members, suppressed } = list;
        Self { id, name, members, suppressed, created_at }
    }
}

/// Every list, by name.
///
/// # Errors
/// As the database's.
pub async fn ls(app: &App) -> Result<Vec<ListView>> {
    Ok(app.store.lists().await?.into_iter().map(ListView::from).collect())
}

/// One list, by its name.
///
/// # Errors
/// `NotFound`.
pub async fn show(app: &App, name: &str) -> Result<ListView> {
    let name = checked_name(name)?;
    let found = app.store.list_named(name.as_str()).await?;
    found.map(ListView::from).ok_or_else(|| not_found(&name))
}

/// Removes a list. Its people stay, with their consent and their opt-outs; so do the campaigns that were planned
/// from it.
///
/// # Errors
/// `NotFound`; `WrongState` while a campaign still needs it.
pub async fn rm(app: &App, name: &str) -> Result<()> {
    let name = checked_name(name)?;
    let id = app.store.list_id(name.as_str()).await?.ok_or_else(|| not_found(&name))?;
    let needing = app.store.campaigns_needing(id).await?;
    if !needing.is_empty() {
        return Err(Fault::wrong_state(format!("The list {name} is still needed by: {}.", needing.join(", ")))
            .action("Cancel these campaigns, or wait until their audience is planned."));
    }
    app.store.remove_list(id).await?;
    Ok(())
}

pub(crate) fn checked_name(name: &str) -> Result<ListName> {
    name.parse().map_err(|error| Fault::invalid(format!("List: {error}.")))
}

fn not_found(name: &ListName) -> Fault {
    Fault::not_found(format!("There is no list called {name}.")).action("`hudhud list ls` shows them.")
}
