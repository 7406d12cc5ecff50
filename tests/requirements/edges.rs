//! Tests of cases in which two rules meet, found by comparing the code with the requirements.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantcore::client::ClientError;
use grantcore::policy::{Lifetimes, Limits, PolicyError};
use grantcore::value::RedirectUriError;
use grantcore::{
    Authorization, Choice, Client, ContentType, FromStore, MemoryStore, Policy, Reason,
    RequestParts,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::params::Params;
use crate::support::property;
use crate::support::{
    ALICE, CALLBACK, MCP, Outcome, SECRET, World, app, assert_refused, needs, param, policy,
};

#[test]
fn i18_changing_a_client_does_not_revive_an_ended_grant() {
    let world = World::new();
    let tokens = world.tokens();
    let ended = app().with_grants_ended();
    world.put(ended.clone());
    assert!(!world.works(&tokens.access));
    let renamed = ended
        .edit()
        .name("Another name")
        .without_redirect_uris()
        .redirect_uri("https://app.example/other")
        .build()
        .unwrap();
    assert_eq!(
        (renamed.description().name.as_deref(), renamed.redirect_uris().len()),
        (Some("Another name"), 1)
    );
    world.put(renamed);
    assert!(!world.works(&tokens.access));
    let gone = app().deactivated().edit().redirect_uri("https://app.example/more").build().unwrap();
    world.put(gone);
    assert_eq!(
        world.authorize(&Params::authorize()).map(|_| ()).unwrap_err().reason(),
        Reason::ClientDeactivated
    );
}

#[test]
fn authz_07_an_impossible_client_id_is_not_looked_up() {
    let world = World::new();
    for id in ["\0", "a\nb", "é", &"x".repeat(2049)] {
        world.store.break_reads(true);
        let refusal =
            world.authorize_as(&Params::authorize().set("client_id", id), None).unwrap_err();
        assert_eq!((refusal.reason(), refusal.status()), (Reason::ClientUnknown, 400), "{id:?}");
        let reply = world.token(&Params::refresh("x").set("client_id", id));
        assert_refused(&world, &reply, 401, "invalid_client", Reason::ClientUnknown);
    }
}

#[test]
fn token_05_credentials_in_the_header_have_the_caps_of_the_body() {
    let world = World::new();
    let header = |length: usize| {
        format!("Basic {}", STANDARD.encode(format!("{}:{SECRET}", "x".repeat(length))))
    };
    world.store.break_reads(true);
    let reply =
        world.token_with(&Params::refresh("x").without("client_id"), header(4096).as_bytes());
    assert_refused(&world, &reply, 401, "invalid_client", Reason::CredentialsMalformed);
    world.store.break_reads(false);
    let reply =
        world.token_with(&Params::refresh("x").without("client_id"), header(2000).as_bytes());
    assert_refused(&world, &reply, 401, "invalid_client", Reason::ClientUnknown);
}

#[test]
fn redir_07_an_escape_cannot_hide_the_host() {
    for uri in ["https://good.example%2eevil.example/cb", "https://good.example%2F@evil.example/cb"]
    {
        assert!(Client::public("x").redirect_uri(uri).build().is_err(), "{uri}");
    }
    let escaped =
        Client::public("x").redirect_uri("https://good.example%2eevil.example/cb").build();
    assert!(matches!(
        escaped,
        Err(ClientError::RedirectUri { error: RedirectUriError::Character, .. })
    ));
    assert!(Client::public("x").redirect_uri("https://good.example/c%2eb").build().is_ok());
}

#[test]
fn meta_01_a_server_url_is_used_unchanged() {
    for issuer in [
        "https:auth.example",
        "https:/auth.example",
        "https:///auth.example",
        "http://auth.example",
        "https://u@auth.example",
    ] {
        let built = Policy::builder(issuer).resource("https://mcp.example/mcp", "").build();
        let error = PolicyError::Issuer { issuer: issuer.into() };
        assert_eq!(built.map(|_| ()), Err(error));
    }
    for resource in [
        "urn:x:y",
        "mailto:a@b",
        "ftp://x",
        "https:h",
        "http://mcp.example/mcp",
        "https://u@h/mcp",
        "https://h/mcp#f",
    ] {
        let built = Policy::builder("https://auth.example").resource(resource, "").build();
        let error = PolicyError::Resource { resource: resource.into() };
        assert_eq!(built.map(|_| ()), Err(error));
    }
    let many = (0..65).fold(Policy::builder("https://auth.example"), |policy, n| {
        policy.resource(format!("https://mcp.example/{n}"), "")
    });
    assert_eq!(many.build().map(|_| ()), Err(PolicyError::ResourcesTooMany { count: 65 }));
}

#[test]
fn i3_a_denial_of_a_suspended_account_is_permanent() {
    let world = World::new();
    let ticket = world.page(&Params::authorize()).ticket();
    world.store.suspend("alice", true);
    let refusal = world.decide(&ticket, Choice::Deny).unwrap_err();
    let location = refusal.location(world.server.policy()).unwrap();
    assert!(location.starts_with(CALLBACK));
    assert_eq!(param(&location, "error").as_deref(), Some("access_denied"));
    world.store.suspend("alice", false);
    assert_eq!(world.decide(&ticket, Choice::Allow).unwrap_err().reason(), Reason::ConsentUsed);
}

#[test]
fn refresh_16_a_lower_cap_shrinks_a_record_at_its_next_refresh() {
    let world = World::with(policy().limits(Limits::default().with_live_access_tokens(2)));
    let first = world.tokens();
    let mut refresh = first.refresh().to_owned();
    let mut access = vec![first.access.clone()];
    for _ in 0..3 {
        let next = crate::support::Granted::of(&world.token(&Params::refresh(&refresh)));
        access.push(next.access.clone());
        next.refresh().clone_into(&mut refresh);
    }
    let alive: Vec<_> = access.iter().map(|token| world.works(token)).collect();
    assert_eq!(alive, [false, false, true, true]);
}

#[test]
fn token_14_unknown_clients_cost_a_slow_hash_where_known_ones_do() {
    // The verifier has state of the host's, which is not shown.
    let hashed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&hashed);
    let verify = move |_: &[u8], _: &str| {
        counter.fetch_add(1, Ordering::SeqCst);
        false
    };
    let world = World::with(policy().slow_hash(verify, "dummy"));
    assert!(format!("{:?}", world.server.policy()).contains("SlowHash(redacted)"));
    let person = grantcore::client::StoredSecret::SlowHash("hash".into());
    world.put(
        Client::confidential("person", grantcore::value::SecretMethod::Post, person)
            .redirect_uri(CALLBACK)
            .build()
            .unwrap(),
    );
    let cost = |client: &str| {
        let before = hashed.load(Ordering::SeqCst);
        assert_eq!(
            world
                .token(&Params::refresh("x").set("client_id", client).set("client_secret", "wrong"))
                .status,
            401
        );
        hashed.load(Ordering::SeqCst) - before
    };
    assert_eq!(["person", "web", "app", "nobody"].map(cost), [1, 1, 1, 1]);
}

