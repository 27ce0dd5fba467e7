//! `/api/v1/ledger`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use engine::campaigns;
use engine::disclosures::{self, DisclosureView};
use engine::exclusions::{AfterStopReport, ExclusionView};
use engine::ledger::heads::HeadView;
use engine::ledger::state::LedgerState;
use engine::ledger::{self, LedgerCheck};
use engine::proof::{self, Language, Proof};
use engine::{App, Fault};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::{Json, Path, Query};
use super::optouts::PersonBody;
use super::page::{Listed, Page};
use super::problem::Problem;
use super::streamed::streamed;

/// Bytes on their way at once.
const CHUNK: usize = 64 * 1024;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(paths!(verify))
        .routes(paths!(export))
        .routes(paths!(head))
        .routes(paths!(heads))
        .routes(paths!(state))
        .routes(paths!(prove))
        .routes(paths!(prove_document))
        .routes(paths!(disclosed))
        .routes(paths!(exclusions))
        .routes(paths!(exclusions_export))
        .routes(paths!(after_stop))
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

/// The signed heads, newest first: one a day, and those that somebody asked for.
#[utoipa::path(get, path = "/api/v1/ledger/heads", tag = "ledger", params(Page),
    responses((status = 200, description = "A page of them", body = Listed<HeadView>)))]
async fn heads(State(app): State<Arc<App>>, Query(page): Query<Page>) -> Result<Json<Listed<HeadView>>, Problem> {
    let (before, limit) = page.read()?;
    let rows = ledger::heads::ls(&app, before, limit).await?;
    Ok(Json(Listed::page(rows, limit, |head| head.entries.to_string())))
}

/// How the ledger stands and what its last check found. Nothing is checked anew.
#[utoipa::path(get, path = "/api/v1/ledger", tag = "ledger",
    responses((status = 200, description = "How it stands", body = LedgerState)))]
async fn state(State(app): State<Arc<App>>) -> Result<Json<LedgerState>, Problem> {
    Ok(Json(ledger::state::show(&app).await?))
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

/// In which order.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Order {
    /// The newest first.
    newest: Option<bool>,
}

/// Who looked at a person, and who took data out. Oldest first, unless asked otherwise.
#[utoipa::path(get, path = "/api/v1/ledger/disclosures", tag = "ledger", params(Page, Order),
    responses((status = 200, description = "A page of the record", body = Listed<DisclosureView>)))]
async fn disclosed(
    State(app): State<Arc<App>>,
    Query(page): Query<Page>,
    Query(Order { newest }): Query<Order>,
) -> Result<Json<Listed<DisclosureView>>, Problem> {
    let (after, limit) = page.read()?;
    let rows = match newest {
        Some(true) => disclosures::latest(&app, after, limit).await?,
        _ => disclosures::ls(&app, after, limit).await?,
    };
    Ok(Json(Listed::page(rows, limit, |row| row.id.to_string())))
}

/// Whom a campaign left out, why, and whether it was found as the audience was planned or as the message was about to
/// leave. The look is recorded.
#[utoipa::path(get, path = "/api/v1/ledger/exclusions/{campaign}", tag = "ledger",
    params(("campaign" = String, Path, description = "Name or id"), Page),
    responses((status = 200, description = "A page of them", body = Listed<ExclusionView>)))]
async fn exclusions(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(campaign): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Listed<ExclusionView>>, Problem> {
    let (after, limit) = page.read()?;
    let id = campaigns::find(&app, &campaign).await?;
    let rows = engine::exclusions::ls(&app, &caller.actor, id, after, limit).await?;
    Ok(Json(Listed::page(rows, limit, |row| row.contact_id.to_string())))
}

/// The same as CSV, all of it. An answer that breaks off is not a whole export.
#[utoipa::path(get, path = "/api/v1/ledger/exclusions/{campaign}/export", tag = "ledger",
    params(("campaign" = String, Path, description = "Name or id")),
    responses((status = 200, description = "CSV", body = String, content_type = "text/csv")))]
async fn exclusions_export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(campaign): Path<String>,
) -> Result<Response, Problem> {
    let id = campaigns::find(&app, &campaign).await?;
    let name = format!("exclusions-{id}.csv");
    Ok(streamed(&name, move |mut writer| async move {
        engine::exclusions::export(&app, &caller.actor, id, &mut writer).await
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OfCampaign {
    /// Only this campaign: its name or id.
    campaign: Option<String>,
}

/// Messages that Meta took after a stop of their person was recorded: none, or each with its milliseconds and why.
#[utoipa::path(get, path = "/api/v1/ledger/sent-after-stop", tag = "ledger", params(OfCampaign),
    responses((status = 200, description = "The report", body = AfterStopReport)))]
async fn after_stop(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(OfCampaign { campaign }): Query<OfCampaign>,
) -> Result<Json<AfterStopReport>, Problem> {
    let id = match campaign {
        Some(campaign) => Some(campaigns::find(&app, &campaign).await?),
        None => None,
    };
    Ok(Json(engine::exclusions::after_stop(&app, &caller.actor, id).await?))
}
