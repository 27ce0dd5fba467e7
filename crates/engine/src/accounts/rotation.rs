//! A new app secret while webhooks that the old one signed still come in: both vouch until the old one is dropped.
//!
//! Meta signs with whichever secret its app has at that moment, and repeats what was not acknowledged for days. So the
//! new secret is told here first, then made the app's at Meta, and the old one is dropped once nothing it signed is
//! still to come. An app's accounts share its secret and are rotated together.

use secrecy::{ExposeSecret, SecretString};
use store::{Account, RotatedSecret};

use super::{AccountView, Secret, app_secret, find, open};
use crate::App;
use crate::fault::{Fault, Result};

/// The secrets that vouch for an account's webhooks: the current one, and while it is being rotated the old one.
///
/// # Errors
/// `Internal` when one was sealed under another key or is damaged.
pub(crate) fn app_secrets(app: &App, account: &Account) -> Result<Vec<SecretString>> {
    let mut secrets = vec![app_secret(app, account)?];
    if let Some(sealed) = &account.old_app_secret {
        secrets.push(open(app, account, Secret::App, sealed)?);
    }
    Ok(secrets)
}

/// Begins a rotation: from now on the new secret vouches beside the old one, for this account and every other that has
/// the same secret.
///
/// # Errors
/// `NotFound`; `Invalid` for a secret that cannot be one or is the old one; `WrongState` while a rotation is under way.
#[crate::boxed]
pub async fn begin_rotation(app: &App, name: &str, new: &SecretString) -> Result<AccountView> {
    let account = find(app, name).await?;
    let new = Secret::App.checked(new)?;
    let old = app_secret(app, &account)?;
    if new.expose_secret() == old.expose_secret() {
        return Err(Fault::invalid("This is the app secret that the account has."));
    }
    let mut rotated = Vec::new();
    for one in sharing(app, &account, &old).await? {
        if one.old_app_secret.is_some() {
            let fault = Fault::wrong_state(format!("The app secret of {} is being rotated already.", one.name));
            return Err(fault.action(format!("`hudhud account rotate-secret {name} --end` drops the old one.")));
        }
        let sealed = app.vault.seal(&Secret::App.place(&one.waba_id), &new)?;
        rotated.push(RotatedSecret { account_id: one.id, current: sealed, old: Some(one.app_secret) });
    }
    keep(app, name, &rotated).await
}

/// Ends a rotation: the old secret vouches for nothing from now on, here at once and in other processes within seconds.
///
/// # Errors
/// `NotFound`; `WrongState` where no rotation is under way.
#[crate::boxed]
pub async fn end_rotation(app: &App, name: &str) -> Result<AccountView> {
    let account = find(app, name).await?;
    if account.old_app_secret.is_none() {
        return Err(Fault::wrong_state("The account's app secret is not being rotated: there is no old one to drop."));
    }
    let current = app_secret(app, &account)?;
    let sharing = sharing(app, &account, &current).await?.into_iter();
    let rotated: Vec<RotatedSecret> =
        sharing.map(|one| RotatedSecret { account_id: one.id, current: one.app_secret, old: None }).collect();
    keep(app, name, &rotated).await
}

/// The account and the others whose current secret is the same. One whose secret cannot be read shares nothing.
async fn sharing(app: &App, account: &Account, secret: &SecretString) -> Result<Vec<Account>> {
    let accounts = app.store.accounts().await?.into_iter();
    let shares = |one: &Account| {
        one.id == account.id || app_secret(app, one).is_ok_and(|other| other.expose_secret() == secret.expose_secret())
    };
    Ok(accounts.filter(shares).collect())
}

async fn keep(app: &App, name: &str, rotated: &[RotatedSecret]) -> Result<AccountView> {
    app.store.rotate_secrets(rotated, app.clock.now_ms()).await?;
    app.vouchers.forget();
    find(app, name).await.map(AccountView::from)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ring::hmac;
    use store::on_both_databases;
    use store::testing::Database;

    use super::*;
    use crate::testing::{TestApp, running_campaign};
    use crate::webhook::{self, Received};

    const NEW: &str = "the-next-secret-of-the-app";

    fn signed(secret: &str, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        format!("sha256={}", hex::encode(hmac::sign(&key, body.as_bytes())))
    }

    /// Hands in a body of its own that this secret signed.
    async fn handed_in(app: &TestApp, secret: &str, waba_id: &str, n: u32) -> Received {
        let body = format!(
            r#"{{"object":"whatsapp_business_account","entry":[{{"id":"{waba_id}","time":{n},"changes":[]}}]}}"#
        );
        let signature = signed(secret, &body);
        let receiving = webhook::receive(&app.app, body.as_bytes(), Some(&signature));
        tokio::pin!(receiving);
        loop {
            tokio::select! {
                biased;
                received = &mut receiving => return received.unwrap(),
                () = tokio::task::yield_now() => app.clock.advance(Duration::from_micros(100)),
            }
        }
    }

    on_both_databases! {
        async fn both_secrets_vouch_until_the_old_one_is_dropped(db: Database) {
            const OLD: &str = "secret-of-the-app";
            let (app, _) = running_campaign(db).await;
            assert_eq!(handed_in(&app, OLD, "100", 1).await, Received::Kept);
            assert_eq!(handed_in(&app, NEW, "100", 2).await, Received::BadSignature);
            assert_eq!(end_rotation(&app, "shop").await.unwrap_err().kind, crate::FaultKind::WrongState);
            let new = SecretString::from(NEW);
            assert!(begin_rotation(&app, "shop", &SecretString::from(OLD)).await.is_err(), "it is no other one");
            assert!(begin_rotation(&app, "shop", &SecretString::from("two words")).await.is_err());
            let view = begin_rotation(&app, "shop", &new).await.unwrap();
            assert!(view.secret_rotation_since.is_some());
            for (n, (secret, waba_id, expected)) in [
                (OLD, "100", Received::Kept),
                (NEW, "100", Received::Kept),
                // Accounts of one app share its secret.
                (NEW, "200", Received::Kept),
                (OLD, "200", Received::Kept),
                ("forged", "100", Received::BadSignature),
            ]
            .into_iter()
            .enumerate()
            {
                assert_eq!(handed_in(&app, secret, waba_id, 10 + u32::try_from(n).unwrap()).await, expected, "{n}");
            }
            let again = begin_rotation(&app, "sister", &SecretString::from("a-third-secret")).await.unwrap_err();
            assert_eq!(again.kind, crate::FaultKind::WrongState);
            let view = end_rotation(&app, "shop").await.unwrap();
            assert!(view.secret_rotation_since.is_none());
            assert_eq!(handed_in(&app, OLD, "100", 20).await, Received::BadSignature);
            assert_eq!(handed_in(&app, OLD, "200", 21).await, Received::BadSignature);
            assert_eq!(handed_in(&app, NEW, "100", 22).await, Received::Kept);
            assert!(app.store.account_named("sister").await.unwrap().unwrap().old_app_secret.is_none());
        }
    }
}
