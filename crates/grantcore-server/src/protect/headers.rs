//! The headers of a forwarded call: those that pass, and those that this server sets.
//!
//! The table for operators is in `docs/deploy.md`. An upstream can trust a header `Grantcore-…`
//! because no caller can send one: a header with this prefix is removed in every spelling that an
//! upstream could read as the same name, and then set once.

use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Version};
use grantcore::Access;
use grantcore::value::Properties;
use grantcore_axum::Caller;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

const SUBJECT: HeaderName = HeaderName::from_static("grantcore-subject");
const CLIENT: HeaderName = HeaderName::from_static("grantcore-client");
const SCOPE: HeaderName = HeaderName::from_static("grantcore-scope");
const PROPERTIES: HeaderName = HeaderName::from_static("grantcore-properties");

/// The headers of one connection (RFC 9110 §7.6.1), and those that frame a body.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers of a caller that do not pass.
const NOT_TO_UPSTREAM: [&str; 10] = [
    // The access token, and the session of this server.
    "authorization",
    "cookie",
    "cookie2",
    // What this server answers for: it answers `Expect` itself, the client sets the length and the
    // host, and a token counts from any origin.
    "content-length",
    "expect",
    "host",
    "origin",
    // The caller's ID of a session, for which `session.rs` sets that of the upstream.
    "mcp-session-id",
    // What only a proxy may set.
    "forwarded",
    "x-real-ip",
];

/// Prefixes of headers of a caller that do not pass: those of this server, and those by which other
/// proxies name the caller and the address.
const NOT_TO_UPSTREAM_PREFIXES: [&str; 8] = [
    "grantcore-",
    "x-forwarded-",
    "access-control-request-",
    "remote-",
    "x-remote-",
    "x-auth-request-",
    "x-original-",
    "x-rewrite-",
];

/// Headers of an upstream that do not pass: they speak for the whole origin of this server, or to
/// the proxy in front of it.
const NOT_TO_CALLER: [&str; 11] = [
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
    "clear-site-data",
    "strict-transport-security",
    "alt-svc",
    "service-worker-allowed",
    "x-sendfile",
    // The response to one user is in no shared cache.
    "cache-control",
    "expires",
    "pragma",
];

const NOT_TO_CALLER_PREFIXES: [&str; 5] =
    ["access-control-", "grantcore-", "x-accel-", "cdn-", "surrogate-"];

/// What is percent-encoded in a value: all that is not visible ASCII, the percent sign itself, and
/// the comma, by which upstreams join headers of one name.
const ENCODED: AsciiSet = CONTROLS.add(b' ').add(b'%').add(b',');

/// Returns the headers of a call for the upstream. `scope` is what the access token allows at it.
pub(super) fn to_upstream(
    received: &HeaderMap,
    caller: &Caller,
    scope: &str,
    version: Version,
) -> HeaderMap {
    let mut headers = without(received, &NOT_TO_UPSTREAM, &NOT_TO_UPSTREAM_PREFIXES);
    // A call without a user has no such header: the upstream must not take the client for one.
    if let Some(subject) = caller.subject() {
        headers.insert(SUBJECT, encoded(subject));
    }
    headers.insert(CLIENT, encoded(caller.client_id()));
    #[expect(clippy::expect_used, reason = "scope tokens are visible ASCII (OAuth 2.1 §1.4.1)")]
    headers.insert(SCOPE, HeaderValue::try_from(scope).expect("visible ASCII"));
    let properties = caller.access().and_then(Access::properties);
    set_properties(&mut headers, properties.map(Properties::as_str));
    // RFC 9110 §7.6.3.
    let via = if version == Version::HTTP_10 { "1.0 grantcore" } else { "1.1 grantcore" };
    headers.append(header::VIA, HeaderValue::from_static(via));
    headers
}

/// Sets the properties of the grant, if it has some.
fn set_properties(headers: &mut HeaderMap, properties: Option<&str>) {
    if let Some(properties) = properties {
        headers.insert(PROPERTIES, encoded(properties));
    }
}

/// Returns the headers of a response for the caller.
pub(super) fn to_caller(received: &HeaderMap) -> HeaderMap {
    let mut headers = without(received, &NOT_TO_CALLER, &NOT_TO_CALLER_PREFIXES);
    // A length beside a transfer coding is none (RFC 9112 §6.3).
    if received.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_event_stream(received) {
        // nginx would gather the events.
        let name = HeaderName::from_static("x-accel-buffering");
        headers.insert(name, HeaderValue::from_static("no"));
    }
    headers
}

/// Returns whether a response is a stream of server-sent events.
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("text/event-stream")
}

