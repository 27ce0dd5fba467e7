//! Templates as they were last read from Meta.

use domain::template::{MetaFields, Template};
use serde::Serialize;
use serde_json::Value;
use store::TemplateRow;

use crate::App;
use crate::fault::{Fault, Result};

/// A template as it is shown. Words in capitals are Meta's own.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TemplateView {
    /// Ours.
    pub id: i64,
    /// The account's name.
    pub account: String,
    /// Its name.
    pub name: String,
    /// Its exact language key.
    pub language: String,
    /// APPROVED is the only one that can be launched; DELETED also when Meta no longer lists it.
    pub status: String,
    /// MARKETING, UTILITY, AUTHENTICATION.
    pub category: String,
    /// POSITIONAL or NAMED.
    pub parameter_format: String,
    /// GREEN, YELLOW, RED, UNKNOWN or empty.
    pub quality: String,
    /// What a campaign must give: the KEYs of `--param`.
    pub parameters: Vec<String>,
    /// What this version cannot send; a campaign with it is refused.
    pub unsupported: Vec<String>,
    /// Meta's list of components.
    pub components: Value,
    /// For how long Meta tries to deliver its messages, seconds; `null` or below zero: as long as is usual.
    pub ttl_seconds: Option<i64>,
    /// When Meta was last asked, RFC 3339.
    #[serde(serialize_with = "crate::views::as_iso")]
    #[schema(value_type = String)]
    pub synced_at: i64,
}

/// A template as the domain understands it.
///
/// # Errors
/// `Invalid` when Meta gave no list of components.
pub fn understand(row: &TemplateRow) -> Result<Template> {
    let components: Value = serde_json::from_str(&row.components).map_err(anyhow::Error::from)?;
    Template::from_meta(&MetaFields {
        name: &row.name,
        language: &row.language,
        category: &row.category,
        status: &row.status,
        parameter_format: Some(&row.parameter_format),
        components: &components,
    })
    .map_err(|error| Fault::invalid(format!("{error}.")).action("Look at it in WhatsApp Manager, then sync again."))
}

fn view(row: TemplateRow) -> Result<TemplateView> {
    let (parameters, unsupported) = match understand(&row) {
        Ok(template) => {
            let keys = template.variables().iter().map(|slot| slot.key().to_string()).collect();
            (keys, template.unsupported())
        }
        Err(fault) => (Vec::new(), vec![fault.detail]),
    };
    Ok(TemplateView {
        parameters,
        unsupported,
        components: serde_json::from_str(&row.components).map_err(anyhow::Error::from)?,
        id: row.id,
        account: row.account,
        name: row.name,
        language: row.language,
        status: row.status,
        category: row.category,
        parameter_format: row.parameter_format,
        quality: row.quality,
        ttl_seconds: row.ttl_seconds,
        synced_at: row.synced_at,
    })
}

/// Every template, by account, name and language.
///
/// # Errors
/// As the database's.
#[crate::boxed]
pub async fn list(app: &App) -> Result<Vec<TemplateView>> {
    app.store.templates().await?.into_iter().map(view).collect()
}

/// The template of a name and language, one per account that has it.
///
/// # Errors
/// `NotFound`, naming the languages there are.
#[crate::boxed]
pub async fn show(app: &App, name: &str, language: &str) -> Result<Vec<TemplateView>> {
    let rows = app.store.templates_named(name, Some(language)).await?;
    if rows.is_empty() {
        let others = app.store.templates_named(name, None).await?;
        let fault = if others.is_empty() {
            Fault::not_found(format!("There is no template called {name}."))
                .action("`hudhud account sync` reads templates from Meta; `hudhud template list` shows them.")
        } else {
            let mut languages: Vec<_> = others.iter().map(|row| row.language.as_str()).collect();
            languages.dedup();
            Fault::not_found(format!("The template {name} has no language {language}."))
                .action(format!("Its languages are {}.", languages.join(", ")))
        };
        return Err(fault);
    }
    rows.into_iter().map(view).collect()
}
