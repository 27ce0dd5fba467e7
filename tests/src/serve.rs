//! `hudhud serve`, as a process.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::process::Process;
use crate::simulator::client;

/// How long a start may take. Debug builds on a busy machine are slow.
const STARTED_WITHIN: Duration = Duration::from_secs(40);

/// A running `hudhud serve`. Derefs to its [`Process`].
#[derive(Debug)]
pub struct Serve {
    /// API, console and webhooks, if it has that role.
    pub api: SocketAddr,
    /// Health and metrics.
    pub admin: SocketAddr,
    /// Its data directory.
    pub data_dir: PathBuf,
    pub(crate) process: Process,
}

impl Deref for Serve {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Serve {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Serve {
    /// Waits until `/readyz` says so. When that was.
    ///
    /// # Panics
    /// When it ends before, or does not become ready.
    pub async fn ready(&mut self) -> Instant {
        let deadline = Instant::now() + STARTED_WITHIN;
        loop {
            self.process.expect_running();
            if self.admin_status("readyz").await == Some(200) {
                return Instant::now();
            }
            assert!(Instant::now() < deadline, "hudhud serve was not ready within {STARTED_WITHIN:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The status that a path of the admin port answers; `None` while nobody answers.
    pub async fn admin_status(&self, path: &str) -> Option<u16> {
        let answer = client().get(format!("http://{}/{path}", self.admin)).send().await;
        answer.ok().map(|answer| answer.status().as_u16())
    }

    /// What `/readyz?verbose` tells.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn health(&self) -> String {
        let answer = client().get(format!("http://{}/readyz?verbose", self.admin)).send().await;
        answer.expect("the admin port answers").text().await.expect("health is text")
    }

    /// What `/metrics` shows.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn metrics(&self) -> String {
        let answer =
            client().get(format!("http://{}/metrics", self.admin)).send().await.expect("the admin port answers");
        answer.text().await.expect("metrics are text")
    }

    /// How many messages the workers of this data directory have handed over in their lives, by their journals: one
    /// record of 24 bytes right before each POST. A worker that stops in order removes its own.
    ///
    /// # Panics
    /// When the journals cannot be read.
    #[must_use]
    pub fn handed_over(&self) -> u64 {
        const RECORD: u64 = 24;
        let journals = std::fs::read_dir(self.data_dir.join("journal")).expect("a worker keeps a journal");
        let bytes: u64 = journals
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|kind| kind == "journal"))
            .map(|entry| entry.metadata().map_or(0, |metadata| metadata.len()))
            .sum();
        bytes / RECORD
    }

    /// The address that webhooks go to.
    #[must_use]
    pub fn webhook_url(&self) -> String {
        format!("http://{}/webhooks/whatsapp", self.api)
    }
}
