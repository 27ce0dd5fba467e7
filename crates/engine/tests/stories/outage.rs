//! What is away comes back, and nobody pays for it: the Graph API, the token, Redis, and the time to stop.

use std::time::Duration;

use crate::world::{PATIENCE, Pauses, Stopwatch, World};
use engine::{accounts, queue_view};
use secrecy::SecretString;
use simulator::Outage;
use store::testing::Database;

async fn graph_goes_and_comes(db: Database, outage: Outage, in_doubt_at_most: i64) {
    let mut world = World::new(db).await;
    world.rate(100, 0).await;
    world.start();
    let id = world.launched(400).await;
    world.until(id, |view| view.counts.accepted > 50).await;
    world.simulator.update(|settings| settings.outage = outage).unwrap();
    let mut opened = false;
    for _ in 0..100 {
        let lanes = serde_json::to_string(&queue_view::view(&world.app).await.unwrap()).unwrap();
        if lanes.contains("outage") || lanes.contains("the Graph API fails") {
            opened = true;
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(opened, "the lane says that the Graph API fails");
    let before = world.simulator.report().requests;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let tried = world.simulator.report().requests - before;
    assert!(tried <= 5, "an open circuit tries with one message at a time: {tried}");
    let view = world.view(id).await;
    assert_eq!((view.counts.failed, view.state.as_str()), (0, "running"), "{view:?}");
    world.simulator.update(|settings| settings.outage = Outage::None).unwrap();
    let view = world.until(id, |view| view.counts.accepted + view.counts.in_doubt == 400).await;
    assert!(view.counts.in_doubt <= in_doubt_at_most, "{view:?}");
    assert_eq!((view.counts.failed, world.simulator.report().duplicates), (0, 0), "{view:?}");
    world.stop().await;
}

store::on_both_databases! {
    async fn a_refused_token_stops_the_account_and_a_new_one_lets_it_go_on(db: Database) {
        let mut world = World::new(db).await;
        world.rate(100, 0).await;
        world.start();
        let id = world.launched(300).await;
        world.until(id, |view| view.counts.accepted > 20).await;
        world.simulator.update(|settings| settings.accounts[0].access_token = "another-token".into()).unwrap();
        let stopped = || async { accounts::list(&world.app).await.unwrap()[0].stopped_reason.clone() };
        let began = world.app.clock.boot_us();
        while stopped().await.is_none() {
            assert!(world.app.clock.boot_us() - began < 10_000_000, "the account is never stopped");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let requests = world.simulator.report().requests;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(world.simulator.report().requests, requests, "nothing is tried with a token that was refused");
        let view = world.view(id).await;
        assert_eq!((view.counts.failed, view.counts.in_doubt), (0, 0), "{view:?}");
        // The lane still has the old token in hand when the stop is lifted: that must not stop the account again.
        accounts::rotate(&world.app, "shop", &SecretString::from("another-token")).await.unwrap();
        accounts::sync(&world.app, None).await.unwrap();
        world.until(id, |view| view.counts.accepted > 200).await;
        assert_eq!(stopped().await, None);
        let view = world.view(id).await;
        assert_eq!((view.counts.failed, world.simulator.report().duplicates), (0, 0), "{view:?}");
        world.stop().await;
    }

    async fn redis_dies_in_the_middle_and_the_lane_forgets_no_batch(db: Database) {
        let mut world = World::new(db).await;
        world.rate(100, 0).await;
        world.start();
        let id = world.launched(600).await;
        world.until(id, |view| view.counts.accepted > 50).await;
        for _ in 0..2 {
            world.redis.kill();
            // The tasks' futures are dropped now, while their batches are in the lane's hand; a pause puts those down.
            tokio::time::sleep(Duration::from_millis(700)).await;
            world.pause(id).await;
            world.redis.start_again();
            tokio::time::sleep(Duration::from_millis(500)).await;
            world.resume(id).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let view = world.settle(id).await;
        assert_eq!(view.counts.accepted, 600, "{view:?}");
        world.stop().await;
    }
}

// These turn on the Graph API alone, and take their time: one database each.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_graph_api_refuses_connections_everyone_keeps_their_place() {
    let db = Database::postgres().await;
    // A connection that is cut in the middle leaves a doubt; one that is refused leaves none.
    graph_goes_and_comes(db, Outage::Refused, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_gateways_answer_for_the_graph_api_few_are_in_doubt_and_nobody_fails() {
    let db = Database::sqlite().await;
    graph_goes_and_comes(db, Outage::Unavailable, 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_stops_in_time_though_no_post_is_answered() {
    let db = Database::sqlite().await;
    let world = World::new(db).await;
    world.rate(50, 0).await;
    let scheduler = world.scheduler(&world.app);
    let worker = world.worker(&world.app);
    // Not before the launch, which asks Meta and would ask for a yes.
    let id = world.launched(100).await;
    world.simulator.update(|settings| settings.outage = Outage::Hanging).unwrap();
    // How many are open once a second without an answer ends the claiming is the machine's affair: one that has just come
    // to the platform is enough, and will not be given up before ten seconds.
    let before = world.simulator.report().requests;
    let waited = Stopwatch::start();
    while world.simulator.report().requests == before {
        assert!(waited.so_far() < PATIENCE, "nothing is posted: {:?}", world.view(id).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (pauses, began) = (Pauses::from_now(), world.app.clock.boot_us());
    worker.stop().await;
    let took = Duration::from_micros(world.app.clock.boot_us() - began).saturating_sub(pauses.lost());
    assert!(took < Duration::from_secs(24), "{took:?}");
    let view = world.view(id).await;
    assert_eq!((view.counts.submitting, view.counts.failed), (0, 0), "{view:?}");
    // What was claimed and never handed over is planned again; the rest may have arrived.
    let posted = i64::try_from(world.simulator.report().requests - before).unwrap();
    assert!(view.counts.in_doubt >= posted && posted > 0, "{posted} posted: {view:?}");
    scheduler.stop().await;
}
