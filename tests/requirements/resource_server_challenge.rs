//! RS-10 and -12: what a challenge names, and that it reads back.

use std::collections::BTreeSet;

use grantcore::{Reason, Scope};
use proptest::prelude::*;

use crate::resource_server::told;
use crate::support::params::Params;
use crate::support::property::check as property;
use crate::support::{Granted, World, json};

/// The parameters of a `Bearer` challenge, in their order.
pub(crate) fn challenge(header: &str) -> Vec<(String, String)> {
    let mut rest = header.strip_prefix("Bearer ").unwrap();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap();
        let (value, after) = after.split_once('"').unwrap();
        found.push((name.to_owned(), value.to_owned()));
        rest = after.strip_prefix(", ").unwrap_or(after);
    }
    found
}

fn names(header: &str) -> Vec<String> {
    challenge(header).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn rs_10_a_missing_scope_is_403_and_names_all_that_is_needed_once() {
    let world = World::new();
    let token = world.tokens().access;
    let reply = told(&world, world.check(&token, &["read", "write", "read", "admin"]));
    assert_eq!((reply.status, world.reason()), (403, Some(Reason::ScopeInsufficient)));
    assert_eq!(json(&reply)["error"], "insufficient_scope");
    let header = reply.header("www-authenticate").unwrap();
    assert_eq!(names(header), ["resource_metadata", "error", "error_description", "scope"]);
    assert_eq!(challenge(header)[3].1, "read write admin");
    let granted = Granted::of(&world.token(&Params::redeem(
        &world.code(&Params::authorize().set("scope", "read write admin")),
    )));
    assert!(world.check(&granted.access, &["read", "write", "admin"]).is_ok(), "after the step-up");
}

/// What a host may ask for: scope tokens, some of them twice, and what is none.
fn needed() -> impl Strategy<Value = Vec<String>> {
    let token =
        prop_oneof![any::<String>(), "[a-c]", "[!#-\\[\\]-~]{1,3}", "[a-b\"\\\\ \r\n]{0,3}"];
    prop::collection::vec(token, 0..5)
}

#[test]
fn rs_12_a_challenge_reads_back_whatever_the_host_asks_for() {
    let world = World::new();
    let token = world.tokens().access;
    property(&(needed(), any::<bool>()), |(scopes, known)| {
        let scopes: Vec<_> = scopes.iter().map(String::as_str).chain(["admin"]).collect();
        let reply = told(&world, world.check(if known { &token } else { "x" }, &scopes));
        let header = reply.header("www-authenticate").unwrap();
        prop_assert!(header.bytes().all(|b| (0x20..0x7f).contains(&b)));
        let parameters = challenge(header);
        prop_assert_eq!(
            names(header),
            ["resource_metadata", "error", "error_description", "scope"]
        );
        prop_assert!(
            parameters[2].1.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E))
        );
        let named: Vec<_> = parameters[3].1.split(' ').collect();
        let asked = scopes
            .iter()
            .flat_map(|scope| scope.split(' '))
            .filter(|token| Scope::parse(token).is_ok());
        prop_assert_eq!(named.iter().copied().collect::<BTreeSet<_>>(), asked.collect());
        prop_assert_eq!(named.iter().collect::<BTreeSet<_>>().len(), named.len(), "each once");
        let written: Vec<_> =
            parameters.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        prop_assert_eq!(format!("Bearer {}", written.join(", ")), header);
        Ok(())
    });
    for reason in Reason::ALL {
        assert!(
            reason
                .description()
                .bytes()
                .all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)),
            "{reason:?}"
        );
    }
}

#[test]
fn rs_12_what_is_no_scope_token_is_not_named() {
    let world = World::new();
    let token = world.tokens().access;
    for (needed, named) in [
        (&["a", "a b", "b"][..], Some("a b")),
        (&["re\"ad", "admin"], Some("admin")),
        (&["admin", "\u{e9}", "\r\n", "write"], Some("admin write")),
        (&["\n"], None),
    ] {
        let reply = told(&world, world.check(&token, needed));
        let parameters = challenge(reply.header("www-authenticate").unwrap());
        let scope =
            parameters.iter().find(|(name, _)| name == "scope").map(|(_, value)| value.as_str());
        assert_eq!((reply.status, scope), (403, named), "{needed:?}");
    }
}
