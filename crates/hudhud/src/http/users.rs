//! `/api/v1/users`: who may sign in. Users are named by their ids in paths, since addresses do not belong in logs.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use engine::access::users::{self, FreshLink, UserView};
use engine::views::iso;
use engine::{App, Fault};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::{Caller, Role};
use super::extract::{Json, Path, Query};
use super::idempotency::KeepInstead;
use super::page::{Listed, Page};
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(paths!(ls, invite))
        .routes(paths!(first_link))
        .routes(paths!(link))
        .routes(paths!(set_role))
        .routes(paths!(remove))
}

/// A user to be invited.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUserBody {
    /// Their address; nothing is sent there.
    pub(crate) email: String,
    /// What they may do.
    pub(crate) role: Role,
}

/// Another role.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleBody {
    /// What they may do from now on.
    pub(crate) role: Role,
}

/// A user with the link by which they choose a password and a second factor.
#[derive(Debug, Serialize, ToSchema)]
struct Invited {
    user: UserView,
    /// The page of the console that the link opens, with its token; shown this once. Send it to them by a way that you
    /// trust: whoever opens it first is that user.
    link: Option<String>,
    /// RFC 3339.
    expires_at: String,
}

/// The link that makes the first user.
#[derive(Debug, Serialize, ToSchema)]
struct FirstLink {
    /// The page of the console that it opens, with its token; shown this once.
    link: Option<String>,
    /// RFC 3339.
    expires_at: String,
}

/// The page that follows a link. What stands after the `#` is sent to no server, and so ends in no log.
pub(crate) fn welcome_page(link: &FreshLink) -> String {
    format!("/welcome#{}", link.token)
}

/// The page that signs in by a link.
pub(crate) fn enter_page(link: &FreshLink) -> String {
    format!("/enter#{}", link.token)
}

fn invited(status: StatusCode, user: UserView, link: &FreshLink) -> Result<Response, Problem> {
    let mut body = Invited { user, link: Some(welcome_page(link)), expires_at: iso(link.expires_at) };
    let mut answer = (status, axum::Json(&body)).into_response();
    // The answer may be kept to be given again, but the link must not lie in the database.
    body.link = None;
    answer.extensions_mut().insert(KeepInstead(serde_json::to_vec(&body).map_err(Fault::internal)?.into()));
    Ok(answer)
}

/// The users, by the order in which they were added.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(Page),
    responses((status = 200, description = "A page of them", body = Listed<UserView>)))]
async fn ls(State(app): State<Arc<App>>, Query(page): Query<Page>) -> Result<Json<Listed<UserView>>, Problem> {
    let (after, limit) = page.read()?;
    let users = users::ls(&app, after, limit).await?;
    Ok(Json(Listed::page(users, limit, |user| user.id.to_string())))
}

/// Invites a user: they choose a password and a second factor by the link in the answer.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = NewUserBody,
    responses((status = 201, description = "Invited", body = Invited)))]
async fn invite(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<NewUserBody>,
) -> Result<Response, Problem> {
    let (user, link) = users::invite(&app, &caller.actor, &body.email, body.role.as_str()).await?;
    invited(StatusCode::CREATED, user, &link)
}

/// The link that makes the first user, while nobody can sign in. Earlier ones open nothing any more.
#[utoipa::path(post, path = "/api/v1/users/first-link", tag = "users",
    responses((status = 201, description = "The link", body = FirstLink)))]
async fn first_link(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Problem> {
    let Some(link) = users::first_link(&app, &caller.actor).await? else {
        let fault = Fault::wrong_state("Somebody can sign in already.");
        return Err(fault.action("Invite others, or give a user a new link.").into());
    };
    let mut body = FirstLink { link: Some(welcome_page(&link)), expires_at: iso(link.expires_at) };
    let mut answer = (StatusCode::CREATED, axum::Json(&body)).into_response();
    body.link = None;
    answer.extensions_mut().insert(KeepInstead(serde_json::to_vec(&body).map_err(Fault::internal)?.into()));
    Ok(answer)
}

/// A new link for a user who lost theirs, their password or their authenticator. What they have opens until they
/// follow it.
#[utoipa::path(post, path = "/api/v1/users/{user}/link", tag = "users",
    params(("user" = i64, Path, description = "Their id")),
    responses((status = 201, description = "The link", body = Invited)))]
async fn link(State(app): State<Arc<App>>, caller: Caller, Path(user): Path<i64>) -> Result<Response, Problem> {
    let (user, link) = users::relink(&app, &caller.actor, user).await?;
    invited(StatusCode::CREATED, user, &link)
}

/// Gives a user another role, in force from their next request on.
#[utoipa::path(post, path = "/api/v1/users/{user}/role", tag = "users", request_body = RoleBody,
    params(("user" = i64, Path, description = "Their id")),
    responses((status = 200, description = "Changed", body = UserView)))]
async fn set_role(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(user): Path<i64>,
    Json(body): Json<RoleBody>,
) -> Result<Json<UserView>, Problem> {
    Ok(Json(users::set_role(&app, &caller.actor, user, body.role.as_str()).await?))
}

/// Removes a user. Their sessions are over.
#[utoipa::path(delete, path = "/api/v1/users/{user}", tag = "users",
    params(("user" = i64, Path, description = "Their id")),
    responses((status = 204, description = "Removed")))]
async fn remove(State(app): State<Arc<App>>, caller: Caller, Path(user): Path<i64>) -> Result<StatusCode, Problem> {
    users::remove(&app, &caller.actor, user).await?;
    Ok(StatusCode::NO_CONTENT)
}
