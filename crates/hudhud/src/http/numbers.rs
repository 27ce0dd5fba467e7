//! `/api/v1/numbers`.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::State;
use engine::App;
use engine::numbers::{self, NumberView, Rate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::campaigns::ReasonBody;
use super::extract::{Json, Path};
use super::page::Listed;
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(paths!(ls))
        .routes(paths!(pause_all))
        .routes(paths!(resume_all))
        .routes(paths!(rate))
        .routes(paths!(brand))
        .routes(paths!(pause))
        .routes(paths!(resume))
}

/// A rate as it is asked for: messages a second, or a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum WantedRate {
    /// At most so many in any sliding second.
    PerSecond(u32),
    /// One of the words.
    Word(RateWord),
}

/// Rates that are no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RateWord {
    /// No limit: accepted only while the Graph URL leads to this machine.
    Unlimited,
    /// What Meta's throughput level grants.
    Level,
}

impl FromStr for WantedRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "unlimited" => Ok(Self::Word(RateWord::Unlimited)),
            "level" => Ok(Self::Word(RateWord::Level)),
            number => number
                .parse()
                .map(Self::PerSecond)
                .map_err(|_| "it must be messages a second, level or unlimited".to_owned()),
        }
    }
}

impl From<WantedRate> for Rate {
    fn from(wanted: WantedRate) -> Self {
        match wanted {
            WantedRate::PerSecond(rate) => Self::PerSecond(rate),
            WantedRate::Word(RateWord::Unlimited) => Self::Unlimited,
            WantedRate::Word(RateWord::Level) => Self::FromLevel,
        }
    }
}

/// A business number's new rate.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateBody {
    /// A number, `"level"` or `"unlimited"`.
    pub(crate) rate: WantedRate,
}

/// A business number's brand.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BrandBody {
    /// Up to 60 characters; `null`: of none.
    pub(crate) brand: Option<String>,
}

/// Whether everything is paused.
#[derive(Debug, Serialize, ToSchema)]
struct PausedAll {
    /// Nothing is sent on any business number.
    paused: bool,
    /// Why.
    reason: Option<String>,
}

/// Every business number.
#[utoipa::path(get, path = "/api/v1/numbers", tag = "numbers",
    responses((status = 200, description = "The numbers", body = Listed<NumberView>)))]
async fn ls(State(app): State<Arc<App>>) -> Result<Json<Listed<NumberView>>, Problem> {
    Ok(Json(Listed::all(numbers::list(&app).await?)))
}

/// Sets a business number's rate.
#[utoipa::path(post, path = "/api/v1/numbers/{phone_number_id}/rate", tag = "numbers", request_body = RateBody,
    params(("phone_number_id" = String, Path, description = "Meta's id of the business number")),
    responses((status = 200, description = "The number", body = NumberView)))]
async fn rate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<RateBody>,
) -> Result<Json<NumberView>, Problem> {
    let number = numbers::set_rate(&app, &id, body.rate.into()).await?;
    tracing::info!(actor = %caller.actor, number = %id, rate = ?number.rate, "rate set");
    Ok(Json(number))
}

/// Says of which brand a business number is: whoever stops a brand gets no marketing from any number of it.
#[utoipa::path(post, path = "/api/v1/numbers/{phone_number_id}/brand", tag = "numbers", request_body = BrandBody,
    params(("phone_number_id" = String, Path, description = "Meta's id of the business number")),
    responses((status = 200, description = "The number", body = NumberView)))]
async fn brand(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<BrandBody>,
) -> Result<Json<NumberView>, Problem> {
    Ok(Json(engine::scopes::set_brand(&app, &caller.actor, &id, body.brand.as_deref()).await?))
}

/// Stops sending on one business number.
#[utoipa::path(post, path = "/api/v1/numbers/{phone_number_id}/pause", tag = "numbers", request_body = ReasonBody,
    params(("phone_number_id" = String, Path, description = "Meta's id of the business number")),
    responses((status = 200, description = "The number", body = NumberView)))]
async fn pause(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<ReasonBody>,
) -> Result<Json<NumberView>, Problem> {
    let number = numbers::pause(&app, &id, &body.reason).await?;
    tracing::info!(actor = %caller.actor, number = %id, reason = %body.reason, "number paused");
    Ok(Json(number))
}

/// Sends on one business number again.
#[utoipa::path(post, path = "/api/v1/numbers/{phone_number_id}/resume", tag = "numbers",
    params(("phone_number_id" = String, Path, description = "Meta's id of the business number")),
    responses((status = 200, description = "The number", body = NumberView)))]
async fn resume(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<NumberView>, Problem> {
    let number = numbers::resume(&app, &id).await?;
    tracing::info!(actor = %caller.actor, number = %id, "number resumed");
    Ok(Json(number))
}

/// Stops sending on every business number. Webhooks and opt-outs go on.
#[utoipa::path(post, path = "/api/v1/numbers/pause-all", tag = "numbers", request_body = ReasonBody,
    responses((status = 200, description = "Paused", body = PausedAll)))]
async fn pause_all(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<ReasonBody>,
) -> Result<Json<PausedAll>, Problem> {
    numbers::pause_all(&app, &body.reason).await?;
    tracing::info!(actor = %caller.actor, reason = %body.reason, "everything paused");
    Ok(Json(PausedAll { paused: true, reason: Some(body.reason) }))
}

/// Lifts pause-all.
#[utoipa::path(post, path = "/api/v1/numbers/resume-all", tag = "numbers",
    responses((status = 200, description = "Resumed", body = PausedAll)))]
async fn resume_all(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<PausedAll>, Problem> {
    numbers::resume_all(&app).await?;
    tracing::info!(actor = %caller.actor, "everything resumed");
    Ok(Json(PausedAll { paused: false, reason: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_or_one_of_two_words_and_the_same_on_the_wire() {
        for (text, json) in [("40", "40"), ("level", "\"level\""), ("unlimited", "\"unlimited\"")] {
            let rate: WantedRate = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&rate).unwrap(), json);
            assert_eq!(serde_json::from_str::<WantedRate>(json).unwrap(), rate);
        }
        assert!("fast".parse::<WantedRate>().is_err() && "-1".parse::<WantedRate>().is_err());
    }
}
