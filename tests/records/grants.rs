//! A grant in each phase, as a server creates it.

use std::time::Duration;

use grantcore::account::{GrantChanges, RefreshDecision};
use grantcore::client::{Authentication, ClientKeys, ConsentMode, Registration};
use grantcore::grant::{Grant, GrantState};
use grantcore::policy::{
    ConsentRules, Lifetimes, MachineRules, PolicyBuilder, Remember, RevocationRules, Supersede,
};
use grantcore::request::{ConsentDecision, Login, Narrowing};
use grantcore::value::GrantTypes;
use grantcore::{AuthorizationStep, Choice, Client, Reason, RevokedBy};
use serde_json::json;

use crate::clients::machine;
use crate::support::assertions::signer;
use crate::support::host::{at, properties};
use crate::support::keyed::{Keyed, keyed_client, set_of};
use crate::support::params::Params;
use crate::support::steps::{basic, form};
use crate::support::{
    ALICE, Answered, CALLBACK, Granted, ISSUER, MCP, SECRET, World, param, policy, web,
};

/// A client that may prove itself, and need not.
const EITHER: &str = "https://client.example/oauth/meta.json";
/// A second resource.
const NOTES: &str = "https://notes.example/";

pub(crate) fn windowed() -> PolicyBuilder {
    policy().replay_window(Duration::from_secs(30))
}

/// Returns the record of the world's only grant.
pub(crate) fn only(world: &World) -> Grant {
    let [stored] = &*world.store.inner.grants(None, 2) else { panic!("one grant") };
    Grant::clone(&stored.record)
}

/// Runs a flow in a world with this policy, and returns its grant.
fn after(policy: PolicyBuilder, flow: impl Fn(&World)) -> Grant {
    let world = World::with(policy);
    flow(&world);
    only(&world)
}

/// Redeems tokens, runs a flow, and returns the grant.
fn active(policy: PolicyBuilder, flow: impl Fn(&World, Granted)) -> Grant {
    after(policy, |world| {
        let code = world.code(&Params::authorize());
        world.at(20);
        flow(world, Granted::of(&world.token(&Params::redeem(&code))));
    })
}

fn refreshed_twice(world: &World, first: &Granted) {
    world.at(3000);
    let second = world.refreshed(first.refresh());
    world.at(6000);
    world.refreshed(second.refresh());
}

pub(crate) fn grants() -> Vec<(&'static str, Grant)> {
    let mut all = begun();
    all.extend(in_use());
    all.extend(over());
    all.extend(of_machines());
    all
}

/// Returns grants of a client that acts on its own behalf, in use and ended.
fn of_machines() -> Vec<(&'static str, Grant)> {
    let issued = |world: &World| {
        world.put(machine());
        let params = Params::machine().set("scope", "read");
        drop(Granted::of(&world.token_with(&params, &basic("machine", SECRET))));
    };
    let policy = || policy().machines(MachineRules::default());
    vec![
        ("grant-machine", after(policy(), issued)),
        (
            "grant-machine-revoked",
            after(policy(), |world| {
                issued(world);
                world.at(10);
                let revoked = RevokedBy::Administrator("an incident");
                world.server.revoke_grant(only(world).id(), revoked).unwrap();
            }),
        ),
    ]
}

fn begun() -> Vec<(&'static str, Grant)> {
    vec![
        ("grant-pending", after(policy(), |world| drop(world.page(&Params::authorize())))),
        (
            "grant-pending-without-state",
            after(policy(), |world| drop(world.page(&Params::authorize().without("state")))),
        ),
        (
            "grant-pending-with-any-state",
            after(policy(), |world| {
                drop(
                    world.page(&Params::authorize().set("state", "\u{1}\n\\\"'{}\u{7f}é漢😀 %00")),
                );
            }),
        ),
        ("grant-code-issued", after(policy(), |world| drop(world.code(&Params::authorize())))),
        (
            "grant-code-issued-for-less",
            after(policy(), |world| {
                let params = Params::authorize().without("redirect_uri").set("resource", MCP);
                let ticket = world.page(&params).ticket();
                world.at(5);
                let location =
                    world.decide(&ticket, Choice::AllowOnly("read")).unwrap().into_location();
                assert!(param(&location, "code").is_some());
            }),
        ),
        ("grant-pending-strong", strong()),
        ("grant-code-issued-skipped", silent(|_, _| ())),
        ("grant-code-issued-remembered", remembered()),
    ]
}

