//! The endpoints over a [`Store`]: one call each.

use super::core::Early;
use super::ending::RevokedGrants;
use super::watch::{Asker, Watch};
use super::{Answer, Server};
use crate::audit::AuditLog;
use crate::client::ClientStatus;
use crate::drive::call::Call;
use crate::drive::guard::Guard;
use crate::drive::{Failure, run};
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
use crate::store::Store;
use crate::value::credential::GrantId;

impl<S: Store, T: AuditLog> Server<S, T> {
    /// The authorization endpoint (OAuth 2.1 §3.1), GET or POST; `user` is whoever the host has
    /// authenticated, if anyone.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub fn authorize(
        &self,
        incoming: &RequestParts<'_>,
        user: Option<User<'_>>,
    ) -> Answer<AuthorizationStep, S::Error> {
        let request = AuthorizationRequest::parse(incoming, user, &self.core.policy);
        let request = self.core.admit_consent_page(request);
        let placed = user.filter(|_| request.is_ok());
        let answer = self.answer(request, Asker::Nobody);
        self.core.settle_consent_page(placed, answer)
    }

    /// The same request again, after [`AuthorizationStep::NeedMetadata`]: with what came of
    /// fetching the client's document. Whoever is not signed in can make it be fetched: bound
    /// how much that is, by source and in all.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub fn authorize_with(
        &self,
        incoming: &RequestParts<'_>,
        user: Option<User<'_>>,
        fetch: Fetch<'_>,
    ) -> Answer<AuthorizationStep, S::Error> {
        let request = AuthorizationRequest::parse(incoming, user, &self.core.policy);
        let request = self.core.admit_consent_page(request);
        let placed = user.filter(|_| request.is_ok());
        let request = request.map(|request| request.with_document(fetch));
        let answer = self.answer(request, Asker::Document);
        self.core.settle_consent_page(placed, answer)
    }

    /// The submitted consent page: its ticket, the user who is signed in, and the choice.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub fn consent(
        &self,
        ticket: &str,
        user: User<'_>,
        choice: Choice<'_>,
    ) -> Answer<Redirect, S::Error> {
        self.answer(ConsentDecision::new(ticket, user, choice), Asker::Nobody)
    }

    /// The token endpoint (OAuth 2.1 §3.2), its limits included: a whole response.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; its refusal is the response to send.
    pub fn token(&self, incoming: &RequestParts<'_>) -> Result<Reply, Failure<S::Error>> {
        let admitted = match self.core.token_request(incoming) {
            Ok(admitted) => admitted,
            Err(early) => return Ok(self.told(early).reply(&self.core.policy)),
        };
        let outcome = self.answer(Ok(&admitted.request), Asker::Token(&admitted))?;
        Ok(self.core.reply(outcome.map(Tokens::reply)))
    }

    /// Tells of a token request that a limit of the host's own refuses, and is the response: 429,
    /// to be sent again after these seconds. For hosts that [keep the windows
    /// themselves](crate::RateWindow).
    pub fn rate_limited(&self, request: &TokenRequest<'_>, seconds: u32) -> Reply {
        self.told(self.core.rate_limited(request, seconds)).reply(&self.core.policy)
    }

    /// The revocation endpoint (RFC 7009 §2): a whole response. Its 200 says that the token does
    /// not work, whether it ever did or not.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; its refusal is the response to send, and the token may work
    /// still.
    pub fn revoke(&self, incoming: &RequestParts<'_>) -> Result<Reply, Failure<S::Error>> {
        let request = match self.core.revocation_request(incoming) {
            Ok(request) => request,
            Err(early) => return Ok(self.told(early).reply(&self.core.policy)),
        };
        let asker = Asker::Client { credentials: &request.credentials, source: incoming.source };
        let outcome = self.answer(Ok(&request), asker)?;
        Ok(self.core.reply(outcome.map(Revoked::reply)))
    }

    /// The introspection endpoint (RFC 7662 §2): a whole response. A token that is not active for
    /// the resource of who asks is told of as `{"active":false}` and nothing else.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; its refusal is the response to send, and nothing is known
    /// of the token.
    pub fn introspect(&self, incoming: &RequestParts<'_>) -> Result<Reply, Failure<S::Error>> {
        let request = match self.core.introspection_request(incoming) {
            Ok(request) => request,
            Err(early) => return Ok(self.told(early).reply(&self.core.policy)),
        };
        let asker = Asker::Client { credentials: &request.credentials, source: incoming.source };
        let outcome = self.answer(Ok(&request), asker)?;
        Ok(self.core.reply(outcome.map(|introspected| introspected.reply(&self.core.policy))))
    }

    /// The registration endpoint (RFC 7591 §3), its limit included: a whole response. The limit
    /// goes by [`RequestParts::source`]; where that is empty it is one limit for all.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; its refusal is the response to send.
    pub fn register(&self, incoming: &RequestParts<'_>) -> Result<Reply, Failure<S::Error>> {
        let request = match self.core.registration_request(incoming) {
            Ok(request) => request,
            Err(early) => return Ok(self.told(early).reply(&self.core.policy)),
        };
        let outcome = self.run(request)?;
        Ok(self.core.reply(outcome.map(|registered| registered.reply(&self.core.policy))))
    }

    /// The endpoint of one registration (RFC 7592 §2), whose URL ends in a slash and this
    /// `client_id`: a whole response. An update counts as a registration from
    /// [`RequestParts::source`] does.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; its refusal is the response to send.
    pub fn manage(
        &self,
        client_id: &str,
        incoming: &RequestParts<'_>,
    ) -> Result<Reply, Failure<S::Error>> {
        let (request, asker) = match self.core.management_request(client_id, incoming) {
            Ok(request) => request,
            Err(early) => return Ok(self.told(early).reply(&self.core.policy)),
        };
        let outcome = self.answer(Ok(request), asker)?;
        Ok(self.core.reply(outcome.map(|managed| managed.reply(&self.core.policy))))
    }

    /// Has a client refused everywhere from now on, or served again. That it may be done is the
    /// host's to know. An unknown client is a refusal.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the refusal is inside.
    pub fn set_client_status(&self, client_id: &str, status: ClientStatus) -> Answer<(), S::Error> {
        self.run(ClientStatusChange::new(client_id, status))
    }

    /// A call to a protected resource: whether its bearer token is good for what it needs (OAuth
    /// 2.1 §5.2).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub fn check(
        &self,
        authorization: &Authorization<'_>,
        needs: Needs<'_>,
    ) -> Answer<Access, S::Error> {
        self.answer(AccessCheck::parse(authorization, needs), Asker::Nobody)
    }

    /// The same for a whole request: where the policy [allows
    /// it](crate::CheckRules::bearer_in_body), the token may be in a form body.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub fn check_request(
        &self,
        incoming: &RequestParts<'_>,
        needs: Needs<'_>,
    ) -> Answer<Access, S::Error> {
        self.answer(AccessCheck::of_request(incoming, needs, &self.core.policy), Asker::Nobody)
    }

    /// Some of a user's connections, for a page of connected apps: those of at most `most` grants
    /// after this one.
    ///
    /// # Errors
    /// The store's own error.
    pub fn connections(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Connections, S::Error> {
        let mut page = Gathering::new(after, limit);
        loop {
            let ids = self.store.grants_of(subject, page.after(), page.part())?;
            let loaded = self.store.load_grants(&ids)?;
            if let Some(page) = page.add(&ids, &loaded, self.core.clock.now()) {
                return Ok(page);
            }
        }
    }

    /// Ends one of a user's connections, at once and for good: its next call is refused. One that
    /// is over stays so; another user's is refused as unknown.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the refusal is inside.
    pub fn revoke_connection(&self, subject: &str, grant: GrantId) -> Answer<(), S::Error> {
        self.run(GrantRevocation::by_user(grant, subject))
    }

    /// Ends one grant, whoever's it is. That it may be done is the host's to know, here and below.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the refusal is inside.
    pub fn revoke_grant(&self, grant: GrantId, revoked_by: RevokedBy<'_>) -> Answer<(), S::Error> {
        self.run(GrantRevocation::by(revoked_by, grant))
    }

    /// Ends all grants of a client, in one write: those included that are being made at this
    /// moment. New ones can be made at once.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the refusal is inside.
    pub fn revoke_client(
        &self,
        client_id: &str,
        revoked_by: RevokedBy<'_>,
    ) -> Answer<(), S::Error> {
        self.run(ClientRevocation::by(revoked_by, client_id))
    }

    /// Ends all grants of a user: their account's epoch is [raised](Store::raise_epoch), and then
    /// each record says why it is over. Where accounts have no epoch, a consent page that is
    /// being made at this very moment is not among them. A grant that cannot be ended stops
    /// nothing: the result names it.
    ///
    /// # Errors
    /// [`Failure`] if the epoch cannot be raised or the user's grants cannot be listed.
    pub fn revoke_user(
        &self,
        subject: &str,
        revoked_by: RevokedBy<'_>,
    ) -> Answer<RevokedGrants, S::Error> {
        let event = self.core.epoch_event(subject, revoked_by);
        let reserved = if self.core.trail.fail_closed {
            self.trail.reserve(&event)
        } else {
            Ok(T::Place::default())
        };
        let Ok(place) = reserved else {
            let refusal = Refusal::plain(Reason::AuditUnavailable, Endpoint::Operator);
            return Ok(Err(self.told(self.core.early(refusal, None))));
        };
        let watch = self.watch(Asker::Nobody);
        let mut guard = Guard::armed(&watch, event);
        let raised = self.store.raise_epoch(subject);
        let failed = self.core.epoch_raised(guard.event(), raised).err();
        let recorded = match guard.observe() {
            Some(event) => self.trail.record(event, place),
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
        self.revoke_each(subject, None, revoked_by)
    }

    /// Ends all grants of a user for one client. A grant that cannot be ended stops nothing: the
    /// result names it.
    ///
    /// # Errors
    /// [`Failure`] if the user's grants cannot be listed.
    pub fn revoke_user_client(
        &self,
        subject: &str,
        client_id: &str,
        revoked_by: RevokedBy<'_>,
    ) -> Answer<RevokedGrants, S::Error> {
        self.revoke_each(subject, Some(client_id), revoked_by)
    }

    /// Records a refusal of the host's own and gives it the name of its request: of what it will
    /// not read, such as a body that is too large, or of a call that was let through and cannot
    /// be paid after all ([`Refusal::plain`]).
    pub fn refuse(&self, refusal: Refusal, access: Option<&Access>) -> Refusal {
        self.told(self.core.of_host(refusal, access))
    }

    /// Runs any operation with this server's parts.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub fn run<O: Operation>(&self, operation: O) -> Answer<O::Response, S::Error> {
        self.answer(Ok(operation), Asker::Nobody)
    }

    /// Runs an operation and records its event, or records why there is none.
    fn answer<O: Operation>(
        &self,
        parsed: Result<O, Refusal>,
        asker: Asker<'_>,
    ) -> Answer<O::Response, S::Error> {
        let (operation, entropy) = match self.core.begin(parsed) {
            Ok(begun) => begun,
            Err(early) => return Ok(Err(self.told(early))),
        };
        let watch = self.watch(asker);
        let mut call = Call::new(&operation, &watch, entropy);
        let settled = run(&mut call, &self.store, &self.trail)?;
        Ok(settled.outcome)
    }

    /// This server as one call sees it.
    fn watch<'a>(&'a self, asker: Asker<'a>) -> Watch<'a, impl Fn(Event) + 'a> {
        self.core.watch(asker, |event| self.trail.abandoned(event))
    }

    /// Records a refusal that no operation made.
    pub(super) fn told(&self, early: Early) -> Refusal {
        let watch = self.watch(Asker::Nobody);
        let mut guard = Guard::armed(&watch, *early.event);
        let recorded = match guard.observe() {
            Some(event) => self.trail.record(event, T::Place::default()),
            None => Ok(()),
        };
        guard.disarm();
        self.core.after_record(recorded, early.refusal)
    }
}
