//! The second factor: time-based one-time passwords (RFC 6238) of six digits, SHA-1 and 30 seconds, which is what
//! every authenticator app reads.

use ring::hmac;
use serde::Serialize;
use utoipa::ToSchema;

use domain::Millis;

/// Seconds.
const STEP: i64 = 30;
const DIGITS: u32 = 6;
/// Steps to either side whose codes are taken: clocks differ, and typing takes time (RFC 6238, 5.2, advises one).
const DRIFT: i64 = 1;
/// Bytes of a secret: the length of an HMAC-SHA-1 (RFC 4226, 4, R6).
pub(super) const SECRET_LEN: usize = 20;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What an authenticator app needs, in three forms.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TotpView {
    /// To be typed by hand: base32, in groups of four.
    pub secret: String,
    /// To be opened by an app: `otpauth://totp/…`.
    pub uri: String,
    /// To be photographed: the QR code of `uri`.
    pub qr: Qr,
}

/// A QR code, to be drawn dark on light with a quiet margin of four modules.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Qr {
    /// Modules along each side.
    pub size: i32,
    /// The dark modules, as an SVG path in units of one module.
    pub path: String,
}

/// The code of a secret in a time step, reduced to `digits`.
fn code(secret: &[u8], step: i64, digits: u32) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    // RFC 4226, 5.3: the last half-byte says where four bytes are taken from, without their sign.
    let at = usize::from(tag.last().copied().unwrap_or_default() & 0xf);
    let four = tag.get(at..at + 4).and_then(|four| four.try_into().ok()).unwrap_or_default();
    (u32::from_be_bytes(four) & 0x7fff_ffff) % 10u32.pow(digits)
}

/// The time step whose code this is, if it is one of the steps around now.
#[must_use]
pub fn step_of(secret: &[u8], typed: &str, now: Millis) -> Option<i64> {
    let typed: u32 = (typed.len() == DIGITS as usize && typed.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| typed.parse().ok())
        .flatten()?;
    let current = now.div_euclid(1000).div_euclid(STEP);
    (current - DRIFT..=current + DRIFT).find(|step| code(secret, *step, DIGITS) == typed)
}

/// The code that an authenticator with this secret (base32, as [`TotpView::secret`]) shows now. For tests and for a
/// person without an app.
#[must_use]
pub fn shown(secret: &str, now: Millis) -> Option<String> {
    let secret = from_base32(secret)?;
    Some(format!("{:06}", code(&secret, now.div_euclid(1000).div_euclid(STEP), DIGITS)))
}

/// A code as it was typed: without spaces and hyphens, letters small, digits of any of the scripts that our languages
/// are written in.
#[must_use]
pub fn as_typed(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| match u32::from(c) {
            // Arabic-Indic digits, and the eastern ones.
            digit @ (0x660..=0x669 | 0x6f0..=0x6f9) => char::from_digit((digit & 0xf) % 10, 10).unwrap_or(c),
            _ => c.to_ascii_lowercase(),
        })
        .collect()
}

/// The secret as an authenticator app takes it.
#[must_use]
pub fn view(secret: &[u8], email: &str) -> TotpView {
    let text = base32(secret);
    // The label is percent-encoded as the key URI format asks; an address may hold nearly anything before its @.
    let label: String = email
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let uri = format!(
        "otpauth://totp/Hudhud:{label}?secret={text}&issuer=Hudhud&algorithm=SHA1&digits={DIGITS}&period={STEP}"
    );
    let groups: Vec<&str> = text.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
    TotpView { secret: groups.join(" "), qr: qr(&uri), uri }
}

fn qr(text: &str) -> Qr {
    // The longest address makes a URI of about 900 bytes; at this level a code holds 2,331.
    let Ok(code) = qrcodegen::QrCode::encode_text(text, qrcodegen::QrCodeEcc::Medium) else {
        return Qr { size: 0, path: String::new() };
    };
    let size = code.size();
    let mut path = String::new();
    for y in 0..size {
        let mut x = 0;
        while x < size {
            let run = (x..size).take_while(|x| code.get_module(*x, y)).count();
            if run > 0 {
                path.push_str(&format!("M{x} {y}h{run}v1h-{run}z"));
            }
            x += i32::try_from(run).unwrap_or(size).max(1);
        }
    }
    Qr { size, path }
}

/// RFC 4648, 6, without padding.
pub(super) fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(5) {
        let mut bits = 0u64;
        for n in 0..5 {
            bits = bits << 8 | u64::from(group.get(n).copied().unwrap_or(0));
        }
        let letters = (group.len() * 8).div_ceil(5);
        text.extend((0..letters).map(|n| char::from(BASE32[(bits >> (35 - 5 * n) & 31) as usize])));
    }
    text
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut held, mut bytes) = (0u64, 0, Vec::new());
    for letter in text.bytes().filter(|byte| *byte != b' ') {
        let value = BASE32.iter().position(|known| *known == letter.to_ascii_uppercase())?;
        bits = (bits << 5 | u64::try_from(value).ok()?) & 0xffff;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B: SHA-1, eight digits.
        let secret = b"12345678901234567890";
        for (seconds, expected) in
            [(59, 94_287_082), (1_111_111_109, 7_081_804), (1_234_567_890, 89_005_924), (20_000_000_000, 65_353_130)]
        {
            assert_eq!(code(secret, seconds / STEP, 8), expected, "{seconds}");
        }
    }

    #[test]
    fn a_code_is_taken_a_step_early_or_late_and_no_further() {
        let secret = b"12345678901234567890";
        let now = 1_795_305_600_000;
        let at = |now: Millis| format!("{:06}", code(secret, now / 1000 / STEP, DIGITS));
        let current = now / 1000 / STEP;
        for (away, taken) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let step = step_of(secret, &at(now + away * STEP * 1000), now);
            assert_eq!(step, taken.then_some(current + away), "{away}");
        }
        for typed in ["", "12345", "1234567", "12345x", "+12345", "１２３４５６"] {
            assert_eq!(step_of(secret, typed, now), None, "{typed}");
        }
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        assert_eq!(as_typed(" 123 456 "), "123456");
        assert_eq!(as_typed("٠١٢ ٣٤٥"), "012345");
        assert_eq!(as_typed("۶۷۸۹۰۱"), "678901");
        assert_eq!(as_typed("ABCD-efgh"), "abcdefgh");
    }

    #[test]
    fn the_uri_names_the_user_and_its_code_can_be_drawn() {
        let shown = view(&[7; SECRET_LEN], "mona+hq@example.com");
        assert!(shown.uri.starts_with("otpauth://totp/Hudhud:mona%2Bhq@example.com?secret="), "{}", shown.uri);
        assert!(shown.qr.size >= 21 && shown.qr.path.starts_with("M0 0h7v1h-7z"), "{}", shown.qr.path);
        assert_eq!(shown.secret.split(' ').count(), 8);
    }

    proptest! {
        #[test]
        fn base32_reads_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(from_base32(&base32(&bytes)), Some(bytes));
        }
    }
}
