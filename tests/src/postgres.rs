//! A private PostgreSQL: on a socket in a directory of its own, without a port, gone with the process that started it.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// `$1` the programs' directory with a slash, or nothing; `$2` the directory, which is removed at the end; the others are
/// the server's own arguments. The shell waits at its standard input, which the kernel closes when our process ends in
/// whichever way.
const KEEPER: &str = r#"
programs=$1
dir=$2
shift 2
start() {
    "${programs}postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c max_connections=200 "$@" \
        >>"$dir/log" 2>&1 </dev/null &
    server=$!
}
stop() {
    kill -QUIT "$server" 2>/dev/null
    wait "$server"
}
start "$@"
while read -r word; do
    case $word in
    start) start "$@" ;;
    kill) stop; : >"$dir/killed" ;;
    esac
done
stop
rm -rf "$dir"
"#;

/// Stories kill processes, never the machine: what the kernel has taken is durable enough for them.
const HASTY: [&str; 6] = ["-c", "shared_buffers=64MB", "-c", "fsync=off", "-c", "full_page_writes=off"];

/// A PostgreSQL server of our own.
#[derive(Debug)]
pub struct Cluster {
    dir: PathBuf,
    programs: String,
    /// Holds the open end of the shell's standard input.
    keeper: Child,
}

impl Cluster {
    /// The server of this test process, started by the first story that asks.
    pub fn of_this_process() -> &'static Self {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(Self::start)
    }

    /// Starts a server, for a story that kills it.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start: these stories are not to be skipped.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&HASTY)
    }

    /// Starts a server whose commits are durable, with everything else as PostgreSQL ships it: for measurements.
    ///
    /// # Panics
    /// As [`Cluster::start`].
    #[must_use]
    pub fn start_durable() -> Self {
        Self::start_with(&[])
    }

    fn start_with(settings: &[&str]) -> Self {
        let programs = programs();
        let dir = tempfile::Builder::new().prefix("hudhud-pg-").tempdir().expect("a temporary directory").keep();
        if let Some(user) = unprivileged() {
            nix::unistd::chown(&dir, Some(user.uid), Some(user.gid)).expect("root may give a directory away");
        }
        let initdb = as_user(&format!("{programs}initdb"))
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "-D"])
            .arg(dir.join("data"))
            .current_dir(&dir)
            .output()
            .unwrap_or_else(|error| panic!("PostgreSQL's initdb does not run ({error}); install postgresql"));
        assert!(initdb.status.success(), "initdb failed: {}", String::from_utf8_lossy(&initdb.stderr));
        let keeper = as_user("sh")
            .args(["-c", KEEPER, "keeper", &programs])
            .arg(&dir)
            .args(settings)
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A signal to the test's group must not end the one who cleans up after it.
            .process_group(0)
            .spawn()
            .expect("a shell");
        let cluster = Self { dir, programs, keeper };
        cluster.wait_until_ready();
        cluster
    }

    /// Makes an empty database and gives its URL.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn fresh_database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("story_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let created = Command::new(format!("{}psql", self.programs))
            .arg("--host")
            .arg(&self.dir)
            .args(["--username=postgres", "--no-psqlrc", "--dbname=postgres", "--quiet", "--command"])
            .arg(format!("CREATE DATABASE {name} TEMPLATE template0"))
            .output()
            .expect("psql is where initdb is");
        assert!(created.status.success(), "no database: {}", String::from_utf8_lossy(&created.stderr));
        format!("postgres://postgres@localhost/{name}?host={}", self.dir.display())
    }

    /// Writes a database down as SQL, while others work with it.
    ///
    /// # Panics
    /// When `pg_dump` fails.
    pub fn dump(&self, url: &str, file: &Path) {
        self.client("pg_dump", &["--file", &file.display().to_string(), database_of(url)]);
    }

    /// Replaces a database by one that was written down. Whoever is connected to it is thrown out.
    ///
    /// # Panics
    /// When PostgreSQL refuses.
    pub fn put_back(&self, url: &str, file: &Path) {
        let name = database_of(url);
        let say = |sql: &str| self.client("psql", &["--no-psqlrc", "--quiet", "--command", sql, "postgres"]);
        say(&format!("DROP DATABASE {name} WITH (FORCE)"));
        say(&format!("CREATE DATABASE {name} TEMPLATE template0"));
        let file = file.display().to_string();
        self.client(
            "psql",
            &["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file", &file, name],
        );
    }

    /// Runs a statement on a database.
    ///
    /// # Panics
    /// When PostgreSQL refuses.
    pub fn run(&self, url: &str, statement: &str) {
        self.client("psql", &["--no-psqlrc", "--quiet", "--command", statement, database_of(url)]);
    }

    fn client(&self, program: &str, args: &[&str]) {
        let done = Command::new(format!("{}{program}", self.programs))
            .arg("--host")
            .arg(&self.dir)
            .arg("--username=postgres")
            .args(args)
            .output()
            .unwrap_or_else(|error| panic!("{program} is where initdb is: {error}"));
        assert!(done.status.success(), "{program} {args:?} failed: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Ends the server at once, without a checkpoint, as a crash of its machine's power would for all who are connected.
    ///
    /// # Panics
    /// When it does not end.
    pub fn kill(&mut self) {
        let killed = self.dir.join("killed");
        self.say("kill");
        wait("the server's end", || std::fs::remove_file(&killed).is_ok());
    }

    /// Starts it again after [`Cluster::kill`], on the same files.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.say("start");
        self.wait_until_ready();
    }

    /// The id of its first process.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn pid(&self) -> i32 {
        let noted = std::fs::read_to_string(self.dir.join("data/postmaster.pid")).expect("a running server");
        noted.lines().next().and_then(|line| line.parse().ok()).expect("its first line is the process's id")
    }

    fn say(&mut self, word: &str) {
        let stdin = self.keeper.stdin.as_mut().expect("open until we end");
        writeln!(stdin, "{word}").expect("the keeper listens");
    }

    fn wait_until_ready(&self) {
        // PostgreSQL writes `ready` into the last line of this file when it takes connections.
        let pid_file = self.dir.join("data/postmaster.pid");
        wait("the private PostgreSQL's start", || {
            std::fs::read_to_string(&pid_file).is_ok_and(|text| text.contains("ready"))
        });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // It ends by itself now; waiting for it leaves no zombie.
        let _ = self.keeper.wait();
    }
}

