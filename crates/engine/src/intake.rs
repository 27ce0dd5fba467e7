//! Taking webhooks in: statuses are matched to their attempts and applied upwards, in groups and in any order.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use cloud_api::webhook::{self, Change, ChangeKind, Pricing, StandingEvent, StatusEvent, StatusKind, WireError};
use domain::pacing::{Beyond, Circumstances, Reaction, Retry, react};
use domain::phone::PhoneNumber;
use domain::pricing::{Billed, BilledAs};
use domain::send::{Current, SendEvent, Status};
use serde::{Deserialize, Serialize};
use store::{Happening, Identity, Parked, Priority, Waiting};

use crate::journal::AttemptKey;
use crate::refusals::{AWAITS_TEMPLATE, advice, class_of, least_pause};
use crate::{App, callback, consequences, inbound, indoubt, reviews, standing};

/// Bodies applied in one round: what is said of one message within it is one write.
const BODIES: i64 = 400;
/// A round takes no more bodies once it has so many bytes.
const BYTES: i64 = 4 << 20;
/// Bodies read without letting others of this process have their turn.
const AT_ONCE: usize = 16;
/// Statuses applied in one transaction, so that a claim never waits long for them.
const GROUP: usize = 800;
/// The kind of identity that a business-scoped user id is.
const USER_ID: i16 = 2;
/// The kind of identity that a parent user id is.
const PARENT_USER_ID: i16 = 3;
/// Parked statuses of one page.
const PARKED: i64 = 500;
/// Meta tells times in whole seconds, rounded down; ours are in milliseconds.
const META_ROUNDS: i64 = 999;
/// Parked statuses are tried again for so long.
const KEEP_PARKED: i64 = 24 * 3_600_000;
/// An unknown message id is held against sends in doubt once it is so old: our own answer had its chance.
const EVIDENCE_AFTER: i64 = 5_000;

/// What a status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said {
    Sent,
    Delivered,
    Read,
    Failed,
}

impl Said {
    fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
        }
    }
}

/// A status in our own words, as it is parked.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Heard {
    wamid: String,
    status: Said,
    at: i64,
    callback: Option<String>,
    recipient: Option<String>,
    user_id: Option<String>,
    parent_user_id: Option<String>,
    /// Meta's code and its class's name, of a failure.
    code: Option<i64>,
    later: Option<i64>,
    /// What it says of the price: [`Billed::code`].
    #[serde(default)]
    billed: Option<i16>,
}

/// Applies what waits in the inbox. `true`: there is more.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn tick(app: &Arc<App>) -> anyhow::Result<bool> {
    let bodies = app.store.waiting_bodies(BODIES, BYTES).await?;
    if bodies.is_empty() {
        return Ok(false);
    }
    let bytes: usize = bodies.iter().map(|body| body.body.len()).sum();
    let is_full =
        i64::try_from(bodies.len()).unwrap_or(BODIES) >= BODIES || i64::try_from(bytes).unwrap_or(BYTES) >= BYTES;
    let accounts: HashMap<i64, store::Account> =
        app.store.accounts().await?.into_iter().map(|account| (account.id, account)).collect();
    if let Err(error) = take_in(app, &accounts, &bodies).await {
        if is_away(&error) {
            return Err(error);
        }
        // One of them is what cannot be applied; the others must not wait behind it for ever.
        for body in &bodies {
            let Err(error) = take_in(app, &accounts, std::slice::from_ref(body)).await else { continue };
            if is_away(&error) {
                return Err(error);
            }
            let error = format!("{error:#}");
            tracing::error!(body = body.id, error, "a webhook cannot be applied for a defect; it is kept for a person");
            app.store.mark_applied(&[], &[(body.id, error)], app.clock.now_ms()).await?;
        }
    }
    Ok(is_full)
}

/// Does all that bodies ask for. Half done, it can be done again.
async fn take_in(app: &Arc<App>, accounts: &HashMap<i64, store::Account>, bodies: &[Waiting]) -> anyhow::Result<()> {
    reviews::take(app, bodies, |body, change| vouched(app, accounts, body, change)).await?;
    apply(app, read(app, accounts, bodies).await).await
}

/// Whether it may work later without anybody changing anything.
fn is_away(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<store::Error>().is_some_and(store::Error::is_unavailable))
}

