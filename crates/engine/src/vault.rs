//! Secrets at rest: access tokens, app secrets and verify tokens are sealed before they reach the database.
//!
//! A sealed secret is `version (1 byte) · key id (8) · nonce (12) · ciphertext and tag`, by ChaCha20-Poly1305
//! (RFC 8439) under a key derived from `HUDHUD_SECRET_KEY` by HKDF-SHA-256 (RFC 5869). What the secret is and whose
//! (its *place*, e.g. `accounts/1234/access-token`) is authenticated with it, so that one column's bytes do not open
//! in another.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};

const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 8;
const HEAD_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;
/// Shorter keys can be guessed.
const SHORTEST_KEY: usize = 32;

/// Why a sealed secret does not open.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnsealError {
    /// It was sealed under another `HUDHUD_SECRET_KEY`.
    #[error(
        "a secret in the database was sealed under another HUDHUD_SECRET_KEY (its key id is {theirs}, ours is {ours}); \
         start with the key it was sealed under, or store the account's secrets again"
    )]
    OtherKey {
        /// The id of the key it was sealed under.
        theirs: String,
        /// The id of the key that we hold.
        ours: String,
    },
    /// Its bytes were changed, cut, or moved from another place.
    #[error("a secret in the database is damaged or was moved from another place")]
    Damaged,
}

/// Seals and opens secrets. Holds the key; prints nothing of it.
pub struct Vault {
    key: LessSafeKey,
    key_id: [u8; KEY_ID_LEN],
    erasure_key: [u8; 32],
    random: SystemRandom,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("key_id", &hex::encode(self.key_id)).finish_non_exhaustive()
    }
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive<const N: usize>(secret: &SecretString, purpose: &[u8]) -> [u8; N] {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"hudhud/vault/1");
    let mut out = [0; N];
    salt.extract(secret.expose_secret().as_bytes())
        .expand(&[purpose], Length(N))
        .and_then(|okm| okm.fill(&mut out))
        .expect("HKDF-SHA-256 gives up to 8,160 bytes, and we ask for 32 at the most");
    out
}

impl Vault {
    /// A vault under this `HUDHUD_SECRET_KEY`.
    ///
    /// # Errors
    /// When the key has fewer than 32 characters.
    pub fn new(secret_key: &SecretString) -> anyhow::Result<Self> {
        anyhow::ensure!(
            secret_key.expose_secret().trim().len() >= SHORTEST_KEY,
            "HUDHUD_SECRET_KEY needs at least {SHORTEST_KEY} characters; `openssl rand -hex 32` makes a good one"
        );
        let secret_key = SecretString::from(secret_key.expose_secret().trim());
        let key = UnboundKey::new(&CHACHA20_POLY1305, &derive::<32>(&secret_key, b"seal"))
            .expect("the key has the algorithm's length");
        let key_id = derive(&secret_key, b"key id");
        let erasure_key = derive(&secret_key, b"erased people");
        Ok(Self { key: LessSafeKey::new(key), key_id, erasure_key, random: SystemRandom::new() })
    }

    /// The key id in hexadecimal: tells keys apart and gives nothing of them away.
    #[must_use]
    pub fn key_id(&self) -> String {
        hex::encode(self.key_id)
    }

    /// The key of the hashes that stand for erased people.
    pub(crate) fn erasure_key(&self) -> &[u8; 32] {
        &self.erasure_key
    }

