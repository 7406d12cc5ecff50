//! The limit of token requests (TOKEN-06, RATE-01 to -06).

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Throttle;
use super::authentication::is_failure;
use crate::moment::Timestamp;
use crate::policy::{Policy, RateBucket, RateHit, RateKey};
use crate::reason::{Endpoint, Reason};
use crate::refusal::Refusal;
use crate::request::token::TokenRequest;

/// A token request that the limits admitted, with its source and the time of its count.
pub(crate) struct Admitted<'a> {
    pub(crate) request: &'a TokenRequest<'a>,
    pub(crate) source: &'a str,
    at: Timestamp,
    /// The key of the bucket that it was counted in, or `None` where the host limits requests.
    bucket: Option<Cow<'a, str>>,
    /// Whether the request was counted under the name that its assertion proves.
    counted: AtomicBool,
}

impl Throttle {
    /// Counts a token request, before the store is read. Both limits have room again when the
    /// `Retry-After` of a refusal has passed.
    ///
    /// # Errors
    /// The refusal of the request if a limit is reached.
    pub(crate) fn count_token_request<'a>(
        &self,
        policy: &Policy,
        request: &'a TokenRequest<'a>,
        source: &'a str,
        at: Timestamp,
    ) -> Result<Admitted<'a>, Refusal> {
        let throttled = self.authentication_wait(policy, &request.credentials, source, at);
        let mut bucket = None;
        let limited = self.requests.as_ref().and_then(|requests| {
            let RateBucket { key, limit } = policy.rate_bucket(&request.rate_hit(source));
            let key = &*bucket.insert(key);
            match throttled {
                None => requests.admit(key, limit, at).err(),
                // A request that is refused in any case takes no place.
                Some(_) => requests.wait(key, limit, at),
            }
        });
        let (reason, wait) = match (limited, throttled) {
            (None, None) => {
                let counted = AtomicBool::new(false);
                return Ok(Admitted { request, source, at, bucket, counted });
            }
            (None, Some(wait)) => (Reason::AuthenticationsThrottled, wait),
            (Some(wait), throttled) => {
                (Reason::RateLimited, wait.max(throttled.unwrap_or_default()))
            }
        };
        Err(Refusal::with_retry_after(reason, Endpoint::Token, wait.max(1)))
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
        let Admitted { request, source, at, bucket, .. } = admitted;
        let (Some(requests), Some(key)) = (&self.requests, bucket) else { return };
        let is_counted_elsewhere = refusal.is_some_and(|refusal| {
            refusal.reason() == Reason::AuthenticationsThrottled
                || policy.rate_rules().authenticated_only
                    && is_failure(&request.credentials, refusal)
        });
        if is_counted_elsewhere {
            requests.give_back(key, *at);
        } else if proves_bucket(policy, source, refusal) {
            requests.prove(key, *at);
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
