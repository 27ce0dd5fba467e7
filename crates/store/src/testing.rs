//! Databases for tests: a fresh SQLite file, and a fresh database on a private PostgreSQL, for every test.
//!
//! One PostgreSQL server per test process, on a socket in a directory of its own and no port, ended when the process
//! ends in whichever way. Compiled only for tests, here and (by the feature `testing`) in the crates above.

#![expect(clippy::panic, reason = "a test without its database must fail, and say why")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::db::on;
use crate::{EntryRow, NewAccount, NewEntry, Priority, Store};

/// A fresh, migrated database of one test.
#[derive(Debug)]
pub struct Database {
    /// Open.
    pub store: Store,
    /// What [`Store::open`] takes.
    pub url: String,
    _dir: Option<TempDir>,
}

impl Database {
    /// A fresh SQLite file, gone when dropped.
    pub async fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite://{}", dir.path().join("hudhud.db").display());
        let store = Store::open(&url).await.expect("a fresh SQLite file opens");
        Self { store, url, _dir: Some(dir) }
    }

    /// A fresh database on this process's PostgreSQL, gone when the process ends.
    pub async fn postgres() -> Self {
        let url = Server::of_this_process().migrated_database().await;
        let store = Store::open(&url).await.expect("a fresh PostgreSQL database opens");
        Self { store, url, _dir: None }
    }

    /// A second, separate handle to the same database, as another process would have.
    pub async fn second_handle(&self) -> Store {
        Store::open(&self.url).await.expect("the database opens once more")
    }
}

/// Writes each test once and runs it on both databases: `story::sqlite` and `story::postgres`.
#[macro_export]
macro_rules! on_both_databases {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident : $database:ty) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports, reason = "a story uses what it needs of its neighbours")]
            use super::*;

            async fn story($db: $database) $body

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                story($crate::testing::Database::sqlite().await).await;
            }

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                story($crate::testing::Database::postgres().await).await;
            }
        }
    )+};
}
pub use on_both_databases;

