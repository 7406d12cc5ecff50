//! The request that a log line belongs to, and the line of its response.
//!
//! `tracing` has spans for the first. A span of `tracing-subscriber` is an entry of a registry,
//! with a map of extensions and its formatted fields. To open and to close it takes 4,700
//! instructions. In the text format, the fields of the span are instead formatted once, and kept in
//! the thread while the request is polled, where [`TextLine`](super::text::TextLine) finds them. A
//! real span is opened in the other formats, under a filter that names spans, and for a request
//! that waits for something: its rest can move to another task, if its client hangs up or its time
//! is over.

use std::cell::RefCell;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use grantcore_axum::Source;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tracing::level_filters::LevelFilter;
use tracing::{Span, info_span};

use super::text::request_fields;

/// The target of the span of a request. A directive of the filter turns it off where the fields
/// are kept in the thread.
pub(super) const SPAN_TARGET: &str = "grantcore_server::request";
/// The target of the line of a response, by which filters know it.
const TARGET: &str = "grantcore_server::telemetry";

thread_local! {
    /// The fields of the request that this thread works on. Empty outside a request.
    static CURRENT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Calls `read` with the fields of the request that this thread works on. They are empty outside a
/// request, and if the request has a span.
pub(super) fn with_current<T>(read: impl FnOnce(&str) -> T) -> T {
    CURRENT.with_borrow(|fields| read(fields))
}

/// Swaps the fields of a request with those of the thread, and once more when it is dropped.
struct Entered<'a>(&'a mut String);

impl<'a> Entered<'a> {
    fn enter(fields: &'a mut String) -> Self {
        CURRENT.with_borrow_mut(|current| mem::swap(current, fields));
        Self(fields)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| mem::swap(current, self.0));
    }
}

/// A request in the log. Each line that is logged within it has its method, its path and its
/// source.
pub(crate) struct LoggedRequest {
    /// Empty if there is a span, or no log.
    fields: String,
    /// Disabled if there are fields.
    span: Span,
}

impl LoggedRequest {
    /// Returns the request in the log. Its path is recorded as a string, not by `Display`, so that
    /// the formatters escape terminal control sequences.
    pub(crate) fn of(request: &Request) -> Self {
        let method = request.method().as_str();
        let path = request.uri().path();
        let source = request.extensions().get::<Source>().map(|source| source.address());
        let shown = source.map(tracing::field::display);
        let span = info_span!(target: SPAN_TARGET, "request", method, path, source = shown);
        let is_kept = span.is_disabled() && LevelFilter::current() != LevelFilter::OFF;
        let fields = if is_kept { request_fields(method, path, source) } else { String::new() };
        Self { fields, span }
    }

    /// Moves it to what comes after its response.
    fn take(&mut self) -> Self {
        Self { fields: mem::take(&mut self.fields), span: self.span.clone() }
    }

    /// Answers the request within it, and logs the response: the status, and the time from the head
    /// of the request to the head of the response.
    pub(crate) fn answer<F: Future<Output = Response>>(self, answer: F) -> Answering<F> {
        Answering { answer: Some(answer), request: self, begun: Instant::now() }
    }

    fn within<T>(&mut self, work: impl FnOnce() -> T) -> T {
        if self.fields.is_empty() {
            return self.span.in_scope(work);
        }
        let _entered = Entered::enter(&mut self.fields);
        work()
    }

    /// Opens a real span, which what moves to another task takes along.
    fn open_span(&mut self) {
        if !self.fields.is_empty() {
            // A message is written without its name, and the fields are escaped already.
            let span = info_span!("request", message = self.fields.as_str());
            // The filter may have no spans of this level.
            if !span.is_disabled() {
                self.fields.clear();
                self.span = span;
            }
        }
    }
}

pin_project! {
    /// The future of a response, which is polled within its request.
    pub(crate) struct Answering<F> {
        // `None` once it has ended.
        #[pin]
        answer: Option<F>,
        request: LoggedRequest,
        begun: Instant,
    }

    impl<F> PinnedDrop for Answering<F> {
        /// If the client has hung up, the rest of the request moves to a task of its own, which
        /// looks for the span that it is dropped in.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            this.request.within(|| this.answer.set(None));
        }
    }
}

impl<F: Future<Output = Response>> Future for Answering<F> {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let mut this = self.project();
        let begun = *this.begun;
        let polled = this.request.within(|| {
            let answer = this.answer.as_mut().as_pin_mut();
            let response = ready!(answer.map_or(Poll::Pending, |answer| answer.poll(context)));
            log_response(&response, begun.elapsed());
            this.answer.set(None);
            Poll::Ready(response)
        });
        if polled.is_pending() {
            this.request.open_span();
        }
        polled.map(|response| {
            // Only a stream can log something after its head.
            if response.body().size_hint().exact().is_some() {
                return response;
            }
            let request = this.request.take();
            response.map(|body| Body::new(LoggedBody { body, request }))
        })
    }
}

fn log_response(response: &Response, latency: Duration) {
    let status = response.status().as_u16();
    let latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    if response.status().is_server_error() {
        tracing::error!(target: TARGET, status, latency_us, "answered");
    } else {
        tracing::info!(target: TARGET, status, latency_us, "answered");
    }
}

/// A body that is made within its request.
struct LoggedBody {
    body: Body,
    request: LoggedRequest,
}

impl HttpBody for LoggedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { body, request } = self.get_mut();
        request.within(|| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
