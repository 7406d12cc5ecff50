//! Settings of a server that put acknowledged writes at risk, as far as it reports them.

use std::fmt;

use redis::{Value, cmd, from_redis_value};

use super::{RedisStore, Result};

/// A setting under which the server can lose acknowledged writes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Risk {
    /// There is no append-only log: after a crash, used codes and revoked grants work again.
    NoLog,
    /// `appendfsync` has this value: a write is acknowledged before its log is on disk, and a power
    /// loss loses the last second or more.
    LateLog(String),
    /// `maxmemory-policy` has this value: records are dropped if memory is short.
    Evicts(String),
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLog => f.write_str(
                "appendonly is no: after a crash, used codes and revoked grants work again; \
                 set it to yes",
            ),
            Self::LateLog(fsync) => write!(
                f,
                "appendfsync is {fsync}: a power loss undoes the last changes; set it to always"
            ),
            Self::Evicts(policy) => write!(
                f,
                "maxmemory-policy is {policy}: records are dropped early; set it to noeviction"
            ),
        }
    }
}

impl RedisStore {
    /// Returns the risks in the settings of the server, or of the primaries of a cluster, for a log
    /// line at the start. The store refuses none of them. A setting that the server does not report
    /// is not listed: where `CONFIG` is forbidden, as in managed services, [`Risk::LateLog`] is
    /// never returned. In a cluster, `appendfsync` is read from one primary only.
    ///
    /// # Errors
    /// [`RedisStoreError`](crate::RedisStoreError) if Redis does not answer `INFO`.
    pub async fn risks(&self) -> Result<Vec<Risk>> {
        let info = self.connection.read::<Value>(&cmd("INFO")).await?;
        let info = texts(&info).join("\n");
        let setting = |name: &str| {
            info.lines().filter_map(|line| line.trim_end().strip_prefix(name)).collect::<Vec<_>>()
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

/// Returns the one text of a server, or the text of each primary of a cluster.
fn texts(info: &Value) -> Vec<String> {
    match info {
        Value::Map(nodes) => nodes.iter().flat_map(|(_, info)| texts(info)).collect(),
        Value::Array(nodes) => nodes.iter().flat_map(texts).collect(),
        info => from_redis_value(info.clone()).into_iter().collect(),
    }
}
