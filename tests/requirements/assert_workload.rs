//! ASSERT-50 to -58: the token of a platform brings one for a client of the operator.

use grantcore::client::ClientStatus;
use grantcore::grant::Principal;
use grantcore::policy::{ClaimName, Limits, PolicyBuilder, TrustedIssuer, Workload, WorkloadRule};
use grantcore::value::MachineRights;
use grantcore::{Client, Reason};
use serde_json::json;

use crate::support::params::Params;
use crate::support::toy_issuers::{
    CLUSTER, FORGER, Federation, KEY, exchange, program, trusting, with, without, workload,
    workload_header,
};
use crate::support::{Granted, ISSUER, policy};

fn trusting_programs(rules: Workload) -> PolicyBuilder {
    policy().trusted_issuer(TrustedIssuer::workload(CLUSTER, KEY.key_set(), rules))
}

fn bot(rule: WorkloadRule) -> Federation {
    Federation::with(trusting_programs(Workload::default().with_rule(rule)))
}

#[test]
fn assert_50_every_explicit_type_is_refused() {
    let federation = Federation::new();
    for typ in ["oauth-id-jag+jwt", "client-authentication+jwt", "at+jwt", ""] {
        let mut header = workload_header();
        header["typ"] = json!(typ);
        let params = exchange(&KEY.sign(&header, &program("1")));
        federation.refused(&params, 400, "invalid_grant", Reason::AssertionType);
    }
    let header = without(workload_header(), "typ");
    Granted::of(&federation.world.token(&exchange(&KEY.sign(&header, &program("1")))));
}

#[test]
fn assert_51_the_audience_is_the_issuer_or_the_token_endpoint() {
    let federation = Federation::new();
    let token = "https://auth.example/oauth/token";
    for (jti, good) in [json!(token), json!([token]), json!(ISSUER), json!("https://auth.example/")]
        .into_iter()
        .enumerate()
    {
        federation.program(&with(program(&jti.to_string()), "aud", good));
    }
    for bad in [json!([token, ISSUER]), json!("https://auth.example/oauth/revoke"), json!([])] {
        federation.faulty_program(&with(program("x"), "aud", bad), Reason::AssertionAudience);
    }
    let rule = WorkloadRule::new("bot").starts_with("sub", "system:");
    let fixed = Federation::with(trusting_programs(
        Workload::default().with_rule(rule).with_audience("sts"),
    ));
    fixed.program(&with(program("1"), "aud", "sts"));
    fixed.faulty_program(&program("2"), Reason::AssertionAudience);
    fixed.faulty_program(&with(program("3"), "aud", ISSUER), Reason::AssertionAudience);
}

#[test]
fn assert_52_the_first_rule_that_fits_names_the_client() {
    let federation = Federation::new();
    for sub in [
        "system:serviceaccount:prod:BOT",
        "system:serviceaccount:prod:bot2",
        "system:serviceaccount:prod:bo",
        "xsystem:serviceaccount:prod:bot",
    ] {
        federation.faulty_program(&with(program(sub), "sub", sub), Reason::AssertionUnmapped);
    }
    let one = |claim: &str, value: serde_json::Value, rule: WorkloadRule| {
        let federation = bot(rule);
        federation.world.token(&exchange(&workload(&with(program("1"), claim, value)))).status
    };
    let repo = || WorkloadRule::new("bot").starts_with("repository", "acme/");
    assert_eq!(one("repository", json!("acme/site"), repo()), 200);
    for near in [json!("acmeevil/site"), json!("acme"), json!(["acme/site"]), json!(7), json!(null)]
    {
        assert_eq!(one("repository", near, repo()), 400);
    }
    let of = || WorkloadRule::new("bot").one_of("ref", ["main", "release"]).equals("sub", SUB);
    assert_eq!(one("ref", json!("release"), of()), 200);
    assert_eq!(one("ref", json!("dev"), of()), 400);
    let within =
        || WorkloadRule::new("bot").equals(ClaimName::within("kubernetes.io", "namespace"), "prod");
    assert_eq!(one("kubernetes.io", json!({ "namespace": "prod" }), within()), 200);
    assert_eq!(one("kubernetes.io", json!({ "namespace": "dev" }), within()), 400);
    assert_eq!(one("kubernetes.io", json!("prod"), within()), 400);
    assert_eq!(one("kubernetes.io.namespace", json!("prod"), within()), 400);
}

