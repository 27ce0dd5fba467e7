//! What a message costs, by market and category: an estimate before it is sent, and what Meta's own word on each message
//! comes to afterwards. Meta's invoice is final.
//!
//! A [`Card`] is a dated list of prices. Rates move with each quarter, so there are many of them, and a message costs what
//! the card said that was valid as it arrived.

mod card;
mod markets;

use crate::template::Category;

pub use card::{Card, CardError, Micros, RateLine, micros};
pub use markets::{is_market, market_of, markets};

/// What Meta bills a message as: its own word in a status, whatever the template's category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BilledAs {
    /// `marketing`
    Marketing = 1,
    /// `marketing_lite`: by the Marketing Messages API
    MarketingLite = 2,
    /// `utility`
    Utility = 3,
    /// `authentication`
    Authentication = 4,
    /// `authentication_international`
    AuthenticationInternational = 5,
    /// `service`: an answer within the customer service window
    Service = 6,
    /// A word that this version does not know: it has no price.
    Other = 7,
}

impl BilledAs {
    /// Every one that a card may give a price for.
    pub const PRICED: [BilledAs; 6] = [
        BilledAs::Marketing,
        BilledAs::MarketingLite,
        BilledAs::Utility,
        BilledAs::Authentication,
        BilledAs::AuthenticationInternational,
        BilledAs::Service,
    ];

    /// Meta's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            BilledAs::Marketing => "marketing",
            BilledAs::MarketingLite => "marketing_lite",
            BilledAs::Utility => "utility",
            BilledAs::Authentication => "authentication",
            BilledAs::AuthenticationInternational => "authentication_international",
            BilledAs::Service => "service",
            BilledAs::Other => "other",
        }
    }

    /// Reads Meta's word, whichever way it is spelt.
    pub fn parse(word: &str) -> BilledAs {
        let word = word.trim().to_ascii_lowercase().replace('-', "_");
        BilledAs::PRICED.into_iter().find(|known| known.as_str() == word).unwrap_or(BilledAs::Other)
    }

    /// What a template's message is expected to be billed as.
    pub const fn of_template(category: &Category) -> BilledAs {
        match category {
            Category::Marketing => BilledAs::Marketing,
            Category::Authentication => BilledAs::Authentication,
            Category::Utility | Category::Other(_) => BilledAs::Utility,
        }
    }

    /// Whose price holds where a card has none for this one.
    const fn priced_as(self) -> Option<BilledAs> {
        match self {
            BilledAs::MarketingLite => Some(BilledAs::Marketing),
            // The market's rate for utility, which is that for authentication.
            BilledAs::Service => Some(BilledAs::Utility),
            _ => None,
        }
    }
}

/// What Meta said of the price of one message, small enough to stand in each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Billed {
    /// What it is billed as.
    pub category: BilledAs,
    /// Whether it costs anything: `false` within a free window.
    pub billable: bool,
}

impl Billed {
    /// The number that stands for it. Of several that are said of one message the greatest counts, whichever came first.
    pub const fn code(self) -> i16 {
        self.category as i16 * 2 + self.billable as i16
    }

    /// What a number stands for.
    pub fn from_code(code: i16) -> Option<Billed> {
        let all = BilledAs::PRICED.into_iter().chain([BilledAs::Other]);
        all.flat_map(|category| [false, true].map(|billable| Billed { category, billable }))
            .find(|billed| billed.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_meta_says_of_a_price_stands_in_a_small_number_and_is_read_back() {
        for category in BilledAs::PRICED.into_iter().chain([BilledAs::Other]) {
            for billable in [false, true] {
                let billed = Billed { category, billable };
                assert_eq!(Billed::from_code(billed.code()), Some(billed));
            }
        }
        assert_eq!((Billed::from_code(0), Billed::from_code(16), Billed::from_code(-1)), (None, None, None));
    }

    #[test]
    fn metas_words_are_known_in_both_spellings_and_a_new_one_has_no_price() {
        assert_eq!(BilledAs::parse("authentication-international"), BilledAs::AuthenticationInternational);
        assert_eq!(BilledAs::parse("MARKETING"), BilledAs::Marketing);
        assert_eq!(BilledAs::parse("group_marketing"), BilledAs::Other);
    }
}
