//! Single messages: one template, or one free text, to one person, with all the promises of a campaign because it is one, of one person.
//!
//! Its name is unique, so that a message that is asked for twice is made once. It is ready to be fed when it is committed.

use crate::campaigns::{NewCampaign, insert};
use crate::contacts::Contact;
use crate::db::{Priority, Store, on};
use crate::error::Result;
use crate::suppressions::one_at_a_time;
use crate::tallies::Deltas;
use crate::terms::Terms;

/// `campaigns.kind` of what people make, list and launch.
pub const CAMPAIGN: i16 = 0;

/// `meta.key` of the people of the house.
const TEST_PEOPLE: &str = "test_people";

/// What a single message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Asked for by a program: an order notice.
    Notice = 1,
    /// A campaign's message to somebody of the house.
    Test = 2,
    /// Free text to somebody who wrote, within the service window.
    Reply = 3,
}

/// What it takes to send one message.
#[derive(Clone, Debug)]
pub struct NewMessage<'a> {
    /// Unique among campaigns and messages.
    pub name: &'a str,
    /// What it is for.
    pub kind: MessageKind,
    /// The account.
    pub account_id: i64,
    /// The template; `None`: free text.
    pub template_id: Option<i64>,
    /// The template as checked, JSON.
    pub template: &'a str,
    /// KEY to TEXT, JSON.
    pub params: &'a str,
    /// The business number (our id).
    pub number_id: i64,
    /// The person.
    pub contact_id: i64,
    /// Who asks.
    pub created_by: &'a str,
    /// The campaign that is tried out.
    pub parent_id: Option<i64>,
}

/// A message in a list of them: without whom it goes to.
#[derive(Clone, Debug)]
pub struct ListedMessage {
    /// Its id.
    pub id: i64,
    /// The name of its campaign.
    pub name: String,
    /// The template as checked, JSON.
    pub template: String,
    /// Who asked for it.
    pub created_by: String,
    /// When.
    pub created_at: i64,
    /// Meta's id of the business number.
    pub phone_number_id: String,
    /// Where its send stands.
    pub state: i16,
    /// Why it was skipped or waits.
    pub reason: Option<String>,
    /// Until when it waits.
    pub not_before: Option<i64>,
    /// Meta's last error code.
    pub code: Option<i64>,
    /// Meta's id of it.
    pub wamid: Option<String>,
    /// When Meta took it.
    pub accepted_at: Option<i64>,
    /// When it was on the person's device.
    pub delivered_at: Option<i64>,
    /// When it was read.
    pub read_at: Option<i64>,
    /// When it failed.
    pub failed_at: Option<i64>,
}

from_row!(ListedMessage {
    id,
    name,
    template,
    created_by,
    created_at,
    phone_number_id,
    state,
    reason,
    not_before,
    code,
    wamid,
    accepted_at,
    delivered_at,
    read_at,
    failed_at
});

