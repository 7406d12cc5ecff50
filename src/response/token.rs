//! The successful token response (OAuth 2.1 §3.2.3).

use std::sync::Arc;

use super::reply::Reply;
use crate::grant::Terms;
use crate::value::credential::Issued;
use crate::value::scope::Subset;

/// Tokens on their way to the client.
#[derive(Debug)]
#[must_use = "the tokens in it exist nowhere else"]
pub struct Tokens {
    pub(crate) access: Issued,
    pub(crate) refresh: Option<Issued>,
    pub(crate) expires_in: u64,
    pub(crate) terms: Arc<Terms>,
    pub(crate) scope: Subset,
}

impl Tokens {
    /// Seconds the access token has left.
    pub fn expires_in(&self) -> u64 {
        self.expires_in
    }

    /// The scope tokens of the access token.
    pub fn scope(&self) -> impl Iterator<Item = &str> {
        self.scope.of(self.terms.scope.tokens())
    }

    /// The whole response.
    pub fn reply(self) -> Reply {
        // Every value is base64url, a number or scope tokens, which hold neither quote nor
        // backslash: nothing needs escaping.
        let mut body = String::with_capacity(320 + self.terms.scope.as_str().len());
        body.push_str("{\"access_token\":\"");
        self.access.reveal_into(&mut body);
        body.push_str("\",\"token_type\":\"Bearer\",\"expires_in\":");
        body.push_str(itoa::Buffer::new().format(self.expires_in));
        if let Some(refresh) = &self.refresh {
            body.push_str(",\"refresh_token\":\"");
            refresh.reveal_into(&mut body);
            body.push('"');
        }
        body.push_str(",\"scope\":\"");
        self.push_scope(&mut body);
        body.push_str("\"}");
        Reply::json(200, body)
    }

    fn push_scope(&self, body: &mut String) {
        if self.scope == Subset::ALL {
            return body.push_str(self.terms.scope.as_str());
        }
        for (position, token) in self.scope().enumerate() {
            if position > 0 {
                body.push(' ');
            }
            body.push_str(token);
        }
    }
}
