//! Test of CLIENT-23 with very many registrations: the sweep drops unused clients only, and keeps
//! its limit.

use std::sync::atomic::{AtomicU64, Ordering};

use grantcore::blocking::{Server, Store};
use grantcore::policy::{Limits, RegistrationRules};
use grantcore::{
    Authorization, AuthorizationStep, Choice, ContentType, FromStore, MemoryStore, RequestParts,
    Timestamp,
};

use crate::support::clients::{ask, code_in, metadata};
use crate::support::params::Params;
use crate::support::steps::{DAY, form};
use crate::support::{ALICE, Answered, Granted, Outcome, T, policy, seeded};

const MANY: usize = 20_000;
const USED: usize = 200;
const BITE: usize = 1_999;

/// Returns the `client_id` in the response to a registration.
fn id_in(body: &str) -> String {
    let value = body.split_once("\"client_id\":\"").unwrap().1;
    value.split_once('"').unwrap().0.to_owned()
}

#[test]
fn client_23_of_a_crowd_those_that_are_used_remain() {
    let store = MemoryStore::new();
    let clock = AtomicU64::new(T);
    let policy = policy().registration(RegistrationRules::default()).limits(
        Limits::default()
            .with_registrations_per_minute(u32::MAX)
            .with_all_registrations_per_minute(u32::MAX)
            .with_consent_pages_per_minute(u32::MAX),
    );
    let clock = std::sync::Arc::new(clock);
    let time = std::sync::Arc::clone(&clock);
    let now = move || Timestamp::from_unix_seconds(time.load(Ordering::SeqCst));
    let server = Server::with_sources(policy.build().unwrap(), &store, FromStore, now, seeded(1));
    let at = |seconds: u64| clock.store(T + seconds, Ordering::SeqCst);

    let body = metadata().to_string();

    let incoming = RequestParts {
        method: "POST",
        content_type: ContentType::JSON,
        body: body.as_bytes(),
        ..RequestParts::default()
    };
    let ids: Vec<_> = (0..MANY)
        .map(|_| id_in(&server.register(&incoming).answered(server.policy()).body))
        .collect();
    assert_eq!(store.counts().clients, MANY as u64);

    let used: Vec<_> = ids.iter().step_by(MANY / USED).collect();
    let tokens: Vec<_> = used.iter().map(|id| tokens_of(&server, id)).collect();
    at(DAY - 1);
    assert_eq!(store.sweep(server.now(), usize::MAX), 0);
    at(DAY);
    let mut bites = Vec::new();
    while bites.last() != Some(&0) {
        bites.push(store.sweep(server.now(), BITE));
    }
    let unused = MANY - USED;
    assert_eq!(
        (bites.len(), bites[0], bites.iter().sum::<usize>()),
        (unused.div_ceil(BITE) + 1, BITE, unused)
    );
    assert_eq!((store.counts().clients, store.counts().grants), (USED as u64, USED as u64));
    assert!(
        used.iter().all(|id| Store::client(&store, id).unwrap().is_some()),
        "exactly the used clients remain"
    );
    for (id, tokens) in used.iter().zip(&tokens) {
        let refresh = Params::refresh(tokens.refresh()).set("client_id", id).encode();
        assert_eq!(server.token(&form(&refresh)).answered(server.policy()).status, 200);
    }
    at(60 * DAY);
    assert_eq!(store.sweep(server.now(), usize::MAX), 2 * USED);
    assert_eq!((store.counts().clients, store.counts().grants), (0, 0));
}

/// Runs a whole flow of this client, and returns its tokens.
fn tokens_of(server: &Server<&MemoryStore>, id: &str) -> Granted {
    let query = ask(id).encode();
    let incoming = RequestParts {
        method: "GET",
        query: query.as_bytes(),
        authorization: Authorization::None,
        ..RequestParts::default()
    };
    let AuthorizationStep::NeedsConsent(page) = server.authorize(&incoming, Some(ALICE)).unwrap()
    else {
        panic!("{id}")
    };
    let redirect = server.consent(&page.ticket(), ALICE, Choice::Allow).outcome().expect("allowed");
    let redeem = Params::redeem(&code_in(&redirect.into_location())).set("client_id", id).encode();
    Granted::of(&server.token(&form(&redeem)).answered(server.policy()))
}
