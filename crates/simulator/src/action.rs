//! What can be made to happen by hand: a person acts now, held messages are let go, a template changes its status.

use crate::chance::{Draw, mix};
use crate::fate;
use crate::identity::{Direction, dialled, user_id, wa_id, wa_id_of_user};
use crate::json;
use crate::platform::Platform;
use crate::webhook::compose::{self, Face, Piece, Said};
use crate::webhook::outbox::{Ack, Ready};
use crate::world::{BusinessNumber, World};
use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Something a person does now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Inbound {
    /// Who: a phone number with `+`, or a user id.
    pub from: String,
    /// What.
    #[serde(flatten)]
    pub act: Act,
    /// To which business number; by default the one that the person last heard from, else the first.
    #[serde(default)]
    pub phone_number_id: Option<String>,
    /// Whether a tap quotes the message it belongs to.
    #[serde(default = "yes")]
    pub context: bool,
}

fn yes() -> bool {
    true
}

/// What a person can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Taps a quick reply of the last message: the button at this position, or the opt-out button.
    Tap {
        /// The position among all buttons; the opt-out button when absent.
        #[serde(default)]
        button: Option<usize>,
    },
    /// Writes a text.
    Text {
        /// The text.
        text: String,
        /// Whether it is an opt-out, to be counted as one.
        #[serde(default)]
        opt_out: bool,
    },
    /// Writes a stop word in the person's language.
    Stop,
    /// Uses WhatsApp's own "stop marketing".
    NativeStop,
    /// Takes that back.
    NativeResume,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundReceipt {
    /// The message id of the webhook; absent for a preference.
    pub id: Option<String>,
    /// The person's WhatsApp id.
    pub wa_id: String,
    /// The person's user id.
    pub user_id: String,
    /// Whether it counts as an opt-out.
    pub opt_out: bool,
}

/// Finds a person by what they are called.
fn person(world: &World, from: &str) -> anyhow::Result<u64> {
    if let Some(found) = wa_id_of_user(world.settings.seed, from) {
        return Ok(found);
    }
    match dialled(from) {
        Some(dialled) if dialled.plus => Ok(wa_id(dialled.digits)),
        _ => bail!("from: neither a phone number with + nor a user id of this simulator"),
    }
}

/// Lets a person act: the webhook is due at once.
pub(crate) fn inbound(platform: &Platform, inbound: &Inbound) -> anyhow::Result<InboundReceipt> {
    let world = platform.world();
    let settings = &world.settings;
    ensure!(settings.webhook.url.is_some(), "webhook.url is not set: nobody would hear of it");
    let who = person(&world, &inbound.from)?;
    let mut state = platform.state();
    let known = state.ledger.person(who);
    let only = match &inbound.phone_number_id {
        Some(id) => {
            ensure!(world.number(id).is_some(), "phone_number_id: {id} is not in the settings");
            Some(state.ledger.number(id))
        }
        None => None,
    };
    let last = state.ledger.latest_to(known, only);
    let row = last.and_then(|seq| state.ledger.row(seq).copied());
    let number =
        business_number(&world, inbound.phone_number_id.as_deref(), row.map(|row| state.ledger.number_id(row.number)))?;
    let (opt_out, ack) = match &inbound.act {
        Act::Tap { button } => {
            let row = row.context("this person got no message to tap on")?;
            let (name, language) = state.ledger.template(&row);
            let template = world.template(number.account, name, language).map_err(anyhow::Error::msg)?;
            (button.is_none() || *button == template.opt_out_button, Ack::OptOut(known))
        }
        Act::Text { opt_out, .. } => (*opt_out, Ack::OptOut(known)),
        Act::Stop | Act::NativeStop => (true, Ack::OptOut(known)),
        Act::NativeResume => (false, Ack::Resume(known)),
    };
    let now_us = platform.clock.now_us();
    let face = Face::of(settings, who);
    state.tally.inbound += 1;
    // Replies that fate brings are numbered by the message they answer; these lie beyond all of those.
    let serial = (1 << 40) + state.tally.inbound;
    if !matches!(inbound.act, Act::NativeStop | Act::NativeResume) {
        let at = state.ledger.number(&number.number.id);
        state.hear(at, known, now_us);
    }
    let generation = platform.outbox.generation();
    let by_number = row.is_none_or(|row| row.to > 0);
    let id = compose::id_of(Direction::Inbound, settings, who, by_number, generation, serial);
    let draw = Draw::new(mix(serial));
    let say =
        |said: &Said<'_>, context: Option<&str>| compose::message(&face, &number, &id, now_us, draw, said, context);
    let piece = match &inbound.act {
        Act::Tap { button } => {
            let (row, seq) = row.zip(last).context("this person got no message to tap on")?;
            let (name, language) = state.ledger.template(&row);
            let template = world.template(number.account, name, language).map_err(anyhow::Error::msg)?;
            let button = button.or(template.opt_out_button).context("the template has no opt-out button")?;
            let (_, label) = template
                .shape
                .quick_replies()
                .find(|(at, _)| *at == button)
                .with_context(|| format!("button {button} is not a quick reply"))?;
            let payload = state.ledger.payload(&row, button).unwrap_or(label);
            let original = compose::id_of(Direction::Outbound, settings, who, row.to > 0, generation, u64::from(seq));
            say(&Said::Tap { payload, label }, inbound.context.then_some(original.as_str()))
        }
        Act::Text { text, .. } => say(&Said::Text(text), None),
        Act::Stop => say(&Said::Text(&fate::stop_text(settings, draw, who)), None),
        Act::NativeStop => compose::preference(&face, &number, now_us, "stop"),
        Act::NativeResume => compose::preference(&face, &number, now_us, "resume"),
    };
    match inbound.act {
        Act::NativeStop => state.native_stop(known, true),
        Act::NativeResume => state.native_stop(known, false),
        _ => {}
    }
    state.tally.opt_outs_sent += u64::from(opt_out);
    drop(state);
    let ack = (opt_out || inbound.act == Act::NativeResume).then_some(ack);
    if let Piece::Change { account, change } = piece {
        platform.outbox.push_ready(Ready { account, change, ack }, now_us);
    }
    let native = matches!(inbound.act, Act::NativeStop | Act::NativeResume);
    Ok(InboundReceipt {
        id: (!native).then_some(id),
        wa_id: who.to_string(),
        user_id: user_id(settings.seed, who),
        opt_out,
    })
}

