//! manage: a client reads, changes or deletes its registration (RFC 7592 §2). Without its token,
//! nothing is disclosed.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::context::Context;
use super::registration::new_authentication;
use crate::client::{Authentication, Client, StoredSecret};
use crate::decision::{Decision, Loaded, Operation};
use crate::event::EventKind;
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::{Stored, Write};
use crate::refusal::Fault;
use crate::request::metadata::ClientMetadata;
use crate::request::registration::{Action, ManagementRequest, Update};
use crate::response::registration::{CurrentRegistration, Managed};
use crate::value::credential::Issued;
use crate::value::scope::Scope;
use crate::value::secret::Digest;

impl Operation for ManagementRequest<'_> {
    type Response = Managed;

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys { client: ClientKey::named(self.client_id), ..Keys::default() }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Managed> {
        let loaded = &loaded.own(policy, || self.keys(policy, moment));
        let ctx = Context::new(self, loaded, policy, moment).claimed_by(self.client_id);
        // Hashed before the client is looked at: an unknown client costs the same work.
        let token = Digest::of(self.token.as_bytes());
        if self.is_already_deleted(&token, &ctx) {
            return ctx.allow(EventKind::ClientDeleted, Managed { current: None });
        }
        let Some(stored) = self.find_client(&token, &ctx) else {
            return ctx.refuse(Reason::ManagementTokenWrong);
        };
        match &self.action {
            Action::Read => {
                let shown = self.show(Arc::clone(&stored.record), None);
                ctx.allow(EventKind::ClientRead, shown)
            }
            Action::Delete => {
                let deleted = Client::clone(&stored.record).deleted();
                ctx.allow(EventKind::ClientDeleted, Managed { current: None })
                    .writing(Write::client(Some(stored), deleted))
            }
            Action::Update(Err(fault)) => ctx.refuse(fault.clone()),
            Action::Update(Ok(update)) => self.update(update, stored, &ctx),
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Management
    }
}

impl ManagementRequest<'_> {
    /// Returns the client if it is usable and this is its token.
    fn find_client<'a>(&self, token: &Digest, ctx: &Context<'a>) -> Option<&'a Stored<Client>> {
        ctx.usable_client(self.client_id).ok()?;
        ctx.loaded.client_of(self.client_id).filter(|stored| stored.record.is_managed_by(token))
    }

    /// Returns whether an earlier attempt of this request deleted the client (lost response of the
    /// store, I17).
    fn is_already_deleted(&self, token: &Digest, ctx: &Context<'_>) -> bool {
        if !ctx.moment.is_retry || !matches!(self.action, Action::Delete) {
            return false;
        }
        ctx.loaded
            .client_of(self.client_id)
            .is_some_and(|stored| stored.record.is_deleted() && stored.record.is_managed_by(token))
    }

    fn update(
        &self,
        update: &Update,
        stored: &Stored<Client>,
        ctx: &Context<'_>,
    ) -> Decision<Managed> {
        let updated = match updated_client(update, &stored.record, ctx) {
            Ok(updated) => Arc::new(updated),
            Err(fault) => return ctx.refuse(fault),
        };
        // A secret is shown once, by the request that made it.
        let secret = ctx.moment.entropy.client_secret();
        let secret = updated.has_current_secret(&secret.text_digest()).then_some(secret);
        ctx.allow(EventKind::ClientUpdated, self.show(Arc::clone(&updated), secret))
            .with_dropped(&update.metadata.dropped)
            .writing(Write::client(Some(stored), updated))
    }

    /// Returns the registration as it is shown. It repeats the token, of which the server keeps a
    /// digest only.
    fn show(&self, client: Arc<Client>, secret: Option<Issued>) -> Managed {
        let token = Zeroizing::new(self.token.into());
        Managed { current: Some(CurrentRegistration { client, secret, token }) }
    }
}

/// Returns the client with the metadata of the update in place of its own. Authentication and grant
/// types stay if the update does not name them, so that no client loses its secret by leaving a
/// member out. Grant types and scope also stay if the update repeats the values of the response:
/// these are narrowed by the restrictions of the operator, and the record may have more.
fn updated_client(update: &Update, client: &Client, ctx: &Context<'_>) -> Result<Client, Fault> {
    let mut metadata = update.metadata.clone();
    if repeats_scope(&metadata, client, ctx.policy) {
        metadata.scope = client.scope().cloned();
    }
    let negotiated = metadata.auth.method.unwrap_or(client.authentication().method());
    // Privilege escalation: an update that asks for less proof than the operator demands gets what
    // the operator demands (I47).
    let method = client.restrictions().imposed_method().unwrap_or(negotiated);
    // Without new keys the client keeps those that it has.
    let own = client.keys();
    let keys = metadata.auth.keys.clone().or_else(|| own.cloned());
    // The operator's permission stays.
    let keys = keys.map(|keys| match own {
        Some(own) => keys.with_endpoint_audience(own.endpoint_audience()),
        None => keys,
    });
    let authentication =
        match (client.authentication(), new_authentication(method, keys.as_ref(), ctx.moment)?) {
            // The client keeps its secret and sends it in another way.
            (
                Authentication::Confidential { secrets, .. },
                Authentication::Confidential { method, .. },
            ) => Authentication::Confidential { method, secrets },
            (_, new) => new,
        };
    let named = metadata.grant_types.filter(|named| *named != client.grant_types());
    let grant_types = named.unwrap_or(client.registered_grant_types());
    let builder = client.clone().edit().authenticating(authentication).registering_for(grant_types);
    let updated = metadata.describe(builder, ctx.policy)?.described_after(client, ctx.moment.now);
    let updated = rotated_on_update(updated, client, ctx).rekeyed(client, ctx.policy);
    // Lost response of the store: an earlier attempt of this request may have replaced the secret
    // that came with it.
    let is_done = ctx.moment.is_retry && updated == *client;
    match &update.secret {
        Some(sent) if !is_done && !client.has_secret(sent, ctx.moment.now) => {
            Err(Reason::MetadataSecret.into())
        }
        _ => Ok(updated),
    }
}

/// Returns whether the update names the scope that the response shows for the client.
fn repeats_scope(metadata: &ClientMetadata, client: &Client, policy: &Policy) -> bool {
    let shown = client.scope_under(policy);
    if shown.is_empty() {
        // The response leaves the member out.
        return !metadata.names_scope;
    }
    Scope::parse(&shown).is_ok_and(|shown| metadata.scope.as_ref() == Some(&shown))
}

/// Returns the updated client with a new secret, if the policy rotates secrets at an update and the
/// client keeps the one that it had (RFC 7592 §2.2).
fn rotated_on_update(updated: Client, client: &Client, ctx: &Context<'_>) -> Client {
    let overlap = ctx.policy.registration().and_then(|rules| rules.rotate_secret_on_update);
    let new = ctx.moment.entropy.client_secret().text_digest();
    match overlap {
        // Lost response of the store: an earlier attempt of this request rotated the secret (I17).
        Some(overlap) if client.secrets().is_some() && !updated.has_current_secret(&new) => {
            let rotated = StoredSecret::Digest(new);
            // A client without a secret stays as it is, and a digest fits beside any secret.
            updated.clone().with_new_secret(rotated, overlap, ctx.moment.now).unwrap_or(updated)
        }
        _ => updated,
    }
}
