//! manage: a client reads, changes or deletes its registration (RFC 7592 §2). Whoever cannot show
//! its token learns nothing.

use std::sync::Arc;

use super::registration::authentication;
use crate::client::{Authentication, Client};
use crate::event::EventKind;
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::operation::{Decision, Loaded, Operation};
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::{Stored, Write};
use crate::refusal::{Fault, Refusal};
use crate::request::registration::{Action, ManagementRequest, Update};
use crate::response::registration::{Managed, Shown};
use crate::value::secret::Digest;

impl Operation for ManagementRequest<'_> {
    type Response = Managed;

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys { client: ClientKey::named(self.client_id), ..Keys::default() }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Managed> {
        let refuse = |fault: Fault| {
            Decision::refuse_by(Refusal::of(fault, Endpoint::Management), loaded, moment)
                .claimed_by(self.client_id)
        };
        let Some(stored) = managed(self, loaded, moment) else {
            return if is_gone(self, loaded, moment) {
                Decision::allow(EventKind::ClientDeleted, Managed { shown: None }, loaded, moment)
            } else {
                refuse(Reason::ManagementTokenWrong.into())
            };
        };
        let shown = |client, secret| Managed {
            shown: Some(Shown { client, secret, token: self.token.into() }),
        };
        match &self.action {
            Action::Read => Decision::allow(
                EventKind::ClientRead,
                shown(Arc::clone(&stored.record), None),
                loaded,
                moment,
            ),
            Action::Delete => {
                let deleted = Write::client(Some(stored), Client::clone(&stored.record).deleted());
                Decision::allow(EventKind::ClientDeleted, Managed { shown: None }, loaded, moment)
                    .writing(deleted)
            }
            Action::Update(Err(fault)) => refuse(fault.clone()),
            Action::Update(Ok(update)) => match updated(update, &stored.record, policy, moment) {
                Err(fault) => refuse(fault),
                Ok(client) => {
                    let client = Arc::new(client);
                    let is_new = client.has_secret(&moment.entropy.client_secret().text_digest());
                    let shown =
                        shown(Arc::clone(&client), is_new.then(|| moment.entropy.client_secret()));
                    Decision::allow(EventKind::ClientUpdated, shown, loaded, moment)
                        .narrowed(&update.metadata.dropped, None)
                        .writing(Write::client(Some(stored), client))
                }
            },
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Management
    }
}

/// The registration, if it is served and this is its token. The digest is taken in any case.
fn managed<'a>(
    request: &ManagementRequest<'_>,
    loaded: &'a Loaded,
    moment: &Moment,
) -> Option<&'a Stored<Client>> {
    let token = Digest::of(request.token.as_bytes());
    loaded.served(request.client_id, moment.now).ok()?;
    loaded.client_of(request.client_id).filter(|stored| stored.record.is_managed_by(&token))
}

/// Whether this is a deletion that has been done: its own commit come back late.
fn is_gone(request: &ManagementRequest<'_>, loaded: &Loaded, moment: &Moment) -> bool {
    let is_late = moment.again && matches!(request.action, Action::Delete);
    let token = Digest::of(request.token.as_bytes());
    is_late
        && loaded
            .client_of(request.client_id)
            .is_some_and(|stored| stored.record.is_deleted() && stored.record.is_managed_by(&token))
}

/// The client with these metadata in place of its own. How it authenticates and what it is
/// registered for stay if the update does not name them: nobody loses a secret by leaving a member
/// out.
fn updated(
    update: &Update,
    client: &Client,
    policy: &Policy,
    moment: &Moment,
) -> Result<Client, Fault> {
    let metadata = update.metadata.clone();
    let negotiated = metadata.auth_method.unwrap_or(client.authentication().method());
    // An update that asks for less proof than the operator demands gets what the operator demands.
    let method = client.restrictions().imposed_method().unwrap_or(negotiated);
    let authentication = match (client.authentication(), authentication(method, moment)) {
        // The same secret, sent another way.
        (
            Authentication::Confidential { secret, .. },
            Authentication::Confidential { method, .. },
        ) => Authentication::Confidential { method, secret: secret.clone() },
        (_, new) => new,
    };
    let grant_types = metadata.grant_types.unwrap_or(client.registered_grant_types());
    let next = metadata.describe(
        client.clone().edit().authenticating(authentication).registering_for(grant_types),
        policy,
    )?;
    // Its own commit come back late may have ended the secret that came along.
    let is_done = moment.again && next == *client;
    match &update.secret {
        Some(sent) if !is_done && !client.has_secret(sent) => Err(Reason::MetadataSecret.into()),
        _ => Ok(next),
    }
}
