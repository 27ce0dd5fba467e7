use super::*;
use domain::campaign::CampaignEvent;

use crate::fixture::{self, Shop, exec, number_of};
use crate::import_chunks::tests::{NOW, done, person, take_into, target};
use crate::imports::{ImportCounts, ImportEnd};
use crate::testing::{Database, entry, on_both_databases};
use crate::{Arriving, ChunkEnd, Frozen, ImportTarget, Moved, Stop};

const BEGUN: UndoBegun = UndoBegun::Yes { resumed: false };

/// Imports people, to the end. The import.
async fn import(store: &Store, people: &[Arriving], now: i64) -> (ImportRow, ChunkEnd) {
    let target: ImportTarget = target(store).await;
    exec(store, format!("UPDATE imports SET started_at = {now} WHERE id = {}", target.import_id)).await;
    let (end, _) = take_into(store, target, people, now, true).await;
    let (counts, met, last) = match &end {
        ChunkEnd::Kept { counts, met, noted, .. } => (*counts, &met[..], i64::from(*noted)),
        _ => (ImportCounts::default(), &[][..], 0),
    };
    let ended = ImportEnd { counts, sha256: "", rejects_file: None, error: None, met, last, now };
    assert!(store.end_import(target.import_id, &ended).await.unwrap());
    (store.import(target.import_id).await.unwrap().unwrap(), end)
}

fn handed_over(handed: &HandedOver<'_>) -> NewEntry {
    assert!(!handed.evidence.is_empty());
    entry("opt-in", NOW)
}

/// A campaign to lists, launched and, if so, planned. Its id.
async fn launched(shop: &Shop, name: &str, lists: &[i64], excluded: &[i64], is_planned: bool) -> i64 {
    let campaign = shop.draft(name, lists, excluded, &shop.numbers).await;
    shop.launch(campaign, NOW + 10).await;
    if is_planned {
        fixture::plan(&shop.store, campaign, 1_000, None).await;
    }
    campaign
}

fn using(name: &str, people: i64, is_being_planned: bool) -> CampaignUse {
    CampaignUse { name: name.into(), people, is_being_planned }
}

async fn campaigns_using(store: &Store, import: &ImportRow) -> Vec<CampaignUse> {
    store.uses_of_import(import, false).await.unwrap()
}

async fn undo(store: &Store, import: &ImportRow) -> Undone {
    assert_eq!(store.uses_of_import(import, false).await.unwrap(), []);
    assert_eq!(store.begin_undo(import.id).await.unwrap(), BEGUN);
    // As it is now: an undo of another one may have passed people on to it.
    let import = &store.import(import.id).await.unwrap().unwrap();
    let undone = store.undo_import(import, handed_over).await.unwrap();
    store.end_undo(import.id, &entry("import-undone", NOW)).await.unwrap();
    undone
}

