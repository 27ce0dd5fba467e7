//! The hard cap of a lane: at most N messages in any sliding window, as the receiver counts them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::{Micros, SECOND};

/// A message without an answer holds its slot so much longer than one that came at once. It may have arrived that late;
/// held for ever, answers that are lost on their way back would bring a lane to a halt.
pub const UNANSWERED: Micros = SECOND;

/// N slots. A grant takes one. The request that was granted either is handed over to the HTTP client, and its slot is
/// free again one width after it reached the receiver at the latest, or it is dropped, and its slot is free at once.
///
/// When a request arrives is not seen, but bounded: it cannot leave before it is handed over, and it cannot arrive after
/// its answer. So its slot is freed one width after the hand-over, plus what its answer was late by.
///
/// What holds, if lateness is never told too low: of the messages that arrive within any half-open window of the width,
/// consider the one that was granted last. At its grant each of the others was still out, or on its way, or had arrived
/// less than a width before. So there are never more of them than slots, however long a request lingers between its
/// grant and the wire, or on it.
///
/// Times must come from one monotonic clock; one that steps back is read as standing still.
#[derive(Clone, Debug)]
pub struct Window {
    slots: u32,
    width: Micros,
    /// How much longer than the width a message without an answer holds its slot.
    unanswered: Micros,
    /// Granted, and neither handed over nor dropped yet.
    out: u32,
    /// When messages that have no answer yet were handed over, oldest first.
    on_the_way: VecDeque<Micros>,
    /// When the slots of answered messages are free, soonest first.
    freeing: BinaryHeap<Reverse<Micros>>,
    /// When messages were handed over within the last second, oldest first: the pace that a person is shown.
    lately: VecDeque<Micros>,
    /// The latest time seen.
    now: Micros,
}

/// No slot is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// When a slot will be free at the latest. `None`: only the end of a request that is out can free one, or a rate
    /// above zero. A drop or an answer may free one earlier in either case.
    pub until: Option<Micros>,
}

impl Window {
    /// A window with `slots` slots, `width` microseconds wide. No slots means nothing may go.
    pub fn new(slots: u32, width: Micros) -> Window {
        Window {
            slots,
            width,
            unanswered: UNANSWERED,
            out: 0,
            on_the_way: VecDeque::new(),
            freeing: BinaryHeap::new(),
            lately: VecDeque::new(),
            now: 0,
        }
    }

    /// Takes a slot, to be given back by [`Window::handed_over`] or [`Window::dropped`].
    ///
    /// # Errors
    /// [`Wait`] if none is free.
    pub fn try_grant(&mut self, now: Micros) -> Result<(), Wait> {
        self.advance(now);
        let taken = self.out as usize + self.on_the_way.len() + self.freeing.len();
        let slots = self.slots as usize;
        if taken < slots {
            self.out += 1;
            return Ok(());
        }
        if slots == 0 {
            return Err(Wait { until: None });
        }
        // So many slots must come free before one is left over; after a cut of the rate that is more than one.
        Err(Wait { until: self.frees(taken - slots + 1) })
    }

    /// A granted request is being handed over to the HTTP client at `now`.
    pub fn handed_over(&mut self, now: Micros) {
        self.advance(now);
        self.out = self.out.saturating_sub(1);
        self.on_the_way.push_back(self.now);
        self.lately.push_back(self.now);
    }

    /// The request that was handed over at `handed_over` was answered, `late` later than one that arrived at once: its
    /// slot is free one width and so long after its hand-over.
    pub fn answered(&mut self, handed_over: Micros, late: Micros) {
        let place = self.on_the_way.partition_point(|at| *at < handed_over);
        // Not there: it had no answer for so long that its slot is free already.
        if self.on_the_way.get(place) == Some(&handed_over) {
            self.on_the_way.remove(place);
            let late = late.min(UNANSWERED);
            self.freeing.push(Reverse(handed_over.saturating_add(self.width).saturating_add(late)));
        }
    }

    /// A granted request will not leave: its slot is free at once.
    pub fn dropped(&mut self) {
        self.out = self.out.saturating_sub(1);
    }

    /// Changes the number of slots and keeps what was handed over. A cut holds for the next grant; requests that are
    /// out still count.
    pub fn set_rate(&mut self, slots: u32) {
        self.slots = slots;
    }

