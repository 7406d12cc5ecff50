//! Tests of RS-10 and -12: the contents of a challenge, and that it parses.

use std::collections::BTreeSet;

use grantcore::policy::ScopeInfo;
use grantcore::request::NeedsError;
use grantcore::value::Scope;
use grantcore::{Authorization, Reason};
use proptest::prelude::*;

use crate::resource_server::refusal_reply;
use crate::support::params::Params;
use crate::support::property::check as property;
use crate::support::{Granted, MCP, Outcome, World, json, needs, policy};

/// Returns the parameters of a `Bearer` challenge, in order.
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
fn rs_10_a_missing_scope_is_403_and_names_each_needed_scope_once() {
    let world = World::new();
    let token = world.tokens().access;
    let reply = refusal_reply(&world, world.check(&token, &["read", "write", "read", "admin"]));
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

/// Generates needed scopes: scope tokens, some of them repeated, and invalid ones.
fn needed() -> impl Strategy<Value = Vec<String>> {
    let token =
        prop_oneof![any::<String>(), "[a-c]", "[!#-\\[\\]-~]{1,3}", "[a-b\"\\\\ \r\n]{0,3}"];
    prop::collection::vec(token, 0..5)
}

/// The texts that are scope tokens are declared, and needed. A text that is none cannot be needed,
/// so that it reaches no header.
#[test]
fn rs_12_a_challenge_reads_back_whatever_the_host_asks_for() {
    property(&(needed(), any::<bool>()), |(texts, known)| {
        let texts: Vec<_> = texts.iter().map(String::as_str).chain(["admin"]).collect();
        let tokens: BTreeSet<_> = texts
            .iter()
            .flat_map(|text| text.split(' '))
            .filter(|token| Scope::parse(token).is_ok())
            .collect();
        let own = policy().build().unwrap();
        let declared: BTreeSet<_> = own.scopes().iter().map(ScopeInfo::name).collect();
        let world = World::with(
            tokens
                .difference(&declared)
                .fold(policy(), |policy, token| policy.scope(*token, "One of many")),
        );
        let are_tokens =
            |text: &str| text.split(' ').all(|token| token.is_empty() || tokens.contains(token));
        for text in &texts {
            let needs = world.server.policy().needs(MCP, text);
            prop_assert_eq!(needs.is_ok(), are_tokens(text), "{:?}", text);
        }
        let scopes: Vec<_> = texts.iter().copied().filter(|text| are_tokens(text)).collect();
        let token = world.tokens().access;
        let reply = refusal_reply(&world, world.check(if known { &token } else { "x" }, &scopes));
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
        let asked =
            scopes.iter().flat_map(|scope| scope.split(' ')).filter(|token| !token.is_empty());
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
    let world = World::with(policy().scope("a", "One").scope("b", "Another"));
    let token = world.tokens().access;
    for (needed, named) in [
        (&["a", "a b", "b"][..], Ok("a b")),
        (&["re\"ad", "admin"], Err("re\"ad")),
        (&["admin", "\u{e9}", "\r\n", "write"], Err("\u{e9}")),
        (&["\n"], Err("\n")),
        (&["admin", "", "write"], Ok("admin write")),
    ] {
        let needs = world.server.policy().needs(MCP, &needed.join(" "));
        let scope = match named {
            Ok(scope) => scope,
            Err(scope) => {
                let error = NeedsError::ScopeUndeclared { scope: scope.to_owned() };
                assert_eq!(needs, Err(error), "{needed:?}");
                continue;
            }
        };
        let reply = refusal_reply(&world, world.check(&token, needed));
        let parameters = challenge(reply.header("www-authenticate").unwrap());
        assert_eq!(reply.status, 403);
        assert_eq!(parameters.last().unwrap(), &("scope".to_owned(), scope.to_owned()));
    }
}

/// A challenge names a scope only where one is needed, and only for what a scope can mend.
#[test]
fn rs_10_no_scope_is_named_where_none_helps() {
    let open = World::with(policy().resource("https://open.example/", ""));
    let nothing = open.server.policy().needs("https://open.example/", "").unwrap();
    let refusal = open.server.check(&Authorization::None, &nothing).outcome();
    let header = refusal_reply(&open, refusal);
    assert!(!names(header.header("www-authenticate").unwrap()).contains(&"scope".to_owned()));
    let world = World::new();
    for (header, has_scope) in [(Authorization::None, true), (Authorization::Several, false)] {
        let needs = needs(world.server.policy(), 0, "read");
        let reply = refusal_reply(&world, world.server.check(&header, &needs).outcome());
        let named = names(reply.header("www-authenticate").unwrap());
        assert_eq!(named.contains(&"scope".to_owned()), has_scope, "{named:?}");
    }
}
