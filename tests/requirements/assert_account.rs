//! ASSERT-36 to -44: the user of an identity provider's assertion, resources and scope.

use grantcore::Reason;
use grantcore::blocking::Accounts;
use grantcore::outside::{Link, Linked};
use grantcore::policy::IdJag;
use grantcore::response::ConnectedBy;
use grantcore::value::Subject;
use serde_json::json;

use crate::support::params::Params;
use crate::support::toy_issuers::{
    Federation, IDP, exchange, id_jag, person, trusting, trusting_people, with, without,
};
use crate::support::{Granted, MCP, json as body};

fn request(claims: &serde_json::Value) -> Params {
    exchange(&id_jag(claims)).by_web()
}

fn rules() -> IdJag {
    IdJag::new("read write".parse().unwrap()).with_client("web")
}

#[test]
fn assert_36_who_it_is_about_and_when_is_required() {
    let federation = Federation::new();
    for value in [json!(""), json!(null), json!(7), json!(["u-1"])] {
        federation.faulty(&with(person("1"), "sub", value), Reason::AssertionSubject);
    }
    federation.faulty(&without(person("1"), "sub"), Reason::AssertionSubject);
    federation.faulty(&without(person("1"), "exp"), Reason::AssertionExpired);
    let detail = federation.faulty(&without(person("1"), "iat"), Reason::AssertionClaim);
    assert_eq!(detail, "claim: 'iat'.");
    assert_eq!(federation.marks(), 0);
}

#[test]
fn assert_37_the_host_says_whose_account_it_is() {
    let federation =
        Federation::with(trusting_people(rules().with_tenant("acme").with_tenant("b")));
    let claims = |jti, tenant| {
        let claims = with(person(jti), "tenant", tenant);
        with(with(claims, "email", "a@b.example"), "aud_sub", "alice")
    };
    federation.faulty(&claims("1", "acme"), Reason::AssertionAccountUnknown);
    let asked = federation.directory.asked.lock().unwrap().pop().unwrap();
    let mut link = Link::new(IDP, "u-1");
    link.tenant = Some("acme".into());
    link.email = Some("a@b.example".into());
    link.local_subject = Some("alice".into());
    assert_eq!(asked, link);
    assert_eq!(federation.marks(), 1, "a good assertion is used up by the answer");
    federation.faulty(&claims("1", "acme"), Reason::AssertionReplayed);

    // The same name of two tenants is two users.
    federation.directory.link(link.clone(), Linked::Account(Subject::new("alice")));
    link.tenant = Some("b".into());
    federation.directory.link(link, Linked::Account(Subject::new("bob")));
    federation.person(&claims("2", "acme"));
    federation.person(&claims("3", "b"));
    let subjects: Vec<_> = federation
        .world
        .events()
        .iter()
        .filter(|event| event.reason.is_none())
        .map(|event| event.subject.as_ref().unwrap().to_string())
        .collect();
    assert_eq!(subjects, ["alice", "bob"]);
}

#[test]
fn assert_37_a_host_that_cannot_answer_costs_no_assertion() {
    let federation = Federation::new();
    federation.directory.link(Link::new(IDP, "u-1"), Linked::Unavailable);
    let reply = federation.world.token(&request(&person("1")));
    assert_eq!(reply.status, 503);
    assert_eq!(body(&reply)["error"], "temporarily_unavailable");
    assert_eq!(federation.world.reason(), Some(Reason::AccountLinkUnavailable));
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(federation.marks(), 0);
    federation.directory.link(Link::new(IDP, "u-1"), Linked::Account(Subject::new("alice")));
    federation.person(&person("1"));
}

#[test]
fn assert_38_a_replay_asks_the_host_and_refuses_the_client() {
    let federation = Federation::new();
    federation.person(&person("1"));
    federation.faulty(&person("1"), Reason::AssertionReplayed);
    assert_eq!(federation.directory.asked.lock().unwrap().len(), 2);
}

#[test]
fn assert_39_the_accounts_standing_is_judged() {
    let federation = Federation::new();
    let store = &federation.world.store;
    store.suspend("alice", true);
    federation.faulty(&person("1"), Reason::AccountSuspended);
    store.suspend("alice", false);
    let granted = federation.person(&person("2"));
    store.suspend("alice", true);
    federation.world.dead(&granted.access, Reason::AccountSuspended);
    store.suspend("alice", false);
    Accounts::raise_epoch(&store.inner, "alice").unwrap();
    federation.world.dead(&granted.access, Reason::TokenRevoked);
    // A new grant has the epoch of today.
    let granted = federation.person(&person("3"));
    assert!(federation.world.works(&granted.access));
}

