//! authorize: an authorization request leads to a login page, to a consent page, to a code, or to
//! the first rule that it breaks (OAuth 2.1 §4.1.1).
//!
//! The order of the steps is fixed (AUTHZ-05): the client, its document, the redirect URI, the
//! request, the sign-in, the accounts, the consent. Until the client and the redirect URI are
//! verified, an error is shown to the user and never redirected. The other parameters are in
//! `parameters`, the sign-in is in `login`, and a code without a consent page in `silent`.

use std::sync::Arc;

use super::context::Context;
use super::document::DocumentState;
use super::dropped::dropped_scope;
use super::login::SignIn;
use super::terms::RequestedGrant;
use crate::account::Account;
use crate::client::Client;
use crate::decision::{Allowed, Decision, Loaded, Operation};
use crate::event::EventKind;
use crate::grant::{
    Basis, CapturedAccount, Consent, Grant, LoginFacts, PendingConsent, Phase, Terms,
};
use crate::keys::{ClientKey, Keys};
use crate::moment::{Moment, Timestamp};
use crate::policy::{DocumentRules, Policy};
use crate::reason::{Endpoint, Reason};
use crate::record::Write;
use crate::refusal::{Fault, Redirectable, Refusal, host_hint};
use crate::request::authorization::{AuthorizationRequest, User};
use crate::request::consent::is_page_of;
use crate::response::authorization::{AuthorizationStep, ConsentPage};
use crate::value::credential::{Issued, Kind};
use crate::value::hints::Hints;
use crate::value::properties::Properties;
use crate::value::redirect_uri::VerifiedRedirectUri;
use crate::value::scope::Scope;
use crate::value::secret::Digest;
use crate::value::text::{State, Subject};

impl Operation for AuthorizationRequest<'_> {
    type Response = AuthorizationStep;

    fn keys(&self, policy: &Policy, moment: &Moment) -> Keys<'_> {
        // A grant id that was just drawn is on record only if an earlier attempt of this request
        // wrote it. A grant id that is derived from the challenge may be on record at any time.
        let may_exist =
            moment.is_retry || policy.refuses_reused_challenges() && self.user.is_some();
        Keys {
            grant: may_exist.then(|| self.grant_id(policy, moment)),
            client: ClientKey::named(&*self.client_id),
            subject: self.user.as_ref().map(|user| user.subject.into()),
            remembered: self.user.as_ref().and_then(|user| user.remembered),
            ..Keys::default()
        }
    }

    fn decide(
        &self,
        loaded: &Loaded,
        policy: &Policy,
        moment: &Moment,
    ) -> Decision<AuthorizationStep> {
        let loaded = &loaded.own(policy, || self.keys(policy, moment));
        let ctx = Context::new(self, loaded, policy, moment).claimed_by(&self.client_id);
        match self.document().dropped(&ctx) {
            Some(dropped) => self.authorize(&ctx).with_dropped(&dropped),
            None => self.authorize(&ctx),
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Authorization
    }
}

