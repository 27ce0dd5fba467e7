use proptest::prelude::*;

use super::*;

const TRIP: Micros = 50_000;

/// A message that begins at `at` and ends one usual round trip later.
fn post(circuit: &mut Circuit, at: Micros, sign: Sign) -> Option<Turned> {
    circuit.began(at);
    circuit.ended(at, at + TRIP, TRIP, sign)
}

fn opened() -> Circuit {
    let mut circuit = Circuit::default();
    let turned: Vec<_> = (0..10).filter_map(|_| post(&mut circuit, 0, Sign::Failed)).collect();
    assert_eq!(turned, [Turned::Opened(Trouble::Failing)]);
    circuit
}

/// A circuit whose first probe, at `at`, was answered.
fn in_ramp(at: Micros) -> Circuit {
    let mut circuit = opened();
    circuit.probe(at);
    assert_eq!(post(&mut circuit, at, Sign::Answered), Some(Turned::Answered));
    circuit
}

/// Sends at a rate from `from` on with nobody answering, as far as the circuit lets it. When it opened, and how many
/// were sent until then.
fn silent(circuit: &mut Circuit, from: Micros, rate: u64) -> (Micros, usize) {
    let mut sent = 0;
    for step in 0..1_000_000u64 {
        let now = from + step * SECOND / rate.max(20);
        if let Some(turned) = circuit.look(now) {
            assert_eq!(turned, Turned::Opened(Trouble::Silent));
            return (now - from, sent);
        }
        if circuit.allowance(now).is_none() && step.is_multiple_of(rate.max(20) / rate) {
            circuit.began(now);
            sent += 1;
        }
    }
    panic!("it never opened");
}

#[test]
fn while_open_one_probe_at_a_time_goes_and_pauses_grow() {
    let mut circuit = opened();
    let mut now = circuit.until().expect("it is open");
    let mut pauses = Vec::new();
    for _ in 0..8 {
        assert_eq!((circuit.allowance(now - 1), circuit.allowance(now)), (Some(0), Some(1)));
        circuit.probe(now);
        circuit.began(now);
        assert_eq!(circuit.allowance(now), Some(0), "one at a time");
        assert_eq!(circuit.ended(now, now + TRIP, TRIP, Sign::Failed), None);
        let until = circuit.until().expect("it is open");
        pauses.push((until - now - TRIP) / SECOND);
        now = until;
    }
    assert_eq!(pauses, [2, 4, 8, 16, 30, 30, 30, 30]);
}

#[test]
fn a_probe_that_came_to_nothing_does_not_keep_the_lane_closed() {
    let mut circuit = opened();
    let at = circuit.until().expect("it is open");
    circuit.probe(at);
    assert_eq!(circuit.allowance(at), Some(0));
    circuit.unprobe();
    assert_eq!(circuit.allowance(at), Some(1));
    circuit.probe(at);
    assert_eq!(post(&mut circuit, at, Sign::Nothing), None);
    assert_eq!(circuit.allowance(at), Some(1));
    circuit.probe(at);
    circuit.began(at);
    circuit.unprobe();
    assert_eq!(circuit.allowance(at + POST_LASTS - 1), Some(0), "its POST is under way");
    assert_eq!(circuit.allowance(at + POST_LASTS), Some(1));
}

#[test]
fn late_failures_of_what_was_in_flight_neither_stretch_the_pause_nor_open_it_again() {
    let mut circuit = Circuit::default();
    for at in 0..100 {
        circuit.began(at);
    }
    for at in 0..10 {
        circuit.ended(at, SECOND, TRIP, Sign::Failed);
    }
    let until = circuit.until().expect("ten in a row opened it");
    circuit.probe(until);
    circuit.began(until);
    for at in 10..40 {
        assert_eq!(circuit.ended(at, until, TRIP, Sign::Failed), None);
    }
    assert_eq!(circuit.until(), Some(until));
    assert_eq!(circuit.ended(until, until + TRIP, TRIP, Sign::Answered), Some(Turned::Answered));
    for at in 40..70 {
        assert_eq!(circuit.ended(at, until + SECOND, TRIP, Sign::Failed), None);
    }
    let whole = until + 60 * SECOND;
    assert_eq!(circuit.look(whole), Some(Turned::Closed));
    for at in 70..100 {
        assert_eq!(circuit.ended(at, whole, TRIP, Sign::Failed), None);
    }
}

