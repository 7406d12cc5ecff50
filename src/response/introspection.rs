//! The answer to an introspection (RFC 7662 §2.2).

use std::sync::Arc;

use serde::Serialize;

use super::reply::Reply;
use crate::grant::{AccessTokenEntry, Grant};
use crate::policy::Policy;

/// What a resource server is told of a token: all about one that is active for it, and nothing of
/// any other.
#[derive(Clone, Debug)]
pub struct Introspected(Option<(Arc<Grant>, AccessTokenEntry)>);

#[derive(Serialize)]
struct Dead {
    active: bool,
}

#[derive(Serialize)]
struct Alive<'a> {
    active: bool,
    scope: String,
    client_id: &'a str,
    token_type: &'a str,
    exp: u64,
    iat: u64,
    sub: &'a str,
    aud: Audience<'a>,
    iss: &'a str,
}

/// One, or an array of several (RFC 7519 §4.1.3).
#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(&'a str),
    Several(Vec<&'a str>),
}

impl Introspected {
    pub(crate) const INACTIVE: Self = Self(None);

    pub(crate) fn active(grant: Arc<Grant>, live: AccessTokenEntry) -> Self {
        Self(Some((grant, live)))
    }

    /// Whether it is.
    pub fn is_active(&self) -> bool {
        self.0.is_some()
    }

    /// The whole response.
    pub fn reply(&self, policy: &Policy) -> Reply {
        let body = match &self.0 {
            None => serde_json::to_string(&Dead { active: false }),
            Some((grant, live)) => serde_json::to_string(&Alive {
                active: true,
                scope: live.scope.of(grant.scope().tokens()).collect::<Vec<_>>().join(" "),
                client_id: grant.client_id().as_str(),
                token_type: "Bearer",
                exp: live.expires.unix_seconds(),
                iat: live.issued.unix_seconds(),
                sub: grant.subject().as_str(),
                aud: audience(live.resources.of(grant.resources()).collect()),
                iss: policy.issuer(),
            }),
        };
        Reply::json(200, body.unwrap_or_default())
    }
}

fn audience(resources: Vec<&str>) -> Audience<'_> {
    match *resources {
        [only] => Audience::One(only),
        _ => Audience::Several(resources),
    }
}
