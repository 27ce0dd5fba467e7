//! Reading of values whose JSON type Meta does not keep to.
//!
//! Ids and timestamps arrive as strings or as numbers, optional fields may be
//! missing, null or of another shape. What a message cannot do without is read
//! strictly by its owner; the rest is read here, where an unusable value counts
//! as absent instead of failing what stands around it.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;

/// The first instant of the year 10000, in epoch milliseconds: later than
/// anything Meta reports.
const END_OF_TIME_MS: i64 = 253_402_300_800_000;

/// A string, or a number taken as its decimal text.
pub(crate) struct Text(pub(crate) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a whole number")
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<Text, E> {
                Ok(Text(v.to_owned()))
            }
            fn visit_string<E: Error>(self, v: String) -> Result<Text, E> {
                Ok(Text(v))
            }
            fn visit_u64<E: Error>(self, v: u64) -> Result<Text, E> {
                Ok(Text(v.to_string()))
            }
            fn visit_i64<E: Error>(self, v: i64) -> Result<Text, E> {
                Ok(Text(v.to_string()))
            }
        }
        from.deserialize_any(TextVisitor)
    }
}

/// A whole number, or a string that holds one.
pub(crate) struct Int(pub(crate) i64);

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct IntVisitor;
        impl Visitor<'_> for IntVisitor {
            type Value = Int;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or a string that holds one")
            }
            fn visit_u64<E: Error>(self, v: u64) -> Result<Int, E> {
                i64::try_from(v).map(Int).map_err(E::custom)
            }
            fn visit_i64<E: Error>(self, v: i64) -> Result<Int, E> {
                Ok(Int(v))
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<Int, E> {
                v.trim().parse().map(Int).map_err(E::custom)
            }
        }
        from.deserialize_any(IntVisitor)
    }
}

/// An optional field: absent, null or of an unexpected shape is `None`.
pub(crate) fn lossy<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let raw: Option<&'de RawValue> = Option::deserialize(from)?;
    Ok(raw.and_then(|raw| serde_json::from_str(raw.get()).ok()))
}

/// An optional [`Text`], trimmed; an empty one is `None`.
pub(crate) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text: Option<Text> = lossy(from)?;
    Ok(text.map(|Text(text)| trimmed(text)).filter(|text| !text.is_empty()))
}

/// An optional [`Int`].
pub(crate) fn int<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    let int: Option<Int> = lossy(from)?;
    Ok(int.map(|Int(int)| int))
}

/// Trims without copying when there is nothing to trim.
pub(crate) fn trimmed(text: String) -> String {
    let inner = text.trim();
    if inner.len() == text.len() { text } else { inner.to_owned() }
}

/// The elements of an array, each left unread.
pub(crate) fn elements(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// Epoch milliseconds of one of Meta's timestamps, which are seconds, or
/// sometimes milliseconds: 10¹² and above. `None` for one that is before 1970
/// or past the year 9999.
pub(crate) fn epoch_ms(stamp: i64) -> Option<i64> {
    let ms = if stamp >= 1_000_000_000_000 { stamp } else { stamp.checked_mul(1000)? };
    (0..END_OF_TIME_MS).contains(&ms).then_some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Sample {
        #[serde(default, deserialize_with = "text")]
        id: Option<String>,
        #[serde(default, deserialize_with = "int")]
        n: Option<i64>,
    }

    fn sample(json: &str) -> (Option<String>, Option<i64>) {
        let read: Sample = serde_json::from_str(json).expect("a lenient field never fails its owner");
        (read.id, read.n)
    }

    #[test]
    fn strings_and_numbers_are_read_alike() {
        assert_eq!(sample(r#"{"id":" 12 ","n":"34"}"#), (Some("12".into()), Some(34)));
        assert_eq!(sample(r#"{"id":12,"n":34}"#), (Some("12".into()), Some(34)));
    }

    #[test]
    fn an_unusable_optional_value_counts_as_absent() {
        for json in [
            "{}",
            r#"{"id":null,"n":null}"#,
            r#"{"id":{"a":[1]},"n":true}"#,
            r#"{"id":"  ","n":"many"}"#,
            r#"{"id":1.5,"n":99999999999999999999}"#,
        ] {
            assert_eq!(sample(json), (None, None), "{json}");
        }
    }

    #[test]
    fn seconds_and_milliseconds_are_told_apart() {
        assert_eq!(epoch_ms(1_750_030_073), Some(1_750_030_073_000));
        assert_eq!(epoch_ms(1_750_030_073_123), Some(1_750_030_073_123));
        assert_eq!(epoch_ms(-1), None);
        assert_eq!(epoch_ms(i64::MAX), None);
    }
}
