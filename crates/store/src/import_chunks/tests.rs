use super::*;
use crate::imports::NewImport;
use crate::leases::Owner;
use crate::testing::{Database, entry, on_both_databases};

pub(crate) const NOW: i64 = 1_700_000_000_000;

fn attributes(pairs: &[(&str, &str)]) -> String {
    let map: std::collections::BTreeMap<_, _> = pairs.iter().copied().collect();
    serde_json::to_string(&map).unwrap()
}

pub(crate) fn person(n: i64) -> Arriving {
    Arriving {
        phone_key: Some(201_000_000_000 + n),
        phone: Some(201_000_000_000 + n),
        user_id: None,
        name: Some(format!("Person \"{n}\" \\ مريم")),
        language: None,
        attributes: attributes(&[("city", "القاهرة 🌙 \"q\" \\n"), ("b", "1")]),
        opt_in_at: NOW - 1000,
        opt_in_source: None,
        opt_in_wording: None,
        salt: [7; 16],
    }
}

pub(crate) async fn target(store: &Store) -> ImportTarget {
    try_target(store).await.unwrap()
}

/// An import that begins, unless another is being undone.
pub(crate) async fn try_target(store: &Store) -> Option<ImportTarget> {
    let list_id = store.ensure_list("people", NOW).await.unwrap();
    let owner = Owner { instance: "i".into(), host: "h".into(), boot: "b".into() };
    let new = NewImport {
        list_id,
        list_name: "people",
        file_name: "people.csv",
        actor: "cli:amr",
        opt_in_source: "shop",
        opt_in_wording: "",
        opt_in_at: None,
        region: None,
        owner: &owner,
        now: NOW,
    };
    store.begin_import(new).await.unwrap().map(|import_id| ImportTarget { import_id, list_id })
}

fn shop() -> ConsentText {
    ConsentText { source: "shop".into(), wording: String::new() }
}

fn chunk<'a>(target: Option<ImportTarget>, people: &'a [Arriving], text_ids: &'a [i64], now: i64) -> Chunk<'a> {
    Chunk {
        target,
        number: 1,
        after: 0,
        people,
        text_ids,
        look_first: true,
        again: false,
        so_far: ImportCounts::default(),
        met: &[],
        now,
    }
}

/// Takes people in as the only chunk of an import of their own.
pub(super) async fn take(store: &Store, people: &[Arriving], now: i64) -> (ChunkEnd, Vec<NewEvidence>) {
    take_into(store, target(store).await, people, now, true).await
}

pub(crate) async fn take_into(
    store: &Store,
    target: ImportTarget,
    people: &[Arriving],
    now: i64,
    look_first: bool,
) -> (ChunkEnd, Vec<NewEvidence>) {
    assert!(people.is_sorted_by_key(Arriving::place));
    let seen = std::cell::RefCell::new(Vec::new());
    let id = store.consent_text_ids(&[shop()]).await.unwrap()[0];
    let ids = vec![id; people.len()];
    let end = store
        .take_in(&Chunk { look_first, ..chunk(Some(target), people, &ids, now) }, |new| {
            *seen.borrow_mut() = new.to_vec();
            entry("opt-in", now)
        })
        .await
        .unwrap();
    (end, seen.into_inner())
}

/// Created and updated people of a kept chunk.
pub(crate) fn done(end: &ChunkEnd) -> (i64, i64) {
    match end {
        ChunkEnd::Kept { counts, .. } => (counts.created, counts.updated),
        other => panic!("{other:?}"),
    }
}

/// Opted-out people of a kept chunk.
pub(super) fn suppressed(end: &ChunkEnd) -> i64 {
    match end {
        ChunkEnd::Kept { counts, .. } => counts.suppressed,
        other => panic!("{other:?}"),
    }
}

