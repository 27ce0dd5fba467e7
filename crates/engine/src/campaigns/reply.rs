//! An answer in free text to somebody who wrote to one of our numbers. It is a message of one person like any other
//! ([`super::single`]), and goes only while the person's service window is open: asked here, again by the claim, and by
//! the scheduler for as long as it waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::optout::scope::{Forbidding, SERVICE};
use domain::window::{Window, free_text};
use serde::{Deserialize, Serialize};
use store::{CampaignRow, MessageKind, NewMessage, WINDOW_CLOSED};
use utoipa::ToSchema;

use crate::campaigns::create::numbers;
use crate::campaigns::single::{MessageView, NOTHING, name_of, person, read_key, view};
use crate::fault::{Fault, Result};
use crate::numbers::{Fitness, fitness};
use crate::optouts::Person;
use crate::renderer::KeptTemplate;
use crate::views::iso;
use crate::{Actor, App, inbound};

/// In the parameters of its campaign: what is said, and the message that is quoted.
pub(crate) const TEXT: &str = "text";
pub(crate) const ANSWERS: &str = "answers";

/// An answer that somebody writes.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplyOrder {
    /// Names the message, for good: whoever asks again with the same key gets the same message, and no second one.
    pub key: String,
    /// The person: a phone number in any form, or a business-scoped user id.
    pub to: String,
    /// Meta's id of the business number that the person wrote to.
    pub number: String,
    /// 1 to 4,096 characters. Links in it are not opened.
    pub text: String,
    /// Meta's id of the person's message that it quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<String>,
}

/// Answers one person, or says how the message with this key stands.
///
/// # Errors
/// Names whatever does not exist or does not fit; `Conflict` for a key that stands for another message; `WrongState`
/// where the person's window is not open, for a person who stopped everything, and for an account or number that cannot
/// send.
#[crate::boxed]
pub async fn send_reply(app: &Arc<App>, actor: &Actor, order: &ReplyOrder) -> Result<MessageView> {
    let key = read_key(&order.key)?;
    let to = Person::parse(&order.to)?;
    let text = free_text(&order.text)
        .map_err(|error| Fault::invalid(format!("The text cannot be sent: {error}.")).kept(NOTHING))?;
    if let Some(made) = app.store.campaign_named(&name_of(key)).await? {
        return same(app, key, &made, order, &to).await;
    }
    let (numbers, account_id) = numbers(app, std::slice::from_ref(&order.number)).await?;
    let number_id = *numbers.first().ok_or_else(|| Fault::invalid("A message needs a business number."))?;
    let number = app.store.number(number_id).await?.ok_or_else(|| Fault::not_found("The business number is gone."))?;
    if let Some(reason) = app.store.account(account_id).await?.and_then(|account| account.stopped_reason) {
        return Err(Fault::wrong_state(format!("The account is stopped: {reason}")).kept(NOTHING));
    }
    if let Fitness::Unfit(why) = fitness(&number) {
        return Err(Fault::wrong_state(why).kept(NOTHING));
    }
    let contact_id = writer(app, &to, &number).await?;
    let forbidding = Forbidding::of(SERVICE, &number.phone_number_id, number.brand.as_deref());
    if !app.store.suppressed_among(&[contact_id], &forbidding).await?.is_empty() {
        return Err(Fault::wrong_state("The person opted out.").kept(NOTHING));
    }
    let answers = order.answers.as_deref().map(str::trim).filter(|answers| !answers.is_empty());
    if let Some(answers) = answers
        && !app.store.is_of(answers, contact_id, number_id).await?
    {
        return Err(Fault::invalid("The message that it answers is not one of this person's to this number.")
            .kept(NOTHING)
            .action("`hudhud message inbound` shows what there is; or leave it out."));
    }
    let mut params = BTreeMap::from([(TEXT, text)]);
    params.extend(answers.map(|answers| (ANSWERS, answers)));
    let name = name_of(key);
    let new = NewMessage {
        name: &name,
        kind: MessageKind::Reply,
        account_id,
        template_id: None,
        template: &serde_json::to_string(&KeptTemplate::none()).map_err(Fault::internal)?,
        params: &serde_json::to_string(&params).map_err(Fault::internal)?,
        number_id,
        contact_id,
        created_by: actor.as_str(),
        parent_id: None,
    };
    match app.store.queue_message(&new, app.clock.now_ms()).await {
        Ok(id) => {
            app.scheduler_wake.notify_waiters();
            view(app, key, id).await
        }
        // Asked for twice at once: the other one made it.
        Err(store::Error::Conflict(_)) => match app.store.campaign_named(&name).await? {
            Some(made) => same(app, key, &made, order, &to).await,
            None => Err(Fault::conflict("The message was asked for twice at once.").action("Ask again.")),
        },
        Err(error) => Err(error.into()),
    }
}

