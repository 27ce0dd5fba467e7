//! Message templates as the Graph API lists them.

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::client::Client;
use crate::graph::GraphError;
use crate::ids::AccountId;
use crate::lenient;
use crate::numbers::required;

const FIELDS: &str = "id,name,language,status,category,parameter_format,quality_score,\
rejected_reason,message_send_ttl_seconds,components";

/// One template in one language, in Meta's own words: what they mean to a send
/// is decided where templates are understood.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct MetaTemplate {
    /// Meta's id.
    #[serde(deserialize_with = "required")]
    pub id: String,
    /// Its name; with the language it identifies a template of an account.
    #[serde(deserialize_with = "required")]
    pub name: String,
    /// Its exact language key.
    #[serde(deserialize_with = "required")]
    pub language: String,
    /// `APPROVED` is the only one that can be sent; empty where Meta does not say.
    #[serde(default, deserialize_with = "word")]
    pub status: String,
    /// `MARKETING`, `UTILITY`, `AUTHENTICATION`; empty where Meta does not say.
    #[serde(default, deserialize_with = "word")]
    pub category: String,
    /// `POSITIONAL` or `NAMED`; `None` where Meta does not say, which is positional.
    #[serde(default, deserialize_with = "lenient::text")]
    pub parameter_format: Option<String>,
    /// `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    #[serde(default, deserialize_with = "quality_score")]
    pub quality_score: Option<String>,
    /// Why it was rejected; Meta also says `NONE`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub rejected_reason: Option<String>,
    /// For how many seconds Meta tries to deliver; -1 is 30 days.
    #[serde(default, deserialize_with = "lenient::int")]
    pub message_send_ttl_seconds: Option<i64>,
    /// Its parts as Meta lists them; null where absent.
    #[serde(default)]
    pub components: Value,
}

impl Client {
    /// All templates of an account, in every status and language.
    ///
    /// # Errors
    /// [`GraphError`]; a template without id, name or language is left out
    /// instead.
    pub async fn templates(&self, token: &SecretString, account: &AccountId) -> Result<Vec<MetaTemplate>, GraphError> {
        self.list(token, account, "message_templates", FIELDS).await
    }
}

fn word<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(lenient::text(from)?.unwrap_or_default())
}

/// A word, or an object with the word in `score`.
fn quality_score<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let score: Option<Value> = lenient::lossy(from)?;
    Ok(score.and_then(|score| Some(score.as_str().or_else(|| score["score"].as_str())?.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> MetaTemplate {
        serde_json::from_str(json).expect("a template")
    }

    #[test]
    fn a_template_is_read_as_meta_lists_it() {
        let template = read(
            r#"{"id":"594425479261596","name":"eid_offer","language":"ar","status":"APPROVED","category":"MARKETING",
            "parameter_format":"NAMED","quality_score":{"score":"GREEN","date":1750030073},"rejected_reason":"NONE",
            "message_send_ttl_seconds":43200,"components":[{"type":"BODY","text":"Hi"}],"new_field":1}"#,
        );
        assert_eq!((template.name.as_str(), template.language.as_str()), ("eid_offer", "ar"));
        assert_eq!(template.quality_score.as_deref(), Some("GREEN"));
        assert_eq!(template.message_send_ttl_seconds, Some(43_200));
        assert_eq!(template.components[0]["text"], "Hi");
    }

    #[test]
    fn a_template_with_little_known_about_it_is_still_listed() {
        let template = read(r#"{"id":5,"name":"a","language":"en","quality_score":"UNKNOWN","status":null}"#);
        assert_eq!((template.id.as_str(), template.status.as_str()), ("5", ""));
        assert_eq!(template.quality_score.as_deref(), Some("UNKNOWN"));
        assert!(template.components.is_null());
    }
}
