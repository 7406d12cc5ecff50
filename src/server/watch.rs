//! The server as one call uses it: clock, policy, limits, the observer and the audit log.

use super::core::Core;
use crate::audit::AuditLog;
use crate::drive::guard::Host;
use crate::event::Event;
use crate::moment::Timestamp;
use crate::outside::CachedKeys;
use crate::policy::Policy;
use crate::reason::Endpoint;
use crate::record::Write;
use crate::refusal::Refusal;
use crate::request::token::Credentials;
use crate::throttle::Admitted;

/// The limit that the outcome of a request counts towards.
#[derive(Clone, Copy)]
pub(super) enum Limit<'a> {
    /// None.
    None,
    /// Failed authentications of this client.
    Authentication { credentials: &'a Credentials<'a>, endpoint: Endpoint },
    /// New clients that are known by a document, at the authorization endpoint.
    Documents,
    /// Registrations and their updates.
    Registrations(Endpoint),
    /// Token requests, failed authentications and new clients that are known by a document.
    Token(&'a Admitted<'a>),
}

impl<'a> Limit<'a> {
    /// Returns the credentials whose failed authentication counts, and their endpoint.
    fn credentials(self) -> Option<(&'a Credentials<'a>, Endpoint)> {
        match self {
            Self::None | Self::Documents | Self::Registrations(_) => None,
            Self::Authentication { credentials, endpoint } => Some((credentials, endpoint)),
            Self::Token(admitted) => Some((&admitted.request.credentials, Endpoint::Token)),
        }
    }
}

/// The server as one call uses it. It implements [`Host`] for the driver.
pub(super) struct Watch<'a, L> {
    pub(super) core: &'a Core,
    pub(super) log: &'a L,
    pub(super) limit: Limit<'a>,
    /// The source of the request; empty if the host names none.
    pub(super) source: &'a str,
}

impl<L: AuditLog> Host for Watch<'_, L> {
    fn policy(&self) -> &Policy {
        &self.core.policy
    }

    fn now(&self) -> Timestamp {
        self.core.clock.now()
    }

    fn fail_closed(&self) -> bool {
        self.core.audit.fail_closed
    }

    fn cached_keys(&self) -> &CachedKeys {
        &self.core.keys
    }

    fn throttled(&self) -> Option<Refusal> {
        let (credentials, endpoint) = self.limit.credentials()?;
        let Core { throttle, policy, .. } = self.core;
        throttle.refuse_authentication(policy, credentials, self.source, endpoint, self.now())
    }

    /// Counts a failed authentication as soon as it is decided: a sender that hangs up afterwards
    /// has made its guess. Counts a record only when it is about to be written, so that requests
    /// that are refused anyway do not use up a limit.
    fn admit(&self, refusal: Option<&Refusal>, write: Option<&Write>) -> Option<Refusal> {
        let Core { throttle, policy, .. } = self.core;
        match self.limit {
            Limit::Documents => {
                throttle.count_document(policy, write?, Endpoint::Authorization, self.now())
            }
            Limit::Registrations(endpoint) => write.and_then(|_| {
                throttle.count_registration(policy, self.source, endpoint, self.now())
            }),
            limit => {
                if let (Limit::Token(admitted), Some(write)) = (limit, write) {
                    let limited = throttle.count_assertion(policy, admitted, self.now());
                    // The client of an identity assertion may be read here first (ASSERT-35).
                    let endpoint = Endpoint::Token;
                    let document = || throttle.count_document(policy, write, endpoint, self.now());
                    if let Some(limited) = limited.or_else(document) {
                        return Some(limited);
                    }
                }
                let (credentials, endpoint) = limit.credentials()?;
                throttle.count_authentication(
                    policy,
                    credentials,
                    self.source,
                    endpoint,
                    refusal,
                    self.now(),
                )
            }
        }
    }

    fn settled(&self, refusal: Option<&Refusal>) {
        if let Limit::Token(admitted) = self.limit {
            self.core.throttle.settle_token_request(&self.core.policy, admitted, refusal);
        }
    }

    fn source(&self) -> &str {
        self.source
    }

    fn observe(&self, event: &Event) -> bool {
        if let Some(observer) = &self.core.observer {
            observer(event);
        }
        self.core.audit.keeps(event.kind)
    }

    fn abandoned(&self, event: Event) {
        self.log.abandoned(event);
    }
}
