//! Tests of AUTHZ-18, AUTHZ-19 and RS-11: what a client may ask for by its registration, at which
//! resource, and with scopes that include others.

use grantcore::policy::{PolicyBuilder, RegisteredScope};
use grantcore::value::{MachineRights, Scope};
use grantcore::{Choice, Client, Reason};

use crate::client_bounds::open;
use crate::support::clients::{ask, metadata, with};
use crate::support::machines::{job_with, machines};
use crate::support::params::Params;
use crate::support::refused::{assert_redir, refused};
use crate::support::{CALLBACK, Granted, MCP, World, app, assert_refused, param, policy};

const FILES: &str = "https://files.example/";
const OPEN: &str = "https://open.example/";

/// Returns a policy with a resource that knows `files` and `read`, and one that lists no scope.
fn several(policy: PolicyBuilder) -> PolicyBuilder {
    policy
        .scope("files", "Read your files")
        .default_scope("read write")
        .resource(FILES, "files read")
        .resource(OPEN, "")
}

fn by_default() -> PolicyBuilder {
    open().registered_scope(RegisteredScope::Default)
}

fn asked(world: &World, params: &Params) -> String {
    let page = world.page(params);
    page.scopes(world.server.policy()).map(|(token, _)| token).collect::<Vec<_>>().join(" ")
}

/// The step-up of an SDK: it registers with the scope of the first challenge, and later authorizes
/// with all that it has needed so far.
#[test]
fn authz_18_the_scope_of_a_registration_is_a_limit_or_a_default() {
    let first = with(metadata(), "scope", "read");
    let limited = World::with(open());
    let own = limited.own(&first);
    let refusal = refused(&limited, &ask(&own.id).set("scope", "read write"));
    assert_eq!(refusal.reason(), Reason::ScopeForbidden);
    assert!(refusal.reason().fix().contains("without scope"), "{}", refusal.reason().fix());
    assert!(refusal.reason().fix().contains("registered_scope"), "{}", refusal.reason().fix());
    assert_eq!(limited.server.policy().registered_scope(), RegisteredScope::Limit);

    let world = World::with(by_default().default_scope("write").unverified_scope("read write"));
    let own = world.own(&first);
    assert_eq!(own.response["scope"], "read", "the response repeats what was registered");
    assert_eq!(asked(&world, &ask(&own.id).without("scope")), "read");
    assert_eq!(asked(&world, &ask(&own.id).set("scope", "read write")), "read write");
    let beyond = refused(&world, &ask(&own.id).set("scope", "read admin"));
    assert_eq!(beyond.reason(), Reason::ScopeForbidden, "unverified_scope is a limit");
    let restricted = world.client(&own.id).unwrap().edit().scope(Scope::parse("read").unwrap());
    world.put(restricted.build().unwrap());
    let beyond = refused(&world, &ask(&own.id).set("scope", "read write"));
    assert_eq!(beyond.reason(), Reason::ScopeForbidden, "the operator's restriction is a limit");
}

#[test]
fn authz_18_the_operators_word_about_a_scope_is_always_a_limit() {
    let world = World::with(by_default());
    let client = Client::public("app").redirect_uri(CALLBACK);
    world.put(client.scope(Scope::parse("read").unwrap()).build().unwrap());
    let beyond = refused(&world, &Params::authorize().set("scope", "read write"));
    assert_eq!(beyond.reason(), Reason::ScopeForbidden);
    assert_eq!(
        asked(&world, &Params::authorize().without("scope")),
        "read",
        "the policy's default"
    );
}

/// A client that names no scope, or one that is partly of another server, has no default of its
/// own, and the policy's ceiling is none either.
#[test]
fn authz_19_a_scope_that_the_client_did_not_name_is_no_default_of_it() {
    let world = World::with(by_default().unverified_scope("read write"));
    for scope in [None, Some("read other")] {
        let own = world.own(&with(metadata(), "scope", scope));
        assert_eq!(own.response["scope"], "read write");
        assert_eq!(asked(&world, &ask(&own.id).without("scope")), "read");
        assert_eq!(
            refused(&world, &ask(&own.id).set("scope", "admin")).reason(),
            Reason::ScopeForbidden
        );
    }
}

