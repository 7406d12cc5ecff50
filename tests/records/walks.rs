//! Property tests of records: after any sequence of steps, every record is decoded from its
//! encoding unchanged.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use grantcore::account::GrantChanges;
use grantcore::client::ClientStatus;
use grantcore::policy::{Lifetimes, Limits, PolicyBuilder, RegistrationRules, RevocationRules};
use grantcore::request::{ConsentDecision, Narrowing};
use grantcore::value::Properties;
use grantcore::{Choice, RevokedBy};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::Record;
use crate::support::clients::{metadata, with};
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::{
    ALICE, Answered, Granted, MCP, Outcome, World, host, json as body, param, policy, property,
};

const NOTES: &str = "https://notes.example/";
const SCOPES: [&str; 5] = ["read", "write", "read write", "admin read", "read write admin"];
const RESOURCES: [&[&str]; 3] = [&[MCP], &[NOTES], &[MCP, NOTES]];

/// One step of a walk. It names a credential by its age, counted in issued ones, so that replays
/// occur.
#[derive(Clone, Debug)]
enum Step {
    Authorize { scope: usize, resources: usize, state: Option<String>, sent: bool },
    Decide { ago: usize, choice: usize },
    Redeem { ago: usize, resources: Option<usize> },
    Refresh { ago: usize, scope: Option<usize>, resources: Option<usize> },
    Revoke { ago: usize, refresh: bool },
    End { ago: usize, by: usize },
    Narrow { ago: usize, scope: usize },
    Judge { scope: Option<usize>, properties: Option<String> },
    Register { name: String, confidential: bool },
    SetStatus { ago: usize, active: bool },
    Delete { ago: usize },
    At(u64),
}

/// Generates text with any characters of any plane, including control characters and quotes.
fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..12).prop_map(|chars| chars.into_iter().collect())
}

fn step() -> impl Strategy<Value = Step> {
    let ago = || prop_oneof![8 => Just(0_usize), 2 => 0..4_usize];
    let some = |limit: usize| proptest::option::of(0..limit);
    prop_oneof![
        4 => (0..SCOPES.len(), 0..RESOURCES.len(), proptest::option::of(text()), any::<bool>())
            .prop_map(|(scope, resources, state, sent)| {
                Step::Authorize { scope, resources, state, sent }
            }),
        4 => (ago(), 0..8_usize).prop_map(|(ago, choice)| Step::Decide { ago, choice }),
        4 => (ago(), some(RESOURCES.len()))
            .prop_map(|(ago, resources)| Step::Redeem { ago, resources }),
        6 => (ago(), some(SCOPES.len()), some(RESOURCES.len()))
            .prop_map(|(ago, scope, resources)| Step::Refresh { ago, scope, resources }),
        1 => (ago(), any::<bool>()).prop_map(|(ago, refresh)| Step::Revoke { ago, refresh }),
        1 => (ago(), 0..3_usize).prop_map(|(ago, by)| Step::End { ago, by }),
        1 => (ago(), 0..SCOPES.len()).prop_map(|(ago, scope)| Step::Narrow { ago, scope }),
        1 => (some(SCOPES.len()), proptest::option::of(text()))
            .prop_map(|(scope, properties)| Step::Judge { scope, properties }),
        1 => (text(), any::<bool>())
            .prop_map(|(name, confidential)| Step::Register { name, confidential }),
        1 => (ago(), any::<bool>()).prop_map(|(ago, active)| Step::SetStatus { ago, active }),
        1 => ago().prop_map(|ago| Step::Delete { ago }),
        3 => prop_oneof![0..60_u64, 0..10_000_u64, 0..40_000_000_u64, Just(u64::MAX / 2)]
            .prop_map(Step::At),
    ]
}

/// Returns policies that lead to different fields of records.
fn rules(windowed: bool, for_ever: bool) -> PolicyBuilder {
    let mut rules = policy()
        .resource(NOTES, "read admin")
        .default_resource(MCP)
        .registration(RegistrationRules::default())
        .revocation(RevocationRules::default())
        .limits(Limits::default().with_token_requests_per_minute(u32::MAX));
    if windowed {
        rules = rules.replay_window(Duration::from_secs(3600));
    }
    if for_ever { rules.lifetimes(Lifetimes::default().with_refresh_absolute(None)) } else { rules }
}

