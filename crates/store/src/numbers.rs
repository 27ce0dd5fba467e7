//! Business numbers: what Meta says of them, the rate a person set, and whether somebody paused them.

use serde::Serialize;

use crate::db::{Priority, Store, on};
use crate::error::Result;
use crate::limits;

/// Our mark in [`BusinessNumber::status`] for a number that Meta no longer lists.
pub const REMOVED: &str = "REMOVED";

/// A business number as it is kept. Words in capitals are Meta's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusinessNumber {
    /// Ours; names the lane.
    pub id: i64,
    /// The account it belongs to.
    pub account_id: i64,
    /// That account's name.
    pub account: String,
    /// Meta's id.
    pub phone_number_id: String,
    /// The number as Meta writes it.
    pub display: String,
    /// The name that people see.
    pub verified_name: String,
    /// GREEN, YELLOW, RED, UNKNOWN.
    pub quality: String,
    /// STANDARD, HIGH, NOT_APPLICABLE.
    pub throughput: String,
    /// The portfolio's messaging limit: people per moving 24 hours in digits, UNLIMITED, another word, or empty.
    pub messaging_limit: String,
    /// CONNECTED and others, or [`REMOVED`].
    pub status: String,
    /// Whether staff also use it in the WhatsApp Business app, which slows it down.
    pub on_biz_app: bool,
    /// The brand whose messages it sends, where a person said so.
    pub brand: Option<String>,
    /// Messages per second that a person set; 0 is unlimited; `None`: the rate of its throughput level.
    pub set_rate: Option<i64>,
    /// Why a person or a rule paused it.
    pub paused_reason: Option<String>,
    /// Since when, epoch ms.
    pub paused_at: Option<i64>,
    /// When Meta was last asked, epoch ms.
    pub synced_at: i64,
}

from_row!(BusinessNumber {
    id,
    account_id,
    account,
    phone_number_id,
    display,
    verified_name,
    quality,
    throughput,
    messaging_limit,
    status,
    on_biz_app,
    brand,
    set_rate,
    paused_reason,
    paused_at,
    synced_at
});

/// What Meta says of a business number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SyncedNumber {
    /// See [`BusinessNumber`], here and below.
    pub phone_number_id: String,
    /// As shown.
    pub display: String,
    /// As shown.
    pub verified_name: String,
    /// Meta's word.
    pub quality: String,
    /// Meta's word.
    pub throughput: String,
    /// Digits, UNLIMITED, another word, or empty.
    pub messaging_limit: String,
    /// Meta's word.
    pub status: String,
    /// Also used in the app.
    pub on_biz_app: bool,
}

const SELECT: &str = "SELECT n.*, a.name AS account FROM numbers n JOIN accounts a ON a.id = n.account_id";