#[test]
fn rs_11_a_scope_that_the_registered_one_includes_is_within_it() {
    for meaning in [RegisteredScope::Limit, RegisteredScope::Default] {
        let rules = open().scope_implies("write", "read").unverified_scope("write");
        let world = World::with(rules.default_scope("write").registered_scope(meaning));
        let own = world.own(&with(metadata(), "scope", "write"));
        assert_eq!(asked(&world, &ask(&own.id).set("scope", "read")), "read");
        let beyond = refused(&world, &ask(&own.id).set("scope", "admin"));
        assert_eq!(beyond.reason(), Reason::ScopeForbidden);
    }
    let world = World::of_machines(machines().scope_implies("write", "read"));
    world.put(job_with(MachineRights::new("write".parse().unwrap())));
    let narrow = Granted::of(&world.machine(&Params::machine().and("scope", "read")));
    assert_eq!(narrow.scope, "read");
    assert!(world.check_machine(&narrow.access, "write").is_err());
}

#[test]
fn authz_19_a_default_scope_is_cut_to_what_the_resource_understands() {
    let world = World::with(several(policy()));
    let to = |resources: &[&str]| {
        let params = Params::authorize().without("scope");
        resources.iter().fold(params, |params, own| params.and("resource", own))
    };
    for (resources, scope) in [
        (&[FILES][..], "read"),
        (&[MCP], "read write"),
        (&[OPEN], "read write"),
        (&[FILES, MCP], "read write"),
    ] {
        assert_eq!(asked(&world, &to(resources)), scope, "{resources:?}");
    }
    let granted = Granted::of(&world.token(&Params::redeem(&world.code(&to(&[FILES])))));
    assert_eq!(granted.scope, "read");
    // Nothing of the default is left: as if there was none.
    let world = World::with(several(policy()).default_scope("write"));
    assert_redir(&world, &refused(&world, &to(&[FILES])), "invalid_scope", Reason::ScopeMissing);
}

#[test]
fn authz_19_a_scope_is_asked_for_as_far_as_the_named_resources_understand_it() {
    let world = World::with(several(policy()).default_resource(FILES));
    let asking = |scope: &str, resources: &[&str]| {
        let params = Params::authorize().set("scope", scope);
        resources.iter().fold(params, |params, own| params.and("resource", own))
    };
    for (scope, resources, left) in [
        ("read write", &[FILES][..], "read"),
        ("files read", &[MCP], "read"),
        // No resource lists it.
        ("admin", &[FILES], "admin"),
        // It is insufficient there, and the challenge says what is necessary (RS-10).
        ("write", &[FILES], "write"),
        ("files", &[MCP], "files"),
        ("files write", &[FILES, MCP], "files write"),
        ("files write", &[FILES, OPEN], "files write"),
        // A client that knows of no resources.
        ("read write", &[], "read write"),
        ("write", &[], "write"),
    ] {
        assert_eq!(asked(&world, &asking(scope, resources)), left, "{scope} at {resources:?}");
    }
    let params = asking("read write", &[FILES]);
    let granted = Granted::of(&world.token(&Params::redeem(&world.code(&params))));
    assert_eq!(granted.scope, "read");
}

/// What clients send to every server is no reason to refuse a request.
#[test]
fn clientpolicy_13_habitual_scopes_alone_are_as_no_scope() {
    let asking =
        |scope: &str, resource| Params::authorize().set("scope", scope).and("resource", resource);
    let habits = several(policy())
        .scope("profile", "Who you are")
        .resource("https://me.example/", "profile");
    let habits = World::with(habits);
    assert_eq!(asked(&habits, &asking("openid profile email", FILES)), "read");
    assert_eq!(asked(&habits, &asking("profile", "https://me.example/")), "profile");
    // A registration that lacks them is no reason to refuse them.
    let registered = Client::public("app").redirect_uri(CALLBACK);
    habits.put(registered.scope(Scope::parse("read").unwrap()).build().unwrap());
    assert_eq!(asked(&habits, &asking("openid profile email", FILES)), "read");
}

