//! Writing JSON by hand, the way Meta's bodies look: everything outside ASCII escaped, and `/` as `\/`.

use std::fmt::Write as _;

/// Appends a text as a JSON string: pure ASCII, with `\uXXXX` (surrogate pairs above the basic plane) and `\/`.
pub(crate) fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

/// Appends any JSON value in the same form.
pub(crate) fn value(out: &mut String, json: &serde_json::Value) {
    match json {
        serde_json::Value::String(text) => quoted(out, text),
        serde_json::Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                value(out, item);
            }
            out.push(']');
        }
        serde_json::Value::Object(fields) => {
            out.push('{');
            for (at, (key, item)) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                quoted(out, key);
                out.push(':');
                value(out, item);
            }
            out.push('}');
        }
        plain => {
            let _ = write!(out, "{plain}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arabic_emoji_and_slashes_are_escaped_as_meta_does() {
        let mut out = String::new();
        quoted(&mut out, "مa/🌙\u{7f}");
        assert_eq!(out, r#""\u0645a\/\ud83c\udf19\u007f""#);
    }

    proptest::proptest! {
        #[test]
        fn any_text_survives_and_is_ascii(text: String) {
            let mut out = String::new();
            value(&mut out, &serde_json::json!({"k/": [text.clone(), null, 1.5, true]}));
            proptest::prop_assert!(out.is_ascii());
            let back: serde_json::Value = serde_json::from_str(&out).expect("valid JSON");
            proptest::prop_assert_eq!(back, serde_json::json!({"k/": [text, null, 1.5, true]}));
        }
    }
}
