//! Tests of each fault of the proxy, with an echo server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use grantcore_testing_servers::{Fault, Proxy};

/// Starts an echo server, and returns its address and the bytes it receives. Its threads end with
/// their connections, and the listening thread ends with the process.
fn echo() -> (SocketAddr, Receiver<u8>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, received) = channel();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let sender = sender.clone();
            thread::spawn(move || {
                let mut byte = [0];
                while connection.read_exact(&mut byte).is_ok() {
                    sender.send(byte[0]).unwrap();
                    connection.write_all(&byte).unwrap();
                }
            });
        }
    });
    (address, received)
}

fn ask(connection: &mut TcpStream, byte: u8) -> std::io::Result<u8> {
    let mut answer = [0];
    connection.write_all(&[byte])?;
    connection.read_exact(&mut answer)?;
    Ok(answer[0])
}

fn connect(proxy: &Proxy) -> TcpStream {
    let connection = TcpStream::connect(proxy.address()).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    connection
}

#[test]
fn without_a_fault_all_bytes_are_passed_on_and_round_trips_are_counted() {
    let (address, _received) = echo();
    let proxy = Proxy::start(address);
    let mut one = connect(&proxy);
    let mut other = connect(&proxy);
    assert_eq!(ask(&mut one, 1).unwrap(), 1);
    assert_eq!(ask(&mut other, 2).unwrap(), 2);
    assert_eq!(ask(&mut one, 3).unwrap(), 3);
    assert_eq!(proxy.round_trips(), 3);
}

#[test]
fn a_request_dropped_before_does_not_reach_the_server() {
    let (address, received) = echo();
    let proxy = Proxy::start(address);
    let mut connection = connect(&proxy);
    assert_eq!(ask(&mut connection, 1).unwrap(), 1);
    proxy.arm(Fault::DropBefore);
    assert_eq!(ask(&mut connection, 2).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    // The fault applies once: the next request is served, on a new connection.
    assert_eq!(ask(&mut connect(&proxy), 3).unwrap(), 3);
    assert_eq!(received.try_iter().collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn a_request_dropped_after_reaches_the_server_and_is_not_answered() {
    let (address, received) = echo();
    let proxy = Proxy::start(address);
    let mut connection = connect(&proxy);
    proxy.arm(Fault::DropAfter);
    assert_eq!(ask(&mut connection, 1).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(received.try_iter().collect::<Vec<_>>(), [1]);
    assert_eq!(ask(&mut connect(&proxy), 2).unwrap(), 2);
}

#[test]
fn a_delayed_response_comes_after_the_time_out_of_the_client() {
    let (address, received) = echo();
    let proxy = Proxy::start(address);
    let mut connection = connect(&proxy);
    proxy.arm(Fault::Delay(Duration::from_secs(3)));
    connection.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(matches!(
        ask(&mut connection, 1).unwrap_err().kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
    assert_eq!(received.recv_timeout(Duration::from_secs(30)).unwrap(), 1);
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut answer = [0];
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [1]);
    assert_eq!(ask(&mut connection, 2).unwrap(), 2);
}

#[test]
fn a_reset_reaches_the_client_as_a_reset() {
    let (address, received) = echo();
    let proxy = Proxy::start(address);
    let mut connection = connect(&proxy);
    proxy.arm(Fault::Reset);
    assert_eq!(ask(&mut connection, 1).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(received.try_iter().collect::<Vec<_>>(), [1]);
    assert_eq!(ask(&mut connect(&proxy), 2).unwrap(), 2);
}

#[test]
fn dropping_the_proxy_ends_its_connections() {
    let (address, _received) = echo();
    let proxy = Proxy::start(address);
    let mut connection = connect(&proxy);
    let place = proxy.address();
    assert_eq!(ask(&mut connection, 1).unwrap(), 1);
    drop(proxy);
    assert!(ask(&mut connection, 2).is_err());
    assert_eq!(TcpStream::connect(place).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}
