//! People as they are kept, and the evidence of their consent.

use crate::db::{Store, on};
use crate::error::Result;

/// A person as they are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Contact {
    /// Ours.
    pub id: i64,
    /// The number's canonical key; `None` for people known only by a user id.
    pub phone_key: Option<i64>,
    /// The number as dialled, digits without the plus sign.
    pub phone: Option<i64>,
    /// The name.
    pub name: Option<String>,
    /// The language.
    pub language: Option<String>,
    /// The other columns: a JSON object of texts.
    pub attributes: String,
    /// The import that made this row what it is.
    pub import_id: Option<i64>,
    /// Epoch ms.
    pub created_at: i64,
    /// Epoch ms.
    pub updated_at: i64,
}

from_row!(Contact { id, phone_key, phone, name, language, attributes, import_id, created_at, updated_at });

impl std::fmt::Debug for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contact").field("id", &self.id).finish_non_exhaustive()
    }
}

/// One piece of evidence of a person's consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptIn {
    /// When they consented, epoch ms.
    pub at: i64,
    /// Where it comes from.
    pub source: String,
    /// The words in which it was asked for; empty when nobody kept them.
    pub wording: String,
    /// The import that brought it.
    pub import_id: Option<i64>,
    /// Its chunk: the ledger entry of both holds the root above this piece's leaf.
    pub chunk: Option<i64>,
    /// The salt of its leaf, until it is erased.
    pub salt: Option<Vec<u8>>,
}

from_row!(OptIn { at, source, wording, import_id, chunk, salt });

impl Store {
    /// The person of our id.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn contact(&self, id: i64) -> Result<Option<Contact>> {
        let mut link = self.read().await?;
        let row = on!(&mut link, c => sqlx::query_as("SELECT * FROM contacts WHERE id = $1")
            .bind(id).fetch_optional(c).await)?;
        Ok(row)
    }

    /// The person of that canonical phone key, also one whose data was erased.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn contact_of_phone(&self, phone_key: i64) -> Result<Option<Contact>> {
        let mut link = self.read().await?;
        let blind = self.blind_phone(Some(phone_key));
        let row = on!(&mut link, c => sqlx::query_as("SELECT * FROM contacts WHERE phone_key IN ($1, $2)")
            .bind(phone_key).bind(blind).fetch_optional(c).await)?;
        Ok(row)
    }

    /// The evidence of a person's consent, oldest first.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn opt_ins(&self, contact_id: i64) -> Result<Vec<OptIn>> {
        let mut link = self.read().await?;
        let rows = on!(&mut link, c => sqlx::query_as(
            "SELECT o.at, t.source, t.wording, o.import_id, o.chunk, o.salt
             FROM opt_ins o JOIN consent_texts t ON t.id = o.text_id
             WHERE o.contact_id = $1 ORDER BY o.at, t.source, t.wording")
            .bind(contact_id).fetch_all(c).await)?;
        Ok(rows)
    }
}
