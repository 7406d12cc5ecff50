//! The endpoints over an [`AsyncStore`]: the same calls, awaited.

use super::{Answer, AsyncServer};
use crate::drive::{Failure, drive_async};
use crate::operation::Operation;
use crate::refusal::Refusal;
use crate::request::access::{AccessCheck, Needs};
use crate::request::authorization::{AuthorizationRequest, User};
use crate::request::consent::{Choice, ConsentDecision};
use crate::request::document::Fetch;
use crate::request::incoming::{Authorization, Incoming};
use crate::request::standing::{Standing, StandingChange};
use crate::response::access::Access;
use crate::response::consent_page::AuthorizationStep;
use crate::response::redirect::Redirect;
use crate::response::reply::Reply;
use crate::response::revocation::Revoked;
use crate::response::token::Tokens;
use crate::store::AsyncStore;

impl<S: AsyncStore> AsyncServer<S> {
    /// See [`Server::authorize`](crate::Server::authorize).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub async fn authorize(&self, incoming: &Incoming<'_>, user: Option<User<'_>>) -> Answer<AuthorizationStep, S::Error> {
        self.answer(AuthorizationRequest::parse(incoming, user, &self.core.policy)).await
    }

    /// See [`Server::authorize_with`](crate::Server::authorize_with).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub async fn authorize_with(
        &self,
        incoming: &Incoming<'_>,
        user: Option<User<'_>>,
        fetch: Fetch<'_>,
    ) -> Answer<AuthorizationStep, S::Error> {
        let request = AuthorizationRequest::parse(incoming, user, &self.core.policy);
        self.answer(request.map(|request| request.with_document(fetch))).await
    }

    /// See [`Server::consent`](crate::Server::consent).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub async fn consent(&self, ticket: &str, user: User<'_>, choice: Choice<'_>) -> Answer<Redirect, S::Error> {
        self.answer(ConsentDecision::new(ticket, user, choice)).await
    }

    /// See [`Server::token`](crate::Server::token).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; its refusal is the response to send.
    pub async fn token(&self, incoming: &Incoming<'_>) -> Result<Reply, Failure<S::Error>> {
        let request = match self.core.token_request(incoming) {
            Ok(request) => request,
            Err(refused) => return Ok(refused),
        };
        let outcome = self.run(&request).await?;
        Ok(self.core.authenticated_reply(request.claimed_client(), outcome.map(Tokens::reply)))
    }

    /// See [`Server::revoke`](crate::Server::revoke).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; its refusal is the response to send, and the token may work still.
    pub async fn revoke(&self, incoming: &Incoming<'_>) -> Result<Reply, Failure<S::Error>> {
        let request = match self.core.revocation_request(incoming) {
            Ok(request) => request,
            Err(refused) => return Ok(refused),
        };
        let outcome = self.run(&request).await?;
        Ok(self.core.authenticated_reply(request.claimed_client(), outcome.map(Revoked::reply)))
    }

    /// See [`Server::register`](crate::Server::register).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; its refusal is the response to send.
    pub async fn register(&self, incoming: &Incoming<'_>, source: &str) -> Result<Reply, Failure<S::Error>> {
        let request = match self.core.registration_request(incoming, source) {
            Ok(request) => request,
            Err(refused) => return Ok(refused),
        };
        let outcome = self.run(request).await?;
        Ok(self.core.reply(outcome.map(|registered| registered.reply(&self.core.policy))))
    }

    /// See [`Server::manage`](crate::Server::manage).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; its refusal is the response to send.
    pub async fn manage(&self, client_id: &str, incoming: &Incoming<'_>) -> Result<Reply, Failure<S::Error>> {
        let request = match self.core.management_request(client_id, incoming) {
            Ok(request) => request,
            Err(refused) => return Ok(refused),
        };
        let outcome = self.run(request).await?;
        Ok(self.core.reply(outcome.map(|managed| managed.reply(&self.core.policy))))
    }

    /// See [`Server::set_standing`](crate::Server::set_standing).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the refusal is inside.
    pub async fn set_standing(&self, client_id: &str, standing: Standing) -> Answer<(), S::Error> {
        self.run(StandingChange::new(client_id, standing)).await
    }

    /// See [`Server::check`](crate::Server::check).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub async fn check(&self, authorization: &Authorization<'_>, needs: Needs<'_>) -> Answer<Access, S::Error> {
        self.answer(AccessCheck::parse(authorization, needs)).await
    }

    /// See [`Server::run`](crate::Server::run).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub async fn run<O: Operation + Sync>(&self, operation: O) -> Answer<O::Response, S::Error>
    where
        O::Response: Send,
    {
        self.answer(Ok(operation)).await
    }

    async fn answer<O: Operation + Sync>(&self, parsed: Result<O, Refusal>) -> Answer<O::Response, S::Error>
    where
        O::Response: Send,
    {
        match self.core.begin(parsed) {
            Ok((operation, entropy)) => {
                let result = drive_async(&operation, &self.store, &self.core.policy, &*self.core.clock, entropy).await;
                self.core.end(result)
            }
            Err(refused) => Ok(Err(refused)),
        }
    }
}
