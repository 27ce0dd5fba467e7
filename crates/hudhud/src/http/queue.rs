//! `/api/v1/queue`.

use std::sync::Arc;

use axum::extract::State;
use engine::App;
use engine::queue_view::{self, QueueRow};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::extract::Json;
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(view))
}

/// Every business number's queue: depth, age, pace, owner, and why it does not send. Not paged: a bare array.
#[utoipa::path(get, path = "/api/v1/queue", tag = "queue",
    responses((status = 200, description = "The queues", body = Vec<QueueRow>)))]
async fn view(State(app): State<Arc<App>>) -> Result<Json<Vec<QueueRow>>, Problem> {
    Ok(Json(queue_view::view(&app).await?))
}
