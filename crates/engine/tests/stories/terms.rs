//! When a campaign's messages may leave: spread over a length of time, not at night, not after the offer's end. Also where
//! an outage or a machine that was off lies in between.

use std::sync::Arc;
use std::time::Duration;

use crate::world::{PARAMS, World};
use domain::schedule::{Blackout, Calendar, QuietHours, Tz, Whereabouts};
use engine::campaigns::{self, BlackoutDays, BlackoutWait, Gaps, LaunchOrder, NewCampaign};
use engine::house::{self, RulesChange};
use engine::views::iso;
use engine::{Actor, App, Clock};
use simulator::Outage;
use store::testing::Database;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// Where the people of these stories live, by their numbers.
const CAIRO: Tz = Tz::Africa__Cairo;

/// An app of the same data directory and database, on a clock whose wall can be set.
async fn stepped(world: &World) -> (Arc<App>, Clock) {
    let clock = Clock::steppable();
    let dir = world.dir.path().to_owned();
    (crate::world::open_with(&world.db, &world.simulator, &world.redis.url, dir, clock.clone()).await, clock)
}

/// Quiet hours of so many minutes for people in Cairo that satisfy a wish.
fn quiet(minutes: u16, wish: impl Fn(QuietHours) -> bool) -> QuietHours {
    let all = (0..1_440).filter_map(|from| QuietHours::from_minutes(from, (from + minutes) % 1_440));
    all.into_iter().find(|hours| wish(*hours)).expect("some hours are as wished")
}

async fn launched(world: &World, app: &Arc<App>, new: NewCampaign) -> i64 {
    let id = world.create(new).await;
    let order = LaunchOrder { yes: true, ..LaunchOrder::default() };
    campaigns::launch(app, &Actor::system(), id, &order).await.expect("a launch");
    id
}

fn accepted(world: &World) -> u64 {
    world.simulator.report().accepted
}

