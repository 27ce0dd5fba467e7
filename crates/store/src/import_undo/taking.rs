//! What an undo takes, chunk by chunk: first what is known of people, then their place on the list, then the evidence, and
//! at last the people themselves. Whatever another import brought, too, is passed on to that one.

use std::collections::BTreeMap;

use super::heirs::Heirs;
use super::{CHUNK, EvidenceRow, HandedOver, Undone, of_people};
use crate::db::{Link, Priority, Store, on};
use crate::error::Result;
use crate::imports::ImportRow;
use crate::ledger::{self, NewEntry};

/// An import that is being taken back.
pub(super) struct Taking<'a> {
    pub(super) store: &'a Store,
    pub(super) import: &'a ImportRow,
    pub(super) heirs: Heirs,
    pub(super) undone: Undone,
}

impl Taking<'_> {
    /// The people whom it changed are what they were; or what it made of them is another import's doing, which keeps what
    /// they were for an undo of its own.
    pub(super) async fn restore_people(&mut self) -> Result<()> {
        loop {
            // Those of the page before are gone from there.
            let people = self
                .page(
                    "SELECT contact_id FROM import_changes WHERE import_id = $1 AND contact_id > $2
                     ORDER BY contact_id LIMIT $3",
                    (self.import.id, 0),
                )
                .await?;
            if people.is_empty() {
                return Ok(());
            }
            let by_heir = self.heirs.brought(self.store, &people).await?.by_person(&people);
            let mut tx = self.store.write(Priority::Bulk).await?;
            for (heir, people) in &by_heir {
                match heir {
                    None => self.undone.restored += restore(&mut tx, self.import.id, people).await?,
                    Some(heir) => pass_on_changes(&mut tx, self.import.id, *heir, people).await?,
                }
                let forget = of_people(&tx, "DELETE FROM import_changes WHERE import_id = $1 AND contact_id");
                run(&mut tx, forget, self.import.id, people, None).await?;
            }
            tx.commit().await?;
            self.note(&by_heir, |undone| &mut undone.kept_people);
        }
    }

    /// The people whom it made and another import brought, too, were made by that one.
    pub(super) async fn pass_on_people(&mut self) -> Result<()> {
        // Whom others changed since, and then those who are as it made them.
        const CHANGED: &str = "SELECT contact_id FROM import_changes WHERE before_import = $1 AND contact_id > $2
                               ORDER BY contact_id LIMIT $3";
        const AS_MADE: &str = "SELECT id FROM contacts WHERE import_id = $1 AND id > $2 ORDER BY id LIMIT $3";
        for (sql, mut after) in [(CHANGED, 0), (AS_MADE, self.import.contacts_before)] {
            loop {
                let people = self.page(sql, (self.import.id, after)).await?;
                let Some(last) = people.last() else { break };
                after = *last;
                let mut by_heir = self.heirs.brought(self.store, &people).await?.by_person(&people);
                by_heir.remove(&None);
                if by_heir.is_empty() {
                    continue;
                }
                let mut tx = self.store.write(Priority::Bulk).await?;
                for (heir, people) in by_heir.iter().filter_map(|(heir, people)| Some((heir.as_ref()?, people))) {
                    pass_on_made(&mut tx, self.import, *heir, people).await?;
                }
                tx.commit().await?;
                self.note(&by_heir, |undone| &mut undone.kept_people);
            }
        }
        Ok(())
    }

    /// Whom it brought to its list leaves it, unless another import brought them there, too.
    pub(super) async fn leave_list(&mut self) -> Result<()> {
        let (list_id, mut after) = (self.import.list_id, 0);
        loop {
            let mut link = self.store.read().await?;
            let people: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
                "SELECT contact_id FROM list_members WHERE list_id = $1 AND contact_id > $2 AND import_id = $3
                 ORDER BY contact_id LIMIT $4")
                .bind(list_id).bind(after).bind(self.import.id).bind(CHUNK).fetch_all(c).await)?;
            drop(link);
            let Some(last) = people.last() else { return Ok(()) };
            after = *last;
            let by_heir = self.heirs.brought(self.store, &people).await?.by_list(&people, list_id);
            let mut tx = self.store.write(Priority::Bulk).await?;
            for (heir, people) in &by_heir {
                let statement = match heir {
                    None => "DELETE FROM list_members WHERE import_id = $1 AND list_id = $3 AND contact_id",
                    Some(_) => {
                        "UPDATE list_members SET import_id = $4 WHERE import_id = $1 AND list_id = $3 AND contact_id"
                    }
                };
                let statement = of_people(&tx, statement);
                let json = serde_json::to_string(people)?;
                let done = on!(&mut tx, c => {
                    let query = sqlx::query(statement).bind(self.import.id).bind(json).bind(list_id);
                    match heir {
                        None => query.execute(c).await.map(|done| done.rows_affected()),
                        Some(heir) => query.bind(heir).execute(c).await.map(|done| done.rows_affected()),
                    }
                })?;
                self.undone.left_list += if heir.is_none() { done } else { 0 };
            }
            tx.commit().await?;
            self.note(&by_heir, |undone| &mut undone.kept_on_list);
        }
    }

    /// Its evidence goes, unless another import brought the same: then it is that one's, in a chunk of its own with an entry
    /// of its own, so that the ledger goes on vouching for it.
    pub(super) async fn drop_evidence(&mut self, entry: &impl Fn(&HandedOver<'_>) -> NewEntry) -> Result<()> {
        let mut after = 0;
        loop {
            let people = self
                .page(
                    "SELECT DISTINCT contact_id FROM opt_ins WHERE import_id = $1 AND contact_id > $2
                     ORDER BY contact_id LIMIT $3",
                    (self.import.id, after),
                )
                .await?;
            let Some(last) = people.last() else { return Ok(()) };
            after = *last;
            let brought = self.heirs.brought(self.store, &people).await?;
            let by_heir = brought.by_evidence(&people);
            let mut tx = self.store.write(Priority::Bulk).await?;
            let mut dropped = 0;
            for (heir, people) in &by_heir {
                match heir.and_then(|heir| brought.import(heir)) {
                    None => {
                        let drop_them = of_people(&tx, "DELETE FROM opt_ins WHERE import_id = $1 AND contact_id");
                        dropped += run(&mut tx, drop_them, self.import.id, people, None).await?;
                    }
                    Some(heir) => {
                        let handed = hand_over(&mut tx, self.import.id, heir, people).await?;
                        ledger::append(&mut tx, &entry(&handed)).await?;
                    }
                }
            }
            tx.commit().await?;
            self.undone.evidence += dropped;
            self.note(&by_heir, |undone| &mut undone.kept_evidence);
        }
    }

    /// The people whom it alone brought leave, but those who opted out, wrote to us, are to be written to after all, or are
    /// on a list that somebody put them on by hand.
    pub(super) async fn remove_people(&mut self) -> Result<()> {
        let import = self.import;
        let mut link = self.store.read().await?;
        let wrote: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT DISTINCT contact_id FROM inbound WHERE contact_id > $1 ORDER BY contact_id")
            .bind(import.contacts_before).fetch_all(c).await)?;
        let campaigns: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT id FROM campaigns WHERE started_at >= $1 AND frozen_at >= $1")
            .bind(import.started_at).fetch_all(c).await)?;
        let campaigns = serde_json::to_string(&campaigns)?;
        let lists: Vec<i64> =
            on!(&mut link, c => sqlx::query_scalar("SELECT id FROM lists ORDER BY id").fetch_all(c).await)?;
        let lists = serde_json::to_string(&lists)?;
        drop(link);
        let mut after = import.contacts_before;
        loop {
            let people = self.page(
                "SELECT id FROM contacts WHERE import_id = $1 AND id > $2 ORDER BY id LIMIT $3",
                (import.id, after),
            );
            let people = people.await?;
            let Some(last) = people.last() else { return Ok(()) };
            after = *last;
            let all = people.len() as u64;
            let mut link = self.store.read().await?;
            let listed = link.pick(
                "SELECT m.contact_id FROM json_each($2) AS l CROSS JOIN json_each($1) AS j
                 CROSS JOIN list_members AS m ON m.list_id = l.value AND m.contact_id = j.value",
                "SELECT m.contact_id
                 FROM jsonb_array_elements_text($2::jsonb) AS l(v) CROSS JOIN jsonb_array_elements_text($1::jsonb) AS j(v)
                 CROSS JOIN LATERAL (SELECT contact_id FROM list_members
                                     WHERE list_id = l.v::bigint AND contact_id = j.v::bigint LIMIT 1) AS m",
            );
            let mut listed: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(listed)
                .bind(serde_json::to_string(&people)?).bind(&lists).fetch_all(c).await)?;
            drop(link);
            listed.sort_unstable();
            let is_free = |id: &i64| wrote.binary_search(id).is_err() && listed.binary_search(id).is_err();
            let silent: Vec<i64> = people.into_iter().filter(is_free).collect();
            let json = serde_json::to_string(&silent)?;
            let mut tx = self.store.write(Priority::Bulk).await?;
            // Each person is looked up in each campaign, by the key: see `filters`.
            let since = tx.pick(
                "IN (SELECT value FROM json_each($3))",
                "= ANY (ARRAY(SELECT (jsonb_array_elements_text($3::jsonb))::bigint))",
            );
            let free = of_people(
                &tx,
                &format!(
                    "SELECT c.id FROM contacts c
                     WHERE (SELECT p.contact_id FROM suppressions p WHERE p.contact_id = c.id LIMIT 1) IS NULL
                       AND (SELECT o.contact_id FROM opt_ins o WHERE o.contact_id = c.id LIMIT 1) IS NULL
                       AND (SELECT s.contact_id FROM sends s
                            WHERE s.campaign_id {since} AND s.contact_id = c.id LIMIT 1) IS NULL
                       AND c.import_id = $1 AND c.id"
                ),
            );
            let free: Vec<i64> = on!(&mut tx, c => sqlx::query_scalar(free)
                .bind(import.id).bind(&json).bind(&campaigns).fetch_all(c).await)?;
            let names = of_people(&tx, "DELETE FROM identities WHERE $1 = $1 AND contact_id");
            run(&mut tx, names, import.id, &free, None).await?;
            let gone = of_people(&tx, "DELETE FROM contacts WHERE import_id = $1 AND id");
            let gone = run(&mut tx, gone, import.id, &free, None).await?;
            tx.commit().await?;
            self.undone.removed += gone;
            self.undone.stayed += all - gone;
        }
    }

    /// Counts those who have an heir, and remembers who that is.
    fn note(&mut self, by_heir: &BTreeMap<Option<i64>, Vec<i64>>, count: impl Fn(&mut Undone) -> &mut u64) {
        for (heir, people) in by_heir.iter().filter_map(|(heir, people)| Some((heir.as_ref()?, people))) {
            *count(&mut self.undone) += people.len() as u64;
            if let Err(place) = self.undone.kept_for.binary_search(heir) {
                self.undone.kept_for.insert(place, *heir);
            }
        }
    }

    async fn page(&self, sql: &'static str, (of, after): (i64, i64)) -> Result<Vec<i64>> {
        let mut link = self.store.read().await?;
        Ok(on!(&mut link, c => sqlx::query_scalar(sql).bind(of).bind(after).bind(CHUNK).fetch_all(c).await)?)
    }
}

