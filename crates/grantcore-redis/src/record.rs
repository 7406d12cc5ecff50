//! What a hash says: a record with its version, or how an account stands. What it cannot say is an
//! error, never nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use grantcore::{Account, Stored, Timestamp, Version};
use redis::{Cmd, cmd};
use serde::de::DeserializeOwned;

use super::{RedisStore, RedisStoreError, Result};

/// A whole hash: one that lacks a field is told from one that is not there.
type Fields = BTreeMap<Vec<u8>, Vec<u8>>;

/// From here on times are beyond what a sorted set tells apart and what Redis takes as an expiry.
const BEYOND: u64 = 1 << 53;

impl RedisStore {
    /// The record under this key.
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

    /// How the account under this key stands. One that was never mentioned stands well.
    pub(crate) async fn standing(&self, key: String) -> Result<Account> {
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

/// When something ends, as Redis takes it; nothing for never, and for what is as far away.
pub(crate) fn end(time: Timestamp) -> Option<String> {
    let seconds = time.unix_seconds();
    (seconds < BEYOND).then(|| seconds.to_string())
}

fn whole(key: &str) -> Cmd {
    cmd("HGETALL").arg(key).take()
}

fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.parse().ok()
}
