//! A router on a real socket, and a client that sends bytes.

use std::net::SocketAddr;

use axum::Router;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::SOON;

/// Reserves a port of this machine.
pub async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves the router until the test ends.
pub fn serve(listener: TcpListener, app: Router) {
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
}

/// Sends these bytes, and returns everything that is answered until the server closes.
pub async fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
    read.expect("the server closes").unwrap();
    String::from_utf8(answer).unwrap()
}

/// Sends these bytes and resets the connection after this time (`SO_LINGER` 0).
pub async fn hang_up(address: SocketAddr, request: &[u8], after: std::time::Duration) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_zero_linger().unwrap();
    stream.write_all(request).await.unwrap();
    tokio::time::sleep(after).await;
    drop(stream);
}

/// Returns the bytes of a request whose connection is closed by its response.
pub fn message(method: &str, path: &str, host: SocketAddr, more: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

pub const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
