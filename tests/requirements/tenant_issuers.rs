//! Tests of TENANT-15 and -17 to -20: several issuers with one set of rules, and a former issuer.

use grantcore::policy::{
    Issuers, IssuersError, Limits, PolicyBuilder, PolicyError, RegistrationRules, RevocationRules,
};
use grantcore::request::TokenRequest;
use grantcore::{ContentType, Policy, Reason, RequestParts, RevokedBy};

use crate::support::clients::{managed, metadata};
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::{Answered, Granted, ISSUER, World, assert_refused, json, param, policy};

const OTHER: &str = "https://auth.example/t1";

fn rules() -> Policy {
    policy().revocation(RevocationRules::default()).build().unwrap()
}

fn two() -> (World, World) {
    let first = World::new();
    let second = first.beside(first.server.policy().at(OTHER).unwrap(), 2);
    (first, second)
}

#[test]
fn tenant_15_a_list_shows_the_grants_of_its_issuer() {
    let (first, second) = two();
    let (of_first, of_second) = (first.tokens(), second.tokens());
    let issuers = |world: &World, issuers| -> Vec<String> {
        let page = world.server.connections_at(issuers, "alice", None, 9).unwrap();
        let mut found: Vec<_> = page.entries.iter().map(|own| own.issuer().to_owned()).collect();
        found.sort();
        found
    };
    assert_eq!(issuers(&first, Issuers::Own), [ISSUER]);
    assert_eq!(issuers(&second, Issuers::Own), [OTHER]);
    assert_eq!(issuers(&second, Issuers::All), [ISSUER, OTHER]);
    assert_eq!(second.server.connections("alice", None, 9).unwrap().entries.len(), 1);

    // A connection is revoked at its own issuer.
    let all = second.server.connections_at(Issuers::All, "alice", None, 9).unwrap();
    let of = all.entries.iter().find(|own| own.issuer() == ISSUER).unwrap().grant_id();
    let refusal = second.server.revoke_connection("alice", of).unwrap_err().into_refusal();
    assert_eq!(refusal.reason(), Reason::ConnectionUnknown);
    first.server.revoke_connection("alice", of).unwrap();
    assert!(!first.works(&of_first.access) && second.works(&of_second.access));
}

#[test]
fn tenant_15_ending_a_users_or_a_shared_clients_epoch_ends_the_grants_of_all() {
    let (first, second) = two();
    let of_first = first.tokens();
    let done = second.server.revoke_user("alice", RevokedBy::SecurityEvent("stolen")).unwrap();
    assert_eq!((done.revoked, done.is_complete()), (0, true), "it has none of its own");
    let refusal = first.check(&of_first.access, &[]).unwrap_err();
    assert_eq!((refusal.status(), refusal.reason()), (401, Reason::TokenRevoked));

    let (first, second) = two();
    let of_first = first.tokens();
    second.server.revoke_client("app", RevokedBy::Administrator("it leaked")).unwrap();
    assert!(!first.works(&of_first.access));
    // One client of one user is ended at the issuer that is asked.
    let (first, second) = two();
    let (of_first, of_second) = (first.tokens(), second.tokens());
    let done = second.server.revoke_user_client("alice", "app", RevokedBy::User).unwrap();
    assert_eq!(done.revoked, 1);
    assert!(first.works(&of_first.access) && !second.works(&of_second.access));
}

fn named(issuer: &str) -> PolicyBuilder {
    Policy::builder(issuer)
        .scope("read", "")
        .scope("write", "")
        .scope("admin", "")
        .resource("https://mcp.example/mcp", "read")
}

#[test]
fn tenant_17_issuers_compare_byte_for_byte() {
    let first = World::with(named("https://auth.example/t1"));
    let tokens = first.tokens();
    for issuer in ["https://auth.example/t1/", "https://auth.example", "https://auth.example/T1"] {
        let second = first.beside(named(issuer).build().unwrap(), 2);
        let reply = second.token(&Params::refresh(tokens.refresh()));
        assert_refused(&second, &reply, 400, "invalid_grant", Reason::RefreshUnknown);
        assert!(!second.works(&tokens.access));
    }
}

