//! `/api/v1/campaigns`. A campaign is named by its name or its id.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::delete;
use bytes::Bytes;
use engine::campaigns::{
    self, ApprovalView, CampaignReport, CampaignView, CloneOrder, Comparison, LaunchOrder, NewCampaign, Preflight,
};
use engine::{App, Fault};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::{Json, Path, Query};
use super::page::{Listed, Page};
use super::problem::Problem;

/// What an export holds in memory at once.
const CHUNK: usize = 64 * 1024;

pub(super) fn routes() -> OpenApiRouter<Api> {
    // A draft may be called "compare", too, and is removed by that name.
    let named_compare =
        delete(async |app: State<Arc<App>>, caller: Caller| discard(app, caller, Path("compare".to_owned())).await);
    OpenApiRouter::new()
        .routes(paths!(ls, create))
        .routes(paths!(show, discard))
        .routes(paths!(preflight))
        .routes(paths!(launch))
        .routes(paths!(approve))
        .routes(paths!(pause))
        .routes(paths!(resume))
        .routes(paths!(cancel))
        .routes(paths!(rate))
        .routes(paths!(clone))
        .routes(paths!(retry_failed))
        .routes(paths!(export))
        .routes(paths!(report))
        .routes(paths!(compare))
        .route("/api/v1/campaigns/compare", named_compare)
}

/// Why something is stopped.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReasonBody {
    /// Shown to everybody who asks why nothing is sent.
    pub(crate) reason: String,
}

/// Why a campaign is paused, if there is more to say than who did it.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PauseBody {
    /// Shown with the campaign.
    #[serde(default)]
    reason: Option<String>,
}

/// A campaign's own cap.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CampaignRate {
    /// Messages in any sliding second over all its numbers; `null`: no cap of its own. To be said either way.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    pub(crate) rate: Option<u32>,
}

/// What a campaign may wait for.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Awaiting {
    /// A second person's approval, as its last check found.
    Approval,
}

/// Which campaigns.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CampaignFilter {
    /// Only those that wait for this.
    #[param(inline)]
    awaiting: Option<Awaiting>,
}

/// Campaigns, newest first.
#[utoipa::path(get, path = "/api/v1/campaigns", tag = "campaigns", params(Page, CampaignFilter),
    responses((status = 200, description = "A page of them", body = Listed<CampaignView>)))]
async fn ls(
    State(app): State<Arc<App>>,
    Query(page): Query<Page>,
    Query(filter): Query<CampaignFilter>,
) -> Result<Json<Listed<CampaignView>>, Problem> {
    let (before, limit) = page.read()?;
    let campaigns = match filter.awaiting {
        Some(Awaiting::Approval) => campaigns::awaiting_approval(&app, before, limit).await?,
        None => campaigns::ls(&app, before, limit).await?,
    };
    Ok(Json(Listed::page(campaigns, limit, |campaign| campaign.id.to_string())))
}

/// Drafts a campaign. Nothing is sent.
#[utoipa::path(post, path = "/api/v1/campaigns", tag = "campaigns", request_body = NewCampaign,
    responses((status = 201, description = "The draft", body = CampaignView)))]
async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<NewCampaign>,
) -> Result<(StatusCode, Json<CampaignView>), Problem> {
    let campaign = campaigns::create(&app, &caller.actor, &body).await?;
    Ok((StatusCode::CREATED, Json(campaign)))
}

/// Where a campaign stands.
#[utoipa::path(get, path = "/api/v1/campaigns/{campaign}", tag = "campaigns",
    params(("campaign" = String, Path, description = "Name or id")),
    responses((status = 200, description = "The campaign", body = CampaignView)))]
async fn show(State(app): State<Arc<App>>, Path(campaign): Path<String>) -> Result<Json<CampaignView>, Problem> {
    let id = campaigns::find(&app, &campaign).await?;
    Ok(Json(campaigns::show(&app, id).await?))
}

/// Removes a draft, so that its name is free again. A campaign that was launched or scheduled stays for the record.
#[utoipa::path(delete, path = "/api/v1/campaigns/{campaign}", tag = "campaigns",
    params(("campaign" = String, Path, description = "Name or id")),
    responses((status = 204, description = "Removed")))]
async fn discard(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(campaign): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = campaigns::find(&app, &campaign).await?;
    campaigns::discard(&app, id).await?;
    tracing::info!(actor = %caller.actor, campaign_id = id, "draft removed");
    Ok(StatusCode::NO_CONTENT)
}

