//! Tests of L1: conflicts, and the end of retries.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grantcore::blocking::{Server, Store};
use grantcore::grant::Grant;
use grantcore::policy::{RegistrationRules, RevocationRules};
use grantcore::store::{Commit, Stored, Write};
use grantcore::value::GrantId;
use grantcore::{Authorization, Choice, Client, MemoryStore, RequestParts, RevokedBy, Timestamp};

use crate::support::clients::{metadata, posting};
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::store::{Broken, Fault};
use crate::support::{ALICE, Answered, T, World, policy, seeded};

/// The attempts of one request (`docs/decisions.md`, the driver).
const ATTEMPTS: usize = 4;

type Send = Box<dyn Fn(&World) -> Result<(), grantcore::Error<Broken>>>;

/// Prepares a request.
type Prepare = fn(&World) -> Send;

/// Every kind of request that writes, after its preparation.
fn writers() -> Vec<(&'static str, Prepare)> {
    fn token(params: Params) -> Send {
        Box::new(move |world| world.try_token(&params, Authorization::None).map(drop))
    }
    fn consent(world: &World, choice: Choice<'static>) -> Send {
        let ticket = world.page(&Params::authorize()).ticket();
        Box::new(move |world| world.server.consent(&ticket, ALICE, choice).map(drop))
    }
    vec![
        ("authorize", |_| {
            Box::new(|world| world.try_authorize(&Params::authorize(), Some(ALICE)).map(drop))
        }),
        ("allow", |world| consent(world, Choice::Allow)),
        ("redeem", |world| token(Params::redeem(&world.code(&Params::authorize())))),
        ("refresh", |world| token(Params::refresh(world.tokens().refresh()))),
        ("revoke", |world| {
            let params = Params::refresh("").without("grant_type").without("refresh_token");
            let body = params.and("token", world.tokens().refresh()).encode();
            Box::new(move |world| world.server.revoke(&form(&body)).map(drop))
        }),
        ("register", |_| {
            Box::new(|world| {
                let body = metadata().to_string();
                world.server.register(&posting(body.as_bytes())).map(drop)
            })
        }),
        ("update", |world| {
            let own = world.own(&metadata());
            Box::new(move |world| {
                let header = format!("Bearer {}", own.token);
                let mut update = own.update(metadata());
                update["client_name"] = "Another".into();
                let body = update.to_string();
                let authorization = Authorization::One(header.as_bytes());
                let request =
                    RequestParts { method: "PUT", authorization, ..posting(body.as_bytes()) };
                world.server.manage(&own.id, &request).map(drop)
            })
        }),
        ("end a connection", |world| {
            world.tokens();
            let grant = world.only_grant().id();
            Box::new(move |world| world.server.revoke_connection("alice", grant))
        }),
        ("end a client's grants", |_| {
            Box::new(|world| world.server.revoke_client("app", RevokedBy::Administrator("because")))
        }),
    ]
}

/// Returns every record with its version.
fn records(world: &World) -> String {
    let grants = world.store.inner.grants(None, usize::MAX);
    let grants: Vec<_> = grants
        .iter()
        .map(|stored| (stored.version.0, serde_json::to_string(&*stored.record).unwrap()))
        .collect();
    let clients = world.store.inner.clients(None, usize::MAX);
    let clients: Vec<_> = clients
        .iter()
        .map(|stored| (stored.version.0, serde_json::to_string(&*stored.record).unwrap()))
        .collect();
    format!("{grants:?}{clients:?}")
}

