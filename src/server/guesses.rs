//! The limit of failed authentications: how many secrets may be guessed (TOKEN-15, I48).
//!
//! It is asked three times. A request is refused before any of the store's work. It is asked again
//! when its records are loaded, so that nothing is hashed in vain. And whatever was decided, the
//! outcome leaves only if there was still room for one more failure. So requests in parallel learn
//! no more than requests one after the other, and right secrets in parallel do not stand in each
//! other's way, as they would if each took a place in advance.

use std::sync::{Mutex, PoisonError};

use super::core::{Core, Early};
use crate::limiter::Limiter;
use crate::moment::Timestamp;
use crate::reason::{Endpoint, ErrorCode, Reason};
use crate::refusal::Refusal;
use crate::request::introspection::IntrospectionRequest;
use crate::request::parts::RequestParts;
use crate::request::revocation::RevocationRequest;
use crate::request::token::Credentials;

/// Failed authentications within the last minute.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    /// Those of clients that exist.
    known: Limiter,
    /// Those of unknown client ids. Counted separately, so that a flood of invented ids takes no
    /// room from the counters of real clients.
    strangers: Limiter,
    /// Held from asking for room until the failure is counted.
    turn: Mutex<()>,
}

impl Guesses {
    /// Returns the seconds to wait until a secret is looked at again under this key.
    fn wait(&self, key: &str, limit: u32, now: Timestamp) -> Option<u32> {
        // A name that no client has keeps no secret to guess. Were it held to a window that it
        // shares, a flood of made-up names would refuse clients that exist.
        self.known.wait(key, limit, now).max(self.strangers.wait_alone(key, limit, now))
    }

    /// Counts a failure if there is room for it, else returns the seconds to wait.
    fn count(&self, key: &str, is_stranger: bool, limit: u32, now: Timestamp) -> Result<(), u32> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wait) = self.wait(key, limit, now) {
            return Err(wait);
        }
        let failures = if is_stranger { &self.strangers } else { &self.known };
        failures.count(key, now);
        Ok(())
    }
}

/// Returns whether this outcome is an authentication that failed. Only a secret that may have been
/// guessed is one: not the lack of a secret, not a secret of a client that has none, and not the
/// right secret by the wrong method.
pub(super) fn is_failure(credentials: &Credentials<'_>, refusal: &Refusal) -> bool {
    let is_no_guess =
        matches!(refusal.reason(), Reason::ClientSecretUnexpected | Reason::ClientMethodMismatch);
    credentials.has_secret() && refusal.code() == ErrorCode::InvalidClient && !is_no_guess
}

/// The refusal of a request whose secret is not looked at.
fn throttled(wait: u32) -> Refusal {
    Refusal::later(Reason::AuthenticationsThrottled, Endpoint::Token, wait.max(1))
}

impl Core {
    /// Reads a revocation and holds it to the limit of failed authentications: secrets could be
    /// guessed here as well.
    pub(super) fn revocation_request<'a>(
        &self,
        incoming: &RequestParts<'a>,
    ) -> Result<RevocationRequest<'a>, Early> {
        let request = RevocationRequest::parse(incoming, &self.policy);
        let request = request.map_err(|refusal| self.early(refusal, None))?;
        self.throttle(&request.credentials, incoming.source)?;
        Ok(request)
    }

    /// Reads an introspection and holds it to the same.
    pub(super) fn introspection_request<'a>(
        &self,
        incoming: &RequestParts<'a>,
    ) -> Result<IntrospectionRequest<'a>, Early> {
        let request = IntrospectionRequest::parse(incoming, &self.policy)
            .map_err(|refusal| self.early(refusal, None))?;
        self.throttle(&request.credentials, incoming.source)?;
        Ok(request)
    }

    fn throttle(&self, credentials: &Credentials<'_>, source: &str) -> Result<(), Early> {
        match self.throttled(credentials, source) {
            None => Ok(()),
            Some(refusal) => Err(self.early(refusal, Some(&credentials.id))),
        }
    }

    /// Returns for how long no secret is looked at under this name, if authentication failed too
    /// often. A request without a secret guesses none, so that nobody can lock out a client that has
    /// none.
    pub(super) fn throttled_for(
        &self,
        credentials: &Credentials<'_>,
        source: &str,
        now: Timestamp,
    ) -> Option<u32> {
        if !credentials.has_secret() {
            return None;
        }
        let key = self.policy.failure_key(&credentials.id, source);
        self.guesses.wait(&key, self.policy.limits().failed_authentications_per_minute, now)
    }

    /// Returns the refusal of a request whose secret is not looked at, as of now.
    pub(super) fn throttled(&self, credentials: &Credentials<'_>, source: &str) -> Option<Refusal> {
        self.throttled_for(credentials, source, self.clock.now()).map(throttled)
    }

    /// Counts an authentication that failed. Returns the refusal to send in the place of the
    /// outcome if there was no room for a failure: then nothing is said about the secret, were it
    /// the right one.
    pub(super) fn admit_guess(
        &self,
        credentials: &Credentials<'_>,
        source: &str,
        refusal: Option<&Refusal>,
    ) -> Option<Refusal> {
        let failed = refusal.filter(|refusal| is_failure(credentials, refusal));
        let Some(failed) = failed else { return self.throttled(credentials, source) };
        let key = self.policy.failure_key(&credentials.id, source);
        let limit = self.policy.limits().failed_authentications_per_minute;
        let is_stranger = failed.reason() == Reason::ClientUnknown;
        self.guesses.count(&key, is_stranger, limit, self.clock.now()).err().map(throttled)
    }
}