async fn read(app: &App, accounts: &HashMap<i64, store::Account>, bodies: &[Waiting]) -> Round {
    let mut round = Round::default();
    for (place, body) in bodies.iter().enumerate() {
        if place % AT_ONCE == AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        match webhook::parse(&body.body) {
            Ok(changes) => {
                let (mut items, mut unread) = (0, Vec::new());
                for change in changes {
                    items += 1;
                    if vouched(app, accounts, body, &change) {
                        unread.extend(round.take(body, change));
                    }
                }
                match unread.first() {
                    None => round.done.push(body.id),
                    Some(reason) => {
                        let reason = format!("{} of its {items} items could not be read: {reason}", unread.len());
                        round.unreadable.push((body.id, reason));
                    }
                }
            }
            Err(error) => round.unreadable.push((body.id, error.to_string())),
        }
    }
    round
}

/// A body's secret vouches for the accounts that share it, and for no other.
fn vouched(app: &App, accounts: &HashMap<i64, store::Account>, body: &Waiting, change: &Change) -> bool {
    let Some(voucher) = accounts.get(&body.account_id) else { return false };
    if voucher.waba_id == change.waba_id {
        return true;
    }
    let Some(named) = accounts.values().find(|account| account.waba_id == change.waba_id) else { return false };
    use secrecy::ExposeSecret;
    match (crate::accounts::app_secrets(app, voucher), crate::accounts::app_secrets(app, named)) {
        (Ok(one), Ok(other)) => one.iter().any(|one| other.iter().any(|it| it.expose_secret() == one.expose_secret())),
        _ => false,
    }
}

#[derive(Default)]
struct Round {
    done: Vec<i64>,
    /// Bodies that could not be read, or not all of them, and why: they keep their bytes for a person.
    unreadable: Vec<(i64, String)>,
    statuses: Vec<(i64, Option<String>, StatusEvent)>,
    inbound: Vec<inbound::Came>,
    templates: Vec<(i64, cloud_api::webhook::TemplateStatusEvent)>,
    standings: Vec<(String, StandingEvent)>,
}

impl Round {
    /// Sorts an item in. The reason, if nobody can read it: then the body keeps its bytes.
    fn take(&mut self, body: &Waiting, change: Change) -> Option<String> {
        let number = change.phone_number_id;
        match change.kind {
            ChangeKind::Status(event) => self.statuses.push((body.account_id, number, event)),
            ChangeKind::Inbound(message) if !message.group => {
                self.inbound.push((body.account_id, number, message, body.received_at));
            }
            ChangeKind::TemplateStatus(event) => self.templates.push((body.account_id, event)),
            ChangeKind::Standing(event) => self.standings.push((change.waba_id, event)),
            // Opt-outs took effect before the acknowledgement; the rest is not read by this version.
            ChangeKind::Inbound(_) | ChangeKind::Preference(_) | ChangeKind::Other { .. } => {}
            ChangeKind::Unreadable { reason, .. } => {
                metrics::counter!("hudhud_webhook_events_total", "type" => "item", "result" => "unknown").increment(1);
                tracing::warn!(body = body.id, reason, "a webhook's item could not be read; the rest of it is applied");
                return Some(reason);
            }
        }
        None
    }
}

