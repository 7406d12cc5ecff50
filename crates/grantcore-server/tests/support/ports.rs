//! Ports for processes that are started again at the same address.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};

/// Ports below the range of outgoing connections, so that a port stays free while its process is
/// down. Within that range, a client that calls a dead process could get this port as its own and
/// connect to itself.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Returns a port that is free now, and that no other call of this process returns.
pub fn lasting_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run at the same time begin at different ports.
    let own = u16::try_from(std::process::id() % u32::from(COUNT / 16)).unwrap() * 16;
    let mut ports = (0..COUNT).map(|_| FIRST + (own + NEXT.fetch_add(1, SeqCst) % COUNT) % COUNT);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}
