//! Everything that can be set, at the start or while it runs. JSON with defaults; an unknown key is refused.

mod account;
mod people;
mod webhook;

pub use account::{Account, Number, Template};
pub use people::People;
pub use webhook::Webhook;

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

/// The whole of the simulator's settings. `Settings::default()` is a healthy platform with one account, three business
/// numbers and twelve templates, that sends no webhooks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the Graph API listens; port 0 takes a free one. Fixed once started.
    pub listen: SocketAddr,
    /// Where the control API listens, also while an outage has closed the Graph API. Fixed once started.
    pub control_listen: SocketAddr,
    /// What every chance is drawn from: the same seed gives the same behaviour of the same recipients.
    pub seed: u64,
    /// WhatsApp business accounts with their business numbers and templates.
    pub accounts: Vec<Account>,
    /// The most templates in one page, whatever `limit` asks for, so that paging is exercised with few templates.
    pub template_page_max: usize,
    /// Messages in any sliding second for a business number that is not in `rates`; 0 is unlimited.
    pub default_rate: u32,
    /// Messages in any sliding second by `phone_number_id`; 0 is unlimited.
    pub rates: BTreeMap<String, u32>,
    /// The limit between one business number and one person.
    pub pair_rate: PairRate,
    /// Delay between reading a request and its counting as arrived: the network's unevenness. Milliseconds.
    pub jitter_ms: Span,
    /// Delay between arrival and answer. Milliseconds.
    pub latency_ms: Span,
    /// Refusals in the answer, each for a share of (recipient, template) pairs.
    pub errors: Vec<CodeShare>,
    /// What goes wrong with single requests.
    pub faults: Faults,
    /// Share of messages accepted as `held_for_quality_assessment`; they wait for `POST /_sim/release`.
    pub held_share: f64,
    /// What is wrong with the whole platform.
    pub outage: Outage,
    /// A message counts as after an opt-out only when its first byte came more than this after the acknowledgement.
    /// Milliseconds; above 0 it forgives a busy machine that reads two sockets in the wrong order.
    pub opt_out_grace_ms: u64,
    /// How long free text is taken after a person wrote, milliseconds.
    pub service_window_ms: u64,
    /// What people do with the messages they get.
    pub people: People,
    /// Where and how webhooks are delivered.
    pub webhook: Webhook,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: loopback(),
            control_listen: loopback(),
            seed: 1,
            accounts: built_in(),
            template_page_max: 5,
            default_rate: 80,
            rates: BTreeMap::new(),
            pair_rate: PairRate::default(),
            jitter_ms: Span::default(),
            latency_ms: Span::default(),
            errors: Vec::new(),
            faults: Faults::default(),
            held_share: 0.0,
            outage: Outage::None,
            opt_out_grace_ms: 0,
            service_window_ms: 24 * 3_600_000,
            people: People::default(),
            webhook: Webhook::default(),
        }
    }
}

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// The built-in account.
fn built_in() -> Vec<Account> {
    serde_json::from_str(include_str!("builtin.json")).expect("the built-in accounts are checked by a test")
}

/// A range to draw from, both ends included. Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
}

impl Span {
    /// A range from `min` to `max` milliseconds.
    pub const fn new(min: u64, max: u64) -> Span {
        Span { min, max }
    }

    /// The point of the range that a number in `0.0..1.0` falls on, in microseconds.
    pub(crate) fn at_us(self, unit: f64) -> i64 {
        let width = (self.max - self.min) as f64 * 1000.0;
        self.min as i64 * 1000 + (width * unit) as i64
    }

    pub(crate) const fn is_zero(self) -> bool {
        self.max == 0
    }
}

/// The pair limit: one message per `spacing_ms`, with up to `burst` inside one spacing on credit that is paid back by
/// waiting (Meta: 1 in 6 s, burst 45; after 20 at once about 2 minutes of silence). Refused with 131056.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairRate {
    /// Whether it is enforced.
    pub enabled: bool,
    /// Milliseconds that each message costs.
    pub spacing_ms: u64,
    /// The most in one spacing.
    pub burst: u32,
}

impl Default for PairRate {
    fn default() -> Self {
        PairRate { enabled: true, spacing_ms: 6000, burst: 45 }
    }
}

