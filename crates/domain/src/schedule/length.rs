//! Lengths of time as people type them.

use thiserror::Error;

use crate::Millis;

/// The longest that may be given, ms: a year.
const LONGEST: Millis = 366 * 24 * 3_600_000;

/// A text that is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("write a length of time as a number with its unit, for example 90m, 6h, 1h30m or 2d; at most a year")]
pub struct NotALength;

/// Reads a length of time: whole numbers, each with `s`, `m`, `h` or `d` (`6h`, `1h30m`). It is longer than nothing.
///
/// # Errors
/// [`NotALength`] for anything else.
pub fn parse_length(text: &str) -> Result<Millis, NotALength> {
    let mut whole: Millis = 0;
    let mut rest = text.trim();
    let mut last_unit = Millis::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(NotALength)?;
        let number: Millis = rest[..digits].parse().map_err(|_| NotALength)?;
        let unit = match rest.as_bytes()[digits] {
            b's' => 1_000,
            b'm' => 60_000,
            b'h' => 3_600_000,
            b'd' => 24 * 3_600_000,
            _ => return Err(NotALength),
        };
        // Larger units come first, each once: `30m1h` is a slip of the hand.
        if unit >= last_unit {
            return Err(NotALength);
        }
        last_unit = unit;
        whole = number.checked_mul(unit).and_then(|part| whole.checked_add(part)).ok_or(NotALength)?;
        rest = &rest[digits + 1..];
    }
    if (1..=LONGEST).contains(&whole) { Ok(whole) } else { Err(NotALength) }
}

/// A length of time as it is shown: `1h30m`, `2d`, `45s`; milliseconds are dropped.
#[must_use]
pub fn length(ms: Millis) -> String {
    let mut seconds = ms.max(0) / 1_000;
    if seconds == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, name) in [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')] {
        if seconds >= unit {
            text.push_str(&(seconds / unit).to_string());
            text.push(name);
            seconds %= unit;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_numbers_with_units_from_large_to_small() {
        assert_eq!(parse_length("6h"), Ok(6 * 3_600_000));
        assert_eq!(parse_length(" 1h30m "), Ok(5_400_000));
        assert_eq!(parse_length("2d"), Ok(172_800_000));
        assert_eq!(parse_length("45s"), Ok(45_000));
        for text in ["", "6", "h", "-6h", "6 h", "0h", "1.5h", "30m1h", "1h1h", "400d", "99999999999999999999d", "6ه"]
        {
            assert_eq!(parse_length(text), Err(NotALength), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(seconds in 1..31_000_000_i64) {
            prop_assert_eq!(parse_length(&length(seconds * 1_000)), Ok(seconds * 1_000));
        }

        #[test]
        fn no_text_is_too_strange_to_be_refused(text in ".{0,12}") {
            let _ = parse_length(&text);
        }
    }
}
