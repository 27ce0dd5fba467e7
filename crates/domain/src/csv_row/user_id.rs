//! Business-scoped user ids, as files have them.

use crate::phone::is_invisible;

/// The most letters and digits after the country. Meta: up to 128.
const LONGEST: usize = 128;

/// Why a cell is no business-scoped user id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UserIdError {
    Unreadable,
    /// `EG.ENT.…`: of the parent, to which nothing can be sent.
    Parent,
}

impl UserIdError {
    pub(super) const fn code(self) -> &'static str {
        match self {
            UserIdError::Unreadable => "user-id-unreadable",
            UserIdError::Parent => "user-id-parent",
        }
    }
}

/// The id, `EG.1349A0`: the two letters of a country, a dot, up to 128 letters and digits. Only the country's letters
/// are made capitals: what follows them tells capitals from small letters.
pub(super) fn read(cell: &str) -> Result<String, UserIdError> {
    let text: String = cell.trim().chars().filter(|c| !is_invisible(*c)).collect();
    let (country, rest) = text.split_once('.').ok_or(UserIdError::Unreadable)?;
    if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Err(UserIdError::Unreadable);
    }
    if rest.starts_with("ENT.") {
        return Err(UserIdError::Parent);
    }
    let fits = (1..=LONGEST).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric());
    if fits { Ok(format!("{}.{rest}", country.to_ascii_uppercase())) } else { Err(UserIdError::Unreadable) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_id_is_a_country_a_dot_and_letters_and_digits() {
        assert_eq!(read(" EG.1349A0x "), Ok("EG.1349A0x".to_owned()));
        assert_eq!(read("\u{200e}mx.7"), Ok("MX.7".to_owned()));
        assert_eq!(read("US.ENT.12"), Err(UserIdError::Parent));
        let long = format!("EG.{}", "1".repeat(129));
        for text in ["", "12345", "EG.", "EGY.12", "EG.12-3", "E1.12", "EG 12", &long] {
            assert_eq!(read(text), Err(UserIdError::Unreadable), "{text}");
        }
    }
}
