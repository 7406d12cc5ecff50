//! revoke: a client revokes one of its tokens (RFC 7009 §2). A refresh token ends its grant. An
//! access token ends alone, unless the policy says that it ends its grant as well.

use super::authenticate::authenticate;
use super::context::Context;
use crate::client::Client;
use crate::decision::{Decision, Loaded, Operation};
use crate::event::EventKind;
use crate::grant::{Phase, RevocationCause};
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::policy::{Policy, RevocationRules};
use crate::reason::{Endpoint, Reason};
use crate::record::Write;
use crate::request::revocation::{RevocableToken, RevocationRequest};
use crate::response::revocation::Revoked;

impl Operation for RevocationRequest<'_> {
    type Response = Revoked;

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        let grant = match &self.token {
            Ok(RevocableToken::Refresh(token)) => Some(token.id),
            Ok(RevocableToken::Access(token)) => Some(token.id),
            Ok(RevocableToken::Unknown) | Err(_) => None,
        };
        Keys { grant, client: ClientKey::named(&*self.credentials.id), ..Keys::default() }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Revoked> {
        let loaded = &loaded.own(policy, || self.keys(policy, moment));
        let ctx = Context::new(self, loaded, policy, moment).claimed_by(&self.credentials.id);
        let authenticated = match authenticate(loaded.client.as_ref(), &self.credentials, &ctx) {
            Ok(authenticated) => authenticated,
            Err(stop) => return stop.decide(&ctx),
        };
        let ctx = ctx.with_key_proof(authenticated.key_proof());
        let mut decision = self.revoke(authenticated.client, &ctx);
        authenticated.complete(&mut decision, &ctx);
        decision
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Revocation
    }
}

impl RevocationRequest<'_> {
    fn revoke(&self, client: &Client, ctx: &Context<'_>) -> Decision<Revoked> {
        let Some(rules) = ctx.policy.revocation() else {
            return ctx.refuse(Reason::RevocationOff);
        };
        let token = match &self.token {
            Ok(token) => token,
            Err(reason) => return ctx.refuse(*reason),
        };
        let Some(stored) = &ctx.loaded.grant else { return revoke_nothing(ctx) };
        let grant = &*stored.record;
        let Phase::Active(active) = grant.phase() else { return revoke_nothing(ctx) };
        let now = grant.now(ctx.moment.now);
        let is_revocable = match token {
            // Any refresh token of the family is accepted, also one that was rotated before. A
            // grant that has expired has nothing left to revoke.
            RevocableToken::Refresh(token) => {
                grant.is_live(now)
                    && now < grant.expires()
                    && active.code().is_some_and(|code| {
                        token.family.digest().matches(&code.refresh_family.family_digest)
                    })
            }
            RevocableToken::Access(token) => {
                active.find(&token.secret.digest()).is_some_and(|entry| now < entry.expires)
            }
            RevocableToken::Unknown => false,
        };
        if !is_revocable {
            return revoke_nothing(ctx);
        }
        // Denial of service: nobody but the grant's own client can end it by a token (I21).
        if client.id() != grant.client_id() {
            return refuse_foreign_token(*rules, ctx);
        }
        if let Some(Err(reason)) = active.code().map(|code| ctx.check_key_proof(code)) {
            return ctx.refuse(reason);
        }
        match token {
            // A grant that was issued without a code ends with its only token.
            RevocableToken::Access(token)
                if !rules.cascade_from_access && active.code().is_some() =>
            {
                let next = grant.without_access_token(active, &token.secret.digest(), now);
                ctx.allow(EventKind::TokenRevoked, Revoked)
                    .writing(Write::grant(Some(stored), next))
            }
            _ => {
                let next = grant.revoked(RevocationCause::Client, now);
                ctx.allow(EventKind::GrantRevoked, Revoked)
                    .writing(Write::grant(Some(stored), next))
            }
        }
    }
}

/// Answers a revocation of a token that has ended or was never issued: with the same 200 as for a
/// valid token (RFC 7009 §2.2).
fn revoke_nothing(ctx: &Context<'_>) -> Decision<Revoked> {
    ctx.allow(EventKind::NothingRevoked, Revoked)
}

/// Answers a client that sent a token of another client (AMB-13).
fn refuse_foreign_token(rules: RevocationRules, ctx: &Context<'_>) -> Decision<Revoked> {
    let reason = Reason::RevocationClientMismatch;
    if rules.silent {
        return ctx.allow(EventKind::NothingRevoked, Revoked).with_reason(reason);
    }
    ctx.refuse(reason)
}
