//! The successful token response (OAuth 2.1 §3.2.3).

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use super::reply::Reply;
use crate::grant::{Basis, Terms};
use crate::value::credential::{Credential, GrantId, Kind, RefreshCredential};
use crate::value::scope::{Scope, Subset};
use crate::value::secret::Secret;

/// The tokens of a successful token request.
#[must_use = "the tokens in it exist nowhere else"]
pub struct Tokens {
    /// The response as JSON. It is written when the request is decided: three secrets, each of
    /// which is moved with the decision, take more than the text that they end in.
    body: Zeroizing<Vec<u8>>,
    expires_in: u64,
    pub(crate) terms: Arc<Terms>,
    scope: Subset,
}

/// The secrets of the tokens that a request mints.
pub(crate) struct NewTokens<'a> {
    pub(crate) grant: GrantId,
    pub(crate) access: &'a Secret,
    /// The secret of the family and the current one, if a refresh token is issued.
    pub(crate) refresh: Option<(&'a Secret, &'a Secret)>,
    pub(crate) expires_in: u64,
    /// The part of the granted scope that the access token has.
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
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "JSON is UTF-8")]
    pub fn reply(mut self) -> Reply {
        let body = String::from_utf8(std::mem::take(&mut self.body)).expect("JSON is UTF-8");
        Reply::of_json(200, body)
    }
}

impl NewTokens<'_> {
    /// Writes the response to the request that mints these tokens.
    pub(crate) fn written(self, terms: &Arc<Terms>) -> Tokens {
        Tokens {
            body: Zeroizing::new(self.body(terms)),
            expires_in: self.expires_in,
            terms: Arc::clone(terms),
            scope: self.scope,
        }
    }

    /// Returns the members as JSON. They are written by hand: no character of a credential or of a
    /// scope token is ever escaped (OAuth 2.1 App. A.4), and `serde_json` looks at each for 2,800
    /// instructions.
    #[expect(clippy::expect_used, reason = "memory takes what is written")]
    fn body(&self, terms: &Terms) -> Vec<u8> {
        let scope = &terms.scope;
        let mut body = Vec::with_capacity(336 + scope.as_str().len());
        body.extend_from_slice(b"{\"access_token\":\"");
        Credential::push(Kind::Access, self.grant, self.access, &mut body);
        body.extend_from_slice(b"\",\"token_type\":\"Bearer\",\"expires_in\":");
        serde_json::to_writer(&mut body, &self.expires_in).expect("a number is JSON");
        if let Some((family, current)) = self.refresh {
            body.extend_from_slice(b",\"refresh_token\":\"");
            RefreshCredential::push(self.grant, family, current, &mut body);
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
        if let Some(resource) = ResourceMember::of(terms) {
            body.extend_from_slice(b",\"resource\":");
            serde_json::to_writer(&mut body, &resource).expect("texts are JSON");
        }
        body.push(b'}');
        body
    }
}

/// Redacted: the response has the tokens.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("expires_in", &self.expires_in)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
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
