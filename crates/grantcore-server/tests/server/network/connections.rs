//! Tests of idle connections: they do not take the places of other clients, and all of them end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use grantcore_server::Running;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::start;
use crate::support::install_crypto_provider;

const HEAD: &[u8] = b"GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: localhost\r\n";
/// The limit of every wait, far above what a slow machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns a loopback address. All of 127.0.0.0/8 belongs to this machine.
fn loopback(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

async fn connect(server: &Running, from: IpAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    socket.connect(server.address()).await.unwrap()
}

/// Opens a connection and sends half a request head.
async fn half_a_head(server: &Running, from: IpAddr) -> TcpStream {
    let stream = connect(server, from).await;
    let _ = stream.writable().await;
    let _ = stream.try_write(HEAD);
    stream
}

/// Reads until the server closes the connection.
async fn until_closed(mut stream: TcpStream) -> String {
    let mut received = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut received)).await;
    // A reset is possible if the server had not read all bytes.
    let _ = closed.expect("the server closes the connection");
    String::from_utf8_lossy(&received).into_owned()
}

/// Requests a document over a new connection, and returns the status.
async fn status(server: &Running, from: IpAddr) -> u16 {
    install_crypto_provider();
    let http = reqwest::Client::builder().local_address(from).build().unwrap();
    let url = format!("http://{}/.well-known/oauth-authorization-server", server.address());
    let answer = tokio::time::timeout(PATIENCE, http.get(url).send()).await;
    answer.expect("the request is answered").unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_a_connection_that_sends_half_a_request_is_closed() {
    let server =
        start(&["--header-timeout", "3s", "--request-timeout", "1s", "--idle-timeout", "3s"]).await;
    let silent = connect(&server, loopback(1)).await;
    let half = half_a_head(&server, loopback(1)).await;
    let mut between = half_a_head(&server, loopback(1)).await;
    between.write_all(b"\r\n").await.unwrap();
    let mut second = half_a_head(&server, loopback(1)).await;
    second.write_all(&[b"\r\n", HEAD].concat()).await.unwrap();
    let mut body = connect(&server, loopback(1)).await;
    body.write_all(
        b"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\ngrant_type",
    )
    .await
    .unwrap();
    assert_eq!(until_closed(silent).await, "");
    assert_eq!(until_closed(half).await, "");
    for answered in [between, second] {
        let received = until_closed(answered).await;
        assert_eq!(received.matches("HTTP/1.1 200 OK").count(), 1, "{received}");
    }
    let received = until_closed(body).await;
    assert!(received.starts_with("HTTP/1.1 408 "), "{received}");
    assert!(received.contains("access-control-allow-origin: *\r\n"), "{received}");
    server.stop().await.unwrap();
}

/// The time-outs are long, so only the number of connections is limited.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_idle_connections_of_one_address_do_not_block_others() {
    let server = start(&["--header-timeout", "1h", "--max-connections-per-source", "16"]).await;
    let mut idle = Vec::new();
    for _ in 0..250 {
        idle.push(half_a_head(&server, loopback(2)).await);
    }
    assert_eq!(status(&server, loopback(3)).await, 200, "another address");
    assert_eq!(status(&server, loopback(2)).await, 200, "the same address, which others may share");
    // The oldest connections were closed for newer ones and for the request.
    for stream in idle.drain(..250 - 16) {
        until_closed(stream).await;
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_idle_connections_of_many_addresses_do_not_block_others() {
    let limits = ["--max-connections", "64", "--max-connections-per-source", "16"];
    let server = start(&[&["--header-timeout", "1h"], &limits[..]].concat()).await;
    let mut idle = Vec::new();
    for number in 0..250 {
        idle.push(half_a_head(&server, loopback(10 + number % 25)).await);
    }
    for last in [3, 4, 10] {
        assert_eq!(status(&server, loopback(last)).await, 200);
    }
    for stream in idle.drain(..250 - 64) {
        until_closed(stream).await;
    }
    server.stop().await.unwrap();
}

/// The connections of a proxy belong to all its users.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_the_limit_per_source_does_not_apply_to_a_trusted_proxy() {
    let server = start(&[
        "--header-timeout",
        "1h",
        "--max-connections-per-source",
        "1",
        "--trusted-proxies",
        "127.0.0.1",
    ])
    .await;
    let mut proxied = half_a_head(&server, loopback(1)).await;
    let stranger = half_a_head(&server, loopback(2)).await;
    let _newer = [half_a_head(&server, loopback(1)).await, half_a_head(&server, loopback(2)).await];
    until_closed(stranger).await;
    proxied.write_all(b"\r\n").await.unwrap();
    let mut status = [0; 12];
    tokio::time::timeout(PATIENCE, proxied.read_exact(&mut status)).await.unwrap().unwrap();
    assert_eq!(status, *b"HTTP/1.1 200");
    server.stop().await.unwrap();
}

/// A stop does not wait for idle connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_a_stop_ends_connections_without_a_request() {
    let server = start(&["--header-timeout", "1h", "--idle-timeout", "1h"]).await;
    let half = half_a_head(&server, loopback(1)).await;
    let mut kept = half_a_head(&server, loopback(1)).await;
    kept.write_all(b"\r\n").await.unwrap();
    let mut status = [0; 12];
    kept.read_exact(&mut status).await.unwrap();
    assert_eq!(status, *b"HTTP/1.1 200");
    server.stop().await.unwrap();
    until_closed(half).await;
    until_closed(kept).await;
}

