//! Sending: one POST, and the truth about what became of it.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Body, Method, Request, Url};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::exchange::{Answer, Broken, exchange, retry_after};
use crate::gate::{Gate, Passage};
use crate::lenient;
use crate::message::{Message, MessageError};
use crate::refusal::{Refusal, read_envelope};

/// Far above any answer to a send, which is under 1 KB.
const ANSWER_LIMIT: usize = 256 * 1024;

/// What became of one POST.
#[derive(Clone, PartialEq, Eq)]
#[must_use = "a send's outcome must be recorded"]
pub enum SendOutcome {
    /// Meta took the message in (which is not yet *sent*).
    Accepted {
        /// Meta's id of the message. It embeds the person's number.
        wamid: String,
        /// The id WhatsApp knows the person by, digits; absent when the message
        /// went to a user id.
        wa_id: Option<String>,
        /// The person's business-scoped user id.
        user_id: Option<String>,
        /// Meta holds the message back (template pacing, or the template is
        /// paused). It will be sent or reported failed: never send it again.
        held: bool,
    },
    /// Meta said no: the message was not taken in.
    Refused(Refusal),
    /// The message was handed over and no readable verdict came back. It may
    /// have been sent.
    Unknown(UnknownCause),
    /// The message never left: the gate was never asked, or said no.
    NotPosted(NotPostedCause),
}

/// Why nobody knows whether a message was taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCause {
    /// No whole answer came in time.
    #[error("no answer came in time")]
    TimedOut,
    /// The connection broke before the answer was whole.
    #[error("the connection broke before the answer: {reason}")]
    Lost {
        /// In the words of the system.
        reason: String,
    },
    /// An answer came that is neither Meta's acceptance nor Meta's refusal: a
    /// gateway's page, a redirect, half a document.
    #[error("an answer with HTTP status {status} that is not Meta's")]
    Unreadable {
        /// Its HTTP status.
        status: u16,
        /// How long the answer asked to be left alone.
        retry_after: Option<Duration>,
    },
}

/// Why a message never left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPostedCause {
    /// The gate said no.
    #[error("it was stopped before it left")]
    Stopped,
    /// The message could not have been right.
    #[error("{0}")]
    Malformed(MessageError),
    /// The access token cannot stand in a header.
    #[error("the access token cannot be sent")]
    Token,
    /// No connection stood in time, or at all.
    #[error("the Graph API could not be reached: {reason}")]
    Unreachable {
        /// In the words of the system.
        reason: String,
    },
}

/// What sends from one business number. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sender {
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
}

impl Sender {
    pub(crate) fn new(http: reqwest::Client, url: Url, headers: HeaderMap) -> Self {
        Self { http, url, headers }
    }

    /// Posts one message once and never again by itself.
    ///
    /// `gate` is asked at most once, at the moment the request is about to be
    /// written to a standing connection: `true` lets it go, `false` stops it
    /// and nothing leaves. It runs on the connection's own task, so it must
    /// only do what takes microseconds. After this returns, or its future was
    /// dropped, a gate that was not asked never will be.
    ///
    /// [`SendOutcome::NotPosted`] is returned exactly when the gate was never
    /// asked or said no. Once it said yes, only an acceptance (HTTP 200 with one
    /// message id) or Meta's error envelope with any HTTP status is a verdict;
    /// all else is [`SendOutcome::Unknown`].
    pub async fn send<G>(&self, message: &Message, gate: G) -> SendOutcome
    where
        G: FnOnce() -> bool + Send + 'static,
    {
        let body = match message.to_body() {
            Ok(body) => body,
            Err(error) => return SendOutcome::NotPosted(NotPostedCause::Malformed(error)),
        };
        let gate = Gate::new(gate);
        let mut request = Request::new(Method::POST, self.url.clone());
        *request.headers_mut() = self.headers.clone();
        *request.body_mut() = Some(Body::wrap(gate.body(body)));

        let answer = exchange(&self.http, request, ANSWER_LIMIT).await;
        match gate.close() {
            Passage::Opened => match answer {
                Ok(answer) => verdict(&answer),
                Err(broken) => SendOutcome::Unknown(unknown(broken)),
            },
            Passage::Refused => SendOutcome::NotPosted(NotPostedCause::Stopped),
            Passage::Never => SendOutcome::NotPosted(NotPostedCause::Unreachable {
                reason: match answer {
                    Err(Broken::Lost(reason)) => reason,
                    Err(Broken::TimedOut) => "no connection in time".to_owned(),
                    Ok(_) | Err(Broken::TooLong) => "an answer came before the request".to_owned(),
                },
            }),
        }
    }
}

