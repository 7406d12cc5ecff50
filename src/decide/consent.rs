//! approve, deny: the one answer to one consent page (RFC 6749 §10.12; OAuth 2.1 §4.1.2).

use super::context::Context;
use super::login::is_of_class;
use crate::client::Client;
use crate::decision::{Allowed, Decision, Loaded, Operation};
use crate::event::EventKind;
use crate::grant::{
    Approval, Bound, CodeIssue, Grant, LoginFacts, PendingConsent, Phase, RevocationCause,
};
use crate::keys::Keys;
use crate::moment::{Moment, Timestamp};
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::{Stored, Write};
use crate::refusal::{Redirectable, Refusal};
use crate::request::authorization::User;
use crate::request::consent::{Choice, ConsentDecision, is_page_of};
use crate::response::redirect::Redirect;
use crate::value::credential::{Issued, Kind};
use crate::value::redirect_uri::VerifiedRedirectUri;
use crate::value::scope::Scope;
use crate::value::text::State;

impl Operation for ConsentDecision<'_> {
    type Response = Redirect;

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys { grant: Some(self.ticket.id), ..Keys::default() }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Redirect> {
        let loaded = &loaded.own(policy, || self.keys(policy, moment));
        let ctx = Context::new(self, loaded, policy, moment);
        // Until the form is known to come from the page's own user, errors go to a page. A forged
        // form must not send the browser anywhere (RFC 6749 §10.12).
        let page = match self.find_page(&ctx) {
            Ok(page) => page,
            Err(reason) => return ctx.refuse(reason),
        };
        // A denial needs no account in good standing. If it were refused during a suspension, the
        // page could still be approved afterwards.
        if let Choice::Allow | Choice::AllowOnly(_) = self.choice {
            if let Err(reason) = ctx.check_accounts() {
                return page.redirect_error(reason);
            }
        }
        match (page.grant().phase(), self.choice) {
            (Phase::ConsentPending(_), choice) => page.answer(choice, &self.bound),
            // Lost response: this request has issued the code already (I17).
            (Phase::CodeIssued(issued), Choice::Allow | Choice::AllowOnly(_))
                if issued.code_digest.matches(&moment.entropy.secret().digest()) =>
            {
                page.redirect_code(None)
            }
            // A repeated denial gets the same answer.
            (Phase::Revoked(revoked), Choice::Deny) if revoked.cause == RevocationCause::Denied => {
                page.redirect_error(Reason::AccessDenied)
            }
            // Of several submissions of one page, only the first one counts (CONSENT-05).
            _ => ctx.refuse(Reason::ConsentUsed),
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Authorization
    }
}

impl ConsentDecision<'_> {
    /// Returns the page that this form belongs to, also if it was answered before. The client must
    /// still be usable and still be registered for the redirect URI (CONSENT-10).
    fn find_page<'a>(&'a self, ctx: &'a Context<'a>) -> Result<AnsweredPage<'a>, Reason> {
        let stored = ctx.loaded.grant.as_ref().ok_or(Reason::TicketUnknown)?;
        let grant = &*stored.record;
        let consent = match grant.phase() {
            Phase::ConsentPending(pending) => pending,
            Phase::CodeIssued(issued) => match &issued.issued_by {
                CodeIssue::Page(page) => page,
                // No page was shown, so that no ticket of this grant exists.
                CodeIssue::NoPage { .. } => return Err(Reason::TicketUnknown),
            },
            Phase::Revoked(revoked) => {
                revoked.closed_consent.as_ref().ok_or(Reason::ConsentUsed)?
            }
            Phase::Active(_) => return Err(Reason::ConsentUsed),
        };
        // Cross-site request forgery: only the page has the ticket (CONSENT-02).
        if !self.ticket.secret.digest().matches(&consent.ticket_digest) {
            return Err(Reason::TicketUnknown);
        }
        // A ticket that leaked, or a thief's own, is useless in another session (CONSENT-06).
        if !is_page_of(&self.user, grant, consent) {
            return Err(Reason::ConsentSessionMismatch);
        }
        let client = ctx.usable_client(grant.client_id().as_str())?;
        let terms = grant.terms();
        let redirect_uri = terms.redirect_uri().ok_or(Reason::TicketUnknown)?;
        // Named also if the request left it out: the client may have registered others beside it.
        if client.verify_redirect(Some(redirect_uri.as_str()), ctx.policy)? != *redirect_uri {
            return Err(Reason::RedirectUriMismatch);
        }
        // The page was not answered: the user's grants were ended meanwhile, and its grant was one
        // of them.
        match grant.phase() {
            Phase::Revoked(revoked) if revoked.cause != RevocationCause::Denied => {
                Err(Reason::ConsentExpired)
            }
            _ => Ok(AnsweredPage { stored, consent, client, redirect_uri, user: &self.user, ctx }),
        }
    }
}

/// A consent page whose form came from its own user. Errors are redirected at once, because the
/// user has pressed a button.
struct AnsweredPage<'a> {
    stored: &'a Stored<Grant>,
    consent: &'a PendingConsent,
    client: &'a Client,
    redirect_uri: &'a VerifiedRedirectUri,
    user: &'a User<'a>,
    ctx: &'a Context<'a>,
}

