//! Tests of the feature `tracing`: the lines that a subscriber writes for events.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod support;

use std::io;
use std::sync::{Arc, Mutex};

use grantcore::blocking::Server;
use grantcore::{Event, FromStore, MemoryStore};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use support::params::Params;
use support::steps::form;
use support::{ALICE, Answered, Granted, World, app, policy, seeded};

/// The output of a subscriber.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Returns the lines that a JSON subscriber writes, each without its time.
fn traced(emit: impl FnOnce()) -> Vec<Value> {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().json().flatten_event(true).with_writer(log.clone()).finish();
    tracing::subscriber::with_default(subscriber, emit);
    let written = log.0.lock().unwrap().clone();
    let lines = std::str::from_utf8(&written).unwrap().lines();
    let mut values: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    for value in &mut values {
        assert!(value.as_object_mut().unwrap().remove("timestamp").is_some());
    }
    values
}

#[test]
fn a_step_is_traced_at_info_with_its_flow() {
    let world = World::new();
    world.tokens();
    let event = world.events().pop().unwrap();
    let expected = json!({
        "level": "INFO",
        "target": "grantcore",
        "message": "code_redeemed",
        "kind": "code_redeemed",
        "client": "app",
        "subject": "alice",
        "flow": event.flow.unwrap().to_string(),
        "correlation": event.correlation.to_string(),
    });
    assert_eq!(traced(|| event.trace()), [expected]);
}

#[test]
fn a_refusal_is_traced_with_its_cause_and_its_anchor() {
    let world = World::new();
    let _ = world.authorize(&Params::authorize().set("client_id", "nobody\n"));
    let event = world.events().pop().unwrap();
    let expected = json!({
        "level": "INFO",
        "target": "grantcore",
        "message": grantcore::Reason::ClientUnknown.cause(),
        "kind": "refused",
        "reason": "client_unknown",
        "claimed": event.claimed.as_deref().unwrap(),
        "correlation": event.correlation.to_string(),
        "see": "docs/troubleshooting.md#client_unknown",
    });
    assert_eq!(traced(|| event.trace()), [expected]);
}

#[test]
fn a_detail_is_traced() {
    let world = World::open();
    let document = support::clients::fetched(b"[]");
    let _ = world.authorize_with_document(
        &support::clients::ask(support::clients::DOCUMENT),
        Some(document),
    );
    let event = world.events().pop().unwrap();
    assert_eq!(traced(|| event.trace())[0]["detail"], event.detail.as_deref().unwrap());
}

#[test]
fn a_source_is_traced() {
    let world = World::open();
    world.own(&support::clients::metadata());
    let event = world.events().pop().unwrap();
    assert_eq!(traced(|| event.trace())[0]["source"], "192.0.2.1");
}

/// As the observer of a server, it traces every call once, and a replay as a warning.
#[test]
fn a_server_traces_every_call_and_warns_of_a_replay() {
    let store = MemoryStore::default();
    store.put_client(app());
    let server = Server::with_sources(
        policy().build().unwrap(),
        store,
        FromStore,
        || grantcore::Timestamp::from_unix_seconds(support::T),
        seeded(1),
    )
    .with_observer(Event::trace);
    let send = |params: &Params| server.token(&form(&params.encode())).answered(server.policy());
    let mut secrets = Vec::new();
    let lines = traced(|| {
        let query = Params::authorize().encode();
        let incoming = grantcore::RequestParts {
            method: "GET",
            query: query.as_bytes(),
            ..grantcore::RequestParts::default()
        };
        let page = match server.authorize(&incoming, Some(ALICE)).unwrap() {
            grantcore::AuthorizationStep::NeedsConsent(page) => page,
            other => panic!("{other:?}"),
        };
        let ticket = page.ticket();
        let location =
            server.consent(&ticket, ALICE, grantcore::Choice::Allow).unwrap().into_location();
        let code = support::param(&location, "code").unwrap();
        let first = Granted::of(&send(&Params::redeem(&code)));
        let second = Granted::of(&send(&Params::refresh(first.refresh())));
        assert_eq!(send(&Params::refresh(first.refresh())).status, 400);
        secrets.extend([
            ticket,
            code,
            first.access.clone(),
            first.refresh().to_owned(),
            second.refresh().to_owned(),
        ]);
    });
    let traced: Vec<_> = lines
        .iter()
        .map(|line| (line["level"].as_str().unwrap(), line["kind"].as_str().unwrap()))
        .collect();
    let steps = [
        ("INFO", "consent_shown"),
        ("INFO", "consent_approved"),
        ("INFO", "code_redeemed"),
        ("INFO", "tokens_refreshed"),
        ("WARN", "refused"),
    ];
    assert_eq!(traced, steps);
    assert_eq!(lines[4]["see"], "docs/troubleshooting.md#refresh_reused");
    assert!(
        lines.iter().all(|line| line["flow"] == lines[0]["flow"]),
        "one flow from the page to the replay"
    );
    let written = format!("{lines:?}");
    assert!(secrets.iter().all(|secret| !written.contains(secret)), "no line has a secret");
}
