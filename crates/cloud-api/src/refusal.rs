//! Refusals: Meta's error codes, and what each is about.
//!
//! The table is Meta's list of error codes as of 2026-09 with additions from the
//! field. Meta publishes no split of codes by channel, so any code is taken on
//! either; one code alone means something else in a webhook.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::lenient::{self, Int};

/// What a refusal is about. Closed: an unlisted code is [`RefusalKind::Unknown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalKind {
    /// The business number, app or account sends or asks too fast.
    Throughput,
    /// Too many messages between this number and this person (pair rate).
    Pair,
    /// This person had enough marketing for now, from all businesses together.
    PerUser,
    /// This person cannot be reached like this.
    Recipient,
    /// This person's values do not fit the template.
    BadRow,
    /// A parameter is missing or invalid, in this row or in all.
    Parameter,
    /// The template cannot be sent: absent, unapproved, disabled, against policy.
    Template,
    /// The template is paused or still syncing, and may come back.
    TemplatePaused,
    /// The request is wrong in a way that holds for the whole campaign.
    CampaignRequest,
    /// The business number is unregistered, restricted, or gone.
    Number,
    /// The account is restricted, locked, or cannot pay.
    Account,
    /// Portfolio pacing dropped the message: the business portfolio is frozen
    /// for review.
    Portfolio,
    /// The access token is invalid or lacks a permission.
    Credential,
    /// The person stopped this business's marketing in WhatsApp itself.
    OptedOut,
    /// WhatsApp or this number is unavailable for a while.
    Platform,
    /// Something went wrong with this one message.
    Transient,
    /// Something went wrong at Meta, or the request is wrong: the code does not
    /// say which.
    Ambiguous,
    /// A code that is not in the table.
    Unknown,
}

/// Where a code was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// In the answer to a request.
    Sync,
    /// In a status webhook.
    Webhook,
}

/// A refusal: Meta's error envelope.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it is about.
    pub kind: RefusalKind,
    /// Meta's code.
    pub code: i64,
    /// Meta's `error_subcode`.
    pub subcode: Option<i64>,
    /// Meta's message. May quote the person's number: not for logs.
    pub message: Option<String>,
    /// Meta's `error_data.details`. May quote the person's number.
    pub details: Option<Box<str>>,
    /// The id Meta's support asks for.
    pub fbtrace_id: Option<Box<str>>,
    /// How long Meta asks to be left alone, where a header says so.
    pub retry_after: Option<Duration>,
    /// The answer as it came, where it says that the person opted out: it is the evidence of that. Quotes their number.
    pub raw: Option<Box<str>>,
}

/// What a code is about.
#[must_use]
pub fn kind_of(code: i64, subcode: Option<i64>, channel: Channel) -> RefusalKind {
    use RefusalKind as K;
    // A throughput upgrade takes the number away for about a minute.
    if subcode == Some(2_494_100) {
        return K::Platform;
    }
    match code {
        0 | 190 => K::Credential,
        // "Bad request or server fault": worth a few tries. A media fetch may
        // fail once, or for ever; 131014 is its old number.
        1 | 131_014 | 131_053 => K::Ambiguous,
        2 | 131_016 | 133_004 | 131_057 | 2_494_100 => K::Platform,
        3 | 10 | 104 | 200..=299 | 131_005 => K::Credential,
        4 | 17 | 613 | 80_001 | 80_007 | 80_008 | 130_429 => K::Throughput,
        // The number's id is deleted, or not visible to this token.
        33 | 803 => K::Number,
        100 if subcode == Some(33) => K::Number,
        100 => K::CampaignRequest,
        368 | 131_031 | 131_042 | 131_064 | 134_011 => K::Account,
        // 498 is what early documents called 131050.
        498 | 131_050 => K::OptedOut,
        // Their service window has closed: only a free text is refused so, and no other person's is like it.
        130_403 | 130_472 | 130_497 | 131_021 | 131_026 | 131_047 | 131_062 | 137_000 => K::Recipient,
        131_000 => K::Transient,
        131_008 | 131_009 => K::Parameter,
        132_005 | 132_008 => K::BadRow,
        131_030 | 131_051 | 131_055 | 131_058 | 131_063 => K::CampaignRequest,
        131_037 | 131_045 | 131_048 => K::Number,
        131_049 => K::PerUser,
        131_056 => K::Pair,
        132_000 | 132_012 | 132_018 => K::CampaignRequest,
        132_001 | 132_007 | 132_016 | 132_068 => K::Template,
        132_015 | 134_101 => K::TemplatePaused,
        // A Flow's ten messages per hour are used up.
        132_069 => K::Transient,
        133_000 | 133_005..=133_010 | 133_015 | 133_016 => K::Number,
        134_100 | 134_102 => K::CampaignRequest,
        // In a webhook: dropped by portfolio pacing, and the portfolio is
        // frozen for review.
        135_000 => match channel {
            Channel::Sync => K::CampaignRequest,
            Channel::Webhook => K::Portfolio,
        },
        _ => K::Unknown,
    }
}

