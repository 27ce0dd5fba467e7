//! Webhooks as they come in: whose they are, kept before they are acknowledged, and opt-outs in force by then.

use std::sync::Arc;
use std::time::Duration;

use cloud_api::webhook::{self, Change, ChangeKind, InboundKind, InboundMessage, PreferenceEvent, PreferenceValue};
use domain::optout::scope::{Scope, Way};
use domain::optout::{Verdict, Words};
use domain::payload::{self, Intent};
use domain::phone::PhoneNumber;
use ring::digest;
use secrecy::ExposeSecret;
use serde_json::json;
use store::{Arrival, Stop};

use crate::fault::{Fault, Result};
use crate::lane::CLAIM_VALID;
use crate::scopes::Known;
use crate::{Actor, App, accounts, evidence};

/// How often a stop looks whether what another process claimed for its person has left.
const LOOK: Duration = Duration::from_millis(10);
/// How often it looks whether what this process has handed over was answered.
const GLANCE: Duration = Duration::from_millis(2);
/// On top of a claim's validity: two processes' clocks tick at the same pace but look at different moments.
const SLACK: u64 = 100_000;

/// A body and its signature as it came.
pub(crate) type Signed<'a> = (&'a [u8], &'a str);

/// What became of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is durable, and its opt-outs are in force.
    Kept,
    /// The same body was kept before.
    Duplicate,
    /// No account's secret vouches for it.
    BadSignature,
}

/// Answers Meta's subscription handshake with the challenge, if any account knows the token.
///
/// # Errors
/// When the accounts cannot be read.
#[crate::boxed]
pub async fn handshake(
    app: &App,
    mode: Option<&str>,
    token: Option<&str>,
    challenge: Option<&str>,
) -> Result<Option<String>> {
    for account in app.store.accounts().await? {
        let expected = accounts::verify_token(app, &account)?;
        if let Ok(answer) = webhook::handshake(mode, token, challenge, expected.expose_secret().trim().as_bytes()) {
            return Ok(Some(answer.to_owned()));
        }
    }
    Ok(None)
}

/// Whether a body with this signature header can be anybody's: asked before it is read, so that one without costs no
/// more than its head.
#[must_use]
pub fn may_be_signed(header: Option<&str>) -> bool {
    let is_well_formed = webhook::read_signature(header).is_ok();
    if !is_well_formed {
        metrics::counter!("hudhud_webhook_events_total", "type" => "body", "result" => "bad_signature").increment(1);
    }
    is_well_formed
}

/// Takes a body in. On return with [`Received::Kept`] or [`Received::Duplicate`] it may be acknowledged: it is durable,
/// whoever said stop in it is suppressed, and no send to them begins from now on.
///
/// # Errors
/// When it could not be kept; then it must not be acknowledged.
#[crate::boxed]
pub async fn receive(app: &Arc<App>, raw: &[u8], signature: Option<&str>) -> Result<Received> {
    let vouched = app.vouchers.of(app, raw, signature).await?;
    let Some(first) = vouched.first() else {
        metrics::counter!("hudhud_webhook_events_total", "type" => "body", "result" => "bad_signature").increment(1);
        return Ok(Received::BadSignature);
    };
    // What nobody can read is kept all the same, and shown to a person: it is signed, so somebody meant us.
    let changes = webhook::parse(raw).unwrap_or_else(|_| {
        metrics::counter!("hudhud_webhook_events_total", "type" => "body", "result" => "unknown").increment(1);
        Vec::new()
    });
    let began = app.clock.boot_us();
    let words = app.words.known(app).await?;
    let scopes = app.scopes.known(app).await?;
    let mut stops = Vec::new();
    for change in &changes {
        // A secret vouches for its own accounts only.
        if vouched.iter().any(|voucher| voucher.waba_id == change.waba_id)
            && let Some(stop) = stop_of(app, (&words, &scopes), (raw, signature.unwrap_or_default()), change)
                .map_err(Fault::internal)?
        {
            stops.push(stop);
        }
    }
    let sources: Vec<&'static str> = stops.iter().map(|stop| stop.source).collect();
    let mut body_hash = [0; 32];
    body_hash.copy_from_slice(digest::digest(&digest::SHA256, raw).as_ref());
    let arrival = Arrival {
        account_id: first.account_id,
        received_at: app.clock.now_ms(),
        body_hash,
        signature: signature.unwrap_or_default().to_owned(),
        body: raw.to_vec(),
        stops,
    };
    let kept = app.inbox.keep(app, arrival).await?;
    let people: Vec<i64> = kept.stopped.iter().flat_map(|stopped| stopped.contact_ids.clone()).collect();
    if !people.is_empty() {
        await_departures(app, &people).await?;
        for (stopped, source) in kept.stopped.iter().zip(sources) {
            if stopped.new > 0 {
                metrics::counter!("hudhud_optouts_total", "source" => source).increment(1);
                let effective = app.clock.boot_us().saturating_sub(began);
                metrics::histogram!("hudhud_optout_effective_seconds").record(Duration::from_micros(effective));
            }
        }
    }
    let result = if kept.is_new { "ok" } else { "duplicate" };
    metrics::counter!("hudhud_webhook_events_total", "type" => "body", "result" => result).increment(1);
    Ok(if kept.is_new { Received::Kept } else { Received::Duplicate })
}

