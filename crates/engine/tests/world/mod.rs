//! What the engine's stories stand on: a database, a private Redis, and the simulator across a socket.

#![allow(dead_code, unreachable_pub, reason = "each story uses what it needs")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a story stops at the first surprise")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use engine::accounts::{self, NewAccount};
use engine::campaigns::{self, LaunchOrder, NewCampaign};
use engine::queue::Redis;
use engine::{Actor, App, AppParts, Clock, Vault, host, numbers, scheduler, worker};
use secrecy::SecretString;
use simulator::{Settings, Simulator};
use store::testing::Database;
use store::{Arriving, Chunk, ConsentText, ImportCounts, ImportTarget, NewEntry, NewImport};
use tokio_util::sync::CancellationToken;

/// How long a story waits for what must come. Long, since it may run beside much else on a slow machine; it bounds only how
/// long a failure takes.
pub const PATIENCE: Duration = Duration::from_secs(180);

pub const NUMBER: &str = "200100000000001";
pub const APP_SECRET: &str = "simulated-app-secret";
pub const PARAMS: &[(&str, &str)] = &[("1", "{name|friend}"), ("2", "20%")];

/// A private Redis on a socket of its own, ended when dropped.
pub struct PrivateRedis {
    child: Child,
    pub url: String,
    dir: tempfile::TempDir,
}

impl PrivateRedis {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let url = format!("redis+unix://{}", dir.path().join("redis.sock").display());
        Self { child: serve(dir.path()), url, dir }
    }

    /// Ends it as a crash would; what it held is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again where it was, empty.
    pub fn start_again(&mut self) {
        self.child = serve(self.dir.path());
    }

    /// Runs a command in it.
    pub fn command(&self, arguments: &[&str]) {
        let socket = self.dir.path().join("redis.sock");
        let done = Command::new("redis-cli").arg("-s").arg(socket).args(arguments).stdout(Stdio::null()).status();
        assert!(done.expect("redis-cli is installed").success());
    }
}

