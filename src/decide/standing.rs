//! standing: an administrator deactivates or reactivates a client (CLIENT-21).

use crate::client::{Client, ClientStatus};
use crate::event::EventKind;
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::operation::{Decision, Loaded, Operation};
use crate::policy::Policy;
use crate::reason::{Reason, Surface};
use crate::record::Write;
use crate::request::standing::{Standing, StandingChange};

impl Operation for StandingChange<'_> {
    type Response = ();

    fn keys(&self, _: &Moment) -> Keys<'_> {
        Keys { client: ClientKey::named(self.client_id), ..Keys::default() }
    }

    /// One that stands so already is left as it is, which makes the request good to be sent twice.
    fn decide(&self, loaded: &Loaded, _: &Policy, moment: &Moment) -> Decision<()> {
        let Some(stored) =
            loaded.client_of(self.client_id).filter(|stored| !stored.record.is_deleted())
        else {
            return Decision::refuse(Reason::ClientUnknown, Surface::Operator, loaded, moment)
                .claimed_by(self.client_id);
        };
        let client = Client::clone(&stored.record);
        let (kind, status, next) = match self.to {
            Standing::Deactivated => {
                (EventKind::ClientDeactivated, ClientStatus::Deactivated, client.deactivated())
            }
            Standing::Active => {
                (EventKind::ClientReactivated, ClientStatus::Active, client.reactivated())
            }
        };
        let decision = Decision::allow(kind, (), loaded, moment).authenticated();
        if stored.record.status() == status {
            decision
        } else {
            decision.writing(Write::client(Some(stored), next))
        }
    }

    fn surface(&self) -> Surface {
        Surface::Operator
    }
}
