//! Key sets that the host fetches: the answer to a need of them, and the cache of a server.

use std::sync::{Arc, Mutex, PoisonError};

use super::{FetchResult, KeysRequest};
use crate::jws::{FetchedKeys, Generation, KeyCache, KeysUrl, Look};
use crate::moment::Timestamp;
use crate::policy::{KeyRules, Policy};

/// The answer to a need of a key set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a host that drives by hand builds it")]
pub enum KeysAnswer {
    /// This set, and the number of its fetch in a [`KeyCache`].
    Set(Arc<FetchedKeys>, Generation),
    /// No set can be used, and none can be fetched now.
    Unavailable,
}

/// Takes [`Look::Ask`] as unavailable: a host that drives by hand fetches the URL first.
impl From<Look> for KeysAnswer {
    fn from(look: Look) -> Self {
        match look {
            Look::Have { keys, generation } => Self::Set(keys, generation),
            Look::Ask | Look::Wait { .. } => Self::Unavailable,
        }
    }
}

/// The key sets of a server.
#[derive(Debug, Default)]
pub(crate) struct CachedKeys(Mutex<KeyCache>);

impl CachedKeys {
    /// Makes the cache of a server with this policy.
    pub(crate) fn under(policy: &Policy) -> Self {
        let stale = policy.client_keys().map(KeyRules::stale);
        Self(Mutex::new(stale.map_or_else(KeyCache::default, |stale| KeyCache::new(1024, stale))))
    }

    /// Returns the answer if it needs no fetch: a set of the cache, or that no fetch may begin yet.
    pub(crate) fn in_hand(&self, request: &KeysRequest, now: Timestamp) -> Option<KeysAnswer> {
        let Some(url) = url_of(request) else { return Some(KeysAnswer::Unavailable) };
        match self.with(|cache| cache.look(&url, request.newer_than, now)) {
            Look::Ask => None,
            look => Some(look.into()),
        }
    }

    /// Keeps what was fetched, and returns the answer.
    pub(crate) fn keep(
        &self,
        request: &KeysRequest,
        fetched: FetchResult,
        now: Timestamp,
    ) -> KeysAnswer {
        let Some(url) = url_of(request) else { return KeysAnswer::Unavailable };
        self.with(|cache| {
            // The media type is not judged. Only a 200 with a key set is one (KEYS-32).
            match fetched {
                FetchResult::Response(response) if response.status == 200 => {
                    // A body that is no key set counts as a failed fetch.
                    let _ = cache.put(&url, &response.body, response.fresh_for, now);
                }
                FetchResult::Response(_) | FetchResult::Failed => cache.failed(&url, now),
                // Nothing was fetched: the next request may.
                FetchResult::Busy => {}
            }
            cache.look(&url, request.newer_than, now).into()
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut KeyCache) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The policy has checked the URL of an issuer, and a record that of a client.
fn url_of(request: &KeysRequest) -> Option<KeysUrl> {
    KeysUrl::parse(&request.url, true).ok()
}
