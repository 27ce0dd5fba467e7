//! What people said that may mean stop: found while webhooks are applied, read and decided by a person.

use std::sync::Arc;

use cloud_api::webhook::{Change, ChangeKind, InboundKind, InboundMessage, PreferenceValue};
use domain::optout::scope::Scope;
use domain::optout::{Verdict, Words};
use domain::phone::PhoneNumber;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Decision, Lift, NewReview, ReviewRow, Stop, Waiting};
use utoipa::ToSchema;

use crate::fault::{Fault, Result};
use crate::views::iso;
use crate::webhook::{Signed, inbound_stop, keyed, proof, wish_of};
use crate::{Actor, App, evidence, webhook};

/// The sources of stops that a person made themself and may take back themself, by words or a tap.
const OWN: &[&str] = &["text", "button", "user_preferences", "meta", "review"];
/// The sources of stops that WhatsApp's own switch made: its other side takes back no more than that.
const SWITCH: &[&str] = &["user_preferences", "meta"];

/// Whom a review means, and by which evidence, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Meant {
    phone: Option<(i64, i64)>,
    user_id: Option<String>,
    parent_user_id: Option<String>,
    quoted_wamid: Option<String>,
    source: String,
    /// What it stops, as it is written; `None` in what an older version kept: marketing.
    #[serde(default)]
    scope: Option<String>,
    proof: Value,
}

/// What the people in these bodies ask for beside a stop that is in force already: something for a person to read,
/// messages again, a block to be carried over. Doing it once more changes nothing.
///
/// # Errors
/// When the database is away.
pub(crate) async fn take(
    app: &App,
    bodies: &[Waiting],
    vouched: impl Fn(&Waiting, &Change) -> bool,
) -> anyhow::Result<()> {
    let words = app.words.known(app).await?;
    for body in bodies {
        if !may_speak(&body.body) {
            continue;
        }
        let Ok(changes) = cloud_api::webhook::parse(&body.body) else { continue };
        for change in &changes {
            if vouched(body, change) {
                take_change(app, &words, body, change).await?;
            }
        }
    }
    Ok(())
}

/// Whether anybody speaks in a body; nearly all of them hold statuses only, and need not be read twice.
fn may_speak(raw: &[u8]) -> bool {
    let holds = |needle: &[u8]| raw.windows(needle.len()).any(|window| window == needle);
    holds(b"\"from") || holds(b"user_preferences")
}

async fn take_change(app: &App, words: &Words, body: &Waiting, change: &Change) -> anyhow::Result<()> {
    let raw = (body.body.as_slice(), body.signature.as_str());
    match &change.kind {
        ChangeKind::Inbound(message) if !message.group => {
            take_message(app, words, body.account_id, raw, change, message).await
        }
        ChangeKind::Preference(event) if event.value == PreferenceValue::Resume => {
            let phone = event.wa_id.as_deref().and_then(PhoneNumber::from_wa_id).map(keyed);
            let said = event.detail.clone().unwrap_or_else(|| "resume".to_owned());
            let proof = proof(raw, change, "user_preferences", &said, "", event.at_ms);
            // The switch is for the marketing of all an account's numbers, whatever this one's brand.
            let scopes = app.scopes.known(app).await?.lifted_by_asking(change.phone_number_id.as_deref());
            lift(app, phone, event.user_id.clone(), event.at_ms, (SWITCH, scopes), &proof).await.map(drop)
        }
        _ => Ok(()),
    }
}

