//! Business numbers as the Graph API lists them.

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use crate::client::Client;
use crate::graph::GraphError;
use crate::ids::AccountId;
use crate::lenient::{self, Text};

const FIELDS: &str = "id,display_phone_number,verified_name,quality_rating,throughput,\
whatsapp_business_manager_messaging_limit,status,name_status,account_mode,platform_type,is_on_biz_app";

/// Meta's judgement of a business number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quality {
    /// High.
    Green,
    /// Medium.
    Yellow,
    /// Low: limits fall, templates pause.
    Red,
    /// Not judged yet (`UNKNOWN`, `NA`, absent).
    Unrated,
    /// A word this version does not know.
    Other(String),
}

/// How fast Meta lets a business number send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThroughputLevel {
    /// 80 messages per second.
    Standard,
    /// 1,000 messages per second.
    High,
    /// Meta says the notion does not apply.
    NotApplicable,
    /// A word this version does not know.
    Other(String),
}

/// How many people a portfolio may message outside a conversation they opened,
/// in any 24 hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessagingLimit {
    /// This many.
    People(u32),
    /// No limit.
    Unlimited,
    /// A word this version does not know.
    Other(String),
}

/// One business number of an account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BusinessNumber {
    /// Its `phone_number_id`, which stands in the path of a send.
    #[serde(deserialize_with = "required")]
    pub id: String,
    /// The number as Meta writes it, `+1 555-…`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub display_phone_number: Option<String>,
    /// The name people see.
    #[serde(default, deserialize_with = "lenient::text")]
    pub verified_name: Option<String>,
    /// Meta's judgement.
    #[serde(default = "unrated", rename = "quality_rating", deserialize_with = "quality")]
    pub quality: Quality,
    /// How fast it may send; `None` where Meta does not say.
    #[serde(default, deserialize_with = "throughput")]
    pub throughput: Option<ThroughputLevel>,
    /// The portfolio's messaging limit, which all its numbers share; `None`
    /// where Meta does not say.
    #[serde(default, rename = "whatsapp_business_manager_messaging_limit", deserialize_with = "messaging_limit")]
    pub messaging_limit: Option<MessagingLimit>,
    /// Meta's word for its state: `CONNECTED`, `PENDING`, `RESTRICTED`,
    /// `BANNED`, `MIGRATED` and others; Meta's lists differ.
    #[serde(default, deserialize_with = "lenient::text")]
    pub status: Option<String>,
    /// Whether the shown name is approved: `APPROVED`, `DECLINED` and others.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name_status: Option<String>,
    /// `LIVE` or `SANDBOX`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub account_mode: Option<String>,
    /// `CLOUD_API`, `ON_PREMISE` or `NOT_APPLICABLE`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub platform_type: Option<String>,
    /// Whether staff also use it in the WhatsApp Business app.
    #[serde(default, deserialize_with = "lenient::lossy")]
    pub is_on_biz_app: Option<bool>,
}

impl BusinessNumber {
    /// Messages per second that Meta lets this number send, where it is known:
    /// 80 as a rule, 1,000 after the upgrade, 20 for a number that is also used
    /// in the WhatsApp Business app (as of 2026-09).
    #[must_use]
    pub fn messages_per_second(&self) -> Option<u32> {
        if self.is_on_biz_app == Some(true) {
            return Some(20);
        }
        match self.throughput.as_ref()? {
            ThroughputLevel::Standard => Some(80),
            ThroughputLevel::High => Some(1000),
            ThroughputLevel::NotApplicable | ThroughputLevel::Other(_) => None,
        }
    }
}

impl MessagingLimit {
    pub(crate) fn parse(text: &str) -> Self {
        let tier = text.strip_prefix("TIER_").unwrap_or(text);
        if tier == "UNLIMITED" {
            return Self::Unlimited;
        }
        let (digits, factor) = tier.strip_suffix('K').map_or((tier, 1), |thousands| (thousands, 1000));
        digits
            .parse::<u32>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .map_or_else(|| Self::Other(text.to_owned()), Self::People)
    }
}

impl Client {
    /// All business numbers of an account.
    ///
    /// # Errors
    /// [`GraphError`]; a number without an id is left out instead.
    pub async fn phone_numbers(
        &self,
        token: &SecretString,
        account: &AccountId,
    ) -> Result<Vec<BusinessNumber>, GraphError> {
        self.list(token, account, "phone_numbers", FIELDS).await
    }
}