/// The client of an authorization request.
enum ResolvedClient<'a> {
    /// It is on record and usable.
    OnRecord(&'a Arc<Client>),
    /// It is known by a document that must be read first.
    ByDocument(&'a DocumentRules),
}

impl AuthorizationRequest<'_> {
    /// Takes the steps in order. Each returns the input of the next step, or ends the request.
    fn authorize(&self, ctx: &Context<'_>) -> Decision<AuthorizationStep> {
        // Errors go to a page, never to the URI in the request: nobody has verified it yet, and
        // the endpoint would be an open redirector (OAuth 2.1 §4.1.2.1, §7.13).
        let client = match self.resolve_client(ctx) {
            Ok(ResolvedClient::OnRecord(client)) => client,
            Ok(ResolvedClient::ByDocument(rules)) => match self.document().resolve(rules, ctx) {
                Ok(DocumentState::Recorded(client)) => client,
                Ok(DocumentState::Unrecorded(client)) => {
                    let seen = ctx.loaded.client_of(&self.client_id);
                    return ctx.prepare(Write::client(seen, client));
                }
                Ok(DocumentState::Unfetched(document)) => {
                    return ctx
                        .allow(
                            EventKind::DocumentNeeded,
                            AuthorizationStep::NeedsDocument(document),
                        )
                        .claimed_by(&self.client_id);
                }
                Err(fault) => return ctx.refuse(fault),
            },
            Err(reason) => return ctx.refuse(reason),
        };
        let redirect_uri = match self.verify_redirect_uri(client, ctx.policy) {
            Ok(redirect_uri) => redirect_uri,
            Err(fault) => return ctx.refuse(fault),
        };

        // Errors are redirectable from here on.
        let verified = VerifiedRequest { request: self, client, redirect_uri, ctx };
        let requested = match self.check_parameters(client, ctx.policy) {
            Ok(requested) => requested,
            Err(fault) => return verified.refuse(fault),
        };
        let user = match self.check_sign_in(&requested, ctx.moment.now) {
            Ok(SignIn::Done(user)) => user,
            Ok(SignIn::Wanted(wanted)) => {
                return verified.show_login(wanted, requested.hints);
            }
            Err(reason) => return verified.refuse(reason),
        };
        let account = match ctx.check_accounts() {
            Ok(account) => account,
            Err(reason) => return verified.refuse(reason),
        };
        let given = verified.find_consent(&requested, user);
        if let Some(decision) =
            given.and_then(|given| verified.issue_code(given, &requested, user, account))
        {
            return decision;
        }
        if requested.prompt.none {
            return verified.refuse(Reason::ConsentRequired);
        }
        verified.ask_consent(requested, user, account)
    }

    /// Returns the client, or the rules of the document that it must be read from.
    fn resolve_client<'a>(&self, ctx: &Context<'a>) -> Result<ResolvedClient<'a>, Reason> {
        match ctx.policy.client_documents() {
            Some(rules) if self.document().is_needed(rules, ctx) => {
                Ok(ResolvedClient::ByDocument(rules))
            }
            _ => ctx.usable_client(&self.client_id).map(ResolvedClient::OnRecord),
        }
    }

    /// Returns the redirect URI if the client is registered for it.
    pub(super) fn verify_redirect_uri(
        &self,
        client: &Client,
        policy: &Policy,
    ) -> Result<VerifiedRedirectUri, Fault> {
        let sent = self.redirect_uri.get();
        let verified = if self.redirect_uri.repeated {
            Err(Reason::RedirectUriRepeated)
        } else {
            client.verify_redirect(sent, policy)
        };
        verified.map_err(|reason| {
            let sent = sent.unwrap_or_default();
            reason.received(sent).maybe_hint(host_hint(sent))
        })
    }
}

/// A request whose client and redirect URI are verified. Its errors can be redirected.
pub(super) struct VerifiedRequest<'a> {
    pub(super) request: &'a AuthorizationRequest<'a>,
    pub(super) client: &'a Arc<Client>,
    pub(super) redirect_uri: VerifiedRedirectUri,
    pub(super) ctx: &'a Context<'a>,
}