async fn take_message(
    app: &App,
    words: &Words,
    account_id: i64,
    raw: Signed<'_>,
    change: &Change,
    message: &InboundMessage,
) -> anyhow::Result<()> {
    if let InboundKind::IdentityChanged { .. } = &message.kind {
        return follow_person(app, raw, change, message).await;
    }
    let Some(wish) = wish_of(words, &message.kind) else { return Ok(()) };
    let asks = match wish.verdict {
        Verdict::Doubtful => "stop",
        Verdict::Start => "start",
        Verdict::Stop | Verdict::Nothing => return Ok(()),
    };
    let proof = proof(raw, change, wish.source, &wish.said, &message.id, message.at_ms);
    let scopes = app.scopes.known(app).await?;
    let stop = inbound_stop(app, &scopes, raw, change, message, &wish)?;
    if asks == "start" {
        let meant = scopes.lifted_by_asking(change.phone_number_id.as_deref());
        let held = lift(app, stop.phone, stop.user_id.clone(), message.at_ms, (OWN, meant), &proof).await?;
        // Somebody else recorded the block, as from a letter: a word alone does not undo that.
        if held.is_empty() {
            return Ok(());
        }
    }
    let meant = Meant {
        phone: stop.phone,
        user_id: stop.user_id,
        parent_user_id: stop.parent_user_id,
        quoted_wamid: stop.quoted_wamid,
        source: wish.source.to_owned(),
        scope: Some(stop.scope.to_string()),
        proof,
    };
    let review = NewReview {
        wamid: message.id.clone(),
        asks,
        // PostgreSQL's texts hold no NUL, and whoever writes to us may.
        said: wish.said.replace('\0', "\u{fffd}"),
        stop: serde_json::to_string(&meant)?,
        account_id,
        contact_id: match meant.phone {
            Some((key, _)) => app.store.contact_of_phone(key).await?.map(|contact| contact.id),
            None => None,
        },
        campaign_id: wish.campaign_id,
        at: message.at_ms,
    };
    app.store.keep_reviews(&[review]).await?;
    Ok(())
}

/// Lifts what the person's own stops made. Whose block stays.
async fn lift(
    app: &App,
    phone: Option<(i64, i64)>,
    user_id: Option<String>,
    at: i64,
    (sources, scopes): (&'static [&'static str], Vec<String>),
    proof: &Value,
) -> anyhow::Result<Vec<i64>> {
    let evidence = evidence::entry(app, "lift", &Actor("webhook".to_owned()), proof)?;
    let lift = Lift { phone_key: phone.map(|(key, _)| key), user_id, at, sources, scopes, evidence };
    let lifted = app.store.lift(&lift).await?;
    if !lifted.contact_ids.is_empty() {
        metrics::counter!("hudhud_optouts_lifted_total").increment(1);
    }
    Ok(lifted.held)
}

/// Carries a block over to the number or user id that a person has from now on.
async fn follow_person(app: &App, raw: Signed<'_>, change: &Change, message: &InboundMessage) -> anyhow::Result<()> {
    let InboundKind::IdentityChanged { new_wa_id, new_user_id, previous_user_id } = &message.kind else {
        return Ok(());
    };
    let old_phone = message.from.as_deref().and_then(PhoneNumber::from_wa_id).map(keyed);
    let proof = proof(raw, change, "number-change", "the person changed number or user id", &message.id, message.at_ms);
    let moved = store::Move {
        old_phone: old_phone.map(|(key, _)| key),
        old_user_id: previous_user_id.clone(),
        new_phone: new_wa_id.as_deref().and_then(PhoneNumber::from_wa_id).map(keyed),
        new_user_id: new_user_id.clone(),
        now: app.clock.now_ms(),
        evidence: evidence::entry(app, "opt-out", &Actor("webhook".to_owned()), &proof)?,
    };
    let carried = app.store.carry_over(&moved).await?;
    webhook::await_departures(app, &carried).await.map_err(anyhow::Error::from)
}

/// Something that waits to be read.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReviewView {
    /// Ours.
    pub id: i64,
    /// What it seems to ask: `stop`, or `start` where only a person may lift the block.
    pub asks: String,
    /// The words.
    pub said: String,
    /// Who said it: a number or a user id.
    pub person: Option<String>,
    /// How: `text` or `button`.
    pub source: String,
    /// The campaign whose button it was.
    pub campaign_id: Option<i64>,
    /// When it was said, RFC 3339.
    pub at: String,
    /// `confirmed` or `dismissed`; `null` while it waits.
    pub decided: Option<String>,
}

