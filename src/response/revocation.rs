//! The answer to a revocation (RFC 7009 §2.2): the same whether there was anything to revoke or
//! not.

use super::reply::Reply;

/// The token does not work, or never did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked;

impl Revoked {
    /// The whole response: 200, and no body.
    pub fn reply(self) -> Reply {
        let headers = vec![("cache-control", "no-store".into()), ("pragma", "no-cache".into())];
        Reply { status: 200, headers, body: String::new() }
    }
}
