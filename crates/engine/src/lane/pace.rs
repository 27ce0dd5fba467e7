//! When the next message of a lane may leave: governor for smoothness, and a window for the hard cap.
//!
//! The only room that names governor. Its limiter spreads turns evenly and lets a late timer catch up by 50 ms of turns;
//! the window of [`domain::pacing`] sees to it that no second holds more than the rate as the receiver counts it: a slot
//! is held for a second after its message was handed over, and for as much longer as its answer was late.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::pacing::{Cap, Gaps, Jitter, Micros, SECOND, Spread, UNANSWERED, Window};
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::Notify;

use crate::Clock;

/// With nothing to wait for but the end of a request, look again after this.
const LOOK_AGAIN: Micros = 5_000;
/// The window is so much wider than a second: clocks and timers are no finer than that.
const SLACK: Micros = 4_000;
/// Where a usual answer takes longer than this, slots do not wait for answers.
const SLOW_ANSWERS: Micros = 800_000;
/// Slower than this nothing is paced by halves: one message a second.
const SLOWEST: u32 = 1;
/// Turns of a group, however fast the rate.
const MOST_AT_ONCE: usize = 200;

/// Governor's view of our clock.
#[derive(Clone, Debug)]
struct GovernorClock(Clock);

impl governor::clock::Clock for GovernorClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.boot_us().saturating_mul(1000))
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, GovernorClock, NoOpMiddleware<Nanos>>;

/// The pace of one lane, or of one campaign on it.
#[derive(Clone, Debug)]
pub struct Pace {
    clock: Clock,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    /// `None`: unlimited.
    rate: Option<u32>,
    /// Evenly over a length of time, slower than any rate; or with gaps that are drawn.
    spread: Option<Spread>,
    /// How far apart messages leave that are spread over a length of time.
    over: Option<Micros>,
    /// Gaps are drawn at random, by this seed.
    human: Option<u64>,
    limiter: Option<Limiter>,
    window: Window,
    jitter: Jitter,
    /// The limiter's turns that were granted and not used: they are granted again before it is asked for more. It takes
    /// none back itself, and a slow lane whose claims grow void while it waits for the next one would never send.
    given_back: u32,
    /// What the limiter is about to do, as it does not say so unasked: its turns come so far apart …
    gap: Micros,
    /// … at most so many at once …
    burst: u32,
    /// … and those that it granted reach until then, one gap each.
    granted_until: Micros,
    /// The limiter grants no turn before this time.
    limited_until: Micros,
}

impl State {
    /// The limiter has granted a turn at `now`.
    fn granted(&mut self, now: Micros) {
        self.granted_until = self.granted_until.max(now) + self.gap;
        self.limited_until = self.granted_until.saturating_sub(self.gap * u64::from(self.burst - 1));
    }
}

/// The right to hand over one message. Dropped without it, its place is free at once.
#[derive(Debug)]
pub struct Turn {
    inner: Arc<Inner>,
    used: bool,
}

/// What came of a turn that was used: the message is on its way.
#[derive(Clone, Debug)]
pub struct Trip {
    inner: Arc<Inner>,
}

impl Trip {
    /// The message that was handed over at `handed_over` was answered at `now`.
    pub fn answered(&self, handed_over: Micros, now: Micros) {
        let mut state = lock(&self.inner);
        let late = if state.rate.is_some() {
            let late = state.jitter.record(now, now.saturating_sub(handed_over));
            let waits = state.jitter.usual() < SLOW_ANSWERS;
            state.window.set_unanswered(if waits { UNANSWERED } else { 0 });
            late
        } else {
            0
        };
        state.window.answered(handed_over, late);
    }
}

impl Turn {
    /// Tells the pace of the message's answer.
    #[must_use]
    pub fn trip(&self) -> Trip {
        Trip { inner: Arc::clone(&self.inner) }
    }

    /// The message's bytes are being handed over now.
    pub fn hand_over(&mut self, now: Micros) {
        self.used = true;
        lock(&self.inner).window.handed_over(now);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.used {
            let mut state = lock(&self.inner);
            state.window.dropped();
            if state.limiter.is_some() {
                state.given_back = (state.given_back + 1).min(state.burst);
            }
            if let Some(spread) = &mut state.spread {
                spread.give_back();
            }
            drop(state);
            self.inner.freed.notify_one();
        }
    }
}