on_both_databases! {
    async fn an_import_that_nobody_used_leaves_nothing_but_its_record(db: Database) {
        import(&db.store, &[person(1), person(2)], NOW).await;
        let before = db.store.contact_of_phone(person(2).phone_key.unwrap()).await.unwrap().unwrap();
        let changed = Arriving { name: Some("New".into()), opt_in_at: NOW, ..person(2) };
        let people: Vec<_> = std::iter::once(changed).chain((3..1_300).map(person)).collect();
        let (second, end) = import(&db.store, &people, NOW + 1).await;
        assert_eq!(done(&end), (1_297, 1));
        let undone = undo(&db.store, &second).await;
        assert_eq!(undone, Undone { restored: 1, left_list: 1_297, evidence: 1_298, removed: 1_297, ..Undone::default() });
        assert_eq!(db.store.contact_of_phone(person(2).phone_key.unwrap()).await.unwrap().unwrap(), before);
        assert!(db.store.contact_of_phone(person(3).phone_key.unwrap()).await.unwrap().is_none());
        assert_eq!(db.store.lists().await.unwrap()[0].members, 2);
        assert_eq!(db.store.import(second.id).await.unwrap().unwrap().state, "undone");
        assert_eq!(db.store.begin_undo(second.id).await.unwrap(), UndoBegun::WrongState);
        // The next people are new people: nobody gets the number of one who is gone.
        let (_, end) = import(&db.store, &[person(3)], NOW + 2).await;
        assert_eq!(done(&end), (1, 0));
        let again = db.store.contact_of_phone(person(3).phone_key.unwrap()).await.unwrap().unwrap();
        assert!(again.id > before.id + 1_290, "{}", again.id);
    }

    async fn what_a_later_import_met_unchanged_is_its_own_once_the_first_is_undone(db: Database) {
        let people: Vec<_> = (1..=700).map(person).collect();
        let (first, _) = import(&db.store, &people, NOW).await;
        let (again, _) = import(&db.store, &people[..600], NOW + 1).await;
        assert_eq!(again.unchanged, 600);
        let undone = undo(&db.store, &first).await;
        let expected = Undone {
            left_list: 100,
            evidence: 100,
            removed: 100,
            kept_people: 600,
            kept_on_list: 600,
            kept_evidence: 600,
            kept_for: vec![again.id],
            ..Undone::default()
        };
        assert_eq!(undone, expected);
        assert_eq!(db.store.lists().await.unwrap()[0].members, 600);
        let kept = db.store.contact_of_phone(person(1).phone_key.unwrap()).await.unwrap().unwrap();
        assert_eq!(db.store.opt_ins(kept.id).await.unwrap().len(), 1);
        let all = Undone { left_list: 600, evidence: 600, removed: 600, ..Undone::default() };
        assert_eq!(undo(&db.store, &again).await, all);
        assert_eq!(number_of(&db.store, "SELECT count(*) FROM contacts").await, 0);
        assert_eq!(number_of(&db.store, "SELECT count(*) FROM import_met").await, 0);
    }

    async fn undone_from_the_last_to_the_first_nothing_is_passed_on(db: Database) {
        let (first, _) = import(&db.store, &[person(1)], NOW).await;
        let (again, _) = import(&db.store, &[person(1)], NOW + 1).await;
        assert_eq!(undo(&db.store, &again).await, Undone::default());
        let all = Undone { left_list: 1, evidence: 1, removed: 1, ..Undone::default() };
        assert_eq!(undo(&db.store, &first).await, all);
    }

    async fn the_same_people_on_another_list_leave_the_first_list_alone(db: Database) {
        let (first, _) = import(&db.store, &[person(1), person(2)], NOW).await;
        let elsewhere = db.store.ensure_list("elsewhere", NOW).await.unwrap();
        exec(&db.store, format!("UPDATE list_members SET list_id = {elsewhere}")).await;
        exec(&db.store, format!("UPDATE imports SET list_id = {elsewhere}")).await;
        let first = db.store.import(first.id).await.unwrap().unwrap();
        // With a consent of their own, and one of them alone.
        let (second, _) = import(&db.store, &[Arriving { opt_in_at: NOW, ..person(1) }], NOW + 1).await;
        let undone = undo(&db.store, &first).await;
        let expected = Undone {
            left_list: 2,
            evidence: 2,
            removed: 1,
            kept_people: 1,
            kept_for: vec![second.id],
            ..Undone::default()
        };
        assert_eq!(undone, expected);
        let kept = db.store.contact_of_phone(person(1).phone_key.unwrap()).await.unwrap().unwrap();
        let evidence = db.store.opt_ins(kept.id).await.unwrap();
        assert_eq!((evidence.len(), evidence[0].at), (1, NOW), "the first one's evidence is gone, the second's is there");
        assert_eq!(undo(&db.store, &second).await.removed, 1);
    }

    /// Four imports write the same person's name, one after the other; they are undone in any order. At each moment the
    /// person is what the imports that still stand made of them, and gone when none does.
    async fn in_whatever_order_imports_are_undone_those_that_stand_keep_what_they_brought(db: Database) {
        let orders: [[usize; 4]; 6] =
            [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 0, 1, 3], [1, 2, 3, 0], [0, 3, 1, 2]];
        for (round, order) in orders.into_iter().enumerate() {
            let n = i64::try_from(round).unwrap();
            let mut imports = Vec::new();
            // The third finds everything there.
            for (place, name) in ["one", "two", "two", "four"].into_iter().enumerate() {
                let named = Arriving { name: Some(name.into()), ..person(n) };
                let (row, end) = import(&db.store, &[named], NOW + i64::try_from(place).unwrap()).await;
                assert_eq!(done(&end), [(1, 0), (0, 1), (0, 0), (0, 1)][place], "round {round}, import {place}");
                imports.push(row);
            }
            let mut standing = vec![0, 1, 2, 3];
            for place in order {
                undo(&db.store, &imports[place]).await;
                standing.retain(|other| *other != place);
                let now = db.store.contact_of_phone(person(n).phone_key.unwrap()).await.unwrap();
                let name = standing.last().map(|last| ["one", "two", "two", "four"][*last]);
                assert_eq!(now.as_ref().and_then(|contact| contact.name.as_deref()), name, "{order:?} after {place}");
                let Some(contact) = now else { continue };
                assert_eq!(db.store.opt_ins(contact.id).await.unwrap().len(), 1, "{order:?} after {place}");
                let members = db.store.lists().await.unwrap()[0].members;
                assert_eq!(members, 1, "{order:?} after {place}");
            }
            assert_eq!(number_of(&db.store, "SELECT count(*) FROM contacts").await, 0, "{order:?}");
            assert_eq!(number_of(&db.store, "SELECT count(*) FROM opt_ins").await, 0, "{order:?}");
            assert_eq!(number_of(&db.store, "SELECT count(*) FROM list_members").await, 0, "{order:?}");
            assert_eq!(number_of(&db.store, "SELECT count(*) FROM import_changes").await, 0, "{order:?}");
        }
    }

    async fn whoever_was_put_on_a_list_by_hand_stays(db: Database) {
        let (first, _) = import(&db.store, &[person(1), person(2)], NOW).await;
        let by_hand = db.store.ensure_list("by hand", NOW).await.unwrap();
        exec(&db.store, format!(
            "INSERT INTO list_members (list_id, contact_id, added_at) SELECT {by_hand}, min(id), 1 FROM contacts"
        )).await;
        let undone = undo(&db.store, &first).await;
        assert_eq!((undone.left_list, undone.removed, undone.stayed), (2, 1, 1));
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
            scope: domain::optout::scope::Scope::All,
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
        assert_eq!(db.store.begin_undo(first.id).await.unwrap(), BEGUN);
        let refused = crate::import_chunks::tests::try_target(&db.store).await;
        assert_eq!(refused, None);
        db.store.undo_import(&first, handed_over).await.unwrap();
        db.store.end_undo(first.id, &entry("import-undone", NOW)).await.unwrap();
        assert!(crate::import_chunks::tests::try_target(&db.store).await.is_some());
    }

    async fn a_campaign_to_its_people_holds_an_import_with_their_number_unless_it_skipped_them(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let (first, _) = import(&db.store, &(1..=5).map(person).collect::<Vec<_>>(), NOW).await;
        let (other, _) = import(&db.store, &[person(8), person(9)], NOW).await;
        let sent = launched(&shop, "spring", &[first.list_id], &[], true).await;
        assert_eq!(campaigns_using(&db.store, &first).await, [using("spring", 5, false)]);
        assert_eq!(campaigns_using(&db.store, &other).await, [using("spring", 2, false)]);
        let of_first = format!("contact_id IN (SELECT contact_id FROM list_members WHERE import_id = {})", first.id);
        exec(&db.store, format!("UPDATE sends SET state = 8 WHERE campaign_id = {sent} AND {of_first}")).await;
        assert_eq!(campaigns_using(&db.store, &other).await, [using("spring", 2, false)], "they are still written to");
        let undone = undo(&db.store, &first).await;
        assert_eq!((undone.left_list, undone.removed, undone.stayed), (5, 0, 5), "the campaign's record names them");
        let nameless = "SELECT count(*) FROM sends s WHERE NOT EXISTS (SELECT 1 FROM contacts c WHERE c.id = s.contact_id)";
        assert_eq!(number_of(&db.store, nameless).await, 0);
    }

    async fn a_campaign_to_another_list_of_its_people_does_not_hold_an_import(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let (first, _) = import(&db.store, &[person(1), person(2)], NOW).await;
        let elsewhere = db.store.ensure_list("elsewhere", NOW).await.unwrap();
        exec(&db.store, format!("UPDATE list_members SET list_id = {elsewhere}")).await;
        exec(&db.store, format!("UPDATE imports SET list_id = {elsewhere}")).await;
        // The same people come to a second list, and nothing else of them is new.
        let (second, _) = import(&db.store, &[person(1), person(2)], NOW + 1).await;
        launched(&shop, "to the first list", &[elsewhere], &[], true).await;
        let undone = undo(&db.store, &second).await;
        assert_eq!((undone.left_list, undone.removed), (2, 0));
        assert_eq!(campaigns_using(&db.store, &ImportRow { list_id: elsewhere, ..first }).await.len(), 1);
    }

    async fn whoever_was_changed_and_written_to_since_holds_an_import(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let (first, _) = import(&db.store, &[person(1), person(2)], NOW).await;
        let elsewhere = db.store.ensure_list("elsewhere", NOW).await.unwrap();
        exec(&db.store, format!("UPDATE list_members SET list_id = {elsewhere}")).await;
        let changed = Arriving { name: Some("New".into()), ..person(2) };
        let (second, _) = import(&db.store, &[changed], NOW + 1).await;
        assert_ne!(first.id, second.id);
        launched(&shop, "with the new name", &[elsewhere], &[], true).await;
        assert_eq!(campaigns_using(&db.store, &second).await, [using("with the new name", 1, false)]);
    }

    async fn an_audience_that_is_being_planned_holds_an_import_in_either_role(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let (first, _) = import(&db.store, &[person(1)], NOW).await;
        let elsewhere = db.store.ensure_list("elsewhere", NOW).await.unwrap();
        let out = launched(&shop, "without them", &[elsewhere], &[first.list_id], false).await;
        assert_eq!(campaigns_using(&db.store, &first).await, [using("without them", 0, true)]);
        fixture::plan(&db.store, out, 10, None).await;
        assert_eq!(campaigns_using(&db.store, &first).await, []);
        launched(&shop, "to them", &[first.list_id], &[], false).await;
        assert_eq!(campaigns_using(&db.store, &first).await, [using("to them", 0, true)]);
    }

    async fn while_an_import_is_undone_no_campaign_that_names_its_list_is_launched(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let (first, _) = import(&db.store, &[person(1)], NOW).await;
        let elsewhere = db.store.ensure_list("elsewhere", NOW).await.unwrap();
        let to = shop.draft("to them", &[first.list_id], &[], &shop.numbers).await;
        let without = shop.draft("without them", &[elsewhere], &[first.list_id], &shop.numbers).await;
        let free = shop.draft("to others", &[elsewhere], &[], &shop.numbers).await;
        let launch = async |campaign| {
            let frozen = Some(Frozen { at: NOW + 10, people: 0 });
            db.store.move_campaign(campaign, CampaignEvent::Launched, None, frozen, NOW + 10).await.unwrap()
        };
        let marks = db.store.audience_marks().await.unwrap();
        assert_eq!(db.store.begin_undo(first.id).await.unwrap(), BEGUN);
        assert_ne!(db.store.audience_marks().await.unwrap(), marks, "what was counted before counts no more");
        assert_eq!(db.store.undo_under_way(to).await.unwrap(), Some(first.id));
        assert!(matches!(launch(to).await, Moved::AwaitsUndo(import) if import == first.id));
        assert!(matches!(launch(without).await, Moved::AwaitsUndo(_)));
        assert!(matches!(launch(free).await, Moved::To(_)));
        assert_eq!(db.store.begin_undo(first.id).await.unwrap(), UndoBegun::Yes { resumed: true });
        db.store.undo_import(&first, handed_over).await.unwrap();
        db.store.end_undo(first.id, &entry("import-undone", NOW)).await.unwrap();
        assert!(matches!(launch(to).await, Moved::To(_)));
    }

    async fn an_undo_that_is_given_up_leaves_the_import_as_it_was(db: Database) {
        let (first, _) = import(&db.store, &[person(1)], NOW).await;
        assert_eq!(db.store.begin_undo(first.id).await.unwrap(), BEGUN);
        db.store.give_up_undo(first.id).await.unwrap();
        assert_eq!(db.store.import(first.id).await.unwrap().unwrap(), first);
        assert!(crate::import_chunks::tests::try_target(&db.store).await.is_some(), "others may begin again");
        db.store.interrupt_imports("gone", NOW).await.unwrap();
        let second = first.id + 1;
        assert_eq!(db.store.begin_undo(second).await.unwrap(), BEGUN);
        db.store.give_up_undo(second).await.unwrap();
        assert_eq!(db.store.import(second).await.unwrap().unwrap().state, "interrupted");
    }

    async fn a_launch_and_an_undo_at_the_same_moment_never_miss_each_other(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        for round in 0..10 {
            let (first, _) = import(&db.store, &[person(round)], NOW).await;
            let campaign = shop.draft(&format!("news {round}"), &[first.list_id], &[], &shop.numbers).await;
            let (store, other) = (db.store.clone(), db.second_handle().await);
            let launch = tokio::spawn(async move {
                let frozen = Some(Frozen { at: NOW + 10, people: 1 });
                store.move_campaign(campaign, CampaignEvent::Launched, None, frozen, NOW + 10).await.unwrap()
            });
            let begun = tokio::spawn(async move { other.begin_undo(first.id).await.unwrap() });
            let (launched, begun) = (launch.await.unwrap(), begun.await.unwrap());
            assert_eq!(begun, BEGUN);
            let first = db.store.import(first.id).await.unwrap().unwrap();
            let seen = campaigns_using(&db.store, &first).await;
            assert_eq!(matches!(launched, Moved::To(_)), seen == [using(&format!("news {round}"), 0, true)], "{launched:?}");
            db.store.give_up_undo(first.id).await.unwrap();
            exec(&db.store, "UPDATE campaigns SET planned = TRUE, state = 5").await;
        }
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
