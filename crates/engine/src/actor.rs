//! Who did it, as it stands in the ledger and beside every change.

use std::fmt;

/// Who asked for something: `cli:amr` (a command on this machine), `key:name` (an API key), `user:email`, `system`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Actor(pub String);

impl Actor {
    /// Hudhud itself: the scheduler, the sweeper, a webhook.
    #[must_use]
    pub fn system() -> Self {
        Self("system".to_owned())
    }

    /// A command of a person on this machine.
    #[must_use]
    pub fn cli(user: &str) -> Self {
        Self(format!("cli:{user}"))
    }

    /// The holder of an API key, by the key's name.
    #[must_use]
    pub fn key(name: &str) -> Self {
        Self(format!("key:{name}"))
    }

    /// A user who signed in, by their address.
    #[must_use]
    pub fn user(email: &str) -> Self {
        Self(format!("user:{email}"))
    }

    /// The name in full.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
