//! The HTTP API: one router for the network, the control socket and this very process.
//!
//! Layers, from the outside in: the request's id, its span and the security headers · panics become problems · the
//! route's measure · sign-in, rate and permission, by the one table in `routes`, and the audit log · answers from memory
//! (Idempotency-Key) · the handler, which turns JSON into a verb of the engine and its result into JSON.

#![expect(clippy::result_large_err, reason = "a problem is made at most once for each request")]

pub mod access;
mod accounts;
mod apikeys;
mod audit;
mod campaigns;
#[cfg(test)]
mod disclosure_tests;
mod events;
mod extract;
#[cfg(test)]
mod front;
mod idempotency;
mod imports;
mod incoming;
#[cfg(test)]
mod intake_tests;
mod ledger;
mod limits;
mod lists;
mod me;
mod messages;
mod numbers;
mod openapi;
mod optouts;
mod page;
mod persons;
pub mod problem;
mod queue;
mod rate_card;
#[cfg(test)]
mod reply_tests;
mod reviews;
mod routes;
mod rules;
mod sends;
mod session;
mod sessions;
mod streamed;
mod surround;
mod templates;
#[cfg(test)]
mod tests;
mod uploads;
mod users;
#[cfg(test)]
mod walk;
#[cfg(test)]
mod ways_tests;
mod webhook;
mod webhook_log;
mod words;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRef, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use bytes::Bytes;
use engine::{Actor, App};
use tokio::net::UnixStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use access::Caller;
use events::Streams;
use limits::Limits;
use problem::{Kind, Problem};
use routes::Need;
use surround::Address;

pub use idempotency::IDEMPOTENCY_KEY;
pub use numbers::{RateWord, WantedRate};
pub(crate) use {
    accounts::{NewAccountBody, RotateBody, SecretBody},
    apikeys::NewKeyBody,
    campaigns::ReasonBody,
    ledger::ProveBody,
    numbers::{BrandBody, RateBody},
    optouts::{NewOptOutBody, NewStopBody, PersonBody, ReachBody},
    persons::EraseBody,
    reviews::RulingBody,
    sends::{SettleAllBody, SettleBody},
    users::{NewUserBody, RoleBody, enter_page, welcome_page},
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

impl Peer {
    /// Of one connection.
    pub(crate) fn of(stream: &UnixStream) -> Self {
        Self { uid: stream.peer_cred().ok().map(|peer| peer.uid()) }
    }
}

/// What handlers may ask for.
#[derive(Clone, FromRef)]
struct Api {
    app: Arc<App>,
    description: Description,
    streams: Streams,
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
        .merge(uploads::routes())
        .merge(lists::routes())
        .merge(campaigns::routes())
        .merge(sends::routes())
        .merge(optouts::routes())
        .merge(reviews::routes())
        .merge(webhook_log::routes())
        .merge(words::routes())
        .merge(rules::routes())
        .merge(rate_card::routes())
        .merge(messages::routes())
        .merge(ledger::routes())
        .merge(persons::routes())
        .merge(queue::routes())
        .merge(apikeys::routes())
        .merge(sessions::routes())
        .merge(users::routes())
        .merge(audit::routes())
        .merge(events::routes())
        // After the rest: a layer covers what is there already.
        .layer(DefaultBodyLimit::max(idempotency::JSON_LIMIT))
        .routes(paths!(imports::create))
        .routes(paths!(uploads::append))
        .routes(paths!(optouts::import))
        .layer(DefaultBodyLimit::disable())
        .merge(webhook_routes())
}

/// Their bodies bring a limit of their own ([`incoming`]).
fn webhook_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(webhook::handshake, webhook::receive))
}