fn view(row: ReviewRow) -> Result<ReviewView> {
    let meant: Meant = serde_json::from_str(&row.stop).map_err(Fault::internal)?;
    Ok(ReviewView {
        id: row.id,
        asks: row.asks,
        said: row.said,
        person: meant.phone.and_then(|(_, digits)| crate::views::phone(Some(digits))).or(meant.user_id),
        source: meant.source,
        campaign_id: row.campaign_id,
        at: iso(row.at),
        decided: row.decided,
    })
}

/// A page of what waits to be read.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn ls(app: &App, after: Option<i64>, limit: u32) -> Result<Vec<ReviewView>> {
    let rows = app.store.open_reviews(after.unwrap_or(0), i64::from(limit)).await?;
    rows.into_iter().map(view).collect()
}

/// What a person decided of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It means what it seems to ask.
    Confirm,
    /// It does not.
    Dismiss,
}

/// Decides a review. A confirmed stop holds on return: no send to the person begins any more.
///
/// # Errors
/// When there is no such review, somebody decided it, it asks for messages again (which only a lift does), or the
/// database is away.
#[crate::boxed]
pub async fn decide(app: &Arc<App>, actor: &Actor, id: i64, ruling: Ruling, reason: &str) -> Result<ReviewView> {
    let Some(row) = app.store.review(id).await? else {
        return Err(Fault::not_found("There is no such review.").action("See them with: hudhud optout review ls"));
    };
    if let Some(decided) = &row.decided {
        return Err(Fault::wrong_state(format!("It was {decided} before.")));
    }
    if row.asks == "start" && ruling == Ruling::Confirm {
        let fault = Fault::wrong_state("The block was recorded by somebody of yours: a message does not lift it.");
        return Err(fault.action("Lift it by name, with a reason, or dismiss this."));
    }
    let meant: Meant = serde_json::from_str(&row.stop).map_err(Fault::internal)?;
    let mut detail = meant.proof.clone();
    detail["decided"] = json!({"by": actor.as_str(), "reason": reason.trim(), "review": id});
    let scope = meant.scope.as_deref().and_then(|scope| scope.parse().ok()).unwrap_or(Scope::Marketing);
    detail["scope"] = json!(scope.to_string());
    let stop = match ruling {
        Ruling::Dismiss => None,
        Ruling::Confirm => Some(Stop {
            contact_id: row.contact_id,
            phone: meant.phone,
            user_id: meant.user_id,
            parent_user_id: meant.parent_user_id,
            quoted_wamid: meant.quoted_wamid,
            campaign_id: row.campaign_id,
            scope: scope.clone(),
            source: "review",
            at: row.at,
            evidence: evidence::entry(app, "opt-out", actor, &detail).map_err(Fault::internal)?,
        }),
    };
    detail["verdict"] = json!(if stop.is_some() { "confirmed" } else { "dismissed" });
    let decision = Decision {
        id,
        actor: actor.as_str(),
        reason: reason.trim(),
        at: app.clock.now_ms(),
        evidence: store::NewEntry {
            contact_id: row.contact_id,
            ..evidence::entry(app, "review", actor, &detail).map_err(Fault::internal)?
        },
        stop,
    };
    let Some(stopped) = app.store.decide_review(&decision).await? else {
        return Err(Fault::conflict("Somebody else decided it a moment ago."));
    };
    if stopped.new > 0 {
        metrics::counter!("hudhud_optouts_total", "source" => "review").increment(1);
    }
    webhook::await_departures(app, &stopped.contact_ids).await?;
    let row = app.store.review(id).await?.ok_or_else(|| Fault::not_found("The review is gone."))?;
    view(row)
}

#[cfg(test)]
pub(crate) mod tests;
