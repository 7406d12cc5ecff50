//! The token request: authenticates the client, checks its grant type, then redeems, refreshes or
//! issues a token of the client's own (TOKEN-06). An assertion has an order of its own: it can name
//! the client.

use super::authenticate::authenticate;
use super::client_assertion::TOKEN_ENDPOINT_AUDIENCE;
use super::context::Context;
use crate::client::{Authentication, Client};
use crate::decision::{Decision, Loaded, Operation};
use crate::grant::KeyProof;
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::request::token::{Exchange, TokenRequest};
use crate::response::token::Tokens;

impl Operation for TokenRequest<'_> {
    type Response = Tokens;

    fn keys(&self, policy: &Policy, moment: &Moment) -> Keys<'_> {
        // The id of a grant that the request creates was just drawn: it is on record only if an
        // earlier attempt of this request wrote it.
        let creates = matches!(self.exchange, Exchange::Machine(_) | Exchange::Assertion(_));
        let own = (creates && moment.is_retry).then(|| moment.entropy.grant_id());
        Keys {
            grant: self.grant().or(own),
            client: self.client_key(policy),
            // The account that the host has found for the user of an assertion.
            subject: moment.linked().map(|subject| subject.as_str().to_owned().into()),
            refresh_decision: matches!(self.exchange, Exchange::Refresh(Ok(_))),
            ..Keys::default()
        }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Tokens> {
        let loaded = &loaded.own(policy, || self.keys(policy, moment));
        let ctx = Context::new(self, loaded, policy, moment);
        if let Exchange::Assertion(exchange) = &self.exchange {
            return exchange.exchange(&self.credentials, &ctx);
        }
        let ctx = ctx.claimed_by(&self.credentials.id);
        let authenticated = match authenticate(loaded.client.as_ref(), &self.credentials, &ctx) {
            Ok(authenticated) => authenticated,
            Err(stop) => return stop.decide(&ctx),
        };
        if !authenticated.has_proof() {
            return self.issue(authenticated.client, &ctx);
        }
        let ctx = ctx.with_key_proof(authenticated.key_proof());
        let mut decision = self.issue(authenticated.client, &ctx);
        authenticated.complete(&mut decision, &ctx);
        decision
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Token
    }
}

impl TokenRequest<'_> {
    /// Returns the client to load. A request that names none has an assertion, whose issuer's rules
    /// can name one.
    fn client_key(&self, policy: &Policy) -> ClientKey<'_> {
        match &self.exchange {
            Exchange::Assertion(exchange) if self.credentials.are_absent() => exchange
                .mapped_client(policy)
                .map_or(ClientKey::Unnamed, |id| ClientKey::named(id.to_owned())),
            _ => ClientKey::named(&*self.credentials.id),
        }
    }

    fn issue(&self, client: &Client, ctx: &Context<'_>) -> Decision<Tokens> {
        let registered = client.grant_types();
        match &self.exchange {
            // A client that is not registered for the grant type gets this answer whatever else is
            // wrong with the request.
            Exchange::Code(_) if !registered.authorization_code => {
                ctx.refuse(Reason::GrantTypeUnauthorized)
            }
            Exchange::Refresh(_) if !registered.refresh_token => {
                ctx.refuse(Reason::GrantTypeUnauthorized)
            }
            Exchange::Machine(_) if ctx.policy.machines().is_none() => {
                ctx.refuse(Reason::GrantTypeUnsupported)
            }
            // A client that may do without proof for users must give it for itself (KEYS-09).
            Exchange::Machine(_)
                if matches!(client.authentication(), Authentication::KeysOrNone(_))
                    && ctx.key_proof() < KeyProof::Strong =>
            {
                match ctx.key_proof() {
                    KeyProof::None => ctx.refuse(Reason::ClientAssertionMissing),
                    _ => ctx
                        .refuse(Reason::ClientAssertionAudience)
                        .with_detail(Some(TOKEN_ENDPOINT_AUDIENCE.to_owned())),
                }
            }
            Exchange::Machine(exchange) => exchange.issue(client, ctx),
            // `decide` has exchanged it.
            Exchange::Assertion(_) => ctx.refuse(Reason::GrantTypeUnsupported),
            Exchange::Invalid(reason)
            | Exchange::Code(Err(reason))
            | Exchange::Refresh(Err(reason)) => ctx.refuse(*reason),
            Exchange::Code(Ok(exchange)) => exchange.redeem(client, ctx),
            Exchange::Refresh(Ok(exchange)) => exchange.refresh(client, ctx),
        }
    }
}