/// The name in a URL of [`Cluster::fresh_database`].
fn database_of(url: &str) -> &str {
    let path = url.rsplit('/').find(|part| part.starts_with("story_")).unwrap_or_default();
    path.split('?').next().unwrap_or_default()
}

fn wait(what: &str, done: impl Fn() -> bool) {
    for _ in 0..1200 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("it did not come to this within 30 s: {what}");
}

/// PostgreSQL refuses to run as root; then its own user must do.
fn unprivileged() -> Option<nix::unistd::User> {
    nix::unistd::geteuid().is_root().then(|| {
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| nix::unistd::User::from_name(name).ok().flatten())
            .expect("PostgreSQL refuses root, and there is neither a user postgres nor nobody; install postgresql")
    })
}

fn as_user(program: &str) -> Command {
    let mut command = Command::new(program);
    if let Some(user) = unprivileged() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

/// Where PostgreSQL's programs are: Debian keeps them off the path, by version. Empty: on the path.
fn programs() -> String {
    let has_postgres = |bin: &Path| bin.join("postgres").exists() && bin.join("initdb").exists();
    let newest = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|bin| has_postgres(bin))
        .max_by_key(|bin| bin.parent().and_then(Path::file_name).and_then(|v| v.to_str()?.parse::<u32>().ok()));
    newest.map_or_else(String::new, |bin| format!("{}/", bin.display()))
}
