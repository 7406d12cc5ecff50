//! Tests of whom a token speaks for: MACHINE-11, MACHINE-12, MACHINE-20.

use grantcore::grant::Principal;
use grantcore::policy::{CheckRules, IntrospectionRules, MachineRules, MachineSub, PolicyBuilder};
use grantcore::value::Subject;
use grantcore::{Authorization, Needs, Reason, RevokedBy};
use serde_json::Value;

use crate::support::machines::{JOB, machines};
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::{
    Answered, Granted, MCP, Outcome, World, json as body, needs, policy, user, web,
};

fn introspecting(policy: PolicyBuilder) -> World {
    let rules = IntrospectionRules::default().with_resource_server("web", MCP);
    World::of_machines(policy.introspection(rules))
}

fn introspected(world: &World, token: &str) -> Value {
    let params = Params::machine().by_web().without("grant_type").and("token", token);
    let text = params.encode();
    let reply = world.server.introspect(&form(&text)).answered(world.server.policy());
    assert_eq!(reply.status, 200, "{}", reply.body);
    body(&reply)
}

/// Returns a token of a user whose name is the `client_id` of [`JOB`].
fn of_namesake(world: &World) -> Granted {
    let namesake = user(JOB, b"a browser");
    let step = world.authorize_as(&Params::authorize(), Some(namesake));
    let Ok(grantcore::AuthorizationStep::NeedsConsent(page)) = step else { panic!("no page") };
    let allowed = world.server.consent(&page.ticket(), namesake, grantcore::Choice::Allow);
    let location = allowed.outcome().unwrap().into_location();
    let code = crate::support::param(&location, "code").unwrap();
    Granted::of(&world.token(&Params::redeem(&code)))
}

#[test]
fn machine_11_i39_the_principal_is_the_client() {
    let world = World::of_machines(machines());
    let access = world.check_machine(&world.machine_token().access, "read").unwrap();
    let Principal::Client(client) = access.principal() else { panic!("{:?}", access.principal()) };
    assert_eq!((client.as_str(), access.subject(), access.auth_time()), (JOB, None, None));
    let [stored] = &*world.store.inner.grants(None, 2) else { panic!("one grant") };
    assert_eq!((stored.record.principal(), stored.record.subject()), (access.principal(), None));
}

/// A user whose name is that of the client, and the client itself: neither is the other.
#[test]
fn machine_12_i39_no_text_makes_a_machine_a_user() {
    let world = introspecting(machines());
    let machine = world.machine_token().access;
    let person = of_namesake(&world).access;
    let shown = introspected(&world, &machine);
    assert_eq!((&shown["active"], shown.get("sub")), (&Value::Bool(true), None));
    assert_eq!((&shown["client_id"], &shown["scope"]), (&JOB.into(), &"read write".into()));
    assert_eq!(introspected(&world, &person)["sub"], JOB);
    let access = world.check_machine(&person, "").unwrap();
    assert_eq!(access.principal(), Principal::Person(&Subject::new(JOB)));
    let access = world.check_machine(&machine, "").unwrap();
    assert_eq!(access.principal().person(), None);
    // The account of that name ends the user's grants and no machine's.
    world.store.suspend(JOB, true);
    assert_eq!(world.check(&person, &[]).unwrap_err().reason(), Reason::AccountSuspended);
    assert!(world.check_machine(&machine, "").is_ok());
    world.store.suspend(JOB, false);
    let ended = world.server.revoke_user(JOB, RevokedBy::SecurityEvent("a changed password"));
    assert!(ended.unwrap().is_complete());
    assert_eq!(world.check(&person, &[]).unwrap_err().reason(), Reason::TokenRevoked);
    assert!(world.check_machine(&machine, "").is_ok());
}

#[test]
fn machine_12_the_policy_can_name_the_client_as_the_subject() {
    let rules = MachineRules::default().with_sub(MachineSub::ClientId);
    let world = introspecting(policy().machines(rules));
    let shown = introspected(&world, &world.machine_token().access);
    assert_eq!((&shown["sub"], &shown["client_id"]), (&JOB.into(), &JOB.into()));
}