/// Waits until nothing that was claimed for these people before now can still begin (law 4). What this process has claimed
/// is turned back at its gates from here on, and what it has handed over is waited for as long as a claim is valid; what
/// another process claimed has left, was dropped, or its claim is void.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn await_departures(app: &App, people: &[i64]) -> Result<()> {
    let began = app.clock.boot_us();
    app.departures.stop(people, began);
    let mut elsewhere = app.store.submitting_to(people).await?;
    elsewhere.retain(|claim| !app.departures.is_ours(claim.number_id, claim.term));
    while app.clock.boot_us().saturating_sub(began) < CLAIM_VALID + SLACK {
        if !elsewhere.is_empty() {
            app.clock.sleep(LOOK).await;
            let still = app.store.submitting_to(people).await?;
            // Claims made since exclude them already; only the ones seen at first matter.
            elsewhere.retain(|claim| still.contains(claim));
        } else if app.departures.any_under_way(people) {
            app.clock.sleep(GLANCE).await;
        } else {
            break;
        }
    }
    Ok(())
}

/// The opt-out in a change, if it holds one.
fn stop_of(
    app: &App,
    (words, scopes): (&Words, &Known),
    raw: Signed<'_>,
    change: &Change,
) -> anyhow::Result<Option<Stop>> {
    match &change.kind {
        ChangeKind::Inbound(message) if !message.group => {
            let wish = wish_of(words, &message.kind).filter(|wish| wish.verdict == Verdict::Stop);
            wish.map(|wish| inbound_stop(app, scopes, raw, change, message, &wish)).transpose()
        }
        ChangeKind::Preference(preference) if preference.value == PreferenceValue::Stop => {
            preference_stop(app, scopes, raw, change, preference).map(Some)
        }
        _ => Ok(None),
    }
}

/// The stop that a message's wish makes, with its evidence.
pub(crate) fn inbound_stop(
    app: &App,
    scopes: &Known,
    raw: Signed<'_>,
    change: &Change,
    message: &InboundMessage,
    wish: &Wish,
) -> anyhow::Result<Stop> {
    let phone = message.from.as_deref().or(message.wa_id.as_deref()).and_then(PhoneNumber::from_wa_id);
    let way = if wish.source == "text" { Way::Text } else { Way::Button };
    let scope = scopes.of(way, change.phone_number_id.as_deref());
    let evidence = evidence(app, raw, change, (wish.source, &scope), &wish.said, &message.id, message.at_ms)?;
    Ok(Stop {
        contact_id: None,
        phone: phone.map(keyed),
        user_id: message.from_user_id.clone(),
        parent_user_id: message.parent_user_id.clone(),
        quoted_wamid: message.context_id.clone(),
        campaign_id: wish.campaign_id,
        scope,
        source: wish.source,
        at: message.at_ms,
        evidence,
    })
}

/// What a person asks for, by a tap or by words.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// What it means for messages from now on.
    pub(crate) verdict: Verdict,
    /// How it was said.
    pub(crate) source: &'static str,
    /// The words, or the button's label.
    pub(crate) said: String,
    /// The campaign whose button was tapped.
    pub(crate) campaign_id: Option<i64>,
}

/// What an inbound message asks for: by our own payload first, by a button's label next, by its words last. `None`:
/// nothing of the kind.
pub(crate) fn wish_of(words: &Words, kind: &InboundKind) -> Option<Wish> {
    let (verdict, source, said, campaign_id) = match kind {
        InboundKind::Button { payload, text } => {
            let (verdict, campaign_id) = by_button(words, payload, text);
            (verdict, "button", text, campaign_id)
        }
        InboundKind::Interactive { id, title } => {
            let (verdict, campaign_id) = by_button(words, id, title);
            (verdict, "button", title, campaign_id)
        }
        InboundKind::Text(body) => (words.read(body), "text", body, None),
        InboundKind::IdentityChanged { .. } | InboundKind::Other(_) => return None,
    };
    (verdict != Verdict::Nothing).then(|| Wish { verdict, source, said: said.clone(), campaign_id })
}

