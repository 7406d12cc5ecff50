//! The endpoints that serve clients and resource servers apart from the code flow: registration and
//! its management, revocation and introspection.

use super::core::Core;
use super::watch::Limit;
use super::{Error, Server};
use crate::audit::AuditLog;
use crate::reason::Endpoint;
use crate::request::introspection::IntrospectionRequest;
use crate::request::parts::RequestParts;
use crate::request::registration::{Action, ManagementRequest, RegistrationRequest};
use crate::request::revocation::RevocationRequest;
use crate::request::token::Credentials;
use crate::response::reply::Reply;
use crate::response::revocation::Revoked;
use crate::store::{AccountSource, Store};

/// # Optional endpoints
///
/// Each is served only if the policy has its rules.
impl<S: Store, A: AccountSource<S>, L: AuditLog> Server<S, A, L> {
    /// Answers the registration endpoint (RFC 7591 §3), and checks its limits. They are counted for
    /// each [`RequestParts::source`]; requests without a source share one count.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use grantcore::policy::RegistrationRules;
    /// # let server = example::server_of(example::policy().registration(RegistrationRules::default()));
    /// use grantcore::{ContentType, RequestParts};
    ///
    /// // POST /oauth/register
    /// let request = RequestParts {
    ///     method: "POST",
    ///     content_type: ContentType::JSON,
    ///     source: "192.0.2.1",
    ///     body: br#"{"client_name": "Notes", "redirect_uris": ["http://127.0.0.1/cb"]}"#,
    ///     ..RequestParts::default()
    /// };
    /// let reply = server.register(&request).await?;
    /// assert_eq!(reply.status, 201);
    /// assert!(reply.body.contains(r#""client_id":"#));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] with the error response, [`Error::Failed`] if the store failed.
    pub async fn register(&self, request: &RequestParts<'_>) -> Result<Reply, Error<S::Error>> {
        let parsed = RegistrationRequest::parse(request, &self.core.policy);
        let limit = Limit::Registrations(Endpoint::Registration);
        let registered = self.decide(parsed, limit, request.source).await?;
        Ok(registered.reply(&self.core.policy))
    }

    /// Answers the client configuration endpoint (RFC 7592 §2). `client_id` is the last segment of
    /// its URL.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use grantcore::policy::RegistrationRules;
    /// # let server = example::server_of(example::policy().registration(RegistrationRules::default()));
    /// # let body = br#"{"redirect_uris": ["http://127.0.0.1/cb"]}"#;
    /// # let request = grantcore::RequestParts {
    /// #     method: "POST", content_type: grantcore::ContentType::JSON, body, ..Default::default()
    /// # };
    /// # let reply = server.register(&request).await?;
    /// # let registered: serde_json::Value = serde_json::from_str(&reply.body)?;
    /// # let client_id = registered["client_id"].as_str().unwrap();
    /// # let header = format!("Bearer {}", registered["registration_access_token"].as_str().unwrap());
    /// use grantcore::{Authorization, RequestParts};
    ///
    /// // DELETE /oauth/register/{client_id}, with the token of the registration
    /// let request = RequestParts {
    ///     method: "DELETE",
    ///     authorization: Authorization::One(header.as_bytes()),
    ///     ..RequestParts::default()
    /// };
    /// let reply = server.manage(client_id, &request).await?;
    /// assert_eq!(reply.status, 204);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] with the error response, [`Error::Failed`] if the store failed.
    pub async fn manage(
        &self,
        client_id: &str,
        request: &RequestParts<'_>,
    ) -> Result<Reply, Error<S::Error>> {
        let parsed = match ManagementRequest::parse(client_id, request, &self.core.policy) {
            Ok(parsed) => parsed,
            Err(refusal) => {
                return Err(self.refuse_early(refusal, Some(client_id), request.source).await);
            }
        };
        let limit = match parsed.action {
            Action::Update(_) => Limit::Registrations(Endpoint::Management),
            // A client is read without a write, and deleted once.
            Action::Read | Action::Delete => Limit::None,
        };
        let managed = self.decide(Ok(parsed), limit, request.source).await?;
        Ok(managed.reply(&self.core.policy))
    }

