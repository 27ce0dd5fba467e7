use serde_json::json;
use store::on_both_databases;
use store::testing::Database;

use super::*;
use crate::importer::tests::{order, run};
use crate::ledger;
use crate::reviews::tests::{said, text};
use crate::testing::{TestApp, running_campaign};

/// A made-up Egyptian number, and every form in which its digits may lie about.
const PHONE: &str = "+20 100 555 0001";
const DIGITS: &str = "201005550001";

/// The shop's campaign, and somebody who came by a file, was written to, answered, doubted, said stop, changed a row of a
/// file for the worse, and has another user id.
async fn shop_with_mona(db: Database) -> (TestApp, i64) {
    let (app, campaign) = running_campaign(db).await;
    let file = "phone,name,city,referred_by\n0100 555 0001,Mona Made-Up,Giza,201005550001\n0100 555 0002,Omar,Cairo,\n";
    run(&app, order("people"), file.as_bytes()).await.unwrap();
    let broken = "phone,name,city\n+20 100 555 0001 / 0100 555 0009,Mona Made-Up,Giza\n0100 555 0003,Laila,Cairo\n";
    assert_eq!(run(&app, order("others"), broken.as_bytes()).await.unwrap().rejected, 1);
    let renamed = "phone,name,city\n0100 555 0001,Mona M.,Alexandria\n";
    let at_a_fair = crate::importer::ImportOrder { opt_in_source: "fair".to_owned(), ..order("people") };
    run(&app, at_a_fair, renamed.as_bytes()).await.unwrap();
    let person = app.store.contact_of_phone(201_005_550_001).await.unwrap().unwrap().id;
    let name = store::Identity { kind: 2, value: "EG.77monaid".to_owned(), contact_id: person };
    app.store.learn_identities(&[name]).await.unwrap();
    app.store
        .tamper(format!(
            "INSERT INTO sends (campaign_id, contact_id, number_id, state, attempt, claimed_at, wamid, accepted_at)
             VALUES ({campaign}, {person}, 1, 5, 1, 5, 'wamid.{DIGITS}', 9)"
        ))
        .await;
    said(&app, DIGITS, 1, text("where is my parcel?")).await;
    said(&app, DIGITS, 2, text("cancel")).await;
    said(&app, DIGITS, 3, text("STOP")).await;
    while ledger::seal(&app).await.unwrap() {}
    (app, person)
}

fn holds(all: &[u8], needle: &str) -> bool {
    let in_hex = hex::encode(needle);
    [needle.as_bytes(), in_hex.as_bytes()].iter().any(|needle| memchr::memmem::find(all, needle).is_some())
}

