//! What a call sees of its server: clock, policy, the counters of failed authentications, the
//! observer and the trail.

use super::core::{Admitted, Core};
use crate::drive::guard::Host;
use crate::event::Event;
use crate::moment::Timestamp;
use crate::policy::Policy;
use crate::record::Write;
use crate::refusal::Refusal;
use crate::request::token::Credentials;

/// What a request counts towards, but what was counted before it was decided.
#[derive(Clone, Copy)]
pub(super) enum Asker<'a> {
    /// Nobody: the request has no client that authenticates.
    Nobody,
    /// This client, from this source.
    Client { credentials: &'a Credentials<'a>, source: &'a str },
    /// Nobody, but a new client that is known by a document counts.
    Document,
    /// Nobody, but the update of a registration from this source counts.
    Update { source: &'a str },
    /// The client of a token request, whose place in its window may be given back.
    Token(&'a Admitted<'a>),
}

impl<'a> Asker<'a> {
    /// Returns what the request authenticates with, and from where.
    fn authenticates(self) -> Option<(&'a Credentials<'a>, &'a str)> {
        match self {
            Self::Nobody | Self::Document | Self::Update { .. } => None,
            Self::Client { credentials, source } => Some((credentials, source)),
            Self::Token(admitted) => Some((&admitted.request.credentials, admitted.source)),
        }
    }
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

    fn throttled(&self) -> Option<Refusal> {
        let (credentials, source) = self.asker.authenticates()?;
        self.core.throttled(credentials, source)
    }

    /// Counts a failed authentication when it is decided: who hangs up afterwards has guessed all
    /// the same.
    fn admit(&self, refusal: Option<&Refusal>, write: Option<&Write>) -> Option<Refusal> {
        match self.asker {
            Asker::Document => self.core.admit_document(write?),
            Asker::Update { source } => write.and_then(|_| self.core.admit_update(source)),
            asker => {
                let (credentials, source) = asker.authenticates()?;
                self.core.admit_guess(credentials, source, refusal)
            }
        }
    }

    fn settled(&self, refusal: Option<&Refusal>) {
        if let Asker::Token(admitted) = self.asker {
            self.core.count_token_request(admitted, refusal);
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