    /// How much longer than the width a message without an answer holds its slot, at most [`UNANSWERED`]. Less is right
    /// only where answers take longer than the width as a rule.
    pub fn set_unanswered(&mut self, time: Micros) {
        self.unanswered = time.min(UNANSWERED);
    }

    /// The number of slots.
    pub fn rate(&self) -> u32 {
        self.slots
    }

    /// The width in microseconds.
    pub fn width(&self) -> Micros {
        self.width
    }

    /// How many grants are out, neither handed over nor dropped.
    pub fn out(&self) -> u32 {
        self.out
    }

    /// Whether every slot is free at `now`.
    pub fn is_empty(&mut self, now: Micros) -> bool {
        self.advance(now);
        self.out == 0 && self.on_the_way.is_empty() && self.freeing.is_empty()
    }

    /// How many messages were handed over within the second before `now`: the pace that a person is shown.
    pub fn handed_in_last_second(&mut self, now: Micros) -> u32 {
        self.advance(now);
        u32::try_from(self.lately.len()).unwrap_or(u32::MAX)
    }

    fn advance(&mut self, now: Micros) {
        self.now = self.now.max(now);
        let now = self.now;
        let held = self.width.saturating_add(self.unanswered);
        while self.on_the_way.front().is_some_and(|at| at.saturating_add(held) <= now) {
            self.on_the_way.pop_front();
        }
        while self.freeing.peek().is_some_and(|at| at.0 <= now) {
            self.freeing.pop();
        }
        while self.lately.front().is_some_and(|at| at.saturating_add(SECOND) <= now) {
            self.lately.pop_front();
        }
    }

