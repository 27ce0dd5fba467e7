use super::*;
use crate::fixture::{NOW, Shop, stop};
use crate::testing::{Database, on_both_databases};

fn arrival(byte: u8, stops: Vec<Stop>) -> Arrival {
    // Not UTF-8, with a NUL: a body is kept as it came.
    let body = vec![byte, 0, 0xff, 0xfe];
    Arrival { account_id: 1, received_at: NOW, body_hash: [byte; 32], signature: "sha256=00".into(), body, stops }
}

fn stop_by(phone: i64) -> Stop {
    Stop { phone: Some((phone, phone)), ..stop() }
}

on_both_databases! {
    async fn the_same_body_twice_is_kept_once_and_its_stops_hold(db: Database) {
        Shop::open(&db.store, 1).await.list("all", 1..=2, NOW).await;
        let body = || arrival(1, vec![stop_by(15_550_000_001)]);
        let kept = db.store.keep_arrivals(&[body(), body(), arrival(2, Vec::new())]).await.unwrap();
        assert_eq!(kept.iter().map(|kept| kept.is_new).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(kept.iter().map(|kept| kept.stopped.iter().map(|s| s.new).sum()).collect::<Vec<usize>>(), [1, 0, 0]);
        let again = db.store.keep_arrivals(&[body()]).await.unwrap();
        assert!(!again[0].is_new);
        assert_eq!(again[0].stopped[0].contact_ids, [1], "so that the repetition waits for what is leaving, too");
        assert_eq!(db.store.stopped_among(&[1, 2]).await.unwrap(), [1]);
        let waiting = db.store.waiting_bodies(10, 1_000).await.unwrap();
        assert_eq!(waiting.iter().map(|body| body.body.clone()).collect::<Vec<_>>(), [vec![1, 0, 0xff, 0xfe], vec![2, 0, 0xff, 0xfe]]);
        assert_eq!(db.store.inbox_depth().await.unwrap(), (2, Some(NOW)));
    }

    async fn bodies_are_handed_out_by_number_and_by_size_and_at_least_one(db: Database) {
        let bodies: Vec<Arrival> = (1..=9).map(|n| arrival(n, vec![])).collect();
        db.store.keep_arrivals(&bodies).await.unwrap();
        let ask = async |limit, bytes| db.store.waiting_bodies(limit, bytes).await.unwrap().len();
        assert_eq!(ask(3, 1_000).await, 3);
        assert_eq!(ask(9, 16).await, 4, "of four bytes each");
        assert_eq!(ask(9, 17).await, 5);
        assert_eq!(ask(9, 1).await, 1);
    }

    async fn an_applied_body_is_known_again_until_it_is_forgotten(db: Database) {
        db.store.keep_arrivals(&[arrival(1, vec![]), arrival(2, vec![]), arrival(3, vec![])]).await.unwrap();
        let ids: Vec<i64> = db.store.waiting_bodies(10, 1_000).await.unwrap().iter().map(|body| body.id).collect();
        db.store.mark_applied(&ids[..1], &[(ids[1], "not JSON".into())], NOW + 1).await.unwrap();
        assert_eq!(db.store.waiting_bodies(10, 1_000).await.unwrap().len(), 1);
        assert!(!db.store.keep_arrivals(&[arrival(1, vec![])]).await.unwrap()[0].is_new);
        assert_eq!(db.store.forget_arrivals(NOW, 10).await.unwrap(), 0);
        assert_eq!(db.store.forget_arrivals(NOW + 1, 10).await.unwrap(), 1, "the unreadable and the waiting one stay");
        assert!(db.store.keep_arrivals(&[arrival(1, vec![])]).await.unwrap()[0].is_new);
    }

    async fn the_log_is_newest_first_and_shows_the_bytes_of_what_could_not_be_read_alone(db: Database) {
        db.store.keep_arrivals(&[arrival(1, vec![]), arrival(2, vec![]), arrival(3, vec![])]).await.unwrap();
        let ids: Vec<i64> = db.store.waiting_bodies(10, 1_000).await.unwrap().iter().map(|body| body.id).collect();
        db.store.mark_applied(&ids[..1], &[(ids[1], "not JSON".into())], NOW + 1).await.unwrap();
        let all = db.store.inbox_log(None, false, 10).await.unwrap();
        assert_eq!(all.iter().map(|row| (row.id, row.applied_at, row.body.is_some())).collect::<Vec<_>>(), [
            (ids[2], None, false),
            (ids[1], Some(NOW + 1), true),
            (ids[0], Some(NOW + 1), false)
        ]);
        let unread = db.store.inbox_log(None, true, 10).await.unwrap();
        assert_eq!(unread.len(), 1);
        assert_eq!((unread[0].error.as_deref(), unread[0].body.clone()), (Some("not JSON"), Some(vec![2, 0, 0xff, 0xfe])));
        assert_eq!(db.store.inbox_log(Some(ids[1]), false, 10).await.unwrap().len(), 1, "a page after the second");
        assert!(db.store.inbox_log(Some(ids[1]), true, 10).await.unwrap().is_empty());
    }

    async fn a_group_that_cannot_be_kept_leaves_nothing_and_stops_nobody(db: Database) {
        Shop::open(&db.store, 1).await.list("all", 1..=1, NOW).await;
        let broken = Stop { contact_id: Some(404), user_id: Some("US.404".into()), ..stop() };
        let group = [arrival(1, vec![stop_by(15_550_000_001)]), arrival(2, vec![broken])];
        assert!(db.store.keep_arrivals(&group).await.is_err(), "there is no person 404");
        assert!(db.store.waiting_bodies(10, 1_000).await.unwrap().is_empty());
        assert!(db.store.stopped_among(&[1]).await.unwrap().is_empty());
    }

    async fn the_same_bodies_and_stops_from_many_sides_in_any_order_are_kept_once(db: Database) {
        Shop::open(&db.store, 1).await.list("all", 1..=30, NOW).await;
        let other = db.second_handle().await;
        let mut tasks = tokio::task::JoinSet::new();
        for turn in 0..4 {
            let store = if turn % 2 == 0 { db.store.clone() } else { other.clone() };
            let mut group: Vec<Arrival> =
                (1..=30_u8).map(|n| arrival(n, vec![stop_by(15_550_000_000 + i64::from(n))])).collect();
            if turn % 2 == 1 { group.reverse() }
            tasks.spawn(async move {
                let mut new = 0;
                for some in group.chunks(10) {
                    new += store.keep_arrivals(some).await.unwrap().iter().filter(|kept| kept.is_new).count();
                }
                new
            });
        }
        assert_eq!(tasks.join_all().await.into_iter().sum::<usize>(), 30);
        assert_eq!(db.store.waiting_bodies(100, 1_000).await.unwrap().len(), 30);
        let everybody: Vec<i64> = (1..=30).collect();
        assert_eq!(db.store.stopped_among(&everybody).await.unwrap().len(), 30);
    }

    async fn bodies_without_stops_from_many_sides_do_not_wait_for_each_other_in_a_ring(db: Database) {
        let other = db.second_handle().await;
        for round in 0..10_u8 {
            let up: Vec<Arrival> = (0..20).map(|n| arrival(round * 20 + n, Vec::new())).collect();
            let down: Vec<Arrival> = up.iter().rev().cloned().collect();
            let (one, two) = tokio::join!(db.store.keep_arrivals(&up), other.keep_arrivals(&down));
            let new = [one.unwrap(), two.unwrap()].concat().iter().filter(|kept| kept.is_new).count();
            assert_eq!(new, 20);
        }
    }
}