/// The business number asked for, else the one of the last message, else the first of all.
fn business_number(world: &World, asked: Option<&str>, last: Option<&str>) -> anyhow::Result<Arc<BusinessNumber>> {
    let first = || world.settings.accounts.iter().flat_map(|a| &a.numbers).map(|n| n.id.as_str()).next();
    let id = asked.or(last).or_else(first).context("there is no business number in the settings")?;
    world.number(id).cloned().with_context(|| format!("phone_number_id: {id} is not in the settings"))
}

/// How held messages are let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// They are sent after all.
    Sent,
    /// They fail with 132015, as after bad feedback.
    Failed,
}

/// Lets all held messages go and returns how many there were.
pub(crate) fn release(platform: &Platform, how: Release) -> usize {
    let world = platform.world();
    let now_us = platform.clock.now_us();
    let mut state = platform.state();
    let held = std::mem::take(&mut state.held);
    for seq in &held {
        if how == Release::Failed
            && let Some(row) = state.ledger.row_mut(*seq)
        {
            row.failed_code = 132_015;
        }
        let Some(row) = state.ledger.row(*seq).copied() else { continue };
        let (name, language) = state.ledger.template(&row);
        let account = world.number(state.ledger.number_id(row.number)).map_or(0, |number| number.account);
        let (Some(who), Ok(template)) = (state.ledger.wa_id(row.person), world.template(account, name, language))
        else {
            continue;
        };
        if world.settings.webhook.url.is_some() {
            let course = crate::intake::course(&world, who, template, row.failed_code);
            platform.outbox.push(course.begin(&world.settings, *seq, now_us));
        }
    }
    held.len()
}

/// A change of a template's status, with its webhook.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateChange {
    /// The template's name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// The new status: `APPROVED`, `PAUSED`, `DISABLED`…
    pub status: String,
    /// As in `message_template_status_update`.
    #[serde(default = "none")]
    pub reason: String,
}

fn none() -> String {
    "NONE".into()
}

/// Changes a template's status, in every account that has it, and tells the webhook.
pub(crate) fn change_template(platform: &Platform, change: &TemplateChange) -> anyhow::Result<()> {
    let mut told: Vec<(usize, Value)> = Vec::new();
    platform.change(|old| {
        let mut settings = old.clone();
        for (account, entry) in settings.accounts.iter_mut().enumerate() {
            let wanted = |t: &&mut crate::settings::Template| t.name == change.name && t.language == change.language;
            for template in entry.templates.iter_mut().filter(wanted) {
                template.status.clone_from(&change.status);
                let id = template.id.parse::<u64>().map_or_else(|_| Value::from(template.id.clone()), Value::from);
                told.push((
                    account,
                    serde_json::json!({
                        "event": change.status, "message_template_id": id, "message_template_name": template.name,
                        "message_template_language": template.language,
                        "message_template_category": template.category, "reason": change.reason,
                    }),
                ));
            }
        }
        ensure!(!told.is_empty(), "there is no template {} in {}", change.name, change.language);
        Ok(settings)
    })?;
    for (account, value) in told {
        push_change(platform, account, "message_template_status_update", &value);
    }
    Ok(())
}

/// Any change at all, for what the simulator does not make by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawChange {
    /// The account it is about; the first by default.
    #[serde(default)]
    pub waba_id: Option<String>,
    /// `account_update`, `messages`…
    pub field: String,
    /// Whatever stands under `value`.
    pub value: Value,
}

/// Delivers any change, signed like the others.
pub(crate) fn raw_change(platform: &Platform, change: &RawChange) -> anyhow::Result<()> {
    let world = platform.world();
    let account = match &change.waba_id {
        Some(id) => world.account(id).with_context(|| format!("waba_id: {id} is not in the settings"))?.0,
        None => 0,
    };
    ensure!(world.settings.webhook.url.is_some(), "webhook.url is not set: nobody would hear of it");
    push_change(platform, account, &change.field, &change.value);
    Ok(())
}

fn push_change(platform: &Platform, account: usize, field: &str, value: &Value) {
    if platform.world().settings.webhook.url.is_none() {
        return;
    }
    let mut change = String::from("{\"field\":");
    json::quoted(&mut change, field);
    change.push_str(",\"value\":");
    json::value(&mut change, value);
    change.push('}');
    platform.outbox.push_ready(Ready { account, change, ack: None }, platform.clock.now_us());
}
