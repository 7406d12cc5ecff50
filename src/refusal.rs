//! A refusal: the rule that was broken, what was received, and how the error reaches the client.
//!
//! The response that carries a refusal is made in `response/`: pages in `problem`, whole responses
//! in `reply`, challenges in `challenge`, error redirects in `redirect`.

mod detail;

use std::borrow::Cow;

pub(crate) use self::detail::{Detail, Fault, host_hint, listed, quoted, scope_hint};
use crate::moment::CorrelationId;
use crate::policy::{ErrorDelivery, Policy, Resource};
use crate::reason::{Endpoint, ErrorCode, Reason};
use crate::value::redirect_uri::VerifiedRedirectUri;

/// A request that was refused by a rule of the protocol.
///
/// [`reply`](Self::reply) is the whole response at any endpoint. At the authorization endpoint, a
/// host that renders its own pages uses [`location`](Self::location), the redirect to the client,
/// or else [`problem`](Self::problem), the content of an error page.
///
/// ```
#[doc = include_str!("doc_setup.txt")]
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = example::server();
/// # let request = example::get("client_id=nobody");
/// let Err(error) = server.authorize(&request, None).await else { unreachable!() };
/// let refusal = error.refusal();
/// // For the user, on a page of the host's own; `location` is `None`, so there is no redirect.
/// let problem = refusal.problem(server.policy());
/// assert_eq!(refusal.location(server.policy()), None);
/// assert_eq!((problem.status, problem.anchor), (400, "client_unknown"));
/// // For the operator.
/// let reason = refusal.reason();
/// println!("{}: {} {}", reason.name(), reason.cause(), reason.fix());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", reason.name(), reason.cause())]
#[must_use = "a refusal is the response to a request"]
pub struct Refusal {
    reason: Reason,
    endpoint: Endpoint,
    delivery: Delivery,
    detail: Option<Box<Detail>>,
    correlation: Option<CorrelationId>,
}

/// How a refusal reaches the client.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// In the response, without anything of the variants below.
    Plain,
    /// By redirect to the client's verified redirect URI.
    Redirect(Box<Redirectable>),
    /// With a challenge (RFC 6750 §3).
    Challenge(Box<Challenge>),
    /// With `Retry-After`, in seconds.
    RetryAfter(u32),
}

/// The redirect URI and state that an error response uses.
#[derive(Debug)]
pub(crate) struct Redirectable {
    pub(crate) uri: VerifiedRedirectUri,
    pub(crate) state: Option<Box<str>>,
    /// `true` if the browser is redirected at once, `false` if a page shows the error first and
    /// links to the redirect.
    pub(crate) at_once: bool,
}

impl Redirectable {
    /// Returns where errors of an authorization request go. The browser is redirected at once only
    /// if the user is signed in and the policy's error delivery allows it for this client:
    /// otherwise the server would be an open redirector (OAuth 2.1 §7.13).
    pub(crate) fn of(
        uri: VerifiedRedirectUri,
        state: Option<&str>,
        signed_in: bool,
        trusted: bool,
        policy: &Policy,
    ) -> Self {
        let at_once = signed_in && Self::is_at_once(trusted, policy);
        Self { uri, state: state.map(Into::into), at_once }
    }

    /// Returns whether the browser of a signed-in user is redirected at once.
    pub(crate) fn is_at_once(trusted: bool, policy: &Policy) -> bool {
        match policy.error_delivery() {
            ErrorDelivery::Auto => trusted,
            ErrorDelivery::AlwaysRedirect => true,
            ErrorDelivery::AlwaysBanner => false,
        }
    }

    /// Returns where errors go after the user has pressed a button on the consent page. The browser
    /// is redirected at once, because the user acted.
    pub(crate) fn after_user_action(uri: &VerifiedRedirectUri, state: Option<&str>) -> Self {
        Self { uri: uri.clone(), state: state.map(Into::into), at_once: true }
    }
}

/// The parameters of a challenge (RFC 6750 §3).
#[derive(Debug)]
pub(crate) struct Challenge {
    pub(crate) resource_metadata: String,
    pub(crate) scope: String,
    /// The login that is needed, if the user's own is the only fault of the call.
    pub(crate) login: Option<NeededLogin>,
}

/// A class and a recency of a login that an operation of a resource needs (RFC 9470 §3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NeededLogin {
    /// One of these is needed. Empty: any class suffices.
    pub(crate) acr_values: Vec<String>,
    /// In seconds.
    pub(crate) max_age: Option<u32>,
}

impl Challenge {
    /// Returns the challenge of a resource for an operation that needs these scope tokens. If it
    /// needs none, the challenge names those of the resource. Each token is named once. The policy
    /// declares all of them, so that none can break the header.
    fn of(resource: &Resource, scopes: &[String]) -> Self {
        let named = if scopes.is_empty() { &resource.scopes } else { scopes };
        let mut scope = String::new();
        for token in named {
            if scope.split(' ').all(|earlier| earlier != token) {
                scope.push_str(if scope.is_empty() { "" } else { " " });
                scope.push_str(token);
            }
        }
        Self { resource_metadata: resource.metadata_url.clone(), scope, login: None }
    }
}

