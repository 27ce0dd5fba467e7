use std::collections::BTreeSet;

use domain::Millis;
use domain::filter::{Condition, Person};
use domain::phone::PhoneNumber;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::fixture::{NOW, Shop, exec};
use crate::testing::{Database, on_both_databases};
use crate::{Detail, EXCLUDED_LIST, FILTERED_OUT, OPTED_OUT};

const PEOPLE: i64 = 48;
const HOUR: i64 = 3_600_000;
/// A header that no path of an object could name.
const ODD: &str = "we\"ird'\\ $[0].x";
const CITIES: [&str; 5] = ["Cairo", "cairo", "القاهرة", "New \"Giza\" \\", ""];
const NUMBERS: [&str; 12] = ["9", "10", "9.0", "-3", "ten", "99999999999999999", ".5", "5.", "1.2.3", "--1", "", "0.1"];
const DAYS: [&str; 4] = ["2026-01-31", "2026-02-01", "2025-12-31", "0"];
const ZONES: [&str; 3] = ["Africa/Cairo", "America/New_York", "nowhere"];

/// A send of a person: campaign (of [`campaigns`]), state, claimed and read, epoch ms.
type Sent = (usize, i64, Option<i64>, Option<i64>);

/// Name, whose run it is, and when it was launched, epoch ms.
fn campaigns() -> [(&'static str, Option<usize>, i64); 5] {
    [
        ("spring", None, NOW - 40 * DAY),
        ("spring, once more", Some(0), NOW - 5 * DAY),
        ("summer", None, NOW - 10 * DAY),
        ("long ago", None, NOW - 500 * DAY),
        ("now", None, NOW - HOUR),
    ]
}

/// Somebody of whom everything is known without a database.
struct Made {
    id: i64,
    phone: Option<u64>,
    columns: BTreeMap<String, String>,
    name: Option<&'static str>,
    language: Option<&'static str>,
    sent: Vec<Sent>,
    /// When they wrote to us, and whether in answer to the first campaign.
    wrote: Option<(i64, bool)>,
    joined: i64,
    blocked: bool,
    opted_out: bool,
}

fn made(id: i64) -> Made {
    let pick = |from: &[&str], step: i64| from[usize::try_from(id * step).unwrap() % from.len()].to_owned();
    let mut columns = BTreeMap::new();
    for (column, value, is_there) in [
        ("city", pick(&CITIES, 1), id % 7 != 0),
        ("points", pick(&NUMBERS, 5), id % 11 != 0),
        ("day", pick(&DAYS, 3), id % 5 != 0),
        (ODD, pick(&CITIES, 2), id % 2 == 0),
        ("Time Zone", pick(&ZONES, 1), id % 4 == 1),
    ] {
        if is_there {
            columns.insert(column.to_owned(), value);
        }
    }
    let number = u64::try_from(id).unwrap();
    let phones = [201_000_000_000 + number, 12_025_550_100 + number, 16_135_550_100 + number, 966_500_000_000 + number];
    let campaigns = campaigns();
    let sent =
        campaigns.iter().enumerate().filter(|(place, _)| (id + *place as i64) % 3 != 0).map(|(place, campaign)| {
            let state = (id * 7 + place as i64 * 5) % 9;
            // What leaves after the moment for which is asked changes nothing.
            let claimed = campaign.2 + id * HOUR / 12;
            let claimed = (1..=7).contains(&state).then_some(claimed);
            (place, state, claimed, claimed.filter(|_| state == 6).map(|claimed| claimed + HOUR / 2))
        });
    Made {
        id,
        phone: (id % 12 != 0).then(|| phones[usize::try_from(id).unwrap() % phones.len()]),
        columns,
        name: (id % 3 == 0).then_some("Mona"),
        language: [Some("ar"), Some("en_US"), None][usize::try_from(id).unwrap() % 3],
        sent: sent.collect(),
        wrote: (id % 4 == 0).then(|| (NOW - id * DAY, id % 8 == 0)),
        joined: NOW - id * DAY,
        blocked: id % 10 == 1,
        opted_out: id % 10 == 2,
    }
}

impl Made {
    fn read(&self, is: impl Fn(usize) -> bool) -> bool {
        self.sent.iter().any(|(place, .., read)| is(*place) && read.is_some_and(|read| read <= NOW))
    }

    fn went(sent: &Sent) -> bool {
        (1..=6).contains(&sent.1) && sent.2.is_some_and(|claimed| claimed <= NOW)
    }
}

impl Person for Made {
    fn column(&self, column: &str) -> Option<&str> {
        match column {
            "name" => self.name,
            "language" => self.language,
            column => self.columns.get(column).map(String::as_str),
        }
    }
    fn country(&self) -> Option<Region> {
        self.phone.and_then(PhoneNumber::from_e164).and_then(PhoneNumber::region)
    }
    fn time_zone(&self) -> Option<Tz> {
        let own = own_zone(self.columns.iter().map(|(column, text)| (column.as_str(), text.as_str())));
        own.or_else(|| self.country().and_then(zone_of_region))
    }
    fn messaged_within_days(&self, days: u32) -> bool {
        let since = NOW - i64::from(days) * DAY;
        self.sent.iter().any(|sent| Self::went(sent) && sent.2.is_some_and(|claimed| claimed > since))
    }
    fn read_campaign(&self, name: &str) -> bool {
        self.read(|place| {
            campaigns()[place].0 == name || campaigns()[place].1.is_some_and(|of| campaigns()[of].0 == name)
        })
    }
    fn read_last_campaign(&self) -> bool {
        let recent = self.sent.iter().filter(|sent| Self::went(sent) && campaigns()[sent.0].2 > NOW - LAST_LOOKS_BACK);
        let last = recent.max_by_key(|sent| campaigns()[sent.0].2);
        last.is_some_and(|(.., read)| read.is_some_and(|read| read <= NOW))
    }
    fn replied(&self, within_days: Option<u32>) -> bool {
        self.wrote.is_some_and(|(at, _)| within_days.is_none_or(|days| at > NOW - i64::from(days) * DAY))
    }
    fn replied_to(&self, campaign: &str) -> bool {
        campaign == "spring" && self.wrote.is_some_and(|(_, is_answer)| is_answer)
    }
    fn joined_since(&self, at: Millis) -> bool {
        self.joined >= at
    }
    fn ever_opted_out(&self) -> bool {
        self.blocked || self.opted_out
    }
}

/// Writes all of them down. The list that they are on.
async fn write_down(store: &Store) -> i64 {
    let shop = Shop::open(store, 1).await;
    let list = shop.list("all", 1..=PEOPLE, NOW).await;
    let mut ids: Vec<i64> = Vec::new();
    for (name, run_of, started_at) in campaigns() {
        let id = shop.draft(name, &[list], &[], &shop.numbers).await;
        let parent = run_of.map_or("NULL".to_owned(), |of| ids[of].to_string());
        let finished = if name == "now" { "NULL".to_owned() } else { (started_at + 3 * DAY).to_string() };
        exec(store, format!("UPDATE campaigns SET started_at = {started_at}, finished_at = {finished}, parent_id = {parent} WHERE id = {id}")).await;
        ids.push(id);
    }
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let or_null = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
    for made in (1..=PEOPLE).map(made) {
        let Made { id, phone, columns, name, language, sent, wrote, joined, blocked, opted_out } = made;
        exec(
            store,
            format!(
                "UPDATE contacts SET phone = {}, name = {}, language = {}, attributes = {} WHERE id = {id}",
                or_null(phone.map(|phone| phone.to_string())),
                or_null(name.map(quoted)),
                or_null(language.map(quoted)),
                quoted(&serde_json::to_string(&columns).unwrap())
            ),
        )
        .await;
        exec(store, format!("UPDATE list_members SET added_at = {joined} WHERE contact_id = {id}")).await;
        for (place, state, claimed, read) in sent {
            exec(
                store,
                format!(
                    "INSERT INTO sends (campaign_id, contact_id, number_id, state, claimed_at, read_at)
                 VALUES ({}, {id}, {}, {state}, {}, {})",
                    ids[place],
                    shop.numbers[0],
                    or_null(claimed.map(|at| at.to_string())),
                    or_null(read.map(|at| at.to_string()))
                ),
            )
            .await;
        }
        if let Some((at, is_answer)) = wrote {
            exec(
                store,
                format!(
                    "INSERT INTO inbound (wamid, account_id, contact_id, campaign_id, kind, detail, at, received_at)
                 VALUES ('w{id}', 1, {id}, {}, 'text', '{{}}', {at}, {at})",
                    or_null(is_answer.then(|| ids[0].to_string()))
                ),
            )
            .await;
        }
        if blocked {
            exec(
                store,
                format!("INSERT INTO suppressions (contact_id, scope, since, source) VALUES ({id}, 'all', 1, 'test')"),
            )
            .await;
        }
        if opted_out {
            let entry = crate::NewEntry { contact_id: Some(id), ..crate::testing::entry("opt-out", NOW) };
            store.append_entry(&entry).await.unwrap();
        }
    }
    list
}

async fn meant(store: &Store, list: i64, filter: &Filter) -> BTreeSet<i64> {
    let audience = store.audience_of(&[list], &[], Some(filter), NOW).await.unwrap();
    let page = store.audience_page(&audience, 0, PEOPLE + 1, Detail::Verdicts).await;
    let page = page.unwrap_or_else(|error| panic!("{filter}: {error:?}"));
    assert_eq!(page.len() as i64, PEOPLE);
    page.iter().filter(|person| person.barred() != Some(FILTERED_OUT)).map(|person| person.contact_id).collect()
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let texts: Vec<&str> =
        CITIES.iter().chain(&NUMBERS).chain(&DAYS).chain(&["ar", "Mona", "o", "2026", "8.5"]).copied().collect();
    let text = || prop::sample::select(texts.clone()).prop_map(str::to_owned);
    let bound = || text().prop_map(Bound);
    let test = prop_oneof![
        text().prop_map(Test::Equal),
        text().prop_map(Test::Different),
        bound().prop_map(Test::Below),
        bound().prop_map(Test::AtMost),
        bound().prop_map(Test::Above),
        bound().prop_map(Test::AtLeast),
        text().prop_map(Test::Contains),
        Just(Test::Empty),
        prop::collection::vec(text(), 1..4).prop_map(Test::OneOf),
    ];
    let column = prop::sample::select(vec!["city", "points", "day", "name", "language", ODD, "nope"]);
    let name = prop::sample::select(vec!["spring", "summer", "long ago", "now", "no such"]).prop_map(str::to_owned);
    let country = prop::sample::select(vec!["EG", "SA", "US", "CA", "GB"]).prop_map(|code| code.parse().unwrap());
    let zone = prop::sample::select(vec![Tz::Africa__Cairo, Tz::Asia__Riyadh, Tz::America__New_York]);
    let leaf = prop_oneof![
        4 => (column, test).prop_map(|(column, test)| Filter::Has(Condition { column: column.to_owned(), test })),
        1 => (1..60_u32).prop_map(Filter::MessagedWithinDays),
        1 => name.clone().prop_map(Filter::ReadCampaign),
        1 => Just(Filter::ReadLastCampaign),
        1 => prop::option::of(1..40_u32).prop_map(Filter::Replied),
        1 => name.prop_map(Filter::RepliedTo),
        1 => (0..40_i64).prop_map(|days| Filter::JoinedSince(NOW - days * DAY)),
        1 => Just(Filter::EverOptedOut),
        1 => prop::collection::vec(country, 1..3).prop_map(Filter::Country),
        1 => prop::collection::vec(zone, 1..3).prop_map(Filter::TimeZone),
    ];
    leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::Any),
            inner.prop_map(|part| Filter::Not(Box::new(part))),
        ]
    })
}

