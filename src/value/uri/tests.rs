//! Tests of how URIs are taken apart.

use super::{Uri, is_page, is_server_url, rewritten_host, strip_port};

#[test]
fn a_uri_is_split_where_rfc_3986_splits_it() {
    for (text, host, port, origin, rest) in [
        ("https://a.example", "a.example", None, "https://a.example", ""),
        ("HTTPS://A.example:1/b?c", "A.example", Some("1"), "HTTPS://A.example:1", "/b?c"),
        ("http://u:p@[::1]:80#f", "[::1]", Some("80"), "http://u:p@[::1]:80", "#f"),
        ("http://[::1]?a:b@c", "[::1]", None, "http://[::1]", "?a:b@c"),
        ("http://a:/", "a", Some(""), "http://a:", "/"),
        ("com.example:/cb", "", None, "com.example:/cb", ""),
        ("a:///b", "", None, "a://", "/b"),
    ] {
        let uri = Uri::split(text).unwrap();
        assert_eq!((uri.host(), uri.port()), (host, port), "{text}");
        assert_eq!((uri.origin(), uri.path_and_query()), (origin, rest), "{text}");
    }
    for text in ["", "a", "//a", "1a:b", "a b:c", ":a", "/a:b", "é:a"] {
        assert!(Uri::split(text).is_none(), "{text}");
    }
}

#[test]
fn redir_15_a_port_is_a_number_without_a_leading_zero() {
    for (after_host, rest) in [("/cb", "/cb"), (":1/cb", "/cb"), (":65535", ""), ("", "")] {
        assert_eq!(strip_port(after_host), Some(rest));
    }
    for after_host in [":", ":0", ":01", ":65536", ":/cb", ":-1", ":123456"] {
        assert_eq!(strip_port(after_host), None, "{after_host}");
    }
}

#[test]
fn a_server_url_is_written_as_every_parser_reads_it() {
    for good in ["https://a.example", "https://a.example:8443/b?c", "https://127.0.0.1"] {
        assert!(is_server_url(good, false), "{good}");
    }
    for bad in [
        "https:/a.example",
        "https:///a.example",
        "HTTPS://a.example",
        "https://u@a.example",
        "https://a.example#",
        "https://a.example/\"",
        "http://localhost",
        "com.example:/a",
    ] {
        assert!(!is_server_url(bad, false), "{bad}");
    }
    for host in ["localhost:80", "127.0.0.1", "[::1]/a"] {
        assert!(is_server_url(&format!("http://{host}"), true), "{host}");
    }
    for host in ["a.example", "127.0.0.2", "a.localhost"] {
        assert!(!is_server_url(&format!("http://{host}"), true), "{host}");
    }
}

#[test]
fn a_page_has_a_host_that_a_reader_sees() {
    assert!(is_page("https://a.example/b") && is_page("https://[::1]:1?c"));
    for bad in [
        "http://a.example",
        "HTTPS://a.example",
        "https://",
        "https://a@b",
        "https://-a",
        "https://a b",
    ] {
        assert!(!is_page(bad), "{bad}");
    }
}

#[test]
fn a_host_that_a_browser_rewrites_is_named() {
    for (uri, host) in [
        ("http://2130706433/cb", Some("127.0.0.1")),
        ("https://u:p@BÜCHER.example:1/", Some("xn--bcher-kva.example")),
        ("https://A.example\\b", None),
        ("https://u@A.example:1", None),
        ("com.example:/cb", None),
        ("https:a.example", None),
    ] {
        assert_eq!(rewritten_host(uri).as_deref(), host, "{uri}");
    }
}
