//! Property tests of I5: no code exists without an S256 challenge, and each is redeemed by the
//! preimage of its challenge only. The hash is computed by its own crate.

use std::cell::Cell;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::policy::Remember;
use grantcore::request::Site;
use grantcore::{AuthorizationStep, Choice};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::host_remember::{ask_from, remembering};
use crate::invariants_redirect::places;
use crate::support::params::Params;
use crate::support::property::check;
use crate::support::{ALICE, CALLBACK, Granted, World, param, user};

/// Returns the challenge of a verifier (RFC 7636 §4.2), by the hash function's own crate.
fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// A request's challenges and methods: each absent, single or repeated.
fn challenges() -> impl Strategy<Value = (Vec<String>, Vec<&'static str>)> {
    let good = "[A-Za-z0-9._~-]{43,60}".prop_map(|verifier| challenge_of(&verifier));
    let any = prop_oneof![
        6 => good,
        1 => "[A-Za-z0-9_-]{42}",
        1 => "[A-Za-z0-9_-]{44}",
        1 => "[A-Za-z0-9+/]{43}",
        1 => "[A-Za-z0-9_-]{42}=",
        1 => Just(String::new()),
        1 => Just("A".repeat(86)),
    ];
    let methods = prop_oneof![
        6 => Just(vec!["S256"]),
        1 => Just(vec![]),
        1 => Just(vec!["plain"]),
        1 => Just(vec![""]),
        1 => Just(vec!["s256"]),
        1 => Just(vec!["S256", "S256"]),
        1 => Just(vec!["S256", "plain"]),
        1 => Just(vec!["S512"]),
    ];
    (
        prop::sample::select(vec![0, 1, 1, 1, 1, 2])
            .prop_flat_map(move |number| prop::collection::vec(any.clone(), number)),
        methods,
    )
}

#[test]
fn i5_no_code_exists_without_an_s256_challenge() {
    let codes = Cell::new((0, 0));
    check(&(challenges(), any::<bool>()), |((challenges, methods), is_remembered)| {
        let world = World::with(remembering(Remember::HttpsRedirect));
        let alice = if is_remembered {
            let granted = world.tokens();
            ALICE.remembering(world.access(&granted.access).grant_id())
        } else {
            user("alice", b"alice's browser")
        };
        let mut params =
            Params::authorize().without("code_challenge").without("code_challenge_method");
        for challenge in &challenges {
            params = params.and("code_challenge", challenge);
        }
        for method in &methods {
            params = params.and("code_challenge_method", method);
        }
        let code = match ask_from(&world, &params, alice, Site::None) {
            Ok(AuthorizationStep::NeedsConsent(page)) => {
                Some(world.decide(&page.ticket(), Choice::Allow).unwrap().into_location())
            }
            Ok(AuthorizationStep::Done(redirect)) => Some(redirect.into_location()),
            Ok(step) => return Err(TestCaseError::fail(format!("{step:?}"))),
            Err(refusal) => {
                prop_assert!(places(&world, &refusal).iter().all(|to| param(to, "code").is_none()));
                None
            }
        };
        let is_hash = |text: &String| {
            let is_base64url = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            text.len() == 43 && text.bytes().all(is_base64url)
        };
        // A parameter without a value counts as omitted (OAuth 2.1 §3.1).
        let sent: Vec<_> = challenges.iter().filter(|text| !text.is_empty()).collect();
        let has_challenge = matches!(&*sent, [one] if is_hash(one));
        let says_s256 = methods == ["S256"];
        prop_assert!(code.is_none() || has_challenge && says_s256, "{:?} got a code", params);
        let (with, without) = codes.get();
        codes.set((with + usize::from(code.is_some()), without + usize::from(code.is_none())));
        Ok(())
    });
    let (with, without) = codes.get();
    assert!(with > 30 && without > 100, "{with} codes, and {without} requests without one");
}

/// The code of each way to get one is redeemed by the preimage of its challenge and nothing else.
#[test]
fn i5_a_code_is_redeemed_by_the_preimage_of_its_challenge_only() {
    let verifiers = "[A-Za-z0-9._~-]{43,128}";
    check(&(verifiers, 0..43_usize, any::<bool>()), |(verifier, at, is_remembered)| {
        let world = World::with(remembering(Remember::HttpsRedirect));
        let params = Params::authorize().set("code_challenge", &challenge_of(&verifier));
        let code = if is_remembered {
            let granted = world.tokens();
            let alice = ALICE.remembering(world.access(&granted.access).grant_id());
            match ask_from(&world, &params, alice, Site::None) {
                Ok(AuthorizationStep::Done(redirect)) => param(&redirect.into_location(), "code"),
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            }
        } else {
            Some(world.code(&params))
        };
        let redeem = Params::redeem(&code.unwrap()).set("redirect_uri", CALLBACK);
        let with = |verifier: &str| world.token(&redeem.clone().set("code_verifier", verifier));
        let mut changed = verifier.clone();
        let other = if &changed[at..=at] == "a" { "b" } else { "a" };
        changed.replace_range(at..=at, other);
        for wrong in [&*changed, &challenge_of(&verifier), &verifier[1..], &"A".repeat(43)] {
            prop_assert_eq!(with(wrong).status, 400, "{}", wrong);
        }
        prop_assert_eq!(world.token(&redeem.clone().without("code_verifier")).status, 400);
        Granted::of(&with(&verifier));
        Ok(())
    });
}
