//! Answers in free text: to somebody who wrote, for a day, once; and what becomes of those that come too late.

use std::time::Duration;

use crate::world::{APP_SECRET, NUMBER, PARAMS, PATIENCE, Stopwatch, World, hook};
use engine::campaigns::{self, MessageView, ReplyOrder};
use engine::inbound::{self, InboundQuery, InboundView, WindowOrder};
use engine::webhook::{self, Received};
use engine::{Actor, FaultKind, numbers, optouts, persons};
use ring::hmac;
use serde_json::json;
use simulator::{Act, Inbound};
use store::testing::Database;

const DAY: i64 = 24 * 3_600_000;

fn reply(key: &str, to: &str) -> ReplyOrder {
    let text = "We open at nine.\nSee you!";
    ReplyOrder { key: key.into(), to: to.into(), number: NUMBER.into(), text: text.into(), answers: None }
}

/// A person acts in the simulator.
fn acts(world: &World, from: &str, act: Act) -> String {
    let inbound = Inbound { from: from.into(), act, phone_number_id: Some(NUMBER.into()), context: true };
    world.simulator.inbound(&inbound).unwrap().id.unwrap_or_default()
}

fn writes(world: &World, from: &str, text: &str) -> String {
    acts(world, from, Act::Text { text: text.into(), opt_out: false })
}

/// A message that the simulator knows nothing of, as it came at a time.
async fn came(world: &World, wamid: &str, from: &str, at: i64) {
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "100200300400500", "changes": [
        {"field": "messages", "value": {"messaging_product": "whatsapp",
         "metadata": {"display_phone_number": "1", "phone_number_id": NUMBER},
         "messages": [{"id": wamid, "from": from, "timestamp": (at / 1_000).to_string(), "type": "text",
                       "text": {"body": "When do you open?"}}]}}]}]})
    .to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, APP_SECRET.as_bytes());
    let signature = format!("sha256={}", hex::encode(hmac::sign(&key, body.as_bytes())));
    let received = webhook::receive(&world.app, body.as_bytes(), Some(&signature)).await.unwrap();
    assert_eq!(received, Received::Kept);
}

async fn read(world: &World, query: InboundQuery) -> Vec<InboundView> {
    inbound::ls(&world.app, &Actor::system(), &query, None, 100).await.unwrap()
}

