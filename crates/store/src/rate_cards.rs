//! What messages cost, by the day from which on. Cards are added, and never changed.

use crate::db::{Priority, Store, on};
use crate::error::Result;

/// A card that somebody saves.
#[derive(Clone, Copy, Debug)]
pub struct NewRateCard<'a> {
    /// From which day on, as 2026-10-01.
    pub valid_from: &'a str,
    /// Its currency.
    pub currency: &'a str,
    /// Where its prices are from.
    pub source: &'a str,
    /// Its prices, JSON.
    pub rates: &'a str,
    /// Who saves it.
    pub actor: &'a str,
    /// When.
    pub at: i64,
}

/// A card as it was saved.
#[derive(Clone, Debug)]
pub struct RateCardRow {
    /// Its id.
    pub id: i64,
    /// From which day on, as 2026-10-01.
    pub valid_from: String,
    /// Its currency.
    pub currency: String,
    /// Where its prices are from.
    pub source: String,
    /// Its prices, JSON.
    pub rates: String,
    /// Who saved it.
    pub actor: String,
    /// When.
    pub at: i64,
}

from_row!(RateCardRow { id, valid_from, currency, source, rates, actor, at });

impl Store {
    /// Every card that was saved, in the order in which that was done: a few a year.
    ///
    /// # Errors
    /// As every read.
    #[crate::boxed]
    pub async fn rate_cards(&self) -> Result<Vec<RateCardRow>> {
        let mut link = self.read().await?;
        Ok(on!(&mut link, c => sqlx::query_as("SELECT * FROM rate_cards ORDER BY id").fetch_all(c).await)?)
    }

    /// Adds a card. Its id.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn add_rate_card(&self, card: &NewRateCard<'_>) -> Result<i64> {
        let mut tx = self.write(Priority::Urgent).await?;
        let id = on!(&mut tx, c => sqlx::query_scalar(
            "INSERT INTO rate_cards (valid_from, currency, source, rates, actor, at) VALUES ($1, $2, $3, $4, $5, $6)
             RETURNING id")
            .bind(card.valid_from).bind(card.currency).bind(card.source).bind(card.rates).bind(card.actor).bind(card.at)
            .fetch_one(c).await)?;
        tx.commit().await?;
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Database, on_both_databases};

    on_both_databases! {
        async fn cards_are_kept_in_the_order_in_which_they_were_saved(db: Database) {
            let card = |valid_from| NewRateCard {
                valid_from, currency: "USD", source: "a test", rates: "[]", actor: "cli:amr", at: 5,
            };
            let first = db.store.add_rate_card(&card("2027-01-01")).await.unwrap();
            let second = db.store.add_rate_card(&card("2026-10-01")).await.unwrap();
            let cards = db.store.rate_cards().await.unwrap();
            let told: Vec<_> = cards.iter().map(|card| (card.id, card.valid_from.as_str(), card.at)).collect();
            assert_eq!(told, [(first, "2027-01-01", 5), (second, "2026-10-01", 5)]);
        }
    }
}