impl Refusal {
    /// Makes the refusal of a request that the host refuses before it calls an endpoint, such as a
    /// body that is too large. The endpoints make their own refusals.
    pub fn plain(reason: Reason, endpoint: Endpoint) -> Self {
        Self::of(reason, endpoint)
    }

    /// Makes the refusal of a token request that is over a limit: 429, with `Retry-After` of at
    /// least a second. It is for hosts that keep the [windows](crate::rate::RateWindow) themselves.
    /// [`Server::rate_limited`](crate::Server::rate_limited) records the event as well.
    pub fn rate_limited(seconds: u32) -> Self {
        Self::with_retry_after(Reason::RateLimited, Endpoint::Token, seconds.max(1))
    }

    fn new(fault: impl Into<Fault>, endpoint: Endpoint, delivery: Delivery) -> Self {
        let Fault { reason, detail } = fault.into();
        Self { reason, endpoint, delivery, detail, correlation: None }
    }

    /// Makes the refusal of a fault, with its detail.
    pub(crate) fn of(fault: impl Into<Fault>, endpoint: Endpoint) -> Self {
        Self::new(fault, endpoint, Delivery::Plain)
    }

    /// Makes a refusal at the authorization endpoint that may be sent to the client.
    pub(crate) fn redirectable(fault: impl Into<Fault>, to: Redirectable) -> Self {
        Self::new(fault, Endpoint::Authorization, Delivery::Redirect(Box::new(to)))
    }

    /// Makes a refusal at a resource, with a challenge for an operation that needs these scope
    /// tokens.
    pub(crate) fn challenge(reason: Reason, resource: &Resource, scopes: &[String]) -> Self {
        let challenge = Challenge::of(resource, scopes);
        Self::new(reason, Endpoint::Resource, Delivery::Challenge(Box::new(challenge)))
    }

    /// Adds to the challenge the login that is needed.
    pub(crate) fn needing(mut self, login: NeededLogin) -> Self {
        if let Delivery::Challenge(challenge) = &mut self.delivery {
            challenge.login = Some(login);
        }
        self
    }

    /// Makes a refusal with `Retry-After`.
    pub(crate) fn with_retry_after(reason: Reason, endpoint: Endpoint, seconds: u32) -> Self {
        Self::new(reason, endpoint, Delivery::RetryAfter(seconds))
    }

    pub(crate) fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// Replaces the reason. The delivery stays, the detail goes.
    pub(crate) fn with_reason(self, reason: Reason) -> Self {
        Self { reason, detail: None, ..self }
    }

    /// Returns the rule that was broken, for the operator.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns what was received and what is right, if that is known.
    ///
    /// The text is whole sentences of at most about 800 bytes, within the characters of
    /// `error_description` (RFC 6749 §5.2). Values of the request in it are escaped and cut, and
    /// contain no credential of this crate.
    pub fn detail(&self) -> Option<String> {
        self.detail.as_ref().map(|detail| detail.sentences().into_owned())
    }

    /// Returns the value of `error_description`: the reason's stable
    /// [description](Reason::description), followed by the [detail](Self::detail).
    pub fn description(&self) -> Cow<'static, str> {
        let stable = self.reason.disclosed().description();
        match &self.detail {
            None => Cow::Borrowed(stable),
            Some(detail) => format!("{stable} {}", detail.sentences()).into(),
        }
    }

    /// Returns the value that broke the rule, escaped and cut.
    pub(crate) fn received_value(&self) -> Option<String> {
        self.detail.as_ref()?.received().map(Into::into)
    }

    /// Sets the correlation id of the refused request.
    pub(crate) fn correlated(self, correlation: CorrelationId) -> Self {
        Self { correlation: Some(correlation), ..self }
    }

    /// Returns the correlation id of the refused request, for the page and for support. The event
    /// of the refusal has the same.
    pub fn correlation(&self) -> Option<CorrelationId> {
        self.correlation
    }

    /// Returns the public error code, or `None` if the request had no credentials and the response
    /// therefore has no `error` (OAuth 2.1 §5.3.2).
    pub fn code(&self) -> Option<ErrorCode> {
        self.reason.code(self.endpoint)
    }

    /// Returns the endpoint where the request was refused.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// Returns the status of the response or page. A redirect is a 303 instead.
    pub fn status(&self) -> u16 {
        self.reason.status(self.endpoint)
    }

    /// Returns the value of `Retry-After` in seconds, or `None` if the response has no such header.
    pub fn retry_after(&self) -> Option<u32> {
        match (&self.delivery, self.code()) {
            (Delivery::RetryAfter(seconds), _) => Some(*seconds),
            (_, Some(ErrorCode::TemporarilyUnavailable)) => Some(1),
            _ => None,
        }
    }
}
