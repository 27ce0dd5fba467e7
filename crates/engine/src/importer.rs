//! Import: a file of people becomes contacts on a list, with the evidence of their consent, or reasoned rejects.
//!
//! Three run side by side: `upload` hands the bytes over as they come, `rows` (on a thread of its own) frames and
//! reads them, and the loop here writes chunks of a thousand people, each in one short transaction with its evidence.
//! Memory does not grow with the file but for the set of the phone keys seen, which finds the repeats.

mod lines;
mod rows;
mod upload;

use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::Millis;
use domain::csv_row::{Field, OptInAt};
use domain::names::ListName;
use domain::phone::Region;
use serde_json::json;
use store::{Arriving, Chunk, ChunkEnd, ImportCounts, ImportEnd, ImportTarget, NewEntry, NewEvidence, NewImport};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::fault::{Fault, FaultKind, Result};
use crate::imports::{ImportSummary, RejectedRow, rejects_path};
use crate::ledger::{commitment, tree};
use crate::{Actor, App};

use rows::{Parcel, Reading, Said};
use upload::Fed;

/// The longest description of where a consent comes from, in characters.
const LONGEST_SOURCE: usize = 200;
/// A dry run shows so many of the rows that it rejects.
const SHOWN_REJECTS: usize = 50;
/// How long a chunk waits for a database that is away, each time: half a minute in all.
const WAITS: [Duration; 7] = [
    Duration::from_millis(200),
    Duration::from_millis(800),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(6),
    Duration::from_secs(8),
    Duration::from_secs(9),
];

/// When the people of a file consented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptInTime {
    /// All at one time, epoch ms.
    Fixed(Millis),
    /// Each at the time in this column.
    Column(String),
}

impl std::str::FromStr for OptInTime {
    type Err = Fault;

    /// An RFC 3339 time, or `@` and the name of a column.
    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        match text.strip_prefix('@') {
            Some("") => Err(Fault::invalid("The time of the opt-in names no column after the @.")),
            Some(column) => Ok(Self::Column(column.to_owned())),
            None if text.is_empty() => Err(no_time()),
            None => domain::schedule::parse_at(text).map(Self::Fixed).map_err(|error| {
                Fault::invalid(format!("The time of the opt-in cannot be read: {error}, or @COLUMN."))
            }),
        }
    }
}

fn no_time() -> Fault {
    Fault::invalid("The time of the opt-in is missing.")
        .action("Say when these people consented: --opt-in-at with an RFC 3339 time, or @COLUMN for each row's own.")
}

/// What to import, and how.
#[derive(Clone, Debug)]
pub struct ImportOrder {
    /// The list it goes to, made when it is not there.
    pub list: String,
    /// The file's name as the person knows it.
    pub file_name: String,
    /// The country of phone numbers without a country code, ISO 3166 alpha-2.
    pub region: Option<String>,
    /// Which column is what, where the header does not tell: field (`phone`, `name`, `language`) and column.
    pub mapping: Vec<(String, String)>,
    /// Where the consent comes from, in words that hold before a judge. Required.
    pub opt_in_source: String,
    /// When they consented. Required.
    pub opt_in_at: Option<OptInTime>,
    /// The file's encoding by its WHATWG label; `None`: by its byte order mark, else UTF-8.
    pub encoding: Option<String>,
    /// What separates the cells: one character, or `comma`, `semicolon`, `tab`; `None`: found out.
    pub delimiter: Option<String>,
    /// Count, and keep nothing.
    pub dry_run: bool,
    /// Who imports.
    pub actor: Actor,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows of the file so far.
    pub rows: i64,
    /// Of them people.
    pub accepted: i64,
    /// Of them repeats within the file.
    pub duplicates: i64,
    /// Of them rejected.
    pub rejected: i64,
}

/// An order that can be carried out.
struct Checked {
    list: ListName,
    file_name: String,
    region: Option<Region>,
    reading: Reading,
    encoding: Option<&'static encoding_rs::Encoding>,
    opt_in_source: String,
    actor: Actor,
    dry_run: bool,
}

