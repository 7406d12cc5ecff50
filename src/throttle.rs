//! The limits of one server: how many requests, failed authentications and new records it admits in
//! a minute.
//!
//! The windows live in this process. A host that shares the limit of token requests among several
//! servers keeps a [`RateWindow`](crate::rate::RateWindow) in its database instead; the other
//! limits are counted by each server for itself.

mod authentication;
mod records;
mod requests;

use self::authentication::Failures;
use self::records::Records;
pub(crate) use self::requests::Admitted;
use crate::limiter::Limiter;

/// The counters of all limits.
#[derive(Debug)]
pub(crate) struct Throttle {
    /// Token requests, or `None` where the host limits them itself.
    requests: Option<Limiter>,
    failures: Failures,
    records: Records,
}

impl Throttle {
    /// Returns the same limits without that of token requests.
    pub(crate) fn without_token_requests(self) -> Self {
        Self { requests: None, ..self }
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            requests: Some(Limiter::default()),
            failures: Failures::default(),
            records: Records::default(),
        }
    }
}
