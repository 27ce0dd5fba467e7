//! What Meta takes for a value, checked before Meta refuses it (132005, 132012, 132018, 131008).

use super::Slot;

/// The most characters of a body with its values in it.
pub(super) const LONGEST_BODY: usize = 1024;
/// The most characters of a text header with its value in it.
pub(super) const LONGEST_HEADER: usize = 60;
/// The most characters of an address, whole.
pub(super) const LONGEST_URL: usize = 2000;
/// The most characters of a code to copy, since 2025-12.
pub(super) const LONGEST_CODE: usize = 20;
/// So many blanks in a row are the most that Meta takes.
const MOST_BLANKS: usize = 4;

/// Why one contact's message cannot be written. The message is never sent; the row says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// The parameter that cannot be filled, as in `--param KEY=TEXT`.
    pub key: String,
    /// The column that is to blame, where one is.
    pub column: Option<String>,
    /// The reason in kebab-case; it does not change.
    pub code: &'static str,
    /// What is wrong and what to do, for a person. Quotes no value.
    pub reason: String,
}

/// A value that Meta would refuse.
pub(super) struct BadValue {
    pub(super) code: &'static str,
    pub(super) reason: String,
}

impl BadValue {
    fn new(code: &'static str, reason: &str) -> BadValue {
        BadValue { code, reason: reason.to_owned() }
    }
}

/// Checks a trimmed value for where it goes.
pub(super) fn check(slot: &Slot, value: &str) -> Result<(), BadValue> {
    if value.is_empty() {
        return Err(BadValue::new("value-empty", "the value is empty, which Meta refuses; give it a text"));
    }
    match slot {
        Slot::HeaderText(_) | Slot::Body(_) => check_text(value),
        Slot::HeaderMedia(_) => check_link(value),
        Slot::ButtonUrl(_) => check_url_end(value),
        Slot::ButtonCode(_) => {
            check_text(value)?;
            let length = value.chars().count();
            if length > LONGEST_CODE {
                let reason = format!("the code has {length} characters; at most {LONGEST_CODE} are allowed");
                return Err(BadValue { code: "code-too-long", reason });
            }
            Ok(())
        }
    }
}

fn check_text(value: &str) -> Result<(), BadValue> {
    let mut blanks = 0;
    for c in value.chars() {
        if c == ' ' {
            blanks += 1;
            if blanks > MOST_BLANKS {
                let reason = "the value has more than four spaces in a row, which Meta refuses; take some out";
                return Err(BadValue::new("value-many-spaces", reason));
            }
            continue;
        }
        blanks = 0;
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            let reason = "the value has a line break, a tab or another control character, which Meta refuses; \
                          write it on one line";
            return Err(BadValue::new("value-line-break", reason));
        }
    }
    Ok(())
}

/// A link that Meta can fetch.
pub(super) fn check_link(value: &str) -> Result<(), BadValue> {
    let rest = value.get(..8).filter(|scheme| scheme.eq_ignore_ascii_case("https://")).and_then(|_| value.get(8..));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let whole = host.is_some_and(|host| host.contains('.') && !host.starts_with('.'));
    if !whole || has_blanks(value) || value.chars().count() > LONGEST_URL {
        let reason = "the link is not an https address that Meta can fetch; write it as https://…, without spaces";
        return Err(BadValue::new("link-not-https", reason));
    }
    Ok(())
}

fn check_url_end(value: &str) -> Result<(), BadValue> {
    if has_blanks(value) {
        let reason = "the end of the address has a space or a line break; take it out, or write %20";
        return Err(BadValue::new("url-blank", reason));
    }
    Ok(())
}

fn has_blanks(value: &str) -> bool {
    value.chars().any(|c| c.is_whitespace() || c.is_control())
}
