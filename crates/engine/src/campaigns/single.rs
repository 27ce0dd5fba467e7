//! One message to one person: what a program asks for, an order notice; and a campaign's message to somebody of the house,
//! to try it out. Either is a campaign of one person that nobody lists: it goes through the same lane, under the same
//! promises, and ahead of bulk.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::names::LONGEST_NAME;
use domain::phone;
use domain::send::SendState;
use domain::template::{Fields, Plan, TemplateStatus};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{CampaignRow, MessageKind, NewMessage};
use utoipa::ToSchema;

use crate::campaigns::create::{numbers, template};
use crate::campaigns::steer::note;
use crate::campaigns::{row, sender_of};
use crate::fault::{Fault, Result};
use crate::renderer::KeptTemplate;
use crate::views::iso;
use crate::{Actor, App};

/// The longest key of a message.
const LONGEST_KEY: usize = LONGEST_NAME - 10;

/// A message that a program asks for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageOrder {
    /// Names the message, up to 90 bytes: whoever asks again with the same key gets the same message, and no second one.
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

/// To whom a campaign's message is sent on trial.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestOrder {
    /// A number of the house, with its country code.
    pub to: String,
}

fn name_of(key: &str) -> String {
    format!("message {key}")
}

/// Sends one message, or says how the one with this key stands.
///
/// # Errors
/// Names whatever does not exist or does not fit; `Conflict` for a key that stands for another message; `WrongState` for
/// a person who opted out, and for a template or number that cannot send.
pub async fn send_message(app: &Arc<App>, actor: &Actor, order: &MessageOrder) -> Result<MessageView> {
    let key = order.key.trim();
    if key.is_empty() || key.len() > LONGEST_KEY || key.chars().any(char::is_control) {
        return Err(Fault::invalid(format!("A message's key has 1 to {LONGEST_KEY} bytes and no control characters.")));
    }
    let params = serde_json::to_string(&order.params).map_err(Fault::internal)?;
    if let Some(made) = app.store.campaign_named(&name_of(key)).await? {
        return same(app, key, &made, order, &params).await;
    }
    let (numbers, account_id) = numbers(app, std::slice::from_ref(&order.number)).await?;
    let template = template(app, account_id, &order.template, &order.language).await?;
    let kept = KeptTemplate::of(&template)?;
    let person = person(app, &order.to).await?;
    may_be_sent(app, account_id, numbers[0], &template.status).await?;
    let plan = Plan::new(&kept.parse()?, &order.params).map_err(|errors| {
        let list: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Fault::invalid(format!("The parameters do not fit the template {}: {}.", order.template, list.join("; ")))
    })?;
    fits(app, &plan, person).await?;
    let name = name_of(key);
    let new = NewMessage {
        name: &name,
        kind: MessageKind::Notice,
        account_id,
        template_id: template.id,
        template: &serde_json::to_string(&kept).map_err(Fault::internal)?,
        params: &params,
        number_id: numbers[0],
        contact_id: person,
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
            Some(made) => same(app, key, &made, order, &params).await,
            None => Err(Fault::conflict("The message was asked for twice at once.").action("Ask again.")),
        },
        Err(error) => Err(error.into()),
    }
}

/// The message that a key stands for, if it is the one that is asked for.
async fn same(app: &App, key: &str, made: &CampaignRow, order: &MessageOrder, params: &str) -> Result<MessageView> {
    let other = || {
        Fault::conflict(format!("The key {key:?} stands for another message."))
            .kept("Nothing was sent.")
            .action("Give each message a key of its own.")
    };
    let recipient = app.store.recipient_of_message(made.id).await?.ok_or_else(other)?;
    let template: KeptTemplate = serde_json::from_str(&made.template).map_err(Fault::internal)?;
    let wanted = person(app, &order.to).await?;
    let is_same = recipient == wanted
        && made.params == params
        && (template.name.as_str(), template.language.as_str()) == (order.template.trim(), order.language.trim());
    if is_same { view(app, key, made.id).await } else { Err(other()) }
}

/// How the message with a key stands.
///
/// # Errors
/// When there is none.
pub async fn message(app: &App, key: &str) -> Result<MessageView> {
    let none = || Fault::not_found(format!("There is no message with the key {key:?}."));
    let made = app.store.campaign_named(&name_of(key.trim())).await?.ok_or_else(none)?;
    app.store.recipient_of_message(made.id).await?.ok_or_else(none)?;
    view(app, key.trim(), made.id).await
}

