//! How often one person may be written to: at most so many marketing messages in so many days.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::Millis;

/// A day, ms.
const DAY: Millis = 24 * 3_600_000;

/// At most so many marketing messages to one person in any so many days, over all campaigns: `4/7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrequencyCap {
    messages: u32,
    days: u32,
}

/// A text that is no frequency cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("write a frequency cap as messages per days, for example 4/7d: 1 to 1000 messages in 1 to 366 days")]
pub struct NotACap;

impl FrequencyCap {
    /// So many messages.
    #[must_use]
    pub const fn messages(self) -> u32 {
        self.messages
    }

    /// After this time messages count that were sent by `now`, epoch ms.
    #[must_use]
    pub fn since(self, now: Millis) -> Millis {
        now.saturating_sub(Millis::from(self.days) * DAY)
    }
}

impl FromStr for FrequencyCap {
    type Err = NotACap;

    fn from_str(text: &str) -> Result<Self, NotACap> {
        let (messages, days) = text.trim().split_once('/').ok_or(NotACap)?;
        let days = days.trim().strip_suffix('d').ok_or(NotACap)?;
        let number = |digits: &str| digits.trim().parse::<u32>().map_err(|_| NotACap);
        let (messages, days) = (number(messages)?, number(days)?);
        if (1..=1_000).contains(&messages) && (1..=366).contains(&days) {
            Ok(Self { messages, days })
        } else {
            Err(NotACap)
        }
    }
}

impl fmt::Display for FrequencyCap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}d", self.messages, self.days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_is_read_as_it_is_written() {
        for text in ["4/7d", "1/1d", "1000/366d"] {
            assert_eq!(text.parse::<FrequencyCap>().map(|cap| cap.to_string()), Ok(text.to_owned()));
        }
        let cap: FrequencyCap = " 4 / 7d ".parse().unwrap();
        assert_eq!((cap.messages(), cap.since(10 * DAY)), (4, 3 * DAY));
        for text in ["", "4", "4/7", "0/7d", "4/0d", "4/367d", "1001/7d", "-1/7d", "4/7h", "x/7d"] {
            assert_eq!(text.parse::<FrequencyCap>(), Err(NotACap), "{text}");
        }
    }
}
