//! Who did what through the API, and every sign-in: rows that are added and never changed.

use crate::db::{Priority, Store, on};
use crate::error::Result;

/// Something that somebody did, or tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewAudit<'a> {
    /// Epoch ms.
    pub at: i64,
    /// Who: `cli:amr`, `key:ci`, `user:mona@example.com`; `nobody` where nobody was recognised.
    pub actor: &'a str,
    /// What: the operation's name in the API's description.
    pub action: &'a str,
    /// To what: the path's parameters.
    pub target: &'a str,
    /// The HTTP status that it ended with.
    pub status: i64,
    /// Where it came from.
    pub address: &'a str,
    /// The request's id, under which the log has more.
    pub request_id: &'a str,
}

/// A row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Ours; later ones are higher.
    pub id: i64,
    /// Epoch ms.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what.
    pub target: String,
    /// The HTTP status that it ended with.
    pub status: i64,
    /// Where it came from.
    pub address: String,
    /// The request's id.
    pub request_id: String,
}

from_row!(AuditRow { id, at, actor, action, target, status, address, request_id });

/// Which rows of the audit log.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter<'a> {
    /// Only this actor's.
    pub actor: Option<&'a str>,
    /// Only this action.
    pub action: Option<&'a str>,
    /// Not before this time (epoch ms).
    pub since: Option<i64>,
    /// Only rows with a smaller id: the page before ended there.
    pub before: Option<i64>,
}

impl Store {
    /// Adds a row.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn add_audit(&self, row: &NewAudit<'_>) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "INSERT INTO audit (at, actor, action, target, status, address, request_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(row.at).bind(row.actor).bind(row.action).bind(row.target).bind(row.status).bind(row.address)
            .bind(row.request_id).execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// A page of the audit log, the newest first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn audit(&self, filter: &AuditFilter<'_>, limit: i64) -> Result<Vec<AuditRow>> {
        let mut link = self.read().await?;
        // Only what was asked for stands in the statement, so that the index of it is used.
        let mut sql = String::from(
            "SELECT id, at, actor, action, target, status, address, request_id FROM audit WHERE id < $1 AND at >= $2",
        );
        for (column, place, asked) in [("actor", 4, filter.actor), ("action", 5, filter.action)] {
            if asked.is_some() {
                sql.push_str(&format!(" AND {column} = ${place}"));
            } else {
                // Each place is bound, and so must be named.
                sql.push_str(&format!(" AND ${place} = ''"));
            }
        }
        sql.push_str(" ORDER BY id DESC LIMIT $3");
        Ok(on!(&mut link, c => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(filter.before.unwrap_or(i64::MAX)).bind(filter.since.unwrap_or(i64::MIN)).bind(limit)
            .bind(filter.actor.unwrap_or_default()).bind(filter.action.unwrap_or_default())
            .fetch_all(c).await)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Database, on_both_databases};

    fn row(actor: &'static str, action: &'static str, at: i64) -> NewAudit<'static> {
        NewAudit { at, actor, action, target: "spring", status: 200, address: "::1", request_id: "r1" }
    }

    on_both_databases! {
        async fn rows_are_found_by_who_and_what_and_when_newest_first(db: Database) {
            for (actor, action, at) in [("cli:amr", "users_invite", 1), ("key:ci", "imports_create", 2), ("cli:amr", "imports_create", 3)] {
                db.store.add_audit(&row(actor, action, at)).await.unwrap();
            }
            let found = async |filter: AuditFilter<'_>| {
                let rows = db.store.audit(&filter, 10).await.unwrap();
                rows.into_iter().map(|row| row.at).collect::<Vec<_>>()
            };
            assert_eq!(found(AuditFilter::default()).await, [3, 2, 1]);
            assert_eq!(found(AuditFilter { actor: Some("cli:amr"), ..AuditFilter::default() }).await, [3, 1]);
            assert_eq!(found(AuditFilter { action: Some("imports_create"), since: Some(3), ..AuditFilter::default() }).await, [3]);
            let first = db.store.audit(&AuditFilter::default(), 1).await.unwrap();
            assert_eq!(found(AuditFilter { before: Some(first[0].id), ..AuditFilter::default() }).await, [2, 1]);
        }

        async fn no_row_is_changed_or_removed(db: Database) {
            db.store.add_audit(&row("cli:amr", "users_invite", 1)).await.unwrap();
            for sql in ["DELETE FROM audit", "UPDATE audit SET actor = 'nobody'"] {
                let mut tx = db.store.write(Priority::Urgent).await.unwrap();
                let done = on!(&mut tx, c => sqlx::query(sql).execute(c).await.map(drop));
                assert!(done.unwrap_err().to_string().contains("append-only"), "{sql}");
            }
        }
    }
}
