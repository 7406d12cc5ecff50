//! The check at resources.
//!
//! A check writes nothing, so it needs no step machine: it reads the records, judges them, and
//! records its event. It borrows the records from the store, and makes the event of an accepted
//! call only if it is observed or recorded. So a check takes less than half of the instructions
//! that it takes as an [operation](crate::operation) by the driver. Both ways judge by the same
//! function.

use super::core::Core;
use super::early::EarlyRefusal;
use super::watch::Limit;
use super::{Error, Server};
use crate::audit::{AuditError, AuditLog};
use crate::decision::Records;
use crate::drive::guard::Guard;
use crate::drive::load;
use crate::event::{Event, EventKind};
use crate::keys::Keys;
use crate::moment::Stamp;
use crate::reason::{Endpoint, Reason};
use crate::refusal::Refusal;
use crate::request::access::{AccessCheck, Needs};
use crate::request::parts::{Authorization, RequestParts};
use crate::response::access::Access;
use crate::store::{AccountSource, Failure, FailureCause, Store};
use crate::value::secret::Digest;

/// The outcome of a check: the access, with its event if it is to be recorded.
type Judged = Result<(Access, Option<Box<Event>>), Box<EarlyRefusal>>;

/// A check with its inputs, except the records.
struct Judge<'a> {
    check: &'a AccessCheck<'a>,
    digest: Option<Digest>,
    keys: Keys<'static>,
    stamp: Stamp,
    core: &'a Core,
}

impl Judge<'_> {
    fn judge(&self, records: Records<'_>) -> Judged {
        let Core { policy, .. } = self.core;
        records.own(policy, &self.keys, |own| {
            match self.check.judge(self.digest.as_ref(), own, policy, self.stamp) {
                Ok(access) => {
                    let kind = EventKind::AccessAllowed;
                    let event = || Box::new(own.event(kind, None, self.stamp));
                    Ok((access, self.core.records(kind).then(event)))
                }
                Err(reason) => {
                    let refusal = self.check.refusal(reason, policy);
                    let refused = own.refused(refusal, self.stamp);
                    Err(Box::new(EarlyRefusal::of(refused, self.core)))
                }
            }
        })
    }
}

/// # The check at resources
impl<S: Store, A: AccountSource<S>, L: AuditLog> Server<S, A, L> {
    /// Checks whether the bearer token of a call to a protected resource permits what the call
    /// needs (OAuth 2.1 §5.2).
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// # let header = format!("Bearer {}", example::tokens(&server).await.0);
    /// use grantcore::Authorization;
    ///
    /// // Built once, at the start.
    /// let notes = server.policy().needs("https://mcp.example/mcp", "notes")?;
    ///
    /// // GET /mcp, with its header Authorization: Bearer …
    /// match server.check(&Authorization::One(header.as_bytes()), &notes).await {
    ///     Ok(access) => {
    ///         assert_eq!(access.subject().map(AsRef::as_ref), Some("alice"));
    ///         assert_eq!(access.client_id().as_str(), "notes-app");
    ///     }
    ///     // 401 or 403 with the challenge that leads the client to the authorization server.
    ///     Err(error) => {
    ///         let reply = error.reply(server.policy());
    /// #       unreachable!("{reply:?}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] with the challenge, [`Error::Failed`] if the store or the accounts
    /// failed.
    pub async fn check(
        &self,
        authorization: &Authorization<'_>,
        needs: &Needs,
    ) -> Result<Access, Error<S::Error>> {
        match AccessCheck::parse(authorization, needs) {
            Ok(parsed) => self.check_parsed(&parsed, "").await,
            Err(refusal) => Err(self.refuse_early(refusal, None, "").await),
        }
    }

