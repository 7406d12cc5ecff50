//! The successful token response (OAuth 2.1 §3.2.3).

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::reply::Reply;
use crate::grant::{Basis, Terms};
use crate::value::credential::{CredentialText, Issued};
use crate::value::scope::{Scope, Subset};

/// The tokens of a successful token request.
#[derive(Debug)]
#[must_use = "the tokens in it exist nowhere else"]
pub struct Tokens {
    pub(crate) access: Issued,
    pub(crate) refresh: Option<Issued>,
    pub(crate) expires_in: u64,
    pub(crate) terms: Arc<Terms>,
    pub(crate) scope: Subset,
}

/// The members of the response. They are written into one buffer of known size, beside which serde
/// allocates nothing.
#[derive(Serialize)]
struct TokenBody<'a> {
    access_token: CredentialText,
    token_type: &'a str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<CredentialText>,
    scope: ScopeText<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<ResourceMember<'a>>,
}

/// The resources of a token: a string, or an array of several (AMB-98).
#[derive(Serialize)]
#[serde(untagged)]
enum ResourceMember<'a> {
    One(&'a str),
    Several(&'a [Box<str>]),
}

impl<'a> ResourceMember<'a> {
    /// Returns the resources of a token that an identity provider's assertion brought. Other
    /// responses do not name them.
    fn of(terms: &'a Terms) -> Option<Self> {
        if !matches!(terms.basis, Basis::Enterprise { .. }) {
            return None;
        }
        Some(match &*terms.resources {
            [only] => Self::One(only),
            several => Self::Several(several),
        })
    }
}

/// A part of a granted scope, as the parameter `scope` has it.
pub(super) struct ScopeText<'a> {
    pub(super) granted: &'a Scope,
    pub(super) subset: Subset,
}

impl Tokens {
    /// Returns the seconds until the access token expires.
    pub fn expires_in(&self) -> u64 {
        self.expires_in
    }

    /// Returns the scope tokens of the access token.
    pub fn scope(&self) -> impl Iterator<Item = &str> {
        self.scope.of(self.terms.scope.tokens())
    }

    /// Returns the whole response.
    pub fn reply(self) -> Reply {
        let scope = &self.terms.scope;
        let body = TokenBody {
            access_token: self.access.reveal(),
            token_type: "Bearer",
            expires_in: self.expires_in,
            refresh_token: self.refresh.as_ref().map(Issued::reveal),
            scope: ScopeText { granted: scope, subset: self.scope },
            resource: ResourceMember::of(&self.terms),
        };
        Reply::json_of_size(200, &body, 320 + scope.as_str().len())
    }
}

impl fmt::Display for ScopeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, token) in self.subset.of(self.granted.tokens()).enumerate() {
            f.write_str(if position > 0 { " " } else { "" })?;
            f.write_str(token)?;
        }
        Ok(())
    }
}

impl Serialize for ScopeText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.subset == Subset::ALL {
            serializer.serialize_str(self.granted.as_str())
        } else {
            serializer.collect_str(self)
        }
    }
}
