//! When the platform fails, a lane stops claiming, then tries with one message at a time, less and less often, until
//! one is answered; then its rate grows back in steps. Nobody's message is failed for it.
//!
//! Failure has two faces. It is told (refused connections, names that do not resolve, 5xx, codes that mean trouble at
//! Meta's), or it is silence: messages are taken and never answered. What is silent is noticed long before a POST is
//! given up, so that no more is in doubt than left in the first second or so.
//!
//! Whatever waits here was not claimed. It is claimed anew once the platform answers, and every claim looks at all that
//! may forbid it (the campaign, pauses, opt-outs), however long the outage was.

use std::collections::VecDeque;

use domain::pacing::{Breaker, Micros, SECOND};

/// The first pause.
const FIRST: Micros = SECOND;
/// The longest pause between probes.
const LONGEST: Micros = 30 * SECOND;
/// A POST of which nothing was heard for so long, more than any takes, is forgotten.
const POST_LASTS: Micros = 60 * SECOND;
/// Nothing but failures of two or more messages for so long opens the circuit, however slow the lane is.
const FAILING_FOR: Micros = 3 * SECOND;
/// After so long without any answer nothing more is claimed until one comes…
const HOLD: Micros = SECOND;
/// …or so many usual round trips, where those are longer.
const HOLD_TRIPS: u64 = 4;
/// After so long without any answer the circuit opens…
const SILENCE: Micros = 3 * SECOND;
/// …or so many usual round trips, where those are longer…
const SILENCE_TRIPS: u64 = 8;
/// …but after so long at the most, unless two usual round trips take longer still.
const LONGEST_SILENCE: Micros = 4_500_000;
/// From one look to the next no more than this counts as silence: a process that was stopped heard nothing because it
/// did not listen.
const LOOK: Micros = SECOND / 2;
/// A round trip's weight in the usual one is one part of so many.
const SMOOTHING: u64 = 16;
/// The share of the rate, in per cent, with which a lane goes on after an outage…
const RAMP_FROM: u32 = 10;
/// …and after each of these it is doubled.
const RAMP_STEP: Micros = 3 * SECOND;
/// Each time it fails again before the whole rate is back, twice as many probes in a row must be answered before the next
/// ramp, up to so many: a platform that answers now and then would put a handful of messages in doubt each time.
const MOST_PROBES: u32 = 8;
/// One failure among so many answers, or fewer, since sending went on opens the circuit again.
const RAMP_BEARS: u32 = 20;

/// What the end of a POST says of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It answered, be it with a refusal.
    Answered,
    /// It failed: no connection, no answer, an answer that is not Meta's, or Meta says that it is down.
    Failed,
    /// It failed at this one message. Only many of those say something.
    Stumbled,
    /// Nothing: the message never came to it.
    Nothing,
}

/// What just changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// It opened now: say so once.
    Opened(Trouble),
    /// A probe was answered: sending goes on slowly.
    Answered,
    /// The whole rate is back.
    Closed,
}

/// Why it opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Messages fail.
    Failing,
    /// Messages leave and nothing is answered.
    Silent,
}

/// The state of a lane's circuit. Times are boot time.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    state: State,
    breaker: Breaker,
    silence: Silence,
    /// Since when, and how often, messages failed with no answer between them.
    failing: Option<(Micros, u32)>,
    /// When the platform answered again after the last outage: what began before tells of that one.
    recovered: Micros,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Closed,
    Open(Open),
    Ramp(Ramp),
}

#[derive(Debug)]
struct Open {
    pause: Micros,
    until: Micros,
    /// How many probes in a row must still be answered, and how many that were at first.
    wanted: u32,
    asked: u32,
    probe: Option<Probe>,
}

impl Open {
    fn new(now: Micros, pause: Micros, asked: u32) -> Open {
        Open { pause, until: now + pause, wanted: asked, asked, probe: None }
    }
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    claimed: Micros,
    /// When its POST began.
    began: Option<Micros>,
}

#[derive(Debug)]
struct Ramp {
    since: Micros,
    /// The pause that the probe came after, and how many probes were asked for.
    pause: Micros,
    asked: u32,
    answers: u32,
    failures: u32,
}

impl Ramp {
    /// The circuit that opens when this ramp fails.
    fn failed(&self, now: Micros) -> Open {
        Open::new(now, (self.pause * 2).min(LONGEST), (self.asked * 2).min(MOST_PROBES))
    }