/// Runs a statement of an import (`$1`), people (`$2`) and perhaps another import (`$3`).
async fn run(
    tx: &mut Link,
    statement: sqlx::AssertSqlSafe<String>,
    import_id: i64,
    people: &[i64],
    heir: Option<i64>,
) -> Result<u64> {
    let json = serde_json::to_string(people)?;
    Ok(on!(tx, c => {
        let query = sqlx::query(statement).bind(import_id).bind(json);
        match heir {
            None => query.execute(c).await.map(|done| done.rows_affected()),
            Some(heir) => query.bind(heir).execute(c).await.map(|done| done.rows_affected()),
        }
    })?)
}

/// The people whom it changed, and nobody since, are what they were.
async fn restore(tx: &mut Link, import_id: i64, people: &[i64]) -> Result<u64> {
    // SQLite: the upsert looks each row up by its key, where UPDATE … FROM would read the whole table.
    let restore = tx.pick(
        "INSERT INTO contacts (id, phone_key, phone, name, language, attributes, import_id, created_at, updated_at)
         SELECT c.id, c.phone_key, i.phone, i.name, i.language, i.attributes, i.before_import, c.created_at, i.updated_at
         FROM json_each($2) AS j CROSS JOIN import_changes AS i ON i.import_id = $1 AND i.contact_id = j.value
         CROSS JOIN contacts AS c ON c.id = i.contact_id WHERE c.import_id = $1
         ON CONFLICT (id) DO UPDATE SET phone = excluded.phone, name = excluded.name, language = excluded.language,
            attributes = excluded.attributes, import_id = excluded.import_id, updated_at = excluded.updated_at",
        "UPDATE contacts c SET phone = i.phone, name = i.name, language = i.language, attributes = i.attributes,
                import_id = i.before_import, updated_at = i.updated_at
         FROM import_changes i WHERE i.import_id = $1 AND i.contact_id = c.id AND c.import_id = $1
           AND c.id = ANY (ARRAY(SELECT (jsonb_array_elements_text($2::jsonb))::bigint))",
    );
    let json = serde_json::to_string(people)?;
    Ok(on!(tx, c => sqlx::query(restore).bind(import_id).bind(json).execute(c).await.map(|done| done.rows_affected()))?)
}

