//! SIGKILL again and again: 200 times over a campaign of 100,000 people when told at length.

use std::time::{Duration, Instant};

use e2e::{Campaign, Database, Queue, Serve, Setup, World, at_length, story};

use crate::on_both_databases;

/// From being ready to the first message.
const SENDS_AGAIN_WITHIN: Duration = Duration::from_secs(2);
/// The same where somebody waits for a processor for more than half of the time: what the process does after its start
/// takes its turn there.
const SENDS_AGAIN_WITHIN_IF_BUSY: Duration = Duration::from_secs(10);
const BUSY: f64 = 0.5;
/// Between the journal's line and the socket lie microseconds, in which each thread of a killed process can have one
/// message: noted as on its way, and never gone. What was gone and unanswered, webhooks settle.
const ON_ITS_WAY: usize = 4;

on_both_databases! {
    /// Nobody twice, nobody missing, and it sends again at once, however often it is killed and whatever it was doing.
    async fn kills_at_random_moments_neither_double_nor_lose_anybody(database) within 2_400; {
        let (people, rate, kills) = at_length((600, 300, 2), (100_000, 400, 200));
        let (world, mut serve) = World::with_serve(Setup::on(database).at(rate)).await;
        world.import("spring", 0..people).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(50).await;
        let mut figures = Figures::default();
        let mut done = 0;
        while done < kills {
            // As far apart as lets all of them fall into the campaign.
            let apart = f64::from(people) / f64::from(rate) / f64::from(kills + 1);
            tokio::time::sleep(Duration::from_secs_f64(apart * rand::random_range(0.1..1.5))).await;
            if world.simulator.taken_in().await + u64::from(rate / 2) >= u64::from(people) {
                break;
            }
            serve.kill();
            done += 1;
            serve = figures.restarted(&world, &campaign).await;
        }
        assert!(done * 2 >= kills, "only {done} kills fell into the campaign");
        let doubts = world.settle_by_hand(&campaign, ON_ITS_WAY * done as usize).await;
        eprintln!("{done} kills over {people} people at {rate} a second: {figures:?}, {doubts} for a person to settle");
        drop(serve);
    }
}

/// What the kills cost.
#[derive(Debug, Default)]
struct Figures {
    /// The longest from being ready to the first message.
    longest_silence: Duration,
    /// The longest from the start of the process to the first message.
    longest_restart: Duration,
    /// The most that one kill put in doubt, before any webhook could tell.
    most_doubted: u64,
}

impl Figures {
    /// Starts `main` again, and looks how soon it sends and what the kill left in doubt.
    async fn restarted(&mut self, world: &World, campaign: &Campaign) -> Serve {
        // What the kernel had already may still arrive.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let before = world.simulator.taken_in().await;
        let started = Instant::now();
        let mut serve = world.serve_unready("main", &[]);
        let ready = serve.ready().await;
        let deadline = ready + Duration::from_secs(15);
        while world.simulator.taken_in().await <= before {
            assert!(Instant::now() < deadline, "nothing is sent after the restart: {:?}", world.shown(campaign).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.longest_silence = self.longest_silence.max(ready.elapsed());
        self.longest_restart = self.longest_restart.max(started.elapsed());
        let bound = if world.processors_wanted() > BUSY { SENDS_AGAIN_WITHIN_IF_BUSY } else { SENDS_AGAIN_WITHIN };
        assert!(ready.elapsed() <= bound, "it sent again only {:?} after it was ready", ready.elapsed());
        let shown = world.shown(campaign).await.expect("it is ready");
        self.most_doubted = self.most_doubted.max(shown["counts"]["in_doubt"].as_u64().expect("a count"));
        serve
    }
}

/// Which part of Hudhud is killed.
const PARTS: [(&str, &[&str]); 4] =
    [("main", &["api"]), ("scheduler", &["scheduler"]), ("worker-1", &["worker"]), ("worker-2", &["worker"])];

#[tokio::test]
async fn each_role_killed_by_itself_at_random_moments_neither_doubles_nor_loses_anybody() {
    story(Duration::from_secs(1_200), async {
        let (people, rate, kills) = at_length((700, 150, 4), (20_000, 200, 40));
        let setup = Setup { queue: Queue::Private, ..Setup::on(Database::Postgres).at(rate) };
        let world = World::new(setup).await;
        let mut parts: Vec<Serve> = PARTS.iter().map(|(name, roles)| world.serve_unready(name, roles)).collect();
        for part in &mut parts {
            part.ready().await;
        }
        world.open_account().await;
        world.import("spring", 0..people).await;
        let campaign = world.launch("spring", "spring", &[]).await;
        world.taken_in(50).await;
        for kill in 0..kills {
            // Each in its turn, so that a short story kills each of them; when, chance says.
            let which = kill % PARTS.len();
            tokio::time::sleep(Duration::from_millis(rand::random_range(100..1_200))).await;
            parts[which].kill();
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..800))).await;
            let (name, roles) = PARTS[which];
            parts[which] = world.serve_unready(name, roles);
        }
        for part in &mut parts {
            part.ready().await;
        }
        // A lane that goes to another worker's host leaves its journal behind: what was claimed is in doubt for the
        // taker, a quarter of a second's worth at the most.
        let most = (kills / 2 + 1) * (rate as usize / 4 + ON_ITS_WAY);
        let doubts = world.settle_by_hand(&campaign, most).await;
        eprintln!("{kills} kills of single roles: {doubts} for a person to settle");
    })
    .await;
}
