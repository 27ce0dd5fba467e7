//! Erasing a person: what is theirs goes from every table, in one transaction; what must stay (that somebody consented,
//! was written to, said stop) stays without them.
//!
//! Their row in `contacts` becomes a shell whose key is a keyed hash ([`crate::blind`]), with a block that nobody's word
//! lifts. Entries of the ledger lose detail and salt, and keep the commitment that the chain holds.

use crate::db::{Db, Link, Priority, Store, on};
use crate::error::{Error, Result};
use crate::import_undo::EvidenceRow;
use crate::inbound;
use crate::ledger::{self, NewEntry};
use crate::suppressions::one_at_a_time;
use crate::wamids;

/// `meta.key` of which key the hashes are made with.
const KEY_ID: &str = "erasure_key_id";
/// `meta.key` of what free pages are filled with: see [`Store::scrub`].
const FILLING: &str = "scrubbing";
/// Free pages filled in one transaction.
const PAGES: i64 = 500;
/// Entries of the ledger looked through at once.
const ENTRIES: i64 = 5_000;
/// How often the log is tried to be emptied, and the pause before the next try.
const TRIES: usize = 20;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(25);
/// Late-comers are looked for so long after an erasure: Meta repeats webhooks for seven days. Milliseconds.
const LATE: i64 = 31 * 24 * 3_600_000;

/// Who is to be erased.
#[derive(Clone, Debug)]
pub struct Erasure<'a> {
    /// Their rows: [`Store::people_named`].
    pub contact_ids: &'a [i64],
    /// What they may be called in texts: numbers as digits in every national form, user ids. Whatever holds one of
    /// these is theirs.
    pub names: &'a [String],
    /// When, epoch ms.
    pub at: i64,
    /// By whom.
    pub actor: &'a str,
    /// The ledger's entry of it, which must not name the person.
    pub evidence: NewEntry,
}

/// What went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Memberships of lists.
    pub memberships: u64,
    /// Messages of theirs.
    pub replies: u64,
    /// Sends that lost Meta's id of their message, which may hold the number.
    pub sends: u64,
    /// Pieces of evidence of consent that are hashes from now on.
    pub consents: u64,
    /// Entries of the ledger that lost their detail.
    pub entries: u64,
    /// Other rows: values of single messages, reviews, changes of imports, parked statuses, answers kept for repetitions,
    /// unreadable webhooks.
    pub others: u64,
}

/// An erasure as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErasureRow {
    /// The shell.
    pub contact_id: i64,
    /// When, epoch ms.
    pub at: i64,
}

from_row!(ErasureRow { contact_id, at });

/// Whether the database's own file still holds what was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scrubbed {
    /// It was read through and does not.
    Clean,
    /// Something held pages of the file; it is looked at again later.
    Later,
    /// A server's files are not ours to read: it overwrites what is dead as it vacuums.
    NotOurs,
}

