//! A world of its own for each story.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::books::Books;
use crate::command::{self, Answer, Started};
use crate::executables::{Executable, executable, tethered};
use crate::people::people_csv;
use crate::ports;
use crate::postgres::Cluster;
use crate::process::Process;
use crate::redis::{PrivateRedis, inline};
use crate::serve::Serve;
use crate::simulator::{Simulator, client};
use crate::slot::{Slot, slot};
use crate::stalls::Pressure;
use crate::wait::until;

/// The simulator's account.
pub const WABA: &str = "100200300400500";
/// The business number that stories send from.
pub const NUMBER: &str = "200100000000001";
/// Every business number of the simulator's account.
pub const NUMBERS: [&str; 3] = ["200100000000001", "200100000000002", "200100000000003"];

const TOKEN: &str = "simulated-access-token";
const APP_SECRET: &str = "simulated-app-secret";
const VERIFY_TOKEN: &str = "made-up-verify-token";
/// The same for every process of a world, as on several hosts.
const SECRET_KEY: &str = "6d6164652d75702d6d6164652d75702d6d6164652d75702d6d6164652d757021";

/// Where the disk of [`Setup::on_a_disk_of`] is mounted.
const DISK: &str = "disk";

/// A process may wait so long for a processor on a machine that has enough of them.
const ORDINARY_STALL: Duration = Duration::from_millis(20);

/// Which database a world has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// The embedded default.
    Sqlite,
    /// A fresh database on the PostgreSQL of this test process.
    Postgres,
    /// A PostgreSQL server of its own, that the story may kill.
    PostgresOfItsOwn,
    /// A PostgreSQL server of its own whose commits are durable, as it is shipped: for measurements.
    DurablePostgres,
}

/// Which Redis a world has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// The one that Hudhud keeps.
    Managed,
    /// One of its own, that the story may kill.
    Private,
}

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its database.
    pub database: Database,
    /// Its Redis.
    pub queue: Queue,
    /// The simulator's settings on top of prompt webhooks.
    pub simulator: Value,
    /// Messages a second of [`NUMBER`] and the others, at the simulator and at ours.
    pub rate: u32,
    /// MiB of a disk that holds nothing but the embedded database of `main`; `None`: it lies in its data directory.
    pub disk: Option<u32>,
}

impl Setup {
    /// A world with this database, a managed Redis, prompt webhooks, and 100 messages a second.
    #[must_use]
    pub fn on(database: Database) -> Self {
        Self { database, queue: Queue::Managed, simulator: json!({}), rate: 100, disk: None }
    }

    /// With a Redis of its own.
    #[must_use]
    pub fn with_private_redis(self) -> Self {
        Self { queue: Queue::Private, ..self }
    }

    /// With this rate.
    #[must_use]
    pub fn at(self, rate: u32) -> Self {
        Self { rate, ..self }
    }

    /// With the database on a disk of so many MiB: see [`World::fill_disk`]. `main` can be started once only, since the
    /// disk is in memory and ends with the process.
    #[must_use]
    pub fn on_a_disk_of(self, mebibytes: u32) -> Self {
        Self { disk: Some(mebibytes), ..self }
    }

    /// With these settings of the simulator.
    #[must_use]
    pub fn simulating(self, settings: Value) -> Self {
        Self { simulator: settings, ..self }
    }
}

/// A world: see the fields of [`Setup`]. Its processes are the story's to start and kill.
#[derive(Debug)]
pub struct World {
    /// The simulated Cloud API.
    pub simulator: Simulator,
    /// The PostgreSQL server, if it has one of its own.
    pub postgres: Option<Cluster>,
    /// The Redis, if it has one of its own.
    pub redis: Option<PrivateRedis>,
    rates: std::sync::Mutex<BTreeMap<String, u32>>,
    forgiven: std::sync::Mutex<Duration>,
    pressure: Pressure,
    rate: u32,
    disk: Option<u32>,
    environment: Vec<(String, String)>,
    addresses: std::sync::Mutex<BTreeMap<String, (SocketAddr, SocketAddr)>>,
    api: SocketAddr,
    key: std::sync::OnceLock<String>,
    http: reqwest::Client,
    dir: TempDir,
    _slot: Slot,
}

/// A campaign that was created.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
}

