//! The successful token response (OAuth 2.1 §3.2.3).

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::reply::Reply;
use crate::grant::{Basis, Terms};
use crate::value::credential::Issued;
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
        Reply::of_json(200, self.body())
    }

    /// Returns the members as JSON. They are written by hand: no character of a credential or of a
    /// scope token is ever escaped (OAuth 2.1 App. A.4), and `serde_json` looks at each for 2,800
    /// instructions.
    #[expect(clippy::expect_used, reason = "memory takes what is written, and JSON is UTF-8")]
    fn body(&self) -> String {
        let scope = &self.terms.scope;
        let mut body = Vec::with_capacity(320 + scope.as_str().len());
        body.extend_from_slice(b"{\"access_token\":\"");
        self.access.push_to(&mut body);
        body.extend_from_slice(b"\",\"token_type\":\"Bearer\",\"expires_in\":");
        serde_json::to_writer(&mut body, &self.expires_in).expect("a number is JSON");
        if let Some(refresh) = &self.refresh {
            body.extend_from_slice(b",\"refresh_token\":\"");
            refresh.push_to(&mut body);
            body.push(b'"');
        }
        body.extend_from_slice(b",\"scope\":\"");
        if self.scope == Subset::ALL {
            body.extend_from_slice(scope.as_str().as_bytes());
        } else {
            let part = ScopeText { granted: scope, subset: self.scope };
            body.extend_from_slice(part.to_string().as_bytes());
        }
        body.push(b'"');
        if let Some(resource) = ResourceMember::of(&self.terms) {
            body.extend_from_slice(b",\"resource\":");
            serde_json::to_writer(&mut body, &resource).expect("texts are JSON");
        }
        body.push(b'}');
        String::from_utf8(body).expect("JSON is UTF-8")
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
