use serde_json::json;
use store::on_both_databases;
use store::testing::Database;

use super::*;
use crate::Actor;
use crate::testing::app;

async fn append(app: &App, said: &str) -> i64 {
    let entry = entry(app, "opt-out", &Actor::system(), &json!({ "said": said })).unwrap();
    app.store.append_entry(&entry).await.unwrap()
}

async fn seal_all(app: &App) {
    while seal_next(app, 3).await.unwrap() > 0 {}
}

on_both_databases! {
    async fn a_chain_that_nobody_touched_holds(db: Database) {
        let app = app(db).await;
        let empty = verify(&app).await.unwrap();
        assert_eq!(empty, LedgerCheck { ok: true, entries: 0, unsealed: 0, head: String::new(), first_broken: None, evidence: 0 });
        for n in 0..10 {
            append(&app, &format!("STOP {n}")).await;
        }
        assert_eq!(verify(&app).await.unwrap().unsealed, 10);
        seal_all(&app).await;
        append(&app, "later").await;
        let check = verify(&app).await.unwrap();
        assert_eq!((check.ok, check.entries, check.unsealed, check.head.len()), (true, 10, 1, 64));
        assert!(!seal(&app).await.unwrap());
        assert_eq!(verify(&app).await.unwrap().entries, 11);
    }

    async fn every_kind_of_tampering_is_found_where_it_was_done(db: Database) {
        let app = app(db).await;
        for n in 0..6 {
            append(&app, &format!("STOP {n}")).await;
        }
        seal_all(&app).await;
        for tampering in [
            "UPDATE ledger SET detail = '{\"said\":\"yes please\"}' WHERE sealed_seq = 4",
            "UPDATE ledger SET at = at + 1 WHERE sealed_seq = 4",
            "UPDATE ledger SET actor = 'cli:eve' WHERE sealed_seq = 4",
            "UPDATE ledger SET kind = 'opt-in' WHERE sealed_seq = 4",
            "UPDATE ledger SET contact_id = 7 WHERE sealed_seq = 4",
            "UPDATE ledger SET salt = commitment WHERE sealed_seq = 4",
            "UPDATE ledger SET commitment = hash WHERE sealed_seq = 4",
            "UPDATE ledger SET hash = commitment WHERE sealed_seq = 4",
            "DELETE FROM ledger WHERE sealed_seq = 4",
            "DELETE FROM ledger WHERE sealed_seq >= 4",
        ] {
            let copy = copy(&app).await;
            app.store.tamper(tampering).await;
            let check = verify(&app).await.unwrap();
            assert_eq!((check.ok, check.entries, check.first_broken), (false, 3, Some(4)), "{tampering}");
            put_back(&app, copy).await;
            assert!(verify(&app).await.unwrap().ok, "after {tampering}");
        }
        app.store.tamper("UPDATE meta SET value = '0:' WHERE key = 'ledger_head'").await;
        assert_eq!(verify(&app).await.unwrap().first_broken, Some(1));
    }

    async fn an_erased_detail_leaves_the_chain_whole(db: Database) {
        let app = app(db).await;
        for n in 0..3 {
            append(&app, &format!("STOP {n}")).await;
        }
        seal_all(&app).await;
        app.store.tamper("UPDATE ledger SET detail = '', salt = substr(salt, 1, 0) WHERE sealed_seq = 2").await;
        let check = verify(&app).await.unwrap();
        assert_eq!((check.ok, check.entries), (true, 3));
    }

    async fn two_sealers_make_one_chain(db: Database) {
        let second = app_beside(&db).await;
        let first = app(db).await;
        for n in 0..40 {
            append(&first, &format!("STOP {n}")).await;
        }
        for _ in 0..40 {
            let (one, two) = tokio::join!(seal_next(&first, 2), seal_next(&second, 3));
            one.unwrap();
            two.unwrap();
        }
        let check = verify(&first).await.unwrap();
        assert_eq!((check.ok, check.entries, check.unsealed), (true, 40, 0));
    }
}

/// A second process on the same database.
async fn app_beside(db: &Database) -> crate::testing::TestApp {
    let mut other = Database::sqlite().await;
    other.store = db.second_handle().await;
    app(other).await
}

async fn copy(app: &App) -> Vec<store::EntryRow> {
    app.store.sealed_entries(0, 100).await.unwrap()
}

async fn put_back(app: &App, rows: Vec<store::EntryRow>) {
    app.store.tamper("DELETE FROM ledger").await;
    app.store.put_entries(&rows).await;
}

#[test]
fn a_check_that_nobody_waits_for_takes_a_tenth_of_the_machine() {
    let page = Duration::from_millis(20);
    assert_eq!(Haste::Awaited.rest_after(page), Duration::ZERO);
    assert_eq!(Haste::Aside.rest_after(page), Duration::from_millis(180));
    assert_eq!(Haste::Aside.rest_after(Duration::from_mins(1)), LONGEST_REST);
}
