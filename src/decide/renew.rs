//! renew: a client is never over before its grants are (CLIENT-23).

use crate::moment::Timestamp;
use crate::operation::Loaded;
use crate::policy::Policy;
use crate::record::Write;

/// The write that must be durable before a grant of this client may be used until then; nothing if
/// the client lives long enough, which it does by far most of the time: each renewal is good for a
/// whole [unused lifetime](crate::Lifetimes::unused_client) more.
pub(super) fn renewal(loaded: &Loaded, last_use: Timestamp, policy: &Policy) -> Option<Write> {
    let stored = loaded.client.as_ref()?;
    let renewed = stored.record.outliving(last_use, policy.lifetimes().unused_client)?;
    Some(Write::client(Some(stored), renewed))
}