/// Waits until so many messages are kept.
async fn heard(world: &World, count: usize) -> Vec<InboundView> {
    let waited = Stopwatch::start();
    loop {
        let kept = read(world, InboundQuery::default()).await;
        if kept.len() == count {
            return kept;
        }
        assert!(waited.so_far() < PATIENCE, "{kept:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until(world: &World, key: &str, holds: impl Fn(&MessageView) -> bool) -> MessageView {
    let waited = Stopwatch::start();
    loop {
        let message = campaigns::message(&world.app, key).await.unwrap();
        if holds(&message) {
            return message;
        }
        assert!(waited.so_far() < PATIENCE, "{message:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

store::on_both_databases! {
    async fn whoever_wrote_is_answered_once_and_nobody_else(db: Database) {
        let mut world = World::new(db).await;
        world.rate(100, 0).await;
        let _hook = hook(&world.app, &world.simulator).await;
        world.start();
        world.people("all", 3, |_| true).await;
        let campaign = world.campaign("eid", "all", PARAMS).await;
        world.launch(campaign).await;
        world.settle(campaign).await;
        let (app, actor) = (world.app.clone(), Actor::system());
        let refused = campaigns::send_reply(&app, &actor, &reply("one", "+201000000000")).await.unwrap_err();
        assert_eq!(refused.kind, FaultKind::WrongState);
        assert!(refused.detail.contains("has not written"), "{refused:?}");
        assert!(refused.action.contains("approved template"), "{refused:?}");
        let wamid = writes(&world, "+201000000000", "When do you open?");
        let kept = heard(&world, 1).await;
        assert_eq!((kept[0].text.as_deref(), kept[0].campaign.as_deref()), (Some("When do you open?"), Some("eid")));
        assert!(kept[0].inferred && kept[0].window.open && kept[0].wamid == wamid, "{kept:?}");
        // Asked for twice at once, and once more: it is one message.
        let order = ReplyOrder { answers: Some(wamid.clone()), ..reply("one", "+20 100 000 0000") };
        let (first, second) = tokio::join!(
            campaigns::send_reply(&app, &actor, &order),
            campaigns::send_reply(&app, &actor, &order)
        );
        assert_eq!(first.unwrap().id, second.unwrap().id);
        let sent = until(&world, "one", |message| message.state == "delivered" || message.state == "read").await;
        assert_eq!(campaigns::send_reply(&app, &actor, &order).await.unwrap().wamid, sent.wamid);
        let rows = || world.simulator.all_messages().into_iter().filter(|row| row.template.is_empty());
        assert_eq!(rows().map(|row| row.to.unwrap()).collect::<Vec<_>>(), ["+201000000000"]);
        for other in [
            ReplyOrder { text: "Never mind.".into(), ..order.clone() },
            ReplyOrder { to: "+201000000001".into(), ..order.clone() },
            ReplyOrder { answers: None, ..order.clone() },
        ] {
            assert_eq!(campaigns::send_reply(&app, &actor, &other).await.unwrap_err().kind, FaultKind::Conflict);
        }
        // Their message is theirs to quote, and nobody else's.
        writes(&world, "+201000000001", "And on Friday?");
        heard(&world, 2).await;
        let foreign = ReplyOrder { to: "+201000000001".into(), key: "two".into(), ..order.clone() };
        assert_eq!(campaigns::send_reply(&app, &actor, &foreign).await.unwrap_err().kind, FaultKind::Invalid);
        // Who said stop to marketing, and wrote, is answered; who stopped everything is not.
        acts(&world, "+201000000001", Act::Stop);
        heard(&world, 3).await;
        campaigns::send_reply(&app, &actor, &reply("two", "+201000000001")).await.unwrap();
        until(&world, "two", |message| message.accepted_at.is_some()).await;
        optouts::add_within(&app, &actor, "+201000000001", "by letter", Some("all")).await.unwrap();
        let refused = campaigns::send_reply(&app, &actor, &reply("three", "+201000000001")).await.unwrap_err();
        assert_eq!((refused.kind, refused.detail.as_str()), (FaultKind::WrongState, "The person opted out."));
        let report = world.simulator.report();
        assert_eq!((report.after_opt_out, report.duplicates), (0, 0));
        assert_eq!(app.store.claimed_after_stop(&[(sent.id, 1)], 0).await.unwrap(), 0);
        assert_eq!(read(&world, InboundQuery { campaign: Some("eid".into()), ..InboundQuery::default() }).await.len(), 3);
        world.stop().await;
    }

    async fn a_stranger_is_answered_without_having_consented_to_anything_and_erased_like_anybody(db: Database) {
        let mut world = World::new(db).await;
        world.rate(100, 0).await;
        let _hook = hook(&world.app, &world.simulator).await;
        world.start();
        let (app, actor) = (world.app.clone(), Actor::system());
        let stranger = "+201200000009";
        writes(&world, stranger, "Do you ship to Aswan?");
        assert_eq!(heard(&world, 1).await[0].contact_id, None);
        let order = WindowOrder { person: stranger.into(), number: None };
        let asked = inbound::windows(&app, &actor, &order).await.unwrap();
        assert_eq!((asked.contact_id, asked.windows[0].open), (None, true), "to look makes nobody a person");
        let held = persons::export(&app, &actor, stranger).await.unwrap();
        assert_eq!(held["held"][0]["replies"][0]["said"], "Do you ship to Aswan?", "{held}");
        campaigns::send_reply(&app, &actor, &reply("one", stranger)).await.unwrap();
        until(&world, "one", |message| message.accepted_at.is_some()).await;
        let contact_id = heard(&world, 1).await[0].contact_id.expect("they are a person now");
        assert!(app.store.opt_ins(contact_id).await.unwrap().is_empty());
        let held = persons::export(&app, &actor, stranger).await.unwrap();
        assert_eq!(held["held"][0]["answers"][0]["said"], "We open at nine.\nSee you!", "{held}");
        persons::erase(&app, &actor, stranger, "asked for").await.unwrap();
        assert!(read(&world, InboundQuery::default()).await.is_empty());
        let refused = campaigns::send_reply(&app, &actor, &reply("two", stranger)).await.unwrap_err();
        assert!(refused.detail.contains("erased"), "{refused:?}");
        // They write again: their name is not taken down, and what they say is swept away.
        writes(&world, stranger, "Are you sure?");
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(read(&world, InboundQuery::default()).await.is_empty());
        world.stop().await;
    }

    async fn an_answer_that_waits_until_the_window_has_closed_is_never_sent(db: Database) {
        let mut world = World::new(db).await;
        world.rate(100, 0).await;
        world.start();
        world.people("all", 2, |_| true).await;
        let (app, actor) = (world.app.clone(), Actor::system());
        numbers::pause(&app, NUMBER, "the shop is closed").await.unwrap();
        let now = app.clock.now_ms();
        came(&world, "wamid.a", "201000000000", now - DAY + 4_000).await;
        came(&world, "wamid.b", "201000000001", now - DAY - 60_000).await;
        heard(&world, 2).await;
        let refused = campaigns::send_reply(&app, &actor, &reply("late", "+201000000001")).await.unwrap_err();
        assert!(refused.detail.contains("ended at"), "{refused:?}");
        campaigns::send_reply(&app, &actor, &reply("waits", "+201000000000")).await.unwrap();
        let skipped = until(&world, "waits", |message| message.state == "skipped").await;
        assert_eq!(skipped.reason.as_deref(), Some("window-closed"));
        assert!(app.clock.now_ms() >= now + 3_000, "not before it closed");
        numbers::resume(&app, NUMBER).await.unwrap();
        world.settle(skipped.id).await;
        assert!(world.simulator.all_messages().is_empty());
        world.stop().await;
    }

    async fn what_meta_takes_for_too_late_fails_and_holds_nothing_up(db: Database) {
        let mut world = World::new(db).await;
        world.rate(100, 0).await;
        world.start();
        let (app, actor) = (world.app.clone(), Actor::system());
        // Meta never heard of this message.
        came(&world, "wamid.a", "201000000000", app.clock.now_ms()).await;
        heard(&world, 1).await;
        campaigns::send_reply(&app, &actor, &reply("one", "+201000000000")).await.unwrap();
        let failed = until(&world, "one", |message| message.state == "failed").await;
        assert_eq!(failed.code, Some(131_047));
        assert_eq!(world.settle(failed.id).await.counts.failed, 1);
        assert_eq!(app.store.number_of_meta(NUMBER).await.unwrap().unwrap().paused_reason, None);
        world.stop().await;
    }
}
