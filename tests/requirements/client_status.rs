//! Tests of CLIENT-21 and -22: clients that an administrator deactivates, and suspended accounts of
//! the user or of the client's owner.

use grantcore::client::ClientStatus;
use grantcore::event::EventKind;
use grantcore::operation::{Loaded, Operation};
use grantcore::request::AccessCheck;
use grantcore::store::Commit;
use grantcore::value::Subject;
use grantcore::{Account, Authorization, Choice, Client, Reason, Reply, Timestamp};
use serde_json::json;

use crate::support::clients::{ask, metadata};
use crate::support::params::Params;
use crate::support::refused::{assert_page, assert_redir, refused, wire};
use crate::support::steps::DAY;
use crate::support::store::Fault;
use crate::support::{CALLBACK, Granted, Outcome, World, app, entropy, needs, param};

/// Everything that a client can hold: a page, a code and tokens.
struct Held {
    ticket: String,
    code: String,
    tokens: Granted,
}

impl Held {
    fn of(world: &World) -> Self {
        let ticket = world.page(&Params::authorize()).ticket();
        let code = world.code(&Params::authorize());
        Self { ticket, code, tokens: world.tokens() }
    }

    /// Asserts that all of it works.
    #[track_caller]
    fn assert_works(self, world: &World) {
        assert!(world.works(&self.tokens.access));
        assert!(world.works(&world.refreshed(self.tokens.refresh()).access));
        assert!(world.works(&Granted::of(&world.token(&Params::redeem(&self.code))).access));
        let location = world.decide(&self.ticket, Choice::Allow).unwrap().into_location();
        assert!(world.works(
            &Granted::of(&world.token(&Params::redeem(&param(&location, "code").unwrap()))).access
        ));
        world.page(&Params::authorize());
    }
}

fn set(world: &World, id: &str, status: ClientStatus) {
    world.server.set_client_status(id, status).outcome().expect("a client of this id");
}

fn status(world: &World) -> ClientStatus {
    world.client("app").unwrap().status()
}

#[test]
fn client_21_a_deactivated_client_is_refused_everywhere_at_once() {
    let world = World::new();
    let held = Held::of(&world);
    set(&world, "app", ClientStatus::Deactivated);
    let deactivated = Reason::ClientDeactivated;
    assert_page(&world, &refused(&world, &Params::authorize()), 400, "invalid_client", deactivated);
    for choice in [Choice::Allow, Choice::Deny] {
        let refusal = world.decide(&held.ticket, choice).expect_err("deactivated");
        assert_page(&world, &refusal, 400, "invalid_client", deactivated);
    }
    world.refused(&Params::redeem(&held.code), 401, "invalid_client", deactivated);
    world.refused(&Params::refresh(held.tokens.refresh()), 401, "invalid_client", deactivated);
    world.dead(&held.tokens.access, deactivated);
    set(&world, "app", ClientStatus::Active);
    held.assert_works(&world);
}

/// The responses are equal byte for byte.
#[test]
fn client_21_a_deactivated_client_looks_unknown() {
    let answers = |id: &str| -> Vec<Reply> {
        let world = World::new();
        world.put(Client::public("gone").redirect_uri(CALLBACK).build().unwrap());
        set(&world, "gone", ClientStatus::Deactivated);
        let page = refused(&world, &ask(id)).reply(world.server.policy());
        let asks = [
            Params::redeem("gac_x"),
            Params::refresh("grt_x"),
            Params::refresh("x").set("client_secret", "s"),
        ];
        let tokens = asks.map(|ask| world.token(&ask.set("client_id", id)));
        let registration = world.manage("GET", id, "grg_x", &json!({}));
        tokens.into_iter().chain([page, registration]).collect()
    };
    let [gone, never] = ["gone", "never"].map(answers);
    assert_eq!(gone.len(), 5);
    for (gone, never) in gone.iter().zip(&never) {
        assert_eq!(wire(gone), wire(never));
    }
}

#[test]
fn client_21_registering_again_gives_a_new_client_that_works() {
    let world = World::open();
    let first = world.registered(&metadata());
    let id = first["client_id"].as_str().unwrap();
    let token = first["registration_access_token"].as_str().unwrap();
    let tokens = world.tokens_of(id);
    set(&world, id, ClientStatus::Deactivated);
    for (method, sent) in [("GET", json!({})), ("PUT", metadata()), ("DELETE", json!({}))] {
        assert_eq!(
            world.manage(method, id, token, &sent).status,
            401,
            "{method}: it cannot help itself"
        );
    }
    assert_eq!(world.client(id).unwrap().status(), ClientStatus::Deactivated);
    let again = world.registered(&metadata());
    let new = again["client_id"].as_str().unwrap();
    assert_ne!(new, id);
    assert!(world.works(&world.tokens_of(new).access));
    world.dead(&tokens.access, Reason::ClientDeactivated);
}

