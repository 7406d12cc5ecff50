//! The limits of what strangers can have stored: registrations and their updates, clients that are
//! known by a document, and consent pages.

use super::Throttle;
use crate::limiter::Limiter;
use crate::moment::Timestamp;
use crate::policy::Policy;
use crate::rate::RateWindow;
use crate::reason::{Endpoint, Reason};
use crate::record::{Change, Write};
use crate::refusal::Refusal;
use crate::sync::{Mutex, PoisonError};

/// Records of the last minute.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Registrations and their updates, by source.
    registrations: Limiter,
    /// Registrations and their updates of all sources together.
    all_registrations: Mutex<RateWindow>,
    /// New clients that are known by a document.
    all_documents: Mutex<RateWindow>,
    /// Consent pages by user.
    consent_pages: Limiter,
}

impl Throttle {
    /// Counts a registration, or the update of one. Returns its refusal if a limit is reached.
    pub(crate) fn count_registration(
        &self,
        policy: &Policy,
        source: &str,
        endpoint: Endpoint,
        now: Timestamp,
    ) -> Option<Refusal> {
        let refuse = |wait| Refusal::with_retry_after(Reason::RegistrationLimited, endpoint, wait);
        let limits = policy.limits();
        let Records { registrations, all_registrations, .. } = &self.records;
        let mut all = all_registrations.lock().unwrap_or_else(PoisonError::into_inner);
        // Checked first and counted last: a refused registration takes a place in neither window.
        if let Some(wait) = all.wait(limits.all_registrations_per_minute, now) {
            return Some(refuse(wait));
        }
        let admitted = registrations.admit(source, limits.registrations_per_minute, now);
        if let Err(wait) = admitted {
            return Some(refuse(wait));
        }
        all.count(now);
        None
    }

    /// Counts the record of a client whose document was never read before. Returns its refusal if
    /// the limit is reached. A client on record is written again only when its document is no
    /// longer fresh, and is not counted.
    pub(crate) fn count_document(
        &self,
        policy: &Policy,
        write: &Write,
        endpoint: Endpoint,
        now: Timestamp,
    ) -> Option<Refusal> {
        let is_new = write.as_client().map(Change::seen) == Some(None);
        if !is_new {
            return None;
        }
        let limit = policy.limits().all_documents_per_minute;
        let mut all = self.records.all_documents.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = all.admit(limit, now).err()?;
        Some(Refusal::with_retry_after(Reason::DocumentsBusy, endpoint, wait))
    }

    /// Counts a consent page of this user. Returns its refusal if the limit is reached. Each page
    /// is stored, and any site can make the user's browser ask for as many as it likes.
    pub(crate) fn count_consent_page(
        &self,
        policy: &Policy,
        subject: &str,
        now: Timestamp,
    ) -> Option<Refusal> {
        let limit = policy.limits().consent_pages_per_minute;
        let wait = self.records.consent_pages.admit(subject, limit, now).err()?;
        Some(Refusal::with_retry_after(Reason::ConsentPagesLimited, Endpoint::Authorization, wait))
    }

    /// Takes back a consent page that was counted and not made.
    pub(crate) fn give_back_consent_page(&self, subject: &str, now: Timestamp) {
        self.records.consent_pages.give_back(subject, now);
    }
}