impl World {
    /// Makes a world. Nothing of Hudhud runs in it yet.
    pub async fn new(setup: Setup) -> Self {
        let slot = slot().await;
        let mut dir = tempfile::Builder::new().prefix("hudhud-story-").tempdir().expect("a temporary directory");
        // For whoever wants to read the logs of a story that went well.
        dir.disable_cleanup(std::env::var_os("HUDHUD_KEEP_STORIES").is_some());
        let (api, admin) = (ports::free(), ports::free());
        let soon = json!({"min": 5, "max": 60});
        let mut settings = json!({
            "default_rate": setup.rate,
            "webhook": {
                "url": format!("http://{api}/webhooks/whatsapp"), "app_secret": APP_SECRET,
                "sent_ms": soon, "delivered_ms": soon, "read_ms": soon, "reply_ms": soon, "duplicate_ms": soon,
                "retry_ms": 100, "retry_max_ms": 1000,
            },
        });
        merge(&mut settings, &setup.simulator);
        let simulator = Simulator::start(dir.path(), &settings);
        let (postgres, database_url) = match setup.database {
            Database::Sqlite => (None, None),
            Database::Postgres => (None, Some(Cluster::of_this_process().fresh_database())),
            Database::PostgresOfItsOwn | Database::DurablePostgres => {
                let cluster = if setup.database == Database::DurablePostgres {
                    Cluster::start_durable()
                } else {
                    Cluster::start()
                };
                let url = cluster.fresh_database();
                (Some(cluster), Some(url))
            }
        };
        let redis = match setup.queue {
            Queue::Managed => None,
            Queue::Private => Some(PrivateRedis::start(dir.path().join("private-redis")).await),
        };
        let mut environment: Vec<(String, String)> = Vec::new();
        let mut set = |key: &str, value: String| environment.push((key.to_owned(), value));
        for inherited in ["PATH", "HOME", "TMPDIR", "REDIS_SERVER_BIN", "RUST_BACKTRACE"] {
            if let Ok(value) = std::env::var(inherited) {
                set(inherited, value);
            }
        }
        set("HUDHUD_GRAPH_URL", simulator.graph_url().to_owned());
        set("HUDHUD_SECRET_KEY", SECRET_KEY.to_owned());
        set("HUDHUD_LOG_FORMAT", "json".to_owned());
        if let Some(url) = database_url {
            set("HUDHUD_DATABASE_URL", url);
        } else if setup.disk.is_some() {
            let disk = dir.path().join(DISK);
            std::fs::create_dir(&disk).expect("a place for the disk");
            set("HUDHUD_DATABASE_URL", format!("sqlite://{}/hudhud.db", disk.display()));
        }
        if let Some(redis) = &redis {
            set("HUDHUD_REDIS_URL", redis.url());
        }
        let addresses = std::sync::Mutex::new(BTreeMap::from([("main".to_owned(), (api, admin))]));
        let (key, http) = (std::sync::OnceLock::new(), client());
        Self {
            simulator,
            postgres,
            redis,
            rates: std::sync::Mutex::default(),
            forgiven: std::sync::Mutex::default(),
            pressure: Pressure::from_now(),
            rate: setup.rate,
            disk: setup.disk,
            environment,
            addresses,
            api,
            key,
            http,
            dir,
            _slot: slot,
        }
    }

    /// A world with a `serve` of all roles, an account and its numbers at the world's rate.
    pub async fn with_serve(setup: Setup) -> (Self, Serve) {
        let world = Self::new(setup).await;
        let serve = world.serve("main", &[]).await;
        world.open_account().await;
        (world, serve)
    }

    /// Takes all that is left of the database's disk; given back by [`World::empty_disk`].
    ///
    /// # Panics
    /// When it cannot be filled.
    pub fn fill_disk(&self, main: &Serve) {
        use std::io::Write as _;
        let mut ballast = std::fs::File::create(self.ballast(main)).expect("the disk of the process");
        let full = loop {
            if let Err(error) = ballast.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
    }

    /// Gives the room back.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn empty_disk(&self, main: &Serve) {
        std::fs::remove_file(self.ballast(main)).expect("the disk was filled");
    }

    /// The disk as its process sees it: mounts of another namespace are reached through `/proc`.
    fn ballast(&self, main: &Serve) -> PathBuf {
        let inside = self.dir.path().join(DISK).join("ballast");
        let inside = inside.strip_prefix("/").expect("an absolute path");
        PathBuf::from(format!("/proc/{}/root", main.pid())).join(inside)
    }

