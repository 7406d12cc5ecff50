//! Tests of the records of clients that act on their own behalf, and of their end: MACHINE-09,
//! MACHINE-10, MACHINE-13 to MACHINE-18, MACHINE-21, MACHINE-22.

use grantcore::account::Balance;
use grantcore::blocking::Store as _;
use grantcore::client::{ClientStatus, UsedSecret};
use grantcore::event::{ClientProof, EventClass, EventKind};
use grantcore::grant::Grant;
use grantcore::policy::{CheckRules, RegistrationRules, RevocationRules};
use grantcore::response::Connections;
use grantcore::store::{Commit, Write};
use grantcore::value::{Digest, GrantId, SecretMethod, Subject};
use grantcore::{Account, Reason, RevokedBy};

use crate::support::clients::confidential;
use crate::support::host::at;
use crate::support::machines::{JOB, job, machines, rights};
use crate::support::params::Params;
use crate::support::steps::{basic, form};
use crate::support::store::Fault;
use crate::support::{Answered, Granted, MCP, SECRET, World, assert_refused, needs, web};

/// Returns the id of the world's latest machine grant.
fn only(world: &World) -> GrantId {
    let [stored] = &*world.store.inner.grants(None, 2) else { panic!("one grant") };
    stored.record.id()
}

#[test]
fn machine_09_each_token_is_a_record_of_its_own() {
    let world = World::of_machines(machines());
    let mut tokens = std::collections::BTreeSet::new();
    for number in 1..=50 {
        let commits = world.store.commits();
        tokens.insert(world.machine_token().access);
        assert_eq!(world.store.commits(), commits + 1, "no conflict");
        assert_eq!(world.store.inner.counts().grants, number);
    }
    assert_eq!(tokens.len(), 50);
    // The end of one is the end of no other.
    let first = world.store.inner.grants(None, 1)[0].record.id();
    world.server.revoke_grant(first, RevokedBy::Administrator("an incident")).unwrap();
    let alive = tokens.iter().filter(|token| world.check_machine(token, "").is_ok());
    assert_eq!(alive.count(), 49);
}

/// The acknowledgement of the write is lost: the request finds its own token.
#[test]
fn machine_10_a_request_that_is_decided_again_recognizes_its_own_record() {
    let world = World::of_machines(machines());
    world.store.fail([Fault::AppliedThenConflict]);
    let granted = world.machine_token();
    assert_eq!((granted.scope.as_str(), granted.expires_in), ("read write", 3600));
    assert_eq!(world.store.inner.counts().grants, 1);
    assert!(world.check_machine(&granted.access, "read").is_ok());
    // The write was really lost.
    world.store.fail([Fault::Conflict]);
    let granted = world.machine_token();
    assert!(world.check_machine(&granted.access, "read").is_ok());
    assert_eq!(world.store.inner.counts().grants, 2);
}

/// Another record has the id: it is neither used nor replaced.
#[test]
fn machine_10_a_foreign_record_under_the_id_is_left_alone() {
    // The same entropy gives the same record.
    let twin = World::of_machines(machines());
    drop(twin.machine_token());
    let record = |world: &World| {
        let [stored] = &*world.store.inner.grants(None, 2) else { panic!("one grant") };
        serde_json::to_value(&*stored.record).unwrap()
    };
    let own = record(&twin);
    let mut of_another_token = own.clone();
    of_another_token["phase"]["active"]["access_tokens"][0]["digest"] =
        serde_json::to_value(Digest::of(b"another")).unwrap();
    let mut of_another_client = own.clone();
    of_another_client["terms"]["client_id"] = "web".into();
    twin.server.revoke_grant(only(&twin), RevokedBy::Administrator("x")).unwrap();
    let ended = record(&twin);
    for (found, is_own) in
        [(own, true), (of_another_token, false), (of_another_client, false), (ended, false)]
    {
        let world = World::of_machines(machines());
        let grant: Grant = serde_json::from_value(found.clone()).unwrap();
        world.store.meanwhile(move |store| {
            assert_eq!(store.commit(&Write::moved(grant)), Ok(Commit::Done));
        });
        let reply = world.machine(&Params::machine());
        assert_eq!(record(&world), found, "the record stays");
        if is_own {
            assert_eq!(reply.status, 200);
        } else {
            assert_refused(&world, &reply, 503, "temporarily_unavailable", Reason::Contended);
        }
    }
}

#[test]
fn machine_13_a_client_without_a_redirect_uri_has_no_code_flow() {
    let own = job();
    assert!(own.redirect_uris().is_empty() && !own.grant_types().authorization_code);
    let world = World::of_machines(machines());
    let request = Params::authorize().set("client_id", JOB);
    for params in [request.clone(), request.without("redirect_uri")] {
        let refusal = world.authorize(&params).unwrap_err();
        assert_eq!(refusal.location(world.server.policy()), None);
        assert_eq!(refusal.problem(world.server.policy()).continue_url, None);
        let sent = refusal.sent(world.server.policy());
        assert_eq!((sent.status, sent.error), (400, Some("unauthorized_client")));
        assert_eq!(refusal.reason(), Reason::CodeFlowUnauthorized);
    }
    // A client that has both is asked for users as any other.
    world.put(web().edit().machine(rights()).build().unwrap());
    assert!(world.authorize(&Params::authorize().by_web()).is_ok());
}