/// Below the bound a request succeeds as without the conflicts. At the bound it answers that it may
/// be sent again, and has had no effect: the same request then succeeds.
#[test]
fn l1_retries_are_bounded_and_end_without_an_effect() {
    for (name, prepare) in writers() {
        for conflicts in 0..=ATTEMPTS + 2 {
            let world = World::with(
                policy()
                    .revocation(RevocationRules::default())
                    .registration(RegistrationRules::default()),
            );
            let send = prepare(&world);
            let before = records(&world);
            let commits = world.store.commits();
            world.store.fail(vec![Fault::Conflict; conflicts]);
            let answer = send(&world);
            world.store.faults.lock().unwrap().clear();
            let tried = world.store.commits() - commits;
            assert_eq!(tried, ATTEMPTS.min(conflicts + 1), "{name} after {conflicts} conflicts");
            if conflicts < ATTEMPTS {
                assert!(answer.is_ok(), "{name} after {conflicts} conflicts: {answer:?}");
                assert_ne!(records(&world), before, "{name}");
                continue;
            }
            let reply = answer.expect_err("it gives up").reply(world.server.policy());
            let text = format!("{:?} {}", reply.headers, reply.body);
            assert!(text.contains("temporarily_unavailable"), "{name}: {text}");
            let has_time = reply.header("retry-after").is_some();
            assert!(reply.status == 303 || reply.status == 503 && has_time, "{name}: {text}");
            assert_eq!(records(&world), before, "{name}: it had no effect");
            assert!(send(&world).is_ok(), "{name} succeeds when it is sent again");
        }
    }
}

/// The reference store. It checks at each conflict that the record is no longer what the request
/// had read.
#[derive(Default)]
struct Watched {
    inner: MemoryStore,
    done: AtomicUsize,
    conflicts: AtomicUsize,
    without_progress: AtomicUsize,
}

impl Store for &Watched {
    type Error = std::convert::Infallible;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Self::Error> {
        Store::client(&self.inner, id)
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Self::Error> {
        Store::grant(&self.inner, id)
    }

    fn commit(&self, write: &Write) -> Result<Commit, Self::Error> {
        let commit = Store::commit(&self.inner, write)?;
        if commit == Commit::Done {
            self.done.fetch_add(1, Ordering::SeqCst);
            return Ok(commit);
        }
        self.conflicts.fetch_add(1, Ordering::SeqCst);
        let change = write.as_grant().expect("only grants are written");
        let stored = Store::grant(&self.inner, change.id())?;
        if stored.map(|stored| stored.version) == change.seen() {
            self.without_progress.fetch_add(1, Ordering::SeqCst);
        }
        Ok(commit)
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Self::Error> {
        Store::grants_of(&self.inner, subject, after, limit)
    }
}

/// Several threads refresh one grant at once. Whoever is in conflict finds a newer record,
/// and in each round somebody gets an answer.
#[test]
fn l1_a_conflict_means_that_somebody_else_made_progress() {
    let mut conflicts = 0;
    for round in 0..60 {
        let watched = Watched::default();
        watched.inner.put_client(crate::support::app());
        let server = Server::with_sources(
            policy().replay_window(Duration::from_secs(30)).build().unwrap(),
            &watched,
            &watched.inner,
            || Timestamp::from_unix_seconds(T),
            seeded(round),
        );
        let query = Params::authorize().encode();
        let request =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        let Ok(grantcore::AuthorizationStep::NeedsConsent(page)) =
            server.authorize(&request, Some(ALICE))
        else {
            panic!("a page")
        };
        let location = server.consent(&page.ticket(), ALICE, Choice::Allow).unwrap();
        let code = crate::support::param(&location.into_location(), "code").unwrap();
        let redeem = Params::redeem(&code).encode();
        let redeemed = server.token(&form(&redeem)).answered(server.policy());
        let tokens = crate::support::Granted::of(&redeemed);
        let refresh = Params::refresh(tokens.refresh()).encode();
        let barrier = Barrier::new(4);
        let send = || {
            barrier.wait();
            server.token(&form(&refresh)).answered(server.policy()).status
        };
        let statuses: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(send)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(statuses.contains(&200), "{statuses:?}");
        assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
        assert_eq!(watched.without_progress.load(Ordering::SeqCst), 0);
        assert_eq!(
            watched.done.load(Ordering::SeqCst),
            4,
            "three steps to the tokens and one refresh"
        );
        conflicts += watched.conflicts.load(Ordering::SeqCst);
    }
    println!("{conflicts} conflicts");
}
