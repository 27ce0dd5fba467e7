//! What the law calls the rights of a data subject: everything held of a person, handed out; and taken away.

mod files;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use store::{Erasure, EvidenceRow, Scrubbed, Stop};
use utoipa::ToSchema;

use crate::fault::{Fault, Result};
use crate::ledger::leaves_of;
use crate::optouts::Person;
use crate::proof::said_in;
use crate::views::iso;
use crate::{Actor, App, disclosures, evidence, webhook};

/// How often late-comers about an erased person are looked for.
const SWEEP_EVERY: i64 = 60_000;
/// Erased people looked at in one round.
const SWEPT_AT_ONCE: i64 = 100;
/// How long an erasure waits for the answers to messages that were on their way.
const ANSWERS: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

/// What an erasure took away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErasureView {
    /// Always true: the person is gone and stays blocked.
    pub erased: bool,
    /// Whether anything had been held of them.
    pub known: bool,
    /// Our ids of the shells that are left.
    pub contact_ids: Vec<i64>,
    /// Memberships of lists that ended.
    pub memberships: u64,
    /// Messages of theirs that are gone.
    pub replies: u64,
    /// Sends that lost Meta's id of the message, which may hold the number.
    pub sends: u64,
    /// Pieces of evidence of consent that are a hash from now on.
    pub consents: u64,
    /// Entries of the ledger that lost their detail; the chain still verifies.
    pub ledger_entries: u64,
    /// Other rows that are gone.
    pub other_rows: u64,
    /// Rows of files of rejected rows that are gone.
    pub rejected_rows: u64,
    /// `clean`: the database's own file was read through and holds nothing of theirs. `later`: something was using it.
    /// `server`: it is PostgreSQL's to overwrite what is dead, as it vacuums.
    pub file: String,
}

/// Everything that is held of a person, as one JSON document. The look is recorded.
///
/// # Errors
/// When the text is no person, nothing is held of them, or the database is away.
#[crate::boxed]
pub async fn export(app: &App, actor: &Actor, person: &str) -> Result<Value> {
    let parsed = Person::parse(person)?;
    let people = app.store.people_named(parsed.key(), parsed.user_id()).await?;
    let strange = app.store.replies_of_stranger(parsed.key(), parsed.user_id()).await?;
    if people.is_empty() && strange.is_empty() {
        return Err(Fault::not_found("Nothing is held of this person.").action("Check the number or user id."));
    }
    disclosures::note(app, actor, "person-export", people.first().copied(), "").await?;
    let mut rows = Vec::with_capacity(people.len());
    for contact_id in people {
        app.store.adopt_inbound(contact_id).await?;
        rows.push(held(app, contact_id).await?);
    }
    if rows.is_empty() {
        rows.push(json!({"contact_id": null, "replies": replies(strange)}));
    }
    let blocks = app.store.blocks_of(parsed.key(), parsed.user_id()).await?;
    let block = |block: &store::Suppression| {
        json!({
            "scope": block.scope, "since": iso(block.since), "source": block.source, "evidence_id": block.evidence_id,
        })
    };
    Ok(json!({
        "format": "hudhud person 1",
        "person": parsed.shown(),
        "made_at": iso(app.clock.now_ms()),
        "suppression": blocks.first().map(block),
        "suppressions": blocks.iter().map(block).collect::<Vec<_>>(),
        "held": rows,
    }))
}

