//! Faults that mutation testing planted and that no other test noticed: exact ends, second
//! conditions, and what an event says.

use std::sync::atomic::Ordering;
use std::time::Duration;

use grantcore::client::{ClientKeys, Registration, StoredSecret};
use grantcore::grant::GrantState;
use grantcore::jws::{Algorithm, Algorithms, KeyCache, KeysUrl, Look};
use grantcore::policy::{ActorClaim, IdJag, PolicyBuilder, RevocationRules, Supersede};
use grantcore::request::Narrowing;
use grantcore::value::{Digest, GrantTypes, SecretMethod};
use grantcore::{Client, Policy, Reason, Timestamp};
use serde_json::json;

use crate::support::clients::{DOCUMENT, confidential, with as with_member};
use crate::support::host::{allow, at};
use crate::support::keyed::set_of;
use crate::support::machines::rights;
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::toy_issuers::{
    Federation, exchange, id_jag, person, program, trusting_people, with, workload,
};
use crate::support::{
    Answered, CALLBACK, Granted, ISSUER, Outcome, SECRET, T, World, json as body, policy,
};

fn rules() -> IdJag {
    IdJag::new("read write".parse().unwrap())
}

fn detail(world: &World) -> Option<String> {
    world.events().last().unwrap().detail.as_deref().map(str::to_owned)
}

/// The list of clients of an issuer opens it for those on it.
#[test]
fn assert_34_a_client_that_is_not_on_the_list_has_no_right() {
    let federation = Federation::with(trusting_people(rules().with_client("web")));
    let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    let other = Client::confidential("other", SecretMethod::Post, secret).redirect_uri(CALLBACK);
    federation.world.put(other.build().unwrap());
    let claims = with(person("1"), "client_id", "other");
    let params = exchange(&id_jag(&claims)).set("client_id", "other").set("client_secret", SECRET);
    federation.refused(&params, 400, "unauthorized_client", Reason::GrantTypeUnauthorized);
    assert_eq!(federation.marks(), 0);
}

/// A good assertion lets no secret pass that is sent beside it: a program's client has none.
#[test]
fn assert_11_a_program_that_sends_a_secret_is_refused() {
    let federation = Federation::new();
    let params = exchange(&workload(&program("1"))).set("client_id", "bot");
    let reply = federation.world.token(&params.clone().set("client_secret", "wrong"));
    assert_eq!((reply.status, body(&reply)["error"].as_str()), (401, Some("invalid_client")));
    assert_eq!(federation.marks(), 0);
    Granted::of(&federation.world.token(&params));
}

/// With documents off, no assertion makes the server read one.
#[test]
fn assert_35_without_documents_no_url_is_read() {
    let federation = Federation::with(trusting_people(rules().with_public_client(DOCUMENT)));
    let claims = with(person("1"), "client_id", DOCUMENT);
    let params = exchange(&id_jag(&claims)).set("client_id", DOCUMENT);
    federation.refused(&params, 401, "invalid_client", Reason::ClientUnknown);
    assert_eq!(federation.directory.documents.load(Ordering::SeqCst), 0);
}

#[test]
fn assert_41_only_an_actor_that_is_there_is_said_to_be_ignored() {
    let ignoring = trusting_people(rules().with_client("web").with_actors(ActorClaim::Ignore));
    let federation = Federation::with(ignoring);
    federation.person(&person("1"));
    let is_noted =
        || detail(&federation.world).unwrap_or_default().contains("An actor was ignored.");
    assert!(!is_noted());
    federation.person(&with(person("2"), "act", json!({ "sub": "agent" })));
    assert!(is_noted());
}

/// The event of a client that does not exist says who it claimed to be.
#[test]
fn audit_02_the_event_of_an_assertion_has_the_claimed_client() {
    let federation = Federation::with(trusting_people(rules().with_client("web")));
    let params = exchange(&id_jag(&person("1"))).set("client_id", "nobody");
    federation.refused(&params, 401, "invalid_client", Reason::ClientUnknown);
    let event = federation.world.events().pop().unwrap();
    assert_eq!(event.claimed.as_deref(), Some("nobody"));
}

