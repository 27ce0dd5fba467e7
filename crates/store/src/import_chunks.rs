//! People, as imports bring them: in chunks of a few thousand, each one short transaction.
//!
//! Three kinds of people are in a chunk. Those who are new are written without looking: a unique key that is there
//! already ends the transaction, and only then is asked who is known. Of those who are known, only what differs is
//! written. A file that comes again is read, compared and left alone.

mod fresh;
mod known;
mod user_ids;

use std::collections::HashSet;

use crate::db::{Link, Priority, Store, on};
use crate::erasures;
use crate::error::{Error, Result};
use crate::imports::{ImportCounts, Noted};
use crate::ledger::{self, NewEntry};
use crate::met;

use known::Survey;

/// How often a chunk is tried anew when others write of the same people at the same time.
const TRIES: usize = 8;
/// Chunks of which everything was there already write down how far the import came only so often.
const QUIET: i64 = 8;

/// A person as an import brings them.
#[derive(Clone, PartialEq, Eq)]
pub struct Arriving {
    /// The number's canonical key, one for all national variants. `None` for somebody known by a user id only.
    pub phone_key: Option<i64>,
    /// The number as dialled, digits without the plus sign; there whenever its key is.
    pub phone: Option<i64>,
    /// The business-scoped user id (`EG.1349…`). There if the number is not.
    pub user_id: Option<String>,
    /// `None` keeps the name that is there.
    pub name: Option<String>,
    /// `None` keeps the language that is there.
    pub language: Option<String>,
    /// A JSON object of texts. Merged into what is there; the newer text of a column wins.
    pub attributes: String,
    /// When they consented, epoch ms.
    pub opt_in_at: i64,
    /// Where this person's consent comes from, where the file has a column for it; `None`: as the whole import's.
    pub opt_in_source: Option<String>,
    /// The words that this person agreed to, where the file has a column for them; `None`: as the whole import's.
    pub opt_in_wording: Option<String>,
    /// Makes this piece of evidence's leaf unguessable; erased with the person's data.
    pub salt: [u8; 16],
}

impl Arriving {
    /// Their place in a chunk: people without a number first, then by number.
    #[must_use]
    pub fn place(&self) -> (Option<i64>, Option<&str>) {
        (self.phone_key, self.user_id.as_deref().filter(|_| self.phone_key.is_none()))
    }
}

impl std::fmt::Debug for Arriving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No number, no name: this may end up in a log line.
        f.debug_struct("Arriving").field("opt_in_at", &self.opt_in_at).finish_non_exhaustive()
    }
}

/// Where a consent comes from, and in which words it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsentText {
    /// The source.
    pub source: String,
    /// The words; empty when nobody kept them.
    pub wording: String,
}

/// A chunk of an import.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// The import and its list; `None` for a dry run, of which nothing is kept.
    pub target: Option<ImportTarget>,
    /// Counts from 1 within the import.
    pub number: i64,
    /// The number of the last chunk before it that was noted ([`ChunkEnd::Kept::noted`]); 0: none was.
    pub after: i64,
    /// The people, in the order of [`Arriving::place`]. Each phone key and each user id at most once.
    pub people: &'a [Arriving],
    /// The id of each one's [`ConsentText`], from [`Store::consent_text_ids`]; of no meaning in a dry run.
    pub text_ids: &'a [i64],
    /// Look first who of them is known. Right in any case, and quicker where some are.
    pub look_first: bool,
    /// It was given before, and whether it was kept then is not known.
    pub again: bool,
    /// The counts of the chunks before, and of all rows read so far. What this chunk creates and updates is added to
    /// them in the same transaction.
    pub so_far: ImportCounts,
    /// Whom the chunks before met, as the last one said, and what is not kept of that yet.
    pub met: &'a [i64],
    /// Epoch ms.
    pub now: i64,
}

/// Where an import goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportTarget {
    /// The import.
    pub import_id: i64,
    /// Its list.
    pub list_id: i64,
}

