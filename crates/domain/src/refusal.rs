//! Why Meta would not take or deliver a message, in eighteen words.
//!
//! Meta has a number for each reason and adds new ones unannounced. Those numbers stay in the crate that speaks to
//! Meta; what they come down to is this list.

use std::fmt;

/// What kind of refusal it was, so what it means for the message and for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalClass {
    /// The business number, account or app went faster than it may (130429, 80007, 4).
    Throughput,
    /// Too many messages to this one person within a short time (131056).
    Pair,
    /// This person gets enough marketing from everybody (131049). Trying again within a day makes it worse.
    PerUser,
    /// This person cannot be reached: no WhatsApp, blocked, in a holdout (131026, 130472…).
    Recipient,
    /// This row's values do not fit the template (132005, 132008).
    BadRow,
    /// A parameter is missing or wrong (131008, 131009): in this row, or in all of them.
    Parameter,
    /// The template is absent, rejected or disabled (132001, 132007, 132016).
    Template,
    /// The template is paused, or this message was dropped by its pacing (132015), or it is still syncing (134101).
    TemplatePaused,
    /// The request itself is wrong and would be for every row (100, 132000, 132012…).
    CampaignRequest,
    /// The business number may not send: unregistered, restricted, its name not approved (133010, 131048, 131037).
    Number,
    /// The account may not send: restricted, no payment method, locked (368, 131042, 131031).
    Account,
    /// Portfolio pacing dropped the message and Meta reviews the business portfolio: none of its accounts may send
    /// (135000 in a webhook).
    Portfolio,
    /// The access token is wrong, expired, or lacks a permission (190, 10, 131005).
    Credential,
    /// The person stopped marketing messages at Meta (131050).
    OptedOut,
    /// The platform is down, overloaded or in maintenance (2, 131016, 133004, 131057).
    Platform,
    /// Something failed at Meta for this one message (131000, 132069).
    Transient,
    /// Something failed at Meta, or our request is wrong for every row (1; 131053: the media could not be fetched). A
    /// few tries tell.
    Ambiguous,
    /// A reason that this version does not know.
    Unknown,
}

impl RefusalClass {
    /// Every class.
    pub const ALL: [RefusalClass; 18] = [
        RefusalClass::Throughput,
        RefusalClass::Pair,
        RefusalClass::PerUser,
        RefusalClass::Recipient,
        RefusalClass::BadRow,
        RefusalClass::Parameter,
        RefusalClass::Template,
        RefusalClass::TemplatePaused,
        RefusalClass::CampaignRequest,
        RefusalClass::Number,
        RefusalClass::Account,
        RefusalClass::Portfolio,
        RefusalClass::Credential,
        RefusalClass::OptedOut,
        RefusalClass::Platform,
        RefusalClass::Transient,
        RefusalClass::Ambiguous,
        RefusalClass::Unknown,
    ];

    /// The name in metrics and exports, in snake case.
    pub const fn as_str(self) -> &'static str {
        match self {
            RefusalClass::Throughput => "throughput",
            RefusalClass::Pair => "pair",
            RefusalClass::PerUser => "per_user",
            RefusalClass::Recipient => "recipient",
            RefusalClass::BadRow => "bad_row",
            RefusalClass::Parameter => "parameter",
            RefusalClass::Template => "template",
            RefusalClass::TemplatePaused => "template_paused",
            RefusalClass::CampaignRequest => "campaign_request",
            RefusalClass::Number => "number",
            RefusalClass::Account => "account",
            RefusalClass::Portfolio => "portfolio",
            RefusalClass::Credential => "credential",
            RefusalClass::OptedOut => "opted_out",
            RefusalClass::Platform => "platform",
            RefusalClass::Transient => "transient",
            RefusalClass::Ambiguous => "ambiguous",
            RefusalClass::Unknown => "unknown",
        }
    }
}

impl fmt::Display for RefusalClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
