//! `/api/v1/optouts`. People are named in bodies, never in a path or query, which end up in logs on the way.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use engine::optouts::{self, OptOutRow, OptOutView};
use engine::{App, Fault};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::{Json, Query};
use super::page::{Listed, Page};
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(ls, add)).routes(paths!(check))
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
    Query(Since { since }): Query<Since>,
    Query(page): Query<Page>,
) -> Result<Json<Listed<OptOutRow>>, Problem> {
    let since = since
        .map(|since| domain::schedule::parse_at(&since))
        .transpose()
        .map_err(|error| Fault::invalid(format!("since: {error}.")))?;
    let (after, limit) = page.read()?;
    let rows = optouts::ls(&app, since, after, limit).await?;
    Ok(Json(Listed::page(rows, limit, |row| row.id.to_string())))
}

/// Suppresses a person. When this answers, no send to them begins any more.
#[utoipa::path(post, path = "/api/v1/optouts", tag = "optouts", request_body = NewOptOutBody,
    responses((status = 201, description = "Suppressed", body = OptOutView)))]
async fn add(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<NewOptOutBody>,
) -> Result<(StatusCode, Json<OptOutView>), Problem> {
    let verdict = optouts::add(&app, &caller.actor, &body.person, &body.reason).await?;
    Ok((StatusCode::CREATED, Json(verdict)))
}

/// Says whether a person may be messaged.
#[utoipa::path(post, path = "/api/v1/optouts/check", tag = "optouts", request_body = PersonBody,
    responses((status = 200, description = "The verdict", body = OptOutView)))]
async fn check(State(app): State<Arc<App>>, Json(body): Json<PersonBody>) -> Result<Json<OptOutView>, Problem> {
    Ok(Json(optouts::check(&app, &body.person).await?))
}
