//! Import: a file of people becomes contacts on a list, with the evidence of their consent, or reasoned rejects.
//!
//! Four run side by side: `upload` hands the bytes over as they come, `rows` (on a thread of its own) frames and reads
//! them, `gather` puts people into the order of their numbers, and `run` writes them in chunks, each in one short transaction with its evidence. Memory does not grow with the file but for what `seen` remembers to find
//! repeats, and that is bounded.

mod archive;
mod encoding;
mod found;
mod gather;
mod header;
mod lines;
mod recall;
mod rows;
mod run;
mod seen;
mod sheet;
mod source;
#[cfg(any(test, feature = "fuzzing"))]
pub mod survey;
mod table;
mod upload;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use domain::Millis;
use domain::csv_row::{Field, LONGEST_SOURCE, OptInAt, TimeRules};
use domain::names::ListName;
use domain::phone::Region;
use store::ConsentText;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;

use crate::fault::{Fault, Result};
use crate::imports::ImportSummary;
use crate::{Actor, App};

pub use found::Found;
pub use recall::recalled;

use rows::Reading;
use run::Run;
use upload::Fed;

/// The longest wording of a consent, in characters.
const LONGEST_WORDING: usize = 2_000;

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
    /// The words in which they were asked; empty when they are not known.
    pub opt_in_wording: String,
    /// When they consented. Required.
    pub opt_in_at: Option<OptInTime>,
    /// The file's encoding by its WHATWG label; `None`: found out.
    pub encoding: Option<String>,
    /// What separates the cells: one character, or `comma`, `semicolon`, `tab`; `None`: found out.
    pub delimiter: Option<String>,
    /// What else is known of the file.
    pub hints: Hints,
    /// Count, and keep nothing.
    pub dry_run: bool,
    /// Who imports.
    pub actor: Actor,
}

/// What a person knows of a file that the file does not tell. All of it is optional.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// The sheet of a spreadsheet; `None`: the first that holds a table.
    pub sheet: Option<String>,
    /// Whether the first row names the columns; `None`: found out.
    pub header: Option<bool>,
    /// Which of `03/04/2026` is the day: `dmy` or `mdy`; `None`: such a date is refused.
    pub date_order: Option<String>,
    /// Whose wall clock shows the times without an offset, as `Africa/Cairo`; `None`: UTC.
    pub time_zone: Option<String>,
    /// The language of the rejects' reasons, `en`, `ar` or `es`; `None`: English.
    pub lang: Option<String>,
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
    consent: ConsentText,
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
        let wording = order.opt_in_wording.trim();
        let unprintable = |c: char| c.is_control() && c != '\n';
        if wording.chars().count() > LONGEST_WORDING || wording.contains(unprintable) {
            return Err(Fault::invalid(format!(
                "The wording of the opt-in must be plain text of at most {LONGEST_WORDING} characters."
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
            reading: Reading {
                mapping,
                remembered: HashMap::new(),
                region,
                opt_in_at,
                times: TimeRules {
                    order: read_hint("date order", order.hints.date_order.as_deref())?,
                    zone: match order.hints.time_zone.as_deref() {
                        Some(zone) => Some(zone.trim().parse().map_err(|_| unknown_zone(zone))?),
                        None => None,
                    },
                },
                now,
                delimiter: order.delimiter.as_deref().map(rows::delimiter_of).transpose()?,
                encoding: order.encoding.as_deref().map(encoding::encoding_of).transpose()?,
                header: order.hints.header,
                sheet: order.hints.sheet,
                tongue: read_hint("language", order.hints.lang.as_deref())?.unwrap_or_default(),
                spool: PathBuf::new(),
            },
            consent: ConsentText { source: source.to_owned(), wording: wording.to_owned() },
            actor: order.actor,
            dry_run: order.dry_run,
        })
    }
}

fn read_hint<T>(what: &str, text: Option<&str>) -> Result<Option<T>>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.map(str::parse).transpose().map_err(|error: T::Err| Fault::invalid(format!("The {what}: {error}.")))
}

fn unknown_zone(zone: &str) -> Fault {
    Fault::invalid(format!("There is no time zone {zone:?}."))
        .action("Write it as Africa/Cairo or America/Mexico_City.")
}

/// Imports a file as it comes in. Good rows are never lost to bad ones; the bad ones go into a file of their own. The
/// same file again creates and updates nothing. `progress` hears of every chunk.
///
/// The caller should let this run to its end in a task of its own: dropped half way, the chunks so far stay, and the
/// import is `interrupted` when the scheduler has seen it stand still.
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
    let mut checked = Checked::new(order, app.clock.now_ms())?;
    let sets = app.store.header_sets().await?;
    checked.reading.remembered = sets.into_iter().map(|(print, text)| (print, header::remembered(&text))).collect();
    checked.reading.spool.clone_from(&app.data_dir);
    let began = app.clock.boot_us();
    let (blocks_in, blocks) = mpsc::channel(4);
    // So that the one core goes on reading while the other sorts.
    let (said_in, said) = mpsc::channel(8);
    let (gathered_in, gathered) = mpsc::channel(1);
    let reading = checked.reading.clone();
    let reader_thread = tokio::task::spawn_blocking(move || rows::read(upload::Pipe::new(blocks), &reading, &said_in));
    let mut run = Run::new(app, &checked, progress);
    let (fed, (), written) =
        tokio::join!(upload::feed(&mut reader, blocks_in), gather::gather(said, gathered_in), run.write(gathered));
    let read = reader_thread.await.map_err(anyhow::Error::from)?;
    let outcome = match (written, fed) {
        (Err(fault), _) => Err(fault),
        (Ok(()), Fed::BrokeOff(error)) => {
            Err(Fault::unavailable(format!("The file broke off after {} rows: {error}.", run.counts().rows))
                .action("Import the whole file again: what is there already is left as it is."))
        }
        (Ok(()), Fed::Whole(sha256)) => read.map(|()| sha256).map_err(Fault::internal),
    };
    let took = Duration::from_micros(app.clock.boot_us().saturating_sub(began));
    run.end(outcome, took).await
}

#[cfg(test)]
pub(crate) mod tests;
