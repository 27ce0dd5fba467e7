//! What surrounds every request: its id, its span in the log, its measure, the headers that browsers obey, and panics.

use std::any::Any;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::Router;
use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use super::problem::{Kind, Problem};

/// Names a request in its answer and in the log; a caller may bring its own.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The console loads nothing from elsewhere, is framed by nobody, and runs no inline script. Mantine needs inline
/// styles.
const CSP: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; \
                   base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

pub(super) fn wrap(router: Router) -> Router {
    router.layer(CatchPanicLayer::custom(panicked)).layer(from_fn(name_and_finish))
}

fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let cause = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(%cause, "a handler panicked");
    let action = "Look at what is there, then try again; if it stays, report it with this request's log lines.";
    let mut problem = Problem::new(Kind::Internal, "Something failed that should not.", action);
    "What was committed before the failure is kept.".clone_into(&mut problem.kept);
    problem.into_response()
}

/// A request's id.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestId(pub(super) String);

/// Where a request came from: an address, or `local` for commands on this machine.
///
/// A proxy on this machine says for whom it asks in `X-Forwarded-For`; what it added itself stands last. Nobody else is
/// believed. Of an IPv6 address the network counts: everybody has a whole one.
#[derive(Clone, Debug)]
pub(super) struct Address(pub(super) String);

impl Default for Address {
    fn default() -> Self {
        Self("local".to_owned())
    }
}

impl Address {
    fn of(request: &Request) -> Self {
        let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() else {
            return Self::default();
        };
        let peer = peer.ip().to_canonical();
        let told = request.headers().get_all("x-forwarded-for").iter().next_back();
        let told = told.filter(|_| peer.is_loopback()).and_then(|told| told.to_str().ok());
        let told = told.and_then(|told| told.rsplit(',').next()?.trim().parse::<IpAddr>().ok());
        match told.map_or(peer, |told| told.to_canonical()) {
            IpAddr::V4(address) => Self(address.to_string()),
            IpAddr::V6(address) if address.is_loopback() => Self(address.to_string()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(format!("{}/64", std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Address {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

async fn name_and_finish(mut request: Request, next: Next) -> Response {
    let id = named(request.headers()).unwrap_or_else(|| format!("{:016x}", rand::random::<u64>()));
    let address = Address::of(&request);
    request.extensions_mut().insert(address);
    request.extensions_mut().insert(RequestId(id.clone()));
    let span =
        tracing::info_span!("request", request_id = %id, method = %request.method(), path = request.uri().path());
    let mut answer = next.run(request).instrument(span).await;
    if let Some(mut problem) = as_problem(&mut answer) {
        problem.request_id.clone_from(&id);
        let headers = std::mem::take(answer.headers_mut());
        answer = problem.into_response();
        for (name, value) in &headers {
            if name != header::CONTENT_LENGTH && name != header::CONTENT_TYPE {
                answer.headers_mut().insert(name.clone(), value.clone());
            }
        }
    }
    let headers = answer.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Whatever the API says of people and campaigns is nobody's to keep on the way.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// The problem of an answer that is none yet: our own, or one that a library made of a bare status.
fn as_problem(answer: &mut Response) -> Option<Problem> {
    if let Some(problem) = answer.extensions_mut().remove::<Problem>() {
        return Some(problem);
    }
    let status = answer.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let kind = match status {
        StatusCode::NOT_FOUND => Kind::NotFound,
        StatusCode::PAYLOAD_TOO_LARGE => Kind::TooLarge,
        StatusCode::METHOD_NOT_ALLOWED => Kind::MethodNotAllowed,
        status if status.is_server_error() => Kind::Internal,
        _ => Kind::Unreadable,
    };
    let detail = status.canonical_reason().unwrap_or("The request was refused.");
    Some(Problem::new(kind, detail, "See /api/openapi.json."))
}

/// The caller's own name for the request, if it is one that may stand in a log line.
fn named(headers: &HeaderMap) -> Option<String> {
    let name = headers.get(REQUEST_ID)?.to_str().ok()?;
    let fits = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    fits.then(|| name.to_owned())
}

/// Measures a route. Labelled by the route's pattern: a path with a name in it would make a series for each campaign.
pub(super) async fn measure(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", |path| path.as_str()).to_owned();
    let method = request.method().to_string();
    let begun = Instant::now();
    let answer = next.run(request).await;
    let (status, took) = (answer.status().as_u16(), begun.elapsed());
    tracing::debug!(status, took_ms = took.as_millis(), "answered");
    metrics::histogram!("hudhud_http_request_duration_seconds", "route" => route, "method" => method,
        "status" => status.to_string())
    .record(took);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_on_this_machine_is_believed_and_nobody_else() {
        let from = |peer: &str, forwarded: &str| {
            let mut request = Request::new(axum::body::Body::empty());
            request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer.parse().unwrap()));
            if !forwarded.is_empty() {
                request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
            }
            Address::of(&request).0
        };
        assert_eq!(from("192.0.2.7:9", ""), "192.0.2.7");
        assert_eq!(from("192.0.2.7:9", "198.51.100.1"), "192.0.2.7");
        assert_eq!(from("127.0.0.1:9", "203.0.113.9, 198.51.100.1"), "198.51.100.1");
        assert_eq!(from("127.0.0.1:9", "rubbish"), "127.0.0.1");
        assert_eq!(from("[2001:db8:1:2:3:4:5:6]:9", ""), "2001:db8:1:2::/64");
        assert_eq!(from("[::ffff:192.0.2.7]:9", ""), "192.0.2.7");
        assert_eq!(Address::of(&Request::new(axum::body::Body::empty())).0, "local");
    }
}
