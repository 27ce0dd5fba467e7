use std::time::Duration;

use super::*;
use crate::fixture::{NOW, exec, owner};
use crate::testing::{Database, on_both_databases};

on_both_databases! {
    async fn a_new_lease_goes_to_one_of_many_takers(db: Database) {
        let other = db.second_handle().await;
        let mut takers = tokio::task::JoinSet::new();
        for taker in 0..8 {
            let store = if taker % 2 == 0 { db.store.clone() } else { other.clone() };
            takers.spawn(async move {
                store.take_lease("lane:1", Some(1), &owner(&format!("taker-{taker}")), None, NOW).await.unwrap()
            });
        }
        let tokens: Vec<i64> = takers.join_all().await.into_iter().flatten().collect();
        assert_eq!(tokens, [1]);
    }

    async fn a_lease_that_stood_still_goes_to_one_of_many_takers_and_names_the_winner(db: Database) {
        let first = db.store.take_lease("lane:1", Some(1), &owner("old"), None, NOW).await.unwrap().unwrap();
        let other = db.second_handle().await;
        let mut takers = tokio::task::JoinSet::new();
        for taker in 0..8 {
            let store = if taker % 2 == 0 { db.store.clone() } else { other.clone() };
            takers.spawn(async move {
                let name = format!("taker-{taker}");
                let token = store.take_lease("lane:1", Some(1), &owner(&name), Some((first, 1)), NOW).await.unwrap();
                token.map(|token| (token, name))
            });
        }
        let winners: Vec<(i64, String)> = takers.join_all().await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        let lease = db.store.lease("lane:1").await.unwrap().unwrap();
        assert_eq!((lease.token, lease.owner), (winners[0].0, winners[0].1.clone()));
        assert_eq!(lease.token, first + 1);
    }

    async fn whoever_shows_life_cannot_be_taken_over_by_what_was_seen_before(db: Database) {
        let store = &db.store;
        let token = store.take_lease("lane:1", Some(1), &owner("one"), None, NOW).await.unwrap().unwrap();
        assert_eq!(store.beat("lane:1", token, "{\"pace\":3}", NOW + 1).await.unwrap(), Some(2));
        assert_eq!(store.take_lease("lane:1", Some(1), &owner("two"), Some((token, 1)), NOW).await.unwrap(), None);
        let lease = store.lease("lane:1").await.unwrap().unwrap();
        assert_eq!((lease.owner.as_str(), lease.beat, lease.note.as_str(), lease.beat_at), ("one", 2, "{\"pace\":3}", NOW + 1));
        let next = store.take_lease("lane:1", Some(1), &owner("two"), Some((token, 2)), NOW).await.unwrap().unwrap();
        assert_eq!(store.beat("lane:1", token, "{}", NOW).await.unwrap(), None, "the old owner learns that it lost");
        assert_eq!(store.beat("lane:1", next, "{}", NOW).await.unwrap(), Some(4), "beats go on through owners");
    }

    async fn a_lease_given_back_has_no_owner_and_its_token_is_not_used_twice(db: Database) {
        let store = &db.store;
        let token = store.take_lease("scheduler", None, &owner("one"), None, NOW).await.unwrap().unwrap();
        assert_eq!(store.release_lease("scheduler", token + 1).await.unwrap(), None);
        assert_eq!(store.lease("scheduler").await.unwrap().unwrap().owner, "one", "only its owner gives it back");
        assert_eq!(store.release_lease("scheduler", token).await.unwrap(), Some(2));
        let lease = store.lease("scheduler").await.unwrap().unwrap();
        assert_eq!(lease.owner, "");
        assert_eq!(store.beat("scheduler", token, "{}", NOW).await.unwrap(), None);
        let next = store.take_lease("scheduler", None, &owner("two"), Some((lease.token, lease.beat)), NOW).await.unwrap();
        assert_eq!(next, Some(token + 1));
        assert_eq!(store.leases().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn on_sqlite_every_other_process_is_gone() {
    let db = Database::sqlite().await;
    let mut alive = db.store.show_alive("one").await.unwrap();
    assert!(alive.check().await);
    assert!(db.store.is_gone("two").await.unwrap());
}

async fn until_gone(store: &Store, instance: &str) -> bool {
    for _ in 0..100 {
        if store.is_gone(instance).await.unwrap() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test]
async fn on_postgres_a_process_is_gone_once_its_connection_is() {
    let db = Database::postgres().await;
    let other = db.second_handle().await;
    let mut alive = db.store.show_alive("one").await.unwrap();
    assert!(!other.is_gone("one").await.unwrap());
    assert!(!db.store.is_gone("one").await.unwrap(), "nor by its own look");
    assert!(other.is_gone("somebody else").await.unwrap());
    assert!(alive.check().await);

    let kill = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    exec(&other, kill).await;
    assert!(until_gone(&other, "one").await);
    assert!(!alive.check().await, "the process itself sees that its sign is gone");

    let alive = db.store.show_alive("one").await.unwrap();
    assert!(!other.is_gone("one").await.unwrap(), "it can show itself again");
    drop(alive);
    assert!(until_gone(&other, "one").await);
}

#[tokio::test]
async fn on_postgres_the_sign_of_life_takes_no_place_in_the_pool() {
    let db = Database::postgres().await;
    let mut signs = Vec::new();
    for instance in 0..14 {
        signs.push(db.store.show_alive(&format!("instance-{instance}")).await.unwrap());
    }
    db.store.ping().await.unwrap();
}
