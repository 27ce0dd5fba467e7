use store::on_both_databases;
use store::testing::Database;

use super::*;
use crate::accounts::NewAccount;
use crate::testing::{Graph, NOW, TestApp, app, app_at};

const HOUR: Duration = Duration::from_secs(3_600);

/// What is noted of a chore, which is there.
async fn noted(app: &App, chore: Chore) -> Note {
    note(app, chore).await.unwrap().unwrap()
}

fn at(text: &str) -> Millis {
    domain::schedule::parse_at(text).unwrap()
}

/// An account whose numbers and templates can be read; the chores have been looked at once, at midnight on a Sunday.
async fn shop(db: Database) -> (TestApp, Graph) {
    let graph = Graph::start().await;
    let app = app_at(db, &graph.url).await;
    let secret = |text: &str| secrecy::SecretString::from(text.to_owned());
    let account = NewAccount {
        name: "shop".to_owned(),
        waba_id: "100".to_owned(),
        portfolio: None,
        access_token: secret("EAAG-good"),
        app_secret: secret("secret-of-the-app"),
        verify_token: secret("word"),
    };
    accounts::add(&app, account).await.unwrap();
    graph.serve("100/phone_numbers", serde_json::json!([{"id": "1"}]));
    graph.serve("100/message_templates", serde_json::json!([]));
    do_what_is_due(&app).await;
    (app, graph)
}

async fn synced_at(app: &App) -> Option<Millis> {
    accounts::list(app).await.unwrap()[0].synced_at
}

on_both_databases! {
    async fn accounts_are_read_every_night_at_their_time_and_once(db: Database) {
        let (app, graph) = shop(db).await;
        assert_eq!(graph.asked(), 0, "a fresh installation waits for the night");
        app.clock.advance(3 * HOUR + Duration::from_secs(16 * 60));
        do_what_is_due(&app).await;
        assert_eq!((graph.asked(), synced_at(&app).await), (0, None));
        app.clock.advance(Duration::from_secs(60));
        do_what_is_due(&app).await;
        assert_eq!((graph.asked(), synced_at(&app).await), (2, Some(at("2026-11-22T03:17:00Z"))));
        for _ in 0..23 {
            app.clock.advance(HOUR);
            do_what_is_due(&app).await;
        }
        assert_eq!(graph.asked(), 0);
        app.clock.advance(HOUR);
        do_what_is_due(&app).await;
        assert_eq!((graph.asked(), synced_at(&app).await), (2, Some(at("2026-11-23T03:17:00Z"))));
    }

    async fn nights_that_were_missed_are_made_up_for_once_and_a_restart_repeats_nothing(db: Database) {
        let (app, graph) = shop(db).await;
        // Five nights pass in which nobody runs.
        app.clock.advance(5 * 24 * HOUR + 12 * HOUR);
        for _ in 0..3 {
            do_what_is_due(&app).await;
        }
        assert_eq!((graph.asked(), synced_at(&app).await), (2, Some(NOW + 132 * 3_600_000)));
        let lost = CancellationToken::new();
        let again = tokio::spawn(run(Arc::clone(&app.app), lost.clone()));
        tokio::time::sleep(Duration::from_millis(50)).await;
        lost.cancel();
        again.await.unwrap();
        assert_eq!(graph.asked(), 0);
    }

    async fn a_failure_is_tried_again_an_hour_later_and_not_before(db: Database) {
        let (app, graph) = shop(db).await;
        graph.fail("100/message_templates");
        app.clock.advance(4 * HOUR);
        let failed_at = NOW + 4 * 3_600_000;
        do_what_is_due(&app).await;
        assert_eq!((graph.asked(), synced_at(&app).await), (2, None));
        assert_eq!(noted(&app, Chore::ReadAccounts).await, Note { done: NOW, tried: failed_at, holds: None });
        app.clock.advance(HOUR - Duration::from_secs(1));
        do_what_is_due(&app).await;
        assert_eq!(graph.asked(), 0);
        graph.serve("100/message_templates", serde_json::json!([]));
        app.clock.advance(Duration::from_secs(1));
        do_what_is_due(&app).await;
        assert_eq!((graph.asked(), synced_at(&app).await), (2, Some(failed_at + 3_600_000)));
        assert!(!noted(&app, Chore::ReadAccounts).await.failing());
        // The next one is the next night's, not an hour later.
        app.clock.advance(20 * HOUR);
        do_what_is_due(&app).await;
        assert_eq!(graph.asked(), 0);
    }

    async fn the_ledger_is_checked_at_the_first_start_and_every_night(db: Database) {
        let app = app(db).await;
        for said in ["STOP", "BAJA"] {
            let entry = ledger::entry(&app, "opt-out", &crate::Actor::system(), &serde_json::json!({ "said": said }));
            app.store.append_entry(&entry.unwrap()).await.unwrap();
        }
        ledger::seal(&app).await.unwrap();
        // The first look notes that it was never checked, the second checks it.
        for _ in 0..2 {
            do_what_is_due(&app).await;
        }
        assert_eq!(noted(&app, Chore::CheckLedger).await, Note { done: NOW, tried: NOW, holds: Some(true) });
        app.store.tamper("UPDATE ledger SET actor = 'cli:eve' WHERE sealed_seq = 1").await;
        app.clock.advance(2 * HOUR);
        do_what_is_due(&app).await;
        assert_eq!(noted(&app, Chore::CheckLedger).await.holds, Some(true), "it is not time yet");
        app.clock.advance(HOUR);
        do_what_is_due(&app).await;
        let found = noted(&app, Chore::CheckLedger).await;
        assert_eq!(found, Note { done: NOW + 3 * 3_600_000, tried: NOW + 3 * 3_600_000, holds: Some(false) });
    }

    async fn a_note_from_the_future_or_beyond_reading_does_not_stop_a_chore(db: Database) {
        let (app, graph) = shop(db).await;
        let future = Note { done: NOW + 10 * 365 * 24 * 3_600_000, tried: 0, holds: None };
        for note in [serde_json::to_string(&future).unwrap(), "{".to_owned()] {
            app.store.set_meta("chore.read-accounts", Some(&note)).await.unwrap();
            do_what_is_due(&app).await;
            assert_eq!(graph.asked(), 0);
            app.clock.advance(24 * HOUR);
            do_what_is_due(&app).await;
            assert_eq!(graph.asked(), 2, "{note}");
        }
    }
}

