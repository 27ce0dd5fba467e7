//! The HTTP API: one router for the network, the control socket and this very process.
//!
//! Layers, from the outside in: the request's id, its span and the security headers · panics become problems · the
//! route's measure · sign-in and permission, by the one table in `routes` · answers from memory (Idempotency-Key) ·
//! the handler, which turns JSON into a verb of the engine and its result into JSON.

#![expect(clippy::result_large_err, reason = "a problem is made at most once for each request")]

pub mod access;
mod accounts;
mod apikeys;
mod campaigns;
mod extract;
mod idempotency;
mod imports;
mod ledger;
mod lists;
mod me;
mod numbers;
mod openapi;
mod optouts;
mod page;
mod persons;
pub mod problem;
mod queue;
mod reviews;
mod routes;
mod sends;
mod surround;
mod templates;
#[cfg(test)]
mod tests;
mod webhook;
mod webhook_log;
mod words;

use std::sync::Arc;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRef, MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use axum::{Extension, Router};
use bytes::Bytes;
use engine::App;
use tokio::net::UnixListener;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use access::Caller;
use problem::{Kind, Problem};
use routes::Need;

pub use idempotency::IDEMPOTENCY_KEY;
pub use numbers::{RateWord, WantedRate};
pub(crate) use {
    accounts::{NewAccountBody, RotateBody},
    apikeys::NewKeyBody,
    campaigns::ReasonBody,
    ledger::ProveBody,
    numbers::RateBody,
    optouts::{NewOptOutBody, PersonBody},
    persons::EraseBody,
    reviews::RulingBody,
    sends::{SettleAllBody, SettleBody},
    words::{NewWordBody, TextBody},
};

/// Which way requests come in; it decides who they are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// A TCP listener: anybody, until an API key says who.
    Network,
    /// The control socket in the data directory: the user that the kernel names.
    Socket,
    /// A command's own process: its user.
    Process,
}

/// The other end of the control socket, as the kernel sees it.
#[derive(Clone, Debug)]
pub struct Peer {
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self { uid: stream.io().peer_cred().ok().map(|peer| peer.uid()) }
    }
}

/// What handlers may ask for.
#[derive(Clone, FromRef)]
struct Api {
    app: Arc<App>,
    description: Description,
}

#[derive(Clone)]
struct Description(Bytes);

/// Every route, with its description.
fn described() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(paths!(openapi::description))
        .merge(me::routes())
        .merge(accounts::routes())
        .merge(numbers::routes())
        .merge(templates::routes())
        .merge(imports::routes())
        .merge(lists::routes())
        .merge(campaigns::routes())
        .merge(sends::routes())
        .merge(optouts::routes())
        .merge(reviews::routes())
        .merge(webhook_log::routes())
        .merge(words::routes())
        .merge(ledger::routes())
        .merge(persons::routes())
        .merge(queue::routes())
        .merge(apikeys::routes())
        // After the rest: a layer covers what is there already.
        .layer(DefaultBodyLimit::max(idempotency::JSON_LIMIT))
        .routes(paths!(imports::create))
        .layer(DefaultBodyLimit::disable())
        .merge(webhook_routes())
}

fn webhook_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(paths!(webhook::handshake, webhook::receive))
        .layer(DefaultBodyLimit::max(webhook::BODY_LIMIT))
}

/// The API and the console, for requests that come in by this door.
pub fn router(app: &Arc<App>, door: Door) -> Router {
    let (router, description) = described().split_for_parts();
    let description = Description(openapi::finish(description));
    let api = Api { app: Arc::clone(app), description };
    let router = router
        .layer(from_fn_with_state(Arc::clone(app), idempotency::replay))
        .layer(from_fn_with_state(Arc::clone(app), admit))
        .layer(from_fn(surround::measure))
        .with_state(api)
        .fallback(elsewhere);
    let router = surround::wrap(router);
    match door {
        Door::Network => router,
        Door::Socket => router.layer(from_fn(known_by_socket)),
        Door::Process => router.layer(Extension(Caller::local(nix::unistd::geteuid().as_raw()))),
    }
}

/// The API's description (OpenAPI 3.1), as `/api/openapi.json` answers it.
#[must_use]
pub fn description() -> Bytes {
    openapi::finish(described().into_openapi())
}

/// The kernel says who is at the other end of the control socket. This process's own user, and root, could as well
/// read the database itself, so they are let in; anybody else needs a key, as over the network.
async fn known_by_socket(mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<Peer>>().and_then(|ConnectInfo(peer)| peer.uid);
    if let Some(uid) = peer.filter(|uid| *uid == 0 || *uid == nix::unistd::geteuid().as_raw()) {
        request.extensions_mut().insert(Caller::local(uid));
    }
    next.run(request).await
}

/// Lets a request through to its handler when its caller may do it, by the table of routes.
async fn admit(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let Some(need) = routes::need(request.method(), &path) else {
        return no_such_method(request.method(), &path);
    };
    if let Need::Permission(permission) = need {
        let caller = match request.extensions().get::<Caller>() {
            Some(local) => Ok(local.clone()),
            None => apikeys::caller(&app, request.headers()).await,
        };
        match caller.and_then(|caller| caller.require(permission).map(|()| caller)) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
            }
            Err(problem) => return problem.into_response(),
        }
    }
    next.run(request).await
}

fn no_such_method(method: &Method, path: &str) -> Response {
    let allowed: Vec<&str> =
        routes::ROUTES.iter().filter(|(_, known, _)| *known == path).map(|(method, _, _)| method.as_str()).collect();
    let allowed = allowed.join(", ");
    let detail = format!("{method} is not something this path does; it does {allowed}.");
    let mut answer = Problem::new(Kind::MethodNotAllowed, detail, "See /api/openapi.json.").into_response();
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        answer.headers_mut().insert(header::ALLOW, allowed);
    }
    answer
}

/// Paths that are no route: a page or file of the console, or nothing.
async fn elsewhere(method: Method, uri: Uri, request: Request) -> Response {
    let path = uri.path();
    let is_ours = path.starts_with("/api/") || path.starts_with("/webhooks/");
    let is_read = matches!(method, Method::GET | Method::HEAD);
    let console = (is_read && !is_ours).then(|| console::answer(path, request.headers()));
    console.flatten().unwrap_or_else(|| {
        Problem::new(Kind::NotFound, "There is nothing at this path.", "See /api/openapi.json.").into_response()
    })
}
