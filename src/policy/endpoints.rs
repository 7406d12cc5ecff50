//! The URLs of a policy's endpoints, for the host's router.

use super::Policy;
use crate::reason::Endpoint;
use crate::value::resource;

/// An endpoint of a policy, and its URL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointUrl {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The URL. That of [`Endpoint::Management`] ends with `/{client_id}`, which stands for the
    /// `client_id` of a registration (RFC 6570).
    pub url: String,
}

impl EndpointUrl {
    /// Returns the path of the URL, where to mount the endpoint on the issuer's host. A query is
    /// part of it.
    pub fn path(&self) -> &str {
        resource::path(&self.url)
    }
}

impl Policy {
    /// Returns every endpoint that is on, with its URL. The discovery documents are in
    /// [`well_known`](Self::well_known).
    ///
    /// ```
    /// use grantcore::Policy;
    /// use grantcore::reason::Endpoint;
    ///
    /// let scopes = [("notes", "Read your notes")];
    /// let policy = Policy::mcp("https://auth.example", "https://mcp.example/mcp", scopes).build()?;
    /// let endpoints = policy.endpoints();
    /// let paths: Vec<_> = endpoints.iter().map(|own| (own.endpoint, own.path())).collect();
    /// assert_eq!(
    ///     paths,
    ///     [
    ///         (Endpoint::Authorization, "/oauth/authorize"),
    ///         (Endpoint::Token, "/oauth/token"),
    ///         (Endpoint::Revocation, "/oauth/revoke"),
    ///         (Endpoint::Registration, "/oauth/register"),
    ///         (Endpoint::Management, "/oauth/register/{client_id}"),
    ///     ]
    /// );
    /// # Ok::<(), grantcore::policy::PolicyError>(())
    /// ```
    pub fn endpoints(&self) -> Vec<EndpointUrl> {
        let registration = self.registration_endpoint();
        let management = registration
            .filter(|_| self.registration().is_some_and(|rules| rules.management))
            .map(|url| format!("{url}/{{client_id}}"));
        let own = |url: &str| Some(url.to_owned());
        [
            (Endpoint::Authorization, own(self.authorization_endpoint())),
            (Endpoint::Token, own(self.token_endpoint())),
            (Endpoint::Revocation, self.revocation_endpoint().and_then(own)),
            (Endpoint::Introspection, self.introspection_endpoint().and_then(own)),
            (Endpoint::Registration, registration.and_then(own)),
            (Endpoint::Management, management),
        ]
        .into_iter()
        .filter_map(|(endpoint, url)| Some(EndpointUrl { endpoint, url: url? }))
        .collect()
    }
}