impl VerifiedRequest<'_> {
    /// Makes a pending grant and shows its consent page.
    fn ask_consent(
        &self,
        mut requested: RequestedGrant,
        user: &User<'_>,
        account: Account,
    ) -> Decision<AuthorizationStep> {
        let hints = requested.hints.take();
        let seen = self.ctx.loaded.grant.as_ref();
        if let Some(stored) = seen {
            let pending = match stored.record.phase() {
                Phase::ConsentPending(pending) => Some(pending),
                Phase::CodeIssued(_) | Phase::Active(_) | Phase::Revoked(_) => None,
            };
            let ticket = self.ctx.moment.entropy.secret().digest();
            if pending.is_some_and(|pending| pending.ticket_digest.matches(&ticket)) {
                // Lost response: an earlier attempt of this request wrote the grant (I17).
                return self.show_consent(Arc::clone(&stored.record), hints, None);
            }
            // Another record has the id that this request drew.
            if !self.ctx.policy.refuses_reused_challenges() {
                return self.refuse(Reason::Contended);
            }
            // Until the consent page is answered, the same user may reload it in the same session.
            // In any other case the challenge was used before (RFC 9700 §2.1.1).
            if !pending.is_some_and(|pending| is_page_of(user, &stored.record, pending)) {
                return self.refuse(Reason::PkceChallengeReused);
            }
        }
        let grant = Arc::new(self.pending_grant(requested, user, account));
        let write = Write::grant(seen, Arc::clone(&grant));
        self.show_consent(grant, hints, Some(write))
    }

    /// Returns the new grant.
    fn pending_grant(&self, requested: RequestedGrant, user: &User<'_>, account: Account) -> Grant {
        let Context { moment, policy, .. } = *self.ctx;
        let seen = self.ctx.loaded.grant.as_ref();
        // A clock that stepped back must not date the new page before the one it replaces (I23).
        let now = seen.map_or(moment.now, |stored| stored.record.now(moment.now));
        let RequestedGrant { challenge, scope, resources, acr_values, .. } = requested;
        let terms = self.terms((scope, resources), user, account, (Consent::Asked, None), now);
        let pending = PendingConsent {
            ticket_digest: moment.entropy.secret().digest(),
            session_digest: Digest::of(user.session),
            code_challenge: challenge,
            state: self.state().map(State::new),
            acr_values,
            expires: now.after(policy.lifetimes().consent),
        };
        let id = self.request.grant_id(policy, moment);
        Grant::pending(id, Arc::new(terms), pending, policy, now)
    }

    /// Returns the terms of a grant of this scope for these resources.
    pub(super) fn terms(
        &self,
        (scope, resources): (Scope, Arc<[Box<str>]>),
        user: &User<'_>,
        account: Account,
        (consent, properties): (Consent, Option<Properties>),
        now: Timestamp,
    ) -> Terms {
        Terms {
            client_id: self.client.id().clone(),
            // Both epochs are captured now. If they were captured at the approval, a revocation
            // between page and approval would have no effect (I20).
            client_epoch: self.client.epoch(),
            basis: Basis::Consent {
                account: CapturedAccount {
                    subject: Subject::new(user.subject),
                    epoch: account.epoch,
                },
                redirect_uri: self.redirect_uri.clone(),
                redirect_uri_sent: self.request.redirect_uri.get().is_some(),
                login: user.login.map(LoginFacts::from),
                consent,
            },
            scope,
            resources,
            created: now,
            properties,
        }
    }

    /// Shows the consent page of this pending grant. Its ticket keeps the form from being forged
    /// (RFC 6749 §10.12), and `PAGE_HEADERS` keep the page from being framed (click-jacking, OAuth
    /// 2.1 §7.11).
    fn show_consent(
        &self,
        grant: Arc<Grant>,
        hints: Option<Box<Hints>>,
        write: Option<Write>,
    ) -> Decision<AuthorizationStep> {
        let ticket = self.ctx.moment.entropy.secret();
        let policy = self.ctx.policy;
        let detail = match self.request.scope.get() {
            // Most requests name what they get, and in its order.
            Some(scope) if scope == grant.scope().as_str() => None,
            _ => self.dropped_scope(),
        };
        let page = ConsentPage {
            ticket: Issued::one(Kind::Ticket, grant.id(), ticket),
            client: Arc::clone(self.client),
            resource_variables: policy.variables_of(grant.resources()),
            domain_trusted: self.client.is_domain_trusted(self.redirect_uri.as_str(), policy),
            grant,
            hints,
        };
        self.ctx.allow_all(Allowed {
            kind: EventKind::ConsentShown,
            response: AuthorizationStep::NeedsConsent(page),
            write,
            redirects_at_once: Some(Redirectable::is_at_once(self.is_trusted(), policy)),
            detail,
        })
    }

    /// Returns the event's detail about scope tokens that were left out.
    pub(super) fn dropped_scope(&self) -> Option<String> {
        dropped_scope(self.request.scope.get(), self.ctx.policy)
    }

    pub(super) fn refuse<T>(&self, fault: impl Into<Fault>) -> Decision<T> {
        self.ctx.refuse_by(self.refusal(fault))
    }

    /// Returns the redirectable error.
    ///
    /// By default it is redirected at once only to a trusted client, and only if the user is signed
    /// in or the client asked for no page (`prompt=none`, AMB-51). Otherwise the user has to click,
    /// or the endpoint would be an open redirector (OAuth 2.1 §7.13; RFC 9700 §4.11.2).
    pub(super) fn refusal(&self, fault: impl Into<Fault>) -> Refusal {
        let is_trusted = self.is_trusted();
        let is_silent = self.request.read_prompt().is_ok_and(|prompt| prompt.none);
        let to = Redirectable::of(
            self.redirect_uri.clone(),
            self.state(),
            self.request.user.is_some() || is_silent && is_trusted,
            is_trusted,
            self.ctx.policy,
        );
        Refusal::redirectable(fault, to)
    }

    fn is_trusted(&self) -> bool {
        self.client.is_trusted_at(self.redirect_uri.as_str(), self.ctx.policy)
    }

    /// Returns `state`, or `None` if it was sent more than once: no single value can be sent back
    /// (AUTHZ-13).
    pub(super) fn state(&self) -> Option<&str> {
        self.request.state.get().filter(|_| !self.request.state.repeated)
    }
}
