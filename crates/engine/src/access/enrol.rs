//! Following a link: a new user chooses a password and proves that their authenticator works; a known one does so anew.

use secrecy::ExposeSecret;
use serde::Serialize;
use store::{Enrolment, OneTimeLink};
use utoipa::ToSchema;

use super::sessions::{Opened, Origin, open};
use super::totp::{self, TotpView};
use super::users::{ENTER, FIRST, SECOND_FACTOR, WELCOME};
use super::{email, password, sha256, token_hash};
use crate::fault::{Fault, Result};
use crate::views::as_iso;
use crate::{Actor, App};

/// Recovery codes that a user gets.
const CODES: usize = 10;
/// Random bytes of each: enough that its SHA-256 cannot be searched.
const CODE_LEN: usize = 10;

/// What a link is for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LinkView {
    /// `first` makes the first user, `welcome` lets a user choose anew, `enter` signs in.
    pub purpose: String,
    /// Whose it is; `null` where the first user is yet to say.
    pub email: Option<String>,
    /// What they want to be called, where they said so before.
    pub name: Option<String>,
    /// What they may do.
    pub role: String,
    /// RFC 3339.
    #[serde(serialize_with = "as_iso")]
    #[schema(value_type = String)]
    pub expires_at: i64,
    /// The second factor that goes with it.
    pub totp: TotpView,
}

/// What somebody chose.
#[derive(Debug)]
pub struct Chosen<'a> {
    /// The link's token.
    pub token: &'a str,
    /// Their address, where the link does not know it.
    pub email: Option<&'a str>,
    /// What they want to be called.
    pub name: &'a str,
    /// Their password.
    pub password: &'a str,
    /// What their authenticator shows.
    pub code: &'a str,
}

/// Who came in, and the codes for the day they lose their authenticator: shown this once.
#[derive(Debug)]
pub struct Enrolled {
    /// Their session.
    pub opened: Opened,
    /// The recovery codes.
    pub codes: Vec<String>,
}

fn opens_nothing() -> Fault {
    Fault::not_found("This link opens nothing any more: it was used, replaced by another, or is too old.")
        .action("Ask an admin for a new one; on the machine itself, hudhud user link makes one.")
}

async fn link_of(app: &App, token: &str) -> Result<OneTimeLink> {
    let hash = token_hash(token).ok_or_else(opens_nothing)?;
    app.store.link(&hash, app.clock.now_ms()).await?.ok_or_else(opens_nothing)
}

fn secret_of(app: &App, sealed: &[u8]) -> Result<Vec<u8>> {
    let secret = app.vault.open(SECOND_FACTOR, sealed).map_err(Fault::internal)?;
    hex::decode(secret.expose_secret()).map_err(Fault::internal)
}

/// Says what a link is for, without using it up.
///
/// # Errors
/// When it opens nothing, or the database is away.
#[crate::boxed]
pub async fn look(app: &App, token: &str) -> Result<LinkView> {
    let link = link_of(app, token).await?;
    let user = match link.user_id {
        Some(id) => Some(app.store.user(id).await?.ok_or_else(opens_nothing)?),
        None => None,
    };
    let secret = secret_of(app, &link.totp)?;
    Ok(LinkView {
        totp: totp::view(&secret, user.as_ref().map_or("admin", |user| &user.email)),
        role: user.as_ref().map_or_else(|| "admin".to_owned(), |user| user.role.clone()),
        name: user.as_ref().map(|user| user.name.clone()).filter(|name| !name.is_empty()),
        email: user.map(|user| user.email),
        purpose: link.purpose,
        expires_at: link.expires_at,
    })
}

/// Uses a link up: sets what was chosen, ends whatever sessions there were, and opens one.
///
/// # Errors
/// When the link opens nothing, something that was chosen will not do, or the database is away.
pub async fn finish(app: &App, chosen: &Chosen<'_>, from: Origin<'_>) -> Result<Enrolled> {
    let link = link_of(app, chosen.token).await?;
    if !matches!(link.purpose.as_str(), FIRST | WELCOME) {
        return Err(opens_nothing());
    }
    let name = chosen.name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(Fault::invalid("A name is 1 to 100 characters, without control characters."));
    }
    let address = match link.user_id {
        Some(id) => app.store.user(id).await?.ok_or_else(opens_nothing)?.email,
        None => email(chosen.email.unwrap_or_default())?,
    };
    password::check(chosen.password, &address, name)?;
    let now = app.clock.now_ms();
    let step = totp::step_of(&secret_of(app, &link.totp)?, &totp::as_typed(chosen.code), now).ok_or_else(|| {
        Fault::invalid("This is not the code that the authenticator shows now.")
            .action("Type the six digits that it shows; if they never match, set the phone's clock.")
    })?;
    let hashed = password::hash(chosen.password, app.vault.random_bytes().map_err(Fault::from)?).await?;
    let (codes, hashes) = new_codes(app)?;
    let enrolment = Enrolment { name, password: &hashed, totp_step: step, recovery: &hashes, now };
    let user = match link.user_id {
        Some(id) => app.store.enrol(&link, id, &enrolment).await?.then_some(id),
        None => app.store.enrol_first(&link, &address, &enrolment).await?,
    };
    let user = user.ok_or_else(opens_nothing)?;
    tracing::info!(actor = %Actor::user(&address), user, "user chose a password and a second factor");
    Ok(Enrolled { opened: open(app, user, &address, from).await?, codes })
}

/// Signs in by a link that is made for that.
///
/// # Errors
/// When it opens nothing, or the database is away.
pub async fn enter(app: &App, token: &str, from: Origin<'_>) -> Result<Opened> {
    let link = link_of(app, token).await?;
    let user = match link.user_id.filter(|_| link.purpose == ENTER) {
        Some(id) => app.store.user(id).await?,
        None => None,
    };
    let user = user.ok_or_else(opens_nothing)?;
    if !app.store.use_link(&link.hash, app.clock.now_ms()).await? {
        return Err(opens_nothing());
    }
    open(app, user.id, &user.email, from).await
}

/// Fresh recovery codes, and their hashes.
pub(super) fn new_codes(app: &App) -> Result<(Vec<String>, Vec<[u8; 32]>)> {
    let mut codes = Vec::new();
    for _ in 0..CODES {
        let random = app.vault.random_bytes::<CODE_LEN>().map_err(Fault::from)?;
        let text = totp::base32(&random).to_ascii_lowercase();
        let groups: Vec<&str> = text.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
        codes.push(groups.join("-"));
    }
    let hashes = codes.iter().map(|code| sha256(totp::as_typed(code).as_bytes())).collect();
    Ok((codes, hashes))
}