/// The future does not wait, so one poll is enough.
#[test]
fn store_06_the_reference_store_serves_both_servers() {
    let store = MemoryStore::new();
    store.put_client(app());
    let clock = || grantcore::Timestamp::from_unix_seconds(crate::support::T);
    let server = grantcore::Server::with_sources(
        policy()
            .lifetimes(Lifetimes::default().with_consent(Duration::from_secs(60)))
            .build()
            .unwrap(),
        store,
        FromStore,
        clock,
        crate::support::seeded(7),
    );
    let query = Params::authorize().encode();
    let incoming = RequestParts { method: "GET", query: query.as_bytes(), ..Default::default() };
    let mut future = std::pin::pin!(server.authorize(&incoming, Some(ALICE)));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(answer) = future.as_mut().poll(&mut context) else {
        panic!("it waits")
    };
    assert!(matches!(answer.unwrap(), grantcore::AuthorizationStep::NeedsConsent(_)));
}

/// Generates noise, and noise in the form of a form body.
#[test]
fn i30_no_input_makes_an_endpoint_panic() {
    let world = World::new();
    let names = [
        "client_id",
        "redirect_uri",
        "scope",
        "resource",
        "code",
        "refresh_token",
        "grant_type",
        "code_verifier",
        "state",
    ];
    let values = [
        "app",
        "web",
        CALLBACK,
        "authorization_code",
        "refresh_token",
        "%zz",
        "%00",
        "a b",
        "gac_",
        "grt_",
        "https://x#y",
    ];
    let pair = (select(names.to_vec()), select(values.to_vec()))
        .prop_map(|(name, value)| format!("{name}={value}"));
    let form = vec(pair, 0..12).prop_map(|pairs| pairs.join("&").into_bytes());
    let bytes = || vec(any::<u8>(), 0..200);
    let header = prop_oneof![
        bytes(),
        bytes().prop_map(|noise| [&b"Basic "[..], &noise].concat()),
        bytes().prop_map(|noise| [&b"Bearer "[..], &noise].concat())
    ];
    let any_token = needs(world.server.policy(), 0, "");
    let seen = std::cell::Cell::new(0);
    property::check(
        &(prop_oneof![bytes(), form], header, any::<String>()),
        |(input, header, text)| {
            for (method, content_type) in [
                ("GET", ContentType::None),
                ("POST", ContentType::FORM),
                ("POST", ContentType::One(&header)),
                ("POST", ContentType::Several),
            ] {
                let authorization = if input.len() % 2 == 0 {
                    Authorization::None
                } else {
                    Authorization::One(&header)
                };
                let incoming = RequestParts {
                    method,
                    query: &input,
                    content_type,
                    authorization,
                    body: &input,
                    source: "",
                    site: [&*header].into_iter().collect(),
                };
                let answer = world.server.authorize(&incoming, Some(ALICE)).outcome();
                prop_assert!(
                    answer.is_err_and(|refusal| refusal.reply(world.server.policy()).status < 500)
                );
                prop_assert!(
                    (400..500).contains(&world.reply(world.server.token(&incoming)).status)
                );
            }
            // Only declared scopes can be needed, and nothing else reaches a challenge.
            let declared = ["", "read", "write", "admin"];
            let are_declared = text.split(' ').all(|token| declared.contains(&token));
            let needs = world.server.policy().needs(MCP, &text);
            prop_assert_eq!(needs.is_ok(), are_declared, "{:?}", text);
            let needs = needs.unwrap_or_else(|_| any_token.clone());
            let check = world.server.check(&Authorization::One(&header), &needs).outcome();
            let status = check.map_or_else(|r| r.reply(world.server.policy()).status, |_| 200);
            prop_assert!((400..500).contains(&status));
            prop_assert!(world.decide(&text, Choice::AllowOnly(&text)).is_err());
            seen.set(seen.get() + 1);
            Ok(())
        },
    );
    assert!(seen.get() >= 256 && world.store.commits() == 0);
}
