//! Taking a message in: the checks in Meta's order, then the ledger. This is the hot path.

use crate::chance::Salt;
use crate::fate::{self, End, Fault};
use crate::identity::{self, Direction};
use crate::json::quoted;
use crate::ledger::{NOBODY, NewRow, Outcome, PAYLOAD_SEPARATOR, Status};
use crate::message::{Call, Message};
use crate::platform::{Platform, State};
use crate::refusal::Refusal;
use crate::template::ButtonKind;
use crate::validate;
use crate::webhook::compose;
use crate::webhook::plan::Course;
use crate::world::{BusinessNumber, KnownTemplate, World};

/// When a request came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// When its head was read. Decides whether it came before an opt-out's acknowledgement.
    pub(crate) first_byte_us: i64,
    /// When its body had been read, and the jitter had passed. Decides the rates.
    pub(crate) at_us: i64,
}

/// What to answer.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Taken in, with the answer's body and what happens to it on the way.
    Accepted { body: String, fault: Option<Fault> },
    /// Refused.
    Refused(Refusal),
    /// Not taken in, for this reason.
    TurnedAway(Fault),
}

/// To whom a message goes.
#[derive(Clone, Copy, Debug)]
struct Recipient {
    /// The digits it was addressed to; 0 when by user id.
    to: u64,
    wa_id: u64,
    /// Whether a calling code had to be guessed.
    stranger: bool,
}

/// A message that passed all checks that need no state.
struct Sound<'a> {
    template: &'a KnownTemplate,
    payloads: String,
}

/// Takes one message in, or not, and writes it down.
pub(crate) fn take_in(
    platform: &Platform,
    world: &World,
    number: &BusinessNumber,
    arrival: Arrival,
    body: &[u8],
) -> Verdict {
    let message = match Message::read(body) {
        Ok(message) => message,
        Err(refusal) => return count_only(platform, refusal),
    };
    let recipient = recipient(world, number, &message);
    let sound = check(world, number, &message, &recipient);
    let mut state = platform.state();
    let entry = Entry::new(&mut state, number, &message, recipient.as_ref().ok(), arrival);
    let verdict = match (&recipient, &sound) {
        (Ok(recipient), Ok(sound)) => judge(&mut state, world, number, &entry, recipient, sound),
        (Err(refusal), _) | (_, Err(refusal)) => Decision::refused(refusal.clone()),
    };
    let payloads = sound.as_ref().map_or("", |sound| sound.payloads.as_str());
    let seq = state.ledger.push(&NewRow { outcome: verdict.outcome, payloads, status: verdict.status(), ..entry.row });
    if let Some(acknowledged_us) = state.opted_out.get(&entry.row.person) {
        let late_us = arrival.first_byte_us - acknowledged_us;
        if late_us > i64::try_from(world.settings.opt_out_grace_ms).unwrap_or(0) * 1000 {
            // Whoever wrote may be answered; only templates come unasked.
            if message.template.is_none() && message.text.is_some() {
                state.texts_after_opt_out += u64::from(verdict.outcome.taken_in());
            } else {
                state.after_opt_out.push((seq, late_us));
            }
        }
    }
    if let Some(refusal) = verdict.refusal {
        *state.tally.refused_by_code.entry(refusal.code).or_insert(0) += 1;
        return Verdict::Refused(refusal);
    }
    let (Ok(recipient), Ok(sound)) = (recipient, sound) else {
        // Without a recipient or a sound message there was a refusal, which has been returned.
        return Verdict::Refused(Refusal::bare(1));
    };
    if let (Some(fault), false) = (verdict.fault, verdict.outcome.taken_in()) {
        return Verdict::TurnedAway(fault);
    }
    state.tally.strangers += u64::from(recipient.stranger);
    if verdict.held {
        state.held.push(seq);
    }
    if let Some(row) = state.ledger.row_mut(seq) {
        row.failed_code = verdict.failed_code;
    }
    if world.settings.webhook.url.is_some() && !verdict.held {
        let course = course(world, recipient.wa_id, sound.template, verdict.failed_code);
        platform.outbox.push(course.begin(&world.settings, seq, arrival.at_us));
    }
    drop(state);
    let generation = platform.outbox.generation();
    let body = answer(world, &message, &recipient, generation, seq, verdict.held);
    Verdict::Accepted { body, fault: verdict.fault }
}

/// A body that cannot even be read is refused and counted, but has no row.
fn count_only(platform: &Platform, refusal: Refusal) -> Verdict {
    *platform.state().tally.refused_by_code.entry(refusal.code).or_insert(0) += 1;
    Verdict::Refused(refusal)
}

