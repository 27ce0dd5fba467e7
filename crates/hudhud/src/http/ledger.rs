//! `/api/v1/ledger`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use engine::ledger::heads::HeadView;
use engine::ledger::{self, LedgerCheck};
use engine::{App, Fault};
use futures::{StreamExt, stream};
use tokio_util::io::ReaderStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::Json;
use super::problem::Problem;

/// Bytes on their way at once.
const CHUNK: usize = 64 * 1024;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(verify)).routes(paths!(export)).routes(paths!(head))
}

/// The ledger as lines of JSON, which `hudhud ledger verify FILE` checks without a database. An answer that breaks off
/// is not a whole file, and its check says so.
#[utoipa::path(get, path = "/api/v1/ledger/export", tag = "ledger",
    responses((status = 200, description = "JSON, a line each", body = String, content_type = "application/x-ndjson")))]
async fn export(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Problem> {
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
