use super::*;
use crate::fixture::{NOW, Shop, exec, number_of, stop, stop_of};
use crate::testing::{Database, on_both_databases};
use crate::wamids::wamid_hash;

const PHONE: (i64, i64) = (15_550_000_001, 15_550_000_001);
const UNKNOWN_PHONE: (i64, i64) = (15_550_009_999, 15_550_009_999);

fn named(kind: i16, value: &str, contact_id: i64) -> Identity {
    Identity { kind, value: value.to_owned(), contact_id }
}

async fn is_blocked(store: &Store, contact: i64) -> bool {
    !store.stopped_among(&[contact]).await.unwrap().is_empty()
}

on_both_databases! {
    async fn a_stop_holds_once_with_its_first_evidence(db: Database) {
        Shop::open(&db.store, 1).await.list("all", 1..=3, NOW).await;
        let first = db.store.stop(&Stop { phone: Some(PHONE), campaign_id: Some(7), ..stop() }).await.unwrap();
        assert_eq!((first.contact_ids.as_slice(), first.new), (&[1][..], 1));
        let again = db.store.stop(&Stop { phone: Some(PHONE), at: NOW + 5, ..stop() }).await.unwrap();
        assert_eq!((again.contact_ids.as_slice(), again.new, again.evidence_id), (&[1][..], 0, None));
        let block = db.store.suppression(Some(PHONE.0), None).await.unwrap().unwrap();
        assert_eq!((block.contact_id, block.since, block.campaign_id), (1, NOW, Some(7)));
        assert_eq!(block.evidence_id, first.evidence_id);
        assert_eq!(db.store.suppressions(0, 0, 10).await.unwrap().len(), 1);
        assert_eq!(number_of(&db.store, "SELECT count(*) FROM ledger WHERE contact_id = 1").await, 1);
    }

    async fn whoever_is_not_known_yet_is_blocked_when_they_turn_up(db: Database) {
        let stopped = db.store.stop(&Stop { phone: Some(UNKNOWN_PHONE), ..stop() }).await.unwrap();
        let person = db.store.contact_of_phone(UNKNOWN_PHONE.0).await.unwrap().unwrap();
        assert_eq!(stopped.contact_ids, [person.id]);
        assert!(is_blocked(&db.store, person.id).await);
    }

    async fn a_stop_by_a_user_id_alone_moves_to_the_person_once_they_are_known(db: Database) {
        Shop::open(&db.store, 1).await.list("all", 1..=3, NOW).await;
        let parked = db.store.stop(&Stop { user_id: Some("US.1".into()), ..stop() }).await.unwrap();
        let again = db.store.stop(&Stop { user_id: Some("US.1".into()), ..stop() }).await.unwrap();
        assert_eq!(parked.contact_ids, again.contact_ids, "the same nobody");
        assert!(db.store.suppression(None, Some("US.1")).await.unwrap().is_some());
        assert!(!is_blocked(&db.store, 1).await);
        assert_eq!(db.store.learn_identities(&[named(2, "US.1", 1), named(2, "US.2", 2)]).await.unwrap(), [1]);
        assert!(is_blocked(&db.store, 1).await);
        assert!(!is_blocked(&db.store, 2).await);
        let block = db.store.suppression(None, Some("US.1")).await.unwrap().unwrap();
        assert_eq!((block.contact_id, block.evidence_id), (1, parked.evidence_id));
        assert_eq!(db.store.suppressions(0, 0, 10).await.unwrap().len(), 1, "one block for one person");
        assert!(db.store.learn_identities(&[named(2, "US.1", 1)]).await.unwrap().is_empty());
        // From now on the user id leads to the person.
        assert_eq!(db.store.stop(&Stop { user_id: Some("US.2".into()), ..stop() }).await.unwrap().contact_ids, [2]);
    }

    async fn a_user_id_of_somebody_else_with_a_number_blocks_both_and_stays_where_it_is(db: Database) {
        Shop::open(&db.store, 1).await.list("all", 1..=3, NOW).await;
        db.store.learn_identities(&[named(2, "US.1", 1)]).await.unwrap();
        db.store.stop(&stop_of(1)).await.unwrap();
        assert_eq!(db.store.learn_identities(&[named(2, "US.1", 2)]).await.unwrap(), [2]);
        assert!(is_blocked(&db.store, 1).await && is_blocked(&db.store, 2).await);
        assert_eq!(number_of(&db.store, "SELECT contact_id FROM identities WHERE value = 'US.1'").await, 1);
    }

    async fn a_stop_that_names_a_number_blocks_that_number_whoever_else_it_leads_to(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(3).await;
        shop.lane().await.claim(campaign, 1).await;
        exec(&db.store, "UPDATE sends SET wamid = 'w' WHERE contact_id = 1").await;
        // By the message it quotes it is person 1; by its number somebody whom nobody imported yet.
        let stopped = db.store.stop(&Stop { phone: Some(UNKNOWN_PHONE), quoted_wamid: Some("w".into()), ..stop() }).await.unwrap();
        let other = db.store.contact_of_phone(UNKNOWN_PHONE.0).await.unwrap().expect("the number is kept").id;
        assert_eq!((stopped.contact_ids, stopped.new), (vec![1, other], 2));
        assert!(is_blocked(&db.store, 1).await && is_blocked(&db.store, other).await);
        // The same for a user id that stood alone before: it is that number's from now on.
        db.store.stop(&Stop { user_id: Some("US.9".into()), ..stop() }).await.unwrap();
        let third = (15_550_008_888, 15_550_008_888);
        db.store.stop(&Stop { phone: Some(third), user_id: Some("US.9".into()), ..stop() }).await.unwrap();
        let third = db.store.contact_of_phone(third.0).await.unwrap().expect("the number is kept").id;
        assert!(is_blocked(&db.store, third).await);
        assert_eq!(db.store.suppression(None, Some("US.9")).await.unwrap().unwrap().contact_id, third);
    }

    async fn a_user_id_becomes_a_name_of_the_number_it_came_with(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(3).await;
        shop.lane().await.claim(campaign, 3).await;
        exec(&db.store, "UPDATE sends SET wamid = 'w' WHERE contact_id = 1").await;
        let of_three = (15_550_000_003, 15_550_000_003);
        let told = Stop { phone: Some(of_three), user_id: Some("US.3".into()), quoted_wamid: Some("w".into()), ..stop() };
        assert_eq!(db.store.stop(&told).await.unwrap().contact_ids, [1, 3]);
        assert_eq!(number_of(&db.store, "SELECT contact_id FROM identities WHERE value = 'US.3'").await, 3);
    }

    async fn a_quoted_message_of_a_past_attempt_leads_to_its_person(db: Database) {
        Shop::open(&db.store, 1).await.list("all", 1..=3, NOW).await;
        exec(&db.store, format!("INSERT INTO past_attempts (campaign_id, contact_id, attempt, wamid, wamid_hash, at)
                                 VALUES (1, 2, 1, 'w', {}, 1)", wamid_hash("w"))).await;
        // Somebody said stop by the user id alone before; now it turns out to be person 2.
        db.store.stop(&Stop { user_id: Some("US.2".into()), ..stop() }).await.unwrap();
        let told = Stop { user_id: Some("US.2".into()), quoted_wamid: Some("w".into()), ..stop() };
        assert!(db.store.stop(&told).await.unwrap().contact_ids.contains(&2));
        assert_eq!(db.store.suppression(None, Some("US.2")).await.unwrap().unwrap().contact_id, 2);
        assert_eq!(db.store.suppressions(0, 0, 9).await.unwrap().len(), 1, "one block for one person");
    }

    async fn a_claim_made_after_its_persons_stop_is_found_by_what_the_rows_say(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(2).await;
        shop.lane().await.claim(campaign, 2).await;
        db.store.stop(&stop_of(1)).await.unwrap();
        let sends = [(campaign, 1), (campaign, 2)];
        assert_eq!(db.store.claimed_after_stop(&sends, 1_000).await.unwrap(), 0);
        exec(&db.store, format!("UPDATE sends SET claimed_at = {}", NOW + 3_600_000)).await;
        assert_eq!(db.store.claimed_after_stop(&sends, 1_000).await.unwrap(), 1);
    }

    async fn a_name_of_nobody_we_know_is_left_alone(db: Database) {
        Shop::open(&db.store, 1).await.list("all", 1..=3, NOW).await;
        db.store.stop(&Stop { user_id: Some("US.1".into()), ..stop() }).await.unwrap();
        // Our callback data of a send that this database does not hold, say from before it was restored.
        let carried = db.store.learn_identities(&[named(2, "US.1", 999), named(2, "US.2", 2)]).await.unwrap();
        assert!(carried.is_empty());
        assert!(!is_blocked(&db.store, 999).await);
        assert!(db.store.suppression(None, Some("US.1")).await.unwrap().is_some());
        assert_eq!(number_of(&db.store, "SELECT contact_id FROM identities WHERE value = 'US.2'").await, 2);
    }

    async fn stops_and_names_that_meet_in_any_order_neither_fail_nor_get_lost(db: Database) {
        Shop::open(&db.store, 1).await.list("all", 1..=20, NOW).await;
        let other = db.second_handle().await;
        let mut tasks = tokio::task::JoinSet::new();
        for turn in 0..4_i64 {
            let store = if turn % 2 == 0 { db.store.clone() } else { other.clone() };
            tasks.spawn(async move {
                for step in 0..20_i64 {
                    let person = if turn % 2 == 0 { step + 1 } else { 20 - step };
                    let name = format!("US.{person}");
                    if turn < 2 {
                        store.stop(&Stop { user_id: Some(name), ..stop() }).await.unwrap();
                    } else {
                        store.learn_identities(&[named(2, &name, person)]).await.unwrap();
                    }
                }
            });
        }
        while let Some(done) = tasks.join_next().await { done.unwrap() }
        let everybody: Vec<i64> = (1..=20).collect();
        assert_eq!(db.store.stopped_among(&everybody).await.unwrap().len(), 20);
    }
}
