//! `/api/v1/optouts`. People are named in bodies, never in a path or query, which end up in logs on the way.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::lift_requests::{self, LiftView};
use engine::optout_lists::{self, OptOutImport};
use engine::optouts::{self, OptOutRow, OptOutView};
use engine::scopes::{self, ReachView};
use engine::{App, Fault, disclosures};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio_util::io::StreamReader;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::{Json, Path, Query};
use super::page::{Listed, Page};
use super::problem::Problem;
use super::streamed::streamed;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(paths!(ls, add))
        .routes(paths!(check))
        .routes(paths!(export))
        .routes(paths!(lifts, lift))
        .routes(paths!(approve))
        .routes(paths!(refuse))
        .routes(paths!(reaches, set_reach))
}

/// A person to be suppressed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOptOutBody {
    /// A phone number in any form, or a business-scoped user id.
    pub(crate) person: String,
    /// Why. Kept in the ledger.
    pub(crate) reason: String,
}

/// A person to be suppressed, and how far.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewStopBody {
    /// A phone number in any form, or a business-scoped user id.
    pub(crate) person: String,
    /// Why. Kept in the ledger.
    pub(crate) reason: String,
    /// `all`, `marketing`, `brand:NAME` or `number:PHONE_NUMBER_ID`; left out: as far as stops by hand reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
}

/// How far stops of a way reach from now on.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReachBody {
    /// `button`, `text`, `user_preferences`, `meta`, `manual` or `import`.
    pub(crate) way: String,
    /// `all`, `marketing`; of a button or text also `brand` or `number`.
    pub(crate) reach: String,
}

/// A person.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonBody {
    /// A phone number in any form, or a business-scoped user id.
    pub(crate) person: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Since {
    /// Only people suppressed since this time (RFC 3339).
    since: Option<String>,
}

/// The people who may not be messaged.
#[utoipa::path(get, path = "/api/v1/optouts", tag = "optouts", params(Since, Page),
    responses((status = 200, description = "A page of them", body = Listed<OptOutRow>)))]
async fn ls(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(Since { since }): Query<Since>,
    Query(page): Query<Page>,
) -> Result<Json<Listed<OptOutRow>>, Problem> {
    let since = since
        .map(|since| domain::schedule::parse_at(&since))
        .transpose()
        .map_err(|error| Fault::invalid(format!("since: {error}.")))?;
    let (after, limit) = page.read()?;
    disclosures::note(&app, &caller.actor, "optouts-list", None, "").await?;
    let rows = optouts::ls(&app, since, after, limit).await?;
    Ok(Json(Listed::page(rows, limit, |row| row.id.to_string())))
}

/// Suppresses a person. When this answers, no send to them begins any more.
#[utoipa::path(post, path = "/api/v1/optouts", tag = "optouts", request_body = NewStopBody,
    responses((status = 201, description = "Suppressed", body = OptOutView)))]
async fn add(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<NewStopBody>,
) -> Result<(StatusCode, Json<OptOutView>), Problem> {
    let NewStopBody { person, reason, scope } = body;
    let verdict = optouts::add_within(&app, &caller.actor, &person, &reason, scope.as_deref()).await?;
    Ok((StatusCode::CREATED, Json(verdict)))
}

/// How far stops reach, by the way they come.
#[utoipa::path(get, path = "/api/v1/optouts/scopes", tag = "optouts",
    responses((status = 200, description = "Every way", body = Listed<ReachView>)))]
async fn reaches(State(app): State<Arc<App>>) -> Result<Json<Listed<ReachView>>, Problem> {
    Ok(Json(Listed::all(scopes::ls(&app).await?)))
}

/// Sets how far stops of one way reach from now on. Stops that stand keep their scope.
#[utoipa::path(post, path = "/api/v1/optouts/scopes", tag = "optouts", request_body = ReachBody,
    responses((status = 200, description = "In force", body = ReachView)))]
async fn set_reach(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<ReachBody>,
) -> Result<Json<ReachView>, Problem> {
    Ok(Json(scopes::set(&app, &caller.actor, &body.way, &body.reach).await?))
}

