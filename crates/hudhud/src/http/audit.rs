//! `/api/v1/audit`: who did what; and how each row of it comes to be.
//!
//! Whatever changes something, or takes people's data out, is written down as its answer is known: who, which operation
//! of the API's description, the parameters of its path (never a person: those stand in bodies), the status, and where
//! it came from. Refusals by the table of permissions are written down too, and every attempt to sign in.

use std::collections::HashMap;
use std::sync::Arc;

use axum::RequestExt;
use axum::extract::{RawPathParams, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use engine::access::audit::{self, AuditView};
use engine::{Actor, App, Fault};
use serde::Deserialize;
use store::{AuditFilter, NewAudit};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::Api;
use super::access::Caller;
use super::extract::{Json, Query};
use super::idempotency::REPLAYED;
use super::page::{Listed, Page};
use super::problem::Problem;
use super::routes;
use super::surround::{Address, RequestId};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(paths!(ls))
}

/// Names of operations, by method and path.
pub(super) type Operations = HashMap<(Method, String), String>;

/// Who did it, where only the handler knows: put into its answer.
#[derive(Clone, Debug)]
pub(super) struct AuditAs(pub(super) Actor);

/// Which rows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only this actor's: `cli:amr`, `key:ci`, `user:mona@example.com`.
    actor: Option<String>,
    /// Only this operation, by its name in this description, such as `campaigns_launch`.
    action: Option<String>,
    /// Not before this time (RFC 3339).
    since: Option<String>,
}

/// Who did what through the API, and every sign-in, the newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(Which, Page),
    responses((status = 200, description = "A page of it", body = Listed<AuditView>)))]
async fn ls(
    State(app): State<Arc<App>>,
    Query(which): Query<Which>,
    Query(page): Query<Page>,
) -> Result<Json<Listed<AuditView>>, Problem> {
    let since = which.since.as_deref().map(domain::schedule::parse_at).transpose();
    let since = since.map_err(|error| Fault::invalid(format!("since: {error}.")))?;
    let (before, limit) = page.read()?;
    let filter = AuditFilter { actor: which.actor.as_deref(), action: which.action.as_deref(), since, before };
    let rows = audit::ls(&app, &filter, limit).await?;
    Ok(Json(Listed::page(rows, limit, |row| row.id.to_string())))
}

/// Lets a request through, and writes down what came of it.
pub(super) async fn keep(
    app: &App,
    operations: &Operations,
    path: &str,
    caller: Option<&Caller>,
    mut request: Request,
    proceed: Result<Next, Problem>,
) -> Response {
    use axum::response::IntoResponse;

    if !routes::is_audited(request.method(), path) {
        return match proceed {
            Ok(next) => next.run(request).await,
            Err(problem) => problem.into_response(),
        };
    }
    let method = request.method().clone();
    let RequestId(request_id) = request.extensions().get::<RequestId>().cloned().unwrap_or_default();
    let Address(address) = request.extensions().get::<Address>().cloned().unwrap_or_default();
    let target = match request.extract_parts::<RawPathParams>().await {
        Ok(params) => params.iter().map(|(_, value)| value).collect::<Vec<_>>().join("/"),
        Err(_) => String::new(),
    };
    let answer = match proceed {
        Ok(next) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if answer.headers().contains_key(REPLAYED) {
        return answer;
    }
    let told = answer.extensions().get::<AuditAs>().map(|AuditAs(actor)| actor);
    let action = operations.get(&(method, path.to_owned()));
    let target: String = target.chars().filter(|c| !c.is_control()).take(200).collect();
    let row = NewAudit {
        at: app.clock.now_ms(),
        actor: told.or(caller.map(|caller| &caller.actor)).map_or("nobody", Actor::as_str),
        action: action.map_or(path, String::as_str),
        target: &target,
        status: i64::from(answer.status().as_u16()),
        address: &address,
        request_id: &request_id,
    };
    if let Err(error) = app.store.add_audit(&row).await {
        // What was done is done, and what counts of it stands in the ledger; the log has the rest.
        tracing::error!(%error, actor = row.actor, action = row.action, status = row.status, "not in the audit log");
    }
    answer
}