/// A string or number that must not be empty.
pub(crate) fn required<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let Text(text) = Text::deserialize(from)?;
    let text = lenient::trimmed(text);
    if text.is_empty() {
        return Err(serde::de::Error::custom("an empty value"));
    }
    Ok(text)
}

fn unrated() -> Quality {
    Quality::Unrated
}

fn quality<'de, D: Deserializer<'de>>(from: D) -> Result<Quality, D::Error> {
    Ok(match lenient::text(from)?.as_deref() {
        None | Some("UNKNOWN" | "NA") => Quality::Unrated,
        Some("GREEN") => Quality::Green,
        Some("YELLOW") => Quality::Yellow,
        Some("RED") => Quality::Red,
        Some(other) => Quality::Other(other.to_owned()),
    })
}

fn throughput<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ThroughputLevel>, D::Error> {
    #[derive(Deserialize)]
    struct Throughput {
        #[serde(default, deserialize_with = "lenient::text")]
        level: Option<String>,
    }
    let throughput: Option<Throughput> = lenient::lossy(from)?;
    Ok(throughput.and_then(|throughput| throughput.level).map(|level| match level.as_str() {
        "STANDARD" => ThroughputLevel::Standard,
        "HIGH" => ThroughputLevel::High,
        "NOT_APPLICABLE" => ThroughputLevel::NotApplicable,
        _ => ThroughputLevel::Other(level),
    }))
}

fn messaging_limit<'de, D: Deserializer<'de>>(from: D) -> Result<Option<MessagingLimit>, D::Error> {
    Ok(lenient::text(from)?.map(|text| MessagingLimit::parse(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> BusinessNumber {
        serde_json::from_str(json).expect("a number")
    }

    #[test]
    fn a_number_is_read_as_meta_lists_it() {
        let number = read(
            r#"{"id":"106540352242922","display_phone_number":"+1 555-078-3881","verified_name":"Hoopoe",
            "quality_rating":"GREEN","throughput":{"level":"HIGH"},"status":"CONNECTED","is_on_biz_app":false,
            "whatsapp_business_manager_messaging_limit":"TIER_10K","name_status":"APPROVED","new_field":{"a":1}}"#,
        );
        assert_eq!(number.id, "106540352242922");
        assert_eq!(number.quality, Quality::Green);
        assert_eq!(number.messaging_limit, Some(MessagingLimit::People(10_000)));
        assert_eq!(number.messages_per_second(), Some(1000));
    }

    #[test]
    fn a_number_with_only_an_id_is_a_number() {
        let number = read(r#"{"id":106540352242922}"#);
        assert_eq!(number.id, "106540352242922");
        assert_eq!((number.quality.clone(), number.messages_per_second()), (Quality::Unrated, None));
    }

    #[test]
    fn unknown_words_are_kept() {
        let number = read(
            r#"{"id":"1","quality_rating":"MAUVE","throughput":{"level":"LUDICROUS"},
            "whatsapp_business_manager_messaging_limit":"TIER_SOME"}"#,
        );
        assert_eq!(number.quality, Quality::Other("MAUVE".into()));
        assert_eq!(number.throughput, Some(ThroughputLevel::Other("LUDICROUS".into())));
        assert_eq!(number.messaging_limit, Some(MessagingLimit::Other("TIER_SOME".into())));
    }

    #[test]
    fn limits_come_as_tiers_and_as_numbers() {
        assert_eq!(MessagingLimit::parse("TIER_250"), MessagingLimit::People(250));
        assert_eq!(MessagingLimit::parse("TIER_2K"), MessagingLimit::People(2000));
        assert_eq!(MessagingLimit::parse("100000"), MessagingLimit::People(100_000));
        assert_eq!(MessagingLimit::parse("TIER_UNLIMITED"), MessagingLimit::Unlimited);
    }

    #[test]
    fn a_number_shared_with_the_phone_app_is_slow() {
        let number = read(r#"{"id":"1","throughput":{"level":"STANDARD"},"is_on_biz_app":true}"#);
        assert_eq!(number.messages_per_second(), Some(20));
    }
}