on_both_databases! {
    async fn the_database_means_exactly_whom_the_filter_means(db: Database) {
        let list = write_down(&db.store).await;
        let people: Vec<Made> = (1..=PEOPLE).map(made).collect();
        let mut runner = TestRunner::deterministic();
        let (mut some, mut history) = (0, 0);
        for _ in 0..400 {
            let filter = any_filter().new_tree(&mut runner).unwrap().current();
            let wanted: BTreeSet<i64> =
                people.iter().filter(|person| filter.matches(*person)).map(|person| person.id).collect();
            assert_eq!(meant(&db.store, list, &filter).await, wanted, "{filter}");
            let is_some = !wanted.is_empty() && (wanted.len() as i64) < PEOPLE;
            some += i32::from(is_some);
            history += i32::from(is_some && filter.rests_on_history());
        }
        assert!(some > 150 && history > 50, "too few filters tell people apart: {some}, {history}");
    }

    async fn each_kind_of_question_finds_some_and_not_all(db: Database) {
        let list = write_down(&db.store).await;
        for text in [
            "city = Cairo", "city in (Cairo, القاهرة)", "points >= 9", "day < 2026-02-01", "name is empty",
            "language = ar", "city contains Giza", "country in (EG, CA)", "time zone = Africa/Cairo",
            "messaged within 30 days", "read campaign spring", "read last campaign", "replied", "replied within 20 days",
            "replied to campaign spring", "never opted out", "country = EG and not messaged within 30 days",
        ] {
            let filter: Filter = text.parse().unwrap();
            let found = meant(&db.store, list, &filter).await.len() as i64;
            assert!(found > 0 && found < PEOPLE, "{text}: {found}");
        }
    }

    async fn values_are_never_part_of_the_statement(db: Database) {
        let list = write_down(&db.store).await;
        let evil = "x') OR 1=1 --\" $1 ?1 %s";
        let text = evil.replace('\\', "\\\\").replace('"', "\\\"");
        let filter: Filter = format!("\"{text}\" = \"{text}\" or city in (\"{text}\") or read campaign \"{text}\" or city > \"{text}\"").parse().unwrap();
        assert!(meant(&db.store, list, &filter).await.len() < PEOPLE as usize);
        let mut link = db.store.read().await.unwrap();
        let asked = ask(&mut link, &filter, &[list], NOW, 4).await.unwrap();
        assert!(!asked.column().contains("OR 1=1"), "{}", asked.column());
    }

    async fn what_leaves_after_the_moment_changes_nobody(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let list = shop.list("all", 1..=10, NOW - 1).await;
        let campaign = shop.campaign("running", &[list]).await;
        exec(&db.store, "UPDATE campaigns SET started_at = 1").await;
        let filter: Filter = "not messaged within 30 days".parse().unwrap();
        let audience = db.store.audience_of(&[list], &[], Some(&filter), NOW).await.unwrap();
        let marks = db.store.history_marks().await.unwrap();
        let lane = shop.lane().await;
        let batch = lane.batch(campaign, 100).await;
        lane.try_claim(&batch, 3, NOW + 1).await;
        let page = db.store.audience_page(&audience, 0, 100, Detail::Verdicts).await.unwrap();
        assert!(page.iter().all(|person| person.barred().is_none()));
        assert_ne!(db.store.history_marks().await.unwrap(), marks);
        let later = db.store.audience_of(&[list], &[], Some(&filter), NOW + 1).await.unwrap();
        let page = db.store.audience_page(&later, 0, 100, Detail::Verdicts).await.unwrap();
        assert_eq!(page.iter().filter(|person| person.barred() == Some(FILTERED_OUT)).count(), 3);
    }

    async fn a_filter_comes_after_an_excluded_list_and_before_an_opt_out(db: Database) {
        let list = write_down(&db.store).await;
        let out = db.store.ensure_list("out", NOW).await.unwrap();
        exec(&db.store, format!("INSERT INTO list_members (list_id, contact_id, added_at) VALUES ({out}, 1, 1)")).await;
        let nobody: Filter = "nobody".parse().unwrap();
        let audience = db.store.audience_of(&[list], &[out], Some(&nobody), NOW).await.unwrap();
        let page = db.store.audience_page(&audience, 0, 11, Detail::Verdicts).await.unwrap();
        assert_eq!((page[0].barred(), page[10].barred()), (Some(EXCLUDED_LIST), Some(FILTERED_OUT)));
        let everyone = db.store.audience_of(&[list], &[out], None, NOW).await.unwrap();
        let page = db.store.audience_page(&everyone, 0, 11, Detail::Verdicts).await.unwrap();
        assert_eq!((page[0].barred(), page[10].barred()), (Some(EXCLUDED_LIST), Some(OPTED_OUT)));
    }
}