#[test]
fn assert_39_an_epoch_raised_between_link_and_record_ends_the_grant() {
    let federation = Federation::new();
    // Just before the mark, and just before the record: the account was loaded before both.
    for jti in ["1", "2"] {
        let raise = |store: &grantcore::MemoryStore| {
            Accounts::raise_epoch(store, "alice").unwrap();
        };
        if jti == "2" {
            federation.world.store.meanwhile(|_| {});
        }
        federation.world.store.meanwhile(raise);
        let granted = federation.person(&person(jti));
        federation.world.dead(&granted.access, Reason::TokenRevoked);
    }
}

#[test]
fn assert_40_tenants_are_declared() {
    let federation = Federation::new();
    federation.faulty(&with(person("1"), "tenant", "acme"), Reason::AssertionClaim);
    federation.faulty(&with(person("1"), "aud_tenant", "ours"), Reason::AssertionClaim);
    federation.faulty(&with(person("1"), "tenant", json!(null)), Reason::AssertionClaim);
    let declared =
        Federation::with(trusting_people(rules().with_tenant("acme").with_own_tenant("ours")));
    let mut link = Link::new(IDP, "u-1");
    link.tenant = Some("acme".into());
    declared.directory.link(link, Linked::Account(Subject::new("alice")));
    let good = with(with(person("1"), "tenant", "acme"), "aud_tenant", "ours");
    declared.person(&good);
    for (name, value) in [("tenant", "other"), ("aud_tenant", "other")] {
        let detail = declared.faulty(&with(good.clone(), name, value), Reason::AssertionClaim);
        assert_eq!(detail, format!("claim: '{name}'."));
        declared.faulty(&without(good.clone(), name), Reason::AssertionClaim);
    }
}

#[test]
fn assert_41_the_token_is_for_the_claimed_resources() {
    const FILES: &str = "https://files.example/mcp";
    let federation = Federation::with(trusting().resource(FILES, "read"));
    let claimed = |jti: &str, resource: serde_json::Value| with(person(jti), "resource", resource);
    // A string and an array; the request narrows, and cannot widen.
    let reply = federation.world.token(&request(&claimed("1", json!(MCP))));
    assert_eq!(body(&reply)["resource"], MCP);
    let both = json!([MCP, FILES]);
    let reply = federation.world.token(&request(&claimed("2", both.clone())));
    assert_eq!(body(&reply)["resource"], both);
    let narrow = request(&claimed("3", both)).set("resource", FILES);
    assert_eq!(body(&federation.world.token(&narrow))["resource"], FILES);
    let beyond = request(&claimed("4", json!(MCP))).set("resource", FILES);
    federation.refused(&beyond, 400, "invalid_target", Reason::ResourceBeyondGrant);
    for wrong in
        [json!("https://unknown.example"), json!([]), json!(7), json!(null), json!([[MCP]])]
    {
        let detail = federation.faulty(&claimed(&wrong.to_string(), wrong), Reason::AssertionClaim);
        assert_eq!(detail, "claim: 'resource'.");
    }
    // Without a claim, the rules of an authorization request hold.
    federation.refused(&request(&person("5")), 400, "invalid_target", Reason::ResourceMissing);
    let named = request(&person("6")).set("resource", MCP);
    let granted = Granted::of(&federation.world.token(&named));
    assert!(federation.world.works(&granted.access));
    let unknown = request(&person("eighth")).set("resource", "https://unknown.example");
    federation.refused(&unknown, 400, "invalid_target", Reason::ResourceUnknown);
}

