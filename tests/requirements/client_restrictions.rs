//! Tests of I47: no act of a client (registration, update, document) lifts a restriction of its
//! operator.

use std::cell::Cell;
use std::collections::BTreeSet;

use grantcore::client::{Authentication, ClientBuilder, Registration, StoredSecret};
use grantcore::policy::{DocumentRules, RegistrationRules};
use grantcore::value::{Digest, GrantTypes, Scope, SecretMethod, Subject};
use grantcore::{AuthorizationStep, Client, Reason};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::clients::{
    DOCUMENT, Own, ask, confidential, document, fetched, metadata, with,
};
use crate::support::params::Params;
use crate::support::property::check;
use crate::support::refused::{assert_page, refused};
use crate::support::steps::DAY;
use crate::support::{CALLBACK, Granted, SECRET, World, json as body, policy};

const SCOPES: [&str; 3] = ["admin", "read", "write"];

fn scope(tokens: &str) -> Scope {
    Scope::parse(tokens).unwrap()
}

fn secret(method: SecretMethod) -> Authentication {
    let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    Authentication::by_secret(method, secret)
}

fn method(client: &Client) -> &'static str {
    match client.authentication() {
        Authentication::Public => "none",
        Authentication::Confidential { method: SecretMethod::Basic, .. } => "client_secret_basic",
        Authentication::Confidential { method: SecretMethod::Post, .. } => "client_secret_post",
        other => panic!("{other:?}"),
    }
}

/// An act of an operator or of a client.
#[derive(Clone, Debug)]
enum Act {
    Ceiling(BTreeSet<&'static str>),
    Grants {
        refresh: bool,
    },
    Demand(SecretMethod),
    LiftAll,
    Deactivate,
    Reactivate,
    /// The client changes its metadata, by an update or by its document.
    Describe(Value),
    /// Time passes, and expired records are dropped.
    Wait(u64),
}

/// The restrictions that the operator set, kept beside the record.
#[derive(Default)]
struct Laid {
    ceiling: Option<BTreeSet<&'static str>>,
    no_refresh: bool,
    method: Option<SecretMethod>,
    deactivated: bool,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let tokens = || prop::collection::btree_set(prop::sample::select(&SCOPES[..]), 1..4);
    let requested = prop::option::of(tokens().prop_map(|tokens| {
        tokens.into_iter().chain(["offline_access"]).collect::<Vec<_>>().join(" ")
    }));
    let exact = prop::option::of(
        tokens().prop_map(|tokens| tokens.into_iter().collect::<Vec<_>>().join(" ")),
    );
    let grants = prop::sample::select(vec![
        json!(null),
        json!(["authorization_code"]),
        json!(["authorization_code", "refresh_token"]),
    ]);
    let methods = prop::sample::select(vec![
        json!(null),
        json!("none"),
        json!("client_secret_basic"),
        json!("client_secret_post"),
    ]);
    let described =
        (prop_oneof![requested, exact], grants, methods).prop_map(|(scope, grants, method)| {
            let mut described = metadata();
            described["scope"] = json!(scope);
            described["grant_types"] = grants;
            described["token_endpoint_auth_method"] = method;
            Act::Describe(described)
        });
    let act = prop_oneof![
        2 => tokens().prop_map(Act::Ceiling),
        1 => any::<bool>().prop_map(|refresh| Act::Grants { refresh }),
        1 => prop::sample::select(vec![SecretMethod::Basic, SecretMethod::Post])
            .prop_map(Act::Demand),
        1 => Just(Act::LiftAll),
        1 => Just(Act::Deactivate),
        1 => Just(Act::Reactivate),
        6 => described,
        2 => (1..2 * DAY).prop_map(Act::Wait),
    ];
    prop::collection::vec(act, 1..24)
}

/// One client with its world.
struct Case {
    world: World,
    id: String,
    own: Option<Own>,
    laid: Laid,
    now: u64,
}

impl Case {
    fn registered() -> Self {
        let world = World::with(policy().registration(RegistrationRules::default()));
        let own = world.own(&metadata());
        Self { world, id: own.id.clone(), own: Some(own), laid: Laid::default(), now: 0 }
    }

