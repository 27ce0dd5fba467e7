//! The table of every route: what it needs, and whether a repeated POST is answered from memory.
//!
//! A path that is not in the table is refused, so that a handler without a permission cannot be reached. A test holds
//! the table against the OpenAPI document, both ways.

use axum::http::Method;

use super::access::Permission::{
    self, Administer, ApproveCampaigns, Audit, DraftCampaigns, LiftOptOuts, Look, LookAtPersons, ManageLists, Operate,
    OptOut, Preflight, ReadMessages, RunCampaigns, StopCampaigns,
};

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// No sign-in: the API's description, signing in itself, Meta's webhooks (signed in their own way).
    Nothing,
    /// Any caller.
    SignIn,
    /// A caller whose role has this.
    Permission(Permission),
}

use Need::{Nothing, Permission as Needs, SignIn};

/// Method, path as in the OpenAPI document, need.
pub(super) const ROUTES: &[(Method, &str, Need)] = &[
    (Method::GET, "/api/openapi.json", Nothing),
    (Method::GET, "/webhooks/whatsapp", Nothing),
    (Method::POST, "/webhooks/whatsapp", Nothing),
    (Method::POST, "/api/v1/sessions", Nothing),
    (Method::POST, "/api/v1/sessions/look", Nothing),
    (Method::POST, "/api/v1/sessions/welcome", Nothing),
    (Method::POST, "/api/v1/sessions/enter", Nothing),
    (Method::GET, "/api/v1/sessions", SignIn),
    (Method::DELETE, "/api/v1/sessions", SignIn),
    (Method::DELETE, "/api/v1/sessions/current", SignIn),
    (Method::GET, "/api/v1/me", SignIn),
    (Method::POST, "/api/v1/me/password", SignIn),
    (Method::POST, "/api/v1/me/recovery-codes", SignIn),
    (Method::GET, "/api/v1/roles", SignIn),
    (Method::GET, "/api/v1/users", Needs(Administer)),
    (Method::POST, "/api/v1/users", Needs(Administer)),
    (Method::POST, "/api/v1/users/first-link", Needs(Administer)),
    (Method::POST, "/api/v1/users/{user}/link", Needs(Administer)),
    (Method::POST, "/api/v1/users/{user}/role", Needs(Administer)),
    (Method::DELETE, "/api/v1/users/{user}", Needs(Administer)),
    (Method::GET, "/api/v1/audit", Needs(Audit)),
    (Method::GET, "/api/v1/events", Needs(Look)),
    (Method::GET, "/api/v1/accounts", Needs(Look)),
    (Method::POST, "/api/v1/accounts", Needs(Administer)),
    (Method::POST, "/api/v1/accounts/sync", Needs(Operate)),
    (Method::POST, "/api/v1/accounts/{account}/rotate", Needs(Administer)),
    (Method::POST, "/api/v1/accounts/{account}/secret", Needs(Administer)),
    (Method::DELETE, "/api/v1/accounts/{account}/secret", Needs(Administer)),
    (Method::POST, "/api/v1/accounts/{account}/sync", Needs(Operate)),
    (Method::GET, "/api/v1/numbers", Needs(Look)),
    (Method::POST, "/api/v1/numbers/pause-all", Needs(Operate)),
    (Method::POST, "/api/v1/numbers/resume-all", Needs(Operate)),
    (Method::POST, "/api/v1/numbers/{phone_number_id}/rate", Needs(Operate)),
    (Method::POST, "/api/v1/numbers/{phone_number_id}/brand", Needs(Audit)),
    (Method::POST, "/api/v1/numbers/{phone_number_id}/pause", Needs(Operate)),
    (Method::POST, "/api/v1/numbers/{phone_number_id}/resume", Needs(Operate)),
    (Method::GET, "/api/v1/templates", Needs(Look)),
    (Method::GET, "/api/v1/templates/{name}/{language}", Needs(Look)),
    (Method::GET, "/api/v1/imports", Needs(Look)),
    (Method::POST, "/api/v1/imports", Needs(ManageLists)),
    (Method::GET, "/api/v1/imports/{import}", Needs(Look)),
    (Method::GET, "/api/v1/imports/{import}/rejects", Needs(LookAtPersons)),
    (Method::POST, "/api/v1/imports/{import}/undo", Needs(ManageLists)),
    (Method::POST, "/api/v1/imports/recall", Needs(ManageLists)),
    (Method::GET, "/api/v1/uploads", Needs(ManageLists)),
    (Method::POST, "/api/v1/uploads", Needs(ManageLists)),
    (Method::GET, "/api/v1/uploads/{upload}", Needs(ManageLists)),
    (Method::PATCH, "/api/v1/uploads/{upload}", Needs(ManageLists)),
    (Method::DELETE, "/api/v1/uploads/{upload}", Needs(ManageLists)),
    (Method::GET, "/api/v1/lists", Needs(Look)),
    (Method::GET, "/api/v1/lists/{list}", Needs(Look)),
    (Method::DELETE, "/api/v1/lists/{list}", Needs(ManageLists)),
    (Method::POST, "/api/v1/lists/count", Needs(Look)),
    (Method::GET, "/api/v1/campaigns", Needs(Look)),
    (Method::POST, "/api/v1/campaigns", Needs(DraftCampaigns)),
    (Method::GET, "/api/v1/campaigns/{campaign}", Needs(Look)),
    (Method::DELETE, "/api/v1/campaigns/{campaign}", Needs(DraftCampaigns)),
    (Method::POST, "/api/v1/campaigns/{campaign}/preflight", Needs(Preflight)),
    (Method::POST, "/api/v1/campaigns/{campaign}/launch", Needs(RunCampaigns)),
    (Method::POST, "/api/v1/campaigns/{campaign}/test", Needs(RunCampaigns)),
    (Method::POST, "/api/v1/campaigns/{campaign}/approve", Needs(ApproveCampaigns)),
    (Method::POST, "/api/v1/campaigns/{campaign}/pause", Needs(StopCampaigns)),
    (Method::POST, "/api/v1/campaigns/{campaign}/resume", Needs(RunCampaigns)),
    (Method::POST, "/api/v1/campaigns/{campaign}/cancel", Needs(RunCampaigns)),
    (Method::POST, "/api/v1/campaigns/{campaign}/rate", Needs(RunCampaigns)),
    (Method::POST, "/api/v1/campaigns/{campaign}/clone", Needs(DraftCampaigns)),
    (Method::POST, "/api/v1/campaigns/{campaign}/retry-failed", Needs(DraftCampaigns)),
    (Method::GET, "/api/v1/campaigns/{campaign}/export", Needs(LookAtPersons)),
    (Method::GET, "/api/v1/campaigns/{campaign}/report", Needs(Look)),
    (Method::GET, "/api/v1/campaigns/compare", Needs(Look)),
    (Method::GET, "/api/v1/rate-card", Needs(Look)),
    (Method::POST, "/api/v1/rate-card", Needs(Administer)),
    (Method::GET, "/api/v1/sends/in-doubt", Needs(LookAtPersons)),
    (Method::POST, "/api/v1/sends/in-doubt/settle", Needs(Operate)),
    (Method::POST, "/api/v1/sends/in-doubt/{send}/settle", Needs(Operate)),
    (Method::GET, "/api/v1/optouts", Needs(LookAtPersons)),
    (Method::POST, "/api/v1/optouts", Needs(OptOut)),
    (Method::GET, "/api/v1/optouts/scopes", Needs(Look)),
    (Method::POST, "/api/v1/optouts/scopes", Needs(Audit)),
    (Method::POST, "/api/v1/optouts/check", Needs(LookAtPersons)),
    (Method::POST, "/api/v1/optouts/import", Needs(OptOut)),
    (Method::GET, "/api/v1/optouts/export", Needs(LookAtPersons)),
    (Method::GET, "/api/v1/optouts/lifts", Needs(LiftOptOuts)),
    (Method::POST, "/api/v1/optouts/lifts", Needs(LiftOptOuts)),
    (Method::POST, "/api/v1/optouts/lifts/{lift}/approve", Needs(LiftOptOuts)),
    (Method::POST, "/api/v1/optouts/lifts/{lift}/refuse", Needs(LiftOptOuts)),
    (Method::GET, "/api/v1/optouts/reviews", Needs(ReadMessages)),
    (Method::POST, "/api/v1/optouts/reviews/{review}/confirm", Needs(ReadMessages)),
    (Method::POST, "/api/v1/optouts/reviews/{review}/dismiss", Needs(ReadMessages)),
    (Method::GET, "/api/v1/words", Needs(Look)),
    (Method::POST, "/api/v1/words", Needs(Audit)),
    (Method::POST, "/api/v1/words/read", Needs(Look)),
    (Method::DELETE, "/api/v1/words/{phrase}", Needs(Audit)),
    (Method::GET, "/api/v1/ledger", Needs(Audit)),
    (Method::GET, "/api/v1/ledger/heads", Needs(Audit)),
    (Method::GET, "/api/v1/messages", Needs(RunCampaigns)),
    (Method::POST, "/api/v1/messages", Needs(RunCampaigns)),
    (Method::GET, "/api/v1/messages/{key}", Needs(RunCampaigns)),
    (Method::GET, "/api/v1/messages/inbound", Needs(ReadMessages)),
    (Method::POST, "/api/v1/messages/reply", Needs(ReadMessages)),
    (Method::GET, "/api/v1/messages/reply/{key}", Needs(ReadMessages)),
    (Method::POST, "/api/v1/messages/window", Needs(ReadMessages)),
    (Method::GET, "/api/v1/rules", Needs(Look)),
    (Method::POST, "/api/v1/rules", Needs(Audit)),
    (Method::POST, "/api/v1/ledger/verify", Needs(Audit)),
    (Method::POST, "/api/v1/ledger/head", Needs(Audit)),
    (Method::GET, "/api/v1/ledger/export", Needs(Audit)),
    (Method::POST, "/api/v1/ledger/prove", Needs(Audit)),
    (Method::POST, "/api/v1/ledger/prove/document", Needs(Audit)),
    (Method::GET, "/api/v1/ledger/disclosures", Needs(Audit)),
    (Method::GET, "/api/v1/ledger/exclusions/{campaign}", Needs(Audit)),
    (Method::GET, "/api/v1/ledger/exclusions/{campaign}/export", Needs(Audit)),
    (Method::GET, "/api/v1/ledger/sent-after-stop", Needs(Audit)),
    (Method::POST, "/api/v1/persons/export", Needs(Audit)),
    (Method::POST, "/api/v1/persons/erase", Needs(Audit)),
    (Method::GET, "/api/v1/queue", Needs(Look)),
    (Method::GET, "/api/v1/webhooks", Needs(LookAtPersons)),
    (Method::GET, "/api/v1/apikeys", Needs(Administer)),
    (Method::POST, "/api/v1/apikeys", Needs(Administer)),
    (Method::DELETE, "/api/v1/apikeys/{name}", Needs(Administer)),
];