/// What is held under one of our ids.
async fn held(app: &App, contact_id: i64) -> Result<Value> {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| json!(text));
    let contact = app.store.contact(contact_id).await?;
    let contact = contact.map(|contact| {
        json!({
            "phone": crate::views::phone(contact.phone), "name": contact.name, "language": contact.language,
            "attributes": read(&contact.attributes), "import_id": contact.import_id,
            "created_at": iso(contact.created_at), "updated_at": iso(contact.updated_at),
        })
    });
    let kinds = |kind: i16| match kind {
        1 => "wa_id",
        2 => "user_id",
        _ => "parent_user_id",
    };
    let names = app.store.names_of(contact_id).await?;
    let names: Vec<Value> =
        names.into_iter().map(|(kind, value)| json!({"kind": kinds(kind), "value": value})).collect();
    let lists = app.store.memberships_of(contact_id).await?;
    let lists: Vec<Value> = lists
        .into_iter()
        .map(|row| json!({"list": row.list, "import_id": row.import_id, "added_at": iso(row.added_at)}))
        .collect();
    let opt_ins = app.store.opt_ins(contact_id).await?;
    let opt_ins: Vec<Value> = opt_ins
        .into_iter()
        .map(|row| {
            json!({"at": iso(row.at), "source": row.source, "wording": row.wording, "import_id": row.import_id,
                   "salt": row.salt.map(hex::encode)})
        })
        .collect();
    let changes = app.store.changes_of(contact_id).await?;
    let changes: Vec<Value> = changes
        .into_iter()
        .map(|row| {
            json!({"import_id": row.import_id, "phone": crate::views::phone(row.phone), "name": row.name,
                   "language": row.language, "attributes": read(&row.attributes)})
        })
        .collect();
    let replies = replies(app.store.replies_of(contact_id).await?);
    let answers: Vec<Value> = app
        .store
        .answers_to(contact_id)
        .await?
        .into_iter()
        .map(|(campaign_id, params)| json!({"campaign_id": campaign_id, "said": read(&params)["text"]}))
        .collect();
    let attempts = app.store.past_attempts_of(contact_id).await?;
    let attempts: Vec<Value> = attempts
        .into_iter()
        .map(|row| {
            json!({"campaign_id": row.campaign_id, "attempt": row.attempt, "code": row.code, "reason": row.reason,
                   "wamid": row.wamid, "at": iso(row.at)})
        })
        .collect();
    let reviews = app.store.reviews_of(contact_id).await?;
    let reviews: Vec<Value> = reviews
        .into_iter()
        .map(|row| {
            json!({"id": row.id, "asks": row.asks, "said": row.said, "at": iso(row.at), "decided": row.decided,
                   "decided_by": row.decided_by, "reason": row.decided_reason})
        })
        .collect();
    let entries = app.store.entries_about(contact_id).await?;
    let entries: Vec<Value> = entries
        .into_iter()
        .map(|row| {
            json!({"id": row.id, "seq": row.sealed_seq, "at": iso(row.at), "kind": row.kind, "actor": row.actor,
                   "campaign_id": row.campaign_id, "detail": read(&row.detail)})
        })
        .collect();
    let disclosures = app.store.disclosures(Some(contact_id), 0, i64::MAX).await?;
    let disclosures: Vec<Value> =
        disclosures.into_iter().map(|row| json!({"at": iso(row.at), "actor": row.actor, "what": row.what})).collect();
    Ok(json!({
        "contact_id": contact_id, "contact": contact, "known_as": names, "lists": lists, "consents": opt_ins,
        "changed_by_imports": changes, "messages": sends(app, contact_id).await?, "earlier_attempts": attempts,
        "replies": replies, "answers": answers, "reviews": reviews, "ledger": entries, "disclosures": disclosures,
    }))
}

/// What somebody wrote.
fn replies(rows: Vec<store::ReplyRow>) -> Vec<Value> {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| json!(text));
    rows.into_iter()
        .map(|row| {
            json!({"wamid": row.wamid, "campaign_id": row.campaign_id, "inferred": row.inferred, "kind": row.kind,
                   "said": said_in(&row.detail), "detail": read(&row.detail), "at": iso(row.at),
                   "received_at": iso(row.received_at)})
        })
        .collect()
}

async fn sends(app: &App, contact_id: i64) -> Result<Vec<Value>> {
    let time = |at: Option<i64>| at.map(iso);
    let rows = app.store.messages_of(contact_id).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let state = domain::send::SendState::try_from(row.state).map_or("unknown", domain::send::SendState::as_str);
            json!({"campaign_id": row.campaign_id, "campaign": row.campaign, "phone_number_id": row.phone_number_id,
                   "state": state, "attempts": row.attempt, "code": row.code, "reason": row.reason, "wamid": row.wamid,
                   "claimed_at": time(row.claimed_at), "accepted_at": time(row.accepted_at),
                   "sent_at": time(row.sent_at), "delivered_at": time(row.delivered_at), "read_at": time(row.read_at),
                   "failed_at": time(row.failed_at)})
        })
        .collect())
}

