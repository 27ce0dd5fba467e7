//! The executable from outside: exit codes, where words go, and the private Redis's life.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn hudhud(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hudhud"));
    // A developer's own settings must not reach in.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HUDHUD_") {
            command.env_remove(name);
        }
    }
    command.current_dir(dir).env("HUDHUD_DATA_DIR", dir.join("data")).stdin(Stdio::null());
    command.env("HUDHUD_GRAPH_URL", "http://127.0.0.1:9");
    command
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    hudhud(dir).args(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: stdout {text:?}, stderr {:?}", String::from_utf8_lossy(&output.stderr))
    })
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A `serve` on ports of its own, killed when the test ends.
struct Serve {
    child: Child,
    about: Value,
}

impl Serve {
    fn start(dir: &Path) -> Self {
        let mut child = hudhud(dir)
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        let about = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        Self { child, about }
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    fn redis_pid(&self, dir: &Path) -> i32 {
        let socket = dir.join("data/redis/redis.sock");
        let answer = ask_redis(&socket, "INFO server\r\n").expect("the private Redis answers");
        let line = answer.lines().find_map(|line| line.strip_prefix("process_id:")).expect("INFO names the process");
        line.trim().parse().unwrap()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask_redis(socket: &PathBuf, command: &str) -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(command.as_bytes()).ok()?;
    let mut answer = vec![0; 16 * 1024];
    let length = stream.read(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer[..length]).into_owned())
}

fn is_alive(pid: i32) -> bool {
    // A zombie that nobody has reaped yet is dead.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_wrong_setting_refuses_to_start_with_code_2_and_names_the_key() {
    let dir = tempfile::tempdir().unwrap();
    for command in [&["check-config"][..], &["serve"], &["queue"]] {
        let output = hudhud(dir.path()).args(command).env("HUDHUD_LISSTEN", "127.0.0.1:1").output().unwrap();
        assert_eq!(code(&output), 2, "{command:?}");
        assert!(stderr(&output).contains("HUDHUD_LISSTEN"), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
    assert!(!dir.path().join("data").exists(), "nothing was touched");
}

#[test]
fn check_config_shows_every_setting_with_its_origin_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("hudhud.toml"), "graph_version = \"v25.0\"\n").unwrap();
    let output = hudhud(dir.path())
        .args(["check-config", "--json", "--log", "warn"])
        .env("HUDHUD_SECRET_KEY", "a-secret-of-more-than-32-characters")
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let settings = json(&output);
    let find = |key: &str| settings.as_array().unwrap().iter().find(|one| one["key"] == key).unwrap().clone();
    assert_eq!(find("log")["origin"], "flag --log");
    assert_eq!(find("graph_url")["origin"], "environment HUDHUD_GRAPH_URL");
    assert!(find("graph_version")["origin"].as_str().unwrap().contains("hudhud.toml"));
    assert!(!settings.to_string().contains("a-secret"), "{settings}");
}

#[test]
fn commands_end_with_the_contracts_codes() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for (arguments, expected) in [
        (&["--version"][..], 0),
        (&["migrate", "--json"], 0),
        (&["queue", "--json"], 0),
        (&["list", "ls", "--json"], 0),
        (&["no-such-command"], 2),
        (&["campaign", "create"], 2),
        (&["campaign", "show", "none"], 5),
        (&["list", "rm", "none"], 5),
        (&["number", "pause", "123", "--reason", "x"], 5),
        (&["optout", "check", "mona"], 2),
        (&["ledger", "verify"], 0),
        (&["import", "missing.csv", "--list", "l", "--opt-in-source", "s", "--opt-in-at", "2026-01-01"], 1),
        (&["queue", "--url", "http://127.0.0.1:9"], 8),
        (&["queue", "--database-url", "postgres://nobody@127.0.0.1:9/none"], 8),
    ] {
        let output = run(at, arguments);
        assert_eq!(code(&output), expected, "{arguments:?}: {}", stderr(&output));
        if expected == 0 && arguments.contains(&"--json") {
            json(&output);
        } else if expected != 0 {
            assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
        }
    }
}

#[test]
fn an_opt_out_by_hand_is_in_force_and_in_the_ledger_after_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let added = run(at, &["optout", "add", "+20 100 000 0001", "--reason", "asked on the phone", "--json"]);
    assert_eq!(code(&added), 0, "{}", stderr(&added));
    let checked = json(&run(at, &["optout", "check", "+201000000001", "--json"]));
    assert_eq!(checked["suppressed"], true);
    assert!(checked["evidence_id"].is_i64());
    let free = json(&run(at, &["optout", "check", "+201000000002", "--json"]));
    assert_eq!(free["suppressed"], false);
}