/// POSTs that change nothing, and are made again when they are asked again.
const ONLY_LOOKING: &[&str] = &[
    "/api/v1/campaigns/{campaign}/preflight",
    "/api/v1/optouts/check",
    "/api/v1/words/read",
    "/api/v1/messages/window",
    "/api/v1/lists/count",
    "/api/v1/imports/recall",
    "/api/v1/ledger/verify",
    "/api/v1/ledger/prove",
    "/api/v1/ledger/prove/document",
    "/api/v1/persons/export",
    "/api/v1/sessions/look",
    "/webhooks/whatsapp",
];

/// Which route of the table is meant: a list may be called "count", and its page is that of a list; and a draft that is
/// called "compare" can be removed as any other.
pub(super) fn meant(method: &Method, path: String) -> String {
    let is_a_list = path == "/api/v1/lists/count" && *method != Method::POST;
    let is_a_campaign = path == "/api/v1/campaigns/compare" && !matches!(*method, Method::GET | Method::HEAD);
    match path {
        _ if is_a_list => "/api/v1/lists/{list}".to_owned(),
        _ if is_a_campaign => "/api/v1/campaigns/{campaign}".to_owned(),
        path => path,
    }
}

/// What the route needs; `None` when it is not in the table.
pub(super) fn need(method: &Method, path: &str) -> Option<Need> {
    // axum answers HEAD by the handler of GET.
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    ROUTES.iter().find(|(m, p, _)| m == method && *p == path).map(|(_, _, need)| *need)
}