/// A scope token that the policy lost while the page was open.
#[test]
fn consent_10_a_scope_that_is_not_declared_any_more_is_unknown() {
    let world = World::new();
    let ticket = world.page(&Params::authorize()).ticket();
    let smaller = Policy::builder(ISSUER)
        .scope("read", "Read your notes")
        .default_scope("read")
        .resource(crate::support::MCP, "read")
        .build()
        .unwrap();
    let later = world.beside(smaller, 2);
    let refusal = later.server.run(allow(&ticket)).outcome().unwrap_err();
    assert_eq!(refusal.reason(), Reason::ScopeUnknown);
}

/// At the second in which a grant ends it has ended.
#[test]
fn clock_02_a_grant_is_over_at_its_end() {
    let redeemed = World::new();
    let ticket = redeemed.page(&Params::authorize()).ticket();
    let code = redeemed.approved(allow(&ticket).until(at(5)));
    redeemed.at(5);
    redeemed.invalid_grant(&Params::redeem(&code), Reason::CodeExpired);

    let world = World::with(policy().revocation(RevocationRules::default()));
    let tokens = world.tokens_bound(|decision| decision.until(at(50)));
    world.at(50);
    let commits = world.store.commits();
    let text = Params::refresh("").without("refresh_token").and("token", tokens.refresh()).encode();
    let reply = world.server.revoke(&form(&text)).answered(world.server.policy());
    assert_eq!((reply.status, world.store.commits()), (200, commits));
    let to = Narrowing::default().with_scope("read".parse().unwrap());
    let id = world.only_grant().id();
    let narrowed = world.server.narrow_connection("alice", id, &to).outcome();
    assert_eq!(narrowed.unwrap_err().reason(), Reason::ConnectionUnknown);
}

/// All credentials have ended, and the grant itself would live for months.
#[test]
fn host_52_an_idle_grant_is_not_in_use() {
    let world = World::new();
    world.tokens();
    let id = world.only_grant().id();
    world.at(90 * 24 * 60 * 60);
    assert!(world.only_grant().expires() > at(90 * 24 * 60 * 60));
    let to = Narrowing::default().with_scope("read".parse().unwrap());
    let narrowed = world.server.narrow_connection("alice", id, &to).outcome();
    assert_eq!(narrowed.unwrap_err().reason(), Reason::ConnectionUnknown);
}

/// An access token that has just expired takes no place in the record.
#[test]
fn refresh_16_an_access_token_is_dropped_at_its_expiry() {
    let world = World::new();
    let tokens = world.tokens();
    world.at(tokens.expires_in);
    world.refreshed(tokens.refresh());
    let record = serde_json::to_value(world.only_grant()).unwrap();
    let entries = &record["phase"]["active"]["access_tokens"];
    assert_eq!(entries.as_array().map(Vec::len), Some(1), "{record}");
}

/// The event names the newer grant, whichever of the two was redeemed now.
#[test]
fn host_47_the_note_of_a_superseded_grant_names_the_other() {
    let mut own_is_older = 0;
    for seed in 2..18 {
        let world = World::new();
        let policy = policy().supersede(Supersede::SamePlace).build().unwrap();
        let world = world.beside(policy, seed);
        // Both are redeemed in one second: the lesser id is the older grant.
        let tokens = [world.tokens(), world.tokens()];
        let grants = world.grants();
        let alive = grants.iter().find(|own| own.record.state() == GrantState::Active).unwrap();
        let kind = grantcore::event::EventKind::GrantRevoked;
        let event = world.events().into_iter().find(|event| event.kind == kind).unwrap();
        let note = format!("superseded by {}", alive.record.id());
        assert_eq!(event.note.as_deref(), Some(&*note));
        own_is_older += usize::from(world.works(&tokens[0].access));
    }
    assert!((1..16).contains(&own_is_older), "{own_is_older}");
}

/// A page of connections that is not full is the last one: the store is asked once.
#[test]
fn revoke_06_a_short_page_is_the_last_one() {
    let world = World::new();
    world.tokens();
    world.store.calls();
    let page = world.server.connections("alice", None, 100).unwrap();
    assert!(page.next.is_none() && page.entries.len() == 1);
    assert_eq!(world.store.calls().iter().filter(|call| **call == "grants_of").count(), 1);
}

/// The operator restricts a client that registered itself, which keeps what is left.
#[test]
fn machine_05_a_restricted_client_gets_what_is_left() {
    let registered = grantcore::policy::MachineRules::default().with_registered(rights());
    let open =
        policy().machines(registered).registration(grantcore::policy::RegistrationRules::default());
    let world = World::with(open);
    let own = world.own(&confidential());
    let restricted = world.client(&own.id).unwrap().edit().scope("read".parse().unwrap());
    world.put(restricted.build().unwrap());
    let reply = world.token(&own.proven(Params::machine()));
    assert_eq!(Granted::of(&reply).scope, "read");
}

