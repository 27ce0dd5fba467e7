use std::time::Duration;

use domain::campaign::CampaignEvent;
use domain::send::{Current, SendEvent, Status};
use store::testing::Database;
use store::{Happening, Priority, on_both_databases};

use super::*;
use crate::testing::running_campaign;

fn kept(as_of: i64, took: i64) -> KeptSums {
    KeptSums { as_of, took, stamp: "same".to_owned(), sums: "{}".to_owned() }
}

on_both_databases! {
    async fn a_campaign_is_counted_when_it_has_moved_and_no_oftener_than_it_can_afford(db: Database) {
        let (app, id) = running_campaign(db).await;
        let mut row = crate::campaigns::row(&app, id).await.unwrap();
        let now = app.clock.now_ms();
        assert!(needs_count(&row, None, "same", now));
        assert!(!needs_count(&row, Some(&kept(now, 1)), "moved", now), "a moment ago");
        assert!(needs_count(&row, Some(&kept(now - SOONEST, 1)), "moved", now));
        assert!(!needs_count(&row, Some(&kept(now - SOONEST, 10_000)), "moved", now), "it takes long");
        assert!(needs_count(&row, Some(&kept(now - 10_000 * RESTS, 10_000)), "moved", now));
        assert!(!needs_count(&row, Some(&kept(now - SOONEST, 1)), "same", now));
        assert!(needs_count(&row, Some(&kept(now - AGES, 1)), "same", now), "a reply does not show in the tallies");
        row.finished_at = Some(now - SETTLED - AGES - 2);
        assert!(!needs_count(&row, Some(&kept(now - AGES - 1, 1)), "same", now), "nobody answers after so long");
        assert!(needs_count(&row, Some(&kept(now - SOONEST, 1)), "moved", now));
    }

    async fn a_report_has_what_was_applied_and_is_kept(db: Database) {
        let (app, id) = running_campaign(db).await;
        let first = report(&app.app, id).await.unwrap();
        assert_eq!((first.funnel.planned, first.funnel.accepted), (20, 0));
        assert!(first.counted_at.is_some(), "a small campaign is counted before the answer");
        assert_eq!(first.cost.actual, []);
        let kept = app.store.kept_sums(id).await.unwrap().unwrap();
        report(&app.app, id).await.unwrap();
        assert_eq!(app.store.kept_sums(id).await.unwrap(), Some(kept), "from what is kept");
        let people: Vec<i64> =
            app.store.report_page(id, 0, 3).await.unwrap().iter().map(|row| row.contact_id).collect();
        let statuses: Vec<Happening> = people
            .iter()
            .map(|person| Happening {
                wamid: Some(format!("wamid.{person}")),
                billed: Some(domain::pricing::Billed { category: domain::pricing::BilledAs::Marketing, billable: true }.code()),
                ..Happening::new((id, *person), Some(0), SendEvent::Status(Status::Delivered, Current::Yes), app.clock.now_ms())
            })
            .collect();
        let claimed: Vec<Happening> = people
            .iter()
            .map(|person| Happening::new((id, *person), Some(0), SendEvent::Claimed, app.clock.now_ms()))
            .collect();
        app.store.apply(Priority::Urgent, &claimed).await.unwrap();
        app.store.apply(Priority::Urgent, &statuses).await.unwrap();
        app.clock.advance(Duration::from_secs(6));
        let after = report(&app.app, id).await.unwrap();
        assert_eq!((after.funnel.delivered, after.by_country.len()), (3, 1));
        assert_eq!(after.cost.rows.iter().map(|row| row.messages).sum::<i64>(), 3);
        assert_eq!(after.by_hour.iter().map(|hour| hour.delivered).sum::<i64>(), 3);
        app.store.move_campaign(id, CampaignEvent::Cancelled, None, None, app.clock.now_ms()).await.unwrap();
        let other = compare(&app.app, &[id.to_string()]).await.unwrap_err();
        assert!(other.detail.contains("two to 6"), "{other:?}");
        let twice = compare(&app.app, &[id.to_string(), id.to_string()]).await.unwrap_err();
        assert!(twice.detail.contains("twice"), "{twice:?}");
    }
}

#[test]
fn every_failure_is_said_in_words_with_what_to_do() {
    for code in ["131026", "131049", "131050", "132005", "131000", "132001", "131042", "999999", "settled-by-hand"] {
        let words = crate::refusals::explain(code);
        assert!(words.len() > 40 && words.ends_with('.'), "{code}: {words}");
    }
}
