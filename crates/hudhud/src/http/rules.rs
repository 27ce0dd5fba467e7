//! `/api/v1/rules`: what holds for every campaign of the house.

use std::sync::Arc;

use axum::extract::State;
use engine::App;
use engine::house::{self, RulesChange, RulesView};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::Json;
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(show, set))
}

/// The rules in force.
#[utoipa::path(get, path = "/api/v1/rules", tag = "rules",
    responses((status = 200, description = "The rules", body = RulesView)))]
async fn show(State(app): State<Arc<App>>) -> Result<Json<RulesView>, Problem> {
    Ok(Json(house::rules(&app).await?))
}

/// Changes rules. What is left out stays, and `null` takes a rule away.
#[utoipa::path(post, path = "/api/v1/rules", tag = "rules", request_body = RulesChange,
    responses((status = 200, description = "The rules in force", body = RulesView)))]
async fn set(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<RulesChange>,
) -> Result<Json<RulesView>, Problem> {
    Ok(Json(house::set_rules(&app, &caller.actor, &body).await?))
}
