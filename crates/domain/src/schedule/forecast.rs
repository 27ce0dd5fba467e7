//! When a campaign ends that keeps its numbers' paces, waits for the mornings of its people and for places within the
//! messaging limit, and may have an end of its own.

use std::collections::{BTreeMap, VecDeque};

use super::calendar::{Calendar, Whereabouts};
use crate::Millis;

/// Changes that are gone through before a forecast gives up: years of nights, or of a small messaging limit.
const MOST_STEPS: usize = 50_000;
/// A place of the messaging limit is free again after so long, ms.
const DAY: f64 = 24.0 * 3_600_000.0;
/// Messages a millisecond of a number without a rate: as good as at once.
const AT_ONCE: f64 = 1e12;
/// What is left of a person or of a place by the sums' own inaccuracy.
const NOTHING: f64 = 1e-6;
/// People come whole: so little of one is nobody. More than [`NOTHING`], or else the last crumb of a campaign would wait a
/// day for the crumb of a place.
const NOBODY: f64 = 1e-3;

/// What is known of a campaign before it runs.
#[derive(Clone, Debug)]
pub struct Forecast<'a> {
    /// When its first message may leave.
    pub from: Millis,
    /// How many people it has in each place.
    pub people: &'a [(Whereabouts, i64)],
    /// The pace of each of its numbers: messages a second, not above zero: as fast as may be. Its people are shared out
    /// evenly among them, and none helps another out.
    pub paces: &'a [f64],
    /// When nobody may be written to.
    pub calendar: &'a Calendar,
    /// How many people its portfolio may write to, where it has a limit.
    pub places: Option<Places>,
    /// From when nothing more is sent.
    pub stop_at: Option<Millis>,
}

/// The places of a messaging limit. Each one that is taken is free again after 24 hours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// How many are free.
    pub free: i64,
    /// When others come free that are taken now, and how many.
    pub coming: Vec<(Millis, i64)>,
}

/// What will become of a campaign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// When its last message leaves.
    pub finish: Millis,
    /// How many people the message does not reach before its end.
    pub left_over: i64,
    /// How long it waits because it is quiet, or a blackout day, for everybody who is left, ms.
    pub waits: Millis,
    /// How long it goes slower than it could, or not at all, since no place of the messaging limit is free, ms.
    pub waits_for_places: Millis,
}

/// People who wait for the end of blackout days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which of the calendar's.
    pub blackout: usize,
    /// How many people are left for it to hold back.
    pub people: i64,
    /// When the last of them may be written to.
    pub until: Millis,
}

/// Reckons a campaign through, from one change to the next: quiet hours or blackout days begin or end somewhere, a number
/// has written to all of its people, places of the messaging limit run out or come free. While several zones are awake the
/// pace is shared among their people by how many are left, as the order of sending does on average.
#[must_use]
pub fn forecast(campaign: &Forecast<'_>) -> Outlook {
    forecast_with_waits(campaign).0
}

/// As [`forecast`], with how many people will wait for the end of which blackout days, in the order in which they do.
#[must_use]
pub fn forecast_with_waits(campaign: &Forecast<'_>) -> (Outlook, Vec<Waiting>) {
    let mut course = Course::of(campaign);
    for _ in 0..MOST_STEPS {
        if course.is_over() {
            break;
        }
        let Some(next) = course.step() else { break };
        course.now = next;
    }
    (course.outlook(), course.waiting())
}

/// A campaign on its way. Times are milliseconds, people may be parts of people.
struct Course<'a> {
    campaign: &'a Forecast<'a>,
    /// Since the beginning.
    now: f64,
    /// The pace of each number, messages a millisecond, and who is left for it in each place of the campaign's.
    lanes: Vec<(f64, Vec<f64>)>,
    /// Free places; `None`: there is no limit.
    free: Option<f64>,
    /// Places that come free: from when to when, evenly, and how many. From now on, and not since the beginning: after
    /// years of days a number that counts those cannot tell the parts of a short time from each other, and each day would
    /// lose a crumb of its places.
    coming: VecDeque<(f64, f64, f64)>,
    waits: f64,
    waits_for_places: f64,
    /// Whom blackout days hold back, by blackout and place: how many, and until when.
    held: BTreeMap<(usize, usize), (f64, Millis)>,
}