/// A share of (recipient, template) pairs that meets an error code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeShare {
    /// Meta's code.
    pub code: u32,
    /// `0.0..=1.0`.
    pub share: f64,
    /// How many times a pair meets it before it passes; 0 is always. Default: once in `errors`, always in
    /// `people.failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Only for this business number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number_id: Option<String>,
}

/// Faults of single requests, as exclusive shares of (recipient, template) pairs. The first three take the message in:
/// it is sent although the caller cannot know. The last three do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Taken in, then the connection closes without an answer.
    pub lost_response_share: f64,
    /// Taken in, then the answer breaks off in the middle.
    pub truncated_response_share: f64,
    /// Taken in, then no answer ever comes.
    pub unanswered_share: f64,
    /// Read, thrown away, and the connection closed.
    pub dropped_request_share: f64,
    /// Answered with a 307 to the same address.
    pub redirect_share: f64,
    /// Answered with a 502 in HTML.
    pub bad_gateway_share: f64,
}

/// What is wrong with the whole platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outage {
    /// Nothing.
    #[default]
    #[serde(rename = "none")]
    None,
    /// The listener is closed and open connections are cut.
    #[serde(rename = "refused")]
    Refused,
    /// Requests are read and never answered; the connections close when it ends.
    #[serde(rename = "hanging")]
    Hanging,
    /// Every request gets a 503 in HTML.
    #[serde(rename = "503")]
    Unavailable,
}

impl Settings {
    /// Refuses what contradicts itself, naming the setting.
    ///
    /// # Errors
    /// A share outside `0..=1`, shares that add up to more than 1, a range whose ends are swapped, a webhook address that
    /// is not plain http, an id that occurs twice, components that cannot be read.
    pub fn check(&self) -> anyhow::Result<()> {
        let f = &self.faults;
        let p = &self.people;
        let w = &self.webhook;
        exclusive(
            "faults",
            &[
                f.lost_response_share,
                f.truncated_response_share,
                f.unanswered_share,
                f.dropped_request_share,
                f.redirect_share,
                f.bad_gateway_share,
            ],
        )?;
        exclusive("errors", &self.errors.iter().map(|e| e.share).collect::<Vec<_>>())?;
        exclusive("people.failed", &p.failed.iter().map(|e| e.share).collect::<Vec<_>>())?;
        exclusive(
            "people's replies",
            &[p.opt_out_tap_share, p.other_tap_share, p.stop_text_share, p.native_stop_share],
        )?;
        for (name, share) in [
            ("held_share", self.held_share),
            ("people.delivered_share", p.delivered_share),
            ("people.read_share", p.read_share),
            ("people.read_without_delivered_share", p.read_without_delivered_share),
            ("people.tap_without_context_share", p.tap_without_context_share),
            ("people.username_share", p.username_share),
            ("webhook.duplicate_share", w.duplicate_share),
            ("webhook.reorder_share", w.reorder_share),
            ("webhook.drop_share", w.drop_share),
            ("webhook.millisecond_share", w.millisecond_share),
        ] {
            exclusive(name, &[share])?;
        }
        for (name, span) in [
            ("jitter_ms", self.jitter_ms),
            ("latency_ms", self.latency_ms),
            ("webhook.sent_ms", w.sent_ms),
            ("webhook.delivered_ms", w.delivered_ms),
            ("webhook.read_ms", w.read_ms),
            ("webhook.reply_ms", w.reply_ms),
            ("webhook.duplicate_ms", w.duplicate_ms),
        ] {
            ensure!(span.min <= span.max, "{name}: min {} is above max {}", span.min, span.max);
        }
        ensure!(self.template_page_max > 0, "template_page_max: must be at least 1");
        ensure!(w.batch > 0, "webhook.batch: must be at least 1");
        ensure!(w.concurrency > 0, "webhook.concurrency: must be at least 1");
        if let Some(url) = &w.url {
            let uri: http::Uri = url.parse().with_context(|| format!("webhook.url: {url} is not an address"))?;
            ensure!(
                uri.scheme_str() == Some("http") && uri.authority().is_some(),
                "webhook.url: {url} must be a plain http address, https is not spoken here"
            );
        }
        self.check_accounts()
    }