/// What a chunk did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkEnd {
    /// It is kept (or, in a dry run, would be).
    Kept {
        /// The import's counts with this chunk.
        counts: ImportCounts,
        /// Some of its people were known before.
        met_known: bool,
        /// People of this chunk and of those before of whom nothing was written, as long as that is not kept: for the
        /// next chunk, or the import's end.
        met: Vec<i64>,
        /// How far the import came is noted with it: the chunks so far are kept as soon as one that follows is durable.
        noted: bool,
    },
    /// What was kept of chunks before is not there any more, since the database was restarted before it was durable.
    /// Nothing of the chunk is kept.
    Lost,
    /// The list was removed meanwhile. Nothing of the chunk is kept.
    ListGone,
    /// The import is not running any more: its process was taken for dead. Nothing of the chunk is kept.
    Interrupted,
}

/// One person's new piece of evidence in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewEvidence {
    /// Which of the chunk's people, from 0.
    pub index: usize,
    /// Our id of the person.
    pub contact_id: i64,
}

/// What writing a chunk found beyond what was looked up before.
#[derive(Default)]
struct Extra {
    /// Known people who were changed.
    updated: i64,
    /// People without a number who were known.
    known: i64,
    /// Of all people with a user id: opted out, and not counted by the survey.
    suppressed: i64,
    /// Known people without a number of whom nothing is to be written.
    met: Vec<i64>,
    /// People without a number who are not on the list.
    joining: Vec<i64>,
    /// And those the evidence of whose consent is not there.
    evidence: Vec<NewEvidence>,
}

impl Store {
    /// Takes in a chunk of an import: people, their membership of the list, the evidence of their consent, and the
    /// counts of the import, all or nothing. On PostgreSQL it may be lost again by a crash of the server until something
    /// that is durable follows, at the latest the import's end; the next chunk then says that it was. When the chunk brings evidence that was not there, `entry` makes the one
    /// ledger entry for it, within the same transaction.
    ///
    /// # Errors
    /// As every write. The same chunk may be given again: it is kept once.
    pub async fn take_in(&self, chunk: &Chunk<'_>, entry: impl Fn(&[NewEvidence]) -> NewEntry) -> Result<ChunkEnd> {
        for _ in 0..TRIES {
            let (mark, erased) = self.erased_among(chunk.people).await?;
            let taken = match erased.iter().any(|erased| *erased) {
                false => self.take_in_of(chunk, mark, &entry).await,
                true => self.take_in_without(chunk, mark, &erased, &entry).await,
            };
            // Somebody was erased between the look and the write: it is looked again.
            match taken? {
                Some(end) => return Ok(end),
                None => continue,
            }
        }
        Err(Error::Unavailable { reason: "people are erased all the time".into(), source: None })
    }

    /// Takes in whoever of a chunk was not erased. Of the others nothing is written; they count as known, unchanged and
    /// suppressed.
    async fn take_in_without(
        &self,
        chunk: &Chunk<'_>,
        mark: i64,
        erased: &[bool],
        entry: &impl Fn(&[NewEvidence]) -> NewEntry,
    ) -> Result<Option<ChunkEnd>> {
        let left: Vec<usize> = (0..chunk.people.len()).filter(|index| !erased[*index]).collect();
        let people: Vec<Arriving> = left.iter().map(|index| chunk.people[*index].clone()).collect();
        let text_ids: Vec<i64> = left.iter().filter_map(|index| chunk.text_ids.get(*index).copied()).collect();
        let mut so_far = chunk.so_far;
        let gone = i64::try_from(chunk.people.len() - left.len()).unwrap_or(i64::MAX);
        so_far.suppressed += gone;
        so_far.unchanged += gone;
        let rest = Chunk { people: &people, text_ids: &text_ids, so_far, ..*chunk };
        let as_given = |evidence: &[NewEvidence]| {
            let place = |one: &NewEvidence| NewEvidence { index: left[one.index], ..*one };
            entry(&evidence.iter().map(place).collect::<Vec<_>>())
        };
        self.take_in_of(&rest, mark, &as_given).await
    }