/// Reads Meta's error envelope, or `None` where the body is anything else.
pub(crate) fn read_envelope(body: &[u8], status: u16) -> Option<Refusal> {
    #[derive(Deserialize)]
    struct Envelope {
        error: Wire,
        #[serde(default)]
        messages: Option<IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct Wire {
        code: Int,
        #[serde(default, deserialize_with = "lenient::int")]
        error_subcode: Option<i64>,
        #[serde(default, deserialize_with = "lenient::text")]
        message: Option<String>,
        #[serde(default, rename = "type", deserialize_with = "lenient::text")]
        class: Option<String>,
        #[serde(default, deserialize_with = "details")]
        error_data: Option<String>,
        #[serde(default, deserialize_with = "lenient::text")]
        fbtrace_id: Option<String>,
    }

    let Envelope { error, messages } = serde_json::from_slice(body).ok()?;
    let Int(code) = error.code;
    // A gateway's `{"error":{"code":503,"message":"…"}}` looks alike, but it has
    // none of Meta's own marks and repeats the HTTP status. Taking it for a
    // refusal would call a message unsent that may be out.
    let metas =
        error.class.is_some() || error.fbtrace_id.is_some() || (error.message.is_some() && code != i64::from(status));
    if messages.is_some() || !metas {
        return None;
    }
    let kind = kind_of(code, error.error_subcode, Channel::Sync);
    Some(Refusal {
        kind,
        code,
        subcode: error.error_subcode,
        message: error.message,
        details: error.error_data.map(Into::into),
        fbtrace_id: error.fbtrace_id.map(Into::into),
        retry_after: None,
        raw: (kind == RefusalKind::OptedOut).then(|| String::from_utf8_lossy(body).into()),
    })
}

/// `error_data`: an object with `details`, or the details themselves.
pub(crate) fn details<'de, D>(from: D) -> Result<Option<String>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    #[derive(Deserialize)]
    struct Data {
        #[serde(default, deserialize_with = "lenient::text")]
        details: Option<String>,
    }
    let raw: Option<&'de RawValue> = Option::deserialize(from)?;
    Ok(raw.and_then(|raw| {
        serde_json::from_str::<String>(raw.get())
            .ok()
            .or_else(|| serde_json::from_str::<Data>(raw.get()).ok()?.details)
            .filter(|text| !text.is_empty())
    }))
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("kind", &self.kind)
            .field("code", &self.code)
            .field("subcode", &self.subcode)
            .field("fbtrace_id", &self.fbtrace_id)
            .field("retry_after", &self.retry_after)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference's table, class by class.
    #[rustfmt::skip]
    const TABLE: &[(RefusalKind, &[i64])] = &[
        (RefusalKind::Credential, &[0, 190, 3, 10, 104, 200, 230, 299, 131005]),
        (RefusalKind::Throughput, &[4, 17, 613, 80001, 80007, 80008, 130429]),
        (RefusalKind::Platform, &[2, 131016, 133004, 131057, 2494100]),
        (RefusalKind::Transient, &[131000, 132069]),
        (RefusalKind::Ambiguous, &[1, 131053, 131014]),
        (RefusalKind::Pair, &[131056]),
        (RefusalKind::PerUser, &[131049]),
        (RefusalKind::OptedOut, &[131050, 498]),
        (RefusalKind::Recipient, &[130403, 130472, 130497, 131021, 131026, 131047, 131062, 137000]),
        (RefusalKind::BadRow, &[132005, 132008]),
        (RefusalKind::Parameter, &[131008, 131009]),
        (RefusalKind::Template, &[132001, 132007, 132016, 132068]),
        (RefusalKind::TemplatePaused, &[132015, 134101]),
        (RefusalKind::CampaignRequest, &[
            100, 131030, 131051, 131055, 131058, 131063, 132000, 132012, 132018, 134100, 134102, 135000,
        ]),
        (RefusalKind::Number, &[
            33, 803, 131037, 131045, 131048, 133000, 133005, 133006, 133007, 133008, 133009, 133010, 133015, 133016,
        ]),
        (RefusalKind::Account, &[368, 131031, 131042, 131064, 134011]),
        // Calling, groups, inbound media, template administration: no send's business.
        (RefusalKind::Unknown, &[
            131044, 131052, 131059, 131060, 131201, 138000, 139000, 147000, 2388299, 7, 300, -1, 999999, i64::MAX, i64::MIN,
        ]),
    ];

    #[test]
    fn every_listed_code_has_its_kind() {
        for (kind, codes) in TABLE {
            for code in *codes {
                assert_eq!(kind_of(*code, None, Channel::Sync), *kind, "{code}");
            }
        }
    }

    #[test]
    fn only_portfolio_pacing_means_something_else_in_a_webhook() {
        for (kind, codes) in TABLE {
            for code in *codes {
                let expected = if *code == 135_000 { RefusalKind::Portfolio } else { *kind };
                assert_eq!(kind_of(*code, None, Channel::Webhook), expected, "{code}");
            }
        }
    }

    #[test]
    fn a_subcode_can_say_what_the_code_does_not() {
        assert_eq!(kind_of(100, Some(33), Channel::Sync), RefusalKind::Number);
        assert_eq!(kind_of(100, Some(2_494_010), Channel::Sync), RefusalKind::CampaignRequest);
        assert_eq!(kind_of(131_000, Some(2_494_100), Channel::Sync), RefusalKind::Platform);
    }

    #[test]
    fn an_envelope_is_read_with_odd_types_and_missing_parts() {
        let read = |body: &str| read_envelope(body.as_bytes(), 400);
        let plain = read(r#"{"error":{"message":"m","code":"131026","error_data":"why","error_subcode":null}}"#)
            .expect("an envelope");
        assert_eq!((plain.kind, plain.code), (RefusalKind::Recipient, 131_026));
        assert_eq!(plain.details.as_deref(), Some("why"));
        let bare = read(r#"{"error":{"type":"OAuthException","code":190,"error_data":{"details":7},"x":[]},"y":1}"#)
            .expect("an envelope");
        assert_eq!((bare.kind, bare.message), (RefusalKind::Credential, None));
        assert_eq!(bare.details.as_deref(), Some("7"));
    }

    #[test]
    fn what_only_resembles_the_envelope_is_not_one() {
        for body in [
            r#"{"error":"bad gateway"}"#,
            r#"{"error":{"message":"m","type":"t"}}"#,
            r#"{"error":{"code":131000}}"#,
            r#"{"error":{"code":503,"message":"Service Unavailable"}}"#,
            r#"{"error":null}"#,
            r#"[{"error":{"message":"m","type":"t","code":1}}]"#,
            r#"{"error":{"message":"m","type":"t","code":1}} trailing"#,
            r#"{"code":131000,"message":"m"}"#,
        ] {
            assert_eq!(read_envelope(body.as_bytes(), 503), None, "{body}");
        }
    }

    #[test]
    fn debug_output_leaves_metas_words_out() {
        let refusal = read_envelope(br#"{"error":{"message":"+201001234567?","code":131026}}"#, 400);
        assert!(!format!("{refusal:?}").contains("201001234567"));
    }
}
