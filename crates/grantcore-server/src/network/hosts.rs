//! The host names that this server answers to, and the scheme that pages are opened with.
//!
//! A web page can rebind its own name to this machine (DNS rebinding). Its requests then have that
//! name as `Host`, and are refused before anything else of them is read. A proxy that sends the
//! name of its upstream looks the same, so the response names the received host and the setting.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::Response;

use crate::config::{AllowedHost, Issuer};
use crate::pages::answer::{self, Answer};
use crate::routes::plain::is_page;
use crate::site::Site;

/// The host names of this server.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    issuer: Issuer,
    further: Arc<[AllowedHost]>,
    site: Site,
}

impl Hosts {
    pub(crate) fn new(issuer: &Issuer, further: &[AllowedHost], site: &Site) -> Self {
        Self { issuer: issuer.clone(), further: further.into(), site: site.clone() }
    }

    /// Refuses a request for another host name, on a connection to `local`. Refers a browser that
    /// uses plain `http` to the issuer. Returns `None` if the request may go on.
    pub(crate) fn refusal(&self, request: &Request, local: SocketAddr) -> Option<Response> {
        if self.is_of_issuer(request) || is_preflight(request) {
            return None;
        }
        let Some(host) = host(request) else {
            let received = answer::shown(&lines(request));
            let answer = Answer {
                status: StatusCode::BAD_REQUEST,
                title: "Which host?",
                code: "invalid_request",
                description: format!(
                    "The request must name one host in its Host header; received: {received}."
                ),
                message: None,
                links: Vec::new(),
            };
            return Some(self.respond(answer, request));
        };
        if !self.allows(&host, local) {
            let received = answer::shown(host.as_str().as_bytes());
            tracing::warn!(host = %received, "refused a Host that is not in --allowed-hosts");
            let answer = Answer {
                status: StatusCode::FORBIDDEN,
                title: "Not a name of this server",
                code: "invalid_request",
                description: format!(
                    "This server does not answer to the Host that it received: {received}. Its operator lets the proxy pass \
                     the Host on as clients send it ({}), or names this one by --allowed-hosts.",
                    self.issuer.host(),
                ),
                message: None,
                links: Vec::new(),
            };
            return Some(self.respond(answer, request));
        }
        if self.is_opened_in_the_clear(request, &host) {
            let issuer = self.issuer.as_str();
            let received = answer::shown(host.as_str().as_bytes());
            let answer = Answer {
                status: StatusCode::MISDIRECTED_REQUEST,
                title: "Open this server by https",
                code: "invalid_request",
                description: format!(
                    "This server is {issuer}, and was reached over plain http, where nobody can sign in. Open {issuer} instead. \
                     If you did, its proxy must pass on the Host header or set X-Forwarded-Proto to https, or its operator \
                     names the Host that the proxy sends by --allowed-hosts; received: {received}.",
                ),
                message: None,
                links: Vec::new(),
            };
            return Some(self.respond(answer, request));
        }
        None
    }

    /// Returns whether the request names the host of the issuer as clients spell it. Most do, and
    /// need no further look: a named host is never refused.
    fn is_of_issuer(&self, request: &Request) -> bool {
        let mut lines = request.headers().get_all(header::HOST).iter();
        let line = lines.next().filter(|_| lines.next().is_none());
        request.uri().authority().is_none()
            && line.is_some_and(|line| line.as_bytes() == self.issuer.authority().as_bytes())
    }

    /// Returns the response of a refusal. Pages of other origins can read it, except at the address
    /// of a page (AUTHZ-24).
    fn respond(&self, answer: Answer, request: &Request) -> Response {
        if is_page(&self.site, request.uri().path()) {
            answer.at_page(request.headers())
        } else {
            answer.to(request.headers())
        }
    }

    /// Returns whether the server answers to this host name on a connection to `local`: a name of
    /// the operator, `localhost`, a loopback address, or the local address itself.
    fn allows(&self, host: &Authority, local: SocketAddr) -> bool {
        let name = host.host().to_ascii_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let is_local = address
            .is_some_and(|address| address.is_loopback() || local.ip().to_canonical() == address);
        self.is_named(host) || name == "localhost" || is_local
    }

    /// Returns whether the operator named this host, in the issuer or by `--allowed-hosts`.
    fn is_named(&self, host: &Authority) -> bool {
        let name = host.host().to_ascii_lowercase();
        let is_further = |allowed: &AllowedHost| match allowed {
            AllowedHost::Any => true,
            AllowedHost::Named(own) => {
                own.host() == name
                    && own.port_u16().is_none_or(|port| host.port_u16() == Some(port))
            }
        };
        name.eq_ignore_ascii_case(self.issuer.host()) || self.further.iter().any(is_further)
    }

