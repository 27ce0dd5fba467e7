//! `/api/v1/words`: what an operator says that phrases mean.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use engine::App;
use engine::words::{self, ReadingView, WordView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::{Json, Path};
use super::page::Listed;
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(ls, add)).routes(paths!(read)).routes(paths!(rm))
}

/// A phrase and what it means.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWordBody {
    /// A whole message or label, up to 120 bytes. Case, accents, punctuation and politeness do not count.
    pub(crate) phrase: String,
    /// `stop`, `doubtful`, `start` or `nothing`, before the built-in words: `nothing` takes one of those out of force.
    pub(crate) means: String,
}

/// A text to be read.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextBody {
    /// As a person would write it.
    pub(crate) text: String,
}

/// The operator's words. The built-in ones are not listed: they are patterns of nine languages.
#[utoipa::path(get, path = "/api/v1/words", tag = "words",
    responses((status = 200, description = "The words", body = Listed<WordView>)))]
async fn ls(State(app): State<Arc<App>>) -> Result<Json<Listed<WordView>>, Problem> {
    Ok(Json(Listed::all(words::ls(&app).await?)))
}

/// Says what a phrase means from now on.
#[utoipa::path(post, path = "/api/v1/words", tag = "words", request_body = NewWordBody,
    responses((status = 201, description = "In force", body = WordView)))]
async fn add(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<NewWordBody>,
) -> Result<(StatusCode, Json<WordView>), Problem> {
    Ok((StatusCode::CREATED, Json(words::add(&app, &caller.actor, &body.phrase, &body.means).await?)))
}

/// What a text would mean, without anything following from it.
#[utoipa::path(post, path = "/api/v1/words/read", tag = "words", request_body = TextBody,
    responses((status = 200, description = "The reading", body = ReadingView)))]
async fn read(State(app): State<Arc<App>>, Json(body): Json<TextBody>) -> Result<Json<ReadingView>, Problem> {
    Ok(Json(words::read(&app, &body.text).await?))
}

/// Leaves a phrase to the built-in words again.
#[utoipa::path(delete, path = "/api/v1/words/{phrase}", tag = "words",
    params(("phrase" = String, Path, description = "The phrase")),
    responses((status = 204, description = "Removed")))]
async fn rm(State(app): State<Arc<App>>, caller: Caller, Path(phrase): Path<String>) -> Result<StatusCode, Problem> {
    words::rm(&app, &caller.actor, &phrase).await?;
    Ok(StatusCode::NO_CONTENT)
}
