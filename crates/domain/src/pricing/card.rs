//! A rate card: the prices of one currency from one day on.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use thiserror::Error;

use super::BilledAs;
use super::markets::is_market;
use crate::Millis;

/// Money, in millionths of the currency's unit.
pub type Micros = i64;

/// No message costs as much: more is a slip of the decimal point, or a currency that hides one.
const DEAREST: Micros = 100_000 * MICRO;
const MICRO: Micros = 1_000_000;
/// Of where a card is from, so many characters are kept.
const SOURCE: usize = 200;

/// One price as it is written: which line it stands on, and its cells.
#[derive(Clone, Copy, Debug)]
pub struct RateLine<'a> {
    /// Counts from 1, the header included.
    pub line: u64,
    /// Meta's market.
    pub market: &'a str,
    /// Meta's category.
    pub category: &'a str,
    /// The price of a delivered message.
    pub rate: &'a str,
}

/// What messages cost from a day on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// From the beginning of this day (UTC) on.
    pub valid_from: NaiveDate,
    /// ISO 4217: `USD`.
    pub currency: String,
    /// Where the prices are from.
    pub source: String,
    rates: BTreeMap<(&'static str, BilledAs), Micros>,
}

/// Why a list of prices is no card.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CardError {
    /// No day, or none that the calendar has.
    #[error("the day from which it is valid is {0:?}; write it as 2026-10-01")]
    ValidFrom(String),
    /// Not three letters.
    #[error("the currency is {0:?}; write its three letters, such as USD")]
    Currency(String),
    /// Where it is from is not said, or at length.
    #[error("say where the prices are from, in at most 200 characters")]
    Source,
    /// A market that is none.
    #[error("line {line}: {market:?} is no market of Meta's; they are {known}")]
    Market {
        /// Its line.
        line: u64,
        /// What is there.
        market: String,
        /// What could be.
        known: String,
    },
    /// A category that is none.
    #[error(
        "line {line}: {category:?} is no category; they are marketing, marketing_lite, utility, authentication, \
         authentication_international and service"
    )]
    Category {
        /// Its line.
        line: u64,
        /// What is there.
        category: String,
    },
    /// Not a price.
    #[error("line {line}: {rate:?} is no price; write it with a point and at most six decimals, such as 0.0644")]
    Rate {
        /// Its line.
        line: u64,
        /// What is there.
        rate: String,
    },
    /// Said before.
    #[error("line {line}: {market}, {category} has a price already")]
    Twice {
        /// Its line.
        line: u64,
        /// The market.
        market: &'static str,
        /// The category.
        category: &'static str,
    },
    /// Nothing in it.
    #[error("it has no price at all")]
    Empty,
}

/// At most so much of what somebody wrote is said back.
fn quoted(text: &str) -> String {
    text.trim().chars().take(40).collect()
}

impl Card {
    /// A card of these prices.
    ///
    /// # Errors
    /// The first thing that is wrong with them, and where.
    pub fn new<'a>(
        valid_from: &str,
        currency: &str,
        source: &str,
        lines: impl IntoIterator<Item = RateLine<'a>>,
    ) -> Result<Card, CardError> {
        let valid_from = NaiveDate::parse_from_str(valid_from.trim(), "%Y-%m-%d")
            .ok()
            .filter(|day| (2000..=2200).contains(&chrono::Datelike::year(day)))
            .ok_or_else(|| CardError::ValidFrom(quoted(valid_from)))?;
        let letters = currency.trim().to_ascii_uppercase();
        if letters.len() != 3 || !letters.bytes().all(|letter| letter.is_ascii_uppercase()) {
            return Err(CardError::Currency(quoted(currency)));
        }
        let source = source.trim();
        if source.is_empty() || source.chars().count() > SOURCE || source.chars().any(char::is_control) {
            return Err(CardError::Source);
        }
        let mut rates = BTreeMap::new();
        for RateLine { line, market, category, rate } in lines {
            let Some(market) = is_market(market) else {
                let known = super::markets().collect::<Vec<_>>().join(", ");
                return Err(CardError::Market { line, market: quoted(market), known });
            };
            let kind = BilledAs::parse(category);
            if kind == BilledAs::Other {
                return Err(CardError::Category { line, category: quoted(category) });
            }
            let Some(price) = micros(rate).filter(|price| *price <= DEAREST) else {
                return Err(CardError::Rate { line, rate: quoted(rate) });
            };
            if rates.insert((market, kind), price).is_some() {
                return Err(CardError::Twice { line, market, category: kind.as_str() });
            }
        }
        if rates.is_empty() {
            return Err(CardError::Empty);
        }
        Ok(Card { valid_from, currency: letters, source: source.to_owned(), rates })
    }

    /// The first moment at which it is valid.
    #[must_use]
    pub fn begins_at(&self) -> Millis {
        self.valid_from.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis()
    }

    /// What a delivered message costs. `None`: the card does not say; nothing is guessed from another market.
    #[must_use]
    pub fn price(&self, market: &str, category: BilledAs) -> Option<Micros> {
        let market = is_market(market)?;
        [Some(category), category.priced_as()]
            .into_iter()
            .flatten()
            .find_map(|kind| self.rates.get(&(market, kind)).copied())
    }

    /// Its prices, by market and category.
    pub fn rates(&self) -> impl Iterator<Item = (&'static str, BilledAs, Micros)> {
        self.rates.iter().map(|((market, category), price)| (*market, *category, *price))
    }

    /// Of cards in the order in which they came, the one that is valid at a time: of those that have begun the one that
    /// began last, and of two from the same day the later one. Before any has begun it is the first to begin.
    #[must_use]
    pub fn at(cards: &[Card], at: Millis) -> Option<&Card> {
        let begun = cards.iter().filter(|card| card.begins_at() <= at).max_by_key(|card| card.valid_from);
        begun.or_else(|| cards.iter().rev().min_by_key(|card| card.valid_from))
    }
}

