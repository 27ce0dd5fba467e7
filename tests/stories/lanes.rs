//! Two worker processes and two business numbers on one PostgreSQL and one Redis.

use std::time::Duration;

use e2e::{Database, NUMBERS, Setup, World, now_us, story};

const RATE: u32 = 50;
const TAKEN_OVER_WITHIN: i64 = 10_000_000;

#[tokio::test]
async fn a_killed_workers_lane_is_taken_by_the_other_within_ten_seconds_and_each_number_keeps_its_rate() {
    story(Duration::from_secs(150), async {
        let world = World::new(Setup::on(Database::Postgres).with_private_redis().at(RATE)).await;
        let mut main = world.serve_unready("main", &["api", "scheduler"]);
        let mut one = world.serve_unready("one", &["worker"]);
        let mut two = world.serve_unready("two", &["worker"]);
        main.ready().await;
        one.ready().await;
        two.ready().await;
        world.open_account().await;
        world.import("spring", 0..2_000).await;
        let numbers = ["--number", NUMBERS[0], "--number", NUMBERS[1]];
        let campaign = world.launch("spring", "spring", &numbers).await;
        world.taken_in(400).await;
        let killed = now_us();
        one.kill();
        // Its journal died with its host, as it were: what it had claimed and not sent is in doubt for the other.
        let doubts = world.settle_by_hand(&campaign, 30).await;
        eprintln!("{doubts} were in doubt");

        let rows = world.simulator.ledger().await;
        let mut longest = 0;
        for number in &NUMBERS[..2] {
            let arrivals: Vec<i64> =
                rows.iter().filter(|row| row.phone_number_id == *number).map(|row| row.at_us).collect();
            assert!(arrivals.len() > 600, "{} messages from {number}: the audience is split", arrivals.len());
            assert!(
                arrivals.last().is_some_and(|last| *last > killed),
                "{number} had nothing left when the worker died"
            );
            let gaps = arrivals.windows(2).filter(|pair| pair[1] > killed).map(|pair| pair[1] - pair[0]);
            let silent = gaps.max().unwrap_or(0);
            assert!(silent <= TAKEN_OVER_WITHIN, "{number} was silent for {} ms", silent / 1000);
            longest = longest.max(silent);
        }
        assert!(longest > 500_000, "the killed worker owned no lane: there was nothing to take over");
        eprintln!("taken over in {} ms", longest / 1000);
        two.expect_running();
        let queue = world.hudhud(&["queue"]).await.ok();
        assert_eq!(queue.as_array().map(Vec::len), Some(NUMBERS.len()), "{queue}");
    })
    .await;
}
