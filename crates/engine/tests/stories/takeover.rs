//! Owners that die, lose their lease, or stand still: nobody gets a message twice and nobody is forgotten.

use std::time::Duration;

use crate::world::{NUMBER, World};
use engine::journal::{AttemptKey, Journal};
use engine::{host, worker};
use store::testing::Database;
use store::{Claim, ClaimOrder, Owner};

/// Claims the first sends of a campaign as a worker would that dies right after its commit. Their keys.
async fn claim_and_die(world: &World, campaign: i64, owner: &Owner, count: usize) -> Vec<AttemptKey> {
    let store = &world.app.store;
    let number = store.number_of_meta(NUMBER).await.unwrap().unwrap().id;
    let lane = worker::lane_name(number);
    let now = world.app.clock.now_ms();
    let token = store.take_lease(&lane, Some(number), owner, None, now).await.unwrap().expect("nobody has the lane");
    let batch = loop {
        if let Some(batch) = store.lane_batches(number).await.unwrap().into_iter().next() {
            break batch;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(batch.campaign_id, campaign);
    let order = ClaimOrder { lane: &lane, token, batch: &batch, after: 0, limit: count, now };
    let Claim::Made { sends, .. } = store.claim(&order).await.unwrap() else { panic!("the claim is refused") };
    assert_eq!(sends.len(), count);
    sends
        .iter()
        .map(|send| AttemptKey { campaign_id: send.campaign_id, contact_id: send.contact_id, attempt: send.attempt })
        .collect()
}

store::on_both_databases! {
    async fn a_second_worker_takes_over_from_one_that_died_without_a_word(db: Database) {
        let world = World::new(db).await;
        world.rate(100, 100).await;
        let scheduler = world.scheduler(&world.app);
        let first = world.worker(&world.app);
        let id = world.launched(250).await;
        world.until(id, |view| view.counts.accepted > 50).await;
        first.crash().await;
        let second = world.worker(&world.app);
        let view = world.settle(id).await;
        assert_eq!(view.counts.accepted, 250, "{view:?}");
        let report = world.simulator.report();
        assert_eq!(report.accepted, 250);
        assert!(report.max_in_sliding_second.values().all(|most| *most <= 100), "{report:?}");
        second.stop().await;
        scheduler.stop().await;
    }

    async fn what_a_journal_proves_unsent_is_sent_and_what_it_holds_is_in_doubt(db: Database) {
        let world = World::new(db).await;
        world.rate(200, 0).await;
        let scheduler = world.scheduler(&world.app);
        let id = world.launched(60).await;
        let dead = host::owner(&host::new_instance());
        let keys = claim_and_die(&world, id, &dead, 20).await;
        let journal = Journal::open(world.dir.path(), &dead.instance).unwrap();
        for key in &keys[..5] {
            journal.note(*key).unwrap();
        }
        drop(journal);
        let worker = world.worker(&world.app);
        let view = world.until(id, |view| view.counts.accepted == 55).await;
        assert_eq!((view.counts.in_doubt, view.state.as_str()), (5, "running"), "{view:?}");
        let report = world.simulator.report();
        assert_eq!((report.accepted, report.duplicates), (55, 0), "{report:?}");
        worker.stop().await;
        scheduler.stop().await;
    }

    async fn without_a_journal_of_this_boot_every_open_claim_is_in_doubt(db: Database) {
        let world = World::new(db).await;
        world.rate(200, 0).await;
        let scheduler = world.scheduler(&world.app);
        let id = world.launched(60).await;
        // It left a journal, but of another boot: what the machine's memory held is gone.
        let dead = Owner { boot: "another boot".to_owned(), ..host::owner(&host::new_instance()) };
        claim_and_die(&world, id, &dead, 20).await;
        drop(Journal::open(world.dir.path(), &dead.instance).unwrap());
        let worker = world.worker(&world.app);
        let view = world.until(id, |view| view.counts.accepted == 40).await;
        assert_eq!(view.counts.in_doubt, 20, "{view:?}");
        assert_eq!(world.simulator.report().accepted, 40);
        worker.stop().await;
        scheduler.stop().await;
    }

    async fn an_owner_whose_lease_is_taken_sends_nothing_more(db: Database) {
        let world = World::new(db).await;
        world.rate(100, 0).await;
        let scheduler = world.scheduler(&world.app);
        let first = world.worker(&world.app);
        let id = world.launched(300).await;
        world.until(id, |view| view.counts.accepted > 50).await;
        let number = world.app.store.number_of_meta(NUMBER).await.unwrap().unwrap().id;
        let lane = worker::lane_name(number);
        // Somebody of another machine takes it, and never sends. The owner beats meanwhile: look until it fits.
        let thief = Owner { instance: "thief".into(), host: "elsewhere".into(), boot: "b".into() };
        let token = loop {
            let lease = world.app.store.lease(&lane).await.unwrap().unwrap();
            let seen = Some((lease.token, lease.beat));
            if let Some(token) = world.app.store.take_lease(&lane, Some(number), &thief, seen, 0).await.unwrap() {
                break token;
            }
        };
        let kept = {
            // The thief lives: it beats, so that the lane stays its own.
            let (store, lane) = (world.app.store.clone(), lane.clone());
            tokio::spawn(async move {
                while !matches!(store.beat(&lane, token, "{}", 0).await, Ok(None)) {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            })
        };
        if !world.app.store.is_embedded() {
            // What was claimed in its last quarter of a second may still have left.
            tokio::time::sleep(Duration::from_millis(300)).await;
            let accepted = world.simulator.report().accepted;
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            assert_eq!(world.simulator.report().accepted, accepted, "nothing leaves without the lease");
        }
        kept.abort();
        let view = world.settle(id).await;
        assert_eq!(view.counts.accepted, 300, "{view:?}");
        assert_eq!(world.simulator.report().duplicates, 0);
        first.stop().await;
        scheduler.stop().await;
    }
}

// Two processes: PostgreSQL alone, as one process writes an SQLite file.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_share_the_numbers_and_no_message_leaves_twice() {
    let db = Database::postgres().await;
    let world = World::new(db).await;
    world.rate(100, 100).await;
    let scheduler = world.scheduler(&world.app);
    let (other, _dir) = world.elsewhere().await;
    let (first, second) = (world.worker(&world.app), world.worker(&other));
    let id = world.launched(300).await;
    let view = world.settle(id).await;
    assert_eq!(view.counts.accepted, 300, "{view:?}");
    let report = world.simulator.report();
    assert_eq!(report.accepted, 300);
    assert!(report.max_in_sliding_second.values().all(|most| *most <= 100), "{report:?}");
    second.stop().await;
    first.stop().await;
    scheduler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_scheduler_stands_by_while_the_first_one_lives() {
    let db = Database::postgres().await;
    let world = World::new(db).await;
    let (other, _dir) = world.elsewhere().await;
    let first = world.scheduler(&world.app);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let second = world.scheduler(&other);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let lease = world.app.store.lease("scheduler").await.unwrap().unwrap();
    assert_eq!(lease.token, 1, "it led all the time");
    first.crash().await;
    let began = world.app.clock.boot_us();
    while world.app.store.lease("scheduler").await.unwrap().unwrap().token == 1 {
        assert!(world.app.clock.boot_us() - began < 5_000_000, "nobody schedules");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    second.stop().await;
}
