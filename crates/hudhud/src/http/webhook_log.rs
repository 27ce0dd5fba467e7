//! `/api/v1/webhooks`: what Meta has told us lately.

use std::sync::Arc;

use axum::extract::State;
use engine::App;
use engine::webhook_log::{self, WebhookView};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::{Caller, Permission};
use super::extract::{Json, Query};
use super::page::{Listed, Page};
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(ls))
}

/// Which of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those that could not be read.
    #[serde(default)]
    unread: bool,
}

/// Webhooks as they came in, newest first. The bytes of those that could not be read come along for callers who may
/// audit, since they may hold what people wrote.
#[utoipa::path(get, path = "/api/v1/webhooks", tag = "webhooks", params(Which, Page),
    responses((status = 200, description = "A page of them", body = Listed<WebhookView>)))]
async fn ls(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(which): Query<Which>,
    Query(page): Query<Page>,
) -> Result<Json<Listed<WebhookView>>, Problem> {
    let (before, limit) = page.read()?;
    let rows = webhook_log::ls(&app, before, which.unread, limit, caller.role.may(Permission::Audit)).await?;
    Ok(Json(Listed::page(rows, limit, |row| row.id.to_string())))
}
