//! An import that runs: people are gathered, sorted, and written chunk by chunk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::csv_row::OptInAt;
use domain::phone::Region;
use serde_json::json;
use store::{
    Arriving, Chunk, ChunkEnd, ConsentText, ImportCounts, ImportEnd, ImportTarget, NewEntry, NewEvidence, NewImport,
};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::gather::Next;
use super::header;
use super::rows::{Begun, Parcel, REASON_COLUMNS};
use super::{Checked, Found, Progress};
use crate::App;
use crate::fault::{Fault, FaultKind, Result};
use crate::host;
use crate::imports::{ImportSummary, RejectedRow, rejects_path};
use crate::ledger::{commitment, tree};
use crate::presence::Presence;

/// People written in one transaction while others wait for the database: some 15 ms of work for SQLite's one writer.
const CHUNK: usize = 2_000;
/// The same while nobody does. Each transaction ends with waiting for the disk.
const CALM_CHUNK: usize = 8_000;
/// After so many transactions for which nobody waited, nobody is expected to.
const CALM: u32 = 16;
/// How often an import shows that it lives.
const BEAT: Duration = Duration::from_secs(2);
/// Texts of consent whose ids are remembered.
const TEXTS: usize = 10_000;
/// A dry run shows so many of the rows that it rejects.
const SHOWN_REJECTS: usize = 50;
/// What is said of a file that is longer than its repeats can be looked for.
const FORGOT: &str = "The file has so many people that repeats far apart from each other were not counted as such: they \
                      are accepted, are one person all the same, and the later row's columns hold.";
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

/// An import that runs.
pub(super) struct Run<'a, P> {
    app: &'a App,
    order: &'a Checked,
    /// Where it goes, once its header is read; stays `None` in a dry run.
    target: Option<ImportTarget>,
    counts: ImportCounts,
    chunks: i64,
    /// The last of them that the database has noted.
    noted: i64,
    /// How often urgent work has waited for a bulk transaction, and how many of ours it has not waited for since.
    calm: (u64, u32),
    /// Repeats were not looked for in the whole file.
    forgot: bool,
    /// Ids of texts of consent.
    texts: HashMap<ConsentText, i64>,
    /// Some of the last chunk's people were known.
    met_known: bool,
    /// Whom the last chunks met with nothing to write, as long as the database does not keep that.
    met: Vec<i64>,
    /// Shows other processes of this machine that the import lives.
    presence: Option<Presence>,
    rejects: Option<Rejects>,
    /// The first rejected rows of a dry run.
    shown: Vec<RejectedRow>,
    /// How the file is read.
    found: Found,
    /// By what its header is known again.
    fingerprint: Option<String>,
    progress: P,
}

struct Rejects {
    path: PathBuf,
    file: File,
}

impl<'a, P: FnMut(&Progress) + Send> Run<'a, P> {
    pub(super) fn new(app: &'a App, order: &'a Checked, progress: P) -> Self {
        Self {
            app,
            order,
            target: None,
            counts: ImportCounts::default(),
            chunks: 0,
            noted: 0,
            calm: (0, 0),
            forgot: false,
            texts: HashMap::new(),
            met_known: true,
            met: Vec::new(),
            presence: None,
            rejects: None,
            shown: Vec::new(),
            found: Found::default(),
            fingerprint: None,
            progress,
        }
    }

    pub(super) fn counts(&self) -> ImportCounts {
        self.counts
    }

    /// Writes what is gathered, until there is no more. On an error the channel closes, and so the gathering, the thread
    /// that reads and the upload end too.
    pub(super) async fn write(&mut self, mut gathered: mpsc::Receiver<Next>) -> Result<()> {
        while let Some(next) = self.hear(&mut gathered).await {
            match next {
                Next::Unusable(reason) => return Err(Fault::invalid(reason)),
                Next::Begin(begun) => self.begin(*begun).await?,
                Next::Batch(batch) => self.write_batch(batch).await?,
            }
        }
        Ok(())
    }

    /// What is to be done next. A file that is slow to come must not let the import look dead.
    async fn hear(&self, gathered: &mut mpsc::Receiver<Next>) -> Option<Next> {
        loop {
            let Some(target) = self.target else { return gathered.recv().await };
            tokio::select! {
                next = gathered.recv() => return next,
                () = self.app.clock.sleep(BEAT) => {
                    // Should it have been given up, or the database be away, the next chunk finds out.
                    if let Err(error) = self.app.store.beat_import(target.import_id).await {
                        tracing::debug!(%error, "an import could not show that it lives");
                    }
                }
            }
        }
    }

