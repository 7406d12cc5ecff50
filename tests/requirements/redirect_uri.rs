//! Tests of REDIR-10 to -15: which requested redirect URI matches a registered one.

use grantcore::value::{LoopbackPorts, RedirectRules};
use grantcore::{Choice, Client, Reason};

use crate::support::params::Params;
use crate::support::refused::{assert_page, refused};
use crate::support::{World, policy};
use LoopbackPorts::{IpLiterals, IpLiteralsAndLocalhost, Off};

/// Returns a world with the client `app`, which registered this URI.
pub(crate) fn registered(uri: &str) -> World {
    with_ports(uri, LoopbackPorts::default())
}

fn rules(loopback_ports: LoopbackPorts) -> RedirectRules {
    RedirectRules::default().with_loopback_ports(loopback_ports)
}

fn with_ports(uri: &str, ports: LoopbackPorts) -> World {
    let world = World::with(policy().redirect_rules(rules(ports)));
    world.put(Client::public("app").redirect_uri(uri).build().unwrap());
    world
}

pub(crate) fn ask(uri: &str) -> Params {
    Params::authorize().set("redirect_uri", uri)
}

/// Asserts that the redirect goes to exactly the requested URI.
#[track_caller]
fn assert_matches(world: &World, uri: &str) {
    let ticket = world.page(&ask(uri)).ticket();
    let location = world.decide(&ticket, Choice::Allow).unwrap().into_location();
    assert!(location.starts_with(&format!("{uri}?code=")), "{location}");
}

#[track_caller]
fn assert_no_match(world: &World, uri: &str) {
    let refusal = refused(world, &ask(uri));
    let problem = assert_page(world, &refusal, 400, "invalid_request", Reason::RedirectUriMismatch);
    assert!(problem.received.is_some(), "{uri}");
}

#[test]
fn redir_10_comparison_is_byte_for_byte() {
    let world = registered("https://example.com/cb");
    for other in [
        "https://example.com/cb/",
        "https://EXAMPLE.com/cb",
        "HTTPS://example.com/cb",
        "https://example.com:443/cb",
        "https://example.com/c%62",
        "https://example.com/cb?",
        "https://example.com/./cb",
        "https://example.com/cb?x=1",
        "https://example.com/CB",
        "https://example.com/c",
        "https://example.com/cb%00",
        "https://example.com//cb",
        "https://example.com./cb",
        " https://example.com/cb",
        "https://example.com/cb\n",
        "http://example.com/cb",
    ] {
        assert_no_match(&world, other);
    }
    assert_matches(&world, "https://example.com/cb");
    let escaped = registered("https://example.com/c%62");
    assert_matches(&escaped, "https://example.com/c%62");
    assert_no_match(&escaped, "https://example.com/cb");
}

/// fosite, CVE-2020-15234: redirect URIs were compared without letter case.
#[test]
fn cve_2020_15234_redirect_comparison_is_case_sensitive() {
    assert_no_match(&registered("https://app.example/cb"), "https://app.example/CB");
    assert_no_match(&registered("https://app.example/CB"), "https://app.example/cb");
    assert_no_match(&registered("http://127.0.0.1/cb"), "http://127.0.0.1:51004/CB");
    assert_no_match(&registered("http://localhost/cb"), "http://LOCALHOST:51004/cb");
}

#[test]
fn redir_11_the_trailing_slash_counts() {
    let without = "https://example.com/cb";
    let with = "https://example.com/cb/";
    assert_no_match(&registered(without), with);
    assert_no_match(&registered(with), without);
    assert_no_match(&registered("https://example.com"), "https://example.com/");
    let world = World::new();
    world.put(Client::public("app").redirect_uri(without).redirect_uri(with).build().unwrap());
    assert_matches(&world, without);
    assert_matches(&world, with);
}

#[test]
fn redir_12_the_port_of_a_loopback_ip_literal_may_differ() {
    for host in ["http://127.0.0.1", "http://[::1]"] {
        for own in ["/cb", ":1/cb", ":65535/cb"] {
            let world = registered(&format!("{host}{own}"));
            for port in ["", ":1", ":80", ":51004", ":65535"] {
                assert_matches(&world, &format!("{host}{port}/cb"));
            }
            for rest in ["/", "", "/cb/", "/cb?x=1", "/other", "/cb/../x", "?x=1"] {
                assert_no_match(&world, &format!("{host}:51004{rest}"));
            }
        }
        let query = registered(&format!("{host}/cb?x=1"));
        query.page(&ask(&format!("{host}:51004/cb?x=1")));
        for rest in ["/cb", "/cb?x=2", "/cb?x=1&y=2", "/cb?"] {
            assert_no_match(&query, &format!("{host}:51004{rest}"));
        }
    }
}

#[test]
fn redir_12_the_code_is_bound_to_the_port_that_was_used() {
    let world = registered("http://127.0.0.1/cb");
    let code = world.code(&ask("http://127.0.0.1:51004/cb"));
    for other in ["http://127.0.0.1:51005/cb", "http://127.0.0.1/cb"] {
        let reply = world.token(&Params::redeem(&code).set("redirect_uri", other));
        assert_eq!((reply.status, world.reason()), (400, Some(Reason::TokenRedirectUriMismatch)));
    }
    assert_eq!(
        world.token(&Params::redeem(&code).set("redirect_uri", "http://127.0.0.1:51004/cb")).status,
        200
    );
}

