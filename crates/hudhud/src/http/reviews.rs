//! `/api/v1/optouts/reviews`: what people said that may mean stop.

use std::sync::Arc;

use axum::extract::State;
use engine::App;
use engine::reviews::{self, ReviewView, Ruling};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::{Json, Path, Query};
use super::page::{Listed, Page};
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(ls)).routes(paths!(confirm)).routes(paths!(dismiss))
}

/// Why it was decided so.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RulingBody {
    /// Kept in the ledger.
    pub(crate) reason: String,
}

/// What waits to be read, oldest first.
#[utoipa::path(get, path = "/api/v1/optouts/reviews", tag = "reviews", params(Page),
    responses((status = 200, description = "A page of it", body = Listed<ReviewView>)))]
async fn ls(State(app): State<Arc<App>>, Query(page): Query<Page>) -> Result<Json<Listed<ReviewView>>, Problem> {
    let (after, limit) = page.read()?;
    let rows = reviews::ls(&app, after, limit).await?;
    Ok(Json(Listed::page(rows, limit, |row| row.id.to_string())))
}

/// It means stop. When this answers, no send to the person begins any more.
#[utoipa::path(post, path = "/api/v1/optouts/reviews/{review}/confirm", tag = "reviews", request_body = RulingBody,
    params(("review" = i64, Path, description = "Its id")),
    responses((status = 200, description = "Confirmed", body = ReviewView)))]
async fn confirm(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(review): Path<i64>,
    Json(body): Json<RulingBody>,
) -> Result<Json<ReviewView>, Problem> {
    Ok(Json(reviews::decide(&app, &caller.actor, review, Ruling::Confirm, &body.reason).await?))
}

/// It does not mean stop.
#[utoipa::path(post, path = "/api/v1/optouts/reviews/{review}/dismiss", tag = "reviews", request_body = RulingBody,
    params(("review" = i64, Path, description = "Its id")),
    responses((status = 200, description = "Dismissed", body = ReviewView)))]
async fn dismiss(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(review): Path<i64>,
    Json(body): Json<RulingBody>,
) -> Result<Json<ReviewView>, Problem> {
    Ok(Json(reviews::decide(&app, &caller.actor, review, Ruling::Dismiss, &body.reason).await?))
}