    /// How many erasures there were, and who of these people was erased.
    async fn erased_among(&self, people: &[Arriving]) -> Result<(i64, Vec<bool>)> {
        let mut link = self.read().await?;
        let mark: i64 = on!(&mut link, c => sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM erasures")
            .fetch_one(c).await)?;
        let Some(blind) = self.blind.get().filter(|_| mark > 0) else { return Ok((mark, Vec::new())) };
        let keys: Vec<Option<i64>> = people.iter().map(|person| Some(blind.phone(person.phone_key?))).collect();
        let names: Vec<Option<String>> =
            people.iter().map(|person| Some(blind.name(user_ids::KIND, person.user_id.as_deref()?))).collect();
        let by_key = link.pick(
            "SELECT phone_key FROM contacts WHERE phone_key IN (SELECT value FROM json_each($1))",
            "SELECT phone_key FROM contacts
             WHERE phone_key = ANY (ARRAY(SELECT (jsonb_array_elements_text($1::jsonb))::bigint))",
        );
        let by_name = link.pick(
            "SELECT value FROM identities WHERE kind = 2 AND value IN (SELECT value FROM json_each($1))",
            "SELECT value FROM identities WHERE kind = 2 AND value = ANY (ARRAY(SELECT jsonb_array_elements_text($1::jsonb)))",
        );
        let json = serde_json::to_string(&keys.iter().flatten().collect::<Vec<_>>())?;
        let found: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(by_key).bind(json).fetch_all(c).await)?;
        let json = serde_json::to_string(&names.iter().flatten().collect::<Vec<_>>())?;
        let named: Vec<String> = on!(&mut link, c => sqlx::query_scalar(by_name).bind(json).fetch_all(c).await)?;
        let (found, named): (HashSet<i64>, HashSet<String>) =
            (found.into_iter().collect(), named.into_iter().collect());
        let is_erased = |(key, name): (Option<i64>, Option<String>)| {
            key.is_some_and(|key| found.contains(&key)) || name.is_some_and(|name| named.contains(&name))
        };
        Ok((mark, keys.into_iter().zip(names).map(is_erased).collect()))
    }

    /// As [`Store::take_in`], where nobody of the chunk was erased by the mark. `None`, and nothing done: somebody was
    /// since.
    async fn take_in_of(
        &self,
        chunk: &Chunk<'_>,
        mark: i64,
        entry: &impl Fn(&[NewEvidence]) -> NewEntry,
    ) -> Result<Option<ChunkEnd>> {
        let by_user_id = chunk.people.iter().any(|person| person.user_id.is_some());
        if chunk.target.is_none() && !by_user_id {
            return Ok(Some(self.survey(chunk).await?.would_end(chunk)));
        }
        // Without a target everything is tried, and taken back.
        let mut look = chunk.look_first || chunk.target.is_none();
        for _ in 0..TRIES {
            let survey = if look { self.survey(chunk).await? } else { Survey::default() };
            if survey.needs_nothing(chunk) && !by_user_id && !chunk.again && chunk.number % QUIET != 0 {
                return Ok(Some(survey.end(chunk, &Extra::default(), Some([chunk.met, survey.met()].concat()))));
            }
            match self.write_chunk(chunk, mark, &survey, entry).await {
                // Somebody of the chunk is known, or somebody else has just written the same.
                Err(Error::Conflict(_)) => look = true,
                done => return done,
            }
        }
        Err(Error::Unavailable { reason: "others write of the same people all the time".into(), source: None })
    }

    async fn write_chunk(
        &self,
        chunk: &Chunk<'_>,
        mark: i64,
        survey: &Survey,
        entry: &impl Fn(&[NewEvidence]) -> NewEntry,
    ) -> Result<Option<ChunkEnd>> {
        let mut tx = self.write(Priority::Bulk).await?;
        if erasures::mark(&mut tx).await? != mark {
            return Ok(None);
        }
        if let Link::Postgres(held) = &mut tx {
            // Waiting for the disk at each chunk's end takes a seventh of an import. Whatever commits after it and does
            // wait makes it durable, too: a campaign that sends to these people, the ledger's seal, the import's end.
            sqlx::query("SET LOCAL synchronous_commit = off").execute(&mut **held).await?;
        }
        if let Some(target) = chunk.target
            && !hold_list(&mut tx, target.list_id).await?
        {
            return Ok(Some(ChunkEnd::ListGone));
        }
        let mut extra = Extra { updated: known::update(&mut tx, chunk, survey).await?, ..Extra::default() };
        let new = survey.unknown(chunk);
        let ids = fresh::people(&mut tx, chunk, &new).await?;
        // New people have greater ids than whoever was known, so that both follow each other in order.
        let mut joining: Vec<i64> = survey.strangers_to_the_list().collect();
        let mut evidence: Vec<NewEvidence> = survey.without_evidence().collect();
        joining.sort_unstable();
        joining.extend(&ids);
        evidence.sort_unstable_by_key(|one| one.contact_id);
        let created = new.iter().zip(&ids).map(|(&index, &contact_id)| NewEvidence { index, contact_id });
        evidence.extend(created);
        user_ids::take_in(&mut tx, chunk, survey, &new, &ids, &mut extra).await?;
        joining.append(&mut extra.joining);
        evidence.append(&mut extra.evidence);
        let end = survey.end(chunk, &extra, None);
        let (Some(target), ChunkEnd::Kept { counts, .. }) = (chunk.target, &end) else { return Ok(Some(end)) };
        fresh::members(&mut tx, target, &joining, chunk.now).await?;
        fresh::evidence(&mut tx, chunk, target, &evidence).await?;
        if !evidence.is_empty() {
            ledger::append(&mut tx, &entry(&evidence)).await?;
        }
        match counts.note(&mut tx, target.import_id, chunk.number, chunk.after).await? {
            Noted::Now => {
                let people = [chunk.met, survey.met(), &extra.met].concat();
                met::keep(&mut tx, target.import_id, chunk.number, &people).await?;
                tx.commit().await?;
                Ok(Some(end))
            }
            Noted::Before(counts) => Ok(Some(ChunkEnd::Kept { counts, met_known: true, met: Vec::new(), noted: true })),
            Noted::Lost => Ok(Some(ChunkEnd::Lost)),
            Noted::NotRunning => Ok(Some(ChunkEnd::Interrupted)),
        }
    }

    /// The ids of such texts, which are made where they are not there yet; in the order of the texts.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn consent_text_ids(&self, texts: &[ConsentText]) -> Result<Vec<i64>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let pairs: Vec<(&str, &str)> = texts.iter().map(|text| (&*text.source, &*text.wording)).collect();
        let json = serde_json::to_string(&pairs)?;
        if let Some(ids) = whole(&text_ids(&mut self.read().await?, &json).await?, texts.len()) {
            return Ok(ids);
        }
        let mut tx = self.write(Priority::Bulk).await?;
        let sql = tx.pick(
            "INSERT INTO consent_texts (source, wording) SELECT DISTINCT value ->> 0, value ->> 1 FROM json_each($1)
             WHERE true ON CONFLICT (source, wording) DO NOTHING",
            "INSERT INTO consent_texts (source, wording) SELECT DISTINCT v ->> 0 AS s, v ->> 1 AS w
             FROM jsonb_array_elements($1::jsonb) AS e(v) ORDER BY s, w ON CONFLICT (source, wording) DO NOTHING",
        );
        on!(&mut tx, c => sqlx::query(sql).bind(&json).execute(c).await.map(drop))?;
        tx.commit().await?;
        let ids = text_ids(&mut self.read().await?, &json).await?;
        whole(&ids, texts.len()).ok_or_else(|| Error::bug("a text of consent is gone as soon as it was written"))
    }
}

