use store::testing::{Database, on_both_databases};

use super::*;
use crate::testing::{NOW, TestApp, app};

const DAY: u64 = 86_400;

#[test]
fn an_age_is_read_as_people_write_it() {
    for (text, seconds) in [("90", 90), ("90s", 90), ("15m", 900), (" 2h ", 7_200), ("3d", 3 * DAY), ("0", 0)] {
        assert_eq!(parse_age(text).unwrap(), Duration::from_secs(seconds), "{text}");
    }
    for wrong in ["", "h", "2w", "-1", "1.5h", "2hh", "2 h", "99999999999999999999", "9999999999999999999d"] {
        assert!(parse_age(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_cursor_reads_back_and_nothing_else_is_one() {
    let cursor = Cursor((NOW, 12, 9_981));
    assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
    for wrong in ["", "12.9981", "1.2.3.4", "a.b.c", "1.2."] {
        assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
    }
}

/// Sends in doubt, made by hand: `n` of a campaign, the first claimed `n` minutes ago, the last a minute ago.
async fn in_doubt(app: &TestApp, name: &str, n: i64) -> i64 {
    store::testing::in_doubt(&app.store, name, n, |place| NOW - (n - place) * 60_000).await
}

fn which(campaign: Option<&str>, older_than: Option<u64>) -> Which {
    let older_than = older_than.map(|minutes| Duration::from_secs(minutes * 60));
    Which { campaign: campaign.map(str::to_owned), number: None, older_than }
}

on_both_databases! {
    async fn doubts_are_settled_by_campaign_and_age_and_each_is_in_the_ledger(db: Database) {
        let app = app(db).await;
        in_doubt(&app, "spring", 30).await;
        in_doubt(&app, "autumn", 7).await;
        let (actor, wrong) = (Actor::cli("amr"), which(Some("winter"), None));
        let settle = async |which: &Which, verdict, reason: &str| {
            settle_all(&app.app, &actor, which, verdict, reason, false).await
        };
        assert_eq!(settle(&wrong, Verdict::Sent, "seen").await.unwrap_err().kind, crate::FaultKind::NotFound);
        assert_eq!(settle(&which(None, None), Verdict::Sent, " ").await.unwrap_err().kind, crate::FaultKind::Invalid);
        assert_eq!(settle(&which(Some("spring"), Some(20)), Verdict::NotSent, "the log says so").await.unwrap(), 11);
        assert_eq!(count(&app).await.unwrap(), 26);
        assert_eq!(settle(&which(None, None), Verdict::Sent, "asked them").await.unwrap(), 26);
        assert_eq!(settle(&which(None, None), Verdict::Sent, "asked them").await.unwrap(), 0);
        let entries = app.store.unsealed(99).await.unwrap();
        assert_eq!(entries.len(), 37);
        let not_sent: Vec<_> = entries.iter().filter(|entry| entry.detail.contains("not-sent")).collect();
        assert_eq!(not_sent.len(), 11);
        assert!(entries.iter().all(|entry| entry.kind == "settled" && entry.actor == "cli:amr" && entry.contact_id.is_some()));
        assert!(not_sent[0].detail.contains("the log says so") && not_sent[0].detail.contains("claimed_by"), "{}", not_sent[0].detail);
        assert_eq!(evidence::commitment(&entries[0].salt, &entries[0].detail), entries[0].commitment);
    }

    async fn many_doubts_are_not_settled_by_a_slip(db: Database) {
        let app = app(db).await;
        let campaign = in_doubt(&app, "spring", 600).await;
        let (actor, all) = (Actor::cli("amr"), which(None, None));
        let fault = settle_all(&app.app, &actor, &all, Verdict::NotSent, "lost", false).await.unwrap_err();
        assert!(fault.kind == crate::FaultKind::Invalid && fault.detail.contains("600"), "{fault}");
        assert_eq!(count(&app).await.unwrap(), 600);
        assert_eq!(settle_all(&app.app, &actor, &all, Verdict::NotSent, "lost", true).await.unwrap(), 600);
        assert_eq!(app.store.unsealed(999).await.unwrap().len(), 600);
        let tally = app.store.tally(campaign).await.unwrap();
        assert_eq!((tally.in_doubt, tally.failed), (0, 600));
        assert_eq!(tally, app.store.count_anew(campaign).await.unwrap());
    }

    async fn a_webhook_that_comes_after_the_person_is_believed_and_both_are_on_record(db: Database) {
        let app = app(db).await;
        let campaign = in_doubt(&app, "spring", 2).await;
        let actor = Actor::cli("amr");
        let ids: Vec<String> = ls(&app, &Which::default(), None, 9).await.unwrap().into_iter().map(|view| view.id).collect();
        for id in &ids {
            settle(&app.app, &actor, id, Verdict::NotSent, "not in the log").await.unwrap();
        }
        let late = settle(&app.app, &actor, &ids[0], Verdict::Sent, "it was").await.unwrap_err();
        assert_eq!(late.kind, crate::FaultKind::WrongState);
        let contact: i64 = ids[0].split_once('.').unwrap().1.parse().unwrap();
        let event = SendEvent::Status(Status::Sent, domain::send::Current::Yes);
        let mut sent = Happening::new((campaign, contact), Some(1), event, NOW + 5_000);
        sent.wamid = Some("wamid.1".to_owned());
        for _ in 0..2 {
            apply(&app, Priority::Urgent, std::slice::from_ref(&sent)).await.unwrap();
        }
        let tally = app.store.tally(campaign).await.unwrap();
        assert_eq!((tally.sent, tally.failed), (1, 1));
        let entries = app.store.unsealed(9).await.unwrap();
        let kinds: Vec<_> = entries.iter().map(|entry| (entry.kind.as_str(), entry.actor.as_str())).collect();
        assert_eq!(kinds, [("settled", "cli:amr"), ("settled", "cli:amr"), ("settling-overruled", "system")]);
        assert!(entries[2].contact_id == Some(contact) && entries[2].detail.contains("wamid.1"), "{:?}", entries[2]);
        assert!(!entries[2].detail.contains("1555"), "the person's number is in {}", entries[2].detail);
    }

    async fn a_page_begins_where_the_last_one_ended(db: Database) {
        let app = app(db).await;
        in_doubt(&app, "spring", 5).await;
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = ls(&app, &Which::default(), after, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.cursor());
            seen.extend(page.into_iter().map(|view| view.since.unwrap()));
        }
        assert_eq!(seen.len(), 5);
        assert!(seen.is_sorted(), "{seen:?}");
    }
}
