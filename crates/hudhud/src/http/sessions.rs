//! `/api/v1/sessions`: signing in and out, the links that open once, and what a user may change of their own.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::access::enrol::{self, Chosen, LinkView};
use engine::access::sessions::{self, Attempt, Opened, Origin, SessionView, SignIn};
use engine::{Actor, App, Fault};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use super::access::{Caller, Role};
use super::audit::AuditAs;
use super::extract::Json;
use super::idempotency::KeepInstead;
use super::me::Me;
use super::page::Listed;
use super::problem::{Kind, Problem};
use super::surround::Address;
use super::{Api, session};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(paths!(sign_in, ls, sign_out_everywhere))
        .routes(paths!(sign_out))
        .routes(paths!(look))
        .routes(paths!(welcome))
        .routes(paths!(enter))
        .routes(paths!(change_password))
        .routes(paths!(renew_recovery_codes))
}

/// What somebody signs in with: all three at once, so that a refusal tells of none.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignInBody {
    /// The user's address.
    email: String,
    /// Their password.
    password: String,
    /// The six digits that their authenticator shows, or a recovery code.
    code: String,
}

/// A link that opens once.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LinkBody {
    /// The part of the link after its `#`.
    token: String,
}

/// What somebody chose as they followed their link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WelcomeBody {
    /// The part of the link after its `#`.
    token: String,
    /// The first user's address; other links know theirs.
    email: Option<String>,
    /// What they want to be called: 1 to 100 characters.
    name: String,
    /// 12 to 256 characters, not easily guessed.
    password: String,
    /// The six digits that their authenticator shows.
    code: String,
}

/// Who came in, and the recovery codes, which are shown this once.
#[derive(Debug, Serialize, ToSchema)]
struct Welcome {
    me: Me,
    /// Each opens once, in place of the authenticator's six digits.
    recovery_codes: Vec<String>,
}

/// A proof of who asks, and their new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    /// The present password.
    password: String,
    /// The six digits that the authenticator shows, or a recovery code.
    code: String,
    /// The new password: 12 to 256 characters, not easily guessed.
    new_password: String,
}

/// A proof of who asks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProofBody {
    /// The password.
    password: String,
    /// The six digits that the authenticator shows, or a recovery code.
    code: String,
}

/// Recovery codes, which are shown this once.
#[derive(Debug, Serialize, ToSchema)]
struct RecoveryCodes {
    /// Each opens once, in place of the authenticator's six digits. The old ones open nothing any more.
    recovery_codes: Option<Vec<String>>,
}

fn agent(headers: &HeaderMap) -> &str {
    headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default()
}

/// Who is in, and the cookie that keeps it so.
async fn opened(
    app: &App,
    headers: &HeaderMap,
    opened: &Opened,
) -> Result<(Me, [(header::HeaderName, header::HeaderValue); 1]), Problem> {
    let session = sessions::find(app, &opened.token).await?.ok_or_else(super::access::not_signed_in)?;
    let role = Role::named(&session.role).ok_or_else(super::access::not_signed_in)?;
    let cookie = session::cookie(headers, &opened.token)?;
    let caller = Caller { actor: Actor::user(&opened.email), role, session: Some(Arc::new(session)) };
    Ok((Me::of(caller), [(header::SET_COOKIE, cookie)]))
}

/// Signs in. The session is in a cookie, for browsers; programs use API keys.
#[utoipa::path(post, path = "/api/v1/sessions", tag = "sessions", request_body = SignInBody,
    responses((status = 200, description = "Who came in", body = Me)))]
async fn sign_in(
    State(app): State<Arc<App>>,
    Address(address): Address,
    headers: HeaderMap,
    Json(body): Json<SignInBody>,
) -> Result<Response, Problem> {
    // Refused before anything is looked at, where the cookie would travel in the clear.
    session::cookie(&headers, "")?;
    let from = Origin { address: &address, agent: agent(&headers) };
    let attempt = Attempt { email: &body.email, password: &body.password, code: &body.code };
    match sessions::sign_in(&app, &attempt, from).await? {
        SignIn::Opened(session) => {
            let audit = AuditAs(Actor::user(&session.email));
            let (me, cookie) = opened(&app, &headers, &session).await?;
            Ok((axum::Extension(audit), cookie, Json(me)).into_response())
        }
        SignIn::Refused(known) => {
            // Whoever misses the field may have typed the password into it: only a user's address is written down.
            let audit = AuditAs(known.map_or_else(|| Actor("nobody".to_owned()), |email| Actor::user(&email)));
            let refusal = Problem::new(
                Kind::Unauthorized,
                "The address, the password or the code is not right.",
                "Type all three again; each code opens once. Who lost theirs asks an admin for a new link.",
            );
            Ok((axum::Extension(audit), refusal).into_response())
        }
        SignIn::Wait(ms) => {
            let seconds = u64::try_from(ms).unwrap_or(0).div_ceil(1000).max(1);
            let detail = format!("Signing in failed too often; the next try is taken in {seconds} s.");
            Err(Problem::new(Kind::TooMany, detail, "Wait that long, then try again.").retry_after(seconds))
        }
    }
}

