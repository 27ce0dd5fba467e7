use domain::window::LASTS;

use super::*;
use crate::fixture::{NOW, Shop, exec, ids, made, number_of, send, stop};
use crate::suppressions::Stop;
use crate::testing::{Database, on_both_databases};
use crate::{Claim, Identity, MessageKind, NewMessage, WINDOW_CLOSED};

const MONA: i64 = 15_550_000_001;

fn wrote(wamid: &str, contact_id: i64, at: i64) -> NewInbound {
    NewInbound {
        wamid: wamid.into(),
        account_id: 1,
        number_id: Some(1),
        contact_id: Some(contact_id),
        kind: "text".into(),
        detail: r#"{"body":"When do you open?"}"#.into(),
        opens: true,
        at,
        received_at: at,
        ..NewInbound::default()
    }
}

/// An answer to the first person.
async fn answer(shop: &Shop, name: &str) -> i64 {
    let new = NewMessage {
        name,
        kind: MessageKind::Reply,
        account_id: shop.account,
        template_id: None,
        template: r#"{"category":"SERVICE"}"#,
        params: r#"{"text":"At nine."}"#,
        number_id: shop.numbers[0],
        contact_id: 1,
        created_by: "key:shop",
        parent_id: None,
    };
    shop.store.queue_message(&new, NOW).await.unwrap()
}