#[test]
fn machine_14_no_user_has_the_grant() {
    let world = World::of_machines(machines());
    world.put(job().edit().owner(Subject::new("owner")).build().unwrap());
    drop(world.machine_token());
    for subject in ["owner", JOB, "alice", ""] {
        assert_eq!(world.store.inner.grants_of(subject, None, 10), Ok(vec![]), "{subject}");
        if subject.is_empty() {
            continue;
        }
        let listed: Connections = world.server.connections(subject, None, 10).unwrap();
        assert!(listed.entries.is_empty(), "{subject}");
        let refused = world.server.revoke_connection(subject, only(&world));
        assert_eq!(refused.unwrap_err().refusal().reason(), Reason::ConnectionUnknown);
    }
}

#[test]
fn machine_15_it_ends_with_its_client_and_by_its_client() {
    let revocable = || machines().revocation(RevocationRules::default());
    let reason = |world: &World, token: &str| world.check_machine(token, "").unwrap_err().reason();
    // Deactivation, and back.
    let world = World::of_machines(revocable());
    let token = world.machine_token().access;
    let set = |status| world.server.set_client_status(JOB, status).unwrap();
    set(ClientStatus::Deactivated);
    assert_eq!(reason(&world, &token), Reason::ClientDeactivated);
    let refused = world.machine(&Params::machine());
    assert_refused(&world, &refused, 401, "invalid_client", Reason::ClientDeactivated);
    set(ClientStatus::Active);
    assert!(world.check_machine(&token, "").is_ok());
    // The epoch.
    world.server.revoke_client(JOB, RevokedBy::Administrator("an incident")).unwrap();
    assert_eq!(reason(&world, &token), Reason::TokenRevoked);
    assert!(world.check_machine(&world.machine_token().access, "").is_ok());
    // RFC 7009: nobody but its client.
    let world = World::of_machines(revocable());
    let token = world.machine_token().access;
    let revoke = |by: &[u8]| {
        let body = Params::machine().without("grant_type").and("token", &token).encode();
        let request = grantcore::RequestParts {
            authorization: grantcore::Authorization::One(by),
            ..form(&body)
        };
        world.server.revoke(&request).answered(world.server.policy())
    };
    let foreign = web().edit().authentication(job().authentication()).build().unwrap();
    world.put(foreign);
    assert_eq!(revoke(&basic("web", SECRET)).status, 400);
    assert!(world.check_machine(&token, "").is_ok());
    assert_eq!(revoke(&basic(JOB, SECRET)).status, 200);
    assert_eq!(reason(&world, &token), Reason::TokenRevoked);
    // An administrator.
    let world = World::of_machines(revocable());
    let token = world.machine_token().access;
    world.server.revoke_grant(only(&world), RevokedBy::Administrator("x")).unwrap();
    assert_eq!(reason(&world, &token), Reason::TokenRevoked);
}

#[test]
fn machine_16_a_suspended_owner_stops_issue_and_use() {
    let world = World::of_machines(machines());
    world.put(job().edit().owner(Subject::new("owner")).build().unwrap());
    let token = world.machine_token().access;
    world.store.suspend("owner", true);
    let refused = world.machine(&Params::machine());
    assert_refused(&world, &refused, 400, "invalid_grant", Reason::OwnerSuspended);
    let refusal = world.check_machine(&token, "").unwrap_err();
    let sent = refusal.sent(world.server.policy());
    assert_eq!((refusal.reason(), sent.status), (Reason::OwnerSuspended, 401));
    assert_eq!(sent.error, Some("invalid_token"));
    world.store.suspend("owner", false);
    assert!(world.check_machine(&token, "").is_ok());
    // The other answer (AMB-19).
    let rules = CheckRules::default().with_suspended_is_forbidden(true);
    let world = World::of_machines(machines().check_rules(rules));
    world.put(job().edit().owner(Subject::new("owner")).build().unwrap());
    let token = world.machine_token().access;
    world.store.suspend("owner", true);
    let refusal = world.check_machine(&token, "").unwrap_err();
    assert_eq!(refusal.sent(world.server.policy()).status, 403);
    // Without an owner nobody is asked.
    let world = World::of_machines(machines());
    let token = world.machine_token().access;
    world.store.calls();
    assert!(world.check_machine(&token, "").is_ok());
    assert!(!world.store.calls().contains(&"account"));
}