impl Checked {
    fn new(order: ImportOrder, now: Millis) -> Result<Self> {
        let source = order.opt_in_source.trim();
        if source.is_empty() {
            return Err(Fault::invalid("The source of the opt-in is missing.")
                .action("Say where these people consented: --opt-in-source \"checkout box, shop.example, 2026\"."));
        }
        if source.chars().count() > LONGEST_SOURCE || source.contains(char::is_control) {
            return Err(Fault::invalid(format!(
                "The source of the opt-in must fit on one line of {LONGEST_SOURCE} characters."
            )));
        }
        let mut mapping = Vec::with_capacity(order.mapping.len() + 1);
        for (field, column) in &order.mapping {
            let field: Field = field.parse().map_err(|error| Fault::invalid(format!("{error}.")))?;
            mapping.push((field, column.clone()));
        }
        let opt_in_at = match order.opt_in_at.ok_or_else(no_time)? {
            OptInTime::Fixed(at) if at > now => {
                return Err(Fault::invalid("The time of the opt-in lies in the future."));
            }
            OptInTime::Fixed(_) if mapping.iter().any(|(field, _)| *field == Field::OptInAt) => {
                return Err(Fault::invalid("The opt-in has both one time for the whole file and a column of times.")
                    .action("Give one of the two."));
            }
            OptInTime::Fixed(at) => OptInAt::Fixed(at),
            OptInTime::Column(column) => {
                let said_too = (Field::OptInAt, column);
                if !mapping.contains(&said_too) {
                    mapping.push(said_too);
                }
                OptInAt::Column
            }
        };
        let region = match order.region.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            Some(region) => Some(region.parse().map_err(|error| Fault::invalid(format!("Region: {error}.")))?),
            None => None,
        };
        Ok(Self {
            list: crate::lists::checked_name(&order.list)?,
            file_name: order.file_name,
            region,
            encoding: order.encoding.as_deref().map(upload::encoding_of).transpose()?,
            reading: Reading {
                mapping,
                region,
                opt_in_at,
                now,
                delimiter: order.delimiter.as_deref().map(rows::delimiter_of).transpose()?,
            },
            opt_in_source: source.to_owned(),
            actor: order.actor,
            dry_run: order.dry_run,
        })
    }
}

/// Imports a file as it comes in. Good rows are never lost to bad ones; the bad ones go into a file of their own. The
/// same file again creates and updates nothing. `progress` hears of every chunk.
///
/// The caller should let this run to its end in a task of its own: dropped half way, the chunks so far stay and the
/// import stays `running` until [`store::Store::fail_abandoned_imports`].
///
/// # Errors
/// `Invalid`, before anything is read, for a missing or unreadable source, time, region, encoding, delimiter or list;
/// and for a file whose header cannot be used. `Unavailable` when the file breaks off, or the database or disk stays
/// away: what was read by then is kept.
pub async fn import<R, P>(app: &App, order: ImportOrder, mut reader: R, progress: P) -> Result<ImportSummary>
where
    R: AsyncRead + Send + Unpin,
    P: FnMut(&Progress) + Send,
{
    let checked = Checked::new(order, app.clock.now_ms())?;
    let began = app.clock.boot_us();
    let (blocks_in, blocks) = mpsc::channel(4);
    let (said_in, said) = mpsc::channel(2);
    let reading = checked.reading.clone();
    let reader_thread = tokio::task::spawn_blocking(move || rows::read(upload::Pipe::new(blocks), &reading, &said_in));
    let mut run = Run {
        app,
        order: &checked,
        target: None,
        counts: ImportCounts::default(),
        chunks: 0,
        rejects: None,
        shown: Vec::new(),
        progress,
    };
    let (fed, written) = tokio::join!(upload::feed(&mut reader, checked.encoding, blocks_in), run.write(said));
    let read = reader_thread.await.map_err(anyhow::Error::from)?;
    let outcome = match (written, fed) {
        (_, Fed::Refused(reason)) => Err(Fault::invalid(reason)),
        (Err(fault), _) => Err(fault),
        (Ok(()), Fed::BrokeOff(error)) => {
            Err(Fault::unavailable(format!("The file broke off after {} rows: {error}.", run.counts.rows))
                .action("Import the whole file again: what is there already is left as it is."))
        }
        (Ok(()), Fed::Whole(sha256)) => read.map(|()| sha256).map_err(Fault::internal),
    };
    let took = Duration::from_micros(app.clock.boot_us().saturating_sub(began));
    run.end(outcome, took).await
}