#[expect(clippy::cast_precision_loss, reason = "people and milliseconds far below 2^53")]
#[expect(clippy::cast_possible_truncation, reason = "no more than the people and the years there are")]
impl<'a> Course<'a> {
    fn of(campaign: &'a Forecast<'a>) -> Self {
        let share = campaign.paces.len().max(1) as f64;
        let lane = |pace: &f64| {
            let people = campaign.people.iter().map(|(_, people)| (*people).max(0) as f64 / share).collect();
            (if *pace > 0.0 { *pace / 1_000.0 } else { AT_ONCE }, people)
        };
        let places = campaign.places.as_ref();
        let since = |at: Millis| at.saturating_sub(campaign.from) as f64;
        let mut coming: Vec<(f64, f64, f64)> = places
            .iter()
            .flat_map(|places| &places.coming)
            .map(|(at, n)| (since(*at), since(*at), (*n).max(0) as f64))
            .collect();
        coming.sort_by(|one, other| one.0.total_cmp(&other.0));
        Self {
            campaign,
            now: 0.0,
            lanes: campaign.paces.iter().map(lane).collect(),
            free: places.map(|places| places.free.max(0) as f64),
            coming: coming.into(),
            waits: 0.0,
            waits_for_places: 0.0,
            held: BTreeMap::new(),
        }
    }

    fn at(&self) -> Millis {
        self.campaign.from.saturating_add(self.now.round() as Millis)
    }

    fn left(&self) -> f64 {
        self.lanes.iter().flat_map(|(_, people)| people).sum()
    }

    fn is_over(&self) -> bool {
        self.left() <= NOBODY || self.campaign.stop_at.is_some_and(|stop| self.at() >= stop)
    }

    /// Goes to the next change. `None`: there is none, and nothing goes on.
    fn step(&mut self) -> Option<f64> {
        let at = self.at();
        let calendar = self.campaign.calendar;
        let mut closed: Vec<Option<Millis>> = Vec::with_capacity(self.campaign.people.len());
        for (place, (whereabouts, _)) in self.campaign.people.iter().enumerate() {
            let found = calendar.closed(at, *whereabouts);
            if let Some(after) = found.and_then(|found| found.after)
                && let Some(blackout) = calendar.blackouts.iter().position(|one| one == after)
                && let Some(until) = found.map(|found| found.until)
            {
                self.hold(blackout, place, until);
            }
            closed.push(found.map(|found| found.until));
        }
        let since = |at: Millis| at.saturating_sub(self.campaign.from) as f64;
        // Lengths of time and not times: what is gone at once takes less than a time of today can tell.
        let mut took = self.campaign.stop_at.map_or(f64::INFINITY, since) - self.now;
        for (until, (whereabouts, _)) in closed.iter().zip(self.campaign.people) {
            if let Some(change) = until.or_else(|| calendar.next_change(at, *whereabouts)) {
                took = took.min(since(change) - self.now);
            }
        }
        let awake: Vec<f64> = self
            .lanes
            .iter()
            .map(|(_, people)| people.iter().zip(&closed).filter(|(_, closed)| closed.is_none()).map(|(n, _)| n).sum())
            .collect();
        let has_work = self.lanes.iter().zip(&awake).filter(|(_, awake)| **awake > NOTHING);
        let wanted: f64 = has_work.map(|((pace, _), _)| pace).sum();
        if wanted <= 0.0 {
            let took = took.is_finite().then_some(took)?;
            self.waits += took;
            self.open_places(took);
            return Some(self.now + took);
        }
        let inflow = self.inflow();
        let mut share = 1.0;
        if let Some(free) = self.free {
            took = took.min(self.next_of_places());
            if free <= NOTHING {
                share = (inflow / wanted).min(1.0);
            } else if wanted > inflow {
                took = took.min(free / (wanted - inflow));
            }
        }
        for ((pace, _), awake) in self.lanes.iter().zip(&awake).filter(|(_, n)| **n > NOTHING) {
            if share > 0.0 {
                took = took.min(awake / (pace * share));
            }
        }
        let took = took.is_finite().then_some(took)?;
        let next = self.now + took;
        let mut gone = 0.0;
        for ((pace, people), awake) in self.lanes.iter_mut().zip(&awake).filter(|(_, n)| **n > NOTHING) {
            let sent = (*pace * share * took).min(*awake);
            gone += sent;
            let stays = if awake - sent <= NOTHING { 0.0 } else { 1.0 - sent / awake };
            people.iter_mut().zip(&closed).filter(|(_, closed)| closed.is_none()).for_each(|(n, _)| *n *= stays);
        }
        if share < 1.0 {
            self.waits_for_places += took;
        }
        self.open_places(took);
        if let Some(free) = &mut self.free
            && gone > 0.0
        {
            *free = (*free - gone).max(0.0);
            self.coming.push_back((DAY - took, DAY, gone));
        }
        Some(next)
    }

