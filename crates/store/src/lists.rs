//! Lists of people.

use domain::send::SendState;

use crate::db::{Priority, Store, on};
use crate::error::Result;

/// Memberships removed in one transaction.
const CHUNK: i64 = 2_000;

/// A list as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Ours.
    pub id: i64,
    /// Unique.
    pub name: String,
    /// Epoch ms.
    pub created_at: i64,
    /// How many people are on it.
    pub members: i64,
    /// How many of them are opted out.
    pub suppressed: i64,
}

from_row!(List { id, name, created_at, members, suppressed });

const SELECT: &str = "SELECT l.id, l.name, l.created_at,
    (SELECT count(*) FROM list_members m WHERE m.list_id = l.id) AS members,
    (SELECT count(DISTINCT s.contact_id) FROM suppressions s JOIN list_members m ON m.contact_id = s.contact_id AND m.list_id = l.id)
        AS suppressed
    FROM lists l";

impl Store {
    /// The id of the list of that name, which is made when it is not there yet.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn ensure_list(&self, name: &str, now: i64) -> Result<i64> {
        if let Some(id) = self.list_id(name).await? {
            return Ok(id);
        }
        let mut tx = self.write(Priority::Urgent).await?;
        // The update that changes nothing makes the row come back when another process was faster.
        let id = on!(&mut tx, c => sqlx::query_scalar(
            "INSERT INTO lists (name, created_at) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET created_at = lists.created_at RETURNING id")
            .bind(name).bind(now).fetch_one(c).await)?;
        tx.commit().await?;
        Ok(id)
    }

    /// Puts the people whose message of a campaign failed on a list, in short transactions; with `code`, those alone
    /// whose failure the campaign's tally counts by it. How many they are. The skipped are not among them.
    ///
    /// # Errors
    /// As every write; what was put on it until then stays.
    #[crate::boxed]
    pub async fn list_failed(&self, campaign_id: i64, code: Option<&str>, list_id: i64, now: i64) -> Result<i64> {
        let (mut after, mut people) = (0, 0);
        loop {
            let mut link = self.read().await?;
            let page: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
                "SELECT contact_id FROM sends WHERE campaign_id = $1 AND contact_id > $2 AND state = $3
                    AND (CAST($5 AS TEXT) IS NULL OR coalesce(CAST(code AS TEXT), reason, 'unknown') = CAST($5 AS TEXT))
                 ORDER BY contact_id LIMIT $4")
                .bind(campaign_id).bind(after).bind(SendState::Failed as i16).bind(CHUNK).bind(code)
                .fetch_all(c).await)?;
            drop(link);
            let Some(last) = page.last() else { return Ok(people) };
            after = *last;
            people += i64::try_from(page.len()).unwrap_or(CHUNK);
            let mut tx = self.write(Priority::Bulk).await?;
            let sql = tx.pick(
                "INSERT INTO list_members (list_id, contact_id, added_at)
                 SELECT $1, value, $3 FROM json_each($2) WHERE true ON CONFLICT DO NOTHING",
                "INSERT INTO list_members (list_id, contact_id, added_at)
                 SELECT $1, v::bigint, $3 FROM jsonb_array_elements_text($2::jsonb) AS e(v) ON CONFLICT DO NOTHING",
            );
            let json = serde_json::to_string(&page)?;
            on!(&mut tx, c => sqlx::query(sql).bind(list_id).bind(json).bind(now).execute(c).await.map(drop))?;
            tx.commit().await?;
        }
    }

    /// The id of the list of that name. Costs nothing, unlike [`Self::list_named`], which counts the people.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn list_id(&self, name: &str) -> Result<Option<i64>> {
        let mut link = self.read().await?;
        let id = on!(&mut link, c => sqlx::query_scalar("SELECT id FROM lists WHERE name = $1")
            .bind(name).fetch_optional(c).await)?;
        Ok(id)
    }

    /// Differs when an import has ended or was undone, or a list or a campaign came or went, since it was asked before:
    /// what changes counts of people by many at once. Costs nothing.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn people_stamp(&self) -> Result<String> {
        let mut link = self.read().await?;
        let (imports, undone, last, lists, newest, campaign): (i64, i64, i64, i64, i64, i64) = on!(&mut link, c => {
            sqlx::query_as(
                "SELECT (SELECT count(*) FROM imports WHERE finished_at IS NOT NULL),
                        (SELECT count(*) FROM imports WHERE state = 'undone'),
                        (SELECT coalesce(max(finished_at), 0) FROM imports),
                        (SELECT count(*) FROM lists), (SELECT coalesce(max(id), 0) FROM lists),
                        coalesce((SELECT id FROM campaigns WHERE kind = 0 ORDER BY id DESC LIMIT 1), 0)")
                .fetch_one(c).await
        })?;
        Ok(format!("{imports}.{undone}.{last}.{lists}.{newest}.{campaign}"))
    }

    /// Every list, by name.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn lists(&self) -> Result<Vec<List>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} ORDER BY l.name"));
        let rows = on!(&mut link, c => sqlx::query_as(sql).fetch_all(c).await)?;
        Ok(rows)
    }

    /// The list of that name.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn list_named(&self, name: &str) -> Result<Option<List>> {
        let mut link = self.read().await?;
        let sql = sqlx::AssertSqlSafe(format!("{SELECT} WHERE l.name = $1"));
        let row = on!(&mut link, c => sqlx::query_as(sql).bind(name).fetch_optional(c).await)?;
        Ok(row)
    }

    /// The names of the campaigns that still need a list: drafts, and those whose audience is not planned to its end.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn campaigns_needing(&self, list_id: i64) -> Result<Vec<String>> {
        let mut link = self.read().await?;
        let names = on!(&mut link, c => sqlx::query_scalar(
            "SELECT c.name FROM campaigns c JOIN campaign_lists l ON l.campaign_id = c.id
             WHERE l.list_id = $1 AND c.state IN (0, 1, 2, 3) AND NOT c.planned ORDER BY c.name")
            .bind(list_id).fetch_all(c).await)?;
        Ok(names)
    }

    /// Removes a list and its memberships, in chunks; the people stay. `false` when there is no such list.
    ///
    /// # Errors
    /// As every write; what is gone by then stays gone, and the same call removes the rest.
    #[crate::boxed]
    pub async fn remove_list(&self, list_id: i64) -> Result<bool> {
        loop {
            let mut tx = self.write(Priority::Bulk).await?;
            let removed = on!(&mut tx, c => sqlx::query(
                "DELETE FROM list_members WHERE list_id = $1 AND contact_id IN (
                     SELECT contact_id FROM list_members WHERE list_id = $1 ORDER BY contact_id LIMIT $2)")
                .bind(list_id).bind(CHUNK).execute(c).await.map(|done| done.rows_affected()))?;
            tx.commit().await?;
            if removed == 0 {
                break;
            }
        }
        let mut tx = self.write(Priority::Urgent).await?;
        // An import may have put people on it since; it waits for us from here on, and then finds the list gone.
        let sql = tx.pick("SELECT id FROM lists WHERE id = $1", "SELECT id FROM lists WHERE id = $1 FOR UPDATE");
        let there: Option<i64> = on!(&mut tx, c => sqlx::query_scalar(sql).bind(list_id).fetch_optional(c).await)?;
        on!(&mut tx, c => sqlx::query("DELETE FROM list_members WHERE list_id = $1")
            .bind(list_id).execute(c).await.map(drop))?;
        on!(&mut tx, c => sqlx::query("DELETE FROM lists WHERE id = $1").bind(list_id).execute(c).await.map(drop))?;
        tx.commit().await?;
        Ok(there.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Database, on_both_databases};

    on_both_databases! {
        async fn a_list_is_made_once_and_found_by_its_name(db: Database) {
            let id = db.store.ensure_list("Ramadan قائمة", 5).await.unwrap();
            assert_eq!(db.store.ensure_list("Ramadan قائمة", 6).await.unwrap(), id);
            let list = db.store.list_named("Ramadan قائمة").await.unwrap().unwrap();
            assert_eq!(list, List { id, name: "Ramadan قائمة".to_owned(), created_at: 5, members: 0, suppressed: 0 });
            assert!(db.store.list_named("other").await.unwrap().is_none());
        }

        async fn a_list_of_several_chunks_is_removed_whole(db: Database) {
            let (gone, stays) = (db.store.ensure_list("gone", 1).await.unwrap(), db.store.ensure_list("stays", 1).await.unwrap());
            let members: Vec<i64> = (1..=CHUNK * 2 + 1).collect();
            let json = serde_json::to_string(&members).unwrap();
            let mut tx = db.store.write(Priority::Bulk).await.unwrap();
            let sql = tx.pick(
                "INSERT INTO list_members (list_id, contact_id, added_at)
                 SELECT $2, value, 1 FROM json_each($1)",
                "INSERT INTO list_members (list_id, contact_id, added_at)
                 SELECT $2, v::bigint, 1 FROM jsonb_array_elements_text($1::jsonb) AS e(v)");
            for list in [gone, stays] {
                on!(&mut tx, c => sqlx::query(sql).bind(&json).bind(list).execute(c).await.map(drop)).unwrap();
            }
            tx.commit().await.unwrap();
            assert!(db.store.remove_list(gone).await.unwrap());
            assert!(!db.store.remove_list(gone).await.unwrap());
            let lists = db.store.lists().await.unwrap();
            assert_eq!(lists.len(), 1);
            assert_eq!((lists[0].id, lists[0].members), (stays, CHUNK * 2 + 1));
        }
    }
}
