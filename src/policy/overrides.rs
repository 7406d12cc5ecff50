//! Lifetimes of one client or of one class of clients, and what is effective where several hold.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Policy;

/// The longest lifetime: longer than any grant, short enough for every clock and database.
pub(crate) const LONGEST: Duration = Duration::from_secs(1000 * 365 * 24 * 60 * 60);

/// Returns whether this is a whole number of seconds, from one second to a thousand years.
pub(crate) fn is_countable(value: Duration) -> bool {
    value.subsec_nanos() == 0 && (Duration::from_secs(1)..=LONGEST).contains(&value)
}

/// Lifetimes that differ from those of the policy. A lifetime that is not set is the policy's.
///
/// Each is a whole number of seconds, from one second to a thousand years.
///
/// ```
/// use std::time::Duration;
///
/// use grantcore::policy::LifetimeOverrides;
///
/// let short = LifetimeOverrides::default().with_access(Duration::from_secs(600));
/// assert_eq!(short.access(), Some(Duration::from_secs(600)));
/// assert_eq!(short.refresh_idle(), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use = "lifetimes do nothing until a policy or a client is built with them"]
pub struct LifetimeOverrides {
    #[serde(with = "seconds")]
    pub(crate) code: Option<Duration>,
    #[serde(with = "seconds")]
    pub(crate) access: Option<Duration>,
    #[serde(with = "seconds")]
    pub(crate) refresh_idle: Option<Duration>,
    #[serde(with = "seconds")]
    pub(crate) refresh_absolute: Option<Duration>,
}

impl LifetimeOverrides {
    /// Sets how long an authorization code is valid. Default: as
    /// [`Lifetimes::with_code`](super::Lifetimes::with_code).
    pub fn with_code(self, lifetime: Duration) -> Self {
        Self { code: Some(lifetime), ..self }
    }

    /// Sets how long an access token is valid. Default: as
    /// [`Lifetimes::with_access`](super::Lifetimes::with_access).
    pub fn with_access(self, lifetime: Duration) -> Self {
        Self { access: Some(lifetime), ..self }
    }

    /// Sets how long a refresh token is valid that nobody uses. Default: as
    /// [`Lifetimes::with_refresh_idle`](super::Lifetimes::with_refresh_idle).
    pub fn with_refresh_idle(self, lifetime: Duration) -> Self {
        Self { refresh_idle: Some(lifetime), ..self }
    }

    /// Sets how long a grant can be refreshed after its consent. Default: as
    /// [`Lifetimes::with_refresh_absolute`](super::Lifetimes::with_refresh_absolute).
    pub fn with_refresh_absolute(self, lifetime: Duration) -> Self {
        Self { refresh_absolute: Some(lifetime), ..self }
    }

    /// Returns the value of [`with_code`](Self::with_code).
    pub fn code(&self) -> Option<Duration> {
        self.code
    }

    /// Returns the value of [`with_access`](Self::with_access).
    pub fn access(&self) -> Option<Duration> {
        self.access
    }

    /// Returns the value of [`with_refresh_idle`](Self::with_refresh_idle).
    pub fn refresh_idle(&self) -> Option<Duration> {
        self.refresh_idle
    }

    /// Returns the value of [`with_refresh_absolute`](Self::with_refresh_absolute).
    pub fn refresh_absolute(&self) -> Option<Duration> {
        self.refresh_absolute
    }

    /// Returns the lifetimes that are set, each with its name.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        [
            ("code", self.code),
            ("access", self.access),
            ("refresh_idle", self.refresh_idle),
            ("refresh_absolute", self.refresh_absolute),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// The rule for lifetimes of a client that are longer than the policy's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientLifetimes {
    /// They have no effect: the lesser of the two holds.
    #[default]
    Shorten,
    /// They hold for a client that the operator registered. The policy then no longer bounds how
    /// long a token of such a client works after it has leaked.
    OperatorMayExtend,
}

/// The lifetimes that hold for one client, and its replay window. They are in order, whatever the
/// policy and the client say: an access token does not outlive the idle time, and the idle time
/// does not outlive the absolute one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectiveLifetimes {
    pub(crate) code: Duration,
    pub(crate) access: Duration,
    pub(crate) refresh_idle: Duration,
    pub(crate) refresh_absolute: Option<Duration>,
    pub(crate) replay_window: Duration,
}

impl EffectiveLifetimes {
    /// Returns how long an authorization code is valid.
    pub fn code(&self) -> Duration {
        self.code
    }