fn call(world: &World, token: &str, needs: &Needs) -> Result<(), Reason> {
    let header = format!("Bearer {token}");
    let checked = world.server.check(&Authorization::One(header.as_bytes()), needs);
    checked.map(drop).map_err(|error| error.into_refusal().reason())
}

#[test]
fn machine_20_an_operation_serves_people_unless_it_says_otherwise() {
    let notes = "https://notes.example/";
    let world = World::of_machines(machines().resource(notes, "read").default_resource(MCP));
    let read = || needs(world.server.policy(), 0, "read");
    let token = Granted::of(&world.machine(&Params::machine().set("scope", "read"))).access;
    assert_eq!(call(&world, &token, &read()), Err(Reason::PrincipalMismatch));
    assert_eq!(call(&world, &token, &read().machines()), Ok(()));
    assert!(!read().serves_machines() && read().machines().serves_machines());
    // Without a challenge: another token of the same client would not help.
    let header = format!("Bearer {token}");
    let checked = world.server.check(&Authorization::One(header.as_bytes()), &read());
    let refusal = checked.unwrap_err().into_refusal();
    let reply = refusal.reply(world.server.policy());
    assert_eq!((reply.status, body(&reply)["error"].as_str()), (403, Some("access_denied")));
    assert_eq!(reply.header("www-authenticate"), None);
    // After the audience, before the scope.
    let elsewhere = world.server.policy().needs(notes, "read").unwrap();
    assert_eq!(call(&world, &token, &elsewhere), Err(Reason::AudienceMismatch));
    let write = needs(world.server.policy(), 0, "write");
    assert_eq!(call(&world, &token, &write), Err(Reason::PrincipalMismatch));
    assert_eq!(call(&world, &token, &write.machines()), Err(Reason::ScopeInsufficient));
    // A login is a user's: an operation that needs one serves no machine.
    let recent = read().machines().max_age(60);
    assert_eq!(call(&world, &token, &recent), Err(Reason::PrincipalMismatch));
    assert!(!recent.serves_machines());
    // A user is served by both.
    let person = world.tokens().access;
    assert_eq!(call(&world, &person, &read().machines()), Ok(()));
}

#[test]
fn machine_20_a_policy_can_serve_machines_everywhere() {
    let rules = CheckRules::default().with_machines(true);
    let world = World::of_machines(machines().check_rules(rules));
    let token = world.machine_token().access;
    assert_eq!(call(&world, &token, &needs(world.server.policy(), 0, "read")), Ok(()));
    assert!(rules.machines() && !CheckRules::default().machines());
}

/// A resource in another process judges by the same rules (`Needs::judge`).
#[test]
fn machine_20_another_process_judges_as_the_check_does() {
    let world = World::of_machines(machines());
    let client = web();
    let policy = world.server.policy();
    let subject = Subject::new(JOB);
    let workload =
        Principal::Workload { client: client.id(), issuer: "https://idp.example", workload: "w" };
    let now = crate::support::host::at(0);
    for (principal, is_person) in [
        (Principal::Person(&subject), true),
        (Principal::Client(client.id()), false),
        (workload, false),
    ] {
        for machines in [false, true] {
            let own = needs(policy, 0, "read");
            let own = if machines { own.machines() } else { own };
            let judge = |audience: &'static str, scope: &'static str| {
                own.judge(policy, [audience], principal, None, scope, now)
                    .map_err(|refusal| refusal.reason())
            };
            assert_eq!(judge("https://other.example/", "read"), Err(Reason::AudienceMismatch));
            let served = if is_person || machines {
                (Ok(()), Err(Reason::ScopeInsufficient))
            } else {
                (Err(Reason::PrincipalMismatch), Err(Reason::PrincipalMismatch))
            };
            assert_eq!((judge(MCP, "read"), judge(MCP, "write")), served, "{principal:?}");
        }
    }
}
