//! Tests of bodies: both are streams, with limits.

use super::*;

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
const STREAM: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Each side sends a part only after the other one has the part before.
#[tokio::test]
async fn protect_both_bodies_are_streams() {
    let setting = Setting::by_flag().await;
    let mut caller = setting.call("POST /notes", CHUNKED).await;
    caller.send("3\r\none\r\n").await;
    let mut upstream = setting.accept().await;
    upstream.head().await;
    upstream.expect("3\r\none\r\n").await;
    upstream.send(STREAM).await;
    let (_, lines) = caller.head().await;
    assert!(lines.contains(&"x-accel-buffering: no".to_owned()), "{lines:?}");
    for _ in 0..3 {
        upstream.send("B\r\ndata: one\n\n\r\n").await;
        caller.expect("B\r\ndata: one\n\n\r\n").await;
        caller.send("3\r\ntwo\r\n").await;
        upstream.expect("3\r\ntwo\r\n").await;
    }
    caller.send("0\r\n\r\n").await;
    upstream.expect("0\r\n\r\n").await;
    upstream.send("0\r\n\r\n").await;
    caller.expect("0\r\n\r\n").await;
    setting.server.stop().await.unwrap();
}

#[tokio::test]
async fn protect_a_body_over_the_limit_is_refused() {
    let setting = Setting::by_file("max_body = 10").await;
    let mut caller = setting.call("POST /notes", "Content-Length: 11\r\n").await;
    assert_eq!(caller.head().await.0, "HTTP/1.1 413 Payload Too Large");

    // Only this call has reached the upstream, which never gets the end of the body.
    let mut caller = setting.call("POST /notes", CHUNKED).await;
    caller.send("A\r\n0123456789\r\n").await;
    let mut upstream = setting.accept().await;
    upstream.head().await;
    upstream.expect("A\r\n0123456789\r\n").await;
    caller.send("1\r\nx\r\n").await;
    assert_eq!(caller.head().await.0, "HTTP/1.1 413 Payload Too Large");
    assert_eq!(upstream.rest().await, "");

    let mut caller = setting.call("POST /notes", "Content-Length: 10\r\n").await;
    caller.send("0123456789").await;
    let mut upstream = setting.accept().await;
    let (_, lines) = upstream.head().await;
    assert!(lines.contains(&"content-length: 10".to_owned()), "{lines:?}");
    upstream.expect("0123456789").await;
    upstream.send(OK).await;
    assert_eq!(caller.head().await.0, "HTTP/1.1 200 OK");
    setting.server.stop().await.unwrap();
}

/// The caller gets what was sent, and no end: neither of a stream nor of a body with a length.
#[tokio::test]
async fn protect_a_response_that_breaks_off_has_no_end() {
    let setting = Setting::by_file("idle_timeout = '1s'").await;
    for (head, part) in [
        (STREAM, "B\r\ndata: one\n\n\r\n"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "part"),
    ] {
        for dies in [true, false] {
            let mut caller = setting.call("GET /notes", "").await;
            let mut upstream = setting.accept().await;
            upstream.head().await;
            upstream.send(&format!("{head}{part}")).await;
            caller.head().await;
            caller.expect(part).await;
            if dies {
                drop(upstream);
                assert_eq!(caller.rest().await, "", "{head}");
            } else {
                assert_eq!(caller.rest().await, "", "{head}: silent for too long");
                assert_eq!(upstream.rest().await, "", "its connection is closed too");
            }
        }
    }
    setting.server.stop().await.unwrap();
}

#[tokio::test]
async fn protect_a_caller_that_hangs_up_ends_the_call() {
    let setting = Setting::by_flag().await;
    // Before a response, within a response, and within a request.
    for part in 0..3 {
        let more = if part == 2 { CHUNKED } else { "" };
        let mut caller = setting.call("POST /notes", more).await;
        let mut upstream = setting.accept().await;
        upstream.head().await;
        if part == 1 {
            upstream.send(STREAM).await;
            caller.head().await;
        }
        drop(caller);
        assert_eq!(upstream.rest().await, "", "{part}");
    }
    setting.server.stop().await.unwrap();
}

/// An upstream has as many calls as its limit, and as all upstreams have together.
#[tokio::test]
async fn protect_calls_beyond_the_limit_are_refused_until_one_ends() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let flag = format!("/notes=http://{}/mcp", upstream.local_addr().unwrap());
    let server = start(&["--protect", &flag, "--max-upstream-calls", "1"]).await;
    let token = token(server.issuer(), "demo-public", "/notes", None).await;
    let of_all = Setting { server, upstream, token };
    for setting in [Setting::by_file("max_calls = 1").await, of_all] {
        let mut first = setting.call("GET /notes", "").await;
        let mut upstream = setting.accept().await;
        upstream.head().await;
        upstream.send(STREAM).await;
        first.head().await;
        let mut second = setting.call("GET /notes", "").await;
        let (status, lines) = second.head().await;
        assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
        assert!(lines.contains(&"retry-after: 1".to_owned()), "{lines:?}");
        upstream.send("0\r\n\r\n").await;
        assert_eq!(first.0.read_u8().await.unwrap(), b'0', "the first call ends");
        drop(first);
        upstream.rest().await;
        let mut third = setting.call("GET /notes", "").await;
        let mut upstream = setting.accept().await;
        upstream.head().await;
        upstream.send(OK).await;
        assert_eq!(third.head().await.0, "HTTP/1.1 200 OK");
        setting.server.stop().await.unwrap();
    }
}

/// A client listens on such a stream for as long as it runs.
#[tokio::test]
async fn protect_a_stop_ends_the_streams_that_clients_listen_on() {
    let setting = Setting::by_flag().await;
    let mut caller = setting.call("GET /notes", "").await;
    let mut upstream = setting.accept().await;
    upstream.head().await;
    upstream.send(STREAM).await;
    caller.head().await;
    setting.server.stop().await.unwrap();
    assert_eq!(caller.rest().await, "0\r\n\r\n");
    assert_eq!(upstream.rest().await, "");
}
