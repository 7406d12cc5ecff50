//! Tests of REDIR-01 to -09 and -18: which redirect URIs can be registered. They use the client
//! builder, which every way of registration uses.

use grantcore::client::ClientError;
use grantcore::value::{PrivateUseSchemes, RedirectRules, RedirectUriError};
use grantcore::{Client, Reason};

use crate::support::params::Params;
use crate::support::refused::{assert_page, refused};
use crate::support::{CALLBACK, World, policy};

use RedirectUriError as E;

pub(crate) fn build_under(uri: &str, rules: &RedirectRules) -> Result<Client, ClientError> {
    Client::public("c").redirect_uri(uri).build_under(rules)
}

fn unregistered(uri: &str, error: RedirectUriError) -> ClientError {
    ClientError::RedirectUri { uri: uri.to_owned(), error }
}

#[track_caller]
fn assert_registers(uri: &str) {
    let client = build_under(uri, &RedirectRules::default());
    let client = client.unwrap_or_else(|error| panic!("{uri:?}: {error}"));
    assert_eq!(client.redirect_uris()[0].as_str(), uri, "the URI is stored unchanged");
}

#[track_caller]
pub(crate) fn assert_not_registered(uri: &str, error: RedirectUriError) {
    assert_eq!(
        build_under(uri, &RedirectRules::default()).err(),
        Some(unregistered(uri, error)),
        "{uri:?}"
    );
}

/// Relative URIs, and URIs without the part after the scheme.
pub(crate) const RELATIVE: &[&str] = &[
    "/cb",
    "example.com/cb",
    "//example.com/cb",
    "",
    "cb",
    ":",
    "://example.com/cb",
    "1http://a.example/cb",
    "https:",
    "https:cb",
    "https:/a.example/cb",
    "https:///cb",
    "https://",
    "https://?x",
    "http:127.0.0.1/cb",
];

pub(crate) const FRAGMENTS: &[&str] = &[
    "https://a.example/cb#x",
    "https://a.example/cb#",
    "http://127.0.0.1/cb#",
    "com.example.app:/cb#x",
];

/// `http` URIs of other hosts, and other spellings of the three loopback hosts.
pub(crate) const INSECURE: &[&str] = &[
    "http://a.example/cb",
    "http://192.168.0.5/cb",
    "http://127.0.0.1.a.example/cb",
    "http://localhost.a.example/cb",
    "http://localhost./cb",
    "http://127.0.0.2/cb",
    "http://127.1/cb",
    "http://0x7f000001/cb",
    "http://2130706433/cb",
    "http://0.0.0.0/cb",
    "http://[::]/cb",
    "http://[0:0:0:0:0:0:0:1]/cb",
    "http://[::ffff:127.0.0.1]/cb",
];

pub(crate) const LOOPBACK: &[&str] = &[
    "http://127.0.0.1/cb",
    "http://[::1]/cb",
    "http://localhost/cb",
    "http://localhost:3000/callback",
    "http://127.0.0.1",
];

pub(crate) const REVERSED: &[&str] =
    &["com.example.app:/cb", "com.example.app://cb", "com.example.app:cb", "COM.Example.App:/cb"];

/// Private-use schemes that any application could claim.
pub(crate) const UNREVERSED: &[&str] = &[
    "myapp:/cb",
    "myapp://cb",
    "cursor://anysphere.cursor-deeplink/mcp/auth",
    "urn:ietf:wg:oauth:2.0:oob",
];

pub(crate) const USERINFO: &[&str] = &[
    "https://user@a.example/cb",
    "https://user:pw@a.example/cb",
    "https://@a.example/cb",
    "https://a@b@c.example/",
    "http://127.0.0.1@evil.example/cb",
    "com.example.app://user@host/cb",
];

/// Texts that RFC 3986 does not allow, although browsers accept them.
pub(crate) const MALFORMED: &[&str] = &[
    "https://a.example/%ZZ",
    "https://a.example/cb%",
    "https://a.example/cb%2",
    "https://a.example/%%30",
    "https://a.example/cb?a=[x]",
    "https://a.example/[cb]",
    "https://a.example/cb?x=%G0",
    "http://127.0.0.1/cb%",
    "http://[::1]/]",
    "com.example.app:/cb%zz",
    "com.example.app:cb[1]",
];

/// Hosts with an empty label.
pub(crate) const EMPTY_LABELS: &[&str] =
    &["https://a..example/cb", "https://.a.example/cb", "https://a.example../cb"];

