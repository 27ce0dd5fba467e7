//! The hard cap of a lane: at most N messages in any sliding window.

use std::collections::VecDeque;

use super::{Micros, SECOND};

/// How far back hand-overs are remembered whatever the width, so that a wider window is right from its first moment.
const MEMORY: Micros = 2 * SECOND;

/// N slots. A grant takes one; the request that was granted either is handed over to the HTTP client, and its slot is
/// free again one width later, or it is dropped, and its slot is free at once.
///
/// What holds: of the messages handed over within any half-open window of the width, all were granted, and at the last
/// of these grants each of the others was either still out or had been handed over less than a width before. So there
/// are never more of them than slots, however long a request lingers between its grant and the wire.
///
/// Times must come from one monotonic clock; one that steps back is read as standing still.
#[derive(Clone, Debug)]
pub struct Window {
    slots: u32,
    width: Micros,
    /// Granted, and neither handed over nor dropped yet.
    out: u32,
    /// When messages were handed over, oldest first.
    handed: VecDeque<Micros>,
    /// The latest time seen.
    now: Micros,
}

/// No slot is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// When a slot will be free at the latest. `None`: only the end of a request that is out can free one, or a rate
    /// above zero. A drop may free one earlier in either case.
    pub until: Option<Micros>,
}

impl Window {
    /// A window with `slots` slots, `width` microseconds wide. No slots means nothing may go.
    pub fn new(slots: u32, width: Micros) -> Window {
        Window { slots, width, out: 0, handed: VecDeque::new(), now: 0 }
    }

    /// Takes a slot, to be given back by [`Window::handed_over`] or [`Window::dropped`].
    ///
    /// # Errors
    /// [`Wait`] if none is free.
    pub fn try_grant(&mut self, now: Micros) -> Result<(), Wait> {
        self.advance(now);
        let live = self.live();
        let taken = live + self.out as usize;
        let slots = self.slots as usize;
        if taken < slots {
            self.out += 1;
            return Ok(());
        }
        if slots == 0 {
            return Err(Wait { until: None });
        }
        // So many slots must come free before one is left over; after a cut of the rate that is more than one.
        let needed = taken - slots + 1;
        let until = (needed <= live).then(|| self.handed[self.handed.len() - live + needed - 1] + self.width);
        Err(Wait { until })
    }

