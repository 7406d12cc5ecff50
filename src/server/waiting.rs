//! The endpoints over an [`AsyncStore`]: the same calls, awaited.

use super::core::Early;
use super::ending::RevokedGrants;
use super::watch::{Asker, Watch};
use super::{Answer, AsyncServer};
use crate::audit::AsyncAuditLog;
use crate::client::ClientStatus;
use crate::drive::call::Call;
use crate::drive::guard::Guard;
use crate::drive::{Failure, run_async};
use crate::event::Event;
use crate::operation::Operation;
use crate::reason::{Endpoint, Reason};
use crate::refusal::Refusal;
use crate::request::access::{AccessCheck, Needs};
use crate::request::authorization::{AuthorizationRequest, User};
use crate::request::client_status::ClientStatusChange;
use crate::request::connection::{ClientRevocation, GrantRevocation, RevokedBy};
use crate::request::consent::{Choice, ConsentDecision};
use crate::request::document::Fetch;
use crate::request::parts::{Authorization, RequestParts};
use crate::request::token::TokenRequest;
use crate::response::access::Access;
use crate::response::authorization::AuthorizationStep;
use crate::response::connection::{Connections, Gathering};
use crate::response::redirect::Redirect;
use crate::response::reply::Reply;
use crate::response::revocation::Revoked;
use crate::response::token::Tokens;
use crate::store::AsyncStore;
use crate::value::credential::GrantId;

