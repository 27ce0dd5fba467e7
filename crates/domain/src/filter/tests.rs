use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Filter {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn has(column: &str, test: Test) -> Filter {
    Filter::Has(Condition { column: column.to_owned(), test })
}

#[test]
fn a_filter_is_read_as_it_is_said() {
    assert_eq!(
        read("city = \"Cairo\" and not messaged within 30 days and read campaign \"spring\""),
        Filter::All(vec![
            has("city", Test::Equal("Cairo".into())),
            Filter::Not(Box::new(Filter::MessagedWithinDays(30))),
            Filter::ReadCampaign("spring".into()),
        ])
    );
    assert_eq!(
        read("a = 1 or b > 2 AND c is not empty"),
        Filter::Any(vec![
            has("a", Test::Equal("1".into())),
            Filter::All(vec![has("b", Test::Above(Bound("2".into()))), Filter::Not(Box::new(has("c", Test::Empty))),]),
        ])
    );
    assert_eq!(read("never opted out"), Filter::Not(Box::new(Filter::EverOptedOut)));
    assert_eq!(read("Read the last campaign"), Filter::ReadLastCampaign);
    assert_eq!(read("المدينة contains «القاهرة»"), has("المدينة", Test::Contains("القاهرة".into())));
    assert_eq!(read("((((tier != 'gold'))))"), has("tier", Test::Different("gold".into())));
}

#[test]
fn words_of_the_language_may_be_columns() {
    assert_eq!(read("not = 1"), has("not", Test::Equal("1".into())));
    assert_eq!(read("\"read\" is empty"), has("read", Test::Empty));
    assert_eq!(read("messaged = yes"), has("messaged", Test::Equal("yes".into())));
}

#[test]
fn what_is_no_filter_is_refused_where_it_goes_wrong() {
    for (text, said) in [
        ("", "at 1: expected a column"),
        ("city", "at 5: expected ="),
        ("city = ", "at 8: expected a value"),
        ("city = Cairo Giza", "at 14: expected and, or, or the end, found \"Giza\""),
        ("(city = Cairo", "at 14: expected a closing bracket"),
        ("city = \"Cairo", "at 8: the quote that opens here is not closed"),
        ("messaged within soon days", "at 17: expected a number of days"),
        ("messaged within 30 weeks", "at 20: expected days"),
        ("read campaign", "at 14: expected the name of a campaign"),
        ("city = $", "at 8: the character '$' has no meaning here"),
        ("city is full", "at 9: expected empty"),
        ("city in Cairo", "at 9: expected an opening bracket, found \"Cairo\""),
        ("city in (Cairo", "at 15: expected a comma, or a closing bracket"),
        ("country = Egypt", "at 11: expected a country's two letters, as EG, found \"Egypt\""),
        ("country contains E", "at 9: expected =, !=, in or not in; put a column of this name in quotes"),
        ("time zone in (Africa/Cairo, Mars)", "at 29: expected a time zone, as Africa/Cairo, found \"Mars\""),
        ("joined since spring", "at 14: expected a day as 2026-01-31"),
        ("replied to everything", "at 12: expected campaign"),
    ] {
        let error = text.parse::<Filter>().expect_err(text).to_string();
        assert!(error.starts_with(said), "{text}: {error}");
    }
    assert_eq!("(".repeat(1_000).parse::<Filter>(), Err(FilterError::TooDeep));
    assert_eq!("not ".repeat(900).parse::<Filter>(), Err(FilterError::TooDeep));
    assert_eq!("x".repeat(LONGEST + 1).parse::<Filter>(), Err(FilterError::TooLong));
}

#[test]
fn numbers_are_compared_as_numbers_and_days_as_texts() {
    let holds = |text: &str, cell: &str| match read(&format!("c {text}")) {
        Filter::Has(condition) => condition.test.holds(cell),
        other => panic!("{other}"),
    };
    assert!(holds("> 9", "10") && !holds("> 9", "9") && holds(">= 9", "9.0") && holds("< 0", "-1"));
    assert!(!holds("> 9", "ten") && !holds("< 9", "") && !holds("> 9", "99999999999999999"));
    assert!(holds("< 2026-02-01", "2026-01-31") && !holds("< 2026-02-01", "") && holds("> 2026-02-01", "2026-02-10"));
    assert!(holds("= 9", "9") && !holds("= 9", "9.0"), "= compares texts");
}

#[test]
fn countries_zones_answers_and_days_are_asked_in_words() {
    let countries = |codes: &[&str]| Filter::Country(codes.iter().map(|code| code.parse().unwrap()).collect());
    assert_eq!(read("country = eg"), countries(&["EG"]));
    assert_eq!(read("country in (EG، SA, \"MX\")"), countries(&["EG", "SA", "MX"]));
    assert_eq!(read("country != EG"), Filter::Not(Box::new(countries(&["EG"]))));
    assert_eq!(read("\"country\" = Egypt"), has("country", Test::Equal("Egypt".into())), "a column of the file");
    assert_eq!(read("time zone = africa/cairo"), Filter::TimeZone(vec![Tz::Africa__Cairo]));
    assert_eq!(
        read("timezone not in (Africa/Cairo, UTC)"),
        Filter::Not(Box::new(Filter::TimeZone(vec![Tz::Africa__Cairo, Tz::UTC])))
    );
    let cities = has("city", Test::OneOf(vec!["Cairo".into(), "New Giza".into()]));
    assert_eq!(read("city in (Cairo, 'New Giza')"), cities);
    assert_eq!(read("city not in (Cairo, 'New Giza')"), Filter::Not(Box::new(cities)));
    assert_eq!(read("replied"), Filter::Replied(None));
    assert_eq!(read("(replied) and not replied within 7 days"), {
        let recently = Filter::Not(Box::new(Filter::Replied(Some(7))));
        Filter::All(vec![Filter::Replied(None), recently])
    });
    assert_eq!(read("replied to campaign spring"), Filter::RepliedTo("spring".into()));
    assert_eq!(read("replied = yes"), has("replied", Test::Equal("yes".into())));
    let january = 1_769_817_600_000;
    assert_eq!(read("joined since 2026-01-31"), Filter::JoinedSince(january));
    assert_eq!(read("joined since 2026-01-31T02:00:00+02:00"), Filter::JoinedSince(january));
    let asked = read("a = 1 and (read campaign x or not replied to campaign y) and never opted out");
    assert_eq!(asked.campaigns().collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(asked.columns().collect::<Vec<_>>(), ["a"]);
    assert!(asked.rests_on_history() && !read("a = 1 and joined since 2026-01-31").rests_on_history());
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let text = "[a-z0-9 \"\\\\'()=<>«»$]{0,6}|and|or|not|القاهرة|🌙";
    let bound = || text.prop_map(Bound);
    let test = prop_oneof![
        text.prop_map(Test::Equal),
        text.prop_map(Test::Different),
        bound().prop_map(Test::Below),
        bound().prop_map(Test::AtMost),
        bound().prop_map(Test::Above),
        bound().prop_map(Test::AtLeast),
        text.prop_map(Test::Contains),
        Just(Test::Empty),
        prop::collection::vec(text, 1..3).prop_map(Test::OneOf),
    ];
    let country = prop::sample::select(vec!["EG", "SA", "US", "CA", "GB"]);
    let zone = prop::sample::select(vec![Tz::Africa__Cairo, Tz::UTC, Tz::America__New_York]);
    let leaf = prop_oneof![
        (text, test).prop_map(|(column, test)| Filter::Has(Condition { column, test })),
        (1..400_u32).prop_map(Filter::MessagedWithinDays),
        text.prop_map(Filter::ReadCampaign),
        Just(Filter::ReadLastCampaign),
        prop::collection::vec(country.prop_map(|code| code.parse().unwrap()), 1..3).prop_map(Filter::Country),
        prop::collection::vec(zone, 1..3).prop_map(Filter::TimeZone),
        prop::option::of(1..400_u32).prop_map(Filter::Replied),
        text.prop_map(Filter::RepliedTo),
        (0..4_000_000_000_000_i64).prop_map(Filter::JoinedSince),
        Just(Filter::EverOptedOut),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            // One part alone is that part: that is how it is read back.
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::All),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::Any),
            inner.prop_map(|part| Filter::Not(Box::new(part))),
        ]
    })
}

