//! The token request: who asks, then whether they may ask for this at all, then the verb it is for
//! (TOKEN-06).

use super::authenticate::authenticate;
use super::redeem::redeem;
use super::refresh::refresh;
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::operation::{Decision, Loaded, Operation};
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::refusal::Fault;
use crate::request::token::{Asked, TokenRequest};
use crate::response::token::Tokens;

impl Operation for TokenRequest<'_> {
    type Response = Tokens;

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys {
            grant: self.grant(),
            client: ClientKey::named(&*self.credentials.id),
            ..Keys::default()
        }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Tokens> {
        let refuse_for = |fault: Fault| {
            Decision::refuse(fault, Endpoint::Token, loaded, moment)
                .claimed_by(&self.credentials.id)
        };
        let refuse = |reason: Reason| refuse_for(reason.into());
        let client =
            match authenticate(loaded.client.as_ref(), &self.credentials, policy, moment.now) {
                Ok(client) => client,
                Err(fault) => return refuse_for(fault),
            };
        let registered = client.grant_types();
        let decision = match &self.asked {
            Asked::Code(_) if !registered.authorization_code => {
                refuse(Reason::GrantTypeUnauthorized)
            }
            Asked::Refresh(_) if !registered.refresh_token => refuse(Reason::GrantTypeUnauthorized),
            Asked::Refused(reason) | Asked::Code(Err(reason)) | Asked::Refresh(Err(reason)) => {
                refuse(*reason)
            }
            Asked::Code(Ok(redemption)) => redeem(redemption, client, loaded, policy, moment),
            Asked::Refresh(Ok(refreshing)) => refresh(refreshing, client, loaded, policy, moment),
        };
        decision.by(client)
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Token
    }
}
