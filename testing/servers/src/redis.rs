//! Redis, or Valkey if Redis is not installed: one server, a primary with a replica, or a cluster of
//! three.

mod cluster;
mod node;
mod pair;
mod wire;

use std::path::PathBuf;

pub use self::cluster::RedisCluster;
use self::node::Node;
pub use self::pair::RedisPair;
use crate::{in_path, skipped};

/// The settings of a server whose data survive a kill: every write is in its log before the
/// response.
const DURABLE: [(&str, &str); 3] = [("appendonly", "yes"), ("appendfsync", "always"), ("save", "")];

/// One server whose data survive a kill: every write is in its log before the response.
#[derive(Debug)]
pub struct Redis(Node);

impl Redis {
    /// Starts a server with these settings in addition to the defaults. Returns `None` if Redis is
    /// not installed; fails then if `GRANTCORE_REQUIRE_SERVERS` is `1`.
    pub fn start(settings: &[(&str, &str)]) -> Option<Self> {
        let program = installed()?;
        Some(Self(Node::start(program, DURABLE.iter().chain(settings).copied(), false)))
    }

    /// Returns the port of the server.
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// Returns the URL for clients.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port())
    }

    /// Kills the server (`kill -9`). Its data stay on disk.
    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// Starts the server again on the same port and data, and waits until the data are loaded.
    pub fn restart(&mut self) {
        self.0.restart();
    }
}

/// Returns the program of the server. Valkey has the same protocol and settings as Redis.
fn installed() -> Option<PathBuf> {
    let program = ["redis-server", "valkey-server"].into_iter().find_map(in_path);
    if program.is_none() {
        skipped("Redis");
    }
    program
}
