//! The checks of claims that need no key: times and audience.

use std::time::Duration;

use super::claims::Claims;
use super::fault::Fault;
use crate::moment::Timestamp;
use crate::value::uri::Uri;

/// How times are judged. The leeway applies to `exp`, `nbf` and `iat`, and to nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "rules do nothing until claims are checked by them"]
pub struct TimeRules {
    leeway: Duration,
    longest: Duration,
    from_issue: bool,
}

impl TimeRules {
    /// Makes rules: how far the clocks of the two parties may differ, and how far ahead `exp` may
    /// be.
    pub const fn new(leeway: Duration, longest: Duration) -> Self {
        Self { leeway, longest, from_issue: false }
    }

    /// Counts the longest lifetime from `iat` as well, if there is one. Without this, an assertion
    /// that was signed for a day is accepted towards the end of that day.
    pub const fn counted_from_issue(self) -> Self {
        Self { from_issue: true, ..self }
    }
}

impl Claims {
    /// Checks `exp`, `nbf` and `iat` (KEYS-50 to KEYS-52). Returns the time from which the
    /// assertion is expired for this server: its `exp` and the leeway.
    ///
    /// # Errors
    /// The first of these faults: [`Fault::Malformed`] if one of the three is no date,
    /// [`Fault::Expired`] if there is no `exp` or it is past, [`Fault::Early`] if `nbf` or `iat` is
    /// ahead, [`Fault::LongLived`] if `exp` is too far ahead.
    pub fn check_times(&self, rules: TimeRules, now: Timestamp) -> Result<Timestamp, Fault> {
        let expires = self.exp()?;
        let not_before = self.nbf()?;
        let issued = self.iat()?;
        let expires = expires.ok_or(Fault::Expired)?;
        let end = expires.after(rules.leeway);
        if end <= now {
            return Err(Fault::Expired);
        }
        let latest_start = now.after(rules.leeway);
        if [not_before, issued].into_iter().flatten().any(|start| start > latest_start) {
            return Err(Fault::Early);
        }
        let is_long = |start: Timestamp| expires > start.after(rules.longest).after(rules.leeway);
        if is_long(now) || rules.from_issue && issued.is_some_and(is_long) {
            return Err(Fault::LongLived);
        }
        Ok(end)
    }

    /// Checks that the audience is this issuer and nothing else (KEYS-48).
    ///
    /// # Errors
    /// [`Fault::Audience`] if it is not.
    pub fn check_audience(&self, issuer: &str) -> Result<(), Fault> {
        if is_issuer(self.sole_audience()?, issuer) { Ok(()) } else { Err(Fault::Audience) }
    }
}

/// Returns whether an audience names this issuer: the same text, or the same with or without the
/// slash that is the whole path. Libraries add that slash when they parse the URL.
pub fn is_issuer(audience: &str, issuer: &str) -> bool {
    let is_root = Uri::split(issuer).is_some_and(|uri| matches!(uri.path_and_query(), "" | "/"));
    if is_root {
        let without = |text| str::strip_suffix(text, '/').unwrap_or(text);
        without(audience) == without(issuer)
    } else {
        audience == issuer
    }
}
