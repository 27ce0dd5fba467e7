//! The ledger's rows: appended in the transaction of what they record, chained later by one sealer.
//!
//! Hashes are made by the engine; here they are bytes. The head of the chain is kept twice, in its last row and in
//! `meta`, so that rows cut off the end are missed.

use serde::Serialize;

use crate::db::{Link, Priority, Store, on};
use crate::error::{Error, Result};

/// `meta.key` of the sealed chain's last number and hash: `12:hex`.
const HEAD: &str = "ledger_head";

/// An entry to append. The engine makes salt and commitment; the chain never sees `detail` itself.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// When it happened, epoch ms.
    pub at: i64,
    /// What it is: `opt-out`, `opt-in`, …
    pub kind: &'static str,
    /// Who did it: `cli:amr`, `webhook`, …
    pub actor: String,
    /// The person it is about.
    pub contact_id: Option<i64>,
    /// The campaign it is about.
    pub campaign_id: Option<i64>,
    /// The import it is about.
    pub import_id: Option<i64>,
    /// Personal data beside the chain, JSON.
    pub detail: String,
    /// Random, erased with the detail.
    pub salt: Vec<u8>,
    /// SHA-256 of salt and detail.
    pub commitment: Vec<u8>,
}

/// Appends an entry within the caller's transaction. Its id.
pub(crate) async fn append(tx: &mut Link, entry: &NewEntry) -> Result<i64> {
    Ok(on!(tx, c => sqlx::query_scalar(
        "INSERT INTO ledger (at, kind, actor, contact_id, campaign_id, import_id, detail, salt, commitment)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id")
        .bind(entry.at).bind(entry.kind).bind(&entry.actor).bind(entry.contact_id).bind(entry.campaign_id)
        .bind(entry.import_id).bind(&entry.detail).bind(&entry.salt).bind(&entry.commitment)
        .fetch_one(c).await)?)
}

/// Appends entries within the caller's transaction, in their order and in one statement.
pub(crate) async fn append_all(tx: &mut Link, entries: &[NewEntry]) -> Result<()> {
    #[derive(Serialize)]
    struct Row<'a>(i64, &'a str, &'a str, Option<i64>, Option<i64>, Option<i64>, &'a str, String, String);
    if entries.is_empty() {
        return Ok(());
    }
    let rows: Vec<Row<'_>> = entries
        .iter()
        .map(|entry| {
            let (salt, commitment) = (hex::encode(&entry.salt), hex::encode(&entry.commitment));
            let about = (entry.contact_id, entry.campaign_id, entry.import_id);
            Row(entry.at, entry.kind, &entry.actor, about.0, about.1, about.2, &entry.detail, salt, commitment)
        })
        .collect();
    let sql = tx.pick(
        "INSERT INTO ledger (at, kind, actor, contact_id, campaign_id, import_id, detail, salt, commitment)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
                unhex(value ->> 7), unhex(value ->> 8)
         FROM json_each($1) WHERE true ORDER BY key",
        "INSERT INTO ledger (at, kind, actor, contact_id, campaign_id, import_id, detail, salt, commitment)
         SELECT (v ->> 0)::bigint, v ->> 1, v ->> 2, (v ->> 3)::bigint, (v ->> 4)::bigint, (v ->> 5)::bigint, v ->> 6,
                decode(v ->> 7, 'hex'), decode(v ->> 8, 'hex')
         FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS e(v, o) ORDER BY o",
    );
    let json = serde_json::to_string(&rows)?;
    on!(tx, c => sqlx::query(sql).bind(json).execute(c).await.map(drop))?;
    Ok(())
}

/// An entry as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// Ours, in the order of appending (on PostgreSQL: of beginning to).
    pub id: i64,
    /// When it happened, epoch ms.
    pub at: i64,
    /// What it is.
    pub kind: String,
    /// Who did it.
    pub actor: String,
    /// The person it is about.
    pub contact_id: Option<i64>,
    /// The campaign it is about.
    pub campaign_id: Option<i64>,
    /// The import it is about.
    pub import_id: Option<i64>,
    /// Personal data, JSON; empty when erased.
    pub detail: String,
    /// Empty when erased.
    pub salt: Vec<u8>,
    /// What the chain holds instead of the detail.
    pub commitment: Vec<u8>,
    /// Its place in the chain, from 1; `None` until it is sealed.
    pub sealed_seq: Option<i64>,
    /// The chain's hash up to here; `None` until it is sealed.
    pub hash: Option<Vec<u8>>,
}

