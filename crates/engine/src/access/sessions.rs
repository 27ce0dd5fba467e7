//! Signing in, and the sessions that come of it.
//!
//! A refusal never says what was wrong, and takes as long for an address that nobody has. Every attempt is counted
//! before its password is looked at; the next one must wait, longer each time, counted for the address given together
//! with where it came from, and more patiently for the address alone, so that many machines together guess no faster
//! while nobody can keep somebody else out for long.

use domain::Millis;
use secrecy::ExposeSecret;
use serde::Serialize;
use store::{Session, SessionsAlive};
use utoipa::ToSchema;

use super::users::SECOND_FACTOR;
use super::{HOUR, MINUTE, email, enrol, new_token, password, sha256, token_hash, totp};
use crate::App;
use crate::fault::{Fault, Result};
use crate::views::as_iso;

/// Without a request for so long a session is over. NIST SP 800-63B-4, 2.2.3, asks for an hour at most at this level.
pub const IDLE: Millis = HOUR;
/// After so long it is over in any case: a working day. The same place asks for 24 hours at most.
pub const LASTS: Millis = 12 * HOUR;
/// Failures are forgotten after a day without any.
const FORGET: Millis = 24 * HOUR;

/// Where a request came from, as it is kept with the session.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The other end's address.
    pub address: &'a str,
    /// What the browser calls itself.
    pub agent: &'a str,
}

/// An attempt to sign in.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// The address that was given.
    pub email: &'a str,
    /// The password.
    pub password: &'a str,
    /// What the authenticator shows, or a recovery code.
    pub code: &'a str,
}

/// What became of it.
#[derive(Debug)]
pub enum SignIn {
    /// They are in.
    Opened(Opened),
    /// Something was wrong. Holds the address, if a user has it: for the audit log, not for whoever asked.
    Refused(Option<String>),
    /// They come too early: so many milliseconds to wait.
    Wait(Millis),
}

/// A session that was just opened.
#[derive(Debug)]
pub struct Opened {
    /// For the cookie; kept by its hash alone.
    pub token: String,
    /// Whose it is.
    pub email: String,
}

/// A session, as its owner sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// Names it; opens nothing.
    pub id: String,
    /// Whether it is the one that asks.
    pub current: bool,
    /// RFC 3339.
    #[serde(serialize_with = "as_iso")]
    #[schema(value_type = String)]
    pub created_at: i64,
    /// RFC 3339, to the minute.
    #[serde(serialize_with = "as_iso")]
    #[schema(value_type = String)]
    pub seen_at: i64,
    /// Where it was opened from.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
}

/// How long (ms) to wait after so many failures from one place: three are free, then 2 s, 4 s … 15 minutes.
fn delay_here(failures: i64) -> Millis {
    doubling(failures - 3, 15 * MINUTE)
}

/// How long (ms) to wait after so many failures from anywhere: thirty are free, then up to a minute.
fn delay_anywhere(failures: i64) -> Millis {
    doubling(failures - 30, MINUTE)
}

fn doubling(beyond: i64, most: Millis) -> Millis {
    if beyond <= 0 { 0 } else { (1000 << beyond.min(20)).min(most) }
}

/// Stands for every place a sign-in may come from.
const ANYWHERE: &str = "";

fn alive(app: &App) -> SessionsAlive {
    let now = app.clock.now_ms();
    SessionsAlive { seen_after: now - IDLE, made_after: now - LASTS }
}

/// Tries to sign somebody in.
///
/// # Errors
/// When the database is away.
pub async fn sign_in(app: &App, attempt: &Attempt<'_>, from: Origin<'_>) -> Result<SignIn> {
    // What is no address is refused like an unknown one, after the same work.
    let address = email(attempt.email).unwrap_or_default();
    let who = sha256(address.as_bytes());
    let now = app.clock.now_ms();
    let places = [(from.address, delay_here as fn(i64) -> i64), (ANYWHERE, delay_anywhere)];
    for (place, delay) in places {
        if let Some(free_at) = app.store.begin_sign_in(&who, place, delay, now - FORGET, now).await? {
            return Ok(SignIn::Wait(free_at - now));
        }
    }
    let known = app.store.proofs(&address).await?;
    let hashed = known.as_ref().and_then(|known| known.password.as_deref());
    let opens = password::verify(attempt.password, hashed).await?;
    match known {
        Some(known) if opens && second_factor(app, known.id, known.totp.as_deref(), attempt.code).await? => {
            for (place, _) in places {
                app.store.forgive(&who, place).await?;
            }
            Ok(SignIn::Opened(open(app, known.id, &address, from).await?))
        }
        known => Ok(SignIn::Refused(known.map(|_| address))),
    }
}