/// Returns whether a request asks for a WebSocket. Other protocols that it offers are ignored: some
/// clients offer HTTP/2 with each first request.
pub(super) fn is_websocket(headers: &HeaderMap) -> bool {
    list(headers, &header::UPGRADE).any(|own| {
        let protocol = own.split(|byte| *byte == b'/').next().unwrap_or_default();
        protocol.eq_ignore_ascii_case(b"websocket")
    })
}

/// Returns the headers without those of the connection, those that its `Connection` header names,
/// and these.
fn without(received: &HeaderMap, names: &[&str], prefixes: &[&str]) -> HeaderMap {
    let is_named = |name: &HeaderName| {
        list(received, &header::CONNECTION)
            .any(|own| own.eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    let mut headers = HeaderMap::with_capacity(received.len());
    for (name, value) in received {
        let plain = plain(name);
        let is_removed = HOP_BY_HOP.contains(&plain.as_str())
            || names.contains(&plain.as_str())
            || prefixes.iter().any(|prefix| plain.starts_with(prefix));
        if !is_removed && !is_named(name) {
            headers.append(name, value.clone());
        }
    }
    headers
}

/// Returns a name as the most lenient upstream reads it. CGI and its successors write `_` for `-`,
/// and some of them for every other sign.
fn plain(name: &HeaderName) -> String {
    let sign = |sign: char| if sign.is_ascii_alphanumeric() { sign } else { '-' };
    name.as_str().chars().map(sign).collect()
}

/// Returns the elements of all headers of a name that is a list.
fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let values = headers.get_all(name).iter();
    values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn encoded(value: &str) -> HeaderValue {
    #[expect(clippy::expect_used, reason = "the rest is encoded")]
    HeaderValue::try_from(utf8_percent_encode(value, &ENCODED).to_string()).expect("visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::try_from(*name).unwrap(),
                    HeaderValue::from_bytes(value.as_bytes()).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn a_value_is_encoded_and_can_be_decoded() {
        for (value, expected) in [
            ("alice@example.com", "alice@example.com"),
            ("https://app.example/c?a=b#c", "https://app.example/c?a=b#c"),
            ("a b", "a%20b"),
            ("a\r\nGrantcore-Subject: root", "a%0D%0AGrantcore-Subject:%20root"),
            ("Zoë, 100%", "Zo%C3%AB%2C%20100%25"),
            ("\u{7f}\t\0", "%7F%09%00"),
        ] {
            let encoded = encoded(value);
            assert_eq!(encoded, expected);
            let decoded = percent_encoding::percent_decode(encoded.as_bytes());
            assert_eq!(decoded.decode_utf8().unwrap(), value);
        }
    }

    #[test]
    fn properties_are_set_if_there_are_some() {
        let mut set = HeaderMap::new();
        set_properties(&mut set, None);
        assert!(set.is_empty());
        set_properties(&mut set, Some(r#"{"org":"Zoë"}"#));
        assert_eq!(set, headers(&[("grantcore-properties", r#"{"org":"Zo%C3%AB"}"#)]));
    }

    #[test]
    fn what_speaks_for_the_server_does_not_pass_from_an_upstream() {
        let received = headers(&[
            ("content-type", "text/plain"),
            ("mcp-session-id", "1"),
            ("x-custom", "1"),
            ("x-custom", "2"),
            ("connection", "x-hop, close"),
            ("x-hop", "1"),
            ("keep-alive", "1"),
            ("set-cookie", "a=b"),
            ("www-authenticate", "Basic"),
            ("access-control-allow-origin", "https://evil.example"),
            ("clear-site-data", "*"),
            ("x-accel-redirect", "/secret"),
            ("cache-control", "public, max-age=60"),
            ("cdn-cache-control", "public"),
            ("strict-transport-security", "max-age=0"),
        ]);
        let expected = headers(&[
            ("content-type", "text/plain"),
            ("mcp-session-id", "1"),
            ("x-custom", "1"),
            ("x-custom", "2"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ]);
        assert_eq!(to_caller(&received), expected);
        let stream = to_caller(&headers(&[("content-type", "Text/Event-Stream; charset=utf-8")]));
        assert_eq!(stream["x-accel-buffering"], "no");
        let both = headers(&[("content-length", "5"), ("transfer-encoding", "chunked")]);
        assert!(!to_caller(&both).contains_key("content-length"));
        assert_eq!(to_caller(&headers(&[("content-length", "5")]))["content-length"], "5");
    }

    #[test]
    fn only_websockets_are_refused() {
        for (upgrade, expected) in
            [("websocket", true), ("h2c, WebSocket", true), ("WebSocket/13", true), ("h2c", false)]
        {
            assert_eq!(is_websocket(&headers(&[("upgrade", upgrade)])), expected, "{upgrade}");
        }
    }
}
