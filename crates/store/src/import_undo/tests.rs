use super::*;
use crate::import_chunks::tests::{NOW, done, person, take_into, target};
use crate::imports::{ImportCounts, ImportEnd};
use crate::testing::{Database, entry, on_both_databases};
use crate::{Arriving, ChunkEnd, ImportTarget, Stop};

/// Imports people, to the end. The import.
async fn import(store: &Store, people: &[Arriving], now: i64) -> (ImportRow, ChunkEnd) {
    let target: ImportTarget = target(store).await;
    let (end, _) = take_into(store, target, people, now, true).await;
    let counts = match &end {
        ChunkEnd::Kept { counts, .. } => *counts,
        _ => ImportCounts::default(),
    };
    let ended = ImportEnd { counts, sha256: "", rejects_file: None, error: None, now };
    assert!(store.end_import(target.import_id, &ended).await.unwrap());
    (store.import(target.import_id).await.unwrap().unwrap(), end)
}

async fn undo(store: &Store, import: &ImportRow) -> Undone {
    assert!(store.uses_of_import(import).await.unwrap().is_empty());
    assert_eq!(store.begin_undo(import.id).await.unwrap(), UndoBegun::Yes);
    let undone = store.undo_import(import).await.unwrap();
    store.end_undo(import.id, &entry("import-undone", NOW)).await.unwrap();
    undone
}

on_both_databases! {
    async fn an_import_that_nobody_used_leaves_nothing_but_its_record(db: Database) {
        let (first, _) = import(&db.store, &[person(1), person(2)], NOW).await;
        let before = db.store.contact_of_phone(person(2).phone_key.unwrap()).await.unwrap().unwrap();
        let changed = Arriving { name: Some("New".into()), opt_in_at: NOW, ..person(2) };
        let people: Vec<_> = std::iter::once(changed).chain((3..1_300).map(person)).collect();
        let (second, end) = import(&db.store, &people, NOW + 1).await;
        assert_eq!(done(&end), (1_297, 1));
        assert_eq!(db.store.uses_of_import(&first).await.unwrap().imports, [second.id], "it changed one of its people");
        let undone = undo(&db.store, &second).await;
        assert_eq!(undone, Undone { restored: 1, left_list: 1_297, evidence: 1_298, removed: 1_297, stayed: 0 });
        assert_eq!(db.store.contact_of_phone(person(2).phone_key.unwrap()).await.unwrap().unwrap(), before);
        assert!(db.store.contact_of_phone(person(3).phone_key.unwrap()).await.unwrap().is_none());
        assert_eq!(db.store.lists().await.unwrap()[0].members, 2);
        assert_eq!(db.store.import(second.id).await.unwrap().unwrap().state, "undone");
        assert_eq!(db.store.begin_undo(second.id).await.unwrap(), UndoBegun::WrongState);
        assert!(db.store.uses_of_import(&first).await.unwrap().is_empty());
        // The next people are new people: nobody gets the number of one who is gone.
        let (_, end) = import(&db.store, &[person(3)], NOW + 2).await;
        assert_eq!(done(&end), (1, 0));
        let again = db.store.contact_of_phone(person(3).phone_key.unwrap()).await.unwrap().unwrap();
        assert!(again.id > before.id + 1_290, "{}", again.id);
    }

    async fn who_met_the_same_people_later_is_named(db: Database) {
        let (first, _) = import(&db.store, &[person(1)], NOW).await;
        let (again, _) = import(&db.store, &[person(1)], NOW + 1).await;
        assert_eq!(again.unchanged, 1);
        let uses = db.store.uses_of_import(&first).await.unwrap();
        assert_eq!(uses, ImportUses { campaigns: Vec::new(), imports: vec![again.id] });
        assert_eq!(undo(&db.store, &again).await, Undone::default());
        assert_eq!(undo(&db.store, &first).await.removed, 1);
    }

    async fn whoever_opted_out_stays_so(db: Database) {
        let (first, _) = import(&db.store, &[person(1), person(2)], NOW).await;
        let stop = Stop {
            contact_id: None,
            phone: person(1).phone_key.zip(person(1).phone),
            user_id: None,
            parent_user_id: None,
            quoted_wamid: None,
            campaign_id: None,
            scope: "all",
            source: "text",
            at: NOW,
            evidence: entry("opt-out", NOW),
        };
        db.store.stop(&stop).await.unwrap();
        let undone = undo(&db.store, &first).await;
        assert_eq!((undone.removed, undone.stayed), (1, 1));
        assert!(db.store.suppression(person(1).phone_key, None).await.unwrap().is_some());
    }

    async fn while_an_import_runs_none_is_undone_and_while_one_is_undone_none_begins(db: Database) {
        let (first, _) = import(&db.store, &[person(1)], NOW).await;
        let running = target(&db.store).await;
        assert_eq!(db.store.begin_undo(first.id).await.unwrap(), UndoBegun::AnotherRuns(running.import_id));
        db.store.interrupt_imports("gone", NOW).await.unwrap();
        assert_eq!(db.store.begin_undo(first.id).await.unwrap(), UndoBegun::Yes);
        let refused = crate::import_chunks::tests::try_target(&db.store).await;
        assert_eq!(refused, None);
        db.store.undo_import(&first).await.unwrap();
        db.store.end_undo(first.id, &entry("import-undone", NOW)).await.unwrap();
        assert!(crate::import_chunks::tests::try_target(&db.store).await.is_some());
    }

    async fn evidence_is_read_page_by_page_with_what_its_leaf_is_made_of(db: Database) {
        import(&db.store, &(0..5).map(person).collect::<Vec<_>>(), NOW).await;
        let page = db.store.evidence_after((0, 0, 0), 3).await.unwrap();
        let last = page.last().unwrap();
        let rest = db.store.evidence_after((last.contact_id, last.at, last.text_id), 3).await.unwrap();
        assert_eq!((page.len(), rest.len()), (3, 2));
        assert_eq!((rest[1].phone_key, rest[1].source.as_str()), (person(4).phone_key, "shop"));
        assert_eq!(rest[1].salt.as_deref(), Some([7; 16].as_slice()));
    }
}
