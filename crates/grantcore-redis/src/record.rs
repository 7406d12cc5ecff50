//! Reads hashes: records with their versions, and accounts. A hash that cannot be read is an error,
//! never absent.

use std::collections::BTreeMap;
use std::sync::Arc;

use grantcore::store::{Stored, Version};
use grantcore::{Account, Timestamp};
use redis::{Cmd, cmd};
use serde::de::DeserializeOwned;

use super::{RedisStore, RedisStoreError, Result};

/// A whole hash, so that one that lacks a field is not taken for an absent one.
type Fields = BTreeMap<Vec<u8>, Vec<u8>>;

/// The first time that a sorted set cannot represent exactly, and that Redis refuses as an expiry.
const EXPIRY_LIMIT: u64 = 1 << 53;

impl RedisStore {
    /// Reads the record of this key.
    pub(crate) async fn record<R: DeserializeOwned>(
        &self,
        key: String,
    ) -> Result<Option<Stored<R>>> {
        let fields: Fields = self.connection.read(&whole(&key)).await?;
        if fields.is_empty() {
            return Ok(None);
        }
        let version = fields.get(&b"v"[..]).and_then(|text| number(text));
        let (Some(version), Some(body)) = (version, fields.get(&b"b"[..])) else {
            return Err(RedisStoreError::Foreign(key));
        };
        Ok(Some(Stored {
            record: Arc::new(serde_json::from_slice(body)?),
            version: Version(version),
        }))
    }

    /// Reads the account of this key. An account that has no hash is active.
    pub(crate) async fn account_at(&self, key: String) -> Result<Account> {
        let fields: Fields = self.connection.read(&whole(&key)).await?;
        let mut account = Account::ACTIVE;
        for (name, value) in fields {
            match (name.as_slice(), number(&value)) {
                (b"s", Some(0)) => account.suspended = false,
                (b"s", Some(1)) => account.suspended = true,
                (b"e", Some(epoch)) => account.epoch = epoch,
                _ => return Err(RedisStoreError::Foreign(key)),
            }
        }
        Ok(account)
    }
}

/// Returns an expiry as Redis takes it. `None` for never, and for a time as far away.
pub(crate) fn end(time: Timestamp) -> Option<String> {
    let seconds = time.unix_seconds();
    (seconds < EXPIRY_LIMIT).then(|| seconds.to_string())
}

fn whole(key: &str) -> Cmd {
    cmd("HGETALL").arg(key).take()
}

fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.parse().ok()
}
