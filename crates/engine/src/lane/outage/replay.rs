//! The outage of 4 October 2021, on a clock that is moved by hand: at 15:39 UTC the names of Facebook's hosts stopped to
//! resolve; they came back at about 21:05, with servers that were overloaded until 21:50. A campaign to some thousands
//! of people is under way.
//!
//! What sends is the lane's own: its circuit, its pace, its judgement of answers and the sends' state machine. What is
//! made up is the rest: people in a list, a Graph API that behaves as the hour of that day says.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use cloud_api::{NotPostedCause, Refusal, RefusalKind, SendOutcome, UnknownCause};
use domain::pacing::Circumstances;
use domain::schedule::{Calendar, QuietHours, Tz};
use domain::send::{SendEvent, SendState, Step};

use super::*;
use crate::Clock;
use crate::journal::AttemptKey;
use crate::lane::GROUP_TIME;
use crate::lane::pace::{Pace, Turn};
use crate::lane::post::judge;

const RATE: u32 = 80;
const PEOPLE: usize = 30_000;
/// 2021-10-04T15:35:00Z, when the campaign begins.
const BEGINS: i64 = 1_633_361_700_000;
const MINUTE: Micros = 60 * SECOND;
/// Minutes after that.
const GONE: Micros = 4 * MINUTE;
const NAMES_BACK: Micros = 330 * MINUTE;
const WELL_AGAIN: Micros = 375 * MINUTE;
const TRIP: Micros = 60_000;

/// What Meta does with a message that begins now: what we hear after how long, and whether it goes out.
fn meta(now: Micros, draw: u64) -> (SendOutcome, Micros, bool) {
    let accepted = || SendOutcome::Accepted { wamid: format!("wamid.{now}"), wa_id: None, user_id: None, held: false };
    match now {
        GONE..NAMES_BACK => {
            let reason = "the name does not resolve".to_owned();
            (SendOutcome::NotPosted(NotPostedCause::Unreachable { reason }), 20_000, false)
        }
        NAMES_BACK..WELL_AGAIN => {
            // From two in three that fail to one in a hundred.
            let bad = 66 - 65 * (now - NAMES_BACK) / (WELL_AGAIN - NAMES_BACK);
            let slow = 300_000 + draw % 1_700_000;
            match draw % 100 {
                d if d * 4 < bad => (SendOutcome::Unknown(UnknownCause::TimedOut), 30 * SECOND, d % 2 == 0),
                d if d * 2 < bad => {
                    let cause = UnknownCause::Unreadable { status: 503, retry_after: None };
                    (SendOutcome::Unknown(cause), slow, d % 5 == 0)
                }
                d if d < bad => {
                    let (kind, code) =
                        if d % 2 == 0 { (RefusalKind::Transient, 131_000) } else { (RefusalKind::Platform, 131_016) };
                    let refusal = Refusal {
                        kind,
                        code,
                        subcode: None,
                        message: None,
                        details: None,
                        fbtrace_id: None,
                        retry_after: None,
                        raw: None,
                    };
                    (SendOutcome::Refused(refusal), slow, false)
                }
                _ => (accepted(), slow, true),
            }
        }
        _ => (accepted(), TRIP, true),
    }
}

struct Person {
    state: SendState,
    attempt: i64,
    /// Refusals by code.
    refused: BTreeMap<i64, u32>,
    /// How often it really went out.
    arrived: u32,
}

/// A POST that will end.
struct UnderWay {
    person: usize,
    began: Micros,
    outcome: SendOutcome,
    arrives: bool,
}

/// What was seen.
#[derive(Default)]
struct Seen {
    opened: Vec<Micros>,
    answered: Vec<Micros>,
    closed: Vec<Micros>,
    /// When POSTs began, and when one was accepted.
    posts: Vec<Micros>,
    /// To whom.
    posted_to: Vec<(Micros, usize)>,
    accepted: Vec<Micros>,
    /// Of the time in which a person was put in doubt.
    doubts: Vec<Micros>,
    failed: usize,
}

struct Lane {
    clock: Clock,
    pace: Pace,
    circuit: Circuit,
    share: u32,
    people: Vec<Person>,
    fresh: VecDeque<usize>,
    /// Due at a time.
    due: BTreeMap<(Micros, usize), ()>,
    /// Claimed, with the time at which the claim is void.
    ready: VecDeque<(usize, Micros)>,
    under_way: BTreeMap<(Micros, u64), UnderWay>,
    posted: u64,
    /// Quiet hours, and the end of the offer, where the campaign has them.
    terms: Option<(store::Hours, i64)>,
    seen: Seen,
}

