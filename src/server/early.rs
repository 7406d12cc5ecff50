//! Refusals before an operation runs: of a request that cannot be parsed, by a limit, or by the
//! host. Each is recorded like any other.

use super::Server;
use super::core::Core;
use crate::audit::AuditLog;
use crate::event::{Event, EventKind};
use crate::reason::Endpoint;
use crate::refusal::Refusal;
use crate::response::access::Access;
use crate::store::{AccountSource, Store};

/// A refusal before an operation ran, with its event.
pub(super) struct EarlyRefusal {
    pub(super) refusal: Refusal,
    pub(super) event: Box<Event>,
}

impl EarlyRefusal {
    /// Takes a refusal with its event, and adds the response to the event.
    pub(super) fn of((refusal, mut event): (Refusal, Event), core: &Core) -> Self {
        event.sent = Some(Box::new(refusal.sent(&core.policy)));
        Self { refusal, event: Box::new(event) }
    }

    /// Records the source of the request in the event.
    pub(super) fn from(mut self, source: &str) -> Self {
        self.event.set_source(source);
        self
    }
}

impl Core {
    /// Returns this refusal with its event.
    pub(super) fn early_refusal(
        &self,
        refusal: Refusal,
        claimed_client: Option<&str>,
    ) -> EarlyRefusal {
        let stamp = self.moment().stamp();
        let mut event = Event {
            detail: refusal.detail().map(Into::into),
            ..Event::new(EventKind::Refused, Some(refusal.reason()), stamp)
        };
        event.attributed = refusal.endpoint() == Endpoint::Operator;
        if let Some(client_id) = claimed_client {
            event.claim(client_id);
        }
        EarlyRefusal::of((refusal.correlated(stamp.correlation), event), self)
    }
}

/// # Refusals by the host
impl<S: Store, A: AccountSource<S>, L: AuditLog> Server<S, A, L> {
    /// Records a refusal that the host made itself ([`Refusal::plain`]), and returns it with its
    /// correlation id. For example, the host refuses a request whose body is too large, or a call
    /// that was allowed but could not be paid. With `access`, the event names the client, the user
    /// and the grant of the call. `source` is where the request came from, as in
    /// [`RequestParts::source`](crate::RequestParts::source); empty if it is not known.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// use grantcore::reason::Endpoint;
    /// use grantcore::{Reason, Refusal};
    ///
    /// // The body of a token request was not read to its end, because it is too large.
    /// let refusal = Refusal::plain(Reason::RequestTooLarge, Endpoint::Token);
    /// let reply = server.refuse(refusal, None, "192.0.2.7").await.reply(server.policy());
    /// assert_eq!(reply.status, 413);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn refuse(&self, refusal: Refusal, access: Option<&Access>, source: &str) -> Refusal {
        let mut early = self.core.early_refusal(refusal, None).from(source);
        if let Some(access) = access {
            let event = &mut early.event;
            event.attributed = true;
            event.flow = Some(access.grant_id());
            event.client = Some(access.client_id().clone());
            event.subject = access.subject().cloned();
        }
        self.record_early(early).await
    }

    /// Records a refusal before an operation ran, and returns it.
    pub(super) async fn record_early(&self, early: EarlyRefusal) -> Refusal {
        let recorded = self.record_step(*early.event).await;
        self.core.after_record(recorded, early.refusal)
    }
}