impl Store {
    /// Makes a message, to be sent at once. Its id, which is that of its campaign.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] when the name is taken.
    #[crate::boxed]
    pub async fn queue_message(&self, new: &NewMessage<'_>, now: i64) -> Result<i64> {
        let campaign = NewCampaign {
            name: new.name,
            account_id: new.account_id,
            template_id: new.template_id,
            template: new.template,
            params: new.params,
            rate_cap: None,
            weight: 100,
            start_at: None,
            lists: &[],
            excluded_lists: &[],
            filter: None,
            numbers: &[new.number_id],
            created_by: new.created_by,
            terms: Terms::default(),
            parent_id: new.parent_id,
        };
        let mut tx = self.write(Priority::Urgent).await?.named("message");
        let id = insert(&mut tx, &campaign, now).await?;
        on!(&mut tx, c => sqlx::query(
            "UPDATE campaigns SET state = 2, kind = $2, launched_at = $3, started_at = $3, frozen_at = $3, audience = 1,
                                  planned = TRUE, planned_through = $4 WHERE id = $1")
            .bind(id).bind(new.kind as i16).bind(now).bind(new.contact_id).execute(c).await.map(drop))?;
        on!(&mut tx, c => sqlx::query(
            "INSERT INTO sends (campaign_id, contact_id, number_id, state) VALUES ($1, $2, $3, 0)")
            .bind(id).bind(new.contact_id).bind(new.number_id).execute(c).await.map(drop))?;
        let mut deltas = Deltas::default();
        deltas.add(id, new.number_id, 0, "", 1);
        deltas.write(&mut tx).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Messages that programs and people asked for, older than an id (all: `i64::MAX`), newest first: a page. Those on
    /// trial are not among them.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn messages(&self, before: i64, limit: i64) -> Result<Vec<ListedMessage>> {
        let mut link = self.read().await?;
        // CROSS: SQLite takes the newest messages first, and of each its one send.
        Ok(on!(&mut link, c => sqlx::query_as(
            "SELECT k.id, k.name, k.template, k.created_by, k.created_at, n.phone_number_id, s.state, s.reason,
                    s.not_before, s.code, s.wamid, s.accepted_at, s.delivered_at, s.read_at, s.failed_at
             FROM campaigns k CROSS JOIN sends s CROSS JOIN numbers n
             WHERE k.kind = 1 AND k.id < $1 AND s.campaign_id = k.id AND n.id = s.number_id
             ORDER BY k.id DESC LIMIT $2").bind(before).bind(limit).fetch_all(c).await)?)
    }

    /// The one to whom a message goes (a contact id), where it is a single one.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn recipient_of_message(&self, id: i64) -> Result<Option<i64>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_scalar(
            "SELECT s.contact_id FROM campaigns k JOIN sends s ON s.campaign_id = k.id WHERE k.id = $1 AND k.kind <> 0
             LIMIT 1").bind(id).fetch_optional(c).await)?)
    }

    /// The numbers of the house itself, which test messages go to: people by our ids. Whoever was erased is none.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn test_people(&self) -> Result<Vec<Contact>> {
        let kept = self.meta(TEST_PEOPLE).await?.unwrap_or_else(|| "[]".to_owned());
        let mut link = self.read().await?;
        let sql = link.pick(
            "SELECT * FROM contacts WHERE id IN (SELECT value FROM json_each($1)) AND phone_key > 0 ORDER BY id",
            "SELECT * FROM contacts WHERE phone_key > 0
               AND id = ANY (ARRAY(SELECT (jsonb_array_elements_text($1::jsonb))::bigint)) ORDER BY id",
        );
        Ok(on!(&mut link, c => sqlx::query_as(sql).bind(kept).fetch_all(c).await)?)
    }

    /// Sets whose numbers those are.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn set_test_people(&self, contact_ids: &[i64]) -> Result<()> {
        let kept = serde_json::to_string(contact_ids)?;
        self.set_meta(TEST_PEOPLE, (!contact_ids.is_empty()).then_some(kept.as_str())).await
    }

    /// The person with a number, made if there is none. `None`: whoever had it was erased, and is to be left alone.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn ensure_person(&self, phone_key: i64, phone: i64, now: i64) -> Result<Option<i64>> {
        let blind = self.blind_phone(Some(phone_key));
        let mut tx = self.write(Priority::Urgent).await?;
        let erased: Option<i64> = on!(&mut tx, c => sqlx::query_scalar("SELECT id FROM contacts WHERE phone_key = $1")
            .bind(blind).fetch_optional(c).await)?;
        if erased.is_some() {
            return Ok(None);
        }
        let id: i64 = on!(&mut tx, c => sqlx::query_scalar(
            "INSERT INTO contacts (phone_key, phone, created_at, updated_at) VALUES ($1, $2, $3, $3)
             ON CONFLICT (phone_key) DO UPDATE SET updated_at = contacts.updated_at RETURNING id")
            .bind(phone_key).bind(phone).bind(now).fetch_one(c).await)?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// The person with a user id, made if there is none. `None`: as of [`Store::ensure_person`].
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn ensure_user(&self, user_id: &str, now: i64) -> Result<Option<i64>> {
        let [blind, _] = self.blind_names(Some(user_id));
        let mut tx = self.write(Priority::Urgent).await?;
        one_at_a_time(&mut tx).await?;
        let erased: Option<i64> = on!(&mut tx, c => sqlx::query_scalar(
            "SELECT contact_id FROM identities WHERE kind = 2 AND value = $1").bind(blind).fetch_optional(c).await)?;
        if erased.is_some() {
            return Ok(None);
        }
        let known: Option<i64> = on!(&mut tx, c => sqlx::query_scalar(
            "SELECT contact_id FROM identities WHERE kind = 2 AND value = $1").bind(user_id).fetch_optional(c).await)?;
        if known.is_some() {
            return Ok(known);
        }
        let id: i64 = on!(&mut tx, c => sqlx::query_scalar(
            "INSERT INTO contacts (created_at, updated_at) VALUES ($1, $1) RETURNING id")
            .bind(now).fetch_one(c).await)?;
        on!(&mut tx, c => sqlx::query("INSERT INTO identities (kind, value, contact_id) VALUES (2, $1, $2)")
            .bind(user_id).bind(id).execute(c).await.map(drop))?;
        tx.commit().await?;
        Ok(Some(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{NOW, Shop};
    use crate::testing::{Database, on_both_databases};
    use crate::{Error, Tally};

    on_both_databases! {
        async fn a_message_is_made_once_and_is_ready_to_be_fed(db: Database) {
            let shop = Shop::open(&db.store, 1).await;
            let person = db.store.ensure_person(201_000_000_001, 201_000_000_001, NOW).await.unwrap().unwrap();
            assert_eq!(db.store.ensure_person(201_000_000_001, 201_000_000_001, NOW + 1).await.unwrap(), Some(person));
            let new = NewMessage {
                name: "message order-17",
                kind: MessageKind::Notice,
                account_id: shop.account,
                template_id: Some(shop.template),
                template: r#"{"category":"UTILITY"}"#,
                params: "{}",
                number_id: shop.numbers[0],
                contact_id: person,
                created_by: "key:shop",
                parent_id: None,
            };
            let id = db.store.queue_message(&new, NOW).await.unwrap();
            assert!(matches!(db.store.queue_message(&new, NOW).await, Err(Error::Conflict(_))));
            assert_eq!(db.store.recipient_of_message(id).await.unwrap(), Some(person));
            assert_eq!(db.store.tally(id).await.unwrap(), Tally { planned: 1, ..Tally::default() });
            let feedable = db.store.feedable().await.unwrap();
            assert!(feedable.iter().any(|lane| lane.campaign_id == id && lane.open == 1));
            assert!(db.store.test_people().await.unwrap().is_empty());
            db.store.set_test_people(&[person, 99]).await.unwrap();
            let own = db.store.test_people().await.unwrap();
            assert_eq!(own.iter().map(|own| own.id).collect::<Vec<_>>(), [person]);
            let batch = db.store.next_batch(id, shop.numbers[0], 100, NOW).await.unwrap().expect("a batch");
            assert_eq!((batch.lo, batch.hi), (person, person));
            assert!(db.store.campaigns(i64::MAX, 10).await.unwrap().is_empty(), "no campaign");
            let other = NewMessage { name: "message order-18", ..new.clone() };
            let later = db.store.queue_message(&other, NOW + 1).await.unwrap();
            let trial = NewMessage { name: "trial", kind: MessageKind::Test, ..new };
            db.store.queue_message(&trial, NOW + 2).await.unwrap();
            let listed = db.store.messages(i64::MAX, 10).await.unwrap();
            assert_eq!(listed.iter().map(|one| one.id).collect::<Vec<_>>(), [later, id], "the newest first");
            assert_eq!((listed[1].name.as_str(), listed[1].state), ("message order-17", 0));
            assert_eq!(db.store.messages(later, 10).await.unwrap().len(), 1);
            assert_eq!(db.store.messages(i64::MAX, 1).await.unwrap()[0].id, later);
        }
    }
}
