//! `/api/v1/messages`: one message to one person, ahead of bulk; a campaign's message on trial; and what people write to
//! us, with answers to it. People are named in bodies, never in a path or query.

use std::sync::Arc;

use axum::extract::State;
use engine::App;
use engine::campaigns::{self, ListedMessageView, MessageOrder, MessageView, ReplyOrder, TestOrder};
use engine::inbound::{self, InboundQuery, InboundView, WindowOrder, WindowsView};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::{Json, Path, Query};
use super::page::{Listed, Page};
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(paths!(ls, send))
        .routes(paths!(show))
        .routes(paths!(test))
        .routes(paths!(inbound))
        .routes(paths!(reply))
        .routes(paths!(answered))
        .routes(paths!(window))
}

/// The messages that were asked for, newest first: how each stands, and not to whom it goes.
#[utoipa::path(get, path = "/api/v1/messages", tag = "messages", params(Page),
    responses((status = 200, description = "A page of them", body = Listed<ListedMessageView>)))]
async fn ls(State(app): State<Arc<App>>, Query(page): Query<Page>) -> Result<Json<Listed<ListedMessageView>>, Problem> {
    let (before, limit) = page.read()?;
    let messages = campaigns::messages(&app, before, limit).await?;
    Ok(Json(Listed::page(messages, limit, |listed| listed.message.id.to_string())))
}

/// Sends one message. Whoever asks again with the same key gets the message as it stands, and no second one is sent.
#[utoipa::path(post, path = "/api/v1/messages", tag = "messages", request_body = MessageOrder,
    responses((status = 200, description = "The message as it stands", body = MessageView)))]
async fn send(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<MessageOrder>,
) -> Result<Json<MessageView>, Problem> {
    Ok(Json(campaigns::send_message(&app, &caller.actor, &body).await?))
}

/// How a message stands.
#[utoipa::path(get, path = "/api/v1/messages/{key}", tag = "messages",
    params(("key" = String, Path, description = "The key that it was asked for with")),
    responses((status = 200, description = "The message as it stands", body = MessageView)))]
async fn show(State(app): State<Arc<App>>, Path(key): Path<String>) -> Result<Json<MessageView>, Problem> {
    Ok(Json(campaigns::message(&app, &key).await?))
}

/// Sends a campaign's message to a number of the house, through the lane that it would take. The campaign does not count it.
#[utoipa::path(post, path = "/api/v1/campaigns/{campaign}/test", tag = "campaigns", request_body = TestOrder,
    params(("campaign" = String, Path, description = "Name or id")),
    responses((status = 200, description = "The message as it stands", body = MessageView)))]
async fn test(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(campaign): Path<String>,
    Json(body): Json<TestOrder>,
) -> Result<Json<MessageView>, Problem> {
    let id = campaigns::find(&app, &campaign).await?;
    Ok(Json(campaigns::try_out(&app, &caller.actor, id, &body).await?))
}

/// Which messages.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Answers to this campaign: its name or id.
    campaign: Option<String>,
    /// To this business number: Meta's id of it.
    number: Option<String>,
    /// Of this person: our id. `POST /api/v1/messages/window` tells it.
    contact_id: Option<i64>,
}

/// What people wrote to us, newest first. The look is recorded.
#[utoipa::path(get, path = "/api/v1/messages/inbound", tag = "messages", params(Which, Page),
    responses((status = 200, description = "A page of it", body = Listed<InboundView>)))]
async fn inbound(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(which): Query<Which>,
    Query(page): Query<Page>,
) -> Result<Json<Listed<InboundView>>, Problem> {
    let (before, limit) = page.read()?;
    let query = InboundQuery { campaign: which.campaign, number: which.number, contact_id: which.contact_id };
    let rows = inbound::ls(&app, &caller.actor, &query, before, limit).await?;
    Ok(Json(Listed::page(rows, limit, |row| row.id.to_string())))
}

/// Answers one person in free text, for 24 hours after they wrote to that business number. Whoever asks again with the same
/// key gets the message as it stands, and no second one is sent.
#[utoipa::path(post, path = "/api/v1/messages/reply", tag = "messages", request_body = ReplyOrder,
    responses((status = 200, description = "The message as it stands", body = MessageView)))]
async fn reply(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<ReplyOrder>,
) -> Result<Json<MessageView>, Problem> {
    Ok(Json(campaigns::send_reply(&app, &caller.actor, &body).await?))
}

/// How an answer in free text stands.
#[utoipa::path(get, path = "/api/v1/messages/reply/{key}", tag = "messages",
    params(("key" = String, Path, description = "The key that it was asked for with")),
    responses((status = 200, description = "The message as it stands", body = MessageView)))]
async fn answered(State(app): State<Arc<App>>, Path(key): Path<String>) -> Result<Json<MessageView>, Problem> {
    Ok(Json(campaigns::answered(&app, &key).await?))
}

/// Until when a person may be answered in free text, by business number. The look is recorded.
#[utoipa::path(post, path = "/api/v1/messages/window", tag = "messages", request_body = WindowOrder,
    responses((status = 200, description = "Their windows", body = WindowsView)))]
async fn window(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<WindowOrder>,
) -> Result<Json<WindowsView>, Problem> {
    Ok(Json(inbound::windows(&app, &caller.actor, &body).await?))
}
