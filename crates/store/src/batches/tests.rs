use domain::campaign::CampaignEvent;
use domain::send::SendEvent;

use super::*;
use crate::Happening;
use crate::fixture::{NOW, Shop, exec, ids, made, number_of, plan, planned, verdicts};
use crate::planning::{Detail, PlanChunk};
use crate::testing::{Database, on_both_databases};

on_both_databases! {
    async fn batches_follow_each_other_without_gap_or_overlap_and_wait_for_the_planning(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let list = shop.list("all", 1..=10, NOW).await;
        let campaign = shop.draft("news", &[list], &[], &shop.numbers).await;
        shop.launch(campaign, NOW).await;
        let number = shop.numbers[0];
        assert!(db.store.next_batch(campaign, number, 3, NOW).await.unwrap().is_none());
        let chunk = PlanChunk { campaign_id: campaign, after: 0, through: 4, last: false, people: &planned(1..=4) };
        assert!(db.store.plan_chunk(&chunk).await.unwrap().is_some());
        let mut ranges = Vec::new();
        while let Some(batch) = db.store.next_batch(campaign, number, 3, NOW).await.unwrap() {
            ranges.push((batch.lo, batch.hi));
        }
        plan(&db.store, campaign, 100, None).await;
        while let Some(batch) = db.store.next_batch(campaign, number, 3, NOW).await.unwrap() {
            ranges.push((batch.lo, batch.hi));
        }
        assert_eq!(ranges, [(1, 3), (4, 4), (5, 7), (8, 10)]);
        let lane = &db.store.feedable().await.unwrap()[0];
        assert_eq!((lane.fresh_open, lane.due_open, lane.open, lane.planned), (4, 0, 10, true));
        assert_eq!(db.store.queued(campaign).await.unwrap(), 10);
    }

    async fn a_feeder_at_the_end_does_not_look_through_what_it_passed_again(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let (all, out) = (shop.list("all", 1..=100, NOW).await, shop.list("out", 11..=100, NOW).await);
        let campaign = shop.draft("news", &[all], &[out], &shop.numbers).await;
        shop.launch(campaign, NOW).await;
        let number = shop.numbers[0];
        let audience = db.store.audience(campaign, NOW).await.unwrap();
        let people = verdicts(&db.store.audience_page(&audience, 0, 50, Detail::Verdicts).await.unwrap(), None);
        let chunk = PlanChunk { campaign_id: campaign, after: 0, through: 50, last: false, people: &people };
        assert!(db.store.plan_chunk(&chunk).await.unwrap().is_some());
        assert!(db.store.next_batch(campaign, number, 100, NOW).await.unwrap().is_some());
        assert!(db.store.next_batch(campaign, number, 100, NOW).await.unwrap().is_none());
        let fed = "SELECT fed_through FROM campaign_numbers";
        assert_eq!(number_of(&db.store, fed).await, 50, "the forty who are skipped are behind it");
        plan(&db.store, campaign, 100, None).await;
        assert!(db.store.next_batch(campaign, number, 100, NOW).await.unwrap().is_none());
        assert_eq!(number_of(&db.store, fed).await, i64::MAX);
    }

    async fn a_fresh_send_that_no_batch_holds_is_found_by_feeding_again(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(6).await;
        let lane = shop.lane().await;
        lane.batch(campaign, 6).await;
        exec(&db.store, "DELETE FROM batches").await;
        assert!(db.store.next_batch(campaign, lane.number, 6, NOW).await.unwrap().is_none());
        db.store.refeed(campaign, lane.number).await.unwrap();
        assert_eq!(ids(&lane.claim(campaign, 6).await), [1, 2, 3, 4, 5, 6]);
    }

    async fn the_lane_sees_its_open_batches_and_what_waits_on_it(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        let campaign = shop.campaign_to(8).await;
        let lane = shop.lane().await;
        let first = lane.batch(campaign, 2).await;
        let second = lane.batch(campaign, 2).await;
        db.store.mark_pushed(&[first.id], NOW + 7).await.unwrap();
        let open = db.store.lane_batches(lane.number).await.unwrap();
        assert_eq!(open.iter().map(|batch| (batch.id, batch.pushed_at)).collect::<Vec<_>>(),
                   [(first.id, Some(NOW + 7)), (second.id, None)]);
        let claimed = made(lane.try_claim(&first, 1, NOW).await);
        let later = Happening { not_before: Some(NOW + 50),
            ..Happening::new((campaign, claimed[0].contact_id), Some(1), SendEvent::Refused { later: true }, NOW) };
        db.store.apply(Priority::Urgent, &[later]).await.unwrap();
        let depths = db.store.depths(NOW).await.unwrap();
        let depth = depths.iter().find(|depth| depth.number_id == lane.number).unwrap();
        assert_eq!((depth.planned, depth.delayed, depth.oldest), (4, 1, Some(NOW)));
        assert_eq!(depths.len(), 2);
        for event in [CampaignEvent::Paused, CampaignEvent::Resumed] {
            db.store.move_campaign(campaign, event, None, None, NOW).await.unwrap();
            let pushed = db.store.batch(first.id).await.unwrap().unwrap().pushed_at;
            assert_eq!(pushed.is_some(), event == CampaignEvent::Paused, "what was put down is pushed again at once");
        }
    }

    async fn one_of_two_feeders_makes_each_batch(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(60).await;
        let number = shop.numbers[0];
        let other = db.second_handle().await;
        let feeder = |store: Store| async move {
            let mut ranges = Vec::new();
            while let Some(batch) = store.next_batch(campaign, number, 5, NOW).await.unwrap() {
                ranges.push((batch.lo, batch.hi));
            }
            ranges
        };
        let (one, two) = tokio::join!(feeder(db.store.clone()), feeder(other));
        let mut ranges = [one, two].concat();
        ranges.sort_unstable();
        assert_eq!(ranges, (0..12).map(|n| (n * 5 + 1, n * 5 + 5)).collect::<Vec<_>>());
    }

    async fn one_of_two_feeders_makes_the_batch_of_what_is_due(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(1).await;
        let number = shop.numbers[0];
        let other = db.second_handle().await;
        for _ in 0..10 {
            let (one, two) = tokio::join!(
                db.store.due_batch(campaign, number, NOW),
                other.due_batch(campaign, number, NOW),
            );
            assert_eq!([one.unwrap(), two.unwrap()].into_iter().flatten().count(), 1);
            exec(&db.store, "DELETE FROM batches").await;
        }
    }
}
