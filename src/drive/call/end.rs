//! The end of a call: its outcome, and what is reported if it is dropped before.

use super::{Call, Phase};
use crate::decision::{Decision, Operation, Settled};
use crate::drive::guard::Host;
use crate::event::{Event, EventKind, Written};
use crate::refusal::Refusal;
use crate::store::Failure;

impl<O: Operation, H: Host, E> Call<'_, O, H, E> {
    /// Returns whether nothing is needed any more.
    pub(crate) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Returns the outcome of a call that is done.
    #[expect(clippy::expect_used, reason = "only a decision can be done")]
    pub(crate) fn outcome(&mut self) -> Result<Result<O::Response, Refusal>, Failure<E>> {
        let decision = self.decision.as_mut().expect("a call that is done has a decision");
        match self.failed.take() {
            None => Ok(decision.take_outcome()),
            Some((cause, refusal)) => {
                let event = Box::new(decision.event().clone());
                Err(Failure { cause, refusal, event })
            }
        }
    }

    /// Returns the outcome of a call that is done, with its event.
    #[expect(clippy::expect_used, reason = "only a decision can be done")]
    pub(crate) fn settled(&mut self) -> Result<Settled<O::Response>, Failure<E>> {
        let decision = self.decision.as_mut().expect("a call that is done has a decision");
        match self.failed.take() {
            None => Ok(decision.take_settled()),
            Some((cause, refusal)) => {
                Err(Failure { cause, refusal, event: Box::new(decision.take_event()) })
            }
        }
    }
}

impl<O: Operation, H: Host, E> Drop for Call<'_, O, H, E> {
    fn drop(&mut self) {
        if self.phase == Phase::Done {
            return;
        }
        let decided = self.decision.take().map(Decision::into_event);
        let event = match (self.phase, decided) {
            // The durability of its write is unknown, and the event records that.
            (Phase::Commit | Phase::Find, Some(event)) => event,
            // The observer has received it already.
            (Phase::Record, Some(event)) => return self.host.abandoned(event),
            _ => match self.earlier.take() {
                Some(earlier) => *earlier,
                None => return,
            },
        };
        if self.host.observe(&event) {
            self.host.abandoned(event);
        }
    }
}

/// Copies the write of an earlier attempt, which may be durable, into the event that replaces the
/// earlier event.
pub(super) fn carry_over_write(event: &mut Event, earlier: &Event) {
    event.prepared = earlier.prepared;
    event.marked = event.marked.or(earlier.marked);
    if event.written.is_some() {
        return;
    }
    // Lost response of the store: a store that repeats a commit of its own may report a conflict
    // (I17). A step that then succeeds without a write has found its own commit in the record. If
    // the later attempt only finds that nothing is left to do, another request may have done it:
    // the durability stays unknown.
    let is_found = event.kind == earlier.kind && event.kind != EventKind::Refused;
    event.written = if is_found { earlier.written.map(Written::durable) } else { earlier.written };
}
