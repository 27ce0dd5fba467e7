//! Problem documents (RFC 9457): the one place where refusals of any kind become HTTP answers.
//!
//! Each says what happened (`detail`), what is kept in spite of it (`kept`) and what to do now (`action`), and carries
//! the request's id, under which the log has the cause.

use std::fmt;

use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::{Fault, FaultKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The media type of every answer that is not a success.
pub const PROBLEM_JSON: &str = "application/problem+json";

const TYPE_PREFIX: &str = "urn:hudhud:problem:";
const NOTHING_CHANGED: &str = "Nothing was changed.";

impl From<FaultKind> for Kind {
    fn from(kind: FaultKind) -> Self {
        match kind {
            FaultKind::Invalid => Self::Invalid,
            FaultKind::NotFound => Self::NotFound,
            FaultKind::WrongState => Self::WrongState,
            FaultKind::Conflict => Self::Conflict,
            FaultKind::TooLarge => Self::TooLarge,
            FaultKind::PreflightRefused => Self::PreflightRefused,
            FaultKind::Unavailable => Self::Unavailable,
            FaultKind::Forbidden => Self::Forbidden,
            FaultKind::Internal => Self::Internal,
            FaultKind::LedgerBroken => Self::LedgerBroken,
        }
    }
}

/// What went wrong, for a program (`type`, `status`) and for a person (the rest).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:hudhud:problem:KIND`; the kinds are those of [`Kind`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words.
    pub title: String,
    /// The HTTP status, again.
    pub status: u16,
    /// What happened, this time.
    pub detail: String,
    /// What is kept in spite of it.
    pub kept: String,
    /// What to do now.
    pub action: String,
    /// Names this request in the log.
    #[serde(default)]
    pub request_id: String,
    /// Seconds after which to try again, where that is known; `Retry-After` says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// What the refusal rests on, where there is more to read: a refused launch brings its preflight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub document: Option<Value>,
}

/// Every kind of problem, with its HTTP status and the exit code of a command that meets it (contract.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request contradicts itself or asks for what cannot be done.
    Invalid,
    /// The request's body, query or path cannot be read at all.
    Unreadable,
    /// Nobody is signed in.
    Unauthorized,
    /// The caller's role does not allow it.
    Forbidden,
    /// Nothing goes by that name or id, or no such path.
    NotFound,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// Its state does not allow it.
    WrongState,
    /// It is there already, or somebody else was faster.
    Conflict,
    /// The same request, by its Idempotency-Key, is being worked on: its answer will be there in a moment.
    Underway,
    /// The same Idempotency-Key came with another request.
    KeyReused,
    /// The body is larger than this path takes.
    TooLarge,
    /// The body came so slowly that it was given up.
    TooSlow,
    /// More requests than one caller may make, or too many failed sign-ins.
    TooMany,
    /// The preflight refuses the launch.
    PreflightRefused,
    /// Database, Redis or the Graph API cannot be reached just now.
    Unavailable,
    /// The ledger's chain does not hold.
    LedgerBroken,
    /// A defect of ours.
    Internal,
}

impl Kind {
    const ALL: [Self; 17] = [
        Self::Invalid,
        Self::Unreadable,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::WrongState,
        Self::Conflict,
        Self::Underway,
        Self::KeyReused,
        Self::TooLarge,
        Self::TooSlow,
        Self::TooMany,
        Self::PreflightRefused,
        Self::Unavailable,
        Self::LedgerBroken,
        Self::Internal,
    ];

    /// The exit code of a command that meets this kind.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        self.facts().3
    }

    /// slug, title, HTTP status, exit code.
    fn facts(self) -> (&'static str, &'static str, StatusCode, u8) {
        match self {
            Self::Invalid => ("invalid", "Not possible as asked", StatusCode::UNPROCESSABLE_ENTITY, 2),
            Self::Unreadable => ("unreadable", "Unreadable request", StatusCode::BAD_REQUEST, 2),
            Self::Unauthorized => ("unauthorized", "Not signed in", StatusCode::UNAUTHORIZED, 6),
            Self::Forbidden => ("forbidden", "No permission", StatusCode::FORBIDDEN, 6),
            Self::NotFound => ("not-found", "Not found", StatusCode::NOT_FOUND, 5),
            Self::MethodNotAllowed => ("method-not-allowed", "No such method", StatusCode::METHOD_NOT_ALLOWED, 1),
            Self::WrongState => ("wrong-state", "Wrong state", StatusCode::CONFLICT, 7),
            Self::Conflict => ("conflict", "Already there", StatusCode::CONFLICT, 1),
            Self::Underway => ("underway", "Underway", StatusCode::CONFLICT, 8),
            Self::KeyReused => {
                ("idempotency-key-reused", "Idempotency key reused", StatusCode::UNPROCESSABLE_ENTITY, 1)
            }
            Self::TooLarge => ("too-large", "Too large", StatusCode::PAYLOAD_TOO_LARGE, 1),
            Self::TooSlow => ("too-slow", "Too slow", StatusCode::REQUEST_TIMEOUT, 8),
            Self::TooMany => ("too-many", "Too many requests", StatusCode::TOO_MANY_REQUESTS, 8),
            Self::PreflightRefused => ("preflight-refused", "Preflight refused", StatusCode::UNPROCESSABLE_ENTITY, 4),
            Self::Unavailable => ("unavailable", "Unavailable just now", StatusCode::SERVICE_UNAVAILABLE, 8),
            Self::LedgerBroken => ("ledger-broken", "Ledger broken", StatusCode::INTERNAL_SERVER_ERROR, 9),
            Self::Internal => ("internal", "Internal error", StatusCode::INTERNAL_SERVER_ERROR, 1),
        }
    }
}