/// A price as a person writes it: digits, with a point or a comma before at most six decimals.
#[must_use]
pub fn micros(text: &str) -> Option<Micros> {
    let text = text.trim();
    let (whole, part) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    if whole.len() > 9 || part.len() > 6 || !digits(whole) || !digits(part) || (whole.is_empty() && part.is_empty()) {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: i64 = format!("{part:0<6}").parse().ok()?;
    Some(whole * MICRO + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Millis = 86_400_000;

    fn line<'a>(market: &'a str, category: &'a str, rate: &'a str) -> RateLine<'a> {
        RateLine { line: 2, market, category, rate }
    }

    fn card(day: &str, rate: &str) -> Card {
        Card::new(day, "usd", "a test", [line("Egypt", "marketing", rate), line("egypt", "utility", "0,0036")]).unwrap()
    }

    #[test]
    fn a_price_is_that_of_the_card_that_was_valid_then() {
        // The last was saved later, for a day before that of the second; the third corrects the second.
        let cards =
            [card("2026-10-01", "1"), card("2027-01-01", "2"), card("2027-01-01", "3"), card("2026-11-01", "4")];
        let price = |at: Millis| {
            Card::at(&cards, at).and_then(|card| card.price("Egypt", BilledAs::Marketing)).unwrap() / MICRO
        };
        let january = cards[1].begins_at();
        assert_eq!([price(january - 1), price(january), price(january + 400 * DAY)], [4, 3, 3]);
        assert_eq!(price(cards[3].begins_at() - 1), 1);
        assert_eq!(price(0), 1, "before there was any, the first to come");
        assert_eq!(Card::at(&[], 0), None);
    }

    #[test]
    fn a_category_without_a_price_of_its_own_has_that_of_its_kin_and_a_market_never_anothers() {
        let card = card("2026-10-01", "0.0644");
        assert_eq!(card.price("Egypt", BilledAs::MarketingLite), Some(64_400));
        assert_eq!(card.price("Egypt", BilledAs::Service), Some(3_600));
        for unpriced in [BilledAs::Authentication, BilledAs::AuthenticationInternational, BilledAs::Other] {
            assert_eq!(card.price("Egypt", unpriced), None);
        }
        assert_eq!(card.price("France", BilledAs::Marketing), None);
    }

    #[test]
    fn what_is_no_card_is_refused_and_the_line_is_named() {
        let new = |lines: &[RateLine<'_>]| Card::new("2026-10-01", "USD", "a test", lines.iter().copied()).unwrap_err();
        assert_eq!(new(&[]), CardError::Empty);
        assert!(new(&[line("Egpyt", "marketing", "1")]).to_string().starts_with("line 2: \"Egpyt\" is no market"));
        assert!(matches!(new(&[line("Egypt", "advertising", "1")]), CardError::Category { line: 2, .. }));
        for rate in ["", "-1", "1.2.3", "0.0000001", "free", "100000.1", "9999999999"] {
            assert!(matches!(new(&[line("Egypt", "marketing", rate)]), CardError::Rate { line: 2, .. }), "{rate}");
        }
        assert!(matches!(
            new(&[line("Egypt", "marketing", "1"), line("EGYPT", "Marketing", "2")]),
            CardError::Twice { .. }
        ));
        let lines = || [line("Egypt", "marketing", "1")];
        assert!(matches!(Card::new("2026-13-01", "USD", "a", lines()), Err(CardError::ValidFrom(_))));
        assert!(matches!(Card::new("2026-10-01", "dollars", "a", lines()), Err(CardError::Currency(_))));
        assert_eq!(Card::new("2026-10-01", "USD", " ", lines()), Err(CardError::Source));
    }

    proptest::proptest! {
        #[test]
        fn a_price_is_read_as_it_is_written(whole in 0_i64..1_000_000, part in 0_i64..MICRO) {
            proptest::prop_assert_eq!(micros(&format!("{whole}.{part:06}")), Some(whole * MICRO + part));
        }

        #[test]
        fn nothing_that_is_read_as_a_price_panics(text in ".{0,24}") {
            let _ = micros(&text);
        }

        #[test]
        fn of_all_cards_that_have_begun_none_began_later_than_the_one_in_force(
            days in proptest::collection::vec(0_i64..400, 1..12), at in 0_i64..500
        ) {
            let first = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
            let cards: Vec<Card> = days
                .iter()
                .map(|day| card(&(first + chrono::Days::new(day.unsigned_abs())).to_string(), "1"))
                .collect();
            let at = cards[0].begins_at() + (at - days[0]) * DAY;
            let found = Card::at(&cards, at).unwrap();
            let begun = cards.iter().filter(|card| card.begins_at() <= at);
            proptest::prop_assert!(begun.clone().all(|card| card.valid_from <= found.valid_from));
            proptest::prop_assert!(found.begins_at() <= at || begun.count() == 0);
        }
    }
}