/// Instances of two templates are not two tenants of one.
#[test]
fn tenant_06_instances_of_two_templates_stand_side_by_side() {
    let files = "https://{org}.files.example/";
    let notes = "https://{org}.notes.example/";
    let world = World::with(policy().resource(files, "read").resource(notes, "read"));
    let params = Params::authorize()
        .set("scope", "read")
        .and("resource", "https://acme.files.example/")
        .and("resource", "https://acme.notes.example/");
    world.page(&params);
}

/// A scope token that was granted is not said to be dropped, also if the policy lost it since.
#[test]
fn refresh_16_a_token_that_was_granted_is_not_said_to_be_dropped() {
    let declared = || {
        Policy::builder(ISSUER)
            .scope("read", "Read your notes")
            .default_scope("read")
            .resource(crate::support::MCP, "read")
            .drop_unknown_scopes(true)
    };
    let before: PolicyBuilder = declared().scope("write", "Change your notes");
    let world = World::with(before);
    let code = world.code(&Params::authorize());
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    let later = world.beside(declared().build().unwrap(), 2);
    let is_noted = || detail(&later).unwrap_or_default().contains("scope_dropped");
    let reply = later.token(&Params::refresh(tokens.refresh()).set("scope", "read other"));
    assert!(is_noted());
    let tokens = Granted::of(&reply);
    let _ = later.token(&Params::refresh(tokens.refresh()).set("scope", "read write"));
    assert!(!is_noted());
}

/// A client that registered itself with a secret, that the operator gave rights, and that becomes
/// public: what needs a proof is gone.
#[test]
fn assert_34_a_client_that_gives_up_its_proof_loses_the_right() {
    let world = World::with(policy().registration(grantcore::policy::RegistrationRules::default()));
    let own = world.own(&confidential());
    world.put(world.client(&own.id).unwrap().edit().assertions(true).build().unwrap());
    let public = with_member(confidential(), "token_endpoint_auth_method", "none");
    world.updated(&own, public);
    assert!(!world.client(&own.id).unwrap().may_use_assertions());
}

/// A client of the operator that may register itself from now on: what the operator registered it for
/// stays the most that it can get.
#[test]
fn i47_a_client_that_the_operator_opens_keeps_its_grant_types() {
    let client = Client::public("own").redirect_uri(CALLBACK);
    let whole = client.build().unwrap().edit().registration(Registration::Dynamic);
    assert_eq!(whole.build().unwrap().restrictions().grant_types(), None);
    let own = GrantTypes { authorization_code: true, refresh_token: false };
    let client = Client::public("own").redirect_uri(CALLBACK).grant_types(own);
    let dynamic = client.build().unwrap().edit().registration(Registration::Dynamic);
    assert_eq!(dynamic.build().unwrap().restrictions().grant_types(), Some(own));
}

#[test]
fn keys_23_a_client_has_the_algorithms_that_it_was_given() {
    let only = Algorithms::of([Algorithm::EdDsa]).unwrap();
    let keys = ClientKeys::inline(set_of("ed")).with_algorithms(only);
    assert_eq!(keys.algorithms(), only);
    assert_eq!(ClientKeys::inline(set_of("ed")).algorithms(), Algorithms::ALL);
    let one = grantcore::jws::FetchedKeys::parse(
        crate::support::assertions::key_set(&[crate::support::assertions::signer("ed").jwk()])
            .as_bytes(),
    );
    assert!(!one.unwrap().is_empty());
}

#[test]
fn keys_37_a_set_that_was_fetched_again_is_the_last_that_was_used() {
    let now = Timestamp::from_unix_seconds(T);
    let url = |name: &str| KeysUrl::parse(&format!("https://{name}.example/keys"), false).unwrap();
    assert_eq!(url("a").as_ref(), "https://a.example/keys");
    let mut cache = KeyCache::new(2, Duration::ZERO);
    for name in ["a", "b", "a", "c"] {
        cache.put(&url(name), br#"{"keys": []}"#, None, now).unwrap();
    }
    let has =
        |cache: &mut KeyCache, name| matches!(cache.look(&url(name), None, now), Look::Have { .. });
    assert!(has(&mut cache, "a") && has(&mut cache, "c") && !has(&mut cache, "b"));
}