impl Store {
    /// Which key the hashes of the people erased so far were made with; `None` before the first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn erasure_key_id(&self) -> Result<Option<String>> {
        self.meta(KEY_ID).await
    }

    /// The id of the key that this handle makes hashes with.
    #[must_use]
    pub fn own_erasure_key_id(&self) -> Option<String> {
        Some(self.blind.get()?.key_id())
    }

    /// Erases a person. Before it they must be suppressed, and whatever was claimed for them must have left or lapsed.
    /// `leaf` makes the hash that stands for a consent in its import's tree.
    ///
    /// # Errors
    /// As every write; [`Error::Bug`] where no key was set.
    pub async fn erase(&self, erasure: &Erasure<'_>, leaf: impl Fn(&EvidenceRow) -> Option<Vec<u8>>) -> Result<Erased> {
        let blind = self.blind.get().ok_or_else(|| Error::bug("no key for the hashes of erased people"))?;
        // Looked up before the writer is taken: it may be long.
        let entries = self.entries_naming(erasure.names).await?;
        let mut tx = self.write(Priority::Urgent).await?;
        one_at_a_time(&mut tx).await?;
        no_import_meanwhile(&mut tx).await?;
        let mut erased = Erased::default();
        for &contact_id in erasure.contact_ids {
            let of: Option<Option<i64>> = on!(&mut tx, c => sqlx::query_scalar("SELECT phone_key FROM contacts WHERE id = $1")
                    .bind(contact_id).fetch_optional(c).await)?;
            let Some(phone_key) = of else { continue };
            if phone_key.is_some_and(|key| key < 0) {
                continue;
            }
            erased.consents += seal_consents(&mut tx, contact_id, &leaf).await?;
            let shell = phone_key.map_or_else(|| blind.nobody(contact_id), |key| blind.phone(key));
            on!(&mut tx, c => sqlx::query(
                "UPDATE contacts SET phone_key = $2, phone = NULL, name = NULL, language = NULL, attributes = '{}',
                                     import_id = NULL, updated_at = $3 WHERE id = $1")
                .bind(contact_id).bind(shell).bind(erasure.at).execute(c).await.map(drop))?;
            let names: Vec<(i16, String)> = on!(&mut tx, c => sqlx::query_as(
                "SELECT kind, value FROM identities WHERE contact_id = $1").bind(contact_id).fetch_all(c).await)?;
            for (kind, value) in names {
                on!(&mut tx, c => sqlx::query("UPDATE identities SET value = $3 WHERE kind = $1 AND value = $2")
                    .bind(kind).bind(&value).bind(blind.name(kind, &value)).execute(c).await.map(drop))?;
            }
            on!(&mut tx, c => sqlx::query(
                "INSERT INTO erasures (contact_id, at, actor, swept_at) VALUES ($1, $2, $3, $2)
                 ON CONFLICT (contact_id) DO NOTHING")
                .bind(contact_id).bind(erasure.at).bind(erasure.actor).execute(c).await.map(drop))?;
            sweep_within(&mut tx, contact_id, &mut erased).await?;
            let entry = NewEntry { contact_id: Some(contact_id), ..erasure.evidence.clone() };
            let id = ledger::append(&mut tx, &entry).await?;
            // The widest block takes the place of all; how long it has stood stays.
            on!(&mut tx, c => sqlx::query(
                "INSERT INTO suppressions (contact_id, scope, since, source, evidence_id)
                 VALUES ($1, 'all', coalesce((SELECT min(since) FROM suppressions WHERE contact_id = $1), $2), 'erasure', $3)
                 ON CONFLICT (contact_id, scope) DO UPDATE SET
                 since = excluded.since, source = 'erasure', campaign_id = NULL, evidence_id = excluded.evidence_id")
                .bind(contact_id).bind(erasure.at).bind(id).execute(c).await.map(drop))?;
            on!(&mut tx, c => sqlx::query("DELETE FROM suppressions WHERE contact_id = $1 AND scope <> 'all'")
                .bind(contact_id).execute(c).await.map(drop))?;
        }
        for name in erasure.names {
            erased.others += forget_name(&mut tx, name).await?;
        }
        erased.entries += blank(&mut tx, &entries).await?;
        on!(&mut tx, c => sqlx::query(
            "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING")
            .bind(KEY_ID).bind(blind.key_id()).execute(c).await.map(drop))?;
        tx.commit().await?;
        Ok(erased)
    }

    /// Erasures whose late-comers were last looked for before a time: up to so many. The older an erasure, the less
    /// often it is looked at again.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn erasures_to_sweep(&self, before: i64, now: i64, limit: i64) -> Result<Vec<ErasureRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT contact_id, at FROM erasures WHERE swept_at < $1 AND at > $2
               AND swept_at < $3 - ($3 - at) / 10 ORDER BY id LIMIT $4")
            .bind(before).bind(now - LATE).bind(now).bind(limit).fetch_all(c).await)?)
    }

    /// Takes away what came in about an erased person since: the answer to a message that was on its way, a webhook that
    /// was repeated. How many rows that was.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn sweep_erased(&self, contact_id: i64, now: i64) -> Result<u64> {
        let mut tx = self.write(Priority::Bulk).await?;
        let mut erased = Erased::default();
        sweep_within(&mut tx, contact_id, &mut erased).await?;
        on!(&mut tx, c => sqlx::query("UPDATE erasures SET swept_at = $2 WHERE contact_id = $1")
            .bind(contact_id).bind(now).execute(c).await.map(drop))?;
        tx.commit().await?;
        Ok(erased.memberships + erased.replies + erased.sends + erased.entries + erased.others)
    }

    /// The ledger's entries whose detail holds one of these names, whomever they are about.
    async fn entries_naming(&self, names: &[String]) -> Result<Vec<i64>> {
        let mut found = Vec::new();
        let mut after = 0_i64;
        loop {
            let mut link = self.read().await?;
            let page: Vec<(i64, String)> = on!(&mut link, c => sqlx::query_as(
                "SELECT id, detail FROM ledger WHERE id > $1 ORDER BY id LIMIT $2")
                .bind(after).bind(ENTRIES).fetch_all(c).await)?;
            drop(link);
            let Some((last, _)) = page.last() else { return Ok(found) };
            after = *last;
            let theirs = |detail: &str| names.iter().any(|name| detail.contains(name.as_str()));
            found.extend(page.iter().filter(|(_, detail)| theirs(detail)).map(|(id, _)| *id));
        }
    }

    /// Overwrites what an erasure left in the file of an embedded database: its free pages, the log beside it, and
    /// whatever a page that was split still holds behind its rows. The file is read through afterwards for these byte
    /// strings; only if one is found (seldom) is the whole file rebuilt, which holds up every write for as long as that
    /// takes.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn scrub(&self, needles: Vec<Vec<u8>>) -> Result<Scrubbed> {
        let Db::Sqlite { write, turns, .. } = &self.db else { return Ok(Scrubbed::NotOurs) };
        self.fill_free_pages().await?;
        for rebuild in [false, true] {
            let _turn = turns.take(Priority::Bulk).await;
            let mut connection = write.acquire().await?;
            if rebuild {
                sqlx::query("VACUUM").execute(&mut *connection).await?;
            }
            let mut busy = 1_i64;
            // Whoever reads just now, or copies the log back, is soon done.
            for _ in 0..TRIES {
                (busy, _, _) = sqlx::query_as::<_, (i64, i64, i64)>("PRAGMA wal_checkpoint(TRUNCATE)")
                    .fetch_one(&mut *connection)
                    .await?;
                if busy == 0 {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
            let (_, _, file): (i64, String, String) =
                sqlx::query_as("PRAGMA database_list").fetch_one(&mut *connection).await?;
            drop(connection);
            let needles = needles.clone();
            let looked = tokio::task::spawn_blocking(move || holds_any(&file, &needles)).await;
            match looked {
                Ok(Ok(false)) if busy == 0 => return Ok(Scrubbed::Clean),
                Ok(Ok(false)) => return Ok(Scrubbed::Later),
                Ok(Ok(true)) => {}
                Ok(Err(_)) | Err(_) => return Ok(Scrubbed::Later),
            }
        }
        Ok(Scrubbed::Later)
    }

    /// Takes the free pages into use with nothing in them, a few at a time, and gives them back.
    async fn fill_free_pages(&self) -> Result<()> {
        let mut rows = 0_i64;
        loop {
            let mut tx = self.write(Priority::Bulk).await?;
            let Link::Sqlite(held, _) = &mut tx else { return Ok(()) };
            let free: i64 = sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&mut **held).await?;
            if free == 0 {
                break;
            }
            let size: i64 = sqlx::query_scalar("PRAGMA page_size").fetch_one(&mut **held).await?;
            rows += 1;
            sqlx::query("INSERT INTO meta (key, value) VALUES ($1, zeroblob($2))")
                .bind(format!("{FILLING}.{rows}"))
                .bind(size * free.min(PAGES))
                .execute(&mut **held)
                .await?;
            tx.commit().await?;
        }
        for row in 1..=rows {
            let mut tx = self.write(Priority::Bulk).await?;
            on!(&mut tx, c => sqlx::query("DELETE FROM meta WHERE key = $1")
                .bind(format!("{FILLING}.{row}")).execute(c).await.map(drop))?;
            tx.commit().await?;
        }
        Ok(())
    }
}

