//! register: a client registers itself (RFC 7591 §3). A refused registration leaves no record.

use std::sync::Arc;

use super::context::Context;
use crate::client::{Authentication, Client, ClientKeys, StoredSecret};
use crate::decision::{Decision, Loaded, Operation};
use crate::event::EventKind;
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::Write;
use crate::refusal::Fault;
use crate::request::metadata::ClientMetadata;
use crate::request::registration::RegistrationRequest;
use crate::response::registration::Registered;
use crate::value::auth_method::{AuthMethod, SecretMethod};

impl Operation for RegistrationRequest {
    type Response = Registered;

    fn keys(&self, _: &Policy, moment: &Moment) -> Keys<'_> {
        // A `client_id` that was just drawn is on record only if an earlier attempt of this request
        // wrote it.
        let client_id = String::from(moment.entropy.client_id());
        let client = if moment.is_retry { ClientKey::named(client_id) } else { ClientKey::Unnamed };
        Keys { client, ..Keys::default() }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Registered> {
        let loaded = &loaded.own(policy, || self.keys(policy, moment));
        let ctx = Context::new(self, loaded, policy, moment);
        // The token is checked before the body, so that a stranger learns nothing about the rules
        // of a closed registration.
        if let Err(reason) = self.check_initial_token(policy) {
            return self.refuse(reason, &ctx);
        }
        let metadata = match &self.metadata {
            Ok(metadata) => metadata,
            Err(fault) => return self.refuse(fault.clone(), &ctx),
        };
        let client = match new_client(metadata, policy, moment) {
            Ok(client) => Arc::new(client),
            Err(fault) => return self.refuse(fault, &ctx),
        };
        match &loaded.client {
            None => self.register(&client, metadata, &ctx).writing(Write::client(None, client)),
            // Lost response of the store: an earlier attempt of this request wrote the client
            // (I17).
            Some(stored) if stored.record.epoch() == client.epoch() => {
                self.register(&stored.record, metadata, &ctx)
            }
            Some(_) => self.refuse(Reason::Contended, &ctx),
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Registration
    }
}

impl RegistrationRequest {
    /// Checks the initial access token of a registration that asks for one.
    fn check_initial_token(&self, policy: &Policy) -> Result<(), Reason> {
        let rules = policy.registration().ok_or(Reason::RegistrationOff)?;
        let Some(tokens) = &rules.initial_access_tokens else { return Ok(()) };
        let sent = self.initial_token.as_ref().ok_or(Reason::InitialTokenMissing)?;
        // Timing: each token is compared, so that the time does not depend on which one matches.
        let is_known = tokens.iter().fold(false, |found, own| found | own.matches(sent));
        if is_known { Ok(()) } else { Err(Reason::InitialTokenWrong) }
    }

    /// Answers with the client and its secrets, which are shown once.
    fn register(
        &self,
        client: &Arc<Client>,
        metadata: &ClientMetadata,
        ctx: &Context<'_>,
    ) -> Decision<Registered> {
        let entropy = &ctx.moment.entropy;
        let has_secret = client.secrets().is_some();
        let registered = Registered {
            client: Arc::clone(client),
            secret: has_secret.then(|| entropy.client_secret()),
            management: is_managed(ctx.policy).then(|| entropy.management_token()),
        };
        ctx.allow(EventKind::ClientRegistered, registered)
            .with_dropped(&metadata.dropped)
            .sent_by(&self.sender)
    }

    fn refuse(&self, fault: impl Into<Fault>, ctx: &Context<'_>) -> Decision<Registered> {
        ctx.refuse(fault).sent_by(&self.sender)
    }
}

fn new_client(
    metadata: &ClientMetadata,
    policy: &Policy,
    moment: &Moment,
) -> Result<Client, Fault> {
    let metadata = metadata.clone();
    // RFC 7591's default for a client that names no method is negotiated like any other method.
    let default = || {
        let nearest = policy.auth_methods().nearest(AuthMethod::Secret(SecretMethod::Basic));
        nearest.ok_or_else(|| Fault::from(Reason::MetadataAuthMethod))
    };
    let method = metadata.auth.method.map_or_else(default, Ok)?;
    let authentication = new_authentication(method, metadata.auth.keys.as_ref(), moment)?;
    let grant_types = metadata.grant_types.unwrap_or(policy.default_grant_types());
    let management = is_managed(policy).then(|| moment.entropy.management_token().text_digest());
    let expires = moment.now.after(policy.lifetimes().unused_client);
    let builder = Client::public(moment.entropy.client_id())
        .authenticating(authentication)
        .registering_for(grant_types)
        .registered(management, moment.now, expires, moment.entropy.epoch())
        .registered_at(policy);
    metadata.describe(builder, policy)
}

/// Returns how a client of this method authenticates. A secret is made from this request's entropy.
pub(super) fn new_authentication(
    method: AuthMethod,
    keys: Option<&ClientKeys>,
    moment: &Moment,
) -> Result<Authentication, Reason> {
    match (method, keys) {
        (AuthMethod::None, _) => Ok(Authentication::Public),
        (AuthMethod::Secret(method), _) => {
            let digest = moment.entropy.client_secret().text_digest();
            Ok(Authentication::by_secret(method, StoredSecret::Digest(digest)))
        }
        (AuthMethod::PrivateKeyJwt, Some(keys)) => Ok(Authentication::Keys(keys.clone())),
        (AuthMethod::PrivateKeyJwt, None) => Err(Reason::MetadataKeys),
    }
}

/// Returns whether clients that register themselves can manage their registration.
fn is_managed(policy: &Policy) -> bool {
    policy.registration().is_some_and(|rules| rules.management)
}
