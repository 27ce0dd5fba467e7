use domain::send::{Current, SendEvent, SendState, Status};

use crate::fixture::{Lane, NOW, Shop, assert_tallied, exec, number_of, send};
use crate::testing::{Database, entry, on_both_databases};
use crate::wamids::wamid_hash;
use crate::{DoubtFilter, Happening, NewEntry, NewInbound, Priority, SETTLED_BY_HAND, SendKey};

/// A person's verdict, and its entry.
fn verdict(key: SendKey, sent: bool) -> (Happening, NewEntry) {
    let event = if sent { SendEvent::SettledSent } else { SendEvent::SettledNotSent { replan: false } };
    let reason = Some(SETTLED_BY_HAND.to_owned());
    let entry = NewEntry { campaign_id: Some(key.0), contact_id: Some(key.1), ..entry("settled", NOW) };
    (Happening { reason, ..Happening::new(key, None, event, NOW + 60_000) }, entry)
}

fn status(key: SendKey, status: Status) -> Happening {
    let event = SendEvent::Status(status, Current::Yes);
    Happening { wamid: Some(format!("wamid.{}", key.1)), ..Happening::new(key, Some(1), event, NOW + 90_000) }
}

/// A campaign whose first `n` sends were claimed at `NOW` by the first number and are in doubt.
async fn in_doubt(shop: &Shop, name: &str, n: i64) -> Vec<SendKey> {
    let list = shop.list(name, 1..=n, NOW - 1).await;
    let campaign = shop.draft(name, &[list], &[], &shop.numbers[..1]).await;
    shop.launch(campaign, NOW).await;
    crate::fixture::plan(&shop.store, campaign, 1_000, None).await;
    let lane = Lane::take(&shop.store, shop.numbers[0], name).await;
    let claimed = lane.claim(campaign, usize::try_from(n).unwrap()).await;
    let keys: Vec<SendKey> = claimed.iter().map(|send| (campaign, send.contact_id)).collect();
    let doubts: Vec<_> = keys.iter().map(|key| Happening::new(*key, Some(1), SendEvent::Unknown, NOW)).collect();
    shop.store.apply(Priority::Urgent, &doubts).await.unwrap();
    keys
}

