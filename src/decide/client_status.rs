//! An administrator deactivates or reactivates a client (CLIENT-21).

use crate::client::{Client, ClientStatus};
use crate::event::EventKind;
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::operation::{Decision, Loaded, Operation};
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::Write;
use crate::request::client_status::ClientStatusChange;

impl Operation for ClientStatusChange<'_> {
    type Response = ();

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys { client: ClientKey::named(self.client_id), ..Keys::default() }
    }

    /// A client that has the status already is left unchanged, so that the request can be repeated.
    fn decide(&self, loaded: &Loaded, _: &Policy, moment: &Moment) -> Decision<()> {
        let Some(stored) =
            loaded.client_of(self.client_id).filter(|stored| !stored.record.is_deleted())
        else {
            return Decision::refuse(Reason::ClientUnknown, Endpoint::Operator, loaded, moment)
                .claimed_by(self.client_id);
        };
        let client = Client::clone(&stored.record);
        let (kind, next) = match self.to {
            ClientStatus::Deactivated => (EventKind::ClientDeactivated, client.deactivated()),
            ClientStatus::Active => (EventKind::ClientReactivated, client.reactivated()),
        };
        let decision = Decision::allow(kind, (), loaded, moment).authenticated();
        if stored.record.status() == self.to {
            decision
        } else {
            decision.writing(Write::client(Some(stored), next))
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Operator
    }
}