    /// Answers the revocation endpoint (RFC 7009 §2). A 200 means that the token is not valid,
    /// whether or not it ever was. Under
    /// [`RevocationRules::silent`](crate::policy::RevocationRules::silent), another client's token
    /// also gets a 200, and stays valid.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use grantcore::policy::RevocationRules;
    /// # let server = example::server_of(example::policy().revocation(RevocationRules::default()));
    /// # let form = format!("client_id=notes-app&token={}", example::tokens(&server).await.1);
    /// use grantcore::{ContentType, RequestParts};
    ///
    /// // POST /oauth/revoke, with the form client_id=…&token=…
    /// let request = RequestParts {
    ///     method: "POST",
    ///     content_type: ContentType::FORM,
    ///     body: form.as_bytes(),
    ///     ..RequestParts::default()
    /// };
    /// let reply = server.revoke(&request).await?;
    /// assert_eq!(reply.status, 200);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] with the error response, [`Error::Failed`] if the store or the accounts
    /// failed: the token may then still be valid.
    pub async fn revoke(&self, request: &RequestParts<'_>) -> Result<Reply, Error<S::Error>> {
        let parsed = match RevocationRequest::parse(request, &self.core.policy) {
            Ok(parsed) => parsed,
            Err(refusal) => return Err(self.refuse_early(refusal, None, request.source).await),
        };
        let credentials = &parsed.credentials;
        let endpoint = Endpoint::Revocation;
        let limit = self.limit_authentication(credentials, endpoint, request.source).await?;
        self.decide(Ok(&parsed), limit, request.source).await.map(Revoked::reply)
    }

    /// Answers the introspection endpoint (RFC 7662 §2). The response for a token that is not
    /// active at any resource of the caller is `{"active":false}`.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use grantcore::policy::IntrospectionRules;
    /// # let rules = IntrospectionRules::default()
    /// #     .with_resource_server("files-server", "https://mcp.example/mcp");
    /// # let server = example::server_of(example::policy().introspection(rules));
    /// # let form = format!("token={}", example::tokens(&server).await.0);
    /// use grantcore::{Authorization, ContentType, RequestParts};
    ///
    /// // POST /oauth/introspect, by the resource server files-server
    /// let request = RequestParts {
    ///     method: "POST",
    ///     content_type: ContentType::FORM,
    ///     authorization: Authorization::One(b"Basic ZmlsZXMtc2VydmVyOnMzY3JldA=="),
    ///     body: form.as_bytes(),
    ///     ..RequestParts::default()
    /// };
    /// let reply = server.introspect(&request).await?;
    /// assert!(reply.body.starts_with(r#"{"active":true,"scope":"notes""#));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] with the error response, [`Error::Failed`] if the store or the accounts
    /// failed: it is then not known whether the token is active.
    pub async fn introspect(&self, request: &RequestParts<'_>) -> Result<Reply, Error<S::Error>> {
        let parsed = match IntrospectionRequest::parse(request, &self.core.policy) {
            Ok(parsed) => parsed,
            Err(refusal) => return Err(self.refuse_early(refusal, None, request.source).await),
        };
        let credentials = &parsed.credentials;
        let endpoint = Endpoint::Introspection;
        let limit = self.limit_authentication(credentials, endpoint, request.source).await?;
        let introspected = self.decide(Ok(&parsed), limit, request.source).await?;
        Ok(introspected.reply(&self.core.policy))
    }

    /// Refuses a request before the store is read if too many of its client's authentications
    /// failed, else returns the limit that its outcome counts towards.
    async fn limit_authentication<'a>(
        &self,
        credentials: &'a Credentials<'a>,
        endpoint: Endpoint,
        source: &str,
    ) -> Result<Limit<'a>, Error<S::Error>> {
        let Self { core, .. } = self;
        let now = core.clock.now();
        let Core { throttle, policy, .. } = core;
        match throttle.refuse_authentication(policy, credentials, source, endpoint, now) {
            None => Ok(Limit::Authentication { credentials, endpoint }),
            Some(refusal) => Err(self.refuse_early(refusal, Some(&credentials.id), source).await),
        }
    }
}