/// Where a person of the campaign lives: half of them in Madrid, half in Mexico City.
fn zone_of(person: usize) -> Tz {
    if person.is_multiple_of(2) { Tz::Europe__Madrid } else { Tz::America__Mexico_City }
}

impl Lane {
    fn new() -> Lane {
        let clock = Clock::manual(BEGINS);
        let person = || Person { state: SendState::Planned, attempt: 0, refused: BTreeMap::new(), arrived: 0 };
        Lane {
            pace: Pace::new(clock.clone(), Some(RATE)),
            clock,
            circuit: Circuit::default(),
            share: 100,
            people: std::iter::repeat_with(person).take(PEOPLE).collect(),
            fresh: (0..PEOPLE).collect(),
            due: BTreeMap::new(),
            ready: VecDeque::new(),
            under_way: BTreeMap::new(),
            posted: 0,
            terms: None,
            seen: Seen::default(),
        }
    }

    fn note(&mut self, now: Micros, turned: Option<Turned>) {
        match turned {
            Some(Turned::Opened(_)) => self.seen.opened.push(now),
            Some(Turned::Answered) => self.seen.answered.push(now),
            Some(Turned::Closed) => self.seen.closed.push(now),
            None => {}
        }
    }

    /// One round of the lane. When to look again.
    fn round(&mut self) -> Micros {
        let now = self.clock.boot_us();
        while let Some(entry) = self.under_way.first_entry().filter(|entry| entry.key().0 <= now) {
            let post = entry.remove();
            self.end(now, post);
        }
        let turned = self.circuit.look(now);
        self.note(now, turned);
        if std::mem::replace(&mut self.share, self.circuit.share(now)) != self.share {
            self.pace.set_rate(Some((RATE * self.share / 100).max(1)));
        }
        self.claim(now);
        let mut wake = now + SECOND / 5;
        while let Some((person, void)) = self.ready.pop_front() {
            if now > void {
                self.give_back(person, now);
                continue;
            }
            match self.pace.try_turn() {
                Ok(turn) => self.post(person, turn, now),
                Err(until) => {
                    self.ready.push_front((person, void));
                    wake = wake.min(until);
                    break;
                }
            }
        }
        let ends = self.under_way.first_key_value().map_or(wake, |(key, _)| key.0);
        wake.min(ends).max(now + 1)
    }

    fn claim(&mut self, now: Micros) {
        let turns = self.pace.turns_within(GROUP_TIME).expect("it has a rate");
        let allowance = self.circuit.allowance(now);
        if self.ready.len() > turns / 2 || allowance.is_some() && !self.ready.is_empty() {
            return;
        }
        let mut claimed = false;
        for _ in 0..turns.min(allowance.unwrap_or(usize::MAX)) {
            let due = self.due.first_key_value().map(|(key, ())| *key).filter(|(at, _)| *at <= now);
            let Some(person) = due.map(|(_, person)| person).or_else(|| self.fresh.pop_front()) else { break };
            if let Some(key) = due {
                self.due.remove(&key);
            }
            if self.is_held_back(person, now) {
                continue;
            }
            self.step(person, &SendEvent::Claimed);
            self.people[person].attempt += 1;
            self.ready.push_back((person, now + crate::lane::CLAIM_VALID));
            claimed = true;
        }
        if claimed && allowance.is_some() {
            self.circuit.probe(now);
        }
    }

    /// What the claim asks of a campaign's terms: whether this person sleeps, who then waits for their morning, or the
    /// offer has ended for them.
    fn is_held_back(&mut self, person: usize, now: Micros) -> bool {
        let Some((hours, stop_at)) = &self.terms else { return false };
        let wall = self.clock.now_ms();
        if wall + store::CLAIM_LASTS >= *stop_at {
            self.step(person, &SendEvent::Ineligible);
            return true;
        }
        let Some(until) = hours.closed(zone_of(person).into(), wall).map(|closed| closed.until) else { return false };
        self.due.insert((now + (until - wall).unsigned_abs() * 1_000, person), ());
        true
    }

    fn give_back(&mut self, person: usize, now: Micros) {
        self.circuit.unprobe();
        self.step(person, &SendEvent::NotPosted { back_to_planned: true });
        self.due.insert((now, person), ());
    }