#[test]
fn machine_05_the_scope_is_one_of_the_resource() {
    let world = World::of_machines(several(machines()));
    world.put(job_with(MachineRights::new("read write".parse().unwrap())));
    let to_files = Params::machine().and("resource", FILES);
    assert_eq!(Granted::of(&world.machine(&to_files)).scope, "read");
    let both = world.machine(&to_files.clone().and("scope", "read write"));
    assert_eq!(Granted::of(&both).scope, "read write", "what is named is never cut");
    let foreign = world.machine(&to_files.clone().and("scope", "write"));
    assert_eq!(Granted::of(&foreign).scope, "write");
    world.put(job_with(MachineRights::new("write".parse().unwrap())));
    let nothing = world.machine(&to_files);
    assert_refused(&world, &nothing, 400, "invalid_scope", Reason::ScopeForbidden);
}

#[test]
fn refresh_07_a_scope_that_a_granted_one_includes_is_not_beyond_the_grant() {
    let hierarchy = || policy().scope_implies("admin", "write").scope_implies("write", "read");
    let world = World::with(hierarchy());
    let granted = |scope: &str| {
        let code = world.code(&Params::authorize().set("scope", scope));
        Granted::of(&world.token(&Params::redeem(&code)))
    };
    let refreshed = |token: &Granted, scope: &str| {
        Granted::of(&world.token(&Params::refresh(token.refresh()).set("scope", scope)))
    };
    // The narrowest granted token that includes it: the response names it.
    for (own, requested, given) in [
        ("write", "read", "write"),
        ("admin write", "read", "write"),
        ("admin write", "write", "write"),
        ("admin read", "write", "admin"),
        ("admin read", "read write", "admin read"),
    ] {
        let token = granted(own);
        let next = refreshed(&token, requested);
        assert_eq!(next.scope, given, "{own}: {requested}");
        assert!(world.check(&next.access, &[requested.split(' ').next().unwrap()]).is_ok());
        assert_eq!(
            world.refreshed(next.refresh()).scope.split(' ').count(),
            own.split(' ').count()
        );
    }
    let narrow = granted("read");
    let wider = Params::refresh(narrow.refresh()).set("scope", "write");
    world.refused(&wider, 400, "invalid_scope", Reason::ScopeBeyondGrant);
    let equal = World::with(policy().scope_implies("read", "admin").scope_implies("admin", "read"));
    let token = equal.tokens();
    let other = Params::refresh(token.refresh()).set("scope", "admin");
    assert_eq!(Granted::of(&equal.token(&other)).scope, "read");
}

#[test]
fn consent_11_a_scope_that_a_requested_one_includes_may_be_granted_instead() {
    let world = World::with(policy().scope_implies("write", "read"));
    let page = world.page(&Params::authorize().set("scope", "write"));
    let ticket = page.ticket();
    for beyond in ["admin", "write admin"] {
        let refusal = world.decide(&ticket, Choice::AllowOnly(beyond)).unwrap_err();
        assert_eq!(refusal.reason(), Reason::ConsentScope);
    }
    let redirect = world.decide(&ticket, Choice::AllowOnly("read")).unwrap();
    let code = param(&redirect.into_location(), "code").unwrap();
    let granted = Granted::of(&world.token(&Params::redeem(&code)));
    assert_eq!(granted.scope, "read");
    assert!(world.check(&granted.access, &["write"]).is_err());
}

/// A scope that includes one of the resource's is understood there.
#[test]
fn authz_19_a_scope_is_understood_where_one_is_that_it_includes() {
    let policy = policy()
        .scope("all", "Everything")
        .scope("files", "Read your files")
        .scope_implies("all", "read")
        .scope_implies("admin", "write")
        .resource(FILES, "files")
        .resource(OPEN, "all admin");
    let world = World::with(policy);
    let at = |resource: &str| {
        let params = Params::authorize().set("scope", "all files write");
        asked(&world, &params.set("resource", resource))
    };
    assert_eq!(at(MCP), "all write");
    assert_eq!(at(FILES), "files");
}

/// A ceiling that covers all that was granted takes nothing away.
#[test]
fn clientpolicy_06_a_wide_ceiling_takes_nothing_away() {
    let world = World::new();
    let mut tokens = world.tokens();
    for (ceiling, left) in [("read write admin", "read write"), ("read", "read")] {
        world.put(app().edit().scope(ceiling.parse().unwrap()).build().unwrap());
        tokens = world.refreshed(tokens.refresh());
        assert_eq!(tokens.scope, left, "{ceiling}");
    }
}
