//! Tests of responses that are sent before the whole request has arrived: the client receives them,
//! and the connection serves the next request or says that it does not.

use std::time::Duration;

use grantcore_server::Running;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::start;

/// The limit of every wait, far above what a slow machine needs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Below the 4 MiB of a protected path, and far above what the buffers of two sockets keep.
const LARGE: usize = 3_900_000;
const NEXT: &str =
    "GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: localhost\r\n\r\n";

async fn connect(server: &Running) -> TcpStream {
    TcpStream::connect(server.address()).await.unwrap()
}

/// Reads a response: its head, and the body that its length names.
async fn response(stream: &mut TcpStream) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let read = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
        head.push(read.expect("a response").expect("no reset"));
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Requests that are refused without their bodies, and the status. `{}` is where `Content-Length`
/// or `Transfer-Encoding` goes.
const REFUSED: [(&str, u16); 13] = [
    ("POST /mcp HTTP/1.1\r\nHost: localhost\r\n{}", 401),
    ("POST /mcp/ HTTP/1.1\r\nHost: localhost\r\n{}", 401),
    ("POST /api HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n{}", 401),
    ("POST /notes HTTP/1.1\r\nHost: localhost\r\n{}", 401),
    ("POST /notes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a b\r\n{}", 400),
    ("POST /nowhere HTTP/1.1\r\nHost: localhost\r\n{}", 404),
    ("POST /oauth/token HTTP/1.1\r\nHost: evil.example\r\n{}", 403),
    ("POST /oauth/authorize HTTP/1.1\r\nHost: evil.example\r\n{}", 403),
    ("POST /oauth/token HTTP/1.1\r\nHost: localhost\r\n{}", 413),
    (
        "POST /oauth/register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{}",
        413,
    ),
    ("POST /oauth/consent HTTP/1.1\r\nHost: localhost\r\n{}", 400),
    ("POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{}", 400),
    ("PUT /login HTTP/1.1\r\nHost: localhost\r\n{}", 405),
];

async fn protecting() -> Running {
    start(&["--protect", "/notes=http://127.0.0.1:9/mcp"]).await
}

/// Sends a large body whole, and reads only then, as a simple client does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_07_a_refusal_of_a_large_body_is_delivered_at_every_address() {
    let server = protecting().await;
    for (head, expected) in REFUSED {
        for chunked in [false, true] {
            let mut stream = connect(&server).await;
            let (length, body) = if chunked {
                let chunk = format!("{LARGE:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(LARGE));
                ("Transfer-Encoding: Chunked\r\n".to_owned(), chunk)
            } else {
                (format!("Content-Length: {LARGE}\r\n"), "x".repeat(LARGE))
            };
            let head = format!("{}\r\n", head.replace("{}", &length));
            stream.write_all(head.as_bytes()).await.unwrap();
            let sent = tokio::time::timeout(PATIENCE, stream.write_all(body.as_bytes())).await;
            sent.expect("the body is read").expect("the connection is not reset");
            let (answer, _) = response(&mut stream).await;
            assert_eq!(status(&answer), expected, "{head}: {answer}");
            assert!(!answer.contains("connection: close"), "{head}: {answer}");
            stream.write_all(NEXT.as_bytes()).await.unwrap();
            assert_eq!(status(&response(&mut stream).await.0), 200, "{head}");
        }
    }
    server.stop().await.unwrap();
}

/// The response comes before the rest of the body.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_07_the_rest_of_a_small_body_is_no_next_request() {
    let server = protecting().await;
    for (head, expected) in
        REFUSED.into_iter().filter(|(_, status)| [401, 403, 404].contains(status))
    {
        let mut stream = connect(&server).await;
        let head = head.replace("{}", "Content-Length: 40\r\n");
        stream.write_all(format!("{head}\r\nfirst part,").as_bytes()).await.unwrap();
        // What is read of a body before its refusal is read by the MCP endpoint, which bills by it.
        if !head.contains("/mcp") {
            assert_eq!(status(&response(&mut stream).await.0), expected, "{head}");
        }
        stream.write_all(b"GET /second HTTP/1.1\r\n 3456\r\n").await.unwrap();
        if head.contains("/mcp") {
            assert_eq!(status(&response(&mut stream).await.0), expected, "{head}");
        }
        stream.write_all(NEXT.as_bytes()).await.unwrap();
        let (answer, body) = response(&mut stream).await;
        assert_eq!((status(&answer), body.contains("issuer")), (200, true), "{head}: {answer}");
    }
    server.stop().await.unwrap();
}

