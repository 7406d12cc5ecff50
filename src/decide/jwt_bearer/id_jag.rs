//! The profile of identity providers: a grant of a user, without a page of this server
//! (draft-ietf-oauth-identity-assertion-authz-grant; MCP, Enterprise-Managed Authorization).

use std::borrow::Cow;
use std::sync::Arc;

use super::super::document::{DocumentState, NamedDocument};
use super::super::terms::requested_resources;
use super::checks::Checked;
use super::presenter::Presenter;
use super::scope::person_scope;
use super::{Exchanging, Stop};
use crate::client::{Client, Registration};
use crate::decision::Decision;
use crate::grant::{Basis, CapturedAccount, Terms};
use crate::jws::Claims;
use crate::outside::{Link, Linked, Need};
use crate::policy::{ActorClaim, IdJag};
use crate::reason::Reason;
use crate::record::Write;
use crate::refusal::Fault;
use crate::response::token::Tokens;
use crate::value::text::Subject;

impl Exchanging<'_> {
    /// Decides on the assertion of an identity provider.
    pub(super) fn for_person(
        &self,
        rules: &IdJag,
        checked: &Checked<'_>,
    ) -> Result<Decision<Tokens>, Stop> {
        let client = self.check_client(rules, &checked.claims)?;
        let tenant = check_tenants(rules, &checked.claims)?;
        let linked = self.find_account(checked, tenant)?;
        let issued = self
            .person_terms(rules, checked, client, linked)
            .map(|terms| self.issue(checked, terms, client));
        let has_actor = rules.actors == ActorClaim::Ignore && checked.claims.has("act");
        let noted = has_actor.then(|| "An actor was ignored.".to_owned());
        Ok(self.use_up(checked, issued).with_detail(noted))
    }

    /// Checks that the client may use assertions of this issuer, and that this one is for it. A
    /// mismatch leaves the assertion unused, so that a thief of it cannot use it up (ASSERT-32).
    fn check_client(&self, rules: &IdJag, claims: &Claims) -> Result<&Client, Stop> {
        let named = claims.text("client_id").ok().flatten();
        let is_named = |id: &str| named == Some(id);
        if matches!(self.presenter, Presenter::Held) && !is_named(&self.credentials.id) {
            return Err(Reason::ClientUnknown.into());
        }
        self.read_document()?;
        let Some(client) = self.presenter.client() else {
            return Err(Reason::ClientUnknown.into());
        };
        if !has_right(client, self.presenter.is_proved(), rules) {
            return Err(Reason::GrantTypeUnauthorized.into());
        }
        if is_named(client.id().as_str()) { Ok(client) } else { Err(Stop::claim("client_id")) }
    }

    /// Reads the document of a client that is not on record, or whose record is stale.
    fn read_document(&self) -> Result<(), Stop> {
        let ctx = self.ctx;
        let Some(rules) = ctx.policy.client_documents() else { return Ok(()) };
        if matches!(self.presenter, Presenter::Nobody | Presenter::Federated) {
            return Ok(());
        }
        let document = NamedDocument::answered(&self.credentials.id, &ctx.loaded.answers);
        if !document.is_needed(rules, ctx) {
            return Ok(());
        }
        match document.resolve(rules, ctx).map_err(unreadable)? {
            DocumentState::Recorded(_) => Ok(()),
            DocumentState::Unfetched(request) => Err(Stop::Needs(Need::Document(request))),
            DocumentState::Unrecorded(client) => {
                let seen = ctx.loaded.client_of(&self.credentials.id);
                Err(Stop::Prepares(Write::client(seen, client)))
            }
        }
    }

    /// Returns the account that the host has for the user, or asks for it. It is asked before the
    /// assertion is used up, so that a host that cannot answer costs nobody an assertion.
    fn find_account(&self, checked: &Checked<'_>, tenant: Option<&str>) -> Result<Linked, Stop> {
        let hint = |name| checked.claims.text(name).ok().flatten().map(Into::into);
        let link = Link {
            issuer: checked.issuer.issuer().into(),
            tenant: tenant.map(Into::into),
            subject: checked.subject.into(),
            email: hint("email"),
            local_subject: hint("aud_sub"),
        };
        match self.ctx.loaded.answers.linked(&link) {
            None => Err(Stop::Needs(Need::Account(link))),
            Some(Linked::Unavailable) => Err(Reason::AccountLinkUnavailable.into()),
            Some(linked) => Ok(linked.clone()),
        }
    }

    /// Checks account, resources and scope. Returns the terms of the grant.
    fn person_terms(
        &self,
        rules: &IdJag,
        checked: &Checked<'_>,
        client: &Client,
        linked: Linked,
    ) -> Result<Terms, Stop> {
        let ctx = self.ctx;
        let subject = account_of(linked)?;
        let account = ctx.check_accounts()?;
        let resources = self.person_resources(&checked.claims)?;
        let scope = person_scope(
            &checked.claims,
            self.exchange.scope.as_deref(),
            (client, &rules.ceiling, &resources),
            ctx.policy,
        )?;
        Ok(Terms {
            client_id: client.id().clone(),
            client_epoch: client.epoch(),
            basis: Basis::Enterprise {
                account: CapturedAccount { subject, epoch: account.epoch },
                issuer: checked.issuer.issuer().into(),
            },
            scope,
            resources,
            created: ctx.moment.now,
            properties: None,
        })
    }

    /// Returns the resources of the token: those of the claim that the request names, or all of
    /// them. Without a claim, the rules of an authorization request hold (RFC 8707 §2).
    fn person_resources(&self, claims: &Claims) -> Result<Arc<[Box<str>]>, Stop> {
        let policy = self.ctx.policy;
        let requested = &self.exchange.resources;
        let claimed = claims.texts("resource").map_err(|_| Stop::claim("resource"))?;
        let Some(claimed) = claimed else {
            return Ok(requested_resources(requested, &[], policy)?);
        };
        let claimed: Vec<_> = claimed.into_iter().map(Cow::Borrowed).collect();
        if claimed.is_empty() {
            return Err(Stop::claim("resource"));
        }
        let claimed =
            requested_resources(&claimed, &[], policy).map_err(|_| Stop::claim("resource"))?;
        if requested.is_empty() {
            return Ok(claimed);
        }
        let named = requested_resources(requested, &[], policy)?;
        match named.iter().find(|resource| !claimed.contains(resource)) {
            Some(beyond) => Err(Reason::ResourceBeyondGrant.received(beyond).into()),
            None => Ok(named),
        }
    }
}

