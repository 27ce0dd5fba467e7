//! What people write to us: whose it is and what it answers, as it is kept; and read, by whoever may.

use std::collections::HashMap;

use cloud_api::webhook::{InboundKind, InboundMessage};
use domain::payload;
use domain::phone::PhoneNumber;
use domain::window::Window;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{InboundFilter, InboundRow, NewInbound};
use utoipa::ToSchema;

use crate::fault::{Fault, Result};
use crate::journal::AttemptKey;
use crate::optouts::Person;
use crate::proof::said_in;
use crate::views::iso;
use crate::webhook::keyed;
use crate::{Actor, App, campaigns, disclosures};

/// A message without a hint is taken for the answer to what a campaign sent within so long before it.
const ANSWERS_WITHIN: i64 = 7 * 86_400_000;
/// Meta tells times in whole seconds, rounded down; ours are in milliseconds.
const META_ROUNDS: i64 = 999;

/// A message as it came: the account that vouched for it, Meta's id of the number, the message, when it came.
pub(crate) type Came = (i64, Option<String>, InboundMessage, i64);

/// Keeps what people wrote, each message once. `quoted` are the sends that messages quote, by their message ids.
pub(crate) async fn keep(app: &App, messages: &[Came], quoted: &HashMap<String, AttemptKey>) -> anyhow::Result<()> {
    let numbers: HashMap<String, i64> =
        app.store.numbers().await?.into_iter().map(|number| (number.phone_number_id, number.id)).collect();
    let mut kept = Vec::with_capacity(messages.len());
    for (account_id, number, message, received_at) in messages {
        let quoted = message.context_id.as_ref().and_then(|wamid| quoted.get(wamid));
        let number_id = number.as_ref().and_then(|number| numbers.get(number)).copied();
        let phone = message.from.as_deref().or(message.wa_id.as_deref()).and_then(PhoneNumber::from_wa_id).map(keyed);
        let contact_id = match quoted {
            Some(key) => Some(key.contact_id),
            None => sender(app, phone, message).await?,
        };
        let (kind, detail, named) = words_of(&message.kind);
        let opens = opens(&message.kind);
        let sure = named.or(quoted.map(|key| key.campaign_id));
        let inferred = match (sure, contact_id, number_id) {
            (None, Some(contact_id), Some(number_id)) if opens => {
                let within = (message.at_ms - ANSWERS_WITHIN, message.at_ms + META_ROUNDS);
                app.store.last_campaign_to(contact_id, number_id, within).await?
            }
            _ => None,
        };
        // Only of somebody who is no person of ours.
        let strange = contact_id.is_none();
        kept.push(NewInbound {
            wamid: message.id.clone(),
            account_id: *account_id,
            number_id,
            contact_id,
            phone_key: phone.filter(|_| strange).map(|(key, _)| key),
            phone: phone.filter(|_| strange).map(|(_, digits)| digits),
            user_id: message.from_user_id.clone().filter(|_| strange),
            campaign_id: sure.or(inferred),
            inferred: inferred.is_some(),
            kind: kind.to_owned(),
            detail: detail.to_string(),
            opens,
            at: message.at_ms,
            received_at: *received_at,
        });
    }
    app.store.keep_inbound(&kept).await?;
    Ok(())
}

/// The person who wrote, by their number first, which is theirs alone.
async fn sender(app: &App, phone: Option<(i64, i64)>, message: &InboundMessage) -> anyhow::Result<Option<i64>> {
    let names = [
        (phone.map(|(key, _)| key), None),
        (None, message.from_user_id.as_deref()),
        (None, message.parent_user_id.as_deref()),
    ];
    for (phone_key, user_id) in names {
        if phone_key.is_none() && user_id.is_none() {
            continue;
        }
        if let Some(person) = app.store.people_named(phone_key, user_id).await?.first() {
            return Ok(Some(*person));
        }
    }
    Ok(None)
}

/// Whether it opens the service window: a person wrote, or tapped. News of a person, and a thumb on a message of ours, do
/// not: Meta nowhere says that they do.
fn opens(kind: &InboundKind) -> bool {
    match kind {
        InboundKind::Button { .. } | InboundKind::Interactive { .. } | InboundKind::Text(_) => true,
        InboundKind::IdentityChanged { .. } => false,
        InboundKind::Other(kind) => !matches!(kind.as_str(), "system" | "reaction"),
    }
}

fn words_of(kind: &InboundKind) -> (&'static str, serde_json::Value, Option<i64>) {
    match kind {
        InboundKind::Button { payload, text } => {
            let campaign = payload::decode(payload).map(|ours| ours.campaign_id);
            ("button", json!({"payload": payload, "text": text}), campaign)
        }
        InboundKind::Interactive { id, title } => ("interactive", json!({"id": id, "title": title}), None),
        InboundKind::Text(body) => ("text", json!({"body": body}), None),
        InboundKind::IdentityChanged { .. } => ("system", json!({}), None),
        InboundKind::Other(kind) => ("other", json!({"type": kind}), None),
    }
}

/// Which messages somebody wants to read.
#[derive(Clone, Debug, Default)]
pub struct InboundQuery {
    /// Answers to this campaign, by its name or id.
    pub campaign: Option<String>,
    /// To this business number, by Meta's id of it.
    pub number: Option<String>,
    /// Of this person, by our id.
    pub contact_id: Option<i64>,
}