/// The API and the console, for requests that come in by this door.
pub fn router(app: &Arc<App>, door: Door) -> Router {
    let (router, description) = described().split_for_parts();
    let operations = openapi::names(description.clone());
    let description = Description(openapi::finish(description));
    let api = Api { app: Arc::clone(app), description, streams: Streams::default() };
    let gate = Arc::new(Gate { app: Arc::clone(app), operations, limits: Limits::default(), begun: Instant::now() });
    let router = router
        .layer(from_fn_with_state(Arc::clone(app), idempotency::replay))
        .layer(from_fn_with_state(gate, admit))
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

/// What stands between a request and its handler.
struct Gate {
    app: Arc<App>,
    operations: audit::Operations,
    limits: Limits,
    begun: Instant,
}

impl Gate {
    /// Refuses whoever asks more than their bucket gives.
    fn pace(&self, who: &str, bucket: limits::Bucket) -> Result<(), Problem> {
        match self.limits.take(who, bucket, self.begun.elapsed()) {
            None => Ok(()),
            Some(wait) => {
                let seconds = (wait.as_secs_f64().ceil() as u64).max(1);
                let detail = format!("This is more than one caller may ask; the next request is taken in {seconds} s.");
                Err(Problem::new(Kind::TooMany, detail, "Wait that long, and ask less often.").retry_after(seconds))
            }
        }
    }

    /// Who asks over the network: by a key, or the cookie of a session.
    async fn caller(&self, method: &Method, headers: &HeaderMap, address: &str) -> Result<Caller, Problem> {
        let found = if headers.contains_key(header::AUTHORIZATION) {
            apikeys::caller(&self.app, headers).await
        } else {
            self.by_session(method, headers).await
        };
        match found {
            Ok(caller) => self.pace(caller.actor.as_str(), limits::CALLER).map(|()| caller),
            // Guessing keys is as slow as guessing passwords.
            Err(refused) if refused.is(Kind::Unauthorized) => self.pace(address, limits::STRANGER).and(Err(refused)),
            Err(refused) => Err(refused),
        }
    }

    async fn by_session(&self, method: &Method, headers: &HeaderMap) -> Result<Caller, Problem> {
        let token = session::token(headers).ok_or_else(access::not_signed_in)?;
        let found = engine::access::sessions::find(&self.app, &token).await?;
        let found = found.ok_or_else(access::not_signed_in)?;
        session::same_site(method, headers, true)?;
        // A newer version's role, or a foreign hand: no role of ours is a safe guess.
        let role = access::Role::named(&found.role).ok_or_else(access::not_signed_in)?;
        Ok(Caller { actor: Actor::user(&found.email), role, session: Some(Arc::new(found)) })
    }
}

/// Lets a request through to its handler when its caller may do it, by the table of routes; and writes down what the
/// audit log keeps.
async fn admit(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let path = routes::meant(request.method(), path);
    let Some(need) = routes::need(request.method(), &path) else {
        return no_such_method(request.method(), &path);
    };
    let Address(address) = request.extensions().get::<Address>().cloned().unwrap_or_default();
    let local = request.extensions().get::<Caller>().cloned();
    let needed = match need {
        Need::Nothing if path.starts_with("/api/v1/") => {
            // Signing in: nobody's page but ours may do it, and nobody may try for long.
            let paced = if local.is_some() { Ok(()) } else { gate.pace(&address, limits::STRANGER) };
            let proceed = paced.and_then(|()| session::same_site(request.method(), request.headers(), false));
            return match proceed {
                Ok(()) => audit::keep(&gate.app, &gate.operations, &path, None, request, Ok(next)).await,
                Err(problem) => problem.into_response(),
            };
        }
        Need::Nothing => return next.run(request).await,
        Need::SignIn => None,
        Need::Permission(permission) => Some(permission),
    };
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let caller = match local {
        Some(local) => Ok(local),
        None => gate.caller(&method, &headers, &address).await,
    };
    let caller = match caller {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let proceed = needed.map_or(Ok(()), |permission| caller.require(permission)).map(|()| next);
    request.extensions_mut().insert(caller.clone());
    audit::keep(&gate.app, &gate.operations, &path, Some(&caller), request, proceed).await
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
