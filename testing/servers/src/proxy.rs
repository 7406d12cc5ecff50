//! A TCP proxy that makes one request fail in a chosen way, and counts round trips.

use std::io::{self, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;

/// What happens to the next request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the crate serves this workspace only")]
pub enum Fault {
    /// The request is passed on.
    #[default]
    None,
    /// The request is not passed on, and the client's connection is closed.
    DropBefore,
    /// The server answers, but the response is not passed on and the client's connection is closed.
    DropAfter,
    /// The response is delayed by this time.
    Delay(Duration),
    /// The server answers, and then both connections are reset.
    Reset,
}

/// A TCP proxy on a free loopback port. Dropping it ends its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

/// The state that the threads share.
#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    ended: AtomicBool,
    next: Mutex<Fault>,
    round_trips: AtomicUsize,
    connections: Mutex<Vec<Weak<Connection>>>,
}

/// A client's connection, with its connection to the server.
#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// The fault to apply to the next response.
    fault: Mutex<Fault>,
    /// Whether the client waits for a response of the server.
    is_waiting: AtomicBool,
}

impl Proxy {
    /// Starts a proxy to this address.
    pub fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            to,
            ended: AtomicBool::new(false),
            next: Mutex::default(),
            round_trips: AtomicUsize::new(0),
            connections: Mutex::default(),
        });
        let listening = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.listen(&listener)
        });
        Self { address, shared, listening: Some(listening) }
    }

    /// Returns the address of the proxy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Applies a fault to the next bytes that any client sends, once.
    pub fn arm(&self, fault: Fault) {
        *lock(&self.shared.next) = fault;
    }

    /// Returns how often clients began to wait for a response. Requests that are sent together
    /// count once.
    pub fn round_trips(&self) -> usize {
        self.shared.round_trips.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that listens.
        let woken = TcpStream::connect(self.address);
        if let (Ok(_), Some(listening)) = (woken, self.listening.take()) {
            let _ = listening.join();
        }
        for connection in
            lock(&self.shared.connections).drain(..).filter_map(|connection| connection.upgrade())
        {
            connection.close();
        }
    }
}

impl Shared {
    fn listen(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            // If the server does not run, the client's connection is closed.
            let _ = client.and_then(|client| self.serve(client));
        }
    }

    fn serve(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.to)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let connection = Arc::new(Connection {
            client,
            server,
            fault: Mutex::default(),
            is_waiting: AtomicBool::new(false),
        });
        lock(&self.connections).push(Arc::downgrade(&connection));
        let shared = Arc::clone(self);
        let requests = Arc::clone(&connection);
        thread::spawn(move || {
            pump(&requests.client, |bytes| shared.request(&requests, bytes), || requests.close());
        });
        thread::spawn(move || {
            pump(&connection.server, |bytes| connection.answer(bytes), || connection.close());
        });
        Ok(())
    }

    /// Handles bytes of a client.
    fn request(&self, connection: &Connection, bytes: &[u8]) -> io::Result<()> {
        if !connection.is_waiting.swap(true, Ordering::SeqCst) {
            self.round_trips.fetch_add(1, Ordering::SeqCst);
        }
        match mem::take(&mut *lock(&self.next)) {
            Fault::None => {}
            Fault::DropBefore => return Err(io::ErrorKind::ConnectionAborted.into()),
            fault => *lock(&connection.fault) = fault,
        }
        (&connection.server).write_all(bytes)
    }
}

impl Connection {
    /// Handles bytes of the server.
    fn answer(&self, bytes: &[u8]) -> io::Result<()> {
        match mem::take(&mut *lock(&self.fault)) {
            Fault::None => {}
            Fault::Delay(time) => thread::sleep(time),
            Fault::Reset => {
                self.reset();
                return Ok(());
            }
            Fault::DropBefore | Fault::DropAfter => {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        self.is_waiting.store(false, Ordering::SeqCst);
        (&self.client).write_all(bytes)
    }

    /// Closes both connections.
    fn close(&self) {
        for side in [&self.client, &self.server] {
            let _ = side.shutdown(Shutdown::Both);
        }
    }

    /// Resets both connections. A socket with a linger time of zero is reset when the last thread
    /// closes it. Shutting down the reading side sends nothing to the peer, and wakes the threads.
    fn reset(&self) {
        for side in [&self.client, &self.server] {
            let _ = SockRef::from(side).set_linger(Some(Duration::ZERO));
            let _ = side.shutdown(Shutdown::Read);
        }
    }
}

/// Passes on the bytes of one side until it ends. Then closes the connection, unless it was reset.
fn pump(mut from: &TcpStream, mut pass: impl FnMut(&[u8]) -> io::Result<()>, close: impl FnOnce()) {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let read = from
            .read(&mut bytes)
            .ok()
            .and_then(|length| bytes.get(..length))
            .filter(|read| !read.is_empty());
        let Some(read) = read else { break };
        if pass(read).is_err() {
            break;
        }
    }
    let abrupt = SockRef::from(from).linger().is_ok_and(|linger| linger == Some(Duration::ZERO));
    if !abrupt {
        close();
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