    /// Notes whom a blackout holds back in a place.
    fn hold(&mut self, blackout: usize, place: usize, until: Millis) {
        let people: f64 = self.lanes.iter().filter_map(|(_, people)| people.get(place)).sum();
        let (most, last) = self.held.entry((blackout, place)).or_insert((0.0, until));
        if people > *most {
            (*most, *last) = (people, until);
        }
    }

    /// Whom each blackout holds back in all places, the first that ends first.
    fn waiting(&self) -> Vec<Waiting> {
        let mut all: BTreeMap<usize, (f64, Millis)> = BTreeMap::new();
        for ((blackout, _), (people, until)) in &self.held {
            let (sum, last) = all.entry(*blackout).or_insert((0.0, *until));
            *sum += people;
            *last = (*last).max(*until);
        }
        let found = all.into_iter().map(|(blackout, (people, until))| Waiting {
            blackout,
            people: people.round() as i64,
            until,
        });
        let mut found: Vec<Waiting> = found.filter(|waiting| waiting.people > 0).collect();
        found.sort_by_key(|waiting| waiting.until);
        found
    }

    /// Places a millisecond that come free now.
    fn inflow(&self) -> f64 {
        let open = self.coming.iter().filter(|(from, to, _)| *from <= 0.0 && 0.0 < *to);
        open.map(|(from, to, n)| n / (to - from)).sum()
    }

    /// After how long that changes.
    fn next_of_places(&self) -> f64 {
        let edges = self.coming.iter().flat_map(|(from, to, _)| [*from, *to]);
        edges.filter(|after| *after > 0.0).fold(f64::INFINITY, f64::min)
    }

    /// So much time passes: frees the places that come free in it.
    fn open_places(&mut self, took: f64) {
        let Some(free) = &mut self.free else { return };
        for (from, to, n) in &mut self.coming {
            let part = if *to <= took {
                *n
            } else if *from < took {
                *n * (took - *from) / (*to - *from)
            } else {
                0.0
            };
            *free += part;
            *n -= part;
            // What came free is counted off.
            (*from, *to) = ((*from - took).max(0.0), *to - took);
        }
        self.coming.retain(|(_, to, n)| *to > 0.0 && *n > 0.0);
    }