on_both_databases! {
    async fn what_people_wrote_is_kept_once_and_read_newest_first(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        let campaign = shop.campaign_to(3).await;
        let (one, two) = (shop.numbers[0], shop.numbers[1]);
        let store = &db.store;
        let messages = [
            NewInbound { number_id: Some(one), campaign_id: Some(campaign), ..wrote("a", 1, NOW) },
            NewInbound { number_id: Some(two), ..wrote("b", 1, NOW + 1) },
            NewInbound { number_id: Some(one), campaign_id: Some(campaign), inferred: true, ..wrote("c", 2, NOW + 2) },
        ];
        assert_eq!(store.keep_inbound(&messages).await.unwrap(), 3);
        assert_eq!(store.keep_inbound(&messages).await.unwrap(), 0, "Meta repeats what it is not sure of");
        let read = async |filter| {
            let page = store.inbound_page(filter, i64::MAX, 10).await.unwrap();
            page.into_iter().map(|row| row.wamid).collect::<Vec<_>>()
        };
        assert_eq!(read(InboundFilter::default()).await, ["c", "b", "a"]);
        assert_eq!(read(InboundFilter { campaign_id: Some(campaign), ..InboundFilter::default() }).await, ["c", "a"]);
        assert_eq!(read(InboundFilter { number_id: Some(two), ..InboundFilter::default() }).await, ["b"]);
        assert_eq!(read(InboundFilter { contact_id: Some(1), number_id: Some(one), ..InboundFilter::default() }).await, ["a"]);
        let first = &store.inbound_page(InboundFilter::default(), i64::MAX, 1).await.unwrap()[0];
        assert_eq!((first.phone, first.campaign.as_deref(), first.inferred), (Some(15_550_000_002), Some("news"), true));
        let rest = store.inbound_page(InboundFilter::default(), first.id, 10).await.unwrap();
        assert_eq!(rest.len(), 2);
        assert_eq!(rest[1].heard_at, Some(NOW), "to that number");
    }

    async fn whoever_is_not_known_becomes_no_person_and_is_found_once_they_are_one(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let store = &db.store;
        let strange = |wamid: &str, phone: Option<i64>, user: Option<&str>, at| NewInbound {
            contact_id: None,
            number_id: Some(shop.numbers[0]),
            phone_key: phone,
            phone,
            user_id: user.map(str::to_owned),
            ..wrote(wamid, 0, at)
        };
        let messages = [strange("a", Some(MONA), None, NOW), strange("b", None, Some("US.7"), NOW + 5)];
        store.keep_inbound(&messages).await.unwrap();
        assert_eq!(number_of(store, "SELECT count(*) FROM contacts").await, 0);
        assert_eq!(store.heard_of_stranger(Some(MONA), None).await.unwrap()[0].heard_at, Some(NOW));
        assert_eq!(store.heard_of_stranger(None, Some("US.7")).await.unwrap()[0].heard_at, Some(NOW + 5));
        assert_eq!(store.heard_of_stranger(Some(MONA + 1), Some("US.8")).await.unwrap()[0].heard_at, None);
        assert_eq!(store.replies_of_stranger(Some(MONA), Some("US.7")).await.unwrap().len(), 2);
        let page = store.inbound_page(InboundFilter::default(), i64::MAX, 9).await.unwrap();
        assert_eq!((page[0].user_id.as_deref(), page[1].phone, page[1].heard_at), (Some("US.7"), Some(MONA), Some(NOW)));
        let person = store.ensure_person(MONA, MONA, NOW).await.unwrap().unwrap();
        store.learn_identities(&[Identity { kind: 2, value: "US.7".into(), contact_id: person }]).await.unwrap();
        assert_eq!(store.adopt_inbound(person).await.unwrap(), 2);
        assert_eq!(store.adopt_inbound(person).await.unwrap(), 0);
        assert_eq!(store.heard_at(person, shop.numbers[0]).await.unwrap(), Some(NOW + 5));
        assert_eq!(store.replies_of(person).await.unwrap().len(), 2);
        assert!(store.opt_ins(person).await.unwrap().is_empty());
    }

    async fn two_who_turn_out_to_be_one_have_written_as_one(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let store = &db.store;
        shop.list("all", 1..=1, NOW).await;
        let hidden = store.ensure_user("US.7", NOW).await.unwrap().unwrap();
        assert_eq!(store.ensure_user("US.7", NOW).await.unwrap(), Some(hidden));
        store.keep_inbound(&[wrote("a", hidden, NOW)]).await.unwrap();
        store.learn_identities(&[Identity { kind: 2, value: "US.7".into(), contact_id: 1 }]).await.unwrap();
        assert_eq!(store.replies_of(1).await.unwrap().len(), 1);
        assert!(store.replies_of(hidden).await.unwrap().is_empty());
    }

    async fn a_message_without_a_hint_answers_the_last_campaign_of_its_number(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        let store = &db.store;
        let list = shop.list("all", 1..=2, NOW - 1).await;
        let (one, two) = (shop.campaign("one", &[list]).await, shop.campaign("two", &[list]).await);
        exec(store, format!("UPDATE sends SET number_id = {}, state = 3", shop.numbers[0])).await;
        exec(store, format!("UPDATE sends SET accepted_at = {NOW} WHERE campaign_id = {one}")).await;
        exec(store, format!("UPDATE sends SET accepted_at = {NOW} + 10 WHERE campaign_id = {two} AND contact_id = 1")).await;
        exec(store, format!("UPDATE campaigns SET state = 5, finished_at = {NOW} + 20 WHERE id = {two}")).await;
        let last = async |person, number, since, until| store.last_campaign_to(person, number, (since, until)).await.unwrap();
        assert_eq!(last(1, shop.numbers[0], NOW - 1, NOW + 100).await, Some(two));
        assert_eq!(last(1, shop.numbers[0], NOW - 1, NOW + 5).await, Some(one), "before the second came");
        assert_eq!(last(2, shop.numbers[0], NOW - 1, NOW + 100).await, Some(one));
        assert_eq!(last(1, shop.numbers[1], NOW - 1, NOW + 100).await, None, "they heard nothing from that number");
        assert_eq!(last(1, shop.numbers[0], NOW + 50, NOW + 100).await, None, "too long ago");
    }

    async fn an_answer_is_claimed_within_the_window_and_skipped_once_it_has_closed(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        shop.list("all", 1..=1, NOW).await;
        let store = &db.store;
        let (other, mine) = (shop.numbers[1], shop.numbers[0]);
        store.keep_inbound(&[NewInbound { number_id: Some(other), ..wrote("other", 1, NOW) }]).await.unwrap();
        let lane = shop.lane().await;
        let never = answer(&shop, "message one").await;
        let batch = lane.batch(never, 10).await;
        let Claim::Made { sends, skipped, exhausted, .. } = lane.try_claim(&batch, 10, NOW).await else { panic!() };
        assert_eq!((sends.len(), skipped, exhausted), (0, 1, true), "they wrote to another number");
        assert_eq!(send(store, never, 1).await.reason.as_deref(), Some(WINDOW_CLOSED));
        crate::fixture::assert_tallied(store, never).await;
        // A thumb on a message opens nothing.
        let thumb = NewInbound { number_id: Some(mine), opens: false, ..wrote("thumb", 1, NOW) };
        store.keep_inbound(&[thumb, NewInbound { number_id: Some(mine), ..wrote("mine", 1, NOW - LASTS + 1_000) }]).await.unwrap();
        let late = answer(&shop, "message two").await;
        let batch = lane.batch(late, 10).await;
        let Claim::Made { sends, .. } = lane.try_claim(&batch, 10, NOW + 750).await else { panic!() };
        assert!(sends.is_empty(), "it would close before the message leaves");
        let now = answer(&shop, "message three").await;
        let batch = lane.batch(now, 10).await;
        // Marketing is stopped, and they wrote: they are answered. Under a messaging limit nobody's place is taken.
        store.stop(&Stop { phone: Some((MONA, MONA)), ..stop() }).await.unwrap();
        shop.sync_limit(Some(1), NOW).await;
        store.count_reached(shop.account, NOW).await.unwrap();
        assert_eq!(ids(&made(lane.try_claim(&batch, 10, NOW).await)), [1]);
        assert_eq!(number_of(store, "SELECT count(*) FROM reached").await, 0);
        assert_eq!(store.claimed_after_stop(&[(now, 1)], 0).await.unwrap(), 0);
        let scope = domain::optout::scope::Scope::All;
        store.stop(&Stop { phone: Some((MONA, MONA)), scope, ..stop() }).await.unwrap();
        let stopped = answer(&shop, "message four").await;
        let batch = lane.batch(stopped, 10).await;
        assert!(made(lane.try_claim(&batch, 10, NOW).await).is_empty(), "whoever stopped everything gets no answer");
        assert_eq!(send(store, stopped, 1).await.reason.as_deref(), Some("opted-out"));
    }

    async fn an_erasure_takes_what_they_wrote_what_they_were_answered_and_what_came_under_their_names(db: Database) {
        db.store.blind_with(&[7; 32]);
        let shop = Shop::open(&db.store, 1).await;
        shop.list("all", 1..=2, NOW).await;
        let store = &db.store;
        let strange = NewInbound { contact_id: None, phone_key: Some(MONA), phone: Some(MONA), ..wrote("b", 0, NOW) };
        let hidden = NewInbound { contact_id: None, user_id: Some("US.1".into()), ..wrote("c", 0, NOW) };
        store.keep_inbound(&[wrote("a", 1, NOW), strange, hidden, wrote("d", 2, NOW)]).await.unwrap();
        let message = answer(&shop, "message one").await;
        assert_eq!(store.answers_to(1).await.unwrap(), [(message, r#"{"text":"At nine."}"#.to_owned())]);
        store.stop(&crate::fixture::stop_of(1)).await.unwrap();
        let names = [MONA.to_string(), "US.1".to_owned()];
        let evidence = crate::testing::entry("erasure", NOW);
        let erasure = crate::Erasure { contact_ids: &[1], names: &names, at: NOW, actor: "cli:nour", evidence };
        store.erase(&erasure, |_| None).await.unwrap();
        let left = store.inbound_page(InboundFilter::default(), i64::MAX, 10).await.unwrap();
        assert_eq!(left.iter().map(|row| row.wamid.as_str()).collect::<Vec<_>>(), ["d"]);
        assert_eq!(store.answers_to(1).await.unwrap(), [(message, "{}".to_owned())]);
    }
}
