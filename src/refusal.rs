//! A refusal: which rule was broken, and the way in which that may be told. How it looks on the
//! wire is `response/`'s.

use crate::moment::CorrelationId;
use crate::policy::{ErrorDelivery, Policy, Resource};
use crate::reason::{Code, Reason, Surface};
use crate::value::redirect_uri::VerifiedRedirectUri;
use crate::value::scope::is_token;
use crate::value::text::log_text;

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
    surface: Surface,
    manner: Manner,
    correlation: Option<CorrelationId>,
}

/// In which way it is told.
#[derive(Debug)]
pub(crate) enum Manner {
    Plain,
    /// On a page, with what was received as text.
    Received(Box<str>),
    /// On a page, with which part of the rule was broken.
    Part(&'static str),
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
    /// A refusal told in the plain way of its surface. The endpoints make their own; this is for
    /// what a host refuses before them, such as a body it will not read.
    pub fn plain(reason: Reason, surface: Surface) -> Self {
        Self::told(reason, surface, Manner::Plain)
    }

    /// The refusal of a token request that is over a limit: 429, with `Retry-After` of at least a
    /// second. For hosts that keep the [windows](crate::RateWindow) themselves;
    /// [`Server::rate_limited`](crate::Server::rate_limited) tells the trail of it as well.
    pub fn rate_limited(seconds: u32) -> Self {
        Self::later(Reason::RateLimited, Surface::Token, seconds.max(1))
    }

    fn told(reason: Reason, surface: Surface, manner: Manner) -> Self {
        Self { reason, surface, manner, correlation: None }
    }

    pub(crate) fn received(reason: Reason, text: &str) -> Self {
        let manner = if text.is_empty() { Manner::Plain } else { Manner::Received(log_text(text)) };
        Self::told(reason, Surface::Authorization, manner)
    }

    pub(crate) fn part(reason: Reason, part: &'static str) -> Self {
        Self::told(reason, Surface::Authorization, Manner::Part(part))
    }

    pub(crate) fn redirectable(reason: Reason, to: Redirectable) -> Self {
        Self::told(reason, Surface::Authorization, Manner::Redirectable(Box::new(to)))
    }

    pub(crate) fn challenge(reason: Reason, resource: &Resource, scopes: &[&str]) -> Self {
        Self::told(
            reason,
            Surface::Resource,
            Manner::Challenge(Box::new(Challenge::of(resource, scopes))),
        )
    }

    pub(crate) fn later(reason: Reason, surface: Surface, seconds: u32) -> Self {
        Self::told(reason, surface, Manner::Later(seconds))
    }

    pub(crate) fn manner(&self) -> &Manner {
        &self.manner
    }

    /// Told in the same way, for another reason.
    pub(crate) fn because(self, reason: Reason) -> Self {
        Self { reason, ..self }
    }

    /// Which rule was broken, for the operator.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Which part of the rule was broken, where the rule has several: of a client's document, say.
    pub fn detail(&self) -> Option<&'static str> {
        match self.manner {
            Manner::Part(part) => Some(part),
            _ => None,
        }
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
    pub fn code(&self) -> Code {
        self.reason.code(self.surface)
    }

    /// At which face of the server.
    pub fn surface(&self) -> Surface {
        self.surface
    }

    /// The status of the response or page, where it is no redirect.
    pub fn status(&self) -> u16 {
        self.reason.status(self.surface)
    }

    /// Seconds to wait before asking again, where that is said.
    pub fn retry_after(&self) -> Option<u32> {
        match (&self.manner, self.code()) {
            (Manner::Later(seconds), _) => Some(*seconds),
            (_, Code::TemporarilyUnavailable) => Some(1),
            _ => None,
        }
    }
}
