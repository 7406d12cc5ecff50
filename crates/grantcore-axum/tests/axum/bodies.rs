//! Tests of bodies: too large, broken and slow ones, each with the error of its endpoint.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::support::browser::{Browser, hidden};
use crate::support::socket::{FORM, listen, message, raw, serve};
use crate::support::{self, Answer, CALLBACK, MCP, World, encode, policy};
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use axum::routing::post;
use grantcore::Reason;
use grantcore::policy::Limits;
use grantcore_axum::RequireToken;
use tokio::sync::oneshot;
use tower::ServiceExt as _;

const FORM_TYPE: &str = "application/x-www-form-urlencoded";
const FORMS: [&str; 3] = ["/oauth/token", "/oauth/revoke", "/oauth/introspect"];

fn request(path: &str, media_type: &str, body: Body) -> Request<Body> {
    Request::post(path).header("content-type", media_type).body(body).unwrap()
}

/// Returns a form of this length whose values are short enough.
fn long(bytes: usize) -> String {
    let mut form = format!("{}&", "x".repeat(3999)).repeat(bytes.div_ceil(4000));
    form.truncate(bytes);
    form
}

/// A body that ends in an error, as after a connection that broke or an invalid chunk.
struct Broken(Option<Bytes>);

impl HttpBody for Broken {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, io::Error>>> {
        let error = io::Error::other("the connection broke");
        Poll::Ready(Some(self.0.take().map(http_body::Frame::data).ok_or(error)))
    }
}

fn broken(text: &str) -> Body {
    Body::new(Broken(Some(Bytes::copy_from_slice(text.as_bytes()))))
}

/// A body without an end, whose every chunk is ready at once.
fn endless() -> Body {
    struct Endless;
    impl HttpBody for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(&[b'x'; 4096])))))
        }
    }
    Body::new(Endless)
}

fn assert_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, &*answer.error()), (status, code), "{answer:?}");
    assert_eq!(answer.header("x-correlation-id").unwrap().len(), 32);
}

#[tokio::test]
async fn token_05_a_body_that_is_too_large_is_refused_and_recorded() {
    let world = World::new();
    for path in FORMS {
        // Longer than the limit by a byte, by a lot, and without an end.
        for body in
            [long(16 * 1024 + 1).into(), long(1 << 20).into()].into_iter().chain([endless()])
        {
            let before = world.events().len();
            let answer = world.send(request(path, FORM_TYPE, body)).await;
            assert_error(&answer, 413, "invalid_request");
            assert_eq!(world.events().len(), before + 1);
            assert_eq!(world.reason(), Some(Reason::RequestTooLarge), "{path}");
        }
        let fits = long(16 * 1024);
        // The form names no client.
        let status = if path == "/oauth/introspect" { 401 } else { 400 };
        assert_eq!(world.send(request(path, FORM_TYPE, fits.into())).await.status, status);
    }
    for body in [Body::from(format!("{{{}}}", " ".repeat(16 * 1024 - 1))), endless()] {
        let answer = world.send(request("/oauth/register", "application/json", body)).await;
        assert_eq!((answer.status, world.reason()), (413, Some(Reason::RequestTooLarge)));
    }
}