/// How an answer stands.
///
/// # Errors
/// When there is none with this key.
#[crate::boxed]
pub async fn answered(app: &App, key: &str) -> Result<MessageView> {
    let key = key.trim();
    match app.store.campaign_named(&name_of(key)).await? {
        Some(made) if made.kind == MessageKind::Reply as i16 => view(app, key, made.id).await,
        _ => Err(Fault::not_found(format!("There is no message with the key {key:?}."))),
    }
}

/// The person who is answered, if their window at the number is open. Somebody whom we do not know becomes a person by
/// being answered, as by any message; without consent to anything.
async fn writer(app: &App, to: &Person, number: &store::BusinessNumber) -> Result<i64> {
    let contact_id = inbound::known(app, to).await?;
    let heard_at = match contact_id {
        Some(contact_id) => {
            if app.store.contact(contact_id).await?.is_none_or(|contact| contact.phone_key.is_some_and(|key| key < 0)) {
                return Err(Fault::wrong_state("The person's data was erased, and they are left alone.").kept(NOTHING));
            }
            app.store.heard_at(contact_id, number.id).await?
        }
        None => {
            let heard = app.store.heard_of_stranger(to.key(), to.user_id()).await?;
            heard.into_iter().find(|row| row.phone_number_id == number.phone_number_id).and_then(|row| row.heard_at)
        }
    };
    let instead = "Send an approved template instead: `hudhud message send`, or POST /api/v1/messages.";
    match Window::of(heard_at, app.clock.now_ms()) {
        Window::Open(_) => {}
        Window::Never => {
            let never = "The person has not written to this number, so that no free text may go to them.";
            return Err(Fault::wrong_state(never).kept(NOTHING).action(instead));
        }
        Window::Closed(at) => {
            let closed = format!("The 24 hours in which the person may be answered ended at {}.", iso(at));
            return Err(Fault::wrong_state(closed).kept(NOTHING).action(instead));
        }
    }
    match (contact_id, to) {
        (Some(contact_id), _) => Ok(contact_id),
        (None, Person::Phone(number)) => {
            let contact_id = person(app, *number).await?;
            app.store.adopt_inbound(contact_id).await?;
            Ok(contact_id)
        }
        (None, Person::UserId(user_id)) => {
            let made = app.store.ensure_user(user_id, app.clock.now_ms()).await?;
            let contact_id = made.ok_or_else(|| {
                Fault::wrong_state("The person's data was erased, and they are left alone.").kept(NOTHING)
            })?;
            app.store.adopt_inbound(contact_id).await?;
            Ok(contact_id)
        }
    }
}

/// The message that a key stands for, if it is the one that is asked for.
async fn same(app: &App, key: &str, made: &CampaignRow, order: &ReplyOrder, to: &Person) -> Result<MessageView> {
    let other = || {
        Fault::conflict(format!("The key {key:?} stands for another message."))
            .kept(NOTHING)
            .action("Give each message a key of its own.")
    };
    if made.kind != MessageKind::Reply as i16 {
        return Err(other());
    }
    let recipient = app.store.recipient_of_message(made.id).await?.ok_or_else(other)?;
    let params: BTreeMap<String, String> = serde_json::from_str(&made.params).map_err(Fault::internal)?;
    let people = app.store.people_named(to.key(), to.user_id()).await?;
    let number = app.store.number_of_meta(order.number.trim()).await?.map(|number| number.id);
    let answers = order.answers.as_deref().map(str::trim).filter(|answers| !answers.is_empty());
    let is_same = people.contains(&recipient)
        && params.get(TEXT).map(String::as_str) == Some(order.text.trim())
        && params.get(ANSWERS).map(String::as_str) == answers
        && app.store.campaign_number_ids(made.id).await?.first() == number.as_ref();
    if is_same { view(app, key, made.id).await } else { Err(other()) }
}

/// Skips an answer that still waits when its person's window has closed, whatever it waits for. `true`: it was.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn mind_window(app: &App, campaign: &CampaignRow) -> anyhow::Result<bool> {
    let Some(number_id) = app.store.campaign_number_ids(campaign.id).await?.first().copied() else { return Ok(false) };
    // Its only person: see `Store::queue_message`.
    let heard_at = app.store.heard_at(campaign.planned_through, number_id).await?;
    if Window::of(heard_at, app.clock.now_ms()).is_open() || app.store.tally(campaign.id).await?.planned == 0 {
        return Ok(false);
    }
    let skipped = app.store.skip_planned(campaign.id, WINDOW_CLOSED, 1).await?;
    tracing::info!(campaign = campaign.id, "an answer waited until its person's window had closed: it is not sent");
    Ok(skipped > 0)
}
