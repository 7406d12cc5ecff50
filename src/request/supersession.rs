//! A request to end the older of two grants of one user at one place. A server makes it after a
//! redemption, under the policy's [`Supersede`](crate::policy::Supersede).

use crate::grant::{Consent, Grant, Phase};
use crate::moment::Timestamp;
use crate::value::credential::GrantId;

/// A request to end the older of two grants that are at one place. The grant of a redemption is one
/// of them, and it is not excepted: if two redemptions race, exactly the later one lives.
#[derive(Clone, Copy, Debug)]
pub struct GrantSupersession {
    pub(crate) grants: [GrantId; 2],
}

impl GrantSupersession {
    /// Compares these two grants.
    pub fn between(own: GrantId, other: GrantId) -> Self {
        Self { grants: [own, other] }
    }

    /// Returns which of two grants is superseded: the one that was redeemed earlier, or the one
    /// with the lesser id if they were redeemed in the same second.
    ///
    /// Returns `None` unless both are in use and at one place: of one user and client, with the
    /// same `https` redirect URI that is not on the user's own device, the same resources and the
    /// same properties.
    pub fn older<'g>(own: &'g Grant, other: &'g Grant, now: Timestamp) -> Option<&'g Grant> {
        let order = |grant: &Grant| match grant.phase() {
            Phase::Active(active) if grant.is_usable(now) => {
                Some((active.code()?.redeemed, grant.id()))
            }
            _ => None,
        };
        let (own_order, other_order) = (order(own)?, order(other)?);
        if own_order == other_order || !own.terms().is_same_place(other.terms()) {
            return None;
        }
        // A grant spares the one whose consent it remembers: the next request would be asked. The
        // two may have been redeemed in one second, so that either is the older.
        let remembers = |one: &Grant, two: &Grant| {
            one.terms().consent() == Some(Consent::Remembered { of: two.id() })
        };
        if remembers(own, other) || remembers(other, own) {
            return None;
        }
        Some(if own_order < other_order { own } else { other })
    }
}
