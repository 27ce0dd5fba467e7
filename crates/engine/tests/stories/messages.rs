//! Single messages: ahead of bulk on the same number, once for each key, also through a crash; and on trial.

use std::time::Duration;

use crate::world::{NUMBER, PARAMS, World};
use engine::campaigns::{self, MessageOrder, TestOrder};
use engine::house::{self, RulesChange};
use engine::{Actor, FaultKind, optouts};
use store::testing::Database;

fn order(key: &str, to: &str) -> MessageOrder {
    MessageOrder {
        key: key.into(),
        to: to.into(),
        number: NUMBER.into(),
        template: "order_update".into(),
        language: "en".into(),
        params: [("first_name", "Mona"), ("order_id", "A-17")]
            .map(|(key, text)| (key.to_owned(), text.to_owned()))
            .into(),
    }
}

fn offer(key: &str, to: &str) -> MessageOrder {
    MessageOrder {
        template: "eid_offer".into(),
        params: [("1", "Mona"), ("2", "20%")].map(|(key, text)| (key.to_owned(), text.to_owned())).into(),
        ..order(key, to)
    }
}

store::on_both_databases! {
    async fn a_message_overtakes_bulk_and_is_sent_once_for_its_key(db: Database) {
        let mut world = World::new(db).await;
        world.rate(20, 0).await;
        world.start();
        // Half a minute of bulk.
        let bulk = world.launched(600).await;
        world.until(bulk, |view| view.counts.accepted > 5).await;
        let (app, actor) = (world.app.clone(), Actor::system());
        let wanted = order("order-17", "+201200000001");
        let (one, other) = tokio::join!(
            campaigns::send_message(&app, &actor, &wanted),
            campaigns::send_message(&app, &actor, &wanted)
        );
        assert_eq!(one.unwrap().id, other.unwrap().id, "asked for twice at once");
        let mut waited = 0;
        let sent = loop {
            let message = campaigns::message(&app, "order-17").await.unwrap();
            if message.state == "accepted" {
                break message;
            }
            waited += 1;
            assert!(waited < 100, "{message:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert!(world.view(bulk).await.counts.accepted < 400, "long before the bulk was through");
        let listed = campaigns::messages(&app, None, 10).await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].message.key.as_str(), listed[0].message.state.as_str()), ("order-17", "accepted"));
        assert_eq!((listed[0].template.as_str(), listed[0].number.as_str()), ("order_update", NUMBER));
        assert!(campaigns::messages(&app, Some(sent.id), 10).await.unwrap().is_empty());
        let again = campaigns::send_message(&app, &actor, &wanted).await.unwrap();
        assert_eq!((again.id, again.wamid), (sent.id, sent.wamid));
        let other = MessageOrder { to: "+201200000002".into(), ..wanted.clone() };
        let refused = campaigns::send_message(&app, &actor, &other).await.unwrap_err();
        assert_eq!(refused.kind, FaultKind::Conflict, "{refused:?}");
        let strangers = offer("offer-1", "+201200000003");
        let refused = campaigns::send_message(&app, &actor, &strangers).await.unwrap_err();
        assert!(refused.detail.contains("consented to marketing"), "{refused:?}");
        let known = MessageOrder { to: "+201000000003".into(), key: "offer-2".into(), ..strangers.clone() };
        campaigns::send_message(&app, &actor, &known).await.expect("they are on a list, with the evidence of their consent");
        let american = MessageOrder { to: "+12025550143".into(), key: "offer-3".into(), ..strangers };
        let refused = campaigns::send_message(&app, &actor, &american).await.unwrap_err();
        assert!(refused.detail.contains("United States"), "{refused:?}");
        let listed = campaigns::ls(&app, None, 10).await.unwrap();
        assert_eq!(listed.iter().map(|view| view.id).collect::<Vec<_>>(), [bulk]);
        let to = world.simulator.all_messages().into_iter().filter(|row| row.to.as_deref() == Some("+201200000001"));
        assert_eq!(to.count(), 1);
        world.stop().await;
    }

    async fn a_crash_sends_no_message_twice_and_who_opted_out_gets_none(db: Database) {
        let world = World::new(db).await;
        world.rate(100, 0).await;
        let (app, actor) = (world.app.clone(), Actor::system());
        let scheduler = world.scheduler(&app);
        let worker = world.worker(&app);
        for n in 0..20 {
            let wanted = order(&format!("order-{n}"), &format!("+2012000001{n:02}"));
            campaigns::send_message(&app, &actor, &wanted).await.unwrap();
            if n == 10 {
                worker.crash().await;
                break;
            }
        }
        let worker = world.worker(&app);
        for n in 0..20 {
            let wanted = order(&format!("order-{n}"), &format!("+2012000001{n:02}"));
            campaigns::send_message(&app, &actor, &wanted).await.unwrap();
        }
        for n in 0..20 {
            let mut waited = 0;
            loop {
                let state = campaigns::message(&app, &format!("order-{n}")).await.unwrap().state;
                // Without a webhook nobody can say of what was under way in the crash.
                if state == "accepted" || state == "in_doubt" {
                    break;
                }
                waited += 1;
                assert!(waited < 300, "order-{n} is {state}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        assert_eq!(world.simulator.report().duplicates, 0);
        let mut people: Vec<_> = world.simulator.all_messages().into_iter().filter_map(|row| row.to).collect();
        let all = people.len();
        people.sort_unstable();
        people.dedup();
        assert_eq!(people.len(), all, "one message each");
        optouts::add(&app, &actor, "+201200000199", "by letter").await.unwrap();
        let refused = campaigns::send_message(&app, &actor, &offer("late", "+201200000199")).await.unwrap_err();
        assert_eq!((refused.kind, refused.detail.as_str()), (FaultKind::WrongState, "The person opted out."));
        worker.stop().await;
        scheduler.stop().await;
    }

    async fn a_campaign_is_tried_out_without_being_counted(db: Database) {
        let mut world = World::new(db).await;
        world.rate(100, 0).await;
        world.start();
        world.people("all", 5, |_| true).await;
        let id = world.campaign("eid", "all", PARAMS).await;
        let (app, actor) = (world.app.clone(), Actor::system());
        let order = TestOrder { to: "+201200000001".into() };
        let refused = campaigns::try_out(&app, &actor, id, &order).await.unwrap_err();
        assert!(refused.detail.contains("number of the house"), "{refused:?}");
        let change = RulesChange { test_numbers: Some(vec!["+20 120 000 0001".into()]), ..RulesChange::default() };
        let rules = house::set_rules(&app, &actor, &change).await.unwrap();
        assert_eq!(rules.test_numbers, ["+201200000001"]);
        let first = campaigns::try_out(&app, &actor, id, &order).await.unwrap();
        let second = campaigns::try_out(&app, &actor, id, &order).await.unwrap();
        assert_ne!(first.id, second.id, "as often as somebody likes");
        for message in [first, second] {
            world.until(message.id, |view| view.counts.accepted == 1).await;
        }
        let view = world.view(id).await;
        assert_eq!((view.state.as_str(), view.total, view.counts.accepted), ("draft", 0, 0));
        let sent = world.simulator.all_messages();
        assert!(sent.iter().all(|row| row.to.as_deref() == Some("+201200000001")), "{sent:?}");
        world.launch(id).await;
        assert_eq!(world.settle(id).await.counts.accepted, 5);
        world.stop().await;
    }
}
