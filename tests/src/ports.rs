//! Ports that stay ours while a process on them is killed and started again.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Below what the kernel gives to outgoing connections (from 32768), so that none of those takes a port of ours while
/// nobody listens on it.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// A free loopback address.
///
/// # Panics
/// When a hundred ports in a row are taken.
pub(crate) fn free() -> SocketAddr {
    for _ in 0..100 {
        let port = rand::random_range(RANGE);
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(addr).is_ok() {
            return addr;
        }
    }
    panic!("no free port in {RANGE:?}");
}
