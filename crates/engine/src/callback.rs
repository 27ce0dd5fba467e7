//! What every send carries and every status brings back: which attempt it is, and of which installation.
//!
//! `hh1.<install>.<campaign>.<contact>.<attempt>`: our own numbers, nothing personal. Every app that is subscribed to
//! the account sees it.

use crate::journal::AttemptKey;

/// The version of this format.
const VERSION: &str = "hh1";

/// The callback data of an attempt (`biz_opaque_callback_data`).
#[must_use]
pub fn encode(install: &str, key: AttemptKey) -> String {
    format!("{VERSION}.{install}.{}.{}.{}", key.campaign_id, key.contact_id, key.attempt)
}

/// Reads callback data of ours; `None` for another installation's or anybody else's.
#[must_use]
pub fn decode(install: &str, data: &str) -> Option<AttemptKey> {
    let mut parts = data.split('.');
    if parts.next()? != VERSION || parts.next()? != install {
        return None;
    }
    let mut number = || parts.next()?.parse::<i64>().ok().filter(|number| *number > 0);
    let key = AttemptKey { campaign_id: number()?, contact_id: number()?, attempt: number()? };
    parts.next().is_none().then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: AttemptKey = AttemptKey { campaign_id: 12, contact_id: 9981, attempt: 1 };

    #[test]
    fn callback_data_comes_back_as_it_went() {
        assert_eq!(decode("a1b2c3d4", &encode("a1b2c3d4", KEY)), Some(KEY));
    }

    #[test]
    fn anything_else_is_not_ours() {
        let ours = encode("a1b2c3d4", KEY);
        assert_eq!(decode("ffffffff", &ours), None);
        for foreign in [
            "",
            "hh1",
            "hh1.a1b2c3d4",
            "hh1.a1b2c3d4.1.2",
            "hh1.a1b2c3d4.1.2.3.4",
            "hh2.a1b2c3d4.1.2.3",
            "hh1.a1b2c3d4.-1.2.3",
            "hh1.a1b2c3d4.x.2.3",
            "hh1.a1b2c3d4.1.99999999999999999999.3",
        ] {
            assert_eq!(decode("a1b2c3d4", foreign), None, "{foreign}");
        }
    }
}
