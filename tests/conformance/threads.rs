//! Tests of `OnThreads`: a dropped call runs to its end, and a call that does not end is an error.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;

use grantcore::blocking::{self, OnThreads, Ready, ThreadError, Work};
use grantcore::event::{Durability, Event};
use grantcore::grant::Grant;
use grantcore::store::{Commit, Keys, StoreAdministration, Stored, Write};
use grantcore::value::GrantId;
use grantcore::{
    AlwaysActive, AuthorizationStep, Client, MemoryStore, Policy, RequestParts, Server, Store,
    Timestamp, User,
};

fn client() -> Client {
    Client::public("app").redirect_uri("https://app.example/cb").build().unwrap()
}

/// An authorization request of the client.
const ASK: &[u8] = b"response_type=code&client_id=app\
    &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

fn policy() -> Policy {
    Policy::builder("https://auth.example")
        .scope("notes", "Read notes")
        .default_scope("notes")
        .resource("https://mcp.example/mcp", "notes")
        .build()
        .unwrap()
}

fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A store whose commits panic, or wait for a sign.
#[derive(Default)]
struct Slow {
    inner: MemoryStore,
    panics: bool,
    /// What a commit sends when it begins, and what it then waits for.
    signs: Option<Mutex<(mpsc::Sender<()>, mpsc::Receiver<()>)>>,
}

impl blocking::Store for Slow {
    type Error = std::convert::Infallible;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Self::Error> {
        blocking::Store::client(&self.inner, id)
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Self::Error> {
        blocking::Store::grant(&self.inner, id)
    }

    fn commit(&self, write: &Write) -> Result<Commit, Self::Error> {
        assert!(!self.panics, "the database panics on purpose");
        if let Some(signs) = &self.signs {
            let (begun, go) = &*signs.lock().unwrap();
            begun.send(()).unwrap();
            go.recv().unwrap();
        }
        blocking::Store::commit(&self.inner, write)
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Self::Error> {
        blocking::Store::grants_of(&self.inner, subject, after, limit)
    }
}

fn new_thread(work: Work) {
    drop(thread::spawn(work));
}

#[test]
fn store_06_a_call_that_panics_is_an_error_and_the_next_one_works() {
    let store = OnThreads::new(Slow { panics: true, ..Slow::default() }, new_thread);
    let result = wait(store.commit(&Write::client(None, client())));
    assert!(matches!(result, Err(ThreadError::Panicked)), "{result:?}");
    assert_eq!(wait(store.client("app")).unwrap(), None);
}

#[test]
fn store_06_a_call_that_the_pool_drops_is_an_error() {
    // At once, as a runtime that has been shut down does.
    let store = OnThreads::new(MemoryStore::new(), drop);
    let result = wait(store.add_client(client()));
    assert!(matches!(result, Err(ThreadError::Stopped)), "{result:?}");
    // Later, with a caller that waits.
    let queue = Arc::new(Mutex::new(Vec::new()));
    let pool = Arc::clone(&queue);
    let store = OnThreads::new(MemoryStore::new(), move |work| pool.lock().unwrap().push(work));
    let mut call = pin!(store.client("app"));
    let result = wait(poll_fn(|context| {
        let polled = call.as_mut().poll(context);
        queue.lock().unwrap().clear();
        polled
    }));
    assert!(matches!(result, Err(ThreadError::Stopped)), "{result:?}");
}

#[test]
fn store_06_the_own_error_of_the_store_reaches_the_host() {
    #[derive(Debug, thiserror::Error)]
    #[error("the disk is full")]
    struct Full;
    let store = OnThreads::new((), new_thread);
    let result = wait(store.call(|()| Err::<(), _>(Full)));
    let error = result.unwrap_err();
    assert!(matches!(error, ThreadError::Failed(Full)));
    assert_eq!(error.to_string(), "the disk is full");
}

#[test]
fn i45_a_dropped_call_runs_to_its_end_and_its_event_says_unknown() {
    let (go, awaited) = mpsc::channel();
    let (begins, begun) = mpsc::channel();
    let slow = Slow { signs: Some(Mutex::new((begins, awaited))), ..Slow::default() };
    slow.inner.add_client(client());
    let store = OnThreads::new(slow, new_thread);
    let events = Arc::new(Mutex::new(Vec::<Event>::new()));
    let log = Arc::clone(&events);
    let server = Server::new(policy(), store, AlwaysActive)
        .with_observer(move |event| log.lock().unwrap().push(event.clone()));
    let request = RequestParts { method: "GET", query: ASK, ..RequestParts::default() };
    let alice = User::new("alice", b"the session of a browser").unwrap();
    {
        // The caller hangs up while the write waits.
        let mut call = pin!(server.authorize(&request, Some(alice)));
        while begun.try_recv().is_err() {
            let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(polled, Poll::Pending));
            thread::yield_now();
        }
    }
    let event = events.lock().unwrap().pop().unwrap();
    assert_eq!(event.written.unwrap().durability, Durability::Unknown);
    assert_eq!(wait(server.store().grants_of("alice", None, 9)).unwrap(), []);
    // The write is made although nobody waits for it.
    go.send(()).unwrap();
    let flow = event.flow.unwrap();
    let found = || wait(server.store().load(&Keys::of_grant(flow))).unwrap().grant;
    while found().is_none() {
        thread::yield_now();
    }
    // A caller that stays gets its page.
    go.send(()).unwrap();
    let step = wait(server.authorize(&request, Some(alice))).unwrap();
    assert!(matches!(step, AuthorizationStep::NeedsConsent(_)));
}

/// What a store lists and drops is the same behind a wrapper.
#[test]
fn store_06_behind_a_wrapper_the_administration_is_that_of_the_store() {
    async fn lists(store: &impl StoreAdministration) -> String {
        let clients = store.clients(None, 10).await.ok();
        let grants = store.grants(None, 10).await.ok();
        let marks = store.marks(None, 10).await.ok();
        format!("{clients:?} {grants:?} {marks:?} {:?}", store.counts().await.ok())
    }
    let store = Arc::new(MemoryStore::new());
    assert!(wait(StoreAdministration::add_client(&*store, client())).unwrap());
    let server = Server::new(policy(), Arc::clone(&store), AlwaysActive);
    let request = RequestParts { method: "GET", query: ASK, ..RequestParts::default() };
    let alice = User::new("alice", b"the session of a browser").unwrap();
    for _ in 0..3 {
        drop(wait(server.authorize(&request, Some(alice))).unwrap());
    }
    let own = wait(lists(&store));
    assert!(own.contains("clients: 1") && own.contains("grants: 3"), "{own}");
    let ready = Ready(Arc::clone(&store));
    let on_threads = OnThreads::new(Arc::clone(&store), new_thread);
    assert_eq!(wait(lists(&ready)), own);
    assert_eq!(wait(lists(&on_threads)), own);
    let end = Timestamp::from_unix_seconds(u64::MAX / 2);
    assert_eq!(wait(StoreAdministration::sweep(&ready, end, 1)).unwrap(), 1);
    assert_eq!(wait(on_threads.sweep(end, 10)).unwrap(), 2);
    assert!(wait(lists(&store)).contains("grants: 0"));
}
