//! A world of its own for each story.

mod acts;
mod disk;
mod verdict;

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
        }
    }

    /// A world with a `serve` of all roles, an account and its numbers at the world's rate.
    pub async fn with_serve(setup: Setup) -> (Self, Serve) {
        let world = Self::new(setup).await;
        let serve = world.serve("main", &[]).await;
        world.open_account().await;
        (world, serve)
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
