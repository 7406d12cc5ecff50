//! Fetches metadata documents ([OAuth Client ID Metadata Document][CIMD], CIMD) and key sets of
//! OAuth clients for a [`grantcore`] server: one guarded GET each.
//!
//! A client may name itself by the URL of a document about it. [`grantcore`] opens no socket, so
//! [`Server::authorize`](grantcore::Server::authorize) answers
//! [`NeedsDocument`](grantcore::AuthorizationStep::NeedsDocument) with what to fetch, and
//! [`Server::authorize_with_document`](grantcore::Server::authorize_with_document) takes the
//! outcome. [`DocumentFetcher`] is what comes between the two calls:
//!
//! ```
//! use grantcore::policy::DocumentRules;
//! use grantcore::{
//!     AuthorizationStep, FromStore, MemoryStore, Policy, Reason, RequestParts, Server,
//! };
//! use grantcore_fetch::{Asker, DocumentFetcher, FetchError, as_fetch};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::builder("https://auth.example")
//!     .scope("notes", "Read and change your notes")
//!     .resource("https://mcp.example/mcp", "notes")
//!     .client_documents(DocumentRules::default())
//!     .build()?;
//! let server = Server::new(policy, MemoryStore::new(), FromStore);
//! let fetcher = DocumentFetcher::builder().build()?;
//!
//! // A stranger names a document at a private address.
//! let request = RequestParts {
//!     method: "GET",
//!     query: b"response_type=code&client_id=https%3A%2F%2F10.0.0.7%2Fclient.json",
//!     ..RequestParts::default()
//! };
//! let step = server.authorize(&request, None).await;
//! let Ok(AuthorizationStep::NeedsDocument(document)) = step else {
//!     unreachable!("no document is on record")
//! };
//! let fetched = fetcher.fetch(&document, Asker::Stranger("203.0.113.7")).await;
//! // Why a fetch failed is for the operator. The client learns only that it failed.
//! if let Err(error) = &fetched {
//!     eprintln!("{}: {error}", document.url);
//! }
//! let answer = server.authorize_with_document(&request, None, as_fetch(&fetched)).await;
//!
//! assert!(matches!(fetched, Err(FetchError::Forbidden(_))));
//! assert_eq!(answer.unwrap_err().refusal().reason(), Reason::DocumentUnreachable);
//! # Ok(())
//! # }
//! ```
//!
//! # The guards
//!
//! The URL comes from a stranger, who need not be signed in. The fetcher runs inside the host's
//! network, where strangers do not. Each guard is against one way to profit from that.
//!
//! | guard | against |
//! |---|---|
//! | Only addresses of the public internet are called. A name is refused if any of its addresses is not one. | server-side request forgery: metadata services, databases, routers (CIMD, "SSRF Attacks"; RFC 6890) |
//! | A name is resolved once. The connection goes to the addresses that were checked, and there is no second look-up. | DNS rebinding |
//! | No redirect is followed. A 301 is returned as it is, and the server refuses it. | a public host that redirects to a private address |
//! | Only `https`, with certificates verified against the authorities that browsers trust. No session is resumed. | a network that answers in the place of the client's host |
//! | No proxy of the environment is used. | a proxy that resolves the name again |
//! | No cookie, credential, `Referer`, user information or fragment is sent. No connection is used twice. | requests with the authority of another party; two fetches that can be linked |
//! | At most [`max_bytes`](grantcore::response::DocumentRequest::max_bytes) and one byte of the body are read. | documents without end (CIMD, "Maximum Response Size for Client Metadata Documents") |
//! | Nothing is decompressed, even if another crate turns on reqwest's decompression. | a few bytes that become many |
//! | The connection and the whole fetch have time-outs. | hosts that accept and never answer, or send one byte at a time (slow loris) |
//! | Fetches at the same time are bounded: in all, per host, and per asker. [`Asker::Stranger`]s get a part of each. | strangers that keep users waiting |
//! | Fetches of one asker are bounded per minute. | a server that is made to attack another host |
//! | Equal fetches at the same time are one. A failure is the answer for five seconds. | one slow document that is requested many times |
//!
//! The fetcher does not keep documents: the server does, for as long as
//! [`fresh_for`](Document::fresh_for) and its policy allow (CIMD, "Metadata Caching"). It does not
//! validate documents either.
//!
//! # Runtime
//!
//! A fetch runs as a task of the tokio runtime that [`DocumentFetcher::fetch`] is called in. The
//! runtime needs its time and I/O drivers. The crate starts no runtime and no thread of its own;
//! host names are resolved on tokio's pool for blocking calls.
//!
//! # Features
//!
//! - `ring` (default): TLS by ring, if the process has installed no
//!   [provider](rustls::crypto::CryptoProvider) for rustls. Without this feature, the host installs
//!   one before it builds a fetcher.
//!
//! [CIMD]: https://datatracker.ietf.org/doc/draft-ietf-oauth-client-id-metadata-document/
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod address;
mod builder;
mod document;
mod error;
mod exchange;
mod freshness;
mod rates;
mod single_flight;
mod slots;
mod tls;

