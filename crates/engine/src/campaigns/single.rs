//! One message to one person that a program asks for: an order notice. It is a campaign of one person that nobody lists, and
//! so goes through the same lane under the same promises, ahead of what is sent to many.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::names::LONGEST_NAME;
use domain::optout::scope::Forbidding;
use domain::phone::{self, PhoneNumber};
use domain::send::SendState;
use domain::template::{Category, Fields, Plan, TemplateStatus};
use serde::{Deserialize, Serialize};
use store::{CampaignRow, MessageKind, NewMessage};
use utoipa::ToSchema;

use crate::campaigns::create::{numbers, template};
use crate::campaigns::show;
use crate::campaigns::weighing::is_of_the_us;
use crate::fault::{Fault, Result};
use crate::numbers::{Fitness, fitness};
use crate::renderer::KeptTemplate;
use crate::views::iso;
use crate::{Actor, App};

/// What the name of a message's campaign begins with.
const PREFIX: &str = "message ";
/// The longest key of a message, bytes.
const LONGEST_KEY: usize = LONGEST_NAME - PREFIX.len();
/// Paths beside those of messages.
const RESERVED: [&str; 3] = ["inbound", "reply", "window"];
/// Nothing has left.
pub(super) const NOTHING: &str = "Nothing was sent.";

/// A message that a program asks for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageOrder {
    /// Names the message, for good: whoever asks again with the same key gets the same message, and no second one.
    pub key: String,
    /// The person's number, with its country code.
    pub to: String,
    /// Meta's id of the business number that sends it.
    pub number: String,
    /// The template's name.
    pub template: String,
    /// The template's exact language key.
    pub language: String,
    /// What fills the template's variables: KEY to TEXT.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

/// One message as it stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MessageView {
    /// Its id.
    pub id: i64,
    /// Its key.
    pub key: String,
    /// `planned`, `submitting`, `accepted`, `sent`, `delivered`, `read`, `failed`, `skipped` or `in_doubt`.
    pub state: String,
    /// Why it was skipped or waits.
    pub reason: Option<String>,
    /// Meta's last error code.
    pub code: Option<i64>,
    /// Meta's id of it.
    pub wamid: Option<String>,
    /// When Meta took it, RFC 3339.
    pub accepted_at: Option<String>,
    /// When it was on the person's device, RFC 3339.
    pub delivered_at: Option<String>,
    /// When it was read, RFC 3339.
    pub read_at: Option<String>,
    /// When it failed, RFC 3339.
    pub failed_at: Option<String>,
}

/// One message in the list of them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ListedMessageView {
    /// As it stands.
    #[serde(flatten)]
    pub message: MessageView,
    /// The template's name.
    pub template: String,
    /// The template's language.
    pub language: String,
    /// Meta's id of the business number that sends it.
    pub number: String,
    /// Who asked for it.
    pub created_by: String,
    /// When, RFC 3339.
    pub created_at: String,
}

/// The name of the campaign that a message is.
pub(super) fn name_of(key: &str) -> String {
    format!("{PREFIX}{key}")
}

/// Sends one message, or says how the one with this key stands.
///
/// # Errors
/// Names whatever does not exist or does not fit; `Conflict` for a key that stands for another message; `WrongState` for
/// a person who opted out or never consented to marketing, and for a template, account or number that cannot send.
#[crate::boxed]
pub async fn send_message(app: &Arc<App>, actor: &Actor, order: &MessageOrder) -> Result<MessageView> {
    let key = read_key(&order.key)?;
    let to = read_number(&order.to)?;
    if let Some(made) = app.store.campaign_named(&name_of(key)).await? {
        return same(app, key, &made, order, to).await;
    }
    let (numbers, account_id) = numbers(app, std::slice::from_ref(&order.number)).await?;
    let number_id = *numbers.first().ok_or_else(|| Fault::invalid("A message needs a business number."))?;
    let template = template(app, account_id, &order.template, &order.language).await?;
    let outbound = Outbound { template: &template, account_id, number_id, params: &order.params };
    let (kept, plan) = outbound.check(app, to).await?;
    let contact_id = person(app, to).await?;
    outbound.is_welcome(app, contact_id, Consent::Needed).await?;
    fits(app, &plan, contact_id).await?;
    let name = name_of(key);
    let new = NewMessage {
        name: &name,
        kind: MessageKind::Notice,
        account_id,
        template_id: Some(template.id),
        template: &serde_json::to_string(&kept).map_err(Fault::internal)?,
        params: &serde_json::to_string(&order.params).map_err(Fault::internal)?,
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
            Some(made) => same(app, key, &made, order, to).await,
            None => Err(Fault::conflict("The message was asked for twice at once.").action("Ask again.")),
        },
        Err(error) => Err(error.into()),
    }
}