impl Problem {
    /// A problem of this kind. Unless said otherwise nothing was changed.
    pub fn new(kind: Kind, detail: impl Into<String>, action: impl Into<String>) -> Self {
        let (slug, title, status, _) = kind.facts();
        Self {
            kind: format!("{TYPE_PREFIX}{slug}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            kept: NOTHING_CHANGED.to_owned(),
            action: action.into(),
            request_id: String::new(),
            retry_after: None,
            document: None,
        }
    }

    /// Says after how many seconds to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The exit code of a command that meets this problem.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let slug = self.kind.strip_prefix(TYPE_PREFIX).unwrap_or_default();
        match Kind::ALL.iter().map(|kind| kind.facts()).find(|facts| facts.0 == slug) {
            Some((_, _, _, code)) => code,
            // A proxy's answer, or a newer server's.
            None if matches!(self.status, 502..=504) => 8,
            None => 1,
        }
    }

    /// Whether it is of this kind.
    #[must_use]
    pub fn is(&self, kind: Kind) -> bool {
        self.kind.strip_prefix(TYPE_PREFIX) == Some(kind.facts().0)
    }

    fn of_rejection(status: StatusCode, text: String) -> Self {
        let kind = match status {
            StatusCode::PAYLOAD_TOO_LARGE => Kind::TooLarge,
            StatusCode::INTERNAL_SERVER_ERROR => Kind::Internal,
            _ => Kind::Unreadable,
        };
        Self::new(kind, text, "Correct the request; /api/openapi.json describes it.")
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let kind = Kind::from(fault.kind);
        if matches!(kind, Kind::Internal | Kind::LedgerBroken | Kind::Unavailable) {
            // The caller gets the sentence; the chain of causes is for the operator, under the same request id.
            let cause = std::error::Error::source(&fault).map(causes).unwrap_or_default();
            tracing::error!(kind = ?fault.kind, detail = %fault.detail, %cause, "a request failed");
        }
        Self { kept: fault.kept, document: fault.document, ..Self::new(kind, fault.detail, fault.action) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentences = [&self.detail, &self.kept, &self.action].map(|sentence| sentence.trim());
        let mut spoken = sentences.into_iter().filter(|sentence| !sentence.is_empty());
        if let Some(first) = spoken.next() {
            f.write_str(first)?;
        }
        spoken.try_for_each(|sentence| write!(f, "\n{sentence}"))
    }
}

impl std::error::Error for Problem {}

fn causes(first: &dyn std::error::Error) -> String {
    let mut text = first.to_string();
    let mut next = first.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::of_rejection(rejection.status(), rejection.body_text())
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        Self::of_rejection(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::of_rejection(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::of_rejection(rejection.status(), rejection.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).expect("a struct of strings and a number always serialises");
        let mut answer = (status, body).into_response();
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        match status {
            StatusCode::UNAUTHORIZED => headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            StatusCode::SERVICE_UNAVAILABLE => headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2")),
            _ => None,
        };
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        answer.extensions_mut().insert(self);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_the_engine_keeps_its_three_sentences_and_gets_the_contracts_exit_code() {
        for (kind, status, exit) in [
            (FaultKind::Invalid, 422, 2),
            (FaultKind::NotFound, 404, 5),
            (FaultKind::WrongState, 409, 7),
            (FaultKind::Conflict, 409, 1),
            (FaultKind::TooLarge, 413, 1),
            (FaultKind::PreflightRefused, 422, 4),
            (FaultKind::Unavailable, 503, 8),
            (FaultKind::Forbidden, 403, 6),
            (FaultKind::Internal, 500, 1),
            (FaultKind::LedgerBroken, 500, 9),
        ] {
            let problem = Problem::from(Fault::new(kind, "It broke.").kept("Half is kept.").action("Mend it."));
            assert_eq!((problem.status, problem.exit_code()), (status, exit), "{kind:?}");
            assert_eq!(
                (&*problem.detail, &*problem.kept, &*problem.action),
                ("It broke.", "Half is kept.", "Mend it.")
            );
        }
    }

    #[test]
    fn a_proxys_answer_means_try_again_and_anything_else_unknown_means_failed() {
        let mut problem = Problem::new(Kind::Internal, "", "");
        problem.kind = "about:blank".to_owned();
        problem.status = 502;
        assert_eq!(problem.exit_code(), 8);
        problem.status = 418;
        assert_eq!(problem.exit_code(), 1);
    }

    #[test]
    fn a_problem_reads_back_as_it_was_written() {
        let problem = Problem::new(Kind::WrongState, "It runs.", "Pause it.");
        let text = serde_json::to_string(&problem).unwrap();
        assert!(text.contains(r#""type":"urn:hudhud:problem:wrong-state""#), "{text}");
        assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), problem);
    }
}
