//! What a quick-reply button of ours carries, so that a tap tells its campaign and its meaning even where Meta leaves
//! out which message it answers.

use crate::optout::{Verdict, Words};

/// The version that payloads begin with.
const PREFIX: &str = "HH1";

/// What a tap on a button means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Intent {
    /// The person wants no more of this.
    OptOut,
    /// Anything else: an answer.
    Reply,
}

/// A payload of ours, read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The campaign whose message was tapped.
    pub campaign_id: i64,
    /// The button's place among all buttons of the template, from zero.
    pub button: u8,
    /// What the button meant when the campaign was planned.
    pub intent: Intent,
}

impl Intent {
    const fn as_str(self) -> &'static str {
        match self {
            Intent::OptOut => "OPTOUT",
            Intent::Reply => "REPLY",
        }
    }
}

/// The payload of one button: `HH1:c12:b1:OPTOUT`. ASCII and under 50 characters, where Meta allows 128. It names no
/// person.
pub fn encode(campaign_id: i64, button_index: u8, intent: Intent) -> String {
    format!("{PREFIX}:c{campaign_id}:b{button_index}:{}", intent.as_str())
}

/// Reads a payload back. `None` for anything that [`encode`] does not write; the button's label then decides.
pub fn decode(text: &str) -> Option<Payload> {
    let mut parts = text.split(':');
    let mut part = || parts.next();
    if part()? != PREFIX {
        return None;
    }
    let campaign_id = part()?.strip_prefix('c')?.parse().ok()?;
    let button = part()?.strip_prefix('b')?.parse().ok()?;
    let intent = match part()? {
        "OPTOUT" => Intent::OptOut,
        "REPLY" => Intent::Reply,
        _ => return None,
    };
    // Written again it must be the same text: no second spelling of a payload is taken for ours.
    (encode(campaign_id, button, intent) == text).then_some(Payload { campaign_id, button, intent })
}

/// What a tap on a button with this label means. Decided once, when a campaign is planned.
pub fn button_intent(label: &str) -> Intent {
    if Words::default().label(label) == Verdict::Stop { Intent::OptOut } else { Intent::Reply }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_payload_names_campaign_button_and_intent() {
        assert_eq!(encode(12, 1, Intent::OptOut), "HH1:c12:b1:OPTOUT");
        assert_eq!(decode("HH1:c12:b1:OPTOUT"), Some(Payload { campaign_id: 12, button: 1, intent: Intent::OptOut }));
    }

    #[test]
    fn what_is_not_ours_is_not_read() {
        for text in [
            "",
            "Stop promotions",
            "OPTOUT:c12",
            "HH1",
            "HH1:c12:b1",
            "HH1:c12:b1:optout",
            "HH1:c012:b1:OPTOUT",
            "HH1:c+12:b1:OPTOUT",
            "HH1:c12:b256:OPTOUT",
            "HH1:c12:b1:OPTOUT:x",
            "HH2:c12:b1:OPTOUT",
            " HH1:c12:b1:OPTOUT",
            "HH1:c99999999999999999999:b1:OPTOUT",
        ] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_label_decides_what_a_button_means() {
        assert_eq!(button_intent("Stop promotions"), Intent::OptOut);
        assert_eq!(button_intent("إيقاف العروض"), Intent::OptOut);
        assert_eq!(button_intent("Show me more"), Intent::Reply);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_again(campaign_id: i64, button: u8, stop: bool) {
            let intent = if stop { Intent::OptOut } else { Intent::Reply };
            let text = encode(campaign_id, button, intent);
            prop_assert!(text.is_ascii() && text.len() <= 128);
            prop_assert_eq!(decode(&text), Some(Payload { campaign_id, button, intent }));
        }
    }
}
