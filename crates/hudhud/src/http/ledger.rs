//! `/api/v1/ledger`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use engine::disclosures::{self, DisclosureView};
use engine::ledger::heads::HeadView;
use engine::ledger::{self, LedgerCheck};
use engine::proof::{self, Language, Proof};
use engine::{App, Fault};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio_util::io::ReaderStream;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::{Json, Query};
use super::optouts::PersonBody;
use super::page::{Listed, Page};
use super::problem::Problem;

/// Bytes on their way at once.
const CHUNK: usize = 64 * 1024;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(paths!(verify))
        .routes(paths!(export))
        .routes(paths!(head))
        .routes(paths!(prove))
        .routes(paths!(prove_document))
        .routes(paths!(disclosed))
}

/// The ledger as lines of JSON, which `hudhud ledger verify FILE` checks without a database. An answer that breaks off
/// is not a whole file, and its check says so.
#[utoipa::path(get, path = "/api/v1/ledger/export", tag = "ledger",
    responses((status = 200, description = "JSON, a line each", body = String, content_type = "application/x-ndjson")))]
async fn export(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Problem> {
    disclosures::note(&app, &caller.actor, "ledger-export", None, "").await?;
    tracing::info!(actor = %caller.actor, "ledger exported");
    let (reader, mut writer) = tokio::io::duplex(CHUNK);
    let writing = tokio::spawn(async move { ledger::file::export(&app, &mut writer).await });
    let end = stream::once(async move {
        match writing.await {
            Ok(Ok(_)) => Ok(Bytes::new()),
            Ok(Err(fault)) => Err(std::io::Error::other(fault)),
            Err(panicked) => Err(std::io::Error::other(panicked)),
        }
    });
    let body = Body::from_stream(ReaderStream::with_capacity(reader, CHUNK).chain(end));
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"ledger.jsonl\""),
    ];
    Ok((headers, body).into_response())
}

/// Signs the head of the chain as it is now. Kept elsewhere, it shows later that nothing before it was made anew.
#[utoipa::path(post, path = "/api/v1/ledger/head", tag = "ledger",
    responses((status = 200, description = "The head and its signature", body = HeadView)))]
async fn head(State(app): State<Arc<App>>) -> Result<Json<HeadView>, Problem> {
    let head = ledger::heads::sign(&app).await?;
    let empty = || Fault::not_found("The ledger is empty.").action("Ask again once something was recorded.");
    Ok(Json(head.ok_or_else(empty)?))
}

/// Checks every link of the chain. A broken one is an answer, not a failure: `ok` is false and `first_broken` names it.
#[utoipa::path(post, path = "/api/v1/ledger/verify", tag = "ledger",
    responses((status = 200, description = "The verdict", body = LedgerCheck)))]
async fn verify(State(app): State<Arc<App>>) -> Result<Json<LedgerCheck>, Problem> {
    let verdict = ledger::verify(&app).await?;
    metrics::gauge!("hudhud_ledger_ok").set(if verdict.ok { 1.0 } else { 0.0 });
    Ok(Json(verdict))
}

/// A person, and the language of a document about them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProveBody {
    /// A phone number in any form, or a business-scoped user id.
    pub(crate) person: String,
    /// `en`, `ar` or `es`.
    #[serde(default)]
    pub(crate) language: Language,
}

/// What can be shown about a person: consent, messages, stops with their signed events, exclusions, lifts, and the
/// ledger's entries behind them. The look is recorded.
#[utoipa::path(post, path = "/api/v1/ledger/prove", tag = "ledger", request_body = PersonBody,
    responses((status = 200, description = "All that can be shown", body = Proof)))]
async fn prove(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<PersonBody>,
) -> Result<Json<Proof>, Problem> {
    Ok(Json(proof::prove(&app, &caller.actor, &body.person).await?))
}

/// The same as a document for people: one HTML file that needs nothing else and prints well.
#[utoipa::path(post, path = "/api/v1/ledger/prove/document", tag = "ledger", request_body = ProveBody,
    responses((status = 200, description = "The document", body = String, content_type = "text/html")))]
async fn prove_document(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<ProveBody>,
) -> Result<Response, Problem> {
    let proof = proof::prove(&app, &caller.actor, &body.person).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"proof.html\""),
    ];
    Ok((headers, proof::page::html(&proof, body.language)).into_response())
}

/// Who looked at a person, and who took data out. Oldest first.
#[utoipa::path(get, path = "/api/v1/ledger/disclosures", tag = "ledger", params(Page),
    responses((status = 200, description = "A page of the record", body = Listed<DisclosureView>)))]
async fn disclosed(
    State(app): State<Arc<App>>,
    Query(page): Query<Page>,
) -> Result<Json<Listed<DisclosureView>>, Problem> {
    let (after, limit) = page.read()?;
    let rows = disclosures::ls(&app, after, limit).await?;
    Ok(Json(Listed::page(rows, limit, |row| row.id.to_string())))
}