/// A grant that was answered without a page, while its code is there and afterwards.
fn silent(flow: impl Fn(&World, &str)) -> Grant {
    let world = World::new();
    world.put(web().edit().consent(ConsentMode::Skip).build().unwrap());
    let Ok(AuthorizationStep::Done(redirect)) = world.authorize(&Params::authorize().by_web())
    else {
        panic!("a page")
    };
    flow(&world, &param(&redirect.into_location(), "code").unwrap());
    only(&world)
}

/// A grant that relies on the page of an earlier one, and that has a login.
fn remembered() -> Grant {
    let time = Duration::from_secs(600);
    let rules = ConsentRules::default().with_remember(Remember::Confidential);
    let world = World::with(policy().consent_rules(rules.with_remember_for(time)));
    let code = world.code(&Params::authorize().by_web());
    Granted::of(&world.token(&Params::redeem(&code).by_web()));
    let earlier = only(&world).id();
    let login = Login::at(world.now()).with_acr("mfa").unwrap();
    let alice = ALICE.with_login(login).remembering(earlier);
    let step = world.authorize_as(&Params::authorize().by_web(), Some(alice));
    assert!(matches!(step, Ok(AuthorizationStep::Done(_))), "{step:?}");
    let all = world.grants();
    let own = all.iter().find(|stored| stored.record.id() != earlier).unwrap();
    Grant::clone(&own.record)
}

/// A consent page for which one of two classes of logins is necessary.
fn strong() -> Grant {
    let world = World::with(policy().acr_values("mfa key pwd"));
    let login = Login::at(world.now()).with_acr("key").unwrap();
    let params = Params::authorize().set("acr_values", "mfa key");
    let step = world.authorize_as(&params, Some(ALICE.with_login(login)));
    assert!(matches!(step, Ok(AuthorizationStep::NeedsConsent(_))), "{step:?}");
    only(&world)
}

/// Redeems a code of a client that need not prove itself, with an assertion for this audience.
fn proved(audience: &str) -> Grant {
    let keyed = Keyed::new();
    let keys = || ClientKeys::inline(set_of("ed"));
    let client = keyed_client(EITHER, "ed").registration(Registration::MetadataDocument);
    let client = client.build().unwrap().edit().without_restrictions();
    keyed.world.put(client.authentication(Authentication::KeysOrNone(keys())).build().unwrap());
    let assertion = keyed.signed(EITHER, &signer("ed"), json!({}), json!({"aud": audience}));
    keyed.tokens(EITHER, Some(&assertion));
    only(&keyed.world)
}

fn in_use() -> Vec<(&'static str, Grant)> {
    vec![
        ("grant-active", active(policy(), |_, _| ())),
        ("grant-active-windowed", active(windowed(), |_, _| ())),
        ("grant-active-refreshed", active(policy(), |world, first| refreshed_twice(world, &first))),
        (
            "grant-active-refreshed-windowed",
            active(windowed(), |world, first| refreshed_twice(world, &first)),
        ),
        (
            "grant-active-for-ever",
            active(policy().lifetimes(Lifetimes::default().with_refresh_absolute(None)), |_, _| ()),
        ),
        (
            "grant-active-skipped",
            silent(|world, code| {
                world.at(20);
                Granted::of(&world.token(&Params::redeem(code).by_web()));
            }),
        ),
        ("grant-active-weakly-proved", proved("https://auth.example/oauth/token")),
        ("grant-active-proved", proved(ISSUER)),
        ("grant-active-without-refresh", without_refresh()),
        ("grant-active-several-tokens", several_tokens()),
        (
            "grant-active-with-properties",
            active_with(policy(), |decision| {
                let text = "{ \"org\": \"acme\", \"n\": 1.50, \"é\": \"\\u00e9\\n\" }";
                decision.with_properties(properties(text)).until(at(1_000_000))
            }),
        ),
        (
            "grant-active-with-empty-properties",
            active_with(policy(), |decision| decision.with_properties(properties("{}"))),
        ),
        ("grant-active-narrowed", narrowed()),
        ("grant-active-judged", judged()),
        (
            "grant-active-without-tokens",
            active(policy().revocation(RevocationRules::default()), |world, first| {
                revoke(world, &first.access);
            }),
        ),
    ]
}