    /// The header is good: the import has a number, and its list exists.
    async fn begin(&mut self, begun: Begun) -> Result<()> {
        self.found = begun.found;
        self.fingerprint = begun.fingerprint;
        if self.order.dry_run {
            return Ok(());
        }
        let now = self.app.clock.now_ms();
        let owner = host::owner(&host::new_instance());
        let presence = Presence::show(&self.app.data_dir, &owner.instance).map_err(Fault::internal)?;
        let list_id = self.app.store.ensure_list(self.order.list.as_str(), now).await?;
        let new = NewImport {
            list_id,
            list_name: self.order.list.as_str(),
            file_name: &self.order.file_name,
            actor: self.order.actor.as_str(),
            opt_in_source: &self.order.consent.source,
            opt_in_wording: &self.order.consent.wording,
            opt_in_at: match self.order.reading.opt_in_at {
                OptInAt::Fixed(at) => Some(at),
                OptInAt::Column => None,
            },
            region: self.order.region.as_ref().map(Region::as_str),
            owner: &owner,
            now,
        };
        let Some(import_id) = self.app.store.begin_import(new).await? else {
            return Err(Fault::wrong_state("An import is being undone.")
                .action("Wait until it is, or finish it: `hudhud imports ls` shows which, `hudhud imports undo ID`."));
        };
        self.target = Some(ImportTarget { import_id, list_id });
        self.presence = Some(presence);
        self.note_found().await?;
        let path = rejects_path(&self.app.data_dir, import_id);
        let file = create_private(&path, &begun.rejects).await.map_err(|error| no_rejects(&error))?;
        self.rejects = Some(Rejects { path, file });
        Ok(())
    }

    /// Keeps how the file is read.
    async fn note_found(&self) -> Result<()> {
        let Some(target) = self.target else { return Ok(()) };
        let reading = serde_json::to_string(&self.found).map_err(anyhow::Error::from)?;
        Ok(self.app.store.note_reading(target.import_id, &reading).await?)
    }

