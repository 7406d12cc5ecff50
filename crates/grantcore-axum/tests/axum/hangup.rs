//! Tests of I45 through the router: clients hang up at every point of their request, and each
//! durable write has its event.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use crate::support::browser::{Asking, Browser, field, redeem};
use crate::support::socket::{FORM, hang_up, listen, message, serve};
use crate::support::{self, CALLBACK, SOON, T, app, encode, form_request, policy, seeded};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use grantcore::audit::{AuditError, AuditPolicy};
use grantcore::event::Durability;
use grantcore::grant::Grant;
use grantcore::policy::Limits;
use grantcore::store::{Commit, Stored, Write};
use grantcore::value::GrantId;
use grantcore::{AlwaysActive, AuditLog, Client, Event, MemoryStore, Server, Store, Timestamp};
use grantcore_axum::{DemoLogin, OAuthRouter, Tasks};
use serde_json::json;
use tower::ServiceExt as _;

/// A store that suspends before and after each call, and notes what is durable.
#[derive(Default)]
struct SlowStore {
    inner: MemoryStore,
    durable: Mutex<Vec<String>>,
}

async fn suspend() {
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
}

impl Store for SlowStore {
    type Error = Infallible;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Infallible> {
        suspend().await;
        Store::client(&self.inner, id).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Infallible> {
        suspend().await;
        Store::grant(&self.inner, id).await
    }

    async fn commit(&self, write: &Write) -> Result<Commit, Infallible> {
        suspend().await;
        let commit = Store::commit(&self.inner, write).await?;
        if commit == Commit::Done {
            let name = match (write.as_grant(), write.as_client()) {
                (Some(change), _) => format!("grant {} {}", change.id(), change.version().0),
                (_, Some(change)) => {
                    format!("client {} {}", change.id().as_str(), change.version().0)
                }
                _ => panic!("a record of a new kind"),
            };
            self.durable.lock().unwrap().push(name);
        }
        suspend().await;
        Ok(commit)
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Infallible> {
        suspend().await;
        Store::grants_of(&self.inner, subject, after, limit).await
    }
}

/// A log that suspends before and after it records.
#[derive(Default)]
struct SlowLog {
    events: Mutex<Vec<Event>>,
    abandoned: AtomicUsize,
}

impl AuditLog for SlowLog {
    type Reservation = ();

    async fn record(&self, event: &Event, (): ()) -> Result<(), AuditError> {
        suspend().await;
        self.events.lock().unwrap().push(event.clone());
        suspend().await;
        Ok(())
    }

    fn abandoned(&self, _: Event) {
        self.abandoned.fetch_add(1, Ordering::SeqCst);
    }
}

struct World {
    app: Router,
    store: Arc<SlowStore>,
    log: Arc<SlowLog>,
    tasks: Tasks,
}

impl World {
    fn new() -> Self {
        let limits = Limits::default().with_consent_pages_per_minute(10_000);
        let policy = policy().limits(limits).build().unwrap();
        let store = Arc::new(SlowStore::default());
        store.inner.put_client(app());
        let log = Arc::new(SlowLog::default());
        let now = || Timestamp::from_unix_seconds(T);
        let server = Server::with_sources(policy, Arc::clone(&store), AlwaysActive, now, seeded(3));
        let server = server.without_rate_limit();
        let server = Arc::new(server.with_audit_log(Arc::clone(&log), AuditPolicy::default()));
        let tasks = Tasks::default();
        let login: DemoLogin = support::login();
        let app = OAuthRouter::new(server, login.clone()).tasks(tasks.clone()).build().unwrap();
        Self { app: app.merge(login.router()), store, log, tasks }
    }

    async fn browser(&self) -> Browser {
        let mut browser = Browser::new(&self.app);
        browser.sign_in("/", "", "alice", "alice").await;
        browser
    }

    /// Waits until all requests have ended, and compares the writes with the events.
    async fn assert_recorded(&self) {
        assert!(self.tasks.finish(SOON).await);
        assert_eq!(self.recorded(), self.durable());
        assert_eq!(self.log.abandoned.load(Ordering::SeqCst), 0, "no request was cancelled");
    }

    fn durable(&self) -> BTreeSet<String> {
        self.store.durable.lock().unwrap().iter().cloned().collect()
    }

    /// Returns the writes that events name.
    fn recorded(&self) -> BTreeSet<String> {
        let mut recorded = BTreeSet::new();
        for event in self.log.events.lock().unwrap().iter() {
            for written in event.written.iter().chain(&event.prepared) {
                assert_eq!(written.durability, Durability::Durable);
                let version = written.record.version().unwrap().0;
                let id = match written.record.name() {
                    "grant" => event.flow.unwrap().to_string(),
                    _ => event.client_id().unwrap().to_owned(),
                };
                recorded.insert(format!("{} {id} {version}", written.record.name()));
            }
        }
        recorded
    }

    fn writes(&self) -> usize {
        self.store.durable.lock().unwrap().len()
    }
}

/// Polls a request this often and drops it. Returns whether it ended before.
async fn drop_after(app: &Router, request: Request<Body>, polls: usize) -> bool {
    let mut pending = pin!(app.clone().oneshot(request));
    for _ in 0..polls {
        if pending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return true;
        }
        // The tasks that the request has begun go on.
        tokio::task::yield_now().await;
    }
    false
}

fn with_cookie(browser: &Browser, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert("cookie", browser.cookie.as_ref().unwrap().parse().unwrap());
    request
}

fn register() -> Request<Body> {
    let metadata = json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"});
    let request = Request::post("/oauth/register").header("content-type", "application/json");
    request.body(metadata.to_string().into()).unwrap()
}

/// Drops a request of a kind at its first poll, at its second, and so on to its end. `prepare`
/// makes the next request.
async fn drop_at_every_poll(world: &World, mut prepare: impl AsyncFnMut() -> Request<Body>) {
    let mut polls = 1;
    loop {
        let request = prepare().await;
        let before = world.writes();
        let has_ended = drop_after(&world.app, request, polls).await;
        world.assert_recorded().await;
        assert_eq!(world.writes(), before + 1, "the request was decided after {polls} polls");
        if has_ended {
            break;
        }
        polls += 1;
    }
    assert!(polls > 5, "the request has points to be dropped at: {polls}");
}

#[tokio::test]
async fn i45_pages_and_forms_that_are_dropped_at_any_point_are_recorded() {
    let world = World::new();
    let mut browser = world.browser().await;
    let asking = Asking::app().url();
    drop_at_every_poll(&world, async || {
        with_cookie(&browser, Request::get(&asking).body(Body::empty()).unwrap())
    })
    .await;
    for decision in ["allow", "deny"] {
        let form = async |browser: &mut Browser| {
            let page = browser.get(&asking).await.body;
            let fields = [("ticket", &*field(&page, "ticket")), ("decision", decision)];
            with_cookie(browser, form_request("/oauth/authorize/consent", &fields))
        };
        drop_at_every_poll(&world, async || form(&mut browser).await).await;
    }
}

#[tokio::test]
async fn i45_requests_of_programs_that_are_dropped_at_any_point_are_recorded() {
    let world = World::new();
    let mut browser = world.browser().await;
    let code = async |browser: &mut Browser| browser.code(&Asking::app()).await;
    let redemption = |code: &str| {
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", "app"),
            ("redirect_uri", CALLBACK),
            ("code", code),
            ("code_verifier", support::VERIFIER),
        ];
        form_request("/oauth/token", &fields)
    };
    drop_at_every_poll(&world, async || redemption(&code(&mut browser).await)).await;
    // A replay of a code ends the grant.
    drop_at_every_poll(&world, async || {
        let code = code(&mut browser).await;
        assert_eq!(support::send(&world.app, redemption(&code)).await.status, 200);
        redemption(&code)
    })
    .await;
    let token = async |browser: &mut Browser| {
        let granted = redeem(&world.app, "app", &browser.code(&Asking::app()).await).await;
        granted.json()["refresh_token"].as_str().unwrap().to_owned()
    };
    drop_at_every_poll(&world, async || {
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", "app"),
            ("refresh_token", &*token(&mut browser).await),
        ];
        form_request("/oauth/token", &fields)
    })
    .await;
    drop_at_every_poll(&world, async || {
        let token = token(&mut browser).await;
        form_request("/oauth/revoke", &[("client_id", "app"), ("token", &token)])
    })
    .await;
    drop_at_every_poll(&world, async || register()).await;
    drop_at_every_poll(&world, async || {
        let registered = support::send(&world.app, register()).await.json();
        let text = |name: &str| registered[name].as_str().unwrap().to_owned();
        let bearer = format!("Bearer {}", text("registration_access_token"));
        let path = format!("/oauth/register/{}", text("client_id"));
        let request = Request::delete(path).header("authorization", bearer);
        request.body(Body::empty()).unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i45_connections_that_are_reset_cancel_nothing() {
    const CALLS: u64 = 60;
    let world = World::new();
    let (listener, address) = listen().await;
    serve(listener, world.app.clone());
    let mut browser = world.browser().await;
    let mut calls = Vec::new();
    for number in 0..CALLS {
        let granted = redeem(&world.app, "app", &browser.code(&Asking::app()).await).await;
        let token = granted.json()["refresh_token"].as_str().unwrap().to_owned();
        let fields = match number % 3 {
            0 => encode(&[
                ("grant_type", "refresh_token"),
                ("client_id", "app"),
                ("refresh_token", &token),
            ]),
            1 => encode(&[("client_id", "app"), ("token", &token)]),
            _ => {
                let page = browser.consent_page(&Asking::app()).await;
                encode(&[("ticket", &field(&page, "ticket")), ("decision", "allow")])
            }
        };
        let path = ["/oauth/token", "/oauth/revoke", "/oauth/authorize/consent"];
        let path = path[usize::try_from(number % 3).unwrap()];
        let cookie = format!("Cookie: {}\r\n{FORM}", browser.cookie.as_ref().unwrap());
        let request = message("POST", path, address, &cookie, &fields);
        let wait = Duration::from_micros(3000 * number / CALLS);
        calls.push(tokio::spawn(async move { hang_up(address, &request, wait).await }));
    }
    for call in calls {
        call.await.unwrap();
    }
    // What was sent may not have been read yet. A write without its event stays without it.
    let recorded = async {
        while world.recorded() != world.durable() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, recorded).await.unwrap();
    assert_eq!(world.log.abandoned.load(Ordering::SeqCst), 0, "no request was cancelled");
}

/// A graceful end waits for requests whose clients have gone, and says if they did not end.
#[tokio::test(start_paused = true)]
async fn i45_finish_waits_for_the_requests_under_way() {
    let tasks = Tasks::default();
    assert!(tasks.finish(Duration::ZERO).await, "nothing is under way");
    let done = Arc::new(AtomicUsize::new(0));
    let work = |seconds: u64| {
        let done = Arc::clone(&done);
        async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            done.fetch_add(1, Ordering::SeqCst);
        }
    };
    for seconds in [1, 5, 30] {
        let tasks = tasks.clone();
        let mut pending = Box::pin(async move { tasks.run(work(seconds)).await });
        assert!(pending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert!(!tasks.finish(Duration::from_secs(10)).await);
    assert_eq!(done.load(Ordering::SeqCst), 2);
    assert!(tasks.finish(Duration::from_secs(60)).await);
    assert_eq!(done.load(Ordering::SeqCst), 3);
}

/// The future of a request can be dropped on a thread that is none of the runtime's.
#[test]
fn i45_work_that_is_dropped_outside_its_runtime_goes_on() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tasks = Tasks::default();
    let done = Arc::new(AtomicUsize::new(0));
    let mut pending = {
        let (tasks, done) = (tasks.clone(), Arc::clone(&done));
        let work = async move {
            suspend().await;
            done.fetch_add(1, Ordering::SeqCst);
        };
        Box::pin(async move { tasks.run(work).await })
    };
    runtime.block_on(async {
        assert!(pending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    });
    drop(pending);
    assert!(runtime.block_on(tasks.finish(SOON)));
    assert_eq!(done.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn i45_work_that_panics_has_no_result_and_gives_its_place_back() {
    let tasks = Tasks::default();
    for _ in 0..2000 {
        assert_eq!(tasks.run(async { panic!("on purpose") as u32 }).await, None);
    }
    assert_eq!(tasks.run(async { 7 }).await, Some(7));
    assert!(tasks.finish(SOON).await);
}
