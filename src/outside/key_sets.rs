//! Key sets that the host fetches: the answer to a need of them, and the cache of a server.

#[cfg(all(test, grantcore_schedules))]
mod schedules;

use std::sync::Arc;

use super::{FetchResult, KeysRequest};
use crate::jws::{FetchedKeys, Generation, KeyCache, KeysUrl, Look};
use crate::moment::Timestamp;
use crate::policy::{KeyRules, Policy};
use crate::sync::{Mutex, PoisonError};

/// The answer to a need of a key set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a host that drives by hand builds it")]
pub enum KeysAnswer {
    /// This set, and the number of its fetch in a [`KeyCache`].
    Set(Arc<FetchedKeys>, Generation),
    /// No set can be used, and none can be fetched now.
    Unavailable,
    /// No set is newer than the one that was named, which was fetched a minute ago or less.
    Current,
}

/// Takes [`Look::Ask`] as unavailable: a host that drives by hand fetches the URL first.
impl From<Look> for KeysAnswer {
    fn from(look: Look) -> Self {
        match look {
            Look::Have { keys, generation } => Self::Set(keys, generation),
            Look::Wait { is_current: true, .. } => Self::Current,
            Look::Ask | Look::Wait { .. } => Self::Unavailable,
        }
    }
}

/// The key sets of a server.
///
/// Those of issuers are apart, although a client may have the URL of an issuer: the issuer's may be
/// in a network that no client can reach, and a fetch for a client that fails must not keep the
/// issuer's from being fetched.
#[derive(Debug, Default)]
pub(crate) struct CachedKeys {
    clients: Mutex<KeyCache>,
    issuers: Mutex<KeyCache>,
}

impl CachedKeys {
    /// Makes the cache of a server with this policy.
    pub(crate) fn under(policy: &Policy) -> Self {
        let stale = policy.client_keys().map(KeyRules::stale);
        let cache =
            || Mutex::new(stale.map_or_else(KeyCache::default, |stale| KeyCache::new(1024, stale)));
        Self { clients: cache(), issuers: cache() }
    }

    /// Returns the answer if it needs no fetch: a set of the cache, or that no fetch may begin yet.
    pub(crate) fn in_hand(&self, request: &KeysRequest, now: Timestamp) -> Option<KeysAnswer> {
        let Some(url) = url_of(request) else { return Some(KeysAnswer::Unavailable) };
        match self.with(request, |cache| cache.look(&url, request.newer_than, now)) {
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
        self.with(request, |cache| {
            // The media type is not judged. Only a 200 with a key set is one (KEYS-32).
            match fetched {
                FetchResult::Response(response) if response.status == 200 => {
                    // A body that is no key set counts as a failed fetch.
                    let _ = cache.put(&url, &response.body, response.fresh_for, now);
                }
                FetchResult::Response(_) | FetchResult::Failed => cache.failed(&url, now),
                // Nothing was fetched: the next request may. A stale set serves meanwhile (L5).
                FetchResult::Busy => {
                    let held = cache.look_without_fetch(&url, request.newer_than, now);
                    return held.map_or(KeysAnswer::Unavailable, Into::into);
                }
            }
            cache.look(&url, request.newer_than, now).into()
        })
    }

    fn with<T>(&self, request: &KeysRequest, work: impl FnOnce(&mut KeyCache) -> T) -> T {
        let is_of_client = request.forbid_special_ips;
        let cache = if is_of_client { &self.clients } else { &self.issuers };
        work(&mut cache.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The policy has checked the URL of an issuer, and a record that of a client.
fn url_of(request: &KeysRequest) -> Option<KeysUrl> {
    KeysUrl::parse(&request.url, true).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that names the URL of an issuer decides nothing about the issuer's set.
    #[test]
    fn assert_03_the_sets_of_issuers_are_apart_from_those_of_clients() {
        let (sets, now) = (CachedKeys::default(), Timestamp::from_unix_seconds(1_800_000_000));
        let url = KeysUrl::parse("https://idp.example/jwks", false).unwrap();
        let of_client = KeysRequest::of_client(&url, None, false);
        let of_issuer = KeysRequest::of_issuer(&url, None);
        assert_eq!(sets.keep(&of_client, FetchResult::Failed, now), KeysAnswer::Unavailable);
        assert_eq!(sets.in_hand(&of_client, now), Some(KeysAnswer::Unavailable));
        assert_eq!(sets.in_hand(&of_issuer, now), None, "it may be fetched");
    }
}
