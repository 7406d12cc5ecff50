//! The response to an introspection (RFC 7662 §2.2).

use std::sync::Arc;

use serde::ser::{self, SerializeMap as _};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::reply::Reply;
use super::token::ScopeText;
use crate::grant::{Grant, TokenRights};
use crate::policy::{IntrospectionRules, MachineRules, MachineSub, Policy};
use crate::value::properties::Properties;
use crate::value::text::Subject;

/// The state of a token for one resource server. All details of an active token are disclosed, and
/// none of an inactive one (RFC 7662 §4).
#[derive(Clone, Debug)]
pub struct Introspected(Option<(Arc<Grant>, TokenRights)>);

#[derive(Serialize)]
struct InactiveToken {
    active: bool,
}

#[derive(Serialize)]
struct ActiveToken<'a> {
    active: bool,
    /// Absent if nothing of the scope is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<ScopeText<'a>>,
    client_id: &'a str,
    token_type: &'a str,
    exp: u64,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    aud: Audience<'a>,
    iss: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a str>,
    #[serde(flatten)]
    properties: Option<PropertiesMember<'a>>,
}

/// The properties of the grant, under the name that the policy gives them.
struct PropertiesMember<'a> {
    name: &'a str,
    properties: &'a Properties,
}

impl Serialize for PropertiesMember<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object: &RawValue =
            serde_json::from_str(self.properties.as_str()).map_err(ser::Error::custom)?;
        let mut members = serializer.serialize_map(Some(1))?;
        members.serialize_entry(self.name, object)?;
        members.end()
    }
}

/// One resource as a string, or several as an array (RFC 7519 §4.1.3).
#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(&'a str),
    Several(Vec<&'a str>),
}

impl Introspected {
    pub(crate) const INACTIVE: Self = Self(None);

    pub(crate) fn active(grant: Arc<Grant>, token: TokenRights) -> Self {
        Self(Some((grant, token)))
    }

    /// Returns whether the token is active for the caller.
    pub fn is_active(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the whole response.
    pub fn reply(&self, policy: &Policy) -> Reply {
        let Some((grant, token)) = &self.0 else {
            return Reply::json(200, &InactiveToken { active: false });
        };
        let login = grant.terms().login();
        let scope = ScopeText { granted: grant.scope(), subset: token.scope };
        let name = policy.introspection().and_then(IntrospectionRules::properties);
        let properties = name.zip(grant.properties());
        let body = ActiveToken {
            active: true,
            scope: (!token.scope.is_empty(grant.scope().len())).then_some(scope),
            client_id: grant.client_id().as_str(),
            token_type: "Bearer",
            exp: token.expires.unix_seconds(),
            iat: token.issued.unix_seconds(),
            sub: sub(grant, policy),
            aud: audience(token.resources.of(grant.resources()).collect()),
            iss: policy.issuer(),
            auth_time: login.map(|login| login.time.unix_seconds()),
            acr: login.and_then(|login| login.acr.as_deref()),
            properties: properties.map(|(name, properties)| PropertiesMember { name, properties }),
        };
        Reply::json(200, &body)
    }
}

/// Returns the user. Without one, returns nothing, or the client if the policy says so: a resource
/// server must not take a machine for a user (RFC 9700 §4.15).
fn sub<'a>(grant: &'a Grant, policy: &Policy) -> Option<&'a str> {
    let machine = || match policy.machines().map(MachineRules::sub) {
        Some(MachineSub::ClientId) => Some(grant.client_id().as_str()),
        Some(MachineSub::Absent) | None => None,
    };
    grant.subject().map(Subject::as_str).or_else(machine)
}

fn audience(resources: Vec<&str>) -> Audience<'_> {
    match *resources {
        [only] => Audience::One(only),
        _ => Audience::Several(resources),
    }
}