fn lock(inner: &Inner) -> MutexGuard<'_, State> {
    // The sums behind this lock are whole after every statement, so a panic elsewhere cannot have torn them.
    inner.state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pace {
    /// A pace of so many messages a second; `None`: as fast as answers come.
    #[must_use]
    pub fn new(clock: Clock, rate: Option<u32>) -> Self {
        Self::even(clock, rate, None)
    }

    /// As [`Self::new`], and evenly over a length of time where `spread` says so.
    #[must_use]
    pub fn even(clock: Clock, rate: Option<u32>, spread: Option<Spread>) -> Self {
        Self::of(clock, rate, spread, None)
    }

    /// As [`Self::even`], on average: the gaps are drawn at random by a seed. No second holds more than the rate.
    #[must_use]
    pub fn human(clock: Clock, rate: Option<u32>, spread: Option<Spread>, seed: u64) -> Self {
        Self::of(clock, rate, spread, Some(seed))
    }

    fn of(clock: Clock, rate: Option<u32>, spread: Option<Spread>, human: Option<u64>) -> Self {
        let window = Window::new(rate.unwrap_or(u32::MAX), SECOND + SLACK);
        let state = State {
            rate,
            spread,
            over: spread.map(|spread| spread.gap()),
            human,
            limiter: None,
            window,
            jitter: Jitter::new(),
            given_back: 0,
            gap: 0,
            burst: 1,
            granted_until: 0,
            limited_until: 0,
        };
        let pace = Self { clock, inner: Arc::new(Inner { state: Mutex::new(state), freed: Notify::new() }) };
        pace.rebuild(&mut lock(&pace.inner));
        pace
    }

    /// Changes the rate and keeps what was handed over.
    pub fn set_rate(&self, rate: Option<u32>) {
        let mut state = lock(&self.inner);
        if state.rate == rate {
            return;
        }
        state.rate = rate;
        state.window.set_rate(rate.unwrap_or(u32::MAX));
        self.rebuild(&mut state);
        drop(state);
        self.inner.freed.notify_one();
    }

    /// The rate in force.
    #[must_use]
    pub fn rate(&self) -> Option<u32> {
        lock(&self.inner).rate
    }

    /// Messages handed over in the last second.
    #[must_use]
    pub fn in_last_second(&self) -> u32 {
        lock(&self.inner).window.handed_in_last_second(self.clock.boot_us())
    }

    /// A turn now, or when to ask again.
    ///
    /// # Errors
    /// The boot time from which asking again may help; sooner when [`Self::freed`] wakes.
    pub fn try_turn(&self) -> Result<Turn, Micros> {
        let now = self.clock.boot_us();
        let mut state = lock(&self.inner);
        if let Some(spread) = state.spread
            && now < spread.next()
        {
            return Err(spread.next());
        }
        if state.rate.is_some() {
            // The window first: a turn of the limiter that the window refuses would be lost.
            if let Err(wait) = state.window.try_grant(now) {
                return Err(wait.until.unwrap_or(now + LOOK_AGAIN));
            }
            if state.given_back > 0 {
                state.given_back -= 1;
            } else if let Some(limiter) = &state.limiter
                && let Err(not_until) = limiter.check()
            {
                let wait = not_until.wait_time_from(GovernorClock(self.clock.clone()).now());
                state.window.dropped();
                state.limited_until = now + u64::try_from(wait.as_micros()).unwrap_or(LOOK_AGAIN).max(1);
                return Err(state.limited_until);
            } else {
                state.granted(now);
            }
        }
        if let Some(spread) = &mut state.spread {
            spread.take(now);
        }
        let used = state.rate.is_none() && state.spread.is_none();
        Ok(Turn { inner: Arc::clone(&self.inner), used })
    }

    /// How many turns come within so long, at least one; `None`: as many as anybody wants.
    #[must_use]
    pub fn turns_within(&self, time: Micros) -> Option<usize> {
        let (rate, spread) = {
            let state = lock(&self.inner);
            (state.rate, state.spread)
        };
        let of_rate = rate.map(|rate| u64::from(rate) * time / SECOND);
        let of_spread = spread.map(|spread| time / spread.gap());
        let turns = of_rate.into_iter().chain(of_spread).min()?;
        Some(usize::try_from(turns).unwrap_or(usize::MAX).clamp(1, MOST_AT_ONCE))
    }

    /// Whether nothing that left still counts.
    #[must_use]
    pub fn is_rested(&self) -> bool {
        let now = self.clock.boot_us();
        let mut state = lock(&self.inner);
        state.window.is_empty(now) && state.spread.is_none_or(|spread| spread.next() <= now)
    }

    /// How far apart messages leave that are spread over a length of time.
    #[must_use]
    pub fn gap(&self) -> Option<Micros> {
        lock(&self.inner).over
    }

    /// When the next message may go, as far as is known: now, if a slot is free.
    #[must_use]
    pub fn next_turn_at(&self, now: Micros) -> Micros {
        let mut state = lock(&self.inner);
        let now = state.spread.map_or(now, |spread| now.max(spread.next()));
        if state.rate.is_none() {
            return now;
        }
        match state.window.try_grant(now) {
            Ok(()) => {
                state.window.dropped();
                if state.given_back > 0 { now } else { now.max(state.limited_until) }
            }
            Err(wait) => wait.until.unwrap_or(now + LOOK_AGAIN),
        }
    }

    /// Wakes when a turn was given back unused or the rate changed.
    #[crate::boxed]
    pub async fn freed(&self) {
        self.inner.freed.notified().await;
    }

    fn rebuild(&self, state: &mut State) {
        (state.limited_until, state.granted_until, state.given_back) = (0, 0, 0);
        let rate = state.rate.map(|rate| rate.max(SLOWEST));
        if let Some(seed) = state.human {
            // The window is the cap, and the gaps are all there is of smoothness.
            let width = state.window.width();
            let cap = rate.map(|turns| Cap { turns, within: width });
            let mean = state.over.or(rate.map(|rate| width / u64::from(rate)));
            let next = state.spread.map_or(0, |spread| spread.next());
            state.spread = mean.map(|mean| Spread::drawn(Gaps::new(mean, cap, seed), next));
            (state.gap, state.burst, state.limiter) = (0, 1, None);
            return;
        }
        // Spread over the window's whole width, or turns would run ahead of it and then stand still.
        state.gap = rate.map_or(0, |rate| state.window.width() / u64::from(rate));
        state.burst = rate.map_or(1, |rate| (rate / 20).max(2));
        let (gap, burst) = (state.gap, state.burst);
        state.limiter = rate.map(|_| {
            let gap = Duration::from_micros(gap);
            let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
            let quota = Quota::with_period(gap.max(Duration::from_micros(1)))
                .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
                .allow_burst(burst);
            RateLimiter::direct_with_clock(quota, GovernorClock(self.clock.clone()))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a pace on a manual clock for some seconds, over a network on which each message takes `delay` of its number
    /// there and ten milliseconds back. The times of arrival, in order.
    fn run(rate: u32, seconds: u64, delay: impl Fn(u64) -> Micros) -> Vec<Micros> {
        let clock = Clock::manual(0);
        let pace = Pace::new(clock.clone(), Some(rate));
        let mut arrivals = Vec::new();
        let mut answers = std::collections::BTreeMap::new();
        while clock.boot_us() < seconds * SECOND {
            let now = clock.boot_us();
            while let Some(answer) = answers.first_entry().filter(
                |answer: &std::collections::btree_map::OccupiedEntry<'_, (Micros, u64), (Trip, Micros)>| {
                    answer.key().0 <= now
                },
            ) {
                let (trip, handed_over) = answer.remove();
                trip.answered(handed_over, now);
            }
            match pace.try_turn() {
                Ok(mut turn) => {
                    turn.hand_over(now);
                    let number = arrivals.len() as u64;
                    let arrives = now + delay(number);
                    arrivals.push(arrives);
                    answers.insert((arrives + 10_000, number), (turn.trip(), now));
                }
                Err(until) => {
                    let until = answers.first_key_value().map_or(until, |(key, _)| until.min(key.0));
                    clock.advance(Duration::from_micros(until.saturating_sub(now).max(1)));
                }
            }
        }
        arrivals.sort_unstable();
        arrivals
    }

    #[test]
    fn a_slow_pace_foretells_its_next_turn_and_gives_one_that_was_not_used_again() {
        for rate in [1, 2, 3, 4, 5, 20, 80] {
            let clock = Clock::manual(1_000);
            let pace = Pace::new(clock.clone(), Some(rate));
            for round in 0..100 {
                let (now, at) = (clock.boot_us(), pace.next_turn_at(clock.boot_us()));
                // What is claimed right before its turn is void when it has to wait for another one.
                clock.advance(Duration::from_micros(at - now));
                let turn = pace.try_turn();
                assert!(turn.is_ok(), "{rate} a second, round {round}: not at {at} but at {:?}", turn.err());
                if round % 3 == 1 {
                    drop(turn);
                    assert_eq!(pace.next_turn_at(at), at, "{rate} a second, round {round}: it was not used");
                    continue;
                }
                let mut turn = turn.unwrap();
                let trip = turn.trip();
                turn.hand_over(at);
                trip.answered(at, at);
            }
        }
    }

    fn most_in_a_second(times: &[Micros]) -> usize {
        let mut first = 0;
        let mut most = 0;
        for (last, time) in times.iter().enumerate() {
            while times[first] + SECOND <= *time {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most
    }

    /// Never more than the rate arrives in any second, and at least so many per cent of it once under way.
    fn holds_and_uses(rate: u32, per_cent: u64, delay: impl Fn(u64) -> Micros) {
        let (began, seconds) = (20, 40);
        let times = run(rate, began + seconds, delay);
        assert!(most_in_a_second(&times) <= rate as usize, "{rate}: {} in a second", most_in_a_second(&times));
        let under_way = times.iter().filter(|time| **time >= began * SECOND && **time < (began + seconds) * SECOND);
        let (used, whole) = (under_way.count() as u64, u64::from(rate) * seconds);
        assert!((used + 1) * 100 >= whole * per_cent, "{rate}: {used} of {whole}");
    }

    #[test]
    fn over_a_steady_network_nearly_all_of_the_rate_is_used() {
        for rate in [1, 20, 80, 1000] {
            holds_and_uses(rate, 99, |_| 60_000);
        }
    }

    #[test]
    fn messages_that_travel_unevenly_arrive_within_the_rate_all_the_same() {
        for rate in [1, 20, 80, 1000] {
            holds_and_uses(rate, 96, |number| 20_000 + number * 7_919 % 30_000);
        }
    }

    #[test]
    fn a_network_that_stalls_and_lets_everything_through_at_once_is_waited_for() {
        // Every five seconds or so, a fifth of a second during which nothing arrives.
        for rate in [20, 80, 1000] {
            let every = u64::from(rate) * 5;
            let stalled = u64::from(rate) / 5;
            holds_and_uses(rate, 96, |number| {
                let into = number % every;
                20_000 + if into < stalled { (stalled - into) * SECOND / u64::from(rate) } else { 0 }
            });
        }
    }

    #[test]
    fn a_turn_that_was_not_used_is_free_at_once() {
        let clock = Clock::manual(0);
        let pace = Pace::new(clock.clone(), Some(2));
        let first = pace.try_turn().expect("a fresh pace has turns");
        let second = pace.try_turn().expect("two of them");
        assert!(pace.try_turn().is_err());
        drop(first);
        clock.advance(Duration::from_millis(600));
        drop(pace.try_turn().expect("the dropped one"));
        drop(second);
    }

    #[test]
    fn a_lower_rate_holds_from_the_next_turn_on_and_remembers_what_left() {
        let clock = Clock::manual(0);
        let pace = Pace::new(clock.clone(), Some(100));
        for _ in 0..50 {
            loop {
                match pace.try_turn() {
                    Ok(mut turn) => break turn.hand_over(clock.boot_us()),
                    Err(until) => clock.advance(Duration::from_micros(until - clock.boot_us())),
                }
            }
        }
        pace.set_rate(Some(10));
        let next = pace.try_turn().expect_err("fifty have left within the second");
        assert!(next > clock.boot_us());
    }

    #[test]
    fn messages_that_are_spread_leave_evenly_and_an_outage_is_not_caught_up() {
        let clock = Clock::manual(0);
        // 0.3 a second, and a cap that does not matter.
        let pace = Pace::even(clock.clone(), Some(20), Some(Spread::new(3_333_333, 0)));
        let leave = |until: Micros| {
            let mut left = Vec::new();
            while clock.boot_us() < until {
                match pace.try_turn() {
                    Ok(mut turn) => {
                        turn.hand_over(clock.boot_us());
                        turn.trip().answered(clock.boot_us(), clock.boot_us());
                        left.push(clock.boot_us());
                    }
                    Err(at) => {
                        assert_eq!(pace.next_turn_at(clock.boot_us()), at);
                        clock.advance(Duration::from_micros(at - clock.boot_us()));
                    }
                }
            }
            left
        };
        // One at once, and one at the end of each of eighteen gaps.
        assert_eq!(leave(60 * SECOND).len(), 19);
        assert_eq!((pace.turns_within(SECOND), pace.turns_within(30 * SECOND)), (Some(1), Some(9)));
        clock.advance(Duration::from_secs(6 * 3600));
        let after = leave(clock.boot_us() + 30 * SECOND);
        assert!(after.len() <= 10, "{after:?}");
        // A turn that was not used is there at once; one that was is not.
        clock.advance(Duration::from_secs(4));
        drop(pace.try_turn().expect("its turn"));
        pace.try_turn().expect("the same").hand_over(clock.boot_us());
        assert!(pace.try_turn().is_err() && !pace.is_rested());
    }

    /// The times at which a pace lets messages go in so many seconds, whose answers come at once.
    fn left(clock: &Clock, pace: &Pace, seconds: u64) -> Vec<Micros> {
        let (mut left, until) = (Vec::new(), clock.boot_us() + seconds * SECOND);
        while clock.boot_us() < until {
            match pace.try_turn() {
                Ok(mut turn) => {
                    turn.hand_over(clock.boot_us());
                    turn.trip().answered(clock.boot_us(), clock.boot_us());
                    left.push(clock.boot_us());
                }
                Err(at) => clock.advance(Duration::from_micros((at - clock.boot_us()).max(1))),
            }
        }
        left
    }

    #[test]
    fn human_gaps_are_uneven_keep_the_rate_and_use_nearly_all_of_it() {
        for rate in [1, 4, 20, 80, 300] {
            let clock = Clock::manual(0);
            let pace = Pace::human(clock.clone(), Some(rate), None, 42);
            assert_eq!(pace.gap(), None, "it is not spread over a length of time");
            let times = left(&clock, &pace, 100);
            assert!(most_in_a_second(&times) <= rate as usize, "{rate}: {}", most_in_a_second(&times));
            assert!(times.len() * 100 >= 100 * rate as usize * 96, "{rate}: {} in 100 s", times.len());
            let gaps: Vec<Micros> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
            if rate >= 4 {
                let (least, most) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
                assert!(*most > least * 3 / 2, "{rate}: from {least} to {most}");
            }
            // A lower rate holds, and so does none.
            pace.set_rate(Some(rate.div_ceil(2)));
            assert!(most_in_a_second(&left(&clock, &pace, 20)[rate as usize..]) <= rate.div_ceil(2) as usize);
            pace.set_rate(None);
            assert!((0..1_000).all(|_| pace.try_turn().is_ok()));
        }
    }

    #[test]
    fn a_spread_with_human_gaps_takes_its_time_all_the_same() {
        let clock = Clock::manual(0);
        let pace = Pace::human(clock.clone(), None, Some(Spread::new(3 * SECOND, 0)), 7);
        assert_eq!(pace.gap(), Some(3 * SECOND));
        let times = left(&clock, &pace, 30_000);
        assert!(times.len().abs_diff(10_000) < 200, "{}", times.len());
        let gaps: Vec<Micros> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().min().unwrap() < &(SECOND * 3 / 2) && gaps.iter().max().unwrap() > &(SECOND * 9 / 2));
    }

    #[test]
    fn a_spread_without_a_cap_needs_no_window() {
        let clock = Clock::manual(0);
        let pace = Pace::even(clock.clone(), None, Some(Spread::new(1_000, 0)));
        let mut left = 0;
        while clock.boot_us() < SECOND {
            match pace.try_turn() {
                Ok(mut turn) => {
                    turn.hand_over(clock.boot_us());
                    left += 1;
                }
                Err(at) => clock.advance(Duration::from_micros(at - clock.boot_us())),
            }
        }
        assert_eq!(left, 1_000);
    }

    #[test]
    fn without_a_rate_every_turn_is_free() {
        let pace = Pace::new(Clock::manual(0), None);
        assert!((0..10_000).all(|_| pace.try_turn().is_ok()));
    }
}