/// What a launch would do, and what stands against it. Changes nothing.
#[utoipa::path(post, path = "/api/v1/campaigns/{campaign}/preflight", tag = "campaigns",
    params(("campaign" = String, Path, description = "Name or id")),
    responses((status = 200, description = "The verdict", body = Preflight)))]
async fn preflight(State(app): State<Arc<App>>, Path(campaign): Path<String>) -> Result<Json<Preflight>, Problem> {
    let id = campaigns::find(&app, &campaign).await?;
    Ok(Json(campaigns::preflight(&app, id).await?))
}

/// Freezes the audience and begins to send, or schedules the campaign for its time.
#[utoipa::path(post, path = "/api/v1/campaigns/{campaign}/launch", tag = "campaigns", request_body = LaunchOrder,
    params(("campaign" = String, Path, description = "Name or id")),
    responses((status = 200, description = "The campaign", body = CampaignView)))]
async fn launch(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(campaign): Path<String>,
    Json(order): Json<LaunchOrder>,
) -> Result<Json<CampaignView>, Problem> {
    let id = campaigns::find(&app, &campaign).await?;
    Ok(Json(campaigns::launch(&app, &caller.actor, id, &order).await?))
}

/// Approves a campaign exactly as it is now. Somebody else launches it; an edit, or another audience, voids the approval.
#[utoipa::path(post, path = "/api/v1/campaigns/{campaign}/approve", tag = "campaigns",
    params(("campaign" = String, Path, description = "Name or id")),
    responses((status = 200, description = "The approval", body = ApprovalView)))]
async fn approve(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(campaign): Path<String>,
) -> Result<Json<ApprovalView>, Problem> {
    let id = campaigns::find(&app, &campaign).await?;
    Ok(Json(campaigns::approve(&app, &caller.actor, id).await?))
}

/// Sends nothing more for now.
#[utoipa::path(post, path = "/api/v1/campaigns/{campaign}/pause", tag = "campaigns", request_body = PauseBody,
    params(("campaign" = String, Path, description = "Name or id")),
    responses((status = 200, description = "The campaign", body = CampaignView)))]
async fn pause(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(campaign): Path<String>,
    Json(body): Json<PauseBody>,
) -> Result<Json<CampaignView>, Problem> {
    let id = campaigns::find(&app, &campaign).await?;
    Ok(Json(campaigns::pause(&app, &caller.actor, id, body.reason.as_deref()).await?))
}

/// Goes on sending.
#[utoipa::path(post, path = "/api/v1/campaigns/{campaign}/resume", tag = "campaigns",
    params(("campaign" = String, Path, description = "Name or id")),
    responses((status = 200, description = "The campaign", body = CampaignView)))]
async fn resume(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(campaign): Path<String>,
) -> Result<Json<CampaignView>, Problem> {
    let id = campaigns::find(&app, &campaign).await?;
    Ok(Json(campaigns::resume(&app, &caller.actor, id).await?))
}

/// Ends a campaign: whatever has not gone will not go.
#[utoipa::path(post, path = "/api/v1/campaigns/{campaign}/cancel", tag = "campaigns",
    params(("campaign" = String, Path, description = "Name or id")),
    responses((status = 200, description = "The campaign", body = CampaignView)))]
async fn cancel(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(campaign): Path<String>,
) -> Result<Json<CampaignView>, Problem> {
    let id = campaigns::find(&app, &campaign).await?;
    Ok(Json(campaigns::cancel(&app, &caller.actor, id).await?))
}

/// Gives a campaign another cap, also while it runs. Takes effect within a second.
#[utoipa::path(post, path = "/api/v1/campaigns/{campaign}/rate", tag = "campaigns", request_body = CampaignRate,
    params(("campaign" = String, Path, description = "Name or id")),
    responses((status = 200, description = "The campaign", body = CampaignView)))]
async fn rate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(campaign): Path<String>,
    Json(body): Json<CampaignRate>,
) -> Result<Json<CampaignView>, Problem> {
    let id = campaigns::find(&app, &campaign).await?;
    Ok(Json(campaigns::set_rate(&app, &caller.actor, id, body.rate).await?))
}