async fn apply(app: &Arc<App>, round: Round) -> anyhow::Result<()> {
    let heard: Vec<(i64, Option<String>, Heard, Option<WireError>)> = round
        .statuses
        .into_iter()
        .filter_map(|(account, number, event)| heard_of(event).map(|(heard, error)| (account, number, heard, error)))
        .collect();
    let unmatched: Vec<&str> = heard
        .iter()
        .filter(|(_, _, heard, _)| ours(app, heard).is_none())
        .map(|(_, _, heard, _)| heard.wamid.as_str())
        .collect();
    let by_wamid = attempts_of(app, &unmatched).await?;

    let mut happenings = Vec::with_capacity(heard.len());
    let mut parked = Vec::new();
    let mut identities = Vec::with_capacity(heard.len());
    let mut aftermath = Vec::new();
    let mut counts: BTreeMap<(String, Said), u64> = BTreeMap::new();
    for (account_id, number, mut heard, error) in heard {
        let Some(key) = ours(app, &heard).or_else(|| by_wamid.get(&heard.wamid).copied()) else {
            parked.push(park(app, account_id, number, &heard));
            continue;
        };
        if let Some(error) = error {
            let reaction = reaction_to(app, key, &error).await?;
            if let Retry::After(delay) = reaction.message {
                heard.later = Some(app.clock.now_ms().saturating_add(delay));
            }
            aftermath.push((key, reaction.beyond, error));
        }
        *counts.entry((number.unwrap_or_default(), heard.status)).or_default() += 1;
        identities.extend(names_of(&mut heard, key.contact_id));
        happenings.push(happening_of(key, heard));
    }
    for ((number, status), count) in counts {
        metrics::counter!("hudhud_message_status_total", "number" => number, "status" => status.as_str())
            .increment(count);
    }
    apply_all(app, happenings).await?;
    app.store.park(&parked).await?;
    for _ in app.store.learn_identities(&identities).await? {
        tracing::info!("a person who said stop by a user id alone is known now and suppressed");
    }
    keep_inbound(app, &round.inbound).await?;
    for (account_id, event) in &round.templates {
        follow_template(app, *account_id, event).await?;
    }
    for (waba_id, event) in &round.standings {
        let accounts = app.store.accounts().await?;
        if let Some(account) = accounts.iter().find(|account| account.waba_id == *waba_id) {
            standing::follow(app, account.id, event).await?;
        }
    }
    // A batch that Meta drops comes as hundreds of failures at once, and they all say the same.
    let mut followed = HashSet::new();
    for (key, beyond, error) in aftermath {
        let person = (beyond == Beyond::SuppressPerson).then_some(key.contact_id);
        if followed.insert((key.campaign_id, person, error.code)) {
            follow_failure(app, key, beyond, &error).await?;
        }
    }
    app.store.mark_applied(&round.done, &round.unreadable, app.clock.now_ms()).await?;
    Ok(())
}

/// Applies statuses in groups, all that is said of one send in the same one, and in the order in which it came.
async fn apply_all(app: &App, mut happenings: Vec<Happening>) -> anyhow::Result<()> {
    let key = |happening: &Happening| (happening.campaign_id, happening.contact_id);
    happenings.sort_by_key(key);
    let mut rest = happenings.as_slice();
    while !rest.is_empty() {
        let mut end = rest.len().min(GROUP);
        while end < rest.len() && key(&rest[end]) == key(&rest[end - 1]) {
            end += 1;
        }
        let (group, later) = rest.split_at(end);
        rest = later;
        // Nearly all of them go the short way.
        let left = app.store.apply_progress(Priority::Soon, group).await?;
        let left: Vec<Happening> = left.into_iter().map(|place| group[place].clone()).collect();
        let applied = indoubt::apply(app, Priority::Soon, &left).await?;
        for (place, illegal) in &applied.illegal {
            tracing::warn!(campaign = left[*place].campaign_id, %illegal, "a status does not fit its send");
            metrics::counter!("hudhud_reconcile_mismatches_total", "kind" => "illegal_step").increment(1);
        }
    }
    Ok(())
}

/// A status in our own words, and why it failed, if it did.
fn heard_of(event: StatusEvent) -> Option<(Heard, Option<WireError>)> {
    let status = match event.status {
        StatusKind::Sent => Said::Sent,
        StatusKind::Delivered => Said::Delivered,
        StatusKind::Read => Said::Read,
        StatusKind::Failed => Said::Failed,
        // `played`, `deleted`: say nothing of where the message stands.
        StatusKind::Other(_) => return None,
    };
    let error = event.errors.into_iter().next();
    let heard = Heard {
        wamid: event.wamid,
        status,
        at: event.at_ms,
        callback: event.callback_data,
        recipient: event.recipient_id,
        user_id: event.recipient_user_id,
        parent_user_id: event.parent_user_id,
        code: error.as_ref().map(|error| error.code),
        later: None,
        billed: event.pricing.as_ref().and_then(billed_of).map(Billed::code),
    };
    Some((heard, error))
}

/// What a status says of the price, if it says whether there is one.
fn billed_of(pricing: &Pricing) -> Option<Billed> {
    let category = BilledAs::parse(pricing.category.as_deref()?);
    let billable = pricing.billable.or_else(|| pricing.rate.as_deref().map(|rate| rate == "regular"))?;
    Some(Billed { category, billable })
}

/// The attempt that a status names itself.
fn ours(app: &App, heard: &Heard) -> Option<AttemptKey> {
    heard.callback.as_deref().and_then(|data| callback::decode(&app.install, data))
}

