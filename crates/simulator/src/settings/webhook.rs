//! Where and how webhooks are delivered.

use super::Span;
use serde::{Deserialize, Serialize};

/// Where and how webhooks are delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    /// An `http://` address; without one nothing is scheduled at all, which is the fast mode.
    pub url: Option<String>,
    /// The key of the signature.
    pub app_secret: String,
    /// While true nothing is posted; what is due waits.
    pub hold: bool,
    /// From arrival to `sent` (or to `failed`).
    pub sent_ms: Span,
    /// From `sent` to `delivered`.
    pub delivered_ms: Span,
    /// From `delivered` to `read`.
    pub read_ms: Span,
    /// From the last status to the person's tap or text.
    pub reply_ms: Span,
    /// The most changes in one body.
    pub batch: usize,
    /// How long the first due change waits for company.
    pub linger_ms: u64,
    /// Bodies on the wire at once.
    pub concurrency: usize,
    /// Share of statuses and replies that are delivered twice.
    pub duplicate_share: f64,
    /// How much later the copy comes.
    pub duplicate_ms: Span,
    /// Share of messages whose webhooks come in reverse order.
    pub reorder_share: f64,
    /// Share of statuses that are never delivered.
    pub drop_share: f64,
    /// Share of timestamps given in milliseconds instead of seconds.
    pub millisecond_share: f64,
    /// Whether every person's user id is in the webhooks.
    pub user_ids: bool,
    /// Whether the parent user id is, too.
    pub parent_user_ids: bool,
    /// How long an answer is waited for.
    pub timeout_ms: u64,
    /// The wait after the first answer that was not 200; it doubles each time, with jitter.
    pub retry_ms: u64,
    /// The longest wait between two tries.
    pub retry_max_ms: u64,
    /// When to give a body up, after its first try (Meta: seven days).
    pub give_up_ms: u64,
}

impl Default for Webhook {
    fn default() -> Self {
        Webhook {
            url: None,
            app_secret: "simulated-app-secret".into(),
            hold: false,
            sent_ms: Span::new(50, 400),
            delivered_ms: Span::new(200, 2000),
            read_ms: Span::new(500, 5000),
            reply_ms: Span::new(500, 4000),
            batch: 10,
            linger_ms: 25,
            concurrency: 16,
            duplicate_share: 0.0,
            duplicate_ms: Span::new(0, 2000),
            reorder_share: 0.0,
            drop_share: 0.0,
            millisecond_share: 0.0,
            user_ids: true,
            parent_user_ids: false,
            timeout_ms: 10_000,
            retry_ms: 500,
            retry_max_ms: 30_000,
            give_up_ms: 7 * 24 * 3600 * 1000,
        }
    }
}
