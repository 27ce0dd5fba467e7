use domain::send::SendEvent;

use super::*;
use crate::fixture::{Lane, NOW, Shop, exec, ids, made, plan};
use crate::testing::{Database, on_both_databases};
use crate::{Claim, Detail, Happening};

const DAY: i64 = 24 * 3_600_000;

fn cap(text: &str) -> Option<FrequencyCap> {
    Some(text.parse().unwrap())
}

/// What a lane claims of a campaign at a time, in one go.
async fn claim(lane: &Lane, campaign: i64, now: i64) -> (Vec<i64>, usize) {
    let Some(batch) = lane.store.next_batch(campaign, lane.number, 100, now).await.unwrap() else {
        return (Vec::new(), 0);
    };
    match lane.store.claim(&lane.order(&batch, 0, 100, now)).await.unwrap() {
        Claim::Made { sends, skipped, .. } => (ids(&sends), skipped),
        Claim::Halted(halt) => panic!("halted: {halt:?}"),
    }
}

on_both_databases! {
    async fn a_person_who_has_had_as_many_as_the_house_allows_is_skipped_until_the_days_are_over(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let list = shop.list("all", 1..=4, NOW - 1).await;
        let lane = Lane::take(&db.store, shop.numbers[0], "one").await;
        // Planned while there was no cap: the claim alone keeps it.
        let planned = async |name: &str, house: &str| {
            db.store.set_house_frequency_cap(None).await.unwrap();
            let campaign = shop.campaign(name, &[list]).await;
            db.store.set_house_frequency_cap(cap(house)).await.unwrap();
            campaign
        };
        for (name, expected) in [("one", 4), ("two", 4), ("three", 0)] {
            let campaign = planned(name, "2/7d").await;
            let (claimed, skipped) = claim(&lane, campaign, NOW).await;
            assert_eq!((claimed.len(), skipped), (expected, 4 - expected), "{name}");
        }
        let third = db.store.campaign_named("three").await.unwrap().unwrap().id;
        let tally = db.store.tally(third).await.unwrap();
        assert_eq!((tally.skipped, tally.skipped_by_reason.get(FREQUENCY_CAP)), (4, Some(&4)));
        // Seven days later the first ones no longer count; nor does what failed, at any time.
        let later = planned("later", "2/7d").await;
        assert_eq!(claim(&lane, later, NOW + 7 * DAY + 1).await.0.len(), 4);
        exec(&db.store, format!("UPDATE sends SET state = 7 WHERE campaign_id = {later} AND contact_id <= 2")).await;
        let last = planned("last", "1/7d").await;
        assert_eq!(claim(&lane, last, NOW + 7 * DAY + 2).await, (vec![1, 2], 2));
    }

    async fn a_campaigns_own_cap_is_kept_beside_that_of_the_house_and_utility_messages_have_none(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let list = shop.list("all", 1..=3, NOW - 1).await;
        let lane = Lane::take(&db.store, shop.numbers[0], "one").await;
        db.store.set_house_frequency_cap(cap("5/7d")).await.unwrap();
        let first = shop.campaign("first", &[list]).await;
        assert_eq!(claim(&lane, first, NOW).await.0.len(), 3);
        let strict = shop.campaign("strict", &[list]).await;
        exec(&db.store, format!("UPDATE campaigns SET frequency_cap = '1/1d' WHERE id = {strict}")).await;
        assert_eq!(claim(&lane, strict, NOW + 1).await, (Vec::new(), 3));
        let notice = shop.campaign("notice", &[list]).await;
        db.store.keep_template(notice, r#"{"category":"UTILITY"}"#).await.unwrap();
        db.store.set_house_frequency_cap(cap("1/7d")).await.unwrap();
        assert!(db.store.frequency_caps(notice).await.unwrap().is_empty());
        assert_eq!(claim(&lane, notice, NOW + 2).await.0.len(), 3);
        // And what is no marketing counts for nobody else's cap.
        exec(&db.store, format!("UPDATE campaigns SET marketing = FALSE WHERE id = {first}")).await;
        let last = shop.campaign("last", &[list]).await;
        assert_eq!(claim(&lane, last, NOW + 3).await.0.len(), 3);
    }

    async fn the_page_of_an_audience_says_who_has_had_enough(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let (all, some) = (shop.list("all", 1..=6, NOW - 1).await, shop.list("some", 2..=4, NOW - 1).await);
        let lane = Lane::take(&db.store, shop.numbers[0], "one").await;
        let first = shop.campaign("first", &[some]).await;
        assert_eq!(claim(&lane, first, NOW).await.0.len(), 3);
        db.store.set_house_frequency_cap(cap("1/7d")).await.unwrap();
        let draft = shop.draft("draft", &[all], &[], &shop.numbers).await;
        for detail in [Detail::Verdicts, Detail::Fields] {
            let audience = db.store.audience(draft, NOW + 1).await.unwrap();
            let page = db.store.audience_page(&audience, 0, 100, detail).await.unwrap();
            let full: Vec<i64> =
                page.iter().filter(|one| one.barred() == Some(FREQUENCY_CAP)).map(|one| one.contact_id).collect();
            assert_eq!(full, [2, 3, 4]);
        }
        let audience = db.store.audience(draft, NOW + 8 * DAY).await.unwrap();
        let page = db.store.audience_page(&audience, 0, 100, Detail::Verdicts).await.unwrap();
        assert!(page.iter().all(|one| one.barred().is_none()));
    }

    async fn two_lanes_that_claim_for_the_same_people_at_once_never_send_one_too_many(db: Database) {
        const PEOPLE: i64 = 60;
        let shop = Shop::open(&db.store, 4).await;
        let list = shop.list("all", 1..=PEOPLE, NOW - 1).await;
        db.store.set_house_frequency_cap(cap("1/7d")).await.unwrap();
        let mut claimers = tokio::task::JoinSet::new();
        for (at, number) in shop.numbers.iter().enumerate() {
            // Each lane has a campaign of its own to everybody.
            let campaign = shop.draft(&format!("campaign {at}"), &[list], &[], &[*number]).await;
            shop.launch(campaign, NOW).await;
            plan(&db.store, campaign, 1_000, None).await;
            let lane = Lane::take(&db.second_handle().await, *number, &format!("lane {at}")).await;
            claimers.spawn(async move {
                let mut had = Vec::new();
                while let Some(batch) = lane.store.next_batch(campaign, lane.number, 10, NOW).await.unwrap() {
                    let sends = made(lane.store.claim(&lane.order(&batch, 0, 10, NOW)).await.unwrap());
                    for (place, send) in sends.iter().enumerate() {
                        // Wherever they come to by then, they count.
                        let event = if place % 2 == 0 { SendEvent::Accepted } else { SendEvent::Unknown };
                        let happening = Happening::new((campaign, send.contact_id), Some(send.attempt), event, NOW);
                        lane.store.apply(Priority::Urgent, &[happening]).await.unwrap();
                    }
                    had.extend(ids(&sends));
                }
                had
            });
        }
        let mut had: Vec<i64> = claimers.join_all().await.into_iter().flatten().collect();
        had.sort_unstable();
        assert_eq!(had, (1..=PEOPLE).collect::<Vec<_>>());
    }
}
