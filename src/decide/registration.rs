//! register: a client asks to be known, and is told what it is known as (RFC 7591 §3). Nothing is
//! kept of one that is refused.

use std::sync::Arc;

use crate::client::{Authentication, Client, StoredSecret};
use crate::event::EventKind;
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::operation::{Decision, Loaded, Operation};
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::Write;
use crate::refusal::{Fault, Refusal};
use crate::request::registration::RegistrationRequest;
use crate::response::registration::Registered;
use crate::value::auth_method::{AuthMethod, SecretMethod};

impl Operation for RegistrationRequest {
    type Response = Registered;

    fn keys(&self, _: &Policy, moment: &Moment) -> Keys<'_> {
        // Under a name it has just drawn, only a request that lost a race can find a record: its
        // own.
        let client_id = String::from(moment.entropy.client_id());
        let client = if moment.again { ClientKey::named(client_id) } else { ClientKey::Unnamed };
        Keys { client, ..Keys::default() }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Registered> {
        let refuse = |fault: Fault| {
            Decision::refuse_by(Refusal::of(fault, Endpoint::Registration), loaded, moment)
                .noted(self.sender.as_deref())
        };
        let allow = |registered| {
            Decision::allow(EventKind::ClientRegistered, registered, loaded, moment)
                .narrowed(&self.metadata.dropped, self.sender.as_deref())
        };
        let client = match client(self, policy, moment) {
            Ok(client) => Arc::new(client),
            Err(fault) => return refuse(fault),
        };
        match &loaded.client {
            None => {
                let registered = registered(&client, policy, moment);
                allow(registered).writing(Write::client(None, client))
            }
            // Its own commit come back late.
            Some(stored) if stored.record.epoch() == client.epoch() => {
                allow(registered(&stored.record, policy, moment))
            }
            Some(_) => refuse(Reason::Contended.into()),
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Registration
    }
}

fn client(
    request: &RegistrationRequest,
    policy: &Policy,
    moment: &Moment,
) -> Result<Client, Fault> {
    let metadata = request.metadata.clone();
    // RFC 7591's default, where the client names no method, is negotiated like any other.
    let default = policy.auth_methods().nearest(AuthMethod::Secret(SecretMethod::Basic));
    let method = metadata.auth_method.unwrap_or(default);
    let grant_types = metadata.grant_types.unwrap_or(policy.default_grant_types());
    let management = policy.registration().is_some_and(|rules| rules.management);
    let management = management.then(|| moment.entropy.management_token().text_digest());
    let until = moment.now.after(policy.lifetimes().unused_client);
    let builder = Client::public(moment.entropy.client_id())
        .authenticating(authentication(method, moment))
        .registering_for(grant_types)
        .registered(management, moment.now, until, moment.entropy.epoch());
    metadata.describe(builder, policy)
}

/// A client that authenticates in this way, by a secret of this request's if it takes one.
pub(super) fn authentication(method: AuthMethod, moment: &Moment) -> Authentication {
    match method {
        AuthMethod::None => Authentication::Public,
        AuthMethod::Secret(method) => Authentication::Confidential {
            method,
            secret: StoredSecret::Digest(moment.entropy.client_secret().text_digest()),
        },
    }
}

fn registered(client: &Arc<Client>, policy: &Policy, moment: &Moment) -> Registered {
    let has_secret = matches!(client.authentication(), Authentication::Confidential { .. });
    let management = policy.registration().is_some_and(|rules| rules.management);
    Registered {
        client: Arc::clone(client),
        secret: has_secret.then(|| moment.entropy.client_secret()),
        management: management.then(|| moment.entropy.management_token()),
    }
}
