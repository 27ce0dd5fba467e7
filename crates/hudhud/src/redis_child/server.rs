//! One Redis server process: finding its binary, starting it tied to its parent, asking whether it answers, ending it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The hidden subcommand: `hudhud __with-parent PID PROGRAM ARG…`.
pub const WITH_PARENT: &str = "__with-parent";

/// There is no Redis server on this machine.
#[derive(Debug, thiserror::Error)]
#[error(
    "no Redis server was found: looked for {looked_for}. Install the package redis-server (Debian, Ubuntu), redis \
     (Fedora, Alpine, Homebrew) or valkey, or set HUDHUD_REDIS_URL to a Redis that runs elsewhere"
)]
pub struct NoServer {
    /// What was tried.
    pub looked_for: String,
}

/// Whether a server answers on the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pulse {
    Answers,
    /// It reads its log from disk and will answer.
    Loading,
    None,
}

/// How to start the server of one directory.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) launcher: PathBuf,
    pub(super) program: PathBuf,
    pub(super) dir: PathBuf,
    pub(super) socket: PathBuf,
}

impl Server {
    pub(super) fn spawn(&self) -> anyhow::Result<Child> {
        let mut command = Command::new(&self.launcher);
        command.arg(WITH_PARENT).arg(std::process::id().to_string()).arg(&self.program);
        command.args(["--port", "0", "--unixsocketperm", "700", "--unixsocket"]).arg(&self.socket);
        // The append-only log is the only file it keeps: what a crash loses of it (a second) is in SQL anyway.
        command.args(["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]);
        // A full Redis must refuse new tasks; evicting would lose some in silence.
        command.args(["--maxmemory-policy", "noeviction", "--daemonize", "no", "--dir"]).arg(&self.dir);
        command.arg("--logfile").arg(self.log());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Its own group: a Ctrl-C on the terminal is for us, who still need it while draining.
        command.process_group(0);
        command.spawn().with_context(|| format!("starting {}", self.program.display()))
    }

    /// Asks with Redis's inline command, the one line of its protocol that needs no client.
    pub(super) fn pulse(&self) -> Pulse {
        let ask = || -> std::io::Result<Pulse> {
            let mut stream = UnixStream::connect(&self.socket)?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.set_write_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(b"PING\r\n")?;
            let mut answer = [0; 32];
            let length = stream.read(&mut answer)?;
            Ok(match &answer[..length] {
                answer if answer.starts_with(b"+PONG") => Pulse::Answers,
                answer if answer.starts_with(b"-LOADING") => Pulse::Loading,
                _ => Pulse::None,
            })
        };
        ask().unwrap_or(Pulse::None)
    }

    /// Asks the child to end, waits up to `patience`, then kills it. It is reaped when this returns.
    pub(super) fn end(&self, child: &mut Child, patience: Duration) {
        let deadline = Instant::now() + patience;
        if let Ok(pid) = i32::try_from(child.id()) {
            // It may have ended by itself just now.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        while Instant::now() < deadline {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
    }

    /// The last line of its log, for the message about its death.
    pub(super) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("(nothing)").trim().to_owned()
    }

    fn log(&self) -> PathBuf {
        self.dir.join("redis.log")
    }
}

/// The server binary: `$REDIS_SERVER_BIN`, else `redis-server` or `valkey-server` on the `PATH`.
///
/// # Errors
/// [`NoServer`] when there is none. A `$REDIS_SERVER_BIN` that is no file is not passed over in silence.
pub fn find_server() -> Result<PathBuf, NoServer> {
    find_among(std::env::var_os("REDIS_SERVER_BIN").as_deref(), std::env::var_os("PATH").as_deref())
}

fn find_among(named: Option<&std::ffi::OsStr>, path: Option<&std::ffi::OsStr>) -> Result<PathBuf, NoServer> {
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        let named = Path::new(named);
        return if named.is_file() {
            Ok(named.to_owned())
        } else {
            Err(NoServer { looked_for: format!("{} ($REDIS_SERVER_BIN)", named.display()) })
        };
    }
    let names = ["redis-server", "valkey-server"];
    let mut candidates =
        names.iter().flat_map(|name| path.iter().flat_map(std::env::split_paths).map(move |dir| dir.join(name)));
    candidates.find(|candidate| candidate.is_file()).ok_or_else(|| NoServer {
        looked_for: "$REDIS_SERVER_BIN, redis-server and valkey-server on the PATH".to_owned(),
    })
}

/// The hidden subcommand: ties this process's life to its parent's, then becomes the program. Returns only to fail.
///
/// # Errors
/// When the arguments are not those of [`WITH_PARENT`], the parent is gone already, or the program cannot be run.
pub fn run_with_parent(arguments: &[std::ffi::OsString]) -> anyhow::Result<std::convert::Infallible> {
    let [parent, program, rest @ ..] = arguments else { bail!("expected: {WITH_PARENT} PID PROGRAM ARG…") };
    let parent: i32 = parent.to_str().and_then(|pid| pid.parse().ok()).context("the parent's process id")?;
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("asking to die with the parent")?;
    // The parent may have died before the line above took effect, and then nobody would send the signal.
    if nix::unistd::getppid().as_raw() != parent {
        bail!("the parent is gone");
    }
    let error = Command::new(program).args(rest).exec();
    Err(error).with_context(|| format!("running {}", Path::new(program).display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn the_named_binary_comes_first_and_is_never_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let valkey = dir.path().join("valkey-server");
        std::fs::write(&valkey, "").unwrap();
        let path = Some(dir.path().as_os_str());
        assert_eq!(find_among(None, path).unwrap(), valkey);
        let redis = dir.path().join("redis-server");
        std::fs::write(&redis, "").unwrap();
        assert_eq!(find_among(None, path).unwrap(), redis);
        assert_eq!(find_among(Some(valkey.as_os_str()), path).unwrap(), valkey);
        let missing = find_among(Some(OsStr::new("/nowhere/redis")), path).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/redis"), "{missing}");
    }

    #[test]
    fn without_a_binary_the_message_names_the_package_to_install() {
        let dir = tempfile::tempdir().unwrap();
        let missing = find_among(None, Some(dir.path().as_os_str())).unwrap_err().to_string();
        assert!(missing.contains("redis-server (Debian") && missing.contains("HUDHUD_REDIS_URL"), "{missing}");
    }
}