    fn step(&mut self, person: usize, event: &SendEvent) {
        let person = &mut self.people[person];
        if let Step::To(state) = person.state.next(event).expect("a step in order") {
            person.state = state;
        }
    }

    fn post(&mut self, person: usize, mut turn: Turn, now: Micros) {
        self.circuit.began(now);
        self.seen.posts.push(now);
        self.seen.posted_to.push((now, person));
        self.posted += 1;
        // A draw that is the same at every run.
        let draw = self.posted.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let (outcome, took, arrives) = meta(now, draw);
        if !matches!(outcome, SendOutcome::NotPosted(_)) {
            turn.hand_over(now);
            if !matches!(outcome, SendOutcome::Unknown(UnknownCause::TimedOut)) {
                turn.trip().answered(now, now + took);
            }
        }
        self.people[person].arrived += u32::from(arrives);
        self.under_way.insert((now + took, self.posted), UnderWay { person, began: now, outcome, arrives });
    }

    fn end(&mut self, now: Micros, post: UnderWay) {
        let UnderWay { person, began, outcome, arrives } = post;
        let code = if let SendOutcome::Refused(refusal) = &outcome { Some(refusal.code) } else { None };
        let refused = code.map_or(0, |code| self.people[person].refused.get(&code).copied().unwrap_or(0));
        let circumstances =
            Circumstances { in_outage: self.circuit.is_troubled(), ..Circumstances::tried(refused + 1) };
        let key = AttemptKey {
            campaign_id: 1,
            contact_id: i64::try_from(person).expect("thousands"),
            attempt: self.people[person].attempt,
        };
        let (happening, lesson) = judge(key, outcome, circumstances, self.clock.now_ms());
        let turned = self.circuit.ended(began, now, now - began, lesson.sign);
        self.note(now, turned);
        self.step(person, &happening.event);
        if let Some(code) = code {
            *self.people[person].refused.entry(code).or_default() += 1;
        }
        match self.people[person].state {
            SendState::Planned => {
                let pause = happening.not_before.map_or(0, |at| at - self.clock.now_ms());
                self.due.insert((now + u64::try_from(pause).expect("later") * 1_000, person), ());
            }
            SendState::InDoubt => {
                self.seen.doubts.push(now);
                // Its status webhook tells of what went out; for the rest a person looks.
                let event = if arrives { SendEvent::SettledSent } else { SendEvent::SettledNotSent { replan: true } };
                self.step(person, &event);
                if !arrives {
                    self.due.insert((now + 10 * MINUTE, person), ());
                }
            }
            SendState::Accepted => self.seen.accepted.push(now),
            SendState::Failed => self.seen.failed += 1,
            _ => {}
        }
    }

    fn is_done(&self) -> bool {
        self.fresh.is_empty() && self.due.is_empty() && self.ready.is_empty() && self.under_way.is_empty()
    }
}

/// How many of these times are within a span.
fn within(times: &[Micros], from: Micros, to: Micros) -> usize {
    times.iter().filter(|at| (from..to).contains(at)).count()
}

#[test]
fn an_outage_that_ends_at_night_wakes_nobody_and_one_that_outlasts_the_offer_ends_it() {
    let mut lane = Lane::new();
    // From 21:00 until 09:00: in Madrid from 19:00 UTC to 07:00, so that the names come back at eleven at night there,
    // and at four in the afternoon in Mexico City. The offer ends the next day at 07:01 UTC, a minute into Madrid's
    // morning.
    let quiet: QuietHours = "21:00-09:00".parse().expect("quiet hours");
    let stop_at = BEGINS + 86_400_000 - 8 * 3_600_000 - 34 * 60_000;
    let calendar = Calendar { quiet: Some(quiet), blackouts: Vec::new() };
    lane.terms = Some((store::Hours { calendar, otherwise: Tz::UTC }, stop_at));
    while !lane.is_done() {
        let wake = lane.round();
        let now = lane.clock.boot_us();
        assert!(now < 30 * 60 * MINUTE, "it does not end: {} are left", lane.fresh.len() + lane.due.len());
        lane.clock.advance(Duration::from_micros(wake - now));
    }
    let wall = |at: Micros| BEGINS + i64::try_from(at / 1_000).expect("a day");
    for (at, person) in &lane.seen.posted_to {
        assert_eq!(quiet.closed_until(wall(*at), zone_of(*person)), None, "{person} at {}", wall(*at));
        assert!(wall(*at) < stop_at, "{person} after the offer's end");
    }
    let reached = |zone: Tz| {
        let of_zone = lane.people.iter().enumerate().filter(|(person, _)| zone_of(*person) == zone);
        of_zone.filter(|(_, person)| person.state == SendState::Accepted && person.arrived == 1).count()
    };
    let (madrid, mexico) = (reached(Tz::Europe__Madrid), reached(Tz::America__Mexico_City));
    let skipped = lane.people.iter().filter(|person| person.state == SendState::Skipped).count();
    assert_eq!(mexico, PEOPLE / 2, "in Mexico it is day until everybody has the message");
    assert_eq!((madrid + mexico + skipped, lane.seen.failed), (PEOPLE, 0));
    // Of Madrid some had it before the outage, and a minute of the morning is left for the rest.
    assert!(madrid > RATE as usize * 120 && skipped > 500, "{madrid} in Madrid, {skipped} skipped");
    assert!(lane.people.iter().all(|person| person.arrived <= 1));
}

