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

mod postgres;
mod process;
mod proxy;
mod redis;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

pub use postgres::{Postgres, PostgresPair};
pub use proxy::{Fault, Proxy};
pub use redis::{Redis, RedisCluster, RedisPair};

/// Returns a port of 127.0.0.1 that was free a moment ago. Another program may take it before the
/// caller does.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
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