#[test]
fn a_late_answer_lets_a_probe_go_at_once_and_is_none_itself() {
    let mut circuit = Circuit::default();
    circuit.began(7);
    for _ in 0..10 {
        post(&mut circuit, 8, Sign::Failed);
    }
    let soon = 8 + 2 * TRIP;
    assert_eq!(circuit.allowance(soon), Some(0));
    assert_eq!(circuit.ended(7, soon, soon, Sign::Answered), None);
    assert!(circuit.is_open());
    assert_eq!(circuit.allowance(soon), Some(1));
}

#[test]
fn after_an_answered_probe_the_rate_is_doubled_every_three_seconds() {
    let mut circuit = in_ramp(SECOND * 2);
    let since = SECOND * 2 + TRIP;
    let shares: Vec<_> = (0..15).map(|second| circuit.share(since + second * SECOND)).collect();
    assert_eq!(shares, [10, 10, 10, 20, 20, 20, 40, 40, 40, 80, 80, 80, 100, 100, 100]);
    assert_eq!(circuit.look(since + 12 * SECOND - 1), None);
    assert_eq!(circuit.look(since + 12 * SECOND), Some(Turned::Closed));
    assert_eq!((circuit.allowance(since + 12 * SECOND), circuit.is_troubled()), (None, false));
}

#[test]
fn a_failure_in_the_ramp_opens_it_again_at_once_and_for_longer() {
    let mut circuit = in_ramp(SECOND * 2);
    let at = SECOND * 4;
    assert_eq!(post(&mut circuit, at, Sign::Failed), Some(Turned::Opened(Trouble::Failing)));
    assert_eq!(circuit.until(), Some(at + TRIP + 2 * FIRST));
    let mut circuit = in_ramp(SECOND * 2);
    assert_eq!(silent(&mut circuit, SECOND * 4, 8).0, SILENCE, "falling silent does so too");
}

#[test]
fn after_a_ramp_that_failed_more_probes_in_a_row_must_be_answered() {
    let mut circuit = in_ramp(SECOND * 2);
    let mut now = SECOND * 4;
    for asked in [2, 4, 8, 8] {
        assert_eq!(post(&mut circuit, now, Sign::Failed), Some(Turned::Opened(Trouble::Failing)));
        now = circuit.until().expect("it is open");
        for answered in 1..=asked {
            assert_eq!(circuit.allowance(now), Some(1), "the next goes at once");
            circuit.probe(now);
            let turned = post(&mut circuit, now, Sign::Answered);
            assert_eq!(turned.is_some(), answered == asked, "{answered} of {asked}");
            now += TRIP;
        }
    }
    assert_eq!(circuit.look(now + 60 * SECOND), Some(Turned::Closed));
    let opened = (0..10).find_map(|_| post(&mut circuit, now + 61 * SECOND, Sign::Failed));
    assert_eq!(opened, Some(Turned::Opened(Trouble::Failing)));
    let now = circuit.until().expect("it is open");
    circuit.probe(now);
    assert_eq!(post(&mut circuit, now, Sign::Answered), Some(Turned::Answered), "a new outage begins with one");
}

#[test]
fn one_failure_among_many_does_not_end_the_ramp() {
    let mut circuit = in_ramp(SECOND * 2);
    assert!((0..30).all(|i| post(&mut circuit, SECOND * 4 + i, Sign::Answered).is_none()));
    assert_eq!(post(&mut circuit, SECOND * 5, Sign::Failed), None);
    assert!(post(&mut circuit, SECOND * 5, Sign::Failed).is_some(), "two of 33 do");
    let mut circuit = in_ramp(SECOND * 2);
    assert_eq!(post(&mut circuit, SECOND * 4, Sign::Stumbled), None, "one message's own failure says nothing");
}

#[test]
fn refusing_at_once_opens_it_within_five_seconds_however_slow_the_lane_is() {
    for gap in [1_000, 12_500, 50_000, SECOND, 2 * SECOND, 4 * SECOND] {
        let mut circuit = Circuit::default();
        for i in 0..100 {
            assert_eq!(post(&mut circuit, i * 10, Sign::Answered), None);
        }
        let opened = (1..).find(|i| post(&mut circuit, i * gap, Sign::Failed).is_some()).expect("it opens");
        assert!((opened - 1) * gap + TRIP <= 5 * SECOND, "one every {gap} µs: opened at the {opened}. failure");
    }
}

#[test]
fn one_message_that_fails_again_and_again_is_no_outage() {
    let mut circuit = Circuit::default();
    assert!((0..9).all(|i| post(&mut circuit, i * 60 * SECOND, Sign::Stumbled).is_none()));
}

