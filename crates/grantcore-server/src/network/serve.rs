//! The loop of the server. It accepts connections, serves their requests, and lets them end when
//! the server stops.
//!
//! axum's own loop has no limit of connections and no time-out for a head.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::{Json, Router};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::Service as _;

use super::Connection;
use super::activity::{Activity, UnderWay};
use super::connections::{Connections, Slot};
use super::streams::{self, UntilStop};
use super::too_long::{self, Instead};
use super::unread::{Linger, Upload, is_drained};
use crate::stop::Stop;

/// The number of connections that are accepted at most when the port closes. So many fit into the
/// queue of a listener of tokio.
const QUEUE_LIMIT: usize = 1024;

/// What answers the requests of a listener. A clone shares it.
pub(crate) trait Application: Clone + Send + Sync + 'static {
    /// Returns the response to a request on this connection.
    fn respond(
        &self,
        request: Request<Body>,
        connection: &Arc<Connection>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

impl Application for Router {
    async fn respond(&self, request: Request<Body>, _: &Arc<Connection>) -> Response<Body> {
        match self.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Serves until the port closes. Open connections may begin requests until the server ends, and
/// requests that have begun are answered. Streams of events end with the server.
pub(crate) async fn serve(
    listener: TcpListener,
    application: impl Application,
    connections: Arc<Connections>,
    stop: Stop,
) {
    let graceful = GracefulShutdown::new();
    // The tasks end when this future is dropped, so connections that do not end are closed.
    let mut serving = JoinSet::new();
    let begin = |stream, peer: SocketAddr, serving: &mut JoinSet<()>| {
        if let Some(slot) = connections.admit(peer.ip()) {
            let watcher = graceful.watcher();
            let application = application.clone();
            serving.spawn(connection(stream, peer, slot, application, watcher, stop.clone()));
        }
    };
    loop {
        tokio::select! {
            () = stop.closing().cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => begin(stream, peer, &mut serving),
                Err(error) => rest(&error).await,
            },
            Some(_) = serving.join_next() => {}
        }
    }
    // To their clients the queued connections are open. They may have sent a request already.
    for (stream, peer) in queued(listener) {
        begin(stream, peer, &mut serving);
    }
    stop.ending().cancelled().await;
    connections.close_waiting();
    graceful.shutdown().await;
}

/// Closes the port, and returns the connections that were not accepted yet.
fn queued(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    // tokio's listener does not look into the queue before its driver has reported a connection.
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let accepted = std::iter::from_fn(|| listener.accept().ok()).take(QUEUE_LIMIT);
    let streams = accepted.filter_map(|(stream, peer)| {
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, peer))
    });
    streams.collect()
}

/// Waits for a second after an error of `accept`, because the next call would fail in the same way:
/// for example, the process has no files left. A connection that broke before it was accepted needs
/// no wait.
async fn rest(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "a connection could not be accepted");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Serves one connection until it ends, reaches a deadline, or is closed for another.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    slot: Slot,
    application: impl Application,
    watcher: Watcher,
    stop: Stop,
) {
    let Ok(local) = stream.local_addr() else { return };
    // Responses are written whole, so Nagle's algorithm would only delay them.
    let _ = stream.set_nodelay(true);
    let activity = Arc::clone(slot.activity());
    let stream = TokioIo::new(Watched {
        stream,
        activity: Arc::clone(&activity),
        linger: Linger::default(),
        instead: None,
    });
    let connection = Arc::new(Connection { peer, local, activity: Arc::clone(&activity) });
    let served = Arc::new(Served { application, connection, stop });
    let service = service_fn(|request| Arc::clone(&served).answer(request));
    let serving = watcher.watch(http1::Builder::new().serve_connection(stream, service));
    tokio::select! {
        // A request that has arrived begins before the deadline is checked.
        biased;
        ended = serving => if let Err(error) = ended {
            tracing::trace!(%error, "a connection broke");
        },
        () = activity.over() => {}
    }
    drop(slot);
}

