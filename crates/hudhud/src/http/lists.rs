//! `/api/v1/lists`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use engine::lists::{self, CountOrder, CountView, ListView};
use engine::{App, counts};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::{Json, Path};
use super::page::Listed;
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    // A list may be called "count", too: its page is still its own.
    let named_count = get(async |app: State<Arc<App>>| show(app, Path("count".to_owned())).await)
        .delete(async |app: State<Arc<App>>, caller: Caller| rm(app, caller, Path("count".to_owned())).await);
    OpenApiRouter::new()
        .routes(paths!(ls))
        .routes(paths!(show, rm))
        .routes(paths!(count))
        .route("/api/v1/lists/count", named_count)
}

/// Counts whom a campaign to some lists would write to, less others, by a filter. Changes nothing.
#[utoipa::path(post, path = "/api/v1/lists/count", tag = "lists",
    request_body = CountOrder,
    responses((status = 200, description = "How many people are meant, and where the others fall out", body = CountView)))]
async fn count(State(app): State<Arc<App>>, Json(order): Json<CountOrder>) -> Result<Json<CountView>, Problem> {
    Ok(Json(counts::audience(&app, order).await?))
}

/// Every list.
#[utoipa::path(get, path = "/api/v1/lists", tag = "lists",
    responses((status = 200, description = "The lists", body = Listed<ListView>)))]
async fn ls(State(app): State<Arc<App>>) -> Result<Json<Listed<ListView>>, Problem> {
    Ok(Json(Listed::all(counts::lists(&app).await?)))
}

/// One list.
#[utoipa::path(get, path = "/api/v1/lists/{list}", tag = "lists",
    params(("list" = String, Path, description = "The list's name")),
    responses((status = 200, description = "The list", body = ListView)))]
async fn show(State(app): State<Arc<App>>, Path(list): Path<String>) -> Result<Json<ListView>, Problem> {
    Ok(Json(lists::show(&app, &list).await?))
}

/// Removes a list. Its people, their consents and opt-outs stay.
#[utoipa::path(delete, path = "/api/v1/lists/{list}", tag = "lists",
    params(("list" = String, Path, description = "The list's name")),
    responses((status = 204, description = "Removed")))]
async fn rm(State(app): State<Arc<App>>, caller: Caller, Path(list): Path<String>) -> Result<StatusCode, Problem> {
    lists::rm(&app, &list).await?;
    tracing::info!(actor = %caller.actor, list = %list, "list removed");
    Ok(StatusCode::NO_CONTENT)
}