/// Characters that no URI has.
pub(crate) const STRANGE: &[&str] =
    &[" ", "\t", "\n", "\r", "\0", "\u{7f}", "\\", "é", "\u{202e}", "\u{ff0f}"];

pub(crate) const WILDCARDS: &[&str] = &[
    "https://*.a.example/cb",
    "https://*/cb",
    "https://a.*/cb",
    "https://a.example:*/cb",
    "http://127.0.0.1:*/cb",
];

/// The parameters of a response.
pub(crate) const RESERVED: &[&str] =
    &["code", "state", "iss", "error", "error_description", "error_uri"];

pub(crate) const DANGEROUS: &[&str] = &[
    "javascript",
    "data",
    "vbscript",
    "file",
    "blob",
    "about",
    "filesystem",
    "view-source",
    "ws",
    "wss",
    "ftp",
    "mailto",
    "intent",
];

/// Returns the scheme in lower, upper and mixed case.
pub(crate) fn spellings(scheme: &str) -> [String; 3] {
    let mixed =
        scheme.char_indices().map(|(i, c)| if i % 2 == 0 { c.to_ascii_uppercase() } else { c });
    [scheme.to_owned(), scheme.to_ascii_uppercase(), mixed.collect()]
}

#[test]
fn redir_01_a_client_registers_at_least_one() {
    assert_eq!(Client::public("c").build().err(), Some(ClientError::RedirectUrisMissing));
}

#[test]
fn redir_02_the_uri_is_absolute() {
    for uri in RELATIVE {
        assert_not_registered(uri, E::NotAbsolute);
    }
}

#[test]
fn redir_02_the_uri_is_one_of_rfc_3986() {
    for uri in MALFORMED {
        assert_not_registered(uri, E::Character);
    }
    for uri in EMPTY_LABELS {
        assert_not_registered(uri, E::HostSpelling);
    }
    for uri in [
        "https://a.example/%5Bcb%5D?a=%5bx%5d&b=%25",
        "https://a.example./cb",
        "https://[2001:db8::1]:8443/cb",
        "http://[::1]:3000/cb",
        "https://a.example/a:b@c!$&'()*+,;=~-._/?/?:@",
        "com.example.app:/cb?x=a:b",
        "com.example.app://host:1/cb",
    ] {
        assert_registers(uri);
    }
}

#[test]
fn redir_03_a_fragment_is_refused() {
    for uri in FRAGMENTS {
        assert_not_registered(uri, E::Fragment);
    }
    let world = World::new();
    for fragment in ["#x", "#", "%23"] {
        let refusal = refused(
            &world,
            &Params::authorize().set("redirect_uri", &format!("{CALLBACK}{fragment}")),
        );
        assert_page(&world, &refusal, 400, "invalid_request", Reason::RedirectUriMismatch);
    }
}

#[test]
fn redir_04_http_is_for_loopback() {
    for uri in INSECURE {
        assert_not_registered(uri, E::InsecureHost);
    }
    for uri in LOOPBACK {
        assert_registers(uri);
    }
    assert_registers("https://192.168.0.5/cb");
}

#[test]
fn redir_05_dangerous_schemes_are_refused_whatever_the_rules_say() {
    for scheme in DANGEROUS {
        let lenient = PrivateUseSchemes::ReverseDomainAnd(vec![(*scheme).to_owned()]);
        let rules = RedirectRules::default().with_private_use_schemes(lenient);
        for spelling in spellings(scheme) {
            for uri in [format!("{spelling}:x"), format!("{spelling}://a.example/cb")] {
                assert_not_registered(&uri, E::ForbiddenScheme);
                assert_eq!(
                    build_under(&uri, &rules).err(),
                    Some(unregistered(&uri, E::ForbiddenScheme)),
                    "{uri}"
                );
            }
        }
    }
}

#[test]
fn redir_06_private_use_schemes_are_reversed_domain_names() {
    for uri in REVERSED {
        assert_registers(uri);
    }
    for uri in UNREVERSED {
        assert_not_registered(uri, E::PrivateUseScheme);
    }
    let named = PrivateUseSchemes::ReverseDomainAnd(vec!["cursor".to_owned()]);
    let rules = RedirectRules::default().with_private_use_schemes(named);
    assert!(build_under("cursor://anysphere.cursor-deeplink/mcp/auth", &rules).is_ok());
    assert!(build_under("com.example.app:/cb", &rules).is_ok());
    assert_eq!(
        build_under("myapp:/cb", &rules).err(),
        Some(unregistered("myapp:/cb", E::PrivateUseScheme))
    );
    let rules = RedirectRules::default().with_private_use_schemes(PrivateUseSchemes::Deny);
    assert_eq!(
        build_under("com.example.app:/cb", &rules).err(),
        Some(unregistered("com.example.app:/cb", E::PrivateUseScheme))
    );
    assert!(build_under(CALLBACK, &rules).is_ok());
}

