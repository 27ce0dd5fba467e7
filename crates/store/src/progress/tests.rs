use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use domain::send::Current;

use crate::SETTLED_BY_HAND;
use crate::fixture::{NOW, Shop, assert_tallied, exec, sends};
use crate::testing::{Database, on_both_databases};

const PEOPLE: i64 = 400;

/// A row as most stand, or as it may stand, or may not: the columns that a status looks at, by chance.
fn some_row(random: &mut StdRng) -> String {
    let is_common = random.random_bool(0.6);
    let mut text = |usual: &[&str], others: &[&str]| {
        let choices = [usual, if is_common { &[] } else { others }].concat();
        choices[random.random_range(0..choices.len())].to_owned()
    };
    let by_hand = format!("'{SETTLED_BY_HAND}'");
    let columns = [
        ("state", text(&["3", "4", "5", "6"], &["0", "1", "2", "3", "7", "8"])),
        ("attempt", text(&["1"], &["2"])),
        ("held", text(&["FALSE", "FALSE"], &["TRUE"])),
        ("expired", text(&["FALSE", "FALSE"], &["TRUE"])),
        ("wamid", text(&["'wamid.A'", "'wamid.A'"], &["NULL"])),
        ("code", text(&["NULL", "NULL"], &["131026"])),
        ("reason", text(&["NULL", "NULL"], &[&by_hand, "'lost'"])),
        ("failed_at", text(&["NULL", "NULL"], &["5"])),
        ("accepted_at", text(&["NULL", "1000", "3000"], &[])),
        ("sent_at", text(&["NULL", "1000", "3000"], &[])),
        ("delivered_at", text(&["NULL", "NULL", "3000"], &[])),
        ("read_at", text(&["NULL", "NULL", "3000"], &[])),
        ("billed", text(&["NULL", "NULL", "3", "6"], &[])),
    ];
    columns.map(|(column, value)| format!("{column} = {value}")).join(", ")
}

fn some_statuses(random: &mut StdRng, contact_id: i64) -> Vec<Happening> {
    let count = random.random_range(0..5);
    let mut statuses = Vec::new();
    for _ in 0..count {
        let kinds = [Status::Sent, Status::Sent, Status::Delivered, Status::Delivered, Status::Read, Status::Read];
        let status = match random.random_range(0..14) {
            12 => Status::Failed { later: true },
            13 => Status::Failed { later: false },
            other => kinds[other % kinds.len()],
        };
        let attempt = [1, 1, 1, 1, 1, 2][random.random_range(0..6)];
        let event = SendEvent::Status(status, Current::Yes);
        let mut happening = Happening::new((0, contact_id), Some(attempt), event, random.random_range(0..5_000));
        happening.wamid = Some("wamid.A".to_owned());
        happening.billed = [None, None, Some(2), Some(3), Some(7)][random.random_range(0..5)];
        statuses.push(happening);
    }
    statuses
}

fn of_campaign(campaign_id: i64, happenings: &[Happening]) -> Vec<Happening> {
    happenings.iter().map(|happening| Happening { campaign_id, ..happening.clone() }).collect()
}

async fn rows(store: &Store, campaign: i64) -> Vec<String> {
    let rows = sends(store).await.into_iter().filter(|row| row.campaign_id == campaign);
    rows.map(|row| serde_json::to_string(&crate::SendRow { campaign_id: 0, ..row }).unwrap()).collect()
}

on_both_databases! {
    async fn the_short_way_and_the_rest_leave_what_the_state_machine_leaves(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        let list = shop.list("everybody", 1..=PEOPLE, NOW - 1).await;
        let (short, long) = (shop.campaign("short", &[list]).await, shop.campaign("long", &[list]).await);
        let mut random = StdRng::seed_from_u64(20_261_122);
        let mut statuses = Vec::new();
        for person in 1..=PEOPLE {
            exec(&db.store, format!("UPDATE sends SET {} WHERE contact_id = {person}", some_row(&mut random))).await;
            statuses.extend(some_statuses(&mut random, person));
        }
        for campaign in [short, long] {
            db.store.heal_tallies(campaign).await.unwrap();
        }
        // As they come: those of many sends mixed up, each send's in their order.
        for group in statuses.chunks(300) {
            let told = of_campaign(short, group);
            let left = db.store.apply_progress(Priority::Urgent, &told).await.unwrap();
            assert!(left.len() > 20 && left.len() < group.len() - 20, "both ways are taken: {} left", left.len());
            let left: Vec<Happening> = left.into_iter().map(|place| told[place].clone()).collect();
            db.store.apply(Priority::Urgent, &left).await.unwrap();
            db.store.apply(Priority::Urgent, &of_campaign(long, group)).await.unwrap();
        }
        assert_eq!(rows(&db.store, short).await, rows(&db.store, long).await);
        for campaign in [short, long] {
            assert_tallied(&db.store, campaign).await;
        }
        assert_eq!(db.store.tally(short).await.unwrap(), db.store.tally(long).await.unwrap());
    }

    async fn all_that_a_group_says_of_a_send_is_one_step_and_a_repetition_changes_nothing(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(200).await;
        let lane = shop.lane().await;
        let claimed = lane.claim(campaign, 200).await;
        let accepted: Vec<Happening> = claimed
            .iter()
            .map(|send| {
                let mut happening =
                    Happening::new((campaign, send.contact_id), Some(send.attempt), SendEvent::Accepted, NOW);
                happening.wamid = Some(format!("wamid.{}", send.contact_id));
                happening
            })
            .collect();
        db.store.apply(Priority::Urgent, &accepted).await.unwrap();
        let told: Vec<Happening> = [Status::Read, Status::Sent, Status::Delivered]
            .into_iter()
            .flat_map(|status| {
                claimed.iter().map(move |send| {
                    let event = SendEvent::Status(status, Current::Yes);
                    Happening::new((campaign, send.contact_id), Some(send.attempt), event, NOW + 5)
                })
            })
            .collect();
        for _ in 0..2 {
            assert!(db.store.apply_progress(Priority::Urgent, &told).await.unwrap().is_empty());
            let tally = db.store.tally(campaign).await.unwrap();
            assert_eq!((tally.accepted, tally.read), (0, 200));
            assert_tallied(&db.store, campaign).await;
        }
        let row = crate::fixture::send(&db.store, campaign, 7).await;
        assert_eq!((row.accepted_at, row.sent_at, row.read_at), (Some(NOW), Some(NOW + 5), Some(NOW + 5)));
    }
}

#[test]
fn the_states_on_the_short_way_climb_as_the_state_machine_does() {
    let states = [SendState::Accepted, SendState::Sent, SendState::Delivered, SendState::Read];
    for from in states {
        for status in [Status::Sent, Status::Delivered, Status::Read] {
            let told =
                Told::of(&Happening::new((1, 2), Some(1), SendEvent::Status(status, Current::Yes), NOW)).unwrap();
            let to = match from.next(&SendEvent::Status(status, Current::Yes)).unwrap() {
                domain::send::Step::To(to) => to,
                domain::send::Step::Stay => from,
            };
            assert_eq!((from as i16).max(told.state), to as i16, "{from} and {status:?}");
        }
    }
}
