use std::collections::BTreeSet;
use std::sync::LazyLock;

use chrono::{Datelike, NaiveDate, TimeDelta, TimeZone};
use chrono_tz::Africa::Cairo;
use chrono_tz::America::{Mexico_City, New_York, Sao_Paulo};
use chrono_tz::Australia::Lord_Howe;
use chrono_tz::Europe::Madrid;
use chrono_tz::Pacific::Apia;
use proptest::prelude::*;

use super::*;

const MINUTE: Millis = 60_000;
const ZONES: [Tz; 4] = [Cairo, Mexico_City, Sao_Paulo, Madrid];
/// When the clocks of Cairo and Madrid change from 2024 to 2027.
static CHANGES: LazyLock<Vec<Millis>> =
    LazyLock::new(|| [Cairo, Madrid].into_iter().flat_map(|zone| changes(zone, 2024..2028)).collect());

fn line(text: &str) -> CronLine {
    CronLine::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn at(text: &str) -> Millis {
    super::super::parse_at(text).unwrap()
}

/// Shown with the offset, so that a table reads like a calendar.
fn shown(at: Millis, zone: Tz) -> String {
    zone.timestamp_millis_opt(at).unwrap().format("%a %Y-%m-%d %H:%M:%S %:z").to_string()
}

/// The runs in `from < run <= to`.
fn runs(line: &CronLine, zone: Tz, from: Millis, to: Millis) -> Vec<Millis> {
    let mut found = Vec::new();
    let mut after = from;
    while let Some(next) = line.next_after(after, zone).filter(|next| *next <= to) {
        assert!(next > after, "{line} in {zone} went back");
        found.push(next);
        after = next;
    }
    found
}

fn shown_runs(text: &str, zone: Tz, from: &str, to: &str) -> Vec<String> {
    runs(&line(text), zone, at(from), at(to)).into_iter().map(|run| shown(run, zone)).collect()
}

/// The instants (to the minute) in these years at which a zone's offset changes.
fn changes(zone: Tz, years: std::ops::Range<i32>) -> Vec<Millis> {
    const STEP: Millis = 360 * MINUTE;
    let start = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap().and_hms_opt(0, 0, 0).unwrap().and_utc();
    let (start, end) = (start(years.start).timestamp_millis(), start(years.end).timestamp_millis());
    let offset = |at| wall_clock(at, zone).unwrap() - wall_clock(at, Tz::UTC).unwrap();
    let mut found = Vec::new();
    let mut before = offset(start);
    for coarse in (start + STEP..=end).step_by(STEP.unsigned_abs() as usize) {
        let now = offset(coarse);
        if now != before {
            let fine = (coarse - STEP..=coarse).step_by(60_000).find(|at| offset(*at) == now);
            found.push(fine.unwrap());
        }
        before = now;
    }
    found
}

/// Whether a line names a wall clock minute.
type Named = fn(NaiveDateTime) -> bool;

/// What a watcher of the wall clock would note down: whenever the clock shows a minute later than any before, every
/// named minute up to it runs.
fn watched(zone: Tz, from: Millis, to: Millis, named: impl Fn(NaiveDateTime) -> bool) -> Vec<Millis> {
    // From a day earlier, so that a start within an overlap knows what the clock has shown already.
    let start = from - 24 * 60 * MINUTE;
    let mut latest = wall_clock(start, zone).unwrap();
    let mut found = Vec::new();
    for now in (start + MINUTE..=to).step_by(60_000) {
        let mut runs = false;
        let clock = wall_clock(now, zone).unwrap();
        while latest < clock {
            latest += TimeDelta::minutes(1);
            runs |= named(latest);
        }
        if runs && now > from {
            found.push(now);
        }
    }
    found
}

#[test]
fn weekdays_are_counted_as_crontab_counts_them() {
    for (text, expected) in [
        ("0 10 * * 0", "Sun 2026-03-08"),
        ("0 10 * * 7", "Sun 2026-03-08"),
        ("0 10 * * 1", "Mon 2026-03-09"),
        ("0 10 * * 6", "Sat 2026-03-07"),
        ("0 10 * * sun", "Sun 2026-03-08"),
        ("0 10 * * FRI", "Fri 2026-03-06"),
    ] {
        // Wednesday.
        let next = line(text).next_after(at("2026-03-04T12:00:00Z"), Tz::UTC).unwrap();
        assert_eq!(shown(next, Tz::UTC), format!("{expected} 10:00:00 +00:00"), "{text}");
    }
    for (text, days) in [
        ("0 0 * * 5-7", "Fri Sat Sun"),
        ("0 0 * * FRI-SUN", "Fri Sat Sun"),
        ("0 0 * * 0-1", "Mon Sun"),
        ("0 0 * * sun-mon", "Mon Sun"),
        ("0 0 * * 1,3", "Mon Wed"),
        ("0 0 * * */2", "Sat Sun Thu Tue"),
        ("0 0 * * 1-5/2", "Fri Mon Wed"),
    ] {
        let week = shown_runs(text, Tz::UTC, "2026-03-01T12:00:00Z", "2026-03-08T12:00:00Z");
        let found: BTreeSet<_> = week.iter().map(|run| &run[..3]).collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>().join(" "), days, "{text}");
    }
}

