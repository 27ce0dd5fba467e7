//! Users: invited by an admin, known by their address, and let in by a link that opens once.

use domain::Millis;
use secrecy::SecretString;
use serde::Serialize;
use store::{OneTimeLink, User, UserChange};
use utoipa::ToSchema;

use super::{HOUR, email, new_token, totp};
use crate::fault::{Fault, Result};
use crate::views::{as_iso, iso_or_null};
use crate::{Actor, App};

/// The very first link: whoever starts Hudhud has it on the screen.
pub const FIRST: &str = "first";
/// A user's link to choose a password and a second factor, or to choose them anew.
pub const WELCOME: &str = "welcome";
/// A link that signs a user in, once: the demo's.
pub const ENTER: &str = "enter";

const FIRST_LASTS: Millis = 24 * HOUR;
const WELCOME_LASTS: Millis = 72 * HOUR;
const ENTER_LASTS: Millis = 12 * HOUR;

/// A user, as others may see them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UserView {
    /// Their id; it is never given again.
    pub id: i64,
    /// Their address; stands in the ledger and the audit log as `user:EMAIL`.
    pub email: String,
    /// What they want to be called. Empty until they followed their link.
    pub name: String,
    /// What they may do.
    pub role: String,
    /// `active`, or `invited` until they chose a password.
    pub state: String,
    /// Who added them.
    pub created_by: String,
    /// RFC 3339.
    #[serde(serialize_with = "as_iso")]
    #[schema(value_type = String)]
    pub created_at: i64,
    /// When they last signed in, RFC 3339.
    #[serde(serialize_with = "iso_or_null")]
    #[schema(value_type = Option<String>)]
    pub signed_in_at: Option<i64>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        let state = if user.has_password { "active" } else { "invited" };
        Self {
            id: user.id,
            email: user.email,
            name: user.name,
            role: user.role,
            state: state.to_owned(),
            created_by: user.created_by,
            created_at: user.created_at,
            signed_in_at: user.signed_in_at,
        }
    }
}

/// A link's token, which is shown once, and until when it opens.
#[derive(Clone, Debug)]
pub struct FreshLink {
    /// The token.
    pub token: String,
    /// Epoch ms.
    pub expires_at: Millis,
}

/// Users after an id.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn ls(app: &App, after: Option<i64>, limit: u32) -> Result<Vec<UserView>> {
    let users = app.store.users(after.unwrap_or(0), i64::from(limit)).await?;
    Ok(users.into_iter().map(UserView::from).collect())
}

async fn known(app: &App, id: i64) -> Result<User> {
    app.store.user(id).await?.ok_or_else(|| Fault::not_found("There is no such user."))
}

/// Adds a user, who chooses a password and a second factor by the link that comes with it.
///
/// # Errors
/// When the address is none or taken, or the database is away.
#[crate::boxed]
pub async fn invite(app: &App, actor: &Actor, address: &str, role: &str) -> Result<(UserView, FreshLink)> {
    let address = email(address)?;
    let id = match app.store.add_user(&address, role, actor.as_str(), app.clock.now_ms()).await {
        Ok(id) => id,
        Err(store::Error::Conflict(_)) => {
            let fault = Fault::conflict(format!("{address} is a user already."));
            return Err(fault.action("Give them a new link, or another role."));
        }
        Err(error) => return Err(error.into()),
    };
    tracing::info!(%actor, user = id, role, "user invited");
    let link = link_for(app, actor, WELCOME, Some(id), WELCOME_LASTS).await?;
    Ok((known(app, id).await?.into(), link))
}

/// A new link for a user who lost theirs, their password or their authenticator. What they have opens until they
/// follow it.
///
/// # Errors
/// When there is no such user, or the database is away.
#[crate::boxed]
pub async fn relink(app: &App, actor: &Actor, id: i64) -> Result<(UserView, FreshLink)> {
    let user = known(app, id).await?;
    let link = link_for(app, actor, WELCOME, Some(id), WELCOME_LASTS).await?;
    tracing::info!(%actor, user = id, "user's link made");
    Ok((user.into(), link))
}

/// The link that makes the first user; `None` when somebody can sign in already.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn first_link(app: &App, actor: &Actor) -> Result<Option<FreshLink>> {
    if app.store.has_users().await? {
        return Ok(None);
    }
    link_for(app, actor, FIRST, None, FIRST_LASTS).await.map(Some)
}

/// A link that signs in a user without password and second factor, once: for the demo, whose data is made up. Its user
/// is made with it.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn demo_link(app: &App, address: &str, role: &str) -> Result<FreshLink> {
    let actor = Actor::system();
    let id = match app.store.user_of_email(address).await? {
        Some(user) => user.id,
        None => app.store.add_user(address, role, actor.as_str(), app.clock.now_ms()).await?,
    };
    link_for(app, &actor, ENTER, Some(id), ENTER_LASTS).await
}

async fn link_for(app: &App, actor: &Actor, purpose: &str, user_id: Option<i64>, lasts: Millis) -> Result<FreshLink> {
    let (token, hash) = new_token(app)?;
    let secret = app.vault.random_bytes::<{ totp::SECRET_LEN }>().map_err(Fault::from)?;
    let secret = SecretString::from(hex::encode(secret));
    let now = app.clock.now_ms();
    let link = OneTimeLink {
        hash: hash.to_vec(),
        purpose: purpose.to_owned(),
        user_id,
        totp: app.vault.seal(SECOND_FACTOR, &secret).map_err(Fault::from)?,
        created_by: actor.as_str().to_owned(),
        created_at: now,
        expires_at: now + lasts,
    };
    app.store.put_link(&link).await?;
    Ok(FreshLink { token, expires_at: link.expires_at })
}

/// The place of sealed second factors. They move from a link to its user, so it is one for all of them.
pub(super) const SECOND_FACTOR: &str = "users/totp";

/// Gives a user another role, in force from their next request on.
///
/// # Errors
/// When there is no such user, nobody would be left who administers, or the database is away.
#[crate::boxed]
pub async fn set_role(app: &App, actor: &Actor, id: i64, role: &str) -> Result<UserView> {
    changed(app.store.set_user_role(id, role).await?)?;
    tracing::info!(%actor, user = id, role, "user's role changed");
    Ok(known(app, id).await?.into())
}

/// Removes a user. Their sessions are over.
///
/// # Errors
/// When there is no such user, nobody would be left who administers, or the database is away.
#[crate::boxed]
pub async fn remove(app: &App, actor: &Actor, id: i64) -> Result<()> {
    changed(app.store.remove_user(id).await?)?;
    tracing::info!(%actor, user = id, "user removed");
    Ok(())
}

fn changed(change: UserChange) -> Result<()> {
    match change {
        UserChange::Made => Ok(()),
        UserChange::Unknown => Err(Fault::not_found("There is no such user.")),
        UserChange::LastAdmin => Err(Fault::wrong_state("Nobody else who can sign in is an admin.")
            .action("Make somebody else an admin first, who has followed their link.")),
    }
}
