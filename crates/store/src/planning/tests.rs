use std::collections::BTreeMap;

use super::*;
use crate::fixture::{NOW, Shop, assert_tallied, exec, plan, planned, sends, stop_of, verdicts};
use crate::testing::{Database, on_both_databases};
use crate::{Happening, Tally};

fn reasons(tally: &Tally) -> Vec<(&str, i64)> {
    tally.skipped_by_reason.iter().map(|(reason, n)| (reason.as_str(), *n)).collect()
}

on_both_databases! {
    async fn an_audience_of_overlapping_lists_counts_each_person_once(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let lists = [
            shop.list("one", 1..=20, NOW - 1).await,
            shop.list("two", 11..=30, NOW - 1).await,
            shop.list("three", 5..=25, NOW - 1).await,
        ];
        let campaign = shop.draft("news", &lists, &[], &shop.numbers).await;
        let audience = db.store.audience(campaign, NOW).await.unwrap();
        assert_eq!(db.store.audience_size(&audience).await.unwrap(), 30);
        shop.launch(campaign, NOW).await;
        let mut seen = Vec::new();
        loop {
            let after = seen.last().copied().unwrap_or(0);
            let page = db.store.audience_page(&audience, after, 7, Detail::Verdicts).await.unwrap();
            if page.is_empty() { break }
            assert!(page.len() <= 7);
            seen.extend(page.iter().map(|person| person.contact_id));
        }
        assert_eq!(seen, (1..=30).collect::<Vec<_>>());
        plan(&db.store, campaign, 7, None).await;
        assert_eq!(sends(&db.store).await.len(), 30);
        let row = db.store.campaign(campaign).await.unwrap().unwrap();
        assert_eq!((row.audience, row.planned, row.planned_through), (30, true, i64::MAX));
        assert_tallied(&db.store, campaign).await;
    }

    async fn excluded_lists_opt_outs_and_blocked_people_are_skipped_with_their_reason(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let list = shop.list("all", 1..=10, NOW - 1).await;
        let out = shop.list("customers", 8..=15, NOW + 5_000).await;
        for person in [1, 8] {
            db.store.stop(&stop_of(person)).await.unwrap();
        }
        let campaign = shop.draft("news", &[list], &[out], &shop.numbers).await;
        shop.launch(campaign, NOW).await;
        exec(&db.store, "UPDATE contacts SET phone = NULL WHERE id IN (1, 4, 5)").await;
        exec(&db.store, "INSERT INTO identities (kind, value, contact_id) VALUES (2, 'US.5', 5), (1, '4', 4)").await;
        let audience = db.store.audience(campaign, NOW).await.unwrap();
        let page = db.store.audience_page(&audience, 0, 100, Detail::Verdicts).await.unwrap();
        let barred: Vec<_> = page.iter().map(|person| (person.contact_id, person.barred())).collect();
        let (out, stopped, nowhere) = (Some(EXCLUDED_LIST), Some(crate::OPTED_OUT), Some(NO_ADDRESS));
        assert_eq!(barred, [(1, stopped), (2, None), (3, None), (4, nowhere), (5, None), (6, None), (7, None), (8, out),
            (9, out), (10, out)]);
        let mut people = verdicts(&page, None);
        for verdict in &mut people[1..3] {
            verdict.skipped = Some("variable-missing:name".into());
        }
        let chunk = PlanChunk { campaign_id: campaign, after: 0, through: i64::MAX, last: true, people: &people };
        assert!(db.store.plan_chunk(&chunk).await.unwrap().is_some());
        let tally = db.store.tally(campaign).await.unwrap();
        assert_eq!(reasons(&tally),
            [(EXCLUDED_LIST, 3), (NO_ADDRESS, 1), (crate::OPTED_OUT, 1), ("variable-missing:name", 2)]);
        assert_eq!((tally.planned, tally.total()), (3, 10));
        assert_tallied(&db.store, campaign).await;
    }

    async fn whoever_joins_a_list_after_the_freeze_is_left_out(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let list = shop.list("all", 1..=5, NOW).await;
        let campaign = shop.draft("news", &[list], &[], &shop.numbers).await;
        shop.launch(campaign, NOW).await;
        shop.list("all", 3..=9, NOW + 1).await;
        plan(&db.store, campaign, 4, None).await;
        assert_eq!(sends(&db.store).await.iter().map(|row| row.contact_id).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    }

    async fn two_planners_plan_each_chunk_once(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let list = shop.list("all", 1..=300, NOW).await;
        let campaign = shop.draft("news", &[list], &[], &shop.numbers).await;
        shop.launch(campaign, NOW).await;
        let other = db.second_handle().await;
        let planner = |store: Store| async move {
            let mut won = 0;
            loop {
                let row = store.campaign(campaign).await.unwrap().unwrap();
                if row.planned { return won }
                let after = row.planned_through;
                let audience = store.audience(campaign, NOW).await.unwrap();
                let page = store.audience_page(&audience, after, 20, Detail::Verdicts).await.unwrap();
                let last = page.len() < 20;
                let through = if last { i64::MAX } else { page[19].contact_id };
                let chunk = PlanChunk { campaign_id: campaign, after, through, last, people: &verdicts(&page, None) };
                won += i64::from(store.plan_chunk(&chunk).await.unwrap().is_some());
            }
        };
        let (one, two) = tokio::join!(tokio::spawn(planner(db.store.clone())), tokio::spawn(planner(other)));
        assert_eq!(one.unwrap() + two.unwrap(), 16, "fifteen chunks and an empty last one");
        assert_eq!(db.store.tally(campaign).await.unwrap().planned, 300);
        assert_tallied(&db.store, campaign).await;
        let again = PlanChunk { campaign_id: campaign, after: i64::MAX, through: i64::MAX, last: true, people: &[] };
        assert!(db.store.plan_chunk(&again).await.unwrap().is_none(), "a planned campaign is not planned again");
    }

    async fn people_are_spread_over_the_numbers_and_nobody_is_lost(db: Database) {
        let shop = Shop::open(&db.store, 3).await;
        let list = shop.list("all", 1..=300, NOW).await;
        let campaign = shop.campaign("news", &[list]).await;
        let mut by_number = BTreeMap::new();
        for row in sends(&db.store).await { *by_number.entry(row.number_id).or_insert(0) += 1 }
        assert_eq!(by_number.into_values().collect::<Vec<_>>(), [100, 100, 100]);
        assert_eq!(db.store.tally(campaign).await.unwrap().planned, 300);
        assert_eq!(db.store.feedable().await.unwrap().iter().map(|lane| lane.open).collect::<Vec<_>>(), [100, 100, 100]);
    }

    async fn a_number_named_twice_takes_its_share_once_and_nobody_is_lost(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        let list = shop.list("all", 1..=30, NOW).await;
        let numbers = [shop.numbers[0], shop.numbers[0], shop.numbers[1]];
        let campaign = shop.draft("news", &[list, list], &[], &numbers).await;
        shop.launch(campaign, NOW).await;
        plan(&db.store, campaign, 100, None).await;
        assert_eq!(db.store.campaign_number_ids(campaign).await.unwrap(), shop.numbers);
        assert_eq!(sends(&db.store).await.len(), 30);
    }

    async fn a_list_that_is_included_and_excluded_is_excluded(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let (all, some) = (shop.list("all", 1..=5, NOW).await, shop.list("some", 4..=9, NOW).await);
        let campaign = shop.draft("news", &[all, some], &[some], &shop.numbers).await;
        shop.launch(campaign, NOW).await;
        plan(&db.store, campaign, 100, None).await;
        let tally = db.store.tally(campaign).await.unwrap();
        assert_eq!((tally.planned, reasons(&tally)), (3, vec![(EXCLUDED_LIST, 2)]));
    }

    async fn a_campaign_without_numbers_is_not_planned_into_nothing(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let list = shop.list("all", 1..=5, NOW).await;
        let campaign = shop.draft("news", &[list], &[], &[]).await;
        shop.launch(campaign, NOW).await;
        let people = planned(1..=5);
        let chunk = PlanChunk { campaign_id: campaign, after: 0, through: i64::MAX, last: true, people: &people };
        assert!(matches!(db.store.plan_chunk(&chunk).await, Err(crate::Error::Bug { .. })));
        assert!(!db.store.campaign(campaign).await.unwrap().unwrap().planned);
    }

    async fn people_with_the_largest_ids_are_planned_fed_and_claimed(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        let top = i64::MAX;
        let list = shop.list("all", top - 3..=top - 1, NOW).await;
        shop.list("all", 1..=2, NOW).await;
        let campaign = shop.draft("news", &[list], &[], &shop.numbers).await;
        shop.launch(campaign, NOW).await;
        plan(&db.store, campaign, 2, None).await;
        let mut claimed = Vec::new();
        for number in &shop.numbers {
            let lane = crate::fixture::Lane::take(&db.store, *number, "one").await;
            while let Some(batch) = db.store.next_batch(campaign, *number, 2, NOW).await.unwrap() {
                claimed.extend(crate::fixture::ids(&crate::fixture::made(lane.try_claim(&batch, 9, NOW).await)));
            }
        }
        claimed.sort_unstable();
        assert_eq!(claimed, [1, 2, top - 3, top - 2, top - 1]);
        assert_tallied(&db.store, campaign).await;
    }

    async fn what_a_cancelled_campaign_has_left_is_skipped_and_what_left_stays(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        let list = shop.list("all", 1..=50, NOW).await;
        let campaign = shop.draft("news", &[list], &[], &shop.numbers).await;
        shop.launch(campaign, NOW).await;
        let chunk = PlanChunk { campaign_id: campaign, after: 0, through: 30, last: false, people: &planned(1..=30) };
        assert!(db.store.plan_chunk(&chunk).await.unwrap().is_some());
        let lane = shop.lane().await;
        let claimed = lane.claim(campaign, 5).await;
        let refused = Happening { not_before: Some(NOW + 99), ..Happening::new((campaign, claimed[0].contact_id), Some(1),
            domain::send::SendEvent::Refused { later: true }, NOW) };
        db.store.apply(Priority::Urgent, &[refused]).await.unwrap();
        db.store.move_campaign(campaign, domain::campaign::CampaignEvent::Cancelled, None, None, NOW).await.unwrap();
        assert_eq!(db.store.campaigns_alive().await.unwrap().len(), 1);
        plan(&db.store, campaign, 10, Some(CANCELLED)).await;
        assert_eq!(db.store.campaigns_alive().await.unwrap().len(), 1, "it still has planned sends");
        let mut skipped = 0;
        loop {
            let some = db.store.skip_planned(campaign, CANCELLED, 7).await.unwrap();
            assert!(some <= 7);
            assert_tallied(&db.store, campaign).await;
            if some == 0 { break }
            skipped += some;
        }
        assert_eq!(skipped, 26);
        let tally = db.store.tally(campaign).await.unwrap();
        assert_eq!((tally.submitting, reasons(&tally)), (4, vec![(CANCELLED, 46)]));
        // A late failure plans one of those that had left again: it is found though all before it were passed.
        let late = Happening::new((campaign, claimed[1].contact_id), Some(1),
            domain::send::SendEvent::Refused { later: true }, NOW);
        db.store.apply(Priority::Urgent, &[late]).await.unwrap();
        assert_eq!(db.store.skip_planned(campaign, CANCELLED, 7).await.unwrap(), 1);
        assert_tallied(&db.store, campaign).await;
        assert!(db.store.campaigns_alive().await.unwrap().is_empty());
        assert!(db.store.lane_batches(lane.number).await.unwrap().is_empty());
        assert_eq!(exec(&db.store, "DELETE FROM batches").await, 0);
    }

    async fn a_page_brings_what_it_takes_to_render_in_the_order_of_the_people(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let list = shop.list("all", 1..=4, NOW).await;
        exec(&db.store, "UPDATE contacts SET name = 'مريم \"M\" \\', language = 'ar', attributes = '{\"city\":\"القاهرة\"}' WHERE id = 2").await;
        exec(&db.store, "UPDATE contacts SET name = NULL, phone = NULL WHERE id = 3").await;
        let campaign = shop.draft("news", &[list], &[], &shop.numbers).await;
        let audience = db.store.audience(campaign, NOW).await.unwrap();
        let page = db.store.audience_page(&audience, 1, 2, Detail::Fields).await.unwrap();
        let told: Vec<_> = page.iter().map(|person| (person.contact_id, person.phone, person.name.as_deref(),
            person.language.as_deref(), person.attributes.as_str())).collect();
        assert_eq!(told, [
            (2, Some(15_550_000_002), Some("مريم \"M\" \\"), Some("ar"), "{\"city\":\"القاهرة\"}"),
            (3, None, None, None, "{}"),
        ]);
        assert!(db.store.audience_page(&audience, 4, 2, Detail::Fields).await.unwrap().is_empty());
        let nobody = db.store.audience(campaign + 1, NOW).await.unwrap();
        assert!(db.store.audience_page(&nobody, 0, 2, Detail::Verdicts).await.unwrap().is_empty());
        assert_eq!(db.store.audience_size(&nobody).await.unwrap(), 0);
    }

    async fn whatever_an_audience_rests_on_leaves_its_mark_when_it_changes(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        shop.list("all", 1..=4, NOW).await;
        let mut marks = vec![db.store.audience_marks().await.unwrap()];
        db.store.stop(&stop_of(1)).await.unwrap();
        marks.push(db.store.audience_marks().await.unwrap());
        let owner = crate::Owner { instance: "i".into(), host: "h".into(), boot: "b".into() };
        let import = crate::NewImport { list_id: 1, list_name: "all", file_name: "f", actor: "a", opt_in_source: "s",
            opt_in_wording: "", opt_in_at: None, region: None, owner: &owner, now: NOW };
        let import = db.store.begin_import(import).await.unwrap().unwrap();
        marks.push(db.store.audience_marks().await.unwrap());
        exec(&db.store, format!("UPDATE imports SET accepted = 7 WHERE id = {import}")).await;
        marks.push(db.store.audience_marks().await.unwrap());
        // A block on a name is carried over to the person who turns out to bear it.
        let nameless = crate::Stop { phone: None, user_id: Some("US.9".into()), ..stop_of(2) };
        db.store.stop(&nameless).await.unwrap();
        marks.push(db.store.audience_marks().await.unwrap());
        db.store.learn_identities(&[crate::Identity { kind: 2, value: "US.9".into(), contact_id: 3 }]).await.unwrap();
        marks.push(db.store.audience_marks().await.unwrap());
        for (place, mark) in marks.iter().enumerate() {
            assert!(!marks[..place].contains(mark), "change {place} left no mark: {mark:?}");
        }
        assert_eq!(db.store.audience_marks().await.unwrap(), marks[5], "nothing changed since");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_a_campaign_is_counted_as_it_is_planned() {
    let db = Database::postgres().await;
    let shop = Shop::open(&db.store, 1).await;
    let list = shop.list("all", 1..=20_000, NOW - 1).await;
    let campaign = shop.draft("news", &[list], &[], &shop.numbers).await;
    shop.launch(campaign, NOW).await;
    plan(&db.store, campaign, 2_000, None).await;
    let Db::Postgres(pool) = &db.store.db else { unreachable!("it is PostgreSQL") };
    let counted: f32 = sqlx::query_scalar("SELECT reltuples FROM pg_class WHERE oid = 'sends'::regclass")
        .fetch_one(pool)
        .await
        .unwrap();
    assert!(counted > 9_000.0, "counted {counted} of 20000");
}
