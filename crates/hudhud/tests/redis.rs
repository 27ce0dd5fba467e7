//! The private Redis in one data directory shared by two keepers.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use hudhud::redis_child::ManagedRedis;

/// The process id that Redis tells of itself, if it answers.
fn pid(dir: &Path) -> Option<i32> {
    let mut stream = UnixStream::connect(dir.join("redis/redis.sock")).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(b"INFO server\r\n").ok()?;
    let mut answer = vec![0; 16 * 1024];
    let length = stream.read(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    answer.lines().find_map(|line| line.strip_prefix("process_id:")).and_then(|pid| pid.trim().parse().ok())
}

#[tokio::test]
async fn a_second_keeper_adopts_the_first_ones_redis_and_replaces_it_when_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let launcher = Path::new(env!("CARGO_BIN_EXE_hudhud"));
    let first = ManagedRedis::start(dir.path(), launcher).await.unwrap();
    let of_first = pid(dir.path()).unwrap();
    let second = ManagedRedis::start(dir.path(), launcher).await.unwrap();
    assert_eq!(second.url(), first.url());
    assert_eq!(pid(dir.path()), Some(of_first), "there is one Redis");

    first.stop().await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let of_second = loop {
        match pid(dir.path()) {
            Some(pid) if pid != of_first => break pid,
            _ => assert!(Instant::now() < deadline, "nobody replaced the first one's Redis"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    second.stop().await;
    assert!(!Path::new(&format!("/proc/{of_second}")).exists(), "it is ended and reaped");
    assert_eq!(pid(dir.path()), None);
}
