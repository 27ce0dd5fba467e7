//! Statuses that come long after all is over, and statuses of messages that are not ours.

use std::time::Duration;

use e2e::{NUMBERS, Setup, World, phone, until};
use serde_json::json;

use crate::on_both_databases;

const PEOPLE: u32 = 300;

on_both_databases! {
    /// The campaign has ended and Hudhud was started anew before the first status comes, all of them at once.
    async fn statuses_that_come_long_after_the_end_still_find_their_messages(database) within 300; {
        let (world, mut serve) =
            World::with_serve(Setup::on(database).at(200).simulating(json!({"webhook": {"hold": true}}))).await;
        world.import("spring", 0..PEOPLE).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        until("an end without a single status", Duration::from_secs(120), async || {
            (world.shown(&campaign).await?["state"] == "finished").then_some(())
        })
        .await;
        let shown = world.hudhud(&["campaign", "show", "spring"]).await.ok();
        assert_eq!(shown["counts"]["accepted"], json!(PEOPLE), "{shown}");
        serve.kill();
        let _serve = world.serve("main", &[]).await;
        world.simulator.set(json!({"webhook": {"hold": false}})).await;
        let shown = world.settle(&campaign).await;
        assert_eq!(shown["state"], "finished", "{shown}");
        assert!(shown["counts"]["read"].as_u64() > Some(50), "{shown}");
    }
}

on_both_databases! {
    /// Another program shares the account; its statuses come to us as well, some with callback data in our own form.
    async fn statuses_of_unknown_messages_are_acknowledged_and_change_nothing(database) within 300; {
        let (world, mut serve) = World::with_serve(Setup::on(database)).await;
        world.import("spring", 0..200).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        for n in 0..60 {
            // To people of the campaign, with its numbers and attempts, from another installation; or in no form of ours.
            let callback = match n % 3 {
                0 => format!("hh1.ffffffff.99.{n}.1"),
                1 => format!("order-{n}"),
                _ => format!("hh1.ffffffff.{}.1", n + 1_000),
            };
            world.send_past_us(NUMBERS[1], &phone(n), &callback).await;
        }
        let shown = world.settle(&campaign).await;
        assert_eq!(shown["total"], json!(200), "{shown}");
        let webhooks = world.simulator.report().await["webhooks"].clone();
        assert!(webhooks["given_up"] == 0 && webhooks["dropped"] == 0, "each was acknowledged: {webhooks}");
        let doubts = world.hudhud(&["indoubt", "ls"]).await.ok();
        assert_eq!(doubts, json!([]));
        serve.expect_running();
    }
}
