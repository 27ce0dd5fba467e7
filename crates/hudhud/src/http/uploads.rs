//! `/api/v1/uploads`: files that come in pieces, for lines that break. An import then names the file instead of bringing
//! it (`POST /api/v1/imports?upload=…`).

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use engine::App;
use engine::uploads::{self, UploadRoom, UploadView};
use futures::TryStreamExt;
use serde::Deserialize;
use tokio_util::io::StreamReader;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::{Json, Path, Query};
use super::problem::Problem;

/// Everything but a piece itself, which has a body limit of its own.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(look, begin)).routes(paths!(show, remove))
}

/// How large a file may be that is uploaded now.
#[utoipa::path(get, path = "/api/v1/uploads", tag = "uploads",
    responses((status = 200, description = "The room for it", body = UploadRoom)))]
async fn look(State(app): State<Arc<App>>) -> Json<UploadRoom> {
    Json(uploads::room(&app))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Whole {
    /// How long the whole will be, where that is known: one that is too large is refused before it comes.
    length: Option<u64>,
}

/// Begins a file that comes in pieces. It waits a day for its next piece, or to be imported.
#[utoipa::path(post, path = "/api/v1/uploads", tag = "uploads", params(Whole),
    responses((status = 201, description = "A file of which nothing is here yet", body = UploadView)))]
async fn begin(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(Whole { length }): Query<Whole>,
) -> Result<(StatusCode, Json<UploadView>), Problem> {
    Ok((StatusCode::CREATED, Json(uploads::begin(&app, &caller.actor, length).await?)))
}

/// How long a request says its body is.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// How much of a file is here: the next piece begins there.
#[utoipa::path(get, path = "/api/v1/uploads/{upload}", tag = "uploads",
    params(("upload" = String, Path, description = "The file's id")),
    responses((status = 200, description = "How much is here", body = UploadView)))]
async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(upload): Path<String>,
) -> Result<Json<UploadView>, Problem> {
    Ok(Json(uploads::show(&app, &caller.actor, &upload).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Where {
    /// Where in the file the piece begins: the length of what is here.
    offset: u64,
}

/// Appends a piece, which is the body, of any size. When the connection breaks, what came of it is kept; a piece that
/// does not begin where the file ends is refused, with the place where it does in `document`.
#[utoipa::path(patch, path = "/api/v1/uploads/{upload}", tag = "uploads",
    params(("upload" = String, Path, description = "The file's id"), Where),
    request_body(content = String, content_type = "application/octet-stream", description = "The piece, as it is"),
    responses((status = 200, description = "How much is here now", body = UploadView)))]
pub(super) async fn append(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(upload): Path<String>,
    Query(Where { offset }): Query<Where>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<UploadView>, Problem> {
    let piece = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    Ok(Json(uploads::append(&app, &caller.actor, &upload, offset, announced(&headers), piece).await?))
}

/// Throws a file away. One that was imported is gone by itself.
#[utoipa::path(delete, path = "/api/v1/uploads/{upload}", tag = "uploads",
    params(("upload" = String, Path, description = "The file's id")),
    responses((status = 204, description = "It is gone")))]
async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(upload): Path<String>,
) -> Result<StatusCode, Problem> {
    uploads::remove(&app, &caller.actor, &upload).await?;
    Ok(StatusCode::NO_CONTENT)
}