#[test]
fn client_21_the_status_of_an_unknown_client_cannot_be_set() {
    let world = World::new();
    for id in ["nobody", "", "https://client.example/c", "\n"] {
        for status in [ClientStatus::Deactivated, ClientStatus::Active] {
            let refusal =
                world.server.set_client_status(id, status).outcome().expect_err("there is none");
            assert_eq!(
                (refusal.reason(), world.reason()),
                (Reason::ClientUnknown, Some(Reason::ClientUnknown))
            );
            assert_eq!((world.store.commits(), world.client(id)), (0, None), "{id}");
        }
    }
}

#[test]
fn client_21_deactivating_twice_changes_nothing() {
    let world = World::new();
    let first = world.client("app");
    set(&world, "app", ClientStatus::Active);
    assert_eq!((world.store.commits(), world.client("app")), (0, first.clone()));
    for (status, commits) in [
        (ClientStatus::Deactivated, 1),
        (ClientStatus::Deactivated, 1),
        (ClientStatus::Active, 2),
        (ClientStatus::Active, 2),
    ] {
        set(&world, "app", status);
        assert_eq!(world.store.commits(), commits);
    }
    assert_eq!(world.client("app"), first, "the record is unchanged");
    let kinds: Vec<_> = world
        .events()
        .iter()
        .map(|event| (event.kind, event.client.clone().unwrap().as_str().to_owned()))
        .collect();
    let [off, on] = [EventKind::ClientDeactivated, EventKind::ClientReactivated]
        .map(|kind| (kind, "app".to_owned()));
    assert_eq!(kinds, [on.clone(), off.clone(), off, on.clone(), on]);
}

#[test]
fn client_21_a_deactivation_is_reported_once_it_is_durable() {
    for (fault, after) in
        [(Fault::Dropped, ClientStatus::Active), (Fault::Unacknowledged, ClientStatus::Deactivated)]
    {
        let world = World::new();
        world.store.fail([fault]);
        let failure = world
            .server
            .set_client_status("app", ClientStatus::Deactivated)
            .expect_err("the store fails");
        assert_eq!(
            (failure.refusal().status(), failure.refusal().reason()),
            (503, Reason::StorageUnavailable)
        );
        assert_eq!((status(&world), world.reason()), (after, Some(Reason::StorageUnavailable)));
    }
    for fault in [Fault::Conflict, Fault::AppliedThenConflict] {
        let world = World::new();
        world.store.fail([fault; 3]);
        set(&world, "app", ClientStatus::Deactivated);
        assert_eq!(status(&world), ClientStatus::Deactivated, "{fault:?}");
    }
    let world = World::new();
    world.store.fail([Fault::Conflict; 4]);
    let refusal = world
        .server
        .set_client_status("app", ClientStatus::Deactivated)
        .outcome()
        .expect_err("it is not done");
    assert_eq!((refusal.reason(), status(&world)), (Reason::Contended, ClientStatus::Active));
}

/// If the record was dropped, a client whose id is a URL could return.
#[test]
fn client_21_a_deactivated_record_is_never_dropped() {
    let world = World::open();
    let id = world.registered(&metadata())["client_id"].as_str().unwrap().to_owned();
    assert_eq!(world.client(&id).unwrap().drop_after().seconds_from(world.now()), DAY);
    set(&world, &id, ClientStatus::Deactivated);
    assert_eq!(world.client(&id).unwrap().drop_after(), Timestamp::NEVER);
    for at in [DAY, 400 * DAY] {
        world.at(at);
        assert_eq!(world.store.inner.sweep(world.now(), usize::MAX), 0);
        assert_page(
            &world,
            &refused(&world, &ask(&id)),
            400,
            "invalid_client",
            Reason::ClientDeactivated,
        );
    }
    set(&world, &id, ClientStatus::Active);
    assert_page(&world, &refused(&world, &ask(&id)), 400, "invalid_client", Reason::ClientUnknown);
    assert_eq!(
        (world.store.inner.sweep(world.now(), usize::MAX), world.client(&id)),
        (1, None),
        "the client had expired"
    );
}

/// Returns a world whose client `app` belongs to carol.
fn owned() -> World {
    let world = World::new();
    world.put(app().edit().owner(Subject::new("carol")).build().unwrap());
    world
}