#[test]
fn tenant_17_records_of_a_former_issuer_are_relabelled_at_their_next_write() {
    let old = "https://old.example";
    let registering = |issuer| named(issuer).registration(RegistrationRules::default());
    let before = World::with(registering(old));
    let own = before.own(&metadata());
    let of_own = before.tokens_by(&own);
    let tokens = before.tokens();
    let code = before.code(&Params::authorize());
    let ticket = before.page(&Params::authorize()).ticket();
    let stored = |world: &World| {
        let mut found: Vec<_> =
            world.grants().iter().map(|own| own.record.issued_by().to_owned()).collect();
        found.sort();
        found
    };
    let moved = registering("https://new.example").former_issuer(old).build().unwrap();
    let after = before.beside(moved, 2);
    // A check writes nothing.
    assert!(after.works(&tokens.access));
    assert_eq!(stored(&after), [old; 4]);
    let reply = after.token(&Params::refresh(tokens.refresh()));
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(stored(&after), ["https://new.example", old, old, old]);
    assert_eq!(after.token(&Params::redeem(&code)).status, 200);
    let location = after.decide(&ticket, grantcore::Choice::Allow).unwrap().into_location();
    assert_eq!(param(&location, "iss").as_deref(), Some("https://new.example"));
    assert_eq!(stored(&after)[..3], ["https://new.example"; 3]);
    // So is a client that registered itself.
    assert_eq!(after.client(&own.id).unwrap().bound_to(), Some(old));
    let reply = after.token(&own.proven(Params::refresh(of_own.refresh())));
    assert_eq!(reply.status, 200);
    after.updated(&own, metadata());
    assert_eq!(after.client(&own.id).unwrap().bound_to(), Some("https://new.example"));
    // The old issuer does not know what the new one has written.
    assert!(!before.works(&Granted::of(&reply).access));

    for former in ["", "https://new.example"] {
        let error = registering("https://new.example").former_issuer(former).build().err();
        let issuer = former.to_owned();
        assert_eq!(error, Some(IssuersError::Former { issuer }.into()));
    }
}

#[test]
fn tenant_18_each_issuer_has_its_endpoints_and_documents() {
    let base = rules();
    let policy = base.at("https://h.example/t1").unwrap();
    assert_eq!(policy.issuer(), "https://h.example/t1");
    for (endpoint, url) in policy.endpoints().iter().zip(base.endpoints()) {
        let moved = url.url.replace(ISSUER, "https://h.example/t1");
        assert_eq!(endpoint.url, moved);
    }
    let document = json(&policy.server_metadata());
    assert_eq!(document["issuer"], "https://h.example/t1");
    assert_eq!(document["token_endpoint"], "https://h.example/t1/oauth/token");
    let urls = |policy: &Policy| -> Vec<String> {
        let all = policy.well_known().into_iter().map(|own| own.url);
        all.filter(|url| url.contains("oauth-authorization-server")).collect()
    };
    assert_eq!(
        urls(&policy),
        [
            "https://h.example/.well-known/oauth-authorization-server/t1",
            "https://h.example/t1/.well-known/oauth-authorization-server",
        ]
    );
    // Named endpoints below the issuer move too.
    let moved =
        named("https://h.example/a").token_endpoint("https://h.example/a/t").build().unwrap();
    assert_eq!(moved.at("https://h.example/b").unwrap().token_endpoint(), "https://h.example/b/t");
}

