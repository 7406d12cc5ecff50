//! narrow: a user or an administrator takes scope or resources away from a live grant (OAuth 2.1
//! §1.4.1). It counts at the next check, and for every later token.

use super::context::Context;
use crate::decision::{Decision, Loaded, Operation, OwnRecords};
use crate::event::EventKind;
use crate::grant::{Active, Grant, Phase};
use crate::keys::Keys;
use crate::moment::Moment;
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::{Stored, Write};
use crate::request::narrowing::{GrantNarrowing, Narrowing};
use crate::value::scope::Subset;

impl Operation for GrantNarrowing<'_> {
    type Response = ();

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys { grant: Some(self.grant), ..Keys::default() }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<()> {
        let loaded = &loaded.own(policy, || self.keys(policy, moment));
        let ctx = Context::new(self, loaded, policy, moment);
        let Some((stored, active)) = self.find_grant(loaded, moment) else {
            // Enumeration: another user's grant is refused as if it did not exist, and the event
            // does not name it either.
            let nothing = OwnRecords::nothing();
            return Context::new(self, &nothing, policy, moment).refuse(Reason::ConnectionUnknown);
        };
        let grant = &*stored.record;
        let kept = match Kept::of(self.to, grant, policy) {
            Ok(kept) => kept,
            Err(reason) => return ctx.refuse(reason),
        };
        if kept.leaves_nothing(grant, active) {
            return ctx.refuse(Reason::NarrowingEmpty);
        }
        if kept.takes_nothing(grant, active) {
            let nothing = ctx.allow(EventKind::NothingNarrowed, ()).with_note(self.note);
            return nothing.attributed();
        }
        let next = grant.narrowed(active, kept.scope, kept.resources, grant.now(moment.now));
        ctx.allow(EventKind::GrantNarrowed, ())
            .with_note(self.note)
            .writing(Write::grant(Some(stored), next))
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Operator
    }
}

impl GrantNarrowing<'_> {
    /// Returns the grant if it is in use, has not expired, and is of the user who asks.
    fn find_grant<'l>(
        &self,
        loaded: &'l Loaded,
        moment: &Moment,
    ) -> Option<(&'l Stored<Grant>, &'l Active)> {
        let stored = loaded.grant.as_ref()?;
        let grant = &*stored.record;
        let Phase::Active(active) = grant.phase() else { return None };
        let is_own = self.user.is_none_or(|user| grant.is_of(user));
        (is_own && grant.is_usable(moment.now)).then_some((stored, active))
    }
}

/// The parts of a grant's scope and resources that are to be kept.
struct Kept {
    scope: Subset,
    resources: Subset,
}

impl Kept {
    /// Returns the parts that the narrowing names. Both are compared with what was granted: what
    /// was taken away before may be named again, and stays away.
    fn of(to: &Narrowing, grant: &Grant, policy: &Policy) -> Result<Self, Reason> {
        let scope = match &to.scope {
            None => Some(Subset::ALL),
            Some(scope) => grant.scope().subset(scope.tokens()),
        };
        let position =
            |named: &str| grant.resources().position(|own| policy.is_same_resource(own, named));
        let resources = match &to.resources {
            None => Some(Subset::ALL),
            Some(resources) => resources
                .iter()
                .try_fold(Subset::NONE, |subset, named| Some(subset.with(position(named)?))),
        };
        match (scope, resources) {
            (Some(scope), Some(resources)) => Ok(Self { scope, resources }),
            _ => Err(Reason::NarrowingBeyondGrant),
        }
    }

    fn leaves_nothing(&self, grant: &Grant, active: &Active) -> bool {
        active.remaining().scope.and(self.scope).is_empty(grant.scope().len())
            || active.remaining().resources.and(self.resources).is_empty(grant.resources().count())
    }

    fn takes_nothing(&self, grant: &Grant, active: &Active) -> bool {
        self.scope.covers(active.remaining().scope, grant.scope().len())
            && self.resources.covers(active.remaining().resources, grant.resources().count())
    }
}