/// Says what a link is for, without using it up.
#[utoipa::path(post, path = "/api/v1/sessions/look", tag = "sessions", request_body = LinkBody,
    responses((status = 200, description = "What it is for", body = LinkView)))]
async fn look(State(app): State<Arc<App>>, Json(body): Json<LinkBody>) -> Result<Json<LinkView>, Problem> {
    Ok(Json(enrol::look(&app, &body.token).await?))
}

/// Follows a link: sets a password and a second factor, and signs in.
#[utoipa::path(post, path = "/api/v1/sessions/welcome", tag = "sessions", request_body = WelcomeBody,
    responses((status = 200, description = "Who came in", body = Welcome)))]
async fn welcome(
    State(app): State<Arc<App>>,
    Address(address): Address,
    headers: HeaderMap,
    Json(body): Json<WelcomeBody>,
) -> Result<Response, Problem> {
    session::cookie(&headers, "")?;
    let from = Origin { address: &address, agent: agent(&headers) };
    let chosen = Chosen {
        token: &body.token,
        email: body.email.as_deref(),
        name: &body.name,
        password: &body.password,
        code: &body.code,
    };
    let enrolled = enrol::finish(&app, &chosen, from).await?;
    let audit = AuditAs(Actor::user(&enrolled.opened.email));
    let (me, cookie) = opened(&app, &headers, &enrolled.opened).await?;
    Ok((axum::Extension(audit), cookie, Json(Welcome { me, recovery_codes: enrolled.codes })).into_response())
}

/// Signs in by a link that was made for it: the demo's.
#[utoipa::path(post, path = "/api/v1/sessions/enter", tag = "sessions", request_body = LinkBody,
    responses((status = 200, description = "Who came in", body = Me)))]
async fn enter(
    State(app): State<Arc<App>>,
    Address(address): Address,
    headers: HeaderMap,
    Json(body): Json<LinkBody>,
) -> Result<Response, Problem> {
    session::cookie(&headers, "")?;
    let from = Origin { address: &address, agent: agent(&headers) };
    let session = enrol::enter(&app, &body.token, from).await?;
    let audit = AuditAs(Actor::user(&session.email));
    let (me, cookie) = opened(&app, &headers, &session).await?;
    Ok((axum::Extension(audit), cookie, Json(me)).into_response())
}

/// The caller's own sessions, the newest first; none for a key.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions",
    responses((status = 200, description = "The sessions", body = Listed<SessionView>)))]
async fn ls(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Listed<SessionView>>, Problem> {
    let sessions = match &caller.session {
        Some(session) => sessions::ls(&app, session).await?,
        None => Vec::new(),
    };
    Ok(Json(Listed::all(sessions)))
}

async fn end(app: &App, caller: &Caller, headers: &HeaderMap, everywhere: bool) -> Result<Response, Problem> {
    sessions::end(app, caller.session()?, everywhere).await?;
    let mut answer = StatusCode::NO_CONTENT.into_response();
    for cookie in session::no_cookies(headers) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

/// Signs out.
#[utoipa::path(delete, path = "/api/v1/sessions/current", tag = "sessions",
    responses((status = 204, description = "Signed out")))]
async fn sign_out(State(app): State<Arc<App>>, caller: Caller, headers: HeaderMap) -> Result<Response, Problem> {
    end(&app, &caller, &headers, false).await
}

/// Signs out everywhere: all of the caller's sessions are over.
#[utoipa::path(delete, path = "/api/v1/sessions", tag = "sessions",
    responses((status = 204, description = "Signed out everywhere")))]
async fn sign_out_everywhere(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    end(&app, &caller, &headers, true).await
}

/// Changes the caller's password. Their other sessions are over.
#[utoipa::path(post, path = "/api/v1/me/password", tag = "me", request_body = PasswordBody,
    responses((status = 204, description = "Changed")))]
async fn change_password(
    State(app): State<Arc<App>>,
    caller: Caller,
    Address(address): Address,
    headers: HeaderMap,
    Json(body): Json<PasswordBody>,
) -> Result<StatusCode, Problem> {
    let from = Origin { address: &address, agent: agent(&headers) };
    let proof = (body.password.as_str(), body.code.as_str());
    sessions::change_password(&app, caller.session()?, proof, &body.new_password, from).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// New recovery codes, shown this once; the old ones open nothing any more.
#[utoipa::path(post, path = "/api/v1/me/recovery-codes", tag = "me", request_body = ProofBody,
    responses((status = 200, description = "The codes", body = RecoveryCodes)))]
async fn renew_recovery_codes(
    State(app): State<Arc<App>>,
    caller: Caller,
    Address(address): Address,
    headers: HeaderMap,
    Json(body): Json<ProofBody>,
) -> Result<Response, Problem> {
    let from = Origin { address: &address, agent: agent(&headers) };
    let proof = (body.password.as_str(), body.code.as_str());
    let codes = sessions::renew_codes(&app, caller.session()?, proof, from).await?;
    let kept = serde_json::to_vec(&RecoveryCodes { recovery_codes: None }).map_err(Fault::internal)?;
    let mut answer = Json(RecoveryCodes { recovery_codes: Some(codes) }).into_response();
    answer.extensions_mut().insert(KeepInstead(kept.into()));
    Ok(answer)
}
