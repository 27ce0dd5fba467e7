//! Putting a proof together from what the database holds.

use std::collections::BTreeMap;

use domain::optout::scope::{Forbidding, Scope};
use domain::send::SendState;
use serde_json::Value;
use store::{EntryRow, ImportRow, MessageRow};

use super::{
    AfterStop, Consent, Exclusion, FORMAT, ImportOfConsent, LiftEvent, Message, Proof, ProofEntry, ProofVerdict, Reply,
    StopEvent,
};
use crate::fault::{Fault, Result};
use crate::ledger::heads::HeadView;
use crate::optouts::Person;
use crate::renderer::KeptTemplate;
use crate::views::iso;
use crate::{Actor, App, disclosures};

/// A claim is valid for so long: what was claimed before a stop leaves within it, or never. Milliseconds.
const CLAIM_VALID_MS: i64 = 250;

/// Everything that can be shown about a person, by a number in any form or a user id. The look is recorded.
///
/// # Errors
/// When the text is no person, or the database is away.
#[crate::boxed]
pub async fn prove(app: &App, actor: &Actor, person: &str) -> Result<Proof> {
    let parsed = Person::parse(person)?;
    let people = app.store.people_named(parsed.key(), parsed.user_id()).await?;
    disclosures::note(app, actor, "prove", people.first().copied(), "").await?;
    let blocks = app.store.blocks_of(parsed.key(), parsed.user_id()).await?;
    let standing = blocks.first();
    let mut held = Held::default();
    for contact_id in &people {
        held.read(app, *contact_id).await?;
    }
    let mut entries: Vec<EntryRow> = Vec::new();
    let consents = consents(app, &people, &mut entries).await?;
    entries.extend(held.entries);
    entries.sort_by_key(|entry| entry.id);
    entries.dedup_by_key(|entry| entry.id);
    let stops: Vec<StopEvent> = entries.iter().filter(|entry| entry.kind == "opt-out").map(stop_of).collect();
    let lifts: Vec<LiftEvent> = entries.iter().filter(|entry| entry.kind == "lift").map(lift_of).collect();
    let stops = with_campaigns(stops, &entries, &held.messages);
    let times = Times::of(&entries);
    let messages: Vec<Message> =
        held.messages.iter().filter(|row| row.attempt > 0).map(|row| message_of(row, &times)).collect::<Result<_>>()?;
    let exclusions: Vec<Exclusion> = held.messages.iter().filter_map(exclusion_of).collect();
    let first_stop = times.stops.first().map(|(at, _)| *at);
    let verdict = ProofVerdict {
        known: !people.is_empty(),
        erased: held.erased,
        suppressed: standing.is_some(),
        scope: standing.map(|standing| standing.scope.clone()),
        scopes: blocks.iter().map(|block| block.scope.clone()).collect(),
        since: standing.map(|standing| iso(standing.since)),
        consented: !consents.is_empty(),
        messages: messages.iter().filter(|message| message.accepted_at.is_some()).count(),
        after_stop: messages.iter().filter(|message| message.after_stop.is_some()).count(),
        unexplained: messages
            .iter()
            .filter(|message| message.after_stop.as_ref().is_some_and(|after| after.why == "unexplained"))
            .count(),
        excluded_since: held.messages.iter().filter(|row| is_left_out(row) && since(row) >= first_stop).count(),
    };
    let signed_heads = signed_over(app, &entries).await?;
    Ok(Proof {
        format: FORMAT.to_owned(),
        person: parsed.shown(),
        made_at: iso(app.clock.now_ms()),
        made_for: actor.as_str().to_owned(),
        verdict,
        known_as: held.known_as,
        consents,
        stops,
        lifts,
        messages,
        exclusions,
        replies: held.replies,
        entries: with_hashes(app, entries).await?,
        signed_heads,
    })
}

