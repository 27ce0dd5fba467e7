//! Countries, as far as phone numbers know them.

use std::fmt;
use std::str::FromStr;

use rlibphonenumber::{PHONE_NUMBER_UTIL, Region as Known};
use thiserror::Error;

/// A country or territory with a numbering plan, by its ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region {
    code: [u8; 2],
    known: Known,
}

/// A text that names no country with a numbering plan.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a country; use its two letters, for example EG, SA, MX, ES, BR or GB")]
pub struct UnknownRegion(pub String);

impl Region {
    /// The two capital letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or_default()
    }

    pub(super) const fn known(self) -> Known {
        self.known
    }

    pub(super) fn from_known(known: Known) -> Option<Region> {
        // Satellite phones and the like belong to the world ("001") and so to no country.
        known.as_region_str().as_str().parse().ok()
    }
}

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, UnknownRegion> {
        let unknown = || UnknownRegion(text.chars().take(16).collect());
        let code: [u8; 2] = text.trim().as_bytes().try_into().map_err(|_| unknown())?;
        let code = code.map(|letter| letter.to_ascii_uppercase());
        let letters = std::str::from_utf8(&code).map_err(|_| unknown())?;
        let known = Known::from_code(letters).map_err(|_| unknown())?;
        PHONE_NUMBER_UTIL.get_country_code_for_region(known).map(|_| Region { code, known }).ok_or_else(unknown)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({})", self.as_str())
    }
}