    fn outlook(&self) -> Outlook {
        Outlook {
            finish: self.campaign.from.saturating_add((self.now - NOTHING).ceil() as Millis),
            left_over: self.left().round() as i64,
            waits: self.waits.round() as Millis,
            waits_for_places: self.waits_for_places.round() as Millis,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Africa::Cairo;
    use chrono_tz::America::Mexico_City;
    use chrono_tz::Tz;
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::{QuietHours, parse_at};

    const HOUR: Millis = 3_600_000;

    fn at(text: &str) -> Millis {
        parse_at(text).unwrap()
    }

    static ALWAYS: Calendar = Calendar { quiet: None, blackouts: Vec::new() };

    fn nights(text: &str) -> Calendar {
        Calendar { quiet: Some(text.parse().unwrap()), blackouts: Vec::new() }
    }

    fn in_zones<const N: usize>(people: [(Tz, i64); N]) -> [(Whereabouts, i64); N] {
        people.map(|(zone, people)| (zone.into(), people))
    }

    fn campaign(people: &[(Whereabouts, i64)]) -> Forecast<'_> {
        Forecast {
            from: at("2026-06-01T20:00:00+03:00"),
            people,
            paces: &[1.0],
            calendar: &ALWAYS,
            places: None,
            stop_at: None,
        }
    }

    #[test]
    fn without_quiet_hours_the_pace_alone_decides() {
        let outlook = forecast(&campaign(&in_zones([(Cairo, 3_600), (Mexico_City, 3_600)])));
        assert_eq!(
            outlook,
            Outlook { finish: at("2026-06-01T22:00:00+03:00"), left_over: 0, waits: 0, waits_for_places: 0 }
        );
        let fast = forecast(&Forecast { paces: &[0.0], ..campaign(&in_zones([(Cairo, 1_000_000)])) });
        assert_eq!(fast.finish, at("2026-06-01T20:00:00+03:00"));
    }

    #[test]
    fn a_night_is_waited_through() {
        let calendar = &nights("21:00-09:00");
        // An hour in the evening, another in the morning.
        let outlook = forecast(&Forecast { calendar, ..campaign(&in_zones([(Cairo, 7_200)])) });
        assert_eq!(
            outlook,
            Outlook { finish: at("2026-06-02T10:00:00+03:00"), left_over: 0, waits: 12 * HOUR, waits_for_places: 0 }
        );
        // While Cairo sleeps it is afternoon in Mexico, and nobody waits.
        let outlook = forecast(&Forecast { calendar, ..campaign(&in_zones([(Mexico_City, 7_200)])) });
        assert_eq!(
            outlook,
            Outlook { finish: at("2026-06-01T22:00:00+03:00"), left_over: 0, waits: 0, waits_for_places: 0 }
        );
    }

    #[test]
    fn a_feast_is_waited_through_by_those_whom_it_concerns() {
        let blackouts = vec!["EG:2026-06-02..2026-06-03=Eid".parse().unwrap(), "2027-01-01".parse().unwrap()];
        let calendar = &Calendar { blackouts, ..nights("21:00-09:00") };
        let egypt = Whereabouts { zone: Cairo, country: "EG".parse().ok() };
        // An hour in the evening before it, the rest in the morning after it.
        let people = [(egypt, 7_200)];
        let (outlook, waiting) = forecast_with_waits(&Forecast { calendar, ..campaign(&people) });
        assert_eq!(outlook.finish, at("2026-06-04T10:00:00+03:00"));
        assert_eq!(outlook.waits, 60 * HOUR);
        assert_eq!(waiting, [Waiting { blackout: 0, people: 3_600, until: at("2026-06-04T09:00:00+03:00") }]);
        // Of two countries one goes on in the morning; in the evening half of each was written to.
        let people = [(egypt, 3_600), (Cairo.into(), 3_600)];
        let (outlook, waiting) = forecast_with_waits(&Forecast { calendar, ..campaign(&people) });
        assert_eq!((outlook.finish, waiting[0].people), (at("2026-06-04T09:30:00+03:00"), 1_800));
        // The offer ends on the feast.
        let stop_at = Some(at("2026-06-03T12:00:00+03:00"));
        let (outlook, waiting) = forecast_with_waits(&Forecast { calendar, stop_at, ..campaign(&people) });
        assert_eq!((outlook.left_over, waiting[0].people), (1_800, 1_800));
    }

    #[test]
    fn whoever_is_not_reached_before_the_end_is_counted() {
        let ends = at("2026-06-01T20:30:00+03:00");
        let stop_at = Some(ends);
        let outlook = forecast(&Forecast { stop_at, ..campaign(&in_zones([(Cairo, 3_600)])) });
        assert_eq!((outlook.finish, outlook.left_over), (ends, 1_800));
        let calendar = &nights("19:00-09:00");
        let asleep = forecast(&Forecast { stop_at, calendar, ..campaign(&in_zones([(Cairo, 3_600)])) });
        assert_eq!((asleep.left_over, asleep.waits), (3_600, HOUR / 2));
    }

    #[test]
    fn the_slowest_number_decides_since_none_helps_another_out() {
        // 1,800 people each: half an hour at one a second, a quarter at two.
        let outlook = forecast(&Forecast { paces: &[1.0, 2.0], ..campaign(&in_zones([(Cairo, 3_600)])) });
        assert_eq!(outlook.finish, at("2026-06-01T20:30:00+03:00"));
    }

    #[test]
    fn places_of_the_messaging_limit_come_free_a_day_after_they_were_taken() {
        let people = in_zones([(Cairo, 3_600)]);
        let base = campaign(&people);
        let limited = |places: Places| forecast(&Forecast { places: Some(places), ..base.clone() });
        // 1,000 in the first 1,000 s of each day, so that the last 600 go on the fourth.
        let outlook = limited(Places { free: 1_000, coming: Vec::new() });
        assert_eq!(outlook.finish, base.from + 3 * 24 * HOUR + 600_000);
        assert!(outlook.waits_for_places > 2 * 24 * HOUR, "{outlook:?}");
        let enough = limited(Places { free: 3_600, coming: Vec::new() });
        assert_eq!((enough.finish, enough.waits_for_places), (base.from + HOUR, 0));
        // What others took comes free when it does: the rest is no sooner than that, and no later.
        let outlook = limited(Places { free: 1_800, coming: vec![(base.from + 5 * HOUR, 1_800)] });
        assert_eq!(outlook.finish, base.from + 5 * HOUR + HOUR / 2);
        // The day after, its places come free while it is night; the morning is waited for.
        let calendar = &nights("20:05-09:00");
        let outlook = forecast(&Forecast {
            calendar,
            places: Some(Places { free: 300, coming: Vec::new() }),
            ..campaign(&in_zones([(Cairo, 400)]))
        });
        assert_eq!(outlook.finish, at("2026-06-02T20:01:40+03:00"), "{outlook:?}");
    }

    #[test]
    fn years_of_days_with_a_few_places_lose_none_by_the_sums() {
        for (people, limit, rate) in
            [(11_500, 5, 26.0), (9_999, 3, 199.0), (12_000, 1, 0.5), (2_286, 1, 61.0), (20_000, 1, 199.0)]
        {
            let (zones, paces) = (in_zones([(Cairo, people)]), [rate]);
            let base = campaign(&zones);
            let places = Some(Places { free: limit, coming: Vec::new() });
            let outlook = forecast(&Forecast { paces: &paces, places, ..base.clone() });
            let days = (people - 1) / limit;
            assert_eq!((outlook.finish - base.from) / (24 * HOUR), days, "{outlook:?}");
            assert_eq!(outlook.left_over, 0);
        }
    }

    #[test]
    fn a_limit_of_nobody_is_never_over_and_says_when_it_gave_up() {
        let places = Some(Places::default());
        let outlook = forecast(&Forecast { places, ..campaign(&in_zones([(Cairo, 5)])) });
        assert_eq!(outlook.left_over, 5);
    }

    proptest! {
        #[test]
        fn no_day_has_more_messages_than_the_limit_has_places(
            people in 1..20_000_i64, limit in 1..3_000_i64, rate in 1..200_u32) {
            let zones = in_zones([(Cairo, people)]);
            let paces = [f64::from(rate)];
            let base = campaign(&zones);
            let outlook = forecast(&Forecast {
                paces: &paces, places: Some(Places { free: limit, coming: Vec::new() }), ..base.clone()
            });
            let days = (people - 1) / limit;
            let rest = people - days * limit;
            let last = base.from + days * 24 * HOUR + rest * 1_000 / i64::from(rate);
            prop_assert!((outlook.finish - last).abs() < 5_000, "{outlook:?} and {last}");
            prop_assert_eq!(outlook.left_over, 0);
        }

        #[test]
        fn everybody_is_reached_or_left_over_and_no_sooner_than_the_pace_allows(
            cairo in 0..100_000_i64, mexico in 0..100_000_i64, rate in 1..200_u32, from in 0..1_440_u16,
            length in 1..1_440_u16, stop in prop::option::of(0..200_i64)) {
            let people = in_zones([(Cairo, cairo), (Mexico_City, mexico)]);
            let calendar = Calendar { quiet: QuietHours::from_minutes(from, (from + length) % 1_440), blackouts: Vec::new() };
            let base = campaign(&people);
            let stop_at = stop.map(|hours| base.from + hours * HOUR);
            let paces = [f64::from(rate)];
            let all = Forecast { paces: &paces, calendar: &calendar, stop_at, ..base };
            let outlook = forecast(&all);
            let took = outlook.finish - all.from;
            let sent = cairo + mexico - outlook.left_over;
            prop_assert!((0..=cairo + mexico).contains(&sent));
            prop_assert!(sent * 1_000 <= (took - outlook.waits + 2) * i64::from(rate) + 2_000);
            prop_assert!(stop_at.is_none_or(|stop| outlook.finish <= stop));
            prop_assert!(stop_at.is_some() || outlook.left_over == 0);
        }
    }
}
