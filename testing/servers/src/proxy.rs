//! A TCP proxy that makes one request fail in a chosen way, and counts how often a client waits for
//! an answer.

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
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It never reaches the server: the client's connection is closed instead.
    DropBefore,
    /// The server answers it, and the client never hears of it: its connection is closed.
    DropAfter,
    /// The answer is late by this much.
    Delay(Duration),
    /// The server answers it, and the client's connection is reset, and the server's as well.
    Reset,
}

/// A TCP proxy on a free loopback port. It and its connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

/// What its threads share.
#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    ended: AtomicBool,
    next: Mutex<Fault>,
    round_trips: AtomicUsize,
    connections: Mutex<Vec<Weak<Connection>>>,
}

/// A client's connection and the one to the server that stands for it.
#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// Waits for the answer.
    fault: Mutex<Fault>,
    /// Whether the client has sent something that the server has not begun to answer.
    asked: AtomicBool,
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

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What happens to the next bytes that any client sends, once.
    pub fn arm(&self, fault: Fault) {
        *lock(&self.shared.next) = fault;
    }

    /// How often clients began to wait for an answer, so far: what is sent in one go counts once.
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
            // A client that cannot be served, because there is no server, sees its connection
            // closed.
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
            asked: AtomicBool::new(false),
        });
        lock(&self.connections).push(Arc::downgrade(&connection));
        let (shared, asking) = (Arc::clone(self), Arc::clone(&connection));
        thread::spawn(move || {
            pump(&asking.client, |bytes| shared.request(&asking, bytes), || asking.close());
        });
        thread::spawn(move || {
            pump(&connection.server, |bytes| connection.answer(bytes), || connection.close());
        });
        Ok(())
    }

    /// Bytes of a client.
    fn request(&self, connection: &Connection, bytes: &[u8]) -> io::Result<()> {
        if !connection.asked.swap(true, Ordering::SeqCst) {
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
    /// Bytes of the server.
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
        self.asked.store(false, Ordering::SeqCst);
        (&self.client).write_all(bytes)
    }

    /// Ends both sides in an orderly way.
    fn close(&self) {
        for side in [&self.client, &self.server] {
            let _ = side.shutdown(Shutdown::Both);
        }
    }

    /// Ends both sides abruptly: a socket that does not linger is reset when it is closed, which
    /// the last of the threads does. To stop reading says nothing to the other side, and wakes
    /// the threads.
    fn reset(&self) {
        for side in [&self.client, &self.server] {
            let _ = SockRef::from(side).set_linger(Some(Duration::ZERO));
            let _ = side.shutdown(Shutdown::Read);
        }
    }
}

/// Passes on what comes from one side until it ends. A side that was reset ends with no word to the
/// other.
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
