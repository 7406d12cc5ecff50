//! Several issuers with one set of rules and one store, and issuers that have changed their name.

use super::{IssuersError, Policy, PolicyError};
use crate::value::issuer::Issuer;
use crate::value::resource::{at_root, well_known};
use crate::value::uri::{Value, canonical_issuer, form_encoded, is_server_url};

/// How an issuer of a record relates to a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Belonging {
    /// The record is the policy's.
    Own,
    /// The record is of a name that the policy's issuer had before.
    Former,
    /// The record is of another issuer. For every decision it does not exist.
    Foreign,
}

/// Whose grants a list shows, where several issuers share one store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Issuers {
    /// Those of the policy's own issuer.
    #[default]
    Own,
    /// Those of every issuer.
    All,
}

impl Policy {
    /// Returns how a record of this issuer relates to the policy. Issuers compare byte for byte
    /// (RFC 8414 §3.3).
    pub(crate) fn belonging(&self, issuer: &Issuer) -> Belonging {
        if issuer.is(&self.issuer) {
            Belonging::Own
        } else if self.former_issuers.contains(issuer) {
            Belonging::Former
        } else {
            Belonging::Foreign
        }
    }

    /// Returns the issuer as the value of a form-encoded parameter.
    pub(crate) fn issuer_parameter(&self) -> Value<'_> {
        Value::Encoded(&self.issuer_parameter)
    }

    /// Returns the issuer, for a record.
    pub(crate) fn own_issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Returns a policy with the same rules for another issuer, such as that of a tenant. Each
    /// issuer has a [`Server`](crate::Server) of its own, and all can have one store.
    ///
    /// Nothing that was made under one issuer has an effect under another: grants, their tokens,
    /// and clients that registered themselves. Clients of the operator are shared unless they are
    /// [bound](crate::client::ClientBuilder::issuer), and so are clients that are known by a
    /// document. Accounts are shared: ending all grants of a user or of a shared client ends those
    /// of every issuer.
    ///
    /// The endpoints are at the same place below the new issuer. The server's document is served
    /// under the well-known suffix before and after the path of the issuer, and not at the root of
    /// the host. Former issuers are not taken over. The documents of the resources name the new
    /// issuer; where several issuers serve one resource, mount its document once, with
    /// [`also_issued_by`](super::ResourceDescription::also_issued_by).
    ///
    /// ```
    /// use grantcore::Policy;
    ///
    /// let rules = Policy::builder("https://auth.example")
    ///     .scope("notes", "Read and change your notes")
    ///     .resource("https://mcp.example/{org}/mcp", "notes")
    ///     .build()?;
    /// let acme = rules.at("https://auth.example/acme")?;
    /// assert_eq!(acme.token_endpoint(), "https://auth.example/acme/oauth/token");
    /// # Ok::<(), grantcore::policy::PolicyError>(())
    /// ```
    ///
    /// # Errors
    /// Returns [`PolicyError`] if this is no issuer, if an endpoint is not below the issuer of this
    /// policy, or if a document of the server would be at the same URL as one of this policy.
    pub fn at(&self, issuer: impl Into<String>) -> Result<Self, PolicyError> {
        let issuer = issuer.into();
        super::validate::check_issuer(&issuer, self.loopback_http)?;
        let moved = |endpoint: &'static str, url: &str| {
            let base = self.issuer().trim_end_matches('/');
            match url.strip_prefix(base).filter(|rest| rest.starts_with('/')) {
                Some(rest) => Ok(format!("{}{rest}", issuer.trim_end_matches('/'))),
                None => Err(IssuersError::Endpoint { endpoint, url: url.to_owned() }),
            }
        };
        let next = Self {
            authorization_endpoint: moved("authorization_endpoint", &self.authorization_endpoint)?,
            token_endpoint: moved("token_endpoint", &self.token_endpoint)?,
            registration_endpoint: moved("registration_endpoint", &self.registration_endpoint)?,
            revocation_endpoint: moved("revocation_endpoint", &self.revocation_endpoint)?,
            introspection_endpoint: moved("introspection_endpoint", &self.introspection_endpoint)?,
            issuer: Issuer::new(&issuer),
            issuer_parameter: form_encoded(&issuer).into(),
            former_issuers: Vec::new(),
            is_at_root: false,
            ..self.clone()
        };
        super::trusted::check_own_issuer(&next)?;
        let taken = self.server_document_urls();
        match next.server_document_urls().into_iter().find(|url| taken.contains(url)) {
            Some(url) => Err(IssuersError::Document { issuer, url }.into()),
            None => Ok(next),
        }
    }

    /// Returns every URL of the server's document: under the well-known suffix between host and
    /// path (RFC 8414 §3.1), after the path, and at the root of the host.
    pub(crate) fn server_document_urls(&self) -> Vec<String> {
        let suffixes = ["oauth-authorization-server", "openid-configuration"];
        let count = if self.has_openid_alias() { 2 } else { 1 };
        let mut urls = Vec::new();
        for suffix in suffixes.into_iter().take(count) {
            let appended = format!("{}/.well-known/{suffix}", self.issuer().trim_end_matches('/'));
            let root = self.is_at_root.then(|| at_root(self.issuer(), suffix));
            let found = [well_known(self.issuer(), suffix), appended].into_iter().chain(root);
            for url in found {
                if !urls.contains(&url) {
                    urls.push(url);
                }
            }
        }
        urls
    }
}

/// Returns whether a text can be an issuer: an `https` URL, or `http` on a loopback host, without
/// query, in its canonical spelling.
pub(crate) fn is_issuer(text: &str) -> bool {
    is_server_url(text, true)
        && !text.contains('?')
        && canonical_issuer(text).as_deref() == Some(text)
}
