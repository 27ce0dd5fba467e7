//! `/api/v1/rate-card`: what messages cost.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use engine::App;
use engine::rate_card::{self, NewCard, RateCardView};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::{Json, Query};
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(show, save))
}

/// Which card.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WhichCard {
    /// Its id; 0 is the one that came with this version. Without it: the one that is valid now.
    card: Option<i64>,
}

/// A card with its prices, and which others there are.
#[utoipa::path(get, path = "/api/v1/rate-card", tag = "rate-card", params(WhichCard),
    responses((status = 200, description = "The card", body = RateCardView)))]
async fn show(
    State(app): State<Arc<App>>,
    Query(WhichCard { card }): Query<WhichCard>,
) -> Result<Json<RateCardView>, Problem> {
    Ok(Json(rate_card::show(&app, card).await?))
}

/// Saves prices as a new card, valid from its own day on. Those that there are stay.
#[utoipa::path(post, path = "/api/v1/rate-card", tag = "rate-card", request_body = NewCard,
    responses((status = 201, description = "The new card", body = RateCardView)))]
async fn save(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<NewCard>,
) -> Result<(StatusCode, Json<RateCardView>), Problem> {
    Ok((StatusCode::CREATED, Json(rate_card::save(&app, &caller.actor, &body).await?)))
}
