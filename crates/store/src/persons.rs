//! Everything that is held of one person, read for them, for an auditor, or for a court.
//!
//! A person may be several rows, before their number and their user id are known to belong together; every question here
//! takes all of them. None of it is on the path of a send.

use std::collections::HashMap;

use crate::blind::is_blind;
use crate::db::{Store, on};
use crate::error::Result;
use crate::ledger::EntryRow;

/// A send to a person, or that there was none, with what it takes to tell it to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// The campaign.
    pub campaign_id: i64,
    /// Its name.
    pub campaign: String,
    /// The template, as it was at launch: JSON.
    pub template: String,
    /// Meta's id of the business number.
    pub phone_number_id: String,
    /// The business number as people see it.
    pub display: String,
    /// Its brand.
    pub brand: Option<String>,
    /// The row of theirs it went to.
    pub contact_id: i64,
    /// `domain::send::SendState` as a number.
    pub state: i16,
    /// The last attempt; 0: none was made.
    pub attempt: i64,
    /// When the last attempt was claimed, or found to be forbidden by the claim.
    pub claimed_at: Option<i64>,
    /// Meta's code, where it failed.
    pub code: Option<i64>,
    /// Why it was skipped, where it was.
    pub reason: Option<String>,
    /// Meta's id of the message.
    pub wamid: Option<String>,
    /// When Meta took it, epoch ms.
    pub accepted_at: Option<i64>,
    /// When Meta sent it.
    pub sent_at: Option<i64>,
    /// When it reached the device.
    pub delivered_at: Option<i64>,
    /// When it was opened.
    pub read_at: Option<i64>,
    /// When it failed.
    pub failed_at: Option<i64>,
    /// When the campaign was launched.
    pub launched_at: Option<i64>,
    /// When its audience was planned from.
    pub frozen_at: Option<i64>,
}

from_row!(MessageRow {
    campaign_id,
    campaign,
    template,
    phone_number_id,
    display,
    brand,
    contact_id,
    state,
    attempt,
    claimed_at,
    code,
    reason,
    wamid,
    accepted_at,
    sent_at,
    delivered_at,
    read_at,
    failed_at,
    launched_at,
    frozen_at
});

/// A message that a person sent to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyRow {
    /// Meta's id of it.
    pub wamid: String,
    /// The campaign it answers.
    pub campaign_id: Option<i64>,
    /// Nothing in it says so.
    pub inferred: bool,
    /// `text`, `button`, …
    pub kind: String,
    /// What was said, JSON.
    pub detail: String,
    /// When the person sent it.
    pub at: i64,
    /// When we got it.
    pub received_at: i64,
}

from_row!(ReplyRow { wamid, campaign_id, inferred, kind, detail, at, received_at });

/// A list that a person is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipRow {
    /// The list.
    pub list: String,
    /// The import that put them there.
    pub import_id: Option<i64>,
    /// Since when.
    pub added_at: i64,
}

from_row!(MembershipRow { list, import_id, added_at });

/// An earlier attempt of a send, which a later one replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// The campaign.
    pub campaign_id: i64,
    /// Which attempt.
    pub attempt: i64,
    /// Meta's code.
    pub code: Option<i64>,
    /// What was said of it.
    pub reason: Option<String>,
    /// Meta's id of the message.
    pub wamid: Option<String>,
    /// When it ended.
    pub at: i64,
}

from_row!(AttemptRow { campaign_id, attempt, code, reason, wamid, at });

/// What somebody was before an import changed them.
#[derive(Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// The import.
    pub import_id: i64,
    /// The number before, digits.
    pub phone: Option<i64>,
    /// The name before.
    pub name: Option<String>,
    /// The language before.
    pub language: Option<String>,
    /// The other columns before, JSON.
    pub attributes: String,
}

from_row!(ChangeRow { import_id, phone, name, language, attributes });

impl std::fmt::Debug for ChangeRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeRow").field("import_id", &self.import_id).finish_non_exhaustive()
    }
}