/// A campaign of `n` sends in doubt, and nothing else of it: made by hand, with what it needs. `claimed_at` tells when
/// the first (0), second … was claimed. The campaign's id.
pub async fn in_doubt(store: &Store, name: &str, n: i64, claimed_at: impl Fn(i64) -> i64) -> i64 {
    let mut tx = store.write(Priority::Urgent).await.expect("a fresh database");
    let run = async |tx: &mut crate::db::Link, sql: String| {
        let sql = sqlx::AssertSqlSafe(sql);
        on!(tx, c => sqlx::query(sql).execute(c).await.map(drop)).expect("a row of a test");
    };
    for (table, columns, row) in [
        (
            "accounts",
            "id, name, waba_id, access_token, app_secret, verify_token, created_at",
            "901, 'made', '901', '', '', '', 1",
        ),
        ("numbers", "id, account_id, phone_number_id, synced_at", "901, 901, '901', 1"),
        (
            "templates",
            "id, account_id, name, language, status, category, components, synced_at",
            "901, 901, 'made', 'en', 'APPROVED', 'MARKETING', '[]', 1",
        ),
    ] {
        run(&mut tx, format!("INSERT INTO {table} ({columns}) VALUES ({row}) ON CONFLICT DO NOTHING")).await;
    }
    let campaign = on!(&mut tx, c => sqlx::query_scalar::<_, i64>("INSERT INTO campaigns
        (name, state, account_id, template_id, template, params, created_by, created_at, audience, planned, launched_at)
        VALUES ($1, 2, 901, 901, '{}', '{}', 'test', 1, $2, TRUE, 1) RETURNING id").bind(name).bind(n).fetch_one(c).await)
    .expect("a campaign");
    for place in 0..n {
        let (person, phone, at) = (900_000 + place, 15_550_100_000 + place, claimed_at(place));
        run(
            &mut tx,
            format!(
                "INSERT INTO contacts (id, phone_key, phone, created_at, updated_at)
            VALUES ({person}, {phone}, {phone}, 1, 1) ON CONFLICT DO NOTHING"
            ),
        )
        .await;
        run(
            &mut tx,
            format!(
                "INSERT INTO sends (campaign_id, contact_id, number_id, state, attempt, claimed_at, term)
            VALUES ({campaign}, {person}, 901, 2, 1, {at}, 1)"
            ),
        )
        .await;
    }
    run(
        &mut tx,
        format!("INSERT INTO tallies (campaign_id, number_id, state, detail, n) VALUES ({campaign}, 901, 2, '', {n})"),
    )
    .await;
    tx.commit().await.expect("rows of a test");
    campaign
}

/// Adds an account of that name, with made-up secrets, and gives its id.
pub async fn account(store: &Store, name: &str) -> i64 {
    let new = NewAccount {
        name,
        waba_id: &format!("waba-{name}"),
        portfolio: None,
        access_token: b"token",
        app_secret: b"secret",
        verify_token: b"word",
        now: 1_700_000_000_000,
    };
    store.add_account(new).await.expect("the name is free")
}

/// A ledger entry of that kind, with nothing in it.
#[must_use]
pub fn entry(kind: &'static str, at: i64) -> NewEntry {
    NewEntry {
        at,
        kind,
        actor: "test".to_owned(),
        contact_id: None,
        campaign_id: None,
        import_id: None,
        detail: "{}".to_owned(),
        salt: vec![1; 16],
        commitment: vec![2; 32],
    }
}

impl Store {
    /// Everything that anybody finds who takes the database away: the bytes of the file and its log, or every row of
    /// every table as text (bytes in hexadecimal).
    pub async fn everything(&self) -> Vec<u8> {
        let mut link = self.read().await.expect("a connection");
        match &mut link {
            crate::db::Link::Sqlite(held, _) => {
                let (_, _, file): (i64, String, String) =
                    sqlx::query_as("PRAGMA database_list").fetch_one(&mut **held).await.expect("a file");
                let mut bytes = std::fs::read(&file).expect("the file");
                bytes.extend(std::fs::read(format!("{file}-wal")).unwrap_or_default());
                bytes
            }
            crate::db::Link::Postgres(held) => {
                let tables: Vec<String> =
                    sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
                        .fetch_all(&mut **held)
                        .await
                        .expect("the tables");
                let mut all = Vec::new();
                for table in tables {
                    let sql = sqlx::AssertSqlSafe(format!("SELECT t::text FROM \"{table}\" t"));
                    let rows: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut **held).await.expect("the rows");
                    all.extend(rows.join("\n").into_bytes());
                }
                all
            }
        }
    }

    /// Changes rows behind everybody's back, as somebody with the database's password could.
    ///
    /// # Panics
    /// When the statement fails.
    pub async fn tamper(&self, sql: impl Into<String>) {
        let sql = sqlx::AssertSqlSafe(sql.into());
        let mut tx = self.write(Priority::Urgent).await.expect("the writer");
        // Whoever owns the database can take its triggers off; that is what the chain is for.
        let (entries, facts) = (
            tx.pick("DROP TRIGGER IF EXISTS ledger_keeps_entries", "ALTER TABLE ledger DISABLE TRIGGER USER"),
            tx.pick("DROP TRIGGER IF EXISTS ledger_keeps_facts", "SELECT 1"),
        );
        for guard in [entries, facts] {
            on!(&mut tx, c => sqlx::query(guard).execute(c).await.map(drop)).expect("the guards of the ledger");
        }
        on!(&mut tx, c => sqlx::query(sql).execute(c).await.map(drop)).expect("a statement that runs");
        tx.commit().await.expect("the commit");
    }

    /// Puts ledger entries back as they were.
    ///
    /// # Panics
    /// When they are there.
    pub async fn put_entries(&self, rows: &[EntryRow]) {
        let mut tx = self.write(Priority::Urgent).await.expect("the writer");
        for row in rows {
            on!(&mut tx, c => sqlx::query(
                "INSERT INTO ledger (id, at, kind, actor, contact_id, campaign_id, import_id, detail, salt, commitment,
                                     sealed_seq, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
                .bind(row.id).bind(row.at).bind(&row.kind).bind(&row.actor).bind(row.contact_id).bind(row.campaign_id)
                .bind(row.import_id).bind(&row.detail).bind(&row.salt).bind(&row.commitment).bind(row.sealed_seq)
                .bind(&row.hash).execute(c).await.map(drop))
            .expect("the entry is not there");
        }
        tx.commit().await.expect("the commit");
    }
}

/// A private PostgreSQL server. It lives as long as the process that started it, and not a moment longer: a shell
/// between the two waits for the end of its standard input, which the kernel closes when that process ends.
#[derive(Debug)]
pub struct Server {
    dir: PathBuf,
    #[cfg_attr(not(test), expect(dead_code, reason = "it is held, not read"))]
    /// Holds the open end of the shell's standard input.
    keeper: Child,
}

/// `$1` the programs' directory with a slash, or nothing; `$2` the data directory, which is removed at the end.
const KEEPER: &str = r#"
"$1postgres" -D "$2/data" -k "$2" -c listen_addresses= -c max_connections=400 -c shared_buffers=64MB \
    -c fsync=off -c full_page_writes=off -c autovacuum=off >"$2/log" 2>&1 </dev/null &
server=$!
read -r _
kill -QUIT "$server" 2>/dev/null
wait "$server"
rm -rf "$2"
"#;

impl Server {
    /// The server of this process, started by the first who asks.
    pub fn of_this_process() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    /// Starts a server of its own.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start: these tests are not to be skipped.
    pub fn start() -> Self {
        let programs = programs();
        let dir = tempfile::Builder::new().prefix("hudhud-pg-").tempdir().expect("a temporary directory").keep();
        let user = unprivileged();
        if let Some(user) = &user {
            nix::unistd::chown(&dir, Some(user.uid), Some(user.gid)).expect("root may give a directory away");
        }
        let initdb = as_user(Command::new(format!("{programs}initdb")), user.as_ref())
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "-D"])
            .arg(dir.join("data"))
            .current_dir(&dir)
            .output()
            .unwrap_or_else(|error| panic!("PostgreSQL's initdb does not run ({error}); install postgresql"));
        assert!(initdb.status.success(), "initdb failed: {}", String::from_utf8_lossy(&initdb.stderr));
        let keeper = as_user(Command::new("sh"), user.as_ref())
            .args(["-c", KEEPER, "keeper", &programs])
            .arg(&dir)
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let server = Self { dir, keeper };
        server.wait_until_ready();
        server
    }

    /// The URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.dir.display())
    }

    /// Makes an empty database and gives its URL.
    pub async fn fresh_database(&self) -> String {
        self.url(&self.copy_of("template0").await)
    }

    /// Makes a database that is migrated already, which takes a fraction of migrating it, and gives its URL.
    async fn migrated_database(&self) -> String {
        static MODEL: OnceCell<String> = OnceCell::const_new();
        let model = MODEL.get_or_init(|| async {
            let name = self.copy_of("template0").await;
            let store = Store::open(&self.url(&name)).await.expect("a fresh PostgreSQL database opens");
            // Each copy is an installation of its own.
            store.tamper("DELETE FROM meta").await;
            // The copies' ledgers are guarded, as one that was just migrated is.
            store.tamper("ALTER TABLE ledger ENABLE TRIGGER USER").await;
            store.close().await;
            name
        });
        self.url(&self.copy_of(model.await).await)
    }

    async fn copy_of(&self, model: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&self.url("postgres")).await.expect("the private PostgreSQL answers");
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE {model}"));
        sqlx::query(create).execute(&mut admin).await.expect("a fresh database");
        admin.close().await.expect("closing");
        name
    }

    fn wait_until_ready(&self) {
        // PostgreSQL writes `ready` into the eighth line of this file when it takes connections.
        let pid_file = self.dir.join("data/postmaster.pid");
        for _ in 0..600 {
            if std::fs::read_to_string(&pid_file).is_ok_and(|text| text.contains("ready")) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        panic!("the private PostgreSQL did not start within 30 s; its log: {log}");
    }
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

fn as_user(mut command: Command, user: Option<&nix::unistd::User>) -> Command {
    use std::os::unix::process::CommandExt;
    if let Some(user) = user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

/// Where PostgreSQL's programs are: Debian keeps them off the path, by version. Empty: on the path.
fn programs() -> String {
    let newest = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|bin| has_postgres(bin))
        .max_by_key(|bin| bin.parent().and_then(Path::file_name).and_then(|v| v.to_str()?.parse::<u32>().ok()));
    newest.map_or_else(String::new, |bin| format!("{}/", bin.display()))
}

fn has_postgres(bin: &Path) -> bool {
    bin.join("postgres").exists() && bin.join("initdb").exists()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    async fn columns(store: &Store) -> BTreeSet<(String, String)> {
        let mut link = store.read().await.unwrap();
        let sql = link.pick(
            "SELECT m.name, c.name FROM sqlite_schema m JOIN pragma_table_xinfo(m.name) c
             WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%'",
            "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'",
        );
        let rows: Vec<(String, String)> = on!(&mut link, c => sqlx::query_as(sql).fetch_all(c).await).unwrap();
        rows.into_iter().filter(|(table, _)| table != "_sqlx_migrations").collect()
    }

    #[tokio::test]
    async fn both_databases_end_in_the_same_tables_and_columns() {
        let (sqlite, postgres) = tokio::join!(Database::sqlite(), Database::postgres());
        let (sqlite, postgres) = (columns(&sqlite.store).await, columns(&postgres.store).await);
        assert_eq!(sqlite.symmetric_difference(&postgres).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
        assert!(sqlite.len() > 150, "{} columns", sqlite.len());
    }

    #[test]
    fn a_private_server_ends_when_its_owner_lets_go_of_it() {
        let mut server = Server::start();
        let dir = server.dir.clone();
        assert!(dir.exists());
        drop(server.keeper.stdin.take());
        server.keeper.wait().unwrap();
        assert!(!dir.exists());
    }
}
