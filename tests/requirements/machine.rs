//! Tests of what a client gets on its own behalf: MACHINE-01 to MACHINE-09, MACHINE-19.

use std::time::Duration;

use grantcore::client::{ClientError, StoredSecret};
use grantcore::policy::{
    DocumentRules, Lifetimes, LifetimesError, MachineRules, PolicyError, RegistrationRules,
    ScopeFor, ScopesError,
};
use grantcore::value::{Digest, MachineRights, Scope};
use grantcore::{Client, Reason, Refusal};
use serde_json::{Value, json};

use crate::support::clients::{DOCUMENT, ask, confidential, document, with};
use crate::support::machines::{JOB, job, job_with, machines, rights};
use crate::support::params::Params;
use crate::support::steps::basic;
use crate::support::{Granted, MCP, World, app, assert_refused, json as body, param, policy, web};

/// A second resource.
const NOTES: &str = "https://notes.example/";

fn supported(world: &World) -> Value {
    body(&world.server.policy().server_metadata())["grant_types_supported"].clone()
}

#[test]
fn machine_01_the_grant_is_off_until_the_policy_turns_it_on() {
    let world = World::of_machines(policy());
    assert_eq!(supported(&world), json!(["authorization_code", "refresh_token"]));
    let refused = world.machine(&Params::machine());
    assert_refused(&world, &refused, 400, "unsupported_grant_type", Reason::GrantTypeUnsupported);
    let world = World::of_machines(machines());
    let all = json!(["authorization_code", "refresh_token", "client_credentials"]);
    assert_eq!(supported(&world), all);
    assert_eq!(world.machine_token().scope, "read write");
}

#[test]
fn machine_02_only_a_client_that_proves_itself_uses_it() {
    let world = World::of_machines(machines());
    let public = world.token(&Params::machine().set("client_id", "app"));
    assert_refused(&world, &public, 400, "unauthorized_client", Reason::GrantTypeUnauthorized);
    let unproved = world.token(&Params::machine().set("client_id", JOB));
    assert_refused(&world, &unproved, 401, "invalid_client", Reason::ClientSecretMissing);
    let wrong = world.token_with(&Params::machine(), &basic(JOB, "x"));
    assert_refused(&world, &wrong, 401, "invalid_client", Reason::ClientSecretWrong);
    // No public client has the right, by no way of making one.
    let builder = app().edit().machine(rights());
    assert_eq!(builder.build(), Err(ClientError::MachineUnproved));
    // A client without a credential authenticates nowhere.
    world.put(Client::federated("workload", rights()).build().unwrap());
    for params in [Params::machine(), Params::machine().set("client_secret", "x")] {
        assert_eq!(world.token(&params.set("client_id", "workload")).status, 401);
    }
}

/// A registration or a document that asks for the grant type gets the rest of what it asks for.
#[test]
fn machine_03_no_metadata_of_a_client_gives_it_the_right() {
    let policy = machines()
        .registration(RegistrationRules::default())
        .client_documents(DocumentRules::default());
    let world = World::with(policy);
    let asked = json!(["authorization_code", "refresh_token", "client_credentials"]);
    let metadata = with(confidential(), "grant_types", asked.clone());
    let own = world.own(&metadata);
    assert_eq!(own.response["grant_types"], json!(["authorization_code", "refresh_token"]));
    let ask_token = || world.token(&own.proven(Params::machine()));
    let refused = ask_token();
    assert_refused(&world, &refused, 400, "unauthorized_client", Reason::GrantTypeUnauthorized);
    // An update adds nothing either.
    let update = own.update(with(metadata.clone(), "scope", "read write"));
    assert_eq!(world.manage("PUT", &own.id, &own.token, &update).status, 200);
    assert_eq!(ask_token().status, 400);
    assert_eq!(world.client(&own.id).unwrap().machine_rights(), None);
    // Nothing else was asked for.
    let alone = with(metadata.clone(), "grant_types", json!(["client_credentials"]));
    world.not_registered(&alone, "invalid_client_metadata", Reason::MetadataGrantTypes);
    // A document.
    let published = with(document(), "grant_types", asked);
    world.page_with(&ask(DOCUMENT), &published);
    assert_eq!(world.client(DOCUMENT).unwrap().machine_rights(), None);
    let refused = world.token(&Params::machine().set("client_id", DOCUMENT));
    assert_refused(&world, &refused, 400, "unauthorized_client", Reason::GrantTypeUnauthorized);
}

