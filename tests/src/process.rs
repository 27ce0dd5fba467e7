//! A child process: its signals, its log, its end.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::until;

/// How many lines of its log a failed story shows.
const SHOWN: usize = 60;

/// A running child. Killed when dropped; when the story failed, the end of its log is printed.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts a command whose standard error, and whose standard output unless it is piped already, go to `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(name: &str, mut command: Command, log: &Path, piped: bool) -> Self {
        let file = || -> File {
            OpenOptions::new().create(true).append(true).open(log).expect("a file for the process's log")
        };
        command.stdin(Stdio::null()).stderr(file());
        if piped {
            command.stdout(Stdio::piped());
        } else {
            command.stdout(file());
        }
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.to_owned(), log: log.to_owned(), child }
    }

    pub(crate) fn stdout(&mut self) -> std::process::ChildStdout {
        self.child.stdout.take().expect("spawned with a pipe")
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("process ids fit"))
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&mut self, signal: Signal) {
        assert!(self.is_running(), "{} is gone already, and {signal} was for it", self.name);
        kill(self.pid(), signal).expect("a signal to our own child");
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        // It may just have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it still runs after `bound`.
    pub async fn ended(&mut self, bound: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        until(&what, bound, async || self.child.try_wait().expect("our own child")).await
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Fails the story when the process is gone.
    ///
    /// # Panics
    /// With the end of its log.
    pub fn expect_running(&mut self) {
        if let Ok(Some(status)) = self.child.try_wait() {
            panic!("{} has ended ({status})", self.name);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(SHOWN);
            eprintln!(
                "--- {} (the last {} of {} lines of {})",
                self.name,
                lines.len() - from,
                lines.len(),
                self.log.display()
            );
            for line in &lines[from..] {
                eprintln!("{line}");
            }
        }
    }
}