#[test]
fn client_22_the_connections_of_a_suspended_account_do_not_work() {
    for (subject, reason) in
        [("alice", Reason::AccountSuspended), ("carol", Reason::OwnerSuspended)]
    {
        let world = owned();
        let held = Held::of(&world);
        world.store.suspend(subject, true);
        let commits = world.store.commits();
        let grants = world.grants();
        assert_redir(&world, &refused(&world, &Params::authorize()), "access_denied", reason);
        for choice in [Choice::Allow, Choice::AllowOnly("read")] {
            let refusal = world.decide(&held.ticket, choice).expect_err("suspended");
            assert_redir(&world, &refusal, "access_denied", reason);
        }
        world.invalid_grant(&Params::redeem(&held.code), reason);
        world.invalid_grant(&Params::refresh(held.tokens.refresh()), reason);
        world.dead(&held.tokens.access, reason);
        assert_eq!(
            (world.store.commits(), world.grants()),
            (commits, grants),
            "the records are unchanged"
        );
        world.store.suspend(subject, false);
        held.assert_works(&world);
    }
}

#[test]
fn client_22_a_suspension_neither_revives_nor_extends_a_grant() {
    let world = owned();
    let held = Held::of(&world);
    world.store.suspend("carol", true);
    world.at(3600);
    world.store.suspend("carol", false);
    world.dead(&held.tokens.access, Reason::TokenExpired);
    world.invalid_grant(&Params::redeem(&held.code), Reason::CodeExpired);
    let next = world.refreshed(held.tokens.refresh());
    world.store.suspend("alice", true);
    world.invalid_grant(&Params::refresh(held.tokens.refresh()), Reason::RefreshReused);
    world.store.suspend("alice", false);
    world.dead(&next.access, Reason::TokenRevoked);
}

#[test]
fn client_22_a_suspended_user_may_deny() {
    for subject in ["alice", "carol"] {
        let world = owned();
        let ticket = world.page(&Params::authorize()).ticket();
        world.store.suspend(subject, true);
        let refusal = world.decide(&ticket, Choice::Deny).expect_err("denied");
        assert_redir(&world, &refusal, "access_denied", Reason::AccessDenied);
        world.store.suspend(subject, false);
        assert_page(
            &world,
            &world.decide(&ticket, Choice::Allow).unwrap_err(),
            400,
            "consent_used",
            Reason::ConsentUsed,
        );
    }
}

#[test]
fn client_22_other_accounts_are_not_affected() {
    let world = owned();
    world.store.suspend("mallory", true);
    Held::of(&world).assert_works(&world);
    world.store.suspend("carol", true);
    let code = world.code(&Params::authorize().by_web());
    let tokens = Granted::of(&world.token(&Params::redeem(&code).by_web()));
    assert!(world.works(&tokens.access), "she does not own that client");
}

/// An account that the host does not know is not active.
#[test]
fn client_22_a_deleted_account_is_not_active() {
    let world = owned();
    let tokens = world.tokens();
    let header = format!("Bearer {}", tokens.access);
    let needs = needs(world.server.policy(), 0, "");
    let check = AccessCheck::parse(&Authorization::One(header.as_bytes()), &needs).unwrap();
    let moment = world.moment(entropy(3));
    let found = grantcore::blocking::Store::load(
        &*world.store,
        &check.keys(world.server.policy(), &moment),
    )
    .unwrap();
    let reason = |loaded: &Loaded| {
        let decision = check.decide(loaded, world.server.policy(), &moment);
        decision.settle(Commit::Done).unwrap().outcome.err().map(|refusal| refusal.reason())
    };
    let suspended = Some(Account { suspended: true, ..Account::ACTIVE });
    assert_eq!(reason(&found), None);
    assert_eq!(reason(&Loaded { owner: None, ..found.clone() }), Some(Reason::OwnerSuspended));
    assert_eq!(reason(&Loaded { owner: suspended, ..found.clone() }), Some(Reason::OwnerSuspended));
    assert_eq!(
        reason(&Loaded { account: suspended, ..found.clone() }),
        Some(Reason::AccountSuspended)
    );
    assert_eq!(
        reason(&Loaded { account: None, ..found.clone() }),
        Some(Reason::TokenRevoked),
        "an unknown account has no epoch"
    );
    assert_eq!(reason(&Loaded { client: None, ..found }), Some(Reason::TokenRevoked));
}

/// The reason is in the note of the event, also if the client had the status before.
#[test]
fn client_21_the_reason_of_an_administrator_is_in_the_event() {
    let world = World::new();
    for (status, note) in [
        (ClientStatus::Deactivated, "lost its signing key"),
        (ClientStatus::Deactivated, "twice\n"),
        (ClientStatus::Active, ""),
    ] {
        world.server.set_client_status_noted("app", status, note).unwrap();
        let event = world.events().pop().unwrap();
        assert_eq!(event.note.as_deref(), Some(note.escape_default().to_string()).as_deref());
    }
    world.server.set_client_status("app", ClientStatus::Deactivated).unwrap();
    assert_eq!(world.events().pop().unwrap().note, None);
}
