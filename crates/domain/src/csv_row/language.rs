//! The language of a contact, as files have it.

use crate::optout::normalise;

/// A text that names no language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnknownLanguage;

impl UnknownLanguage {
    pub(super) const fn code(self) -> &'static str {
        "language-unknown"
    }
}

/// Languages that people write out, normalised.
const NAMES: &[(&str, &[&str])] = &[
    ("ar", &["arabic", "العربيه", "عربي", "عربيه", "arabe", "arabigo"]),
    ("en", &["english", "الانجليزيه", "انجليزي", "ingles", "anglais"]),
    ("es", &["spanish", "espanol", "espagnol", "castellano", "الاسبانيه"]),
    ("pt", &["portuguese", "portugues", "portugais", "البرتغاليه"]),
    ("fr", &["french", "francais", "frances", "الفرنسيه", "فرنسي"]),
];

/// The code as Meta writes codes (`ar`, `en_US`, `zh_Hant_TW`); `None` for an empty cell.
pub(super) fn read(cell: &str) -> Result<Option<String>, UnknownLanguage> {
    let text = cell.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(code) = as_code(text) {
        return Ok(Some(code));
    }
    let name = normalise(text);
    let known = NAMES.iter().find(|(_, names)| names.contains(&name.as_str()));
    known.map(|(code, _)| Some((*code).to_owned())).ok_or(UnknownLanguage)
}

fn as_code(text: &str) -> Option<String> {
    let mut parts = text.split(['_', '-']);
    let language = parts.next()?;
    if !(2..=3).contains(&language.len()) || !language.bytes().all(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    let mut code = language.to_ascii_lowercase();
    for part in parts {
        if !part.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        code.push('_');
        match part.len() {
            2 | 3 => code.push_str(&part.to_ascii_uppercase()),
            // A script: one capital.
            4 => {
                code.push_str(&part[..1].to_ascii_uppercase());
                code.push_str(&part[1..].to_ascii_lowercase());
            }
            _ => return None,
        }
    }
    Some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_meta_writes_them() {
        for (text, code) in [
            ("ar", "ar"),
            ("EN", "en"),
            ("en-us", "en_US"),
            ("pt_br", "pt_BR"),
            ("zh-hant-tw", "zh_Hant_TW"),
            ("fil", "fil"),
        ] {
            assert_eq!(read(text), Ok(Some(code.to_owned())), "{text}");
        }
    }

    #[test]
    fn names_of_languages_are_understood() {
        for (text, code) in
            [("Arabic", "ar"), ("العربية", "ar"), ("English", "en"), ("Español", "es"), ("Português", "pt")]
        {
            assert_eq!(read(text), Ok(Some(code.to_owned())), "{text}");
        }
        for (_, names) in NAMES {
            for name in *names {
                assert_eq!(&normalise(name), name, "the list is normalised");
            }
        }
    }

    #[test]
    fn no_language_is_none_and_nonsense_is_refused() {
        assert_eq!(read(" "), Ok(None));
        for text in ["Klingon", "e", "en_", "en_x", "12", "en US", "é_US"] {
            assert_eq!(read(text), Err(UnknownLanguage), "{text}");
        }
    }
}