    /// Copies the database as it stands, as a backup does, beside a `main` that may be working with it.
    ///
    /// # Panics
    /// When it cannot be copied.
    pub fn back_up(&self, main: &mut Serve, name: &str) {
        let copy = self.dir.path().join(name);
        if let Some(url) = self.database_url() {
            self.cluster().dump(url, &copy);
            return;
        }
        // A file that is copied while it is written would be torn; a process that stands still writes nothing.
        if main.is_running() {
            main.signal(Signal::SIGSTOP);
            wait_until_stopped(main);
        }
        std::fs::create_dir_all(&copy).expect("a directory for the copy");
        for file in ["hudhud.db", "hudhud.db-wal"] {
            let from = self.data_dir("main").join(file);
            if from.exists() {
                std::fs::copy(from, copy.join(file)).expect("a copy of the database");
            }
        }
        if main.is_running() {
            main.signal(Signal::SIGCONT);
        }
    }

    /// Puts a copy in the place of the database, as after a disaster. Nothing of Hudhud may run.
    ///
    /// # Panics
    /// When it cannot be put there.
    pub fn restore(&self, name: &str) {
        let copy = self.dir.path().join(name);
        if let Some(url) = self.database_url() {
            self.cluster().put_back(url, &copy);
            return;
        }
        for file in ["hudhud.db", "hudhud.db-wal", "hudhud.db-shm"] {
            let to = self.data_dir("main").join(file);
            let _ = std::fs::remove_file(&to);
            if copy.join(file).exists() {
                std::fs::copy(copy.join(file), to).expect("the copy put back");
            }
        }
    }

