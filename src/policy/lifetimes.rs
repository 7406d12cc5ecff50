//! How long consent pages, codes, tokens and unused clients live.

use std::time::Duration;

/// The lifetimes of everything that expires.
///
/// Each is a whole number of seconds, from one second to a thousand years, and half open: a code is
/// valid while `now < issued + lifetime`.
///
/// ```
/// use std::time::Duration;
///
/// use grantcore::policy::Lifetimes;
///
/// let lifetimes = Lifetimes::default()
///     .with_access(Duration::from_secs(600))
///     .with_refresh_absolute(None);
/// assert_eq!(lifetimes.access(), Duration::from_secs(600));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "lifetimes do nothing until a policy is built with them"]
pub struct Lifetimes {
    pub(crate) consent: Duration,
    pub(crate) code: Duration,
    pub(crate) access: Duration,
    pub(crate) refresh_idle: Duration,
    pub(crate) refresh_absolute: Option<Duration>,
    pub(crate) unused_client: Duration,
    /// `None` is the default.
    pub(crate) machine: Option<Duration>,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            consent: Duration::from_secs(600),
            code: Duration::from_secs(600),
            access: Duration::from_secs(3600),
            refresh_idle: DAY * 30,
            refresh_absolute: Some(DAY * 180),
            unused_client: DAY,
            machine: None,
        }
    }
}

impl Lifetimes {
    /// Sets how long a consent page and its ticket are valid. Default: 600 s.
    ///
    /// A page without an answer stays on record for an hour beyond this lifetime, so that a longer
    /// one keeps more of them.
    pub fn with_consent(self, lifetime: Duration) -> Self {
        Self { consent: lifetime, ..self }
    }

    /// Sets how long an authorization code is valid. Default and maximum: 600 s (OAuth 2.1 §4.1.2).
    ///
    /// A code that leaks, from a log for example, can be redeemed for as long as this.
    pub fn with_code(self, lifetime: Duration) -> Self {
        Self { code: lifetime, ..self }
    }

    /// Sets how long an access token is valid. Default: 3,600 s, the longest that RFC 6750 §5.3
    /// recommends.
    ///
    /// A token that leaks works for as long as this, unless its grant is revoked before.
    pub fn with_access(self, lifetime: Duration) -> Self {
        Self { access: lifetime, ..self }
    }

    /// Sets how long a refresh token is valid that nobody uses. Each use starts a new period.
    /// Default: 30 days. At least the lifetime of an access token.
    ///
    /// The connection of a client that the user has forgotten stays open for as long as this
    /// (RFC 9700 §4.14.2).
    pub fn with_refresh_idle(self, lifetime: Duration) -> Self {
        Self { refresh_idle: lifetime, ..self }
    }

    /// Sets how long a grant can be refreshed after its consent, however often it is used. Default:
    /// 180 days. `None`: for ever. At least the lifetime of an access token.
    ///
    /// Without it, a user who has agreed once is never asked again, and a stolen refresh token that
    /// is used without the client's noticing never ends.
    pub fn with_refresh_absolute(self, lifetime: Option<Duration>) -> Self {
        Self { refresh_absolute: lifetime, ..self }
    }

    /// Sets how long a client is kept that the operator did not register and that nobody has
    /// authorized. Default: 24 h. A client that is used is kept at least as long as its grants.
    ///
    /// It bounds the storage that strangers can take; see
    /// [`Limits::with_all_registrations_per_minute`](super::Limits::with_all_registrations_per_minute).
    pub fn with_unused_client(self, lifetime: Duration) -> Self {
        Self { unused_client: lifetime, ..self }
    }

    /// Sets how long an access token is valid that a client got on its own behalf. Default and
    /// maximum: 3,600 s, and the lifetime of an access token if that is shorter.
    ///
    /// Each such token has a record of its own, so that shorter ones are more records.
    pub fn with_machine(self, lifetime: Duration) -> Self {
        Self { machine: Some(lifetime), ..self }
    }

    /// Returns the value of [`with_machine`](Self::with_machine).
    pub fn machine(&self) -> Duration {
        self.machine.unwrap_or(Duration::from_secs(3600).min(self.access))
    }

    getters! {
        consent: Duration,
        code: Duration,
        access: Duration,
        refresh_idle: Duration,
        refresh_absolute: Option<Duration>,
        unused_client: Duration,
    }
}
