use axum::extract::State;
use axum::routing::{get, post};
use http_body_util::BodyExt as _;
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
    type Error = Infallible;

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
    let router = Router::new().route("/events", get(events)).route("/", get(|| async { "hello" }));
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

/// The requests of a proxy: one in a connection that was not accepted yet, one on a connection that
/// has had none, and one on a connection that the proxy keeps.
#[tokio::test]
async fn requests_on_their_way_when_the_port_closes_are_answered() {
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(|| async { "hello" }));
    let stop = Stop::default();
    let connections = connections(9, 9);
    let serving = tokio::spawn(serve(listener, router, Arc::clone(&connections), stop.clone()));
    let mut kept = TcpStream::connect(address).await.unwrap();
    kept.write_all(REQUEST).await.unwrap();
    read_to(&mut kept, Some("hello")).await;
    let fresh = TcpStream::connect(address).await.unwrap();
    let mut unused = TcpStream::connect(address).await.unwrap();
    while connections.count() < 3 {
        tokio::task::yield_now().await;
    }
    // Without an `await` until the port closes, so that the server does not see this connection.
    let mut queued = std::net::TcpStream::connect(address).unwrap();
    io::Write::write_all(&mut queued, REQUEST).unwrap();
    stop.close();
    queued.set_nonblocking(true).unwrap();
    let queued = TcpStream::from_std(queued).unwrap();
    while TcpStream::connect(address).await.is_ok() {}
    for (mut stream, sends) in [(queued, false), (fresh, true), (kept, true)] {
        if sends {
            stream.write_all(REQUEST).await.unwrap();
        }
        let answer = read_to(&mut stream, None).await;
        assert!(answer.contains("connection: close") && answer.ends_with("hello"), "{answer}");
    }
    stop.end();
    assert_eq!(unused.read(&mut [0]).await.unwrap(), 0, "it ends with the server");
    serving.await.unwrap();
}