    fn share(&self, now: Micros) -> u32 {
        let steps = now.saturating_sub(self.since) / RAMP_STEP;
        RAMP_FROM.saturating_mul(1 << steps.min(8)).min(100)
    }
}

impl Circuit {
    /// A POST begins.
    pub(super) fn began(&mut self, now: Micros) {
        self.silence.began(now);
        if let State::Open(Open { probe: Some(probe), .. }) = &mut self.state
            && probe.began.is_none()
        {
            probe.began = Some(now);
        }
    }

    /// The POST that began at `began` is over; `round_trip` is what an answer took.
    pub(super) fn ended(&mut self, began: Micros, now: Micros, round_trip: Micros, sign: Sign) -> Option<Turned> {
        self.silence.ended(began, now, (sign == Sign::Answered).then_some(round_trip));
        match &mut self.state {
            State::Closed => self.ended_while_closed(began, now, sign),
            State::Ramp(_) => self.ended_in_ramp(began, now, sign),
            State::Open(open) => {
                let is_probe = open.probe.is_some_and(|probe| probe.began == Some(began));
                match sign {
                    Sign::Answered if is_probe && open.wanted > 1 => {
                        open.wanted -= 1;
                        (open.until, open.probe) = (now, None);
                    }
                    Sign::Answered if is_probe => {
                        let (pause, asked) = (open.pause, open.asked);
                        let ramp = Ramp { since: now, pause, asked, answers: 1, failures: 0 };
                        self.state = State::Ramp(ramp);
                        self.breaker = Breaker::new();
                        self.recovered = now;
                        return Some(Turned::Answered);
                    }
                    // A late answer to what left before: worth a try.
                    Sign::Answered => open.until = open.until.min(now),
                    Sign::Failed | Sign::Stumbled if is_probe => {
                        open.pause = (open.pause * 2).min(LONGEST);
                        *open = Open::new(now, open.pause, open.asked);
                    }
                    // Late failures of what was in flight do not stretch the pause.
                    Sign::Failed | Sign::Stumbled => {}
                    Sign::Nothing if is_probe => open.probe = None,
                    Sign::Nothing => {}
                }
                None
            }
        }
    }

    fn ended_while_closed(&mut self, began: Micros, now: Micros, sign: Sign) -> Option<Turned> {
        if sign == Sign::Nothing || sign != Sign::Answered && began < self.recovered {
            return None;
        }
        let tripped = self.breaker.record(now, sign != Sign::Answered);
        match sign {
            Sign::Answered => self.failing = None,
            Sign::Failed => {
                let (since, times) = self.failing.unwrap_or((began, 0));
                self.failing = Some((since.min(began), times + 1));
            }
            Sign::Stumbled | Sign::Nothing => {}
        }
        let is_dead = self.failing.is_some_and(|(since, times)| times > 1 && now >= since + FAILING_FOR);
        (tripped || is_dead).then(|| self.open(Open::new(now, FIRST, 1), Trouble::Failing))
    }

    fn ended_in_ramp(&mut self, began: Micros, now: Micros, sign: Sign) -> Option<Turned> {
        let State::Ramp(ramp) = &mut self.state else { return None };
        if began < ramp.since || sign == Sign::Nothing {
            return None;
        }
        ramp.answers += 1;
        ramp.failures += u32::from(sign == Sign::Failed);
        let fails = sign == Sign::Failed && ramp.failures * RAMP_BEARS >= ramp.answers;
        let reopened = ramp.failed(now);
        let tripped = sign != Sign::Failed && self.breaker.record(now, sign == Sign::Stumbled);
        (fails || tripped).then(|| self.open(reopened, Trouble::Failing))
    }

    /// Looks whether the platform has been silent for too long, or the whole rate is back. To be called several times a
    /// second.
    pub(super) fn look(&mut self, now: Micros) -> Option<Turned> {
        self.silence.look(now);
        let open = match &self.state {
            State::Open(_) => return None,
            State::Closed => Open::new(now, FIRST, 1),
            State::Ramp(ramp) => ramp.failed(now),
        };
        if self.silence.is_outage() {
            return Some(self.open(open, Trouble::Silent));
        }
        if self.share(now) == 100 && !matches!(self.state, State::Closed) {
            self.state = State::Closed;
            self.breaker = Breaker::new();
            return Some(Turned::Closed);
        }
        None
    }

