//! Ports that stay ours while a process on them is killed and started again.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{LazyLock, Mutex};

/// Below what the kernel gives to outgoing connections (from 32768), so that none of those takes a port of ours while
/// nobody listens on it.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// What this process has given away already. A port is only bound when its process has started, so that nobody listens
/// on it says too little: a `serve` whose two ports are one refuses to start.
static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// A free loopback address, and never the same one twice.
///
/// # Panics
/// When a hundred ports in a row are taken.
pub(crate) fn free() -> SocketAddr {
    let mut given = GIVEN.lock().expect("nobody panics in here but for want of a port");
    for _ in 0..100 {
        let port = rand::random_range(RANGE);
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if !given.contains(&port) && TcpListener::bind(addr).is_ok() {
            given.insert(port);
            return addr;
        }
    }
    panic!("no free port in {RANGE:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports: HashSet<u16> = (0..1_000).map(|_| free().port()).collect();
        assert_eq!(ports.len(), 1_000);
    }
}