    /// Returns whether a browser opened a page of an `https` issuer over plain `http`, where its
    /// cookies do not work.
    ///
    /// A host that the operator named is never refused. It comes from a proxy, and the scheme that
    /// the proxy names may be that of a hop between two proxies. With another host, the page is
    /// opened over `http` if a proxy names that scheme, or if no proxy is in front. No proxy is in
    /// front if the request has no header of one, and its connection is as browsers make it. Older
    /// versions of nginx use HTTP/1.0 or close the connection after each request.
    fn is_opened_in_the_clear(&self, request: &Request, host: &Authority) -> bool {
        let headers = request.headers();
        let is_page =
            matches!(*request.method(), Method::GET | Method::HEAD) && answer::is_browser(headers);
        if !self.issuer.is_https() || !is_page || self.is_named(host) {
            return false;
        }
        if let Some(scheme) = scheme(headers) {
            return scheme.eq_ignore_ascii_case("http");
        }
        let closes = headers
            .get(header::CONNECTION)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        let is_direct = request.version() >= Version::HTTP_11 && !closes;
        is_direct && !PROXIES.iter().any(|name| headers.contains_key(name))
    }
}

/// Headers that proxies send and browsers do not.
const PROXIES: [HeaderName; 5] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// Returns the scheme of the client's request, as the first proxy recorded it.
fn scheme(headers: &HeaderMap) -> Option<&str> {
    let first = |name: &str| headers.get(name)?.to_str().ok()?.split(',').next();
    let forwarded = || {
        first("forwarded")?.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case("proto").then(|| value.trim().trim_matches('"'))
        })
    };
    first("x-forwarded-proto").map(str::trim).or_else(forwarded)
}

/// Returns the host that a request is for: that of an absolute target, or that of its only `Host`.
fn host(request: &Request) -> Option<Authority> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.clone()).filter(is_host);
    }
    let mut lines = request.headers().get_all(header::HOST).iter();
    let line = lines.next().filter(|_| lines.next().is_none())?;
    line.to_str().ok()?.parse().ok().filter(is_host)
}

/// Returns whether this is a name, with a port or without (RFC 9110 §7.2). `Authority` also accepts
/// a user, and what is no number in the place of the port.
fn is_host(authority: &Authority) -> bool {
    let rest = authority.as_str().strip_prefix(authority.host());
    rest.is_some_and(|rest| matches!(rest, "" | ":") || authority.port_u16().is_some())
}

