//! `/api/v1/templates`.

use std::sync::Arc;

use axum::extract::State;
use engine::App;
use engine::templates::{self, TemplateView};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::extract::{Json, Path};
use super::page::Listed;
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(ls)).routes(paths!(show))
}

/// Every template, as last read from the Graph API.
#[utoipa::path(get, path = "/api/v1/templates", tag = "templates",
    responses((status = 200, description = "The templates", body = Listed<TemplateView>)))]
async fn ls(State(app): State<Arc<App>>) -> Result<Json<Listed<TemplateView>>, Problem> {
    Ok(Json(Listed::all(templates::list(&app).await?)))
}

/// One template in one language, from each account that has it.
#[utoipa::path(get, path = "/api/v1/templates/{name}/{language}", tag = "templates",
    params(("name" = String, Path, description = "The template's name"),
           ("language" = String, Path, description = "Exactly as Meta writes it: `en` and `en_US` are two")),
    responses((status = 200, description = "The template", body = Listed<TemplateView>)))]
async fn show(
    State(app): State<Arc<App>>,
    Path((name, language)): Path<(String, String)>,
) -> Result<Json<Listed<TemplateView>>, Problem> {
    Ok(Json(Listed::all(templates::show(&app, &name, &language).await?)))
}