// The hosts of the tests name the crate as the tests of its public interface do.
#[cfg(test)]
extern crate self as grantcore_fetch;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use grantcore::outside::KeysRequest;
use grantcore::response::DocumentRequest;
use rustls::ClientConfig;
use tokio::time::timeout;
use url::{Host, Url};

pub use self::address::ForbiddenAddress;
pub use self::builder::DocumentFetcherBuilder;
pub use self::document::{Document, as_fetch, as_fetch_result};
pub use self::error::{BuildError, Busy, FetchError};
use self::rates::Rates;
use self::single_flight::{Role, SingleFlight, await_outcome};
use self::slots::{Slot, Slots};

/// The party for which a document is fetched. Limits are counted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a request has a user or it has none")]
pub enum Asker<'a> {
    /// A user who is signed in, by the account's name.
    User(&'a str),
    /// A caller who is not signed in, by its network address. Callers behind one address share its
    /// limits.
    Stranger(&'a str),
}

/// Fetches client metadata documents within the guards that the [crate documentation](crate) lists.
///
/// A clone shares the limits of the original. A process needs one fetcher: two have the limits
/// twice.
#[derive(Clone)]
pub struct DocumentFetcher {
    shared: Arc<Shared>,
}

struct Shared {
    allow_loopback: bool,
    timeouts: Timeouts,
    resolver: Resolver,
    rates: Rates,
    slots: Slots,
    fetches: SingleFlight,
    tls: ClientConfig,
}

/// The time-outs of a fetch.
#[derive(Clone, Copy, Debug)]
struct Timeouts {
    connect: Duration,
    total: Duration,
}

/// Looks the addresses of a name up. A value, so that tests can replace DNS.
type Resolver = Arc<dyn Fn(String) -> LookUp + Send + Sync>;
type LookUp = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

impl DocumentFetcher {
    /// Returns a builder with the defaults that its methods name.
    pub fn builder() -> DocumentFetcherBuilder {
        DocumentFetcherBuilder::default()
    }

    /// Fetches the document of `request`, whatever the status of the response.
    ///
    /// A body that is longer than [`max_bytes`](DocumentRequest::max_bytes) is cut off one byte
    /// after it, so that the server sees that it is too long. Loopback addresses are called if both
    /// [the builder](DocumentFetcherBuilder::allow_loopback) and
    /// [the request](DocumentRequest::allow_loopback) allow it. Redirects and other special-purpose
    /// addresses are refused whatever the request allows.
    ///
    /// A fetch runs to its end if the caller drops the future: others may wait for the same
    /// document.
    ///
    /// # Errors
    /// [`FetchError`] names the guard that refused, or what failed. It is for the operator's log:
    /// sent to a client, it would let strangers map the network of this host.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn fetch(
        &self,
        request: &DocumentRequest,
        asker: Asker<'_>,
    ) -> Result<Document, FetchError> {
        let url = Url::parse(&request.url).map_err(FetchError::url)?;
        let allow_loopback = self.shared.allow_loopback && request.allow_loopback;
        let max_bytes = request.max_bytes;
        let target = Target { url, max_bytes, allow_loopback, any_address: false };
        self.fetch_target(target, asker).await
    }

    /// Fetches the key set of `request`, whatever the status of the response.
    ///
    /// The guards are those of [`fetch`](Self::fetch), with one exception: for keys whose URL the
    /// operator has named, [the request](KeysRequest::forbid_special_ips) allows addresses of the
    /// operator's own network. Loopback addresses of such a URL are called if
    /// [the request](KeysRequest::allow_loopback) allows it.
    ///
    /// # Errors
    /// Those of [`fetch`](Self::fetch).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn fetch_keys(
        &self,
        request: &KeysRequest,
        asker: Asker<'_>,
    ) -> Result<Document, FetchError> {
        let url = Url::parse(&request.url).map_err(FetchError::url)?;
        let any_address = !request.forbid_special_ips;
        let allow_loopback = request.allow_loopback && (any_address || self.shared.allow_loopback);
        let target = Target { url, max_bytes: request.max_bytes, allow_loopback, any_address };
        self.fetch_target(target, asker).await
    }

    async fn fetch_target(&self, target: Target, asker: Asker<'_>) -> Result<Document, FetchError> {
        let scheme = target.url.scheme();
        let is_allowed = scheme == "https" || (scheme == "http" && target.allow_loopback);
        if !is_allowed {
            return Err(FetchError::NotHttps);
        }
        let outcome = match self.shared.fetches.join(target.clone(), Instant::now())? {
            Role::Follower(outcome) => outcome,
            Role::Leader(lead, outcome) => {
                // A request that joins a fetch causes none.
                if !self.shared.rates.admit(asker, SystemTime::now()) {
                    return Err(Busy::Rate.into());
                }
                let slot = Arc::new(self.shared.slots.take(&target.host_and_port(), asker)?);
                let shared = Arc::clone(&self.shared);
                // A task, because followers wait for it even if the leading request is dropped.
                tokio::spawn(async move {
                    let limit = shared.timeouts.total;
                    let answer = timeout(limit, shared.fetch(&target, slot)).await;
                    let outcome = answer.unwrap_or(Err(FetchError::TimedOut(limit)));
                    lead.finish(outcome, Instant::now());
                });
                outcome
            }
        };
        await_outcome(outcome).await
    }
}