from_row!(EntryRow {
    id,
    at,
    kind,
    actor,
    contact_id,
    campaign_id,
    import_id,
    detail,
    salt,
    commitment,
    sealed_seq,
    hash
});

/// The end of the sealed chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerHead {
    /// How many entries are sealed.
    pub seq: i64,
    /// The hash of the last one; empty for an empty chain.
    pub hash: Vec<u8>,
}

/// A head of the chain that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// How many entries it covers.
    pub seq: i64,
    /// The chain's hash up to there.
    pub hash: Vec<u8>,
    /// When it was signed, epoch ms.
    pub at: i64,
    /// The key's public half.
    pub public_key: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

from_row!(SignedHead { seq, hash, at, public_key, signature });

/// An entry's place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The entry.
    pub id: i64,
    /// Its place, from 1.
    pub seq: i64,
    /// The chain's hash up to it.
    pub hash: Vec<u8>,
}

impl LedgerHead {
    fn write(&self) -> String {
        format!("{}:{}", self.seq, hex::encode(&self.hash))
    }

    fn read(text: &str) -> Option<Self> {
        let (seq, hash) = text.split_once(':')?;
        Some(Self { seq: seq.parse().ok()?, hash: hex::decode(hash).ok()? })
    }
}

impl Store {
    /// Appends an entry that records nothing else in the database.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn append_entry(&self, entry: &NewEntry) -> Result<i64> {
        let mut tx = self.write(Priority::Urgent).await?;
        let id = append(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// The end of the sealed chain as `meta` has it.
    ///
    /// # Errors
    /// As every read; [`Error::Bug`] when it is not readable.
    #[crate::boxed]
    pub async fn ledger_head(&self) -> Result<LedgerHead> {
        match self.meta(HEAD).await? {
            None => Ok(LedgerHead::default()),
            Some(text) => LedgerHead::read(&text).ok_or_else(|| Error::bug("meta.ledger_head is not NUMBER:HEX")),
        }
    }

    /// The oldest entries that are not sealed yet.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn unsealed(&self, limit: i64) -> Result<Vec<EntryRow>> {
        let mut link = self.read().await?;
        let rows = on!(&mut link, c => sqlx::query_as(
            "SELECT * FROM ledger WHERE sealed_seq IS NULL ORDER BY id LIMIT $1").bind(limit).fetch_all(c).await)?;
        Ok(rows)
    }