impl AnsweredPage<'_> {
    /// Answers a page that has no answer yet.
    fn answer(&self, choice: Choice<'_>, bound: &Bound) -> Decision<Redirect> {
        let grant = self.grant();
        let now = grant.now(self.ctx.moment.now);
        if now >= self.consent.expires || !self.ctx.loaded.epochs_match(grant) {
            return self.ctx.refuse(Reason::ConsentExpired);
        }
        let part = match choice {
            Choice::Deny => return self.deny(now),
            Choice::Allow => None,
            Choice::AllowOnly(tokens) => {
                match approved_part(tokens, grant.scope(), self.ctx.policy) {
                    Ok(part) => part,
                    Err(reason) => return self.ctx.refuse(reason),
                }
            }
        };
        if let Err(reason) = self.check_login() {
            return match reason {
                // The form came from a session in which its page was not shown.
                Reason::ConsentLoginOlder => self.ctx.refuse(reason),
                reason => self.redirect_error(reason),
            };
        }
        // The host's mistake, not the user's: the page stays open for another decision.
        if bound.until.is_some_and(|end| end <= now) {
            return self.ctx.refuse(Reason::ConsentEndPassed);
        }
        if let Err(reason) = self.check_scope(part.as_ref().unwrap_or(grant.scope())) {
            return self.redirect_error(reason);
        }
        self.approve(part, bound, now)
    }

    fn deny(&self, now: Timestamp) -> Decision<Redirect> {
        let denied = self.grant().denied(self.consent, now);
        let mut decision = self.redirect_error(Reason::AccessDenied);
        decision.set_write(Write::grant(Some(self.stored), denied));
        decision.redirect_if_not_written(true);
        decision
    }

    /// Issues the code, for a part of the scope or for all of it.
    fn approve(&self, part: Option<Scope>, bound: &Bound, now: Timestamp) -> Decision<Redirect> {
        let lifetimes = self.ctx.policy.lifetimes_of(self.client);
        let approval = Approval {
            code_digest: self.ctx.moment.entropy.secret().digest(),
            scope: part,
            login: self.user.login.map(LoginFacts::from),
            bound,
        };
        let next = self.grant().approved(self.consent, approval, &lifetimes, now);
        // The code may be redeemed just before it expires, and the tokens may then be used until
        // they expire.
        let last_use =
            now.after(lifetimes.code()).after(lifetimes.refresh_idle()).min(next.expires());
        if let Some(renewal) = self.ctx.client_renewal(last_use) {
            return self
                .ctx
                .prepare(renewal)
                .if_not_written(self.refusal(Reason::StorageUnavailable));
        }
        self.redirect_code(Some(Write::grant(Some(self.stored), next)))
    }

    /// Checks the login of the user who allows. It must not be older than that of the page, which
    /// satisfied the request's `max_age` when the page was made (AMB-76), and of a class that the
    /// request needs.
    fn check_login(&self) -> Result<(), Reason> {
        let own = self.user.login;
        let of_page = self.grant().terms().login().map(|login| login.time);
        if of_page.is_some_and(|time| own.is_none_or(|own| own.time < time)) {
            return Err(Reason::ConsentLoginOlder);
        }
        if !is_of_class(own, &self.consent.acr_values) {
            return Err(Reason::LoginClassUnmet);
        }
        Ok(())
    }

    /// Returns an error if the client may no longer be granted this scope by a code. Client and
    /// policy may have changed since the page was shown.
    fn check_scope(&self, scope: &Scope) -> Result<(), Reason> {
        if !self.client.grant_types().authorization_code {
            return Err(Reason::CodeFlowUnauthorized);
        }
        let policy = self.ctx.policy;
        let limits = self.client.scope_limits(policy);
        if limits.are_none() && policy.whole_scope(scope.as_str()).is_some() {
            return Ok(());
        }
        let is_known = |token: &str| policy.knows_scope(token);
        let is_open = |token: &str| is_known(token) && limits.admit(token);
        if scope.tokens().all(is_open) {
            return Ok(());
        }
        let are_known = scope.tokens().all(is_known);
        Err(if are_known { Reason::ScopeForbidden } else { Reason::ScopeUnknown })
    }

    /// Redirects to the client with the code of this request. The redirect names the issuer, so
    /// that the client sends the code to no other server (mix-up, RFC 9207 §2).
    fn redirect_code(&self, write: Option<Write>) -> Decision<Redirect> {
        let secret = self.ctx.moment.entropy.secret();
        let code = Issued::one(Kind::Code, self.grant().id(), secret);
        let state = self.consent.state.as_ref().map(State::as_str);
        let redirect = Redirect::with_code(self.redirect_uri, &code, state, self.ctx.policy);
        self.ctx.allow_all(Allowed {
            kind: EventKind::ConsentApproved,
            response: redirect,
            write,
            redirects_at_once: Some(true),
            detail: None,
        })
    }

    fn redirect_error(&self, reason: Reason) -> Decision<Redirect> {
        self.ctx.refuse_by(self.refusal(reason))
    }

    fn refusal(&self, reason: Reason) -> Refusal {
        let state = self.consent.state.as_ref().map(State::as_str);
        let to = Redirectable::after_user_action(self.redirect_uri, state);
        Refusal::redirectable(reason, to)
    }

    fn grant(&self) -> &Grant {
        &self.stored.record
    }
}

/// Returns the approved scope, or `None` if that is all of the requested scope. More than was
/// requested is an error (CONSENT-11). A token that a requested one includes is less (RS-11).
fn approved_part(
    tokens: &str,
    requested: &Scope,
    policy: &Policy,
) -> Result<Option<Scope>, Reason> {
    let approved = Scope::parse(tokens).map_err(|_| Reason::ConsentScope)?;
    if !approved.tokens().all(|token| policy.is_within(requested, token)) {
        return Err(Reason::ConsentScope);
    }
    Ok((approved != *requested).then_some(approved))
}
