use domain::send::SendEvent;

use crate::fixture::{NOW, Shop, exec, number_of};
use crate::sends::wamid_hash;
use crate::testing::{Database, on_both_databases};
use crate::{Happening, NewInbound, Priority};

fn inbound(wamid: &str) -> NewInbound {
    NewInbound {
        wamid: wamid.into(),
        account_id: 1,
        number_id: None,
        contact_id: Some(1),
        campaign_id: None,
        kind: "text".into(),
        detail: "{\"body\":\"\\u0000 stop\"}".into(),
        at: NOW,
        received_at: NOW,
    }
}

on_both_databases! {
    async fn a_doubt_is_found_by_its_number_and_recipient_and_only_if_it_is_older(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        let list = shop.list("all", 1..=4, NOW - 1).await;
        let (one, two) = (shop.campaign("one", &[list]).await, shop.campaign("two", &[list]).await);
        let lane = shop.lane().await;
        let mut doubts = Vec::new();
        for campaign in [one, two] {
            for send in lane.claim(campaign, 9).await {
                doubts.push(Happening::new((campaign, send.contact_id), Some(1), SendEvent::Unknown, NOW));
            }
        }
        let in_flight = doubts.split_off(doubts.len() - 1);
        db.store.apply(Priority::Urgent, &doubts).await.unwrap();
        let person = doubts[0].contact_id;
        let key = 15_550_000_000 + person;
        let found = db.store.doubts_to("pnid-0", key, NOW).await.unwrap();
        let expected: Vec<_> = doubts.iter().filter(|doubt| doubt.contact_id == person)
            .map(|doubt| ((doubt.campaign_id, person), 1)).collect();
        assert_eq!(found, expected);
        assert_eq!(found.len(), 2, "two campaigns: no evidence for either");
        assert!(db.store.doubts_to("pnid-1", key, NOW).await.unwrap().is_empty(), "another number");
        assert!(db.store.doubts_to("pnid-0", key, NOW - 1).await.unwrap().is_empty(), "claimed after that status");
        let last = &in_flight[0];
        let of_last = db.store.doubts_to("pnid-0", 15_550_000_000 + last.contact_id, NOW).await.unwrap();
        assert!(of_last.iter().all(|((campaign, _), _)| *campaign != last.campaign_id), "submitting is no doubt yet");
        assert_eq!(db.store.doubt_count().await.unwrap(), i64::try_from(doubts.len()).unwrap());
        assert_eq!(db.store.doubts(Some(one), 99).await.unwrap().len() + db.store.doubts(Some(two), 99).await.unwrap().len(),
                   doubts.len());
        assert_eq!(db.store.doubts(None, 1).await.unwrap()[0].phone_number_id, "pnid-0");
        assert_eq!(db.store.in_flight().await.unwrap(), [(lane.number, 1, Some(NOW))]);
    }

    async fn a_message_to_us_is_kept_once(db: Database) {
        assert_eq!(db.store.keep_inbound(&[inbound("a"), inbound("a"), inbound("b")]).await.unwrap(), 2);
        assert_eq!(db.store.keep_inbound(&[inbound("b")]).await.unwrap(), 0);
        assert_eq!(number_of(&db.store, "SELECT count(*) FROM inbound").await, 2);
    }

    async fn a_message_id_of_the_same_hash_is_not_taken_for_another(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        shop.campaign_to(1).await;
        exec(&db.store, format!("UPDATE sends SET state = 3, attempt = 1, wamid = 'ours', wamid_hash = {}", wamid_hash("theirs"))).await;
        assert!(db.store.sends_of_wamids(&["theirs", "ours"]).await.unwrap().is_empty());
        exec(&db.store, format!("UPDATE sends SET wamid_hash = {}", wamid_hash("ours"))).await;
        assert_eq!(db.store.sends_of_wamids(&["theirs", "ours", "ours"]).await.unwrap()[0].attempt, 1);
    }
}
