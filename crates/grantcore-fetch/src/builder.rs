//! The settings of a fetcher.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::BuildError;
use crate::rates::Rates;
use crate::single_flight::SingleFlight;
use crate::slots::{SlotLimits, Slots};
use crate::{DocumentFetcher, Resolver, Shared, Timeouts, look_up, tls};

/// The settings of a [`DocumentFetcher`].
///
/// ```
/// use std::time::Duration;
///
/// use grantcore_fetch::DocumentFetcher;
///
/// let fetcher = DocumentFetcher::builder()
///     .total_timeout(Duration::from_secs(3))
///     .slots(64)
///     .slots_for_strangers(8)
///     .build()?;
/// # Ok::<(), grantcore_fetch::BuildError>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct DocumentFetcherBuilder {
    allow_loopback: bool,
    additional_roots: Option<PathBuf>,
    pub(crate) timeouts: Timeouts,
    slots: SlotLimits,
    per_minute_for_users: u32,
    per_minute_for_strangers: u32,
    pub(crate) resolver: Resolver,
}

impl Default for DocumentFetcherBuilder {
    fn default() -> Self {
        Self {
            allow_loopback: false,
            additional_roots: None,
            timeouts: Timeouts { connect: Duration::from_secs(3), total: Duration::from_secs(5) },
            slots: SlotLimits::default(),
            per_minute_for_users: 60,
            per_minute_for_strangers: 20,
            resolver: Arc::new(look_up),
        }
    }
}

impl DocumentFetcherBuilder {
    /// Sets the time-out of the connection, TLS included. Default 3 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// Sets the time-out of the whole fetch, from the look-up of the name to the last byte. Default
    /// 5 s: a user waits for it.
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.total = timeout;
        self
    }

    /// Sets how many fetches run at the same time. Default 32.
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots.total = slots;
        self
    }

    /// Sets how many of all slots strangers may take. Default 8. The rest is for users who are
    /// signed in. With zero, nothing is fetched for strangers.
    pub fn slots_for_strangers(mut self, slots: usize) -> Self {
        self.slots.strangers = slots;
        self
    }

    /// Sets how many fetches from one host and port run at the same time. Default 6: a slow host
    /// leaves slots for the others.
    pub fn slots_per_host(mut self, slots: usize) -> Self {
        self.slots.per_host = slots;
        self
    }

    /// Sets how many of the slots of one host and port strangers may take. Default 2: strangers can
    /// name slow documents at the host of a client that users have.
    pub fn slots_per_host_for_strangers(mut self, slots: usize) -> Self {
        self.slots.per_host_for_strangers = slots;
        self
    }

    /// Sets how many fetches of one user, or of one network address of strangers, run at the same
    /// time. Default 2.
    pub fn slots_per_asker(mut self, slots: usize) -> Self {
        self.slots.per_asker = slots;
        self
    }

    /// Sets how many fetches one user may cause per minute. Default 60, which is more than anybody
    /// causes by hand.
    pub fn per_minute_for_users(mut self, fetches: u32) -> Self {
        self.per_minute_for_users = fetches;
        self
    }

    /// Sets how many fetches strangers at one network address may cause per minute. Default 20:
    /// many users may share an address, and few of them meet a client that is new to the server.
    pub fn per_minute_for_strangers(mut self, fetches: u32) -> Self {
        self.per_minute_for_strangers = fetches;
        self
    }

    /// Trusts the certificate authorities in this PEM file beside those that browsers trust, for
    /// clients of an organization with its own authority. The file is read by
    /// [`build`](Self::build).
    pub fn additional_roots(mut self, path: impl Into<PathBuf>) -> Self {
        self.additional_roots = Some(path.into());
        self
    }

    /// Allows documents from this machine, over `http` as well. For development only: any stranger
    /// can then make the host call whatever listens on its loopback addresses. Default `false`.
    ///
    /// The server's policy must allow it too:
    /// [`DocumentRules::allow_loopback`](grantcore::policy::DocumentRules::allow_loopback).
    pub fn allow_loopback(mut self, allow: bool) -> Self {
        self.allow_loopback = allow;
        self
    }

    /// Builds the fetcher.
    ///
    /// # Errors
    /// [`BuildError`] if the file of additional roots cannot be used, if there is no provider of
    /// cryptography, or if a setting makes no sense.
    pub fn build(self) -> Result<DocumentFetcher, BuildError> {
        self.check_settings()?;
        let tls = tls::config(self.additional_roots.as_deref())?;
        let shared = Shared {
            allow_loopback: self.allow_loopback,
            timeouts: self.timeouts,
            resolver: self.resolver,
            rates: Rates::new(self.per_minute_for_users, self.per_minute_for_strangers),
            slots: Slots::new(self.slots),
            fetches: SingleFlight::default(),
            tls,
        };
        Ok(DocumentFetcher { shared: Arc::new(shared) })
    }

    fn check_settings(&self) -> Result<(), BuildError> {
        let slots = &self.slots;
        let refuse = |what| Err(BuildError::Setting(what));
        if self.timeouts.connect.is_zero() || self.timeouts.total.is_zero() {
            return refuse("a time-out of zero lets no fetch succeed");
        }
        if slots.total == 0 || slots.per_host == 0 || slots.per_asker == 0 {
            return refuse("without slots, nothing is ever fetched");
        }
        if slots.strangers > slots.total || slots.per_host_for_strangers > slots.per_host {
            return refuse("strangers cannot have more slots than there are");
        }
        if self.per_minute_for_users == 0 {
            return refuse("with no fetch per minute, nothing is ever fetched");
        }
        Ok(())
    }
}

impl fmt::Debug for DocumentFetcherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentFetcherBuilder")
            .field("allow_loopback", &self.allow_loopback)
            .field("additional_roots", &self.additional_roots)
            .field("timeouts", &self.timeouts)
            .field("slots", &self.slots)
            .field("per_minute_for_users", &self.per_minute_for_users)
            .field("per_minute_for_strangers", &self.per_minute_for_strangers)
            .finish_non_exhaustive()
    }
}