/// Whether the code is the authenticator's, or a recovery code; it is used up by that.
async fn second_factor(app: &App, user: i64, sealed: Option<&[u8]>, typed: &str) -> Result<bool> {
    let Some(sealed) = sealed else { return Ok(false) };
    let typed = totp::as_typed(typed);
    let secret = app.vault.open(SECOND_FACTOR, sealed).map_err(Fault::internal)?;
    let secret = hex::decode(secret.expose_secret()).map_err(Fault::internal)?;
    if let Some(step) = totp::step_of(&secret, &typed, app.clock.now_ms()) {
        return Ok(app.store.take_totp_step(user, step).await?);
    }
    Ok(app.store.use_recovery_code(user, &sha256(typed.as_bytes())).await?)
}

/// Opens a session for a user who has proved themself.
pub(super) async fn open(app: &App, user: i64, email: &str, from: Origin<'_>) -> Result<Opened> {
    let (token, hash) = new_token(app)?;
    let agent: String = from.agent.chars().filter(|c| !c.is_control()).take(200).collect();
    app.store.open_session(&hash, user, (from.address, &agent), alive(app), app.clock.now_ms()).await?;
    Ok(Opened { token, email: email.to_owned() })
}

/// The session of a token, unless it is over.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn find(app: &App, token: &str) -> Result<Option<Session>> {
    let Some(hash) = token_hash(token) else { return Ok(None) };
    let Some(session) = app.store.session(&hash, alive(app)).await? else { return Ok(None) };
    if let Err(error) = app.store.note_session_use(&session, app.clock.now_ms()).await {
        tracing::warn!(%error, user = session.user_id, "the use of a session was not noted");
    }
    Ok(Some(session))
}

/// The sessions of whoever asks.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn ls(app: &App, asking: &Session) -> Result<Vec<SessionView>> {
    let sessions = app.store.sessions_of(asking.user_id, alive(app)).await?;
    let view = |session: Session| SessionView {
        id: hex::encode(session.hash.get(..8).unwrap_or_default()),
        current: session.hash == asking.hash,
        created_at: session.created_at,
        seen_at: session.seen_at,
        address: session.address,
        agent: session.agent,
    };
    Ok(sessions.into_iter().map(view).collect())
}

/// Ends one session, or all that its user has.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn end(app: &App, session: &Session, everywhere: bool) -> Result<()> {
    if everywhere {
        app.store.end_sessions_of(session.user_id).await?;
    } else {
        app.store.end_session(&session.hash).await?;
    }
    Ok(())
}

/// Proves once more who asks, before something that a stolen session must not do. Counted like a sign-in.
async fn prove(app: &App, session: &Session, password: &str, code: &str, from: Origin<'_>) -> Result<()> {
    let who = sha256(session.email.as_bytes());
    let now = app.clock.now_ms();
    if let Some(free_at) = app.store.begin_sign_in(&who, from.address, delay_here, now - FORGET, now).await? {
        let seconds = (free_at - now).div_euclid(1000) + 1;
        return Err(Fault::unavailable(format!(
            "That was wrong too often; the next try is taken in {seconds} seconds."
        )));
    }
    let known = app.store.proofs(&session.email).await?;
    let hashed = known.as_ref().and_then(|known| known.password.as_deref());
    let opens = password::verify(password, hashed).await?;
    if let Some(known) = known
        && opens
        && second_factor(app, known.id, known.totp.as_deref(), code).await?
    {
        return Ok(app.store.forgive(&who, from.address).await?);
    }
    Err(Fault::invalid("The password or the code is not right.").action("Type both again; each code opens once."))
}

/// Changes the password of whoever asks. Their other sessions are over.
///
/// # Errors
/// When the present password or the code is wrong, the new one will not do, or the database is away.
pub async fn change_password(
    app: &App,
    session: &Session,
    (present, code): (&str, &str),
    new: &str,
    from: Origin<'_>,
) -> Result<()> {
    password::check(new, &session.email, &session.name)?;
    prove(app, session, present, code, from).await?;
    let hashed = password::hash(new, app.vault.random_bytes().map_err(Fault::from)?).await?;
    app.store.change_password(session.user_id, &hashed, &session.hash).await?;
    Ok(())
}

/// New recovery codes for whoever asks; the old ones open nothing any more.
///
/// # Errors
/// When the password or the code is wrong, or the database is away.
pub async fn renew_codes(
    app: &App,
    session: &Session,
    (present, code): (&str, &str),
    from: Origin<'_>,
) -> Result<Vec<String>> {
    prove(app, session, present, code, from).await?;
    let (codes, hashes) = enrol::new_codes(app)?;
    app.store.renew_recovery_codes(session.user_id, &hashes).await?;
    Ok(codes)
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn three_failures_are_free_and_each_further_one_waits_twice_as_long_up_to_a_quarter_of_an_hour() {
        let seconds: Vec<Millis> = (1..=16).map(|n| delay_here(n) / 1000).collect();
        assert_eq!(seconds, [0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]);
        assert_eq!((delay_here(i64::MAX), delay_anywhere(30), delay_anywhere(31)), (15 * MINUTE, 0, 2000));
        assert_eq!(delay_anywhere(i64::MAX), MINUTE);
    }
}
