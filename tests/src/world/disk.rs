//! The database as a file and as a server: its disk, its copies, and statements past Hudhud.

use std::path::PathBuf;

use super::*;

impl World {
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
