//! The countries of many numbers.

use std::collections::HashMap;

use super::{PhoneNumber, Region};

/// A number's country stands in so many of its first digits; the rest is the subscriber's.
const LEADING_DIGITS: u32 = 7;

/// The countries of numbers that were asked about. Asking the numbering plans about each person of an audience takes
/// longer than all the rest, and neighbours in a plan are of the same country.
#[derive(Clone, Debug, Default)]
pub struct Countries {
    known: HashMap<(u32, u64), Option<Region>>,
}

impl Countries {
    /// The country of a number, digits without the plus sign; `None`: of none, or no number.
    pub fn of(&mut self, digits: u64) -> Option<Region> {
        let length = digits.checked_ilog10()? + 1;
        let leading = digits / 10_u64.pow(length.saturating_sub(LEADING_DIGITS));
        *self
            .known
            .entry((length, leading))
            .or_insert_with(|| PhoneNumber::from_e164(digits).and_then(PhoneNumber::region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_found_once_for_all_neighbours_and_for_countries_that_share_a_code() {
        let mut countries = Countries::default();
        let mut of = |digits| countries.of(digits).map(|region| region.as_str().to_owned());
        assert_eq!(of(201_000_000_000).as_deref(), Some("EG"));
        assert_eq!(of(201_000_000_001).as_deref(), Some("EG"));
        assert_eq!(of(12_025_550_101).as_deref(), Some("US"));
        assert_eq!(of(16_135_550_101).as_deref(), Some("CA"));
        assert_eq!((of(0), of(7)), (None, None));
        assert_eq!(countries.known.len(), 4);
    }
}