#[test]
fn tenant_18_two_issuers_never_share_a_url() {
    let error = |policy: &Policy, issuer: &str| policy.at(issuer).err();
    let document = |issuer: &str, url: &str| {
        Some(IssuersError::Document { issuer: issuer.into(), url: url.into() }.into())
    };
    let root = "https://h.example/.well-known/oauth-authorization-server";
    let base = named("https://h.example/a").build().unwrap();
    assert_eq!(error(&base, "https://h.example"), document("https://h.example", root));
    let at = format!("{root}/a");
    assert_eq!(error(&base, "https://h.example/a"), document("https://h.example/a", &at));
    assert_eq!(error(&base, "https://other.example"), None);
    let elsewhere = named("https://h.example/a").token_endpoint("https://h.example/t");
    let endpoint = "token_endpoint";
    let url = "https://h.example/t".to_owned();
    assert_eq!(
        error(&elsewhere.build().unwrap(), "https://h.example/b"),
        Some(IssuersError::Endpoint { endpoint, url }.into())
    );
    assert!(matches!(error(&base, "h.example"), Some(PolicyError::Issuer { .. })));
    assert!(matches!(error(&base, "https://H.example"), Some(PolicyError::IssuerSpelling { .. })));
}

#[test]
fn tenant_19_the_issuer_is_never_taken_from_a_request() {
    let (_, world) = two();
    let body = "";
    for parts in [
        RequestParts::default(),
        RequestParts { source: "evil.example", ..RequestParts::default() },
        RequestParts {
            content_type: ContentType::JSON,
            body: body.as_bytes(),
            ..RequestParts::default()
        },
        RequestParts {
            authorization: grantcore::Authorization::One(b"Bearer evil.example"),
            ..RequestParts::default()
        },
    ] {
        let query = Params::authorize().and("iss", "https://evil.example").encode();
        let parts = RequestParts { method: "GET", query: query.as_bytes(), ..parts };
        let step = world.server.authorize(&parts, Some(crate::support::ALICE)).unwrap();
        let grantcore::AuthorizationStep::NeedsConsent(page) = step else { panic!("no page") };
        let location = world.decide(&page.ticket(), grantcore::Choice::Allow).unwrap();
        assert_eq!(param(&location.into_location(), "iss").as_deref(), Some(OTHER));
    }
}

#[test]
fn tenant_20_rate_limits_are_apart() {
    let limits = Limits::default().with_token_requests_per_minute(2);
    let first = World::with(policy().limits(limits));
    let second = first.beside(first.server.policy().at(OTHER).unwrap(), 2);
    for _ in 0..3 {
        drop(first.token(&Params::refresh("x")));
    }
    assert_eq!(first.reason(), Some(Reason::RateLimited));
    drop(second.token(&Params::refresh("x")));
    assert_eq!(second.reason(), Some(Reason::RefreshUnknown));
    // A host that keeps the windows of all issuers in one place has names of their own.
    let policies = [rules(), rules().at(OTHER).unwrap(), rules().at(format!("{OTHER}0")).unwrap()];
    let [one, two, three] = policies.each_ref().map(|own| {
        let body = Params::refresh("x").encode();
        let request = TokenRequest::parse(&form(&body), own).unwrap();
        own.rate_bucket(&request.rate_hit("192.0.2.1")).key.into_owned()
    });
    assert!(one != two && two != three && one != three);
    assert!([one, two, three].iter().all(|key| key.is_ascii() && key.len() <= 128));
}

#[test]
fn tenant_15_a_registration_is_shown_at_its_own_issuer() {
    let (world, own) = managed(&metadata());
    let second = world.beside(world.server.policy().at(OTHER).unwrap(), 2);
    let tokens = world.tokens_by(&own);
    let listed = second.server.connections_at(Issuers::All, "alice", None, 9).unwrap();
    assert_eq!(listed.entries.len(), 1);
    let body = format!("client_id={}&token={}", own.id, tokens.access);
    let revoked = second.server.revoke(&form(&body));
    assert_eq!(revoked.answered(second.server.policy()).status, 401, "an unknown client");
    assert!(world.works(&tokens.access));
}