const SUB: &str = "system:serviceaccount:prod:bot";

#[test]
fn assert_53_the_client_has_no_other_way_in() {
    let federation = Federation::new();
    let world = &federation.world;
    for grant_type in ["client_credentials", "refresh_token"] {
        let params = Params(Vec::new()).set("grant_type", grant_type).set("client_id", "bot");
        let reply = world.token(&params);
        assert_eq!(reply.status, 401, "{grant_type}: {}", reply.body);
    }
    assert!(world.authorize(&Params::authorize().set("client_id", "bot")).is_err());
    // A client of another kind is not one that a rule can name.
    let rule = WorkloadRule::new("web").equals("sub", SUB);
    let federation = bot(rule);
    federation.faulty_program(&program("1"), Reason::AssertionUnmapped);
    // Nor if it may act on its own behalf: it has a credential, and has to use it.
    let job = bot(WorkloadRule::new("job").equals("sub", SUB));
    let machine = crate::support::machines::job_with(crate::support::machines::rights());
    job.world.put(machine);
    let detail = job.faulty_program(&program("1"), Reason::AssertionUnmapped);
    assert_eq!(detail, "client: client_method_mismatch.");
    let rule = WorkloadRule::new("nobody").equals("sub", SUB);
    bot(rule).faulty_program(&program("1"), Reason::AssertionUnmapped);
}

#[test]
fn assert_53_a_deactivated_client_looks_unmapped() {
    let federation = Federation::new();
    let granted = federation.program(&program("1"));
    federation.world.server.set_client_status("bot", ClientStatus::Deactivated).unwrap();
    federation.world.dead(&granted.access, Reason::ClientDeactivated);
    let detail = federation.faulty_program(&program("2"), Reason::AssertionUnmapped);
    assert_eq!(detail, "client: client_deactivated.");
}

#[test]
fn assert_54_a_client_that_is_named_is_the_mapped_one() {
    let federation = Federation::new();
    let named = |jti, id| exchange(&workload(&program(jti))).set("client_id", id);
    Granted::of(&federation.world.token(&named("1", "bot")));
    let detail =
        federation.refused(&named("2", "app"), 400, "invalid_grant", Reason::AssertionClaim);
    assert_eq!(detail, "claim: 'client_id'.");
    federation.refused(&named("3", "nobody"), 401, "invalid_client", Reason::ClientUnknown);
}

#[test]
fn assert_55_scope_and_resource_are_those_of_the_clients_right() {
    let federation = Federation::with(trusting().resource("https://files.example", "read"));
    let rights = MachineRights::new("read admin".parse().unwrap()).at(crate::support::MCP);
    federation.world.put(Client::federated("bot", rights).build().unwrap());
    let asked =
        |jti: &str, name: &str, value: &str| exchange(&workload(&program(jti))).set(name, value);
    assert_eq!(federation.program(&program("1")).scope, "admin read");
    assert_eq!(federation.program(&with(program("2"), "scope", "read")).scope, "admin read");
    let narrow = Granted::of(&federation.world.token(&asked("3", "scope", "read")));
    assert_eq!(narrow.scope, "read");
    federation.refused(&asked("4", "scope", "write"), 400, "invalid_scope", Reason::ScopeForbidden);
    let beyond = asked("5", "resource", "https://files.example");
    federation.refused(&beyond, 400, "invalid_target", Reason::ResourceForbidden);
}

