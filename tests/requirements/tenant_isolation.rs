//! Tests of TENANT-13, -14, -16 and of I50: what was made at one issuer does not exist at another on
//! the same store.

use grantcore::client::ClientStatus;
use grantcore::policy::{
    DocumentRules, IntrospectionRules, PolicyBuilder, RegistrationRules, RevocationRules,
};
use grantcore::request::Narrowing;
use grantcore::value::GrantId;
use grantcore::{Authorization, Choice, Client, Error, Reason, Reply, RequestParts, RevokedBy};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::clients::{Own, ask, metadata};
use crate::support::params::Params;
use crate::support::property::check;
use crate::support::refused::{assert_page, refused};
use crate::support::steps::form;
use crate::support::store::Broken;
use crate::support::{
    ALICE, Answered, CALLBACK, Granted, ISSUER, MCP, SECRET, World, assert_refused, needs, policy,
};

const OTHER: &str = "https://auth.example/b";

fn rules() -> PolicyBuilder {
    policy()
        .registration(RegistrationRules::default())
        .client_documents(DocumentRules::default())
        .revocation(RevocationRules::default())
        .introspection(IntrospectionRules::default().with_resource_server("web", MCP))
}

/// Everything that an issuer gave out.
struct Made {
    world: World,
    ticket: String,
    denied: String,
    code: String,
    redeemed: String,
    rotated: Granted,
    current: Granted,
    revoked: Granted,
    own: Own,
    of_own: Granted,
}

fn made() -> Made {
    let world = World::with(rules());
    let own = world.own(&metadata());
    let of_own = world.tokens_by(&own);
    let denied = world.page(&Params::authorize()).ticket();
    drop(world.decide(&denied, Choice::Deny));
    let revoked = world.tokens();
    let redeemed = world.code(&Params::authorize());
    let rotated = Granted::of(&world.token(&Params::redeem(&redeemed)));
    let current = world.refreshed(rotated.refresh());
    let revoke = format!("client_id=app&token={}", revoked.refresh());
    assert_eq!(world.server.revoke(&form(&revoke)).answered(world.server.policy()).status, 200);
    let code = world.code(&Params::authorize());
    let ticket = world.page(&Params::authorize()).ticket();
    Made { world, ticket, denied, code, redeemed, rotated, current, revoked, own, of_own }
}

impl Made {
    /// Returns another issuer on the same store.
    fn other(&self, seed: u64) -> World {
        self.world.beside(self.world.server.policy().at(OTHER).unwrap(), seed)
    }

    fn credentials(&self) -> Vec<&str> {
        vec![
            &self.ticket,
            &self.denied,
            &self.code,
            &self.redeemed,
            self.rotated.refresh(),
            &self.rotated.access,
            self.current.refresh(),
            &self.current.access,
            self.revoked.refresh(),
            &self.revoked.access,
            self.of_own.refresh(),
            &self.of_own.access,
            &self.own.token,
            &self.own.id,
        ]
    }
}

/// Returns another credential of the same form, which nobody has made.
fn unknown(credential: &str) -> String {
    let random = "Zm9yIG5vYm9keSBh";
    let at = credential.find('_').map_or(0, |at| at + 1);
    let rest = credential.get(at + random.len()..).unwrap();
    format!("{}{random}{rest}", &credential[..at])
}

/// Returns the id of the grant that a credential names. If it names none on record, returns the id
/// of no grant.
fn grant(world: &World, credential: &str) -> GrantId {
    let id = credential_id(credential);
    let known = world.grants();
    let found =
        known.iter().map(|own| own.record.id()).find(|own| own.to_string().starts_with(&id));
    found.unwrap_or_else(|| format!("{id}A").parse().unwrap())
}

/// Returns the characters of a credential that are of the id alone.
fn credential_id(credential: &str) -> String {
    credential.split_once('_').unwrap().1[..21].to_owned()
}

