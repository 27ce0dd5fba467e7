//! The main job against real parts: both databases, a private Redis, and the simulator across a socket.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use engine::accounts::{self, NewAccount};
use engine::campaigns::{self, LaunchOrder, NewCampaign};
use engine::queue::Redis;
use engine::{Actor, App, AppParts, Clock, Vault, host, numbers, optouts, scheduler, worker};
use secrecy::SecretString;
use simulator::{Settings, Simulator};
use store::testing::Database;
use store::{Arriving, Chunk, ImportCounts, ImportTarget, NewEntry, NewImport};
use tokio_util::sync::CancellationToken;

const NUMBER: &str = "200100000000001";

/// A private Redis on a socket of its own, ended when dropped.
struct PrivateRedis {
    child: Child,
    url: String,
    _dir: tempfile::TempDir,
}

impl PrivateRedis {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket: PathBuf = dir.path().join("redis.sock");
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket)
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let url = format!("redis+unix://{}", socket.display());
        Self { child, url, _dir: dir }
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct World {
    app: Arc<App>,
    simulator: Simulator,
    redis: PrivateRedis,
    shutdown: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<anyhow::Result<()>>>,
    _db: Database,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new(db: Database) -> Self {
        let simulator = simulator::start(Settings::default()).await.expect("the simulator starts");
        let redis = PrivateRedis::start();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let app = open(&db, &simulator, &redis.url, dir.path().to_owned()).await;
        let secret = |text: &str| SecretString::from(text);
        accounts::add(
            &app,
            NewAccount {
                name: "shop".into(),
                waba_id: "100200300400500".into(),
                portfolio: None,
                access_token: secret("simulated-access-token"),
                app_secret: secret("simulated-app-secret"),
                verify_token: secret("simulated-verify-token"),
            },
        )
        .await
        .expect("the account is added");
        accounts::sync(&app, None).await.expect("the account syncs");
        World { app, simulator, redis, shutdown: CancellationToken::new(), tasks: Vec::new(), _db: db, _dir: dir }
    }

    fn start(&mut self) {
        let (app, shutdown) = (Arc::clone(&self.app), self.shutdown.clone());
        self.tasks.push(tokio::spawn(scheduler::run(Arc::clone(&app), shutdown.clone())));
        self.tasks.push(tokio::spawn(worker::run(app, shutdown, host::new_instance())));
    }

    async fn stop(&mut self) {
        self.shutdown.cancel();
        for task in self.tasks.drain(..) {
            task.await.expect("no panic").expect("a clean end");
        }
    }

    /// A list of people: `+20 100 000 xxxx`, without names where `named` says so.
    async fn people(&self, list: &str, count: i64, named: impl Fn(i64) -> bool) {
        let now = self.app.clock.now_ms();
        let list_id = self.app.store.ensure_list(list, now).await.unwrap();
        let import_id = self
            .app
            .store
            .begin_import(NewImport {
                list_id,
                list_name: list,
                file_name: "made-up.csv",
                actor: "test",
                opt_in_source: "made up",
                region: None,
                now,
            })
            .await
            .unwrap();
        let people: Vec<Arriving> = (0..count)
            .map(|n| Arriving {
                phone_key: 201_000_000_000 + n,
                phone: 201_000_000_000 + n,
                name: named(n).then(|| format!("Mona {n}")),
                language: None,
                attributes: BTreeMap::from([("city".to_owned(), "Cairo".to_owned())]),
                opt_in_at: now - 1_000,
                salt: [0; 16],
            })
            .collect();
        for (place, people) in people.chunks(1_000).enumerate() {
            let chunk = Chunk {
                target: Some(ImportTarget { import_id, list_id }),
                number: i64::try_from(place).unwrap() + 1,
                people,
                opt_in_source: "made up",
                so_far: ImportCounts::default(),
                now,
            };
            let entry = |_: &[store::NewEvidence]| NewEntry {
                at: now,
                kind: "opt-in",
                actor: "test".into(),
                contact_id: None,
                campaign_id: None,
                import_id: Some(import_id),
                detail: "{}".into(),
                salt: vec![0; 16],
                commitment: vec![0; 32],
            };
            self.app.store.take_in(&chunk, entry).await.unwrap();
        }
    }

    async fn campaign(&self, name: &str, list: &str, params: &[(&str, &str)]) -> i64 {
        let new = NewCampaign {
            name: name.into(),
            template: "eid_offer".into(),
            language: "en".into(),
            lists: vec![list.into()],
            excluded_lists: Vec::new(),
            numbers: vec![NUMBER.into()],
            params: params.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect(),
            rate: None,
            at: None,
        };
        campaigns::create(&self.app, &Actor::system(), &new).await.expect("the campaign is made").id
    }

    /// Waits until the campaign is finished, and holds our books against the simulator's.
    async fn settle(&self, campaign: i64) -> campaigns::CampaignView {
        for _ in 0..600 {
            let view = campaigns::show(&self.app, campaign).await.unwrap();
            let counts = &view.counts;
            let sum = counts.planned
                + counts.queued
                + counts.submitting
                + counts.accepted
                + counts.sent
                + counts.delivered
                + counts.read
                + counts.failed
                + counts.skipped
                + counts.in_doubt;
            assert_eq!(sum, view.total, "the counts sum to the total at any time: {view:?}");
            if view.state == "finished" {
                let anew = self.app.store.count_anew(campaign).await.unwrap();
                assert_eq!(self.app.store.tally(campaign).await.unwrap(), anew, "the tallies are the rows");
                let report = self.simulator.report();
                assert_eq!(report.duplicates, 0, "{report:?}");
                return view;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let view = campaigns::show(&self.app, campaign).await.unwrap();
        panic!("the campaign does not end: {view:?}\n{:?}", engine::queue_view::view(&self.app).await);
    }
}

async fn open(db: &Database, simulator: &Simulator, redis: &str, data_dir: PathBuf) -> Arc<App> {
    let store = db.second_handle().await;
    let install = store.install_id().await.unwrap();
    let config = cloud_api::Config { base_url: simulator.base_url(), ..cloud_api::Config::default() };
    App::new(AppParts {
        graph: cloud_api::Client::new(&config).unwrap(),
        graph_is_loopback: true,
        vault: Vault::new(&SecretString::from("0123456789abcdef0123456789abcdef")).unwrap(),
        clock: Clock::system(),
        data_dir,
        redis: Some(Redis::open(redis, &install).unwrap()),
        install,
        store,
    })
}

const PARAMS: &[(&str, &str)] = &[("1", "{name|friend}"), ("2", "20%")];

store::on_both_databases! {
    async fn a_campaign_reaches_everyone_once(db: Database) {
        let mut world = World::new(db).await;
        world.people("all", 300, |_| true).await;
        let id = world.campaign("eid", "all", PARAMS).await;
        numbers::set_rate(&world.app, NUMBER, numbers::Rate::PerSecond(200)).await.unwrap();
        world.simulator.update(|settings| settings.default_rate = 200).unwrap();
        campaigns::launch(&world.app, &Actor::system(), id, &LaunchOrder::default()).await.unwrap();
        world.start();
        let view = world.settle(id).await;
        assert_eq!((view.total, view.counts.accepted), (300, 300), "{view:?}");
        let report = world.simulator.report();
        assert_eq!(report.accepted, 300);
        assert!(report.max_in_sliding_second.values().all(|most| *most <= 200), "{report:?}");
        world.stop().await;
    }

    async fn a_row_that_cannot_be_rendered_is_skipped_by_name_and_an_opt_out_is_never_sent_to(db: Database) {
        let mut world = World::new(db).await;
        world.people("all", 60, |n| n % 10 != 0).await;
        numbers::set_rate(&world.app, NUMBER, numbers::Rate::Unlimited).await.unwrap();
        world.simulator.update(|settings| settings.default_rate = 0).unwrap();
        let id = world.campaign("eid", "all", &[("1", "{name}"), ("2", "20%")]).await;
        optouts::add(&world.app, &Actor::system(), "+201000000001", "asked by phone").await.unwrap();
        let checked = campaigns::preflight(&world.app, id).await.unwrap();
        assert_eq!(checked.eligible, 53);
        assert_eq!(checked.excluded.get("variable-missing:name"), Some(&6), "{checked:?}");
        assert_eq!(checked.excluded.get("opted-out"), Some(&1), "{checked:?}");
        campaigns::launch(&world.app, &Actor::system(), id, &LaunchOrder::default()).await.unwrap();
        world.start();
        let view = world.settle(id).await;
        assert_eq!((view.counts.accepted, view.counts.skipped), (53, 7), "{view:?}");
        assert_eq!(world.simulator.report().accepted, 53);
        world.stop().await;
    }

    async fn lost_answers_are_in_doubt_and_never_sent_again(db: Database) {
        let mut world = World::new(db).await;
        world.people("all", 100, |_| true).await;
        numbers::set_rate(&world.app, NUMBER, numbers::Rate::PerSecond(100)).await.unwrap();
        world.simulator.update(|settings| {
            settings.default_rate = 0;
            settings.faults.lost_response_share = 0.05;
        }).unwrap();
        let id = world.campaign("eid", "all", PARAMS).await;
        campaigns::launch(&world.app, &Actor::system(), id, &LaunchOrder::default()).await.unwrap();
        world.start();
        for _ in 0..300 {
            let view = campaigns::show(&world.app, id).await.unwrap();
            if view.counts.planned + view.counts.queued + view.counts.submitting == 0 && view.total == 100 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let view = campaigns::show(&world.app, id).await.unwrap();
        assert!(view.counts.in_doubt > 0, "{view:?}");
        assert_eq!(view.counts.in_doubt + view.counts.accepted, 100, "{view:?}");
        assert_eq!(view.state, "running");
        assert_eq!(world.simulator.report().duplicates, 0);
        world.stop().await;
    }

    async fn redis_flushed_in_the_middle_costs_nobody_their_message(db: Database) {
        let mut world = World::new(db).await;
        world.people("all", 400, |_| true).await;
        numbers::set_rate(&world.app, NUMBER, numbers::Rate::PerSecond(100)).await.unwrap();
        world.simulator.update(|settings| settings.default_rate = 100).unwrap();
        let id = world.campaign("eid", "all", PARAMS).await;
        campaigns::launch(&world.app, &Actor::system(), id, &LaunchOrder::default()).await.unwrap();
        world.start();
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let socket = world.redis.url.trim_start_matches("redis+unix://").to_owned();
        let flushed = Command::new("redis-cli").args(["-s", &socket, "flushall"]).status().expect("redis-cli");
        assert!(flushed.success());
        let view = world.settle(id).await;
        assert_eq!(view.counts.accepted, 400, "{view:?}");
        world.stop().await;
    }
}
