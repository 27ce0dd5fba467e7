//! Accounts with their business numbers and templates.

use serde::{Deserialize, Serialize};

/// One WhatsApp business account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The account's id.
    pub waba_id: String,
    /// Its display name.
    #[serde(default)]
    pub name: String,
    /// The bearer token that opens this account; empty lets any token in.
    #[serde(default)]
    pub access_token: String,
    /// Signs this account's webhooks; `webhook.app_secret` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_secret: Option<String>,
    /// What the token permits.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// When the token ends, epoch seconds; 0: never. Told when asked, and not enforced.
    #[serde(default)]
    pub token_expires_at: i64,
    /// Its business numbers.
    pub numbers: Vec<Number>,
    /// Its templates, in the order they are listed.
    pub templates: Vec<Template>,
}

/// One business number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Number {
    /// The `phone_number_id`.
    pub id: String,
    /// As people see it; its digits are the number.
    pub display_phone_number: String,
    /// The name that people see.
    pub verified_name: String,
    /// Its country's calling code: what a `to` without `+` gets put before it.
    pub country_dial_code: String,
    /// `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    #[serde(default = "green")]
    pub quality_rating: String,
    /// `CONNECTED`, `PENDING`, `RESTRICTED`, `BANNED`…
    #[serde(default = "connected")]
    pub status: String,
    /// `TIER_250` … `TIER_UNLIMITED`; shown, not enforced.
    #[serde(default = "tier")]
    pub messaging_limit: String,
}

/// One template in one language.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Meta's id of it.
    pub id: String,
    /// `[a-z0-9_]`, up to 512.
    pub name: String,
    /// An exact language key such as `en` or `pt_BR`.
    pub language: String,
    /// `MARKETING`, `UTILITY` or `AUTHENTICATION`.
    pub category: String,
    /// `APPROVED`, `PENDING`, `PAUSED`…
    #[serde(default = "approved")]
    pub status: String,
    /// `POSITIONAL` or `NAMED`.
    #[serde(default = "positional")]
    pub parameter_format: String,
    /// `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    #[serde(default = "green")]
    pub quality_score: String,
    /// Meta's components, served as they are and used to validate messages.
    pub components: serde_json::Value,
}

fn scopes() -> Vec<String> {
    ["whatsapp_business_management", "whatsapp_business_messaging"].map(str::to_owned).to_vec()
}
fn green() -> String {
    "GREEN".into()
}
fn connected() -> String {
    "CONNECTED".into()
}
fn tier() -> String {
    "TIER_UNLIMITED".into()
}
fn approved() -> String {
    "APPROVED".into()
}
fn positional() -> String {
    "POSITIONAL".into()
}