store::on_both_databases! {
    async fn people_are_written_to_in_their_morning_and_a_sentence_says_so_until_then(db: Database) {
        let world = World::new(db).await;
        world.rate(200, 0).await;
        let (app, clock) = stepped(&world).await;
        let now = clock.now_ms();
        world.people("all", 60, |_| true).await;
        let hours = quiet(180, |hours| hours.closed_until(now, CAIRO).is_some_and(|until| until - now > 2 * HOUR));
        let morning = hours.closed_until(now, CAIRO).expect("it is quiet");
        let new = NewCampaign { quiet_hours: Some(hours.to_string()), ..world.draft("eid", "all", PARAMS) };
        let (scheduler, worker) = (world.scheduler(&app), world.worker(&app));
        let id = launched(&world, &app, new).await;
        let checked = campaigns::preflight(&app, id).await.unwrap();
        let finish = domain::schedule::parse_at(&checked.estimated_finish.expect("a finish")).unwrap();
        assert!((morning..morning + MINUTE).contains(&finish), "{finish} for a morning at {morning}");
        let view = world.until(id, |view| view.reason.is_some()).await;
        let told = view.reason.expect("a reason");
        assert!(told.starts_with("waiting for ") && told.ends_with(" in Cairo: 60 people"), "{told}");
        assert!(view.quiet_hours.is_some_and(|quiet| quiet.rule.contains("`timezone`")));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(accepted(&world), 0, "at night");
        clock.step_wall(morning - now);
        let view = world.settle(id).await;
        assert_eq!((view.counts.accepted, view.reason), (60, None));
        worker.stop().await;
        scheduler.stop().await;
    }

    async fn a_feast_is_waited_through_the_preflight_counts_who_waits_and_a_sentence_says_so(db: Database) {
        let world = World::new(db).await;
        world.rate(200, 0).await;
        let (app, clock) = stepped(&world).await;
        let now = clock.now_ms();
        world.people("all", 40, |_| true).await;
        // Today and tomorrow in Cairo; the offer of another campaign ends before that is over.
        let day = |after: i64| domain::schedule::wall_clock_words(now + after, CAIRO)[..10].to_owned();
        let dates = format!("{}..{}", day(0), day(24 * HOUR));
        let calendar =
            Calendar { quiet: None, blackouts: vec![Blackout::new(&dates, Some("EG"), Some("Eid al-Adha")).unwrap()] };
        let egypt = Whereabouts { zone: CAIRO, country: "EG".parse().ok() };
        let until = calendar.closed(now, egypt).expect("it is a blackout day").until;
        let days = |country: Option<&str>| BlackoutDays {
            dates: dates.clone(),
            name: Some("Eid al-Adha".to_owned()),
            country: country.map(str::to_owned),
        };
        let change = RulesChange { blackouts: Some(vec![days(Some("EG"))]), ..RulesChange::default() };
        let rules = house::set_rules(&app, &Actor::system(), &change).await.unwrap();
        assert_eq!(rules.blackouts, [days(Some("EG"))]);
        let draft = world.create(NewCampaign { stop_at: Some(iso(now + HOUR)), ..world.draft("early", "all", PARAMS) }).await;
        let blockers = campaigns::preflight(&app, draft).await.unwrap().blockers;
        assert!(blockers.iter().any(|words| words.contains("before anybody can be written to")), "{blockers:?}");

        let (scheduler, worker) = (world.scheduler(&app), world.worker(&app));
        let id = launched(&world, &app, world.draft("eid", "all", PARAMS)).await;
        let checked = campaigns::preflight(&app, id).await.unwrap();
        let finish = domain::schedule::parse_at(&checked.estimated_finish.expect("a finish")).unwrap();
        assert!((until..until + MINUTE).contains(&finish), "{finish} for the end of a feast at {until}");
        assert_eq!(checked.waits, [BlackoutWait { days: days(Some("EG")), people: 40, until: iso(until) }]);
        let view = world.until(id, |view| view.reason.is_some()).await;
        let told = view.reason.expect("a reason");
        assert!(told.starts_with("waiting for ") && told.ends_with(" in Cairo after Eid al-Adha: 40 people"), "{told}");
        assert_eq!(accepted(&world), 0, "on the feast");
        // Taken away, and made again, now for this campaign's copy alone.
        let none = RulesChange { blackouts: Some(Vec::new()), ..RulesChange::default() };
        house::set_rules(&app, &Actor::system(), &none).await.unwrap();
        assert_eq!(world.settle(id).await.counts.accepted, 40);
        let own = launched(&world, &app, NewCampaign { blackouts: vec![days(None)], ..world.draft("own", "all", PARAMS) }).await;
        let view = world.until(own, |view| view.reason.is_some()).await;
        assert_eq!(view.blackouts, [days(None)]);
        clock.step_wall(until - clock.now_ms());
        let view = world.settle(own).await;
        assert_eq!((view.counts.accepted, view.reason), (40, None));
        worker.stop().await;
        scheduler.stop().await;
    }

    async fn an_outage_that_ends_at_night_sends_nothing_and_one_that_outlasts_the_offer_never_does(db: Database) {
        let world = World::new(db).await;
        world.rate(100, 0).await;
        let (app, clock) = stepped(&world).await;
        let now = clock.now_ms();
        world.people("all", 300, |_| true).await;
        // The night begins in an hour or a little more.
        let hours = quiet(600, |hours| {
            hours.closed_until(now, CAIRO).is_none() && hours.next_change(now, CAIRO).is_some_and(|at| at - now > HOUR)
        });
        let night = hours.next_change(now, CAIRO).expect("it comes");
        let morning = hours.closed_until(night, CAIRO).expect("it is quiet then");
        let stop_at = morning + 2 * HOUR;
        let terms = |name: &str| NewCampaign {
            quiet_hours: Some(hours.to_string()),
            stop_at: Some(iso(stop_at)),
            ..world.draft(name, "all", PARAMS)
        };
        let (scheduler, worker) = (world.scheduler(&app), world.worker(&app));
        let id = launched(&world, &app, terms("eid")).await;
        world.until(id, |view| view.counts.accepted > 30).await;
        world.simulator.update(|settings| settings.outage = Outage::Refused).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        // It is over in the middle of the night.
        clock.step_wall(night + HOUR - now);
        world.simulator.update(|settings| settings.outage = Outage::None).unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = accepted(&world);
        let view = world.until(id, |view| view.reason.is_some()).await;
        assert!(view.reason.as_deref().is_some_and(|told| told.contains(" in Cairo: ")), "{view:?}");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(accepted(&world), before, "nothing leaves at night");
        // It comes again in the morning, and goes on until the offer has ended.
        clock.step_wall(morning - (night + HOUR));
        world.until(id, |view| view.counts.accepted > i64::try_from(before).unwrap() + 20).await;
        world.simulator.update(|settings| settings.outage = Outage::Refused).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        clock.step_wall(2 * HOUR);
        world.simulator.update(|settings| settings.outage = Outage::None).unwrap();
        let view = world.until(id, |view| view.counts.planned + view.counts.queued + view.counts.submitting == 0).await;
        let left_over = view.skipped_by_reason.get("offer-ended").copied().unwrap_or(0);
        assert!(left_over > 100, "{view:?}");
        let counts = &view.counts;
        assert_eq!((counts.failed, counts.accepted + counts.in_doubt + left_over), (0, 300), "{view:?}");
        if counts.in_doubt == 0 {
            let view = world.settle(id).await;
            assert!(view.reason.is_some_and(|told| told.contains("the offer ended at")), "it says so");
        }
        assert_eq!(world.simulator.report().duplicates, 0);
        worker.stop().await;
        scheduler.stop().await;
    }

    async fn human_gaps_keep_a_campaigns_cap_and_its_forecast(db: Database) {
        let world = World::new(db).await;
        world.rate(200, 0).await;
        let app = Arc::clone(&world.app);
        world.people("all", 300, |_| true).await;
        let none = NewCampaign { gaps: Gaps::Human, ..world.draft("no pace", "all", PARAMS) };
        let refused = campaigns::create(&app, &Actor::system(), &none).await.expect_err("it has no pace of its own");
        assert!(refused.detail.contains("a pace of its own"), "{}", refused.detail);
        let (scheduler, worker) = (world.scheduler(&app), world.worker(&app));
        let new = NewCampaign { gaps: Gaps::Human, rate: Some(20), ..world.draft("human", "all", PARAMS) };
        let id = world.create(new).await;
        let began = app.clock.now_ms();
        let checked = campaigns::preflight(&app, id).await.unwrap();
        let finish = domain::schedule::parse_at(&checked.estimated_finish.expect("a finish")).unwrap();
        // Reckoned at a moment of the check, however long that took.
        let foretold = (finish - app.clock.now_ms(), finish - began);
        assert!(foretold.0 < 15_600 && foretold.1 > 15_000, "300 people at 20 a second, and a little: {foretold:?}");
        // Beside one whose gaps are even: a machine that stalls makes both of them late.
        let even = world.create(NewCampaign { rate: Some(20), ..world.draft("even", "all", PARAMS) }).await;
        let order = LaunchOrder { yes: true, ..LaunchOrder::default() };
        for id in [id, even] {
            campaigns::launch(&app, &Actor::system(), id, &order).await.unwrap();
        }
        let view = world.settle(id).await;
        assert_eq!((view.counts.accepted, view.gaps), (300, Gaps::Human));
        assert_eq!(world.settle(even).await.gaps, Gaps::Even);
        let mut took = Vec::new();
        for id in [id, even] {
            let row = app.store.campaign(id).await.unwrap().unwrap();
            took.push(row.finished_at.unwrap() - row.started_at.unwrap());
        }
        let [human, even] = took[..] else { panic!("two campaigns") };
        assert!(human > 14_000, "no faster than its cap: {human} ms");
        // Where the machine stood still, it was not the gaps that took the time.
        if even < 16_500 {
            assert!(human < 18_000, "{human} ms, and evenly {even} ms; {foretold:?} were foretold");
        }
        worker.stop().await;
        scheduler.stop().await;
    }

    async fn a_spread_campaign_leaves_evenly_over_its_time_through_a_restart(db: Database) {
        let world = World::new(db).await;
        world.rate(200, 0).await;
        world.people("all", 24, |_| true).await;
        let scheduler = world.scheduler(&world.app);
        let worker = world.worker(&world.app);
        let began = world.app.clock.boot_us();
        // Two a second.
        let new = NewCampaign { spread: Some("12s".into()), ..world.draft("eid", "all", PARAMS) };
        let id = launched(&world, &world.app, new).await;
        let view = world.until(id, |view| view.counts.accepted >= 6).await;
        assert_eq!(view.spread.and_then(|spread| spread.per_second), Some(2.0));
        worker.stop().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let worker = world.worker(&world.app);
        world.settle(id).await;
        let took = Duration::from_micros(world.app.clock.boot_us() - began);
        assert!(took >= Duration::from_secs(11), "{took:?}");
        let most = world.simulator.report().max_in_sliding_second.into_values().max();
        assert!(most.is_some_and(|most| most <= 3), "{most:?} in a second, of two a second");
        worker.stop().await;
        scheduler.stop().await;
    }

    async fn a_start_that_was_missed_by_too_long_is_called_off_and_says_so(db: Database) {
        let world = World::new(db).await;
        world.rate(200, 0).await;
        let (app, clock) = stepped(&world).await;
        world.people("all", 20, |_| true).await;
        let at = Some(iso(clock.now_ms() + HOUR));
        let strict = NewCampaign { at: at.clone(), latest_start: Some("30m".into()), ..world.draft("strict", "all", PARAMS) };
        let patient = NewCampaign { at, latest_start: Some("3h".into()), ..world.draft("patient", "all", PARAMS) };
        let (strict, patient) = (launched(&world, &app, strict).await, launched(&world, &app, patient).await);
        assert_eq!(world.view(strict).await.state, "scheduled");
        // Nothing ran while their time came.
        clock.step_wall(2 * HOUR);
        let (scheduler, worker) = (world.scheduler(&app), world.worker(&app));
        let view = world.until(strict, |view| view.state == "cancelled").await;
        let told = view.reason.expect("it says why");
        assert!(told.starts_with("it did not start") && told.contains("within 30m"), "{told}");
        assert_eq!(world.settle(patient).await.counts.accepted, 20);
        assert_eq!(accepted(&world), 20);
        worker.stop().await;
        scheduler.stop().await;
    }

    async fn a_campaigns_rate_is_changed_while_it_runs(db: Database) {
        let mut world = World::new(db).await;
        world.rate(200, 0).await;
        world.people("all", 200, |_| true).await;
        world.start();
        let id = world.capped_campaign("eid", "all", PARAMS, Some(1)).await;
        world.launch(id).await;
        world.until(id, |view| view.counts.accepted >= 2).await;
        let began = world.app.clock.boot_us();
        campaigns::set_rate(&world.app, &Actor::system(), id, Some(100)).await.unwrap();
        let view = world.settle(id).await;
        let took = Duration::from_micros(world.app.clock.boot_us() - began);
        assert!(took < Duration::from_secs(100), "two hundred at one a second would take two hundred: {took:?}");
        assert_eq!((view.counts.accepted, view.rate), (200, Some(100)));
        let refused = campaigns::set_rate(&world.app, &Actor::system(), id, None).await.unwrap_err();
        assert_eq!(refused.kind, engine::FaultKind::WrongState);
        world.stop().await;
    }

    async fn the_failed_are_tried_again_in_a_child_and_a_copy_is_a_draft_of_its_own(db: Database) {
        let mut world = World::new(db).await;
        world.rate(200, 0).await;
        world.people("all", 30, |_| true).await;
        let campaign = world.campaign("eid", "all", PARAMS).await;
        let nothing = campaigns::retry_failed(&world.app, &Actor::system(), campaign, None).await.unwrap_err();
        assert_eq!(nothing.kind, engine::FaultKind::WrongState);
        world.launch(campaign).await;
        world.start();
        world.settle(campaign).await;
        // Five of them failed for good, and one was skipped, as statuses tell.
        world.app.store.tamper("UPDATE sends SET state = 7, code = 131026 WHERE contact_id <= 5").await;
        world.app.store.tamper("UPDATE sends SET state = 8, reason = 'opted-out' WHERE contact_id = 6").await;
        world.app.store.heal_tallies(campaign).await.unwrap();
        let child = campaigns::retry_failed(&world.app, &Actor::system(), campaign, None).await.unwrap();
        assert_eq!((child.name.as_str(), child.parent_id, child.state.as_str()), ("eid (retry)", Some(campaign), "draft"));
        assert_eq!(campaigns::preflight(&world.app, child.id).await.unwrap().eligible, 5);
        world.launch(child.id).await;
        let view = world.until(child.id, |view| view.state == "finished").await;
        assert_eq!((view.total, view.counts.accepted), (5, 5), "{view:?}");
        let again = campaigns::retry_failed(&world.app, &Actor::system(), campaign, None).await.unwrap();
        assert_eq!(again.name, "eid (retry 2)");
        // Two of them failed for another reason: each reason has a child of its own, and one that nobody has has none.
        world.app.store.tamper("UPDATE sends SET code = 130472 WHERE contact_id <= 2").await;
        world.app.store.heal_tallies(campaign).await.unwrap();
        for (code, people) in [("130472", 2), ("131026", 3)] {
            let child = campaigns::retry_failed(&world.app, &Actor::system(), campaign, Some(code)).await.unwrap();
            assert_eq!(campaigns::preflight(&world.app, child.id).await.unwrap().eligible, people, "{code}");
        }
        let nobody = campaigns::retry_failed(&world.app, &Actor::system(), campaign, Some("131049")).await.unwrap_err();
        assert_eq!(nobody.kind, engine::FaultKind::WrongState);

        let order = campaigns::CloneOrder { name: "eid again".into() };
        let copy = campaigns::clone(&world.app, &Actor::system(), campaign, &order).await.unwrap();
        assert_eq!((copy.state.as_str(), copy.parent_id, copy.lists), ("draft", None, vec!["all".to_owned()]));
        assert_eq!((copy.template.as_str(), copy.numbers.len(), copy.weight), ("eid_offer", 1, 10));
        let twice = campaigns::clone(&world.app, &Actor::system(), campaign, &order).await.unwrap_err();
        assert_eq!(twice.kind, engine::FaultKind::Conflict);
        world.stop().await;
    }

    async fn each_run_of_a_recurring_campaign_is_a_campaign_of_its_own_and_a_strange_audience_waits(db: Database) {
        let world = World::new(db).await;
        world.rate(200, 0).await;
        let (app, clock) = stepped(&world).await;
        world.people("all", 10, |_| true).await;
        let new = NewCampaign {
            cron: Some("0 * * * *".into()),
            timezone: Some("Africa/Cairo".into()),
            audience_guard: Some(50),
            ..world.draft("hourly", "all", PARAMS)
        };
        let parent = launched(&world, &app, new).await;
        let view = world.view(parent).await;
        assert_eq!((view.state.as_str(), view.next_runs.len()), ("scheduled", 5));
        assert!(view.next_runs[0].words.ends_with(":00 in Cairo"), "{view:?}");
        let children = async || {
            let all = campaigns::ls(&world.app, None, 50).await.unwrap();
            all.into_iter().filter(|view| view.parent_id == Some(parent)).collect::<Vec<_>>()
        };
        // Two schedulers, of which one leads; the machine was off for three hours before.
        clock.step_wall(3 * HOUR + MINUTE);
        let schedulers = [world.scheduler(&app), world.scheduler(&app)];
        let worker = world.worker(&app);
        world.until(parent, |_| world.simulator.report().accepted >= 10).await;
        assert_eq!(children().await.len(), 1, "what was missed is not made up for");
        // The next hour finds three times as many people.
        world.people("all", 30, |_| true).await;
        clock.step_wall(HOUR);
        let paused = async {
            loop {
                if let Some(view) = children().await.into_iter().find(|view| view.state == "paused") {
                    return view;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let second = tokio::time::timeout(Duration::from_secs(30), paused).await.expect("it is held");
        assert!(second.reason.as_deref().is_some_and(|told| told.contains("30 people, and the last one was 10")), "{second:?}");
        assert_eq!(accepted(&world), 10);
        world.resume(second.id).await;
        world.settle(second.id).await;
        // Each run has a time of its own.
        let times: std::collections::BTreeSet<_> = children().await.into_iter().map(|view| view.occurrence).collect();
        assert_eq!((times.len(), children().await.len()), (2, 2));
        campaigns::cancel(&app, &Actor::system(), parent).await.unwrap();
        clock.step_wall(5 * HOUR);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(children().await.len(), 2, "a cancelled campaign recurs no more");
        worker.stop().await;
        for scheduler in schedulers {
            scheduler.stop().await;
        }
    }
}
