//! client_credentials: a client gets a token on its own behalf (OAuth 2.1 §4.2). Each token is a new
//! record: nothing is shared between two of them, so that no request waits for another.
//!
//! The client has proved itself before. There is no user: no account is asked for, and no refresh
//! token exists.

use std::sync::Arc;

use super::context::Context;
use super::terms::{dropped_scope, machine_resources, machine_scope};
use crate::client::Client;
use crate::decision::Decision;
use crate::event::EventKind;
use crate::grant::{Active, Basis, Grant, Issuance, Phase, Terms};
use crate::moment::Timestamp;
use crate::reason::Reason;
use crate::record::Write;
use crate::refusal::{Fault, listed};
use crate::request::token::MachineExchange;
use crate::response::token::Tokens;
use crate::value::credential::{Issued, Kind};
use crate::value::scope::Subset;

impl MachineExchange<'_> {
    pub(super) fn issue(&self, client: &Client, ctx: &Context<'_>) -> Decision<Tokens> {
        let terms = match self.check(client, ctx) {
            Ok(terms) => terms,
            Err(fault) => return ctx.refuse(fault),
        };
        match &ctx.loaded.grant {
            None => self.create(terms, client, ctx),
            // Lost response of the store: an earlier attempt of this request issued the token, and
            // the record has its answer (I17).
            Some(stored) => match own_expiry(&stored.record, ctx) {
                Some(expires) => {
                    let now = stored.record.now(ctx.moment.now);
                    // A 200 never has an `expires_in` of 0 (CLOCK-05).
                    let expires_in = expires.seconds_from(now).max(1);
                    self.allow(stored.record.terms(), expires_in, client, ctx)
                }
                None => ctx.refuse(Reason::Contended),
            },
        }
    }

    /// Checks the client's right, its owner, and what is asked for. Returns the terms of the grant.
    fn check(&self, client: &Client, ctx: &Context<'_>) -> Result<Terms, Fault> {
        let policy = ctx.policy;
        // Privilege escalation: the right is the operator's word. Nothing that a client registers or
        // publishes gives it one (I41).
        let rights = client.machine_rights_under(policy).ok_or(Reason::GrantTypeUnauthorized)?;
        ctx.loaded.check_owner()?;
        let resources = machine_resources(&self.resources, rights, policy)?;
        let scope = machine_scope(self.scope.as_deref(), rights, client, policy)?;
        Ok(Terms {
            client_id: client.id().clone(),
            client_epoch: client.epoch(),
            basis: Basis::Machine,
            scope,
            resources,
            created: ctx.moment.now,
            properties: None,
        })
    }

    /// Creates the record.
    fn create(&self, terms: Terms, client: &Client, ctx: &Context<'_>) -> Decision<Tokens> {
        let now = ctx.moment.now;
        let entropy = &ctx.moment.entropy;
        let expires = now.after(client.machine_lifetime(ctx.policy));
        let access = entropy.access_secret().digest();
        let id = entropy.grant_id();
        let grant = Grant::issued_directly(id, terms, access, expires, ctx.policy, now);
        if let Some(renewal) = ctx.client_renewal(grant.last_use()) {
            return ctx.prepare(renewal);
        }
        self.allow(grant.terms(), expires.seconds_from(now), client, ctx)
            .writing(Write::grant(None, grant))
    }

    /// Answers with the token that this request mints.
    fn allow(
        &self,
        terms: &Arc<Terms>,
        expires_in: u64,
        client: &Client,
        ctx: &Context<'_>,
    ) -> Decision<Tokens> {
        let entropy = &ctx.moment.entropy;
        let tokens = Tokens {
            access: Issued::one(Kind::Access, entropy.grant_id(), entropy.access_secret()),
            refresh: None,
            expires_in,
            terms: Arc::clone(terms),
            scope: Subset::ALL,
        };
        let detail = format!(
            "scope_tokens: {}. resource: {}. method: {}.",
            terms.scope.len(),
            listed(terms.resources.iter().map(|resource| &**resource)),
            client.authentication().method().name(),
        );
        ctx.allow(EventKind::MachineIssued, tokens)
            .with_detail(Some(detail))
            .with_detail(dropped_scope(self.scope.as_deref(), ctx.policy))
    }
}

/// Returns the expiry of the token that an earlier attempt of this request issued, if the record is
/// of such an attempt: its only token is the one that this request mints.
fn own_expiry(grant: &Grant, ctx: &Context<'_>) -> Option<Timestamp> {
    let Phase::Active(Active { issued_from: Issuance::Direct, access_tokens, .. }) = grant.phase()
    else {
        return None;
    };
    let [only] = access_tokens.as_slice() else { return None };
    let own = ctx.moment.entropy.access_secret().digest();
    only.digest.matches(&own).then_some(only.expires)
}
