//! The sign-in that an authorization request needs, and the one that a host gives up (OpenID
//! Connect Core §3.1.2.1; RFC 9470 §5).

use std::convert::Infallible;
use std::sync::Arc;

use super::authorization::VerifiedRequest;
use super::context::Context;
use super::terms::RequestedGrant;
use crate::decision::{Decision, Loaded, Operation};
use crate::event::EventKind;
use crate::keys::{ClientKey, Keys};
use crate::moment::{Moment, Timestamp};
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::request::authorization::{AuthorizationRequest, User};
use crate::request::login::{Login, LoginGivenUp};
use crate::response::authorization::{AuthorizationStep, LoginPage, WantedLogin};
use crate::value::hints::Hints;

/// Whether a request has the user that it needs.
pub(super) enum SignIn<'a> {
    Done(&'a User<'a>),
    /// The user must sign in first, in this way.
    Wanted(WantedLogin),
}

impl AuthorizationRequest<'_> {
    /// Returns the user, or the sign-in that is needed first.
    pub(super) fn check_sign_in(
        &self,
        requested: &RequestedGrant,
        now: Timestamp,
    ) -> Result<SignIn<'_>, Reason> {
        match (&self.user, self.wanted_login(requested, now)) {
            (Some(user), None) => Ok(SignIn::Done(user)),
            _ if requested.prompt.none => Err(Reason::LoginRequired),
            (_, wanted) => Ok(SignIn::Wanted(wanted.unwrap_or_default())),
        }
    }

    /// Returns the sign-in that the user's own does not replace, if there is one.
    fn wanted_login(&self, requested: &RequestedGrant, now: Timestamp) -> Option<WantedLogin> {
        let prompt = requested.prompt;
        let Some(user) = &self.user else {
            return Some(WantedLogin {
                fresh: prompt.login,
                choose_account: prompt.select_account,
                acr_values: requested.acr_values.clone(),
            });
        };
        let login = user.login;
        let max_age = requested.hints.as_ref().and_then(|hints| hints.max_age);
        // `max_age=0` asks for a login, even if one was made within the same second.
        let is_old = max_age.is_some_and(|seconds| seconds == 0 || !is_recent(login, seconds, now));
        let is_weak = !is_of_class(login, &requested.acr_values);
        if !(prompt.login || prompt.select_account || is_old || is_weak) {
            return None;
        }
        // A sign-in that is older than this request, or was made for another one, does not satisfy
        // `prompt=login` (AMB-52). One that was made for it is as fresh as any can be, so that
        // `max_age=0` ends.
        let is_answered = user.signed_in_for.is_some_and(|own| own.matches(&self.digest()));
        let wanted = WantedLogin {
            fresh: !is_answered && (prompt.login || is_old),
            choose_account: !is_answered && prompt.select_account,
            acr_values: if is_weak { requested.acr_values.clone() } else { Box::default() },
        };
        (wanted.fresh || wanted.choose_account || is_weak).then_some(wanted)
    }

    /// Returns the declared classes of logins that the request asks for, one of which is necessary.
    /// A policy without declared classes needs none: only the host knows what they mean.
    pub(super) fn needed_classes(&self, policy: &Policy) -> Result<Box<[Box<str>]>, Reason> {
        let mut declared = policy.acr_values().peekable();
        let asked = self.acr_values.get().unwrap_or_default();
        if declared.peek().is_none() || asked.trim_matches(' ').is_empty() {
            return Ok(Box::default());
        }
        let needed: Box<[Box<str>]> = declared
            .filter(|own| asked.split(' ').any(|one| one == *own))
            .map(Into::into)
            .collect();
        if needed.is_empty() { Err(Reason::LoginClassUnmet) } else { Ok(needed) }
    }
}

impl VerifiedRequest<'_> {
    /// Shows the login page.
    pub(super) fn show_login(
        &self,
        wanted: WantedLogin,
        hints: Option<Box<Hints>>,
    ) -> Decision<AuthorizationStep> {
        let page = LoginPage {
            client: Arc::clone(self.client),
            redirect_uri: self.redirect_uri.clone(),
            request: self.request.digest(),
            wanted,
            hints,
        };
        self.ctx
            .allow(EventKind::LoginNeeded, AuthorizationStep::NeedsLogin(page))
            .with_detail(self.dropped_scope())
    }
}

/// Returns whether at most this many seconds have passed since the login. A login whose time is not
/// known is too old.
fn is_recent(login: Option<Login<'_>>, seconds: u64, now: Timestamp) -> bool {
    login.is_some_and(|login| now.seconds_from(login.time) <= seconds)
}

/// Returns whether the login is of one of these classes. If there are none, any login suffices.
pub(super) fn is_of_class(login: Option<Login<'_>>, classes: &[Box<str>]) -> bool {
    let own = login.and_then(|login| login.acr);
    classes.is_empty() || own.is_some_and(|own| classes.iter().any(|class| **class == *own))
}

impl Operation for LoginGivenUp<'_> {
    type Response = Infallible;

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys { client: ClientKey::named(&*self.request.client_id), ..Keys::default() }
    }

    /// Refuses the request. The client is the one on record, however old its document is: the login
    /// page was shown for it.
    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Infallible> {
        let request = &self.request;
        let loaded = &loaded.own(policy, || self.keys(policy, moment));
        let ctx = Context::new(self, loaded, policy, moment).claimed_by(&request.client_id);
        let client = match ctx.usable_client(&request.client_id) {
            Ok(client) => client,
            Err(reason) => return ctx.refuse(reason),
        };
        let redirect_uri = match request.verify_redirect_uri(client, policy) {
            Ok(redirect_uri) => redirect_uri,
            Err(fault) => return ctx.refuse(fault),
        };
        let verified = VerifiedRequest { request, client, redirect_uri, ctx: &ctx };
        match request.check_parameters(client, policy) {
            Ok(_) => verified.refuse(self.failure.reason()),
            Err(fault) => verified.refuse(fault),
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Authorization
    }
}
