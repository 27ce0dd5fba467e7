//! The command line, as a function.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, ChildStdin};

use crate::executables::{Executable, executable};

/// No command of a story takes longer.
const LONGEST: Duration = Duration::from_secs(240);

/// What a command answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The command, for messages.
    pub command: String,
    /// Its exit code.
    pub code: i32,
    /// The document on its standard output; null if there was none.
    pub json: Value,
    /// Its standard error.
    pub stderr: String,
}

impl Answer {
    /// The document of a command that succeeded.
    ///
    /// # Panics
    /// When it did not.
    #[must_use]
    pub fn ok(self) -> Value {
        self.coded(0)
    }

    /// The document of a command that had to end with this code.
    ///
    /// # Panics
    /// When it ended with another one.
    #[must_use]
    pub fn coded(self, code: i32) -> Value {
        assert!(
            self.code == code,
            "hudhud {} ended with {} instead of {code}; it printed {} and said: {}",
            self.command,
            self.code,
            self.json,
            self.stderr
        );
        self.json
    }
}

/// A command that was started and reads its standard input.
#[derive(Debug)]
pub struct Started {
    command: String,
    child: Child,
}

impl Started {
    /// The open end of its standard input, which is closed when this is dropped. To be taken once.
    ///
    /// # Panics
    /// When it was taken before.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("taken once")
    }

    /// Its process.
    ///
    /// # Panics
    /// When its end was seen already.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("a running process")
    }

    /// SIGKILL, and waits for its end.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("our own process");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it prints what is not one JSON document.
    pub async fn answer(self) -> Answer {
        let Self { command, child } = self;
        let output = child.wait_with_output().await.expect("hudhud runs");
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let json = match serde_json::from_str(&stdout) {
            Ok(json) => json,
            Err(_) if stdout.trim().is_empty() => Value::Null,
            Err(error) => {
                panic!("hudhud {command} --json printed what is not one document ({error}): {stdout}")
            }
        };
        // Whom a signal ended has no code.
        Answer { command, code: output.status.code().unwrap_or(-1), json, stderr }
    }
}

/// Starts `hudhud ARGS --json` with exactly this environment. It dies with its handle.
pub(crate) fn start(args: &[&str], environment: &[(String, String)], dir: &Path, stdin: Stdio) -> Started {
    let mut command = tokio::process::Command::new(executable(Executable::Hudhud));
    command.args(args).arg("--json").env_clear().envs(environment.iter().map(|(key, value)| (key, value)));
    command.current_dir(dir).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Started { command: args.join(" "), child: command.spawn().expect("hudhud runs") }
}

/// Runs `hudhud ARGS --json` with exactly this environment.
///
/// # Panics
/// When it does not end, or prints what is not one JSON document.
pub(crate) async fn hudhud(args: &[&str], environment: &[(String, String)], dir: &Path) -> Answer {
    let started = start(args, environment, dir, Stdio::null());
    match tokio::time::timeout(LONGEST, started.answer()).await {
        Ok(answer) => answer,
        Err(_) => panic!("hudhud {} did not end within {LONGEST:?}", args.join(" ")),
    }
}
