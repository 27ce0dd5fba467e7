use domain::send::{Current, SendEvent, SendState, Status};

use super::*;
use crate::Happening;
use crate::fixture::{NOW, Shop, assert_tallied, exec, number_of};
use crate::testing::{Database, on_both_databases};

async fn state(store: &Store, id: i64) -> CampaignState {
    store.campaign(id).await.unwrap().unwrap().state().unwrap()
}

on_both_databases! {
    async fn a_campaign_is_launched_once_however_many_ask(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let list = shop.list("all", 1..=5, NOW).await;
        let campaign = shop.draft("news", &[list], &[], &shop.numbers).await;
        let other = db.second_handle().await;
        let launch = |store: Store, now: i64| async move {
            store.move_campaign(campaign, CampaignEvent::Launched, None, Some(Frozen { at: now, people: 5 }), now).await.unwrap()
        };
        let (one, two) = tokio::join!(launch(db.store.clone(), NOW), launch(other, NOW + 1));
        let launched = [&one, &two].iter().filter(|moved| matches!(moved, Moved::To(CampaignState::Running))).count();
        let refused = [&one, &two].iter().filter(|moved| matches!(moved, Moved::Refused(_))).count();
        assert_eq!((launched, refused), (1, 1));
        let row = db.store.campaign_named("news").await.unwrap().unwrap();
        assert_eq!((row.launched_at, row.started_at), (row.frozen_at, row.frozen_at));
        assert!(matches!(db.store.create_campaign(&NewCampaign {
            name: "news", account_id: shop.account, template_id: Some(shop.template), template: "{}", params: "{}",
            rate_cap: None, weight: 10, start_at: None, lists: &[], excluded_lists: &[], filter: None, numbers: &[], created_by: "test",
            terms: crate::Terms::default(),
            parent_id: None,
        }, NOW).await, Err(Error::Conflict(_))));
        assert!(matches!(db.store.move_campaign(99, CampaignEvent::Paused, None, None, NOW).await, Ok(Moved::NotFound)));
    }

    async fn a_draft_can_be_removed_and_its_name_taken_again_but_what_was_launched_stays(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let list = shop.list("all", 1..=5, NOW).await;
        let draft = shop.draft("news", &[list], &[], &shop.numbers).await;
        assert!(db.store.remove_draft(draft).await.unwrap());
        assert!(!db.store.remove_draft(draft).await.unwrap());
        for table in ["campaigns", "campaign_lists", "campaign_numbers"] {
            assert_eq!(number_of(&db.store, &format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
        }
        let launched = shop.draft("news", &[list], &[], &shop.numbers).await;
        db.store.move_campaign(launched, CampaignEvent::Launched, None, Some(Frozen { at: 5, people: 5 }), NOW).await.unwrap();
        assert!(!db.store.remove_draft(launched).await.unwrap());
        assert_eq!(state(&db.store, launched).await, CampaignState::Running);
    }

    async fn a_finished_campaign_opens_again_for_a_late_failure_and_leaves_no_empty_tallies(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(2).await;
        let lane = shop.lane().await;
        lane.claim(campaign, 2).await;
        assert!(db.store.has_open_sends(campaign).await.unwrap());
        let accepted: Vec<_> =
            (1..=2).map(|person| Happening::new((campaign, person), Some(1), SendEvent::Accepted, NOW)).collect();
        db.store.apply(Priority::Urgent, &accepted).await.unwrap();
        assert!(!db.store.has_open_sends(campaign).await.unwrap());
        db.store.move_campaign(campaign, CampaignEvent::Finished, None, None, NOW).await.unwrap();
        assert!(db.store.finished_with_open().await.unwrap().is_empty());
        assert!(db.store.campaigns_alive().await.unwrap().is_empty());
        assert_eq!(number_of(&db.store, "SELECT count(*) FROM tallies").await, 1, "nothing to read through for ever");
        let late = SendEvent::Status(Status::Failed { later: true }, Current::Yes);
        db.store.apply(Priority::Urgent, &[Happening::new((campaign, 1), Some(1), late, NOW)]).await.unwrap();
        assert_eq!(db.store.finished_with_open().await.unwrap(), [campaign]);
        db.store.move_campaign(campaign, CampaignEvent::Reopened, None, None, NOW).await.unwrap();
        assert_eq!(state(&db.store, campaign).await, CampaignState::Running);
        assert_eq!(db.store.campaign(campaign).await.unwrap().unwrap().finished_at, None);
        assert_eq!(lane.claim_due(campaign, NOW).await.len(), 1);
        assert_tallied(&db.store, campaign).await;
    }

    async fn broken_tallies_are_healed_while_sends_go_on_moving(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(60).await;
        shop.lane().await.claim(campaign, 60).await;
        crate::fixture::exec(&db.store, "UPDATE tallies SET n = n + 7").await;
        let store = db.second_handle().await;
        let moving = tokio::spawn(async move {
            for status in [Status::Sent, Status::Delivered, Status::Read] {
                for person in 1..=60 {
                    let event = SendEvent::Status(status, Current::Yes);
                    let told = Happening::new((campaign, person), Some(1), event, NOW);
                    store.apply(Priority::Urgent, &[told]).await.unwrap();
                }
            }
        });
        while !moving.is_finished() {
            db.store.heal_tallies(campaign).await.unwrap();
        }
        moving.await.unwrap();
        assert_tallied(&db.store, campaign).await;
        assert_eq!(db.store.tally(campaign).await.unwrap().read, 60);
        assert_eq!(SendState::Read as i16, 6);
    }

    async fn an_occurrence_is_made_once_however_many_look_and_moves_its_parent_on(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let list = shop.list("all", 1..=5, NOW).await;
        let parent = shop.draft("weekly", &[list], &[], &shop.numbers).await;
        exec(&db.store, format!("UPDATE campaigns SET cron = '0 10 * * 1', timezone = 'UTC', start_at = {NOW}")).await;
        let moved = db.store.move_campaign(parent, CampaignEvent::Scheduled, None, None, NOW).await.unwrap();
        assert!(matches!(moved, Moved::To(CampaignState::Scheduled)));
        let occur = |store: Store, name: &'static str| {
            let shop = shop.clone();
            async move {
                let child = NewCampaign {
                    name, account_id: shop.account, template_id: Some(shop.template), template: "{}", params: "{}",
                    rate_cap: None, weight: 10, start_at: Some(NOW), lists: &[list], excluded_lists: &[], filter: None,
                    numbers: &shop.numbers, created_by: "test", terms: crate::Terms::default(), parent_id: Some(parent),
                };
                store.occur(parent, NOW, (NOW, Some(NOW + 7)), &child, NOW).await.unwrap()
            }
        };
        let other = db.second_handle().await;
        let (one, two) = tokio::join!(occur(db.store.clone(), "one"), occur(other, "two"));
        assert_eq!([one, two].iter().flatten().count(), 1, "{one:?} {two:?}");
        let child = db.store.campaign(one.or(two).unwrap()).await.unwrap().unwrap();
        assert_eq!((child.parent_id, child.occurrence, child.state().unwrap()), (Some(parent), Some(NOW), CampaignState::Scheduled));
        assert_eq!(db.store.campaign(parent).await.unwrap().unwrap().start_at, Some(NOW + 7));
        assert_eq!(db.store.campaign_list_ids(child.id).await.unwrap(), (vec![list], vec![]));
        assert_eq!(number_of(&db.store, "SELECT count(*) FROM campaigns").await, 2);
    }
}