on_both_databases! {
    async fn the_same_people_again_change_nothing(db: Database) {
        let people: Vec<_> = (0..1500).map(person).collect();
        let (end, evidence) = take(&db.store, &people, NOW).await;
        assert_eq!((done(&end), evidence.len()), ((1500, 0), 1500));
        let before = db.store.contact_of_phone(people[3].phone_key.unwrap()).await.unwrap().unwrap();
        for look_first in [true, false] {
            let again = target(&db.store).await;
            let (end, evidence) = take_into(&db.store, again, &people, NOW + 5000, look_first).await;
            let ChunkEnd::Kept { counts, met_known, .. } = end else { panic!("{end:?}") };
            assert_eq!((counts.created, counts.updated, counts.unchanged, evidence.len()), (0, 0, 1500, 0));
            assert!(met_known);
        }
        assert_eq!(db.store.contact(before.id).await.unwrap().unwrap(), before);
        assert_eq!(db.store.lists().await.unwrap()[0].members, 1500);
        let evidence = db.store.opt_ins(before.id).await.unwrap();
        assert_eq!(evidence.len(), 1);
        assert_eq!((evidence[0].source.as_str(), evidence[0].wording.as_str()), ("shop", ""));
        assert_eq!(evidence[0].salt.as_deref(), Some([7; 16].as_slice()));
    }

    async fn a_chunk_whose_answer_was_lost_is_kept_once_and_counted_as_it_was(db: Database) {
        let target = target(&db.store).await;
        let people: Vec<_> = (0..10).map(person).collect();
        let (first, _) = take_into(&db.store, target, &people, NOW, false).await;
        let ids = vec![db.store.consent_text_ids(&[shop()]).await.unwrap()[0]; 10];
        let given = Chunk { again: true, ..chunk(Some(target), &people, &ids, NOW) };
        let again = db.store.take_in(&given, |_| entry("opt-in", NOW)).await.unwrap();
        assert_eq!((done(&first), done(&again)), ((10, 0), (10, 0)));
        assert_eq!(db.store.ledger_size().await.unwrap(), 1);
    }

    async fn an_import_that_was_given_up_keeps_nothing_more(db: Database) {
        let target = target(&db.store).await;
        db.store.interrupt_imports("gone", NOW).await.unwrap();
        let (end, _) = take_into(&db.store, target, &[person(1)], NOW, false).await;
        assert_eq!(end, ChunkEnd::Interrupted);
        assert!(db.store.contact_of_phone(person(1).phone_key.unwrap()).await.unwrap().is_none());
    }

    async fn people_have_their_own_words_of_consent_where_the_file_tells_them(db: Database) {
        let target = target(&db.store).await;
        let other = ConsentText { source: "till".into(), wording: "Yes, send me offers \u{1f319}".into() };
        let ids = db.store.consent_text_ids(&[shop(), other.clone(), shop()]).await.unwrap();
        assert_eq!((ids[0], db.store.consent_text_ids(std::slice::from_ref(&other)).await.unwrap()), (ids[2], vec![ids[1]]));
        let people = [person(1), person(2)];
        db.store.take_in(&chunk(Some(target), &people, &ids[..2], NOW), |_| entry("opt-in", NOW)).await.unwrap();
        let second = db.store.contact_of_phone(people[1].phone_key.unwrap()).await.unwrap().unwrap();
        let evidence = db.store.opt_ins(second.id).await.unwrap().remove(0);
        assert_eq!((evidence.source, evidence.wording), (other.source, other.wording));
    }

    async fn columns_are_merged_and_an_empty_name_keeps_the_old_one(db: Database) {
        take(&db.store, &[person(1), person(2)], NOW).await;
        let mut changed = person(1);
        changed.name = None;
        changed.language = Some("ar".to_owned());
        changed.attributes = attributes(&[("b", "2"), ("a", "new")]);
        let (end, evidence) = take(&db.store, &[changed.clone(), person(2), person(3)], NOW + 1).await;
        assert_eq!((done(&end), evidence.len()), ((1, 1), 1));
        assert_eq!(evidence[0].index, 2);
        let now = db.store.contact_of_phone(changed.phone_key.unwrap()).await.unwrap().unwrap();
        assert_eq!((now.name, now.language.as_deref(), now.updated_at), (person(1).name, Some("ar"), NOW + 1));
        let kept: std::collections::BTreeMap<String, String> = serde_json::from_str(&now.attributes).unwrap();
        assert_eq!(kept["b"], "2");
        assert_eq!(kept["a"], "new");
        assert!(person(1).attributes.contains(&serde_json::to_string(&kept["city"]).unwrap()));
        // And the merged form is stable.
        let (end, _) = take(&db.store, &[changed], NOW + 2).await;
        assert_eq!(done(&end), (0, 0));
    }

    async fn another_consent_of_a_known_person_is_evidence_but_no_update(db: Database) {
        take(&db.store, &[person(1)], NOW).await;
        let later = Arriving { opt_in_at: NOW, ..person(1) };
        let (end, evidence) = take(&db.store, &[later], NOW + 1).await;
        assert_eq!((done(&end), evidence.len()), ((0, 0), 1));
        assert_eq!(db.store.opt_ins(evidence[0].contact_id).await.unwrap().len(), 2);
        assert_eq!(db.store.ledger_size().await.unwrap(), 2);
    }

    async fn a_dry_run_counts_truly_and_keeps_nothing(db: Database) {
        take(&db.store, &[person(1)], NOW).await;
        let changed = Arriving { name: Some("New".to_owned()), ..person(1) };
        let people = [changed, person(2), person(3)];
        let end = db.store.take_in(&chunk(None, &people, &[0; 3], NOW), |_| entry("opt-in", NOW)).await.unwrap();
        assert_eq!(done(&end), (2, 1));
        assert!(db.store.contact_of_phone(person(2).phone_key.unwrap()).await.unwrap().is_none());
        assert_eq!(db.store.contact_of_phone(person(1).phone_key.unwrap()).await.unwrap().unwrap().name, person(1).name);
    }

    async fn what_a_restarted_database_lost_is_found_by_the_next_chunk_and_by_the_end(db: Database) {
        let target = target(&db.store).await;
        let ids = db.store.consent_text_ids(&[shop()]).await.unwrap();
        // Two chunks were kept, as it was told, and the database knows of one.
        take_into(&db.store, target, &[person(1)], NOW, true).await;
        let people = [person(3)];
        let third = Chunk { number: 3, after: 2, ..chunk(Some(target), &people, &ids, NOW) };
        let end = db.store.take_in(&third, |_| entry("opt-in", NOW)).await.unwrap();
        assert_eq!(end, ChunkEnd::Lost);
        assert!(db.store.contact_of_phone(person(3).phone_key.unwrap()).await.unwrap().is_none());
        let counts = ImportCounts::default();
        let end = crate::ImportEnd { counts, sha256: "ab", rejects_file: None, error: None, met: &[], last: 2, now: NOW };
        assert!(!db.store.end_import(target.import_id, &end).await.unwrap());
        assert!(db.store.end_import(target.import_id, &crate::ImportEnd { last: 1, ..end }).await.unwrap());
    }

    async fn a_chunk_for_a_list_that_was_removed_is_not_kept(db: Database) {
        let target = target(&db.store).await;
        assert!(db.store.remove_list(target.list_id).await.unwrap());
        let (end, _) = take_into(&db.store, target, &[person(1)], NOW, true).await;
        assert_eq!(end, ChunkEnd::ListGone);
        assert!(db.store.contact_of_phone(person(1).phone_key.unwrap()).await.unwrap().is_none());
    }

    async fn two_imports_of_the_same_people_at_once_create_each_person_once(db: Database) {
        let (first, second) = (target(&db.store).await, target(&db.store).await);
        let (one, two): (Vec<_>, Vec<_>) = ((0..800).map(person).collect(), (400..1200).map(person).collect());
        let handle = db.second_handle().await;
        let ((one, _), (two, _)) = tokio::join!(
            take_into(&db.store, first, &one, NOW, false),
            take_into(&handle, second, &two, NOW + 1, false)
        );
        assert_eq!(done(&one).0 + done(&two).0, 1200);
        assert_eq!(db.store.lists().await.unwrap()[0].members, 1200);
    }
}
