//! Campaigns that start at a time, pause, go on and end.

use std::time::Duration;

use e2e::{Database, Pauses, Setup, World, now_us, story, until};
use serde_json::json;

/// What was claimed, and handed over, before a pause was known everywhere may still arrive: a claim is valid for a
/// quarter of a second, and a busy machine reads a socket late.
const STILL_ARRIVING: i64 = 1_000_000;

#[tokio::test]
async fn a_campaign_starts_at_its_time_and_not_before() {
    story(Duration::from_secs(300), async {
        let (world, _serve) = World::with_serve(Setup::on(Database::Sqlite)).await;
        world.import("spring", 0..100).await;
        let at_s = now_us() / 1_000_000 + 12;
        let campaign = world.launch("spring", "spring", &["--at", &rfc3339(at_s)]).await;
        let shown = world.hudhud(&["campaign", "show", "spring"]).await.ok();
        assert_eq!(shown["state"], "scheduled", "{shown}");
        let left = u64::try_from(at_s * 1_000_000 - now_us()).expect("its time is to come");
        tokio::time::sleep(Duration::from_micros(left)).await;
        let pauses = Pauses::from_now();
        world.taken_in(1).await;
        let machine_lost = i64::try_from(pauses.lost().as_micros()).expect("seconds");
        world.settle(&campaign).await;
        let rows = world.simulator.ledger().await;
        let first = rows.first().expect("it was sent").at_us;
        assert!(first >= at_s * 1_000_000, "{} ms too early", (at_s * 1_000_000 - first) / 1000);
        let late = first - at_s * 1_000_000;
        let (late_ms, lost_ms) = (late / 1000, machine_lost / 1000);
        assert!(late <= 3_000_000 + machine_lost, "{late_ms} ms late, in {lost_ms} of which nothing ran");
    })
    .await;
}

#[tokio::test]
async fn pause_stops_resume_goes_on_and_cancel_ends_and_the_counts_always_sum_to_the_total() {
    story(Duration::from_secs(300), async {
        let (world, _serve) = World::with_serve(Setup::on(Database::Sqlite).at(50)).await;
        world.import("spring", 0..600).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(50).await;

        let _ = world.hudhud(&["campaign", "pause", "spring"]).await.ok();
        let paused = now_us();
        tokio::time::sleep(Duration::from_secs(3)).await;
        nothing_since(&world, paused + STILL_ARRIVING).await;
        let shown = world.hudhud(&["campaign", "show", "spring"]).await.ok();
        assert_eq!(shown["state"], "paused");
        assert_eq!(shown["counts"]["submitting"], 0, "{shown}");
        sums(&shown);

        let before = world.simulator.taken_in().await;
        let _ = world.hudhud(&["campaign", "resume", "spring"]).await.ok();
        world.taken_in(before + 50).await;

        let _ = world.hudhud(&["campaign", "cancel", "spring"]).await.ok();
        let cancelled = now_us();
        tokio::time::sleep(Duration::from_secs(3)).await;
        nothing_since(&world, cancelled + STILL_ARRIVING).await;
        let shown = world.settle(&campaign).await;
        assert_eq!(shown["state"], "cancelled");
        let gone = world.simulator.taken_in().await;
        assert_eq!(shown["counts"]["skipped"].as_u64(), Some(600 - gone), "{shown}");
        for verb in ["pause", "resume", "launch"] {
            let _ = world.hudhud(&["campaign", verb, "spring"]).await.coded(7);
        }
        let _ = world.hudhud(&["campaign", "wait", "spring", "--timeout", "5"]).await.ok();
    })
    .await;
}

#[tokio::test]
async fn pause_all_stops_every_number_and_webhooks_go_on() {
    story(Duration::from_secs(300), async {
        let (world, _serve) = World::with_serve(Setup::on(Database::Sqlite).at(50)).await;
        world.import("spring", 0..300).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(40).await;
        let _ = world.hudhud(&["pause-all", "--reason", "a wrong price"]).await.ok();
        let paused = now_us();
        tokio::time::sleep(Duration::from_secs(3)).await;
        nothing_since(&world, paused + STILL_ARRIVING).await;
        until("the statuses of what had gone", Duration::from_secs(60), async || {
            let counts = world.shown(&campaign).await?["counts"].clone();
            (counts["accepted"] == 0 && counts["sent"] == 0).then_some(())
        })
        .await;
        let _ = world.hudhud(&["resume-all"]).await.ok();
        world.settle(&campaign).await;
    })
    .await;
}

async fn nothing_since(world: &World, at_us: i64) {
    let late: Vec<_> = world.simulator.ledger().await.into_iter().filter(|row| row.at_us > at_us).collect();
    assert!(
        late.is_empty(),
        "{} messages arrived after it, the last {} ms late",
        late.len(),
        late.last().map_or(0, |row| row.at_us - at_us) / 1000
    );
}

fn sums(shown: &serde_json::Value) {
    let sum: u64 = shown["counts"].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum();
    assert_eq!(json!(sum), shown["total"], "{shown}");
}

/// A time in UTC as RFC 3339, from seconds since 1970.
fn rfc3339(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Counting from 0000-03-01, so that a leap day is a year's last (Howard Hinnant's days_from_civil, backwards).
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[test]
fn times_are_written_as_the_calendar_has_them() {
    assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
    assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
    assert_eq!(rfc3339(1_795_309_200), "2026-11-22T01:00:00Z");
}