#[tokio::test]
async fn the_metrics_show_what_the_last_check_of_the_ledger_found_also_after_a_restart() {
    let app = app(Database::sqlite().await).await;
    let entry = ledger::entry(&app, "opt-out", &crate::Actor::system(), &serde_json::json!({ "said": "STOP" }));
    app.store.append_entry(&entry.unwrap()).await.unwrap();
    ledger::seal(&app).await.unwrap();
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let shown = recorder.handle();
    let listening = metrics::set_default_local_recorder(&recorder);
    for _ in 0..2 {
        do_what_is_due(&app).await;
    }
    assert!(shown.render().contains("hudhud_ledger_ok 1"), "{}", shown.render());
    app.store.tamper("UPDATE ledger SET actor = 'cli:eve'").await;
    app.clock.advance(24 * HOUR);
    do_what_is_due(&app).await;
    assert!(shown.render().contains("hudhud_ledger_ok 0"), "{}", shown.render());
    drop(listening);

    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let shown = recorder.handle();
    let _listening = metrics::set_default_local_recorder(&recorder);
    show_last_check(&app).await.unwrap();
    assert!(shown.render().contains("hudhud_ledger_ok 0"), "{}", shown.render());
}

#[test]
fn every_chore_has_a_line_and_a_name_of_its_own() {
    let times = Chore::ALL.map(|chore| chore.line().next_after(at("2026-11-22T00:00:00Z"), Tz::UTC).unwrap());
    assert_eq!(times, ["02:43", "00:07", "03:17"].map(|time| at(&format!("2026-11-22T{time}:00Z"))));
    let names: std::collections::HashSet<_> = Chore::ALL.map(Chore::key).into_iter().collect();
    assert_eq!(names.len(), Chore::ALL.len());
}
