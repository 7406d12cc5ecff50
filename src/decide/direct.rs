//! A token without a code: the grant is created with it, and ends with it. Each token is a new
//! record, so that no request waits for another one.

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use crate::client::Client;
use crate::decision::Decision;
use crate::event::EventKind;
use crate::grant::{Active, Grant, Issuance, Phase, Terms};
use crate::moment::Timestamp;
use crate::reason::Reason;
use crate::record::Write;
use crate::refusal::listed;
use crate::response::token::{NewTokens, Tokens};
use crate::value::scope::Subset;

/// A token to issue.
pub(super) struct Issue<'a> {
    pub(super) lifetime: Duration,
    pub(super) client: &'a Client,
    pub(super) kind: EventKind,
}

impl Issue<'_> {
    /// Issues the token. There is no refresh token (I42).
    pub(super) fn issue(&self, terms: Terms, ctx: &Context<'_>) -> Decision<Tokens> {
        match &ctx.loaded.grant {
            None => self.create(terms, ctx),
            // Lost response of the store: an earlier attempt of this request issued the token, and
            // the record has its answer (I17).
            Some(stored) => match own_expiry(&stored.record, self.client, ctx) {
                Some(expires) => {
                    let now = stored.record.now(ctx.moment.now);
                    // A 200 never has an `expires_in` of 0 (CLOCK-05).
                    let expires_in = expires.seconds_from(now).max(1);
                    self.allow(stored.record.terms(), expires_in, ctx)
                }
                None => ctx.refuse(Reason::Contended),
            },
        }
    }

    /// Creates the record.
    fn create(&self, terms: Terms, ctx: &Context<'_>) -> Decision<Tokens> {
        let now = ctx.moment.now;
        let entropy = &ctx.moment.entropy;
        let expires = now.after(self.lifetime);
        let access = entropy.access_secret().digest();
        let id = entropy.grant_id();
        let terms = Arc::new(terms);
        let grant = Grant::issued_directly(id, terms, access, expires, ctx.policy, now);
        if let Some(renewal) = ctx.client_renewal(grant.last_use()) {
            return ctx.prepare(renewal);
        }
        self.allow(grant.terms(), expires.seconds_from(now), ctx).writing(Write::grant(None, grant))
    }

    /// Answers with the token that this request mints.
    fn allow(&self, terms: &Arc<Terms>, expires_in: u64, ctx: &Context<'_>) -> Decision<Tokens> {
        let entropy = &ctx.moment.entropy;
        let tokens = NewTokens {
            grant: entropy.grant_id(),
            access: &entropy.access_secret(),
            refresh: None,
            expires_in,
            scope: Subset::ALL,
        }
        .written(terms);
        let detail = format!(
            "scope_tokens: {}. resource: {}.",
            terms.scope.len(),
            listed(terms.resources.iter().map(|resource| &**resource)),
        );
        ctx.allow(self.kind, tokens).with_detail(Some(detail))
    }
}

/// Returns the expiry of the token that an earlier attempt of this request issued, if the record is
/// of such an attempt: its only token is the one that this request mints.
fn own_expiry(grant: &Grant, client: &Client, ctx: &Context<'_>) -> Option<Timestamp> {
    let Phase::Active(Active { issued_from: Issuance::Direct, access_tokens, .. }) = grant.phase()
    else {
        return None;
    };
    let [only] = access_tokens.as_slice() else { return None };
    let own = ctx.moment.entropy.access_secret().digest();
    let is_clients = grant.client_id() == client.id();
    (is_clients && only.digest.matches(&own)).then_some(only.expires)
}
