//! What an account and its numbers may do: limits, throughput, restrictions, bans.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::lenient;
use crate::numbers::MessagingLimit;

/// A change of what an account, its portfolio or one of its numbers may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StandingEvent {
    /// `business_capability_update`: how many people the whole portfolio may message in 24 hours.
    Capability {
        /// The new limit; `None` where the webhook speaks of other things only.
        messaging_limit: Option<MessagingLimit>,
    },
    /// `phone_number_quality_update`: one number's standing or throughput.
    Number {
        /// The number as Meta writes it; it is not named in any other way.
        display_phone_number: Option<String>,
        /// Meta's word: `ONBOARDING`, `THROUGHPUT_UPGRADE`; older ones `FLAGGED`, `UNFLAGGED`, `UPGRADE`, `DOWNGRADE`.
        event: String,
        /// The portfolio's limit, where it is said.
        messaging_limit: Option<MessagingLimit>,
    },
    /// `account_update`: the account's own standing.
    Account {
        /// Meta's word: `ACCOUNT_RESTRICTION`, `ACCOUNT_VIOLATION`, `DISABLED_UPDATE`, `ACCOUNT_DELETED` and others.
        event: String,
        /// Of `DISABLED_UPDATE`: `DISABLE`, `REINSTATE` or `SCHEDULE_FOR_DISABLE`.
        ban_state: Option<String>,
        /// Of `ACCOUNT_RESTRICTION`: which, for example `RESTRICTED_BIZ_INITIATED_MESSAGING`.
        restrictions: Vec<String>,
        /// Of `ACCOUNT_VIOLATION`: which.
        violation: Option<String>,
    },
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default, deserialize_with = "lenient::text")]
    event: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    display_phone_number: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    max_daily_conversations_per_business: Option<String>,
    /// The name of the same until v23.
    #[serde(default, deserialize_with = "lenient::text")]
    max_daily_conversation_per_phone: Option<String>,
    /// Until 2026-02.
    #[serde(default, deserialize_with = "lenient::text")]
    current_limit: Option<String>,
    #[serde(default, deserialize_with = "lenient::lossy")]
    ban_info: Option<Ban>,
    #[serde(default, deserialize_with = "lenient::lossy")]
    restriction_info: Option<Vec<Restriction>>,
    #[serde(default, deserialize_with = "lenient::lossy")]
    violation_info: Option<Violation>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(default, deserialize_with = "lenient::text")]
    waba_ban_state: Option<String>,
}

#[derive(Deserialize)]
struct Restriction {
    #[serde(default, deserialize_with = "lenient::text")]
    restriction_type: Option<String>,
}

#[derive(Deserialize)]
struct Violation {
    #[serde(default, deserialize_with = "lenient::text")]
    violation_type: Option<String>,
}

impl Wire {
    fn read(raw: &RawValue) -> Result<Self, String> {
        serde_json::from_str(raw.get()).map_err(|error| error.to_string())
    }

    fn limit(&self) -> Option<MessagingLimit> {
        let said =
            [&self.max_daily_conversations_per_business, &self.max_daily_conversation_per_phone, &self.current_limit];
        let said = said.into_iter().flatten().map(|text| MessagingLimit::parse(text));
        // NOT_SET and words to come say nothing that could be followed.
        said.into_iter().find(|limit| !matches!(limit, MessagingLimit::Other(_)))
    }
}

impl StandingEvent {
    /// Reads the value of `business_capability_update`.
    pub(super) fn read_capability(raw: &RawValue) -> Result<Self, String> {
        Ok(Self::Capability { messaging_limit: Wire::read(raw)?.limit() })
    }

    /// Reads the value of `phone_number_quality_update`.
    pub(super) fn read_number(raw: &RawValue) -> Result<Self, String> {
        let wire = Wire::read(raw)?;
        let messaging_limit = wire.limit();
        let event = wire.event.ok_or("a number's update without an event")?;
        Ok(Self::Number { display_phone_number: wire.display_phone_number, event, messaging_limit })
    }

    /// Reads the value of `account_update`.
    pub(super) fn read_account(raw: &RawValue) -> Result<Self, String> {
        let wire = Wire::read(raw)?;
        Ok(Self::Account {
            event: wire.event.ok_or("an account's update without an event")?,
            ban_state: wire.ban_info.and_then(|ban| ban.waba_ban_state),
            restrictions: wire
                .restriction_info
                .unwrap_or_default()
                .into_iter()
                .filter_map(|restriction| restriction.restriction_type)
                .collect(),
            violation: wire.violation_info.and_then(|violation| violation.violation_type),
        })
    }
}