/// What people were before it changed them is what they were before the heir did.
async fn pass_on_changes(tx: &mut Link, import_id: i64, heir: i64, people: &[i64]) -> Result<()> {
    let of_these = tx.pick(
        "contact_id IN (SELECT value FROM json_each($2))",
        "contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text($2::jsonb))::bigint))",
    );
    let keep = sqlx::AssertSqlSafe(format!(
        "INSERT INTO import_changes (import_id, contact_id, phone, name, language, attributes, before_import, updated_at)
         SELECT $3, contact_id, phone, name, language, attributes, before_import, updated_at FROM import_changes
         WHERE import_id = $1 AND {of_these}
         ON CONFLICT (import_id, contact_id) DO UPDATE SET phone = excluded.phone, name = excluded.name,
            language = excluded.language, attributes = excluded.attributes, before_import = excluded.before_import,
            updated_at = excluded.updated_at"
    ));
    run(tx, keep, import_id, people, Some(heir)).await?;
    name_instead(tx, import_id, heir, people).await
}

/// Whoever it made was made by the heir.
async fn pass_on_made(tx: &mut Link, import: &ImportRow, heir: i64, people: &[i64]) -> Result<()> {
    // Whoever makes somebody has changed nothing of them.
    let forget = of_people(tx, "DELETE FROM import_changes WHERE import_id = $3 AND before_import = $1 AND contact_id");
    run(tx, forget, import.id, people, Some(heir)).await?;
    name_instead(tx, import.id, heir, people).await?;
    on!(tx, c => sqlx::query("UPDATE imports SET contacts_before = $2 WHERE id = $1 AND contacts_before > $2")
        .bind(heir).bind(import.contacts_before).execute(c).await.map(drop))?;
    Ok(())
}