fn serve(dir: &Path) -> Child {
    Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
        .arg(dir.join("redis.sock"))
        .current_dir(dir)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A role that runs, to be stopped or to crash.
pub struct Running {
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Asks it to stop and waits for its end.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("no panic").expect("a clean end");
    }

    /// Drops everything it does where it stands, leases and claims included.
    pub async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

pub struct World {
    pub app: Arc<App>,
    pub simulator: Simulator,
    pub redis: PrivateRedis,
    running: Vec<Running>,
    pub db: Database,
    pub dir: tempfile::TempDir,
}

impl World {
    pub async fn new(db: Database) -> Self {
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
                app_secret: secret(APP_SECRET),
                verify_token: secret("simulated-verify-token"),
            },
        )
        .await
        .expect("the account is added");
        accounts::sync(&app, None).await.expect("the account syncs");
        World { app, simulator, redis, running: Vec::new(), db, dir }
    }

    /// A scheduler and a worker, until [`World::stop`].
    pub fn start(&mut self) {
        let roles = [self.scheduler(&self.app), self.worker(&self.app)];
        self.running.extend(roles);
    }

    /// A scheduler alone.
    pub fn scheduler(&self, app: &Arc<App>) -> Running {
        let shutdown = CancellationToken::new();
        Running { task: tokio::spawn(scheduler::run(Arc::clone(app), shutdown.clone())), shutdown }
    }

    /// A worker alone.
    pub fn worker(&self, app: &Arc<App>) -> Running {
        let shutdown = CancellationToken::new();
        let run = worker::run(Arc::clone(app), shutdown.clone(), host::new_instance());
        Running { task: tokio::spawn(run), shutdown }
    }

    /// An app of its own, as another process on another machine would have: its own connections and data directory.
    pub async fn elsewhere(&self) -> (Arc<App>, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        (open(&self.db, &self.simulator, &self.redis.url, dir.path().to_owned()).await, dir)
    }

    pub async fn stop(&mut self) {
        for running in self.running.drain(..).rev() {
            running.stop().await;
        }
    }

    /// Sets our rate for the number and the simulator's; 0 is unlimited.
    pub async fn rate(&self, ours: u32, theirs: u32) {
        let rate = if ours == 0 { numbers::Rate::Unlimited } else { numbers::Rate::PerSecond(ours) };
        numbers::set_rate(&self.app, NUMBER, rate).await.unwrap();
        self.simulator.update(|settings| settings.default_rate = theirs).unwrap();
    }

    /// A list of people: `+20 100 000 xxxx`, without names where `named` says so.
    pub async fn people(&self, list: &str, count: i64, named: impl Fn(i64) -> bool) {
        let numbers: Vec<i64> = (0..count).map(|n| 201_000_000_000 + n).collect();
        self.people_of(list, &numbers, named).await;
    }

    /// A list of people with these numbers.
    pub async fn people_of(&self, list: &str, numbers: &[i64], named: impl Fn(i64) -> bool) {
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
                opt_in_wording: "",
                opt_in_at: Some(now - 1_000),
                region: None,
                owner: &host::owner("made-up-import"),
                now,
            })
            .await
            .unwrap()
            .unwrap();
        let text = ConsentText { source: "made up".into(), wording: String::new() };
        let text_id = self.app.store.consent_text_ids(&[text]).await.unwrap()[0];
        let people: Vec<Arriving> = numbers
            .iter()
            .zip(0..)
            .map(|(number, n)| Arriving {
                phone_key: Some(*number),
                phone: Some(*number),
                user_id: None,
                name: named(n).then(|| format!("Mona {n}")),
                language: None,
                attributes: r#"{"city":"Cairo"}"#.to_owned(),
                opt_in_at: now - 1_000,
                opt_in_source: None,
                opt_in_wording: None,
                salt: [0; 16],
            })
            .collect();
        for (place, people) in people.chunks(1_000).enumerate() {
            let chunk = Chunk {
                target: Some(ImportTarget { import_id, list_id }),
                number: i64::try_from(place).unwrap() + 1,
                after: i64::try_from(place).unwrap(),
                people,
                text_ids: &vec![text_id; people.len()],
                look_first: true,
                again: false,
                so_far: ImportCounts::default(),
                met: &[],
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

    pub async fn campaign(&self, name: &str, list: &str, params: &[(&str, &str)]) -> i64 {
        self.create(self.draft(name, list, params)).await
    }

    pub async fn capped_campaign(&self, name: &str, list: &str, params: &[(&str, &str)], rate: Option<u32>) -> i64 {
        self.create(NewCampaign { rate, ..self.draft(name, list, params) }).await
    }

    pub async fn weighed_campaign(&self, name: &str, list: &str, params: &[(&str, &str)], weight: u32) -> i64 {
        self.create(NewCampaign { weight: Some(weight), ..self.draft(name, list, params) }).await
    }

    pub fn draft(&self, name: &str, list: &str, params: &[(&str, &str)]) -> NewCampaign {
        NewCampaign {
            name: name.into(),
            template: "eid_offer".into(),
            language: "en".into(),
            lists: vec![list.into()],
            numbers: vec![NUMBER.into()],
            params: params.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect(),
            ..NewCampaign::default()
        }
    }

    pub async fn create(&self, new: NewCampaign) -> i64 {
        campaigns::create(&self.app, &Actor::system(), &new).await.expect("the campaign is made").id
    }

    pub async fn launch(&self, campaign: i64) {
        campaigns::launch(&self.app, &Actor::system(), campaign, &LaunchOrder::default()).await.expect("a launch");
    }

    /// A launched campaign to a new list of so many people.
    pub async fn launched(&self, count: i64) -> i64 {
        self.people("all", count, |_| true).await;
        let campaign = self.campaign("eid", "all", PARAMS).await;
        self.launch(campaign).await;
        campaign
    }

    pub async fn pause(&self, campaign: i64) {
        campaigns::pause(&self.app, &Actor::system(), campaign, None).await.expect("a pause");
    }

    pub async fn resume(&self, campaign: i64) {
        campaigns::resume(&self.app, &Actor::system(), campaign).await.expect("it goes on");
    }

    pub async fn view(&self, campaign: i64) -> campaigns::CampaignView {
        campaigns::show(&self.app, campaign).await.unwrap()
    }

    /// Waits until something holds of a campaign.
    pub async fn until(
        &self,
        campaign: i64,
        holds: impl Fn(&campaigns::CampaignView) -> bool,
    ) -> campaigns::CampaignView {
        let waited = Stopwatch::start();
        while waited.so_far() < PATIENCE {
            let view = self.view(campaign).await;
            if holds(&view) {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let view = self.view(campaign).await;
        panic!("it never came to it: {view:?}\n{:?}", engine::queue_view::view(&self.app).await);
    }

    /// Waits until the campaign is finished, and holds our books against the simulator's.
    pub async fn settle(&self, campaign: i64) -> campaigns::CampaignView {
        let waited = Stopwatch::start();
        while waited.so_far() < PATIENCE {
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

pub async fn open(db: &Database, simulator: &Simulator, redis: &str, data_dir: PathBuf) -> Arc<App> {
    open_with(db, simulator, redis, data_dir, Clock::system()).await
}

/// An app with a clock of its own.
pub async fn open_with(db: &Database, simulator: &Simulator, redis: &str, data_dir: PathBuf, clock: Clock) -> Arc<App> {
    let store = db.second_handle().await;
    let install = store.install_id().await.unwrap();
    let config = cloud_api::Config { base_url: simulator.base_url(), ..cloud_api::Config::default() };
    App::new(AppParts {
        graph: cloud_api::Client::new(&config).unwrap(),
        graph_is_loopback: true,
        vault: Vault::new(&SecretString::from("0123456789abcdef0123456789abcdef")).unwrap(),
        clock,
        data_dir,
        upload_limit: engine::uploads::USUAL_LIMIT,
        redis: Some(Redis::open(redis, &install).unwrap()),
        install,
        store,
    })
}

/// Time as it passes, whatever clock an app is on.
pub struct Stopwatch(Clock, u64);

impl Stopwatch {
    pub fn start() -> Self {
        let clock = Clock::system();
        let since = clock.boot_us();
        Self(clock, since)
    }

    pub fn so_far(&self) -> Duration {
        Duration::from_micros(self.0.boot_us() - self.1)
    }
}

/// How long nothing of this machine ran at all, or ran late, from now on until dropped: a share of no pace.
///
/// A thread sleeps for a hundredth of a second, again and again, and adds up how much longer it took. The kernel counts such
/// waiting only where it is its own and not its host's.
pub struct Pauses {
    lost_us: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
}

impl Pauses {
    pub fn from_now() -> Self {
        let pauses = Self { lost_us: Arc::default(), ends: Arc::default() };
        let (lost_us, ends) = (Arc::clone(&pauses.lost_us), Arc::clone(&pauses.ends));
        // Nobody wakes to the microsecond: two thousandths more are usual.
        let (nap, usual) = (Duration::from_millis(10), Duration::from_millis(2));
        std::thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                let slept = Stopwatch::start();
                std::thread::sleep(nap);
                let lost = slept.so_far().saturating_sub(nap + usual);
                lost_us.fetch_add(u64::try_from(lost.as_micros()).unwrap_or(0), Ordering::Relaxed);
            }
        });
        pauses
    }

    /// All of it so far.
    pub fn lost(&self) -> Duration {
        Duration::from_micros(self.lost_us.load(Ordering::Relaxed))
    }
}

impl Drop for Pauses {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

/// What the simulator's webhooks come to, until it is dropped.
pub struct Hook(tokio::task::JoinHandle<()>);

impl Drop for Hook {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Lets an app take in what the simulator has to tell, promptly.
pub async fn hook(app: &Arc<App>, simulator: &Simulator) -> Hook {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/webhooks", listener.local_addr().expect("an address"));
    simulator
        .update(|settings| {
            let soon = simulator::Span::new(5, 60);
            settings.webhook.url = Some(url);
            for delay in [
                &mut settings.webhook.sent_ms,
                &mut settings.webhook.delivered_ms,
                &mut settings.webhook.read_ms,
                &mut settings.webhook.reply_ms,
            ] {
                *delay = soon;
            }
        })
        .expect("settings that fit");
    let app = Arc::clone(app);
    Hook(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(take_in(Arc::clone(&app), stream));
        }
    }))
}

/// One request: its head, a body of the length that it names, and an answer.
async fn take_in(app: Arc<App>, mut stream: tokio::net::TcpStream) -> std::io::Result<()> {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    let mut reader = BufReader::new(&mut stream);
    let (mut length, mut signature) = (0, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).await?;
        let Some((name, value)) = line.trim().split_once(':') else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "x-hub-signature-256" => signature = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await?;
    let status = match engine::webhook::receive(&app, &body, signature.as_deref()).await {
        Ok(engine::webhook::Received::Kept | engine::webhook::Received::Duplicate) => "200 OK",
        _ => "500 Internal Server Error",
    };
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await
}