/// Finds out to whom a message goes. `to` wins over `recipient`; without `+` the business number's calling code is put
/// before it, as Meta does, and a stranger gets it.
fn recipient(world: &World, number: &BusinessNumber, message: &Message) -> Result<Recipient, Refusal> {
    let invalid = |field: &str| Refusal::new(131_009, format!("Parameter '{field}' is not a valid recipient"));
    if let Some(to) = &message.to {
        let dialled = identity::dialled(to).ok_or_else(|| invalid("to"))?;
        let digits = if dialled.plus {
            dialled.digits
        } else {
            identity::with_calling_code(&number.number.country_dial_code, dialled.digits)
                .ok_or_else(|| invalid("to"))?
        };
        return Ok(Recipient { to: digits, wa_id: identity::wa_id(digits), stranger: !dialled.plus });
    }
    match &message.recipient {
        Some(user) => {
            let wa_id = identity::wa_id_of_user(world.settings.seed, user).ok_or_else(|| invalid("recipient"))?;
            Ok(Recipient { to: 0, wa_id, stranger: false })
        }
        None => Err(Refusal::new(100, "The parameter to is required.")),
    }
}

/// The checks that need no state: the envelope, the recipient, the template and its parameters.
fn check<'a>(
    world: &'a World,
    number: &BusinessNumber,
    message: &Message,
    recipient: &Result<Recipient, Refusal>,
) -> Result<Sound<'a>, Refusal> {
    let call = message.check_envelope()?;
    let recipient = recipient.as_ref().map_err(Refusal::clone)?;
    if recipient.wa_id == number.digits || recipient.to == number.digits {
        return Err(Refusal::new(131_021, "Sender and recipient are the same number"));
    }
    let Call::Template(call) = call else {
        return Ok(Sound { template: world.free_text(), payloads: String::new() });
    };
    let language = call.language.as_ref().map_or("", |l| l.code.as_str());
    let template =
        world.template(number.account, &call.name, language).map_err(|details| Refusal::new(132_001, details))?;
    match template.status.as_str() {
        "APPROVED" => {}
        "PAUSED" => return Err(Refusal::new(132_015, format!("Template {} is paused due to low quality", call.name))),
        "DISABLED" => return Err(Refusal::new(132_016, format!("Template {} is disabled", call.name))),
        status => {
            return Err(Refusal::new(132_001, format!("template name ({}) is {status} in {language}", call.name)));
        }
    }
    let payloads = validate::components(call, &template.shape)?;
    let any_reply = template.shape.buttons.iter().any(|button| button.kind == ButtonKind::QuickReply);
    let payloads = if any_reply { payloads.join(PAYLOAD_SEPARATOR.encode_utf8(&mut [0; 4])) } else { String::new() };
    Ok(Sound { template, payloads })
}

/// What is written down whatever the verdict.
struct Entry<'a> {
    row: NewRow<'a>,
}

impl<'a> Entry<'a> {
    fn new(
        state: &mut State,
        number: &BusinessNumber,
        message: &'a Message,
        recipient: Option<&Recipient>,
        arrival: Arrival,
    ) -> Entry<'a> {
        let call = message.template.as_ref();
        let row = NewRow {
            at_us: arrival.at_us,
            to: recipient.map_or(0, |r| r.to),
            person: recipient.map_or(NOBODY, |r| state.ledger.person(r.wa_id)),
            number: state.ledger.number(&number.number.id),
            template: call.map_or("", |c| c.name.as_str()),
            language: call.and_then(|c| c.language.as_ref()).map_or("", |l| l.code.as_str()),
            callback: message.biz_opaque_callback_data.as_deref().unwrap_or_default(),
            payloads: "",
            outcome: Outcome::Accepted,
            status: Status::None,
        };
        Entry { row }
    }
}

/// What is decided about a sound message.
struct Decision {
    outcome: Outcome,
    refusal: Option<Refusal>,
    fault: Option<Fault>,
    failed_code: u32,
    held: bool,
}

impl Decision {
    fn refused(refusal: Refusal) -> Decision {
        Decision {
            outcome: Outcome::Refused(refusal.code),
            refusal: Some(refusal),
            fault: None,
            failed_code: 0,
            held: false,
        }
    }

    fn status(&self) -> Status {
        if self.held { Status::Held } else { Status::None }
    }
}