/// Sends the head of a request, and returns once the server waits for the body.
async fn head_of_an_upload(server: &Running, from: IpAddr, length: &str) -> TcpStream {
    let mut stream = connect(server, from).await;
    let head = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\
         Expect: 100-continue\r\n{length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut go_on)).await.unwrap().unwrap();
    assert_eq!(go_on, *b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

/// Uploads without a body cannot hold all places, nor all places of one address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_bodies_that_never_come_do_not_block_others() {
    let limits = ["--max-connections", "64", "--max-connections-per-source", "16"];
    let server = start(&[&["--request-timeout", "1h"], &limits[..]].concat()).await;
    let mut held = Vec::new();
    for number in 0..64_u8 {
        let length = ["Content-Length: 100", "Transfer-Encoding: chunked"][usize::from(number % 2)];
        held.push(head_of_an_upload(&server, loopback(10 + number % 4), length).await);
    }
    assert_eq!(status(&server, loopback(3)).await, 200, "another address");
    assert_eq!(status(&server, loopback(11)).await, 200, "an address at its limit");
    for first in held.drain(..2) {
        assert_eq!(until_closed(first).await, "");
    }
    drop(held);
    server.stop().await.unwrap();
}

/// The time-out of the head does not apply to the body.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_a_slow_upload_is_answered() {
    let server = start(&["--header-timeout", "1s"]).await;
    let body = b"grant_type=nonsense&x";
    let length = format!("Content-Length: {}", body.len());
    let mut stream = head_of_an_upload(&server, loopback(1), &length).await;
    for byte in body {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stream.write_all(&[*byte]).await.unwrap();
    }
    let mut status = [0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut status)).await.unwrap().unwrap();
    assert_eq!(status, *b"HTTP/1.1 400");
    server.stop().await.unwrap();
}

/// The client sends requests until the buffers for its unread responses are full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_unread_responses_do_not_block_others() {
    let server = start(&["--header-timeout", "1h", "--max-connections", "2"]).await;
    let requests = "GET /troubleshooting HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    let mut unread = Vec::new();
    for last in [10, 11] {
        let stream = connect(&server, loopback(last)).await;
        let fill = async {
            let quiet = Duration::from_secs(1);
            while tokio::time::timeout(quiet, stream.writable()).await.is_ok() {
                let _ = stream.try_write(requests.as_bytes());
            }
        };
        tokio::time::timeout(PATIENCE, fill).await.expect("the server stops reading");
        unread.push(stream);
    }
    assert_eq!(status(&server, loopback(3)).await, 200);
    drop(unread);
    server.stop().await.unwrap();
}
