//! The successful token response (OAuth 2.1 §3.2.3).

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::reply::Reply;
use crate::grant::Terms;
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
    fn body(&self) -> String {
        let scope = &self.terms.scope;
        let mut body = String::with_capacity(320 + scope.as_str().len());
        body.push_str("{\"access_token\":\"");
        body.push_str(self.access.reveal().as_str());
        body.push_str("\",\"token_type\":\"Bearer\",\"expires_in\":");
        // Writing to a `String` never fails.
        let _ = write!(body, "{}", self.expires_in);
        if let Some(refresh) = &self.refresh {
            body.push_str(",\"refresh_token\":\"");
            body.push_str(refresh.reveal().as_str());
            body.push('"');
        }
        body.push_str(",\"scope\":\"");
        if self.scope == Subset::ALL {
            body.push_str(scope.as_str());
        } else {
            let _ = write!(body, "{}", ScopeText { granted: scope, subset: self.scope });
        }
        body.push_str("\"}");
        body
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