/// Sends a campaign's message to a number of the house, with its columns' names where the person has nothing to fill them.
/// It is not counted in the campaign, whose audience stays as it is.
///
/// # Errors
/// As [`send_message`].
pub async fn try_out(app: &Arc<App>, actor: &Actor, id: i64, order: &TestOrder) -> Result<MessageView> {
    let campaign = row(app, id).await?;
    let synced = app.store.template(campaign.template_id).await?;
    let template = synced.ok_or_else(|| Fault::wrong_state("The template is gone."))?;
    let kept = KeptTemplate::of(&template)?;
    let params: BTreeMap<String, String> = serde_json::from_str(&campaign.params).map_err(Fault::internal)?;
    let params: BTreeMap<String, String> = params.into_iter().map(|(key, text)| (key, with_names(&text))).collect();
    let person = person(app, &order.to).await?;
    let number_id = sender_of(app, id, person).await?;
    may_be_sent(app, campaign.account_id, number_id, &template.status).await?;
    let plan = Plan::new(&kept.parse()?, &params).map_err(|errors| {
        let list: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Fault::invalid(format!("The parameters do not fit the template {}: {}.", template.name, list.join("; ")))
    })?;
    fits(app, &plan, person).await?;
    let now = app.clock.now_ms();
    let key = format!("test of campaign {id} at {}", iso(now));
    for again in 0..100 {
        let key = if again == 0 { key.clone() } else { format!("{key} ({again})") };
        let new = NewMessage {
            name: &name_of(&key),
            kind: MessageKind::Test,
            account_id: campaign.account_id,
            template_id: template.id,
            template: &serde_json::to_string(&kept).map_err(Fault::internal)?,
            params: &serde_json::to_string(&params).map_err(Fault::internal)?,
            number_id,
            contact_id: person,
            created_by: actor.as_str(),
            parent_id: Some(id),
        };
        match app.store.queue_message(&new, now).await {
            Ok(made) => {
                note(app, actor, "tried out", id, &json!({"message": made})).await?;
                app.scheduler_wake.notify_waiters();
                return view(app, &key, made).await;
            }
            Err(store::Error::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Fault::conflict("It is tried out too often at once.").action("Try again in a moment."))
}

/// A text whose columns have their own names to fall back on: `{name}` becomes `{name|[name]}`.
fn with_names(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let Some(end) = from.find('}') else { break };
        let column = &from[1..end];
        if column.contains('|') || column.is_empty() || column.contains('{') {
            out.push_str(&from[..=end]);
        } else {
            out.push_str(&format!("{{{column}|[{}]}}", column.trim()));
        }
        rest = &from[end + 1..];
    }
    out.push_str(rest);
    out
}

/// The person with a number, made if we do not know them.
async fn person(app: &App, to: &str) -> Result<i64> {
    let number =
        phone::parse(to, None).map_err(|error| Fault::invalid(format!("The number cannot be used: {error}.")))?;
    let signed = |digits: u64| i64::try_from(digits).unwrap_or(i64::MAX);
    let found = app.store.ensure_person(signed(number.key()), signed(number.e164()), app.clock.now_ms()).await?;
    found.ok_or_else(|| Fault::wrong_state("The person was erased, and is not written to.").kept("Nothing was sent."))
}

/// Whether account, number and template let a message out at all.
async fn may_be_sent(app: &App, account_id: i64, number_id: i64, status: &str) -> Result<()> {
    if !TemplateStatus::parse(status).is_sendable() {
        return Err(Fault::wrong_state(format!("The template is {status}, and only an APPROVED one can be sent.")));
    }
    if let Some(reason) = app.store.account(account_id).await?.and_then(|account| account.stopped_reason) {
        return Err(Fault::wrong_state(format!("The account is stopped: {reason}")).kept("Nothing was sent."));
    }
    match app.store.number(number_id).await?.map(|number| crate::numbers::fitness(&number)) {
        Some(crate::numbers::Fitness::Unfit(why)) => Err(Fault::wrong_state(why).kept("Nothing was sent.")),
        _ => Ok(()),
    }
}

/// Whether the message can be written to this person, and they want it.
async fn fits(app: &App, plan: &Plan, person: i64) -> Result<()> {
    if !app.store.suppressed_among(&[person]).await?.is_empty() {
        return Err(Fault::wrong_state("The person opted out.").kept("Nothing was sent."));
    }
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
        Fault::invalid(format!("The message cannot be written: {}.", list.join("; ")))
    })
}

async fn view(app: &App, key: &str, id: i64) -> Result<MessageView> {
    let gone = || Fault::not_found("The message is gone.");
    let person = app.store.recipient_of_message(id).await?.ok_or_else(gone)?;
    let send = app.store.send((id, person)).await?.ok_or_else(gone)?;
    let state = SendState::try_from(send.state).map_err(|_| Fault::internal(anyhow::anyhow!("a send's state")))?;
    Ok(MessageView {
        id,
        key: key.to_owned(),
        state: state.as_str().to_owned(),
        reason: send.reason,
        code: send.code,
        wamid: send.wamid,
        accepted_at: send.accepted_at.map(iso),
        delivered_at: send.delivered_at.map(iso),
        read_at: send.read_at.map(iso),
        failed_at: send.failed_at.map(iso),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_without_anything_to_fall_back_on_shows_its_name() {
        for (text, expected) in [
            ("Hi {name}!", "Hi {name|[name]}!"),
            ("{name|friend}, {city}", "{name|friend}, {city|[city]}"),
            ("20% off", "20% off"),
            ("an open {brace", "an open {brace"),
        ] {
            assert_eq!(with_names(text), expected);
        }
    }
}