/// Ends a request whose client's document cannot be read: the client has not authenticated. Only
/// the event says why, because the document may be of somebody else.
fn unreadable(fault: Fault) -> Stop {
    match fault.reason {
        Reason::DocumentsBusy => fault.into(),
        reason => {
            let detail = fault.detail.as_ref().map(|detail| detail.sentences()).unwrap_or_default();
            let detail = format!("document: {}. {detail}", reason.name());
            Stop::Faulty(Reason::ClientUnknown, Some(detail.trim_end().to_owned()))
        }
    }
}

/// Returns whether the client may use assertions of this issuer. Nothing that a client registers
/// or publishes gives it the right (ASSERT-34).
fn has_right(client: &Client, is_proved: bool, rules: &IdJag) -> bool {
    let id = client.id().as_str();
    let is_registered = matches!(client.registration(), Registration::Dynamic);
    let is_open = client.may_use_assertions()
        || rules.clients().any(|own| own == id)
        || rules.registered_clients && is_registered;
    rules.public_clients().any(|own| own == id) || is_proved && is_open
}

/// Checks the tenants that the assertion names. Returns the one of its user: the same name in two
/// tenants is two users.
fn check_tenants<'c>(rules: &IdJag, claims: &'c Claims) -> Result<Option<&'c str>, Stop> {
    let named = |name| claims.text(name).map_err(|_| Stop::claim(name));
    let tenant = named("tenant")?;
    let is_declared = match tenant {
        None => rules.tenants.is_empty(),
        Some(tenant) => rules.tenants.iter().any(|own| own == tenant),
    };
    if !is_declared {
        return Err(Stop::claim("tenant"));
    }
    if named("aud_tenant")? != rules.own_tenant() {
        return Err(Stop::claim("aud_tenant"));
    }
    Ok(tenant)
}

fn account_of(linked: Linked) -> Result<Subject, Reason> {
    match linked {
        Linked::Account(subject) => Ok(subject),
        Linked::Nobody => Err(Reason::AssertionAccountUnknown),
        Linked::Unavailable => Err(Reason::AccountLinkUnavailable),
    }
}