    /// Returns how long an access token is valid.
    pub fn access(&self) -> Duration {
        self.access
    }

    /// Returns how long a refresh token is valid that nobody uses.
    pub fn refresh_idle(&self) -> Duration {
        self.refresh_idle
    }

    /// Returns how long a grant can be refreshed after its consent. `None`: for ever.
    pub fn refresh_absolute(&self) -> Option<Duration> {
        self.refresh_absolute
    }

    /// Returns for how long after a rotation the same old refresh token gets the same successor.
    pub fn replay_window(&self) -> Duration {
        self.replay_window
    }

    /// Applies overrides. Without `extends`, each lifetime only becomes shorter.
    fn overridden(self, own: &LifetimeOverrides, extends: bool) -> Self {
        let of = |base: Duration, own: Option<Duration>| match own {
            None => base,
            Some(own) if extends => own,
            Some(own) => own.min(base),
        };
        let refresh_absolute = match (self.refresh_absolute, own.refresh_absolute) {
            (base, None) => base,
            (None, own) => own,
            (Some(base), own) => Some(of(base, own)),
        };
        Self {
            code: of(self.code, own.code),
            access: of(self.access, own.access),
            refresh_idle: of(self.refresh_idle, own.refresh_idle),
            refresh_absolute,
            ..self
        }
    }

    /// Returns the same lifetimes in order.
    pub(super) fn ordered(self) -> Self {
        let end = self.refresh_absolute.unwrap_or(Duration::MAX);
        let refresh_idle = self.refresh_idle.min(end);
        let access = self.access.min(refresh_idle);
        let shorter_than_idle = refresh_idle.saturating_sub(Duration::from_secs(1));
        let replay_window = self.replay_window.min(access).min(shorter_than_idle);
        Self { access, refresh_idle, replay_window, ..self }
    }
}

/// A lifetime of a client that is longer than its limit.
pub(crate) struct TooLong {
    /// The name of the lifetime, such as `access`.
    pub(crate) lifetime: &'static str,
    pub(crate) value: Duration,
    pub(crate) limit: Duration,
}

impl Policy {
    /// Returns the lifetimes of a client with these overrides.
    pub(crate) fn effective_lifetimes(
        &self,
        is_operators: bool,
        own: Option<&LifetimeOverrides>,
    ) -> EffectiveLifetimes {
        let Some(own) = own else {
            return match self.class_lifetimes.as_deref() {
                Some([operators, _]) if is_operators => *operators,
                Some([_, others]) => *others,
                None => self.lifetimes_of_class(is_operators).ordered(),
            };
        };
        let extends = is_operators && self.client_lifetimes == ClientLifetimes::OperatorMayExtend;
        self.lifetimes_of_class(is_operators).overridden(own, extends).ordered()
    }

    /// Returns the lifetimes of clients without overrides, which may not be in order.
    pub(super) fn lifetimes_of_class(&self, is_operators: bool) -> EffectiveLifetimes {
        let own = EffectiveLifetimes {
            code: self.lifetimes.code,
            access: self.lifetimes.access,
            refresh_idle: self.lifetimes.refresh_idle,
            refresh_absolute: self.lifetimes.refresh_absolute,
            replay_window: self.replay_window,
        };
        if is_operators { own } else { own.overridden(&self.unverified_lifetimes, false) }
    }

    /// Returns the first lifetime of a client that is longer than the policy allows.
    pub(crate) fn first_too_long(
        &self,
        is_operators: bool,
        own: &LifetimeOverrides,
    ) -> Option<TooLong> {
        let longest_code = Duration::from_secs(600);
        if let Some(value) = own.code.filter(|code| *code > longest_code) {
            return Some(TooLong { lifetime: "code", value, limit: longest_code });
        }
        if is_operators && self.client_lifetimes == ClientLifetimes::OperatorMayExtend {
            return None;
        }
        let lifetimes = &self.lifetimes;
        own.named().find_map(|(lifetime, value)| {
            let limit = match lifetime {
                "code" => lifetimes.code,
                "access" => lifetimes.access,
                "refresh_idle" => lifetimes.refresh_idle,
                _ => lifetimes.refresh_absolute.unwrap_or(Duration::MAX),
            };
            (value > limit).then_some(TooLong { lifetime, value, limit })
        })
    }
}

/// A lifetime as a number of seconds, `null` if it is not set.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|value| value.as_secs()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let value = Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs);
        match value {
            Some(value) if !super::is_countable(value) => {
                Err(de::Error::custom("a lifetime is from one second to a thousand years"))
            }
            value => Ok(value),
        }
    }
}
