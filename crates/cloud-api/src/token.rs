//! What Meta says of an access token: whether it is valid, until when, and what it permits.

use reqwest::{Method, Request};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::client::{Client, headers};
use crate::exchange::exchange;
use crate::graph::{GraphError, unreachable_graph};
use crate::lenient;
use crate::refusal::read_envelope;

/// The scope without which no message is sent.
pub const MESSAGING_SCOPE: &str = "whatsapp_business_messaging";
/// The scope without which neither templates nor business numbers are read.
pub const MANAGEMENT_SCOPE: &str = "whatsapp_business_management";

/// An answer about one token is short.
const ANSWER_LIMIT: usize = 256 * 1024;

/// What Meta says of an access token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct TokenDetails {
    /// Whether it opens anything.
    #[serde(default)]
    pub is_valid: bool,
    /// What it permits.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// When it ends, epoch seconds; 0: never. A system user's token can be made to never end.
    #[serde(default, deserialize_with = "lenient::lossy")]
    pub expires_at: Option<i64>,
}

impl TokenDetails {
    /// When it ends, epoch ms; `None`: never, as far as is known.
    #[must_use]
    pub fn ends_at_ms(&self) -> Option<i64> {
        self.expires_at.filter(|at| *at > 0).map(|at| at.saturating_mul(1_000))
    }
}

#[derive(Deserialize)]
struct Envelope {
    data: TokenDetails,
}

impl Client {
    /// Asks what an access token is good for. A token may ask about itself.
    ///
    /// # Errors
    /// As every read of the Graph API; a token that does not open anything any more is refused.
    pub async fn token_details(&self, token: &SecretString) -> Result<TokenDetails, GraphError> {
        let headers = headers(token).map_err(|_| GraphError::Token)?;
        let mut url = self.url(&["debug_token"]);
        url.query_pairs_mut().append_pair("input_token", token.expose_secret().trim());
        let mut request = Request::new(Method::GET, url);
        *request.headers_mut() = headers;
        let answer = exchange(self.http(), request, ANSWER_LIMIT).await.map_err(unreachable_graph)?;
        if let Some(refusal) = read_envelope(&answer.body, answer.status) {
            return Err(GraphError::Refused(refusal));
        }
        match (answer.status, serde_json::from_slice::<Envelope>(&answer.body)) {
            (200, Ok(envelope)) => Ok(envelope.data),
            (status, _) => Err(GraphError::Unreadable { status, reason: "nothing about a token".to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_token_is_read_with_all_that_is_new_beside_it() {
        let read = |text: &str| serde_json::from_str::<Envelope>(text).unwrap().data;
        let details = read(
            r#"{"data":{"app_id":"1","type":"SYSTEM_USER","expires_at":1800000000,"is_valid":true,
                "scopes":["whatsapp_business_messaging"],"granular_scopes":[{"scope":"x"}]}}"#,
        );
        assert_eq!((details.is_valid, details.ends_at_ms()), (true, Some(1_800_000_000_000)));
        assert_eq!(details.scopes, [MESSAGING_SCOPE]);
        let eternal = read(r#"{"data":{"is_valid":true,"expires_at":0}}"#);
        assert_eq!((eternal.ends_at_ms(), eternal.scopes.len()), (None, 0));
        assert!(!read(r#"{"data":{"error":{"code":190}}}"#).is_valid);
    }
}