/// A key as it may be used.
pub(super) fn read_key(key: &str) -> Result<&str> {
    let key = key.trim();
    if key.is_empty() || key.len() > LONGEST_KEY || key.chars().any(char::is_control) {
        return Err(Fault::invalid(format!("A message's key has 1 to {LONGEST_KEY} bytes and no control characters.")));
    }
    // A message of that key could not be looked at: the path means something else.
    if RESERVED.contains(&key) {
        return Err(Fault::invalid(format!("No message is called {key:?}: the word is taken.")));
    }
    Ok(key)
}

/// The message that a key stands for, if it is the one that is asked for.
async fn same(app: &App, key: &str, made: &CampaignRow, order: &MessageOrder, to: PhoneNumber) -> Result<MessageView> {
    let other = || {
        Fault::conflict(format!("The key {key:?} stands for another message."))
            .kept(NOTHING)
            .action("Give each message a key of its own.")
    };
    if made.kind != MessageKind::Notice as i16 {
        return Err(other());
    }
    let recipient = app.store.recipient_of_message(made.id).await?.ok_or_else(other)?;
    let template: KeptTemplate = serde_json::from_str(&made.template).map_err(Fault::internal)?;
    let params: BTreeMap<String, String> = serde_json::from_str(&made.params).map_err(Fault::internal)?;
    let wanted = app.store.contact_of_phone(signed(to.key())).await?.map(|person| person.id);
    let number = app.store.number_of_meta(order.number.trim()).await?.map(|number| number.id);
    let is_same = wanted == Some(recipient)
        && params == order.params
        && app.store.campaign_number_ids(made.id).await?.first() == number.as_ref()
        && (template.name.as_str(), template.language.as_str()) == (order.template.trim(), order.language.trim());
    if is_same { view(app, key, made.id).await } else { Err(other()) }
}

/// How the message with a key stands.
///
/// # Errors
/// When there is none.
#[crate::boxed]
pub async fn message(app: &App, key: &str) -> Result<MessageView> {
    let none = || Fault::not_found(format!("There is no message with the key {key:?}."));
    let made = app.store.campaign_named(&name_of(key.trim())).await?.ok_or_else(none)?;
    app.store.recipient_of_message(made.id).await?.ok_or_else(none)?;
    view(app, key.trim(), made.id).await
}

/// The messages that were asked for, newest first, before an id: how each stands, and not to whom it goes.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn messages(app: &App, before: Option<i64>, limit: u32) -> Result<Vec<ListedMessageView>> {
    let mut views = Vec::new();
    for row in app.store.messages(before.unwrap_or(i64::MAX), i64::from(limit)).await? {
        let state = SendState::try_from(row.state).map_err(|_| Fault::internal(anyhow::anyhow!("a send's state")))?;
        // In words: what it waits for. Few of a page are still to be sent.
        let reason =
            if state == SendState::Planned { show(app, row.id).await?.reason.or(row.reason) } else { row.reason };
        let template: KeptTemplate = serde_json::from_str(&row.template).map_err(Fault::internal)?;
        let message = MessageView {
            id: row.id,
            key: row.name.strip_prefix(PREFIX).unwrap_or(&row.name).to_owned(),
            state: state.as_str().to_owned(),
            reason,
            code: row.code,
            wamid: row.wamid,
            accepted_at: row.accepted_at.map(iso),
            delivered_at: row.delivered_at.map(iso),
            read_at: row.read_at.map(iso),
            failed_at: row.failed_at.map(iso),
        };
        views.push(ListedMessageView {
            message,
            template: template.name,
            language: template.language,
            number: row.phone_number_id,
            created_by: row.created_by,
            created_at: iso(row.created_at),
        });
    }
    Ok(views)
}

/// Whether a person must have consented on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consent {
    /// To marketing.
    Needed,
    /// It is a number of the house.
    OfTheHouse,
}

/// A message before it is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outbound<'a> {
    pub(super) template: &'a store::TemplateRow,
    pub(super) account_id: i64,
    pub(super) number_id: i64,
    pub(super) params: &'a BTreeMap<String, String>,
}

