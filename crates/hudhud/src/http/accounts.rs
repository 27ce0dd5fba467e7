//! `/api/v1/accounts`.

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use engine::App;
use engine::accounts::{self, AccountView, NewAccount, SyncReport};
use secrecy::SecretString;
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
    OpenApiRouter::new()
        .routes(paths!(ls, add))
        .routes(paths!(sync_all))
        .routes(paths!(rotate))
        .routes(paths!(sync))
        .routes(paths!(begin_rotation, end_rotation))
}

/// A secret on its way in. Printed by nobody.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Password)]
pub(crate) struct SecretText(String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<SecretText> for SecretString {
    fn from(text: SecretText) -> Self {
        Self::from(text.0)
    }
}

/// An account to be stored.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccountBody {
    /// What to call it here. Unique.
    pub(crate) name: String,
    /// Meta's id of the WhatsApp Business Account.
    pub(crate) waba_id: String,
    /// The business portfolio, whose accounts share one messaging limit.
    #[serde(default)]
    pub(crate) portfolio: Option<String>,
    /// A system user's token.
    pub(crate) access_token: SecretText,
    /// The app's secret, which signs the webhooks.
    pub(crate) app_secret: SecretText,
    /// Answers the webhook's handshake.
    pub(crate) verify_token: SecretText,
}

/// A new access token.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateBody {
    /// Takes the old one's place at once.
    pub(crate) access_token: SecretText,
}

/// A new app secret.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretBody {
    /// Vouches for webhooks from now on, beside the old one.
    pub(crate) app_secret: SecretText,
}

/// Every account, without its secrets.
#[utoipa::path(get, path = "/api/v1/accounts", tag = "accounts",
    responses((status = 200, description = "The accounts", body = Listed<AccountView>)))]
async fn ls(State(app): State<Arc<App>>) -> Result<Json<Listed<AccountView>>, Problem> {
    Ok(Json(Listed::all(accounts::list(&app).await?)))
}

/// Stores an account; its secrets are sealed.
#[utoipa::path(post, path = "/api/v1/accounts", tag = "accounts", request_body = NewAccountBody,
    responses((status = 201, description = "The account", body = AccountView)))]
async fn add(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<NewAccountBody>,
) -> Result<(StatusCode, Json<AccountView>), Problem> {
    let new = NewAccount {
        name: body.name,
        waba_id: body.waba_id,
        portfolio: body.portfolio,
        access_token: body.access_token.into(),
        app_secret: body.app_secret.into(),
        verify_token: body.verify_token.into(),
    };
    let account = accounts::add(&app, new).await?;
    tracing::info!(actor = %caller.actor, account = %account.name, "account added");
    Ok((StatusCode::CREATED, Json(account)))
}

/// Puts a new access token in the old one's place.
#[utoipa::path(post, path = "/api/v1/accounts/{account}/rotate", tag = "accounts", request_body = RotateBody,
    params(("account" = String, Path, description = "The account's name")),
    responses((status = 200, description = "The account", body = AccountView)))]
async fn rotate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(account): Path<String>,
    Json(body): Json<RotateBody>,
) -> Result<Json<AccountView>, Problem> {
    let account = accounts::rotate(&app, &account, &body.access_token.into()).await?;
    tracing::info!(actor = %caller.actor, account = %account.name, "access token rotated");
    Ok(Json(account))
}

/// Begins to rotate the app secret: the new one vouches for webhooks beside the old one, of this account and of every
/// other with the same secret.
#[utoipa::path(post, path = "/api/v1/accounts/{account}/secret", tag = "accounts", request_body = SecretBody,
    params(("account" = String, Path, description = "The account's name")),
    responses((status = 200, description = "The account", body = AccountView)))]
async fn begin_rotation(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(account): Path<String>,
    Json(body): Json<SecretBody>,
) -> Result<Json<AccountView>, Problem> {
    let account = accounts::begin_rotation(&app, &account, &body.app_secret.into()).await?;
    tracing::info!(actor = %caller.actor, account = %account.name, "two app secrets vouch for webhooks");
    Ok(Json(account))
}

/// Ends that: the old app secret vouches for nothing any more.
#[utoipa::path(delete, path = "/api/v1/accounts/{account}/secret", tag = "accounts",
    params(("account" = String, Path, description = "The account's name")),
    responses((status = 200, description = "The account", body = AccountView)))]
async fn end_rotation(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(account): Path<String>,
) -> Result<Json<AccountView>, Problem> {
    let account = accounts::end_rotation(&app, &account).await?;
    tracing::info!(actor = %caller.actor, account = %account.name, "the old app secret is dropped");
    Ok(Json(account))
}

/// Reads business numbers and templates of every account from the Graph API.
#[utoipa::path(post, path = "/api/v1/accounts/sync", tag = "accounts",
    responses((status = 200, description = "What was read", body = SyncReport)))]
async fn sync_all(State(app): State<Arc<App>>) -> Result<Json<SyncReport>, Problem> {
    Ok(Json(accounts::sync(&app, None).await?))
}

/// Reads one account's business numbers and templates from the Graph API.
#[utoipa::path(post, path = "/api/v1/accounts/{account}/sync", tag = "accounts",
    params(("account" = String, Path, description = "The account's name")),
    responses((status = 200, description = "What was read", body = SyncReport)))]
async fn sync(State(app): State<Arc<App>>, Path(account): Path<String>) -> Result<Json<SyncReport>, Problem> {
    Ok(Json(accounts::sync(&app, Some(&account)).await?))
}
