//! The errors of a policy's lifetimes.

use std::time::Duration;

/// The reason for which a lifetime is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LifetimesError {
    /// A lifetime is not a whole number of seconds, is zero, or is too long to count.
    #[error(
        "lifetime {lifetime} {value:?} is refused: a lifetime is a whole number of seconds, from one \
         second to a thousand years. Set {lifetime} to such a duration."
    )]
    Value {
        /// The name of the lifetime, such as `access`.
        lifetime: &'static str,
        /// The duration as it was given.
        value: Duration,
    },
    /// A code outlives ten minutes (OAuth 2.1 §4.1.2).
    #[error(
        "lifetime code {value:?} is refused: a code lives at most 600 s (OAuth 2.1 §4.1.2). Set a \
         shorter one with Lifetimes::with_code()."
    )]
    Code {
        /// The duration as it was given.
        value: Duration,
    },
    /// A refresh token expires before the access token that it renews.
    #[error(
        "lifetime {lifetime} {value:?} is refused: refresh tokens live at least as long as access \
         tokens, {access:?} here. Set a longer one, or shorten it with Lifetimes::with_access()."
    )]
    Refresh {
        /// `refresh_idle` or `refresh_absolute`.
        lifetime: &'static str,
        /// The duration as it was given.
        value: Duration,
        /// The lifetime of an access token.
        access: Duration,
    },
    /// The replay window is longer than an access token lives, or not shorter than the idle
    /// lifetime.
    #[error(
        "replay_window {window:?} is refused: it is at most the lifetime of an access token, \
         {access:?} here, and shorter than refresh_idle, {refresh_idle:?} here. Set a shorter one; \
         30 s is usual."
    )]
    ReplayWindow {
        /// The window as it was given.
        window: Duration,
        /// The lifetime of an access token.
        access: Duration,
        /// The lifetime of a refresh token that nobody uses.
        refresh_idle: Duration,
    },
    /// A token of a client's own would live too long.
    #[error(
        "lifetime machine {value:?} is refused: it is at most 3600 s, and at most the access \
         lifetime of {access:?}. Set a shorter one with Lifetimes::with_machine()."
    )]
    Machine {
        /// The lifetime as it was given.
        value: Duration,
        /// The lifetime of an access token.
        access: Duration,
    },
}
