//! Message templates as Meta last listed them, one row per account, name and language.

use serde::Serialize;

use crate::campaigns::CampaignRow;
use crate::db::{Priority, Store, on};
use crate::error::Result;

/// The status of a template that Meta no longer lists, which is also Meta's own word for it.
pub const DELETED: &str = "DELETED";
/// Templates written in one transaction: some kilobytes each.
const CHUNK: usize = 200;

/// A template as it is kept. Words in capitals are Meta's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateRow {
    /// Ours.
    pub id: i64,
    /// The account it belongs to.
    pub account_id: i64,
    /// That account's name.
    pub account: String,
    /// Meta's id.
    pub meta_id: String,
    /// Its name.
    pub name: String,
    /// Its exact language key.
    pub language: String,
    /// APPROVED is the only one that can be sent; [`DELETED`] also when Meta no longer lists it.
    pub status: String,
    /// MARKETING, UTILITY, AUTHENTICATION.
    pub category: String,
    /// POSITIONAL or NAMED.
    pub parameter_format: String,
    /// GREEN, YELLOW, RED, UNKNOWN or empty.
    pub quality: String,
    /// Meta's list of components, JSON.
    pub components: String,
    /// For how long Meta tries to deliver, seconds; `None`, or below zero: as long as is usual.
    pub ttl_seconds: Option<i64>,
    /// When Meta was last asked, epoch ms.
    pub synced_at: i64,
}

from_row!(TemplateRow {
    id,
    account_id,
    account,
    meta_id,
    name,
    language,
    status,
    category,
    parameter_format,
    quality,
    components,
    ttl_seconds,
    synced_at
});

/// What Meta says of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SyncedTemplate {
    /// See [`TemplateRow`], here and below.
    pub meta_id: String,
    /// Its name.
    pub name: String,
    /// Its exact language key.
    pub language: String,
    /// Meta's word.
    pub status: String,
    /// Meta's word.
    pub category: String,
    /// POSITIONAL or NAMED.
    pub parameter_format: String,
    /// Meta's word or empty.
    pub quality: String,
    /// Meta's list of components, JSON as text.
    pub components: String,
    /// For how long Meta tries to deliver, seconds.
    pub ttl_seconds: Option<i64>,
}

const SELECT: &str = "SELECT t.*, a.name AS account FROM templates t JOIN accounts a ON a.id = t.account_id";

