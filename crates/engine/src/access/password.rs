//! Passwords: what is asked of one, and how it is kept.
//!
//! argon2id with 19 MiB, two passes and one lane: the second of the equally strong settings that OWASP's Password
//! Storage Cheat Sheet gives as its minimum
//! (<https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>, read in November 2026). A stored
//! hash names its own settings (PHC form), so that raising them here leaves old passwords usable.
//!
//! What is asked of a password follows NIST SP 800-63B-4, 3.1.1.2: length, no rules about kinds of characters, nothing
//! that is easily guessed of its owner.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

use crate::fault::{Fault, Result};

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Characters. Fifteen are asked where a password stands alone; ours never does.
const SHORTEST: usize = 12;
const LONGEST: usize = 256;
/// Fewer different characters than this make a pattern, not a password.
const FEWEST_DIFFERENT: usize = 5;

/// Each hash takes its memory and a core for some 20 ms: whoever sends many passwords at once waits, not the machine.
static TURNS: Semaphore = Semaphore::const_new(2);

/// What an unknown user's password is held against, so that they take as long to refuse as known ones. The hash of
/// random bytes that nobody kept.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$5VhN0eRVkGqkYv2lUPyo3w$ImaJ9HMbGOxcR3mJ0BKF7ZYN4TmmzP4lYn0uDWcbXpI";

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("these settings are within argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The same text, whichever keyboard it was typed on (NFKC, as NIST asks).
fn normal(password: &str) -> String {
    password.nfkc().collect()
}

/// Refuses a password that is too short, or easily guessed from who they are.
///
/// # Errors
/// [`FaultKind::Invalid`](crate::FaultKind::Invalid), with what to choose instead.
pub(super) fn check(password: &str, email: &str, name: &str) -> Result<()> {
    let password = normal(password);
    let length = password.chars().count();
    if !(SHORTEST..=LONGEST).contains(&length) {
        let detail = format!("A password has {SHORTEST} to {LONGEST} characters; this one has {length}.");
        return Err(Fault::invalid(detail).action("Choose a longer one: four or five words do well."));
    }
    let low = password.to_lowercase();
    let different = low.chars().collect::<std::collections::BTreeSet<_>>().len();
    // Neighbours of the alphabet or the keyboard's top row, one after the other, are a single thing to guess.
    let leaps = low.chars().zip(low.chars().skip(1)).filter(|(a, b)| u32::from(*a).abs_diff(u32::from(*b)) > 1).count();
    let user = email.split('@').next().unwrap_or_default();
    let name = name.to_lowercase();
    let without = [email, user, name.as_str(), "hudhud", "password", "whatsapp"]
        .into_iter()
        .filter(|known| known.chars().count() >= 3)
        .fold(low.clone(), |left, known| left.replace(known, ""));
    if different < FEWEST_DIFFERENT || leaps < 3 || without.chars().count() < SHORTEST / 2 {
        return Err(
            Fault::invalid("This password is easily guessed.").action("Choose another: four or five words do well.")
        );
    }
    Ok(())
}

/// The hash of a password, in the PHC form.
///
/// # Errors
/// When the process is ending.
pub(super) async fn hash(password: &str, salt: [u8; 16]) -> Result<String> {
    let password = normal(password);
    let _turn = TURNS.acquire().await.map_err(Fault::internal)?;
    let hashed = tokio::task::spawn_blocking(move || {
        argon2().hash_password_with_salt(password.as_bytes(), &salt).map(|hash| hash.to_string())
    });
    let hashed = hashed.await.map_err(Fault::internal)?;
    hashed.map_err(|error| Fault::internal(anyhow::anyhow!("hashing a password: {error}")))
}

/// Whether the password is the one that was hashed. Takes as long where there is none to compare it with.
///
/// # Errors
/// When the process is ending.
pub(super) async fn verify(password: &str, hashed: Option<&str>) -> Result<bool> {
    let is_somebodys = hashed.is_some();
    let hashed = hashed.unwrap_or(NOBODYS).to_owned();
    // Longer ones were never taken; reading them through would only cost time.
    let password: String = normal(&password.chars().take(LONGEST + 1).collect::<String>());
    let _turn = TURNS.acquire().await.map_err(Fault::internal)?;
    let matches = tokio::task::spawn_blocking(move || match PasswordHash::new(&hashed) {
        Ok(parsed) => argon2().verify_password(password.as_bytes(), &parsed).is_ok(),
        Err(_) => false,
    });
    Ok(matches.await.map_err(Fault::internal)? && is_somebodys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_opens_by_its_own_hash_alone_however_its_letters_are_composed() {
        let hashed = hash("caf\u{e9} noir at seven", [7; 16]).await.unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert!(verify("cafe\u{301} noir at seven", Some(&hashed)).await.unwrap());
        assert!(!verify("cafe noir at seven", Some(&hashed)).await.unwrap());
        assert_ne!(hashed, hash("caf\u{e9} noir at seven", [8; 16]).await.unwrap());
    }

    #[tokio::test]
    async fn nobodys_hash_is_read_and_opens_nothing() {
        let parsed = PasswordHash::new(NOBODYS).unwrap();
        let params = Params::try_from(&parsed).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (MEMORY_KIB, PASSES, LANES));
        assert!(!verify("anything at all", None).await.unwrap());
        assert!(!verify("anything at all", Some("not a hash")).await.unwrap());
    }

    #[test]
    fn passwords_that_are_short_or_easily_guessed_are_refused() {
        let check = |password: &str| check(password, "mona@example.com", "Mona Saad");
        for good in ["correct horse battery", "كلمة سر طويلة جدا", "Ünser täglich Brot", "mona likes quiet mornings"]
        {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "short",
            "eleven char",
            "aaaaaaaaaaaaaaaa",
            "123456789012",
            "abcdefghijklmnop",
            "mona@example.com",
            "monamonamona1",
            "Password2026",
            "hudhudhudhud12",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check(&"long enough ".repeat(30)).is_err());
    }
}