/// What is read of a person's rows.
#[derive(Default)]
struct Held {
    known_as: Vec<String>,
    erased: bool,
    messages: Vec<MessageRow>,
    replies: Vec<Reply>,
    entries: Vec<EntryRow>,
}

impl Held {
    async fn read(&mut self, app: &App, contact_id: i64) -> Result<()> {
        if let Some(contact) = app.store.contact(contact_id).await? {
            self.known_as.extend(crate::views::phone(contact.phone));
            self.erased |= contact.phone_key.is_some_and(|key| key < 0);
        }
        for (_, name) in app.store.names_of(contact_id).await? {
            if !store::is_blind(&name) {
                self.known_as.push(name);
            }
        }
        self.messages.extend(app.store.messages_of(contact_id).await?);
        self.messages.sort_by_key(|row| row.campaign_id);
        for row in app.store.replies_of(contact_id).await? {
            let said = said_in(&row.detail);
            self.replies.push(Reply { at: iso(row.at), kind: row.kind, said, campaign_id: row.campaign_id });
        }
        self.entries.extend(app.store.entries_about(contact_id).await?);
        Ok(())
    }
}

/// The words in what an inbound message was kept as.
pub(crate) fn said_in(detail: &str) -> String {
    let detail: Value = serde_json::from_str(detail).unwrap_or_default();
    ["body", "text", "title"].iter().find_map(|field| detail[*field].as_str()).unwrap_or_default().to_owned()
}

/// When the person said stop, to what, and when that was lifted, as recorded, in order.
struct Times {
    stops: Vec<(i64, Scope)>,
    lifts: Vec<i64>,
}

impl Times {
    fn of(entries: &[EntryRow]) -> Self {
        let of = |kind: &'static str| entries.iter().filter(move |entry| entry.kind == kind);
        let mut stops: Vec<(i64, Scope)> = of("opt-out").map(|entry| (entry.at, scope_of(&entry.detail))).collect();
        stops.sort_by_key(|(at, _)| *at);
        let mut lifts: Vec<i64> = of("lift").map(|entry| entry.at).collect();
        lifts.sort_unstable();
        Self { stops, lifts }
    }

    /// The stops at or before a time after which no lift came, the last one last.
    fn standing(&self, at: i64) -> impl Iterator<Item = &(i64, Scope)> {
        let lifted = self.lifts.iter().copied().take_while(|lift| *lift <= at).last();
        self.stops.iter().filter(move |(stop, _)| *stop <= at && lifted.is_none_or(|lift| lift < *stop))
    }
}

async fn consents(app: &App, people: &[i64], entries: &mut Vec<EntryRow>) -> Result<Vec<Consent>> {
    let mut imports: BTreeMap<i64, (Option<ImportRow>, Vec<EntryRow>)> = BTreeMap::new();
    let mut consents = Vec::new();
    for contact_id in people {
        for row in app.store.opt_ins(*contact_id).await? {
            let mut entry = None;
            let mut import = None;
            if let Some(import_id) = row.import_id {
                if let std::collections::btree_map::Entry::Vacant(place) = imports.entry(import_id) {
                    let about = app.store.entries_of_import(import_id).await?;
                    place.insert((app.store.import(import_id).await?, about));
                }
                if let Some((of, about)) = imports.get(&import_id) {
                    import = of.as_ref().map(import_of);
                    let vouches = about.iter().find(|found| vouches_for(found, row.chunk));
                    entry = vouches.map(|found| found.id);
                    entries.extend(vouches.cloned());
                }
            }
            let (at, salt) = (iso(row.at), row.salt.map(hex::encode));
            consents.push(Consent { at, source: row.source, wording: row.wording, import, entry, salt });
        }
    }
    Ok(consents)
}

/// Whether an entry holds the root over this chunk's consents.
fn vouches_for(entry: &EntryRow, chunk: Option<i64>) -> bool {
    let detail: Value = serde_json::from_str(&entry.detail).unwrap_or_default();
    entry.kind == "opt-in" && chunk.is_some() && detail["chunk"].as_i64() == chunk
}

