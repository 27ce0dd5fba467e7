//! `/api/v1/me`: who is asking. The console shows each role its own pages by this, so that the table of permissions
//! stands in one place.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::{Caller, Permission, Role};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(me))
}

/// Who is asking, and what they may do.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    /// Their name in the ledger: `cli:amr`, `key:ci`.
    actor: String,
    /// What they are.
    role: Role,
    /// What that role may do.
    permissions: Vec<Permission>,
}

/// Who is asking, and what they may do.
#[utoipa::path(get, path = "/api/v1/me", tag = "me",
    responses((status = 200, description = "The caller", body = Me)))]
async fn me(caller: Caller) -> Json<Me> {
    let permissions = Permission::ALL.into_iter().filter(|permission| caller.role.may(*permission)).collect();
    Json(Me { actor: caller.actor.0, role: caller.role, permissions })
}
