//! Tests of I48 and TOKEN-15: parallel requests guess no more secrets than sequential ones.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use grantcore::blocking::{Server, Store};
use grantcore::client::StoredSecret;
use grantcore::grant::Grant;
use grantcore::operation::Loaded;
use grantcore::policy::{IntrospectionRules, Limits, PolicyBuilder, RevocationRules};
use grantcore::store::{Commit, Keys, Stored, Write};
use grantcore::value::{GrantId, SecretMethod};
use grantcore::{AlwaysActive, Client, MemoryStore, RequestParts, Timestamp};

use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::{Answered, MCP, SECRET, T, policy, seeded, web};

/// The endpoint at which a client sends its secret.
#[derive(Clone, Copy, Debug)]
enum At {
    Token,
    Revoke,
    Introspect,
}

const ALL: [At; 3] = [At::Token, At::Revoke, At::Introspect];

/// A store whose loads suspend once, so that any number of requests pass the limits before the
/// first of them is decided.
struct Suspended(MemoryStore);

impl grantcore::Store for Suspended {
    type Error = Infallible;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Infallible> {
        Store::client(&self.0, id)
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Infallible> {
        Store::grant(&self.0, id)
    }

    async fn commit(&self, write: &Write) -> Result<Commit, Infallible> {
        Store::commit(&self.0, write)
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Infallible> {
        Store::grants_of(&self.0, subject, after, limit)
    }

    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded, Infallible> {
        let mut is_first = true;
        std::future::poll_fn(|_| {
            if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        Store::load(&self.0, keys)
    }
}

/// Returns the policy of these tests, which limits guesses only.
fn rules() -> PolicyBuilder {
    policy()
        .revocation(RevocationRules::default())
        .introspection(IntrospectionRules::default().with_resource_server("web", MCP))
        .limits(Limits::default().with_token_requests_per_minute(u32::MAX))
}

fn server(policy: PolicyBuilder, client: Client) -> grantcore::Server<Suspended, AlwaysActive> {
    let store = MemoryStore::default();
    store.put_client(client);
    let now = || Timestamp::from_unix_seconds(T);
    grantcore::Server::with_sources(
        policy.build().unwrap(),
        Suspended(store),
        AlwaysActive,
        now,
        seeded(1),
    )
}

fn body(at: At, secret: &str) -> String {
    let params = match at {
        At::Token => Params::refresh("x"),
        At::Revoke | At::Introspect => Params(Vec::new()).set("token", "x"),
    };
    params.set("client_id", "web").set("client_secret", secret).encode()
}

/// Sends one request, and returns its status.
async fn status(server: &grantcore::Server<Suspended, AlwaysActive>, at: At, secret: &str) -> u16 {
    let body = body(at, secret);
    let incoming: RequestParts<'_> = form(&body);
    let reply = match at {
        At::Token => server.token(&incoming).await,
        At::Revoke => server.revoke(&incoming).await,
        At::Introspect => server.introspect(&incoming).await,
    };
    reply.answered(server.policy()).status
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = poll(future.as_mut()) {
            return output;
        }
    }
}

/// Sends requests with these secrets. All of them are under way before the first is decided.
fn in_parallel(
    server: &grantcore::Server<Suspended, AlwaysActive>,
    at: At,
    secrets: &[&str],
) -> Vec<u16> {
    let calls = secrets.iter().map(|secret| Box::pin(status(server, at, secret)));
    let mut calls: Vec<_> = calls.collect();
    assert!(calls.iter_mut().all(|call| poll(call.as_mut()).is_pending()));
    calls.into_iter().map(finish).collect()
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|own| **own == status).count()
}

#[test]
fn i48_parallel_guesses_do_not_exceed_the_limit() {
    static HASHED: AtomicUsize = AtomicUsize::new(0);
    let verify = |secret: &[u8], _: &str| {
        HASHED.fetch_add(1, Ordering::SeqCst);
        secret == SECRET.as_bytes()
    };
    for at in ALL {
        let slow = StoredSecret::SlowHash("hash".into());
        let client = Client::confidential("web", SecretMethod::Post, slow);
        let client = client.redirect_uri("https://web.example/cb").build().unwrap();
        let server = server(rules().slow_hash(verify, "dummy"), client);
        HASHED.store(0, Ordering::SeqCst);
        let statuses = in_parallel(&server, at, &["guess"; 50]);
        assert_eq!((count(&statuses, 401), count(&statuses, 429)), (10, 40), "{at:?}");
        assert_eq!(HASHED.load(Ordering::SeqCst), 10, "{at:?}: what is not decided is not hashed");
    }
}

/// An unknown client id is limited as a known one, because the limit must not show which clients
/// exist.
#[test]
fn i48_parallel_guesses_at_an_unknown_client_do_not_exceed_the_limit() {
    for at in ALL {
        let server = server(rules(), crate::support::app());
        let statuses = in_parallel(&server, at, &["guess"; 50]);
        assert_eq!((count(&statuses, 401), count(&statuses, 429)), (10, 40), "{at:?}");
    }
}

/// Among guesses, the right secret is refused like them. Otherwise the one response that differs
/// would reveal the secret among any number of parallel guesses.
#[test]
fn i48_beyond_the_limit_the_right_secret_is_refused_like_a_guess() {
    for at in ALL {
        let server = server(rules(), web());
        let mut secrets = ["guess"; 50];
        secrets[30] = SECRET;
        let statuses = in_parallel(&server, at, &secrets);
        assert_eq!((count(&statuses, 401), count(&statuses, 429)), (10, 40), "{at:?}");
    }
}

#[test]
fn i48_right_secrets_do_not_count_as_guesses() {
    for at in ALL {
        let server = server(rules(), web());
        let right = in_parallel(&server, at, &[SECRET; 50]);
        assert_eq!(count(&right, 429) + count(&right, 401), 0, "{at:?}: {right:?}");
        for _ in 0..50 {
            assert!(matches!(finish(status(&server, at, SECRET)), 200 | 400), "{at:?}");
        }
        for _ in 0..9 {
            assert_eq!(finish(status(&server, at, "guess")), 401, "{at:?}");
        }
        assert!(matches!(finish(status(&server, at, SECRET)), 200 | 400), "{at:?}");
        assert_eq!(finish(status(&server, at, "guess")), 401, "{at:?}");
        assert_eq!(finish(status(&server, at, SECRET)), 429, "{at:?}");
    }
}

/// A caller that disconnects before the decision has learned nothing and has no effect.
#[test]
fn i48_calls_dropped_before_their_decision_do_not_count_as_guesses() {
    for at in ALL {
        let server = server(rules(), web());
        for _ in 0..50 {
            assert!(poll(pin!(status(&server, at, "guess"))).is_pending());
        }
        assert!(matches!(finish(status(&server, at, SECRET)), 200 | 400), "{at:?}");
        let statuses = in_parallel(&server, at, &["guess"; 50]);
        assert_eq!((count(&statuses, 401), count(&statuses, 429)), (10, 40), "{at:?}");
    }
}

/// A request that is refused before its decision takes no place in the window of token requests.
#[test]
fn rate_03_a_request_that_is_throttled_at_its_decision_takes_no_place() {
    let server =
        server(rules().limits(Limits::default().with_token_requests_per_minute(12)), web());
    let statuses = in_parallel(&server, At::Token, &["guess"; 12]);
    assert_eq!((count(&statuses, 401), count(&statuses, 429)), (10, 2));
    let without_secret = || {
        let body = Params::refresh("x").set("client_id", "web").encode();
        finish(server.token(&form(&body))).answered(server.policy()).status
    };
    assert_eq!([(); 3].map(|()| without_secret()), [401, 401, 429]);
}

/// A store whose loads wait for each other.
struct Together(MemoryStore, Barrier);

impl Store for Together {
    type Error = Infallible;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Infallible> {
        Store::client(&self.0, id)
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Infallible> {
        Store::grant(&self.0, id)
    }

    fn commit(&self, write: &Write) -> Result<Commit, Infallible> {
        Store::commit(&self.0, write)
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Infallible> {
        Store::grants_of(&self.0, subject, after, limit)
    }

    fn load(&self, keys: &Keys<'_>) -> Result<Loaded, Infallible> {
        let loaded = Store::load(&self.0, keys);
        self.1.wait();
        loaded
    }
}

#[test]
fn i48_guesses_of_many_threads_do_not_exceed_the_limit() {
    const THREADS: usize = 40;
    for at in ALL {
        let store = MemoryStore::default();
        store.put_client(web());
        let now = || Timestamp::from_unix_seconds(T);
        let store = Together(store, Barrier::new(THREADS));
        let server =
            Server::with_sources(rules().build().unwrap(), store, AlwaysActive, now, seeded(1));
        let guess = || {
            let body = body(at, "guess");
            let reply = match at {
                At::Token => server.token(&form(&body)),
                At::Revoke => server.revoke(&form(&body)),
                At::Introspect => server.introspect(&form(&body)),
            };
            reply.answered(server.policy()).status
        };
        let statuses: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(guess)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!((count(&statuses, 401), count(&statuses, 429)), (10, THREADS - 10), "{at:?}");
    }
}
