//! Events of a real server, changed for a test.

use std::sync::Mutex;

use grantcore::blocking::Server;
use grantcore::event::SentError;
use grantcore::policy::RegistrationRules;
use grantcore::reason::Endpoint;
use grantcore::{FromStore, MemoryStore, Policy, Reason, Refusal};

use super::*;

/// Returns an event of the operator, made by a real server and then changed by `change`.
pub(super) fn event(at: u64, change: impl FnOnce(&mut Event)) -> Event {
    let revoke = |server: &Server<MemoryStore>| {
        drop(server.revoke_client("nobody", grantcore::RevokedBy::Administrator("")));
    };
    made(at, revoke, |event| {
        event.claimed = None;
        event.note = None;
        event.reason = Some(Reason::ConnectionUnknown);
        change(event);
    })
}

/// Returns an unattributed event, of a request that anybody can send.
pub(super) fn unattributed(at: u64) -> Event {
    let refuse = |server: &Server<MemoryStore>| {
        let _ = server.refuse(Refusal::plain(Reason::RequestTooLarge, Endpoint::Token), None, "");
    };
    made(at, refuse, |_| {})
}

/// Returns the event that a server reports for `step`, changed by `change`.
pub(super) fn made(
    at: u64,
    step: impl FnOnce(&Server<MemoryStore>),
    change: impl FnOnce(&mut Event),
) -> Event {
    let seen = Arc::new(Mutex::new(None));
    let copy = Arc::clone(&seen);
    let policy = Policy::builder("https://auth.example")
        .scope("a", "A")
        .resource("https://mcp.example/mcp", "a")
        .registration(RegistrationRules::default())
        .build()
        .unwrap();
    let server = Server::new(policy, MemoryStore::new(), FromStore)
        .with_observer(move |event| *copy.lock().unwrap() = Some(event.clone()));
    step(&server);
    let mut event = seen.lock().unwrap().take().unwrap();
    event.at = Timestamp::from_unix_seconds(at);
    event.sent = None;
    change(&mut event);
    event
}

pub(super) fn refused(at: u64, client: &str, error: &'static str) -> Event {
    event(at, |event| {
        event.claimed = Some(client.into());
        event.sent = Some(Box::new(SentError {
            status: 400,
            error: Some(error),
            description: None,
            challenge: None,
        }));
    })
}