#[test]
fn silence_opens_it_within_five_seconds_with_little_more_than_a_seconds_messages_out() {
    for rate in [1, 2, 10, 20, 80, 1_000] {
        let mut circuit = Circuit::default();
        let (opened, sent) = silent(&mut circuit, 0, rate);
        assert!((SILENCE..=5 * SECOND).contains(&opened), "{rate}/s: opened after {opened} µs");
        assert!(sent as u64 <= rate + 1, "{rate}/s: {sent} had left");

        let mut circuit = Circuit::default();
        for i in 0..1_000 {
            post(&mut circuit, i * 12_500, Sign::Answered);
        }
        let (opened, sent) = silent(&mut circuit, 13 * SECOND, rate);
        assert!((SILENCE..=5 * SECOND).contains(&opened), "{rate}/s: opened after {opened} µs");
        assert!(sent as u64 <= rate + 1, "{rate}/s: {sent} had left");
    }
}

#[test]
fn an_answer_ends_the_waiting() {
    let mut circuit = Circuit::default();
    circuit.began(0);
    for tenth in 0..=20 {
        assert_eq!(circuit.look(tenth * SECOND / 10), None);
    }
    assert!(circuit.is_waiting());
    assert_eq!(circuit.allowance(2 * SECOND), Some(0));
    assert_eq!(circuit.ended(0, 2 * SECOND, 2 * SECOND, Sign::Answered), None);
    assert_eq!((circuit.allowance(2 * SECOND), circuit.is_waiting()), (None, false));
}

#[test]
fn one_lost_answer_among_many_is_no_silence() {
    let mut circuit = Circuit::default();
    circuit.began(0);
    for i in 1..3_000u64 {
        let now = i * 12_500;
        assert_eq!(circuit.look(now), None);
        assert_eq!(circuit.allowance(now), None, "at {now}");
        post(&mut circuit, now, Sign::Answered);
    }
}

#[test]
fn nothing_under_way_is_no_silence() {
    let mut circuit = Circuit::default();
    post(&mut circuit, 0, Sign::Answered);
    assert!((0..600).all(|tenth| circuit.look(SECOND + tenth * SECOND / 10).is_none()));
    assert_eq!(circuit.allowance(61 * SECOND), None);
}

#[test]
fn a_process_that_was_stopped_does_not_take_its_own_deafness_for_silence() {
    let mut circuit = Circuit::default();
    post(&mut circuit, 0, Sign::Answered);
    circuit.began(SECOND);
    assert_eq!(circuit.look(600 * SECOND), None);
    assert_eq!(circuit.allowance(600 * SECOND), None);
}

#[test]
fn a_platform_that_always_takes_long_is_not_silent() {
    for trip in [900_000, 2 * SECOND, 6 * SECOND] {
        let mut circuit = Circuit::default();
        // Known from better days: the usual round trip grew slowly.
        circuit.silence.usual = trip;
        circuit.silence.heard = Some(0);
        let mut under_way = VecDeque::new();
        for step in 0..4_000u64 {
            let now = SECOND + step * 12_500;
            while under_way.front().is_some_and(|at| at + trip <= now) {
                let at = under_way.pop_front().expect("looked at");
                assert_eq!(circuit.ended(at, now, trip, Sign::Answered), None);
            }
            assert_eq!(circuit.look(now), None, "{trip}");
            circuit.began(now);
            under_way.push_back(now);
        }
    }
}

proptest! {
    /// Whatever comes in whatever order: at most one probe is out, and a circuit that is open lets it go in the end.
    #[test]
    fn it_never_lets_two_probes_go_and_never_stays_open_for_ever(
        events in prop::collection::vec((0..7u8, 0..3_000_000u64), 0..200),
    ) {
        let mut circuit = Circuit::default();
        let mut now = 0;
        let mut under_way = Vec::new();
        for (event, pause) in events {
            now += pause;
            circuit.look(now);
            let is_open = circuit.is_open();
            let allowance = circuit.allowance(now);
            if is_open {
                prop_assert!(allowance.is_some_and(|most| most <= 1));
            }
            let sign = [Sign::Answered, Sign::Failed, Sign::Stumbled, Sign::Nothing][usize::from(event % 4)];
            if event < 4 && !under_way.is_empty() {
                let began = under_way.remove(usize::try_from(pause).unwrap() % under_way.len());
                circuit.ended(began, now, now - began, sign);
            } else if allowance != Some(0) {
                circuit.probe(now);
                circuit.began(now);
                under_way.push(now);
                if is_open {
                    prop_assert_eq!(circuit.allowance(now), Some(0));
                }
            }
        }
        now += POST_LASTS + LONGEST;
        circuit.look(now);
        prop_assert!(circuit.allowance(now) != Some(0));
    }
}