#[test]
fn a_line_reads_like_the_crontab_of_any_machine() {
    for (text, after, expected) in [
        ("0 10 * * 1", "2026-03-02T10:00:00Z", "Mon 2026-03-09 10:00:00 +00:00"),
        ("0 10 * * 1", "2026-03-02T09:59:59.999Z", "Mon 2026-03-02 10:00:00 +00:00"),
        ("*/15 * * * *", "2026-03-02T10:14:59Z", "Mon 2026-03-02 10:15:00 +00:00"),
        ("*/15 * * * *", "2026-12-31T23:45:00Z", "Fri 2027-01-01 00:00:00 +00:00"),
        ("30 8-10,20 * * *", "2026-03-02T10:30:00Z", "Mon 2026-03-02 20:30:00 +00:00"),
        ("0 9 31 * *", "2026-03-31T09:00:00Z", "Sun 2026-05-31 09:00:00 +00:00"),
        ("0 9 29 2 *", "2026-03-01T00:00:00Z", "Tue 2028-02-29 09:00:00 +00:00"),
        ("0 9 1 jan,JUL *", "2026-03-01T00:00:00Z", "Wed 2026-07-01 09:00:00 +00:00"),
        ("0 9 * 6-8 *", "2026-08-31T09:00:00Z", "Tue 2027-06-01 09:00:00 +00:00"),
        ("  59   23 31 12 *  ", "2026-01-01T00:00:00Z", "Thu 2026-12-31 23:59:00 +00:00"),
    ] {
        let next = line(text).next_after(at(after), Tz::UTC).unwrap();
        assert_eq!(shown(next, Tz::UTC), expected, "{text} after {after}");
    }
    assert_eq!(line("  0 10  * * mon ").to_string(), "0 10 * * mon");
}

