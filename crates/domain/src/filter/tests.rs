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
fn programs_exchange_it_as_json() {
    let filter = read("city = Cairo and points >= 10 and not (messaged within 7 days or x is empty)");
    let json = serde_json::to_value(&filter).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"all": [
            {"has": {"column": "city", "is": "equal", "value": "Cairo"}},
            {"has": {"column": "points", "is": "at_least", "value": "10"}},
            {"not": {"any": [{"messaged_within_days": 7}, {"has": {"column": "x", "is": "empty"}}]}},
        ]})
    );
    assert_eq!(serde_json::from_value::<Filter>(json).unwrap(), filter);
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
    ];
    let leaf = prop_oneof![
        (text, test).prop_map(|(column, test)| Filter::Has(Condition { column, test })),
        (1..400_u32).prop_map(Filter::MessagedWithinDays),
        text.prop_map(Filter::ReadCampaign),
        Just(Filter::ReadLastCampaign),
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
        let json = serde_json::to_string(&filter).unwrap();
        prop_assert_eq!(serde_json::from_str::<Filter>(&json).unwrap(), filter);
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
