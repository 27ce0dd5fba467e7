//! Keyed hashes in the place of names: how somebody whose data was erased is known should they turn up again.
//!
//! Without the key nobody can say whose hash it is, though there are few enough phone numbers to try them all. With it
//! only a yes or no can be had, for a number or user id that somebody brings.

use ring::hmac;

use crate::db::Store;

/// What a hash in the place of a user id or `wa_id` begins with; no name of Meta's does.
const MARK: char = '~';

/// Makes the hashes.
pub(crate) struct Blind {
    key: hmac::Key,
}

impl std::fmt::Debug for Blind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blind").finish_non_exhaustive()
    }
}

impl Blind {
    fn tag(&self, kind: i16, name: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&kind.to_be_bytes());
        context.update(name);
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// In the place of a number's canonical key. Below zero, where no number is.
    pub(crate) fn phone(&self, phone_key: i64) -> i64 {
        below_zero(self.tag(0, &phone_key.to_be_bytes()))
    }

    /// In the place of the key that somebody without a number does not have.
    pub(crate) fn nobody(&self, contact_id: i64) -> i64 {
        below_zero(self.tag(-1, &contact_id.to_be_bytes()))
    }

    /// In the place of a name of this kind.
    pub(crate) fn name(&self, kind: i16, value: &str) -> String {
        let tag = self.tag(kind, value.as_bytes());
        format!("{MARK}{}", hex::encode(&tag[..16]))
    }

    /// Tells this key from others, and gives nothing of it away.
    pub(crate) fn key_id(&self) -> String {
        hex::encode(&self.tag(-2, b"which key is this")[..8])
    }
}

/// 62 bits of a hash: among ten million erased people somebody else's number meets one of them once in 10¹¹ times.
fn below_zero(tag: [u8; 32]) -> i64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&tag[..8]);
    -(i64::from_be_bytes(bytes) & (i64::MAX >> 1)) - 1
}

/// Whether a value of an identity is a hash in the place of a name.
#[must_use]
pub fn is_blind(value: &str) -> bool {
    value.starts_with(MARK)
}

impl Store {
    /// Sets the key of the hashes that stand for erased people. To be called once, before anybody is taken in; it must
    /// be the same for the life of the database ([`Store::erasure_key_id`]).
    pub fn blind_with(&self, key: &[u8; 32]) {
        // Another handle in this process set the same one.
        let _ = self.blind.set(Blind { key: hmac::Key::new(hmac::HMAC_SHA256, key) });
    }

    /// What stands for a number of somebody who was erased, if anybody can say.
    pub(crate) fn blind_phone(&self, phone_key: Option<i64>) -> Option<i64> {
        Some(self.blind.get()?.phone(phone_key?))
    }

    /// What stands for a user id of somebody who was erased: as their own, and as their parent's.
    pub(crate) fn blind_names(&self, user_id: Option<&str>) -> [Option<String>; 2] {
        let of = |kind| Some(self.blind.get()?.name(kind, user_id?));
        [of(2), of(3)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blind(key: u8) -> Blind {
        Blind { key: hmac::Key::new(hmac::HMAC_SHA256, &[key; 32]) }
    }

    #[test]
    fn hashes_are_below_zero_and_differ_by_key_and_name() {
        let (one, other) = (blind(1), blind(2));
        for key in [1, 15_550_000_001, i64::MAX] {
            assert!(one.phone(key) < 0);
            assert_eq!(one.phone(key), blind(1).phone(key));
            assert_ne!(one.phone(key), other.phone(key));
            assert_ne!(one.phone(key), one.nobody(key));
        }
        assert_ne!(one.name(2, "EG.1"), one.name(3, "EG.1"));
        assert!(is_blind(&one.name(2, "EG.1")) && !is_blind("EG.1"));
        assert_ne!(one.key_id(), other.key_id());
        assert!(below_zero([0xff; 32]) < 0 && below_zero([0; 32]) < 0);
    }
}