#[test]
fn what_is_wrong_is_named_with_its_field() {
    for (text, expected) in [
        ("0 0 10 * * 1", "a crontab line has 5 fields"),
        ("10 * * 1", "this one has 4"),
        ("", "this one has 0"),
        ("@daily", "this one has 1"),
        ("60 * * * *", "minute: 60 is outside 0 to 59"),
        ("0 24 * * *", "hour: 24 is outside 0 to 23"),
        ("0 0 0 * *", "day of the month: 0 is outside 1 to 31"),
        ("0 0 32 * *", "day of the month: 32 is outside 1 to 31"),
        ("0 0 * 13 *", "month: 13 is outside 1 to 12"),
        ("0 0 * * 8", "day of the week: 8 is outside 0 to 7"),
        ("99999999999999999999999 * * * *", "minute: 9999999999999999999… is outside"),
        ("0 0 * * monday", "day of the week: \"monday\" is not understood; write a number or a name (MON)"),
        ("MON 0 * * *", "minute: \"MON\" is not understood; write a number, a range"),
        ("0 0 * MON *", "month: \"MON\""),
        ("0 0 ? * 1", "day of the month: \"?\""),
        ("0 0 L * *", "day of the month: \"L\""),
        ("0 0 * * 5#2", "day of the week: \"5#2\""),
        ("0 0 * * 1,", "day of the week: \"\""),
        ("-1 0 * * *", "minute: \"-1\""),
        ("1-2-3 0 * * *", "minute: \"1-2-3\""),
        ("*-5 0 * * *", "minute: \"*-5\""),
        ("+5 0 * * *", "minute: \"+5\""),
        ("١ 0 * * *", "minute: \"١\""),
        ("*/x 0 * * *", "minute: \"*/x\""),
        ("*/ 0 * * *", "minute: \"*/\""),
        ("*/2/3 0 * * *", "minute: \"*/2/3\""),
        ("0 22-6 * * *", "hour: the range 22-6 runs backwards"),
        ("0 0 * * 5-0", "day of the week: the range 5-0 runs backwards"),
        ("*/0 * * * *", "minute: the step in */0 must be between 1 and 59"),
        ("0 */24 * * *", "hour: the step in */24 must be between 1 and 23"),
        ("5/15 * * * *", "minute: the step in 5/15 needs a range before the slash, for example 5-59/15"),
        ("0 10 13 * 5", "both restricted"),
        ("0 10 */2 * 1", "both restricted"),
        ("0 10 30 2 *", "would never run"),
        ("0 10 31 4,6,9,11 *", "would never run"),
    ] {
        let error = CronLine::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_time_that_the_clock_jumps_over_runs_at_the_end_of_the_gap() {
    // Cairo jumps from 00:00 to 01:00 on the last Friday of April, Madrid from 02:00 to 03:00.
    assert_eq!(
        shown_runs("30 0 * * *", Cairo, "2026-04-22T12:00:00Z", "2026-04-25T12:00:00Z"),
        ["Thu 2026-04-23 00:30:00 +02:00", "Fri 2026-04-24 01:00:00 +03:00", "Sat 2026-04-25 00:30:00 +03:00"],
    );
    assert_eq!(
        shown_runs("0,20,40 2,3 * * *", Madrid, "2026-03-28T22:00:00Z", "2026-03-29T12:00:00Z"),
        ["Sun 2026-03-29 03:00:00 +02:00", "Sun 2026-03-29 03:20:00 +02:00", "Sun 2026-03-29 03:40:00 +02:00"],
    );
    // Half an hour, a whole day, and São Paulo's midnight as long as it had one to jump over.
    assert_eq!(
        shown_runs("15 2 * * *", Lord_Howe, "2025-10-04T12:00:00Z", "2025-10-05T12:00:00Z"),
        ["Sun 2025-10-05 02:30:00 +11:00"],
    );
    assert_eq!(
        shown_runs("0 9 * * *", Apia, "2011-12-29T12:00:00Z", "2011-12-31T12:00:00Z"),
        ["Thu 2011-12-29 09:00:00 -10:00", "Sat 2011-12-31 00:00:00 +14:00", "Sat 2011-12-31 09:00:00 +14:00"],
    );
    assert_eq!(
        shown_runs("0 0 * * *", Sao_Paulo, "2018-11-03T12:00:00Z", "2018-11-05T12:00:00Z"),
        ["Sun 2018-11-04 01:00:00 -02:00", "Mon 2018-11-05 00:00:00 -02:00"],
    );
}

#[test]
fn a_time_that_the_clock_shows_twice_runs_the_first_time_only() {
    // Cairo goes from 24:00 back to 23:00 on the last Thursday of October, Madrid from 03:00 back to 02:00.
    assert_eq!(
        shown_runs("30 23 * * *", Cairo, "2026-10-28T12:00:00Z", "2026-10-30T22:00:00Z"),
        ["Wed 2026-10-28 23:30:00 +03:00", "Thu 2026-10-29 23:30:00 +03:00", "Fri 2026-10-30 23:30:00 +02:00"],
    );
    assert_eq!(
        shown_runs("*/30 2,3 * * *", Madrid, "2026-10-24T22:00:00Z", "2026-10-25T12:00:00Z"),
        [
            "Sun 2026-10-25 02:00:00 +02:00",
            "Sun 2026-10-25 02:30:00 +02:00",
            "Sun 2026-10-25 03:00:00 +01:00",
            "Sun 2026-10-25 03:30:00 +01:00",
        ],
    );
    // Asked between the two, and in the midst of the second.
    for asked in ["2026-10-29T20:45:00Z", "2026-10-29T21:10:00Z", "2026-10-29T21:30:00Z"] {
        let next = line("30 23 * * *").next_after(at(asked), Cairo).unwrap();
        assert_eq!(shown(next, Cairo), "Fri 2026-10-30 23:30:00 +02:00", "asked at {asked}");
    }
}

#[test]
fn the_zones_change_their_clocks_when_the_tables_say() {
    let changes = |zone| changes(zone, 2024..2028).into_iter().map(|at| shown(at, Tz::UTC)[4..20].to_owned()).collect();
    let cairo: Vec<String> = changes(Cairo);
    assert_eq!(
        cairo,
        [
            "2024-04-25 22:00",
            "2024-10-31 21:00",
            "2025-04-24 22:00",
            "2025-10-30 21:00",
            "2026-04-23 22:00",
            "2026-10-29 21:00",
            "2027-04-29 22:00",
            "2027-10-28 21:00",
        ],
    );
    let madrid: Vec<String> = changes(Madrid);
    assert_eq!(
        madrid,
        [
            "2024-03-31 01:00",
            "2024-10-27 01:00",
            "2025-03-30 01:00",
            "2025-10-26 01:00",
            "2026-03-29 01:00",
            "2026-10-25 01:00",
            "2027-03-28 01:00",
            "2027-10-31 01:00",
        ],
    );
    // Mexico gave daylight saving up in 2022, Brazil in 2019.
    assert_eq!([changes(Mexico_City), changes(Sao_Paulo)], [Vec::<String>::new(), Vec::new()]);
}

#[test]
fn over_four_years_a_daily_line_runs_once_on_every_day() {
    for zone in ZONES {
        for hour in [0, 1, 2, 3, 12, 23] {
            let daily = line(&format!("30 {hour} * * *"));
            let runs = runs(&daily, zone, at("2024-01-01T12:00:00Z"), at("2027-12-31T12:00:00Z"));
            let days: Vec<_> = runs.iter().map(|run| wall_clock(*run, zone).unwrap().date()).collect();
            assert!(days.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::days(1)), "{daily} in {zone}");
            assert!((1_460..=1_461).contains(&days.len()), "{daily} in {zone}: {}", days.len());
        }
    }
}

#[test]
fn around_every_change_of_the_clocks_a_line_runs_as_a_watcher_of_the_clock_would_have_it() {
    let lines: [(&str, Named); 6] = [
        ("* * * * *", |_| true),
        ("*/7 * * * *", |at| at.minute() % 7 == 0),
        ("30 0-3,23 * * *", |at| at.minute() == 30 && matches!(at.hour(), 0..=3 | 23)),
        ("0 0 * * *", |at| (at.hour(), at.minute()) == (0, 0)),
        ("5,55 2 * * 0,5", |at| {
            matches!(at.minute(), 5 | 55) && at.hour() == 2 && matches!(at.weekday().num_days_from_sunday(), 0 | 5)
        }),
        ("59 23 29-31 3,10 *", |at| {
            (at.hour(), at.minute()) == (23, 59) && at.day() >= 29 && matches!(at.month(), 3 | 10)
        }),
    ];
    let mut looked_at = 0;
    let years = [(Cairo, 2024..2028), (Madrid, 2024..2028), (Mexico_City, 2021..2023), (Sao_Paulo, 2017..2020)];
    for (zone, years) in years.into_iter().chain([(Lord_Howe, 2026..2027), (Apia, 2011..2012), (New_York, 2026..2027)])
    {
        for change in changes(zone, years) {
            looked_at += 1;
            let (from, to) = (change - 26 * 60 * MINUTE, change + 26 * 60 * MINUTE);
            for (text, named) in lines {
                assert_eq!(runs(&line(text), zone, from, to), watched(zone, from, to, named), "{text} in {zone}");
            }
        }
    }
    assert_eq!(looked_at, 8 + 8 + 4 + 5 + 2 + 3 + 2);
}

#[test]
fn the_ends_of_the_calendar_are_no_surprise() {
    let every = line("* * * * *");
    for after in [Millis::MIN, Millis::MAX, -8_334_601_228_800_000, 8_210_266_876_799_999, 4_200_000_000_000] {
        for zone in [Tz::UTC, Cairo, Apia] {
            assert_eq!(every.next_after(after, zone), None, "{after} in {zone}");
        }
    }
    assert_eq!(line("0 0 1 1 *").next_after(at("2100-01-01T00:00:00Z"), Tz::UTC), None);
}

/// One random field: its text, and whether a value is named by it.
fn field(min: u32, max: u32) -> impl Strategy<Value = (String, BTreeSet<u32>)> {
    let one = (min..=max).prop_map(|value| (value.to_string(), BTreeSet::from([value])));
    let range = (min..=max, min..=max, 1..=3_u32).prop_map(|(a, b, step)| {
        let (first, last) = (a.min(b), a.max(b));
        let text = if step == 1 { format!("{first}-{last}") } else { format!("{first}-{last}/{step}") };
        (text, (first..=last).step_by(step as usize).collect())
    });
    let star = (2..=5_u32).prop_map(move |step| (format!("*/{step}"), (min..=max).step_by(step as usize).collect()));
    let any = Just(("*".to_owned(), (min..=max).collect()));
    let item = prop_oneof![one, range, star];
    let listed = prop::collection::vec(item, 1..3).prop_map(|items| {
        let text = items.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(",");
        (text, items.into_iter().flat_map(|(_, values)| values).collect())
    });
    prop_oneof![1 => any, 3 => listed]
}

prop_compose! {
    /// A line that names days of one kind at most.
    fn random_line()(
        minute in field(0, 59), hour in field(0, 23), day in field(1, 31), month in field(1, 12), weekday in field(0, 6),
        by_weekday: bool,
    ) -> (String, [BTreeSet<u32>; 5]) {
        let all = |min: u32, max: u32| ("*".to_owned(), (min..=max).collect());
        let (day, weekday) = if by_weekday { (all(1, 31), weekday) } else { (day, all(0, 6)) };
        let day = if day.0 == "*" { all(1, 31) } else { day };
        let text = [&minute.0, &hour.0, &day.0, &month.0, &weekday.0].map(String::as_str).join(" ");
        (text, [minute.1, hour.1, day.1, month.1, weekday.1])
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_line_runs_as_a_watcher_of_the_clock_would_have_it(
        (text, [minutes, hours, days, months, weekdays]) in random_line(),
        zone in prop::sample::select(ZONES.to_vec()),
        start in 1_704_067_200_000_i64..1_830_000_000_000,
        to_a_change: bool,
        change in any::<prop::sample::Index>(),
    ) {
        // Lines that never run are refused, which another test shows.
        let Ok(line) = CronLine::parse(&text) else { return Ok(()) };
        let middle = if to_a_change { *change.get(&CHANGES) } else { start - start % MINUTE };
        let (from, to) = (middle - 600 * MINUTE, middle + 600 * MINUTE);
        let expected = watched(zone, from, to, |at| {
            minutes.contains(&at.minute()) && hours.contains(&at.hour()) && days.contains(&at.day())
                && months.contains(&at.month()) && weekdays.contains(&at.weekday().num_days_from_sunday())
        });
        let found = runs(&line, zone, from, to);
        prop_assert_eq!(&found, &expected);
        // At most once per minute that the wall clock shows.
        let shown: BTreeSet<_> = found.iter().map(|run| wall_clock(*run, zone)).collect();
        prop_assert_eq!(shown.len(), found.len());
    }

    #[test]
    fn any_line_runs_as_croner_would_have_it_where_clocks_do_not_change(
        (text, _) in random_line(), start in 1_704_067_200_000_i64..1_830_000_000_000,
    ) {
        let Ok(ours) = CronLine::parse(&text) else { return Ok(()) };
        let theirs = text.parse::<croner::Cron>().unwrap();
        let mut after = start;
        for _ in 0..3 {
            let next = ours.next_after(after, Tz::UTC);
            let from = Tz::UTC.timestamp_millis_opt(after).unwrap();
            let expected = theirs.find_next_occurrence(&from, false).unwrap().timestamp_millis();
            prop_assert_eq!(next, Some(expected), "{} after {}", text, from);
            after = expected;
        }
    }

    #[test]
    fn a_daily_line_runs_as_croner_would_have_it_through_every_change(
        hour in 0..24_u32, minute in 0..60_u32,
        zone in prop::sample::select(ZONES.to_vec()), change in any::<prop::sample::Index>(),
    ) {
        let text = format!("{minute} {hour} * * *");
        let theirs = text.parse::<croner::Cron>().unwrap();
        let around = *change.get(&CHANGES);
        let (from, to) = (around - 50 * 60 * MINUTE, around + 50 * 60 * MINUTE);
        let start = zone.timestamp_millis_opt(from).unwrap();
        let expected: Vec<_> =
            theirs.iter_after(start).map(|at| at.timestamp_millis()).take_while(|at| *at <= to).collect();
        prop_assert_eq!(runs(&line(&text), zone, from, to), expected, "{} in {}", text, zone);
    }

    #[test]
    fn no_text_makes_the_reader_stumble(text in "\\PC{0,40}", fields in "([0-9*,/a-zA-Z-]{1,8} ){5}") {
        for text in [text, fields] {
            if let Ok(line) = CronLine::parse(&text) {
                prop_assert!(line.next_after(1_704_067_200_000, Cairo).is_some(), "{}", text);
                prop_assert_eq!(&CronLine::parse(&line.to_string()).unwrap(), &line);
            }
        }
    }
}