fn inbound(wamid: &str) -> NewInbound {
    NewInbound {
        wamid: wamid.into(),
        account_id: 1,
        contact_id: Some(1),
        kind: "text".into(),
        detail: "{\"body\":\"\\u0000 stop\"}".into(),
        at: NOW,
        received_at: NOW,
        ..NewInbound::default()
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
        assert_eq!(db.store.doubts(&DoubtFilter::ALL, None, 1).await.unwrap()[0].phone_number_id, "pnid-0");
        assert_eq!(db.store.in_flight().await.unwrap(), [(lane.number, 1, Some(NOW))]);
    }

    async fn doubts_are_paged_oldest_first_and_found_by_campaign_number_and_age(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        let one = in_doubt(&shop, "one", 5).await;
        let two = in_doubt(&shop, "two", 4).await;
        exec(&db.store, format!("UPDATE sends SET claimed_at = {NOW} - contact_id / 2 WHERE campaign_id = {}", two[0].0)).await;
        exec(&db.store, format!("UPDATE sends SET number_id = {} WHERE contact_id = 3", shop.numbers[1])).await;
        // Three at a time, until there are no more.
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = db.store.doubts(&DoubtFilter::ALL, after, 3).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.claimed_at.unwrap(), last.campaign_id, last.contact_id));
            seen.extend(page.iter().map(|doubt| (doubt.claimed_at.unwrap(), doubt.campaign_id, doubt.contact_id)));
        }
        let mut expected: Vec<_> = one.iter().map(|(campaign, person)| (NOW, *campaign, *person))
            .chain(two.iter().map(|(campaign, person)| (NOW - person / 2, *campaign, *person))).collect();
        expected.sort_unstable();
        assert_eq!(seen, expected, "each once, oldest first");

        let some = async |filter: DoubtFilter| {
            let found = db.store.doubts(&filter, None, 99).await.unwrap();
            found.into_iter().map(|doubt| (doubt.campaign_id, doubt.contact_id)).collect::<Vec<_>>()
        };
        assert_eq!(some(DoubtFilter { campaign_id: Some(one[0].0), ..DoubtFilter::ALL }).await, one);
        let second = DoubtFilter { number_id: Some(shop.numbers[1]), ..DoubtFilter::ALL };
        assert_eq!(some(second).await, [(two[0].0, 3), (one[0].0, 3)]);
        assert_eq!(some(DoubtFilter { claimed_by: NOW - 2, ..DoubtFilter::ALL }).await, [(two[0].0, 4)]);
        assert_eq!(some(DoubtFilter { campaign_id: Some(one[0].0), claimed_by: NOW - 1, ..second }).await, []);
    }

    async fn each_settled_send_is_in_the_ledger_and_one_that_a_webhook_settled_first_is_not(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let keys = in_doubt(&shop, "one", 4).await;
        // Evidence comes for the second one between the person's look and their word.
        db.store.apply(Priority::Urgent, &[status(keys[1], Status::Delivered)]).await.unwrap();
        let gone = (keys[0].0, 999);
        let verdicts = keys.iter().chain([&gone]).map(|key| verdict(*key, false)).collect();
        let applied = db.store.settle(verdicts).await.unwrap();
        assert_eq!((applied.moved, applied.unknown.len(), applied.illegal.len()), (3, 1, 1));
        assert_eq!(send(&db.store, keys[1].0, keys[1].1).await.state, SendState::Delivered as i16);
        let entries = db.store.unsealed(99).await.unwrap();
        let about: Vec<_> = entries.iter().map(|entry| (entry.campaign_id.unwrap(), entry.contact_id.unwrap())).collect();
        assert_eq!(about, [keys[0], keys[2], keys[3]]);
        assert_eq!((entries[0].kind.as_str(), entries[0].salt.len(), entries[0].commitment.len()), ("settled", 16, 32));
        // Said twice, it is said once.
        let again = db.store.settle(vec![verdict(keys[0], false)]).await.unwrap();
        assert_eq!((again.moved, db.store.unsealed(99).await.unwrap().len()), (0, 3));
        assert_tallied(&db.store, keys[0].0).await;
    }

    async fn a_status_overrules_the_word_that_nothing_was_sent_and_leaves_evidence(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let keys = in_doubt(&shop, "one", 7).await;
        let verdicts = keys.iter().map(|key| verdict(*key, key.1 == 7)).collect();
        db.store.settle(verdicts).await.unwrap();
        let failed = |later| Status::Failed { later };
        let told = [
            status(keys[0], Status::Sent), status(keys[1], Status::Delivered), status(keys[2], failed(false)),
            status(keys[3], failed(true)),
            // In the wrong order: it was sent, then failed.
            status(keys[4], failed(false)), status(keys[4], Status::Sent),
            Happening::new(keys[5], Some(1), SendEvent::Accepted, NOW + 90_000),
            Happening::new(keys[6], Some(1), SendEvent::Refused { later: true }, NOW + 90_000),
        ];
        let evidence = |happening: &Happening| {
            let contact_id = Some(happening.contact_id);
            Ok::<_, crate::Error>(NewEntry { contact_id, ..entry("settling-overruled", NOW) })
        };
        let applied = db.store.apply_with_evidence(Priority::Urgent, &told, evidence).await.unwrap();
        assert_eq!(applied.overruled, [0, 1, 6, 7]);
        let states = [SendState::Sent, SendState::Delivered, SendState::Failed, SendState::Failed, SendState::Failed,
                      SendState::Accepted, SendState::Failed];
        for (key, state) in keys.iter().zip(states) {
            let row = send(&db.store, key.0, key.1).await;
            assert_eq!(row.state, state as i16, "{row:?}");
            assert_eq!((row.reason.as_deref(), row.failed_at.is_some()), (None, state == SendState::Failed), "{row:?}");
        }
        let entries = db.store.unsealed(99).await.unwrap();
        let overruled: Vec<_> = entries.iter().filter(|entry| entry.kind == "settling-overruled")
            .map(|entry| entry.contact_id.unwrap()).collect();
        assert_eq!(overruled, [1, 2, 6, 7]);
        assert_eq!(entries.iter().filter(|entry| entry.kind == "settled").count(), 7, "what the person said stays");
        // The same webhooks again: nothing moves, nothing is written.
        let again = db.store.apply_with_evidence(Priority::Urgent, &told[..6], evidence).await.unwrap();
        assert_eq!((again.overruled.len(), db.store.unsealed(99).await.unwrap().len()), (0, entries.len()));
        assert_tallied(&db.store, keys[0].0).await;
    }

    async fn a_message_to_us_is_kept_once(db: Database) {
        assert_eq!(db.store.keep_inbound(&[inbound("a"), inbound("a"), inbound("b")]).await.unwrap(), 2);
        assert_eq!(db.store.keep_inbound(&[inbound("b")]).await.unwrap(), 0);
        assert_eq!(number_of(&db.store, "SELECT count(*) FROM inbound").await, 2);
    }

    async fn a_message_id_of_the_same_hash_is_not_taken_for_another(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        shop.campaign_to(1).await;
        exec(&db.store, "UPDATE sends SET state = 3, attempt = 1, wamid = 'ours'").await;
        let named = |wamid| format!("INSERT INTO wamids SELECT {}, campaign_id, contact_id FROM sends", wamid_hash(wamid));
        exec(&db.store, named("theirs")).await;
        assert!(db.store.sends_of_wamids(&["theirs", "ours"]).await.unwrap().is_empty());
        exec(&db.store, named("ours")).await;
        assert_eq!(db.store.sends_of_wamids(&["theirs", "ours", "ours"]).await.unwrap()[0].attempt, 1);
    }
}