/// Says whether a person may be messaged.
#[utoipa::path(post, path = "/api/v1/optouts/check", tag = "optouts", request_body = PersonBody,
    responses((status = 200, description = "The verdict", body = OptOutView)))]
async fn check(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<PersonBody>,
) -> Result<Json<OptOutView>, Problem> {
    Ok(Json(optouts::look_up(&app, &caller.actor, &body.person).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportParams {
    /// The country of national numbers, ISO 3166 alpha-2.
    region: Option<String>,
    /// What they stop: `all`, `marketing`, `brand:NAME`, `number:PHONE_NUMBER_ID`; left out: as far as imports reach.
    scope: Option<String>,
}

/// Suppresses everybody whom a file names: one number a line, our own export, Twilio's list of consents or listmonk's
/// subscribers. When this answers, no send to any of them begins any more.
#[utoipa::path(post, path = "/api/v1/optouts/import", tag = "optouts", params(ImportParams),
    request_body(content = String, content_type = "text/csv", description = "The file, as it is"),
    responses((status = 200, description = "What came of it", body = OptOutImport)))]
pub(super) async fn import(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(ImportParams { region, scope }): Query<ImportParams>,
    body: Body,
) -> Result<Json<OptOutImport>, Problem> {
    let file = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
    Ok(Json(optout_lists::import(&app, &caller.actor, file, region.as_deref(), scope.as_deref()).await?))
}

/// Everybody who is suppressed, as CSV. The export is recorded. An answer that breaks off is not a whole export.
#[utoipa::path(get, path = "/api/v1/optouts/export", tag = "optouts",
    responses((status = 200, description = "CSV", body = String, content_type = "text/csv")))]
async fn export(State(app): State<Arc<App>>, caller: Caller) -> Response {
    streamed("opt-outs.csv", |mut writer| async move { optout_lists::export(&app, &caller.actor, &mut writer).await })
}

/// Asks that a person's block be lifted. It holds until a second person approves.
#[utoipa::path(post, path = "/api/v1/optouts/lifts", tag = "optouts", request_body = NewOptOutBody,
    responses((status = 201, description = "It waits", body = LiftView)))]
async fn lift(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<NewOptOutBody>,
) -> Result<(StatusCode, Json<LiftView>), Problem> {
    let view = lift_requests::ask(&app, &caller.actor, &body.person, &body.reason).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// Lifts that wait for a second person.
#[utoipa::path(get, path = "/api/v1/optouts/lifts", tag = "optouts", params(Page),
    responses((status = 200, description = "A page of them", body = Listed<LiftView>)))]
async fn lifts(State(app): State<Arc<App>>, Query(page): Query<Page>) -> Result<Json<Listed<LiftView>>, Problem> {
    let (after, limit) = page.read()?;
    let rows = lift_requests::ls(&app, after, limit).await?;
    Ok(Json(Listed::page(rows, limit, |row| row.id.to_string())))
}

/// Approves a lift that somebody else asked for: the block is gone.
#[utoipa::path(post, path = "/api/v1/optouts/lifts/{lift}/approve", tag = "optouts",
    params(("lift" = i64, Path, description = "The lift's id")),
    responses((status = 200, description = "Done", body = LiftView)))]
async fn approve(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(lift): Path<i64>,
) -> Result<Json<LiftView>, Problem> {
    Ok(Json(lift_requests::decide(&app, &caller.actor, lift, true).await?))
}

/// Refuses a lift that somebody else asked for: the block stays.
#[utoipa::path(post, path = "/api/v1/optouts/lifts/{lift}/refuse", tag = "optouts",
    params(("lift" = i64, Path, description = "The lift's id")),
    responses((status = 200, description = "Refused", body = LiftView)))]
async fn refuse(State(app): State<Arc<App>>, caller: Caller, Path(lift): Path<i64>) -> Result<Json<LiftView>, Problem> {
    Ok(Json(lift_requests::decide(&app, &caller.actor, lift, false).await?))
}
