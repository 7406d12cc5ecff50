//! The limit of token requests (TOKEN-06, RATE-01 to -06).

use std::sync::atomic::{AtomicBool, Ordering};

use super::Throttle;
use super::authentication::is_failure;
use crate::moment::Timestamp;
use crate::policy::{Policy, RateHit, RateKey};
use crate::reason::{Endpoint, Reason};
use crate::refusal::Refusal;
use crate::request::token::TokenRequest;

/// A token request that the limits admitted, with its source and the time of its count.
pub(crate) struct Admitted<'a> {
    pub(crate) request: &'a TokenRequest<'a>,
    pub(crate) source: &'a str,
    pub(crate) at: Timestamp,
    /// Whether the request was counted under the name that its assertion proves.
    counted: AtomicBool,
}

impl<'a> Admitted<'a> {
    pub(crate) fn new(request: &'a TokenRequest<'a>, source: &'a str, at: Timestamp) -> Self {
        Self { request, source, at, counted: AtomicBool::new(false) }
    }
}

impl Throttle {
    /// Counts a token request, before the store is read. Returns its refusal if a limit is reached.
    /// Both limits have room again when its `Retry-After` has passed.
    pub(crate) fn count_token_request(
        &self,
        policy: &Policy,
        request: &TokenRequest<'_>,
        source: &str,
        now: Timestamp,
    ) -> Option<Refusal> {
        let throttled = self.authentication_wait(policy, &request.credentials, source, now);
        let limited = self.requests.as_ref().and_then(|requests| {
            let bucket = policy.rate_bucket(&request.rate_hit(source));
            match throttled {
                None => requests.admit(&bucket.key, bucket.limit, now).err(),
                // A request that is refused in any case takes no place.
                Some(_) => requests.wait(&bucket.key, bucket.limit, now),
            }
        });
        let (reason, wait) = match (limited, throttled) {
            (None, None) => return None,
            (None, Some(wait)) => (Reason::AuthenticationsThrottled, wait),
            (Some(wait), throttled) => {
                (Reason::RateLimited, wait.max(throttled.unwrap_or_default()))
            }
        };
        Some(Refusal::with_retry_after(reason, Endpoint::Token, wait.max(1)))
    }

    /// Counts a request of which only the assertion says whose it is, once its signature is
    /// verified and before anything is written. Until then it was counted with all others that name
    /// no client: assertions that anybody makes up take no place of a client (ASSERT-58).
    pub(crate) fn count_assertion(
        &self,
        policy: &Policy,
        admitted: &Admitted<'_>,
        now: Timestamp,
    ) -> Option<Refusal> {
        let requests = self.requests.as_ref()?;
        let client = admitted.request.asserted_name(policy)?;
        if admitted.counted.swap(true, Ordering::Relaxed) {
            return None;
        }
        let bucket = policy.rate_bucket(&RateHit { client, grant: None, source: admitted.source });
        let wait = requests.admit(&bucket.key, bucket.limit, now).err()?;
        Some(Refusal::with_retry_after(Reason::RateLimited, Endpoint::Token, wait.max(1)))
    }

    /// Corrects the count of an admitted token request by its outcome. Its place is given back only
    /// if another limit has refused it or counts it, so that each request is counted once.
    pub(crate) fn settle_token_request(
        &self,
        policy: &Policy,
        admitted: &Admitted<'_>,
        refusal: Option<&Refusal>,
    ) {
        let Some(requests) = &self.requests else { return };
        let Admitted { request, source, at, .. } = admitted;
        let bucket = policy.rate_bucket(&request.rate_hit(source));
        let is_counted_elsewhere = refusal.is_some_and(|refusal| {
            refusal.reason() == Reason::AuthenticationsThrottled
                || policy.rate_rules().authenticated_only
                    && is_failure(&request.credentials, refusal)
        });
        if is_counted_elsewhere {
            requests.give_back(&bucket.key, *at);
        } else if proves_bucket(policy, source, refusal) {
            requests.prove(&bucket.key, *at);
        }
    }
}

/// Returns whether the outcome proves that the key of the request's bucket was not invented. A key
/// of the client alone is genuine if the client exists. Where the sender chooses a part of the key,
/// only tokens prove it.
fn proves_bucket(policy: &Policy, source: &str, refusal: Option<&Refusal>) -> bool {
    let Some(refusal) = refusal else { return true };
    let is_of_client_alone = match &policy.rate_rules().key {
        RateKey::Client => true,
        RateKey::ClientAndSource => source.is_empty(),
        RateKey::ClientAndGrant | RateKey::Custom(_) => false,
    };
    is_of_client_alone
        && !matches!(
            refusal.reason(),
            Reason::ClientUnknown
                | Reason::StorageUnavailable
                | Reason::Contended
                | Reason::AuditUnavailable
                | Reason::EntropyUnavailable
        )
}
