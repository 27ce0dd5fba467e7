use domain::schedule::{Tz, parse_at};

use super::*;
use crate::fixture::{NOW, Shop, assert_tallied, exec, ids, made, plan, send};
use crate::terms::{Asleep, warm_up_zones};
use crate::testing::{Database, on_both_databases};

fn at(text: &str) -> i64 {
    parse_at(text).unwrap()
}

fn days(texts: &[&str]) -> Vec<Blackout> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A campaign of twenty people; the even ones have numbers of Egypt, the others of France.
async fn campaign(shop: &Shop, terms: &str) -> i64 {
    warm_up_zones();
    let list = shop.list("everybody", 1..=20, NOW - 1).await;
    exec(
        &shop.store,
        "UPDATE contacts SET phone = CASE WHEN id % 2 = 0 THEN 201000000000 ELSE 33600000000 END + id".to_owned(),
    )
    .await;
    let campaign = shop.draft("news", &[list], &[], &shop.numbers).await;
    exec(&shop.store, format!("UPDATE campaigns SET timezone = 'Africa/Cairo', {terms} WHERE id = {campaign}")).await;
    shop.launch(campaign, NOW).await;
    plan(&shop.store, campaign, 1_000, None).await;
    campaign
}

on_both_databases! {
    async fn people_of_a_country_wait_for_the_morning_after_its_feast(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = campaign(&shop, "quiet_hours = '21:00-09:00'").await;
        db.store.set_house_blackouts(&days(&["EG:2026-05-27..2026-05-29=Eid: al-Adha"])).await.unwrap();
        let lane = shop.lane().await;
        let batch = lane.batch(campaign, 100).await;
        // Noon on its second day.
        let now = at("2026-05-28T12:00:00+03:00");
        let claimed = ids(&made(lane.try_claim(&batch, 20, now).await));
        assert_eq!(claimed, (1..=20).filter(|person| person % 2 == 1).collect::<Vec<_>>(), "in France it is a day like any");
        let until = at("2026-05-30T09:00:00+03:00");
        let row = send(&db.store, campaign, 2).await;
        assert_eq!((row.state, row.not_before), (0, Some(until)));
        let after = Some("Eid: al-Adha".to_owned());
        let asleep = [Asleep { zone: Some(Tz::Africa__Cairo), until, people: 10, after }];
        assert_eq!(db.store.asleep(campaign, now).await.unwrap(), asleep);
        assert!(lane.claim_due(campaign, until - 1).await.is_empty());
        assert_eq!(lane.claim_due(campaign, until).await.len(), 10);
        assert_tallied(&db.store, campaign).await;
    }

    async fn a_campaigns_own_blackout_days_hold_and_those_of_the_house_only_for_marketing(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        db.store.set_house_blackouts(&days(&["12-25=Christmas"])).await.unwrap();
        let notice = campaign(&shop, "marketing = FALSE").await;
        assert_eq!(db.store.hours(notice).await.unwrap(), None);
        exec(&db.store, format!(r#"UPDATE campaigns SET blackouts = '["2026-12-24"]' WHERE id = {notice}"#)).await;
        let own = db.store.hours(notice).await.unwrap().unwrap();
        assert_eq!(own.calendar.blackouts, days(&["2026-12-24"]));
        exec(&db.store, format!("UPDATE campaigns SET marketing = TRUE WHERE id = {notice}")).await;
        let both = db.store.hours(notice).await.unwrap().unwrap();
        assert_eq!(both.calendar.blackouts, days(&["2026-12-24", "12-25=Christmas"]));
        // A message on trial goes out whenever somebody tries it.
        exec(&db.store, format!("UPDATE campaigns SET kind = 2, blackouts = NULL WHERE id = {notice}")).await;
        assert_eq!(db.store.hours(notice).await.unwrap(), None);
        exec(&db.store, format!("UPDATE campaigns SET kind = 0 WHERE id = {notice}")).await;
        let lane = shop.lane().await;
        let batch = lane.batch(notice, 100).await;
        let eve = at("2026-12-25T00:00:00+02:00") - crate::CLAIM_LASTS;
        assert_eq!(made(lane.try_claim(&batch, 3, eve - 1).await).len(), 3);
        // In France it is an hour earlier.
        let claimed = ids(&made(lane.try_claim(&batch, 20, eve).await));
        assert!(claimed.len() == 8 && claimed.iter().all(|person| person % 2 == 1), "{claimed:?}");
    }

    async fn whoever_waits_for_a_day_that_is_taken_away_is_looked_at_again(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = campaign(&shop, "quiet_hours = NULL").await;
        db.store.set_house_blackouts(&days(&["2026-05-28=Eid", "FR:2026-05-28..2026-05-29"])).await.unwrap();
        let lane = shop.lane().await;
        let batch = lane.batch(campaign, 100).await;
        let now = at("2026-05-28T12:00:00+03:00");
        assert!(made(lane.try_claim(&batch, 20, now).await).is_empty());
        let before = db.store.asleep(campaign, now).await.unwrap();
        assert_eq!(before.iter().map(|group| group.people).collect::<Vec<_>>(), [10, 10]);
        db.store.set_house_blackouts(&days(&["FR:2026-05-28..2026-05-29"])).await.unwrap();
        assert!(lane.claim_due(campaign, now).await.is_empty());
        assert_eq!(db.store.wake_from_blackouts(campaign, lane.number, now).await.unwrap(), 20);
        assert_eq!(db.store.wake_from_blackouts(campaign, lane.number, now).await.unwrap(), 0);
        assert_eq!(lane.claim_due(campaign, now).await.len(), 10);
        let left = db.store.asleep(campaign, now).await.unwrap();
        assert_eq!((left.len(), left[0].people, left[0].after.as_deref()), (1, 10, Some("2026-05-28..2026-05-29")));
        assert_tallied(&db.store, campaign).await;
    }
}