/// What the requests of one connection share.
struct Served<A> {
    application: A,
    connection: Arc<Connection>,
    stop: Stop,
}

impl<A: Application> Served<A> {
    /// Answers one request. The connection is busy until hyper has taken the whole response.
    ///
    /// hyper takes a response that is complete at once, and begins no further request before it is
    /// sent. So the connection counts as idle while the client receives it. A response that is a
    /// stream is taken when the stream ends.
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Outgoing>, Infallible> {
        let Self { application, connection, stop } = &*self;
        let activity = &connection.activity;
        let has_body = !request.body().is_end_stream();
        let under_way = activity.begin(has_body);
        let mut response = if under_way.is_none() {
            (StatusCode::SERVICE_UNAVAILABLE, [CLOSE]).into_response()
        } else if has_plain_coding(request.headers()) {
            let is_get = request.method() == Method::GET;
            let drains = is_drained(request.headers(), request.body());
            let upload = |body| Body::new(Upload::new(body, drains, activity));
            // An empty body takes no memory.
            let request = request.map(|body| if has_body { upload(body) } else { Body::empty() });
            let mut response = application.respond(request, connection).await;
            if has_body && !drains && activity.has_unread() {
                response.headers_mut().insert(CLOSE.0, CLOSE.1);
            }
            if is_get && streams::is_events(response.headers()) {
                response = response.map(|body| Body::new(UntilStop::new(body, stop.ending())));
            }
            response
        } else {
            activity.body_dropped(false);
            unknown_coding()
        };
        if stop.is_draining() {
            response.headers_mut().insert(CLOSE.0, CLOSE.1);
        }
        Ok(response.map(|body| Outgoing { body, _under_way: under_way }))
    }
}

/// The body of a response. It is dropped once hyper has taken all of it.
struct Outgoing {
    body: Body,
    _under_way: Option<UnderWay>,
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The header of the last response of a connection.
const CLOSE: (header::HeaderName, HeaderValue) =
    (header::CONNECTION, HeaderValue::from_static("close"));

/// Returns whether the body has no transfer coding other than `chunked`. Others are not decoded,
/// and a resource would get the encoded bytes as the body (RFC 9112 §6.1).
fn has_plain_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
}

fn unknown_coding() -> Response<Body> {
    let body = serde_json::json!({
        "error": "invalid_request",
        "error_description": "The only transfer coding is chunked.",
    });
    let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    (StatusCode::NOT_IMPLEMENTED, [CLOSE, no_store], Json(body)).into_response()
}

/// A stream that records on its [`Activity`] when bytes were read or written. At its end it lingers
/// if something was left unread.
struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
    linger: Linger,
    /// The page in the place of hyper's own response.
    instead: Option<Instead>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.received();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.replaces(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.record(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if slices.first().is_some_and(|first| self.replaces(first)) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.record(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, instead, .. } = self.get_mut();
        if let Some(instead) = instead {
            ready!(instead.poll_write(stream, context))?;
        }
        Pin::new(stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, activity, linger, instead } = self.get_mut();
        if let Some(instead) = instead {
            ready!(instead.poll_write(stream, context))?;
        }
        let ended = ready!(Pin::new(&mut *stream).poll_shutdown(context));
        if ended.is_ok() && activity.has_unread() {
            ready!(linger.poll(stream, context));
        }
        Poll::Ready(ended)
    }
}

impl Watched {
    /// Returns whether a page is sent in the place of these bytes.
    fn replaces(&mut self, bytes: &[u8]) -> bool {
        let is_replaced = too_long::is_own(bytes) && self.activity.waits_for_head();
        if is_replaced {
            self.instead = Some(Instead::new());
            self.activity.body_dropped(false);
        }
        is_replaced
    }

    /// Records that bytes were written, if they were.
    fn record(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(count)) if count > 0) {
            self.activity.sent();
        }
        written
    }
}

#[cfg(test)]
mod tests;