/// Whether a file, or the log beside it, holds one of these byte strings.
fn holds_any(file: &str, needles: &[Vec<u8>]) -> std::io::Result<bool> {
    use std::io::Read;
    let longest = needles.iter().map(Vec::len).max().unwrap_or(0);
    for path in [file.to_owned(), format!("{file}-wal")] {
        let Ok(mut reader) = std::fs::File::open(&path) else { continue };
        let mut window = Vec::with_capacity((1 << 20) + longest);
        loop {
            let kept = window.len().min(longest);
            window.drain(..window.len() - kept);
            let mut chunk = vec![0; 1 << 20];
            let read = reader.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            window.extend_from_slice(&chunk[..read]);
            if needles.iter().any(|needle| memchr::memmem::find(&window, needle).is_some()) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Keeps chunks of imports out until the transaction ends (PostgreSQL): each asks who was erased before it writes.
async fn no_import_meanwhile(tx: &mut Link) -> Result<()> {
    if let Link::Postgres(held) = tx {
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('hudhud: erasures', 0))")
            .execute(&mut **held)
            .await?;
    }
    Ok(())
}

/// How many erasures there were, in the sense that it changes with each. Holds off further ones until the transaction
/// ends.
pub(crate) async fn mark(tx: &mut Link) -> Result<i64> {
    if let Link::Postgres(held) = tx {
        sqlx::query("SELECT pg_advisory_xact_lock_shared(hashtextextended('hudhud: erasures', 0))")
            .execute(&mut **held)
            .await?;
    }
    Ok(on!(tx, c => sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM erasures").fetch_one(c).await)?)
}

/// Replaces what the leaves of a person's consents are made of by the leaves.
async fn seal_consents(tx: &mut Link, contact_id: i64, leaf: impl Fn(&EvidenceRow) -> Option<Vec<u8>>) -> Result<u64> {
    let rows: Vec<EvidenceRow> = on!(tx, c => sqlx::query_as(
        "SELECT o.contact_id, o.at, o.text_id, o.import_id, o.chunk, t.source, t.wording, o.salt, o.leaf, p.phone_key,
                (SELECT max(value) FROM identities i WHERE i.contact_id = o.contact_id AND i.kind = 2) AS user_id
         FROM opt_ins o LEFT JOIN consent_texts t ON t.id = o.text_id LEFT JOIN contacts p ON p.id = o.contact_id
         WHERE o.contact_id = $1").bind(contact_id).fetch_all(c).await)?;
    let mut sealed = 0;
    for row in rows.iter().filter(|row| row.leaf.is_none()) {
        sealed += on!(tx, c => sqlx::query(
            "UPDATE opt_ins SET leaf = $4, salt = NULL WHERE contact_id = $1 AND at = $2 AND text_id = $3")
            .bind(contact_id).bind(row.at).bind(row.text_id).bind(leaf(row))
            .execute(c).await.map(|done| done.rows_affected()))?;
    }
    Ok(sealed)
}

/// What is found by the person's row alone.
async fn sweep_within(tx: &mut Link, contact_id: i64, erased: &mut Erased) -> Result<()> {
    // Campaigns that are planned right now count on the members of their lists; those rows go with a later sweep.
    const MEMBERSHIPS: &str = "DELETE FROM list_members WHERE contact_id = $1 AND list_id IN (SELECT id FROM lists)
        AND NOT EXISTS (SELECT 1 FROM campaign_lists l JOIN campaigns k ON k.id = l.campaign_id
                        WHERE l.list_id = list_members.list_id AND k.frozen_at IS NOT NULL AND NOT k.planned)";
    const SENDS: &str = "UPDATE sends SET wamid = NULL
        WHERE campaign_id IN (SELECT id FROM campaigns) AND contact_id = $1 AND wamid IS NOT NULL";
    const ATTEMPTS: &str = "UPDATE past_attempts SET wamid = NULL, wamid_hash = NULL
        WHERE campaign_id IN (SELECT id FROM campaigns) AND contact_id = $1 AND wamid IS NOT NULL";
    const ENTRIES: [&str; 2] = [
        "UPDATE ledger SET detail = '', salt = x'' WHERE contact_id = $1 AND detail <> '' AND kind <> 'erasure'",
        "UPDATE ledger SET detail = '', salt = ''::bytea WHERE contact_id = $1 AND detail <> '' AND kind <> 'erasure'",
    ];
    erased.memberships += run(tx, MEMBERSHIPS, contact_id).await?;
    wamids::erase(tx, contact_id).await?;
    erased.sends += run(tx, SENDS, contact_id).await? + run(tx, ATTEMPTS, contact_id).await?;
    // A single message has its values in the row of its campaign, as they were asked for; a test's are the campaign's own.
    const MESSAGES: &str = "UPDATE campaigns SET params = '{}' WHERE kind IN (1, 3) AND params <> '{}'
        AND EXISTS (SELECT 1 FROM sends s WHERE s.campaign_id = campaigns.id AND s.contact_id = $1)";
    erased.others += run(tx, MESSAGES, contact_id).await?;
    erased.replies += run(tx, "DELETE FROM inbound WHERE contact_id = $1", contact_id).await?;
    erased.others += run(tx, "DELETE FROM reviews WHERE contact_id = $1", contact_id).await?;
    erased.others += run(
        tx,
        "DELETE FROM import_changes WHERE import_id IN (SELECT id FROM imports) AND contact_id = $1",
        contact_id,
    )
    .await?;
    let entries = tx.pick(ENTRIES[0], ENTRIES[1]);
    erased.entries += run(tx, entries, contact_id).await?;
    Ok(())
}

async fn run(tx: &mut Link, sql: &'static str, contact_id: i64) -> Result<u64> {
    Ok(on!(tx, c => sqlx::query(sql).bind(contact_id).execute(c).await.map(|done| done.rows_affected()))?)
}

/// What is found by a name in a text or body: rows of moments, never many.
async fn forget_name(tx: &mut Link, name: &str) -> Result<u64> {
    let statements = [
        tx.pick(
            "DELETE FROM parked_statuses WHERE recipient = $1 OR instr(event, $1) > 0",
            "DELETE FROM parked_statuses WHERE recipient = $1 OR strpos(event, $1) > 0",
        ),
        tx.pick("DELETE FROM reviews WHERE instr(stop, $1) > 0", "DELETE FROM reviews WHERE strpos(stop, $1) > 0"),
        tx.pick(
            "DELETE FROM idempotency WHERE instr(answer, CAST($1 AS BLOB)) > 0",
            "DELETE FROM idempotency WHERE position(convert_to($1, 'UTF8') IN answer) > 0",
        ),
        tx.pick(
            "UPDATE inbox SET body = NULL WHERE error IS NOT NULL AND instr(body, CAST($1 AS BLOB)) > 0",
            "UPDATE inbox SET body = NULL WHERE error IS NOT NULL AND position(convert_to($1, 'UTF8') IN body) > 0",
        ),
    ];
    let mut gone = inbound::forget_stranger(tx, name).await?;
    for sql in statements {
        gone += on!(&mut *tx, c => sqlx::query(sql).bind(name).execute(c).await.map(|done| done.rows_affected()))?;
    }
    Ok(gone)
}

/// Takes detail and salt of these entries away.
async fn blank(tx: &mut Link, entries: &[i64]) -> Result<u64> {
    let sql = tx.pick(
        "UPDATE ledger SET detail = '', salt = x'' WHERE id IN (SELECT value FROM json_each($1)) AND detail <> ''",
        "UPDATE ledger SET detail = '', salt = ''::bytea
         WHERE id = ANY (ARRAY(SELECT (jsonb_array_elements_text($1::jsonb))::bigint)) AND detail <> ''",
    );
    let json = serde_json::to_string(entries)?;
    Ok(on!(tx, c => sqlx::query(sql).bind(json).execute(c).await.map(|done| done.rows_affected()))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{NOW, Shop, ids, made, sends};
    use crate::suppressions::Stop;
    use crate::testing::{Database, entry, on_both_databases};

    fn erasure<'a>(contact_ids: &'a [i64], names: &'a [String]) -> Erasure<'a> {
        Erasure { contact_ids, names, at: NOW, actor: "cli:nour", evidence: entry("erasure", 1) }
    }

    on_both_databases! {
        async fn whoever_is_erased_while_a_campaign_runs_gets_nothing_of_it_and_the_counts_still_sum(db: Database) {
            db.store.blind_with(&[7; 32]);
            let shop = Shop::open(&db.store, 1).await;
            let campaign = shop.campaign_to(6).await;
            let lane = shop.lane().await;
            let batch = lane.batch(campaign, 10).await;
            assert_eq!(ids(&made(lane.try_claim(&batch, 2, NOW).await)), [1, 2]);
            let phone = Some((15_550_000_004, 15_550_000_004));
            let stopped = db.store.stop(&Stop { phone, source: "erasure", scope: domain::optout::scope::Scope::All, ..crate::fixture::stop() }).await.unwrap();
            assert_eq!(stopped.contact_ids, [4]);
            let names = ["15550000004".to_owned()];
            db.store.erase(&erasure(&[4], &names), |_| None).await.unwrap();
            assert_eq!(ids(&made(lane.try_claim(&batch, 10, NOW + 1).await)), [3, 5, 6]);
            let skipped: Vec<i64> = sends(&db.store).await.iter().filter(|send| send.state == 8).map(|send| send.contact_id).collect();
            assert_eq!(skipped, [4]);
            crate::fixture::assert_tallied(&db.store, campaign).await;
            // A campaign that is made now does not meet them at all: they are on no list any more.
            let again = shop.campaign("later", &[1]).await;
            assert_eq!(sends(&db.store).await.iter().filter(|send| send.campaign_id == again).count(), 5);
            // Nobody's word and no status gives the shell a name again.
            let name = crate::Identity { kind: 2, value: "US.1".into(), contact_id: 4 };
            db.store.learn_identities(&[name]).await.unwrap();
            assert!(db.store.names_of(4).await.unwrap().is_empty());
            assert_eq!(db.store.people_named(Some(15_550_000_004), None).await.unwrap(), [4]);
        }

        async fn the_values_of_their_single_messages_go_and_nobody_elses(db: Database) {
            db.store.blind_with(&[7; 32]);
            let shop = Shop::open(&db.store, 2).await;
            let campaign = shop.campaign_to(2).await;
            let mut messages = Vec::new();
            for (name, person) in [("message a", 1), ("message b", 2)] {
                let new = crate::NewMessage {
                    name,
                    kind: crate::MessageKind::Notice,
                    account_id: shop.account,
                    template_id: Some(shop.template),
                    template: r#"{"category":"UTILITY"}"#,
                    params: r#"{"1":"Mona of the Bird Market"}"#,
                    number_id: shop.numbers[0],
                    contact_id: person,
                    created_by: "key:shop",
                    parent_id: None,
                };
                messages.push(db.store.queue_message(&new, NOW).await.unwrap());
            }
            let before = db.store.campaign(campaign).await.unwrap().unwrap().params;
            db.store.stop(&crate::fixture::stop_of(1)).await.unwrap();
            db.store.erase(&erasure(&[1], &["15550000001".to_owned()]), |_| None).await.unwrap();
            let mut left = Vec::new();
            for id in messages {
                left.push(db.store.campaign(id).await.unwrap().unwrap().params);
            }
            assert_eq!(left, ["{}", r#"{"1":"Mona of the Bird Market"}"#]);
            assert_eq!(db.store.campaign(campaign).await.unwrap().unwrap().params, before);
        }

        async fn an_answer_that_comes_after_the_erasure_is_swept_away(db: Database) {
            db.store.blind_with(&[7; 32]);
            let shop = Shop::open(&db.store, 1).await;
            let campaign = shop.campaign_to(2).await;
            db.store.stop(&crate::fixture::stop_of(1)).await.unwrap();
            let names = ["15550000001".to_owned()];
            db.store.erase(&erasure(&[1], &names), |_| None).await.unwrap();
            crate::fixture::exec(&db.store, format!("UPDATE sends SET wamid = 'w' WHERE campaign_id = {campaign}")).await;
            assert!(db.store.erasures_to_sweep(NOW, NOW, 10).await.unwrap().is_empty(), "just erased");
            let due = db.store.erasures_to_sweep(NOW + 60_000, NOW + 120_000, 10).await.unwrap();
            assert_eq!(due.iter().map(|row| row.contact_id).collect::<Vec<_>>(), [1]);
            assert_eq!(db.store.sweep_erased(1, NOW + 120_000).await.unwrap(), 1);
            assert_eq!(db.store.sweep_erased(1, NOW + 120_000).await.unwrap(), 0);
            let left: Vec<i64> = sends(&db.store).await.iter().filter(|send| send.wamid.is_some()).map(|send| send.contact_id).collect();
            assert_eq!(left, [2]);
        }
    }
}