    fn open(&mut self, open: Open, trouble: Trouble) -> Turned {
        self.state = State::Open(open);
        self.breaker = Breaker::new();
        self.failing = None;
        Turned::Opened(trouble)
    }

    /// How many sends may be claimed now: `None` as many as the pace allows, `Some(1)` for a probe, `Some(0)` none.
    pub(super) fn allowance(&self, now: Micros) -> Option<usize> {
        match &self.state {
            State::Open(open) => {
                let is_free = open.probe.is_none_or(|probe| now >= probe.claimed + POST_LASTS);
                Some(usize::from(now >= open.until && is_free))
            }
            State::Closed | State::Ramp(_) => self.silence.holds().then_some(0),
        }
    }

    /// The share of the rate that may be used, in per cent.
    pub(super) fn share(&self, now: Micros) -> u32 {
        match &self.state {
            State::Closed => 100,
            State::Open(_) => RAMP_FROM,
            State::Ramp(ramp) => ramp.share(now),
        }
    }

    /// A probe was claimed.
    pub(super) fn probe(&mut self, now: Micros) {
        if let State::Open(open) = &mut self.state {
            open.probe = Some(Probe { claimed: now, began: None });
        }
    }

    /// The claimed probe did not come to a POST: another may be tried.
    pub(super) fn unprobe(&mut self) {
        if let State::Open(open) = &mut self.state {
            open.probe = open.probe.filter(|probe| probe.began.is_some());
        }
    }

    /// When the next probe may go.
    pub(super) fn until(&self) -> Option<Micros> {
        match &self.state {
            State::Open(open) => Some(open.until),
            State::Closed | State::Ramp(_) => None,
        }
    }

    /// Whether it is open.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether it is not closed: failures now are the platform's, whatever they say.
    pub(super) fn is_troubled(&self) -> bool {
        !matches!(self.state, State::Closed)
    }

    /// Whether nothing more is claimed until something that has left is answered.
    pub(super) fn is_waiting(&self) -> bool {
        !self.is_open() && self.silence.holds()
    }
}

/// Watches for answers that do not come.
///
/// It counts from the oldest message that left after every message that was answered: one that is lost while later ones
/// are answered says nothing of the platform.
#[derive(Debug, Default)]
struct Silence {
    /// When POSTs that are not over began, oldest first.
    under_way: VecDeque<Micros>,
    /// When the newest POST that was answered began.
    heard: Option<Micros>,
    /// How long answers take, smoothed.
    usual: Micros,
    /// How long nothing has been heard while something waits for its answer.
    quiet: Micros,
    looked: Micros,
}

impl Silence {
    fn began(&mut self, now: Micros) {
        self.look(now);
        self.under_way.push_back(now);
    }

    fn ended(&mut self, began: Micros, now: Micros, answered: Option<Micros>) {
        self.look(now);
        let place = self.under_way.partition_point(|at| *at < began);
        if self.under_way.get(place) == Some(&began) {
            self.under_way.remove(place);
        }
        if let Some(round_trip) = answered {
            self.usual = match self.heard {
                None => round_trip,
                Some(_) => (self.usual * (SMOOTHING - 1) + round_trip) / SMOOTHING,
            };
            self.heard = self.heard.max(Some(began));
            self.quiet = 0;
        }
    }

    fn look(&mut self, now: Micros) {
        let passed = now.saturating_sub(self.looked).min(LOOK);
        self.looked = self.looked.max(now);
        while self.under_way.front().is_some_and(|at| at.saturating_add(POST_LASTS) <= now) {
            self.under_way.pop_front();
        }
        let waits = self.under_way.back().is_some_and(|newest| Some(*newest) > self.heard);
        self.quiet = if waits { self.quiet + passed } else { 0 };
    }

    fn holds(&self) -> bool {
        self.quiet >= (self.usual * HOLD_TRIPS).clamp(HOLD, self.patience())
    }

    fn is_outage(&self) -> bool {
        self.quiet >= self.patience()
    }

    fn patience(&self) -> Micros {
        (self.usual * SILENCE_TRIPS).clamp(SILENCE, LONGEST_SILENCE).max(self.usual * 2)
    }
}

#[cfg(test)]
mod replay;
#[cfg(test)]
mod tests;