/// The ids if every one was found.
fn whole(found: &[Option<i64>], wanted: usize) -> Option<Vec<i64>> {
    found.iter().copied().collect::<Option<Vec<_>>>().filter(|ids| ids.len() == wanted)
}

async fn text_ids(link: &mut Link, json: &str) -> Result<Vec<Option<i64>>> {
    let sql = link.pick(
        "SELECT (SELECT id FROM consent_texts t WHERE t.source = j.value ->> 0 AND t.wording = j.value ->> 1)
         FROM json_each($1) AS j ORDER BY j.key",
        "SELECT (SELECT id FROM consent_texts t WHERE t.source = v ->> 0 AND t.wording = v ->> 1)
         FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS e(v, o) ORDER BY o",
    );
    Ok(on!(link, c => sqlx::query_scalar(sql).bind(json).fetch_all(c).await)?)
}

/// Keeps the list from being removed until the transaction ends. `false` when it is gone already.
async fn hold_list(tx: &mut Link, list_id: i64) -> Result<bool> {
    let sql = tx.pick("SELECT id FROM lists WHERE id = $1", "SELECT id FROM lists WHERE id = $1 FOR KEY SHARE");
    let found: Option<i64> = on!(tx, c => sqlx::query_scalar(sql).bind(list_id).fetch_optional(c).await)?;
    Ok(found.is_some())
}

#[cfg(test)]
pub(crate) mod tests;
