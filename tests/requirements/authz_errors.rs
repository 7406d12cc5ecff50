//! Tests of AUTHZ-21 to -25: how a response reaches the client or the user.

use std::sync::Arc;

use grantcore::blocking::Server;
use grantcore::client::Registration;
use grantcore::moment::EntropyError;
use grantcore::policy::ErrorDelivery;
use grantcore::reason::ErrorCode;
use grantcore::response::PAGE_HEADERS;
use grantcore::{
    AuthorizationStep, Choice, Client, FromStore, Policy, Reason, Refusal, Reply, RequestParts,
    Timestamp,
};

use crate::support::params::Params;
use crate::support::refused::{assert_error_url, assert_page, assert_redir, refused, states};
use crate::support::store::{Broken, Fault};
use crate::support::{ALICE, CALLBACK, ISSUER, MCP, Outcome, T, World, json, param, policy};

/// Returns the client `app` with this kind of registration.
fn stranger(registration: Registration) -> Client {
    Client::public("app").redirect_uri(CALLBACK).registration(registration).build().unwrap()
}

#[test]
fn authz_21_iss_is_the_issuer() {
    for issuer in [ISSUER, "https://auth.example/tenant%20a/", "https://auth.example:8443/a+b&c=d"]
    {
        let builder = Policy::builder(issuer)
            .scope("read", "Read")
            .scope("write", "Write")
            .resource(MCP, "read");
        let world = World::with(builder);
        let ticket = |params| world.page(&params).ticket();
        let approved =
            world.decide(&ticket(Params::authorize()), Choice::Allow).unwrap().into_location();
        let denied = world.decide(&ticket(Params::authorize()), Choice::Deny).unwrap_err();
        let wrong = refused(&world, &Params::authorize().without("code_challenge"));
        let policy = world.server.policy();
        for location in
            [approved, denied.location(policy).unwrap(), wrong.location(policy).unwrap()]
        {
            assert_eq!(param(&location, "iss").as_deref(), Some(issuer));
        }
        let metadata = json(&policy.server_metadata());
        assert_eq!(metadata["issuer"], issuer);
        assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
        let page = refused(&world, &Params::authorize().without("client_id")).reply(policy);
        assert!(!page.body.contains(issuer));
    }
}

#[test]
fn authz_22_errors_are_redirected_only_to_a_trusted_client_of_a_signed_in_user() {
    use ErrorDelivery::{AlwaysBanner, AlwaysRedirect, Auto};
    use Registration::{Dynamic, MetadataDocument, Operator};
    let vouched = Client::public("app")
        .redirect_uri(CALLBACK)
        .registration(Dynamic)
        .trusted(true)
        .build()
        .unwrap();
    for (client, user, delivery, redirects) in [
        (stranger(Operator), Some(ALICE), Auto, true),
        (stranger(Operator), None, Auto, false),
        (stranger(Dynamic), Some(ALICE), Auto, false),
        (stranger(MetadataDocument), Some(ALICE), Auto, false),
        (vouched.clone(), Some(ALICE), Auto, true),
        (vouched, None, Auto, false),
        (stranger(Dynamic), Some(ALICE), AlwaysRedirect, true),
        (stranger(Operator), None, AlwaysRedirect, false),
        (stranger(Operator), Some(ALICE), AlwaysBanner, false),
    ] {
        let world = World::with(policy().error_delivery(delivery));
        world.put(client);
        let refusal =
            world.authorize_as(&Params::authorize().without("code_challenge"), user).unwrap_err();
        assert_eq!(world.reason(), Some(Reason::PkceMissing));
        if redirects {
            assert_redir(&world, &refusal, "invalid_request", Reason::PkceMissing);
        } else {
            assert_banner(&world, &refusal, "invalid_request", Reason::PkceMissing);
        }
    }
}

/// Asserts `Banner{error, continue_url}`: no redirect, and the exact error response behind a link.
#[track_caller]
fn assert_banner(world: &World, refusal: &Refusal, code: &str, reason: Reason) {
    let policy = world.server.policy();
    let reply = refusal.reply(policy);
    let problem = refusal.problem(policy);
    assert_eq!(
        (reply.status, reply.header("location"), refusal.location(policy)),
        (400, None, None)
    );
    assert_eq!((problem.status, problem.code.map(ErrorCode::as_str)), (400, Some(code)));
    assert!(problem.description.starts_with(reason.description()), "{}", problem.description);
    let link = problem.continue_url.unwrap();
    assert_error_url(&link, CALLBACK, Some("xyz"), code, reason);
    assert!(reply.body.contains(&link) && !reply.body.contains("gct_"), "{}", reply.body);
}