#[test]
fn machine_03_the_policy_can_give_one_right_to_all_that_registered_with_a_secret() {
    let rules = MachineRules::default()
        .with_registered(MachineRights::new("read".parse().unwrap()).at(MCP));
    let policy = policy().machines(rules).registration(RegistrationRules::default());
    let world = World::with(policy);
    let own = world.own(&confidential());
    assert_eq!(Granted::of(&world.token(&own.proven(Params::machine()))).scope, "read");
    let types = json!(["authorization_code", "refresh_token", "client_credentials"]);
    assert_eq!(own.response["grant_types"], types, "what it can use, whatever it asked for");
    let public = world.own(&crate::support::clients::metadata());
    assert_eq!(world.token(&public.proven(Params::machine())).status, 400);
    // A client of the operator has what its record says.
    assert_eq!(world.token(&Params::machine().by_web()).status, 400);
    // What the operator took away from one of them is not given.
    let limited = world.client(&own.id).unwrap().edit().scope("write".parse().unwrap());
    world.put(limited.build().unwrap());
    let refused = world.token(&own.proven(Params::machine()));
    assert_refused(&world, &refused, 400, "invalid_scope", Reason::ScopeForbidden);
}

/// The operator gives a registered client the right. An update keeps it until the client gives up
/// proving itself.
#[test]
fn machine_03_an_update_keeps_the_operators_right_and_cannot_widen_it() {
    let world = World::with(machines().registration(RegistrationRules::default()));
    let own = world.own(&confidential());
    let right = MachineRights::new("read".parse().unwrap());
    world.put(world.client(&own.id).unwrap().edit().machine(right.clone()).build().unwrap());
    let update = own.update(with(confidential(), "scope", "read write"));
    assert_eq!(world.manage("PUT", &own.id, &own.token, &update).status, 200);
    assert_eq!(world.client(&own.id).unwrap().machine_rights(), Some(&right));
    let refused = world.token(&own.proven(Params::machine().set("scope", "write")));
    assert_refused(&world, &refused, 400, "invalid_scope", Reason::ScopeForbidden);
    let public = own.update(with(confidential(), "token_endpoint_auth_method", "none"));
    assert_eq!(world.manage("PUT", &own.id, &own.token, &public).status, 200);
    assert_eq!(world.client(&own.id).unwrap().machine_rights(), None);
}

#[test]
fn machine_04_a_scope_for_people_or_for_machines_is_for_nobody_else() {
    let marked =
        || machines().scope_for("write", ScopeFor::People).scope_for("admin", ScopeFor::Machines);
    let policy = marked().build().unwrap();
    assert!(
        !policy.scopes().iter().any(|own| own.name() == "read" && own.is_for() != ScopeFor::Both)
    );
    let secret = || StoredSecret::Digest(Digest::of(b"256 random bits as text"));
    let built = |scope: &str, at: &str| {
        let rights = MachineRights::new(scope.parse().unwrap()).at(at);
        let client = Client::machine(JOB, secret(), rights);
        client.build_under(&policy).map(drop)
    };
    assert_eq!(built("read admin", MCP), Ok(()));
    for scope in ["read write", "nothing"] {
        let named = scope.split(' ').next_back().unwrap().to_owned();
        assert_eq!(built(scope, MCP), Err(ClientError::MachineScope { scope: named }));
    }
    let unknown = Err(ClientError::MachineResource { resource: NOTES.to_owned() });
    assert_eq!(built("read", NOTES), unknown);
    // A record that is older than the mark.
    let world = World::of_machines(marked());
    assert_eq!(world.machine_token().scope, "read");
    let refused = world.machine(&Params::machine().set("scope", "write"));
    assert_refused(&world, &refused, 400, "invalid_scope", Reason::ScopeForbidden);
    // A user cannot be asked for what is for machines.
    let refusal = world.authorize(&Params::authorize().set("scope", "read admin")).unwrap_err();
    assert_eq!((refusal.reason(), redirects(&world, &refusal)), (Reason::ScopeForbidden, true));
    let world = World::with(marked().registration(RegistrationRules::default()));
    let own = world.own(&with(confidential(), "scope", "read admin"));
    assert_eq!(own.response["scope"], "read write", "what is open to it, as with unknown tokens");
}

