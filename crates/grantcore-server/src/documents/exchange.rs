//! One request and its answer, to addresses that have been judged already (RFC 9110).
//!
//! What lives here: what is sent, and how much of the answer is read. What never does: the judging
//! of an address, or any reading of the body.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use tokio_rustls::rustls::ClientConfig;
use url::Url;

use super::freshness;

const AGENT: &str = concat!("grantcore-server/", env!("CARGO_PKG_VERSION"));

/// What came back; judged by the library, not here.
#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    pub(crate) status: u16,
    /// Nothing if the answer names none, or more than one: which of two the body is of is a guess.
    pub(crate) content_type: Option<String>,
    /// For how long it may be kept; zero if not at all, nothing if it does not say.
    pub(crate) fresh_for: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

/// Every name has these addresses: there is nothing left to look up.
struct Judged(Vec<SocketAddr>);

impl Resolve for Judged {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

/// A client for one request: whatever a client could keep (a connection, a cookie, an address) is
/// gone with it.
fn client(
    addresses: Vec<SocketAddr>,
    tls: ClientConfig,
    connect: Duration,
) -> reqwest::Result<Client> {
    Client::builder()
        .dns_resolver(Judged(addresses))
        .tls_backend_preconfigured(tls)
        .connect_timeout(connect)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .referer(false)
        .http1_only()
        .pool_max_idle_per_host(0)
        .user_agent(AGENT)
        .build()
}

/// Gets what is at `url`. Neither a user and password nor a fragment of it is sent.
pub(super) async fn ask(
    mut url: Url,
    addresses: Vec<SocketAddr>,
    tls: ClientConfig,
    connect: Duration,
    max_bytes: usize,
) -> reqwest::Result<Fetched> {
    // Only URLs without a host refuse this, and they have no addresses.
    let _ = (url.set_username(""), url.set_password(None));
    url.set_fragment(None);
    let response =
        client(addresses, tls, connect)?.get(url).header(ACCEPT, "application/json").send().await?;
    let mut types = response.headers().get_all(CONTENT_TYPE).iter();
    let only = types.next().filter(|_| types.next().is_none());
    let content_type = only.and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(Fetched {
        status: response.status().as_u16(),
        content_type,
        fresh_for: freshness::fresh_for(response.headers(), SystemTime::now()),
        body: read(response, max_bytes).await?,
    })
}

/// The body, or its beginning and one byte more than is wanted.
async fn read(mut response: Response, max_bytes: usize) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() <= max_bytes
        && let Some(data) = response.chunk().await?
    {
        body.extend_from_slice(&data);
    }
    body.truncate(max_bytes.saturating_add(1));
    Ok(body)
}