#[test]
fn serve_is_ready_without_an_account_and_commands_go_through_its_socket() {
    let dir = tempfile::tempdir().unwrap();
    let serve = Serve::start(dir.path());
    let admin = serve.about["admin"].as_str().unwrap().to_owned();
    for path in ["livez", "readyz", "startupz"] {
        assert_eq!(http_status(&admin, path), 200, "{path}");
    }
    let metrics = http_get(&admin, "metrics");
    assert!(metrics.contains("hudhud_sent_after_optout_total 0"), "{metrics}");
    assert!(metrics.contains("hudhud_in_doubt 0"), "{metrics}");
    // The lock is serve's, so a command that got an answer got it from serve.
    let lock = std::fs::read_to_string(dir.path().join("data/serve.lock")).unwrap();
    assert!(lock.contains("hudhud serve"), "{lock}");
    assert_eq!(code(&run(dir.path(), &["queue", "--json"])), 0);
    let keys = json(&run(dir.path(), &["apikey", "create", "ci", "--role", "viewer", "--json"]));
    assert!(keys["key"].as_str().unwrap().starts_with("hudhud_"));
    let listed = json(&run(dir.path(), &["apikey", "ls", "--json"]));
    assert!(listed[0]["created_by"].as_str().unwrap().starts_with("cli:"), "{listed}");
    // Through the network, with the key.
    let url = format!("http://{}", serve.about["listening"].as_str().unwrap());
    std::fs::write(dir.path().join("key"), keys["key"].as_str().unwrap()).unwrap();
    assert_eq!(code(&run(dir.path(), &["queue", "--url", &url, "--api-key-file", "key"])), 0);
    assert_eq!(code(&run(dir.path(), &["apikey", "ls", "--url", &url, "--api-key-file", "key"])), 6);
    assert_eq!(code(&run(dir.path(), &["queue", "--url", &url])), 6);
}

#[test]
fn a_second_serve_on_the_same_ports_says_which_setting_to_change() {
    let dir = tempfile::tempdir().unwrap();
    let serve = Serve::start(dir.path());
    let other = tempfile::tempdir().unwrap();
    let taken = serve.about["listening"].as_str().unwrap();
    let output = run(other.path(), &["serve", "--listen", taken, "--admin-listen", "127.0.0.1:0"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("HUDHUD_LISTEN") && stderr(&output).contains(taken), "{}", stderr(&output));
}

#[test]
fn sigterm_ends_serve_in_order_with_code_0_and_its_redis_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut serve = Serve::start(dir.path());
    let redis = serve.redis_pid(dir.path());
    serve.signal(nix::sys::signal::Signal::SIGTERM);
    let status = serve.child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(!is_alive(redis));
    assert!(!dir.path().join("data/serve.sock").exists());
    assert_eq!(code(&run(dir.path(), &["queue"])), 0, "the data directory is free again");
}

#[test]
fn the_private_redis_dies_with_a_killed_parent_and_the_next_serve_starts_another() {
    let dir = tempfile::tempdir().unwrap();
    let mut serve = Serve::start(dir.path());
    let first = serve.redis_pid(dir.path());
    assert!(is_alive(first));
    serve.signal(nix::sys::signal::Signal::SIGKILL);
    serve.child.wait().unwrap();
    eventually("the private Redis dies", || !is_alive(first));
    let again = Serve::start(dir.path());
    assert_ne!(again.redis_pid(dir.path()), first);
}

#[test]
fn a_private_redis_that_dies_alone_is_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let serve = Serve::start(dir.path());
    let first = serve.redis_pid(dir.path());
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first), nix::sys::signal::Signal::SIGKILL).unwrap();
    let socket = dir.path().join("data/redis/redis.sock");
    eventually("another Redis answers", || {
        !is_alive(first) && ask_redis(&socket, "PING\r\n").is_some_and(|pong| pong.starts_with("+PONG"))
    });
    assert_ne!(serve.redis_pid(dir.path()), first);
}

#[test]
fn a_data_directory_too_deep_for_a_socket_works_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("x".repeat(60)).join("y".repeat(60));
    std::fs::create_dir_all(&deep).unwrap();
    let mut serve = Serve::start(&deep);
    assert_eq!(http_status(serve.about["admin"].as_str().unwrap(), "readyz"), 200, "with its Redis");
    let held = std::fs::read_to_string(deep.join("data/serve.lock")).unwrap();
    assert!(held.contains("hudhud serve"), "{held}");
    assert_eq!(code(&run(&deep, &["queue"])), 0, "through the socket, since the lock is held");
    serve.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(serve.child.wait().unwrap().code(), Some(0));
    let short = hudhud::sockets::path(&deep.join("data"), hudhud::lock::SOCKET).unwrap();
    std::fs::remove_dir_all(short.parent().unwrap()).unwrap();
}

#[test]
fn without_a_redis_binary_serve_says_which_package_to_install() {
    let dir = tempfile::tempdir().unwrap();
    let output = hudhud(dir.path())
        .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .env("REDIS_SERVER_BIN", "/nowhere/redis-server")
        .output()
        .unwrap();
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("redis-server (Debian"), "{}", stderr(&output));
}

fn http_get(address: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn http_status(address: &str, path: &str) -> u16 {
    http_get(address, path).split(' ').nth(1).unwrap().parse().unwrap()
}
