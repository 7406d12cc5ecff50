//! The phase of one connection, and the deadline of that phase.
//!
//! A connection either waits for its client, or a request on it is being decided. While it waits,
//! it can be closed to make room for another connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The time-outs of the phases of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) request: Duration,
}

/// The state of one connection, shared by its task and by all that may close it.
#[derive(Debug)]
pub(crate) struct Activity {
    times: Times,
    state: Mutex<State>,
    evicted: Notify,
}

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    /// The start of the phase. While the client receives a response, the time of the latest byte
    /// that it received.
    since: Instant,
    /// How long the response may be silent. It counts if it is longer than the time-out of a
    /// request.
    silence: Duration,
    /// Whether the rest of a body may still arrive. It is not the start of a head.
    body_open: bool,
    /// Whether something that the client sent was not read, so that closing the connection would
    /// reset it.
    has_unread: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The connection waits for the head of a request, or for the rest of it.
    Head,
    /// The head of a request is complete; its body is not.
    Body,
    /// A request is being decided, or its response is being written.
    Busy,
    /// The connection is between two requests. The client may still be receiving the response to
    /// the first.
    Idle,
    /// The connection is being closed, for another connection or because the server stops. No phase
    /// follows.
    Evicted,
}

impl Activity {
    pub(super) fn new(times: Times) -> Self {
        let state = State {
            phase: Phase::Head,
            since: Instant::now(),
            silence: Duration::ZERO,
            body_open: false,
            has_unread: false,
        };
        Self { times, state: Mutex::new(state), evicted: Notify::new() }
    }

    /// Completes when the connection must be closed: its deadline has passed, or it was evicted.
    pub(crate) async fn over(&self) {
        loop {
            let deadline = match self.deadline() {
                Some(deadline) if deadline > Instant::now() => deadline,
                _ => return,
            };
            // Looks again early, because the next phase may have an earlier deadline.
            let again = deadline.min(Instant::now() + self.times.header);
            tokio::select! {
                () = tokio::time::sleep_until(again) => {}
                () = self.evicted.notified() => {}
            }
        }
    }

    /// Begins a request. With `has_body`, its body is still to come. Returns `None` if the
    /// connection is being closed; the request must not be decided then.
    pub(crate) fn begin(self: &Arc<Self>, has_body: bool) -> Option<UnderWay> {
        let phase = if has_body { Phase::Body } else { Phase::Busy };
        let mut state = self.lock();
        state.body_open = has_body;
        state.enter(phase).then(|| UnderWay(Arc::clone(self)))
    }

    /// Records that the whole body of a request was read. Returns `false` if the connection is
    /// being closed; the request must not be decided then.
    pub(crate) fn body_ended(&self) -> bool {
        let mut state = self.lock();
        (state.body_open, state.has_unread) = (false, false);
        match state.phase {
            Phase::Body => state.enter(Phase::Busy),
            // The response is complete already: the connection begins to wait now.
            Phase::Idle => state.enter(Phase::Idle),
            Phase::Head | Phase::Busy => true,
            Phase::Evicted => false,
        }
    }

    /// Ends the wait for the body of a request that nobody reads to its end. `is_drained` says
    /// whether the rest is read and thrown away.
    pub(super) fn body_dropped(&self, is_drained: bool) {
        let mut state = self.lock();
        (state.body_open, state.has_unread) = (is_drained, true);
        if state.phase == Phase::Body {
            state.enter(Phase::Busy);
        }
    }

    /// Returns whether the connection waits for a head, so that nothing but hyper itself can
    /// answer.
    pub(super) fn waits_for_head(&self) -> bool {
        self.lock().phase == Phase::Head
    }

    /// Returns whether something that the client sent was left unread.
    pub(super) fn has_unread(&self) -> bool {
        self.lock().has_unread
    }

    /// Allows the response to the request that is under way to be silent for this long: the time is
    /// that of an upstream, and not of the client.
    pub(crate) fn allow_silence(&self, silence: Duration) {
        self.lock().silence = silence;
    }

    /// Records that bytes were received. On an idle connection they are the start of a head.
    pub(crate) fn received(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Idle && !state.body_open {
            state.enter(Phase::Head);
        }
    }

