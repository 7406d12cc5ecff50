//! Property tests of I1 and I2: where a redirect goes, and what it carries. Each oracle is written
//! from the invariant and shares no code with the crate.

use std::cell::Cell;
use std::fmt::Write as _;

use grantcore::request::LoginFailure;
use grantcore::{AuthorizationStep, Choice, Client, Refusal, RequestParts};
use proptest::prelude::*;

use crate::redirect_uri_properties::uris;
use crate::support::params::Params;
use crate::support::property::check;
use crate::support::store::Fault;
use crate::support::{ALICE, ISSUER, Outcome, World};

/// URIs of every kind that can be registered.
const POOL: [&str; 9] = [
    "https://app.example/cb",
    "https://app.example/cb?next=a",
    "https://app.example:8443/cb",
    "https://app.example",
    "http://127.0.0.1/cb",
    "http://127.0.0.1:4000/cb?x=1",
    "http://[::1]/cb",
    "http://localhost:3000/cb",
    "com.example.app:/cb",
];

/// A change of a URI, as an attacker or a careless client makes it.
fn edited(uri: &str, edit: u8, at: usize) -> String {
    let at = at % (uri.len() + 1);
    let with = |text: &str| format!("{}{text}{}", &uri[..at], &uri[at..]);
    let host = uri.find("://").map_or(0, |scheme| scheme + 3);
    let end = uri[host..].find(['/', '?']).map_or(uri.len(), |path| host + path);
    let after_host = |text: &str| format!("{}{text}{}", &uri[..end], &uri[end..]);
    match edit {
        0 => with("a"),
        1 => format!("{}{}", &uri[..at], uri.get(at + 1..).unwrap_or_default()),
        2 => format!("{uri}#f"),
        3 => format!("{}{}", uri[..at].to_uppercase(), &uri[at..]),
        4 => after_host(":49152"),
        5 => after_host(".evil.example"),
        6 => format!("{}x@{}", &uri[..host], &uri[host..]),
        7 => format!("https://evil.example/?{uri}"),
        8 => with("/../"),
        9 => with("%2f"),
        10 => with("\\"),
        11 => format!("{uri}{}", if uri.contains('?') { "&y=2" } else { "?y=2" }),
        12 => uri.replacen("http:", "https:", 1),
        13 => uri.replacen("https:", "http:", 1),
        14 => with("\n"),
        15 => after_host("@evil.example"),
        16 => uri.replacen("127.0.0.1", "127.1", 1),
        17 => uri.replacen("127.0.0.1", "127.0.0.1.evil.example", 1),
        _ => uri.to_owned(),
    }
}

/// Returns the parts of an `http` loopback URI before and after its port.
fn without_port(uri: &str) -> Option<(&str, &str)> {
    let hosts = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
    let host = hosts.into_iter().find(|host| uri.starts_with(host))?;
    let rest = &uri[host.len()..];
    let digits =
        |port: &str| port.len() - port.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let path = match rest.strip_prefix(':') {
        Some(port) => &port[digits(port)..],
        None => rest,
    };
    (path.is_empty() || path.starts_with(['/', '?'])).then_some((host, path))
}

/// Returns whether the URI is registered: byte for byte, but for the port of an `http` loopback URI.
fn is_registered(list: &[&str], uri: &str) -> bool {
    let same_but_for_port =
        |own: &str| without_port(own).is_some_and(|own| Some(own) == without_port(uri));
    list.iter().any(|own| *own == uri || same_but_for_port(own))
}

/// Returns each place to which a refusal sends the browser: its `Location`, and the link of its
/// page.
pub(crate) fn places(world: &World, refusal: &Refusal) -> Vec<String> {
    let policy = world.server.policy();
    let header = refusal.reply(policy).header("location").map(str::to_owned);
    [header, refusal.location(policy), refusal.problem(policy).continue_url]
        .into_iter()
        .flatten()
        .collect()
}