/// Drafts a copy under another name.
#[utoipa::path(post, path = "/api/v1/campaigns/{campaign}/clone", tag = "campaigns", request_body = CloneOrder,
    params(("campaign" = String, Path, description = "Name or id")),
    responses((status = 201, description = "The draft", body = CampaignView)))]
async fn clone(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(campaign): Path<String>,
    Json(order): Json<CloneOrder>,
) -> Result<(StatusCode, Json<CampaignView>), Problem> {
    let id = campaigns::find(&app, &campaign).await?;
    Ok((StatusCode::CREATED, Json(campaigns::clone(&app, &caller.actor, id, &order).await?)))
}

/// Which of the failed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WhichFailed {
    /// Only those who failed for this reason: a key of the campaign's `failed_by_code`.
    code: Option<String>,
}

/// Drafts a campaign for those whose message failed, as a child of this one. The skipped are not among them.
#[utoipa::path(post, path = "/api/v1/campaigns/{campaign}/retry-failed", tag = "campaigns",
    params(("campaign" = String, Path, description = "Name or id"), WhichFailed),
    responses((status = 201, description = "The draft", body = CampaignView)))]
async fn retry_failed(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(campaign): Path<String>,
    Query(WhichFailed { code }): Query<WhichFailed>,
) -> Result<(StatusCode, Json<CampaignView>), Problem> {
    let id = campaigns::find(&app, &campaign).await?;
    let draft = campaigns::retry_failed(&app, &caller.actor, id, code.as_deref()).await?;
    Ok((StatusCode::CREATED, Json(draft)))
}

/// Every recipient and their state, as CSV. An answer that breaks off is not a whole export.
#[utoipa::path(get, path = "/api/v1/campaigns/{campaign}/export", tag = "campaigns",
    params(("campaign" = String, Path, description = "Name or id")),
    responses((status = 200, description = "CSV", body = String, content_type = "text/csv")))]
async fn export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(campaign): Path<String>,
) -> Result<Response, Problem> {
    let id = campaigns::find(&app, &campaign).await?;
    tracing::info!(actor = %caller.actor, campaign_id = id, "campaign exported");
    let (reader, mut writer) = tokio::io::duplex(CHUNK);
    let writing = tokio::spawn(async move { campaigns::export(&app, id, &mut writer).await });
    // The end of the pipe alone would not tell a whole export from half of one.
    let end = stream::once(async move {
        match writing.await {
            Ok(Ok(_)) => Ok(Bytes::new()),
            Ok(Err(fault)) => Err(broken_off(fault)),
            Err(panicked) => Err(broken_off(Fault::internal(panicked))),
        }
    });
    let body = Body::from_stream(ReaderStream::with_capacity(reader, CHUNK).chain(end));
    let name = format!("attachment; filename=\"campaign-{id}.csv\"");
    let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, body).into_response())
}

/// What a campaign came to: its funnel, failures, cost, hours, countries and buttons.
///
/// The sums are kept, and renewed behind the answer where the campaign has moved; `counted_at` says as of when they are.
#[utoipa::path(get, path = "/api/v1/campaigns/{campaign}/report", tag = "campaigns",
    params(("campaign" = String, Path, description = "Name or id")),
    responses((status = 200, description = "The report", body = CampaignReport)))]
async fn report(State(app): State<Arc<App>>, Path(campaign): Path<String>) -> Result<Json<CampaignReport>, Problem> {
    let id = campaigns::find(&app, &campaign).await?;
    Ok(Json(campaigns::report(&app, id).await?))
}

/// Which campaigns.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WhichCampaigns {
    /// Two to six of them, by id, with commas between.
    campaigns: String,
}

/// Campaigns side by side: the same rates of each, with the counts that they are shares of.
#[utoipa::path(get, path = "/api/v1/campaigns/compare", tag = "campaigns", params(WhichCampaigns),
    responses((status = 200, description = "Each of them", body = Comparison)))]
async fn compare(
    State(app): State<Arc<App>>,
    Query(WhichCampaigns { campaigns }): Query<WhichCampaigns>,
) -> Result<Json<Comparison>, Problem> {
    let names: Vec<String> =
        campaigns.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect();
    Ok(Json(campaigns::compare(&app, &names).await?))
}

fn broken_off(fault: Fault) -> std::io::Error {
    // The status was sent already: logging and breaking off is all that is left.
    tracing::error!(%fault, "an export broke off");
    std::io::Error::other(fault)
}