/// A message that a person sent to us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct InboundView {
    /// Ours: the cursor of the next page.
    pub id: i64,
    /// When it was sent, RFC 3339.
    pub at: String,
    /// When we got it, RFC 3339.
    pub received_at: String,
    /// Meta's id of the business number it was sent to.
    pub number: Option<String>,
    /// Our id of the person; `null`: nobody whom we know.
    pub contact_id: Option<i64>,
    /// Their number, or their user id where they hide it.
    pub from: Option<String>,
    /// Their name, where we know it.
    pub name: Option<String>,
    /// Our id of the campaign that it answers.
    pub campaign_id: Option<i64>,
    /// Its name.
    pub campaign: Option<String>,
    /// Nothing in the message says so: it came within seven days after that campaign's message, from the same number.
    pub inferred: bool,
    /// `text`, `button`, `interactive`, `image`, `reaction` …
    pub kind: String,
    /// The words, or the button's label; `null` where there are none.
    pub text: Option<String>,
    /// Meta's id of it: an answer may quote it.
    pub wamid: String,
    /// The person's service window at that number as it stands now.
    pub window: WindowView,
}

/// Until when somebody may be answered in free text from a business number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WindowView {
    /// Meta's id of the business number.
    pub number: Option<String>,
    /// Whether they may be answered now.
    pub open: bool,
    /// When the window closes, or closed, RFC 3339; `null`: the person never wrote to this number.
    pub until: Option<String>,
}

/// The windows of one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WindowsView {
    /// Our id of the person; `null`: nobody whom we know.
    pub contact_id: Option<i64>,
    /// One for each business number.
    pub windows: Vec<WindowView>,
}

/// Whose windows are asked for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowOrder {
    /// A phone number in any form, or a business-scoped user id.
    pub person: String,
    /// Meta's id of one business number; all of them, if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
}

pub(crate) fn window_view(number: Option<String>, heard_at: Option<i64>, now: i64) -> WindowView {
    let window = Window::of(heard_at, now);
    WindowView { number, open: window.is_open(), until: window.until().map(iso) }
}

fn view(row: InboundRow, now: i64) -> InboundView {
    let detail: serde_json::Value = serde_json::from_str(&row.detail).unwrap_or_default();
    let kind = detail["type"].as_str().filter(|_| row.kind == "other").map_or(row.kind, str::to_owned);
    let text = matches!(kind.as_str(), "text" | "button" | "interactive").then(|| said_in(&row.detail));
    InboundView {
        id: row.id,
        at: iso(row.at),
        received_at: iso(row.received_at),
        number: row.phone_number_id.clone(),
        contact_id: row.contact_id,
        from: row.phone.map(|digits| format!("+{digits}")).or(row.user_id),
        name: row.name,
        campaign_id: row.campaign_id.filter(|_| row.campaign.is_some()),
        inferred: row.inferred,
        campaign: row.campaign,
        kind,
        text: text.filter(|text| !text.is_empty()),
        wamid: row.wamid,
        window: window_view(row.phone_number_id, row.heard_at, now),
    }
}

/// What people sent to us before a message (its id), newest first: a page. The look is recorded.
///
/// # Errors
/// When there is no such campaign or number, or the database is away.
#[crate::boxed]
pub async fn ls(
    app: &App,
    actor: &Actor,
    query: &InboundQuery,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<InboundView>> {
    let mut filter = InboundFilter { contact_id: query.contact_id, ..InboundFilter::default() };
    if let Some(campaign) = &query.campaign {
        filter.campaign_id = Some(campaigns::find(app, campaign).await?);
    }
    if let Some(number) = &query.number {
        filter.number_id = Some(number_named(app, number).await?.id);
    }
    disclosures::note(app, actor, "messages", query.contact_id, "").await?;
    if let Some(contact_id) = query.contact_id {
        app.store.adopt_inbound(contact_id).await?;
    }
    let now = app.clock.now_ms();
    let rows = app.store.inbound_page(filter, before.unwrap_or(i64::MAX), i64::from(limit)).await?;
    Ok(rows.into_iter().map(|row| view(row, now)).collect())
}

async fn number_named(app: &App, id: &str) -> Result<store::BusinessNumber> {
    app.store
        .number_of_meta(id.trim())
        .await?
        .ok_or_else(|| Fault::not_found(format!("There is no business number with the id {id:?}.")))
}

/// Until when a person may be answered in free text, by business number. The look is recorded.
///
/// # Errors
/// When the text is no person, there is no such number, or the database is away.
#[crate::boxed]
pub async fn windows(app: &App, actor: &Actor, order: &WindowOrder) -> Result<WindowsView> {
    let person = Person::parse(&order.person)?;
    let only = match &order.number {
        Some(number) => Some(number_named(app, number).await?.phone_number_id),
        None => None,
    };
    let contact_id = known(app, &person).await?;
    disclosures::note(app, actor, "window", contact_id, "").await?;
    let heard = match contact_id {
        Some(contact_id) => app.store.heard_of(contact_id).await?,
        None => app.store.heard_of_stranger(person.key(), person.user_id()).await?,
    };
    let now = app.clock.now_ms();
    let windows = heard
        .into_iter()
        .filter(|row| only.as_ref().is_none_or(|only| *only == row.phone_number_id))
        .map(|row| window_view(Some(row.phone_number_id), row.heard_at, now))
        .collect();
    Ok(WindowsView { contact_id, windows })
}

/// Our id of a person, with whatever they wrote before we knew them.
pub(crate) async fn known(app: &App, person: &Person) -> Result<Option<i64>> {
    let Some(contact_id) = app.store.people_named(person.key(), person.user_id()).await?.first().copied() else {
        return Ok(None);
    };
    app.store.adopt_inbound(contact_id).await?;
    Ok(Some(contact_id))
}
