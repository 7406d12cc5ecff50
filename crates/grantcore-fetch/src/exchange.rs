//! One request and its response, to addresses that have been checked (RFC 9110).
//!
//! This module decides what is sent and how much of the response is read. It checks no address and
//! does not parse the document.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use rustls::ClientConfig;

use crate::Target;
use crate::document::Document;
use crate::freshness;

const USER_AGENT: &str = concat!("grantcore-fetch/", env!("CARGO_PKG_VERSION"));

/// Resolves every name to the addresses that were checked, so that the client looks up nothing.
struct CheckedAddresses(Vec<SocketAddr>);

impl Resolve for CheckedAddresses {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

/// Returns a client for one request, so that no connection, cookie or address is kept for the next.
///
/// Each setting is explicit. Other crates of a host can turn on features of reqwest, and with them
/// defaults that this crate must not have.
fn client(
    addresses: Vec<SocketAddr>,
    tls: ClientConfig,
    connect: Duration,
) -> reqwest::Result<Client> {
    Client::builder()
        .dns_resolver(CheckedAddresses(addresses))
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
        .user_agent(USER_AGENT)
        .build()
}

/// Gets the document. User information and a fragment of the URL are not sent.
pub(crate) async fn get(
    target: &Target,
    addresses: Vec<SocketAddr>,
    tls: ClientConfig,
    connect: Duration,
) -> reqwest::Result<Document> {
    let mut url = target.url.clone();
    // Both fail only for a URL without a host, which has no addresses either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    let client = client(addresses, tls, connect)?;
    let response = client.get(url).header(ACCEPT, "application/json").send().await?;
    let mut types = response.headers().get_all(CONTENT_TYPE).iter();
    let only = types.next().filter(|_| types.next().is_none());
    Ok(Document {
        status: response.status().as_u16(),
        content_type: only.and_then(|value| value.to_str().ok()).map(str::to_owned),
        fresh_for: freshness::fresh_for(response.status(), response.headers(), SystemTime::now()),
        body: read(response, target.max_bytes).await?,
    })
}

/// Returns the body. If it is longer than `max_bytes`, returns its first `max_bytes` and one.
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
