//! Imports that ran, and the files of what they rejected.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::pacing::Micros;
use serde::Serialize;
use serde_json::json;
use store::{CampaignUse, HandedOver, ImportRow, NewEntry, Owner, UndoBegun};

use crate::fault::{Fault, Result};
use crate::importer::Found;
use crate::ledger::{leaves_of, tree};
use crate::limits::grouped;
use crate::{Actor, App, evidence, presence};

/// An import whose beat stands still for so long was interrupted, wherever it ran: it beats every two seconds.
const STILL: Duration = Duration::from_secs(20);

/// An import as it is shown: the document of contract.md, and what else is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ImportView {
    /// The counts; `seconds` is 0 while it runs.
    #[serde(flatten)]
    pub summary: ImportSummary,
    /// `running`, `done`, `failed`, `interrupted` (its process died), `undoing` or `undone`.
    pub state: String,
    /// The file's name as the person knows it.
    pub file_name: String,
    /// SHA-256 of the file in hexadecimal; empty until it was read to its end.
    pub sha256: String,
    /// Who imported.
    pub actor: String,
    /// Where the consent comes from.
    pub opt_in_source: String,
    /// The words in which it was asked for; empty when they were not told.
    pub opt_in_wording: String,
    /// When they consented; `null`: each row has its own time. RFC 3339.
    #[serde(serialize_with = "crate::views::iso_or_null")]
    #[schema(value_type = Option<String>)]
    pub opt_in_at: Option<i64>,
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
    /// How the file was read.
    #[serde(flatten)]
    pub found: Found,
    /// The last import of the very same file before this one.
    pub same_as: Option<SameFile>,
    /// The first rejected rows of a dry run, which leaves no file of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_rejects: Vec<RejectedRow>,
}

/// An earlier import of the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SameFile {
    /// That import.
    pub import_id: i64,
    /// When it began, RFC 3339.
    #[serde(serialize_with = "crate::views::as_iso")]
    #[schema(value_type = String)]
    pub at: i64,
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
                found: row.reading.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
                same_as: None,
                first_rejects: Vec::new(),
            },
            state: row.state,
            file_name: row.file_name,
            sha256: row.sha256,
            actor: row.actor,
            opt_in_source: row.opt_in_source,
            opt_in_wording: row.opt_in_wording,
            opt_in_at: row.opt_in_at,
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
#[crate::boxed]
pub async fn ls(app: &App, before: Option<i64>, limit: i64) -> Result<Vec<ImportView>> {
    let rows = app.store.imports(before.unwrap_or(i64::MAX), limit).await?;
    let mut views = Vec::with_capacity(rows.len());
    for row in rows {
        views.push(view(app, row).await?);
    }
    Ok(views)
}

/// One import.
///
/// # Errors
/// `NotFound`.
#[crate::boxed]
pub async fn show(app: &App, id: i64) -> Result<ImportView> {
    match app.store.import(id).await? {
        Some(row) => view(app, row).await,
        None => Err(no_such(id)),
    }
}

pub(crate) fn no_such(id: i64) -> Fault {
    Fault::not_found(format!("There is no import {id}.")).action("`hudhud imports ls` shows them.")
}

async fn view(app: &App, row: ImportRow) -> Result<ImportView> {
    let same_as = same_as(app, &row.sha256, row.id).await?;
    let mut view = ImportView::from(row);
    view.summary.same_as = same_as;
    Ok(view)
}

/// The last import of the same file before an import.
pub(crate) async fn same_as(app: &App, sha256: &str, before: i64) -> Result<Option<SameFile>> {
    let found = app.store.same_file(sha256, before).await?;
    Ok(found.map(|(import_id, at)| SameFile { import_id, at }))
}

/// The file with the rows that an import rejected: UTF-8, commas, the original columns and then `line`, `column`,
/// `value`, `code` and `reason`.
///
/// # Errors
/// `NotFound` when there is no such import, when it rejected nothing, or when the file was removed or is on another
/// host.
#[crate::boxed]
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

/// What an undone import took with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct UndoneView {
    /// The import.
    pub import_id: i64,
    /// People whom it alone had brought, and who are gone.
    pub removed: u64,
    /// Such people who stay, off its list: they have opted out, wrote to us, stand in a campaign's record as skipped, or
    /// are on a list that they were put on by hand.
    pub stayed: u64,
    /// People whom it had changed, and who are what they were before.
    pub restored: u64,
    /// Memberships of its list that ended.
    pub left_list: u64,
    /// Pieces of evidence of consent that went with them; the ledger's entries stay.
    pub evidence: u64,
    /// People whom it made or changed and who stay as they are, since later imports brought them, too.
    pub kept_people: u64,
    /// People who stay on its list, since later imports brought them there, too.
    pub kept_on_list: u64,
    /// People the evidence of whose consent stays, since later imports brought the same.
    pub kept_evidence: u64,
    /// Those later imports. What stayed goes when they are undone, too.
    pub kept_for: Vec<i64>,
}