impl Outbound<'_> {
    /// Whether account, number and template let it out at all, and the template what fills it.
    pub(super) async fn check(&self, app: &App, to: PhoneNumber) -> Result<(KeptTemplate, Plan)> {
        let wrong = |words: String| Err(Fault::wrong_state(words).kept(NOTHING));
        let (name, status) = (&self.template.name, &self.template.status);
        if !TemplateStatus::parse(status).is_sendable() {
            return wrong(format!("The template {name} is {status}, and only an APPROVED one can be sent."));
        }
        if let Some(reason) = app.store.account(self.account_id).await?.and_then(|account| account.stopped_reason) {
            return wrong(format!("The account is stopped: {reason}"));
        }
        if let Some(Fitness::Unfit(why)) = app.store.number(self.number_id).await?.map(|number| fitness(&number)) {
            return wrong(why);
        }
        if self.is_marketing() && is_of_the_us(Some(signed(to.e164()))) {
            return wrong("Meta delivers no marketing messages to numbers of the United States.".to_owned());
        }
        let kept = KeptTemplate::of(self.template)?;
        let plan = Plan::new(&kept.parse()?, self.params).map_err(|errors| {
            let list: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Fault::invalid(format!("The parameters do not fit the template {name}: {}.", list.join("; ")))
        })?;
        Ok((kept, plan))
    }

    fn is_marketing(&self) -> bool {
        Category::parse(&self.template.category) == Category::Marketing
    }

    /// Whether the person wants such messages, as far as we know.
    pub(super) async fn is_welcome(&self, app: &App, person: i64, consent: Consent) -> Result<()> {
        let number = app.store.number(self.number_id).await?;
        let (id, brand) = number.map(|number| (number.phone_number_id, number.brand)).unwrap_or_default();
        let forbidding = Forbidding::of(&self.template.category, &id, brand.as_deref());
        if !app.store.suppressed_among(&[person], &forbidding).await?.is_empty() {
            return Err(Fault::wrong_state("The person opted out.").kept(NOTHING));
        }
        if self.is_marketing() && consent == Consent::Needed && app.store.opt_ins(person).await?.is_empty() {
            return Err(Fault::wrong_state("Nothing shows that the person consented to marketing messages.")
                .kept(NOTHING)
                .action("Import them with the evidence of their consent, or use a utility template."));
        }
        Ok(())
    }
}

/// A number as it is asked for.
pub(crate) fn read_number(text: &str) -> Result<PhoneNumber> {
    phone::parse(text, None).map_err(|error| Fault::invalid(format!("The number cannot be used: {error}.")))
}

fn signed(digits: u64) -> i64 {
    i64::try_from(digits).unwrap_or(i64::MAX)
}

/// The person with a number, made if we do not know them.
pub(crate) async fn person(app: &App, number: PhoneNumber) -> Result<i64> {
    let found = app.store.ensure_person(signed(number.key()), signed(number.e164()), app.clock.now_ms()).await?;
    found.ok_or_else(|| Fault::wrong_state("The person's data was erased, and they are left alone.").kept(NOTHING))
}

/// Whether the message can be written to this person.
pub(super) async fn fits(app: &App, plan: &Plan, person: i64) -> Result<()> {
    let contact = app.store.contact(person).await?.ok_or_else(|| Fault::not_found("The person is gone."))?;
    let attributes: BTreeMap<String, String> = serde_json::from_str(&contact.attributes).unwrap_or_default();
    let phone = contact.phone.map(|digits| format!("+{digits}"));
    let fields = Fields {
        phone: phone.as_deref(),
        name: contact.name.as_deref(),
        language: contact.language.as_deref(),
        attributes: &attributes,
    };
    plan.check(&fields).map_err(|problems| {
        let list: Vec<String> = problems.iter().map(|problem| problem.reason.clone()).collect();
        Fault::invalid(format!("The message cannot be written: {}.", list.join("; "))).kept(NOTHING)
    })
}

/// A message as it stands.
pub(super) async fn view(app: &App, key: &str, id: i64) -> Result<MessageView> {
    let gone = || Fault::not_found("The message is gone.");
    let person = app.store.recipient_of_message(id).await?.ok_or_else(gone)?;
    let send = app.store.send((id, person)).await?.ok_or_else(gone)?;
    let state = SendState::try_from(send.state).map_err(|_| Fault::internal(anyhow::anyhow!("a send's state")))?;
    let reason = match (send.reason, state) {
        // In words: which morning it waits for.
        (kept, SendState::Planned) => show(app, id).await?.reason.or(kept),
        (reason, _) => reason,
    };
    Ok(MessageView {
        id,
        key: key.to_owned(),
        state: state.as_str().to_owned(),
        reason,
        code: send.code,
        wamid: send.wamid,
        accepted_at: send.accepted_at.map(iso),
        delivered_at: send.delivered_at.map(iso),
        read_at: send.read_at.map(iso),
        failed_at: send.failed_at.map(iso),
    })
}
