//! `/api/v1/persons`: everything held of a person, handed out or taken away. People are named in bodies, never in a path
//! or query, which end up in logs on the way.

use std::sync::Arc;

use axum::extract::State;
use engine::App;
use engine::persons::{self, ErasureView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::Json;
use super::optouts::PersonBody;
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(export)).routes(paths!(erase))
}

/// A person to be erased.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EraseBody {
    /// A phone number in any form, or a business-scoped user id.
    pub(crate) person: String,
    /// Why. Kept in the ledger; it should not name the person.
    pub(crate) reason: String,
}

/// Everything that is held of a person. The look is recorded.
#[utoipa::path(post, path = "/api/v1/persons/export", tag = "persons", request_body = PersonBody,
    responses((status = 200, description = "All of it", body = Object)))]
async fn export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<PersonBody>,
) -> Result<Json<serde_json::Value>, Problem> {
    Ok(Json(persons::export(&app, &caller.actor, &body.person).await?))
}

/// Erases a person everywhere. They stay suppressed, imports do not bring them back, and the ledger still verifies.
#[utoipa::path(post, path = "/api/v1/persons/erase", tag = "persons", request_body = EraseBody,
    responses((status = 200, description = "What went", body = ErasureView)))]
async fn erase(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<EraseBody>,
) -> Result<Json<ErasureView>, Problem> {
    Ok(Json(persons::erase(&app, &caller.actor, &body.person, &body.reason).await?))
}
