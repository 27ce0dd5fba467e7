use domain::send::{Current, SendEvent, Status};

use crate::Happening;
use crate::Priority;
use crate::fixture::{NOW, Shop, assert_tallied, send};
use crate::testing::{Database, on_both_databases};

fn happened(campaign: i64, contact: i64, event: SendEvent, at: i64) -> Happening {
    let mut happening = Happening::new((campaign, contact), Some(1), event, at);
    happening.wamid = Some(format!("wamid.{contact}"));
    happening
}

fn status(campaign: i64, contact: i64, status: Status, at: i64) -> Happening {
    happened(campaign, contact, SendEvent::Status(status, Current::Yes), at)
}

on_both_databases! {
    async fn what_is_not_delivered_in_time_is_counted_until_it_is_delivered_after_all(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(7).await;
        assert_eq!(shop.lane().await.claim(campaign, 7).await.len(), 7);
        let accepted: Vec<_> = (1..=6).map(|contact| happened(campaign, contact, SendEvent::Accepted, NOW)).collect();
        let late = happened(campaign, 7, SendEvent::Accepted, NOW + 10);
        db.store.apply(Priority::Urgent, &[accepted, vec![late]].concat()).await.unwrap();
        let told = [status(campaign, 2, Status::Sent, NOW + 1), status(campaign, 3, Status::Delivered, NOW + 1)];
        db.store.apply(Priority::Urgent, &told).await.unwrap();

        // In pieces of two, as of the ones that were accepted first.
        let mut after = Some(0);
        while let Some(from) = after {
            after = db.store.expire(campaign, from, NOW + 5, 2).await.unwrap();
        }
        let tally = db.store.tally(campaign).await.unwrap();
        assert_eq!((tally.expired, tally.accepted, tally.sent, tally.delivered), (5, 5, 1, 1));
        assert_tallied(&db.store, campaign).await;
        assert_eq!(db.store.expire(campaign, 0, NOW + 5, 2).await.unwrap(), None, "nobody twice");

        let later = [
            status(campaign, 1, Status::Delivered, NOW + 100),
            status(campaign, 2, Status::Read, NOW + 100),
            status(campaign, 4, Status::Failed { later: true }, NOW + 100),
        ];
        db.store.apply(Priority::Urgent, &later).await.unwrap();
        assert_eq!(db.store.tally(campaign).await.unwrap().expired, 2);
        assert_tallied(&db.store, campaign).await;
        let again = send(&db.store, campaign, 4).await;
        assert!(!again.expired, "the next attempt begins anew");
        db.store.heal_tallies(campaign).await.unwrap();
        assert_eq!(db.store.tally(campaign).await.unwrap().expired, 2);
    }

    async fn a_campaign_is_looked_at_when_it_is_due_and_only_once_it_has_started(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let draft = shop.draft("draft", &[], &[], &shop.numbers).await;
        let running = shop.campaign_to(1).await;
        let due = async |now| -> Vec<i64> {
            db.store.expiring(now, 10).await.unwrap().into_iter().map(|campaign| campaign.id).collect()
        };
        assert_eq!(due(NOW).await, [running]);
        db.store.expires_next(running, Some(NOW + 50)).await.unwrap();
        assert!(due(NOW + 49).await.is_empty());
        assert_eq!(due(NOW + 50).await, [running]);
        db.store.expires_next(running, None).await.unwrap();
        assert!(due(i64::MAX - 1).await.is_empty(), "{draft} never started");
    }
}
