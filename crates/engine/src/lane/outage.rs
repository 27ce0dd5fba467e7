//! When the platform fails, a lane stops claiming, then tries with one message at a time, less and less often, until
//! one is answered. Nobody's message is failed for it.

use domain::pacing::{Breaker, Micros, SECOND};

/// The first pause.
const FIRST: Micros = SECOND;
/// The longest pause between probes.
const LONGEST: Micros = 30 * SECOND;
/// A probe of which nothing was heard for so long, more than any POST takes, is forgotten.
const PROBE_LASTS: Micros = 60 * SECOND;

/// The state of a lane's circuit.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    breaker: Breaker,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    pause: Micros,
    until: Micros,
    /// Since when a probe is under way.
    probing: Option<Micros>,
}

/// What just changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// It opened now: say so once.
    Opened,
    /// It closed now.
    Closed,
}

impl Circuit {
    /// Takes in an answer.
    pub(super) fn record(&mut self, now: Micros, failed: bool) -> Option<Turned> {
        match (&mut self.open, failed) {
            (Some(_), false) => {
                self.open = None;
                self.breaker = Breaker::new();
                Some(Turned::Closed)
            }
            (Some(open), true) => {
                // Late failures of what was in flight do not stretch the pause; a failed probe does.
                if open.probing.take().is_some() {
                    open.pause = (open.pause * 2).min(LONGEST);
                    open.until = now + open.pause;
                }
                None
            }
            (None, failed) => self.breaker.record(now, failed).then(|| {
                self.open = Some(Open { pause: FIRST, until: now + FIRST, probing: None });
                Turned::Opened
            }),
        }
    }

    /// How many sends may be claimed now: `None` as many as the pace allows, `Some(1)` for a probe, `Some(0)` none.
    pub(super) fn allowance(&self, now: Micros) -> Option<usize> {
        let lost = |since: Micros| now >= since + PROBE_LASTS;
        self.open.as_ref().map(|open| usize::from(now >= open.until && open.probing.is_none_or(lost)))
    }

    /// A probe was claimed.
    pub(super) fn probe(&mut self, now: Micros) {
        if let Some(open) = &mut self.open {
            open.probing = Some(now);
        }
    }

    /// The claimed probe did not come to a POST: another may be tried.
    pub(super) fn unprobe(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = None;
        }
    }

    /// When the next probe may go.
    pub(super) fn until(&self) -> Option<Micros> {
        self.open.as_ref().map(|open| open.until)
    }

    /// Whether it is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Circuit {
        let mut circuit = Circuit::default();
        let turned: Vec<_> = (0..10).filter_map(|_| circuit.record(0, true)).collect();
        assert_eq!(turned, [Turned::Opened]);
        circuit
    }

    #[test]
    fn while_open_one_probe_at_a_time_goes_and_pauses_grow() {
        let mut circuit = opened();
        assert_eq!(circuit.allowance(0), Some(0));
        assert_eq!(circuit.allowance(FIRST), Some(1));
        circuit.probe(FIRST);
        assert_eq!(circuit.allowance(FIRST), Some(0));
        circuit.record(FIRST, true);
        assert_eq!(circuit.allowance(FIRST + 2 * FIRST - 1), Some(0));
        assert_eq!(circuit.allowance(FIRST + 2 * FIRST), Some(1));
    }

    #[test]
    fn a_probe_that_came_to_nothing_does_not_keep_the_lane_closed() {
        let mut circuit = opened();
        circuit.probe(FIRST);
        assert_eq!(circuit.allowance(FIRST), Some(0));
        circuit.unprobe();
        assert_eq!(circuit.allowance(FIRST), Some(1));
        circuit.probe(FIRST);
        assert_eq!(circuit.allowance(FIRST + PROBE_LASTS - 1), Some(0));
        assert_eq!(circuit.allowance(FIRST + PROBE_LASTS), Some(1));
    }

    #[test]
    fn one_answer_closes_it() {
        let mut circuit = opened();
        assert_eq!(circuit.record(5, false), Some(Turned::Closed));
        assert_eq!(circuit.allowance(5), None);
    }

    #[test]
    fn late_failures_of_what_was_in_flight_do_not_stretch_the_pause() {
        let mut circuit = opened();
        for _ in 0..1000 {
            circuit.record(1, true);
        }
        assert_eq!(circuit.allowance(FIRST), Some(1));
    }
}