/// Sends the request in one of several ways that end in a redirect if its URI is registered.
/// Returns each place that the browser is sent to.
fn all_places(world: &World, params: &Params, way: u8) -> Vec<String> {
    let params = match way {
        2 => params.clone().without("code_challenge"),
        3 => params.clone().set("prompt", "none"),
        4 => params.clone().set("scope", "unheard-of"),
        _ => params.clone(),
    };
    let query = params.encode();
    let request =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    if way == 5 {
        let error = world.server.give_up_login(&request, None, LoginFailure::LoginRequired);
        return places(world, &Err::<(), _>(error).outcome().unwrap_err());
    }
    if way == 6 {
        world.store.fail([Fault::Dropped]);
        let answer = world.server.authorize(&request, Some(ALICE));
        world.store.faults.lock().unwrap().clear();
        return answer.map_or_else(
            |error| {
                let reply = error.reply(world.server.policy());
                reply.header("location").map(str::to_owned).into_iter().collect()
            },
            |_| Vec::new(),
        );
    }
    match world.server.authorize(&request, Some(ALICE)).outcome() {
        Ok(AuthorizationStep::NeedsConsent(page)) => {
            let choice = if way == 1 { Choice::Deny } else { Choice::Allow };
            match world.decide(&page.ticket(), choice) {
                Ok(redirect) => vec![redirect.into_location()],
                Err(refusal) => places(world, &refusal),
            }
        }
        Ok(AuthorizationStep::Done(redirect)) => vec![redirect.into_location()],
        Ok(_) => Vec::new(),
        Err(refusal) => places(world, &refusal),
    }
}

/// One authorization request of the property below.
struct Asked<'a> {
    client: &'a str,
    /// What is registered for the client, if it exists.
    list: &'a [&'a str],
    requested: Option<String>,
    way: u8,
}

/// Checks where the request leads, and returns whether it is a redirect.
fn assert_registered(world: &World, asked: &Asked<'_>) -> Result<bool, TestCaseError> {
    let params = Params::authorize().set("client_id", asked.client).without("redirect_uri");
    let params = match &asked.requested {
        Some(uri) => params.and("redirect_uri", uri),
        None => params,
    };
    let target = match (&asked.requested, asked.list) {
        (Some(uri), _) => Some(&**uri),
        (None, [only]) => Some(*only),
        (None, _) => None,
    };
    let target = target.filter(|target| is_registered(asked.list, target));
    let places = all_places(world, &params, asked.way);
    for place in &places {
        let Some(target) = target else {
            return Err(TestCaseError::fail(format!("{params:?} leads to {place}")));
        };
        let added = place.strip_prefix(target);
        let is_added = added.is_some_and(|added| added.starts_with(['?', '&']));
        prop_assert!(is_added, "{} is not {} with parameters", place, target);
    }
    // What is registered byte for byte is redirected to. An omitted URI may lack its port.
    let is_equal = target.is_some_and(|target| asked.list.contains(&target));
    let must_lead = asked.requested.is_some() && is_equal;
    prop_assert!(!must_lead || !places.is_empty(), "{:?} leads nowhere", params);
    Ok(!places.is_empty())
}

#[test]
fn i1_a_redirect_goes_to_a_registered_uri_of_that_client_and_nowhere_else() {
    let sent = Cell::new((0, 0));
    let registered = prop::collection::btree_set(0..POOL.len(), 1..4);
    let client =
        prop::sample::select(vec!["app", "app", "app", "app", "other", "nobody", "APP", ""]);
    let cases = (registered, 0..POOL.len(), client, 0..7_u8, (0..64_usize, 0..19_u8, 0..64_usize));
    check(&cases, |(own, base, client, way, (at, again, other))| {
        let own: Vec<_> = own.into_iter().map(|index| POOL[index]).collect();
        let world = World::new();
        let app = own.iter().fold(Client::public("app"), |app, uri| app.redirect_uri(*uri));
        world.put(app.build().unwrap());
        let others = ["https://other.example/cb"];
        world.put(Client::public("other").redirect_uri(others[0]).build().unwrap());
        let list: &[&str] = match client {
            "app" => &own,
            "other" => &others,
            _ => &[],
        };
        // Mostly a URI of the client, and otherwise one of any client.
        let uri = if base % 4 == 3 { POOL[base] } else { own[base % own.len()] };
        let once: Vec<_> = (0..19).map(|edit| edited(uri, edit, at)).collect();
        let twice = edited(&once[usize::from(again)], again, other);
        let requested = once.into_iter().chain([twice]).map(Some).chain([None]);
        for requested in requested {
            let is_redirect = assert_registered(&world, &Asked { client, list, requested, way })?;
            let (redirects, pages) = sent.get();
            sent.set((redirects + usize::from(is_redirect), pages + usize::from(!is_redirect)));
        }
        Ok(())
    });
    let (redirects, pages) = sent.get();
    assert!(redirects > 300 && pages > 2_000, "{redirects} redirects and {pages} pages");
}

