//! The service window: whoever wrote to a business number may be answered in free text for 24 hours, and only from that
//! number; and what such an answer may be.

use crate::Millis;

/// How long a window stays open after a person's last message.
pub const LASTS: Millis = 24 * 3_600_000;
/// The longest text that Meta takes, in characters.
pub const LONGEST_TEXT: usize = 4_096;

/// The window of one person at one business number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The person never wrote to this number.
    Never,
    /// The person wrote last so long ago that it closed then.
    Closed(Millis),
    /// It is open, and closes then unless the person writes again.
    Open(Millis),
}

impl Window {
    /// The window as of `now`, of somebody who wrote last at `heard_at`. A message that comes from the future by its
    /// sender's clock opens it for no longer than one of this moment.
    #[must_use]
    pub fn of(heard_at: Option<Millis>, now: Millis) -> Self {
        match heard_at {
            None => Self::Never,
            Some(heard_at) => {
                let closes = heard_at.min(now).saturating_add(LASTS);
                if now < closes { Self::Open(closes) } else { Self::Closed(closes) }
            }
        }
    }

    /// Whether a message that leaves up to `ahead` after `now` finds it open.
    #[must_use]
    pub fn is_open_for(heard_at: Option<Millis>, now: Millis, ahead: Millis) -> bool {
        matches!(Self::of(heard_at, now), Self::Open(closes) if now.saturating_add(ahead) < closes)
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// When it closes, or closed.
    #[must_use]
    pub fn until(self) -> Option<Millis> {
        match self {
            Self::Never => None,
            Self::Closed(at) | Self::Open(at) => Some(at),
        }
    }
}

/// Why a text cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing to read.
    #[error("it is empty")]
    Empty,
    /// Meta refuses it.
    #[error("it has {0} characters, and {LONGEST_TEXT} is the most")]
    TooLong(usize),
    /// No telephone shows it.
    #[error("it holds a control character")]
    Control,
}

/// A free text as it may be sent: without blanks around it. Line breaks and tabs stay.
///
/// # Errors
/// [`TextError`].
pub fn free_text(text: &str) -> Result<&str, TextError> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 {
        return Err(TextError::Empty);
    }
    if length > LONGEST_TEXT {
        return Err(TextError::TooLong(length));
    }
    if text.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t')) {
        return Err(TextError::Control);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_window_is_open_for_a_day_and_not_a_moment_longer() {
        assert_eq!(Window::of(None, 5), Window::Never);
        assert_eq!(Window::of(Some(1_000), 1_000), Window::Open(1_000 + LASTS));
        assert_eq!(Window::of(Some(1_000), 999 + LASTS), Window::Open(1_000 + LASTS));
        assert_eq!(Window::of(Some(1_000), 1_000 + LASTS), Window::Closed(1_000 + LASTS));
        assert!(Window::is_open_for(Some(0), LASTS - 251, 250) && !Window::is_open_for(Some(0), LASTS - 250, 250));
    }

    #[test]
    fn a_text_is_what_a_telephone_can_show() {
        assert_eq!(free_text("  Yes,\nat nine \u{1f44d}  "), Ok("Yes,\nat nine \u{1f44d}"));
        assert_eq!(free_text(" \n "), Err(TextError::Empty));
        assert_eq!(free_text("a\0b"), Err(TextError::Control));
        assert!(free_text(&"ع".repeat(LONGEST_TEXT)).is_ok());
        assert_eq!(free_text(&"ع".repeat(LONGEST_TEXT + 1)), Err(TextError::TooLong(LONGEST_TEXT + 1)));
    }

    proptest! {
        #[test]
        fn it_never_stays_open_longer_than_a_day_from_now_and_once_closed_only_a_message_opens_it(
            heard in any::<i64>(), now in 0..i64::MAX / 2, later in 0..i64::MAX / 4, ahead in 0..10_000_i64,
        ) {
            let window = Window::of(Some(heard), now);
            if let Window::Open(closes) = window {
                prop_assert!(closes > now && closes <= now + LASTS);
            }
            if heard <= now && !window.is_open() {
                prop_assert!(!Window::of(Some(heard), now + later).is_open());
                prop_assert!(Window::of(Some(now), now).is_open());
            }
            // Whoever may leave later may leave now.
            if Window::is_open_for(Some(heard), now, ahead) {
                prop_assert!(window.is_open());
            }
        }
    }
}