/// Whoever is responsible for the client can be suspended, and then nothing runs in its name
/// (MACHINE-16).
#[test]
fn assert_55_machine_16_a_suspended_owner_stops_the_programs() {
    let federation = Federation::new();
    let rights = MachineRights::new("read".parse().unwrap());
    federation.world.put(
        Client::federated("bot", rights)
            .owner(grantcore::value::Subject::new("alice"))
            .build()
            .unwrap(),
    );
    let granted = federation.program(&program("1"));
    federation.world.store.suspend("alice", true);
    let refused = exchange(&workload(&program("2")));
    federation.refused(&refused, 400, "invalid_grant", Reason::OwnerSuspended);
    federation.world.dead(&granted.access, Reason::OwnerSuspended);
    federation.world.store.suspend("alice", false);
    federation.program(&program("3"));
}

#[test]
fn assert_56_the_principal_is_never_a_person() {
    let federation = Federation::new();
    let granted = federation.program(&program("1"));
    let header = format!("Bearer {}", granted.access);
    let header = grantcore::Authorization::One(header.as_bytes());
    let policy = federation.world.server.policy();
    let people = policy.needs(crate::support::MCP, "read").unwrap();
    let refusal = federation.world.server.check(&header, &people).unwrap_err();
    assert_eq!(refusal.refusal().reason(), Reason::PrincipalMismatch);
    let access = federation.world.server.check(&header, &people.machines()).unwrap();
    let Principal::Workload { client, issuer, workload } = access.principal() else {
        panic!("{:?}", access.principal())
    };
    assert_eq!((client.as_str(), issuer, workload), ("bot", CLUSTER, SUB));
    for subject in ["bot", SUB, CLUSTER] {
        let connections = federation.world.server.connections(subject, None, 10).unwrap();
        assert!(connections.entries.is_empty());
    }
}

#[test]
fn assert_57_the_name_of_a_program_is_bounded() {
    let rule = WorkloadRule::new("bot").starts_with("sub", "a:");
    let federation = bot(rule);
    let sub = |length: usize| format!("a:{}", "x".repeat(length - 2));
    federation.program(&with(program("1"), "sub", sub(255)));
    for wrong in [sub(256), "a:\n".into(), "a:\u{7f}".into()] {
        federation.faulty_program(&with(program("2"), "sub", wrong), Reason::AssertionSubject);
    }
}

#[test]
fn assert_58_made_up_assertions_take_no_place_of_a_client() {
    let limits = Limits::default().with_token_requests_per_minute(5);
    let federation = Federation::with(trusting().limits(limits));
    // Strangers share one bucket.
    for n in 0..5 {
        let forged = FORGER.sign(&workload_header(), &program(&n.to_string()));
        assert_eq!(federation.world.token(&exchange(&forged)).status, 400);
    }
    federation.refused(&exchange("x"), 429, "too_many_requests", Reason::RateLimited);
    // Who names the client is counted with it, and has its whole place.
    let named = |n: usize| exchange(&workload(&program(&format!("n{n}")))).set("client_id", "bot");
    for n in 0..5 {
        assert_eq!(federation.world.token(&named(n)).status, 200);
    }
    let marks = federation.marks();
    assert_eq!(federation.world.token(&named(5)).status, 429);
    assert_eq!(federation.marks(), marks, "a 429 uses no assertion up");
}

#[test]
fn assert_58_a_verified_assertion_counts_for_its_client() {
    let limits = Limits::default().with_token_requests_per_minute(5);
    let federation = Federation::with(trusting().limits(limits));
    let named = |n: usize| exchange(&workload(&program(&format!("n{n}")))).set("client_id", "bot");
    for n in 0..5 {
        assert_eq!(federation.world.token(&named(n)).status, 200);
    }
    // Without a name it is counted once the signature holds, and before its mark.
    let marks = federation.marks();
    let params = exchange(&workload(&program("later")));
    federation.refused(&params, 429, "too_many_requests", Reason::RateLimited);
    assert_eq!(federation.marks(), marks);
}
