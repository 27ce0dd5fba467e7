//! `/api/v1/sends`: those in doubt.

use std::sync::Arc;

use axum::extract::State;
use engine::App;
use engine::indoubt::{self, DoubtView, Verdict};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::{Json, Path, Query};
use super::page::{Listed, Page};
use super::problem::Problem;

/// The page of a caller who asks for none in particular.
const PAGE: u32 = 1_000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(in_doubt)).routes(paths!(settle_all)).routes(paths!(settle))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those of this campaign, by name or id.
    campaign: Option<String>,
    /// Only those of this business number, by Meta's id.
    number: Option<String>,
    /// Only those that were claimed longer ago: seconds, or a whole number with s, m, h or d, such as 2h.
    older_than: Option<String>,
}

impl Which {
    fn read(self) -> Result<indoubt::Which, Problem> {
        let older_than = self.older_than.as_deref().map(indoubt::parse_age).transpose()?;
        Ok(indoubt::Which { campaign: self.campaign, number: self.number, older_than })
    }
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

/// What became of many sends, by a person's evidence.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettleAllBody {
    /// What became of them.
    #[serde(rename = "as")]
    pub(crate) outcome: Verdict,
    /// How you know. Kept in the ledger, with each of them.
    pub(crate) reason: String,
    /// Only those of this campaign, by name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) campaign: Option<String>,
    /// Only those of this business number, by Meta's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) number: Option<String>,
    /// Only those that were claimed longer ago: seconds, or a whole number with s, m, h or d, such as 2h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) older_than: Option<String>,
    /// Needed for more than 100 sends where neither campaign, number nor age chooses.
    #[serde(default)]
    pub(crate) yes: bool,
}

/// How many were settled.
#[derive(Debug, Serialize, ToSchema)]
struct SettledAll {
    /// Those that this request settled; a webhook may have been quicker with others.
    settled: usize,
    /// As what.
    settled_as: Verdict,
}

/// Sends that may or may not have gone, oldest first: 1,000 a page where `limit` says nothing.
#[utoipa::path(get, path = "/api/v1/sends/in-doubt", tag = "sends", params(Which, Page),
    responses((status = 200, description = "A page of them", body = Listed<DoubtView>)))]
async fn in_doubt(
    State(app): State<Arc<App>>,
    Query(which): Query<Which>,
    Query(page): Query<Page>,
) -> Result<Json<Listed<DoubtView>>, Problem> {
    let (after, limit) = page.read_or(PAGE)?;
    let sends = indoubt::ls(&app, &which.read()?, after, limit).await?;
    Ok(Json(Listed::page(sends, limit, |send| send.cursor().to_string())))
}

/// Settles all sends in doubt of a choice. None of them is sent again.
#[utoipa::path(post, path = "/api/v1/sends/in-doubt/settle", tag = "sends", request_body = SettleAllBody,
    responses((status = 200, description = "Settled", body = SettledAll)))]
async fn settle_all(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<SettleAllBody>,
) -> Result<Json<SettledAll>, Problem> {
    let which = Which { campaign: body.campaign, number: body.number, older_than: body.older_than }.read()?;
    let settled = indoubt::settle_all(&app, &caller.actor, &which, body.outcome, &body.reason, body.yes).await?;
    Ok(Json(SettledAll { settled, settled_as: body.outcome }))
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