fn happening_of(key: AttemptKey, heard: Heard) -> Happening {
    let status = match heard.status {
        Said::Sent => Status::Sent,
        Said::Delivered => Status::Delivered,
        Said::Read => Status::Read,
        Said::Failed => Status::Failed { later: heard.later.is_some() },
    };
    let event = SendEvent::Status(status, Current::Yes);
    let mut happening = Happening::new((key.campaign_id, key.contact_id), Some(key.attempt), event, heard.at);
    happening.wamid = Some(heard.wamid);
    happening.code = heard.code;
    happening.not_before = heard.later;
    happening.billed = heard.billed;
    happening
}

async fn attempts_of(app: &App, wamids: &[&str]) -> anyhow::Result<HashMap<String, AttemptKey>> {
    let found = app.store.sends_of_wamids(wamids).await?;
    Ok(found
        .into_iter()
        .map(|found| {
            let key =
                AttemptKey { campaign_id: found.campaign_id, contact_id: found.contact_id, attempt: found.attempt };
            (found.wamid, key)
        })
        .collect())
}

/// What follows from a failure that a webhook reports.
async fn reaction_to(app: &App, key: AttemptKey, error: &WireError) -> anyhow::Result<Reaction> {
    let before = app.store.refusals_with((key.campaign_id, key.contact_id), error.code).await?;
    let tries = u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1);
    let asked = least_pause(error.code);
    Ok(react(class_of(error.kind), &Circumstances { asked, ..Circumstances::tried(tries) }))
}

async fn follow_failure(app: &App, key: AttemptKey, beyond: Beyond, error: &WireError) -> anyhow::Result<()> {
    let code = error.code;
    let why = advice(class_of(error.kind), code);
    match beyond {
        Beyond::SuppressPerson => {
            consequences::suppress(app, key.contact_id, key.campaign_id, error.raw.as_deref()).await;
        }
        Beyond::PauseCampaign => consequences::pause_campaign(app, key.campaign_id, &why).await,
        Beyond::PauseForTemplate => consequences::pause_for_template(app, key.campaign_id, code, &why).await,
        Beyond::PauseNumber | Beyond::PauseAccount | Beyond::PausePortfolio => {
            let Some(row) = app.store.send((key.campaign_id, key.contact_id)).await? else { return Ok(()) };
            match beyond {
                Beyond::PauseNumber => consequences::pause_number(app, row.number_id, &why).await,
                Beyond::PauseAccount => consequences::stop_account(app, row.number_id, None, &why).await,
                _ => consequences::stop_portfolio(app, row.number_id, &why).await,
            }
        }
        // Rates and storms are judged by the answers to requests; a single late failure says nothing of them.
        Beyond::Nothing | Beyond::SlowNumber | Beyond::CountAgainstNumber | Beyond::CountAgainstCampaign => {}
    }
    Ok(())
}

/// The person's names, taken out of what was heard.
fn names_of(heard: &mut Heard, contact_id: i64) -> impl Iterator<Item = Identity> {
    let name = |kind, value: &mut Option<String>| value.take().map(|value| Identity { kind, value, contact_id });
    [name(USER_ID, &mut heard.user_id), name(PARENT_USER_ID, &mut heard.parent_user_id)].into_iter().flatten()
}

fn park(app: &App, account_id: i64, number: Option<String>, heard: &Heard) -> Parked {
    Parked {
        wamid: heard.wamid.clone(),
        status: heard.status.as_str().to_owned(),
        account_id,
        phone_number_id: number,
        recipient: heard.recipient.clone(),
        event: serde_json::to_string(heard).unwrap_or_else(|_| "{}".to_owned()),
        at: heard.at,
        parked_at: app.clock.now_ms(),
    }
}

/// Keeps what people wrote.
async fn keep_inbound(app: &App, messages: &[inbound::Came]) -> anyhow::Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    let quoted: Vec<&str> = messages.iter().filter_map(|(_, _, message, _)| message.context_id.as_deref()).collect();
    inbound::keep(app, messages, &attempts_of(app, &quoted).await?).await
}

