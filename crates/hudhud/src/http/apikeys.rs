//! API keys: made, listed, revoked; and how a request that shows one is recognised.
//!
//! A key is 32 random bytes behind a prefix that secret scanners can look for. Only its SHA-256 is kept: with that much
//! randomness nothing slower is needed.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::views::iso;
use engine::{App, Fault};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::{Caller, Role, not_signed_in};
use super::extract::{Json, Path};
use super::idempotency::KeepInstead;
use super::page::Listed;
use super::problem::Problem;

const PREFIX: &str = "hudhud_";

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(ls, create)).routes(paths!(revoke))
}

/// A key to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKeyBody {
    /// Unique; stands in the ledger as `key:NAME`. 1 to 100 characters.
    pub(crate) name: String,
    /// What its holder may do.
    pub(crate) role: Role,
}

/// A key as it is kept: without the key itself.
#[derive(Debug, Serialize, ToSchema)]
struct KeyView {
    id: i64,
    name: String,
    role: String,
    created_by: String,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339, to the minute.
    last_used_at: Option<String>,
    /// RFC 3339. A revoked key opens nothing any more.
    revoked_at: Option<String>,
}

/// A key that was just made: the only time it is shown.
#[derive(Debug, Serialize, ToSchema)]
struct FreshKey {
    id: i64,
    name: String,
    role: Role,
    /// Send it as `Authorization: Bearer KEY`. It is not kept, and not shown again.
    key: Option<String>,
}

/// Every key, revoked ones too.
#[utoipa::path(get, path = "/api/v1/apikeys", tag = "apikeys",
    responses((status = 200, description = "The keys", body = Listed<KeyView>)))]
async fn ls(State(app): State<Arc<App>>) -> Result<Json<Listed<KeyView>>, Problem> {
    let keys = app.store.api_keys().await.map_err(Fault::from)?;
    let view = |key: store::ApiKey| KeyView {
        id: key.id,
        name: key.name,
        role: key.role,
        created_by: key.created_by,
        created_at: iso(key.created_at),
        last_used_at: key.last_used_at.map(iso),
        revoked_at: key.revoked_at.map(iso),
    };
    Ok(Json(Listed::all(keys.into_iter().map(view).collect())))
}

/// Makes a key, and shows it this once.
#[utoipa::path(post, path = "/api/v1/apikeys", tag = "apikeys", request_body = NewKeyBody,
    responses((status = 201, description = "The key", body = FreshKey)))]
async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(body): Json<NewKeyBody>,
) -> Result<Response, Problem> {
    let name = body.name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(Fault::invalid("A key's name is 1 to 100 characters, without control characters.").into());
    }
    let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(app.vault.random_bytes::<32>().map_err(Fault::from)?));
    let now = app.clock.now_ms();
    let id = match app.store.add_api_key(name, body.role.as_str(), &hash(&key), caller.actor.as_str(), now).await {
        Ok(id) => id,
        Err(store::Error::Conflict(_)) => {
            let fault = Fault::conflict(format!("A key named {name} was made before."));
            return Err(fault.action("Choose another name; names of revoked keys stay taken.").into());
        }
        Err(error) => return Err(Fault::from(error).into()),
    };
    tracing::info!(actor = %caller.actor, name, role = body.role.as_str(), "API key made");
    let mut fresh = FreshKey { id, name: name.to_owned(), role: body.role, key: Some(key) };
    let mut answer = (StatusCode::CREATED, axum::Json(&fresh)).into_response();
    // The answer may be kept to be given again, but the key must not lie in the database.
    fresh.key = None;
    let kept = serde_json::to_vec(&fresh).map_err(Fault::internal)?;
    answer.extensions_mut().insert(KeepInstead(kept.into()));
    Ok(answer)
}

/// Revokes a key. Requests that show it are refused from now on.
#[utoipa::path(delete, path = "/api/v1/apikeys/{name}", tag = "apikeys",
    params(("name" = String, Path, description = "The key's name")),
    responses((status = 204, description = "Revoked")))]
async fn revoke(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    if app.store.revoke_api_key(&name, app.clock.now_ms()).await.map_err(Fault::from)? {
        tracing::info!(actor = %caller.actor, name, "API key revoked");
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Fault::not_found(format!("There is no key named {name} that still opens anything.")).into())
}

/// Who shows the key in `Authorization`.
pub(super) async fn caller(app: &App, headers: &HeaderMap) -> Result<Caller, Problem> {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = shown.and_then(|shown| {
        let (scheme, key) = shown.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let key = key.ok_or_else(not_signed_in)?;
    let known = app.store.api_key_of_hash(&hash(key)).await.map_err(Fault::from)?;
    let known = known.ok_or_else(not_signed_in)?;
    let Some(role) = Role::named(&known.role) else {
        // A newer version's role, or a foreign hand: no role of ours is a safe guess.
        return Err(not_signed_in());
    };
    if let Err(error) = app.store.note_api_key_use(&known, app.clock.now_ms()).await {
        tracing::warn!(%error, key = %known.name, "the use of an API key was not noted");
    }
    Ok(Caller { actor: engine::Actor::key(&known.name), role, session: None })
}

fn hash(key: &str) -> [u8; 32] {
    digest(&SHA256, key.as_bytes()).as_ref().try_into().expect("a SHA-256 is 32 bytes")
}