fn unknown(broken: Broken) -> UnknownCause {
    match broken {
        Broken::TimedOut => UnknownCause::TimedOut,
        Broken::Lost(reason) => UnknownCause::Lost { reason },
        Broken::TooLong => UnknownCause::Lost { reason: "the answer had no end".to_owned() },
    }
}

/// Reads an answer to a message that was handed over.
fn verdict(answer: &Answer) -> SendOutcome {
    if answer.status == 200
        && let Some(accepted) = read_acceptance(&answer.body)
    {
        return accepted;
    }
    match read_envelope(&answer.body, answer.status) {
        Some(mut refusal) => {
            refusal.retry_after = retry_after(&answer.headers);
            SendOutcome::Refused(refusal)
        }
        None => SendOutcome::Unknown(UnknownCause::Unreadable {
            status: answer.status,
            retry_after: retry_after(&answer.headers),
        }),
    }
}

fn read_acceptance(body: &[u8]) -> Option<SendOutcome> {
    #[derive(Deserialize)]
    struct Acceptance {
        messages: [Message; 1],
        #[serde(default, deserialize_with = "lenient::lossy")]
        contacts: Option<Vec<Contact>>,
        #[serde(default)]
        error: Option<IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct Message {
        id: String,
        #[serde(default, deserialize_with = "lenient::text")]
        message_status: Option<String>,
    }
    #[derive(Deserialize)]
    struct Contact {
        #[serde(default, deserialize_with = "lenient::text")]
        wa_id: Option<String>,
        #[serde(default, deserialize_with = "lenient::text")]
        user_id: Option<String>,
    }

    let Acceptance { messages: [message], contacts, error } = serde_json::from_slice(body).ok()?;
    let wamid = lenient::trimmed(message.id);
    // An answer that accepts and refuses at once is no verdict.
    if wamid.is_empty() || error.is_some() {
        return None;
    }
    let contact = contacts.and_then(|contacts| contacts.into_iter().next());
    let (wa_id, user_id) = contact.map_or((None, None), |contact| (contact.wa_id, contact.user_id));
    let held = matches!(message.message_status.as_deref(), Some("held_for_quality_assessment" | "paused"));
    Some(SendOutcome::Accepted { wamid, wa_id, user_id, held })
}

impl fmt::Debug for SendOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { held, .. } => f.debug_struct("Accepted").field("held", held).finish_non_exhaustive(),
            Self::Refused(refusal) => f.debug_tuple("Refused").field(refusal).finish(),
            Self::Unknown(cause) => f.debug_tuple("Unknown").field(cause).finish(),
            Self::NotPosted(cause) => f.debug_tuple("NotPosted").field(cause).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::refusal::RefusalKind;

    const ACCEPTED: &str = r#"{"messaging_product":"whatsapp","contacts":[{"input":"+201001234567","wa_id":" 201001234567"}],"messages":[{"id":"wamid.HBgM","message_status":"accepted"}]}"#;
    const REFUSED: &str = r##"{"error":{"message":"(#130429) Rate limit hit","type":"OAuthException","code":130429,"error_subcode":2494055,"error_data":{"messaging_product":"whatsapp","details":"Slow down"},"fbtrace_id":"Ab"}}"##;

    fn read(status: u16, body: &str) -> SendOutcome {
        read_bytes(status, body.as_bytes())
    }

    fn read_bytes(status: u16, body: &[u8]) -> SendOutcome {
        verdict(&Answer { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body) })
    }

    fn unreadable(status: u16) -> SendOutcome {
        SendOutcome::Unknown(UnknownCause::Unreadable { status, retry_after: None })
    }

    fn accepted(wa_id: Option<&str>, user_id: Option<&str>, held: bool) -> SendOutcome {
        SendOutcome::Accepted {
            wamid: "wamid.HBgM".into(),
            wa_id: wa_id.map(Into::into),
            user_id: user_id.map(Into::into),
            held,
        }
    }

    #[test]
    fn an_acceptance_is_read_with_and_without_its_optional_parts() {
        assert_eq!(read(200, ACCEPTED), accepted(Some("201001234567"), None, false));
        assert_eq!(
            read(200, r#"{"messages":[{"id":"wamid.HBgM","new":1}],"contacts":[{"user_id":"EG.1"}]}"#),
            accepted(None, Some("EG.1"), false)
        );
        assert_eq!(read(200, r#"{"messages":[{"id":"wamid.HBgM"}],"contacts":"?"}"#), accepted(None, None, false));
    }

    #[test]
    fn a_held_or_paused_message_is_accepted_and_held() {
        for status in ["held_for_quality_assessment", "paused"] {
            let body = format!(r#"{{"messages":[{{"id":"wamid.HBgM","message_status":"{status}"}}]}}"#);
            assert_eq!(read(200, &body), accepted(None, None, true));
        }
    }

    #[test]
    fn a_200_that_names_no_single_message_is_unknown() {
        for body in [
            "",
            "{}",
            "null",
            "[]",
            r#"{"messages":[]}"#,
            r#"{"messages":[{}]}"#,
            r#"{"messages":[{"id":""}]}"#,
            r#"{"messages":[{"id":"a"},{"id":"b"}]}"#,
            r#"{"messages":{"id":"a"}}"#,
            "<html>ok</html>",
        ] {
            assert_eq!(read(200, body), unreadable(200), "{body}");
        }
    }

    #[test]
    fn an_acceptance_with_another_status_is_unknown() {
        for status in [201, 202, 302, 400, 500, 503] {
            assert_eq!(read(status, ACCEPTED), unreadable(status));
        }
    }

    #[test]
    fn an_answer_that_accepts_and_refuses_is_unknown() {
        let both = r#"{"messages":[{"id":"a"}],"error":{"message":"m","type":"t","code":1}}"#;
        assert_eq!(read(200, both), unreadable(200));
        assert_eq!(read(500, both), unreadable(500));
    }

    #[test]
    fn an_error_envelope_is_a_refusal_whatever_its_status() {
        for status in [200, 307, 400, 401, 404, 429, 500, 503] {
            let SendOutcome::Refused(refusal) = read(status, REFUSED) else {
                unreachable!("an envelope with {status}");
            };
            assert_eq!(refusal.kind, RefusalKind::Throughput);
            assert_eq!((refusal.code, refusal.subcode), (130_429, Some(2_494_055)));
            assert_eq!(refusal.details.as_deref(), Some("Slow down"));
            assert_eq!(refusal.fbtrace_id.as_deref(), Some("Ab"));
        }
    }

    #[test]
    fn an_answer_that_tells_of_an_opt_out_is_kept_as_it_came() {
        let body = REFUSED.replace("130429", "131050");
        let SendOutcome::Refused(refusal) = read(400, &body) else { unreachable!("an envelope") };
        assert_eq!((refusal.kind, refusal.raw.as_deref()), (RefusalKind::OptedOut, Some(body.as_str())));
        let SendOutcome::Refused(refusal) = read(400, REFUSED) else { unreachable!("an envelope") };
        assert_eq!(refusal.raw, None, "others are nobody's evidence");
    }

    #[test]
    fn every_truncation_of_an_answer_is_unknown() {
        for (status, body) in [(200, ACCEPTED), (400, REFUSED), (200, REFUSED)] {
            for end in 0..body.len() {
                assert_eq!(read(status, &body[..end]), unreadable(status), "{}", &body[..end]);
            }
        }
    }

    #[test]
    fn debug_output_holds_no_number_and_no_wamid() {
        let shown = format!("{:?}", read(200, ACCEPTED));
        assert!(!shown.contains("201001234567") && !shown.contains("wamid."), "{shown}");
    }

    proptest! {
        #[test]
        fn bytes_that_are_not_an_answer_are_unknown(status in 100_u16..600, body in any::<Vec<u8>>()) {
            prop_assert_eq!(read_bytes(status, &body), unreadable(status));
        }
    }
}