fn by_button(words: &Words, payload: &str, label: &str) -> (Verdict, Option<i64>) {
    match payload::decode(payload) {
        Some(ours) if ours.intent == Intent::OptOut => (Verdict::Stop, Some(ours.campaign_id)),
        // Our payload says that this button means something else, whatever its label.
        Some(ours) => (Verdict::Nothing, Some(ours.campaign_id)),
        None if words.label(payload) == Verdict::Stop => (Verdict::Stop, None),
        None => (words.label(label), None),
    }
}

fn preference_stop(
    app: &App,
    scopes: &Known,
    raw: Signed<'_>,
    change: &Change,
    preference: &PreferenceEvent,
) -> anyhow::Result<Stop> {
    let said = preference.detail.clone().unwrap_or_else(|| "stop".to_owned());
    let scope = scopes.of(Way::UserPreferences, None);
    let evidence = evidence(app, raw, change, ("user_preferences", &scope), &said, "", preference.at_ms)?;
    Ok(Stop {
        contact_id: None,
        phone: preference.wa_id.as_deref().and_then(PhoneNumber::from_wa_id).map(keyed),
        user_id: preference.user_id.clone(),
        parent_user_id: preference.parent_user_id.clone(),
        quoted_wamid: None,
        campaign_id: None,
        scope,
        source: "user_preferences",
        at: preference.at_ms,
        evidence,
    })
}

pub(crate) fn keyed(number: PhoneNumber) -> (i64, i64) {
    (i64::try_from(number.key()).unwrap_or(i64::MAX), i64::try_from(number.e164()).unwrap_or(i64::MAX))
}

/// What the ledger keeps of a stop: what was said, and the slice of the signed body that says it.
fn evidence(
    app: &App,
    raw: Signed<'_>,
    change: &Change,
    (source, scope): (&str, &Scope),
    said: &str,
    wamid: &str,
    at: i64,
) -> anyhow::Result<store::NewEntry> {
    let mut detail = proof(raw, change, source, said, wamid, at);
    detail["scope"] = json!(scope.to_string());
    evidence::entry(app, "opt-out", &Actor("webhook".to_owned()), &detail)
}

/// What was said and the slice of the signed body that says it, as it goes beside the chain.
pub(crate) fn proof(
    (raw, signature): Signed<'_>,
    change: &Change,
    source: &str,
    said: &str,
    wamid: &str,
    at: i64,
) -> serde_json::Value {
    let slice = raw.get(change.span.clone()).map(String::from_utf8_lossy).unwrap_or_default();
    json!({
        "source": source,
        "said": said,
        "wamid": wamid,
        "event_at": at,
        "waba_id": change.waba_id,
        "phone_number_id": change.phone_number_id,
        "raw": slice,
        "signature": signature,
        "body_sha256": hex::encode(digest::digest(&digest::SHA256, raw)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops(kind: &InboundKind) -> Option<Wish> {
        wish_of(&Words::default(), kind).filter(|wish| wish.verdict == Verdict::Stop)
    }

    fn button(payload: &str, text: &str) -> InboundKind {
        InboundKind::Button { payload: payload.into(), text: text.into() }
    }

    #[test]
    fn our_payload_decides_before_the_label() {
        let stop = payload::encode(7, 1, Intent::OptOut);
        let reply = payload::encode(7, 0, Intent::Reply);
        assert_eq!(stops(&button(&stop, "Shop now")).map(|wish| wish.campaign_id), Some(Some(7)));
        assert!(stops(&button(&reply, "Stop promotions")).is_none());
        assert!(stops(&button("Stop promotions", "Stop promotions")).is_some());
        assert!(stops(&button("Shop", "Shop")).is_none());
    }

    #[test]
    fn words_stop_by_what_they_mean_and_doubtful_ones_do_not() {
        assert!(stops(&InboundKind::Text("STOP".into())).is_some());
        assert!(stops(&InboundKind::Text("إلغاء الاشتراك".into())).is_some());
        assert!(stops(&InboundKind::Text("I will stop by the shop".into())).is_none());
        assert!(stops(&InboundKind::Text("cancel".into())).is_none());
        let doubtful = wish_of(&Words::default(), &InboundKind::Text("cancel".into())).unwrap();
        assert_eq!((doubtful.verdict, doubtful.source), (Verdict::Doubtful, "text"));
    }
}