/// Reads that the audit log keeps as well: who took people's data out, or looked a person up.
const TAKEN_OUT: &[(Method, &str)] = &[
    (Method::GET, "/api/v1/imports/{import}/rejects"),
    (Method::GET, "/api/v1/campaigns/{campaign}/export"),
    (Method::GET, "/api/v1/ledger/export"),
    (Method::GET, "/api/v1/optouts/export"),
    (Method::POST, "/api/v1/optouts/check"),
    (Method::GET, "/api/v1/ledger/exclusions/{campaign}/export"),
    (Method::POST, "/api/v1/ledger/prove"),
    (Method::POST, "/api/v1/ledger/prove/document"),
    (Method::POST, "/api/v1/persons/export"),
];

/// Whether the audit log keeps what is done there: whatever changes something, and whatever takes people's data out.
pub(super) fn is_audited(method: &Method, path: &str) -> bool {
    if TAKEN_OUT.iter().any(|(m, p)| m == method && *p == path) {
        return true;
    }
    // Pieces of a file change nothing that anybody sees; the import of the whole is kept.
    let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PATCH);
    changes && path.starts_with("/api/v1/") && !ONLY_LOOKING.contains(&path)
}

/// Whether a repetition with the same Idempotency-Key gets the first answer again. Nobody's key is kept for whoever has
/// yet to sign in: each attempt is one of its own.
pub(super) fn answers_from_memory(method: &Method, path: &str) -> bool {
    let is_known = !matches!(need(method, path), Some(Need::Nothing) | None);
    *method == Method::POST && is_known && !ONLY_LOOKING.contains(&path)
}