impl fmt::Debug for DocumentFetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentFetcher")
            .field("allow_loopback", &self.shared.allow_loopback)
            .field("connect_timeout", &self.shared.timeouts.connect)
            .field("total_timeout", &self.shared.timeouts.total)
            .finish_non_exhaustive()
    }
}

impl Shared {
    async fn fetch(&self, target: &Target, slot: Arc<Slot>) -> Result<Document, FetchError> {
        let addresses = self.addresses(target, Arc::clone(&slot)).await?;
        let is_loopback = addresses.iter().all(|address| address.ip().is_loopback());
        if target.url.scheme() != "https" && !is_loopback {
            return Err(FetchError::NotHttps);
        }
        let connect = self.timeouts.connect;
        let fetched = exchange::get(target, addresses, self.tls.clone(), connect).await;
        // Held until here: the limits are for whole fetches, not only for look-ups.
        drop(slot);
        fetched.map_err(|error| {
            let is_timeout = error.is_timeout();
            if is_timeout { FetchError::TimedOut(connect) } else { FetchError::exchange(error) }
        })
    }

    /// Returns the addresses of the target's host after checking all of them. One forbidden address
    /// refuses the whole name, because the connection may go to any of them.
    async fn addresses(
        &self,
        target: &Target,
        slot: Arc<Slot>,
    ) -> Result<Vec<SocketAddr>, FetchError> {
        let host = target.url.host().ok_or(url::ParseError::EmptyHost).map_err(FetchError::url)?;
        let addresses = match host {
            Host::Ipv4(address) => vec![address.into()],
            Host::Ipv6(address) => vec![address.into()],
            Host::Domain(name) => self.resolve(name, slot).await.map_err(FetchError::name)?,
        };
        if !target.any_address {
            for address in &addresses {
                address::check(*address, target.allow_loopback)?;
            }
        }
        let port = target.url.port_or_known_default();
        let port = port.ok_or(url::ParseError::InvalidPort).map_err(FetchError::url)?;
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    /// Resolves a name. A look-up on a thread cannot be cancelled, so it holds the slot until it
    /// ends, even after the time-out: slow name servers cannot fill the process with threads.
    async fn resolve(&self, name: &str, slot: Arc<Slot>) -> io::Result<Vec<IpAddr>> {
        let look_up = (self.resolver)(name.to_owned());
        let resolved = tokio::spawn(async move {
            let addresses = look_up.await;
            drop(slot);
            addresses
        });
        resolved.await?
    }
}

/// The URL that is fetched, with its limits. Two fetches of equal targets are one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Target {
    url: Url,
    max_bytes: usize,
    allow_loopback: bool,
    /// Whether the operator has named the URL, so that it may be in a network of their own.
    any_address: bool,
}

impl Target {
    /// Returns the host and port that the URL names. A host with a dot at its end is the same host.
    fn host_and_port(&self) -> String {
        let host = self.url.host_str().unwrap_or_default().trim_end_matches('.');
        format!("{host}:{}", self.url.port_or_known_default().unwrap_or_default())
    }
}

/// Resolves a name with the operating system, which also reads its hosts file.
fn look_up(name: String) -> LookUp {
    Box::pin(async move {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    })
}