#[test]
fn redir_07_userinfo_and_invalid_characters_are_refused() {
    for uri in USERINFO {
        assert_not_registered(uri, E::Userinfo);
    }
    for character in STRANGE {
        for uri in [
            format!("https://a.example/{character}cb"),
            format!("{character}{CALLBACK}"),
            format!("{CALLBACK}{character}"),
        ] {
            assert_not_registered(&uri, E::Character);
        }
    }
}

#[test]
fn redir_07_at_most_2048_bytes() {
    let longest = format!("{CALLBACK}?{}", "x".repeat(2048 - CALLBACK.len() - 1));
    assert_registers(&longest);
    assert_not_registered(&format!("{longest}x"), E::TooLong);
    let world = World::new();
    world.put(Client::public("app").redirect_uri(&longest).build().unwrap());
    world.page(&Params::authorize().set("redirect_uri", &longest));
}

#[test]
fn redir_08_there_are_no_wildcards() {
    for uri in WILDCARDS {
        let error = build_under(uri, &RedirectRules::default()).err();
        assert!(
            matches!(error, Some(ClientError::RedirectUri { error: E::Wildcard | E::Port, .. })),
            "{uri}: {error:?}"
        );
    }
    let world = World::new();
    world.put(Client::public("app").redirect_uri("https://a.example/*").build().unwrap());
    for other in ["https://a.example/x", "https://a.example/", "https://a.example/*/x"] {
        let refusal = refused(&world, &Params::authorize().set("redirect_uri", other));
        assert_page(&world, &refusal, 400, "invalid_request", Reason::RedirectUriMismatch);
    }
    world.page(&Params::authorize().set("redirect_uri", "https://a.example/*"));
}

#[test]
fn redir_09_the_query_has_no_parameter_of_the_response() {
    for name in RESERVED {
        for query in [
            format!("{name}=1"),
            format!("x=1&{name}=1"),
            (*name).to_owned(),
            format!("{name}="),
            format!("&&{name}=1"),
        ] {
            assert_not_registered(&format!("https://a.example/cb?{query}"), E::ReservedParameter);
            assert_not_registered(&format!("com.example.app:/cb?{query}"), E::ReservedParameter);
        }
    }
    assert_not_registered("https://a.example/cb?%63ode=1", E::ReservedParameter);
    for uri in [
        "https://a.example/cb?codes=1",
        "https://a.example/cb?x=code",
        "https://a.example/code/state",
    ] {
        assert_registers(uri);
    }
}

#[test]
fn redir_15_a_port_is_a_number() {
    for port in ["", "0", "080", "65536", "+80", "-1", "8 0", "x", "80:80", "99999999999"] {
        for host in ["https://a.example", "http://127.0.0.1", "http://[::1]"] {
            assert!(
                build_under(&format!("{host}:{port}/cb"), &RedirectRules::default()).is_err(),
                "{host}:{port}"
            );
        }
    }
    for uri in ["https://a.example:1/cb", "http://127.0.0.1:65535/cb", "http://[::1]:80/cb"] {
        assert_registers(uri);
    }
}

#[test]
fn redir_18_at_most_ten_and_each_once() {
    let with = |n: usize| {
        (0..n).fold(Client::public("c"), |client, i| {
            client.redirect_uri(format!("https://a.example/{i}"))
        })
    };
    assert_eq!(with(10).build().unwrap().redirect_uris().len(), 10);
    assert_eq!(
        with(11).build().err(),
        Some(ClientError::RedirectUrisTooMany { count: 11, limit: 10 })
    );
    let again = with(10).redirect_uri("https://a.example/0").redirect_uri("https://a.example/9");
    assert_eq!(again.build().unwrap().redirect_uris().len(), 10);
    let rules = RedirectRules::default().with_limit(11);
    assert_eq!(with(11).build_under(&rules).unwrap().redirect_uris().len(), 11);
    assert_eq!(policy().build().unwrap().redirect_rules().limit(), 10);
}