    /// Puts entries at the end of the chain, all or none. `false`, and nothing done, when the chain's head is no
    /// longer `from`: another sealer was faster.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn seal(&self, from: &LedgerHead, seals: &[Seal]) -> Result<bool> {
        let Some(last) = seals.last() else { return Ok(true) };
        let head = LedgerHead { seq: last.seq, hash: last.hash.clone() };
        let mut tx = self.write(Priority::Bulk).await?;
        // Moving the head first makes a second sealer wait for us, and then miss.
        let moved = if from.seq == 0 {
            on!(&mut tx, c => sqlx::query(
                "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING")
                .bind(HEAD).bind(head.write()).execute(c).await.map(|done| done.rows_affected()))?
        } else {
            on!(&mut tx, c => sqlx::query("UPDATE meta SET value = $2 WHERE key = $1 AND value = $3")
                .bind(HEAD).bind(head.write()).bind(from.write()).execute(c).await.map(|done| done.rows_affected()))?
        };
        if moved == 0 {
            return Ok(false);
        }
        #[derive(Serialize)]
        struct Row(i64, i64, String);
        let rows: Vec<_> = seals.iter().map(|seal| Row(seal.id, seal.seq, hex::encode(&seal.hash))).collect();
        let json = serde_json::to_string(&rows)?;
        // SQLite: the upsert looks each row up by its key, where UPDATE … FROM json_each would read the whole ledger.
        let sql = tx.pick(
            "INSERT INTO ledger (id, at, kind, actor, detail, salt, commitment, sealed_seq, hash)
             SELECT l.id, l.at, l.kind, l.actor, l.detail, l.salt, l.commitment, j.value ->> 1, unhex(j.value ->> 2)
             FROM json_each($1) AS j CROSS JOIN ledger AS l ON l.id = j.value ->> 0 WHERE l.sealed_seq IS NULL
             ON CONFLICT (id) DO UPDATE SET sealed_seq = excluded.sealed_seq, hash = excluded.hash",
            "UPDATE ledger SET sealed_seq = (v ->> 1)::bigint, hash = decode(v ->> 2, 'hex')
             FROM jsonb_array_elements($1::jsonb) AS e(v)
             WHERE ledger.id = (v ->> 0)::bigint AND ledger.sealed_seq IS NULL",
        );
        let sealed = on!(&mut tx, c => sqlx::query(sql).bind(json).execute(c).await.map(|done| done.rows_affected()))?;
        if sealed != seals.len() as u64 {
            return Err(Error::bug("an entry to be sealed is gone or sealed already"));
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Sealed entries after a place in the chain, in its order: a page.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn sealed_entries(&self, after_seq: i64, limit: i64) -> Result<Vec<EntryRow>> {
        let mut link = self.read().await?;
        let rows = on!(&mut link, c => sqlx::query_as(
            "SELECT * FROM ledger WHERE sealed_seq > $1 ORDER BY sealed_seq LIMIT $2")
            .bind(after_seq).bind(limit).fetch_all(c).await)?;
        Ok(rows)
    }

    /// Keeps a signed head; one that is kept already stays.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn keep_signed_head(&self, head: &SignedHead) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "INSERT INTO ledger_heads (seq, hash, at, public_key, signature) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (seq) DO NOTHING")
            .bind(head.seq).bind(&head.hash).bind(head.at).bind(&head.public_key).bind(&head.signature)
            .execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// The signed head that covers so many entries.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn signed_head(&self, seq: i64) -> Result<Option<SignedHead>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT seq, hash, at, public_key, signature FROM ledger_heads WHERE seq = $1")
            .bind(seq).fetch_optional(c).await)?)
    }

    /// Every signed head, oldest first: one a day.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn signed_heads(&self) -> Result<Vec<SignedHead>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT seq, hash, at, public_key, signature FROM ledger_heads ORDER BY seq").fetch_all(c).await)?)
    }

    /// Signed heads that cover fewer entries than `before`, the newest first: a page. `None` begins with the last one.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn latest_signed_heads(&self, before: Option<i64>, limit: i64) -> Result<Vec<SignedHead>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT seq, hash, at, public_key, signature FROM ledger_heads WHERE seq < $1 ORDER BY seq DESC LIMIT $2")
            .bind(before.unwrap_or(i64::MAX)).bind(limit).fetch_all(c).await)?)
    }

    /// How many entries there are, sealed or not.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn ledger_size(&self) -> Result<i64> {
        let mut link = self.read().await?;
        let size = on!(&mut link, c => sqlx::query_scalar("SELECT count(*) FROM ledger").fetch_one(c).await)?;
        Ok(size)
    }

    /// How many entries wait to be sealed.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn unsealed_size(&self) -> Result<i64> {
        let mut link = self.read().await?;
        let size = on!(&mut link, c => sqlx::query_scalar("SELECT count(*) FROM ledger WHERE sealed_seq IS NULL")
            .fetch_one(c).await)?;
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Database, entry, on_both_databases};

    fn seals(rows: &[EntryRow], from: i64) -> Vec<Seal> {
        let with_seq = rows.iter().zip(from + 1..);
        with_seq.map(|(row, seq)| Seal { id: row.id, seq, hash: vec![u8::try_from(seq % 256).unwrap(); 32] }).collect()
    }

    on_both_databases! {
        async fn entries_are_sealed_in_order_and_the_head_follows(db: Database) {
            for n in 0..5 {
                db.store.append_entry(&entry("opt-out", n)).await.unwrap();
            }
            let head = db.store.ledger_head().await.unwrap();
            assert_eq!(head, LedgerHead::default());
            let first = db.store.unsealed(3).await.unwrap();
            assert!(db.store.seal(&head, &seals(&first, 0)).await.unwrap());
            let head = db.store.ledger_head().await.unwrap();
            assert_eq!(head, LedgerHead { seq: 3, hash: vec![3; 32] });
            let rest = db.store.unsealed(10).await.unwrap();
            assert_eq!(rest.len(), 2);
            assert!(db.store.seal(&head, &seals(&rest, 3)).await.unwrap());
            let page = db.store.sealed_entries(1, 2).await.unwrap();
            assert_eq!(page.iter().map(|row| row.sealed_seq.unwrap()).collect::<Vec<_>>(), [2, 3]);
            assert_eq!(page[0].hash.as_deref(), Some([2; 32].as_slice()));
            assert_eq!((page[0].at, page[0].kind.as_str()), (1, "opt-out"));
            assert_eq!((db.store.ledger_size().await.unwrap(), db.store.unsealed_size().await.unwrap()), (5, 0));
        }

        async fn the_database_refuses_to_change_or_remove_an_entry(db: Database) {
            for n in 0..3 {
                db.store.append_entry(&entry("opt-out", n)).await.unwrap();
            }
            let rows = db.store.unsealed(3).await.unwrap();
            let (first, third) = (rows[0].id, rows[2].id);
            let rows = &rows[..2];
            db.store.seal(&LedgerHead::default(), &seals(rows, 0)).await.unwrap();
            for refused in [
                "DELETE FROM ledger WHERE id = 1",
                "DELETE FROM ledger WHERE sealed_seq IS NULL",
                "UPDATE ledger SET at = at + 1 WHERE id = 1",
                "UPDATE ledger SET kind = 'lift' WHERE id = 3",
                "UPDATE ledger SET actor = 'cli:eve'",
                "UPDATE ledger SET contact_id = 7 WHERE id = 1",
                "UPDATE ledger SET campaign_id = 7 WHERE id = 1",
                "UPDATE ledger SET import_id = 7 WHERE id = 1",
                "UPDATE ledger SET commitment = salt WHERE id = 1",
                "UPDATE ledger SET detail = '{\"n\":9}' WHERE id = 1",
                "UPDATE ledger SET detail = '' WHERE id = 1 AND length(salt) > 0",
                "UPDATE ledger SET salt = commitment WHERE id = 1",
                "UPDATE ledger SET sealed_seq = 9 WHERE id = 1",
                "UPDATE ledger SET sealed_seq = NULL, hash = NULL WHERE id = 1",
                "UPDATE ledger SET hash = salt WHERE id = 1",
                "UPDATE ledger SET id = 9 WHERE id = 1",
            ] {
                let refused = refused.replace("id = 1", &format!("id = {first}"));
                let refused = refused.replace("id = 3", &format!("id = {third}"));
                let statement = sqlx::AssertSqlSafe(refused.clone());
                let mut tx = db.store.write(Priority::Urgent).await.unwrap();
                let done = on!(&mut tx, c => sqlx::query(statement).execute(c).await.map(drop));
                assert!(done.is_err(), "{refused}");
            }
            let mut tx = db.store.write(Priority::Urgent).await.unwrap();
            on!(&mut tx, c => sqlx::query(
                "UPDATE ledger SET detail = '', salt = substr(salt, 1, 0) WHERE id = $1").bind(first).execute(c).await.map(drop)).expect("an erasure");
            tx.commit().await.unwrap();
            assert_eq!(db.store.ledger_size().await.unwrap(), 3);
        }

        async fn of_two_sealers_the_slower_one_does_nothing(db: Database) {
            for n in 0..4 {
                db.store.append_entry(&entry("opt-out", n)).await.unwrap();
            }
            let head = LedgerHead::default();
            let rows = db.store.unsealed(4).await.unwrap();
            let (one, two) = (seals(&rows[..2], 0), seals(&rows, 0));
            let second = db.second_handle().await;
            let (a, b) = tokio::join!(db.store.seal(&head, &one), second.seal(&head, &two));
            assert!(a.unwrap() ^ b.unwrap());
            let head = db.store.ledger_head().await.unwrap();
            assert_eq!(head.seq, 4 - db.store.unsealed_size().await.unwrap());
        }

        async fn sealing_an_entry_twice_is_a_bug_and_changes_nothing(db: Database) {
            db.store.append_entry(&entry("opt-out", 1)).await.unwrap();
            let rows = db.store.unsealed(1).await.unwrap();
            db.store.seal(&LedgerHead::default(), &seals(&rows, 0)).await.unwrap();
            let head = db.store.ledger_head().await.unwrap();
            assert!(matches!(db.store.seal(&head, &seals(&rows, 1)).await, Err(Error::Bug { .. })));
            assert_eq!(db.store.ledger_head().await.unwrap(), head);
        }
    }
}
