//! Tests of I47 with random acts of an operator and of a client: none of the client's lifts a
//! restriction.

use std::cell::Cell;
use std::collections::BTreeSet;

use grantcore::client::{Authentication, ClientBuilder};
use grantcore::policy::{DocumentRules, RegistrationRules};
use grantcore::value::{GrantTypes, SecretMethod};
use grantcore::{AuthorizationStep, Client};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::client_restrictions::{scope, secret};
use crate::support::clients::{DOCUMENT, Own, ask, document, fetched, metadata, with};
use crate::support::property::check;
use crate::support::steps::DAY;
use crate::support::{World, policy};

const SCOPES: [&str; 3] = ["admin", "read", "write"];

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