    /// A granted request is being handed over to the HTTP client at `now`: its slot is free again one width later.
    pub fn handed_over(&mut self, now: Micros) {
        self.advance(now);
        self.out = self.out.saturating_sub(1);
        self.handed.push_back(self.now);
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

    /// Changes the width, in microseconds. A wider window counts what left within it, up to two seconds back.
    pub fn set_width(&mut self, width: Micros) {
        self.width = width;
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

    /// How many messages were handed over within the second before `now`: the pace that a person is shown.
    pub fn handed_in_last_second(&mut self, now: Micros) -> u32 {
        self.advance(now);
        u32::try_from(self.within(SECOND)).unwrap_or(u32::MAX)
    }

    fn advance(&mut self, now: Micros) {
        self.now = self.now.max(now);
        let memory = self.width.max(MEMORY);
        while self.handed.front().is_some_and(|at| at.saturating_add(memory) <= self.now) {
            self.handed.pop_front();
        }
    }

    /// How many hand-overs still hold their slot.
    fn live(&self) -> usize {
        self.within(self.width)
    }

    fn within(&self, width: Micros) -> usize {
        let now = self.now;
        self.handed.len() - self.handed.partition_point(|at| at.saturating_add(width) <= now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slot_is_free_again_one_width_after_the_hand_over_and_not_after_the_grant() {
        let mut window = Window::new(1, SECOND);
        assert_eq!(window.try_grant(0), Ok(()));
        window.handed_over(700_000);
        assert_eq!(window.try_grant(1_000_000), Err(Wait { until: Some(1_700_000) }));
        assert_eq!(window.try_grant(1_699_999), Err(Wait { until: Some(1_700_000) }));
        assert_eq!(window.try_grant(1_700_000), Ok(()));
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
            window.handed_over(at);
        }
        window.set_rate(2);
        // Three must leave the window before one of two slots is free.
        assert_eq!(window.try_grant(400_000), Err(Wait { until: Some(1_200_000) }));
        assert_eq!(window.try_grant(1_200_000), Ok(()));
        window.set_rate(0);
        assert_eq!(window.try_grant(9 * SECOND), Err(Wait { until: None }));
    }

    #[test]
    fn a_wider_window_remembers_what_left_before_it_was_widened() {
        let mut window = Window::new(1, SECOND);
        assert_eq!(window.try_grant(0), Ok(()));
        window.handed_over(0);
        assert_eq!(window.handed_in_last_second(1_010_000), 0);
        window.set_width(SECOND + 40_000);
        assert_eq!(window.try_grant(1_010_000), Err(Wait { until: Some(1_040_000) }));
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
    }

    #[test]
    fn a_clock_that_steps_back_frees_nothing() {
        let mut window = Window::new(1, SECOND);
        assert_eq!(window.try_grant(5 * SECOND), Ok(()));
        window.handed_over(5 * SECOND);
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
                    window.handed_over(now);
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
        Ask { lingers: Micros, leaves: bool },
        Pass(Micros),
        Rate(u32),
        Wide(bool),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            12 => (0..1_500_000u64, prop::bool::weighted(0.9)).prop_map(|(lingers, leaves)| Act::Ask { lingers, leaves }),
            4 => (0..40_000u64).prop_map(|lingers| Act::Ask { lingers, leaves: true }),
            6 => (0..400_000u64).prop_map(Act::Pass),
            1 => (0..12u32).prop_map(Act::Rate),
            1 => any::<bool>().prop_map(Act::Wide),
        ];
        prop::collection::vec(act, 1..250)
    }

    /// A message that was handed over: when, and under how many slots it was granted.
    struct Handed {
        at: Micros,
        granted: Micros,
        slots: u32,
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn hand_overs_never_exceed_the_slots_in_any_window(acts in acts(), slots in 1..10u32, vary_width: bool) {
            let (narrow, wide) = (SECOND, SECOND + 40_000);
            let mut window = Window::new(slots, narrow);
            let mut now = 0;
            // When each request that is out will end, whether it leaves, when it was granted and under which rate.
            let mut out: Vec<(Micros, bool, Micros, u32)> = Vec::new();
            let mut handed: Vec<Handed> = Vec::new();
            let mut settle = |window: &mut Window, out: &mut Vec<(Micros, bool, Micros, u32)>, until: Micros| {
                out.sort_by_key(|request| request.0);
                while out.first().is_some_and(|request| request.0 <= until) {
                    let (at, leaves, granted, slots) = out.remove(0);
                    if leaves {
                        window.handed_over(at);
                        handed.push(Handed { at, granted, slots });
                    } else {
                        window.dropped();
                    }
                }
            };
            for act in acts {
                match act {
                    Act::Ask { lingers, leaves } => match window.try_grant(now) {
                        Ok(()) => out.push((now + lingers, leaves, now, window.rate())),
                        Err(Wait { until: Some(until) }) => prop_assert!(until > now, "a wait ends in the future"),
                        Err(Wait { until: None }) => {
                            prop_assert!(window.rate() == 0 || window.out() > 0, "waits for nobody");
                        }
                    },
                    Act::Pass(time) => {
                        now += time;
                        settle(&mut window, &mut out, now);
                    }
                    Act::Rate(slots) => window.set_rate(slots),
                    Act::Wide(widen) if vary_width => window.set_width(if widen { wide } else { narrow }),
                    Act::Wide(_) => {}
                }
            }
            settle(&mut window, &mut out, Micros::MAX);
            // The narrowest width in force bounds every schedule; the rate in force is that of the window's last grant.
            for first in &handed {
                let within: Vec<_> =
                    handed.iter().filter(|other| first.at <= other.at && other.at < first.at + narrow).collect();
                let most = within.iter().max_by_key(|other| (other.granted, other.slots)).map_or(0, |other| other.slots);
                prop_assert!(within.len() <= most as usize, "{} left within a second, {most} may", within.len());
            }
        }

        #[test]
        fn a_wait_ends_when_it_says_if_nothing_else_happens(count in 1..20u32, gaps in prop::collection::vec(0..300_000u64, 1..60)) {
            let mut window = Window::new(count, SECOND);
            let mut now = 0;
            for gap in gaps {
                now += gap;
                match window.try_grant(now) {
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