fn import_of(row: &ImportRow) -> ImportOfConsent {
    ImportOfConsent {
        id: row.id,
        file_name: row.file_name.clone(),
        sha256: row.sha256.clone(),
        list: row.list_name.clone(),
        actor: row.actor.clone(),
        at: iso(row.started_at),
    }
}

fn stop_of(entry: &EntryRow) -> StopEvent {
    let detail: Value = serde_json::from_str(&entry.detail).unwrap_or_default();
    let text = |field: &str| detail[field].as_str().map(str::to_owned);
    let said_at = detail["event_at"].as_i64().unwrap_or(entry.at);
    // WhatsApp tells whole seconds, rounded down; a stop is never in force before it was said.
    let ms = u32::try_from((entry.at - said_at).clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX);
    StopEvent {
        entry: entry.id,
        said_at: iso(said_at),
        recorded_at: iso(entry.at),
        seconds_until_effective: f64::from(ms) / 1_000.0,
        source: text("source").unwrap_or_else(|| "manual".to_owned()),
        said: text("said").unwrap_or_default(),
        scope: text("scope"),
        campaign: None,
        actor: entry.actor.clone(),
        raw: text("raw"),
        body_sha256: text("body_sha256"),
        signature: text("signature").filter(|signature| !signature.is_empty()),
        erased: entry.detail.is_empty(),
    }
}

/// Names the campaigns that stops answer.
fn with_campaigns(mut stops: Vec<StopEvent>, entries: &[EntryRow], messages: &[MessageRow]) -> Vec<StopEvent> {
    for stop in &mut stops {
        let answered = entries.iter().find(|entry| entry.id == stop.entry).and_then(|entry| entry.campaign_id);
        stop.campaign = messages.iter().find(|row| Some(row.campaign_id) == answered).map(|row| row.campaign.clone());
    }
    stops
}

fn lift_of(entry: &EntryRow) -> LiftEvent {
    let detail: Value = serde_json::from_str(&entry.detail).unwrap_or_default();
    let said = ["said", "reason"].iter().find_map(|field| detail[*field].as_str()).unwrap_or_default();
    LiftEvent { entry: entry.id, at: iso(entry.at), actor: entry.actor.clone(), said: said.to_owned() }
}

fn message_of(row: &MessageRow, times: &Times) -> Result<Message> {
    let template: KeptTemplate = serde_json::from_str(&row.template).map_err(Fault::internal)?;
    let state = SendState::try_from(row.state).map_or("unknown", SendState::as_str);
    Ok(Message {
        campaign_id: row.campaign_id,
        campaign: row.campaign.clone(),
        after_stop: after_stop(row, times, &template.category),
        template: template.name,
        category: template.category,
        phone_number_id: row.phone_number_id.clone(),
        state: state.to_owned(),
        attempts: row.attempt,
        claimed_at: row.claimed_at.map(iso),
        accepted_at: row.accepted_at.map(iso),
        delivered_at: row.delivered_at.map(iso),
        read_at: row.read_at.map(iso),
        failed_at: row.failed_at.map(iso),
        code: row.code,
        wamid: row.wamid.clone(),
    })
}

/// Whether Meta took it after a stop was recorded, and why.
fn after_stop(row: &MessageRow, times: &Times, category: &str) -> Option<AfterStop> {
    let accepted = row.accepted_at?;
    let claimed = row.claimed_at.unwrap_or(accepted);
    let forbidding = Forbidding::of(category, &row.phone_number_id, row.brand.as_deref());
    let judged =
        times.standing(accepted).map(|(stop, scope)| (why_after_stop(claimed, *stop, &forbidding, scope), *stop));
    // Of several stops the one counts that explains the message least.
    let (why, stop) = judged.max_by_key(|(why, _)| *why)?;
    Some(AfterStop { ms: accepted - stop, why: why.as_str().to_owned() })
}