    fn documented() -> Self {
        let world = World::with(policy().client_documents(DocumentRules::default()));
        world.page_with(&ask(DOCUMENT), &document());
        Self { world, id: DOCUMENT.into(), own: None, laid: Laid::default(), now: 0 }
    }

    /// Changes the record as the operator, if the record exists. Otherwise the change has no
    /// effect.
    fn edit(&self, change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> bool {
        let Some(client) = self.world.client(&self.id) else { return false };
        self.world.put(change(client.edit()).build().unwrap());
        true
    }

    fn put(&self, change: impl FnOnce(Client) -> Client) -> bool {
        let Some(client) = self.world.client(&self.id) else { return false };
        self.world.put(change(client));
        true
    }

    fn perform(&mut self, act: Act) {
        match act {
            Act::Ceiling(tokens) => {
                let ceiling = scope(&tokens.iter().copied().collect::<Vec<_>>().join(" "));
                if self.edit(|client| client.scope(ceiling)) {
                    self.laid.ceiling = Some(tokens);
                }
            }
            Act::Grants { refresh } => {
                let types = GrantTypes { authorization_code: true, refresh_token: refresh };
                if self.edit(|client| client.grant_types(types)) {
                    self.laid.no_refresh = !refresh;
                }
            }
            Act::Demand(method) => {
                if self.edit(|client| client.authentication(secret(method))) {
                    self.laid.method = Some(method);
                }
            }
            Act::LiftAll => {
                if self.edit(ClientBuilder::without_restrictions) {
                    let deactivated = self.laid.deactivated;
                    self.laid = Laid { deactivated, ..Laid::default() };
                }
            }
            Act::Deactivate => self.laid.deactivated |= self.put(Client::deactivated),
            Act::Reactivate => self.laid.deactivated &= !self.put(Client::reactivated),
            Act::Describe(described) => self.describe(&described),
            Act::Wait(seconds) => {
                self.now += seconds;
                self.world.at(self.now);
                self.world.store.inner.sweep(self.world.now(), usize::MAX);
            }
        }
    }

    fn describe(&self, described: &Value) {
        if let Some(own) = &self.own {
            let update = own.update(described.clone());
            let _ = self.world.manage("PUT", &own.id, &own.token, &update);
        } else {
            let mut text = with(described.clone(), "client_id", DOCUMENT);
            text["token_endpoint_auth_method"] = json!(null);
            let text = text.to_string();
            let _ =
                self.world.authorize_with_document(&ask(DOCUMENT), Some(fetched(text.as_bytes())));
        }
    }

    /// Returns whether the client gets a page for this scope token.
    fn gets(&self, token: &str) -> bool {
        let requested = ask(&self.id).set("scope", token);
        matches!(self.world.authorize(&requested), Ok(AuthorizationStep::NeedsConsent(_)))
    }

    fn assert_laid(&self) -> Result<(), TestCaseError> {
        let Some(client) = self.world.client(&self.id) else {
            let forgotten = self.laid.ceiling.is_some()
                || self.laid.no_refresh
                || self.laid.method.is_some()
                || self.laid.deactivated;
            // A random id is not used again. A URL may be.
            prop_assert!(self.own.is_some() || !forgotten, "the record of a URL was dropped");
            return Ok(());
        };
        for token in SCOPES {
            let is_under = self.laid.ceiling.as_ref().is_none_or(|own| own.contains(token));
            if self.gets(token) {
                prop_assert!(is_under, "{} is beyond the ceiling", token);
                prop_assert!(!self.laid.deactivated, "a deactivated client is accepted");
            }
        }
        prop_assert!(!(self.laid.no_refresh && client.grant_types().refresh_token));
        if let Some(demanded) = self.laid.method {
            let authentication = client.authentication();
            let is_demanded = match authentication {
                Authentication::Confidential { method, .. } => method == demanded,
                _ => false,
            };
            prop_assert!(is_demanded, "{:?} is demanded of {:?}", demanded, authentication);
        }
        Ok(())
    }
}

fn property(first: fn() -> Case) {
    let seen = Cell::new((0, 0));
    check(&acts(), |acts| {
        let mut case = first();
        for act in acts {
            case.perform(act);
            case.assert_laid()?;
            let (steps, served) = seen.get();
            let is_served = SCOPES.iter().any(|token| case.gets(token));
            seen.set((steps + 1, served + usize::from(is_served)));
        }
        Ok(())
    });
    let (steps, served) = seen.get();
    assert!(served > steps / 8, "{served} of {steps} steps left an active client");
}

#[test]
fn i47_no_update_of_a_registration_lifts_a_restriction() {
    property(Case::registered);
}

#[test]
fn i47_no_document_lifts_a_restriction() {
    property(Case::documented);
}

/// A scope ceiling of a self-registered client.
#[test]
fn i47_a_ceiling_survives_an_update_and_only_the_operator_lifts_it() {
    let world = World::open();
    let own = world.own(&with(metadata(), "scope", "read write"));
    world.put(world.client(&own.id).unwrap().edit().scope(scope("read")).build().unwrap());
    for described in [metadata(), with(metadata(), "scope", "read write admin")] {
        let response = world.updated(&own, described);
        assert_eq!(response["scope"], "read", "the response has the effective scope");
        let refusal = refused(&world, &ask(&own.id).set("scope", "write"));
        assert_eq!(refusal.reason(), Reason::ScopeForbidden);
    }
    world.updated(&own, with(metadata(), "scope", "write"));
    assert_eq!(
        refused(&world, &ask(&own.id).set("scope", "read")).reason(),
        Reason::ScopeForbidden
    );
    world.updated(&own, with(metadata(), "scope", "read write"));
    let lifted = world.client(&own.id).unwrap().edit().without_restrictions().build().unwrap();
    assert!(lifted.restrictions().is_empty());
    world.put(lifted);
    world.page(&ask(&own.id).set("scope", "read write"));
    let response = body(&world.manage("GET", &own.id, &own.token, &Value::Null));
    assert_eq!(response["scope"], "read write", "the registered scope applies again");
}

#[test]
fn i47_an_update_does_not_restore_the_refresh_grant() {
    let world = World::open();
    let own = world.own(&metadata());
    let only_codes = GrantTypes { authorization_code: true, refresh_token: false };
    let refresh = world.tokens_by(&own).refresh().to_owned();
    world.put(world.client(&own.id).unwrap().edit().grant_types(only_codes).build().unwrap());
    let response = world.updated(&own, metadata());
    assert_eq!(response["grant_types"], json!(["authorization_code"]));
    assert_eq!(world.tokens_by(&own).refresh, None);
    world.refused(
        &own.proven(Params::refresh(&refresh)),
        400,
        "unauthorized_client",
        Reason::GrantTypeUnauthorized,
    );
}

#[test]
fn i47_a_confidential_client_cannot_become_public() {
    let world = World::open();
    let own = world.own(&confidential());
    let demanded = world.client(&own.id).unwrap().edit();
    world.put(demanded.authentication(secret(SecretMethod::Basic)).build().unwrap());
    for requested in ["none", "client_secret_post", "client_secret_basic"] {
        let response =
            world.updated(&own, with(metadata(), "token_endpoint_auth_method", requested));
        assert_eq!(response["token_endpoint_auth_method"], "client_secret_basic", "{requested}");
        let client = world.client(&own.id).unwrap();
        assert_eq!(client.authentication(), secret(SecretMethod::Basic), "{requested}");
        assert_eq!(client.restrictions().auth_method(), Some("client_secret_basic"));
    }
    world.refused(
        &Params::refresh("x").set("client_id", &own.id),
        401,
        "invalid_client",
        Reason::ClientSecretMissing,
    );
}

/// If the record was dropped, the document would create the client again without its ceiling.
#[test]
fn i47_the_record_of_a_restricted_document_is_kept() {
    let restrict: [fn(ClientBuilder) -> ClientBuilder; 4] = [
        |client| client.scope(scope("read")),
        |client| client.grant_types(GrantTypes { authorization_code: true, refresh_token: false }),
        |client| client.authentication(secret(SecretMethod::Post)),
        |client| client.owner(Subject::new("bob")),
    ];
    for restrict in restrict {
        let world = World::open();
        world.page_with(&ask(DOCUMENT), &document());
        world.put(restrict(world.client(DOCUMENT).unwrap().edit()).build().unwrap());
        let before = world.client(DOCUMENT).unwrap();
        world.at(400 * DAY);
        world.store.inner.sweep(world.now(), usize::MAX);
        assert!(world.client(DOCUMENT).is_some());
        let body = document().to_string();
        let requested = ask(DOCUMENT).set("scope", "read");
        let _ = world.authorize_with_document(&requested, Some(fetched(body.as_bytes())));
        let after = world.client(DOCUMENT).unwrap();
        assert_eq!(after.restrictions(), before.restrictions());
        assert_eq!((after.owner(), method(&after)), (before.owner(), method(&before)));
    }
    let world = World::open();
    world.page_with(&ask(DOCUMENT), &document());
    world.at(400 * DAY);
    world.store.inner.sweep(world.now(), usize::MAX);
    assert_eq!(world.client(DOCUMENT), None, "another record is dropped");
}

/// The operator's own client has no registration beside the operator's settings.
#[test]
fn i47_the_operators_settings_of_its_own_client_are_its_registration() {
    let client = Client::public("own").redirect_uri(CALLBACK).scope(scope("read")).build().unwrap();
    assert_eq!((client.scope(), client.restrictions().is_empty()), (Some(&scope("read")), true));
    let client = client.edit().scope(scope("read write")).build().unwrap();
    assert_eq!(client.scope(), Some(&scope("read write")));
    // After the handover to a document, they are a ceiling.
    let handed = client.edit().registration(Registration::MetadataDocument).build().unwrap();
    assert_eq!(handed.restrictions().scope(), Some(&scope("read write")));
    // If the operator adopts a client and sets another scope, the client has no ceiling beside it.
    let adopted = handed.edit().registration(Registration::Operator).scope(scope("admin"));
    let adopted = adopted.build().unwrap();
    assert_eq!((adopted.scope(), adopted.restrictions().is_empty()), (Some(&scope("admin")), true));
}

/// A client that the operator hands over to a document keeps its secret and its grant types.
#[test]
fn i47_a_document_does_not_widen_a_client_that_was_handed_over() {
    let world = World::open();
    let code_only = GrantTypes { authorization_code: true, refresh_token: false };
    let proof = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    let handed = Client::confidential(DOCUMENT, SecretMethod::Basic, proof)
        .redirect_uri(CALLBACK)
        .grant_types(code_only)
        .registration(Registration::MetadataDocument)
        .build()
        .unwrap();
    world.put(handed);
    let body = document().to_string();
    let _ = world.authorize_with_document(&ask(DOCUMENT), Some(fetched(body.as_bytes())));
    let after = world.client(DOCUMENT).unwrap();
    assert_eq!((method(&after), after.grant_types()), ("client_secret_basic", code_only));
}

#[test]
fn i47_a_deactivated_client_cannot_reactivate_itself() {
    let world = World::open();
    let own = world.own(&metadata());
    world.put(world.client(&own.id).unwrap().deactivated());
    assert_eq!(world.manage("PUT", &own.id, &own.token, &own.update(metadata())).status, 401);
    let refusal = refused(&world, &ask(&own.id));
    assert_page(&world, &refusal, 400, "invalid_client", Reason::ClientDeactivated);
    assert_eq!(
        world.registered(&metadata())["client_name"],
        "Notes Helper",
        "another client can be created"
    );
}

/// The restriction applies to tokens, and not only to the page.
#[test]
fn i47_tokens_stay_under_the_ceiling() {
    let registration = RegistrationRules::default();
    let world = World::with(policy().default_scope("read write").registration(registration));
    let own = world.own(&metadata());
    world.put(world.client(&own.id).unwrap().edit().scope(scope("read")).build().unwrap());
    world.updated(&own, with(metadata(), "scope", "read write admin"));
    let code = world.code(&ask(&own.id).without("scope"));
    let tokens = Granted::of(&world.token(&own.proven(Params::redeem(&code))));
    assert_eq!(tokens.scope, "read");
}
