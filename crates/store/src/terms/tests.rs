use std::collections::BTreeMap;

use domain::schedule::{QuietHours, parse_at};

use super::*;
use crate::fixture::{Lane, NOW, Shop, assert_tallied, exec, ids, made, plan, send};
use crate::testing::{Database, on_both_databases};
use crate::{BatchKind, Claim, Halt};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn at(text: &str) -> i64 {
    parse_at(text).unwrap()
}

/// People 1 to `n`: of three neighbours one lives in Cairo, one in Mexico City, and one where nobody knows (Madrid).
async fn campaign(shop: &Shop, n: i64, terms: &str) -> i64 {
    warm_up_zones();
    let list = shop.list("everybody", 1..=n, NOW - 1).await;
    for (rest, zone) in [(0, "Africa/Cairo"), (1, "America/Mexico_City")] {
        let attributes = format!(r#"{{"city":"x","Time Zone":"{zone}"}}"#);
        exec(&shop.store, format!("UPDATE contacts SET attributes = '{attributes}' WHERE id % 3 = {rest}")).await;
    }
    let campaign = shop.draft("news", &[list], &[], &shop.numbers).await;
    exec(&shop.store, format!("UPDATE campaigns SET timezone = 'Europe/Madrid', {terms} WHERE id = {campaign}")).await;
    shop.launch(campaign, NOW).await;
    plan(&shop.store, campaign, 1_000, None).await;
    campaign
}

fn zone_of(person: i64) -> Tz {
    [Tz::Africa__Cairo, Tz::America__Mexico_City, Tz::Europe__Madrid][usize::try_from(person % 3).unwrap()]
}

/// Claims in groups until nothing is left for now.
async fn claim_all(lane: &Lane, campaign: i64, group: usize, now: i64) -> Vec<i64> {
    let mut people = Vec::new();
    loop {
        let open = lane.store.lane_batches(lane.number).await.unwrap();
        let batch = match open.into_iter().find(|batch| batch.campaign_id == campaign) {
            Some(batch) => batch,
            None => match lane.store.next_batch(campaign, lane.number, 40, now).await.unwrap() {
                Some(batch) => batch,
                None => match lane.store.due_batch(campaign, lane.number, now).await.unwrap() {
                    Some(batch) => batch,
                    None => return people,
                },
            },
        };
        let Claim::Made { sends, exhausted, .. } = lane.try_claim(&batch, group, now).await else { panic!("halted") };
        if sends.is_empty() && exhausted && batch.kind().unwrap() == BatchKind::Due {
            return people;
        }
        people.extend(ids(&sends));
    }
}

on_both_databases! {
    async fn whoever_sleeps_is_put_off_to_their_morning_and_the_others_are_claimed(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = campaign(&shop, 90, "quiet_hours = '21:00-09:00'").await;
        let lane = shop.lane().await;
        // 22:30 in Cairo, 21:30 in Madrid, 13:30 in Mexico City.
        let now = at("2026-06-01T22:30:00+03:00");
        let claimed = claim_all(&lane, campaign, 7, now).await;
        assert_eq!(claimed, (1..=90).filter(|person| person % 3 == 1).collect::<Vec<_>>());
        let (cairo, madrid) = (at("2026-06-02T09:00:00+03:00"), at("2026-06-02T09:00:00+02:00"));
        let row = send(&db.store, campaign, 3).await;
        assert_eq!((row.state, row.not_before, row.reason.as_deref()), (0, Some(cairo), Some("quiet-hours:Africa/Cairo")));
        let asleep = [
            Asleep { zone: Some(Tz::Africa__Cairo), until: cairo, people: 30, after: None },
            Asleep { zone: Some(Tz::Europe__Madrid), until: madrid, people: 30, after: None },
        ];
        assert_eq!(db.store.asleep(campaign, now).await.unwrap(), asleep);
        assert_tallied(&db.store, campaign).await;

        // A moment before the morning, and then in it.
        assert!(claim_all(&lane, campaign, 7, cairo - 1).await.is_empty());
        let mut woken = claim_all(&lane, campaign, 7, cairo).await;
        woken.sort_unstable();
        assert_eq!(woken, (1..=90).filter(|person| person % 3 == 0).collect::<Vec<_>>());
        assert_eq!(send(&db.store, campaign, 3).await.reason, None);
        assert_eq!(db.store.asleep(campaign, cairo).await.unwrap(), asleep[1..]);
        assert_eq!(claim_all(&lane, campaign, 50, madrid).await.len(), 30);
        assert!(db.store.asleep(campaign, madrid).await.unwrap().is_empty());
        assert_tallied(&db.store, campaign).await;
    }

    async fn a_morning_that_passes_in_an_outage_is_waited_for_again(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = campaign(&shop, 30, "quiet_hours = '21:00-09:00'").await;
        let lane = shop.lane().await;
        claim_all(&lane, campaign, 10, at("2026-06-01T23:00:00+03:00")).await;
        // The machine was off all day, and comes back at night: nobody in Cairo or Madrid is woken.
        let back = at("2026-06-02T23:00:00+03:00");
        assert!(claim_all(&lane, campaign, 10, back).await.is_empty());
        let asleep = db.store.asleep(campaign, back).await.unwrap();
        let until: Vec<_> = asleep.iter().map(|one| (one.people, one.until)).collect();
        assert_eq!(until, [(10, at("2026-06-03T09:00:00+03:00")), (10, at("2026-06-03T09:00:00+02:00"))]);
        assert_eq!(claim_all(&lane, campaign, 10, until[1].1).await.len(), 20);
    }

    async fn a_claim_whose_message_could_leave_in_the_night_is_not_made(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = campaign(&shop, 9, "quiet_hours = '21:00-09:00'").await;
        let lane = shop.lane().await;
        let batch = lane.batch(campaign, 100).await;
        let night = at("2026-06-01T21:00:00+03:00");
        let before = made(lane.try_claim(&batch, 1, night - CLAIM_LASTS - 1).await);
        let later = made(lane.try_claim(&batch, 9, night - CLAIM_LASTS).await);
        assert_eq!(ids(&before), [1]);
        assert_eq!(ids(&later), [2, 4, 5, 7, 8], "it is evening in Cairo, and in no other place");
    }

    async fn nobody_is_written_to_at_night_whatever_the_hour_and_everybody_is_in_the_end(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = campaign(&shop, 600, "quiet_hours = '20:30-08:15'").await;
        let lane = shop.lane().await;
        let quiet: QuietHours = "20:30-08:15".parse().unwrap();
        // Over the nights in which the clocks of Madrid and Cairo go back.
        let (start, end) = (at("2026-10-24T12:00:00Z"), at("2026-10-31T12:00:00Z"));
        let mut got: BTreeMap<i64, i64> = BTreeMap::new();
        let mut now = start;
        let mut step = 1;
        while now < end {
            let batch = match lane.store.next_batch(campaign, lane.number, 25, now).await.unwrap() {
                Some(batch) => Some(batch),
                None => lane.store.due_batch(campaign, lane.number, now).await.unwrap(),
            };
            if let Some(batch) = batch {
                for claimed in made(lane.try_claim(&batch, 3, now).await) {
                    let zone = zone_of(claimed.contact_id);
                    assert_eq!(quiet.closed_until(now, zone), None, "{} at {now}", claimed.contact_id);
                    assert!(got.insert(claimed.contact_id, now).is_none());
                }
                exec(&lane.store, format!("DELETE FROM batches WHERE id = {}", batch.id)).await;
                if batch.kind().unwrap() == BatchKind::Fresh {
                    // What the claim did not take waits like anything that was claimed and came back.
                    exec(&lane.store, format!(
                        "UPDATE sends SET not_before = 0 WHERE campaign_id = {campaign} AND state = 0
                         AND not_before IS NULL AND contact_id <= {}", batch.hi)).await;
                }
            }
            step = step * 7 % 61;
            now += step * MINUTE;
        }
        assert!(got.len() > 500, "{} were reached", got.len());
        assert_tallied(&db.store, campaign).await;
    }

    async fn nothing_is_claimed_of_an_offer_that_ends_before_the_message_can_leave(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = campaign(&shop, 9, &format!("stop_at = {}", NOW + HOUR)).await;
        let lane = shop.lane().await;
        let batch = lane.batch(campaign, 100).await;
        assert_eq!(made(lane.try_claim(&batch, 2, NOW + HOUR - CLAIM_LASTS - 1).await).len(), 2);
        for late in [NOW + HOUR - CLAIM_LASTS, NOW + HOUR, NOW + 9 * HOUR] {
            assert!(matches!(lane.try_claim(&batch, 2, late).await, Claim::Halted(Halt::OfferEnded)));
        }
        assert_eq!(db.store.skip_planned(campaign, OFFER_ENDED, 1_000).await.unwrap(), 7);
        let tally = db.store.tally(campaign).await.unwrap();
        assert_eq!((tally.submitting, tally.skipped_by_reason[OFFER_ENDED], tally.planned), (2, 7, 0));
        assert_tallied(&db.store, campaign).await;
    }

    async fn the_pace_of_a_spread_campaign_is_kept(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        let campaign = campaign(&shop, 9, &format!("spread = {HOUR}")).await;
        db.store.keep_spread(campaign, 9).await.unwrap();
        let row = db.store.campaign(campaign).await.unwrap().unwrap();
        assert_eq!((row.terms.spread, row.spread_people), (Some(HOUR), Some(9)));
        let [one, other] = shop.numbers[..] else { panic!("two numbers") };
        assert_eq!(db.store.next_of_spread(campaign, one).await.unwrap(), None);
        db.store.keep_next_of_spread(campaign, one, NOW + 5).await.unwrap();
        assert_eq!(db.store.next_of_spread(campaign, one).await.unwrap(), Some(NOW + 5));
        assert_eq!(db.store.next_of_spread(campaign, other).await.unwrap(), None);
        assert!(db.store.set_rate_cap(campaign, Some(7)).await.unwrap());
        assert_eq!(db.store.rate_caps(one).await.unwrap(), [(campaign, Some(7), 2)]);
        assert!(!db.store.set_rate_cap(campaign + 1, None).await.unwrap());
    }
}