on_both_databases! {
    async fn nothing_of_an_erased_person_is_left_anywhere_and_the_ledger_still_holds(db: Database) {
        let (app, person) = shop_with_mona(db).await;
        assert!(ledger::verify(&app).await.unwrap().ok);
        let before = app.store.everything().await;
        assert!(holds(&before, DIGITS) && holds(&before, "Mona Made-Up"));
        let actor = Actor::cli("nour");
        let view = erase(&app.app, &actor, PHONE, "asked by letter").await.unwrap();
        assert_eq!((view.known, view.contact_ids.as_slice()), (true, [person].as_slice()));
        assert!(view.consents >= 2 && view.replies == 3 && view.sends == 1, "{view:?}");
        assert_eq!((view.rejected_rows, view.memberships), (1, 1), "{view:?}");
        if app.store.is_embedded() {
            assert_eq!(view.file, "clean");
        }
        let after = app.store.everything().await;
        for gone in [DIGITS, "Mona Made-Up", "Mona M.", "EG.77monaid", "where is my parcel", "5550001"] {
            assert!(!holds(&after, gone), "{gone} is still there");
        }
        // As SQLite keeps whole numbers: six bytes, the highest first.
        assert!(memchr::memmem::find(&after, &201_005_550_001_u64.to_be_bytes()[2..]).is_none());
        for file in std::fs::read_dir(app.data_dir.path().join("rejects")).unwrap() {
            let file = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!holds(&file, "0100 555 0009") && !holds(&file, "Mona"));
        }
        while ledger::seal(&app).await.unwrap() {}
        let check = ledger::verify(&app).await.unwrap();
        assert!(check.ok, "{check:?}");
        assert!(check.evidence >= 3, "the others' consents are still vouched for, and hers by its hash: {check:?}");
    }

    async fn an_erased_person_stays_blocked_by_number_by_user_id_and_against_imports(db: Database) {
        let (app, person) = shop_with_mona(db).await;
        erase(&app.app, &Actor::cli("nour"), "00201005550001", "asked by letter").await.unwrap();
        for name in [PHONE, "EG.77monaid"] {
            let check = crate::optouts::check(&app, name).await.unwrap();
            assert!(check.suppressed, "{name}");
            assert_eq!((check.scope.as_deref(), check.source.as_deref()), (Some("all"), Some("erasure")), "{name}");
        }
        let again = "phone,name,city\n0100 555 0001,Mona,Giza\n0100 555 0004,Ziad,Cairo\n";
        let summary = run(&app, order("people"), again.as_bytes()).await.unwrap();
        assert_eq!((summary.accepted, summary.created, summary.suppressed, summary.updated), (2, 1, 1, 0));
        let by_id = "user_id,name\nEG.77monaid,Mona\n";
        let summary = run(&app, order("people"), by_id.as_bytes()).await.unwrap();
        assert_eq!((summary.accepted, summary.created, summary.suppressed), (1, 0, 1));
        // Her next words make nobody of her again: neither a stop nor a wish for messages.
        said(&app, DIGITS, 10, text("STOP")).await;
        said(&app, DIGITS, 11, text("start")).await;
        assert!(crate::optouts::check(&app, PHONE).await.unwrap().suppressed);
        assert_eq!(app.store.people_named(Some(201_005_550_001), None).await.unwrap(), [person]);
        app.clock.advance(Duration::from_secs(3_600));
        while sweep(&app).await.unwrap() {}
        let left = app.store.everything().await;
        if !app.store.is_embedded() {
            assert!(!holds(&left, DIGITS));
        }
        let held = export(&app, &Actor::cli("nour"), PHONE).await.unwrap();
        assert!(!held.to_string().contains("Mona"), "{held}");
        // Once more changes nothing.
        let twice = erase(&app.app, &Actor::cli("nour"), PHONE, "asked again").await.unwrap();
        assert_eq!((twice.known, twice.consents), (true, 0));
    }

    async fn somebody_of_whom_nothing_was_held_is_blocked_without_being_kept(db: Database) {
        let app = crate::testing::app(db).await;
        let view = erase(&app.app, &Actor::cli("nour"), PHONE, "asked by letter").await.unwrap();
        assert!(!view.known);
        assert!(!holds(&app.store.everything().await, DIGITS));
        let summary = run(&app, order("people"), b"phone\n01005550001\n").await.unwrap();
        assert_eq!((summary.created, summary.suppressed), (0, 1));
        assert!(!holds(&app.store.everything().await, DIGITS));
        assert!(erase(&app.app, &Actor::cli("nour"), PHONE, "  ").await.is_err());
    }

    async fn an_export_has_all_that_is_held_and_is_recorded(db: Database) {
        let (app, person) = shop_with_mona(db).await;
        let held = export(&app, &Actor::cli("nour"), "01005550001").await;
        assert!(held.is_err(), "a number without its country is nobody's");
        let held = export(&app, &Actor::cli("nour"), PHONE).await.unwrap();
        let row = &held["held"][0];
        assert_eq!(row["contact"]["name"], json!("Mona M."));
        assert_eq!(row["known_as"][0]["value"], json!("EG.77monaid"));
        assert_eq!(row["lists"][0]["list"], json!("people"));
        assert_eq!(row["replies"].as_array().unwrap().len(), 3);
        assert_eq!(row["reviews"].as_array().unwrap().len(), 1);
        assert_eq!(row["messages"].as_array().unwrap().len(), 1);
        assert_eq!(row["changed_by_imports"][0]["name"], json!("Mona Made-Up"));
        assert!(row["consents"].as_array().unwrap().len() >= 2 && !row["ledger"].as_array().unwrap().is_empty());
        let looks = app.store.disclosures(Some(person), 0, 10).await.unwrap();
        assert_eq!(looks.last().map(|look| (look.what.as_str(), look.actor.as_str())), Some(("person-export", "cli:nour")));
        assert!(export(&app, &Actor::cli("nour"), "+20 100 555 9999").await.is_err());
    }

    async fn another_secret_key_is_refused_once_somebody_was_erased(db: Database) {
        let app = crate::testing::app(db).await;
        check_key(&app).await.unwrap();
        erase(&app.app, &Actor::cli("nour"), PHONE, "asked by letter").await.unwrap();
        check_key(&app).await.unwrap();
        app.store.tamper("UPDATE meta SET value = 'other' WHERE key = 'erasure_key_id'").await;
        assert!(check_key(&app).await.is_err());
    }
}
