//! The endpoints: one call each.

use super::core::Core;
use super::watch::Limit;
use super::{Error, Server};
use crate::audit::AuditLog;
use crate::client::ClientStatus;
use crate::reason::Endpoint;
use crate::refusal::Refusal;
use crate::request::access::{AccessCheck, Needs};
use crate::request::authorization::{AuthorizationRequest, User};
use crate::request::client_status::ClientStatusChange;
use crate::request::connection::{ClientRevocation, ConnectionList, GrantRevocation, RevokedBy};
use crate::request::consent::{Choice, ConsentDecision};
use crate::request::document::Fetch;
use crate::request::introspection::IntrospectionRequest;
use crate::request::parts::{Authorization, RequestParts};
use crate::request::registration::{Action, ManagementRequest, RegistrationRequest};
use crate::request::revocation::RevocationRequest;
use crate::request::token::{Credentials, TokenRequest};
use crate::response::access::Access;
use crate::response::authorization::AuthorizationStep;
use crate::response::connection::Connections;
use crate::response::redirect::Redirect;
use crate::response::reply::Reply;
use crate::response::revocation::Revoked;
use crate::response::token::Tokens;
use crate::store::{AccountSource, Store};
use crate::throttle::Admitted;
use crate::value::credential::GrantId;

/// How many grants are read at once, at least, when a page of connections is not full yet.
const BATCH: usize = 256;
/// After how many grants a page of connections ends, even if it is not full. It then names where to
/// continue.
const READ_LIMIT: usize = 32_768;

impl<S: Store, A: AccountSource<S>, L: AuditLog> Server<S, A, L> {
    /// Answers the authorization endpoint (OAuth 2.1 §3.1), GET or POST. `user` is the user whom
    /// the host has authenticated, or `None`.
    ///
    /// # Errors
    /// [`Error::Refused`] with a redirect or a page, [`Error::Failed`] if the store or the accounts
    /// failed.
    pub async fn authorize(
        &self,
        request: &RequestParts<'_>,
        user: Option<User<'_>>,
    ) -> Result<AuthorizationStep, Error<S::Error>> {
        let parsed = AuthorizationRequest::parse(request, user, &self.core.policy);
        self.run_authorization(parsed, user, request.source).await
    }

    /// Answers the same request after [`AuthorizationStep::NeedMetadata`], with the result of
    /// fetching the client's document. Anybody can cause such a fetch without signing in: limit the
    /// fetches for each source and in total.
    ///
    /// # Errors
    /// Those of [`authorize`](Self::authorize).
    pub async fn authorize_with_document(
        &self,
        request: &RequestParts<'_>,
        user: Option<User<'_>>,
        fetch: Fetch<'_>,
    ) -> Result<AuthorizationStep, Error<S::Error>> {
        let parsed = AuthorizationRequest::parse(request, user, &self.core.policy);
        let parsed = parsed.map(|parsed| parsed.with_document(fetch));
        self.run_authorization(parsed, user, request.source).await
    }

    /// Runs an authorization request. It counts towards the user's limit of consent pages if it
    /// makes one, and also if the store failed: the page may have been stored.
    async fn run_authorization(
        &self,
        parsed: Result<AuthorizationRequest<'_>, Refusal>,
        user: Option<User<'_>>,
        source: &str,
    ) -> Result<AuthorizationStep, Error<S::Error>> {
        let Self { core, .. } = self;
        let subject = user.map(|user| user.subject).filter(|_| parsed.is_ok());
        let refusal = subject.and_then(|subject| {
            core.throttle.count_consent_page(&core.policy, subject, core.clock.now())
        });
        let is_counted = subject.is_some() && refusal.is_none();
        let parsed = match refusal {
            Some(refusal) => Err(refusal),
            None => parsed,
        };
        let step = self.decide(parsed, Limit::Documents, source).await;
        let may_be_stored =
            matches!(&step, Ok(AuthorizationStep::NeedsConsent(_)) | Err(Error::Failed(_)));
        if let Some(subject) = subject.filter(|_| is_counted && !may_be_stored) {
            core.throttle.give_back_consent_page(subject, core.clock.now());
        }
        step
    }

    /// Answers a submitted consent page: its ticket, the user who is signed in, and the choice.
    ///
    /// # Errors
    /// [`Error::Refused`] with a redirect or a page, [`Error::Failed`] if the store or the accounts
    /// failed.
    pub async fn consent(
        &self,
        ticket: &str,
        user: User<'_>,
        choice: Choice<'_>,
    ) -> Result<Redirect, Error<S::Error>> {
        self.decide(ConsentDecision::new(ticket, user, choice), Limit::None, "").await
    }

    /// Answers the token endpoint (OAuth 2.1 §3.2), and checks its limits.
    ///
    /// # Errors
    /// [`Error::Refused`] with the error response, [`Error::Failed`] if the store or the accounts
    /// failed.
    pub async fn token(&self, request: &RequestParts<'_>) -> Result<Reply, Error<S::Error>> {
        let Self { core, .. } = self;
        let parsed = match TokenRequest::parse(request, &core.policy) {
            Ok(parsed) => parsed,
            Err(refusal) => return Err(self.refuse_early(refusal, None, request.source).await),
        };
        let now = core.clock.now();
        let source = request.source;
        let refusal = core.throttle.count_token_request(&core.policy, &parsed, source, now);
        if let Some(refusal) = refusal {
            let claimed = Some(parsed.claimed_client());
            return Err(self.refuse_early(refusal, claimed, source).await);
        }
        let admitted = Admitted { request: &parsed, source, at: now };
        let limit = Limit::Token(&admitted);
        self.decide(Ok(&parsed), limit, source).await.map(Tokens::reply)
    }

