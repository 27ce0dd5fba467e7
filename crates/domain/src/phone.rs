//! Phone numbers: as people write them, as E.164, and as the key that is one person's in every national variant.
//!
//! Reading is strict. A cell that could mean two numbers, or none, is refused with the repair to make; nothing is
//! guessed from a number's length. What is *repaired* is only what can mean one thing: other scripts' digits, marks
//! that spreadsheets and right-to-left text leave behind, `00` for `+`, a stray trunk zero, and the older Mexican and
//! Brazilian spellings that WhatsApp itself still reports.

mod countries;
mod region;
mod spelling;
mod variants;

use std::fmt;

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, ValidationError};
use thiserror::Error;

pub use countries::Countries;
pub use region::{Region, UnknownRegion};
pub use variants::key_of;

use spelling::Spelling;
pub(crate) use spelling::{digit as ascii_digit, is_invisible};

/// The fewest digits a number has with its country code. Meta's check is `^\+[1-9]\d{6,14}$`.
const FEWEST_DIGITS: u32 = 7;
/// The most digits a number has with its country code, as E.164 has it.
const MOST_DIGITS: u32 = 15;

/// A phone number in international form.
///
/// `Display` writes it in full (`+201001234567`), for the wire and for files. `Debug` hides the middle, so that no log
/// line gives a person away.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhoneNumber {
    e164: u64,
    key: u64,
}

/// Why a cell is not a phone number, and what to do about it. The texts never quote the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PhoneError {
    /// Nothing there.
    #[error("the phone number is empty; fill it in or remove the row")]
    Empty,
    /// `2.01E+11`: a spreadsheet rounded the number and its last digits are lost.
    #[error(
        "a spreadsheet turned the number into scientific notation and its last digits are lost; \
         format the column as Text and export it again from the source"
    )]
    ScientificNotation,
    /// More than one number in one cell.
    #[error("there are two numbers in one cell; keep one of them, or make two rows")]
    TwoNumbers,
    /// Letters, as in a name, an extension or a number spelt with letters.
    #[error("there are letters among the digits; write the number in digits only, without an extension")]
    Letters,
    /// A character that has no place in a number.
    #[error("the character {0:?} has no place in a phone number; remove it")]
    UnexpectedCharacter(char),
    /// A national number, and no country to read it by.
    #[error(
        "the number has no country code; write it with + and the country code, or give the file's country (--region)"
    )]
    NeedsRegion,
    /// No country has this calling code.
    #[error("no country has this calling code; check the digits after the +")]
    UnknownCountryCode,
    /// Fewer digits than any number of that country has.
    #[error("the number is too short; digits or the area code are missing")]
    TooShort,
    /// More digits than any number of that country has.
    #[error("the number is too long; check for an extra digit")]
    TooLong,
    /// Of a possible length, and yet no number of that country looks so.
    #[error("no number in its country looks like this; check the digits, and the country code if it is from elsewhere")]
    NotAssigned,
}

impl PhoneError {
    /// The reason in kebab-case. Files and the API carry it; it does not change.
    pub const fn code(&self) -> &'static str {
        match self {
            PhoneError::Empty => "phone-empty",
            PhoneError::ScientificNotation => "phone-scientific-notation",
            PhoneError::TwoNumbers => "phone-two-numbers",
            PhoneError::Letters => "phone-letters",
            PhoneError::UnexpectedCharacter(_) => "phone-unexpected-character",
            PhoneError::NeedsRegion => "phone-needs-region",
            PhoneError::UnknownCountryCode => "phone-unknown-country-code",
            PhoneError::TooShort => "phone-too-short",
            PhoneError::TooLong => "phone-too-long",
            PhoneError::NotAssigned => "phone-not-assigned",
        }
    }
}

/// Reads a phone number as somebody wrote it. `region` is the country of numbers without a country code.
///
/// # Errors
/// [`PhoneError`] if the text is not exactly one number that exists.
pub fn parse(raw: &str, region: Option<Region>) -> Result<PhoneNumber, PhoneError> {
    let spelling = Spelling::read(raw)?;
    let first = resolve(&spelling, region);
    if first.is_err()
        && let Some(without) = spelling.without_bracketed_zero()
        && let Ok(number) = resolve(&without, region)
    {
        return Ok(number);
    }
    match first {
        // Not one number, and in pieces that each could be one.
        Err(error) if error != PhoneError::NeedsRegion && spelling.may_be_two() => Err(PhoneError::TwoNumbers),
        result => result,
    }
}