fn redirects(world: &World, refusal: &Refusal) -> bool {
    let policy = world.server.policy();
    let to = refusal.location(policy).or(refusal.problem(policy).continue_url);
    to.is_some_and(|to| param(&to, "error").as_deref() == Some("invalid_scope"))
}

/// Marks that contradict each other, or rights that name what nobody has.
#[test]
fn machine_04_a_policy_with_contradicting_marks_is_refused() {
    let error = |builder: grantcore::policy::PolicyBuilder| builder.build().unwrap_err();
    let scope = |name: &str| name.to_owned();
    let of_machines = machines().scope_for("read", ScopeFor::Machines);
    let expected = PolicyError::Scopes(ScopesError::ForMachines {
        setting: "default_scope",
        scope: scope("read"),
    });
    assert_eq!(error(of_machines), expected);
    let undeclared = machines().scope_for("nothing", ScopeFor::People);
    let expected = PolicyError::Scopes(ScopesError::Undeclared {
        setting: "scope_for",
        scope: scope("nothing"),
    });
    assert_eq!(error(undeclared), expected);
    for (of, wide) in [(ScopeFor::People, "admin"), (ScopeFor::Machines, "admin")] {
        let implied = machines().scope_implies(wide, "write").scope_for("write", of);
        let expected = PolicyError::Scopes(ScopesError::ForImplied {
            scope: scope(wide),
            included: scope("write"),
        });
        assert_eq!(error(implied), expected);
    }
    let alike = machines().scope_implies("admin", "write");
    let alike = alike.scope_for("write", ScopeFor::People).scope_for("admin", ScopeFor::People);
    assert!(alike.build().is_ok());
    let registered = |rights| machines().machines(MachineRules::default().with_registered(rights));
    let expected = PolicyError::MachineScope { scope: scope("nothing") };
    assert_eq!(error(registered(MachineRights::new("nothing".parse().unwrap()))), expected);
    let expected = PolicyError::MachineResource { resource: scope(NOTES) };
    assert_eq!(error(registered(rights().at(NOTES))), expected);
}

#[test]
fn machine_05_the_scope_is_asked_for_within_the_right_and_never_cut() {
    let world = World::of_machines(machines());
    for (asked, granted) in [
        (None, "read write"),
        (Some("write"), "write"),
        (Some("write read read"), "read write"),
        (Some("read offline_access"), "read"),
        (Some("offline_access"), "read write"),
        (Some(""), "read write"),
    ] {
        let params = asked.map_or(Params::machine(), |asked| Params::machine().set("scope", asked));
        assert_eq!(Granted::of(&world.machine(&params)).scope, granted, "{asked:?}");
    }
    for (asked, reason) in [
        ("read admin", Reason::ScopeForbidden),
        ("read nothing", Reason::ScopeUnknown),
        ("read \"", Reason::ScopeMalformed),
    ] {
        let records = world.store.inner.counts().grants;
        let refused = world.machine(&Params::machine().set("scope", asked));
        assert_refused(&world, &refused, 400, "invalid_scope", reason);
        assert_eq!(world.store.inner.counts().grants, records);
    }
}

