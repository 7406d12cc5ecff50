//! Hosts on this machine, which has all of 127.0.0.0/8 as Linux does, and requests for what they
//! publish.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use grantcore::policy::DocumentRules;
use grantcore::response::DocumentRequest;
use grantcore::{AuthorizationStep, FromStore, MemoryStore, Policy, RequestParts, Server};
use grantcore_fetch::{Asker, Document, DocumentFetcher, DocumentFetcherBuilder, FetchError};

pub const DOCUMENT: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                            cache-control: max-age=60\r\ncontent-length: 2\r\n\r\n{}";

pub const ALICE: Asker<'_> = Asker::User("alice");

/// The total time-out of [`local`].
pub const TOTAL: Duration = Duration::from_millis(400);

/// The settings of a fetcher that may fetch from this machine, with short time-outs.
pub fn local() -> DocumentFetcherBuilder {
    DocumentFetcher::builder().allow_loopback(true).connect_timeout(TOTAL / 2).total_timeout(TOTAL)
}

/// The request for a document at `url`. It comes from a server, whose policy allows loopback.
pub async fn request(url: &str, max_bytes: usize) -> DocumentRequest {
    let rules = DocumentRules::default().with_allow_loopback(true);
    let policy = Policy::builder("https://auth.example")
        .scope("notes", "Read notes")
        .resource("https://mcp.example/mcp", "notes")
        .client_documents(rules)
        .build()
        .unwrap();
    let server = Server::new(policy, MemoryStore::new(), FromStore);
    let parts = RequestParts {
        method: "GET",
        query: b"response_type=code&client_id=https%3A%2F%2Fclient.example%2Fclient.json",
        ..RequestParts::default()
    };
    match server.authorize(&parts, None).await {
        Ok(AuthorizationStep::NeedsDocument(mut document)) => {
            url.clone_into(&mut document.url);
            document.max_bytes = max_bytes;
            document
        }
        _ => panic!("no document is asked for"),
    }
}

/// Fetches up to 100 bytes for a user.
pub async fn fetch(fetcher: &DocumentFetcher, url: &str) -> Result<Document, FetchError> {
    fetch_for(fetcher, url, ALICE).await
}

/// Fetches up to 100 bytes.
pub async fn fetch_for(
    fetcher: &DocumentFetcher,
    url: &str,
    asker: Asker<'_>,
) -> Result<Document, FetchError> {
    fetcher.fetch(&request(url, 100).await, asker).await
}

/// A host that does this with every connection, and the number of its connections.
pub fn host(
    at: impl ToSocketAddrs,
    behave: impl Fn(TcpStream) + Send + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(at).unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            behave(stream.unwrap());
        }
    });
    (address, connections)
}

/// Sends this response to every request.
pub fn answering(response: impl Into<Vec<u8>>) -> impl Fn(TcpStream) + Send + 'static {
    let response = response.into();
    move |mut stream| {
        head(&mut stream);
        let _ = stream.write_all(&response);
    }
}

/// Reads a request to its empty line.
pub fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            break;
        }
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

/// Reads a counter.
pub fn count(counter: &AtomicUsize) -> usize {
    counter.load(Ordering::SeqCst)
}