    /// Runs a statement on the database past Hudhud, of which nothing may run on SQLite. With the database's own shell.
    ///
    /// # Panics
    /// When there is no such shell, or the statement fails.
    pub fn sql(&self, statement: &str) {
        if let Some(url) = self.database_url() {
            self.cluster().run(url, statement);
            return;
        }
        let done = std::process::Command::new("sqlite3")
            .args(["-bail", "-cmd", "PRAGMA synchronous = OFF", "-cmd", "PRAGMA cache_size = -1000000"])
            .arg(self.data_dir("main").join("hudhud.db"))
            .arg(statement)
            .output()
            .expect("sqlite3 is installed");
        assert!(done.status.success(), "sqlite3 failed: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Whether the database is a PostgreSQL.
    #[must_use]
    pub fn has_postgres(&self) -> bool {
        self.database_url().is_some()
    }

    /// Where the database is; `None` for the embedded one.
    #[must_use]
    pub fn database_url(&self) -> Option<&str> {
        self.environment.iter().find(|(key, _)| key == "HUDHUD_DATABASE_URL").map(|(_, url)| url.as_str())
    }

    fn cluster(&self) -> &Cluster {
        self.postgres.as_ref().unwrap_or_else(|| Cluster::of_this_process())
    }

    /// Where the story may keep files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The data directory of a process, by its name.
    #[must_use]
    pub fn data_dir(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn environment_of(&self, name: &str) -> Vec<(String, String)> {
        let mut environment = self.environment.clone();
        environment.push(("HUDHUD_DATA_DIR".to_owned(), self.data_dir(name).display().to_string()));
        environment
    }

    /// Starts a `hudhud serve` and waits until it is ready. The same name is the same machine: data directory and
    /// ports. Webhooks and commands go to `main`.
    pub async fn serve(&self, name: &str, roles: &[&str]) -> Serve {
        let mut serve = self.serve_unready(name, roles);
        serve.ready().await;
        serve
    }

    /// Starts a `hudhud serve` without waiting for it.
    pub fn serve_unready(&self, name: &str, roles: &[&str]) -> Serve {
        let (api, admin) = {
            let mut addresses = self.addresses.lock().expect("no story panics in here");
            *addresses.entry(name.to_owned()).or_insert_with(|| (ports::free(), ports::free()))
        };
        let mut command = match self.disk.filter(|_| name == "main") {
            None => tethered(&executable(Executable::Hudhud)),
            Some(mebibytes) => on_a_disk_of_its_own(&self.dir.path().join(DISK), mebibytes),
        };
        command.arg("serve").env_clear().envs(self.environment_of(name)).current_dir(self.dir.path());
        command.env("HUDHUD_LISTEN", api.to_string()).env("HUDHUD_ADMIN_LISTEN", admin.to_string());
        if !roles.is_empty() {
            command.args(["--roles", &roles.join(",")]);
        }
        let log = self.dir.path().join(format!("{name}.log"));
        let process = Process::spawn(&format!("hudhud serve ({name})"), command, &log, false);
        Serve { api, admin, data_dir: self.data_dir(name), process }
    }

    /// Runs `hudhud ARGS --json` in the data directory of `main`.
    pub async fn hudhud(&self, args: &[&str]) -> Answer {
        self.hudhud_in("main", args, &[]).await
    }

    /// Runs `hudhud ARGS --json` in a data directory, with more in its environment.
    pub async fn hudhud_in(&self, name: &str, args: &[&str], more: &[(&str, &str)]) -> Answer {
        let mut environment = self.environment_of(name);
        environment.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        command::hudhud(args, &environment, self.dir.path()).await
    }

    /// Starts `hudhud ARGS --json` in the data directory of `main`, with an open standard input.
    #[must_use]
    pub fn start(&self, args: &[&str]) -> Started {
        command::start(args, &self.environment_of("main"), self.dir.path(), std::process::Stdio::piped())
    }

    /// Stores the simulator's account, reads its numbers and templates, and sets the numbers' rates.
    pub async fn open_account(&self) {
        let token = self.secret("token", TOKEN);
        let app_secret = self.secret("app-secret", APP_SECRET);
        let verify_token = self.secret("verify-token", VERIFY_TOKEN);
        let add = ["account", "add", "--name", "hoopoe", "--waba-id", WABA, "--access-token-file", &token];
        let add = [&add[..], &["--app-secret-file", &app_secret, "--verify-token-file", &verify_token]].concat();
        let _ = self.hudhud(&add).await.ok();
        let _ = self.hudhud(&["account", "sync"]).await.ok();
        for number in NUMBERS {
            let _ = self.hudhud(&["number", "set", number, "--rate", &self.rate.to_string()]).await.ok();
        }
    }

    /// Sets a number's rate, which it must keep from now on and has kept before.
    ///
    /// # Panics
    /// When there is no such number.
    pub async fn set_rate(&self, number: &str, rate: u32) {
        let _ = self.hudhud(&["number", "set", number, "--rate", &rate.to_string()]).await.ok();
        self.rates.lock().expect("no story panics in here").insert(number.to_owned(), rate);
    }

    /// The share of this world's time in which somebody on this machine waited for a processor.
    #[must_use]
    pub fn processors_wanted(&self) -> f64 {
        self.pressure.share()
    }

    /// Lets messages come so much closer together than their rate allows.
    ///
    /// # Panics
    /// Never.
    pub fn forgive(&self, time: Duration) {
        *self.forgiven.lock().expect("no story panics in here") = time;
    }

    /// Sends a message past Hudhud, as another program does that shares the business number: Meta tells us of it too.
    ///
    /// # Panics
    /// When the simulator refuses it.
    pub async fn send_past_us(&self, number: &str, to: &str, callback: &str) {
        let body = json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": to, "type": "template",
            "biz_opaque_callback_data": callback,
            "template": {"name": "eid_offer", "language": {"code": "en"}, "components": [
                {"type": "body", "parameters": [{"type": "text", "text": "Mona"}, {"type": "text", "text": "20%"}]},
                {"type": "button", "sub_type": "quick_reply", "index": "0",
                 "parameters": [{"type": "payload", "payload": "another program's"}]},
                {"type": "button", "sub_type": "quick_reply", "index": "1",
                 "parameters": [{"type": "payload", "payload": "another program's"}]},
            ]},
        });
        let url = format!("{}/v26.0/{number}/messages", self.simulator.graph_url());
        let answer = self.http.post(url).bearer_auth(TOKEN).json(&body).send().await.expect("the simulator answers");
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
    }

    /// The verify token of the account.
    #[must_use]
    pub fn verify_token(&self) -> &'static str {
        VERIFY_TOKEN
    }