fn text(world: &World, reply: Result<Reply, Error<Broken>>) -> String {
    let reply = reply.answered(world.server.policy());
    format!("{} {:?} {}", reply.status, reply.headers, reply.body)
}

fn outcome<T: std::fmt::Debug>(world: &World, outcome: Result<T, Error<Broken>>) -> String {
    match outcome {
        Ok(response) => format!("{response:?}"),
        Err(error) => {
            let refusal = error.into_refusal();
            let policy = world.server.policy();
            format!("{:?} {:?} {:?}", refusal.problem(policy), refusal.location(policy), refusal)
        }
    }
}

type Operation = fn(&World, &str) -> String;

/// Every operation, with one credential.
const OPERATIONS: &[Operation] = &[
    |world, own| outcome(world, world.server.consent(own, ALICE, Choice::Allow)),
    |world, own| outcome(world, world.server.consent(own, ALICE, Choice::AllowOnly("read"))),
    |world, own| outcome(world, world.server.consent(own, ALICE, Choice::Deny)),
    |world, own| token(world, &Params::redeem(own)),
    |world, own| token(world, &Params::redeem(own).by_web()),
    |world, own| token(world, &Params::refresh(own)),
    |world, own| token(world, &Params::refresh(own).and("scope", "admin")),
    |world, own| token(world, &Params::refresh(own).by_web()),
    |world, own| token(world, &Params::refresh("x").set("client_id", own)),
    |world, own| {
        let header = format!("Bearer {own}");
        let needs = needs(world.server.policy(), 0, "read");
        let needs = needs.billed();
        outcome(world, world.server.check(&Authorization::One(header.as_bytes()), &needs))
    },
    |world, own| {
        let body = format!("client_id=web&client_secret={SECRET}&token={own}");
        text(world, world.server.introspect(&form(&body)))
    },
    |world, own| text(world, world.server.revoke(&form(&format!("client_id=app&token={own}")))),
    |world, own| {
        let body = format!("client_id=web&client_secret={SECRET}&token={own}");
        text(world, world.server.revoke(&form(&body)))
    },
    |world, own| managed(world, "GET", own, own),
    |world, own| managed(world, "PUT", own, own),
    |world, own| managed(world, "DELETE", own, own),
    |world, own| managed(world, "DELETE", "app", own),
    |world, own| outcome(world, world.server.authorize(&get(&ask(own).encode()), Some(ALICE))),
    |world, own| outcome(world, world.server.authorize(&get(&ask(own).encode()), None)),
    |world, own| outcome(world, world.server.revoke_connection("alice", grant(world, own))),
    |world, own| {
        let by = RevokedBy::Administrator("note");
        outcome(world, world.server.revoke_grant(grant(world, own), by))
    },
    |world, own| {
        let to = Narrowing::default().with_scope("read".parse().unwrap());
        outcome(world, world.server.narrow_connection("alice", grant(world, own), &to))
    },
    |world, own| {
        let to = Narrowing::default().with_scope("read".parse().unwrap());
        outcome(world, world.server.narrow_grant(grant(world, own), &to, "note"))
    },
    |world, own| {
        let deactivated = ClientStatus::Deactivated;
        outcome(world, world.server.set_client_status(own, deactivated))
    },
    |world, own| outcome(world, world.server.revoke_client(own, RevokedBy::User)),
];

fn token(world: &World, params: &Params) -> String {
    text(world, world.try_token(params, Authorization::None))
}

fn managed(world: &World, method: &str, client_id: &str, token: &str) -> String {
    let reply = world.manage(method, client_id, token, &metadata());
    format!("{} {:?} {}", reply.status, reply.headers, reply.body)
}

fn get(query: &str) -> RequestParts<'_> {
    RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() }
}

