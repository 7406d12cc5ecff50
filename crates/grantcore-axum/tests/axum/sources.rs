//! Tests of the source of a request: whose limit it counts towards, behind proxies and without.

use std::net::SocketAddr;

use crate::support::socket::{FORM, listen, message, raw, serve};
use crate::support::{self, World, encode, form_request, from_peer, policy, send};
use axum::Router;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::routing::get;
use grantcore::policy::Limits;
use grantcore_axum::{Source, TrustedProxies};
use tower::{Layer as _, ServiceExt as _, service_fn};

fn proxies() -> TrustedProxies {
    TrustedProxies::new(
        ["127.0.0.0/8", "10.0.0.0/8", "2001:db8:aaaa::/48"].map(|own| own.parse().unwrap()),
    )
}

/// Returns a world that serves three token requests a minute for each client and source.
fn world() -> World {
    World::with(policy().limits(Limits::default().with_token_requests_per_minute(3)))
}

const FIELDS: [(&str, &str); 2] = [("grant_type", "refresh_token"), ("client_id", "app")];

/// Returns the token request of a peer with these headers.
fn request(peer: &str, headers: &[(&'static str, &str)]) -> Request {
    let mut request = form_request("/oauth/token", &FIELDS);
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    if peer.is_empty() { request } else { from_peer(request, peer) }
}

/// Returns how many of five equal requests are served.
async fn served(app: &Router, peer: &str, headers: &[(&'static str, &str)]) -> usize {
    let mut count = 0;
    for _ in 0..5 {
        match send(app, request(peer, headers)).await.status {
            400 => count += 1,
            status => assert_eq!(status, 429),
        }
    }
    count
}

const XFF: &str = "x-forwarded-for";

#[tokio::test]
async fn rate_06_clients_behind_a_trusted_proxy_have_limits_of_their_own() {
    let world = world();
    let app = world.app.clone().layer(proxies());
    for source in ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"] {
        assert_eq!(served(&app, "127.0.0.1", &[(XFF, source)]).await, 3, "{source}");
        let event = world.events().pop().unwrap();
        let network = source.replace("::1", "::");
        assert_eq!(event.source.as_deref(), Some(&*network));
    }
    // Other addresses of a customer's network, another proxy, another spelling: the same source.
    for (peer, header, value) in [
        ("127.0.0.1", XFF, "2001:db8::2"),
        ("10.1.2.3", XFF, "192.0.2.1"),
        ("::ffff:10.1.2.3", XFF, "192.0.2.1:4711"),
        ("2001:db8:aaaa::1", "forwarded", "for=\"[2001:db8::9]:1\""),
        ("127.0.0.1", XFF, "1.1.1.1, 192.0.2.1, 10.9.9.9"),
        ("192.0.2.1", XFF, ""),
    ] {
        assert_eq!(served(&app, peer, &[(header, value)]).await, 0, "{peer} {value}");
    }
}

#[tokio::test]
async fn i48_a_forged_header_evades_no_limit() {
    let world = world();
    let app = world.app.clone().layer(proxies());
    assert_eq!(served(&app, "203.0.113.1", &[]).await, 3);
    for number in 0..20 {
        let forged = format!("192.0.2.{number}");
        let forwarded = format!("for={forged}");
        let headers: [&[(&'static str, &str)]; 4] = [
            &[(XFF, &forged)],
            &[("forwarded", &forwarded)],
            &[(XFF, &forged), ("forwarded", &forwarded)],
            &[("x-real-ip", &forged), ("cf-connecting-ip", &forged), ("true-client-ip", &forged)],
        ];
        for headers in headers {
            assert_eq!(
                send(&app, request("203.0.113.1", headers)).await.status,
                429,
                "{headers:?}"
            );
        }
        // Through the proxy, which appends the address that it sees.
        let through = format!("{forged}, 203.0.113.1");
        let status = send(&app, request("127.0.0.1", &[(XFF, &through)])).await.status;
        assert_eq!(status, 429, "{through}");
    }
    // It locks nobody else out either.
    assert_eq!(served(&app, "192.0.2.1", &[]).await, 3);
}

#[tokio::test]
async fn rate_06_without_the_layer_the_peer_is_the_source() {
    let world = world();
    assert_eq!(served(&world.app, "192.0.2.1", &[(XFF, "198.51.100.1")]).await, 3);
    assert_eq!(served(&world.app, "192.0.2.1", &[(XFF, "198.51.100.2")]).await, 0);
    assert_eq!(served(&world.app, "192.0.2.2", &[(XFF, "198.51.100.1")]).await, 3);
}

/// A host that forgets the address of the peer is limited as a whole, and not without a limit.
#[tokio::test]
async fn rate_06_without_a_peer_all_requests_share_one_limit() {
    let world = world();
    let app = world.app.clone().layer(proxies());
    assert_eq!(served(&app, "", &[(XFF, "198.51.100.1")]).await, 3);
    assert_eq!(served(&app, "", &[(XFF, "198.51.100.2")]).await, 0);
    assert_eq!(world.events().pop().unwrap().source, None);
    // Requests that have a source are unaffected.
    assert_eq!(served(&app, "192.0.2.1", &[]).await, 3);
}

#[tokio::test]
async fn rate_06_over_a_socket_the_peer_is_the_source() {
    let world = world();
    let app = world.app.clone().layer(TrustedProxies::new([]));
    let (listener, address) = listen().await;
    serve(listener, app);
    let mut statuses = Vec::new();
    for number in 0..4 {
        let more = format!("X-Forwarded-For: 192.0.2.{number}\r\n{FORM}");
        let request = message("POST", "/oauth/token", address, &more, &encode(&FIELDS));
        statuses.push(raw(address, &request).await.split(' ').nth(1).unwrap().to_owned());
    }
    assert_eq!(statuses, ["400", "400", "400", "429"]);
    assert_eq!(world.events().pop().unwrap().source.as_deref(), Some("127.0.0.1"));
}

#[tokio::test]
async fn rate_06_the_layer_is_one_for_any_service() {
    let echo = service_fn(async |request: axum::http::Request<()>| {
        let source = request.extensions().get::<Source>().copied();
        Ok::<_, std::convert::Infallible>(source.map(|source| source.address().to_string()))
    });
    let service = proxies().layer(echo);
    let sent = |peer: &str, forwarded: &str| {
        let request = request(peer, &[(XFF, forwarded)]);
        service.clone().oneshot(request.map(|_| ()))
    };
    assert_eq!(sent("127.0.0.1", "192.0.2.1").await.unwrap().as_deref(), Some("192.0.2.1"));
    assert_eq!(sent("203.0.113.1", "192.0.2.1").await.unwrap().as_deref(), Some("203.0.113.1"));
    assert_eq!(sent("", "192.0.2.1").await.unwrap(), None);
    // A handler of axum reads it as an extension.
    let read = get(async |source: axum::Extension<Source>| source.address().to_string());
    let app = Router::new().route("/oauth/token", read.clone().post(read)).layer(proxies());
    let answer = send(&app, request("10.0.0.1", &[(XFF, "192.0.2.7")])).await;
    assert_eq!((answer.status, &*answer.body), (405, ""));
}

/// Whatever a header says, the source is an address, and it is the peer's if the peer is not
/// trusted.
#[test]
fn i30_no_header_makes_the_layer_panic() {
    let mut random = support::Random(1);
    let pieces = [
        "192.0.2.1",
        "10.0.0.1",
        "2001:db8::1",
        "[2001:db8::1]:80",
        "unknown",
        "_x",
        "for=",
        "FOR=",
        "\"",
        "\\",
        "\\\"",
        ",",
        ";",
        " ",
        "\t",
        "=",
        "by=10.0.0.1",
        ":",
        "[",
        "]",
        "é",
        "%eth0",
        "for=\"[::1]\"",
        "999.1.1.1",
        "0",
        "::ffff:10.0.0.1",
    ];
    for _ in 0..20_000 {
        let mut headers = HeaderMap::new();
        for _ in 0..random.below(4) {
            let value: String =
                (0..random.below(8)).map(|_| pieces[random.below(pieces.len())]).collect();
            let name = [XFF, "forwarded"][random.below(2)];
            let value = axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(name, value);
        }
        let stranger: SocketAddr = "203.0.113.1:1".parse().unwrap();
        assert_eq!(proxies().source(stranger, &headers).address(), stranger.ip(), "{headers:?}");
        let proxy: SocketAddr = "[::ffff:127.0.0.1]:1".parse().unwrap();
        let named = proxies().source(proxy, &headers);
        let again = proxies().source(SocketAddr::new(named.address(), 1), &HeaderMap::new());
        assert_eq!(again, named, "{headers:?}");
    }
}
