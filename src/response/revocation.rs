//! The response to a revocation (RFC 7009 §2.2). It does not depend on whether there was anything
//! to revoke.

use super::reply::Reply;

/// The success of a revocation: the token does not work, or never did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revoked;

impl Revoked {
    /// Returns the whole response: 200 without a body.
    pub fn reply(self) -> Reply {
        let headers = vec![("cache-control", "no-store".into()), ("pragma", "no-cache".into())];
        Reply { status: 200, headers, body: String::new() }
    }
}