    /// Records the refusal of a token request by a limit that the host keeps itself (see
    /// [`RateWindow`](crate::rate::RateWindow)), and returns it: 429 with `Retry-After: seconds`.
    pub async fn rate_limited(&self, request: &TokenRequest<'_>, seconds: u32) -> Refusal {
        let refusal = Refusal::rate_limited(seconds);
        let early = self.core.early_refusal(refusal, Some(request.claimed_client()));
        self.record_early(early).await
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

    /// Deactivates a client at every endpoint, or activates it again. The host checks that its
    /// caller may do so.
    ///
    /// # Errors
    /// [`Error::Refused`] for an unknown client, [`Error::Failed`] if the store failed.
    pub async fn set_client_status(
        &self,
        client_id: &str,
        status: ClientStatus,
    ) -> Result<(), Error<S::Error>> {
        self.run(ClientStatusChange::new(client_id, status)).await
    }

    /// Checks whether the bearer token of a call to a protected resource permits what the call
    /// needs (OAuth 2.1 §5.2).
    ///
    /// # Errors
    /// [`Error::Refused`] with the challenge, [`Error::Failed`] if the store or the accounts
    /// failed.
    pub async fn check(
        &self,
        authorization: &Authorization<'_>,
        needs: &Needs,
    ) -> Result<Access, Error<S::Error>> {
        self.decide(AccessCheck::parse(authorization, needs), Limit::None, "").await
    }

    /// Checks a whole request: where the policy [allows
    /// it](crate::policy::CheckRules::with_bearer_in_body), the token may be in a form body.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    pub async fn check_request(
        &self,
        request: &RequestParts<'_>,
        needs: &Needs,
    ) -> Result<Access, Error<S::Error>> {
        let parsed = AccessCheck::of_request(request, needs, &self.core.policy);
        self.decide(parsed, Limit::None, request.source).await
    }

    /// Lists up to `limit` of a user's connections after this grant, ascending by grant id, for a
    /// page of connected apps. Pass [`Connections::next`] as `after` to continue.
    ///
    /// # Errors
    /// [`Error::Failed`] if the store or the accounts failed.
    pub async fn connections(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Connections, Error<S::Error>> {
        let mut page = Connections { entries: Vec::new(), next: after };
        let mut read = 0;
        let mut batch = limit;
        // Most grants of a user may be unanswered consent pages and grants that have ended. They
        // must not take the place of connections.
        while page.entries.len() < limit && read < READ_LIMIT {
            let list = ConnectionList::new(subject, page.next, batch);
            let found = self.run(list).await?;
            page.entries.extend(found.entries);
            page.next = found.next;
            if page.next.is_none() {
                break;
            }
            read += batch;
            batch = limit.max(BATCH);
        }
        // The last batch may have more connections than the page has room for.
        if let Some(last) =
            page.entries.get(..limit).and_then(<[_]>::last).filter(|_| page.entries.len() > limit)
        {
            page.next = Some(last.grant_id());
            page.entries.truncate(limit);
        }
        Ok(page)
    }

    /// Revokes one of a user's connections, at once and for good: the next call with one of its
    /// tokens is refused. A connection that was revoked before is no error. Another user's
    /// connection is refused as unknown.
    ///
    /// # Errors
    /// [`Error::Refused`] for an unknown connection, [`Error::Failed`] if the store failed.
    pub async fn revoke_connection(
        &self,
        subject: &str,
        grant: GrantId,
    ) -> Result<(), Error<S::Error>> {
        self.run(GrantRevocation::by_user(grant, subject)).await
    }

    /// Revokes one grant of any user. The host checks that its caller may do so. A grant that does
    /// not exist or was revoked before is no error.
    ///
    /// # Errors
    /// [`Error::Failed`] if the store failed.
    pub async fn revoke_grant(
        &self,
        grant: GrantId,
        revoked_by: RevokedBy<'_>,
    ) -> Result<(), Error<S::Error>> {
        self.run(GrantRevocation::by(revoked_by, grant)).await
    }

    /// Revokes all grants of a client in one write, including those that are being made at the same
    /// moment. New grants can be made at once. The host checks that its caller may do so.
    ///
    /// # Errors
    /// [`Error::Refused`] for an unknown client, [`Error::Failed`] if the store failed.
    pub async fn revoke_client(
        &self,
        client_id: &str,
        revoked_by: RevokedBy<'_>,
    ) -> Result<(), Error<S::Error>> {
        self.run(ClientRevocation::by(revoked_by, client_id)).await
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

    async fn refuse_early(
        &self,
        refusal: Refusal,
        claimed_client: Option<&str>,
        source: &str,
    ) -> Error<S::Error> {
        let early = self.core.early_refusal(refusal, claimed_client).from(source);
        self.record_early(early).await.into()
    }
}
