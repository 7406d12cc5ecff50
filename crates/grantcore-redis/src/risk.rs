//! What a server's settings put at risk, as far as it tells.

use std::fmt;

use redis::{Value, cmd, from_redis_value};

use super::{RedisStore, Result};

/// A setting of the server under which it does not keep what it acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Risk {
    /// There is no append-only log: a crash brings back what was used and revoked.
    NoLog,
    /// The log is not on disk when a write is acknowledged: a power loss costs the last second or
    /// more. This is `appendfsync`.
    LateLog(String),
    /// Records are dropped when memory is short. This is `maxmemory-policy`.
    Evicts(String),
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLog => f.write_str("appendonly is no: after a crash, used codes and revoked grants come back; set it to yes"),
            Self::LateLog(fsync) => {
                write!(f, "appendfsync is {fsync}: after a power loss, the last changes are undone; set it to always")
            }
            Self::Evicts(policy) => {
                write!(f, "maxmemory-policy is {policy}: records are dropped before their time; set it to noeviction")
            }
        }
    }
}

impl RedisStore {
    /// What the settings of the server, or of the primaries of a cluster, put at risk: for a log
    /// line at the start. Nothing is refused for it, and what the server does not tell is not
    /// reported: where `CONFIG` is forbidden, as managed services do, there is no
    /// [`Risk::LateLog`], for which only one of the primaries is asked.
    ///
    /// # Errors
    /// If Redis does not answer, or does not say how it stands (`INFO`).
    pub async fn risks(&self) -> Result<Vec<Risk>> {
        let told = self.connection.read::<Value>(&cmd("INFO")).await?;
        let told = texts(&told).join("\n");
        let setting = |name: &str| {
            told.lines().filter_map(|line| line.trim_end().strip_prefix(name)).collect::<Vec<_>>()
        };
        let mut risks = Vec::new();
        let evicts =
            setting("maxmemory_policy:").into_iter().find(|policy| *policy != "noeviction");
        risks.extend(evicts.map(|policy| Risk::Evicts(policy.to_owned())));
        if setting("aof_enabled:").contains(&"0") {
            risks.push(Risk::NoLog);
            return Ok(risks);
        }
        let fsync =
            self.connection.read::<Vec<String>>(cmd("CONFIG").arg("GET").arg("appendfsync")).await;
        let late = fsync.unwrap_or_default().into_iter().nth(1).filter(|fsync| fsync != "always");
        risks.extend(late.map(Risk::LateLog));
        Ok(risks)
    }
}

/// A server answers with one text, a cluster with one for each primary.
fn texts(told: &Value) -> Vec<String> {
    match told {
        Value::Map(nodes) => nodes.iter().flat_map(|(_, told)| texts(told)).collect(),
        Value::Array(nodes) => nodes.iter().flat_map(texts).collect(),
        told => from_redis_value(told.clone()).into_iter().collect(),
    }
}
