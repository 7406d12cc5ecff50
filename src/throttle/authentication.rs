//! The limit of failed authentications: how many client secrets can be guessed (TOKEN-15, I48).
//!
//! The limit is checked three times: before the store is read; after the records are loaded, before
//! a secret is hashed; and after the decision. An outcome is returned only if one more failure
//! would still be within the limit, so parallel requests learn no more than sequential ones. No
//! request reserves a place in advance, so parallel requests with the right secret do not block
//! each other.

#[cfg(all(test, grantcore_schedules))]
mod schedules;

use super::Throttle;
use crate::limiter::Limiter;
use crate::moment::Timestamp;
use crate::policy::Policy;
use crate::reason::{Endpoint, ErrorCode, Reason};
use crate::refusal::Refusal;
use crate::request::token::Credentials;
use crate::sync::{Mutex, PoisonError};

/// Failed authentications of the last minute.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Those of clients that exist.
    known: Limiter,
    /// Those of unknown client ids. Counted separately so that a flood of invented ids takes no
    /// room from the counters of real clients.
    unknown: Limiter,
    /// Held from the check for room until the failure is counted.
    turn: Mutex<()>,
}

impl Failures {
    /// Returns the seconds until a secret is compared again under this key.
    fn wait(&self, key: &str, limit: u32, now: Timestamp) -> Option<u32> {
        // Denial of service: failures of unknown ids count only in a window of this key alone. In
        // a window that several names share, a flood of invented ids would block real clients.
        self.known.wait(key, limit, now).max(self.unknown.wait_alone(key, limit, now))
    }

    /// Counts a failure if there is room for it, else returns the seconds to wait.
    fn count(&self, key: &str, is_known: bool, limit: u32, now: Timestamp) -> Result<(), u32> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wait) = self.wait(key, limit, now) {
            return Err(wait);
        }
        let failures = if is_known { &self.known } else { &self.unknown };
        failures.count(key, now);
        Ok(())
    }
}

/// Returns whether this refusal counts as a failed authentication, that is, as a guess of a secret.
/// These do not count: a missing secret, a secret sent by a client that has none, the right secret
/// sent by the wrong method, and a secret that was replaced: one program that was forgotten at a
/// rotation must not lock out the others.
pub(super) fn is_failure(credentials: &Credentials<'_>, refusal: &Refusal) -> bool {
    let is_no_guess = matches!(
        refusal.reason(),
        Reason::ClientSecretUnexpected | Reason::ClientMethodMismatch | Reason::ClientSecretRetired
    );
    credentials.has_secret() && refusal.code() == Some(ErrorCode::InvalidClient) && !is_no_guess
}

impl Throttle {
    /// Returns the seconds until a secret of this client is compared again, if too many
    /// authentications failed. A request without a secret is no guess, so that nobody can lock out
    /// a client that has no secret.
    pub(super) fn authentication_wait(
        &self,
        policy: &Policy,
        credentials: &Credentials<'_>,
        source: &str,
        now: Timestamp,
    ) -> Option<u32> {
        if !credentials.has_secret() {
            return None;
        }
        let key = policy.failure_key(&credentials.id, source);
        self.failures.wait(&key, policy.limits().failed_authentications_per_minute, now)
    }

    /// Returns the refusal of a request whose secret is not compared.
    pub(crate) fn refuse_authentication(
        &self,
        policy: &Policy,
        credentials: &Credentials<'_>,
        source: &str,
        endpoint: Endpoint,
        now: Timestamp,
    ) -> Option<Refusal> {
        let wait = self.authentication_wait(policy, credentials, source, now)?;
        Some(throttled(wait, endpoint))
    }

    /// Counts a failed authentication. Returns the refusal to send in place of the outcome if there
    /// was no room for a failure: then the response says nothing about the secret, even if it was
    /// the right one.
    pub(crate) fn count_authentication(
        &self,
        policy: &Policy,
        credentials: &Credentials<'_>,
        source: &str,
        endpoint: Endpoint,
        refusal: Option<&Refusal>,
        now: Timestamp,
    ) -> Option<Refusal> {
        let Some(failed) = refusal.filter(|refusal| is_failure(credentials, refusal)) else {
            return self.refuse_authentication(policy, credentials, source, endpoint, now);
        };
        let key = policy.failure_key(&credentials.id, source);
        let limit = policy.limits().failed_authentications_per_minute;
        let is_known = failed.reason() != Reason::ClientUnknown;
        let wait = self.failures.count(&key, is_known, limit, now).err()?;
        Some(throttled(wait, endpoint))
    }
}

fn throttled(wait: u32, endpoint: Endpoint) -> Refusal {
    Refusal::with_retry_after(Reason::AuthenticationsThrottled, endpoint, wait.max(1))
}
