//! supersede: a redemption ends the user's older grants at the same place, one write each.

use super::context::Context;
use crate::decision::{Decision, Loaded, Operation, OwnRecords};
use crate::event::EventKind;
use crate::grant::{Grant, RevocationCause};
use crate::keys::{GrantList, Keys};
use crate::moment::Moment;
use crate::policy::Policy;
use crate::reason::Endpoint;
use crate::record::{Stored, Write};
use crate::request::supersession::GrantSupersession;
use crate::value::credential::GrantId;

impl Operation for GrantSupersession {
    /// The id of the grant that was ended.
    type Response = Option<GrantId>;

    /// Names the grant of the redemption, for the event of a failure to load. Both are loaded as a
    /// list.
    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        let [own, _] = self.grants;
        Keys::of_grant(own)
    }

    fn list(&self) -> Option<GrantList<'_>> {
        Some(GrantList::Ids(&self.grants))
    }

    fn decide(
        &self,
        loaded: &Loaded,
        policy: &Policy,
        moment: &Moment,
    ) -> Decision<Option<GrantId>> {
        // A grant that was ended since it was listed, or has other properties now, is judged anew.
        let own = loaded.list.iter().map(|(_, records)| records.own(policy, Keys::default));
        let own: Vec<_> = own.collect();
        let Some((older, stored, records)) = self.find_older(&own, moment) else {
            let nothing = OwnRecords::nothing();
            let ctx = Context::new(self, &nothing, policy, moment);
            return ctx.allow(EventKind::NothingRevoked, None);
        };
        let newer = self.grants.into_iter().find(|id| *id != older.id());
        let note = newer.map(|newer| format!("superseded by {newer}"));
        let revoked = older.revoked(RevocationCause::Superseded, older.now(moment.now));
        Context::new(self, records, policy, moment)
            .allow(EventKind::GrantRevoked, Some(older.id()))
            .with_note(note.as_deref())
            .writing(Write::grant(Some(stored), revoked))
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Operator
    }
}

impl GrantSupersession {
    /// Returns the older of the two grants, with its records, if it is to be ended.
    fn find_older<'l>(
        &self,
        loaded: &'l [OwnRecords<'l>],
        moment: &Moment,
    ) -> Option<(&'l Grant, &'l Stored<Grant>, &'l OwnRecords<'l>)> {
        let [own, other] = self.grants.map(|id| find(loaded, id));
        let (own, own_records) = own?;
        let (other, other_records) = other?;
        let older = Self::older(&own.record, &other.record, moment.now)?;
        Some(if older.id() == own.record.id() {
            (older, own, own_records)
        } else {
            (older, other, other_records)
        })
    }
}

/// Returns the grant of this id, with its records, if it was loaded.
fn find<'l>(
    loaded: &'l [OwnRecords<'l>],
    id: GrantId,
) -> Option<(&'l Stored<Grant>, &'l OwnRecords<'l>)> {
    loaded.iter().find_map(|records| {
        let stored = records.grant.as_ref().filter(|stored| stored.record.id() == id)?;
        Some((stored, records))
    })
}