#[test]
fn redir_13_no_other_port_may_differ() {
    for (own, other) in [
        ("https://127.0.0.1:1/cb", "https://127.0.0.1:2/cb"),
        ("https://localhost:1/cb", "https://localhost:2/cb"),
        ("https://[::1]:1/cb", "https://[::1]/cb"),
        ("https://app.example/cb", "https://app.example:444/cb"),
        ("com.example.app://h:1/cb", "com.example.app://h:2/cb"),
        ("http://127.0.0.1/cb", "https://127.0.0.1:1/cb"),
    ] {
        assert_no_match(&registered(own), other);
    }
    let spellings = ["127.0.0.1", "[::1]", "localhost"];
    let strangers = [
        "127.1",
        "127.0.0.2",
        "0x7f000001",
        "2130706433",
        "127.0.0.01",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "Localhost",
    ];
    for own in spellings {
        let world = registered(&format!("http://{own}:1/cb"));
        for other in spellings.iter().chain(&strangers).filter(|other| **other != own) {
            assert_no_match(&world, &format!("http://{other}:1/cb"));
            assert_no_match(&world, &format!("http://{other}:2/cb"));
        }
    }
}

/// fosite, CVE-2020-15233: any client could request 127.0.0.1, and the query of a loopback URI was
/// ignored.
#[test]
fn cve_2020_15233_loopback_exemption_is_for_loopback_clients() {
    let web = registered("https://app.example/cb");
    for loopback in [
        "http://127.0.0.1/cb",
        "http://127.0.0.1:51004/cb",
        "http://[::1]/cb",
        "http://localhost/cb",
    ] {
        assert_no_match(&web, loopback);
    }
    for own in ["http://127.0.0.1/cb", "http://localhost/cb"] {
        assert_no_match(&registered(own), &format!("{own}?a=b"));
        assert_no_match(&registered(own), &own.replace("/cb", ":51004/cb?a=b"));
    }
}

#[test]
fn redir_14_localhost_has_a_free_port_unless_switched_off() {
    for (ports, literal, localhost) in
        [(IpLiteralsAndLocalhost, true, true), (IpLiterals, true, false), (Off, false, false)]
    {
        for (own, other, matches) in [
            ("http://localhost:3000/callback", "http://localhost:61023/callback", localhost),
            ("http://localhost/callback", "http://localhost:61023/callback", localhost),
            ("http://127.0.0.1:3000/callback", "http://127.0.0.1:61023/callback", literal),
            ("http://[::1]/callback", "http://[::1]:61023/callback", literal),
        ] {
            let per_server = with_ports(own, ports);
            let per_client = World::new();
            per_client.put(
                Client::public("app").redirect_uri(own).loopback_ports(ports).build().unwrap(),
            );
            for world in [&per_server, &per_client] {
                assert_matches(world, own);
                if matches { assert_matches(world, other) } else { assert_no_match(world, other) }
            }
        }
    }
    assert_eq!(rules(LoopbackPorts::default()), RedirectRules::default());
    assert_eq!(LoopbackPorts::default(), IpLiteralsAndLocalhost);
}

#[test]
fn redir_15_a_requested_port_is_a_number() {
    for host in ["http://127.0.0.1", "http://[::1]", "http://localhost"] {
        for own in ["/cb", ":80/cb"] {
            let world = registered(&format!("{host}{own}"));
            for port in [
                "0",
                "65536",
                "",
                "080",
                "+80",
                "-1",
                " 80",
                "80 ",
                "8O",
                "0x50",
                "\u{0668}",
                "100000",
                "18446744073709551696",
                "80:80",
            ] {
                assert_no_match(&world, &format!("{host}:{port}/cb"));
            }
            assert_matches(&world, &format!("{host}:1/cb"));
            assert_matches(&world, &format!("{host}:65535/cb"));
        }
    }
}

/// Keycloak, CVE-2026-3872 and CVE-2026-7504: parsers disagreed on the host of a URL.
#[test]
fn cve_2026_3872_confusing_urls_match_nothing() {
    for (own, others) in [
        (
            "https://app.example/cb",
            [
                "https://app.example/cb/..;/admin",
                "https://app.example/cb/../cb",
                "https://app.example/cb;x",
                "https://app.example@evil.example/cb",
                "https://a@b@app.example/cb",
                "https://evil.example\\@app.example/cb",
                "https://evil.example#https://app.example/cb",
                "https://app.example.evil.example/cb",
                "https://app.example%2eevil.example/cb",
                "https://\u{430}pp.example/cb",
                "https:app.example/cb",
                "https:\\\\app.example\\cb",
                "https://app.example\t/cb",
                "\u{feff}https://app.example/cb",
            ],
        ),
        (
            "http://localhost:3000/cb",
            [
                "http://localhost:3000@evil.example/cb",
                "http://localhost:3000.evil.example/cb",
                "http://localhost:3000\\@evil.example/cb",
                "http://localhost:3000#@evil.example/cb",
                "http://localhost:3000/cb@evil.example",
                "http://localhost@evil.example:3000/cb",
                "http://localhost.evil.example:3000/cb",
                "http://localhost%2eevil.example:3000/cb",
                "http://localhost:/cb",
                "http://localhost:3000:80/cb",
                "http://localhost:3000?/cb",
                "http://localhost:3000/../cb",
                "http://@localhost:3000/cb",
                "http:/localhost:3000/cb",
            ],
        ),
    ] {
        let world = registered(own);
        for other in others {
            assert_no_match(&world, other);
        }
    }
}
