//! `/api/v1/sends`: those in doubt.

use std::sync::Arc;

use axum::extract::State;
use engine::indoubt::{self, DoubtView, Verdict};
use engine::{App, campaigns};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::{Json, Path, Query};
use super::page::Listed;
use super::problem::Problem;

/// More than a person settles by hand; the rest shows once these are settled.
const MOST: u32 = 1_000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(in_doubt)).routes(paths!(settle))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those of this campaign, by name or id.
    campaign: Option<String>,
}

/// What became of a send, by a person's evidence.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettleBody {
    /// What became of it.
    #[serde(rename = "as")]
    pub(crate) outcome: Verdict,
    /// How you know. Kept in the ledger.
    pub(crate) reason: String,
}

/// What was settled.
#[derive(Debug, Serialize, ToSchema)]
struct Settled {
    /// The send.
    id: String,
    /// As what.
    settled_as: Verdict,
}

/// Sends that may or may not have gone: oldest first, at most 1,000.
#[utoipa::path(get, path = "/api/v1/sends/in-doubt", tag = "sends", params(Which),
    responses((status = 200, description = "The sends", body = Listed<DoubtView>)))]
async fn in_doubt(State(app): State<Arc<App>>, Query(which): Query<Which>) -> Result<Json<Listed<DoubtView>>, Problem> {
    let campaign = match which.campaign {
        Some(campaign) => Some(campaigns::find(&app, &campaign).await?),
        None => None,
    };
    Ok(Json(Listed::all(indoubt::ls(&app, campaign, MOST).await?)))
}

/// Settles one send in doubt. It is not sent again.
#[utoipa::path(post, path = "/api/v1/sends/in-doubt/{send}/settle", tag = "sends", request_body = SettleBody,
    params(("send" = String, Path, description = "The send's id, such as 12.9981")),
    responses((status = 200, description = "Settled", body = Settled)))]
async fn settle(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(send): Path<String>,
    Json(body): Json<SettleBody>,
) -> Result<Json<Settled>, Problem> {
    indoubt::settle(&app, &caller.actor, &send, body.outcome, &body.reason).await?;
    Ok(Json(Settled { id: send, settled_as: body.outcome }))
}