impl Store {
    /// Every business number, by account and number.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn numbers(&self) -> Result<Vec<BusinessNumber>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} ORDER BY a.name, n.phone_number_id"));
        let rows = on!(&mut link, c => sqlx::query_as(sql).fetch_all(c).await)?;
        Ok(rows)
    }

    /// The business number of our id.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn number(&self, id: i64) -> Result<Option<BusinessNumber>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} WHERE n.id = $1"));
        let row = on!(&mut link, c => sqlx::query_as(sql).bind(id).fetch_optional(c).await)?;
        Ok(row)
    }

    /// The business number of Meta's id.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn number_of_meta(&self, phone_number_id: &str) -> Result<Option<BusinessNumber>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} WHERE n.phone_number_id = $1"));
        let row = on!(&mut link, c => sqlx::query_as(sql).bind(phone_number_id).fetch_optional(c).await)?;
        Ok(row)
    }

    /// Takes over all that Meta says of an account's numbers. What a person set or paused stays; a number that Meta
    /// no longer lists gets the status [`REMOVED`]; one that moved here from another account moves here too.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn sync_numbers(&self, account_id: i64, numbers: &[SyncedNumber], now: i64) -> Result<()> {
        let json = serde_json::to_string(numbers)?;
        let mut tx = self.write(Priority::Urgent).await?;
        let upsert = tx.pick(
            "INSERT INTO numbers (account_id, phone_number_id, display, verified_name, quality, throughput,
                                  messaging_limit, status, on_biz_app, synced_at)
             SELECT $2, value ->> 'phone_number_id', value ->> 'display', value ->> 'verified_name',
                    value ->> 'quality', value ->> 'throughput', value ->> 'messaging_limit', value ->> 'status',
                    value ->> 'on_biz_app', $3
             FROM json_each($1) WHERE true
             ON CONFLICT (phone_number_id) DO UPDATE SET
                account_id = excluded.account_id, display = excluded.display, verified_name = excluded.verified_name,
                quality = excluded.quality, throughput = excluded.throughput, status = excluded.status,
                messaging_limit = excluded.messaging_limit, on_biz_app = excluded.on_biz_app,
                synced_at = excluded.synced_at",
            "INSERT INTO numbers (account_id, phone_number_id, display, verified_name, quality, throughput,
                                  messaging_limit, status, on_biz_app, synced_at)
             SELECT $2, j.phone_number_id, j.display, j.verified_name, j.quality, j.throughput, j.messaging_limit,
                    j.status, j.on_biz_app, $3
             FROM jsonb_to_recordset($1::jsonb) AS j (phone_number_id text, display text, verified_name text,
                    quality text, throughput text, messaging_limit text, status text, on_biz_app boolean)
             ORDER BY j.phone_number_id
             ON CONFLICT (phone_number_id) DO UPDATE SET
                account_id = excluded.account_id, display = excluded.display, verified_name = excluded.verified_name,
                quality = excluded.quality, throughput = excluded.throughput, status = excluded.status,
                messaging_limit = excluded.messaging_limit, on_biz_app = excluded.on_biz_app,
                synced_at = excluded.synced_at",
        );
        on!(&mut tx, c => sqlx::query(upsert).bind(&json).bind(account_id).bind(now).execute(c).await.map(drop))?;
        let vanished = tx.pick(
            "UPDATE numbers SET status = $3, synced_at = $4 WHERE account_id = $2
             AND phone_number_id NOT IN (SELECT value ->> 'phone_number_id' FROM json_each($1))",
            "UPDATE numbers SET status = $3, synced_at = $4 WHERE account_id = $2
             AND phone_number_id NOT IN (SELECT v ->> 'phone_number_id' FROM jsonb_array_elements($1::jsonb) AS e(v))",
        );
        on!(&mut tx, c => sqlx::query(vanished).bind(&json).bind(account_id).bind(REMOVED).bind(now)
            .execute(c).await.map(drop))?;
        limits::follow(&mut tx, account_id).await?;
        tx.commit().await
    }

    /// Takes over what Meta says of the messaging limit of an account's portfolio (digits or `UNLIMITED`), for every
    /// number of it. Where there was no limit before, [`Store::count_reached`] must follow.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_messaging_limit(&self, account_id: i64, words: &str) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "UPDATE numbers SET messaging_limit = $2 WHERE status <> $3 AND account_id IN (
                 SELECT b.id FROM accounts a JOIN accounts b ON b.id = a.id OR b.portfolio = a.portfolio
                 WHERE a.id = $1)")
            .bind(account_id).bind(words).bind(REMOVED).execute(c).await.map(drop))?;
        limits::follow(&mut tx, account_id).await?;
        tx.commit().await
    }

    /// Takes over Meta's word for how fast a number may send: `STANDARD`, `HIGH`.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_throughput(&self, number_id: i64, level: &str) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query("UPDATE numbers SET throughput = $2 WHERE id = $1")
            .bind(number_id).bind(level).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Sets a number's rate in messages per second (0: unlimited), or gives it back its level's (`None`). `false`
    /// when there is no such number.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_number_rate(&self, phone_number_id: &str, rate: Option<i64>) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let changed = on!(&mut tx, c => sqlx::query("UPDATE numbers SET set_rate = $2 WHERE phone_number_id = $1")
            .bind(phone_number_id).bind(rate).execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(changed > 0)
    }

    /// Pauses a number with a reason, or lifts that pause (`None`). Takes effect with the next claim. `false` when
    /// there is no such number.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_number_paused(&self, phone_number_id: &str, reason: Option<&str>, now: i64) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let changed = on!(&mut tx, c => sqlx::query(
            "UPDATE numbers SET paused_reason = $2, paused_at = $3 WHERE phone_number_id = $1")
            .bind(phone_number_id).bind(reason).bind(reason.map(|_| now))
            .execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(changed > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Database, account, on_both_databases};

    fn synced(id: &str, throughput: &str) -> SyncedNumber {
        SyncedNumber {
            phone_number_id: id.to_owned(),
            display: "+1 555-010-0000".to_owned(),
            verified_name: "Hoopoe".to_owned(),
            quality: "GREEN".to_owned(),
            throughput: throughput.to_owned(),
            messaging_limit: "10000".to_owned(),
            status: "CONNECTED".to_owned(),
            on_biz_app: false,
        }
    }

    on_both_databases! {
        async fn a_sync_keeps_what_a_person_set_and_marks_what_meta_no_longer_lists(db: Database) {
            let account = account(&db.store, "shop").await;
            db.store.sync_numbers(account, &[synced("1", "STANDARD"), synced("2", "HIGH")], 10).await.unwrap();
            assert!(db.store.set_number_rate("1", Some(40)).await.unwrap());
            assert!(db.store.set_number_paused("1", Some("complaints"), 11).await.unwrap());
            db.store.sync_numbers(account, &[SyncedNumber { on_biz_app: true, ..synced("1", "HIGH") }], 12).await.unwrap();

            let numbers = db.store.numbers().await.unwrap();
            assert_eq!(numbers.len(), 2);
            let first = &numbers[0];
            assert_eq!((first.set_rate, first.paused_reason.as_deref(), first.paused_at), (Some(40), Some("complaints"), Some(11)));
            assert_eq!((first.throughput.as_str(), first.on_biz_app, first.synced_at), ("HIGH", true, 12));
            assert_eq!(first.account, "shop");
            assert_eq!(numbers[1].status, REMOVED);

            assert!(db.store.set_number_paused("1", None, 13).await.unwrap());
            let resumed = db.store.number_of_meta("1").await.unwrap().unwrap();
            assert_eq!((resumed.paused_reason, resumed.paused_at), (None, None));
            assert_eq!(db.store.number(resumed.id).await.unwrap().unwrap().phone_number_id, "1");
        }

        async fn a_limit_that_a_webhook_brings_is_that_of_every_number_of_the_portfolio(db: Database) {
            let account = account(&db.store, "shop").await;
            db.store.sync_numbers(account, &[synced("1", "STANDARD"), synced("2", "HIGH")], 10).await.unwrap();
            db.store.count_reached(account, 10).await.unwrap();
            let numbers = db.store.numbers().await.unwrap();
            let people = async |db: &Database| {
                let mut found = Vec::new();
                for number in &numbers {
                    found.push(db.store.limit_of(number.id, 11).await.unwrap().map(|limit| limit.people));
                }
                found
            };
            assert_eq!(people(&db).await, [Some(10_000); 2]);
            db.store.set_messaging_limit(account, "2000").await.unwrap();
            assert_eq!(people(&db).await, [Some(2_000); 2]);
            db.store.set_messaging_limit(account, "UNLIMITED").await.unwrap();
            assert_eq!(people(&db).await, [None; 2]);
            db.store.set_throughput(numbers[0].id, "HIGH").await.unwrap();
            assert_eq!(db.store.number(numbers[0].id).await.unwrap().unwrap().throughput, "HIGH");
        }

        async fn a_number_that_nobody_knows_cannot_be_set_or_paused(db: Database) {
            assert!(!db.store.set_number_rate("9", None).await.unwrap());
            assert!(!db.store.set_number_paused("9", Some("x"), 1).await.unwrap());
        }

        async fn an_account_without_numbers_syncs(db: Database) {
            let account = account(&db.store, "shop").await;
            db.store.sync_numbers(account, &[synced("1", "STANDARD")], 10).await.unwrap();
            db.store.sync_numbers(account, &[], 11).await.unwrap();
            assert_eq!(db.store.numbers().await.unwrap()[0].status, REMOVED);
        }
    }
}
