use std::time::Duration;

use domain::send::SendEvent;

use super::*;
use crate::fixture::{Lane, NOW, Shop, assert_tallied, exec};
use crate::testing::{Database, on_both_databases};
use crate::{Arrival, Happening};

fn arrival(n: u64, size: usize) -> Arrival {
    let mut body_hash = [0; 32];
    body_hash[..8].copy_from_slice(&n.to_be_bytes());
    let body = vec![b'x'; size];
    Arrival { account_id: 1, received_at: NOW, body_hash, signature: String::new(), body, stops: Vec::new() }
}

/// The code with which PostgreSQL would say something, as an error of ours.
async fn postgres_says(store: &Store, sqlstate: &str) -> Error {
    let mut link = store.read().await.unwrap();
    let sql = format!("DO $$ BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = '{sqlstate}'; END $$");
    let done = on!(&mut link, c => sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(c).await.map(drop));
    Error::from(done.unwrap_err())
}

on_both_databases! {
    async fn writes_that_are_given_up_in_the_middle_leave_nothing_half_done(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(200).await;
        let lane = shop.lane().await;
        for step in 0..60_u64 {
            let patience = Duration::from_micros(step * 60);
            let claim = async {
                let Some(batch) = db.store.next_batch(campaign, lane.number, 3, NOW).await.unwrap() else { return };
                let _ = db.store.claim(&lane.order(&batch, 0, 3, NOW)).await;
            };
            let _ = tokio::time::timeout(patience, claim).await;
            let said: Vec<_> =
                (1..=10).map(|person| Happening::new((campaign, person), Some(1), SendEvent::Accepted, NOW)).collect();
            let _ = tokio::time::timeout(patience, db.store.apply(Priority::Bulk, &said)).await;
        }
        let lane = Lane::take(&db.store, lane.number, "two").await;
        let batch = lane.batch(campaign, 5).await;
        assert_eq!(crate::fixture::made(lane.try_claim(&batch, 5, NOW).await).len(), 5);
        assert_tallied(&db.store, campaign).await;
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_passes_and_the_writer_works_again() {
    let db = Database::sqlite().await;
    exec(&db.store, "PRAGMA max_page_count = 1").await;
    let mut failures = 0;
    for n in 0..40 {
        match db.store.keep_arrivals(&[arrival(n, 20_000)]).await {
            Ok(_) => {}
            Err(error) => {
                assert!(error.is_unavailable(), "{error:?}");
                assert_eq!(error.to_string(), "the database is unavailable: the disk is full");
                failures += 1;
            }
        }
    }
    assert!(failures > 20, "{failures}");
    let kept = db.store.waiting_bodies(100, 1_000_000).await.unwrap().len();
    assert_eq!(kept, 40 - failures, "what was refused is not there, what was kept is");
    exec(&db.store, "PRAGMA max_page_count = 1073741823").await;
    assert!(db.store.keep_arrivals(&[arrival(99, 20_000)]).await.unwrap()[0].is_new);
}

/// SQLite ends a transaction by itself when the disk is full or reading fails; sqlx does not notice. A connection in
/// that state must not be used again.
#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_does_not_spoil_the_writer() {
    let db = Database::sqlite().await;
    let mut tx = db.store.write(Priority::Urgent).await.unwrap();
    on!(&mut tx, c => sqlx::raw_sql("ROLLBACK").execute(c).await.map(drop)).unwrap();
    drop(tx);
    for n in 0..3 {
        db.store.keep_arrivals(&[arrival(n, 10)]).await.unwrap();
    }
    let mut tx = db.store.write(Priority::Urgent).await.unwrap();
    on!(&mut tx, c => sqlx::raw_sql("ROLLBACK").execute(c).await.map(drop)).unwrap();
    assert!(tx.commit().await.is_err(), "nothing is told as kept that is not");
    db.store.keep_arrivals(&[arrival(9, 10)]).await.unwrap();
    assert_eq!(db.store.waiting_bodies(10, 1_000_000).await.unwrap().len(), 4);
}

#[tokio::test]
async fn another_process_that_holds_sqlites_lock_is_told_as_unavailable_and_waited_out() {
    let db = Database::sqlite().await;
    let other = db.second_handle().await;
    let held = other.write(Priority::Urgent).await.unwrap();
    let began = std::time::Instant::now();
    let error = db.store.set_paused_all(Some("x")).await.unwrap_err();
    assert_eq!(error.to_string(), "the database is unavailable: it is busy with another writer");
    assert!(began.elapsed() >= PATIENCE);
    let waiting = {
        let store = db.store.clone();
        tokio::spawn(async move { store.set_paused_all(Some("y")).await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(held);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn bulk_work_lets_urgent_work_go_first() {
    let db = Database::sqlite().await;
    let turn = db.store.write(Priority::Bulk).await.unwrap();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for (name, priority) in
        [("bulk", Priority::Bulk), ("bulk", Priority::Bulk), ("urgent", Priority::Urgent), ("urgent", Priority::Urgent)]
    {
        let (store, order) = (db.store.clone(), Arc::clone(&order));
        tasks.spawn(async move {
            let tx = store.write(priority).await.unwrap();
            order.lock().unwrap().push(name);
            tx.commit().await.unwrap();
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    turn.commit().await.unwrap();
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), ["urgent", "urgent", "bulk", "bulk"]);
}

#[tokio::test]
async fn what_is_to_be_done_soon_is_not_put_off_for_ever_by_urgent_work() {
    let db = Database::sqlite().await;
    let mut busy = tokio::task::JoinSet::new();
    // One of them always has the writer, and the other one waits for it.
    for _ in 0..2 {
        let store = db.store.clone();
        busy.spawn(async move {
            loop {
                let tx = store.write(Priority::Urgent).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
                tx.commit().await.unwrap();
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let turn = tokio::time::timeout(PUT_OFF * 40, db.store.write(Priority::Soon)).await;
    turn.expect("a turn among the urgent ones").unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn a_killed_connection_is_told_as_unavailable_and_the_next_call_works() {
    let db = Database::postgres().await;
    let other = db.second_handle().await;
    let shop = Shop::open(&db.store, 1).await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut tx = db.store.write(Priority::Urgent).await.unwrap();
    exec(&other, kill).await;
    let done = on!(&mut tx, c => sqlx::query("SELECT 1").execute(c).await.map(drop));
    assert!(Error::from(done.unwrap_err()).is_unavailable());
    drop(tx);
    for round in 0..10 {
        if round % 2 == 0 {
            exec(&other, kill).await;
        }
        match db.store.number(shop.numbers[0]).await {
            Ok(number) => assert!(number.is_some()),
            Err(error) => assert!(error.is_unavailable(), "{error:?}"),
        }
    }
    db.store.ping().await.unwrap();
}

#[tokio::test]
async fn postgres_errors_that_time_cures_are_unavailable_and_others_are_defects() {
    let db = Database::postgres().await;
    // Cut in the middle, no room, stopping, lost a race, locked; a session cut for idling; a primary that became a standby.
    for sqlstate in ["08006", "53100", "53300", "57P01", "57014", "40001", "40P01", "55P03", "25P03", "25P04", "25006"]
    {
        let error = postgres_says(&db.store, sqlstate).await;
        assert!(error.is_unavailable(), "{sqlstate}: {error:?}");
    }
    assert!(matches!(postgres_says(&db.store, "23505").await, Error::Conflict(_)));
    for sqlstate in ["23503", "22P02", "42P01", "XX000"] {
        assert!(matches!(postgres_says(&db.store, sqlstate).await, Error::Bug { .. }), "{sqlstate}");
    }
}

#[test]
fn an_outage_in_the_middle_of_a_migration_is_not_a_defect() {
    use sqlx::migrate::MigrateError;
    let error = migration_failed(MigrateError::ExecuteMigration(sqlx::Error::PoolTimedOut, 1));
    assert!(error.is_unavailable(), "{error:?}");
    assert!(migration_failed(MigrateError::Execute(sqlx::Error::PoolClosed)).is_unavailable());
    assert!(matches!(migration_failed(MigrateError::VersionMissing(7)), Error::Bug { .. }));
}

#[tokio::test]
async fn a_database_that_is_not_there_is_unavailable_and_a_strange_url_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let missing = format!("sqlite://{}", dir.path().join("no/such/dir/hudhud.db").display());
    assert!(Store::open(&missing).await.unwrap_err().is_unavailable());
    let nobody = format!("postgres://nobody@localhost/x?host={}", dir.path().display());
    assert!(Store::open(&nobody).await.unwrap_err().is_unavailable());
    assert!(matches!(Store::open("mysql://x").await, Err(Error::Bug { .. })));
}

#[test]
fn every_file_of_a_migration_is_listed() {
    for (dialect, listed) in [("sqlite", &SQLITE_MIGRATIONS), ("postgres", &POSTGRES_MIGRATIONS)] {
        let dir = format!("{}/migrations/{dialect}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<String> =
            std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        let named: Vec<String> =
            listed.iter().map(|one| format!("{:04}_{}.sql", one.version, one.description)).collect();
        assert_eq!(named, files, "{dialect}");
    }
}
