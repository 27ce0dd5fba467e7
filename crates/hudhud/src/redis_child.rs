//! The private Redis: a child of this process, in the data directory, on a unix socket only.
//!
//! It dies with its parent, however the parent ends: the child asks the kernel for it (`PR_SET_PDEATHSIG`) before it
//! becomes Redis, in the hidden subcommand [`WITH_PARENT`]. The kernel ties that to the *thread* that made the child,
//! so one thread keeps the child and lives as long as the process. A Redis that another process of this data directory
//! keeps is adopted: used while it answers, replaced when it does not.

mod server;

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use tokio::sync::watch;

use crate::sockets;
use server::{Pulse, Server};

pub use server::{NoServer, WITH_PARENT, find_server, run_with_parent};

/// A Redis that does not answer by then is not going to. One that loads a long log says so, and is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often the keeper looks.
const TICK: Duration = Duration::from_millis(50);
/// How often an adopted Redis is asked whether it still answers.
const PULSE: Duration = Duration::from_millis(500);
/// Redis writes its log's last second out before it ends; then it is killed.
const FAREWELL: Duration = Duration::from_secs(5);

/// A private Redis that answers. Dropped without [`ManagedRedis::stop`], it lives until the process ends.
#[derive(Debug)]
pub struct ManagedRedis {
    url: String,
    stopping: Arc<AtomicBool>,
    keeper: thread::JoinHandle<()>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Ready,
    Failed(String),
}

impl ManagedRedis {
    /// Starts or adopts the Redis of this data directory and waits until it answers.
    ///
    /// `launcher` is this executable; the child starts as its hidden subcommand.
    ///
    /// # Errors
    /// [`NoServer`] when there is no server binary; otherwise what Redis said before it ended.
    pub async fn start(data_dir: &Path, launcher: &Path) -> anyhow::Result<Self> {
        let dir = data_dir.join("redis");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .with_context(|| format!("creating {}", dir.display()))?;
        let socket = sockets::path(data_dir, "redis/redis.sock")?;
        let program = find_server()?;
        let url = format!("redis+unix://{}", socket.display());
        let server = Server { launcher: launcher.to_owned(), program, dir, socket };
        let stopping = Arc::new(AtomicBool::new(false));
        let (tell, mut state) = watch::channel(State::Starting);
        let keeper = thread::Builder::new().name("redis-keeper".to_owned()).spawn({
            let stopping = Arc::clone(&stopping);
            move || Keeper { server, tell, stopping }.keep()
        })?;
        let redis = Self { url, stopping, keeper };
        let state = state.wait_for(|state| *state != State::Starting).await.map(|state| state.clone());
        match state {
            Ok(State::Ready) => Ok(redis),
            Ok(State::Failed(why)) => Err(anyhow!("the private Redis does not start: {why}")),
            Ok(State::Starting) | Err(_) => Err(anyhow!("the keeper of the private Redis ended")),
        }
    }

    /// How clients reach it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends the child in order, and waits for it; an adopted Redis is left to its own parent.
    pub async fn stop(self) {
        self.stopping.store(true, Ordering::SeqCst);
        let keeper = self.keeper;
        // The thread only ends early by a panic, and there is nothing left to stop then.
        let _ = tokio::task::spawn_blocking(move || keeper.join()).await;
    }
}

/// Runs on the one thread that may make the child.
struct Keeper {
    server: Server,
    tell: watch::Sender<State>,
    stopping: Arc<AtomicBool>,
}

impl Keeper {
    fn keep(self) {
        let mut backoff = Duration::from_millis(100);
        let mut early_deaths = 0;
        while !self.is_stopping() {
            if self.server.pulse() == Pulse::Answers {
                self.ready("adopted the private Redis of another process");
                self.watch_adopted();
                continue;
            }
            let Some(_lock) = self.lock() else {
                // Whoever has the lock is starting it.
                thread::sleep(TICK);
                continue;
            };
            let born = Instant::now();
            let why = match self.run_child() {
                Ok(None) => return,
                Ok(Some(why)) => why,
                Err(error) => format!("{error:#}"),
            };
            if *self.tell.borrow() == State::Starting {
                early_deaths += 1;
                if early_deaths == 3 {
                    self.tell.send_replace(State::Failed(why));
                    return;
                }
            } else {
                tracing::error!(%why, "the private Redis ended; starting it again, nothing is lost");
            }
            if born.elapsed() > Duration::from_secs(10) {
                backoff = Duration::from_millis(100);
            }
            self.sleep(backoff);
            backoff = (backoff * 2).min(Duration::from_secs(5));
        }
    }

    /// One life of the child. `Ok(None)`: it was stopped. `Ok(Some)`: it ended by itself, and why.
    fn run_child(&self) -> anyhow::Result<Option<String>> {
        let mut child = self.server.spawn()?;
        let born = Instant::now();
        let mut is_ready = false;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(format!("{status}; its log ends with: {}", self.server.last_words())));
            }
            if self.is_stopping() {
                self.server.end(&mut child, FAREWELL);
                return Ok(None);
            }
            if !is_ready {
                match self.server.pulse() {
                    Pulse::Answers => {
                        is_ready = true;
                        self.ready("the private Redis answers");
                    }
                    Pulse::Loading => {}
                    Pulse::None if born.elapsed() > PATIENCE => {
                        self.server.end(&mut child, Duration::ZERO);
                        return Ok(Some(format!("it did not answer within {} s", PATIENCE.as_secs())));
                    }
                    Pulse::None => {}
                }
            }
            thread::sleep(if is_ready { TICK } else { TICK / 5 });
        }
    }

    fn watch_adopted(&self) {
        while !self.is_stopping() && self.server.pulse() == Pulse::Answers {
            self.sleep(PULSE);
        }
    }

    /// Only the process that holds this lock may start a child in the directory.
    fn lock(&self) -> Option<File> {
        let path: PathBuf = self.server.dir.join("keeper.lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        match file.map(|file| (file.try_lock(), file)) {
            Ok((Ok(()), file)) => Some(file),
            Ok((Err(TryLockError::WouldBlock), _)) => None,
            Ok((Err(TryLockError::Error(error)), _)) | Err(error) => {
                tracing::error!(%error, path = %path.display(), "cannot lock the private Redis's directory");
                self.sleep(Duration::from_secs(1));
                None
            }
        }
    }

    fn ready(&self, what: &'static str) {
        let before = self.tell.send_replace(State::Ready);
        tracing::info!(again = before == State::Ready, socket = %self.server.socket.display(), "{what}");
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.is_stopping() && Instant::now() < until {
            thread::sleep(TICK.min(time));
        }
    }
}
