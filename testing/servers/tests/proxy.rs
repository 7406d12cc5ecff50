//! Each fault of the proxy, against a server that says back what it is told.
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

/// An echo, and what it was told so far. Its threads end with their connections, the first with the
/// test's process.
fn echo() -> (SocketAddr, Receiver<u8>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (told, heard) = channel();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, told) = (connection.unwrap(), told.clone());
            thread::spawn(move || {
                let mut byte = [0];
                while connection.read_exact(&mut byte).is_ok() {
                    told.send(byte[0]).unwrap();
                    connection.write_all(&byte).unwrap();
                }
            });
        }
    });
    (address, heard)
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
fn without_a_fault_it_passes_everything_on_and_counts() {
    let (address, _heard) = echo();
    let proxy = Proxy::start(address);
    let (mut one, mut other) = (connect(&proxy), connect(&proxy));
    assert_eq!(ask(&mut one, 1).unwrap(), 1);
    assert_eq!(ask(&mut other, 2).unwrap(), 2);
    assert_eq!(ask(&mut one, 3).unwrap(), 3);
    assert_eq!(proxy.round_trips(), 3);
}

#[test]
fn a_request_dropped_before_is_never_heard() {
    let (address, heard) = echo();
    let proxy = Proxy::start(address);
    let mut connection = connect(&proxy);
    assert_eq!(ask(&mut connection, 1).unwrap(), 1);
    proxy.arm(Fault::DropBefore);
    assert_eq!(ask(&mut connection, 2).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    // Once: the next is served, on a new connection.
    assert_eq!(ask(&mut connect(&proxy), 3).unwrap(), 3);
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn a_request_dropped_after_is_heard_and_never_answered() {
    let (address, heard) = echo();
    let proxy = Proxy::start(address);
    let mut connection = connect(&proxy);
    proxy.arm(Fault::DropAfter);
    assert_eq!(ask(&mut connection, 1).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [1]);
    assert_eq!(ask(&mut connect(&proxy), 2).unwrap(), 2);
}

#[test]
fn a_late_answer_comes_later_than_the_client_waits_and_still_comes() {
    let (address, heard) = echo();
    let proxy = Proxy::start(address);
    let mut connection = connect(&proxy);
    proxy.arm(Fault::Delay(Duration::from_secs(3)));
    connection.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(matches!(
        ask(&mut connection, 1).unwrap_err().kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
    assert_eq!(heard.recv_timeout(Duration::from_secs(30)).unwrap(), 1);
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut answer = [0];
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [1]);
    assert_eq!(ask(&mut connection, 2).unwrap(), 2);
}

#[test]
fn a_reset_is_seen_as_one() {
    let (address, heard) = echo();
    let proxy = Proxy::start(address);
    let mut connection = connect(&proxy);
    proxy.arm(Fault::Reset);
    assert_eq!(ask(&mut connection, 1).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [1]);
    assert_eq!(ask(&mut connect(&proxy), 2).unwrap(), 2);
}

#[test]
fn its_connections_end_with_it() {
    let (address, _heard) = echo();
    let proxy = Proxy::start(address);
    let (mut connection, place) = (connect(&proxy), proxy.address());
    assert_eq!(ask(&mut connection, 1).unwrap(), 1);
    drop(proxy);
    assert!(ask(&mut connection, 2).is_err());
    assert_eq!(TcpStream::connect(place).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}