/// A world, and the credentials that a walk got in it.
struct Walk {
    world: World,
    tickets: Vec<String>,
    codes: Vec<(String, bool)>,
    refresh: Vec<String>,
    access: Vec<String>,
    clients: Vec<(String, String)>,
}

/// Returns the item that is `ago` places before the newest.
fn ago<T: Clone>(had: &[T], ago: usize) -> Option<T> {
    had.iter().rev().nth(ago).cloned()
}

fn asking(mut params: Params, scope: Option<usize>, resources: Option<usize>) -> Params {
    if let Some(scope) = scope {
        params = params.set("scope", SCOPES[scope]);
    }
    resources
        .map_or(&[][..], |at| RESOURCES[at])
        .iter()
        .fold(params, |params, resource| params.and("resource", resource))
}

impl Walk {
    fn new(rules: PolicyBuilder) -> Self {
        let world = World::with(rules);
        let (tickets, codes, refresh, access, clients) = Default::default();
        Self { world, tickets, codes, refresh, access, clients }
    }

    /// Makes a step, which may be refused.
    fn take(&mut self, step: Step) {
        match step {
            Step::Authorize { scope, resources, state, sent } => {
                self.authorize(scope, resources, state, sent);
            }
            Step::Decide { ago, choice } => self.decide(ago, choice),
            Step::Redeem { ago: when, resources } => {
                if let Some((code, sent)) = ago(&self.codes, when) {
                    let redeem = Params::redeem(&code);
                    self.token(&asking(
                        if sent { redeem } else { redeem.without("redirect_uri") },
                        None,
                        resources,
                    ));
                }
            }
            Step::Refresh { ago: when, scope, resources } => {
                if let Some(token) = ago(&self.refresh, when) {
                    self.token(&asking(Params::refresh(&token), scope, resources));
                }
            }
            Step::Revoke { ago: when, refresh } => {
                if let Some(token) = ago(if refresh { &self.refresh } else { &self.access }, when) {
                    let params = Params::refresh(&token)
                        .without("grant_type")
                        .without("refresh_token")
                        .and("token", &token);
                    assert_eq!(
                        self.world
                            .server
                            .revoke(&form(&params.encode()))
                            .answered(self.world.server.policy())
                            .status,
                        200
                    );
                }
            }
            Step::End { ago: when, by } => self.end(when, by),
            Step::Narrow { ago: when, scope } => self.narrow(when, SCOPES[scope]),
            Step::Judge { scope, properties } => self.judge(scope, properties),
            Step::At(seconds) => self.world.at(seconds),
            Step::Register { .. } | Step::SetStatus { .. } | Step::Delete { .. } => {
                self.change_clients(step);
            }
        }
    }

    fn authorize(&mut self, scope: usize, resources: usize, state: Option<String>, sent: bool) {
        let params = asking(Params::authorize().without("state"), Some(scope), Some(resources));
        let params = if sent { params } else { params.without("redirect_uri") };
        let params = state.into_iter().fold(params, |params, state| params.and("state", &state));
        if let Ok(grantcore::AuthorizationStep::NeedsConsent(page)) = self.world.authorize(&params)
        {
            self.tickets.push(page.ticket());
            self.codes.push((String::new(), sent));
        }
    }

    fn decide(&mut self, when: usize, choice: usize) {
        let Some(ticket) = ago(&self.tickets, when) else { return };
        let choice = match choice {
            0 => Choice::Deny,
            1 => Choice::AllowOnly("read"),
            _ => Choice::Allow,
        };
        let place = self.codes.len() - 1 - when;
        let decision = ConsentDecision::new(&ticket, ALICE, choice).unwrap();
        let decision = match place % 3 {
            0 => decision,
            1 => decision.with_properties(Properties::of(&json!({ "place": place })).unwrap()),
            _ => decision.until(host::at(30_000_000)),
        };
        if let Some(code) = self
            .world
            .server
            .run(decision)
            .ok()
            .and_then(|redirect| param(&redirect.into_location(), "code"))
        {
            self.codes[place].0 = code;
        }
    }

    fn token(&mut self, params: &Params) {
        let reply = self.world.token(params);
        if reply.status == 200 {
            let granted = Granted::of(&reply);
            self.access.push(granted.access);
            self.refresh.extend(granted.refresh);
        }
    }

    fn end(&self, when: usize, by: usize) {
        let ids: Vec<_> = self.world.grants().iter().map(|stored| stored.record.id()).collect();
        let Some(id) = ago(&ids, when) else { return };
        let server = &self.world.server;
        let ended = match by {
            0 => server.revoke_connection("alice", id),
            1 => server.revoke_grant(id, RevokedBy::Administrator("abuse")),
            _ => server.revoke_grant(id, RevokedBy::SecurityEvent("a lost device")),
        };
        assert!(ended.is_ok());
    }

