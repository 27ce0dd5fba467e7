//! The command line, as a function.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

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

/// Runs `hudhud ARGS --json` with exactly this environment.
///
/// # Panics
/// When it does not end, or prints what is not one JSON document.
pub(crate) async fn hudhud(args: &[&str], environment: &[(String, String)], dir: &std::path::Path) -> Answer {
    let mut command = tokio::process::Command::new(executable(Executable::Hudhud));
    command.args(args).arg("--json").env_clear().envs(environment.iter().map(|(key, value)| (key, value)));
    command.current_dir(dir).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LONGEST, command.output());
    let text = args.join(" ");
    let output = match output.await {
        Ok(output) => output.expect("hudhud runs"),
        Err(_) => panic!("hudhud {text} did not end within {LONGEST:?}"),
    };
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let json = match serde_json::from_str(&stdout) {
        Ok(json) => json,
        Err(_) if stdout.trim().is_empty() => Value::Null,
        Err(error) => panic!("hudhud {text} --json printed what is not one document ({error}): {stdout}"),
    };
    // A signal would have no code; nobody sends one to a command.
    Answer { command: text, code: output.status.code().unwrap_or(-1), json, stderr }
}