/// Erases a person everywhere. They are suppressed first, and what was claimed for them has left or lapsed before
/// anything is taken away: on return no send to them begins any more, and an import does not bring them back.
///
/// # Errors
/// When the text is no person, the reason is empty, the key of the hashes is not the one of earlier erasures, or the
/// database is away. What was begun can be repeated.
#[crate::boxed]
pub async fn erase(app: &Arc<App>, actor: &Actor, person: &str, reason: &str) -> Result<ErasureView> {
    let parsed = Person::parse(person)?;
    if reason.trim().is_empty() {
        return Err(Fault::invalid("An erasure needs a reason: it stays as evidence that it was asked for."));
    }
    check_key(app).await?;
    let before = app.store.people_named(parsed.key(), parsed.user_id()).await?;
    let stop = Stop {
        contact_id: None,
        phone: match &parsed {
            Person::Phone(number) => Some(webhook::keyed(*number)),
            Person::UserId(_) => None,
        },
        user_id: parsed.user_id().map(str::to_owned),
        parent_user_id: None,
        quoted_wamid: None,
        campaign_id: None,
        scope: domain::optout::scope::Scope::All,
        source: "erasure",
        at: app.clock.now_ms(),
        evidence: evidence::entry(app, "opt-out", actor, &json!({"source": "erasure", "scope": "all"}))
            .map_err(Fault::internal)?,
    };
    let stopped = app.store.stop(&stop).await?;
    webhook::await_departures(app, &stopped.contact_ids).await?;
    await_answers(app, &stopped.contact_ids).await?;
    let names = names_of(app, &parsed, &stopped.contact_ids).await?;
    let detail = json!({"reason": files::without(reason.trim(), &names)});
    let erasure = Erasure {
        contact_ids: &stopped.contact_ids,
        names: &names,
        at: app.clock.now_ms(),
        actor: actor.as_str(),
        evidence: evidence::entry(app, "erasure", actor, &detail).map_err(Fault::internal)?,
    };
    let erased = app.store.erase(&erasure, sealed_leaf).await?;
    let rejected_rows = files::forget(&app.data_dir, &names).await.map_err(Fault::internal)?;
    let scrubbed = app.store.scrub(names.iter().map(|name| name.clone().into_bytes()).collect()).await?;
    if scrubbed == Scrubbed::Later {
        tracing::warn!("a page of the database's file still holds what was erased; repeat the erasure to clear it");
    }
    metrics::counter!("hudhud_erasures_total").increment(1);
    Ok(ErasureView {
        erased: true,
        known: !before.is_empty(),
        contact_ids: stopped.contact_ids,
        memberships: erased.memberships,
        replies: erased.replies,
        sends: erased.sends,
        consents: erased.consents,
        ledger_entries: erased.entries,
        other_rows: erased.others,
        rejected_rows,
        file: match scrubbed {
            Scrubbed::Clean => "clean",
            Scrubbed::Later => "later",
            Scrubbed::NotOurs => "server",
        }
        .to_owned(),
    })
}

/// Refuses where the hashes of people erased before were made with another key: nobody would know them again.
///
/// # Errors
/// That, or when the database is away.
#[crate::boxed]
pub async fn check_key(app: &App) -> Result<()> {
    let (kept, own) = (app.store.erasure_key_id().await?, app.store.own_erasure_key_id());
    if kept.is_none() || kept == own {
        return Ok(());
    }
    Err(Fault::wrong_state(
        "People were erased here under another HUDHUD_SECRET_KEY: under this one they would not be known, and could be \
         imported and messaged again.",
    )
    .action("Start with the secret key that this database was used with."))
}

/// Waits a moment until what has left was answered: the answer brings Meta's id of the message. What comes later is
/// taken away by [`sweep`].
async fn await_answers(app: &App, people: &[i64]) -> Result<()> {
    let began = app.clock.boot_us();
    while u128::from(app.clock.boot_us().saturating_sub(began)) < ANSWERS.as_micros() {
        if app.store.submitting_to(people).await?.is_empty() {
            return Ok(());
        }
        app.clock.sleep(LOOK).await;
    }
    Ok(())
}

/// Every way in which a text may name the person.
async fn names_of(app: &App, person: &Person, people: &[i64]) -> Result<Vec<String>> {
    let mut names = BTreeSet::new();
    let mut number = |digits: i64| {
        names.insert(digits.to_string());
    };
    if let Person::Phone(asked) = person {
        let (key, digits) = webhook::keyed(*asked);
        number(key);
        number(digits);
    }
    let mut others = Vec::new();
    for contact_id in people {
        if let Some(contact) = app.store.contact(*contact_id).await? {
            contact.phone.into_iter().chain(contact.phone_key.filter(|key| *key > 0)).for_each(&mut number);
        }
        let known = app.store.names_of(*contact_id).await?;
        others.extend(known.into_iter().map(|(_, value)| value).filter(|value| !store::is_blind(value)));
    }
    others.extend(person.user_id().map(str::to_owned));
    names.extend(others);
    // Too short to be anybody's alone.
    Ok(names.into_iter().filter(|name| name.len() >= 5).collect())
}

/// What stands for a consent in its import's tree: the leaf, or both that it may be.
fn sealed_leaf(row: &EvidenceRow) -> Option<Vec<u8>> {
    let (by_phone, by_user_id) = leaves_of(row)?;
    Some(if by_phone == by_user_id { by_phone.to_vec() } else { [by_phone, by_user_id].concat() })
}

/// Takes away what came in late about people who were erased. For the scheduler; `true` while there is more.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn sweep(app: &App) -> anyhow::Result<bool> {
    let now = app.clock.now_ms();
    let due = app.store.erasures_to_sweep(now - SWEEP_EVERY, now, SWEPT_AT_ONCE).await?;
    let mut late = 0;
    for erasure in &due {
        late += app.store.sweep_erased(erasure.contact_id, now).await?;
    }
    if late > 0 {
        tracing::info!(rows = late, "what came in late about people who were erased is gone");
    }
    Ok(i64::try_from(due.len()).unwrap_or(SWEPT_AT_ONCE) == SWEPT_AT_ONCE)
}