#[test]
fn assert_42_the_scope_is_what_all_have_in_common() {
    let federation = Federation::new();
    let scope = |jti: &str, claim: Option<&str>, asked: Option<&str>| {
        let claims = claim.map_or(person(jti), |claim| with(person(jti), "scope", claim));
        let params = request(&claims);
        asked.map_or(params.clone(), |asked| params.set("scope", asked))
    };
    let granted = |params: &Params| Granted::of(&federation.world.token(params)).scope;
    // The ceiling is `read write`, the default scope is `read`.
    assert_eq!(granted(&scope("1", Some("read write admin"), None)), "read write");
    assert_eq!(granted(&scope("2", Some("read write"), Some("write admin"))), "write");
    assert_eq!(granted(&scope("3", None, Some("write admin"))), "write");
    assert_eq!(granted(&scope("4", None, None)), "read");
    for (claim, asked) in [
        (Some("admin"), None),
        (Some("read"), Some("write")),
        (None, Some("admin")),
        (Some(""), None),
    ] {
        let jti = format!("{claim:?}{asked:?}");
        let params = scope(&jti, claim, asked);
        federation.refused(&params, 400, "invalid_scope", Reason::AssertionScope);
    }
    // So does what the resource understands.
    let elsewhere = trusting_people(IdJag::new("read write".parse().unwrap()).with_client("web"));
    let elsewhere = Federation::with(elsewhere.resource("https://files.example", "write"));
    let to_files = |params: Params| params.set("resource", "https://files.example");
    let claims = with(person("files"), "scope", "read write");
    let token = elsewhere.world.token(&to_files(request(&claims)));
    assert_eq!(Granted::of(&token).scope, "write");
    let foreign = to_files(request(&with(person("foreign"), "scope", "read")));
    elsewhere.refused(&foreign, 400, "invalid_scope", Reason::AssertionScope);
    // The client's own bound counts as well.
    let bounded = crate::support::web().edit().scope("read".parse().unwrap()).build().unwrap();
    federation.world.put(bounded);
    assert_eq!(granted(&scope("5", Some("read write"), None)), "read");
}

#[test]
fn i41_no_assertion_widens_what_the_policy_gives() {
    let sets = [None, Some("read"), Some("write"), Some("read write"), Some("admin")];
    let mut jti = 0;
    for ceiling in ["read", "read write", "write admin"] {
        let rules = IdJag::new(ceiling.parse().unwrap()).with_client("web");
        let federation = Federation::with(trusting_people(rules));
        for own in sets {
            let client = crate::support::web().edit();
            let client = match own {
                Some(own) => client.scope(own.parse().unwrap()),
                None => client,
            };
            federation.world.put(client.build().unwrap());
            for (claim, asked) in sets.iter().flat_map(|claim| sets.map(|asked| (*claim, asked))) {
                jti += 1;
                federation.world.at(jti);
                let claims = with(person(&jti.to_string()), "iat", crate::support::T + jti);
                let claims = with(claims, "exp", crate::support::T + jti + 300);
                let claims = claim.map_or(claims.clone(), |claim| with(claims, "scope", claim));
                let params = request(&claims);
                let params = asked.map_or(params.clone(), |asked| params.set("scope", asked));
                let reply = federation.world.token(&params);
                if reply.status != 200 {
                    assert_eq!(body(&reply)["error"], "invalid_scope");
                    continue;
                }
                let granted = Granted::of(&reply).scope;
                for bound in [Some(ceiling), own, claim, asked].into_iter().flatten() {
                    let within = |token: &str| bound.split(' ').any(|own| own == token);
                    assert!(granted.split(' ').all(within), "{granted} of {bound}");
                }
            }
        }
    }
}

#[test]
fn assert_43_unknown_scope_tokens() {
    let federation = Federation::new();
    let claims = with(person("1"), "scope", "read unknown");
    let detail = federation.faulty(&claims, Reason::AssertionClaim);
    assert_eq!(detail, "claim: 'scope'.");
    let asked = request(&person("2")).set("scope", "read unknown");
    federation.refused(&asked, 400, "invalid_scope", Reason::ScopeUnknown);
    federation.faulty(&with(person("3"), "scope", json!(["read"])), Reason::AssertionClaim);
    let dropping = Federation::with(trusting().drop_unknown_scopes(true));
    assert_eq!(dropping.person(&claims).scope, "read");
    let asked = request(&person("2")).set("scope", "write unknown");
    assert_eq!(Granted::of(&dropping.world.token(&asked)).scope, "write");
}

#[test]
fn assert_44_the_user_sees_the_connection_and_ends_it() {
    let federation = Federation::new();
    let granted = federation.person(&person("1"));
    let connections = federation.world.server.connections("alice", None, 10).unwrap();
    let [connection] = &connections.entries[..] else { panic!("one connection") };
    assert!(
        matches!(connection.by(), ConnectedBy::Enterprise { issuer, .. } if issuer == IDP),
        "{:?}",
        connection.by()
    );
    assert_eq!(connection.first_used(), connection.created());
    assert_eq!(connections.asked("web"), None, "no page was asked for it");
    let id = connection.grant_id();
    federation.world.server.revoke_connection("alice", id).unwrap();
    federation.world.dead(&granted.access, Reason::TokenRevoked);
    // The organization can renew it, unless the host answers nobody.
    federation.person(&person("2"));
    federation.directory.link(Link::new(IDP, "u-1"), Linked::Nobody);
    federation.faulty(&person("3"), Reason::AssertionAccountUnknown);
}