/// Returns whether this is a CORS preflight. Its response depends on the path alone. Without it, a
/// page of another origin could not read the refusal of the request that follows.
fn is_preflight(request: &Request) -> bool {
    *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Returns the values of all `Host` headers, joined by commas.
fn lines(request: &Request) -> Vec<u8> {
    let lines: Vec<_> =
        request.headers().get_all(header::HOST).iter().map(HeaderValue::as_bytes).collect();
    lines.join(&b", "[..])
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::response::IntoResponse as _;

    use super::*;

    /// Returns the status and the body of the response from a server with these names.
    async fn asked(issuer: &str, further: &[&str], request: Request) -> (u16, String) {
        let further: Vec<_> = further.iter().map(|name| name.parse().unwrap()).collect();
        let site = Site::default();
        let local = "192.0.2.7:8080".parse().unwrap();
        let hosts = Hosts::new(&issuer.parse().unwrap(), &further, &site);
        let response = hosts.refusal(&request, local).unwrap_or_else(|| "served".into_response());
        let response = crate::site::finish(&site, response);
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(body.into()).unwrap())
    }

    fn get(headers: &[(&str, &str)]) -> Request {
        let request = Request::get("/login");
        let add = |request: axum::http::request::Builder, (name, value): &(&str, &str)| {
            request.header(*name, *value)
        };
        headers.iter().fold(request, add).body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn f08_only_known_hosts_are_served() {
        const ISSUER: &str = "https://auth.example.com";
        for (further, host, status) in [
            (&[] as &[_], "127.0.0.1:8080", 200),
            (&[], "127.8.9.1", 200),
            (&[], "localhost", 200),
            (&[], "localhost:", 200),
            (&[], "[::1]:8080", 200),
            (&[], "auth.example.com", 200),
            (&[], "AUTH.example.com:443", 200),
            (&[], "192.0.2.7:8080", 200),
            (&[], "192.0.2.8:8080", 403),
            (&[], "evil.example", 403),
            (&[], "auth.example.com.evil.example", 403),
            (&[], "localhost.evil.example", 403),
            (&[], "127.0.0.1.evil.example", 403),
            (&[], "grantcore_backend", 403),
            (&["Grantcore_Backend"], "grantcore_backend", 200),
            (&["backend"], "BACKEND:8080", 200),
            (&["backend:8080"], "backend:8080", 200),
            (&["backend:8080"], "backend:8081", 403),
            (&["backend:8080"], "backend", 403),
            (&["backend"], "other", 403),
            (&["*"], "evil.example", 200),
        ] {
            let (found, _) = asked(ISSUER, further, get(&[("host", host)])).await;
            assert_eq!(found, status, "{host} {further:?}");
        }
        // The host of an absolute target counts, and not that of the header (RFC 9112 §3.2.2).
        let mut absolute = get(&[("host", "auth.example.com")]);
        *absolute.uri_mut() = "http://evil.example/login".parse().unwrap();
        assert_eq!(asked(ISSUER, &[], absolute).await.0, 403);
        for bad in [
            &[] as &[_],
            &[("host", "")],
            &[("host", "a b")],
            &[("host", "localhost:8080,evil")],
            &[("host", "localhost:abc")],
            &[("host", "localhost:70000")],
            &[("host", "evil@localhost")],
            &[("host", "localhost"), ("host", "x")],
            &[("host", "auth.example.com"), ("host", "auth.example.com")],
        ] {
            assert_eq!(asked(ISSUER, &["*"], get(bad)).await.0, 400, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn f08_the_answer_names_the_host_and_the_setting() {
        let (_, body) =
            asked("https://auth.example.com", &[], get(&[("host", "grantcore_backend")])).await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let description = body["error_description"].as_str().unwrap();
        for part in ["grantcore_backend", "--allowed-hosts", "auth.example.com"] {
            assert!(description.contains(part), "{description}");
        }
        let long = "a".repeat(5000);
        let (_, body) = asked(
            "https://auth.example.com",
            &[],
            get(&[("host", &long), ("accept", "text/html")]),
        )
        .await;
        assert!(body.starts_with("<!doctype html>") && body.len() < 2000, "{body}");
    }

    /// Covers browsers at the address that only the proxy should use, and pages that proxies
    /// request.
    #[tokio::test]
    async fn browsers_that_open_an_https_issuer_over_http_are_referred_to_it() {
        const PAGE: (&str, &str) = ("accept", "text/html,application/xhtml+xml");
        const ISSUER: (&str, &str) = ("host", "auth.example.com");
        const DIRECT: (&str, &str) = ("host", "127.0.0.1:8080");
        const NAMED: (&str, &str) = ("host", "backend");
        const IN_THE_CLEAR: (&str, &str) = ("x-forwarded-proto", "http");
        for (headers, status) in [
            (&[PAGE, DIRECT] as &[_], 421),
            (&[PAGE, DIRECT, IN_THE_CLEAR], 421),
            (&[PAGE, DIRECT, ("forwarded", "for=192.0.2.1;proto=http")], 421),
            (&[PAGE, DIRECT, ("connection", "keep-alive")], 421),
            (&[PAGE, ("host", "192.0.2.7:8080")], 421),
            // The default settings of proxies. A proxy may be behind another that ends TLS.
            (&[PAGE, ISSUER], 200),
            (&[PAGE, ISSUER, IN_THE_CLEAR], 200),
            (&[PAGE, ISSUER, ("forwarded", "for=192.0.2.1;proto=http")], 200),
            (&[PAGE, NAMED], 200),
            (&[PAGE, NAMED, IN_THE_CLEAR], 200),
            (&[PAGE, DIRECT, ("connection", "close")], 200),
            (&[PAGE, DIRECT, ("x-forwarded-for", "192.0.2.1")], 200),
            (&[PAGE, DIRECT, ("x-forwarded-proto", "https")], 200),
            (&[PAGE, DIRECT, ("forwarded", "for=192.0.2.1;proto=https")], 200),
            // Programs.
            (&[DIRECT], 200),
            (&[("accept", "*/*"), DIRECT], 200),
        ] {
            let (found, body) = asked("https://auth.example.com", &["backend"], get(headers)).await;
            assert_eq!(found, status, "{headers:?}");
            assert!(status == 200 || body.contains("https://auth.example.com"), "{body}");
        }
        assert_eq!(asked("http://127.0.0.1:8080", &[], get(&[PAGE, DIRECT])).await.0, 200);
    }
}
