//! Names that people give to campaigns and lists.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The most characters a name may have.
pub const LONGEST_NAME: usize = 100;

/// Why a name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing but blanks.
    #[error("the name is empty; give it at least one character")]
    Empty,
    /// More than [`LONGEST_NAME`] characters.
    #[error("the name has {0} characters; at most 100 are allowed")]
    TooLong(usize),
    /// A line break, a tab or another control character.
    #[error("the name holds a line break, a tab or another control character; write it on one line")]
    Control,
    /// Only digits, which would be taken for an id wherever a name or an id may stand.
    #[error("a name of nothing but digits would be taken for an id; add a letter")]
    OnlyDigits,
}

fn checked(text: &str) -> Result<&str, NameError> {
    let name = text.trim();
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.chars().any(char::is_control) {
        return Err(NameError::Control);
    }
    let length = name.chars().count();
    if length > LONGEST_NAME {
        return Err(NameError::TooLong(length));
    }
    Ok(name)
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The name, trimmed.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let name = checked(text)?;
                let check: fn(&str) -> Result<(), NameError> = $check;
                check(name)?;
                Ok($name(name.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

fn not_an_id(name: &str) -> Result<(), NameError> {
    if name.bytes().all(|byte| byte.is_ascii_digit()) { Err(NameError::OnlyDigits) } else { Ok(()) }
}

name! {
    /// A campaign's name: 1 to 100 characters on one line, not only digits (commands take a name or an id).
    CampaignName, not_an_id
}
name! {
    /// A list's name: 1 to 100 characters on one line.
    ListName, |_| Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_kept_in_any_script() {
        assert_eq!("  عروض العيد ".parse::<CampaignName>().map(String::from), Ok("عروض العيد".to_owned()));
        assert_eq!("2026".parse::<ListName>().map(String::from), Ok("2026".to_owned()));
    }

    #[test]
    fn a_name_that_cannot_be_told_from_an_id_is_refused() {
        assert_eq!("12".parse::<CampaignName>(), Err(NameError::OnlyDigits));
        assert!("12 March".parse::<CampaignName>().is_ok());
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert!("م".repeat(100).parse::<ListName>().is_ok());
        assert_eq!("م".repeat(101).parse::<ListName>(), Err(NameError::TooLong(101)));
    }

    #[test]
    fn empty_and_many_lined_names_are_refused() {
        assert_eq!(" \t ".parse::<ListName>(), Err(NameError::Empty));
        assert_eq!("a\nb".parse::<ListName>(), Err(NameError::Control));
    }
}
