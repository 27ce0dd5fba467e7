//! Order notices in the middle of a campaign on the same number.

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::{NUMBER, Setup, World, until};
use serde_json::Value;

use crate::on_both_databases;

const NOTICES: usize = 12;

fn to(n: usize) -> String {
    format!("+2012000001{n:02}")
}

/// Asks for a notice; `None` where nobody was there to ask.
async fn ask(world: &World, n: usize) -> Option<Value> {
    let (key, to, order) = (format!("order-{n}"), to(n), format!("order_id=A-{n}"));
    let args = ["message", "send", "--key", &key, "--to", &to, "--number", NUMBER, "--template", "order_update"];
    let rest = ["--language", "en", "--param", "first_name=Mona", "--param", &order];
    let answer = world.hudhud(&[&args[..], &rest[..]].concat()).await;
    (answer.code == 0).then_some(answer.json)
}

on_both_databases! {
    /// They go before the campaign's, and each goes once, though it is asked for twice and the process is killed.
    async fn notices_overtake_a_campaign_and_none_is_doubled_by_a_kill(database) within 300; {
        let (world, mut serve) = World::with_serve(Setup::on(database).at(40)).await;
        world.import("spring", 0..2_400).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(40).await;
        for n in 0..NOTICES / 2 {
            assert!(ask(&world, n).await.is_some(), "notice {n}");
        }
        serve.kill();
        serve = world.serve("main", &[]).await;
        for n in 0..NOTICES {
            until("a notice is taken", Duration::from_secs(30), async || ask(&world, n).await).await;
        }
        for n in 0..NOTICES {
            let key = format!("order-{n}");
            until("a notice was delivered", Duration::from_secs(30), async || {
                let message = world.hudhud(&["message", "show", &key]).await.ok();
                ["delivered", "read"].iter().any(|state| message["state"] == *state).then_some(())
            })
            .await;
        }
        let shown = world.shown(&campaign).await.expect("it answers");
        assert_ne!(shown["state"], "finished", "the notices went before the campaign was through");
        let mut got: BTreeMap<String, usize> = BTreeMap::new();
        for row in world.simulator.ledger().await {
            if row.was_taken_in() && row.campaign() != Some(campaign.id) {
                *got.entry(row.to.unwrap_or_default()).or_default() += 1;
            }
        }
        let one_each: BTreeMap<String, usize> = (0..NOTICES).map(|n| (to(n), 1)).collect();
        assert_eq!(got, one_each);
        let _ = world.hudhud(&["campaign", "cancel", &campaign.name]).await.ok();
        drop(serve);
    }
}
