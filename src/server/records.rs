//! The limits of what strangers can have stored: registrations and their updates, clients that are
//! known by a document, and consent pages.

use std::sync::{Mutex, PoisonError};

use super::core::{Core, Early};
use super::watch::Asker;
use crate::limiter::Limiter;
use crate::rate::RateWindow;
use crate::reason::{Endpoint, Reason};
use crate::record::{Change, Write};
use crate::refusal::Refusal;
use crate::request::authorization::{AuthorizationRequest, User};
use crate::request::parts::RequestParts;
use crate::request::registration::{Action, ManagementRequest, RegistrationRequest};
use crate::response::authorization::AuthorizationStep;
use crate::server::Answer;
use crate::value::text::log_text;

/// Records of the last minute.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Registrations and their updates, by source.
    registrations: Limiter,
    /// Registrations and their updates of all sources together.
    all_registrations: Mutex<RateWindow>,
    /// New clients known by a document.
    all_documents: Mutex<RateWindow>,
    /// Consent pages by user.
    consent_pages: Limiter,
}

impl Core {
    /// Reads a registration and holds it to the limit. What cannot be read costs no turn: it leaves
    /// nothing behind.
    pub(super) fn registration_request(
        &self,
        incoming: &RequestParts<'_>,
    ) -> Result<RegistrationRequest, Early> {
        let refuse = |refusal| {
            let mut early = self.early(refusal, None);
            let sender = RegistrationRequest::sender(incoming, &self.policy);
            early.event.note = sender.as_deref().map(log_text);
            early
        };
        let request = RegistrationRequest::parse(incoming, &self.policy).map_err(refuse)?;
        match self.admit_registration(incoming.source, Endpoint::Registration) {
            None => Ok(request),
            Some(refusal) => Err(refuse(refusal)),
        }
    }

    /// Reads a request to the endpoint of a registration, and returns what it counts towards.
    pub(super) fn management_request<'a>(
        &self,
        id: &'a str,
        incoming: &RequestParts<'a>,
    ) -> Result<(ManagementRequest<'a>, Asker<'a>), Early> {
        let request = ManagementRequest::parse(id, incoming, &self.policy)
            .map_err(|refusal| self.early(refusal, Some(id)))?;
        let asker = match request.action {
            Action::Update(_) => Asker::Update { source: incoming.source },
            // A client is read without a write, and deleted once.
            Action::Read | Action::Delete => Asker::Nobody,
        };
        Ok((request, asker))
    }

    /// Counts the write of an update that its token has proved to be the client's own. Others write
    /// nothing, so that nobody uses up the limit without a registration.
    pub(super) fn admit_update(&self, source: &str) -> Option<Refusal> {
        self.admit_registration(source, Endpoint::Management)
    }

    fn admit_registration(&self, source: &str, endpoint: Endpoint) -> Option<Refusal> {
        let later = |wait| Refusal::later(Reason::RegistrationLimited, endpoint, wait);
        let limits = self.policy.limits();
        let now = self.clock.now();
        let Records { registrations, all_registrations, .. } = &self.records;
        let mut all = all_registrations.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked first, and counted last: what is refused takes no place of either.
        if let Some(wait) = all.wait(limits.all_registrations_per_minute, now) {
            return Some(later(wait));
        }
        let admitted = registrations.admit(source, limits.registrations_per_minute, now);
        if let Err(wait) = admitted {
            return Some(later(wait));
        }
        all.count(now);
        None
    }

    /// Counts the record of a client whose document was never read before. One that is on record is
    /// written again when its document is no longer fresh, and not sooner.
    pub(super) fn admit_document(&self, write: &Write) -> Option<Refusal> {
        let is_new = write.as_client().map(Change::seen) == Some(None);
        if !is_new {
            return None;
        }
        let limit = self.policy.limits().all_documents_per_minute;
        let mut all = self.records.all_documents.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = all.admit(limit, self.clock.now());
        let wait = admitted.err()?;
        Some(Refusal::later(Reason::DocumentsBusy, Endpoint::Authorization, wait))
    }

    /// Holds a signed-in user's request to the limit of consent pages. Each page is stored, and any
    /// site can have the user's browser ask for as many as it likes.
    pub(super) fn admit_consent_page<'r>(
        &self,
        parsed: Result<AuthorizationRequest<'r>, Refusal>,
    ) -> Result<AuthorizationRequest<'r>, Refusal> {
        let request = parsed?;
        let Some(user) = &request.user else { return Ok(request) };
        let limit = self.policy.limits().consent_pages_per_minute;
        match self.records.consent_pages.admit(user.subject, limit, self.clock.now()) {
            Ok(()) => Ok(request),
            Err(wait) => {
                Err(Refusal::later(Reason::ConsentPagesLimited, Endpoint::Authorization, wait))
            }
        }
    }

    /// Gives the place of this user's request back if no page was made. After a failure of the store
    /// there may be one.
    pub(super) fn settle_consent_page<E>(
        &self,
        user: Option<User<'_>>,
        answer: Answer<AuthorizationStep, E>,
    ) -> Answer<AuthorizationStep, E> {
        let may_be_stored = matches!(&answer, Ok(Ok(AuthorizationStep::NeedsConsent(_))) | Err(_));
        if let (Some(user), false) = (user, may_be_stored) {
            self.records.consent_pages.give_back(user.subject, self.clock.now());
        }
        answer
    }
}