/// Takes an import back, as long as no campaign has used it. What later imports brought, too, stays and is theirs. Broken
/// off, the same call goes on.
///
/// # Errors
/// `NotFound`; `WrongState` while it runs or another import does, when it is undone already, and when a campaign has used
/// it since, which it names.
#[crate::boxed]
pub async fn undo(app: &App, id: i64, actor: &Actor) -> Result<UndoneView> {
    let import = app.store.import(id).await?.ok_or_else(|| no_such(id))?;
    if import.state == "running" || import.state == "undone" {
        return Err(Fault::wrong_state(format!("Import {id} is {}.", import.state)));
    }
    let half_undone = import.state == "undoing";
    unused(app, &import, half_undone).await?;
    let resumed = match app.store.begin_undo(id).await? {
        UndoBegun::Yes { resumed } => resumed,
        UndoBegun::WrongState => return Err(Fault::wrong_state(format!("Import {id} cannot be undone any more."))),
        UndoBegun::AnotherRuns(other) => {
            return Err(Fault::wrong_state(format!("Import {other} runs, and may meet the same people."))
                .action("Wait until it is done."));
        }
    };
    // Now that no import begins any more and no campaign that names its list is launched, whoever came in between is
    // seen. Nothing has been taken back then: a use that could be found now would have been found before.
    if let Err(used) = unused(app, &import, resumed).await {
        app.store.give_up_undo(id).await?;
        return Err(used);
    }
    let undone = app.store.undo_import(&import, |handed| handed_over(app, &import, handed, actor)).await?;
    let view = UndoneView {
        import_id: id,
        removed: undone.removed,
        stayed: undone.stayed,
        restored: undone.restored,
        left_list: undone.left_list,
        evidence: undone.evidence,
        kept_people: undone.kept_people,
        kept_on_list: undone.kept_on_list,
        kept_evidence: undone.kept_evidence,
        kept_for: undone.kept_for,
    };
    let mut detail = json!(view);
    detail["list"] = json!(import.list_name);
    detail["file"] = json!(import.file_name);
    detail["sha256"] = json!(import.sha256);
    let mut entry = evidence::entry(app, "import-undone", actor, &detail)?;
    entry.import_id = Some(id);
    app.store.end_undo(id, &entry).await?;
    Ok(view)
}

/// The entry of a chunk of evidence that goes over to a later import: as that of any chunk, so that it can be held
/// against it.
fn handed_over(app: &App, from: &ImportRow, handed: &HandedOver<'_>, actor: &Actor) -> NewEntry {
    let leaves: Vec<_> = handed.evidence.iter().filter_map(leaves_of).map(|(leaf, _)| leaf).collect();
    let detail = json!({
        "list": handed.to.list_name,
        "file": handed.to.file_name,
        "source": handed.to.opt_in_source,
        "wording": handed.to.opt_in_wording,
        "chunk": handed.chunk,
        "people": leaves.len(),
        "first_contact": handed.evidence.iter().map(|row| row.contact_id).min(),
        "last_contact": handed.evidence.iter().map(|row| row.contact_id).max(),
        "from_import": from.id,
        "root": hex::encode(tree::root(leaves)),
    })
    .to_string();
    let salt: [u8; 16] = rand::random();
    NewEntry {
        at: app.clock.now_ms(),
        kind: "opt-in",
        actor: actor.0.clone(),
        contact_id: None,
        campaign_id: None,
        import_id: Some(handed.to.id),
        commitment: evidence::commitment(&salt, &detail),
        detail,
        salt: salt.to_vec(),
    }
}

/// Refuses when a campaign has used the import since, and names it and how many people that concerns.
async fn unused(app: &App, import: &ImportRow, half_undone: bool) -> Result<()> {
    let campaigns = app.store.uses_of_import(import, half_undone).await?;
    if campaigns.is_empty() {
        return Ok(());
    }
    let campaigns: Vec<String> = campaigns.iter().map(in_words).collect();
    let campaigns = campaigns.join(", ");
    Err(Fault::wrong_state(format!(
        "The people of import {} were used since, by the campaigns {campaigns}.",
        import.id
    ))
    .kept("Nothing was changed.")
    .action("Whom a campaign has written to is not taken back; opt them out instead."))
}

fn in_words(campaign: &CampaignUse) -> String {
    let CampaignUse { name, people, is_being_planned } = campaign;
    let people = grouped(*people);
    match is_being_planned {
        true => format!("{name} (its audience is being planned, {people} of them so far)"),
        false => format!("{name} (written to, or to be written to: {people} of them)"),
    }
}

/// Watches the imports that run, here or in other processes, and notes which were interrupted. For the scheduler.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Each import's beat, and since when it stands there on our own clock.
    seen: HashMap<i64, (i64, Micros)>,
}

impl Watch {
    /// One look.
    pub(crate) async fn tick(&mut self, app: &App, ours: &Owner) -> anyhow::Result<bool> {
        let now = app.clock.boot_us();
        let running = app.store.unfinished_imports().await?;
        self.seen.retain(|id, _| running.iter().any(|import| import.id == *id));
        for import in running.iter().filter(|import| import.state == "running") {
            let owner = Owner { instance: import.owner.clone(), host: import.host.clone(), boot: import.boot.clone() };
            let since = match self.seen.get(&import.id) {
                Some((beat, since)) if *beat == import.beat => *since,
                _ => now,
            };
            self.seen.insert(import.id, (import.beat, since));
            let still = Duration::from_micros(now.saturating_sub(since)) >= STILL;
            if (still || presence::owner_is_dead(&app.data_dir, ours, &owner))
                && app.store.interrupt_import(import.id, import.beat, INTERRUPTED, app.clock.now_ms()).await?
            {
                tracing::warn!(import_id = import.id, "an import was interrupted; what it had stored is kept");
            }
        }
        Ok(false)
    }
}

/// What an interrupted import says of itself.
pub const INTERRUPTED: &str =
    "the process that imported it ended before it was done; what it had stored is kept, import the file again";

pub(crate) fn rejects_path(data_dir: &Path, id: i64) -> PathBuf {
    data_dir.join("rejects").join(format!("import-{id}.csv"))
}
