//! Is it Meta who speaks?

use ring::hmac;

/// Meta's challenges are short numbers; the bound keeps an answer harmless.
const CHALLENGE_LIMIT: usize = 128;

/// Why a webhook's signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No `X-Hub-Signature-256` header.
    #[error("the webhook is not signed")]
    Missing,
    /// Not `sha256=` and 64 hexadecimal digits; the older `sha1=` counts as this.
    #[error("the webhook's signature is malformed")]
    Malformed,
    /// Signed with another secret, or another body.
    #[error("the webhook's signature does not match")]
    Mismatch,
    /// The account's app secret is empty: anybody could sign with it.
    #[error("there is no app secret to check the webhook's signature with")]
    NoSecret,
}

/// Checks `X-Hub-Signature-256` against the raw body, in constant time.
/// While a secret is being replaced, call it with each.
///
/// # Errors
/// [`SignatureError`]; the body is then nobody's.
pub fn verify_signature(secret: &[u8], body: &[u8], header: Option<&str>) -> Result<(), SignatureError> {
    if secret.is_empty() {
        return Err(SignatureError::NoSecret);
    }
    let tag = read_signature(header)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::verify(&key, body, &tag).map_err(|_| SignatureError::Mismatch)
}

/// Reads `X-Hub-Signature-256`: what can be said of a body that has not come yet. One that brings no such header is
/// nobody's, whatever it holds.
///
/// # Errors
/// [`SignatureError::Missing`] and [`SignatureError::Malformed`].
pub fn read_signature(header: Option<&str>) -> Result<[u8; 32], SignatureError> {
    let digits =
        header.ok_or(SignatureError::Missing)?.trim().strip_prefix("sha256=").ok_or(SignatureError::Malformed)?;
    let mut tag = [0_u8; 32];
    hex::decode_to_slice(digits, &mut tag).map_err(|_| SignatureError::Malformed)?;
    Ok(tag)
}

/// Why a subscription handshake fails; each is answered 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// `hub.mode` is not `subscribe`.
    #[error("the request is not a webhook subscription")]
    NotASubscription,
    /// `hub.verify_token` is missing or not ours, or we have none.
    #[error("the verify token does not match")]
    WrongToken,
    /// `hub.challenge` is missing or not a short word.
    #[error("the challenge is missing or malformed")]
    NoChallenge,
}

/// Answers Meta's subscription handshake: with `hub.mode`, `hub.verify_token`
/// and `hub.challenge` as they came and the verify token that was agreed,
/// returns what the body of the 200 must be. The token is compared in constant
/// time.
///
/// # Errors
/// [`HandshakeError`].
pub fn handshake<'a>(
    mode: Option<&str>,
    token: Option<&str>,
    challenge: Option<&'a str>,
    expected: &[u8],
) -> Result<&'a str, HandshakeError> {
    if mode != Some("subscribe") {
        return Err(HandshakeError::NotASubscription);
    }
    let token = token.filter(|_| !expected.is_empty()).ok_or(HandshakeError::WrongToken)?;
    // Comparing MACs of the two takes the same time wherever they differ.
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"verify token");
    let tag = hmac::sign(&key, expected);
    hmac::verify(&key, token.as_bytes(), tag.as_ref()).map_err(|_| HandshakeError::WrongToken)?;
    challenge
        .filter(|word| {
            (1..=CHALLENGE_LIMIT).contains(&word.len())
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
        .ok_or(HandshakeError::NoChallenge)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // HMAC-SHA256 with RFC 4231's second test case.
    const KEY: &[u8] = b"Jefe";
    const BODY: &[u8] = b"what do ya want for nothing?";
    const SIGNATURE: &str = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    #[test]
    fn a_published_hmac_vector_verifies() {
        assert_eq!(verify_signature(KEY, BODY, Some(SIGNATURE)), Ok(()));
    }

    #[test]
    fn anything_but_the_right_signature_is_refused() {
        use SignatureError as E;
        let bare = SIGNATURE.trim_start_matches("sha256=");
        let cases = [
            (None, E::Missing),
            (Some(String::new()), E::Malformed),
            (Some("sha256=".into()), E::Malformed),
            (Some(bare.to_owned()), E::Malformed),
            (Some(format!("sha1={bare}")), E::Malformed),
            (Some(SIGNATURE[..70].to_owned()), E::Malformed),
            (Some(format!("{SIGNATURE}00")), E::Malformed),
            (Some(SIGNATURE.replace('5', "g")), E::Malformed),
            (Some(SIGNATURE.replace("5bdc", "5bdd")), E::Mismatch),
        ];
        for (header, error) in cases {
            assert_eq!(verify_signature(KEY, BODY, header.as_deref()), Err(error), "{header:?}");
        }
        assert_eq!(verify_signature(b"other", BODY, Some(SIGNATURE)), Err(E::Mismatch));
        assert_eq!(verify_signature(b"", BODY, Some(SIGNATURE)), Err(E::NoSecret));
    }

    #[test]
    fn the_bytes_are_signed_and_not_their_meaning() {
        let sign = |body: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, KEY);
            format!("sha256={}", hex::encode(hmac::sign(&key, body)))
        };
        let escaped = br#"{"text":"\u0645\u0646\u0649","u":"a\/b"}"#;
        assert_eq!(verify_signature(KEY, escaped, Some(&sign(escaped))), Ok(()));
        let plain = r#"{"text":"منى","u":"a/b"}"#.as_bytes();
        assert_eq!(verify_signature(KEY, plain, Some(&sign(escaped))), Err(SignatureError::Mismatch));
    }

    #[test]
    fn the_handshake_gives_back_the_challenge_to_who_knows_the_token() {
        let ok = handshake(Some("subscribe"), Some("t0ken"), Some("1158201444"), b"t0ken");
        assert_eq!(ok, Ok("1158201444"));
    }

    #[test]
    fn every_other_handshake_is_refused() {
        use HandshakeError as E;
        let shake = |mode, token, challenge, ours: &str| handshake(mode, token, challenge, ours.as_bytes());
        assert_eq!(shake(None, Some("t"), Some("1"), "t"), Err(E::NotASubscription));
        assert_eq!(shake(Some("unsubscribe"), Some("t"), Some("1"), "t"), Err(E::NotASubscription));
        assert_eq!(shake(Some("subscribe"), None, Some("1"), "t"), Err(E::WrongToken));
        assert_eq!(shake(Some("subscribe"), Some("u"), Some("1"), "t"), Err(E::WrongToken));
        assert_eq!(shake(Some("subscribe"), Some(""), Some("1"), ""), Err(E::WrongToken));
        assert_eq!(shake(Some("subscribe"), Some("t"), None, "t"), Err(E::NoChallenge));
        assert_eq!(shake(Some("subscribe"), Some("t"), Some("<script>"), "t"), Err(E::NoChallenge));
    }

    proptest! {
        #[test]
        fn no_header_at_all_makes_the_check_panic_or_pass(header in ".*", body in any::<Vec<u8>>()) {
            prop_assert!(verify_signature(KEY, &body, Some(&header)).is_err());
        }
    }
}
