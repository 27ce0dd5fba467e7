use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::fixture::{Lane, NOW, Shop, assert_tallied, exec, ids, made, number_of};
use crate::testing::{Database, on_both_databases};
use crate::{BatchKind, Claim, SETTLED_BY_HAND};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// What left, as whoever receives it sees it: when, and to whom.
#[derive(Default)]
struct Arrived(Vec<(i64, i64)>);

impl Arrived {
    /// The most distinct people in any 24 hours, counted by nothing but what arrived.
    fn most_in_a_day(&self) -> usize {
        let within = |end: i64| self.0.iter().filter(move |(at, _)| *at <= end && *at > end - DAY);
        let people = |end: i64| within(end).map(|(_, person)| *person).collect::<BTreeSet<_>>().len();
        self.0.iter().map(|(at, _)| people(*at)).max().unwrap_or(0)
    }
}

/// Claims all it can of a campaign on a lane, group by group. Whom, and when it may go on if it had to stop.
async fn claim_all(lane: &Lane, campaign: i64, group: usize, now: i64) -> (Vec<i64>, Option<i64>) {
    let mut people = Vec::new();
    loop {
        let batches = lane.store.lane_batches(lane.number).await.unwrap();
        let open = batches.into_iter().find(|batch| batch.campaign_id == campaign);
        let batch = match open {
            Some(batch) => batch,
            None => match lane.store.next_batch(campaign, lane.number, 40, now).await.unwrap() {
                Some(batch) => batch,
                None => match lane.store.due_batch(campaign, lane.number, now).await.unwrap() {
                    Some(batch) => batch,
                    None => return (people, None),
                },
            },
        };
        match lane.try_claim(&batch, group, now).await {
            // A batch of what is due may find that nothing is.
            Claim::Made { sends, .. } if sends.is_empty() && matches!(batch.kind(), Ok(BatchKind::Due)) => {
                return (people, None);
            }
            Claim::Made { sends, .. } => people.extend(ids(&sends)),
            Claim::Halted(Halt::LimitReached { free_at, .. }) => return (people, Some(free_at)),
            Claim::Halted(halt) => panic!("halted: {halt:?}"),
        }
    }
}

async fn tell(store: &Store, key: (i64, i64), attempt: i64, event: SendEvent, now: i64) {
    let happening = Happening { not_before: Some(now), ..Happening::new(key, Some(attempt), event, now) };
    store.apply(Priority::Urgent, &[happening]).await.unwrap();
}

