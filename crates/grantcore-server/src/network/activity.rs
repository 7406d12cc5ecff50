//! What one connection is doing, since when, and until when it may.
//!
//! A connection waits for its client, or a request on it is being decided. It can be closed for
//! another connection while it waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a connection may be in each of its phases.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) request: Duration,
}

/// What a connection is doing.
#[derive(Debug)]
pub(crate) struct Activity {
    times: Times,
    state: Mutex<State>,
    evicted: Notify,
}

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    /// The start of a head or of a request, and after that the latest byte that was taken.
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The head of a request is being waited for, or is incomplete.
    Head,
    /// The head of a request is complete, its body is not.
    Body,
    /// A request is being decided, or its answer is being handed over.
    Busy,
    /// Between two requests. The client may still be taking the answer of the first.
    Idle,
    /// Closed for another connection, or for the end of the server. No other phase follows.
    Evicted,
}

impl Activity {
    pub(super) fn new(times: Times) -> Self {
        let state = State { phase: Phase::Head, since: Instant::now() };
        Self { times, state: Mutex::new(state), evicted: Notify::new() }
    }

    /// Waits until the connection is to be closed: it waited too long, or made room for another.
    pub(crate) async fn over(&self) {
        loop {
            let deadline = match self.deadline() {
                Some(deadline) if deadline > Instant::now() => deadline,
                _ => return,
            };
            // A phase with an earlier deadline may begin meanwhile.
            let again = deadline.min(Instant::now() + self.times.header);
            tokio::select! {
                () = tokio::time::sleep_until(again) => {}
                () = self.evicted.notified() => {}
            }
        }
    }

    /// Begins a request, whose body is still to come or which has none. Returns `None` if the
    /// connection is being closed: then nothing may be decided.
    pub(crate) fn begin(self: &Arc<Self>, has_body: bool) -> Option<UnderWay> {
        let phase = if has_body { Phase::Body } else { Phase::Busy };
        self.lock().enter(phase).then(|| UnderWay(Arc::clone(self)))
    }

    /// Ends the wait for the body of a request. Returns `false` if the connection is being closed:
    /// then nothing may be decided.
    pub(crate) fn body_ended(&self) -> bool {
        self.lock().enter(Phase::Busy)
    }

    /// Bytes came: after a pause they begin a head.
    pub(crate) fn received(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Idle {
            state.enter(Phase::Head);
        }
    }

    /// Bytes of an answer were taken.
    pub(crate) fn sent(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Idle | Phase::Busy) {
            state.since = Instant::now();
        }
    }

    /// `None` if it is over already. A request has its own time-out; after that its answer must be
    /// taken.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let State { phase, since } = *self.lock();
        match phase {
            Phase::Head => Some(since + self.times.header),
            Phase::Idle => Some(since + self.times.idle),
            Phase::Body | Phase::Busy => Some(since + self.times.request + self.times.idle),
            Phase::Evicted => None,
        }
    }

    /// The start of the wait for the client; `None` if the connection does not wait.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        let State { phase, since } = *self.lock();
        matches!(phase, Phase::Head | Phase::Body | Phase::Idle).then_some(since)
    }

    /// Closes the connection for another, if it waits for its client.
    pub(super) fn evict(&self) -> bool {
        self.close_in(&[Phase::Head, Phase::Body, Phase::Idle])
    }

    /// Closes the connection if there is no request on it.
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
    /// Enters a phase, unless the connection is being closed.
    fn enter(&mut self, phase: Phase) -> bool {
        let is_open = self.phase != Phase::Evicted;
        if is_open {
            *self = Self { phase, since: Instant::now() };
        }
        is_open
    }
}

/// A request, from its head until its answer is handed over and this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().enter(Phase::Idle);
    }
}