    /// Takes scope away. More than was granted is refused, as for a grant that is not in use.
    fn narrow(&self, when: usize, scope: &str) {
        let ids: Vec<_> = self.world.grants().iter().map(|stored| stored.record.id()).collect();
        let Some(id) = ago(&ids, when) else { return };
        let to = Narrowing::default().with_scope(scope.parse().unwrap());
        let _unless_it_is_refused = self.world.server.narrow_connection("alice", id, &to).outcome();
    }

    /// Sets what the host decides about the next refreshes.
    fn judge(&self, scope: Option<usize>, properties: Option<String>) {
        let mut changes = GrantChanges::default();
        if let Some(scope) = scope {
            changes = changes.with_scope(SCOPES[scope].parse().unwrap());
        }
        if let Some(text) = properties {
            changes = changes.with_properties(Properties::of(&json!({ "text": text })).unwrap());
        }
        self.world.store.judge(changes);
    }

    fn change_clients(&mut self, step: Step) {
        match step {
            Step::Register { name, confidential } => {
                let method = if confidential { "client_secret_basic" } else { "none" };
                let reply = self.world.register(&with(
                    with(metadata(), "client_name", name),
                    "token_endpoint_auth_method",
                    method,
                ));
                if reply.status == 201 {
                    let registered = body(&reply);
                    let text = |name: &str| registered[name].as_str().unwrap().to_owned();
                    self.clients.push((text("client_id"), text("registration_access_token")));
                }
            }
            Step::SetStatus { ago: when, active } => {
                let id = ago(&self.clients, when).map_or_else(|| "app".to_owned(), |(id, _)| id);
                let status = if active { ClientStatus::Active } else { ClientStatus::Deactivated };
                let _unless_it_is_over = self.world.server.set_client_status(&id, status).outcome();
            }
            Step::Delete { ago: when } => {
                if let Some((id, token)) = ago(&self.clients, when) {
                    let _unless_it_is_over =
                        self.world.manage("DELETE", &id, &token, &serde_json::Value::Null);
                }
            }
            other => unreachable!("{other:?}"),
        }
    }

    /// Returns every record.
    fn records(&self) -> Vec<Record> {
        let grants = self.world.grants();
        let grants = grants
            .iter()
            .map(|stored| Record::from(grantcore::grant::Grant::clone(&stored.record)));
        let ids = self.clients.iter().map(|(id, _)| id.as_str()).chain(["app", "web"]);
        grants.chain(ids.filter_map(|id| self.world.client(id)).map(Record::from)).collect()
    }
}

/// Returns the kind of a record. The walks must reach every kind.
fn kind(record: &Record) -> String {
    match record {
        Record::Grant(grant) => format!("{:?}", grant.state()),
        Record::Client(client) => format!("{:?} {:?}", client.registration(), client.status()),
        Record::Seen(_) => "Seen".to_owned(),
    }
}

#[test]
fn i31_decoding_an_encoded_record_gives_the_record() {
    let seen = RefCell::new(BTreeSet::new());
    property::check(
        &(any::<bool>(), any::<bool>(), vec(step(), 1..40)),
        |(windowed, for_ever, steps)| {
            let mut walk = Walk::new(rules(windowed, for_ever));
            for step in steps {
                walk.take(step);
                for record in walk.records() {
                    seen.borrow_mut().insert(kind(&record));
                    let text = record.write();
                    let bytes = record.write_binary();
                    prop_assert_eq!(&record.read(&text).unwrap(), &record, "{}", text);
                    prop_assert_eq!(&record.read_binary(&bytes).unwrap(), &record);
                }
            }
            Ok(())
        },
    );
    let kinds = [
        "ConsentPending",
        "CodeIssued",
        "Active",
        "Revoked(Denied)",
        "Revoked(Replay)",
        "Revoked(Client)",
        "Revoked(Host)",
        "Revoked(User)",
        "Revoked(Administrator)",
        "Revoked(SecurityEvent)",
        "Operator Active",
        "Operator Deactivated",
        "Dynamic Active",
        "Dynamic Deactivated",
    ];
    assert_eq!(
        *seen.borrow(),
        kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        "the kinds that the walks reached"
    );
}