/// A body that is too long to be thrown away ends the connection, once the client has the response.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_07_a_response_that_ends_the_connection_says_so() {
    let server = protecting().await;
    let is_early =
        |(head, status): &(&str, u16)| [401, 403, 404].contains(status) && !head.contains("/mcp");
    let early: Vec<_> = REFUSED.into_iter().filter(is_early).collect();
    for (more, body, requests) in [
        ("Content-Length: 100000000\r\n", 20_000_000, &early[..1]),
        ("Content-Length: 40\r\nExpect: 100-continue\r\n", 0, &early),
    ] {
        for &(head, expected) in requests {
            let mut stream = connect(&server).await;
            let head = head.replace("{}", more);
            stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
            let mut left = body;
            while left > 0 {
                let part = vec![b'x'; left.min(1_000_000)];
                let sent = tokio::time::timeout(PATIENCE, stream.write_all(&part)).await;
                sent.expect("what arrives is read").expect("the connection is not reset");
                left -= part.len();
            }
            let (answer, _) = response(&mut stream).await;
            assert_eq!(status(&answer), expected, "{head}: {answer}");
            assert!(answer.contains("connection: close\r\n"), "{head}: {answer}");
            let mut rest = Vec::new();
            let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
            assert_eq!(closed.expect("closed").expect("no reset"), 0, "{head}");
        }
    }
    server.stop().await.unwrap();
}

/// A resource would get the compressed bytes as the body (RFC 9112 §6.1).
#[tokio::test]
async fn rs_07_an_unknown_transfer_coding_is_refused() {
    let server = protecting().await;
    for coding in ["gzip, chunked", "gzip\r\nTransfer-Encoding: chunked", "chunked, chunked"] {
        for path in ["/notes", "/mcp", "/oauth/token", "/nowhere"] {
            let mut stream = connect(&server).await;
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {coding}\r\n\r\n"
            );
            stream.write_all(format!("{head}3\r\nabc\r\n0\r\n\r\n").as_bytes()).await.unwrap();
            let (answer, _) = response(&mut stream).await;
            assert!([400, 501].contains(&status(&answer)), "{coding} {path}: {answer}");
            assert!(answer.contains("connection: close\r\n"), "{coding} {path}: {answer}");
        }
    }
    server.stop().await.unwrap();
}

/// Sends these bytes, and reads the response to its end.
async fn raw(server: &Running, request: &str) -> String {
    let mut stream = connect(server).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a10_an_incomplete_body_is_not_reported_as_too_large() {
    let server = start(&[]).await;
    let form_type = "application/x-www-form-urlencoded";
    for (path, media_type, code, description) in [
        ("/oauth/token", form_type, "invalid_request", "not form-encoded"),
        ("/oauth/revoke", form_type, "invalid_request", "not form-encoded"),
        ("/oauth/introspect", form_type, "invalid_request", "not form-encoded"),
        ("/oauth/authorize", form_type, "invalid_request", "not form-encoded"),
        ("/oauth/register", "application/json", "invalid_client_metadata", "JSON"),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {media_type}\r\n\
             Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
            server.address()
        );
        let answer = raw(&server, &format!("{head}zz\r\nnonsense")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
        assert!(answer.contains(code) && answer.contains(description), "{path}: {answer}");
        let large = format!("{head}20000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x20000));
        let answer = raw(&server, &large).await;
        let status = if path == "/oauth/authorize" { "400" } else { "413" };
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
    server.stop().await.unwrap();
}
