//! Property tests of I49: the host on the consent page is the host that a browser goes to, and
//! `code`, `state` and `iss` are separate parameters at any registered URI.

use std::cell::Cell;

use grantcore::client::ClientError;
use grantcore::value::{PrivateUseSchemes, RedirectRules, RedirectUriError};
use grantcore::{Choice, Client, ConsentPage, Reason};
use proptest::prelude::*;
use url::{Host, Url};

use crate::client_metadata::to;
use crate::support::params::Params;
use crate::support::property::check;
use crate::support::refused::{assert_page, refused};
use crate::support::{CALLBACK, ISSUER, World, app};

/// Hosts in various spellings, and as a browser spells them. `None` if there is no host.
const SPELLINGS: &[(&str, Option<&str>)] = &[
    ("0127.0.0.1", Some("87.0.0.1")),
    ("0177.0.0.1", Some("127.0.0.1")),
    ("0x7f000001", Some("127.0.0.1")),
    ("0x7f.1", Some("127.0.0.1")),
    ("2130706433", Some("127.0.0.1")),
    ("017700000001", Some("127.0.0.1")),
    ("127.1", Some("127.0.0.1")),
    ("127.0.1", Some("127.0.0.1")),
    ("127.0.0.1.", Some("127.0.0.1")),
    ("127.0.0.001", Some("127.0.0.1")),
    ("192.168.257", Some("192.168.1.1")),
    ("[0:0:0:0:0:0:0:1]", Some("[::1]")),
    ("[::ffff:127.0.0.1]", Some("[::ffff:7f00:1]")),
    ("[2001:0db8::1]", Some("[2001:db8::1]")),
    ("b%61nk.example", Some("bank.example")),
    ("%6cocalhost", Some("localhost")),
    ("127.0.0.1%2e", Some("127.0.0.1")),
    ("256.256.256.256", None),
    ("1.2.3.4.5", None),
    ("127.0.0.08", None),
    ("[::1%25eth0]", None),
    ("[1.2.3.4]", None),
    ("a.example%2fcb", None),
    ("xn--a", None),
];

/// Hosts in the spelling of a browser, and whether each is the user's own device.
const HOSTS: &[(&str, bool)] = &[
    ("app.example", false),
    ("APP.example", false),
    ("app.example.", false),
    ("xn--bcher-kva.example", false),
    ("192.168.0.5", false),
    ("128.0.0.1", false),
    ("126.255.255.255", false),
    ("[2001:db8::1]", false),
    ("[::ffff:c0a8:5]", false),
    ("localhost.example", false),
    ("notlocalhost", false),
    ("127.0.0.1.example", false),
    ("127.0.0.1", true),
    ("127.0.0.2", true),
    ("127.255.255.255", true),
    ("0.0.0.0", true),
    ("[::1]", true),
    ("[::]", true),
    ("[::ffff:7f00:1]", true),
    ("localhost", true),
    ("LOCALHOST", true),
    ("localhost.", true),
    ("app.localhost", true),
];

fn build(uri: &str) -> Result<Client, ClientError> {
    Client::public("app").redirect_uri(uri).build()
}

/// Returns the consent page of a client that registered and requests this URI.
fn page(uri: &str) -> (World, ConsentPage) {
    let world = World::new();
    world.put(build(uri).unwrap_or_else(|error| panic!("{uri}: {error}")));
    let page = world.page(&Params::authorize().set("redirect_uri", uri));
    (world, page)
}

