//! Real database servers on free loopback ports, and a proxy that makes their connections fail. For
//! tests only.
//!
//! What never lives here: a client of these servers. If a server is not installed, its tests are
//! skipped with a message, unless `GRANTCORE_REQUIRE_SERVERS=1`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test may fail loudly"
)]

mod pace;
mod postgres;
mod process;
mod proxy;
mod redis;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Mutex, PoisonError};

pub use pace::Pace;
pub use postgres::{Postgres, PostgresPair};
pub use proxy::{Fault, Proxy};
pub use redis::{Redis, RedisCluster, RedisPair};

/// The ports of [`free_port`]. They are below the range of outgoing connections: one of those could
/// take the port before its process binds it, or while that process is started again, and then
/// connect to itself.
const PORTS: Range<u32> = 20_000..32_000;

/// Returns a port of 127.0.0.1 that is free now, and that no other call of this process returns.
pub fn free_port() -> u16 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let count = PORTS.end - PORTS.start;
    // Test programs that run at the same time have process ids that follow each other. They begin
    // far apart.
    let first = std::process::id() % count * 7_919;
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (0..count)
        .map(|_| PORTS.start + (first + CALLS.fetch_add(1, SeqCst)) % count)
        .filter_map(|port| u16::try_from(port).ok())
        .find(is_free)
        .expect("a free port")
}

/// Returns how often a test kills its database: 20 times, or as the environment variable
/// `GRANTCORE_CRASHES` says.
pub fn crashes() -> usize {
    match std::env::var("GRANTCORE_CRASHES") {
        Ok(number) => number.parse().expect("GRANTCORE_CRASHES is a number"),
        Err(_) => 20,
    }
}

/// Returns whether a test fails if its server is not installed. Otherwise the test is skipped.
pub fn is_required() -> bool {
    std::env::var_os("GRANTCORE_REQUIRE_SERVERS").is_some_and(|value| value == "1")
}

/// Reports on stderr, once for each test program, that a server is not installed. Fails if all
/// servers are required. A test that passes hides the output of `eprintln!`, so this writes to
/// stderr directly.
pub fn skipped(server: &'static str) {
    static REPORTED: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    assert!(!is_required(), "{server} is not installed, and GRANTCORE_REQUIRE_SERVERS is 1");
    if REPORTED.lock().unwrap_or_else(PoisonError::into_inner).insert(server) {
        let _ = writeln!(std::io::stderr(), "skipped: {server} is not installed");
    }
}

/// Returns the first program of this name in `PATH`.
pub fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}
