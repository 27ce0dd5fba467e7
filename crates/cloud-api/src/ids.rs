//! Meta's ids that stand in a request path.
//!
//! They are opaque: Meta announced that from 2028 other ids take their place,
//! so only what a path segment needs is checked.

use std::fmt;

/// An id that cannot stand in a request path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id of Meta's has 1 to 64 letters, digits, '-' or '_'")]
pub struct IdError;

fn check(text: &str) -> Result<String, IdError> {
    let fits =
        (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fits { Ok(text.to_owned()) } else { Err(IdError) }
}

macro_rules! path_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Takes the id as Meta gave it, without spaces around it.
            ///
            /// # Errors
            /// [`IdError`] when the text could not be one path segment.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check(text).map(Self)
            }

            /// The id as Meta gave it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
    };
}

path_id! {
    /// The id of a business number, the one that sends (`phone_number_id`).
    PhoneNumberId
}

path_id! {
    /// The id of a WhatsApp business account (WABA).
    AccountId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_would_leave_its_path_segment_is_refused() {
        for bad in ["", "..", "1/2", "1?a=b", "1#x", "1%2f", " 1", "١٢", &"1".repeat(65)] {
            assert_eq!(PhoneNumberId::parse(bad), Err(IdError), "{bad:?}");
        }
    }

    #[test]
    fn an_id_is_kept_as_given() {
        let id: AccountId = "102290129340398".parse().expect("digits are an id");
        assert_eq!(id.as_str(), "102290129340398");
        assert_eq!(id.to_string(), "102290129340398");
    }
}
