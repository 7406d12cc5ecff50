//! The bodies of a forwarded call. Both are streams, and trailers pass in neither direction: they
//! would be headers that nobody checks.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How far the body of a request was sent.
pub(super) struct Progress(Mutex<State>);

struct State {
    latest: Instant,
    waits_for_caller: bool,
    fault: Option<Fault>,
}

/// Why the body of a request was not sent whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the body of the request is too large")]
    TooLarge,
    #[error("the body of the request is incomplete")]
    Incomplete,
}

impl Default for Progress {
    fn default() -> Self {
        let latest = Instant::now();
        Self(Mutex::new(State { latest, waits_for_caller: false, fault: None }))
    }
}

impl Progress {
    /// Returns when the latest part of the body was sent.
    pub(super) fn latest(&self) -> Instant {
        self.lock().latest
    }

    /// Returns whether the next part of the body has not arrived.
    pub(super) fn waits_for_caller(&self) -> bool {
        self.lock().waits_for_caller
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        self.lock().fault
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of a request, up to a limit.
pub(super) struct LimitedUpload {
    body: Body,
    left: u64,
    progress: Arc<Progress>,
}

impl LimitedUpload {
    pub(super) fn new(body: Body, limit: u64, progress: Arc<Progress>) -> Self {
        Self { body, left: limit, progress }
    }
}

impl HttpBody for LimitedUpload {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        loop {
            let polled = Pin::new(&mut self.body).poll_frame(context);
            let progress = Arc::clone(&self.progress);
            let mut state = progress.lock();
            state.waits_for_caller = polled.is_pending();
            let polled = ready!(polled);
            state.latest = Instant::now();
            let fault = match polled {
                None => return Poll::Ready(None),
                Some(Err(_)) => Fault::Incomplete,
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                    match self.left.checked_sub(length) {
                        Some(left) => {
                            self.left = left;
                            return Poll::Ready(Some(Ok(Frame::data(data))));
                        }
                        None => Fault::TooLarge,
                    }
                }
            };
            state.fault = Some(fault);
            return Poll::Ready(Some(Err(fault)));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a response. It ends with an error if the upstream breaks off or is silent for too
/// long, so that no caller takes a part for the whole.
pub(super) struct Download {
    body: Incoming,
    idle_timeout: Duration,
    /// The end of the wait for the upstream. It counts while `is_waiting`.
    silence: Pin<Box<Sleep>>,
    is_waiting: bool,
    /// Ends the body when this server stops.
    stop: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// The places of the call, until the body is dropped.
    _permits: Vec<OwnedSemaphorePermit>,
    /// For the log.
    upstream: String,
}

impl Download {
    pub(super) fn new(
        body: Incoming,
        idle_timeout: Duration,
        stop: Option<CancellationToken>,
        permits: Vec<OwnedSemaphorePermit>,
        upstream: String,
    ) -> Self {
        Self {
            body,
            idle_timeout,
            silence: Box::pin(tokio::time::sleep(idle_timeout)),
            is_waiting: false,
            stop: stop.map(|stop| Box::pin(stop.cancelled_owned())),
            _permits: permits,
            upstream,
        }
    }

    fn broke(&self, cause: &BoxError) {
        let Self { upstream, .. } = self;
        tracing::warn!(%upstream, %cause, "an upstream did not end its response");
    }
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while let Poll::Ready(polled) = Pin::new(&mut self.body).poll_frame(context) {
            self.is_waiting = false;
            match polled {
                None => return Poll::Ready(None),
                Some(Err(error)) => {
                    let error = error.into();
                    self.broke(&error);
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                }
            }
        }
        if let Some(stop) = &mut self.stop
            && stop.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(None);
        }
        // The time in which the caller reads nothing does not count.
        if !self.is_waiting {
            self.is_waiting = true;
            let end = Instant::now() + self.idle_timeout;
            self.silence.as_mut().reset(end);
        }
        ready!(self.silence.as_mut().poll(context));
        let error = BoxError::from("it is silent for too long");
        self.broke(&error);
        Poll::Ready(Some(Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
