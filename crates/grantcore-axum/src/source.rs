//! The source of a request: the peer's address, or the address that a trusted proxy names (RFC
//! 7239, and the older `X-Forwarded-For`).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap, HeaderName, Request, header};
use ipnet::IpNet;
use tower_layer::Layer;
use tower_service::Service;

/// The most hops that are read. No real chain of proxies is as long.
const HOP_LIMIT: usize = 64;
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client address of a request. The layer [`TrustedProxies`] adds it to the extensions of each
/// request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source(IpAddr);

impl Source {
    /// Returns the address.
    pub fn address(self) -> IpAddr {
        self.0
    }

    /// Returns the address, or for IPv6 its /64 network, the usual size of one customer's network.
    /// Rate limits are kept per network: a customer could otherwise use a new address per request.
    pub fn network(self) -> IpAddr {
        self.prefix(64)
    }

    /// Returns the text of [`network`](Self::network), for
    /// [`RequestParts::source`](grantcore::RequestParts::source).
    pub fn network_text(self) -> String {
        text(self.network())
    }

    /// Returns the address, or for IPv6 its /48 network, the largest that one customer usually has.
    pub fn site(self) -> IpAddr {
        self.prefix(48)
    }

    /// Returns the address, or for IPv6 the network of its first `bits`.
    fn prefix(self, bits: u32) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V6(address) => {
                Ipv6Addr::from_bits(address.to_bits() & !(u128::MAX >> bits)).into()
            }
            address @ IpAddr::V4(_) => address,
        }
    }

    /// Returns the source of a request: the one that the layer found, or else the peer of the
    /// connection. Returns `None` if the host has neither the layer nor `ConnectInfo`.
    pub(crate) fn of(extensions: &Extensions) -> Option<Self> {
        let peer = || extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| Self(peer.0.ip()));
        extensions.get::<Self>().copied().or_else(peer)
    }
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self(address)
    }
}

/// Returns the text of an address. Each request has one, and `core::fmt` takes 1,400 instructions
/// for that of an IPv4 address.
fn text(address: IpAddr) -> String {
    let IpAddr::V4(address) = address else { return address.to_string() };
    let mut text = String::with_capacity("255.255.255.255".len());
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            text.push('.');
        }
        if octet >= 100 {
            text.push(char::from(b'0' + octet / 100));
        }
        if octet >= 10 {
            text.push(char::from(b'0' + octet / 10 % 10));
        }
        text.push(char::from(b'0' + octet % 10));
    }
    text
}

/// The reverse proxies whose forwarding headers are used, as a layer that finds the [`Source`] of
/// each request.
///
/// Add it outside of the [`router`](crate::router), and serve with
/// [`into_make_service_with_connect_info`](axum::Router::into_make_service_with_connect_info).
/// Without it, all requests share one rate limit. The same happens behind a proxy that is not named
/// here: all requests have the proxy's address. A proxy that is named here must append to
/// `X-Forwarded-For` or `Forwarded`, or replace it: if it passed the header on unchanged, clients
/// could choose their own address.
///
/// ```
/// use axum::Router;
/// use grantcore_axum::TrustedProxies;
///
/// let proxies = TrustedProxies::new(["127.0.0.1/32".parse()?, "10.0.0.0/8".parse()?]);
/// let app: Router = Router::new().layer(proxies);
/// # Ok::<(), ipnet::AddrParseError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Returns the layer that trusts the proxies in these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }

    /// Returns whether this is the address of a trusted proxy.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Returns the source of a request from this peer. If the peer is not a trusted proxy, the peer
    /// is the source. If it is, the source is the last hop in its headers that is not a trusted
    /// proxy.
    ///
    /// Headers that prove nothing are ignored, and the peer is the source: if a hop that must be
    /// read is not an address, or if `Forwarded` and `X-Forwarded-For` disagree. A proxy writes one
    /// of the two, and may pass on the other as a stranger sent it.
    pub fn source(&self, peer: SocketAddr, headers: &HeaderMap) -> Source {
        let peer = peer.ip().to_canonical();
        if !self.contains(peer) {
            return Source(peer);
        }
        let x_forwarded_for =
            values(headers, &X_FORWARDED_FOR).map(|hops| self.last_untrusted(hops.map(address)));
        let forwarded = values(headers, &header::FORWARDED)
            .map(|hops| self.last_untrusted(hops.map(forwarded_for)));
        let named = match (x_forwarded_for, forwarded) {
            (Some(old), Some(new)) if old != new => None,
            (old, new) => old.or(new).flatten(),
        };
        Source(named.unwrap_or(peer))
    }

    /// Returns the last hop that is not a trusted proxy, or the first hop if all are trusted.
    /// `hops` begins with the last hop of the request. Returns `None` if a hop that must be read is
    /// not an address.
    fn last_untrusted(&self, hops: impl Iterator<Item = Option<IpAddr>>) -> Option<IpAddr> {
        let mut found = None;
        for hop in hops.take(HOP_LIMIT) {
            let address = hop?;
            found = Some(address);
            if !self.contains(address) {
                break;
            }
        }
        found
    }
}

