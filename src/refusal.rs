//! A refusal: which rule was broken, what was received, and how the answer may reach the client.
//! How it looks on the wire is `response/`'s.

mod detail;

use std::borrow::Cow;

pub(crate) use self::detail::{Detail, Fault, host_hint, listed, quoted, scope_hint};
use crate::moment::CorrelationId;
use crate::policy::{ErrorDelivery, Policy, Resource};
use crate::reason::{Endpoint, ErrorCode, Reason};
use crate::value::redirect_uri::VerifiedRedirectUri;
use crate::value::scope::is_token;

/// The protocol said no.
///
/// A refusal at the authorization endpoint is for a page the host renders
/// ([`problem`](Self::problem)), or a redirect ([`location`](Self::location)); one at the token
/// endpoint or a resource is a [`reply`](Self::reply).
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", reason.name(), reason.cause())]
#[must_use = "a refusal is an answer"]
pub struct Refusal {
    reason: Reason,
    endpoint: Endpoint,
    manner: Manner,
    detail: Option<Box<Detail>>,
    correlation: Option<CorrelationId>,
}

/// How a refusal is answered.
#[derive(Debug)]
pub(crate) enum Manner {
    Plain,
    /// At the client's verified redirect URI.
    Redirectable(Box<Redirectable>),
    /// With a challenge (RFC 6750 §3).
    Challenge(Box<Challenge>),
    /// With a time to wait, in seconds.
    Later(u32),
}

/// Where an error may be sent.
#[derive(Debug)]
pub(crate) struct Redirectable {
    pub(crate) uri: VerifiedRedirectUri,
    pub(crate) state: Option<Box<str>>,
    /// Whether it may be sent there at once, without a page between.
    pub(crate) at_once: bool,
}

impl Redirectable {
    /// Where errors of this request go; at once only if the user is signed in and the policy trusts
    /// the client that far (OAuth 2.1 §7.13).
    pub(crate) fn of(
        uri: VerifiedRedirectUri,
        state: Option<&str>,
        signed_in: bool,
        trusted: bool,
        policy: &Policy,
    ) -> Self {
        let at_once = match policy.error_delivery() {
            ErrorDelivery::Auto => signed_in && trusted,
            ErrorDelivery::AlwaysRedirect => signed_in,
            ErrorDelivery::AlwaysBanner => false,
        };
        Self { uri, state: state.map(Into::into), at_once }
    }

    /// Where errors go after the user has pressed a button: at once, for that was the user's doing.
    pub(crate) fn after_user_action(uri: &VerifiedRedirectUri, state: Option<&str>) -> Self {
        Self { uri: uri.clone(), state: state.map(Into::into), at_once: true }
    }
}

/// What a challenge names (RFC 6750 §3).
#[derive(Debug)]
pub(crate) struct Challenge {
    pub(crate) resource_metadata: String,
    pub(crate) scope: String,
}

impl Challenge {
    /// Each scope token once. What is none can be neither granted nor asked for, so it is not
    /// named.
    fn of(resource: &Resource, scopes: &[&str]) -> Self {
        let mut scope = String::new();
        let all = resource
            .scopes
            .iter()
            .map(String::as_str)
            .filter(|_| scopes.is_empty())
            .chain(scopes.iter().copied());
        for token in all.flat_map(|needed| needed.split(' ')).filter(|token| is_token(token)) {
            if scope.split(' ').all(|named| named != token) {
                scope.push_str(if scope.is_empty() { "" } else { " " });
                scope.push_str(token);
            }
        }
        Self { resource_metadata: resource.metadata_url.clone(), scope }
    }
}

impl Refusal {
    /// A refusal told in the plain way of its endpoint. The endpoints make their own; this is for
    /// what a host refuses before them, such as a body it will not read.
    pub fn plain(reason: Reason, endpoint: Endpoint) -> Self {
        Self::told(reason, endpoint, Manner::Plain)
    }

    /// The refusal of a token request that is over a limit: 429, with `Retry-After` of at least a
    /// second. For hosts that keep the [windows](crate::RateWindow) themselves;
    /// [`Server::rate_limited`](crate::Server::rate_limited) tells the trail of it as well.
    pub fn rate_limited(seconds: u32) -> Self {
        Self::later(Reason::RateLimited, Endpoint::Token, seconds.max(1))
    }

    fn told(fault: impl Into<Fault>, endpoint: Endpoint, manner: Manner) -> Self {
        let Fault { reason, detail } = fault.into();
        Self { reason, endpoint, manner, detail, correlation: None }
    }

    /// The refusal of this fault, with what was received.
    pub(crate) fn of(fault: impl Into<Fault>, endpoint: Endpoint) -> Self {
        Self::told(fault, endpoint, Manner::Plain)
    }

    pub(crate) fn redirectable(fault: impl Into<Fault>, to: Redirectable) -> Self {
        Self::told(fault, Endpoint::Authorization, Manner::Redirectable(Box::new(to)))
    }

    pub(crate) fn challenge(reason: Reason, resource: &Resource, scopes: &[&str]) -> Self {
        Self::told(
            reason,
            Endpoint::Resource,
            Manner::Challenge(Box::new(Challenge::of(resource, scopes))),
        )
    }

    pub(crate) fn later(reason: Reason, endpoint: Endpoint, seconds: u32) -> Self {
        Self::told(reason, endpoint, Manner::Later(seconds))
    }

    pub(crate) fn manner(&self) -> &Manner {
        &self.manner
    }

    /// Answered in the same way, for another reason.
    pub(crate) fn because(self, reason: Reason) -> Self {
        Self { reason, detail: None, ..self }
    }

    /// Which rule was broken, for the operator.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns what was received and what is right, where that is known: whole sentences, at most
    /// about 800 bytes, within the characters of `error_description` (RFC 6749 §5.2). Values of the
    /// request are escaped and cut, and no credential of this crate is among them.
    pub fn detail(&self) -> Option<String> {
        self.detail.as_ref().map(|detail| detail.sentences().into_owned())
    }

    /// Returns `error_description` as it is sent: the reason's stable
    /// [description](Reason::description), and after it the [detail](Self::detail).
    pub fn description(&self) -> Cow<'static, str> {
        let stable = self.reason.shown().description();
        match &self.detail {
            None => Cow::Borrowed(stable),
            Some(detail) => format!("{stable} {}", detail.sentences()).into(),
        }
    }

    /// The value that broke the rule, cleaned.
    pub(crate) fn received_value(&self) -> Option<String> {
        self.detail.as_ref()?.received().map(Into::into)
    }

    /// The same, with the name of the request it answers.
    pub(crate) fn correlated(self, correlation: CorrelationId) -> Self {
        Self { correlation: Some(correlation), ..self }
    }

    /// The name of the request it answers, for the page and for support; its event has the same.
    pub fn correlation(&self) -> Option<CorrelationId> {
        self.correlation
    }

    /// The public code.
    pub fn code(&self) -> ErrorCode {
        self.reason.code(self.endpoint)
    }

    /// At which face of the server.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The status of the response or page, where it is no redirect.
    pub fn status(&self) -> u16 {
        self.reason.status(self.endpoint)
    }

    /// Seconds to wait before asking again, where that is said.
    pub fn retry_after(&self) -> Option<u32> {
        match (&self.manner, self.code()) {
            (Manner::Later(seconds), _) => Some(*seconds),
            (_, ErrorCode::TemporarilyUnavailable) => Some(1),
            _ => None,
        }
    }
}