/// What a stop stops, by what the ledger keeps of it: marketing, where that was erased.
pub(crate) fn scope_of(detail: &str) -> Scope {
    let detail: Value = serde_json::from_str(detail).unwrap_or_default();
    detail["scope"].as_str().and_then(|scope| scope.parse().ok()).unwrap_or(Scope::Marketing)
}

/// Why a message could go after a stop, the best reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// The stop was for another number or brand.
    OtherScope,
    /// The stop was for marketing, which it is not.
    Utility,
    /// It had been handed over before.
    OnTheWire,
    /// Nothing explains it.
    Unexplained,
}

impl Why {
    /// As it is written.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::OtherScope => "other-scope",
            Self::Utility => "utility",
            Self::OnTheWire => "on-the-wire",
            Self::Unexplained => "unexplained",
        }
    }
}

/// Why a message that was claimed at this time could go though a stop was recorded at that one.
pub(crate) fn why_after_stop(claimed: i64, stop: i64, forbidding: &Forbidding, scope: &Scope) -> Why {
    match claimed {
        claimed if claimed <= stop => Why::OnTheWire,
        _ if !forbidding.forbids(scope) && !forbidding.forbids(&Scope::Marketing) => Why::Utility,
        _ if !forbidding.forbids(scope) => Why::OtherScope,
        // The clocks of two hosts may differ by that much; the claim itself found no block.
        claimed if claimed <= stop + CLAIM_VALID_MS => Why::OnTheWire,
        _ => Why::Unexplained,
    }
}

fn is_left_out(row: &MessageRow) -> bool {
    row.state == SendState::Skipped as i16
}

/// When a campaign left the person out, as near as is known.
fn since(row: &MessageRow) -> Option<i64> {
    row.claimed_at.or(row.launched_at).or(row.frozen_at)
}

fn exclusion_of(row: &MessageRow) -> Option<Exclusion> {
    is_left_out(row).then(|| Exclusion {
        campaign_id: row.campaign_id,
        campaign: row.campaign.clone(),
        reason: row.reason.clone().unwrap_or_default(),
        found_at: if row.claimed_at.is_some() { "claim" } else { "plan" }.to_owned(),
        at: since(row).map(iso),
    })
}

async fn with_hashes(app: &App, entries: Vec<EntryRow>) -> Result<Vec<ProofEntry>> {
    let mut out = Vec::with_capacity(entries.len());
    for entry in entries {
        let before = match entry.sealed_seq {
            Some(seq) if seq > 1 => app.store.hash_at(seq - 1).await?.unwrap_or_default(),
            _ => Vec::new(),
        };
        out.push(ProofEntry {
            seq: entry.sealed_seq,
            id: entry.id,
            at: entry.at,
            kind: entry.kind,
            actor: entry.actor,
            contact_id: entry.contact_id,
            campaign_id: entry.campaign_id,
            import_id: entry.import_id,
            detail: entry.detail,
            salt: hex::encode(entry.salt),
            commitment: hex::encode(entry.commitment),
            before: hex::encode(before),
            hash: entry.hash.map(hex::encode).unwrap_or_default(),
        });
    }
    Ok(out)
}

/// For each entry the first signed head that covers it.
async fn signed_over(app: &App, entries: &[EntryRow]) -> Result<Vec<HeadView>> {
    let signed = app.store.signed_heads().await?;
    let mut chosen: Vec<HeadView> = Vec::new();
    for seq in entries.iter().filter_map(|entry| entry.sealed_seq) {
        let Some(head) = signed.iter().find(|head| head.seq >= seq) else { continue };
        if chosen.iter().all(|known| known.entries != head.seq) {
            chosen.push(HeadView::from(head.clone()));
        }
    }
    chosen.sort_by_key(|head| head.entries);
    Ok(chosen)
}
