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
    let (end, _) = take_into(store, target, people, now, true).await;
    let counts = match &end {
        ChunkEnd::Kept { counts, .. } => *counts,
        _ => ImportCounts::default(),
    };
    let ended = ImportEnd { counts, sha256: "", rejects_file: None, error: None, now };
    assert!(store.end_import(target.import_id, &ended).await.unwrap());
    (store.import(target.import_id).await.unwrap().unwrap(), end)
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
    store.uses_of_import(import, false).await.unwrap().campaigns
}

async fn undo(store: &Store, import: &ImportRow) -> Undone {
    assert_eq!(store.uses_of_import(import, false).await.unwrap(), ImportUses::default());
    assert_eq!(store.begin_undo(import.id).await.unwrap(), BEGUN);
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
        assert_eq!(db.store.uses_of_import(&first, false).await.unwrap().imports, [second.id], "it changed one of its people");
        let undone = undo(&db.store, &second).await;
        assert_eq!(undone, Undone { restored: 1, left_list: 1_297, evidence: 1_298, removed: 1_297, stayed: 0 });
        assert_eq!(db.store.contact_of_phone(person(2).phone_key.unwrap()).await.unwrap().unwrap(), before);
        assert!(db.store.contact_of_phone(person(3).phone_key.unwrap()).await.unwrap().is_none());
        assert_eq!(db.store.lists().await.unwrap()[0].members, 2);
        assert_eq!(db.store.import(second.id).await.unwrap().unwrap().state, "undone");
        assert_eq!(db.store.begin_undo(second.id).await.unwrap(), UndoBegun::WrongState);
        assert!(db.store.uses_of_import(&first, false).await.unwrap().is_empty());
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
        let uses = db.store.uses_of_import(&first, false).await.unwrap();
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
        db.store.undo_import(&first).await.unwrap();
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
        db.store.undo_import(&first).await.unwrap();
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

    async fn a_later_import_of_other_people_with_the_same_source_does_not_hold_an_import(db: Database) {
        let (first, _) = import(&db.store, &[person(1), person(2)], NOW).await;
        let elsewhere = db.store.ensure_list("elsewhere", NOW).await.unwrap();
        exec(&db.store, format!("UPDATE list_members SET list_id = {elsewhere}")).await;
        exec(&db.store, format!("UPDATE imports SET list_id = {elsewhere} WHERE id = {}", first.id)).await;
        let first = db.store.import(first.id).await.unwrap().unwrap();
        import(&db.store, &[person(8)], NOW + 1).await;
        let (again, _) = import(&db.store, &[person(8)], NOW + 2).await;
        assert_eq!(again.unchanged, 1);
        assert_eq!(db.store.uses_of_import(&first, false).await.unwrap(), ImportUses::default());
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
