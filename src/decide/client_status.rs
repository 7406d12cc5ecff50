//! An administrator deactivates or reactivates a client (CLIENT-21).

use super::context::Context;
use crate::client::{Client, ClientStatus};
use crate::decision::{Decision, Loaded, Operation};
use crate::event::EventKind;
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::Write;
use crate::request::client_status::ClientStatusChange;

impl Operation for ClientStatusChange<'_> {
    type Response = ();

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys { client: ClientKey::named(self.client_id), ..Keys::default() }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<()> {
        let loaded = &loaded.own(policy, || self.keys(policy, moment));
        let ctx = Context::new(self, loaded, policy, moment).claimed_by(self.client_id);
        let Some(stored) = ctx.existing_client(self.client_id) else {
            return ctx.refuse(Reason::ClientUnknown);
        };
        let kind = match self.to {
            ClientStatus::Deactivated => EventKind::ClientDeactivated,
            ClientStatus::Active => EventKind::ClientReactivated,
        };
        let decision = ctx.allow(kind, ()).with_note(self.note).attributed();
        // Lost response: the administrator can repeat the request without another write.
        if stored.record.status() == self.to {
            return decision;
        }
        let client = Client::clone(&stored.record);
        let next = match self.to {
            ClientStatus::Deactivated => client.deactivated(),
            ClientStatus::Active => client.reactivated(),
        };
        decision.writing(Write::client(Some(stored), next))
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Operator
    }
}