    /// The app secret of the account, for who signs webhooks of their own.
    #[must_use]
    pub fn app_secret(&self) -> &'static str {
        APP_SECRET
    }

    /// Writes a secret to a file, whose path it gives.
    pub fn secret(&self, name: &str, secret: &str) -> String {
        self.file(name, &format!("{secret}\n"))
    }

    /// Writes a file, whose path it gives.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).expect("a file of the story");
        path.display().to_string()
    }

    /// Imports the made-up people of a range into a list.
    ///
    /// # Panics
    /// Unless each of them is accepted.
    pub async fn import(&self, list: &str, people: std::ops::Range<u32>) {
        let count = people.len();
        let file = self.file(&format!("{list}.csv"), &people_csv(people));
        let import = ["import", &file, "--list", list, "--opt-in-source", "web form", "--opt-in-at", "@opted_in_at"];
        let summary = self.hudhud(&import).await.ok();
        assert_eq!(summary["accepted"], json!(count), "{summary}");
    }

    /// Creates a campaign of `eid_offer` to a list, from [`NUMBER`] unless `more` names others.
    pub async fn create(&self, name: &str, list: &str, more: &[&str]) -> Campaign {
        let mut args = vec!["campaign", "create", name, "--template", "eid_offer", "--language", "en", "--list", list];
        args.extend(["--param", "1={name|friend}", "--param", "2=20%"]);
        if !more.contains(&"--number") {
            args.extend(["--number", NUMBER]);
        }
        args.extend(more);
        let created = self.hudhud(&args).await.ok();
        Campaign { id: created["id"].as_i64().expect("a campaign has an id"), name: name.to_owned() }
    }

    /// Creates and launches a campaign.
    pub async fn launch(&self, name: &str, list: &str, more: &[&str]) -> Campaign {
        let campaign = self.create(name, list, more).await;
        let _ = self.hudhud(&["campaign", "launch", name, "--yes"]).await.ok();
        campaign
    }

    /// `campaign show`, over HTTP; `None` while nobody answers.
    pub async fn shown(&self, campaign: &Campaign) -> Option<Value> {
        self.api_get(&format!("campaigns/{}", campaign.id)).await
    }

    /// Asks the HTTP API of `main`, as its admin; `None` while nobody answers with a success.
    pub async fn api_get(&self, path: &str) -> Option<Value> {
        if self.key.get().is_none() {
            let made = self.hudhud(&["apikey", "create", "stories", "--role", "admin"]).await;
            let key = made.json["key"].as_str().filter(|_| made.code == 0)?.to_owned();
            // Another look may have been faster; either key is good.
            let _ = self.key.set(key);
        }
        let request = self.http.get(format!("http://{}/api/v1/{path}", self.api)).bearer_auth(self.key.get()?);
        let answer = request.timeout(Duration::from_secs(5)).send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        answer.json().await.ok()
    }

    /// The API key of an admin.
    ///
    /// # Panics
    /// Unless `main` answers.
    pub async fn api_key(&self) -> &str {
        assert!(self.api_get("campaigns").await.is_some(), "the API answers");
        self.key.get().expect("made by the look before")
    }

    /// Waits until the simulator has taken in so many messages.
    pub async fn taken_in(&self, at_least: u64) {
        let what = format!("{at_least} messages at the simulator");
        until(&what, Duration::from_secs(60), async || (self.simulator.taken_in().await >= at_least).then_some(()))
            .await;
    }

    /// Waits until the campaign has this many sends in a state.
    pub async fn counted(&self, campaign: &Campaign, state: &str, at_least: u64, within: Duration) -> Value {
        let what = format!("{at_least} sends that are {state}");
        let mut last = Value::Null;
        let deadline = Instant::now() + within;
        loop {
            if let Some(shown) = self.shown(campaign).await {
                if shown["counts"][state].as_u64().is_some_and(|count| count >= at_least) {
                    return shown;
                }
                last = shown;
            }
            assert!(Instant::now() < deadline, "it did not come to this within {within:?}: {what}; {last}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Our books of a campaign.
    pub async fn books(&self, campaign: &Campaign) -> Books {
        let file = self.dir.path().join(format!("export-{}.csv", campaign.id));
        let _ = self.hudhud(&["campaign", "export", &file.display().to_string(), &campaign.name]).await.ok();
        Books::read(&file)
    }

    /// Waits until the campaign is over and every webhook has come, and asserts that our books equal the simulator's
    /// ledger: nobody twice, nobody missing, nothing open, no status lost, no rate exceeded, none after an opt-out.
    pub async fn settle(&self, campaign: &Campaign) -> Value {
        self.settle_within(campaign, Duration::from_secs(60)).await
    }

    /// [`World::settle`], with another bound on how long the campaign may take.
    ///
    /// # Panics
    /// When it is not over in time, or the books differ.
    pub async fn settle_within(&self, campaign: &Campaign, within: Duration) -> Value {
        let deadline = Instant::now() + within;
        let mut last = Value::Null;
        loop {
            if let Some(shown) = self.shown(campaign).await {
                if is_over(&shown) {
                    break;
                }
                last = shown;
            }
            assert!(Instant::now() < deadline, "the campaign was not over within {within:?}: {last}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let speaks = !self.simulator.settings().await["webhook"]["url"].is_null();
        if speaks {
            self.every_webhook_delivered().await;
        }
        let shown = self.books_are_equal(campaign, speaks).await;
        self.rules_were_kept().await;
        shown
    }

    /// [`World::settle`], where nothing of Hudhud can know what became of some sends: whoever claimed them is gone, with
    /// its journal, or the platform broke while they were on the wire. When webhooks have told all they can, a person
    /// settles the rest, of which there may be `most`. How many there were.
    ///
    /// # Panics
    /// As [`World::settle`], and when there were more.
    pub async fn settle_by_hand(&self, campaign: &Campaign, most: usize) -> usize {
        until("nothing left but what is in doubt", Duration::from_secs(120), async || {
            let counts = self.shown(campaign).await?["counts"].clone();
            ["planned", "queued", "submitting"].iter().all(|state| counts[*state] == 0).then_some(())
        })
        .await;
        self.every_webhook_delivered().await;
        // What was delivered last is taken in within a moment; whoever is in doubt after it stays so.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let doubts = self.judge_doubts(campaign).await;
        assert!(doubts <= most, "{doubts} in doubt, and at most {most} can have been on the wire");
        self.settle(campaign).await;
        doubts
    }

    async fn every_webhook_delivered(&self) {
        until("every webhook delivered", Duration::from_secs(40), async || {
            let webhooks = self.simulator.report().await["webhooks"].clone();
            (webhooks["pending"] == 0 && webhooks["retrying"] == 0).then_some(())
        })
        .await;
    }

    /// What webhooks said is applied a moment after they are acknowledged, hence a few looks.
    async fn books_are_equal(&self, campaign: &Campaign, speaks: bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let books = self.books(campaign).await;
            let rows: Vec<_> = self.simulator.ledger().await;
            let rows: Vec<_> = rows.into_iter().filter(|row| row.campaign() == Some(campaign.id)).collect();
            let nothing_dropped = self.simulator.report().await["webhooks"]["dropped"] == 0;
            let mut found = books.disagreements(&rows, speaks && nothing_dropped);
            let shown = self.hudhud(&["campaign", "show", &campaign.name]).await.ok();
            found.extend(miscounted(&shown, &books));
            if found.is_empty() {
                return shown;
            }
            let first = found.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
            assert!(Instant::now() < deadline, "our books differ in {} places:\n{first}\n{shown}", found.len());
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// No rate was exceeded and nobody was messaged after an opt-out.
    ///
    /// # Panics
    /// When one was.
    pub async fn rules_were_kept(&self) {
        let report = self.simulator.report().await;
        let stall = self.simulator.longest_stall();
        // What an ordinary wait may be is the sender's to allow for.
        let stalled = if stall > ORDINARY_STALL { stall } else { Duration::ZERO };
        let forgiven = stalled.max(*self.forgiven.lock().expect("no story panics in here"));
        let forgiven = i64::try_from(forgiven.as_micros()).expect("a short time");
        let mut arrivals: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for row in self.simulator.ledger().await {
            arrivals.entry(row.phone_number_id).or_default().push(row.at_us);
        }
        for (number, mut times) in arrivals {
            times.sort_unstable();
            let rate = self.rates.lock().expect("no story panics in here").get(&number).copied().unwrap_or(self.rate);
            let rate = usize::try_from(rate).expect("a rate fits");
            // As many as the rate allows and one more lie a second apart, at the least.
            let closest = times.windows(rate + 1).map(|window| window[rate] - window[0]).min();
            assert!(
                closest.is_none_or(|closest| closest >= 1_000_000 - forgiven),
                "{} messages from {number} within {} ms, at a rate of {rate} a second; the simulator itself waited {stall:?}",
                rate + 1,
                closest.unwrap_or(0) / 1000
            );
        }
        assert_eq!(
            report["after_opt_out"], 0,
            "messages after an acknowledged opt-out: {}",
            report["after_opt_out_rows"]
        );
        assert_eq!(report["strangers"], 0, "a number went out without its plus");
    }

    /// Settles every send in doubt as a person would who can look into the simulator's ledger: none of them went, for
    /// of those that did a webhook has told. How many there were.
    ///
    /// # Panics
    /// When one of them went.
    pub async fn judge_doubts(&self, campaign: &Campaign) -> usize {
        let doubts = self.hudhud(&["indoubt", "ls", "--campaign", &campaign.name]).await.ok();
        let doubts = doubts.as_array().expect("a list").clone();
        let rows = self.simulator.ledger().await;
        for doubt in &doubts {
            let phone = doubt["phone"].as_str().expect("a doubt names its person");
            let went = rows.iter().find(|row| {
                row.campaign() == Some(campaign.id) && row.was_taken_in() && row.to.as_deref() == Some(phone)
            });
            assert!(went.is_none(), "webhooks told of {went:?}, and it is still in doubt: {doubt}");
            let id = match &doubt["id"] {
                Value::String(id) => id.clone(),
                id => id.to_string(),
            };
            let settle = ["indoubt", "settle", &id, "--as", "not-sent", "--reason", "the platform never saw it"];
            let _ = self.hudhud(&settle).await.ok();
        }
        doubts.len()
    }

    /// Says a line to the Redis that the process of this name keeps.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn managed_redis(&self, name: &str, line: &str) -> String {
        let socket = self.data_dir(name).join("redis/redis.sock");
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).expect("the managed Redis listens");
        inline(&mut stream, line).expect("the managed Redis answers")
    }
}

/// A signal is on its way for a moment.
fn wait_until_stopped(process: &Serve) {
    let stat = format!("/proc/{}/stat", process.pid());
    for _ in 0..400 {
        // The state stands behind the name, which is in brackets.
        let text = std::fs::read_to_string(&stat).unwrap_or_default();
        if text.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['T', 't'])) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the process does not stand still");
}

/// Whether nothing of it is open any more.
fn is_over(shown: &Value) -> bool {
    let open: u64 = ["planned", "queued", "submitting", "in_doubt"]
        .iter()
        .filter_map(|state| shown["counts"][*state].as_u64())
        .sum();
    matches!(shown["state"].as_str(), Some("finished" | "cancelled")) && open == 0
}

/// Where `campaign show` miscounts what the export lists.
fn miscounted(shown: &Value, books: &Books) -> Vec<String> {
    let mut found = Vec::new();
    let counts = shown["counts"].as_object().cloned().unwrap_or_default();
    let sum: u64 = counts.values().filter_map(Value::as_u64).sum();
    if Some(sum) != shown["total"].as_u64() {
        found.push(format!("the counts sum to {sum}, the total is {}", shown["total"]));
    }
    let listed = books.counts();
    for (state, count) in &counts {
        let expected = listed.get(state).copied().unwrap_or(0);
        if count.as_u64() != Some(expected) {
            found.push(format!("{count} are shown as {state}, and {expected} exported"));
        }
    }
    found
}

/// `hudhud` in a mount namespace of its own, where a small disk in memory is mounted at this path. That needs no
/// privilege on a kernel that gives user namespaces to everybody, and root needs none.
fn on_a_disk_of_its_own(disk: &Path, mebibytes: u32) -> std::process::Command {
    let mut command = tethered(Path::new("/usr/bin/unshare"));
    command.args(if nix::unistd::geteuid().is_root() { &["--mount"][..] } else { &["--mount", "--map-root-user"] });
    let mount = r#"mount -t tmpfs -o "size=$1m" tmpfs "$2" && shift 2 && exec "$@""#;
    command.args(["--", "sh", "-c", mount, "sh", &mebibytes.to_string()]).arg(disk);
    command.arg(executable(Executable::Hudhud));
    command
}

/// Applies a JSON merge patch (RFC 7396).
fn merge(base: &mut Value, patch: &Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, patch) => *base = patch.clone(),
    }
}

/// Whether the stories are told at the length that a release must pass: `HUDHUD_LONG=1`.
#[must_use]
pub fn is_long() -> bool {
    std::env::var("HUDHUD_LONG").is_ok_and(|value| !matches!(value.as_str(), "" | "0"))
}

/// One of two sizes: that of every day's run, or the long one's.
#[must_use]
pub fn at_length<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}