fn over() -> Vec<(&'static str, Grant)> {
    let id = |world: &World| only(world).id();
    vec![
        (
            "grant-denied",
            after(policy(), |world| {
                let ticket = world.page(&Params::authorize()).ticket();
                world.at(9);
                assert_eq!(
                    world.decide(&ticket, Choice::Deny).unwrap_err().reason(),
                    Reason::AccessDenied
                );
            }),
        ),
        (
            "grant-revoked-replay",
            active(policy(), |world, first| {
                world.at(30);
                world.refreshed(first.refresh());
                world.at(99);
                assert_eq!(world.token(&Params::refresh(first.refresh())).status, 400);
            }),
        ),
        (
            "grant-revoked-client",
            active(policy().revocation(RevocationRules::default()), |world, first| {
                revoke(world, first.refresh());
            }),
        ),
        (
            "grant-revoked-user",
            active(policy(), |world, _| {
                world.server.revoke_connection("alice", id(world)).unwrap();
            }),
        ),
        (
            "grant-revoked-administrator",
            active(policy(), |world, _| {
                world.server.revoke_grant(id(world), RevokedBy::Administrator("abuse")).unwrap();
            }),
        ),
        (
            "grant-revoked-host",
            active(policy(), |world, first| {
                world.store.judge(RefreshDecision::End("left the company".into()));
                world.at(30);
                assert_eq!(world.token(&Params::refresh(first.refresh())).status, 400);
            }),
        ),
        ("grant-revoked-superseded", superseded()),
        (
            "grant-revoked-security-event",
            active(policy(), |world, _| {
                world
                    .server
                    .revoke_grant(id(world), RevokedBy::SecurityEvent("password changed"))
                    .unwrap();
            }),
        ),
    ]
}

/// Redeems tokens of a consent to which the host adds something, and returns the grant.
fn active_with(
    policy: PolicyBuilder,
    add: fn(ConsentDecision<'static>) -> ConsentDecision<'static>,
) -> Grant {
    after(policy, |world| drop(world.tokens_bound(add)))
}

/// Returns a grant that was ended by a newer one at the same place.
fn superseded() -> Grant {
    let world = World::with(policy().supersede(Supersede::SamePlace));
    world.tokens();
    let older = only(&world).id();
    world.at(10);
    world.tokens();
    let mut grants = world.grants().into_iter();
    let ended = grants.find(|own| own.record.id() == older).unwrap();
    assert!(matches!(ended.record.state(), GrantState::Revoked(_)));
    Grant::clone(&ended.record)
}

/// Returns a grant from which its user took scope and a resource away.
fn narrowed() -> Grant {
    let policy = policy().resource(NOTES, "read admin").default_resource(MCP);
    after(policy, |world| {
        let params = Params::authorize().set("scope", "read write admin");
        let code = world.code(&params.and("resource", MCP).and("resource", NOTES));
        let first = Granted::of(&world.token(&Params::redeem(&code)));
        let to = Narrowing::default().with_scope("admin read".parse().unwrap());
        let to = to.with_resources([NOTES]);
        world.at(30);
        world.server.narrow_connection("alice", only(world).id(), &to).unwrap();
        world.at(60);
        world.refreshed(first.refresh());
    })
}

/// Returns a grant that the host has lessened when it was refreshed.
fn judged() -> Grant {
    active(policy(), |world, first| {
        let changes = GrantChanges::default().with_scope("read".parse().unwrap());
        let changes = changes.with_properties(properties("{\"plan\":\"free\"}"));
        world.store.judge(changes.until(at(5_000)));
        world.at(40);
        world.refreshed(first.refresh());
    })
}

/// Returns a grant of a client that is registered for the code grant alone.
fn without_refresh() -> Grant {
    after(policy(), |world| {
        let types = GrantTypes { authorization_code: true, refresh_token: false };
        world.put(Client::public("app").redirect_uri(CALLBACK).grant_types(types).build().unwrap());
        assert_eq!(world.tokens().refresh, None);
    })
}

/// Returns a grant with access tokens for the whole grant and for parts of it, and with a redirect
/// URI of another port.
fn several_tokens() -> Grant {
    let policy = policy().resource(NOTES, "read admin").default_resource(MCP);
    after(policy, |world| {
        let own = "http://127.0.0.1/cb";
        let sent = "http://127.0.0.1:50123/cb";
        world.put(Client::public("app").redirect_uri(own).build().unwrap());
        let params = Params::authorize().set("redirect_uri", sent).set("scope", "read write admin");
        let code = world.code(&params.and("resource", MCP).and("resource", NOTES));
        let first = Granted::of(
            &world.token(&Params::redeem(&code).set("redirect_uri", sent).set("resource", MCP)),
        );
        let narrow = Params::refresh(first.refresh()).set("scope", "read").set("resource", NOTES);
        world.at(100);
        let second = Granted::of(&world.token(&narrow));
        world.at(200);
        assert_eq!(
            world.token(&Params::refresh(second.refresh()).set("scope", "admin read")).status,
            200
        );
    })
}

fn revoke(world: &World, token: &str) {
    world.at(50);
    let params =
        Params::refresh(token).without("grant_type").without("refresh_token").and("token", token);
    assert_eq!(
        world.server.revoke(&form(&params.encode())).answered(world.server.policy()).status,
        200
    );
}