    /// Writes a batch. A row counts when what became of it is written.
    async fn write_batch(&mut self, batch: Parcel) -> Result<()> {
        if let Some(rejects) = &mut self.rejects {
            rejects.file.write_all(&batch.rejects).await.map_err(|error| no_rejects(&error))?;
        } else {
            let room = SHOWN_REJECTS.saturating_sub(self.shown.len());
            self.shown.extend(first_rejects(&batch.rejects, room));
        }
        if batch.forgot && !std::mem::replace(&mut self.forgot, true) {
            self.found.remarks.push(FORGOT.to_owned());
            self.note_found().await?;
        }
        let mut rest = &batch.people[..];
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(self.chunk_size().min(rest.len()));
            let mut counts = self.counts;
            counts.accepted += i64::try_from(chunk.len()).unwrap_or(i64::MAX);
            counts.rows = counts.accepted + counts.duplicates + counts.rejected;
            self.keep(chunk, counts).await?;
            rest = later;
        }
        (self.counts.duplicates, self.counts.rejected) = (batch.duplicates, batch.rejected);
        self.counts.rows = self.counts.accepted + self.counts.duplicates + self.counts.rejected;
        if self.counts.rows != batch.rows {
            return Err(Fault::internal(anyhow::anyhow!(
                "{} rows were read, and {} counted",
                batch.rows,
                self.counts.rows
            )));
        }
        self.tell();
        Ok(())
    }

    /// How many people the next transaction takes. On SQLite whatever is urgent waits for it.
    fn chunk_size(&mut self) -> usize {
        let waited = self.app.store.urgent_waits();
        let (before, calm) = self.calm;
        self.calm = (waited, if waited == before { calm.saturating_add(1) } else { 0 });
        if self.calm.1 > CALM { CALM_CHUNK } else { CHUNK }
    }

    fn tell(&mut self) {
        let ImportCounts { rows, accepted, duplicates, rejected, .. } = self.counts;
        (self.progress)(&Progress { rows, accepted, duplicates, rejected });
    }

    async fn keep(&mut self, people: &[Arriving], counts: ImportCounts) -> Result<()> {
        self.chunks += 1;
        let text_ids = if self.order.dry_run { vec![0; people.len()] } else { self.text_ids(people).await? };
        match self.keep_people(people, &text_ids, counts).await? {
            ChunkEnd::Kept { counts, met_known, met, noted } => {
                self.counts = counts;
                self.met_known = met_known;
                self.met = met;
                if noted {
                    self.noted = self.chunks;
                }
                self.tell();
                Ok(())
            }
            ChunkEnd::Interrupted => Err(interrupted()),
            ChunkEnd::Lost => Err(Fault::unavailable(
                "The database was restarted and has lost the last moments of what it had taken in.",
            )
            .action("Import the file again: what is there already is left as it is.")),
            ChunkEnd::ListGone => Err(Fault::new(
                FaultKind::WrongState,
                format!("The list {} was removed while the import ran.", self.order.list),
            )),
        }
    }

    /// The id of each person's text of consent.
    async fn text_ids(&mut self, people: &[Arriving]) -> Result<Vec<i64>> {
        let order = self.order;
        let own = people.iter().filter(|person| person.opt_in_source.is_some() || person.opt_in_wording.is_some());
        let mut wanted: Vec<ConsentText> = own.map(|person| text_of(person, order)).collect();
        wanted.push(order.consent.clone());
        wanted.sort_unstable();
        wanted.dedup();
        if self.texts.len() > TEXTS {
            self.texts.clear();
        }
        wanted.retain(|text| !self.texts.contains_key(text));
        let ids = self.app.store.consent_text_ids(&wanted).await?;
        self.texts.extend(wanted.into_iter().zip(ids));
        let common = self.texts.get(&order.consent).copied();
        let id = |person: &Arriving| match (&person.opt_in_source, &person.opt_in_wording) {
            (None, None) => common,
            _ => self.texts.get(&text_of(person, order)).copied(),
        };
        let ids: Option<Vec<i64>> = people.iter().map(id).collect();
        ids.ok_or_else(|| Fault::internal(anyhow::anyhow!("a text of consent has no id")))
    }

    /// Writes one chunk, waiting for a database that is away. A chunk whose commit was cut off is written again, and
    /// kept once.
    async fn keep_people(&self, people: &[Arriving], text_ids: &[i64], so_far: ImportCounts) -> Result<ChunkEnd> {
        let mut waits = WAITS.iter();
        let mut again = false;
        loop {
            let salt = self.app.vault.random_bytes::<16>()?;
            let chunk = Chunk {
                target: self.target,
                number: self.chunks,
                after: self.noted,
                people,
                text_ids,
                look_first: self.met_known,
                again,
                so_far,
                met: &self.met,
                now: self.app.clock.now_ms(),
            };
            let written = self.app.store.take_in(&chunk, |new| self.evidence(&chunk, new, salt)).await;
            match (written, waits.next()) {
                (Err(error), Some(wait)) if error.is_unavailable() => {
                    tracing::warn!(%error, "an import waits for the database");
                    again = true;
                    self.app.clock.sleep(*wait).await;
                }
                (written, _) => return Ok(written?),
            }
        }
    }

    /// The one ledger entry for a chunk's new evidence: who consented is in the root over their leaves.
    fn evidence(&self, chunk: &Chunk<'_>, new: &[NewEvidence], salt: [u8; 16]) -> NewEntry {
        let people = new.iter().filter_map(|new| chunk.people.get(new.index));
        let leaves = people.map(|person| leaf(person, &text_of(person, self.order)));
        let detail = json!({
            "list": self.order.list.as_str(),
            "file": self.order.file_name,
            "source": self.order.consent.source,
            "wording": self.order.consent.wording,
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

    /// What somebody said of this file's columns holds for the next file with the same header.
    async fn remember_header(&self) -> Result<()> {
        let said = header::to_remember(&self.order.reading.mapping);
        if let (Some(fingerprint), Some(said)) = (&self.fingerprint, said) {
            self.app.store.remember_header_set(fingerprint, &said, self.app.clock.now_ms()).await?;
        }
        Ok(())
    }

    /// Notes how it ended, and says so.
    pub(super) async fn end(mut self, outcome: Result<String>, took: Duration) -> Result<ImportSummary> {
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
                met: &self.met,
                last: self.noted,
                now: self.app.clock.now_ms(),
            };
            let noted = self.app.store.end_import(target.import_id, &end).await;
            if outcome.is_ok() && !noted? {
                outcome = Err(interrupted());
            }
            if outcome.is_ok() {
                self.remember_header().await?;
            }
        }
        let sha256 = match outcome {
            Ok(sha256) => sha256,
            Err(fault) => return Err(self.what_is_kept(fault)),
        };
        let before = self.target.map_or(i64::MAX, |target| target.import_id);
        let same_as = crate::imports::same_as(self.app, &sha256, before).await?;
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
            found: self.found,
            same_as,
            first_rejects: self.shown,
        })
    }

    fn what_is_kept(&self, fault: Fault) -> Fault {
        match self.target {
            None => fault,
            Some(target) => fault.kept(format!(
                "Import {}: {} people of the first {} rows are kept, with their consent; importing the file again \
                 changes nothing twice.",
                target.import_id, self.counts.accepted, self.counts.rows
            )),
        }
    }
}

/// Where this person's consent comes from, in which words: their row's own, else the import's.
fn text_of(person: &Arriving, order: &Checked) -> ConsentText {
    ConsentText {
        source: person.opt_in_source.as_ref().unwrap_or(&order.consent.source).clone(),
        wording: person.opt_in_wording.as_ref().unwrap_or(&order.consent.wording).clone(),
    }
}

/// The leaf of one person's consent: of their number, or of their user id where they have none.
fn leaf(person: &Arriving, text: &ConsentText) -> tree::Hash {
    match (person.phone_key, &person.user_id) {
        (None, Some(user_id)) => tree::leaf_by_user_id(&person.salt, user_id, person.opt_in_at, text),
        (phone_key, _) => tree::leaf(&person.salt, phone_key.unwrap_or_default(), person.opt_in_at, text),
    }
}

fn interrupted() -> Fault {
    Fault::wrong_state("The import was silent for so long that it was taken for interrupted.")
        .action("Import the file again: what is there already is left as it is.")
}

/// Up to `most` lines of a file of rejects: their last five columns say which row it was, and why.
fn first_rejects(lines: &[u8], most: usize) -> Vec<RejectedRow> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(lines);
    let rows = reader.records().take(most).filter_map(|record| {
        let record = record.ok()?;
        let reasons = record.len().checked_sub(REASON_COLUMNS.len())?;
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
