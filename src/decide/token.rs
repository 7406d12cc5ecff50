//! The token request: authenticates the client, checks its grant type, then redeems or refreshes
//! (TOKEN-06).

use super::authenticate::{Authenticated, authenticate};
use super::context::Context;
use crate::client::Client;
use crate::decision::{Decision, Loaded, Operation};
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::request::token::{Exchange, TokenRequest};
use crate::response::token::Tokens;

impl Operation for TokenRequest<'_> {
    type Response = Tokens;

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys {
            grant: self.grant(),
            client: ClientKey::named(&*self.credentials.id),
            refresh_decision: matches!(self.exchange, Exchange::Refresh(Ok(_))),
            ..Keys::default()
        }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Tokens> {
        let loaded = &loaded.own(policy, || self.keys(policy, moment));
        let ctx = Context::new(self, loaded, policy, moment).claimed_by(&self.credentials.id);
        let Authenticated { client, proof } =
            match authenticate(loaded.client.as_ref(), &self.credentials, &ctx) {
                Ok(authenticated) => authenticated,
                Err(fault) => return ctx.refuse(fault),
            };
        self.issue(client, &ctx).attributed_to(client).proved_by(proof)
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Token
    }
}

impl TokenRequest<'_> {
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
            Exchange::Invalid(reason)
            | Exchange::Code(Err(reason))
            | Exchange::Refresh(Err(reason)) => ctx.refuse(*reason),
            Exchange::Code(Ok(exchange)) => exchange.redeem(client, ctx),
            Exchange::Refresh(Ok(exchange)) => exchange.refresh(client, ctx),
        }
    }
}