/// Returns the bytes of the parameters of a query, by the form decoder of the WHATWG URL standard.
fn parameters(text: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).collect::<Vec<u8>>()
    };
    let query = text.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// The bytes of a state: any characters, or any bytes at all.
fn states() -> impl Strategy<Value = Option<Vec<u8>>> {
    let text = prop::collection::vec(any::<char>(), 1..12)
        .prop_map(|text| text.into_iter().collect::<String>().into_bytes());
    let dangerous = prop::sample::select(vec![
        "&code=x",
        "#",
        "?",
        "%00",
        "\r\nLocation: x",
        "a=b&iss=y",
        "+",
        " ",
        "%2B",
        "é",
        "\u{0}",
    ]);
    let bytes = prop::collection::vec(any::<u8>(), 1..8);
    let plain = prop_oneof![4 => text, 3 => dangerous.prop_map(|text| text.as_bytes().to_vec()), 1 => bytes];
    prop::option::weighted(0.9, plain)
}

#[test]
fn i2_a_location_is_the_registered_uri_and_exactly_the_parameters_of_the_response() {
    let seen = Cell::new([0; 7]);
    check(&(uris(), states(), 0..7_u8), |(uri, state, way)| {
        let world = World::new();
        world.put(Client::public("app").redirect_uri(&uri).build().unwrap());
        let params = Params::authorize().without("state").set("redirect_uri", &uri);
        let params = match way {
            2 => params.without("code_challenge"),
            3 => params.set("prompt", "none"),
            4 => params.set("scope", "unheard-of"),
            _ => params,
        };
        let mut query = params.encode();
        for byte in state.iter().flatten() {
            let separator = if query.contains("&state=") { "" } else { "&state=" };
            write!(query, "{separator}%{byte:02X}").unwrap();
        }
        let request =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        let places = match way {
            5 => {
                let error = world.server.give_up_login(&request, None, LoginFailure::LoginRequired);
                places(&world, &Err::<(), _>(error).outcome().unwrap_err())
            }
            _ => match world.server.authorize(&request, Some(ALICE)).outcome() {
                Ok(AuthorizationStep::NeedsConsent(page)) => {
                    let choice = if way == 1 { Choice::Deny } else { Choice::Allow };
                    match world.decide(&page.ticket(), choice) {
                        Ok(redirect) => vec![redirect.into_location()],
                        Err(refusal) => places(&world, &refusal),
                    }
                }
                Ok(step) => return Err(TestCaseError::fail(format!("{step:?}"))),
                Err(refusal) => places(&world, &refusal),
            },
        };
        // Text that is not UTF-8 is no parameter. Such a request may lead to a page.
        let is_text = state.as_ref().is_none_or(|state| std::str::from_utf8(state).is_ok());
        prop_assert!(!places.is_empty() || !is_text, "{} leads nowhere", query);
        for place in places {
            let own = parameters(&uri);
            let mut all = parameters(&place);
            prop_assert!(place.starts_with(&uri) && all.len() > own.len(), "{} of {}", place, uri);
            let added = all.split_off(own.len());
            prop_assert_eq!(&all, &own, "the own parameters of {}", place);
            let value = |name: &str| {
                let values: Vec<_> =
                    added.iter().filter(|(own, _)| own == name.as_bytes()).collect();
                assert!(values.len() <= 1, "{name} is in {place} twice");
                values.first().map(|(_, value)| value.clone())
            };
            prop_assert_eq!(value("iss"), Some(ISSUER.into()), "{}", place);
            if is_text {
                prop_assert_eq!(value("state"), state.clone(), "{}", place);
            } else {
                prop_assert!(value("state").is_none() || value("state") == state, "{}", place);
            }
            let is_code = value("code").is_some();
            prop_assert_eq!(is_code, value("error").is_none(), "{}", place);
            let known: &[&str] = if is_code {
                &["code", "iss", "state"]
            } else {
                &["error", "error_description", "error_uri", "iss", "state"]
            };
            let is_known = |name: &[u8]| known.iter().any(|own| own.as_bytes() == name);
            prop_assert!(added.iter().all(|(name, _)| is_known(name)), "{}", place);
            let mut counts = seen.get();
            counts[usize::from(way)] += 1;
            seen.set(counts);
        }
        Ok(())
    });
    let counts = seen.get();
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
}