    /// When so many slots will have come free, if requests that are out do not count.
    fn frees(&self, needed: usize) -> Option<Micros> {
        let held = self.width.saturating_add(self.unanswered);
        let unanswered = |at: &Micros| at.saturating_add(held);
        if needed == 1 {
            let answered = self.freeing.peek().map(|at| at.0);
            return answered.into_iter().chain(self.on_the_way.front().map(unanswered)).min();
        }
        let mut times: Vec<Micros> =
            self.freeing.iter().map(|at| at.0).chain(self.on_the_way.iter().map(unanswered)).collect();
        (needed <= times.len()).then(|| *times.select_nth_unstable(needed - 1).1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hands over at `at` and is answered in no time.
    fn hand_over(window: &mut Window, at: Micros) {
        window.handed_over(at);
        window.answered(at, 0);
    }

    #[test]
    fn a_slot_is_free_again_one_width_after_the_hand_over_and_not_after_the_grant() {
        let mut window = Window::new(1, SECOND);
        assert_eq!(window.try_grant(0), Ok(()));
        hand_over(&mut window, 700_000);
        assert_eq!(window.try_grant(1_000_000), Err(Wait { until: Some(1_700_000) }));
        assert_eq!(window.try_grant(1_699_999), Err(Wait { until: Some(1_700_000) }));
        assert_eq!(window.try_grant(1_700_000), Ok(()));
    }

    #[test]
    fn a_message_that_travels_long_holds_its_slot_for_as_much_longer() {
        let mut window = Window::new(1, SECOND);
        assert_eq!(window.try_grant(0), Ok(()));
        window.handed_over(0);
        // While nobody knows where it is.
        assert_eq!(window.try_grant(100_000), Err(Wait { until: Some(SECOND + UNANSWERED) }));
        window.answered(0, 170_000);
        assert_eq!(window.try_grant(200_000), Err(Wait { until: Some(1_170_000) }));
        assert_eq!(window.try_grant(1_170_000), Ok(()));
    }

    #[test]
    fn a_message_that_is_never_answered_holds_its_slot_for_two_seconds() {
        let mut window = Window::new(1, SECOND);
        assert_eq!(window.try_grant(0), Ok(()));
        window.handed_over(0);
        assert!(window.try_grant(1_999_999).is_err());
        assert_eq!(window.try_grant(2_000_000), Ok(()));
        // Its answer comes after all, and changes nothing.
        window.answered(0, SECOND);
        hand_over(&mut window, 2_000_000);
        assert_eq!(window.try_grant(2_000_001), Err(Wait { until: Some(3_000_000) }));
    }

    #[test]
    fn where_answers_take_longer_than_a_second_nobody_waits_for_them() {
        let mut window = Window::new(1, SECOND);
        window.set_unanswered(0);
        assert_eq!(window.try_grant(0), Ok(()));
        window.handed_over(0);
        assert_eq!(window.try_grant(SECOND), Ok(()));
    }

    #[test]
    fn a_request_that_never_leaves_holds_its_slot_until_it_is_dropped() {
        let mut window = Window::new(1, SECOND);
        assert_eq!(window.try_grant(0), Ok(()));
        assert_eq!(window.try_grant(60 * SECOND), Err(Wait { until: None }));
        window.dropped();
        assert_eq!(window.try_grant(60 * SECOND), Ok(()));
    }

    #[test]
    fn after_a_stall_no_more_than_the_slots_are_caught_up() {
        let mut window = Window::new(80, SECOND);
        let granted = (0..1_000).filter(|_| window.try_grant(600 * SECOND).is_ok()).count();
        assert_eq!(granted, 80);
    }

    #[test]
    fn a_cut_of_the_rate_counts_what_already_left() {
        let mut window = Window::new(4, SECOND);
        for at in [0, 100_000, 200_000, 300_000] {
            assert_eq!(window.try_grant(at), Ok(()));
            hand_over(&mut window, at);
        }
        window.set_rate(2);
        // Three must leave the window before one of two slots is free.
        assert_eq!(window.try_grant(400_000), Err(Wait { until: Some(1_200_000) }));
        assert_eq!(window.try_grant(1_200_000), Ok(()));
        window.set_rate(0);
        assert_eq!(window.try_grant(9 * SECOND), Err(Wait { until: None }));
    }

    #[test]
    fn the_pace_is_what_left_within_the_last_second() {
        let mut window = Window::new(10, SECOND);
        for at in [0, 500_000, 900_000] {
            assert_eq!(window.try_grant(at), Ok(()));
            window.handed_over(at);
        }
        assert_eq!(window.handed_in_last_second(999_999), 3);
        assert_eq!(window.handed_in_last_second(1_000_000), 2);
        assert_eq!(window.handed_in_last_second(1_900_000), 0);
        assert!(!window.is_empty(1_900_000), "they have no answer yet");
        assert!(window.is_empty(2_900_000));
    }

    #[test]
    fn a_clock_that_steps_back_frees_nothing() {
        let mut window = Window::new(1, SECOND);
        assert_eq!(window.try_grant(5 * SECOND), Ok(()));
        hand_over(&mut window, 5 * SECOND);
        assert!(window.try_grant(0).is_err());
        assert!(window.try_grant(5 * SECOND + 999_999).is_err());
    }

    #[test]
    fn a_greedy_lane_uses_every_slot() {
        let mut window = Window::new(80, SECOND);
        let mut now = 0;
        let mut handed = 0;
        while now < 10 * SECOND {
            match window.try_grant(now) {
                Ok(()) => {
                    hand_over(&mut window, now);
                    handed += 1;
                }
                Err(Wait { until }) => now = until.expect("nothing is out"),
            }
        }
        assert_eq!(handed, 800);
    }

    /// What happens next in a made-up schedule.
    #[derive(Clone, Debug)]
    enum Act {
        Ask(Request),
        Pass(Micros),
        Rate(u32),
    }

    /// A request, and what will become of it.
    #[derive(Clone, Debug)]
    struct Request {
        /// From its grant to its hand-over, or its end without one.
        lingers: Micros,
        leaves: bool,
        /// From its hand-over to its arrival, beyond what every request takes.
        delayed: Micros,
        /// From its arrival to its answer, beyond what every answer takes. `None`: the answer is lost.
        thinks: Option<Micros>,
    }

    /// What every request takes there, and every answer back.
    const THERE: Micros = 7_000;
    const BACK: Micros = 9_000;

    fn request(lingers: impl Strategy<Value = Micros>) -> impl Strategy<Value = Request> {
        let delayed = prop_oneof![3 => Just(0), 3 => 0..30_000u64, 1 => 0..SECOND - BACK];
        let thinks = prop_oneof![3 => Just(Some(0)), 2 => (0..400_000u64).prop_map(Some), 1 => Just(None)];
        (lingers, prop::bool::weighted(0.9), delayed, thinks).prop_map(|(lingers, leaves, delayed, thinks)| Request {
            lingers,
            leaves,
            delayed,
            thinks,
        })
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            12 => request(0..1_500_000u64).prop_map(Act::Ask),
            12 => request(0..20_000u64).prop_map(Act::Ask),
            6 => (0..400_000u64).prop_map(Act::Pass),
            1 => (0..12u32).prop_map(Act::Rate),
        ];
        prop::collection::vec(act, 1..250)
    }

    /// What will happen by itself, soonest first.
    #[derive(Clone, Debug)]
    enum Due {
        HandOver { request: Request, granted: Micros, slots: u32 },
        Drop,
        Answer { handed_over: Micros, late: Micros },
    }

    /// A message that arrived: when, and under how many slots it was granted.
    struct Arrived {
        at: Micros,
        granted: Micros,
        slots: u32,
    }

    #[derive(Default)]
    struct Wire {
        due: std::collections::BTreeMap<(Micros, usize), Due>,
        count: usize,
        arrived: Vec<Arrived>,
    }

    impl Wire {
        fn later(&mut self, at: Micros, due: Due) {
            self.count += 1;
            self.due.insert((at, self.count), due);
        }

        fn run(&mut self, window: &mut Window, until: Micros) {
            while let Some(first) = self.due.first_entry().filter(|first| first.key().0 <= until) {
                let at = first.key().0;
                match first.remove() {
                    Due::Drop => window.dropped(),
                    Due::Answer { handed_over, late } => window.answered(handed_over, late),
                    Due::HandOver { request, granted, slots } => {
                        window.handed_over(at);
                        let arrives = at + THERE + request.delayed;
                        self.arrived.push(Arrived { at: arrives, granted, slots });
                        if let Some(thinks) = request.thinks {
                            let answered = arrives + thinks + BACK;
                            let late = answered - at - THERE - BACK;
                            self.later(answered, Due::Answer { handed_over: at, late });
                        }
                    }
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn arrivals_never_exceed_the_slots_in_any_window(acts in acts(), slots in 1..10u32) {
            let mut window = Window::new(slots, SECOND);
            let mut wire = Wire::default();
            let mut now = 0;
            for act in acts {
                match act {
                    Act::Ask(request) => match window.try_grant(now) {
                        Ok(()) => {
                            let (at, slots) = (now + request.lingers, window.rate());
                            let due = if request.leaves { Due::HandOver { request, granted: now, slots } } else { Due::Drop };
                            wire.later(at, due);
                        }
                        Err(Wait { until: Some(until) }) => prop_assert!(until > now, "a wait ends in the future"),
                        Err(Wait { until: None }) => {
                            prop_assert!(window.rate() == 0 || window.out() > 0, "waits for nobody");
                        }
                    },
                    Act::Pass(time) => {
                        now += time;
                        wire.run(&mut window, now);
                    }
                    Act::Rate(slots) => window.set_rate(slots),
                }
            }
            wire.run(&mut window, Micros::MAX);
            // The rate in force is that of the window's last grant.
            for first in &wire.arrived {
                let within: Vec<_> =
                    wire.arrived.iter().filter(|other| first.at <= other.at && other.at < first.at + SECOND).collect();
                let most = within.iter().max_by_key(|other| (other.granted, other.slots)).map_or(0, |other| other.slots);
                prop_assert!(within.len() <= most as usize, "{} arrived within a second, {most} may", within.len());
            }
        }

        #[test]
        fn a_wait_ends_when_it_says_if_nothing_else_happens(count in 1..20u32, gaps in prop::collection::vec((0..300_000u64, any::<bool>()), 1..60)) {
            let mut window = Window::new(count, SECOND);
            let mut now = 0;
            for (gap, answered) in gaps {
                now += gap;
                match window.try_grant(now) {
                    Ok(()) if answered => hand_over(&mut window, now),
                    Ok(()) => window.handed_over(now),
                    Err(Wait { until }) => {
                        let until = until.expect("nothing is out");
                        prop_assert!(window.clone().try_grant(until - 1).is_err());
                        prop_assert!(window.clone().try_grant(until).is_ok());
                    }
                }
            }
        }
    }
}
