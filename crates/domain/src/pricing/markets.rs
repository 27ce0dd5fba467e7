//! Meta's markets: which countries are billed alike.

use crate::phone::Region;

/// Everywhere that is in no other market.
const OTHER: &str = "Other";

/// Markets of one country or grouped by Meta: name, and the countries of it (ISO 3166, space separated).
const MARKETS: &[(&str, &str)] = &[
    ("Argentina", "AR"),
    ("Brazil", "BR"),
    ("Chile", "CL"),
    ("Colombia", "CO"),
    ("Egypt", "EG"),
    ("France", "FR"),
    ("Germany", "DE"),
    ("India", "IN"),
    ("Indonesia", "ID"),
    ("Israel", "IL"),
    ("Italy", "IT"),
    ("Malaysia", "MY"),
    ("Mexico", "MX"),
    ("Netherlands", "NL"),
    ("Nigeria", "NG"),
    ("North America", "US CA"),
    ("Pakistan", "PK"),
    ("Peru", "PE"),
    ("Russia", "RU"),
    ("Saudi Arabia", "SA"),
    ("South Africa", "ZA"),
    ("Spain", "ES"),
    ("Turkey", "TR"),
    ("UAE", "AE"),
    ("UK", "GB"),
    ("Rest of Middle East", "BH IQ JO KW LB OM QA YE"),
    (
        "Rest of Africa",
        "DZ AO BJ BW BF BI CM TD CG ER ET GA GM GH GW CI KE LS LY MG MW ML MR MA MZ NA NE RW SN SL SO SS SD SZ TZ TG \
         TN UG ZM",
    ),
    ("Rest of W. Europe", "AT BE DK FI IE NO PT SE CH"),
    ("Rest of C&E Europe", "AL AM AZ BY BG HR CZ GE GR HU LV LT MK MD PL RO RS SK SI UA"),
    ("Rest of Latin America", "BO CR DO EC SV GT HT HN JM NI PA PY PR UY VE"),
    ("Rest of Asia Pacific", "AF AU BD KH CN HK JP LA MN NP NZ PG PH SG LK TW TJ TH TM UZ VN"),
];

/// The market in which a country's people are billed.
#[must_use]
pub fn market_of(region: Option<Region>) -> &'static str {
    let found = region.and_then(|region| {
        let country = region.as_str();
        MARKETS.iter().find(|(_, countries)| countries.split(' ').any(|listed| listed == country))
    });
    found.map_or(OTHER, |(market, _)| market)
}

/// Every market, in the order in which cards show them.
pub fn markets() -> impl Iterator<Item = &'static str> {
    MARKETS.iter().map(|(market, _)| *market).chain([OTHER])
}

/// A market by its name, however its letters are cased.
#[must_use]
pub fn is_market(name: &str) -> Option<&'static str> {
    markets().find(|market| market.eq_ignore_ascii_case(name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn market(country: &str) -> &'static str {
        market_of(country.parse().ok())
    }

    #[test]
    fn a_country_has_a_market_of_its_own_or_shares_one_or_is_elsewhere() {
        assert_eq!([market("EG"), market("PT"), market("FR")], ["Egypt", "Rest of W. Europe", "France"]);
        assert_eq!((market_of(None), market("FJ")), ("Other", "Other"));
        assert_eq!(is_market(" rest of africa "), Some("Rest of Africa"));
        assert_eq!(is_market("Atlantis"), None);
    }

    #[test]
    fn no_country_is_in_two_markets() {
        let mut all: Vec<&str> = MARKETS.iter().flat_map(|(_, countries)| countries.split_whitespace()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