    /// Seals a secret for one place.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, place: &str, secret: &SecretString) -> anyhow::Result<Vec<u8>> {
        let nonce = self.random_bytes::<NONCE_LEN>()?;
        let mut sealed = Vec::with_capacity(HEAD_LEN + secret.expose_secret().len() + 16);
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.key_id);
        sealed.extend_from_slice(&nonce);
        let mut body = secret.expose_secret().as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.as_bytes()), &mut body)
            .map_err(|_| anyhow::anyhow!("the secret is too long to seal"))?;
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Opens what [`Self::seal`] sealed for the same place.
    ///
    /// # Errors
    /// [`UnsealError`] says whether the key or the bytes are wrong.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<SecretString, UnsealError> {
        let (head, body) = sealed.split_at_checked(HEAD_LEN).ok_or(UnsealError::Damaged)?;
        let (version, rest) = head.split_first().ok_or(UnsealError::Damaged)?;
        let (key_id, nonce) = rest.split_at_checked(KEY_ID_LEN).ok_or(UnsealError::Damaged)?;
        if *version != VERSION {
            return Err(UnsealError::Damaged);
        }
        if key_id != self.key_id {
            return Err(UnsealError::OtherKey { theirs: hex::encode(key_id), ours: self.key_id() });
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| UnsealError::Damaged)?;
        let mut body = body.to_vec();
        let plain =
            self.key.open_in_place(nonce, Aad::from(place.as_bytes()), &mut body).map_err(|_| UnsealError::Damaged)?;
        std::str::from_utf8(plain).map(SecretString::from).map_err(|_| UnsealError::Damaged)
    }

    /// Random bytes from the operating system, for salts, ids and keys.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn random_bytes<const N: usize>(&self) -> anyhow::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
        Ok(bytes)
    }
}

/// Reads the secret key's file, or writes a fresh key (64 hexadecimal digits) into it, readable by its owner alone.
/// The file appears whole or not at all, so that two processes that start at once hold the same key.
///
/// # Errors
/// When the file cannot be read or created.
pub fn read_or_create_key(file: &Path) -> anyhow::Result<SecretString> {
    if !file.exists() {
        create_key(file).with_context(|| format!("writing a fresh secret key to {}", file.display()))?;
    }
    let key =
        std::fs::read_to_string(file).with_context(|| format!("reading the secret key from {}", file.display()))?;
    Ok(SecretString::from(key))
}

fn create_key(file: &Path) -> anyhow::Result<()> {
    let random = SystemRandom::new();
    let mut bytes = [0; 40];
    random.fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    let (key, suffix) = bytes.split_at(32);
    let draft = file.with_extension(format!("draft-{}", hex::encode(suffix)));
    let mut created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written = created.write_all(hex::encode(key).as_bytes()).and_then(|()| created.sync_all());
    // A link, unlike a rename, refuses to replace the key of a process that was faster.
    let placed = written.and_then(|()| match std::fs::hard_link(&draft, file) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    std::fs::remove_file(&draft)?;
    Ok(placed?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn vault(key: &str) -> Vault {
        Vault::new(&SecretString::from(key)).unwrap()
    }

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn what_was_sealed_opens_in_its_place_and_nowhere_else() {
        let vault = vault(KEY);
        let sealed = vault.seal("accounts/1/access-token", &SecretString::from("EAAG-secret")).unwrap();
        assert!(!sealed.windows(11).any(|bytes| bytes == b"EAAG-secret"));
        assert_eq!(vault.open("accounts/1/access-token", &sealed).unwrap().expose_secret(), "EAAG-secret");
        assert_eq!(vault.open("accounts/2/access-token", &sealed).unwrap_err(), UnsealError::Damaged);
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let vault = vault(KEY);
        let sealed = vault.seal("place", &SecretString::from("secret")).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(vault.open("place", &changed).is_err(), "byte {at}");
            assert!(vault.open("place", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn another_key_is_named_as_the_cause() {
        let sealed = vault(KEY).seal("place", &SecretString::from("secret")).unwrap();
        let other = vault("another key, which is also long enough");
        let error = other.open("place", &sealed).unwrap_err();
        assert_eq!(error, UnsealError::OtherKey { theirs: vault(KEY).key_id(), ours: other.key_id() });
    }

    #[test]
    fn two_seals_of_one_secret_differ_and_a_short_key_is_refused() {
        let vault = vault(KEY);
        let secret = SecretString::from("secret");
        assert_ne!(vault.seal("place", &secret).unwrap(), vault.seal("place", &secret).unwrap());
        assert!(Vault::new(&SecretString::from("short")).is_err());
    }

    #[test]
    fn a_fresh_key_is_kept_for_its_owner_alone_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret.key");
        let first = read_or_create_key(&file).unwrap();
        assert_eq!(read_or_create_key(&file).unwrap().expose_secret(), first.expose_secret());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Vault::new(&first).is_ok());
    }
}
