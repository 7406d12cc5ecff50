//! A server, and a replica that follows it and takes its place.
//!
//! What never lives here: how a failure is detected (Sentinel, a cluster). The old primary is dead.

use std::mem::swap;
use std::thread::sleep;
use std::time::Duration;

use super::node::{ATTEMPTS, INTERVAL, Node};
use super::{DURABLE, installed};

/// A primary and its replica, which both write every change to their logs before they respond.
#[derive(Debug)]
pub struct RedisPair {
    primary: Node,
    replica: Node,
}

impl RedisPair {
    /// Starts both. Returns `None` if Redis is not installed; fails then if
    /// `GRANTCORE_REQUIRE_SERVERS` is `1`.
    pub fn start() -> Option<Self> {
        let program = installed()?;
        let start = || Node::start(program.clone(), DURABLE, false);
        let pair = Self { primary: start(), replica: start() };
        pair.follow();
        Some(pair)
    }

    /// Returns the URL of the primary. It stays the same after a failover.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.primary.port())
    }

    /// Kills the replica and, after this pause, the primary. Starts the replica again as the primary
    /// at the port of the old one, which becomes its replica. The new primary lacks what the old one
    /// acknowledged in the pause.
    pub fn fail_over(&mut self, pause: Duration) {
        self.replica.kill();
        sleep(pause);
        self.primary.kill();
        self.primary.swap_ports(&mut self.replica);
        swap(&mut self.primary, &mut self.replica);
        self.primary.restart();
        self.replica.restart();
        self.follow();
    }

    /// Makes the replica follow the primary, and waits until it has all data, also in its log.
    fn follow(&self) {
        self.replica.ask(&["REPLICAOF", "127.0.0.1", &self.primary.port().to_string()]);
        let follows = (0..ATTEMPTS).any(|_| {
            sleep(INTERVAL);
            let info = self.replica.ask(&["INFO"]);
            let wanted =
                ["master_link_status:up", "aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0"];
            wanted.iter().all(|line| info.contains(&format!("{line}\r")))
        });
        assert!(follows, "the replica does not follow: {}", self.replica.ask(&["INFO"]));
    }
}
