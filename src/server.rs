//! One call per endpoint: a policy, a store, a clock and a source of randomness put together. With
//! its async twin.
//!
//! Everything here is a convenience over [`drive`](crate::drive()); it decides nothing but the rate
//! limit.

mod blocking;
mod core;
mod ending;
mod guesses;
mod records;
mod waiting;
mod watch;

use self::core::Core;
pub use self::ending::RevokedGrants;
use crate::audit::AuditPolicy;
use crate::drive::Failure;
use crate::event::Event;
use crate::moment::{Clock, EntropySource, Timestamp};
use crate::policy::Policy;
use crate::refusal::Refusal;

/// Outside, the host's storage; inside, the protocol.
pub type Answer<T, E> = Result<Result<T, Refusal>, Failure<E>>;

/// An authorization server over a [`Store`](crate::Store), with a [`AuditLog`](crate::AuditLog) if it was
/// given one.
#[derive(Debug)]
pub struct Server<S, T = ()> {
    core: Core,
    store: S,
    trail: T,
}

/// An authorization server over an [`AsyncStore`](crate::AsyncStore), with an
/// [`AsyncAuditLog`](crate::AsyncAuditLog) if it was given one.
#[derive(Debug)]
pub struct AsyncServer<S, T = ()> {
    core: Core,
    store: S,
    trail: T,
}

/// The parts that do not wait, for both servers.
macro_rules! common {
    ($name:ident) => {
        impl<S> $name<S> {
            /// A server with the system's clock and randomness.
            #[cfg(feature = "system")]
            pub fn new(policy: Policy, store: S) -> Self {
                Self::with(policy, store, crate::SystemClock, crate::SystemEntropy)
            }

            /// A server with this clock and this source of randomness.
            pub fn with(
                policy: Policy,
                store: S,
                clock: impl Clock + Send + Sync + 'static,
                entropy: impl EntropySource + Send + Sync + 'static,
            ) -> Self {
                Self {
                    core: Core::new(policy, Box::new(clock), Box::new(entropy)),
                    store,
                    trail: (),
                }
            }
        }

        impl<S, T> $name<S, T> {
            /// Has every event recorded in `trail` before the answer is returned, by these rules.
            #[must_use = "the server with the trail is the one returned"]
            pub fn record<U>(self, trail: U, rules: AuditPolicy) -> $name<S, U> {
                $name { core: self.core.recording(rules), store: self.store, trail }
            }

            /// The trail.
            pub fn trail(&self) -> &T {
                &self.trail
            }

            /// Leaves the limit of token requests to the host, which shares it among several
            /// servers, say: [`RateWindow`](crate::RateWindow). Failed authentications and
            /// registrations are counted here still, by each server for itself.
            #[must_use = "the server without the limit is the one returned"]
            pub fn without_rate_limit(mut self) -> Self {
                self.core = self.core.without_rate_limit();
                self
            }

            /// Hands every event to `observer` before the answer is returned: one for each call of
            /// an endpoint. It is called for a call that was cut off as well, from a destructor:
            /// an observer that panics there while another panic unwinds ends the process.
            #[must_use = "the server with the observer is the one returned"]
            pub fn observe(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
                self.core.observer = Box::new(observer);
                self
            }

            /// The policy.
            pub fn policy(&self) -> &Policy {
                &self.core.policy
            }

            /// The store.
            pub fn store(&self) -> &S {
                &self.store
            }

            /// The time by the server's clock.
            pub fn now(&self) -> Timestamp {
                self.core.clock.now()
            }
        }
    };
}

common!(Server);
common!(AsyncServer);
