//! A user lists their connections or ends one; an administrator ends one grant, or all grants of a
//! client (OAuth 2.1 §7.9, §4.3.3).

use super::context::Context;
use crate::client::Client;
use crate::decision::{Decision, Loaded, Operation, OwnRecords};
use crate::event::EventKind;
use crate::grant::Phase;
use crate::keys::{ClientKey, GrantList, Keys};
use crate::moment::Moment;
use crate::policy::{Issuers, Policy};
use crate::reason::{Endpoint, Reason};
use crate::record::Write;
use crate::request::connection::{ClientRevocation, ConnectionList, GrantRevocation};
use crate::response::connection::{Connection, Connections};

impl Operation for ConnectionList<'_> {
    type Response = Connections;

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys::default()
    }

    fn list(&self) -> Option<GrantList<'_>> {
        Some(self.list)
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Connections> {
        let loaded = &loaded.own(policy, || self.keys(policy, moment));
        let ctx = Context::new(self, loaded, policy, moment);
        let connections = loaded.list.iter().filter_map(|(_, found)| match self.issuers {
            Issuers::Own => Connection::of(&found.own(policy, Keys::default), policy, moment.now),
            Issuers::All => Connection::of(found, policy, moment.now),
        });
        // A page that is not full is the last one.
        let is_full =
            matches!(self.list, GrantList::Page { limit, .. } if loaded.list.len() >= limit);
        let next = loaded.list.last().filter(|_| is_full).map(|(id, _)| *id);
        ctx.allow(
            EventKind::ConnectionsListed,
            Connections { entries: connections.collect(), next },
        )
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Operator
    }
}

impl Operation for GrantRevocation<'_> {
    type Response = ();

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys { grant: Some(self.grant), ..Keys::default() }
    }

    /// Ends the grant in any phase: a pending consent page and an unredeemed code are ended too. A
    /// grant that is revoked already stays as it is.
    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<()> {
        let loaded = &loaded.own(policy, || self.keys(policy, moment));
        let ctx = Context::new(self, loaded, policy, moment);
        let stored = match (self.user, &loaded.grant) {
            (None, None) => return self.change_nothing(&ctx),
            (None, Some(stored)) => stored,
            (Some(user), Some(stored)) if stored.record.is_of(user) => stored,
            (Some(_), _) => {
                // Enumeration: another user's grant is refused as if it did not exist, and the
                // event does not name it either.
                let nothing = OwnRecords::nothing();
                return Context::new(self, &nothing, policy, moment)
                    .refuse(Reason::ConnectionUnknown);
            }
        };
        let grant = &*stored.record;
        if matches!(grant.phase(), Phase::Revoked(_)) {
            return self.change_nothing(&ctx);
        }
        let revoked = grant.revoked(self.cause, grant.now(moment.now));
        ctx.allow(EventKind::GrantRevoked, ())
            .with_note(self.note)
            .writing(Write::grant(Some(stored), revoked))
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Operator
    }
}

impl GrantRevocation<'_> {
    /// Answers a revocation of a grant that was revoked before or does not exist.
    fn change_nothing(&self, ctx: &Context<'_>) -> Decision<()> {
        ctx.allow(EventKind::NothingRevoked, ()).with_note(self.note).attributed()
    }
}

impl Operation for ClientRevocation<'_> {
    type Response = ();

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys { client: ClientKey::named(self.client_id), ..Keys::default() }
    }

    /// Raises the client's epoch. One write ends every grant, for each has captured the epoch.
    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<()> {
        let loaded = &loaded.own(policy, || self.keys(policy, moment));
        let ctx = Context::new(self, loaded, policy, moment).claimed_by(self.client_id);
        let Some(stored) = ctx.existing_client(self.client_id) else {
            return ctx.refuse(Reason::ClientUnknown);
        };
        let next = Client::clone(&stored.record).with_grants_ended();
        ctx.allow(EventKind::ClientGrantsEnded, ())
            .with_note(Some(self.note))
            .writing(Write::client(Some(stored), next))
            .attributed()
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Operator
    }
}