struct Made(BTreeMap<String, String>);

impl Person for Made {
    fn column(&self, column: &str) -> Option<&str> {
        self.0.get(column).map(String::as_str)
    }
    fn country(&self) -> Option<Region> {
        "EG".parse().ok()
    }
    fn time_zone(&self) -> Option<Tz> {
        Some(Tz::Africa__Cairo)
    }
    fn replied(&self, within_days: Option<u32>) -> bool {
        within_days.is_none_or(|days| days > 10)
    }
    fn replied_to(&self, campaign: &str) -> bool {
        campaign.is_empty()
    }
    fn joined_since(&self, at: Millis) -> bool {
        at % 2 == 0
    }
    fn messaged_within_days(&self, days: u32) -> bool {
        days > 100
    }
    fn read_campaign(&self, name: &str) -> bool {
        name.len() > 2
    }
    fn read_last_campaign(&self) -> bool {
        true
    }
    fn ever_opted_out(&self) -> bool {
        false
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(filter in any_filter()) {
        prop_assert_eq!(&filter.to_string().parse::<Filter>(), &Ok(filter.clone()));
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}") {
        let _ = text.parse::<Filter>();
    }

    #[test]
    fn not_means_everyone_else(filter in any_filter(), cell in "[0-9a-z]{0,3}") {
        let person = Made(BTreeMap::from([("c".to_owned(), cell)]));
        prop_assert_eq!(Filter::Not(Box::new(filter.clone())).matches(&person), !filter.matches(&person));
        prop_assert!(Filter::All(Vec::new()).matches(&person) && !Filter::Any(Vec::new()).matches(&person));
    }
}
