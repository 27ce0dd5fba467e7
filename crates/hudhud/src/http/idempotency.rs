//! `Idempotency-Key` on every POST: the same caller, key and request get the first answer again, and nothing is done
//! twice. The same key with another request is refused (422), and so is a repetition while the first still runs (409).
//!
//! The request is known by the SHA-256 of its method, path, query and body. An upload's body is not read ahead: its
//! `Content-Digest` (RFC 9530), when sent, stands for it.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use engine::{App, Fault};
use ring::digest::{Context, SHA256};
use store::{Begun, KeyedRequest, Store};

use super::access::Caller;
use super::problem::{Kind, Problem};
use super::routes;

/// The header that names a request, so that repeating it does not do it again.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer from memory.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// JSON requests are read ahead to be hashed; none is larger.
pub(super) const JSON_LIMIT: usize = 1 << 20;
/// Answers larger than this are not kept; no POST of ours has one.
const ANSWER_LIMIT: usize = 1 << 20;
const LONGEST_KEY: usize = 200;
/// A process that died in the middle of a request cannot answer any more. Every verb guards itself by the state it
/// starts from, so doing it again after that long is safe.
const STALE_MS: i64 = 10 * 60 * 1000;

/// What is kept in place of an answer that holds a secret.
#[derive(Clone, Debug)]
pub(super) struct KeepInstead(pub(super) Bytes);

pub(super) async fn replay(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let caller = request.extensions().get::<Caller>().cloned();
    let key = request.headers().get(IDEMPOTENCY_KEY).cloned();
    let (Some(caller), Some(key)) = (caller, key) else { return next.run(request).await };
    if !routes::answers_from_memory(request.method(), &path) {
        return next.run(request).await;
    }
    match once(&app, &caller, &key, &path, request, next).await {
        Ok(answer) => answer,
        Err(problem) => problem.into_response(),
    }
}

async fn once(
    app: &App,
    caller: &Caller,
    key: &HeaderValue,
    path: &str,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= LONGEST_KEY).ok_or_else(|| {
        let detail = format!("The Idempotency-Key must be 1 to {LONGEST_KEY} visible ASCII characters.");
        Problem::new(Kind::Unreadable, detail, "Send another key, such as a UUID.")
    })?;
    let (request, hash) = hashed(request).await?;
    let principal = caller.actor.as_str();
    let now = app.clock.now_ms();
    let keyed = KeyedRequest { principal, key, route: path, request_hash: &hash };
    match app.store.begin_keyed(&keyed, now - STALE_MS, now).await.map_err(Fault::from)? {
        Begun::Fresh => {}
        Begun::Answered { status, answer } => return Ok(again(status, answer)),
        Begun::Underway => {
            let detail = "The first request with this Idempotency-Key is still being worked on.";
            return Err(Problem::new(Kind::Underway, detail, "Wait a moment and ask again with the same key."));
        }
        Begun::Other => {
            let detail = "This Idempotency-Key came with another request before.";
            return Err(Problem::new(Kind::KeyReused, detail, "Use a new key for a new request."));
        }
    }
    // A caller who goes away would drop this future half done; in a task of its own it ends, and its answer is kept.
    let store = app.store.clone();
    let (principal, key) = (principal.to_owned(), key.to_owned());
    let worked = tokio::spawn(async move {
        let answer = next.run(request).await;
        keep(&store, &principal, &key, answer).await
    });
    worked.await.map_err(|_| Problem::new(Kind::Internal, "The request was broken off.", "Ask again."))
}

async fn keep(store: &Store, principal: &str, key: &str, answer: Response) -> Response {
    let status = answer.status();
    let (parts, body) = answer.into_parts();
    let body = match to_bytes(body, ANSWER_LIMIT).await {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(%error, "an answer cannot be kept for its idempotency key");
            let problem = Problem::new(Kind::Internal, "The answer is too large.", "Look at what is there.");
            return problem.into_response();
        }
    };
    // What failed on our side may succeed next time; what the caller lacks (a sign-in) they may have next time.
    let is_final = !status.is_server_error() && !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let kept = if is_final {
        let text = parts.extensions.get::<KeepInstead>().map_or(&body, |instead| &instead.0);
        store.keep_answer(principal, key, status.as_u16(), text).await
    } else {
        store.forget_key(principal, key).await
    };
    if let Err(error) = kept {
        tracing::warn!(%error, "an answer was not kept for its idempotency key");
    }
    Response::from_parts(parts, Body::from(body))
}

/// The request, and its hash. JSON bodies are read for it; uploads stay streams.
async fn hashed(request: Request) -> Result<(Request, [u8; 32]), Problem> {
    let (parts, body) = request.into_parts();
    let mut hash = Context::new(&SHA256);
    hash.update(parts.method.as_str().as_bytes());
    hash.update(b"\n");
    hash.update(parts.uri.path().as_bytes());
    hash.update(b"?");
    hash.update(parts.uri.query().unwrap_or_default().as_bytes());
    hash.update(b"\n");
    let body = if is_json(&parts.headers) {
        let bytes = to_bytes(body, JSON_LIMIT)
            .await
            .map_err(|_| Problem::new(Kind::TooLarge, "The body is larger than 1 MiB.", "Send less in one request."))?;
        hash.update(&bytes);
        Body::from(bytes)
    } else {
        hash.update(parts.headers.get("content-digest").map_or(&[][..], HeaderValue::as_bytes));
        body
    };
    let hash = hash.finish();
    let hash = hash.as_ref().try_into().expect("a SHA-256 is 32 bytes");
    Ok((Request::from_parts(parts, body), hash))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.is_empty() || kind.starts_with("application/json")
}

fn again(status: u16, answer: Vec<u8>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut replayed = match serde_json::from_slice::<Problem>(&answer) {
        // As a problem, it gets this request's own id.
        Ok(problem) if !status.is_success() => problem.into_response(),
        _ => (status, [(header::CONTENT_TYPE, "application/json")], answer).into_response(),
    };
    replayed.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    replayed
}
