//! Redis, spoken to in the one line of its protocol that needs no client.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::executables::tethered;
use crate::ports;
use crate::process::Process;
use crate::wait::until;

/// Says one line to a Redis and gives its answer, up to 16 KiB of it.
///
/// # Errors
/// When the stream breaks.
pub fn inline(stream: &mut (impl Read + Write), line: &str) -> std::io::Result<String> {
    stream.write_all(line.as_bytes())?;
    stream.write_all(b"\r\n")?;
    let mut answer = vec![0; 16 * 1024];
    let length = stream.read(&mut answer)?;
    answer.truncate(length);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A Redis that keeps nothing on disk, and that a story may kill.
#[derive(Debug)]
pub struct PrivateRedis {
    addr: SocketAddr,
    dir: PathBuf,
    process: Option<Process>,
}

impl PrivateRedis {
    /// Starts one, in a directory for its log.
    ///
    /// # Panics
    /// When there is no `redis-server`.
    pub async fn start(dir: PathBuf) -> Self {
        std::fs::create_dir_all(&dir).expect("a directory for Redis");
        let mut redis = Self { addr: ports::free(), dir, process: None };
        redis.restart().await;
        redis
    }

    /// What `HUDHUD_REDIS_URL` takes.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    /// SIGKILL. Everything in it is gone.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Starts it again, empty.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.kill();
        let program = std::env::var_os("REDIS_SERVER_BIN").filter(|named| !named.is_empty());
        let mut command = tethered(&program.map_or_else(|| PathBuf::from("redis-server"), PathBuf::from));
        command.args(["--bind", "127.0.0.1", "--port", &self.addr.port().to_string(), "--save", ""]);
        command.args(["--appendonly", "no", "--daemonize", "no", "--dir"]).arg(&self.dir);
        self.process = Some(Process::spawn("the private Redis", command, &self.dir.join("redis.log"), false));
        until("a private Redis that answers", Duration::from_secs(15), async || {
            self.say("PING").ok().filter(|answer| answer.starts_with("+PONG"))
        })
        .await;
    }

    /// Forgets everything.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn flush(&self) {
        let answer = self.say("FLUSHALL").expect("Redis answers");
        assert!(answer.starts_with("+OK"), "{answer}");
    }

    /// Says a line to it and gives its answer.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn command(&self, line: &str) -> String {
        self.say(line).expect("Redis answers")
    }

    fn say(&self, line: &str) -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect(self.addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        inline(&mut stream, line)
    }
}
