use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_795_305_600_000;
const EGYPT: i64 = 201_005_550_001;
const FRANCE: i64 = 33_612_345_678;
const GERMANY: i64 = 4_915_112_345_678;

fn row(contact_id: i64, state: SendState) -> ReportRow {
    ReportRow {
        contact_id,
        state: state as i16,
        attempt: 1,
        accepted_at: None,
        sent_at: None,
        delivered_at: None,
        read_at: None,
        code: None,
        reason: None,
        billed: None,
        phone: Some(EGYPT),
        opted_out_at: None,
    }
}

fn delivered(contact_id: i64, category: domain::pricing::BilledAs, billable: bool) -> ReportRow {
    ReportRow {
        accepted_at: Some(NOW),
        delivered_at: Some(NOW),
        billed: Some(Billed { category, billable }.code()),
        ..row(contact_id, SendState::Delivered)
    }
}

fn reply(contact_id: i64, kind: &str, detail: serde_json::Value) -> CampaignReply {
    CampaignReply { contact_id, kind: kind.to_owned(), detail: detail.to_string(), at: NOW }
}

fn counted(page: &[ReportRow], replies: &[CampaignReply]) -> Sums {
    let cards = Cards::shipped().unwrap();
    let mut counting = Counting::new(&cards, Tz::Africa__Cairo, NOW);
    counting.take(page, replies);
    counting.end()
}

#[test]
fn what_meta_bills_is_what_was_delivered_and_called_billable() {
    use domain::pricing::BilledAs::{Marketing, Service, Utility};
    let page = [
        delivered(1, Marketing, true),
        delivered(2, Marketing, true),
        delivered(3, Utility, true),
        delivered(4, Service, false),
        // Sent and never delivered, and failed after it was sent: both are free.
        ReportRow { state: SendState::Sent as i16, ..delivered(5, Marketing, true) },
        ReportRow { state: SendState::Failed as i16, code: Some(131_026), ..delivered(6, Marketing, true) },
        // Nothing was said of the price; and a market that the card does not have.
        ReportRow { billed: None, ..delivered(7, Marketing, true) },
        ReportRow { phone: Some(FRANCE), ..delivered(8, Marketing, true) },
        ReportRow { phone: Some(GERMANY), ..delivered(9, Marketing, true) },
    ];
    let sums = counted(&page, &[]);
    let told: Vec<_> = sums
        .costs
        .iter()
        .map(|row| (row.market.as_str(), row.category.as_str(), row.billable, row.messages, row.micros))
        .collect();
    assert_eq!(
        told,
        [
            ("Egypt", "marketing", true, 2, Some(128_800)),
            ("Egypt", "utility", true, 1, Some(3_600)),
            ("Egypt", "service", false, 1, Some(0)),
            ("France", "marketing", true, 1, None),
            ("Germany", "marketing", true, 1, Some(136_500)),
        ]
    );
    assert_eq!((sums.unsaid, sums.failures.get("131026")), (1, Some(&1)));
}

#[test]
fn taps_are_counted_by_button_and_by_person_and_a_reply_once() {
    let stop = domain::payload::encode(7, 1, domain::payload::Intent::OptOut);
    let page = [row(1, SendState::Read), row(2, SendState::Read), row(3, SendState::Read)];
    let replies = [
        reply(1, "button", serde_json::json!({"payload": stop, "text": "Stop promotions"})),
        reply(1, "button", serde_json::json!({"payload": stop, "text": "Stop promotions"})),
        reply(1, "text", serde_json::json!({"body": "please"})),
        reply(3, "button", serde_json::json!({"payload": "Yes", "text": "Yes"})),
    ];
    let sums = counted(&page, &replies);
    assert_eq!(sums.funnel.replied, 2);
    let stops = Tap { label: "Stop promotions".to_owned(), stops: true, taps: 2, people: 1 };
    let yes = Tap { label: "Yes".to_owned(), stops: false, taps: 1, people: 1 };
    assert_eq!(sums.taps, BTreeMap::from([("1".to_owned(), stops), ("text:Yes".to_owned(), yes)]));
}

#[test]
fn hours_are_those_of_the_campaigns_zone() {
    // 2026-11-22T00:00Z is two in the morning in Cairo.
    let late = ReportRow { read_at: Some(NOW + 3_600_000), ..delivered(1, domain::pricing::BilledAs::Utility, true) };
    let sums = counted(&[late], &[]);
    assert_eq!(sums.hours, [("2026-11-22T02:00".to_owned(), [1, 1, 0]), ("2026-11-22T03:00".to_owned(), [0, 0, 1])]);
}

fn any_row() -> impl Strategy<Value = ReportRow> {
    let time = || proptest::option::of(NOW - 90_000_000..NOW);
    let phone = proptest::option::of(prop_oneof![Just(EGYPT), Just(FRANCE), Just(GERMANY), Just(5_i64)]);
    let times = (time(), time(), time(), time());
    (0_i16..9, 0_i64..3, times, proptest::option::of(0_i16..17), phone, any::<bool>()).prop_map(
        |(state, attempt, (accepted_at, sent_at, delivered_at, read_at), billed, phone, stopped)| ReportRow {
            state,
            attempt,
            accepted_at,
            sent_at,
            delivered_at,
            read_at,
            billed,
            phone,
            opted_out_at: stopped.then_some(NOW),
            ..row(0, SendState::Planned)
        },
    )
}

proptest! {
    #[test]
    fn the_sums_add_up(rows in proptest::collection::vec(any_row(), 0..60), cut in 0_usize..60) {
        let rows: Vec<ReportRow> = rows.into_iter().zip(1..).map(|(row, contact_id)| ReportRow { contact_id, ..row }).collect();
        let sums = counted(&rows, &[]);
        let funnel = sums.funnel;
        let of = |get: fn(&Place) -> i64| sums.countries.values().map(get).sum::<i64>();
        prop_assert_eq!(funnel.planned + funnel.skipped, rows.len() as i64);
        prop_assert_eq!(of(|place| place.people), funnel.planned);
        prop_assert_eq!(of(|place| place.accepted), funnel.accepted);
        prop_assert_eq!(of(|place| place.delivered), funnel.delivered);
        prop_assert_eq!(of(|place| place.read), funnel.read);
        prop_assert_eq!(of(|place| place.failed), funnel.failed);
        prop_assert_eq!(of(|place| place.opted_out), funnel.opted_out);
        prop_assert_eq!(sums.failures.values().sum::<i64>(), funnel.failed);
        // Each delivered message is billed, free, or nothing was said of it.
        prop_assert_eq!(sums.costs.iter().map(|row| row.messages).sum::<i64>() + sums.unsaid, funnel.delivered);
        prop_assert!(funnel.read <= funnel.delivered && funnel.delivered <= funnel.sent);
        prop_assert!(funnel.sent <= funnel.accepted && funnel.accepted <= funnel.planned);
        // In pages it comes to the same, and what is kept is read back.
        let (first, second) = rows.split_at(cut.min(rows.len()));
        let cards = Cards::shipped().unwrap();
        let mut counting = Counting::new(&cards, Tz::Africa__Cairo, NOW);
        counting.take(first, &[]);
        counting.take(second, &[]);
        let paged = counting.end();
        prop_assert_eq!(serde_json::from_str::<Sums>(&serde_json::to_string(&paged).unwrap()).unwrap(), sums);
    }
}