/// Whoever bears a number's key, a user id, or what stands for either of them since an erasure. Each name by an equality
/// of its own: given a choice of values, PostgreSQL looks through all names of a kind.
pub(crate) const NAMED: &str = "SELECT id FROM contacts WHERE phone_key IN ($1, $3)
     UNION SELECT contact_id FROM identities WHERE kind = 2 AND value = $2
     UNION SELECT contact_id FROM identities WHERE kind = 2 AND value = $4
     UNION SELECT contact_id FROM identities WHERE kind = 3 AND value = $2
     UNION SELECT contact_id FROM identities WHERE kind = 3 AND value = $5 ORDER BY 1";

impl Store {
    /// The rows of whoever bears this number (its canonical key) or user id, in ascending order.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn people_named(&self, phone_key: Option<i64>, user_id: Option<&str>) -> Result<Vec<i64>> {
        let mut link = self.read().await?;
        let (blind, [own, parent]) = (self.blind_phone(phone_key), self.blind_names(user_id));
        Ok(
            on!(&mut link, c => sqlx::query_scalar(NAMED).bind(phone_key).bind(user_id).bind(blind).bind(own).bind(parent)
            .fetch_all(c).await)?,
        )
    }

    /// The other names of a person: kind (1 wa_id, 2 user id, 3 parent user id) and value.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn names_of(&self, contact_id: i64) -> Result<Vec<(i16, String)>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT kind, value FROM identities WHERE contact_id = $1 ORDER BY kind, value")
            .bind(contact_id).fetch_all(c).await)?)
    }

    /// One name of each of these people who has any that was not erased: the user id before a parent's, the first of
    /// several.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn names_among(&self, contact_ids: &[i64]) -> Result<HashMap<i64, String>> {
        if contact_ids.is_empty() {
            return Ok(HashMap::new());
        }
        let mut link = self.read().await?;
        let sql = link.pick(
            "SELECT contact_id, value FROM identities
             WHERE contact_id IN (SELECT value FROM json_each($1)) ORDER BY contact_id, kind DESC, value DESC",
            "SELECT contact_id, value FROM identities
             WHERE contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text($1::jsonb))::bigint))
             ORDER BY contact_id, kind DESC, value DESC",
        );
        let json = serde_json::to_string(contact_ids)?;
        let names: Vec<(i64, String)> = on!(&mut link, c => sqlx::query_as(sql).bind(json).fetch_all(c).await)?;
        Ok(names.into_iter().filter(|(_, name)| !is_blind(name)).collect())
    }

    /// The lists a person is on.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn memberships_of(&self, contact_id: i64) -> Result<Vec<MembershipRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT l.name AS list, m.import_id, m.added_at FROM lists l CROSS JOIN list_members m
             WHERE m.list_id = l.id AND m.contact_id = $1 ORDER BY l.name").bind(contact_id).fetch_all(c).await)?)
    }

    /// A person's place in every campaign that had one for them, oldest campaign first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn messages_of(&self, contact_id: i64) -> Result<Vec<MessageRow>> {
        let mut link = self.read().await?;
        // Sends lie by campaign: each is looked up by its key.
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT s.campaign_id, k.name AS campaign, k.template, n.phone_number_id, n.display, n.brand, s.contact_id,
                    s.state,
                    s.attempt, s.claimed_at, s.code, s.reason, s.wamid, s.accepted_at, s.sent_at, s.delivered_at,
                    s.read_at, s.failed_at, k.launched_at, k.frozen_at
             FROM campaigns k CROSS JOIN sends s JOIN numbers n ON n.id = s.number_id
             WHERE s.campaign_id = k.id AND s.contact_id = $1 ORDER BY k.id").bind(contact_id).fetch_all(c).await)?)
    }

    /// Earlier attempts to reach a person.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn past_attempts_of(&self, contact_id: i64) -> Result<Vec<AttemptRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT p.campaign_id, p.attempt, p.code, p.reason, p.wamid, p.at FROM campaigns k CROSS JOIN past_attempts p
             WHERE p.campaign_id = k.id AND p.contact_id = $1 ORDER BY p.campaign_id, p.attempt")
            .bind(contact_id).fetch_all(c).await)?)
    }

    /// What a person sent to us, oldest first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn replies_of(&self, contact_id: i64) -> Result<Vec<ReplyRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT wamid, campaign_id, inferred, kind, detail, at, received_at FROM inbound WHERE contact_id = $1
             ORDER BY received_at, wamid").bind(contact_id).fetch_all(c).await)?)
    }

    /// What imports changed of a person.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn changes_of(&self, contact_id: i64) -> Result<Vec<ChangeRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT x.import_id, x.phone, x.name, x.language, x.attributes
             FROM imports i CROSS JOIN import_changes x WHERE x.import_id = i.id AND x.contact_id = $1
             ORDER BY x.import_id").bind(contact_id).fetch_all(c).await)?)
    }

    /// What a person said that somebody had to read, decided or not: words, what they ask, when, and the decision.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn reviews_of(&self, contact_id: i64) -> Result<Vec<crate::ReviewRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as("SELECT * FROM reviews WHERE contact_id = $1 ORDER BY id")
            .bind(contact_id).fetch_all(c).await)?)
    }

    /// The ledger's entries about a person, in the order of appending.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn entries_about(&self, contact_id: i64) -> Result<Vec<EntryRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as("SELECT * FROM ledger WHERE contact_id = $1 ORDER BY id")
            .bind(contact_id).fetch_all(c).await)?)
    }

    /// The ledger's entries about an import: of its chunks, and of its end.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn entries_of_import(&self, import_id: i64) -> Result<Vec<EntryRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as("SELECT * FROM ledger WHERE import_id = $1 ORDER BY id")
            .bind(import_id).fetch_all(c).await)?)
    }

    /// The chain's hash up to a place; `None` where nothing is sealed there.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn hash_at(&self, seq: i64) -> Result<Option<Vec<u8>>> {
        let mut link = self.read().await?;
        let hash: Option<Option<Vec<u8>>> = on!(&mut link, c => sqlx::query_scalar(
            "SELECT hash FROM ledger WHERE sealed_seq = $1").bind(seq).fetch_optional(c).await)?;
        Ok(hash.flatten())
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{NOW, Shop, exec};
    use crate::suppressions::Stop;
    use crate::testing::{Database, entry, on_both_databases};

    on_both_databases! {
        async fn what_is_held_of_a_person_is_found_by_the_person_alone(db: Database) {
            let shop = Shop::open(&db.store, 1).await;
            let list = shop.list("all", 1..=2, NOW).await;
            shop.list("others", 3..=3, NOW).await;
            shop.campaign("spring", &[list]).await;
            let stop = Stop { phone: Some((15_550_000_002, 15_550_000_002)), ..crate::fixture::stop() };
            db.store.stop(&stop).await.unwrap();
            let mut told = entry("opt-in", 1);
            told.import_id = Some(7);
            db.store.append_entry(&told).await.unwrap();
            exec(&db.store, format!(
                "INSERT INTO inbound (wamid, account_id, contact_id, kind, detail, at, received_at)
                 VALUES ('w.1', 1, 2, 'text', '{{\"body\":\"STOP\"}}', {NOW}, {NOW})")).await;
            let store = &db.store;
            assert_eq!(store.people_named(Some(15_550_000_002), None).await.unwrap(), [2]);
            assert_eq!(store.memberships_of(2).await.unwrap()[0].list, "all");
            let messages = store.messages_of(2).await.unwrap();
            assert_eq!((messages.len(), messages[0].campaign.as_str()), (1, "spring"));
            assert!(store.messages_of(3).await.unwrap().is_empty());
            assert_eq!(store.replies_of(2).await.unwrap()[0].wamid, "w.1");
            assert!(store.replies_of(1).await.unwrap().is_empty());
            assert_eq!(store.entries_about(2).await.unwrap().len(), 1);
            assert_eq!(store.entries_of_import(7).await.unwrap().len(), 1);
            assert!(store.names_of(2).await.unwrap().is_empty() && store.changes_of(2).await.unwrap().is_empty());
            assert!(store.reviews_of(2).await.unwrap().is_empty() && store.past_attempts_of(2).await.unwrap().is_empty());
            assert!(store.hash_at(1).await.unwrap().is_none());
        }
    }
}
