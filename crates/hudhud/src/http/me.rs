//! `/api/v1/me`: who is asking, and `/api/v1/roles`: what each role may. The console shows each role its own pages by
//! these, so that the table of permissions stands in one place.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::{Caller, Permission, Role};
use super::page::Listed;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(me)).routes(paths!(roles))
}

/// Who is asking, and what they may do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    /// Their name in the ledger: `cli:amr`, `key:ci`, `user:mona@example.com`.
    actor: String,
    /// What they want to be called, where they are a user.
    name: Option<String>,
    /// What they are.
    role: Role,
    /// What that role may do.
    permissions: Vec<Permission>,
}

impl Me {
    pub(super) fn of(caller: Caller) -> Self {
        let name = caller.session.as_ref().map(|session| session.name.clone()).filter(|name| !name.is_empty());
        Self { name, actor: caller.actor.0, role: caller.role, permissions: permissions(caller.role) }
    }
}

/// A role, and what it may do.
#[derive(Debug, Serialize, ToSchema)]
struct RoleView {
    role: Role,
    permissions: Vec<Permission>,
}

fn permissions(role: Role) -> Vec<Permission> {
    Permission::ALL.into_iter().filter(|permission| role.may(*permission)).collect()
}

/// Who is asking, and what they may do.
#[utoipa::path(get, path = "/api/v1/me", tag = "me",
    responses((status = 200, description = "The caller", body = Me)))]
async fn me(caller: Caller) -> Json<Me> {
    Json(Me::of(caller))
}

/// The table of who may do what.
#[utoipa::path(get, path = "/api/v1/roles", tag = "roles",
    responses((status = 200, description = "Every role", body = Listed<RoleView>)))]
async fn roles() -> Json<Listed<RoleView>> {
    let view = |role: Role| RoleView { role, permissions: permissions(role) };
    Json(Listed::all(Role::ALL.into_iter().map(view).collect()))
}