/// Runs an operation, and returns everything that it lets anybody see, with the credential left
/// out.
fn seen(world: &World, operation: Operation, credential: &str) -> String {
    let before = world.store.commits();
    let outcome = operation(world, credential);
    assert_eq!(world.store.commits(), before, "nothing is written for {credential}: {outcome}");
    let grant = grant(world, credential).to_string();
    let events = format!("{:?}", world.events());
    format!("{outcome} {events}").replace(credential, "CREDENTIAL").replace(&grant, "GRANT")
}

#[test]
fn i50_nothing_of_one_issuer_has_an_effect_at_another() {
    let made = made();
    let credentials = made.credentials();
    let values = (0..OPERATIONS.len(), 0..credentials.len(), 2_u64..1000);
    check(&values, |(operation, credential, seed)| {
        let (operation, credential) = (OPERATIONS[operation], credentials[credential]);
        let own = seen(&made.other(seed), operation, credential);
        let nobodys = seen(&made.other(seed), operation, &unknown(credential));
        prop_assert_eq!(own, nobodys);
        Ok(())
    });
    // Each pair once, for the property test draws some of them.
    for (at, operation) in OPERATIONS.iter().enumerate() {
        for credential in &credentials {
            let own = seen(&made.other(7), *operation, credential);
            let nobodys = seen(&made.other(7), *operation, &unknown(credential));
            assert_eq!(own, nobodys, "operation {at} with {credential}");
        }
    }
    // At its own issuer each of them is as good as before.
    let Made { world, ticket, code, current, own, .. } = &made;
    assert!(world.decide(ticket, Choice::Allow).is_ok());
    assert_eq!(world.token(&Params::redeem(code)).status, 200);
    assert_eq!(world.manage("GET", &own.id, &own.token, &Value::Null).status, 200);
    assert!(world.works(&current.access));
    assert_eq!(world.token(&Params::refresh(current.refresh())).status, 200);
}

