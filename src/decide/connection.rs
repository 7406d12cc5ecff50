//! disconnect: a user or an administrator ends a grant, or all of a client (OAuth 2.1 §7.9,
//! §4.3.3).

use crate::client::Client;
use crate::event::EventKind;
use crate::grant::{Grant, Phase};
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::operation::{Decision, Loaded, Operation};
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::{Stored, Write};
use crate::request::connection::{ClientRevocation, GrantRevocation};

impl Operation for GrantRevocation<'_> {
    type Response = ();

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys { grant: Some(self.grant), ..Keys::default() }
    }

    /// Whatever its phase: a page that waits for its answer and a code that waits to be redeemed
    /// are ended as well. One that is over stays as it is.
    fn decide(&self, loaded: &Loaded, _: &Policy, moment: &Moment) -> Decision<()> {
        let stored = loaded.grant.as_ref();
        let is_own = |stored: &&Stored<Grant>| {
            self.user.is_none_or(|user| stored.record.subject().as_str() == user)
        };
        let Some(stored) = stored.filter(is_own) else {
            return match self.user {
                // Another user's grant looks like none, in the event too.
                Some(_) => Decision::refuse(
                    Reason::ConnectionUnknown,
                    Endpoint::Operator,
                    &Loaded::default(),
                    moment,
                ),
                None => Decision::allow(EventKind::NothingRevoked, (), loaded, moment)
                    .noted(self.note)
                    .authenticated(),
            };
        };
        let grant = &*stored.record;
        if matches!(grant.phase(), Phase::Revoked(_)) {
            return Decision::allow(EventKind::NothingRevoked, (), loaded, moment)
                .noted(self.note)
                .authenticated();
        }
        let revoked = Write::grant(Some(stored), grant.revoked(self.cause, grant.now(moment.now)));
        Decision::allow(EventKind::GrantRevoked, (), loaded, moment)
            .noted(self.note)
            .writing(revoked)
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Operator
    }
}

impl Operation for ClientRevocation<'_> {
    type Response = ();

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys { client: ClientKey::named(self.client_id), ..Keys::default() }
    }

    /// One write, however many there are: each grant captured the client's epoch.
    fn decide(&self, loaded: &Loaded, _: &Policy, moment: &Moment) -> Decision<()> {
        let Some(stored) =
            loaded.client_of(self.client_id).filter(|stored| !stored.record.is_deleted())
        else {
            return Decision::refuse(Reason::ClientUnknown, Endpoint::Operator, loaded, moment)
                .claimed_by(self.client_id);
        };
        let next = Client::clone(&stored.record).with_grants_ended();
        let decision = Decision::allow(EventKind::ClientGrantsEnded, (), loaded, moment)
            .noted(Some(self.note));
        decision.writing(Write::client(Some(stored), next)).authenticated()
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Operator
    }
}
