//! `/webhooks/whatsapp`: Meta's handshake and events. No sign-in; an event proves itself by its signature over the raw
//! bytes, and is answered 200 only once it is durable.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::App;
use engine::webhook::{self, Received};
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::Query;
use super::incoming;
use super::problem::{Kind, Problem};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Handshake {
    /// `subscribe`.
    #[serde(rename = "hub.mode")]
    mode: Option<String>,
    /// The verify token that was given to Meta.
    #[serde(rename = "hub.verify_token")]
    verify_token: Option<String>,
    /// What to answer.
    #[serde(rename = "hub.challenge")]
    challenge: Option<String>,
}

/// Proves to Meta that this is the address it was told.
#[utoipa::path(get, path = "/webhooks/whatsapp", tag = "webhooks", params(Handshake),
    responses((status = 200, description = "The challenge, as it came", body = String, content_type = "text/plain")))]
pub(super) async fn handshake(
    State(app): State<Arc<App>>,
    Query(asked): Query<Handshake>,
) -> Result<Response, Problem> {
    let Handshake { mode, verify_token, challenge } = &asked;
    match webhook::handshake(&app, mode.as_deref(), verify_token.as_deref(), challenge.as_deref()).await? {
        // text/plain, so that an echoed challenge is never read as a page.
        Some(challenge) => Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], challenge).into_response()),
        None => Err(Problem::new(
            Kind::Forbidden,
            "The verify token is not one of ours.",
            "Give Meta the verify token that was stored with hudhud account add.",
        )),
    }
}

/// Takes a batch of events.
#[utoipa::path(post, path = "/webhooks/whatsapp", tag = "webhooks",
    params(("x-hub-signature-256" = String, Header, description = "sha256=HMAC of the raw body by the app secret")),
    request_body(content = Object, description = "Meta's envelope", content_type = "application/json"),
    responses((status = 200, description = "Durable here; Meta need not send it again")))]
pub(super) async fn receive(State(app): State<Arc<App>>, request: Request) -> Result<StatusCode, Problem> {
    let (parts, body) = request.into_parts();
    let signature = parts.headers.get("x-hub-signature-256").and_then(|value| value.to_str().ok());
    if !webhook::may_be_signed(signature) {
        return Err(not_metas());
    }
    let (body, _room) = incoming::read(&parts.headers, body).await?;
    match webhook::receive(&app, &body, signature).await? {
        Received::Kept | Received::Duplicate => Ok(StatusCode::OK),
        Received::BadSignature => Err(not_metas()),
    }
}

fn not_metas() -> Problem {
    Problem::new(
        Kind::Unauthorized,
        "The signature does not match the body.",
        "Check that the app secret stored here is the one of the app that sends.",
    )
}