/// The books of the limit against a count of the rows.
async fn assert_counted(store: &Store) {
    let off = "SELECT count(*) FROM portfolios p
        WHERE p.used <> (SELECT count(*) FROM reached r WHERE r.portfolio = p.name)";
    assert_eq!(number_of(store, off).await, 0, "portfolios whose count is not their rows");
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

on_both_databases! {
    async fn three_hundred_people_on_a_limit_of_a_hundred_are_reached_on_days_0_1_and_2(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        shop.limit(Some(100), NOW).await;
        let campaign = shop.campaign_to(300).await;
        let lanes = [shop.lane().await, Lane::take(&db.store, shop.numbers[1], "two").await];
        let mut arrived = Arrived::default();
        let mut days: BTreeMap<i64, usize> = BTreeMap::new();
        let mut now = NOW;
        while arrived.0.len() < 300 {
            // Ten an hour on each lane at the most, as a slow pace would.
            let mut wait = None;
            for lane in &lanes {
                let (people, free_at) = claim_all(lane, campaign, 7, now).await;
                for person in people {
                    arrived.0.push((now + 20_000, person));
                    *days.entry((now - NOW) / DAY).or_default() += 1;
                    tell(&db.store, (campaign, person), 1, SendEvent::Accepted, now + 20_000).await;
                }
                wait = wait.max(free_at);
            }
            if let Some(free_at) = wait {
                assert!(free_at > now && free_at <= now + DAY + SLACK, "{}", free_at - now);
                let limit = db.store.limit_of(shop.numbers[0], now).await.unwrap().unwrap();
                assert_eq!((limit.room(), limit.free_at), (0, Some(free_at)));
                // A moment too early nothing is free.
                assert!(claim_all(&lanes[0], campaign, 7, free_at - 1).await.0.is_empty());
                now = free_at;
            } else {
                now += HOUR;
            }
        }
        assert_eq!(days, BTreeMap::from([(0, 100), (1, 100), (2, 100)]));
        assert_eq!(arrived.most_in_a_day(), 100);
        assert_counted(&db.store).await;
        assert_tallied(&db.store, campaign).await;
    }

    async fn whatever_comes_no_moving_day_holds_more_people_than_the_limit(db: Database) {
        for seed in 0..6 {
            let name = format!("seed {seed}");
            let shop = if seed == 0 { Shop::open(&db.store, 2).await } else { again(&db.store).await };
            // What the earlier rounds did is long ago.
            let began = NOW + seed * 100 * DAY;
            let most = 5 + seed * 3;
            shop.limit(Some(most), began).await;
            let list = shop.list(&name, 1 + seed * 100..=60 + seed * 100, NOW - 1).await;
            let both = [shop.campaign(&format!("{name} a"), &[list]).await, shop.campaign(&format!("{name} b"), &[list]).await];
            let lanes = [
                Lane::take(&db.store, shop.numbers[0], &name).await,
                Lane::take(&db.store, shop.numbers[1], &name).await,
            ];
            let mut dice = Dice(u64::try_from(seed).unwrap() + 7);
            let mut arrived = Arrived::default();
            let mut now = began;
            for _ in 0..40 {
                now += i64::try_from(dice.below(5 * 3_600_000)).unwrap();
                let lane = &lanes[usize::try_from(dice.below(2)).unwrap()];
                let campaign = both[usize::try_from(dice.below(2)).unwrap()];
                let group = 1 + usize::try_from(dice.below(9)).unwrap();
                let (people, _) = claim_all(lane, campaign, group, now).await;
                for person in people {
                    let row = db.store.send((campaign, person)).await.unwrap().unwrap();
                    let late = i64::try_from(dice.below(30_000)).unwrap();
                    let key = (campaign, person);
                    match dice.below(8) {
                        0 => tell(&db.store, key, row.attempt, SendEvent::NotPosted { back_to_planned: true }, now).await,
                        1 => tell(&db.store, key, row.attempt, SendEvent::Refused { later: true }, now).await,
                        2 => tell(&db.store, key, row.attempt, SendEvent::Refused { later: false }, now).await,
                        3 => {
                            // Nobody knows; a person says that it was not sent, which need not be so.
                            tell(&db.store, key, row.attempt, SendEvent::Unknown, now).await;
                            let settled = SendEvent::SettledNotSent { replan: false };
                            let reason = Some(SETTLED_BY_HAND.to_owned());
                            let said = Happening { reason, ..Happening::new(key, None, settled, now) };
                            db.store.apply(Priority::Urgent, &[said]).await.unwrap();
                            arrived.0.push((now + late, person));
                        }
                        _ => {
                            tell(&db.store, key, row.attempt, SendEvent::Accepted, now + late).await;
                            arrived.0.push((now + late, person));
                        }
                    }
                }
                assert_counted(&db.store).await;
            }
            let in_a_day = i64::try_from(arrived.most_in_a_day()).unwrap();
            assert!(in_a_day <= most, "seed {seed}: {in_a_day} people in a day, and {most} are allowed");
            assert!(in_a_day > most / 2, "seed {seed}: {in_a_day} of {most} is no use of the limit");
        }
    }

    async fn two_lanes_that_claim_at_the_same_time_share_the_places(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        shop.limit(Some(50), NOW).await;
        let campaign = shop.campaign_to(400).await;
        let other = db.second_handle().await;
        let one = shop.lane().await;
        let two = Lane { store: other.clone(), ..Lane::take(&db.store, shop.numbers[1], "two").await };
        let (a, b) = tokio::join!(claim_all(&one, campaign, 3, NOW), claim_all(&two, campaign, 3, NOW));
        let people: BTreeSet<i64> = a.0.iter().chain(&b.0).copied().collect();
        assert_eq!((people.len(), a.0.len() + b.0.len()), (50, 50));
        assert_eq!((a.1, b.1), (Some(NOW + WINDOW), Some(NOW + WINDOW)));
        assert_counted(&db.store).await;
        assert_tallied(&db.store, campaign).await;
    }

    async fn somebody_reached_today_takes_no_second_place_and_keeps_the_first_for_longer(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        shop.limit(Some(4), NOW).await;
        let list = shop.list("all", 1..=6, NOW - 1).await;
        let (one, two) = (shop.campaign("one", &[list]).await, shop.campaign("two", &[list]).await);
        let lane = shop.lane().await;
        assert_eq!(claim_all(&lane, one, 9, NOW).await, (vec![1, 2, 3, 4], Some(NOW + WINDOW)));
        // The other campaign goes on to the same people, and stops at the first new one.
        assert_eq!(claim_all(&lane, two, 2, NOW + HOUR).await, (vec![1, 2, 3, 4], Some(NOW + HOUR + WINDOW)));
        // They were written to an hour later again.
        assert_eq!(claim_all(&lane, one, 9, NOW + WINDOW).await.0, Vec::<i64>::new());
        assert_eq!(claim_all(&lane, one, 9, NOW + HOUR + WINDOW).await, (vec![5, 6], None));
        assert_counted(&db.store).await;
    }

    async fn a_place_is_free_again_when_its_message_reached_nobody_and_stays_taken_in_doubt(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        shop.limit(Some(4), NOW).await;
        let campaign = shop.campaign_to(20).await;
        let lane = shop.lane().await;
        let room = async || db.store.limit_of(shop.numbers[0], NOW).await.unwrap().unwrap().room();
        assert_eq!(claim_all(&lane, campaign, 9, NOW).await.0, [1, 2, 3, 4]);
        tell(&db.store, (campaign, 1), 1, SendEvent::Unknown, NOW).await;
        assert_eq!(room().await, 0, "nobody knows that it did not go out");
        tell(&db.store, (campaign, 2), 1, SendEvent::NotPosted { back_to_planned: false }, NOW).await;
        tell(&db.store, (campaign, 3), 1, SendEvent::Refused { later: false }, NOW).await;
        tell(&db.store, (campaign, 4), 1, SendEvent::Accepted, NOW).await;
        assert_eq!(room().await, 2);
        let failed = SendEvent::Status(Status::Failed { later: false }, domain::send::Current::Yes);
        tell(&db.store, (campaign, 4), 1, failed, NOW).await;
        tell(&db.store, (campaign, 4), 1, failed, NOW).await;
        assert_eq!(room().await, 3, "said twice, given back once");
        assert_eq!(claim_all(&lane, campaign, 9, NOW).await.0, [5, 6, 7]);
        tell(&db.store, (campaign, 1), 1, SendEvent::Refused { later: false }, NOW).await;
        assert_eq!(room().await, 1, "the doubt was settled by its late answer");
        assert_counted(&db.store).await;
    }

    async fn a_limit_that_comes_later_counts_whom_the_last_day_reached_before_anything_goes(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(60).await;
        let lane = shop.lane().await;
        let batch = lane.batch(campaign, 60).await;
        let early = made(lane.try_claim(&batch, 8, NOW - 2 * DAY).await);
        let late = made(lane.try_claim(&batch, 10, NOW).await);
        for send in early.iter().chain(&late) {
            tell(&db.store, (campaign, send.contact_id), 1, SendEvent::Accepted, NOW).await;
        }
        assert_eq!(number_of(&db.store, "SELECT count(*) FROM reached").await, 0, "nothing is written without a limit");
        assert_eq!(db.store.limit_of(shop.numbers[0], NOW).await.unwrap(), None);

        shop.sync_limit(Some(15), NOW + HOUR).await;
        let halted = lane.try_claim(&batch, 9, NOW + HOUR).await;
        assert!(matches!(halted, Claim::Halted(Halt::LimitUncounted { people: 15 })), "{halted:?}");
        db.store.count_reached(shop.account, NOW + HOUR).await.unwrap();
        let limit = db.store.limit_of(shop.numbers[0], NOW + HOUR).await.unwrap().unwrap();
        assert_eq!((limit.used, limit.room(), limit.counted), (10, 5, true));
        assert_eq!(made(lane.try_claim(&batch, 9, NOW + HOUR).await).len(), 5);

        // A higher limit opens places at once; none at all lets everything go, and forgets that it ever counted.
        shop.sync_limit(Some(18), NOW + HOUR).await;
        assert_eq!(made(lane.try_claim(&batch, 9, NOW + HOUR).await).len(), 3);
        shop.sync_limit(None, NOW + HOUR).await;
        assert_eq!(made(lane.try_claim(&batch, 9, NOW + HOUR).await).len(), 9);
        shop.limit(Some(30), NOW + HOUR).await;
        let limit = db.store.limit_of(shop.numbers[0], NOW + HOUR).await.unwrap().unwrap();
        assert_eq!((limit.used, limit.room()), (27, 3));
        assert_counted(&db.store).await;
    }

    async fn a_claim_without_a_limit_does_not_touch_the_limits_tables(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        shop.limit(None, NOW).await;
        let campaign = shop.campaign_to(20).await;
        let lane = shop.lane().await;
        let batch = lane.batch(campaign, 20).await;
        exec(&db.store, "DROP TABLE reached").await;
        exec(&db.store, "DROP TABLE portfolios").await;
        assert_eq!(made(lane.try_claim(&batch, 20, NOW).await).len(), 20);
    }

    async fn accounts_of_one_portfolio_share_its_lowest_limit_and_others_do_not(db: Database) {
        let account = async |name: &str, portfolio: Option<&str>| {
            let new = crate::NewAccount {
                name, waba_id: name, portfolio, access_token: b"t", app_secret: b"s", verify_token: b"v", now: 1,
            };
            db.store.add_account(new).await.unwrap();
            db.store.account_named(name).await.unwrap().unwrap().id
        };
        let number = |id: &str, limit: &str| {
            crate::SyncedNumber { messaging_limit: limit.into(), ..crate::fixture::number(id) }
        };
        let (a, b, alone) = (account("a", Some("77")).await, account("b", Some("77")).await, account("c", None).await);
        db.store.sync_numbers(a, &[number("1", "10000"), number("2", "")], NOW).await.unwrap();
        db.store.sync_numbers(b, &[number("3", "2000")], NOW).await.unwrap();
        db.store.sync_numbers(alone, &[number("4", "TIER_SOME"), number("5", "UNLIMITED")], NOW).await.unwrap();
        let people = async |number: &str| {
            let id = db.store.number_of_meta(number).await.unwrap().unwrap().id;
            let limit = db.store.limit_of(id, NOW).await.unwrap().map(|limit| limit.people);
            let column = number_of(&db.store, format!("SELECT coalesce(people_limit, -1) FROM numbers WHERE id = {id}")).await;
            assert_eq!(limit.unwrap_or(-1), column, "number {number}");
            limit
        };
        for (number, expected) in [("1", Some(2_000)), ("2", Some(2_000)), ("3", Some(2_000)), ("4", None), ("5", None)] {
            assert_eq!(people(number).await, expected, "number {number}");
        }
        db.store.sync_numbers(b, &[], NOW).await.unwrap();
        assert_eq!(people("1").await, Some(10_000), "a number that is gone says nothing");
    }
}

/// The shop that is there already.
async fn again(store: &Store) -> Shop {
    let account = store.account_named("shop").await.unwrap().unwrap().id;
    let numbers = store.numbers().await.unwrap().into_iter().map(|number| number.id).collect();
    let template = store.templates().await.unwrap()[0].id;
    Shop { store: store.clone(), account, template, numbers }
}
