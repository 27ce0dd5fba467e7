//! Who may come in: users with a password and a second factor, the links by which they first come, their sessions, and
//! the log of what everybody did.
//!
//! What a role may do is not known here: roles are names, and the table of permissions stands with the routes.

pub mod audit;
pub mod enrol;
mod password;
pub mod sessions;
pub mod totp;
pub mod users;

#[cfg(test)]
mod tests;

use domain::Millis;
use ring::digest::{SHA256, digest};

use crate::App;
use crate::fault::{Fault, Result};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;

/// A token as it is given out: 32 random bytes, in hexadecimal. Nothing slower than SHA-256 is needed to keep it.
fn new_token(app: &App) -> Result<(String, [u8; 32])> {
    let token = hex::encode(app.vault.random_bytes::<32>().map_err(Fault::from)?);
    let hash = sha256(token.as_bytes());
    Ok((token, hash))
}

/// The hash under which a token is kept, if it has a token's form.
fn token_hash(token: &str) -> Option<[u8; 32]> {
    let fits = token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| sha256(token.as_bytes()))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("a SHA-256 is 32 bytes")
}

/// An address as users are known by: trimmed, in lower case.
///
/// # Errors
/// When it is not one that mail could go to.
pub fn email(text: &str) -> Result<String> {
    let text = text.trim().to_lowercase();
    let fits = text.len() <= 254
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
        && text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    if fits { Ok(text) } else { Err(Fault::invalid("This is not an e-mail address, such as mona@example.com.")) }
}