#[test]
fn machine_06_a_token_is_for_resources_of_the_right() {
    let several = || machines().resource(NOTES, "read");
    let resource = |params: &Params, world: &World| {
        let granted = Granted::of(&world.machine(params));
        let access = world.server.check(
            &grantcore::Authorization::One(format!("Bearer {}", granted.access).as_bytes()),
            &world.server.policy().needs(NOTES, "").unwrap().machines(),
        );
        access.map(|access| access.resources().map(str::to_owned).collect::<Vec<_>>()).ok()
    };
    let to_notes = Params::machine().and("resource", NOTES);
    // The only resource of the policy, the only one of the right, the default one.
    let world = World::of_machines(machines());
    assert_eq!(world.machine(&Params::machine()).status, 200);
    let world = World::of_machines(several());
    let refused = world.machine(&Params::machine());
    assert_refused(&world, &refused, 400, "invalid_target", Reason::ResourceMissing);
    assert_eq!(resource(&to_notes, &world), Some(vec![NOTES.to_owned()]));
    let both = to_notes.clone().and("resource", MCP);
    assert_eq!(resource(&both, &world).unwrap(), [NOTES, MCP]);
    world.put(job_with(rights().at(NOTES)));
    assert_eq!(resource(&Params::machine(), &world), Some(vec![NOTES.to_owned()]));
    for beyond in [Params::machine().and("resource", MCP), both] {
        let refused = world.machine(&beyond);
        assert_refused(&world, &refused, 400, "invalid_target", Reason::ResourceForbidden);
    }
    let unknown = world.machine(&Params::machine().and("resource", "https://other.example/"));
    assert_refused(&world, &unknown, 400, "invalid_target", Reason::ResourceUnknown);
    let world = World::of_machines(several().default_resource(NOTES));
    assert_eq!(resource(&Params::machine(), &world), Some(vec![NOTES.to_owned()]));
    world.put(job_with(rights().at(MCP).at(NOTES).at(MCP)));
    assert_eq!(resource(&Params::machine(), &world), Some(vec![NOTES.to_owned()]));
    let world = World::of_machines(machines().require_resource(true));
    let refused = world.machine(&Params::machine());
    assert_refused(&world, &refused, 400, "invalid_target", Reason::ResourceMissing);
}

/// A right to a template is a right to each resource of it, and to nothing else.
#[test]
fn machine_06_a_right_to_a_template_is_for_each_of_its_resources() {
    let template = "https://api.example/{org}";
    let world = World::of_machines(machines().resource(template, "read"));
    let ask = |resource: &str| world.machine(&Params::machine().and("resource", resource));
    world.put(job_with(rights().at(template)));
    assert_eq!(ask("https://api.example/acme").status, 200);
    assert_eq!(ask(MCP).status, 400);
    assert_eq!(world.machine(&Params::machine()).status, 400, "no tenant is assumed");
    world.put(job_with(rights().at("https://api.example/acme")));
    assert_eq!(ask("https://api.example/acme").status, 200);
    let refused = ask("https://api.example/globex");
    assert_refused(&world, &refused, 400, "invalid_target", Reason::ResourceForbidden);
}

