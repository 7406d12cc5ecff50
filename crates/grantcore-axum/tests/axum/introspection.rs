//! Tests of a resource in another process than its authorization server. `server` has those with a
//! real server, `endpoint` those with an endpoint that fails or lies, `kept` those of what is kept.

mod endpoint;
mod kept;
mod private_authority;
mod server;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::socket::{listen, serve};
use crate::support::{Answer, RESOURCE_SERVER, SECRET, SOON, policy_at, send};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use axum::routing::{any, post};
use grantcore::Needs;
use grantcore_axum::{Caller, Introspection, IntrospectionBuilder, RequireToken};
use tokio::sync::Semaphore;

/// A long time, in which nothing is forgotten.
const LONG: Duration = Duration::from_secs(3600);

fn resource_of(issuer: &str) -> String {
    format!("{issuer}/mcp")
}

/// Starts the settings of a check that asks the authorization server at this issuer.
fn builder(issuer: &str) -> IntrospectionBuilder {
    let policy = policy_at(issuer, &resource_of(issuer)).allow_loopback_http(true);
    Introspection::builder(policy.build().unwrap(), RESOURCE_SERVER, SECRET).max_age(LONG)
}

/// Returns a resource that needs this scope, behind the check.
fn resource(introspection: &Introspection, scope: &str) -> Router {
    let policy = introspection.policy();
    let needs = policy.needs(policy.resources()[0].identifier(), scope).unwrap();
    resource_with(introspection, needs)
}

/// Returns a resource with these needs, behind the check.
fn resource_with(introspection: &Introspection, needs: Needs) -> Router {
    let echo = |caller: Caller, request: Request| async move {
        let scope: Vec<_> = caller.scope().collect();
        let has_token = request.headers().contains_key("authorization");
        assert!(caller.access().is_none() && !caller.has_scope(""));
        format!(
            "{} {} {} {has_token}",
            caller.subject().unwrap_or("-"),
            caller.client_id(),
            scope.join("+")
        )
    };
    let layer = RequireToken::introspected(introspection.clone(), needs);
    Router::new().route("/mcp", post(echo)).route_layer(layer)
}

async fn call(resource: &Router, token: &str) -> Answer {
    let request = Request::post("/mcp").header("authorization", format!("Bearer {token}"));
    send(resource, request.body(Body::empty()).unwrap()).await
}

/// Asserts that a call can be repeated later: the client must not drop its token.
#[track_caller]
fn assert_unavailable(answer: &Answer) {
    assert_eq!((answer.status, &*answer.error()), (503, "temporarily_unavailable"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.header("www-authenticate"), None);
}

#[track_caller]
fn assert_dead(answer: &Answer) {
    assert_eq!((answer.status, &*answer.error()), (401, "invalid_token"), "{answer:?}");
    assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer resource_metadata="));
}

/// An introspection endpoint that answers what the test wants.
#[derive(Clone)]
struct Fake {
    issuer: String,
    /// What was sent: the headers and the body.
    seen: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    /// A place for each response that may leave.
    gate: Arc<Semaphore>,
    asked: Arc<AtomicUsize>,
}

impl Fake {
    /// Starts an endpoint that answers at once.
    async fn new(answer: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static) -> Self {
        let fake = Self::closed(answer).await;
        fake.gate.add_permits(Semaphore::MAX_PERMITS);
        fake
    }

    /// Starts an endpoint that answers when its gate is opened.
    async fn closed(answer: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static) -> Self {
        let (listener, address): (_, SocketAddr) = listen().await;
        let fake = Self {
            issuer: format!("http://{address}"),
            seen: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            asked: Arc::default(),
        };
        let own = fake.clone();
        let respond = any(move |headers: HeaderMap, body: Bytes| async move {
            let text = String::from_utf8(body.to_vec()).unwrap();
            own.seen.lock().unwrap().push((headers, text));
            own.asked.fetch_add(1, Ordering::SeqCst);
            own.gate.acquire().await.unwrap().forget();
            answer()
        });
        serve(listener, Router::new().fallback_service(respond));
        fake
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits until the endpoint was asked this often.
    async fn until_asked(&self, times: usize) {
        let asked = async {
            while self.asked() < times {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(SOON, asked).await.expect("the endpoint is asked");
    }
}

fn json(body: &str) -> Response<Body> {
    let response = Response::builder().header("content-type", "application/json");
    response.body(Body::from(body.to_owned())).unwrap()
}