impl<S: AsyncStore, T: AsyncAuditLog> AsyncServer<S, T> {
    /// See [`Server::authorize`](crate::Server::authorize).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub async fn authorize(
        &self,
        incoming: &RequestParts<'_>,
        user: Option<User<'_>>,
    ) -> Answer<AuthorizationStep, S::Error> {
        let request = AuthorizationRequest::parse(incoming, user, &self.core.policy);
        let request = self.core.admit_consent_page(request);
        let placed = user.filter(|_| request.is_ok());
        let answer = self.answer(request, Asker::Nobody).await;
        self.core.settle_consent_page(placed, answer)
    }

    /// See [`Server::authorize_with`](crate::Server::authorize_with).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub async fn authorize_with(
        &self,
        incoming: &RequestParts<'_>,
        user: Option<User<'_>>,
        fetch: Fetch<'_>,
    ) -> Answer<AuthorizationStep, S::Error> {
        let request = AuthorizationRequest::parse(incoming, user, &self.core.policy);
        let request = self.core.admit_consent_page(request);
        let placed = user.filter(|_| request.is_ok());
        let request = request.map(|request| request.with_document(fetch));
        let answer = self.answer(request, Asker::Document).await;
        self.core.settle_consent_page(placed, answer)
    }

    /// See [`Server::consent`](crate::Server::consent).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub async fn consent(
        &self,
        ticket: &str,
        user: User<'_>,
        choice: Choice<'_>,
    ) -> Answer<Redirect, S::Error> {
        self.answer(ConsentDecision::new(ticket, user, choice), Asker::Nobody).await
    }

    /// See [`Server::token`](crate::Server::token).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; its refusal is the response to send.
    pub async fn token(&self, incoming: &RequestParts<'_>) -> Result<Reply, Failure<S::Error>> {
        let admitted = match self.core.token_request(incoming) {
            Ok(admitted) => admitted,
            Err(early) => return Ok(self.told(early).await.reply(&self.core.policy)),
        };
        let outcome = self.answer(Ok(&admitted.request), Asker::Token(&admitted)).await?;
        Ok(self.core.reply(outcome.map(Tokens::reply)))
    }

    /// See [`Server::rate_limited`](crate::Server::rate_limited).
    pub async fn rate_limited(&self, request: &TokenRequest<'_>, seconds: u32) -> Reply {
        self.told(self.core.rate_limited(request, seconds)).await.reply(&self.core.policy)
    }

    /// See [`Server::revoke`](crate::Server::revoke).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; its refusal is the response to send, and the token may work
    /// still.
    pub async fn revoke(&self, incoming: &RequestParts<'_>) -> Result<Reply, Failure<S::Error>> {
        let request = match self.core.revocation_request(incoming) {
            Ok(request) => request,
            Err(early) => return Ok(self.told(early).await.reply(&self.core.policy)),
        };
        let asker = Asker::Client { credentials: &request.credentials, source: incoming.source };
        let outcome = self.answer(Ok(&request), asker).await?;
        Ok(self.core.reply(outcome.map(Revoked::reply)))
    }

    /// See [`Server::introspect`](crate::Server::introspect).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; its refusal is the response to send, and nothing is known
    /// of the token.
    pub async fn introspect(
        &self,
        incoming: &RequestParts<'_>,
    ) -> Result<Reply, Failure<S::Error>> {
        let request = match self.core.introspection_request(incoming) {
            Ok(request) => request,
            Err(early) => return Ok(self.told(early).await.reply(&self.core.policy)),
        };
        let asker = Asker::Client { credentials: &request.credentials, source: incoming.source };
        let outcome = self.answer(Ok(&request), asker).await?;
        Ok(self.core.reply(outcome.map(|introspected| introspected.reply(&self.core.policy))))
    }

    /// See [`Server::register`](crate::Server::register).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; its refusal is the response to send.
    pub async fn register(&self, incoming: &RequestParts<'_>) -> Result<Reply, Failure<S::Error>> {
        let request = match self.core.registration_request(incoming) {
            Ok(request) => request,
            Err(early) => return Ok(self.told(early).await.reply(&self.core.policy)),
        };
        let outcome = self.run(request).await?;
        Ok(self.core.reply(outcome.map(|registered| registered.reply(&self.core.policy))))
    }

    /// See [`Server::manage`](crate::Server::manage).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; its refusal is the response to send.
    pub async fn manage(
        &self,
        client_id: &str,
        incoming: &RequestParts<'_>,
    ) -> Result<Reply, Failure<S::Error>> {
        let (request, asker) = match self.core.management_request(client_id, incoming) {
            Ok(request) => request,
            Err(early) => return Ok(self.told(early).await.reply(&self.core.policy)),
        };
        let outcome = self.answer(Ok(request), asker).await?;
        Ok(self.core.reply(outcome.map(|managed| managed.reply(&self.core.policy))))
    }

    /// See [`Server::set_client_status`](crate::Server::set_client_status).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the refusal is inside.
    pub async fn set_client_status(
        &self,
        client_id: &str,
        status: ClientStatus,
    ) -> Answer<(), S::Error> {
        self.run(ClientStatusChange::new(client_id, status)).await
    }

    /// See [`Server::check`](crate::Server::check).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub async fn check(
        &self,
        authorization: &Authorization<'_>,
        needs: Needs<'_>,
    ) -> Answer<Access, S::Error> {
        self.answer(AccessCheck::parse(authorization, needs), Asker::Nobody).await
    }

    /// See [`Server::check_request`](crate::Server::check_request).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub async fn check_request(
        &self,
        incoming: &RequestParts<'_>,
        needs: Needs<'_>,
    ) -> Answer<Access, S::Error> {
        self.answer(AccessCheck::of_request(incoming, needs, &self.core.policy), Asker::Nobody)
            .await
    }

    /// See [`Server::connections`](crate::Server::connections).
    ///
    /// # Errors
    /// The store's own error.
    pub async fn connections(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Connections, S::Error> {
        let mut page = Gathering::new(after, limit);
        loop {
            let ids = self.store.grants_of(subject, page.after(), page.part()).await?;
            let loaded = self.store.load_grants(&ids).await?;
            if let Some(page) = page.add(&ids, &loaded, self.core.clock.now()) {
                return Ok(page);
            }
        }
    }

    /// See [`Server::revoke_connection`](crate::Server::revoke_connection).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the refusal is inside.
    pub async fn revoke_connection(&self, subject: &str, grant: GrantId) -> Answer<(), S::Error> {
        self.run(GrantRevocation::by_user(grant, subject)).await
    }

    /// See [`Server::revoke_grant`](crate::Server::revoke_grant).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the refusal is inside.
    pub async fn revoke_grant(
        &self,
        grant: GrantId,
        revoked_by: RevokedBy<'_>,
    ) -> Answer<(), S::Error> {
        self.run(GrantRevocation::by(revoked_by, grant)).await
    }

    /// See [`Server::revoke_client`](crate::Server::revoke_client).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the refusal is inside.
    pub async fn revoke_client(
        &self,
        client_id: &str,
        revoked_by: RevokedBy<'_>,
    ) -> Answer<(), S::Error> {
        self.run(ClientRevocation::by(revoked_by, client_id)).await
    }

    /// See [`Server::revoke_user`](crate::Server::revoke_user).
    ///
    /// # Errors
    /// [`Failure`] if the epoch cannot be raised or the user's grants cannot be listed.
    pub async fn revoke_user(
        &self,
        subject: &str,
        revoked_by: RevokedBy<'_>,
    ) -> Answer<RevokedGrants, S::Error> {
        let event = self.core.epoch_event(subject, revoked_by);
        let reserved = if self.core.trail.fail_closed {
            self.trail.reserve(&event).await
        } else {
            Ok(T::Place::default())
        };
        let Ok(place) = reserved else {
            let refusal = Refusal::plain(Reason::AuditUnavailable, Endpoint::Operator);
            return Ok(Err(self.told(self.core.early(refusal, None)).await));
        };
        let watch = self.watch(Asker::Nobody);
        let mut guard = Guard::armed(&watch, event);
        let raised = self.store.raise_epoch(subject).await;
        let failed = self.core.epoch_raised(guard.event(), raised).err();
        let recorded = match guard.observe() {
            Some(event) => self.trail.record(event, place).await,
            None => Ok(()),
        };
        if let Some((error, refusal)) = failed {
            let event = Box::new(guard.event().clone());
            guard.disarm();
            return Err(Failure { error, refusal, event });
        }
        guard.disarm();
        if recorded.is_err() && self.core.trail.fail_closed {
            return Ok(Err(Refusal::plain(Reason::AuditUnavailable, Endpoint::Operator)));
        }
        self.revoke_each(subject, None, revoked_by).await
    }

    /// See [`Server::revoke_user_client`](crate::Server::revoke_user_client).
    ///
    /// # Errors
    /// [`Failure`] if the user's grants cannot be listed.
    pub async fn revoke_user_client(
        &self,
        subject: &str,
        client_id: &str,
        revoked_by: RevokedBy<'_>,
    ) -> Answer<RevokedGrants, S::Error> {
        self.revoke_each(subject, Some(client_id), revoked_by).await
    }

    /// See [`Server::refuse`](crate::Server::refuse).
    pub async fn refuse(&self, refusal: Refusal, access: Option<&Access>) -> Refusal {
        self.told(self.core.of_host(refusal, access)).await
    }

    /// See [`Server::run`](crate::Server::run).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub async fn run<O: Operation + Sync>(&self, operation: O) -> Answer<O::Response, S::Error>
    where
        O::Response: Send,
    {
        self.answer(Ok(operation), Asker::Nobody).await
    }

    /// Runs an operation and records its event, or records why there is none.
    async fn answer<O: Operation + Sync>(
        &self,
        parsed: Result<O, Refusal>,
        asker: Asker<'_>,
    ) -> Answer<O::Response, S::Error>
    where
        O::Response: Send,
    {
        let (operation, entropy) = match self.core.begin(parsed) {
            Ok(begun) => begun,
            Err(early) => return Ok(Err(self.told(early).await)),
        };
        let watch = self.watch(asker);
        let mut call = Call::new(&operation, &watch, entropy);
        let settled = run_async(&mut call, &self.store, &self.trail).await?;
        Ok(settled.outcome)
    }

    /// This server as one call sees it.
    fn watch<'a>(&'a self, asker: Asker<'a>) -> Watch<'a, impl Fn(Event) + 'a> {
        self.core.watch(asker, |event| self.trail.abandoned(event))
    }

    /// Records a refusal that no operation made.
    pub(super) async fn told(&self, early: Early) -> Refusal {
        let watch = self.watch(Asker::Nobody);
        let mut guard = Guard::armed(&watch, *early.event);
        let recorded = match guard.observe() {
            Some(event) => self.trail.record(event, T::Place::default()).await,
            None => Ok(()),
        };
        guard.disarm();
        self.core.after_record(recorded, early.refusal)
    }
}