    /// Checks a whole request: where the policy [allows
    /// it](crate::policy::CheckRules::with_bearer_in_body), the token may be in a form body.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use grantcore::policy::CheckRules;
    /// # let server = example::server_of(
    /// #     example::policy().check_rules(CheckRules::default().with_bearer_in_body(true)));
    /// # let form = format!("access_token={}", example::tokens(&server).await.0);
    /// # let notes = server.policy().needs("https://mcp.example/mcp", "notes")?;
    /// use grantcore::{ContentType, RequestParts};
    ///
    /// // POST /mcp, with the form access_token=…
    /// let request = RequestParts {
    ///     method: "POST",
    ///     content_type: ContentType::FORM,
    ///     body: form.as_bytes(),
    ///     ..RequestParts::default()
    /// };
    /// assert!(server.check_request(&request, &notes).await.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    pub async fn check_request(
        &self,
        request: &RequestParts<'_>,
        needs: &Needs,
    ) -> Result<Access, Error<S::Error>> {
        match AccessCheck::of_request(request, needs, &self.core.policy) {
            Ok(parsed) => self.check_parsed(&parsed, request.source).await,
            Err(refusal) => Err(self.refuse_early(refusal, None, request.source).await),
        }
    }

    /// Checks a call that the host has parsed itself: see [`AccessCheck`]. `source` is the
    /// [source](RequestParts::source) of the call, for the event.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    pub async fn check_parsed(
        &self,
        check: &AccessCheck<'_>,
        source: &str,
    ) -> Result<Access, Error<S::Error>> {
        let Ok(correlation) = self.core.draw_id() else {
            let refusal = Refusal::plain(Reason::EntropyUnavailable, Endpoint::Resource);
            return Err(self.refuse_early(refusal, None, source).await);
        };
        let stamp = Stamp { at: self.core.clock.now(), correlation };
        let keys = Keys { skip_accounts: !A::IN_STORE, ..check.needed_records() };
        let judge = Judge { check, digest: check.digest(), keys, stamp, core: &self.core };
        let mut judged = None;
        let read = if judge.keys.is_empty() {
            Ok(())
        } else if A::IN_STORE {
            let mut visit = |records: Records<'_>| judged = Some(judge.judge(records));
            self.store.inspect(&judge.keys, &mut visit).await.map_err(FailureCause::Store)
        } else {
            let mut place = None;
            let read = load(&self.store, &self.accounts, &judge.keys, &mut place).await;
            read.map(|loaded| judged = Some(judge.judge(loaded.records())))
        };
        if let Err(cause) = read {
            return Err(self.fail_check(check, cause, stamp, source).await.into());
        }
        // If the token names no grant, or the store calls no `visit`, there are no records.
        match judged.unwrap_or_else(|| judge.judge(Records::default())) {
            Ok((access, None)) => Ok(access),
            Ok((access, Some(event))) => self.record_access(access, event, source).await,
            Err(early) => Err(self.record_early(early.from(source)).await.into()),
        }
    }

    /// Records the event of a call that is served. Under
    /// [`AuditPolicy::with_fail_closed`](crate::audit::AuditPolicy::with_fail_closed) a lost event
    /// withholds the access.
    async fn record_access(
        &self,
        access: Access,
        mut event: Box<Event>,
        source: &str,
    ) -> Result<Access, Error<S::Error>> {
        event.set_source(source);
        if self.record_step(*event).await.is_err() && self.core.audit.fail_closed {
            let refusal = Refusal::plain(Reason::AuditUnavailable, Endpoint::Resource);
            return Err(refusal.correlated(access.correlation).into());
        }
        Ok(access)
    }

    /// Ends a check whose records could not be read.
    async fn fail_check(
        &self,
        check: &AccessCheck<'_>,
        cause: FailureCause<S::Error>,
        stamp: Stamp,
        source: &str,
    ) -> Failure<S::Error> {
        let refusal = Refusal::plain(Reason::StorageUnavailable, Endpoint::Resource);
        let EarlyRefusal { refusal, mut event } =
            EarlyRefusal::of(Records::default().refused(refusal, stamp), &self.core).from(source);
        event.flow = check.needed_records().grant;
        // The failure is returned, whether its event was recorded or not.
        let _ = self.record_step((*event).clone()).await;
        Failure { cause, refusal, event }
    }

    /// Hands the event to the observer and, if it keeps the event, to the audit log. A future that
    /// is dropped meanwhile reports the event.
    pub(super) async fn record_step(&self, event: Event) -> Result<(), AuditError> {
        let watch = self.watch(Limit::None, "");
        let mut guard = Guard::armed(&watch, event);
        let recorded = match guard.observe() {
            Some(event) => self.log.record(event, L::Reservation::default()).await,
            None => Ok(()),
        };
        guard.disarm();
        recorded
    }
}