/// The checks that need the state, in this order: what never reaches the platform, the business number's throughput,
/// the pair's rate, the errors that were asked for.
fn judge(
    state: &mut State,
    world: &World,
    number: &BusinessNumber,
    entry: &Entry<'_>,
    recipient: &Recipient,
    sound: &Sound<'_>,
) -> Decision {
    let settings = &world.settings;
    let draw = fate::draw(settings.seed, recipient.wa_id, sound.template);
    let fault = fate::fault(settings, draw);
    let mut decision = Decision { outcome: Outcome::Accepted, refusal: None, fault, failed_code: 0, held: false };
    match fault {
        Some(Fault::DroppedRequest) => decision.outcome = Outcome::Dropped,
        Some(Fault::Redirect) => decision.outcome = Outcome::Redirected,
        Some(Fault::BadGateway) => decision.outcome = Outcome::BadGateway,
        Some(_) => decision.outcome = Outcome::Lost,
        None => {}
    }
    if !decision.outcome.taken_in() {
        return decision;
    }
    let row = &entry.row;
    let at = usize::from(row.number);
    if state.throughput.len() <= at {
        state.throughput.resize_with(at + 1, Default::default);
    }
    if !state.throughput[at].admit(row.at_us, number.rate) {
        let details = "Message failed to send because there were too many messages sent from this phone number in a \
                       short period of time";
        return Decision::refused(Refusal::new(130_429, details));
    }
    if !state.pairs.admit(row.number, row.person, row.at_us, settings.pair_rate) {
        let details = "Message failed to send because there were too many messages sent from this phone number to the \
                       same phone number in a short period of time.";
        return Decision::refused(Refusal::new(131_056, details));
    }
    if sound.template.category == "SERVICE"
        && !state.is_open(row.number, row.person, row.at_us, settings.service_window_ms)
    {
        let details = "Message failed to send because more than 24 hours have passed since the customer last replied to \
                       this number.";
        return Decision::refused(Refusal::new(131_047, details));
    }
    if let Some((at, entry)) = fate::error(settings, draw, &number.number.id) {
        let key = draw.about(at as u64).bits(Salt::Error);
        if state.bites(key, entry.times.unwrap_or(1)) {
            return Decision::refused(Refusal::bare(entry.code));
        }
    }
    if let Some((at, entry)) = fate::failure(settings, draw, &number.number.id) {
        let key = draw.about(at as u64).bits(Salt::Failed);
        if state.bites(key, entry.times.unwrap_or(0)) {
            decision.failed_code = entry.code;
        }
    }
    let digits = recipient.wa_id.checked_ilog10().map_or(0, |log| log + 1);
    if !(7..=15).contains(&digits) {
        decision.failed_code = 131_026;
    } else if sound.template.category == "MARKETING" && state.stopped.contains(&row.person) {
        decision.failed_code = 131_050;
    }
    decision.held = sound.template.category != "SERVICE" && draw.within(Salt::Held, settings.held_share);
    decision
}

/// The webhooks that follow a message with these properties.
pub(crate) fn course(world: &World, wa_id: u64, template: &KnownTemplate, failed_code: u32) -> Course {
    let settings = &world.settings;
    let draw = fate::draw(settings.seed, wa_id, template);
    let end = if failed_code > 0 { End::Failed(failed_code) } else { fate::good_end(settings, draw) };
    Course {
        draw,
        end,
        skips_delivered: fate::skips_delivered(settings, draw, end),
        replies: fate::reply(settings, draw, wa_id, template, end).is_some(),
    }
}

/// The body of a 200.
fn answer(world: &World, message: &Message, recipient: &Recipient, generation: u8, seq: u32, held: bool) -> String {
    let settings = &world.settings;
    let by_number = recipient.to > 0;
    let mut body = String::with_capacity(320);
    body.push_str("{\"messaging_product\":\"whatsapp\",\"contacts\":[{\"input\":");
    let input = message.to.as_deref().or(message.recipient.as_deref()).unwrap_or_default();
    quoted(&mut body, input);
    if by_number {
        body.push_str(&format!(",\"wa_id\":\"{}\"", recipient.wa_id));
    } else {
        body.push_str(",\"user_id\":");
        quoted(&mut body, &identity::user_id(settings.seed, recipient.wa_id));
    }
    body.push_str("}],\"messages\":[{\"id\":");
    let id = compose::id_of(Direction::Outbound, settings, recipient.wa_id, by_number, generation, u64::from(seq));
    quoted(&mut body, &id);
    let status = if held { "held_for_quality_assessment" } else { "accepted" };
    body.push_str(&format!(",\"message_status\":\"{status}\"}}]}}"));
    body
}
