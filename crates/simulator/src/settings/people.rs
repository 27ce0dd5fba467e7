//! What people do with the messages they get.

use super::CodeShare;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What people do. Each is decided by (seed, recipient, template), so the same message meets the same fate again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct People {
    /// Accepted, then `failed` by webhook with a code.
    pub failed: Vec<CodeShare>,
    /// Share of the messages that did not fail that reach `delivered`; the rest stays at `sent`.
    pub delivered_share: f64,
    /// Share of the delivered that are read.
    pub read_share: f64,
    /// Share of the read whose `delivered` is left out, as with an open chat.
    pub read_without_delivered_share: f64,
    /// Share of the delivered that tap the template's opt-out button.
    pub opt_out_tap_share: f64,
    /// Share of the delivered that tap another quick reply.
    pub other_tap_share: f64,
    /// Share of the delivered that write a stop word.
    pub stop_text_share: f64,
    /// Share of the delivered that use WhatsApp's own "stop marketing" (`user_preferences`, then 131050).
    pub native_stop_share: f64,
    /// Share of taps whose `context` is absent.
    pub tap_without_context_share: f64,
    /// Share of people with a username whose number is in no webhook, only their user id.
    pub username_share: f64,
    /// Quick-reply labels that are opt-outs.
    pub opt_out_labels: Vec<String>,
    /// Stop words by language: `ar`, `es`, `pt`, and `en` for everybody else.
    pub stop_texts: BTreeMap<String, Vec<String>>,
}

impl Default for People {
    fn default() -> Self {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        People {
            failed: Vec::new(),
            delivered_share: 1.0,
            read_share: 0.6,
            read_without_delivered_share: 0.0,
            opt_out_tap_share: 0.0,
            other_tap_share: 0.0,
            stop_text_share: 0.0,
            native_stop_share: 0.0,
            tap_without_context_share: 0.0,
            username_share: 0.0,
            opt_out_labels: words(&["Stop promotions", "إيقاف العروض", "No más promociones", "Parar promoções"]),
            stop_texts: BTreeMap::from([
                ("en".into(), words(&["STOP", "Unsubscribe", "stop."])),
                ("ar".into(), words(&["إيقاف", "إلغاء الاشتراك", "توقف"])),
                ("es".into(), words(&["BAJA", "baja", "Baja!"])),
                ("pt".into(), words(&["SAIR", "sair"])),
            ]),
        }
    }
}
