//! What a message costs, by market and category: an estimate, Meta's invoice is final.
//!
//! The shipped card is a public copy of Meta's list in US dollars, in force from 2026-10-01, without taxes or a
//! provider's fee. Rates move with each quarter.

use crate::phone::Region;
use crate::template::Category;

/// The day from which the shipped card is in force, and where it is from: shown beside every estimate.
pub const CARD: &str = "Meta's list in USD from 2026-10-01 (public copy)";

/// Markets with a rate of their own or grouped by Meta: name, marketing and utility rate in ten-thousandths of a dollar,
/// and the countries of it (ISO 3166, space separated).
const MARKETS: &[(&str, u32, u32, &str)] = &[
    ("Egypt", 644, 36, "EG"),
    ("Saudi Arabia", 576, 107, "SA"),
    ("UAE", 576, 157, "AE"),
    ("India", 118, 14, "IN"),
    ("Brazil", 625, 68, "BR"),
    ("Mexico", 397, 85, "MX"),
    ("Germany", 1365, 550, "DE"),
    ("Spain", 707, 200, "ES"),
    ("UK", 635, 220, "GB"),
    ("Indonesia", 411, 250, "ID"),
    ("Nigeria", 516, 67, "NG"),
    ("South Africa", 379, 95, "ZA"),
    ("North America", 250, 34, "US CA"),
    ("Rest of Middle East", 392, 91, "BH IQ JO KW LB OM QA YE"),
    (
        "Rest of Africa",
        225,
        40,
        "DZ AO BJ BW BF BI CM TD CG ER ET GA GM GH GW CI KE LS LY MG MW ML MR MA MZ NA NE RW SN SL SO SS SD SZ TZ TG \
         TN UG ZM",
    ),
    ("Rest of W. Europe", 592, 171, "AT BE DK FI IE NO PT SE CH"),
    ("Rest of C&E Europe", 860, 212, "AL AM AZ BY BG HR CZ GE GR HU LV LT MK MD PL RO RS SK SI UA"),
    ("Rest of Latin America", 740, 113, "BO CR DO EC SV GT HT HN JM NI PA PY PR UY VE"),
    ("Rest of Asia Pacific", 842, 113, "AF AU BD KH CN HK JP LA MN NP NZ PG PH SG LK TW TJ TH TM UZ VN"),
];
/// Everywhere else.
const OTHER: (&str, u32, u32) = ("Other", 604, 77);

/// A market's name and rate for a category, in ten-thousandths of a US dollar a delivered message.
#[must_use]
pub fn rate(region: Option<Region>, category: &Category) -> (&'static str, u32) {
    let found = region.and_then(|region| {
        let country = region.as_str();
        MARKETS.iter().find(|(.., countries)| countries.split(' ').any(|listed| listed == country))
    });
    let (market, marketing, utility) =
        found.map_or(OTHER, |(market, marketing, utility, _)| (*market, *marketing, *utility));
    let rate = match category {
        Category::Marketing => marketing,
        _ => utility,
    };
    (market, rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate_of(country: &str, category: &Category) -> (&'static str, u32) {
        rate(country.parse().ok(), category)
    }

    #[test]
    fn a_country_has_its_own_rate_its_groups_or_that_of_everywhere_else() {
        assert_eq!(rate_of("EG", &Category::Marketing), ("Egypt", 644));
        assert_eq!(rate_of("EG", &Category::Utility), ("Egypt", 36));
        assert_eq!(rate_of("PT", &Category::Marketing), ("Rest of W. Europe", 592));
        assert_eq!(rate(None, &Category::Marketing), ("Other", 604));
    }

    #[test]
    fn no_country_is_in_two_markets() {
        let mut all: Vec<&str> = MARKETS.iter().flat_map(|(.., countries)| countries.split_whitespace()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