#[test]
fn authz_22_a_suspended_account_is_reported_by_the_same_rule() {
    for (registration, redirects) in
        [(Registration::Operator, true), (Registration::Dynamic, false)]
    {
        let world = World::new();
        world.put(stranger(registration));
        world.store.suspend("alice", true);
        let refusal = refused(&world, &Params::authorize());
        if redirects {
            assert_redir(&world, &refusal, "access_denied", Reason::AccountSuspended);
        } else {
            assert_banner(&world, &refusal, "access_denied", Reason::AccountSuspended);
        }
    }
}

/// Returns a page, a banner, an error redirect, a denial and a success.
fn replies() -> Vec<Reply> {
    let world = World::new();
    let policy = world.server.policy();
    let page = refused(&world, &Params::authorize().without("client_id")).reply(policy);
    let redirect = refused(&world, &Params::authorize().set("scope", "x")).reply(policy);
    let denied = world
        .decide(&world.page(&Params::authorize()).ticket(), Choice::Deny)
        .unwrap_err()
        .reply(policy);
    let allowed =
        world.decide(&world.page(&Params::authorize()).ticket(), Choice::Allow).unwrap().reply();
    world.put(stranger(Registration::Dynamic));
    let banner = refused(&world, &Params::authorize().set("scope", "x")).reply(policy);
    vec![page, banner, redirect, denied, allowed]
}

#[test]
fn authz_23_redirects_are_303_without_a_body() {
    let replies = replies();
    let redirects: Vec<_> =
        replies.iter().filter(|reply| reply.header("location").is_some()).collect();
    assert_eq!(redirects.len(), 3);
    for reply in redirects {
        assert_eq!((reply.status, &*reply.body), (303, ""));
    }
}

#[test]
fn authz_24_pages_are_not_framed_not_cached_and_not_cors() {
    let wanted = [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("content-security-policy", "frame-ancestors 'none'"),
    ];
    for reply in replies() {
        for (name, value) in wanted {
            assert_eq!(reply.header(name), Some(value));
        }
        assert!(!reply.headers.iter().any(|(name, _)| name.starts_with("access-control")));
    }
    for header in wanted {
        assert!(PAGE_HEADERS.contains(&header), "the host's pages need the header {header:?}");
    }
    assert!(!PAGE_HEADERS.iter().any(|(name, _)| name.starts_with("access-control")));
}

#[test]
fn authz_25_a_failure_before_the_redirect_uri_is_known_is_a_page() {
    let world = World::new();
    world.store.break_reads(true);
    let failure = world.try_authorize(&Params::authorize(), Some(ALICE)).unwrap_err();
    assert_eq!(failure.failure().unwrap().store_error(), Some(&Broken));
    assert_page(
        &world,
        failure.refusal(),
        503,
        "temporarily_unavailable",
        Reason::StorageUnavailable,
    );
    assert_eq!(failure.reply(world.server.policy()).header("retry-after"), Some("1"));
}

#[test]
fn authz_25_a_failure_to_save_the_request_is_reported_to_the_client() {
    for fault in [Fault::Dropped, Fault::Unacknowledged] {
        let world = World::new();
        world.store.fail([fault]);
        let failure = world.try_authorize(&Params::authorize(), Some(ALICE)).unwrap_err();
        assert_eq!(failure.failure().unwrap().store_error(), Some(&Broken));
        assert_redir(
            &world,
            failure.refusal(),
            "temporarily_unavailable",
            Reason::StorageUnavailable,
        );
    }
}

/// A store that always reports a conflict has failed, like any other failing store.
#[test]
fn authz_25_endless_conflicts_are_reported_to_the_client() {
    let world = World::new();
    world.store.fail([Fault::Conflict; 16]);
    let refusal = refused(&world, &Params::authorize());
    assert_redir(&world, &refusal, "temporarily_unavailable", Reason::Contended);
    assert_eq!(states(&world), []);
}

#[test]
fn authz_25_without_randomness_there_is_no_page_to_allow() {
    let world = World::new();
    let store = Arc::clone(&world.store);
    let clock = || Timestamp::from_unix_seconds(T);
    let server =
        Server::with_sources(world.server.policy().clone(), store, FromStore, clock, || {
            Err(EntropyError)
        });
    let query = Params::authorize().encode();
    let incoming =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let answer: Result<AuthorizationStep, Refusal> =
        server.authorize(&incoming, Some(ALICE)).outcome();
    let reply = answer.unwrap_err().reply(server.policy());
    assert_eq!((reply.status, reply.header("location"), world.store.commits()), (503, None, 0));
    assert!(reply.body.contains("temporarily_unavailable"));
}