#[tokio::test]
async fn authz_04_a_page_refuses_a_form_that_is_too_large() {
    let world = World::new();
    let mut browser = Browser::of(&world, "alice").await;
    for path in ["/oauth/authorize", "/oauth/authorize/consent"] {
        let answer = browser.send(request(path, FORM_TYPE, endless())).await;
        assert_eq!((answer.status, world.reason()), (400, Some(Reason::RequestTooLarge)), "{path}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(answer.header("location"), None);
    }
}

#[tokio::test]
async fn token_05_the_limits_are_those_of_the_policy() {
    let limits = Limits::default().with_request_bytes(400).with_registration_bytes(100_000);
    let world = World::with(policy().limits(limits));
    for path in FORMS {
        assert_eq!(world.send(request(path, FORM_TYPE, long(401).into())).await.status, 413);
        assert_ne!(world.send(request(path, FORM_TYPE, long(400).into())).await.status, 413);
    }
    let registration = |bytes: usize| {
        let head = format!("{{\"redirect_uris\":[\"{CALLBACK}\"]");
        let rest = " ".repeat(bytes - head.len() - 1);
        request("/oauth/register", "application/json", format!("{head}{rest}}}").into())
    };
    assert_eq!(world.send(registration(100_000)).await.status, 201);
    assert_eq!(world.send(registration(100_001)).await.status, 413);
    let wide = Limits::default().with_request_bytes(200_000).with_registration_bytes(400);
    let world = World::with(policy().limits(wide));
    assert_eq!(world.send(registration(401)).await.status, 413);
    let answer = world.send(request("/oauth/token", FORM_TYPE, long(200_000).into())).await;
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[tokio::test]
async fn token_02_a_body_that_breaks_off_is_refused_and_recorded() {
    let world = World::new();
    for path in FORMS {
        let answer = world.send(request(path, FORM_TYPE, broken("grant_type=refresh"))).await;
        assert_error(&answer, 400, "invalid_request");
        assert_eq!(world.reason(), Some(Reason::RequestUndecodable));
    }
    let broken_off = broken("{\"redirect_uris\":");
    let answer = world.send(request("/oauth/register", "application/json", broken_off)).await;
    assert_error(&answer, 400, "invalid_client_metadata");
    for path in ["/oauth/authorize", "/oauth/authorize/consent"] {
        let answer = world.send(request(path, FORM_TYPE, broken("client_id=app"))).await;
        assert_eq!((answer.status, world.reason()), (400, Some(Reason::RequestUndecodable)));
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(answer.header("location"), None);
    }
}

/// A part of a consent form must not count as the form.
#[tokio::test]
async fn consent_02_a_form_that_breaks_off_decides_nothing() {
    let world = World::new();
    let mut browser = Browser::of(&world, "alice").await;
    let page = browser.consent_page(&support::browser::Asking::app()).await;
    let mut form = hidden(&page);
    form.push(("decision".into(), "allow".into()));
    let fields: Vec<_> = form.iter().map(|(name, value)| (&**name, &**value)).collect();
    let cut = broken(&encode(&fields));
    let answer = browser.send(request("/oauth/authorize/consent", FORM_TYPE, cut)).await;
    assert_eq!((answer.status, answer.header("location")), (400, None));
    assert_eq!(browser.press(&page, "allow").await.status, 303);
}

#[tokio::test]
async fn token_02_a_broken_chunk_is_answered_over_a_socket() {
    let world = World::new();
    let (listener, address) = listen().await;
    serve(listener, world.app.clone());
    let request = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{FORM}\
         Transfer-Encoding: chunked\r\n\r\n5\r\ngrant\r\nno chunk\r\n"
    );
    let answer = raw(address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("\"error\":\"invalid_request\""), "{answer}");
    assert_eq!(world.reason(), Some(Reason::RequestUndecodable));
    let request = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{FORM}\
         Content-Length: 1000000\r\n\r\n{}",
        "x".repeat(1_000_000)
    );
    let answer = raw(address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

/// The client sends its whole body before it reads. A connection that is closed with bytes unread
/// is reset, and the response is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_07_a_refusal_of_a_large_body_is_delivered() {
    let world = World::new();
    let needs = world.server.policy().needs(MCP, "").unwrap();
    let layer = RequireToken::new(Arc::clone(&world.server), needs);
    let mcp = Router::new().route("/mcp", post(|| async { "never" })).route_layer(layer);
    let (listener, address) = listen().await;
    serve(listener, world.app.clone().merge(mcp));
    let large = "x".repeat(3_900_000);
    for (path, status) in [
        ("/mcp", 401),
        ("/oauth/token", 413),
        ("/oauth/revoke", 413),
        ("/oauth/register", 413),
        ("/oauth/authorize", 400),
        ("/oauth/authorize/consent", 400),
    ] {
        let answer = raw(address, &message("POST", path, address, FORM, &large)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
    // The client sends the body when it is asked to, and is not asked to.
    let more = format!("{FORM}Expect: 100-continue\r\n");
    let whole = String::from_utf8(message("POST", "/mcp", address, &more, &large)).unwrap();
    let head = &whole[..whole.len() - large.len()];
    let kept = head.replace("Connection: close\r\n", "");
    let answer = raw(address, kept.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("connection: close\r\n"), "{answer}");
}

/// Senders that never finish their body take no place of the requests that are decided.
#[tokio::test]
async fn rate_05_slow_bodies_keep_nobody_waiting() {
    let world = World::new();
    let mut slow = Vec::new();
    for _ in 0..1100 {
        let (keep, never) = oneshot::channel::<()>();
        let stream = until_dropped(never);
        let pending = world.app.clone().oneshot(request("/oauth/token", FORM_TYPE, stream));
        slow.push((keep, tokio::spawn(pending)));
    }
    tokio::task::yield_now().await;
    let answer = world.post("/oauth/token", &[("grant_type", "x"), ("client_id", "app")]).await;
    assert_eq!(answer.status, 400);
    assert!(world.tasks.finish(support::SOON).await);
    let (keep, pending) = slow.pop().unwrap();
    drop(keep);
    assert_eq!(Answer::of(pending.await.unwrap().unwrap()).await.status, 400);
}

/// Returns a body that ends when the sender of the channel is dropped.
fn until_dropped(never: oneshot::Receiver<()>) -> Body {
    struct Until(oneshot::Receiver<()>);
    impl HttpBody for Until {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            Pin::new(&mut self.0).poll(context).map(|_| None)
        }
    }
    Body::new(Until(never))
}