#[test]
fn tenant_13_unknown_is_what_the_specifications_say() {
    let made = made();
    let world = made.other(2);
    let policy = world.server.policy();
    let body = format!("client_id=web&client_secret={SECRET}&token={}", made.current.access);
    let reply = world.server.introspect(&form(&body)).answered(policy);
    assert_eq!((reply.status, &*reply.body), (200, r#"{"active":false}"#));
    let body = format!("client_id=app&token={}", made.current.refresh());
    assert_eq!(world.server.revoke(&form(&body)).answered(policy).status, 200);
    let reply = world.token(&Params::redeem(&made.code));
    assert_refused(&world, &reply, 400, "invalid_grant", Reason::CodeUnknown);
    let reply = world.token(&Params::refresh(made.current.refresh()));
    assert_refused(&world, &reply, 400, "invalid_grant", Reason::RefreshUnknown);
    let refusal = world.check(&made.current.access, &[]).unwrap_err();
    assert_eq!((refusal.status(), refusal.reason()), (401, Reason::TokenUnknown));
    let event = world.events().pop().unwrap();
    assert_eq!((event.flow, event.subject, event.client), (None, None, None));
}

#[test]
fn tenant_14_a_rotated_token_presented_elsewhere_is_no_replay() {
    let made = made();
    let world = made.other(2);
    let reply = world.token(&Params::refresh(made.rotated.refresh()));
    assert_refused(&world, &reply, 400, "invalid_grant", Reason::RefreshUnknown);
    let reply = world.token(&Params::redeem(&made.redeemed));
    assert_refused(&world, &reply, 400, "invalid_grant", Reason::CodeUnknown);
    assert_eq!(made.world.token(&Params::refresh(made.current.refresh())).status, 200);
}

#[test]
fn tenant_13_challenges_that_are_used_at_one_issuer_are_new_at_another() {
    let strict = || rules().refuse_reused_challenges(true);
    let first = World::with(strict());
    drop(first.tokens());
    assert_eq!(refused(&first, &Params::authorize()).reason(), Reason::PkceChallengeReused);
    let second = first.beside(strict().build().unwrap().at(OTHER).unwrap(), 2);
    drop(second.tokens());
}

#[test]
fn tenant_16_a_registered_client_is_of_one_issuer() {
    let made = made();
    let world = made.other(2);
    let refusal = refused(&world, &ask(&made.own.id));
    assert_page(&world, &refusal, 400, "invalid_client", Reason::ClientUnknown);
    let reply = world.token(&made.own.proven(Params::refresh(made.of_own.refresh())));
    assert_refused(&world, &reply, 401, "invalid_client", Reason::ClientUnknown);
    let own = world.own(&metadata());
    assert_eq!(world.client(&own.id).unwrap().bound_to(), Some(OTHER));
    let refusal = refused(&made.world, &ask(&own.id));
    assert_page(&made.world, &refusal, 400, "invalid_client", Reason::ClientUnknown);
    drop(world.tokens_by(&own));
    // An edit by the operator keeps the issuer.
    let edited = world.client(&own.id).unwrap().edit().name("Notes").build().unwrap();
    assert_eq!(edited.bound_to(), Some(OTHER));
}

#[test]
fn tenant_16_an_operators_client_is_shared_unless_it_is_bound() {
    let made = made();
    let world = made.other(2);
    drop(world.tokens());
    let bound =
        |id: &str| Client::public(id).redirect_uri(CALLBACK).issuer(ISSUER).build().unwrap();
    made.world.put(bound("app"));
    let refusal = refused(&world, &Params::authorize());
    assert_page(&world, &refusal, 400, "invalid_client", Reason::ClientUnknown);
    let reply = world.token(&Params::refresh("x"));
    assert_refused(&world, &reply, 401, "invalid_client", Reason::ClientUnknown);
    drop(made.world.tokens());
    // An id that is a URL is taken: no document replaces the client.
    let url = "https://client.example/oauth/meta.json";
    made.world.put(bound(url));
    let refusal = refused(&world, &ask(url));
    assert_page(&world, &refusal, 400, "invalid_client", Reason::ClientUnknown);
    for issuer in ["", "auth.example", "https://Auth.example", "https://auth.example?x"] {
        let built = Client::public("x").redirect_uri(CALLBACK).issuer(issuer).build();
        assert!(built.is_err(), "{issuer}");
    }
}

#[test]
fn tenant_16_a_client_of_a_document_is_shared() {
    let made = made();
    let world = made.other(2);
    let url = crate::support::clients::DOCUMENT;
    drop(made.world.page_with(&ask(url), &crate::support::clients::document()));
    drop(world.page(&ask(url)));
    // Deactivated once, at all of them.
    made.world.server.set_client_status(url, ClientStatus::Deactivated).unwrap();
    let refusal = refused(&world, &ask(url));
    assert_page(&world, &refusal, 400, "invalid_client", Reason::ClientDeactivated);
}

/// A by-hand driver goes through the same door.
#[test]
fn tenant_13_a_host_that_drives_by_hand_sees_no_foreign_grant() {
    use grantcore::blocking::Store;
    use grantcore::moment::Moment;
    use grantcore::operation::Operation as _;
    use grantcore::request::GrantRevocation;
    use grantcore::store::Keys;

    let made = made();
    let other = made.other(2);
    let policy = other.server.policy();
    let [first, ..] = &*made.world.grants() else { panic!("grants") };
    let operation = GrantRevocation::by(RevokedBy::User, first.record.id());
    let loaded = other.store.load(&Keys::of_grant(first.record.id())).unwrap();
    assert!(loaded.grant.is_some() && loaded.client.is_some());
    let moment = Moment::new(made.world.now(), crate::support::entropy(9));
    let decision = operation.decide(&loaded, policy, &moment);
    assert!(decision.write().is_none());
    assert_eq!(made.world.token(&Params::refresh(made.current.refresh())).status, 200);
}
