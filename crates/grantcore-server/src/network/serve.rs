//! The loop of the server. It accepts connections, serves their requests, and lets them end when
//! the server stops.
//!
//! axum's own loop has no limit of connections and no time-out for a head.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use axum::{BoxError, Router};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::Local;
use super::activity::Activity;
use super::connections::{Connections, Slot};
use super::streams::{self, UntilStop};
use crate::stop::Stop;

/// Serves until the server ends, and then until the requests that have begun are answered. Streams
/// of events end at once.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    connections: Arc<Connections>,
    stop: Stop,
) {
    let graceful = GracefulShutdown::new();
    // The tasks end when this future is dropped, so connections that do not end are closed.
    let mut serving = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.ending().cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    if let Some(slot) = connections.admit(peer.ip()) {
                        let watcher = graceful.watcher();
                        let stop = stop.clone();
                        let served = connection(stream, peer, slot, router.clone(), watcher, stop);
                        serving.spawn(served);
                    }
                }
                Err(error) => rest(&error).await,
            },
            Some(_) = serving.join_next() => {}
        }
    }
    drop(listener);
    connections.close_waiting();
    graceful.shutdown().await;
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
    router: Router,
    watcher: Watcher,
    stop: Stop,
) {
    let Ok(local) = stream.local_addr() else { return };
    // Responses are written whole, so Nagle's algorithm would only delay them.
    let _ = stream.set_nodelay(true);
    let activity = Arc::clone(slot.activity());
    let stream = TokioIo::new(Watched { stream, activity: Arc::clone(&activity) });
    let service = service_fn(|request: Request<Incoming>| {
        let router = router.clone();
        let activity = Arc::clone(&activity);
        let stop = stop.clone();
        let is_get = request.method() == Method::GET;
        async move {
            let mut response = answer(router, &activity, peer, local, request).await;
            if stop.is_draining() {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            if is_get && streams::is_events(response.headers()) {
                response = response.map(|body| Body::new(UntilStop::new(body, stop.ending())));
            }
            Ok::<_, std::convert::Infallible>(response)
        }
    });
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

/// Answers one request. The connection is busy until hyper has taken the whole response.
///
/// hyper takes a response that is complete at once, and begins no further request before it is
/// sent. So the connection counts as idle while the client receives it. A response that is a stream
/// is taken when the stream ends.
async fn answer(
    router: Router,
    activity: &Arc<Activity>,
    peer: SocketAddr,
    local: SocketAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let has_body = !request.body().is_end_stream();
    let Some(under_way) = activity.begin(has_body) else {
        let closing = (StatusCode::SERVICE_UNAVAILABLE, [(header::CONNECTION, "close")]);
        return axum::response::IntoResponse::into_response(closing);
    };
    let mut request = request.map(|body| {
        let waiting = has_body.then(|| Arc::clone(activity));
        Body::new(Upload { body, waiting })
    });
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(Local(local));
    request.extensions_mut().insert(Arc::clone(activity));
    let response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    // The body owns `under_way`, and is dropped once all of it is taken.
    response.map(|body| {
        Body::new(body.map_err(move |error| {
            let _ = &under_way;
            error
        }))
    })
}

/// The body of a request. It ends the wait for the body when it is complete, or when it is dropped
/// because no one reads on.
struct Upload {
    body: Incoming,
    /// `None` once the body has ended.
    waiting: Option<Arc<Activity>>,
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let is_whole = match &polled {
            Poll::Ready(None) => true,
            Poll::Ready(Some(Ok(_))) => self.body.is_end_stream(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => false,
        };
        // The connection may have been closed for another since. The request must not be decided
        // then.
        if is_whole && self.waiting.take().is_some_and(|activity| !activity.body_ended()) {
            let closing = io::Error::from(io::ErrorKind::ConnectionAborted);
            return Poll::Ready(Some(Err(closing.into())));
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(activity) = self.waiting.take() {
            activity.body_ended();
        }
    }
}

/// A stream that records on its [`Activity`] when bytes were read or written.
struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
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
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.record(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.record(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Watched {
    /// Records that bytes were written, if they were.
    fn record(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(count)) if count > 0) {
            self.activity.sent();
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::State;
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Barrier;

    use super::super::connections::tests::connections;
    use super::*;

    type Steps = State<Arc<Barrier>>;

    /// Reads the body and keeps it after its end.
    async fn read(State(steps): Steps, mut body: Body) {
        while let Some(frame) = body.frame().await {
            frame.unwrap();
        }
        steps.wait().await;
        steps.wait().await;
    }

    async fn leave_unread(State(steps): Steps) {
        steps.wait().await;
        steps.wait().await;
    }

    /// A stream of one event that never ends by itself.
    struct Endless(bool);

    impl HttpBody for Endless {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            if std::mem::take(&mut self.0) {
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from("data: 1\n\n")))));
            }
            Poll::Pending
        }
    }

    /// Reads a response until it has this text, or until its end.
    async fn read_to(stream: &mut TcpStream, end: Option<&str>) -> String {
        let mut text = String::new();
        while end.is_none_or(|end| !text.contains(end)) {
            let mut bytes = [0; 1024];
            let count = stream.read(&mut bytes).await.unwrap();
            text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
            if count == 0 {
                assert_eq!(end, None, "{text}");
                break;
            }
        }
        text
    }

    #[tokio::test]
    async fn a_stop_closes_connections_and_ends_streams_of_events() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let events = || async {
            ([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")], Body::new(Endless(true)))
        };
        let router =
            Router::new().route("/events", get(events)).route("/", get(|| async { "hello" }));
        let stop = Stop::default();
        let serving = tokio::spawn(serve(listener, router, connections(9, 9), stop.clone()));
        let mut connections = Vec::new();
        for path in ["/events", "/"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let end = if path == "/" { "hello" } else { "data: 1" };
            let begun = read_to(&mut stream, Some(end)).await;
            assert!(!begun.contains("connection: close"), "{begun}");
            connections.push(stream);
        }
        stop.drain();
        connections[1].write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let answer = read_to(&mut connections[1], None).await;
        assert!(answer.contains("connection: close") && answer.ends_with("hello"), "{answer}");
        stop.end();
        let rest = read_to(&mut connections[0], None).await;
        assert!(rest.ends_with("0\r\n\r\n"), "a whole body: {rest}");
        serving.await.unwrap();
    }

    /// With one place in all, no other connection is admitted while the request is decided.
    #[tokio::test]
    async fn a8_a_request_that_waits_for_no_body_keeps_its_place() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let steps = Arc::new(Barrier::new(2));
        let router = Router::new().route("/read", post(read)).route("/unread", post(leave_unread));
        let router = router.with_state(Arc::clone(&steps));
        let stop = Stop::default();
        let serving = tokio::spawn(serve(listener, router, connections(1, 1), stop.clone()));
        for (path, length, body) in [
            ("read", "Content-Length: 2", "hi"),
            ("read", "Transfer-Encoding: chunked", "2\r\nhi\r\n0\r\n\r\n"),
            ("unread", "Content-Length: 2", ""),
        ] {
            let head = format!("POST /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
            let mut first = TcpStream::connect(address).await.unwrap();
            let request = format!("{head}{length}\r\n\r\n{body}");
            first.write_all(request.as_bytes()).await.unwrap();
            steps.wait().await;
            let mut second = TcpStream::connect(address).await.unwrap();
            assert_eq!(second.read(&mut [0]).await.unwrap(), 0, "it is closed at once");
            steps.wait().await;
            let mut answer = String::new();
            first.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{path} {length}: {answer}");
        }
        stop.end();
        serving.await.unwrap();
    }
}