impl<S> Layer<S> for TrustedProxies {
    type Service = TrustedProxiesService<S>;

    fn layer(&self, inner: S) -> TrustedProxiesService<S> {
        TrustedProxiesService { proxies: self.clone(), inner }
    }
}

/// The service of the layer [`TrustedProxies`].
#[derive(Debug, Clone)]
pub struct TrustedProxiesService<S> {
    proxies: TrustedProxies,
    inner: S,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for TrustedProxiesService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
        if let Some(peer) = peer {
            let source = self.proxies.source(peer, request.headers());
            request.extensions_mut().insert(source);
        }
        self.inner.call(request)
    }
}

/// Returns the elements of a list header in all its lines, the last element first. Returns `None`
/// if the request does not have the header. A line that is not ASCII becomes `-`, which is not an
/// address.
fn values<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Option<impl Iterator<Item = &'h str> + use<'h>> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    let elements = |line: &'h str| {
        let mut quoted = false;
        line.rsplit(move |c: char| {
            quoted ^= c == '"';
            c == ',' && !quoted
        })
    };
    (!lines.is_empty()).then(|| {
        lines
            .into_iter()
            .rev()
            .flat_map(move |line| match line.to_str() {
                Ok(line) => elements(line),
                Err(_) => elements("-"),
            })
            .map(str::trim)
            .filter(|element| !element.is_empty())
    })
}

/// Returns the address of the parameter `for` in an element of `Forwarded` (RFC 7239 §5.2). Returns
/// `None` if the parameter is repeated.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut values = element.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let value = values.next().filter(|_| values.next().is_none())?;
    let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    address(unquoted.unwrap_or(value))
}

