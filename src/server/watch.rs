//! What a call sees of its server: clock, policy, the counters of failed authentications, the
//! observer and the trail.

use super::core::{Admitted, Core};
use crate::drive::guard::Host;
use crate::event::Event;
use crate::moment::Timestamp;
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::request::token::Credentials;

/// Whom a failed authentication of a request counts against.
#[derive(Clone, Copy)]
pub(super) enum Asker<'a> {
    /// Nobody: the request has no client that authenticates.
    Nobody,
    /// This client, from this source.
    Client { credentials: &'a Credentials<'a>, source: &'a str },
    /// The client of a token request, whose place in its window may be given back.
    Token(&'a Admitted<'a>),
}

/// The server as one call sees it, with the trail's destructor-safe method.
pub(super) struct Watch<'a, F> {
    core: &'a Core,
    asker: Asker<'a>,
    abandoned: F,
}

impl<F: Fn(Event)> Host for Watch<'_, F> {
    fn policy(&self) -> &Policy {
        &self.core.policy
    }

    fn now(&self) -> Timestamp {
        self.core.clock.now()
    }

    fn fail_closed(&self) -> bool {
        self.core.trail.fail_closed
    }

    /// Counts a failed authentication before its event is recorded: who hangs up meanwhile has
    /// guessed all the same.
    fn settled(&self, refusal: Option<&Refusal>) {
        match self.asker {
            Asker::Nobody => {}
            Asker::Client { credentials, source } => {
                self.core.count_failure(credentials, source, refusal);
            }
            Asker::Token(admitted) => self.core.count_token_request(admitted, refusal),
        }
    }

    fn observe(&self, event: &Event) -> bool {
        (self.core.observer)(event);
        self.core.trail.keeps(event.kind)
    }

    fn abandoned(&self, event: Event) {
        (self.abandoned)(event);
    }
}

impl Core {
    /// The server as one call sees it.
    pub(super) fn watch<'a, F: Fn(Event)>(
        &'a self,
        asker: Asker<'a>,
        abandoned: F,
    ) -> Watch<'a, F> {
        Watch { core: self, asker, abandoned }
    }
}