/// An import that runs.
struct Run<'a, P> {
    app: &'a App,
    order: &'a Checked,
    /// Where it goes, once its header is read; stays `None` in a dry run.
    target: Option<ImportTarget>,
    counts: ImportCounts,
    chunks: i64,
    rejects: Option<Rejects>,
    /// The first rejected rows of a dry run.
    shown: Vec<RejectedRow>,
    progress: P,
}

struct Rejects {
    path: PathBuf,
    file: File,
}

impl<P: FnMut(&Progress) + Send> Run<'_, P> {
    /// Writes what the reading thread says, until it has said all. On an error the channel closes, and so the thread
    /// and the upload end too.
    async fn write(&mut self, mut said: mpsc::Receiver<Said>) -> Result<()> {
        while let Some(said) = said.recv().await {
            match said {
                Said::Unusable(reason) => return Err(Fault::invalid(reason)),
                Said::Header(rejects_header) => self.begin(rejects_header).await?,
                Said::Parcel(parcel) => self.take(parcel).await?,
            }
        }
        Ok(())
    }

    /// The header is good: the import has a number, and its list exists.
    async fn begin(&mut self, rejects_header: Vec<u8>) -> Result<()> {
        if self.order.dry_run {
            return Ok(());
        }
        let now = self.app.clock.now_ms();
        let list_id = self.app.store.ensure_list(self.order.list.as_str(), now).await?;
        let new = NewImport {
            list_id,
            list_name: self.order.list.as_str(),
            file_name: &self.order.file_name,
            actor: self.order.actor.as_str(),
            opt_in_source: &self.order.opt_in_source,
            region: self.order.region.as_ref().map(Region::as_str),
            now,
        };
        let import_id = self.app.store.begin_import(new).await?;
        self.target = Some(ImportTarget { import_id, list_id });
        let path = rejects_path(&self.app.data_dir, import_id);
        let file = create_private(&path, &rejects_header).await.map_err(|error| no_rejects(&error))?;
        self.rejects = Some(Rejects { path, file });
        Ok(())
    }

    async fn take(&mut self, parcel: Parcel) -> Result<()> {
        if let Some(rejects) = &mut self.rejects {
            rejects.file.write_all(&parcel.rejects).await.map_err(|error| no_rejects(&error))?;
        } else {
            let room = SHOWN_REJECTS.saturating_sub(self.shown.len());
            self.shown.extend(first_rejects(&parcel.rejects, room));
        }
        let mut counts = self.counts;
        counts.rows = parcel.rows;
        counts.duplicates = parcel.duplicates;
        counts.rejected = parcel.rejected;
        counts.accepted = parcel.rows - parcel.duplicates - parcel.rejected;
        if !parcel.people.is_empty() {
            self.chunks += 1;
            let end = self.keep_people(&parcel.people, counts).await?;
            let ChunkEnd::Kept { created, updated, suppressed } = end else {
                return Err(Fault::new(
                    FaultKind::WrongState,
                    format!("The list {} was removed while the import ran.", self.order.list),
                ));
            };
            counts.created += created;
            counts.updated += updated;
            counts.suppressed += suppressed;
        }
        self.counts = counts;
        let ImportCounts { rows, accepted, duplicates, rejected, .. } = counts;
        (self.progress)(&Progress { rows, accepted, duplicates, rejected });
        Ok(())
    }

    /// Writes one chunk, waiting for a database that is away. A chunk whose commit was cut off is written again: what
    /// is there already is left as it is.
    async fn keep_people(&self, people: &[Arriving], so_far: ImportCounts) -> Result<ChunkEnd> {
        let mut waits = WAITS.iter();
        loop {
            let now = self.app.clock.now_ms();
            let salt = self.app.vault.random_bytes::<16>()?;
            let chunk = Chunk {
                target: self.target,
                number: self.chunks,
                people,
                opt_in_source: &self.order.opt_in_source,
                so_far,
                now,
            };
            let written = self.app.store.take_in(&chunk, |new| self.evidence(&chunk, new, salt)).await;
            match (written, waits.next()) {
                (Err(error), Some(wait)) if error.is_unavailable() => {
                    tracing::warn!(%error, "an import waits for the database");
                    self.app.clock.sleep(*wait).await;
                }
                (written, _) => return Ok(written?),
            }
        }
    }

    /// The one ledger entry for a chunk's new evidence: who consented is in the root over their leaves.
    fn evidence(&self, chunk: &Chunk<'_>, new: &[NewEvidence], salt: [u8; 16]) -> NewEntry {
        let leaves = new
            .iter()
            .filter_map(|new| chunk.people.get(new.index))
            .map(|person| tree::leaf(&person.salt, person.phone_key, person.opt_in_at, chunk.opt_in_source));
        let detail = json!({
            "list": self.order.list.as_str(),
            "file": self.order.file_name,
            "source": chunk.opt_in_source,
            "chunk": chunk.number,
            "people": new.len(),
            "first_contact": new.iter().map(|new| new.contact_id).min(),
            "last_contact": new.iter().map(|new| new.contact_id).max(),
            "root": hex::encode(tree::root(leaves.collect())),
        })
        .to_string();
        NewEntry {
            at: chunk.now,
            kind: "opt-in",
            actor: self.order.actor.0.clone(),
            contact_id: None,
            campaign_id: None,
            import_id: chunk.target.map(|target| target.import_id),
            commitment: commitment(&salt, &detail),
            detail,
            salt: salt.to_vec(),
        }
    }

    /// Notes how it ended, and says so.
    async fn end(mut self, outcome: Result<String>, took: Duration) -> Result<ImportSummary> {
        let mut outcome = outcome;
        let mut rejects_file = None;
        if let Some(mut rejects) = self.rejects.take() {
            if self.counts.rejected > 0 {
                let synced = async { rejects.file.flush().await.and(rejects.file.sync_all().await) }.await;
                if let Err(error) = synced {
                    outcome = outcome.and(Err(no_rejects(&error)));
                }
                rejects_file = Some(rejects.path.display().to_string());
            } else {
                drop(rejects.file);
                // An empty file of rejects would only raise questions. If it cannot be removed, it stays.
                let _ = tokio::fs::remove_file(&rejects.path).await;
            }
        }
        if let Some(target) = self.target {
            let end = ImportEnd {
                counts: self.counts,
                sha256: outcome.as_deref().unwrap_or_default(),
                rejects_file: rejects_file.as_deref(),
                error: outcome.as_ref().err().map(|fault| fault.detail.as_str()),
                now: self.app.clock.now_ms(),
            };
            let noted = self.app.store.end_import(target.import_id, &end).await;
            if outcome.is_ok() {
                noted?;
            }
        }
        if let Err(fault) = outcome {
            return Err(match self.target {
                None => fault,
                Some(target) => fault.kept(format!(
                    "Import {}: {} people of the first {} rows are kept, with their consent; importing the file again \
                     changes nothing twice.",
                    target.import_id, self.counts.accepted, self.counts.rows
                )),
            });
        }
        let counts = self.counts;
        Ok(ImportSummary {
            import_id: self.target.map(|target| target.import_id),
            list: self.order.list.to_string(),
            rows: counts.rows,
            accepted: counts.accepted,
            created: counts.created,
            updated: counts.updated,
            duplicates: counts.duplicates,
            rejected: counts.rejected,
            suppressed: counts.suppressed,
            seconds: took.as_secs_f64(),
            rejects_file,
            first_rejects: self.shown,
        })
    }
}

/// Up to `most` lines of a file of rejects: their last five columns say which row it was, and why.
fn first_rejects(lines: &[u8], most: usize) -> Vec<RejectedRow> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(lines);
    let rows = reader.records().take(most).filter_map(|record| {
        let record = record.ok()?;
        let reasons = record.len().checked_sub(rows::REASON_COLUMNS.len())?;
        let cell = |place: usize| record.get(reasons + place).unwrap_or_default().to_owned();
        Some(RejectedRow {
            line: cell(0).parse().ok()?,
            column: cell(1),
            value: cell(2),
            code: cell(3),
            reason: cell(4),
        })
    });
    rows.collect()
}

fn no_rejects(error: &std::io::Error) -> Fault {
    Fault::unavailable(format!("The file of the rejected rows cannot be written: {error}."))
        .action("Make room in the data directory and import the file again.")
}

/// Creates a file that only its owner can read, in a directory that only its owner can enter: it holds people's data.
async fn create_private(path: &Path, beginning: &[u8]) -> std::io::Result<File> {
    if let Some(dir) = path.parent() {
        tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).await?;
    }
    let mut options = tokio::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).await?;
    file.write_all(beginning).await?;
    Ok(file)
}

#[cfg(test)]
mod tests;