    fn check_accounts(&self) -> anyhow::Result<()> {
        let mut ids = BTreeSet::new();
        for account in &self.accounts {
            ensure!(ids.insert(account.waba_id.as_str()), "accounts: id {} occurs twice", account.waba_id);
            for number in &account.numbers {
                ensure!(ids.insert(number.id.as_str()), "accounts: id {} occurs twice", number.id);
            }
            let mut keys = BTreeSet::new();
            for template in &account.templates {
                let (name, language) = (&template.name, &template.language);
                ensure!(keys.insert((name, language)), "accounts: template {name} ({language}) occurs twice");
                if let Err(reason) = crate::template::Shape::read(template) {
                    bail!("accounts: template {name} ({language}): {reason}");
                }
            }
        }
        Ok(())
    }

    /// These settings with a JSON merge patch (RFC 7396) applied: objects merge, `null` takes a key back to its default,
    /// lists are replaced whole.
    ///
    /// # Errors
    /// An unknown key, a value of the wrong type, or what [`Settings::check`] refuses.
    pub fn patched(&self, patch: &serde_json::Value) -> anyhow::Result<Settings> {
        let mut merged = serde_json::to_value(self).context("settings always serialise")?;
        merge(&mut merged, patch);
        let settings: Settings = serde_json::from_value(merged)?;
        settings.check()?;
        Ok(settings)
    }

    /// The rate of one business number in messages per sliding second; `None` is unlimited.
    pub(crate) fn rate(&self, phone_number_id: &str) -> Option<u32> {
        let rate = *self.rates.get(phone_number_id).unwrap_or(&self.default_rate);
        (rate > 0).then_some(rate)
    }
}

/// Refuses shares that are not shares, or that cannot exclude one another.
fn exclusive(name: &str, shares: &[f64]) -> anyhow::Result<()> {
    ensure!(shares.iter().all(|s| (0.0..=1.0).contains(s)), "{name}: a share must lie between 0 and 1");
    let sum: f64 = shares.iter().sum();
    ensure!(sum <= 1.0 + 1e-9, "{name}: the shares add up to {sum}, more than 1");
    Ok(())
}

fn merge(target: &mut serde_json::Value, patch: &serde_json::Value) {
    let serde_json::Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = serde_json::Value::Object(serde_json::Map::new());
    }
    if let serde_json::Value::Object(object) = target {
        for (key, change) in changes {
            if change.is_null() {
                object.remove(key);
            } else {
                merge(object.entry(key.clone()).or_insert(serde_json::Value::Null), change);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_defaults_are_consistent_and_have_more_than_one_page_of_templates() {
        let settings = Settings::default();
        settings.check().expect("defaults pass their own check");
        assert!(settings.accounts[0].templates.len() > settings.template_page_max);
        let statuses: BTreeSet<_> = settings.accounts[0].templates.iter().map(|t| t.status.as_str()).collect();
        assert_eq!(statuses, BTreeSet::from(["APPROVED", "PAUSED", "PENDING"]));
    }

    #[test]
    fn a_patch_merges_objects_and_null_restores_the_default() {
        let base = Settings::default();
        let patched = base
            .patched(&json!({"rates": {"200100000000001": 1000}, "webhook": {"batch": 3}, "outage": "503"}))
            .expect("a valid patch");
        assert_eq!(patched.rate("200100000000001"), Some(1000));
        assert_eq!(patched.rate("200100000000002"), Some(80));
        assert_eq!(patched.webhook.batch, 3);
        assert_eq!(patched.webhook.concurrency, base.webhook.concurrency);
        assert_eq!(patched.outage, Outage::Unavailable);
        let back = patched
            .patched(&json!({"rates": {"200100000000001": null}, "webhook": {"batch": null}, "outage": null}))
            .expect("a valid patch");
        assert_eq!(back, base);
    }

    #[test]
    fn a_contradiction_is_refused_by_name() {
        let base = Settings::default();
        for (patch, word) in [
            (json!({"latency": 3}), "latency"),
            (json!({"latency_ms": {"min": 5, "max": 1}}), "latency_ms"),
            (json!({"faults": {"lost_response_share": 0.7, "redirect_share": 0.7}}), "faults"),
            (json!({"people": {"read_share": 1.5}}), "people.read_share"),
            (json!({"webhook": {"url": "https://example.test/"}}), "webhook.url"),
        ] {
            let error = base.patched(&patch).expect_err("must be refused").to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
