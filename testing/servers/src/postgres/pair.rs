//! Two PostgreSQL servers: a primary, and a standby that follows it and takes its place.
//!
//! What never lives here: how a failure is detected. The old primary is dead, so nothing has to
//! keep clients away from it.

use std::thread::sleep;
use std::time::Duration;

use super::{Postgres, USER};

/// The name by which the primary knows its standby.
const STANDBY: &str = "standby";

/// A primary and its standby. Both stop when this is dropped.
#[derive(Debug)]
pub struct PostgresPair {
    primary: Postgres,
    standby: Postgres,
}

impl PostgresPair {
    /// Starts a primary and a standby. If `is_synchronous` is true, a commit waits until the standby
    /// has it on disk. Returns `None` if PostgreSQL is not installed.
    pub fn start(is_synchronous: bool) -> Option<Self> {
        let names = if is_synchronous { STANDBY } else { "" };
        let primary = Postgres::start(&[("synchronous_standby_names", names)])?;
        let standby = Postgres::following(&primary, None);
        Some(Self { primary, standby })
    }

    /// Returns the URL that names both servers. It stays the same after a failover.
    pub fn url(&self) -> String {
        let mut ports = [self.primary.port, self.standby.port];
        ports.sort_unstable();
        let [one, two] = ports;
        format!("postgres://{USER}@127.0.0.1:{one},127.0.0.1:{two}/postgres")
    }

    /// Kills the standby and, after this pause, the primary. Starts the standby again and promotes
    /// it, and starts a new standby that follows it. Without a pause the standby lacks what the
    /// primary acknowledges in the last instant; with one, all that it acknowledges meanwhile.
    pub fn fail_over(&mut self, pause: Duration) {
        self.standby.kill();
        sleep(pause);
        self.primary.kill();
        self.standby.restart();
        self.standby.promote();
        self.primary = Postgres::following(&self.standby, Some(self.primary.port));
        std::mem::swap(&mut self.primary, &mut self.standby);
    }
}

impl Postgres {
    /// Copies a running primary, and starts the copy as its standby.
    fn following(primary: &Self, port: Option<u16>) -> Self {
        let mut standby = Self::empty(primary.programs.clone());
        let number = primary.port.to_string();
        let mut copy = standby.command("pg_basebackup");
        copy.args(["--host", "127.0.0.1", "--port", &number, "--username", USER]);
        copy.args(["--checkpoint", "fast", "--no-sync", "--write-recovery-conf", "--pgdata"]);
        let copied = copy.arg(standby.data()).output().expect("pg_basebackup runs");
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        let of_primary = primary.settings.iter();
        standby.settings =
            of_primary.filter(|own| !own.starts_with("primary_conninfo=")).cloned().collect();
        standby.settings.push(format!(
            "primary_conninfo=host=127.0.0.1 port={number} user={USER} application_name={STANDBY}"
        ));
        standby.run(|| port.unwrap_or_else(crate::free_port));
        standby
    }

    /// Makes a standby a primary, and waits until it is one.
    fn promote(&self) {
        let mut promote = self.command("pg_ctl");
        promote.args(["promote", "--wait", "--silent", "--pgdata"]);
        let promoted = promote.arg(self.data()).output().expect("pg_ctl runs");
        assert!(promoted.status.success(), "{}", String::from_utf8_lossy(&promoted.stderr));
    }
}
