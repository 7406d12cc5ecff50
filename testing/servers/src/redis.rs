//! Redis, or Valkey where that is installed instead: one server, or a cluster of three.
//!
//! Never here: replicas. A test of what a failover loses would only show what Redis says of itself.

mod cluster;
mod node;
mod wire;

use std::path::PathBuf;

pub use self::cluster::RedisCluster;
use self::node::Node;
use crate::{in_path, skipped};

/// One server that keeps its data over a kill: every write is in its log before it is answered.
#[derive(Debug)]
pub struct Redis(Node);

impl Redis {
    /// Starts one with these settings over the usual ones. Nothing if Redis is not installed, which
    /// fails the test instead if `GRANTCORE_REQUIRE_SERVERS` is `1`.
    pub fn start(settings: &[(&str, &str)]) -> Option<Self> {
        let program = installed()?;
        let durable = [("appendonly", "yes"), ("appendfsync", "always"), ("save", "")];
        Some(Self(Node::start(program, durable.iter().chain(settings).copied(), false)))
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// What a client connects to.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port())
    }

    /// Ends it with no time for anything (`kill -9`). Its data stays.
    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// Starts it again, at the same port and with the data it had, and waits until that is loaded.
    pub fn restart(&mut self) {
        self.0.restart();
    }
}

/// The server's program. Valkey's speaks the same and takes the same settings.
fn installed() -> Option<PathBuf> {
    let program = ["redis-server", "valkey-server"].into_iter().find_map(in_path);
    if program.is_none() {
        skipped("Redis");
    }
    program
}