impl Store {
    /// Every template, by account, name and language.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn templates(&self) -> Result<Vec<TemplateRow>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} ORDER BY a.name, t.name, t.language"));
        let rows = on!(&mut link, c => sqlx::query_as(sql).fetch_all(c).await)?;
        Ok(rows)
    }

    /// The template of our id.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn template(&self, id: i64) -> Result<Option<TemplateRow>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} WHERE t.id = $1"));
        let row = on!(&mut link, c => sqlx::query_as(sql).bind(id).fetch_optional(c).await)?;
        Ok(row)
    }

    /// The template of a campaign; free text has none.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn template_of(&self, campaign: &CampaignRow) -> Result<Option<TemplateRow>> {
        match campaign.template_id {
            Some(id) => self.template(id).await,
            None => Ok(None),
        }
    }

    /// The templates of that name, in one language or in all, of every account that has one.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn templates_named(&self, name: &str, language: Option<&str>) -> Result<Vec<TemplateRow>> {
        let mut link = self.read().await?;
        // The cast tells PostgreSQL the type of a parameter that may be NULL.
        let sql = sqlx::AssertSqlSafe(format!(
            "{SELECT} WHERE t.name = $1 AND t.language = coalesce(CAST($2 AS TEXT), t.language)
             ORDER BY a.name, t.language"
        ));
        let rows = on!(&mut link, c => sqlx::query_as(sql).bind(name).bind(language).fetch_all(c).await)?;
        Ok(rows)
    }

    /// Takes over all that Meta says of an account's templates, in chunks. A template that Meta no longer lists gets
    /// the status [`DELETED`]. Answers how many rows that was.
    ///
    /// # Errors
    /// As every write. The chunks before the failed one are kept; the next sync does the rest.
    #[crate::boxed]
    pub async fn sync_templates(&self, account_id: i64, templates: &[SyncedTemplate], now: i64) -> Result<u64> {
        for chunk in templates.chunks(CHUNK) {
            self.upsert_templates(account_id, chunk, now).await?;
        }
        let names: Vec<(&str, &str)> = templates.iter().map(|t| (t.name.as_str(), t.language.as_str())).collect();
        let json = serde_json::to_string(&names)?;
        let mut tx = self.write(Priority::Bulk).await?;
        let sql = tx.pick(
            "UPDATE templates SET status = $3, synced_at = $4 WHERE account_id = $2 AND status <> $3
             AND (name, language) NOT IN (SELECT value ->> 0, value ->> 1 FROM json_each($1))",
            "UPDATE templates SET status = $3, synced_at = $4 WHERE account_id = $2 AND status <> $3
             AND (name, language) NOT IN (SELECT v ->> 0, v ->> 1 FROM jsonb_array_elements($1::jsonb) AS e(v))",
        );
        let vanished = on!(&mut tx, c => sqlx::query(sql).bind(&json).bind(account_id).bind(DELETED).bind(now)
            .execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(vanished)
    }

    async fn upsert_templates(&self, account_id: i64, chunk: &[SyncedTemplate], now: i64) -> Result<()> {
        let json = serde_json::to_string(chunk)?;
        let mut tx = self.write(Priority::Bulk).await?;
        let sql = tx.pick(
            "INSERT INTO templates (account_id, meta_id, name, language, status, category, parameter_format, quality,
                                    components, ttl_seconds, synced_at)
             SELECT $2, value ->> 'meta_id', value ->> 'name', value ->> 'language', value ->> 'status',
                    value ->> 'category', value ->> 'parameter_format', value ->> 'quality', value ->> 'components',
                    value ->> 'ttl_seconds', $3
             FROM json_each($1) WHERE true
             ON CONFLICT (account_id, name, language) DO UPDATE SET
                meta_id = excluded.meta_id, status = excluded.status, category = excluded.category,
                parameter_format = excluded.parameter_format, quality = excluded.quality,
                components = excluded.components, ttl_seconds = excluded.ttl_seconds,
                synced_at = excluded.synced_at",
            "INSERT INTO templates (account_id, meta_id, name, language, status, category, parameter_format, quality,
                                    components, ttl_seconds, synced_at)
             SELECT $2, j.meta_id, j.name, j.language, j.status, j.category, j.parameter_format, j.quality,
                    j.components, j.ttl_seconds, $3
             FROM jsonb_to_recordset($1::jsonb) AS j (meta_id text, name text, language text, status text,
                    category text, parameter_format text, quality text, components text, ttl_seconds bigint)
             ORDER BY j.name, j.language
             ON CONFLICT (account_id, name, language) DO UPDATE SET
                meta_id = excluded.meta_id, status = excluded.status, category = excluded.category,
                parameter_format = excluded.parameter_format, quality = excluded.quality,
                components = excluded.components, ttl_seconds = excluded.ttl_seconds,
                synced_at = excluded.synced_at",
        );
        on!(&mut tx, c => sqlx::query(sql).bind(&json).bind(account_id).bind(now).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Notes a template's new status, as a webhook announces it. `false` when nobody knows it yet.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_template_status(&self, account_id: i64, name: &str, language: &str, status: &str) -> Result<bool> {
        let mut tx = self.write(Priority::Urgent).await?;
        let changed = on!(&mut tx, c => sqlx::query(
            "UPDATE templates SET status = $4 WHERE account_id = $1 AND name = $2 AND language = $3")
            .bind(account_id).bind(name).bind(language).bind(status)
            .execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(changed > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Database, account, on_both_databases};

    fn synced(name: &str, language: &str, status: &str) -> SyncedTemplate {
        SyncedTemplate {
            meta_id: format!("{name}-{language}"),
            name: name.to_owned(),
            language: language.to_owned(),
            status: status.to_owned(),
            category: "MARKETING".to_owned(),
            parameter_format: "POSITIONAL".to_owned(),
            quality: String::new(),
            components: r#"[{"type":"BODY","text":"مرحبا {{1}}"}]"#.to_owned(),
            ttl_seconds: None,
        }
    }

    on_both_databases! {
        async fn a_sync_adds_changes_and_marks_the_vanished_as_deleted(db: Database) {
            let account = account(&db.store, "shop").await;
            let first = [synced("sale", "ar", "PENDING"), synced("sale", "en", "APPROVED"), synced("old", "en", "PAUSED")];
            assert_eq!(db.store.sync_templates(account, &first, 10).await.unwrap(), 0);
            let second = [synced("sale", "ar", "APPROVED"), synced("sale", "en", "APPROVED")];
            assert_eq!(db.store.sync_templates(account, &second, 20).await.unwrap(), 1);
            assert_eq!(db.store.sync_templates(account, &second, 30).await.unwrap(), 0);

            let arabic = &db.store.templates_named("sale", Some("ar")).await.unwrap()[0];
            assert_eq!((arabic.status.as_str(), arabic.synced_at), ("APPROVED", 30));
            assert_eq!(arabic.components, first[0].components);
            assert_eq!(db.store.template(arabic.id).await.unwrap().as_ref(), Some(arabic));
            assert_eq!(db.store.templates_named("sale", None).await.unwrap().len(), 2);
            assert_eq!(db.store.templates_named("old", None).await.unwrap()[0].status, DELETED);
            assert_eq!(db.store.templates().await.unwrap().len(), 3);
        }

        async fn a_template_that_comes_back_is_the_same_row(db: Database) {
            let account = account(&db.store, "shop").await;
            db.store.sync_templates(account, &[synced("sale", "en", "APPROVED")], 10).await.unwrap();
            let before = db.store.templates().await.unwrap()[0].id;
            db.store.sync_templates(account, &[], 20).await.unwrap();
            db.store.sync_templates(account, &[synced("sale", "en", "APPROVED")], 30).await.unwrap();
            let after = db.store.templates().await.unwrap();
            assert_eq!((after[0].id, after[0].status.as_str()), (before, "APPROVED"));
            assert!(db.store.set_template_status(account, "sale", "en", "PAUSED").await.unwrap());
            assert_eq!(db.store.templates().await.unwrap()[0].status, "PAUSED");
            assert!(!db.store.set_template_status(account, "sale", "fr", "PAUSED").await.unwrap());
        }

        async fn more_templates_than_one_chunk_are_all_there_and_two_accounts_do_not_mix(db: Database) {
            let (one, two) = (account(&db.store, "one").await, account(&db.store, "two").await);
            let many: Vec<_> = (0..CHUNK * 2 + 1).map(|n| synced(&format!("t{n}"), "en", "APPROVED")).collect();
            db.store.sync_templates(one, &many, 10).await.unwrap();
            db.store.sync_templates(two, &many[..1], 10).await.unwrap();
            db.store.sync_templates(two, &[], 20).await.unwrap();
            let alive = db.store.templates().await.unwrap().iter().filter(|t| t.status == "APPROVED").count();
            assert_eq!(alive, many.len());
        }
    }
}