#[test]
fn machine_07_i42_there_is_no_refresh_token() {
    let world = World::with(machines());
    // A client that gets refresh tokens for its users gets none for itself.
    world.put(web().edit().machine(rights()).build().unwrap());
    let reply = world.token(&Params::machine().by_web());
    let granted = Granted::of(&reply);
    assert_eq!(granted.refresh, None);
    assert!(!reply.body.contains("refresh_token"));
    // The access token is no refresh token, and no code.
    let presented =
        [Params::refresh(&granted.access).by_web(), Params::redeem(&granted.access).by_web()];
    for params in presented {
        assert_eq!(world.token(&params).status, 400);
    }
    // A refresh token and a code that name the record are none: it has nowhere to keep one.
    let user = World::with(machines());
    let code = user.code(&Params::authorize());
    let other = Granted::of(&user.token(&Params::redeem(&code)));
    for (text, reason) in
        [(other.refresh(), Reason::RefreshUnknown), (code.as_str(), Reason::CodeUnknown)]
    {
        let forged = crate::support::machines::renamed(text, &granted.access);
        let params = if text.starts_with("gac_") {
            Params::redeem(&forged).by_web()
        } else {
            Params::refresh(&forged).by_web()
        };
        let refused = world.token(&params);
        assert_eq!((refused.status, world.reason()), (400, Some(reason)), "{text}");
    }
    world.put(job());
    assert!(world.check_machine(&granted.access, "read").is_ok());
}

#[test]
fn machine_08_i42_the_token_lives_as_long_as_the_policy_says_and_an_hour_at_most() {
    let hours = Duration::from_secs(7200);
    let with = |lifetimes: Lifetimes| machines().lifetimes(lifetimes);
    for (lifetimes, expected) in [
        (Lifetimes::default(), 3600),
        (Lifetimes::default().with_access(hours), 3600),
        (Lifetimes::default().with_access(Duration::from_secs(600)), 600),
        (Lifetimes::default().with_machine(Duration::from_secs(60)), 60),
    ] {
        let world = World::of_machines(with(lifetimes));
        let granted = world.machine_token();
        assert_eq!(granted.expires_in, expected);
        world.at(expected - 1);
        assert!(world.check_machine(&granted.access, "").is_ok());
        world.at(expected);
        let refusal = world.check_machine(&granted.access, "").unwrap_err();
        assert_eq!(refusal.reason(), Reason::TokenExpired);
    }
    for (access, machine) in [(600, 601), (7200, 3601)] {
        let lifetimes = Lifetimes::default().with_access(Duration::from_secs(access));
        let lifetimes = lifetimes.with_machine(Duration::from_secs(machine));
        let error = with(lifetimes).build().unwrap_err();
        assert!(matches!(error, PolicyError::Lifetimes(LifetimesError::Machine { .. })), "{error}");
    }
    let zero = with(Lifetimes::default().with_machine(Duration::ZERO)).build().unwrap_err();
    assert!(
        matches!(zero, PolicyError::Lifetimes(LifetimesError::Value { lifetime: "machine", .. })),
        "{zero}"
    );
    // A client's own lifetimes shorten it too.
    let world = World::of_machines(machines());
    let own = grantcore::policy::LifetimeOverrides::default();
    let own = own.with_access(Duration::from_secs(30));
    world.put(job().edit().lifetimes(own).build().unwrap());
    assert_eq!(world.machine_token().expires_in, 30);
}

#[test]
fn machine_19_parameters_of_other_grants_are_ignored() {
    let world = World::of_machines(machines());
    let params = Params::machine()
        .and("code", "x")
        .and("redirect_uri", "not a URI")
        .and("code_verifier", "x")
        .and("refresh_token", "x");
    assert_eq!(Granted::of(&world.machine(&params)).scope, "read write");
    let scope: Scope = "read write".parse().unwrap();
    assert_eq!(job().machine_rights().unwrap().scope(), &scope);
}

/// The operator restricts a client that registered itself, which keeps what is left.
#[test]
fn machine_05_a_restricted_client_gets_what_is_left() {
    let registered = MachineRules::default().with_registered(rights());
    let open = policy().machines(registered).registration(RegistrationRules::default());
    let world = World::with(open);
    let own = world.own(&confidential());
    let restricted = world.client(&own.id).unwrap().edit().scope("read".parse().unwrap());
    world.put(restricted.build().unwrap());
    let reply = world.token(&own.proven(Params::machine()));
    assert_eq!(Granted::of(&reply).scope, "read");
}
