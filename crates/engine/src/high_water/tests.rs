use store::testing::Database;
use store::{Owner, on_both_databases};

use super::*;
use crate::numbers;
use crate::testing::{NOW, app};

const LANE: &str = "lane:1";

fn owner() -> Owner {
    Owner { instance: "a".to_owned(), host: "here".to_owned(), boot: "1".to_owned() }
}

async fn hold(app: &crate::App) -> anyhow::Result<Option<String>> {
    hold_if_older(&app.store, &app.data_dir).await
}

/// Takes the lane and beats so often, noting each beat. The last one.
async fn worked(app: &crate::App, beats: usize) -> (i64, i64) {
    let seen = app.store.lease(LANE).await.unwrap().map(|lease| (lease.token, lease.beat));
    let token = app.store.take_lease(LANE, None, &owner(), seen, NOW).await.unwrap().unwrap();
    let mut last = 0;
    for _ in 0..beats {
        last = app.store.beat(LANE, token, "{}", NOW).await.unwrap().unwrap();
        note(&app.data_dir, &app.install, LANE, token, last, &app.clock);
    }
    (token, last)
}

on_both_databases! {
    async fn a_database_that_is_as_far_as_its_marks_is_not_held(db: Database) {
        let app = app(db).await;
        assert_eq!(hold(&app).await.unwrap(), None, "nothing is known of it");
        worked(&app, 3).await;
        assert_eq!(hold(&app).await.unwrap(), None);
        // It went on without us: another data directory's worker had the lane.
        let lease = app.store.lease(LANE).await.unwrap().unwrap();
        app.store.take_lease(LANE, None, &owner(), Some((lease.token, lease.beat)), NOW).await.unwrap();
        assert_eq!(hold(&app).await.unwrap(), None);
        assert_eq!(app.store.paused_all().await.unwrap(), None);
    }

    async fn an_older_database_is_held_once_under_a_new_id_until_a_person_lifts_it(db: Database) {
        let app = app(db).await;
        let (token, beat) = worked(&app, 3).await;
        // As if the database had been copied before the last beat and put back.
        note(&app.app.data_dir, &app.install, LANE, token, beat + 1, &app.clock);
        let reason = hold(&app).await.unwrap().expect("it is older");
        assert!(reason.contains("older than what was sent") && reason.contains("resume-all"), "{reason}");
        assert_eq!(app.store.paused_all().await.unwrap().as_ref(), Some(&reason), "no claim is made");
        assert_eq!(app.store.held().await.unwrap(), Some(reason.clone()));
        assert_ne!(app.store.install_id().await.unwrap(), app.install, "callback data is never used twice");

        // The next start finds it held, and does not hold it anew.
        assert_eq!(hold(&app).await.unwrap(), None);
        // Whoever pauses everything for another reason does not hide why it is held.
        numbers::pause_all(&app, "a wrong price").await.unwrap();
        assert_eq!(app.store.held().await.unwrap(), Some(reason));
        numbers::resume_all(&app).await.unwrap();
        assert_eq!((app.store.held().await.unwrap(), app.store.paused_all().await.unwrap()), (None, None));
        assert_eq!(hold(&app).await.unwrap(), None, "lifted for good");
    }

    async fn a_lease_or_a_token_that_the_database_has_forgotten_tells_of_a_copy(db: Database) {
        let app = app(db).await;
        let (token, beat) = worked(&app, 1).await;
        note(&app.app.data_dir, &app.install, LANE, token + 1, beat, &app.clock);
        assert!(hold(&app).await.unwrap().is_some());
        let fresh = app.store.install_id().await.unwrap();
        note(&app.app.data_dir, &fresh, "lane:2", 1, 1, &app.clock);
        assert!(hold(&app).await.unwrap().is_some());
    }

    async fn marks_of_another_database_and_torn_ones_mean_nothing(db: Database) {
        let app = app(db).await;
        worked(&app, 1).await;
        note(&app.app.data_dir, "ffffffff", LANE, 99, 99, &app.clock);
        std::fs::write(path(&app.app.data_dir, &app.install, "lane:3"), "").unwrap();
        assert_eq!(hold(&app).await.unwrap(), None);
    }
}