    /// Records that the client received bytes of a response.
    pub(crate) fn sent(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Idle | Phase::Busy) {
            state.since = Instant::now();
        }
    }

    /// Returns the end of the current phase, or `None` if the connection is being closed. The limit
    /// of a request covers its own time-out and the time that the client has to receive the
    /// response.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let State { phase, since, silence, .. } = *self.lock();
        let request = self.times.request;
        match phase {
            Phase::Head => Some(since + self.times.header),
            Phase::Idle => Some(since + self.times.idle),
            Phase::Body => Some(since + request + self.times.idle),
            Phase::Busy => Some(since + request.max(silence) + self.times.idle),
            Phase::Evicted => None,
        }
    }

    /// Returns the time since which the connection waits for its client, or `None` if it does not
    /// wait.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        let State { phase, since, .. } = *self.lock();
        matches!(phase, Phase::Head | Phase::Body | Phase::Idle).then_some(since)
    }

    /// Closes the connection to make room for another, if it waits for its client. Returns whether
    /// it did.
    pub(super) fn evict(&self) -> bool {
        self.close_in(&[Phase::Head, Phase::Body, Phase::Idle])
    }

    /// Closes the connection if no request has begun on it.
    pub(super) fn close_without_request(&self) {
        self.close_in(&[Phase::Head, Phase::Idle]);
    }

    fn close_in(&self, phases: &[Phase]) -> bool {
        let mut state = self.lock();
        let is_closed = phases.contains(&state.phase);
        if is_closed {
            state.phase = Phase::Evicted;
            self.evicted.notify_one();
        }
        is_closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Enters a phase and returns `true`, or returns `false` if the connection is being closed.
    fn enter(&mut self, phase: Phase) -> bool {
        let is_open = self.phase != Phase::Evicted;
        if is_open {
            // The silence is that of one request.
            let is_same = phase == Phase::Busy;
            let silence = if is_same { self.silence } else { Duration::ZERO };
            *self = Self { phase, since: Instant::now(), silence, ..*self };
        }
        is_open
    }
}

/// A request on a connection, from its head until its response is written. Dropping it makes the
/// connection idle.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().enter(Phase::Idle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time of an upstream is not that of the client, and is that of one request.
    #[tokio::test(start_paused = true)]
    async fn a_response_may_be_silent_for_as_long_as_its_upstream() {
        let [header, idle, request, silence] = [1, 2, 3, 10].map(Duration::from_secs);
        let activity = Arc::new(Activity::new(Times { header, idle, request }));
        let now = Instant::now();
        let under_way = activity.begin(true).unwrap();
        activity.allow_silence(silence);
        assert_eq!(activity.deadline(), Some(now + request + idle), "the client's body");
        assert!(activity.body_ended());
        assert_eq!(activity.deadline(), Some(now + silence + idle));
        drop(under_way);
        assert_eq!(activity.deadline(), Some(now + idle));
        let _next = activity.begin(false).unwrap();
        assert_eq!(activity.deadline(), Some(now + request + idle), "another request");
    }

    /// The rest of a body is not the start of the next request.
    #[tokio::test(start_paused = true)]
    async fn the_rest_of_a_body_begins_no_head() {
        let [header, idle, request] = [1, 2, 30].map(Duration::from_secs);
        let activity = Arc::new(Activity::new(Times { header, idle, request }));
        let start = Instant::now();
        let under_way = activity.begin(true).unwrap();
        activity.body_dropped(true);
        assert_eq!(activity.deadline(), Some(start + request + idle), "the request is decided");
        drop(under_way);
        activity.received();
        assert_eq!(activity.deadline(), Some(start + idle));
        assert!(activity.has_unread());
        tokio::time::advance(header).await;
        assert!(activity.body_ended() && !activity.has_unread());
        assert_eq!(activity.deadline(), Some(start + header + idle), "it waits from now on");
        activity.received();
        assert_eq!(activity.deadline(), Some(start + header + header), "the next head");
        // Without a drain, what follows is not read.
        let _under_way = activity.begin(true).unwrap();
        activity.body_dropped(false);
        assert!(activity.has_unread());
    }
}
