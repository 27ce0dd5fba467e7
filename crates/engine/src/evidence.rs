//! Making ledger entries: the detail beside the chain, and the salted commitment that goes into it.

use ring::digest;
use serde_json::Value;
use store::NewEntry;

use crate::{Actor, App};

/// The commitment to a detail: SHA-256 over the salt and the detail's bytes as they are stored.
#[must_use]
pub fn commitment(salt: &[u8], detail: &str) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(salt);
    context.update(detail.as_bytes());
    context.finish().as_ref().to_vec()
}

/// An entry of a kind, about nobody yet.
///
/// # Errors
/// When the system gives no random bytes.
pub fn entry(app: &App, kind: &'static str, actor: &Actor, detail: &Value) -> anyhow::Result<NewEntry> {
    let salt = app.vault.random_bytes::<16>()?.to_vec();
    let detail = detail.to_string();
    Ok(NewEntry {
        at: app.clock.now_ms(),
        kind,
        actor: actor.0.clone(),
        contact_id: None,
        campaign_id: None,
        import_id: None,
        commitment: commitment(&salt, &detail),
        detail,
        salt,
    })
}
