//! authorize without a consent page: the operator lets the client skip it, or the user has granted
//! the same before (OAuth 2.1 §7.3). The conditions are S in `docs/decisions.md`.
//!
//! A client that cannot prove its identity could be anybody (OAuth 2.1 §7.3.1), so that the proof
//! comes first.

use std::sync::Arc;

use super::authorization::VerifiedRequest;
use super::terms::RequestedGrant;
use crate::account::Account;
use crate::client::ConsentMode;
use crate::decision::Decision;
use crate::event::EventKind;
use crate::grant::{Bound, CodeIssue, Consent, Grant, Phase};
use crate::policy::Remember;
use crate::reason::Reason;
use crate::record::Write;
use crate::request::authorization::User;
use crate::request::site::Site;
use crate::response::authorization::AuthorizationStep;
use crate::response::redirect::Redirect;
use crate::value::credential::{Issued, Kind};

/// The consent that a request has without a page.
#[derive(Clone)]
pub(super) struct GivenConsent {
    consent: Consent,
    /// The properties and the end of the earlier grant, if there is one (HOST-45).
    bound: Bound,
}

impl VerifiedRequest<'_> {
    /// Returns the consent that the request has without a page, or `None` if the user must be
    /// asked.
    pub(super) fn find_consent(
        &self,
        requested: &RequestedGrant,
        user: &User<'_>,
    ) -> Option<GivenConsent> {
        let rules = self.ctx.policy.consent_rules();
        let mode = match self.client.consent() {
            Some(mode) => mode,
            None if rules.remember == Remember::Never => ConsentMode::Ask,
            None => ConsentMode::Remember,
        };
        if mode == ConsentMode::Ask || requested.prompt.consent || !self.is_assured(user) {
            return None;
        }
        match mode {
            ConsentMode::Skip if self.client.is_confidential() => {
                let end = self.request.bound.until;
                let is_over = end.is_some_and(|end| end <= self.ctx.moment.now);
                (!is_over).then(|| GivenConsent {
                    consent: Consent::Skipped,
                    bound: self.request.bound.clone(),
                })
            }
            ConsentMode::Remember => {
                let earlier = self.ctx.loaded.remembered(user.remembered?)?;
                self.is_covered_by(earlier, requested, user).then(|| GivenConsent {
                    consent: Consent::Remembered { of: earlier.id() },
                    bound: Bound {
                        properties: earlier.properties().cloned(),
                        until: Some(earlier.expires()),
                    },
                })
            }
            ConsentMode::Ask | ConsentMode::Skip => None,
        }
    }

    /// Returns whether the code reaches this client and nobody else (AMB-53).
    fn is_assured(&self, user: &User<'_>) -> bool {
        // Any program of the user's device can listen on loopback or claim a scheme.
        if !self.redirect_uri.is_https_host() {
            return false;
        }
        if self.client.is_confidential() {
            return true;
        }
        // Mix-up: a hostile server may send the user here with the request of a public client, and
        // the client then hands the code to that server. Once a login came in between, the browser
        // comes from the login page, and its word says nothing of who began.
        let is_own = matches!(self.request.site, Site::SameOrigin | Site::None)
            && user.signed_in_for.is_none();
        self.ctx.policy.consent_rules().remember == Remember::HttpsRedirect && is_own
    }

    /// Returns whether the user was asked by the page of this grant, which is alive, for all that
    /// is requested now.
    fn is_covered_by(&self, earlier: &Grant, requested: &RequestedGrant, user: &User<'_>) -> bool {
        let Phase::Active(active) = earlier.phase() else { return false };
        let terms = earlier.terms();
        let now = earlier.now(self.ctx.moment.now);
        let asked = terms.created;
        // What the host names is a hint: the grant of another user or client is none (HOST-42).
        earlier.is_of(user.subject)
            && earlier.client_id() == self.client.id()
            && terms.redirect_uri() == Some(&self.redirect_uri)
            // A consent that was itself remembered is no page: memory would feed itself (I55).
            && terms.consent() == Some(Consent::Asked)
            && now < asked.after(self.ctx.policy.consent_rules().remember_for)
            && active.code().is_some_and(|code| now < code.refresh_family.idle_expires)
            && now < earlier.expires()
            && self.ctx.loaded.epochs_match(earlier)
            && self.client.was_described_at(asked)
            // What was taken away since is not granted any more.
            && requested.scope.tokens().all(|token| earlier.remaining_scope().any(|own| own == token))
            && requested
                .resources
                .iter()
                .all(|resource| earlier.remaining_resources().any(|own| own == &**resource))
    }

    /// Issues the code of a request that needs no page. Returns `None` if another record has the id
    /// of the request's grant.
    pub(super) fn issue_code(
        &self,
        given: GivenConsent,
        requested: &RequestedGrant,
        user: &User<'_>,
        account: Account,
    ) -> Option<Decision<AuthorizationStep>> {
        let ctx = self.ctx;
        let code = ctx.moment.entropy.secret().digest();
        if let Some(stored) = &ctx.loaded.grant {
            // Lost response of the store: an earlier attempt of this request issued the code (I17).
            let is_own = matches!(stored.record.phase(), Phase::CodeIssued(issued)
                if issued.code_digest.matches(&code)
                    && matches!(issued.issued_by, CodeIssue::NoPage { .. }));
            return is_own.then(|| self.redirect_code(given.consent));
        }
        let now = ctx.moment.now;
        let GivenConsent { consent, bound } = given;
        let granted = (requested.scope.clone(), requested.resources.clone());
        let terms = self.terms(granted, user, account, (consent, bound.properties), now);
        let id = self.request.grant_id(ctx.policy, ctx.moment);
        let lifetimes = ctx.policy.lifetimes_of(self.client);
        let grant = Grant::issued_at_once(
            id,
            Arc::new(terms),
            requested.challenge,
            code,
            bound.until,
            (ctx.policy, &lifetimes),
            now,
        );
        let last_use =
            now.after(lifetimes.code()).after(lifetimes.refresh_idle()).min(grant.expires());
        let decision = match ctx.client_renewal(last_use) {
            Some(renewal) => ctx.prepare(renewal),
            None => self.redirect_code(consent).writing(Write::grant(None, Arc::new(grant))),
        };
        Some(decision.if_not_written(self.refusal(Reason::StorageUnavailable)))
    }

    fn redirect_code(&self, consent: Consent) -> Decision<AuthorizationStep> {
        let ctx = self.ctx;
        let id = self.request.grant_id(ctx.policy, ctx.moment);
        let code = Issued::one(Kind::Code, id, ctx.moment.entropy.secret());
        let redirect = Redirect::with_code(&self.redirect_uri, &code, self.state(), ctx.policy);
        let (kind, note) = match consent {
            Consent::Remembered { of } => (EventKind::ConsentRemembered, Some(of.to_string())),
            Consent::Asked | Consent::Skipped => (EventKind::ConsentSkipped, None),
        };
        ctx.allow(kind, AuthorizationStep::Done(redirect))
            .with_note(note.as_deref())
            .with_detail(self.dropped_scope())
    }
}
