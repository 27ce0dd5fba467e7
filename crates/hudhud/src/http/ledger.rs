//! `/api/v1/ledger`.

use std::sync::Arc;

use axum::extract::State;
use engine::App;
use engine::ledger::{self, LedgerCheck};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::extract::Json;
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(verify))
}

/// Checks every link of the chain. A broken one is an answer, not a failure: `ok` is false and `first_broken` names it.
#[utoipa::path(post, path = "/api/v1/ledger/verify", tag = "ledger",
    responses((status = 200, description = "The verdict", body = LedgerCheck)))]
async fn verify(State(app): State<Arc<App>>) -> Result<Json<LedgerCheck>, Problem> {
    let verdict = ledger::verify(&app).await?;
    metrics::gauge!("hudhud_ledger_ok").set(if verdict.ok { 1.0 } else { 0.0 });
    Ok(Json(verdict))
}