/// Wherever it is named as the one who wrote these people's columns, the heir is.
async fn name_instead(tx: &mut Link, import_id: i64, heir: i64, people: &[i64]) -> Result<()> {
    let later = of_people(tx, "UPDATE import_changes SET before_import = $3 WHERE before_import = $1 AND contact_id");
    run(tx, later, import_id, people, Some(heir)).await?;
    let now = of_people(tx, "UPDATE contacts SET import_id = $3 WHERE import_id = $1 AND id");
    run(tx, now, import_id, people, Some(heir)).await?;
    Ok(())
}

/// The evidence of these people is the heir's from here on.
async fn hand_over<'a>(tx: &mut Link, import_id: i64, heir: &'a ImportRow, people: &[i64]) -> Result<HandedOver<'a>> {
    let json = serde_json::to_string(people)?;
    let sql = of_people(tx, &format!("{} WHERE o.import_id = $1 AND o.contact_id", super::EVIDENCE));
    let rows: Vec<EvidenceRow> = on!(tx, c => sqlx::query_as(sql).bind(import_id).bind(&json).fetch_all(c).await)?;
    // It does not run any more, so that the numbers after its own are free.
    let chunk: i64 = on!(tx, c => sqlx::query_scalar("UPDATE imports SET chunks = chunks + 1 WHERE id = $1 RETURNING chunks")
        .bind(heir.id).fetch_one(c).await)?;
    let sql = of_people(tx, "UPDATE opt_ins SET import_id = $3, chunk = $4 WHERE import_id = $1 AND contact_id");
    on!(tx, c => sqlx::query(sql).bind(import_id).bind(&json).bind(heir.id).bind(chunk).execute(c).await.map(drop))?;
    Ok(HandedOver { to: heir, chunk, evidence: rows })
}
