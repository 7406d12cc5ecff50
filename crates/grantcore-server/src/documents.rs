//! Fetches the documents that clients name themselves by (OAuth Client ID Metadata Document, CIMD).
//!
//! What lives here: one guarded GET. What never does: a verdict on what came back, which is the
//! library's, or a cache of documents. Equal fetches are one, a failure is remembered for seconds,
//! and what one asker can have fetched is bounded, at once and by the minute. The URL is a stranger's, and this server stands where strangers do not;
//! so a name is resolved once, every address it has must be one that strangers can reach as well,
//! and the connection goes to those addresses. There is no second look-up that could say otherwise
//! (DNS rebinding), and no other way to a host: no redirect is followed, no proxy asked, no cookie
//! kept, no connection used twice.

mod address;
mod exchange;
mod flights;
mod freshness;
mod slots;
mod strangers;
mod trust;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;
use url::{Host, Url};

pub(crate) use self::address::Forbidden;
pub(crate) use self::exchange::Fetched;
use self::flights::{Boarding, Flights, await_outcome};
pub(crate) use self::slots::{Asker, Busy};
use self::slots::{Slot, Slots};
use self::strangers::Allowance;
pub(crate) use self::trust::TrustError;

/// Fetches documents. A clone is another handle of the same.
#[derive(Clone)]
pub(crate) struct Fetcher {
    loopback: bool,
    times: Times,
    names: Names,
    allowance: Arc<Allowance>,
    slots: Slots,
    flights: Flights,
    tls: ClientConfig,
}

/// How long a fetch may take: until there is a connection, and in all.
#[derive(Clone, Copy)]
struct Times {
    connect: Duration,
    total: Duration,
}

/// Who says what addresses a name has; a value, so that a test can say it.
type Names = Arc<dyn Fn(String) -> Answer + Send + Sync>;
type Answer = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Why there is no document: the rule that refused, or what failed. For the operator; a stranger
/// has no use for it but to map the network around this server.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("not a URL: {0}")]
    Url(#[from] url::ParseError),
    #[error("only https is fetched, or http from this machine if that is allowed")]
    NotHttps,
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error("the name is not resolved: {0}")]
    Name(#[source] Arc<io::Error>),
    #[error("no answer: {}", causes(.0))]
    Http(#[source] Arc<reqwest::Error>),
    #[error("not answered within {0:?}")]
    TimedOut(Duration),
    #[error("the fetch ended without an answer")]
    Abandoned,
}

impl Fetcher {
    /// With `loopback`, documents may come from this machine too, by http or https: for local
    /// trials. `authority` is a PEM file of certificate authorities to trust beside those that
    /// everybody trusts.
    pub(crate) fn new(loopback: bool, authority: Option<&Path>) -> Result<Self, TrustError> {
        // The HTTP library asks for one though it is given settings that name theirs; whoever was
        // first is as good.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let tls = trust::config(authority)?;
        let times = Times { connect: Duration::from_secs(3), total: Duration::from_secs(5) };
        Ok(Self {
            loopback,
            times,
            names: Arc::new(look_up),
            allowance: Arc::default(),
            slots: Slots::default(),
            flights: Flights::default(),
            tls,
        })
    }

    /// Gets what is at `url`, whatever its status. Of a body longer than `max_bytes`, one byte more
    /// comes back, which tells.
    pub(crate) async fn fetch(
        &self,
        url: &str,
        max_bytes: usize,
        asker: Asker<'_>,
    ) -> Result<Fetched, FetchError> {
        let url = Url::parse(url)?;
        let is_allowed = url.scheme() == "https" || (url.scheme() == "http" && self.loopback);
        if !is_allowed {
            return Err(FetchError::NotHttps);
        }
        if !self.allowance.admit(asker, SystemTime::now()) {
            return Err(Busy::TooOften.into());
        }
        let wanted = (url.to_string(), max_bytes);
        let arrival = match self.flights.board(wanted, Instant::now())? {
            Boarding::Joined(arrival) => arrival,
            Boarding::Begun(flight, arrival) => {
                let slot = Arc::new(self.slots.take(&place(&url), asker)?);
                let fetcher = self.clone();
                // Others may join it: it does not end with the request that began it.
                tokio::spawn(async move {
                    let limit = fetcher.times.total;
                    let answer = timeout(limit, fetcher.fetch_from(url, slot, max_bytes)).await;
                    let outcome = answer.unwrap_or(Err(FetchError::TimedOut(limit)));
                    flight.land(outcome, Instant::now());
                });
                arrival
            }
        };
        await_outcome(arrival).await
    }

    async fn fetch_from(
        &self,
        url: Url,
        slot: Arc<Slot>,
        max_bytes: usize,
    ) -> Result<Fetched, FetchError> {
        let addresses = self.addresses(&url, &slot).await?;
        if url.scheme() != "https" && !addresses.iter().all(|address| address.ip().is_loopback()) {
            return Err(FetchError::NotHttps);
        }
        let connect = self.times.connect;
        let fetched = exchange::ask(url, addresses, self.tls.clone(), connect, max_bytes).await;
        fetched.map_err(|error| {
            let is_timeout = error.is_timeout();
            if is_timeout { FetchError::TimedOut(connect) } else { FetchError::Http(error.into()) }
        })
    }

    /// Where the host is. All its addresses have been judged, those in the URL itself too: one that
    /// is forbidden spoils the rest, for whoever mixes them does not do so by mistake.
    async fn addresses(&self, url: &Url, slot: &Arc<Slot>) -> Result<Vec<SocketAddr>, FetchError> {
        let addresses = match url.host().ok_or(url::ParseError::EmptyHost)? {
            Host::Ipv4(address) => vec![address.into()],
            Host::Ipv6(address) => vec![address.into()],
            Host::Domain(name) => {
                let resolved = self.resolve(name, Arc::clone(slot)).await;
                resolved.map_err(|error| FetchError::Name(error.into()))?
            }
        };
        for address in &addresses {
            address::judge(*address, self.loopback)?;
        }
        let port = url.port_or_known_default().ok_or(url::ParseError::InvalidPort)?;
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    /// A look-up cannot be called off: it keeps the slot until it ends, though nobody may wait for
    /// it any more, so that slow name servers do not fill this server with threads.
    async fn resolve(&self, name: &str, slot: Arc<Slot>) -> io::Result<Vec<IpAddr>> {
        let answer = (self.names)(name.to_owned());
        let looked_up = tokio::spawn(async move {
            let addresses = answer.await;
            drop(slot);
            addresses
        });
        looked_up.await?
    }
}

/// The host and port that a URL leads to; a dot at the end of the host makes it no other.
fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    format!("{host}:{}", url.port_or_known_default().unwrap_or_default())
}

/// Asks the operating system, and so its hosts file too; the verdict on the answer is the same.
fn look_up(name: String) -> Answer {
    Box::pin(async move {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    })
}

/// An error with all that led to it: the last is the one that says something.
fn causes(error: &reqwest::Error) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        told.extend([": ", &error.to_string()]);
        next = error.source();
    }
    told
}