/// A template that Meta stops must not be launched; campaigns that run on it are paused.
async fn follow_template(
    app: &App,
    account_id: i64,
    event: &cloud_api::webhook::TemplateStatusEvent,
) -> anyhow::Result<()> {
    let (Some(name), Some(language)) = (&event.name, &event.language) else { return Ok(()) };
    let status = match event.event.as_str() {
        "REINSTATED" | "UNARCHIVED" => "APPROVED",
        "FLAGGED" => return Ok(()),
        other => other,
    };
    app.store.set_template_status(account_id, name, language, status).await?;
    if status == "APPROVED" {
        return consequences::resume_for_templates(app, account_id).await;
    }
    for campaign in app.store.campaigns_alive().await? {
        if campaign.account_id != account_id || campaign.state()? != domain::campaign::CampaignState::Running {
            continue;
        }
        let template: crate::renderer::KeptTemplate = serde_json::from_str(&campaign.template)?;
        if template.name == *name && template.language == *language {
            // A pause of Meta's ends by itself; anything else is for a person to look at.
            let awaits = if status == "PAUSED" { AWAITS_TEMPLATE } else { "" };
            let reason =
                format!("{awaits}Meta set the template to {status}. Resume once it is approved again, or cancel.");
            consequences::pause_campaign(app, campaign.id, &reason).await;
        }
    }
    Ok(())
}

/// Looks again for the sends of parked statuses: our own record may have come after the webhook. An unknown message id
/// is evidence for a doubt only if number and recipient lead to exactly one.
///
/// It walks through what is parked, a page at a time and round and round: where another app sends from the same number
/// most statuses are that app's, and the few of ours among them must not wait behind them.
#[derive(Debug, Default)]
pub struct Parking {
    /// The last one looked at: when it was parked, its message id and status.
    after: Option<(i64, String, String)>,
}

impl Parking {
    /// One page. `true`: there is more to look at at once.
    ///
    /// # Errors
    /// When the database is away.
    #[crate::boxed]
    pub async fn tick(&mut self, app: &Arc<App>) -> anyhow::Result<bool> {
        let now = app.clock.now_ms();
        let (at, wamid, status) = self.after.clone().unwrap_or_default();
        let parked = app.store.parked_after((at.max(now - KEEP_PARKED), &wamid, &status), PARKED).await?;
        let is_full = i64::try_from(parked.len()).unwrap_or(PARKED) == PARKED;
        self.after = parked.last().filter(|_| is_full).map(|last| {
            let (wamid, status) = (last.wamid.clone(), last.status.clone());
            (last.parked_at, wamid, status)
        });
        if parked.is_empty() {
            return Ok(false);
        }
        let found = match_parked(app, &parked, now).await?;
        // A page of strangers is followed by a pause, or a busy neighbour would keep us busy.
        Ok(is_full && found)
    }
}

/// Whether any was matched.
async fn match_parked(app: &Arc<App>, parked: &[Parked], now: i64) -> anyhow::Result<bool> {
    let wamids: Vec<&str> =
        parked.iter().map(|parked| parked.wamid.as_str()).collect::<HashSet<_>>().into_iter().collect();
    let by_wamid = attempts_of(app, &wamids).await?;
    let any_doubts = app.store.doubt_count().await? > 0;
    let mut happenings = Vec::new();
    let mut found = Vec::new();
    for parked in parked {
        let Ok(heard) = serde_json::from_str::<Heard>(&parked.event) else { continue };
        let key = match by_wamid.get(&parked.wamid) {
            Some(key) => Some(*key),
            None if any_doubts && now - parked.parked_at > EVIDENCE_AFTER => doubt_of(app, parked).await?,
            None => None,
        };
        if let Some(key) = key {
            happenings.push(happening_of(key, heard));
            found.push((parked.wamid.clone(), parked.status.clone()));
        }
    }
    indoubt::apply(app, Priority::Soon, &happenings).await?;
    app.store.unpark(&found).await?;
    Ok(!found.is_empty())
}

/// The one send in doubt that a message id of nobody's can belong to.
async fn doubt_of(app: &App, parked: &Parked) -> anyhow::Result<Option<AttemptKey>> {
    let (Some(number), Some(recipient)) = (&parked.phone_number_id, &parked.recipient) else { return Ok(None) };
    let Some(recipient) = PhoneNumber::from_wa_id(recipient) else { return Ok(None) };
    let key = i64::try_from(recipient.key()).unwrap_or(i64::MAX);
    let doubts = app.store.doubts_to(number, key, parked.at + META_ROUNDS).await?;
    Ok(match doubts.as_slice() {
        [((campaign_id, contact_id), attempt)] => {
            Some(AttemptKey { campaign_id: *campaign_id, contact_id: *contact_id, attempt: *attempt })
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests;
