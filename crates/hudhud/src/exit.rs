//! Exit codes (contract.md): how a command's end is told to a script.

use std::process::ExitCode;

use engine::Fault;

use crate::client::Unreachable;
use crate::http::problem::{Kind, Problem};
use crate::lock::Held;
use crate::settings::SettingsError;

/// How a command ended that did what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All of it.
    Done,
    /// Done, but with rejected rows or failed messages.
    DoneWithRejects,
    /// The preflight would refuse; nothing was sent.
    PreflightRefuses,
    /// It was not over in time.
    TimedOut,
    /// A check did not pass.
    Failed,
    /// The ledger's chain does not hold.
    LedgerBroken,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::TimedOut | Exit::Failed => 1,
            Exit::DoneWithRejects => 3,
            Exit::PreflightRefuses => 4,
            Exit::LedgerBroken => 9,
        })
    }
}

/// What was asked cannot be understood: as from clap, but found later.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The exit code of a command that failed so.
#[must_use]
pub fn code_of(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if let Some(problem) = cause.downcast_ref::<Problem>() {
            return problem.exit_code();
        }
        if let Some(fault) = cause.downcast_ref::<Fault>() {
            return Kind::from(fault.kind).exit_code();
        }
        if cause.is::<Usage>() || cause.is::<SettingsError>() {
            return 2;
        }
        if cause.is::<Unreachable>() || cause.is::<Held>() {
            return 8;
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn every_failure_has_the_contracts_code_however_deep_its_cause_lies() {
        let deep = |cause: anyhow::Error| Err::<(), _>(cause).context("while").context("doing").unwrap_err();
        assert_eq!(code_of(&deep(Fault::not_found("no such list").into())), 5);
        assert_eq!(code_of(&deep(Fault::unavailable("the database").into())), 8);
        assert_eq!(code_of(&deep(Usage("no".to_owned()).into())), 2);
        assert_eq!(code_of(&anyhow::anyhow!("disk on fire")), 1);
        let held = Held { path: "x".into(), holder: "y".to_owned() };
        assert_eq!(code_of(&deep(held.into())), 8);
    }
}