/// Reads an address as proxies write it: with or without a port, IPv6 with or without brackets.
/// Returns `None` for a name, `unknown` or an obfuscated identifier.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = |text: &str| {
        let (address, port) = text.strip_prefix('[')?.split_once(']')?;
        let is_port = port.is_empty() || port.strip_prefix(':')?.parse::<u16>().is_ok();
        is_port.then(|| address.parse::<Ipv6Addr>().ok().map(IpAddr::from))?
    };
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    let found = text.parse().ok().or_else(|| bracketed(text)).or_else(with_port);
    found.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn source(peer: &str, lines: &[(&str, &str)]) -> String {
        let proxies = ["10.0.0.0/8", "127.0.0.1/32", "2001:db8:aaaa::/48"];
        let networks: Vec<IpNet> = proxies.iter().map(|text| text.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
        TrustedProxies::new(networks).source(peer, &headers).0.to_string()
    }

    #[test]
    fn f20_the_source_is_the_last_hop_that_is_not_a_trusted_proxy() {
        const XFF: &str = "X-Forwarded-For";
        const FWD: &str = "Forwarded";
        for (peer, lines, expected) in [
            // The peer is not a trusted proxy: its headers do not count.
            ("203.0.113.1", &[(XFF, "192.0.2.1")] as &[_], "203.0.113.1"),
            ("203.0.113.1", &[(FWD, "for=192.0.2.1")], "203.0.113.1"),
            ("::ffff:203.0.113.1", &[(XFF, "192.0.2.1")], "203.0.113.1"),
            // The peer is a trusted proxy.
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &[(XFF, "192.0.2.1")], "192.0.2.1"),
            ("::ffff:10.1.2.3", &[(XFF, "192.0.2.1")], "192.0.2.1"),
            ("2001:db8:aaaa::1", &[(XFF, "192.0.2.1")], "192.0.2.1"),
            // Several hops, in one line and in several. Hops before the source do not count.
            ("127.0.0.1", &[(XFF, "198.51.100.7, 192.0.2.1")], "192.0.2.1"),
            ("127.0.0.1", &[(XFF, "198.51.100.7"), (XFF, "192.0.2.1")], "192.0.2.1"),
            ("127.0.0.1", &[(XFF, "192.0.2.1, 10.0.0.9,10.0.0.8")], "192.0.2.1"),
            ("127.0.0.1", &[(XFF, "192.0.2.1"), (XFF, "10.0.0.9")], "192.0.2.1"),
            ("127.0.0.1", &[(XFF, "unknown, é, 192.0.2.1, 10.0.0.9")], "127.0.0.1"),
            ("127.0.0.1", &[(XFF, "nonsense, 192.0.2.1, 10.0.0.9")], "192.0.2.1"),
            ("127.0.0.1", &[(XFF, "192.0.2.1, , ,")], "192.0.2.1"),
            // All hops are trusted proxies: the first of them is the source.
            ("127.0.0.1", &[(XFF, "10.0.0.1, 10.0.0.2")], "10.0.0.1"),
            // A hop up to the source cannot be read.
            ("127.0.0.1", &[(XFF, "192.0.2.1, unknown")], "127.0.0.1"),
            ("127.0.0.1", &[(XFF, "192.0.2.1, 10.0.0.9, x")], "127.0.0.1"),
            ("127.0.0.1", &[(XFF, "")], "127.0.0.1"),
            ("127.0.0.1", &[(XFF, "192.0.2.256")], "127.0.0.1"),
            ("127.0.0.1", &[(XFF, "192.0.2.1:99999")], "127.0.0.1"),
            // Ports, brackets, and several spellings of one address.
            ("127.0.0.1", &[(XFF, "192.0.2.1:4711")], "192.0.2.1"),
            ("127.0.0.1", &[(XFF, "::ffff:192.0.2.1")], "192.0.2.1"),
            ("127.0.0.1", &[(XFF, "2001:DB8:0::1")], "2001:db8::1"),
            ("127.0.0.1", &[(XFF, "[2001:db8::1]")], "2001:db8::1"),
            ("127.0.0.1", &[(XFF, "[2001:db8::1]:4711")], "2001:db8::1"),
            ("127.0.0.1", &[(XFF, "[2001:db8::1")], "127.0.0.1"),
            ("127.0.0.1", &[(XFF, "[192.0.2.1]")], "127.0.0.1"),
            ("127.0.0.1", &[(XFF, "fe80::1%eth0")], "127.0.0.1"),
            // RFC 7239.
            ("127.0.0.1", &[(FWD, "for=192.0.2.1")], "192.0.2.1"),
            (
                "127.0.0.1",
                &[(FWD, "proto=https; For=\"[2001:db8::1]:4711\";by=10.0.0.1")],
                "2001:db8::1",
            ),
            ("127.0.0.1", &[(FWD, "for=198.51.100.7, for=192.0.2.1;host=\"a,b\"")], "192.0.2.1"),
            ("127.0.0.1", &[(FWD, "for=192.0.2.1, for=10.0.0.9")], "192.0.2.1"),
            ("127.0.0.1", &[(FWD, "for=198.51.100.7"), (FWD, "for=192.0.2.1")], "192.0.2.1"),
            ("127.0.0.1", &[(FWD, "for=_hidden")], "127.0.0.1"),
            ("127.0.0.1", &[(FWD, "for=unknown")], "127.0.0.1"),
            ("127.0.0.1", &[(FWD, "proto=https")], "127.0.0.1"),
            ("127.0.0.1", &[(FWD, "for=192.0.2.1;for=192.0.2.2")], "127.0.0.1"),
            ("127.0.0.1", &[(FWD, "for=\"192.0.2.1")], "127.0.0.1"),
            // Both headers count only if they agree.
            ("127.0.0.1", &[(XFF, "192.0.2.1"), (FWD, "for=192.0.2.1")], "192.0.2.1"),
            ("127.0.0.1", &[(XFF, "192.0.2.1"), (FWD, "for=192.0.2.2")], "127.0.0.1"),
            ("127.0.0.1", &[(XFF, "192.0.2.1"), (FWD, "for=_hidden")], "127.0.0.1"),
        ] {
            assert_eq!(source(peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn f20_ipv6_counts_by_its_networks_and_a_long_chain_ends() {
        let network = |text: &str| Source(text.parse().unwrap()).network().to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        for octet in 0..=255 {
            let address = IpAddr::from([octet, 0, 9, octet]);
            assert_eq!(Source(address).network_text(), address.to_string());
        }
        let v6 = Source("2001:db8:1:2:3:4:5:6".parse().unwrap());
        assert_eq!(v6.network_text(), "2001:db8:1:2::");
        let site = |text: &str| Source(text.parse().unwrap()).site().to_string();
        assert_eq!(site("2001:db8:1:2:3:4:5:6"), "2001:db8:1::");
        assert_eq!(site("::ffff:192.0.2.1"), "192.0.2.1");
        let chain = format!("192.0.2.1{}", ", 10.0.0.1".repeat(HOP_LIMIT));
        assert_eq!(source("127.0.0.1", &[("x-forwarded-for", &chain)]), "10.0.0.1");
    }
}