#[test]
fn machine_17_the_owner_pays() {
    let world = World::of_machines(machines());
    let billed = needs(world.server.policy(), 0, "").machines().billed();
    let call = |token: &str| {
        let header = format!("Bearer {token}");
        let authorization = grantcore::Authorization::One(header.as_bytes());
        world.server.check(&authorization, &billed)
    };
    // Nobody pays.
    let token = world.machine_token().access;
    let refusal = call(&token).unwrap_err().into_refusal();
    let status = refusal.sent(world.server.policy()).status;
    assert_eq!((refusal.reason(), status), (Reason::BalanceInsufficient, 402));
    // A user whose name is that of the client does not.
    world.store.inner.put_balance(Subject::new(JOB), Balance::Sufficient);
    assert!(call(&token).is_err());
    world.put(job().edit().owner(Subject::new("owner")).build().unwrap());
    for (balance, passes) in [
        (Balance::Sufficient, true),
        (Balance::Low { left: 2 }, true),
        (Balance::Insufficient, false),
    ] {
        world.store.inner.put_balance(Subject::new("owner"), balance);
        let access = call(&token);
        assert_eq!(access.is_ok(), passes, "{balance:?}");
        if let Ok(access) = access {
            assert_eq!((access.payer().unwrap().as_str(), access.subject()), ("owner", None));
        }
    }
}

#[test]
fn machine_18_a_record_is_kept_for_an_hour_after_its_end() {
    let world = World::of_machines(machines());
    drop(world.machine_token());
    let drop_after = || world.store.inner.grants(None, 2)[0].record.drop_after();
    assert_eq!(drop_after(), at(3600 + 3600));
    // Ended before, it is kept as long.
    world.at(100);
    world.server.revoke_grant(only(&world), RevokedBy::Administrator("x")).unwrap();
    assert_eq!(drop_after(), at(3600 + 3600));
    assert_eq!(world.store.inner.sweep(at(7199), 10), 0);
    assert_eq!(world.store.inner.sweep(at(7200), 10), 1);
}

#[test]
fn machine_18_the_rate_of_its_client_bounds_the_records() {
    let limits = grantcore::policy::Limits::default().with_token_requests_per_minute(3);
    let world = World::of_machines(machines().limits(limits));
    let statuses: Vec<_> = (0..5).map(|_| world.machine(&Params::machine()).status).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(world.store.inner.counts().grants, 3);
    world.at(61);
    assert_eq!(world.machine(&Params::machine()).status, 200);
}

/// A registered client is renewed before its token, so that no token outlives its client.
#[test]
fn machine_18_a_registered_client_outlives_its_tokens() {
    let rules = grantcore::policy::MachineRules::default().with_registered(rights());
    let policy = machines().machines(rules).registration(RegistrationRules::default());
    let world = World::with(policy);
    let own = world.own(&confidential());
    let before = world.client(&own.id).unwrap().expires();
    world.at(86_000);
    drop(Granted::of(&world.token(&own.proven(Params::machine()))));
    let renewed = world.client(&own.id).unwrap().expires();
    assert!(renewed > before && renewed > world.store.inner.grants(None, 2)[0].record.drop_after());
}

#[test]
fn machine_21_one_event_for_each_token() {
    let world = World::of_machines(machines());
    drop(world.machine_token());
    let [event] = &*world.events() else { panic!("one event") };
    assert_eq!(
        (event.kind, event.class(), event.client_id(), event.subject.as_ref(), event.flow),
        (EventKind::MachineIssued, EventClass::Attributed, Some(JOB), None, Some(only(&world)))
    );
    let detail = event.detail.as_deref().unwrap();
    assert_eq!(detail, format!("scope_tokens: 2. resource: '{MCP}'."));
    let secret = UsedSecret::Current;
    let proof = ClientProof::Secret { method: SecretMethod::Basic, secret };
    assert_eq!((event.has_written(), event.proof.as_ref()), (true, Some(&proof)));
    let text = serde_json::to_string(event).unwrap();
    assert!(!text.contains("gca_") && !text.contains(SECRET), "{text}");
    // Another attempt of the same request is no event of its own.
    world.store.fail([Fault::AppliedThenConflict]);
    drop(world.machine_token());
    assert_eq!(world.events().len(), 2);
    assert_eq!(world.events()[1].kind, EventKind::MachineIssued);
}

#[test]
fn machine_22_no_account_is_asked_for() {
    let world = World::of_machines(machines());
    world.store.calls();
    let token = world.machine_token().access;
    assert_eq!(world.store.calls(), ["client", "commit"], "one read, one write");
    assert!(world.check_machine(&token, "").is_ok());
    assert_eq!(world.store.calls(), ["grant", "client"]);
    world.put(job().edit().owner(Subject::new("owner")).build().unwrap());
    drop(world.machine_token());
    assert_eq!(world.store.calls(), ["client", "account", "commit"], "the owner's");
    // Whatever is true of accounts, the client's own name is no account.
    world.store.inner.put_account(Subject::new(JOB), Account { suspended: true, epoch: 9 });
    let token = world.machine_token().access;
    assert!(world.check_machine(&token, "").is_ok());
}
