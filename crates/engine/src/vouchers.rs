//! Whose secrets vouch for webhooks: kept opened, so that a body costs a signature and no look into the database.

use std::sync::{Arc, Mutex, PoisonError};

use cloud_api::webhook;
use domain::pacing::{Micros, SECOND};
use secrecy::{ExposeSecret, SecretString};

use crate::fault::Result;
use crate::{App, accounts};

/// What was read is used for so long: then an account that is gone, or has another secret, is known everywhere.
const FRESH: Micros = 10 * SECOND;
/// A body that nobody vouches for has the accounts read again, at most this often: one may be new.
const AGAIN: Micros = SECOND;

/// An account that vouches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Voucher {
    /// Ours.
    pub(crate) account_id: i64,
    /// Meta's.
    pub(crate) waba_id: String,
}

/// The accounts that share an app, and so its secret. While that is being rotated they share two.
#[derive(Debug)]
struct Shared {
    secret: SecretString,
    accounts: Vec<Voucher>,
}

/// Every account's secret, as read a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Vouchers {
    read: Mutex<Option<(Micros, Arc<Vec<Shared>>)>>,
}

impl Vouchers {
    /// The accounts whose secret made this signature over this body, by their ids.
    ///
    /// # Errors
    /// When the accounts cannot be read.
    pub(crate) async fn of(&self, app: &App, raw: &[u8], signature: Option<&str>) -> Result<Vec<Voucher>> {
        let (known, age) = self.known(app, FRESH).await?;
        let vouched = vouching(&known, raw, signature);
        if !vouched.is_empty() || age < AGAIN {
            return Ok(vouched);
        }
        let (known, _) = self.known(app, AGAIN).await?;
        Ok(vouching(&known, raw, signature))
    }

    /// Has the accounts read again for the next body.
    pub(crate) fn forget(&self) {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What is known, no older than `oldest`, and its age.
    async fn known(&self, app: &App, oldest: Micros) -> Result<(Arc<Vec<Shared>>, Micros)> {
        let now = app.clock.boot_us();
        let kept = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, known)) = kept
            && now.saturating_sub(at) < oldest
        {
            return Ok((known, now.saturating_sub(at)));
        }
        let known = Arc::new(read(app).await?);
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&known)));
        Ok((known, 0))
    }
}

async fn read(app: &App) -> Result<Vec<Shared>> {
    let mut all: Vec<Shared> = Vec::new();
    for account in app.store.accounts().await? {
        let secrets = match accounts::app_secrets(app, &account) {
            Ok(secrets) => secrets,
            // The others' webhooks must not suffer for it.
            Err(fault) => {
                tracing::error!(account = account.id, %fault, "an account's app secret cannot be read");
                continue;
            }
        };
        let voucher = Voucher { account_id: account.id, waba_id: account.waba_id };
        for secret in secrets {
            match all.iter_mut().find(|shared| shared.secret.expose_secret() == secret.expose_secret()) {
                Some(shared) => shared.accounts.push(voucher.clone()),
                None => all.push(Shared { secret, accounts: vec![voucher.clone()] }),
            }
        }
    }
    Ok(all)
}

fn vouching(known: &[Shared], raw: &[u8], signature: Option<&str>) -> Vec<Voucher> {
    let vouches = |shared: &&Shared| {
        webhook::verify_signature(shared.secret.expose_secret().trim().as_bytes(), raw, signature).is_ok()
    };
    known.iter().find(vouches).map(|shared| shared.accounts.clone()).unwrap_or_default()
}
