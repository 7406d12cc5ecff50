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