/// Returns the pairs of a query by the form decoder of the WHATWG URL standard, implemented again
/// so that no shared mistake hides a fault.
fn pairs(location: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [byte, after @ ..] = rest {
            let two = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
            let two = two.filter(|two| *byte == b'%' && !two.starts_with('+'));
            if let Some(decoded) = two.and_then(|two| u8::from_str_radix(two, 16).ok()) {
                bytes.push(decoded);
                rest = &after[2..];
            } else {
                bytes.push(if *byte == b'+' { b' ' } else { *byte });
                rest = after;
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (_, query) = location.split_once('?').unwrap_or_default();
    let sequences = query.split('&').filter(|sequence| !sequence.is_empty());
    sequences
        .map(|sequence| {
            let (name, value) = sequence.split_once('=').unwrap_or((sequence, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// Asserts that the pairs of the registered URI come first and unchanged, and that the other pairs
/// are exactly these, each once.
fn assert_added(location: &str, uri: &str, wanted: &[(&str, &str)]) -> Result<(), TestCaseError> {
    let own = pairs(uri);
    let all = pairs(location);
    prop_assert_eq!(all.get(..own.len()), Some(&own[..]), "{} became {}", uri, location);
    let mut added: Vec<_> = all[own.len()..].to_vec();
    added.sort();
    let added: Vec<_> = added.iter().map(|(name, value)| (&**name, &**value)).collect();
    prop_assert_eq!(added, wanted, "{}", location);
    let parsed = Url::parse(location).unwrap();
    let through_crate: Vec<_> = parsed.query_pairs().into_owned().collect();
    prop_assert_eq!(through_crate, all, "both parsers agree on {}", location);
    Ok(())
}

/// Generates URIs of every kind that can be registered, with various and repeated queries.
pub(crate) fn uris() -> impl Strategy<Value = String> {
    let begins = prop::sample::select(vec![
        "https://app.example/cb",
        "https://app.example",
        "http://127.0.0.1:4000/cb",
        "https://127.0.0.1/a",
        "com.example.app:/cb",
        "com.example.app:cb",
        "com.example.app://host/cb",
    ]);
    let query = prop_oneof![
        Just(String::new()),
        "\\?([a-c=&?;+/]|%2[05F]){0,12}",
        "\\?(next|x|a)=[a-z?/:&=]{0,12}\\??",
        "\\?([a-z]{1,3}(=[a-z?]{0,3})?&?){0,4}",
    ];
    (begins, query).prop_map(|(begin, query)| format!("{begin}{query}"))
}

#[test]
fn i49_code_state_and_iss_are_separate_parameters_at_any_registered_uri() {
    let seen = Cell::new(0);
    check(&uris(), |uri| {
        let client = build(&uri);
        prop_assert!(client.is_ok(), "{}: {:?}", uri, client);
        let world = World::new();
        world.put(client.unwrap());
        let ask = Params::authorize().set("redirect_uri", &uri);
        let decide = |choice| world.decide(&world.page(&ask).ticket(), choice);
        let allowed = decide(Choice::Allow).unwrap().into_location();
        let found = pairs(&allowed);
        let code = found.iter().find(|(name, value)| name == "code" && value.starts_with("gac_"));
        prop_assert!(code.is_some(), "{} lost the code of {}", allowed, uri);
        let code = code.unwrap().1.clone();
        assert_added(&allowed, &uri, &[("code", &code), ("iss", ISSUER), ("state", "xyz")])?;
        let denied = decide(Choice::Deny).unwrap_err().location(world.server.policy()).unwrap();
        let description = Reason::AccessDenied.description();
        assert_added(
            &denied,
            &uri,
            &[
                ("error", "access_denied"),
                ("error_description", description),
                ("iss", ISSUER),
                ("state", "xyz"),
            ],
        )?;
        seen.set(seen.get() + 1);
        Ok(())
    });
    assert_eq!(seen.get(), 256);
}

/// The reported inputs, and similar ones.
#[test]
fn i49_a_question_mark_in_the_query_does_not_hide_the_code() {
    for query in ["?next=what?", "?next=what?&", "?what?", "??", "?a=b&", "?", "?a=b?c=d?", "?=?"] {
        let uri = format!("{CALLBACK}{query}");
        let (world, page) = page(&uri);
        let location = world.decide(&page.ticket(), Choice::Allow).unwrap().into_location();
        let found = pairs(&location);
        assert_eq!(found[..pairs(&uri).len()], pairs(&uri), "{location}");
        for name in ["code", "state", "iss"] {
            let values: Vec<_> = found.iter().filter(|(own, _)| own == name).collect();
            assert_eq!(values.len(), 1, "{name} in {location}");
        }
    }
}

#[test]
fn i49_a_host_is_registered_in_the_spelling_of_a_browser_only() {
    let world = World::open();
    for (written, right) in SPELLINGS {
        for uri in [format!("https://{written}/cb"), format!("https://{written}:8443/cb?x")] {
            let parsed = Url::parse(&uri).ok();
            assert_eq!(parsed.as_ref().and_then(Url::host_str), *right, "{uri}");
            let (error, reason) = if written.contains('%') {
                (RedirectUriError::Character, Reason::RegisteredUriCharacter)
            } else {
                (RedirectUriError::HostSpelling, Reason::RegisteredUriHost)
            };
            let is_expected = match build(&uri) {
                Err(ClientError::RedirectUri { error: own, .. }) => {
                    own == error || right.is_none() && own == RedirectUriError::HostSpelling
                }
                _ => false,
            };
            assert!(is_expected, "{uri}: {:?}", build(&uri));
            if right.is_some() {
                world.not_registered(&to(&[&uri]), "invalid_redirect_uri", reason);
            }
        }
    }
}

#[test]
fn i49_the_page_names_the_host_a_browser_goes_to() {
    let octet = || prop_oneof![Just("0"), Just("1"), Just("7f"), Just("127"), Just("010")];
    let hosts = prop_oneof![
        prop::sample::select(HOSTS).prop_map(|(host, _)| host.to_owned()),
        prop::sample::select(SPELLINGS).prop_map(|(host, _)| host.to_owned()),
        prop::collection::vec(octet(), 1..5).prop_map(|octets| octets.join(".")),
        "(0x)?[0-9a-f]{1,8}",
        "[0-9]{1,10}",
        "[a-zA-Z%0-9.-]{1,12}",
        "\\[[0-9a-f:.]{2,12}\\]",
    ];
    let ports = prop_oneof![Just(String::new()), (1_u16..).prop_map(|port| format!(":{port}"))];
    let registered = Cell::new(0);
    check(&(hosts, ports), |(host, port)| {
        let uri = format!("https://{host}{port}/cb");
        let Ok(client) = build(&uri) else { return Ok(()) };
        registered.set(registered.get() + 1);
        let world = World::new();
        world.put(client);
        let page = world.page(&Params::authorize().set("redirect_uri", &uri));
        let browser = Url::parse(&uri).unwrap();
        let shown = page.redirect_host().to_ascii_lowercase();
        prop_assert_eq!(shown, format!("{}{port}", browser.host_str().unwrap()));
        let is_own = match browser.host().unwrap() {
            Host::Domain(name) => {
                name.trim_end_matches('.').split('.').next_back() == Some("localhost")
            }
            Host::Ipv4(address) => matches!(address.octets(), [127, ..] | [0, 0, 0, 0]),
            Host::Ipv6(address) => {
                matches!(
                    address.segments(),
                    [0, 0, 0, 0, 0, 0, 0, 0 | 1]
                        | [0, 0, 0, 0, 0, 0xffff, 0x7f00..=0x7fff, _]
                        | [0, 0, 0, 0, 0, 0xffff, 0, 0]
                )
            }
        };
        prop_assert_eq!(page.redirects_to_own_device(), is_own, "{}", uri);
        Ok(())
    });
    assert!(registered.get() > 50, "{} hosts were registered", registered.get());
}

/// A record can be older than the rule: such a URI is not redirected to.
#[test]
fn i49_a_stored_host_in_another_spelling_leads_to_a_page() {
    for (written, _) in SPELLINGS {
        let uri = format!("https://{written}/cb");
        let world = World::new();
        let stored = serde_json::to_string(&app()).unwrap().replace(CALLBACK, &uri);
        world.put(serde_json::from_str(&stored).unwrap());
        for ask in [
            Params::authorize().set("redirect_uri", &uri),
            Params::authorize().without("redirect_uri"),
        ] {
            let refusal = refused(&world, &ask);
            assert_page(&world, &refusal, 400, "invalid_request", Reason::RedirectUriForbidden);
        }
    }
}

#[test]
fn i49_each_way_to_the_own_device_is_marked_on_the_page() {
    for (host, own) in HOSTS {
        let uri = format!("https://{host}/cb");
        let (_, page) = page(&uri);
        assert_eq!(
            (page.redirects_to_loopback(), page.redirects_to_own_device(), page.loopback_only()),
            (*own, *own, *own),
            "{uri}"
        );
    }
    for uri in ["http://127.0.0.1/cb", "http://[::1]:1/cb", "http://localhost/cb"] {
        let (_, page) = page(uri);
        assert!(page.redirects_to_loopback() && page.redirects_to_own_device(), "{uri}");
    }
}

/// A private-use scheme proves as little as a loopback address, because any application may claim
/// it.
#[test]
fn i49_a_private_use_scheme_is_marked_as_loopback_is() {
    let named = PrivateUseSchemes::ReverseDomainAnd(vec!["cursor".to_owned()]);
    let rules = RedirectRules::default().with_private_use_schemes(named);
    for uri in ["cursor://anysphere.cursor-mcp/oauth/callback", "com.example.app:/cb"] {
        let world = World::new();
        world.put(Client::public("app").redirect_uri(uri).build_under(&rules).unwrap());
        let page = world.page(&Params::authorize().set("redirect_uri", uri));
        assert_eq!(
            (page.redirects_to_own_device(), page.redirects_to_loopback(), page.loopback_only()),
            (true, false, false),
            "{uri}"
        );
    }
}
