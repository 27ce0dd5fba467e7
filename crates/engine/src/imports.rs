//! Imports that ran, and the files of what they rejected.

use std::path::{Path, PathBuf};

use serde::Serialize;
use store::ImportRow;

use crate::App;
use crate::fault::{Fault, Result};

/// An import as it is shown: the document of contract.md, and what else is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ImportView {
    /// The counts; `seconds` is 0 while it runs.
    #[serde(flatten)]
    pub summary: ImportSummary,
    /// `running`, `done` or `failed`.
    pub state: String,
    /// The file's name as the person knows it.
    pub file_name: String,
    /// SHA-256 of the file in hexadecimal; empty until it was read to its end.
    pub sha256: String,
    /// Who imported.
    pub actor: String,
    /// Where the consent comes from.
    pub opt_in_source: String,
    /// The country of national numbers.
    pub region: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// RFC 3339.
    #[serde(serialize_with = "crate::views::as_iso")]
    #[schema(value_type = String)]
    pub started_at: i64,
    /// RFC 3339.
    #[serde(serialize_with = "crate::views::iso_or_null")]
    #[schema(value_type = Option<String>)]
    pub finished_at: Option<i64>,
}

/// What came of an import. `rows = accepted + duplicates + rejected`.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ImportSummary {
    /// Ours; `null` for a dry run, of which nothing is kept.
    pub import_id: Option<i64>,
    /// The list's name.
    pub list: String,
    /// Rows of the file, without its header.
    pub rows: i64,
    /// Rows that are people.
    pub accepted: i64,
    /// People who were not known before.
    pub created: i64,
    /// People of whom something changed.
    pub updated: i64,
    /// Rows whose person came earlier in the same file.
    pub duplicates: i64,
    /// Rows that are not people.
    pub rejected: i64,
    /// Accepted people who are opted out.
    pub suppressed: i64,
    /// How long it took.
    pub seconds: f64,
    /// Where the rejected rows are, if there are any.
    pub rejects_file: Option<String>,
    /// The first rejected rows of a dry run, which leaves no file of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_rejects: Vec<RejectedRow>,
}

/// A row that is no person, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RejectedRow {
    /// The file's line, from 1.
    pub line: u64,
    /// The header of the column at fault; empty when it is the whole row.
    pub column: String,
    /// What stands there, shortened to 64 characters.
    pub value: String,
    /// The reason in kebab-case; it does not change.
    pub code: String,
    /// What is wrong and what to do, for a person.
    pub reason: String,
}

impl From<ImportRow> for ImportView {
    fn from(row: ImportRow) -> Self {
        let took_ms = row.finished_at.map_or(0, |end| (end - row.started_at).max(0));
        Self {
            summary: ImportSummary {
                import_id: Some(row.id),
                list: row.list_name,
                rows: row.line_count,
                accepted: row.accepted,
                created: row.created,
                updated: row.updated,
                duplicates: row.duplicates,
                rejected: row.rejected,
                suppressed: row.suppressed,
                seconds: std::time::Duration::from_millis(took_ms.unsigned_abs()).as_secs_f64(),
                rejects_file: row.rejects_file,
                first_rejects: Vec::new(),
            },
            state: row.state,
            file_name: row.file_name,
            sha256: row.sha256,
            actor: row.actor,
            opt_in_source: row.opt_in_source,
            region: row.region,
            error: row.error,
            started_at: row.started_at,
            finished_at: row.finished_at,
        }
    }
}

/// Imports older than an id (all: `None`), newest first: a page of up to `limit`.
///
/// # Errors
/// As the database's.
pub async fn ls(app: &App, before: Option<i64>, limit: i64) -> Result<Vec<ImportView>> {
    let rows = app.store.imports(before.unwrap_or(i64::MAX), limit).await?;
    Ok(rows.into_iter().map(ImportView::from).collect())
}

/// One import.
///
/// # Errors
/// `NotFound`.
pub async fn show(app: &App, id: i64) -> Result<ImportView> {
    let row = app.store.import(id).await?;
    row.map(ImportView::from)
        .ok_or_else(|| Fault::not_found(format!("There is no import {id}.")).action("`hudhud imports ls` shows them."))
}

/// The file with the rows that an import rejected: UTF-8, commas, the original columns and then `line`, `column`,
/// `value`, `code` and `reason`.
///
/// # Errors
/// `NotFound` when there is no such import, when it rejected nothing, or when the file was removed or is on another
/// host.
pub async fn rejects(app: &App, id: i64) -> Result<PathBuf> {
    let import = show(app, id).await?;
    if import.summary.rejects_file.is_none() {
        return Err(Fault::not_found(format!("Import {id} rejected no row.")).action("There is nothing to fetch."));
    }
    let file = rejects_path(&app.data_dir, id);
    if !tokio::fs::try_exists(&file).await.unwrap_or(false) {
        return Err(Fault::not_found(format!("The rejected rows of import {id} are not on this host any more."))
            .action("Look on the host that ran the import, or import the file again."));
    }
    Ok(file)
}

pub(crate) fn rejects_path(data_dir: &Path, id: i64) -> PathBuf {
    data_dir.join("rejects").join(format!("import-{id}.csv"))
}
