//! Who looked at a person and who took data out: a record that only grows, with nobody's name in it.

use crate::db::{Priority, Store, on};
use crate::error::Result;

/// A look at a person, or data that left.
#[derive(Clone, Debug)]
pub struct NewDisclosure<'a> {
    /// When, epoch ms.
    pub at: i64,
    /// To whom.
    pub actor: &'a str,
    /// What: `prove`, `check`, `person-export`, `ledger-export`, …
    pub what: &'a str,
    /// The person, where it was about one whom we know.
    pub contact_id: Option<i64>,
    /// What else belongs to it, as how many rows left. Nothing personal.
    pub detail: &'a str,
}

/// A disclosure as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisclosureRow {
    /// Ours.
    pub id: i64,
    /// When, epoch ms.
    pub at: i64,
    /// To whom.
    pub actor: String,
    /// What.
    pub what: String,
    /// The person it was about.
    pub contact_id: Option<i64>,
    /// What else belongs to it.
    pub detail: String,
}

from_row!(DisclosureRow { id, at, actor, what, contact_id, detail });

impl Store {
    /// Notes a disclosure. Durable when it returns: nothing should leave before.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn note_disclosure(&self, new: &NewDisclosure<'_>) -> Result<()> {
        let mut tx = self.write(Priority::Urgent).await?;
        on!(&mut tx, c => sqlx::query(
            "INSERT INTO disclosures (at, actor, what, contact_id, detail) VALUES ($1, $2, $3, $4, $5)")
            .bind(new.at).bind(new.actor).bind(new.what).bind(new.contact_id).bind(new.detail)
            .execute(c).await.map(drop))?;
        tx.commit().await
    }

    /// Disclosures after an id, oldest first: a page. Of one person where `contact_id` names one.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn disclosures(&self, contact_id: Option<i64>, after: i64, limit: i64) -> Result<Vec<DisclosureRow>> {
        let mut link = self.read().await?;
        Ok(match contact_id {
            Some(person) => on!(&mut link, c => sqlx::query_as(
                "SELECT * FROM disclosures WHERE contact_id = $1 AND id > $2 ORDER BY id LIMIT $3")
                .bind(person).bind(after).bind(limit).fetch_all(c).await)?,
            None => on!(&mut link, c => sqlx::query_as(
                "SELECT * FROM disclosures WHERE id > $1 ORDER BY id LIMIT $2")
                .bind(after).bind(limit).fetch_all(c).await)?,
        })
    }

    /// Disclosures before an id, newest first: a page. `None` begins with the last one.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn latest_disclosures(&self, before: Option<i64>, limit: i64) -> Result<Vec<DisclosureRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as("SELECT * FROM disclosures WHERE id < $1 ORDER BY id DESC LIMIT $2")
            .bind(before.unwrap_or(i64::MAX)).bind(limit).fetch_all(c).await)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Database, on_both_databases};

    on_both_databases! {
        async fn disclosures_can_be_read_and_neither_changed_nor_removed(db: Database) {
            for (contact_id, what) in [(Some(1), "check"), (None, "ledger-export"), (Some(2), "prove")] {
                let new = NewDisclosure { at: 5, actor: "cli:mona", what, contact_id, detail: "" };
                db.store.note_disclosure(&new).await.unwrap();
            }
            let all = db.store.disclosures(None, 0, 10).await.unwrap();
            assert_eq!(all.iter().map(|row| row.what.as_str()).collect::<Vec<_>>(), ["check", "ledger-export", "prove"]);
            assert_eq!(db.store.disclosures(Some(2), 0, 10).await.unwrap().len(), 1);
            assert_eq!(db.store.disclosures(None, all[1].id, 10).await.unwrap().len(), 1);
            let latest = db.store.latest_disclosures(None, 2).await.unwrap();
            assert_eq!(latest.iter().map(|row| row.what.as_str()).collect::<Vec<_>>(), ["prove", "ledger-export"]);
            assert_eq!(db.store.latest_disclosures(Some(latest[1].id), 2).await.unwrap(), all[..1]);
            for refused in ["UPDATE disclosures SET actor = 'cli:eve'", "DELETE FROM disclosures WHERE what = 'prove'"] {
                let mut tx = db.store.write(Priority::Urgent).await.unwrap();
                assert!(on!(&mut tx, c => sqlx::query(refused).execute(c).await.map(drop)).is_err(), "{refused}");
            }
        }
    }
}