#[test]
fn six_hours_without_the_platform_cost_nobody_their_message_and_nobody_gets_it_twice() {
    let mut lane = Lane::new();
    while !lane.is_done() {
        let next = lane.round();
        let passed = next - lane.clock.boot_us();
        lane.clock.advance(Duration::from_micros(passed));
        assert!(next < 12 * 60 * MINUTE, "it does not end: {} are left", lane.fresh.len() + lane.due.len());
    }
    let seen = &lane.seen;

    // Nobody failed, and everybody has it exactly once.
    assert_eq!(seen.failed, 0);
    assert!(lane.people.iter().all(|person| person.state == SendState::Accepted && person.arrived == 1));

    // It opened at once, and one message at a time was tried, at most two a minute.
    let opened = seen.opened[0];
    assert!((GONE..GONE + 5 * SECOND).contains(&opened), "opened {} µs after the names were gone", opened - GONE);
    assert!(within(&seen.posts, GONE, opened) <= RATE as usize, "little was tried until then");
    let probes = within(&seen.posts, opened + SECOND / 2, NAMES_BACK);
    assert!((600..=700).contains(&probes), "{probes} probes in five and a half hours");
    assert_eq!(within(&seen.doubts, 0, NAMES_BACK), 0, "what has no address cannot have left");
    assert_eq!(within(&seen.accepted, GONE + SECOND, NAMES_BACK), 0);

    // The first message leaves within a pause or two of the return, and little is in doubt while answers fail.
    let first = seen.accepted.iter().find(|at| **at >= NAMES_BACK).expect("it came back");
    assert!(first - NAMES_BACK < 4 * MINUTE, "{} s", (first - NAMES_BACK) / SECOND);
    let flaps = within(&seen.opened, NAMES_BACK, WELL_AGAIN);
    let (doubts, tried) = (seen.doubts.len(), within(&seen.posts, NAMES_BACK, Micros::MAX));
    assert!(flaps <= 45, "the circuit opened {flaps} times while answers failed");
    assert!(doubts * 33 <= tried, "two in three failed at first, and {doubts} of {tried} came to be in doubt");

    // The rate grows back in steps: the last ramp is not exceeded, and the whole rate is used after it.
    let begun = *seen.answered.last().expect("the ramp of the end");
    let whole = *seen.closed.last().expect("its end");
    assert!(whole.abs_diff(begun + 4 * RAMP_STEP) < SECOND, "a ramp of {} s", (whole - begun) / SECOND);
    for step in 0..4 {
        let from = begun + step * RAMP_STEP;
        let sent = within(&seen.posts, from, from + RAMP_STEP);
        let most = (RATE as usize * 10 / 100) << step;
        assert!(sent <= most * 4, "step {step}: {sent} in three seconds at {most} a second");
        // Answers take up to two seconds then, and a slot is held for as long as its message may have been on its way.
        assert!(sent * 2 >= most * 3, "step {step}: {sent} in three seconds at {most} a second");
    }
    // Answers still take up to two seconds, and their messages hold their slots for as long.
    let after = within(&seen.posts, whole + 2 * SECOND, whole + 12 * SECOND);
    assert!(after >= RATE as usize * 7, "{after} in ten seconds");
    assert!(*seen.opened.last().expect("it opened") < WELL_AGAIN + MINUTE, "and it stays closed");
    eprintln!(
        "{probes} probes in five and a half hours; first message {} s after the return; then opened {flaps} times and \
         {doubts} of {tried} in doubt",
        (first - NAMES_BACK) / SECOND
    );
}
