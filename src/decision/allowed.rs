//! A decision that is made in one go: the response, the write, and what the event records of them.

use super::Loaded;
use super::sealed::{Decision, WriteFailed};
use crate::event::EventKind;
use crate::moment::Moment;
use crate::record::Write;

/// Everything that an allowed request leads to.
pub(crate) struct Allowed<T> {
    pub(crate) kind: EventKind,
    pub(crate) response: T,
    pub(crate) write: Option<Write>,
    /// How a failure of the write is answered: by redirect to the client, at once or after a page.
    /// `None`: in the plain form of the endpoint.
    pub(crate) redirects_at_once: Option<bool>,
    /// What was noticed in the request, for the event.
    pub(crate) detail: Option<String>,
}

impl<T> Decision<T> {
    /// Makes the decision on a request that is allowed, in one go.
    pub(crate) fn allow_all(allowed: Allowed<T>, loaded: &Loaded, moment: &Moment) -> Self {
        let Allowed { kind, response, write, redirects_at_once, detail } = allowed;
        let mut event = loaded.records().event(kind, None, moment.stamp());
        event.detail = detail.map(Into::into);
        if let Some(write) = &write {
            event.note_write(write);
        }
        let write_failed = match redirects_at_once {
            Some(at_once) => WriteFailed::Redirect { at_once },
            None => WriteFailed::Plain,
        };
        Self::of(write, Ok(response), event, write_failed)
    }
}
