//! The report of a run: its counts, its violations and the end of the logs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Counters by name.
#[derive(Default)]
pub struct Tally(Mutex<BTreeMap<&'static str, usize>>);

impl Tally {
    pub fn count(&self, what: &'static str) {
        self.add(what, 1);
    }

    pub fn add(&self, what: &'static str, count: usize) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += count;
    }

    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub struct Report {
    pub seed: u64,
    pub counts: BTreeMap<&'static str, usize>,
    pub took: Duration,
    pub violations: Vec<String>,
    /// The last log lines of each process.
    pub logs: [String; 2],
}

impl Report {
    pub fn is_good(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} violations; GRANTCORE_SEED={}", self.violations.len(), self.seed)?;
        // Many flows may be under way when the first violations are found.
        for violation in self.violations.iter().take(10) {
            writeln!(f, "  - {violation}")?;
        }
        for (what, count) in &self.counts {
            writeln!(f, "{count:>9} {what}")?;
        }
        let seconds = self.took.as_secs_f64();
        let answered = self.counts.get("requests answered").copied().unwrap_or_default();
        #[allow(clippy::cast_precision_loss, reason = "a rate to look at")]
        let rate = answered as f64 / seconds;
        writeln!(f, "{seconds:>9.1} seconds, {rate:.0} answers per second")?;
        for (node, log) in
            self.logs.iter().enumerate().filter(|(_, log)| !self.is_good() && !log.is_empty())
        {
            writeln!(f, "last log lines of process {node}:\n{log}")?;
        }
        Ok(())
    }
}
