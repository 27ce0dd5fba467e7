//! One person, several spellings: the national variants that WhatsApp and the numbering plans disagree on.

use rlibphonenumber::PhoneNumber as Known;

/// The canonical form of E.164 digits: the same for every national variant of one number.
///
/// - Mexico: `521` + ten digits, the mobile form until 2019 and still what WhatsApp reports, is `52` + the ten.
/// - Argentina: `549` + ten digits, the mobile form, is `54` + the ten, which some answers to webhooks need.
/// - Brazil: a mobile of eight digits, as it was until 2016 and as old accounts still report it, gets its ninth.
///
/// Every other number is its own key.
pub fn key_of(e164: u64) -> u64 {
    match e164 {
        5_210_000_000_000..=5_219_999_999_999 => e164 - 5_210_000_000_000 + 520_000_000_000,
        5_490_000_000_000..=5_499_999_999_999 => e164 - 5_490_000_000_000 + 540_000_000_000,
        551_100_000_000..=559_999_999_999 => {
            let (area, subscriber) = (e164 / 100_000_000, e164 % 100_000_000);
            // Landlines begin with 2 to 5; no area code ends in 0.
            let mobile = subscriber >= 60_000_000 && !area.is_multiple_of(10);
            if mobile { area * 1_000_000_000 + 900_000_000 + subscriber } else { e164 }
        }
        _ => e164,
    }
}

/// True where the key is also how the number is dialled today: in Mexico and Brazil, but not in Argentina.
pub(super) fn key_is_dialled(key: u64) -> bool {
    matches!(key, 520_000_000_000..=529_999_999_999 | 5_511_900_000_000..=5_599_999_999_999)
}

/// The E.164 digits of a number that the plans know: calling code, leading zeros (Italy), national number.
pub(super) fn e164_of(number: &Known) -> Option<u64> {
    let national = number.national_number;
    let zeros = if number.italian_leading_zero() { number.number_of_leading_zeros().max(0) } else { 0 };
    let length = national.checked_ilog10().map_or(1, |log| log + 1) + u32::try_from(zeros).ok()?;
    let calling_code = u64::try_from(number.country_code).ok()?;
    10_u64.checked_pow(length)?.checked_mul(calling_code)?.checked_add(national)
}