fn resolve(spelling: &Spelling, region: Option<Region>) -> Result<PhoneNumber, PhoneError> {
    if let Some(plussed) = spelling.with_plus_for_00() {
        // Elsewhere `00` may mean another thing (in Brazil a carrier follows it), but as a number with a country code
        // it means `+` everywhere; the country's own reading comes second.
        let international = plussed.international().and_then(|text| look_up(text, None));
        return match international {
            Err(error) if region.is_some() && !spelling.plus() => {
                spelling.national().and_then(|text| look_up(text, region)).map_err(|_| error)
            }
            result => result,
        };
    }
    if spelling.plus() {
        return look_up(spelling.international()?, None);
    }
    match region {
        Some(_) => look_up(spelling.national()?, region),
        None if spelling.is_too_long() => Err(PhoneError::TooLong),
        None => Err(PhoneError::NeedsRegion),
    }
}

/// Asks the numbering plans.
fn look_up(text: &str, region: Option<Region>) -> Result<PhoneNumber, PhoneError> {
    let plans = &*PHONE_NUMBER_UTIL;
    let number = plans.parse(text, region.map(Region::known)).map_err(|error| match error {
        rlibphonenumber::ParseError::InvalidCountryCode => PhoneError::UnknownCountryCode,
        rlibphonenumber::ParseError::TooLongNsn => PhoneError::TooLong,
        rlibphonenumber::ParseError::NotANumber(_)
        | rlibphonenumber::ParseError::TooShortAfterIdd
        | rlibphonenumber::ParseError::TooShortNsn => PhoneError::TooShort,
    })?;
    let e164 = variants::e164_of(&number);
    if plans.is_valid_number(&number) {
        return e164.and_then(PhoneNumber::from_e164).ok_or(PhoneError::TooLong);
    }
    if let Some(number) = e164.and_then(older_spelling) {
        return Ok(number);
    }
    Err(match plans.is_possible_number_with_reason(&number) {
        Err(ValidationError::InvalidCountryCode) => PhoneError::UnknownCountryCode,
        Err(ValidationError::TooLong) => PhoneError::TooLong,
        Err(ValidationError::TooShort) | Ok(NumberLengthType::IsPossibleLocalOnly) => PhoneError::TooShort,
        Err(ValidationError::InvalidLength) | Ok(NumberLengthType::IsPossible) => PhoneError::NotAssigned,
    })
}

/// `+52 1 55…` and Brazilian mobiles of eight digits were right once and WhatsApp still reports them. Each has exactly
/// one spelling today, and it is that of the key.
fn older_spelling(e164: u64) -> Option<PhoneNumber> {
    let key = key_of(e164);
    if key == e164 || !variants::key_is_dialled(key) {
        return None;
    }
    let number = PhoneNumber::from_e164(key)?;
    let plans = &*PHONE_NUMBER_UTIL;
    plans.parse(number.to_string(), None).is_ok_and(|known| plans.is_valid_number(&known)).then_some(number)
}

impl PhoneNumber {
    /// The number from its E.164 digits without `+`, as [`PhoneNumber::e164`] gave them. `None` unless there are 7 to
    /// 15 of them. Nothing else is checked.
    pub fn from_e164(e164: u64) -> Option<PhoneNumber> {
        let digits = e164.checked_ilog10()? + 1;
        (FEWEST_DIGITS..=MOST_DIGITS).contains(&digits).then(|| PhoneNumber { e164, key: key_of(e164) })
    }

    /// The number from the digits of a webhook (`wa_id`, `from`, `recipient_id`). Tolerant: Meta reports forms that the
    /// numbering plans call invalid (`5215…`, Brazilian mobiles without their ninth digit).
    pub fn from_wa_id(wa_id: &str) -> Option<PhoneNumber> {
        let digits = wa_id.trim();
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        if digits.starts_with('0') || digits.len() > MOST_DIGITS as usize || !digits.bytes().all(|b| b.is_ascii_digit())
        {
            return None;
        }
        PhoneNumber::from_e164(digits.parse().ok()?)
    }

    /// The E.164 digits without `+`: `201001234567`.
    pub const fn e164(self) -> u64 {
        self.e164
    }

    /// The digits that are the same for every national variant of this number. Compare people by this.
    pub const fn key(self) -> u64 {
        self.key
    }

    /// The country whose numbering plan the number is of, if it is of one.
    pub fn region(self) -> Option<Region> {
        let plans = &*PHONE_NUMBER_UTIL;
        // An older spelling is no number of the plan; its key is.
        [self.e164, self.key].into_iter().find_map(|digits| {
            let number = plans.parse(format!("+{digits}"), None).ok()?;
            plans.get_region_for_number(&number).and_then(Region::from_known)
        })
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.e164)
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Country and prefix say which plan was misread; the last two digits tell neighbours in a test apart.
        let digits = self.e164.to_string();
        let (head, tail) = (digits.get(..4).unwrap_or_default(), digits.get(digits.len() - 2..).unwrap_or_default());
        write!(f, "PhoneNumber(+{head}…{tail})")
    }
}

#[cfg(test)]
mod tests;
