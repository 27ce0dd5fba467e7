//! What the Graph API says of an account before a campaign leaves by it: its token, its numbers, its templates.

use std::time::Duration;

use cloud_api::{GraphError, MANAGEMENT_SCOPE, MESSAGING_SCOPE, RefusalKind};
use store::Account;

use super::{open_access_token, reread_one};
use crate::App;
use crate::fault::{FaultKind, Result};
use crate::views::iso;

/// What was read of an account so lately need not be read again, ms: Meta counts such calls, and allows few.
const FRESH: i64 = 60_000;
/// A person waits for the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Why nothing can be sent.
    pub(crate) blockers: Vec<String>,
    /// What might be wrong, and what could not be asked.
    pub(crate) warnings: Vec<String>,
    /// When the token ends, epoch ms.
    pub(crate) token_ends_at: Option<i64>,
}

/// Asks Meta what an account's token is good for, and reads numbers and templates anew unless that was done a moment ago.
/// An account that was never read is not asked: there is nothing of it that a campaign could be made of.
///
/// # Errors
/// When the database is away. What Meta would not tell is a warning.
pub(crate) async fn inspect(app: &App, account: &Account) -> Result<Findings> {
    let mut findings = Findings::default();
    let Some(synced_at) = account.synced_at else { return Ok(findings) };
    if account.stopped_reason.is_some() {
        // Why it is stopped is said elsewhere, and whether it may go on is for a person to say.
        return Ok(findings);
    }
    let token = match open_access_token(app, account) {
        Ok(token) => token,
        Err(fault) => {
            findings.blockers.push(format!("The account's access token cannot be read: {}", fault.detail));
            return Ok(findings);
        }
    };
    let name = &account.name;
    let unanswered = |what: &str| {
        format!("Meta could not be asked about the account {name}: {what}. What was known of it before was checked.")
    };
    match tokio::time::timeout(PATIENCE, app.graph.token_details(&token)).await {
        Ok(Ok(details)) if !details.is_valid => findings.blockers.push(token_refused(name)),
        Ok(Ok(details)) => {
            for (scope, what) in [(MESSAGING_SCOPE, "send messages"), (MANAGEMENT_SCOPE, "read templates and numbers")]
            {
                if !details.scopes.iter().any(|granted| granted == scope) {
                    let words = format!("The access token of the account {name} may not {what}: it lacks {scope}.");
                    let is_needed = scope == MESSAGING_SCOPE;
                    if is_needed { &mut findings.blockers } else { &mut findings.warnings }.push(words);
                }
            }
            findings.token_ends_at = details.ends_at_ms();
            if let Some(at) = findings.token_ends_at.filter(|at| *at <= app.clock.now_ms()) {
                findings.blockers.push(format!("The access token of the account {name} ended at {}.", iso(at)));
            }
        }
        Ok(Err(GraphError::Refused(refusal))) if refusal.kind == RefusalKind::Credential => {
            findings.blockers.push(token_refused(name));
        }
        Ok(Err(error)) => findings.warnings.push(unanswered(&error.to_string())),
        Err(_) => findings.warnings.push(unanswered("no answer in time")),
    }
    let is_fresh = app.clock.now_ms().saturating_sub(synced_at).unsigned_abs() <= FRESH.unsigned_abs();
    if findings.blockers.is_empty() && findings.warnings.is_empty() && !is_fresh {
        // Boxed: what a sync finds may let campaigns go on, and going on checks them.
        match tokio::time::timeout(PATIENCE, Box::pin(reread_one(app, account.id))).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) if fault.kind == FaultKind::Forbidden => findings.blockers.push(fault.detail),
            Ok(Err(fault)) => findings.warnings.push(unanswered(fault.detail.trim_end_matches('.'))),
            Err(_) => findings.warnings.push(unanswered("no answer in time")),
        }
    }
    Ok(findings)
}

fn token_refused(name: &str) -> String {
    format!(
        "Meta refuses the access token of the account {name}: it has ended or was revoked. `hudhud account rotate {name} \
         --access-token-file FILE` gives it a new one."
    )
}
