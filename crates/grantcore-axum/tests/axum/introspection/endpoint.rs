//! An introspection endpoint that is down, fails, or answers something else.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Response, StatusCode};
use grantcore::moment::{Clock as _, SystemClock};
use grantcore::{Needs, Policy};

use super::{Fake, assert_dead, assert_unavailable, builder, call, json, resource};
use crate::support::socket::listen;
use crate::support::{RESOURCE_SERVER, SECRET};

const TOKEN: &str = "gra_the-token-of-the-test";

thread_local! {
    /// What the operator reads of the calls of this thread.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes to [`LOG`] of the thread that writes.
struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Logs for all threads. A subscriber of one thread would miss the events that another thread
/// reaches first: `tracing` remembers of each whether anybody wants it.
fn log() {
    static START: Once = Once::new();
    START.call_once(|| tracing_subscriber::fmt().with_writer(|| Log).with_ansi(false).init());
}

/// Returns what was logged since the last call.
fn logged() -> String {
    String::from_utf8(LOG.take()).unwrap()
}

/// Returns the description of a live token, with these members replaced.
fn described(issuer: &str, changes: &[(&str, serde_json::Value)]) -> String {
    let mut described = serde_json::json!({
        "active": true, "sub": "alice", "client_id": "app", "scope": "read", "token_type": "Bearer",
        "exp": SystemClock.now().unix_seconds() + 3600, "iss": issuer,
        "aud": format!("{issuer}/mcp"),
    });
    for (name, value) in changes {
        if value.is_null() {
            described.as_object_mut().unwrap().remove(*name);
        } else {
            described[*name] = value.clone();
        }
    }
    described.to_string()
}

/// Answers a call with this response of the endpoint.
async fn answered(
    answer: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static,
) -> (super::Answer, Fake) {
    let fake = Fake::new(answer).await;
    let resource = resource(&builder(&fake.issuer).build().unwrap(), "read");
    (call(&resource, TOKEN).await, fake)
}

#[tokio::test]
async fn i29_an_endpoint_that_is_down_is_a_retryable_failure_and_is_logged() {
    log();
    let (listener, address) = listen().await;
    drop(listener);
    let down = resource(&builder(&format!("http://{address}")).build().unwrap(), "read");
    assert_unavailable(&call(&down, TOKEN).await);
    let first = logged();
    assert!(first.contains("ERROR") && first.contains("could not be called"), "{first}");
    let (answer, _) = answered(|| {
        let response = Response::builder().status(StatusCode::UNAUTHORIZED);
        response.body(Body::from("{\"error\":\"invalid_client\"}")).unwrap()
    })
    .await;
    assert_unavailable(&answer);
    let second = logged();
    assert!(
        second.contains("401") && second.contains("check the client id, its secret"),
        "{second}"
    );
    for secret in [SECRET, TOKEN] {
        assert!(!first.contains(secret) && !second.contains(secret));
    }
    // A token that is not active is no failure.
    assert_dead(&answered(|| json("{\"active\":false}")).await.0);
    assert_eq!(logged(), "");
}

#[tokio::test]
async fn i29_what_is_no_description_is_a_retryable_failure() {
    let filler = "x".repeat(70_000);
    let too_large = described("http://x", &[("x", filler.into())]);
    let html = "<!doctype html><title>Sign in</title>".to_owned();
    let nested = "[".repeat(60_000);
    for body in [too_large, html, nested]
        .into_iter()
        .chain(
            ["", "{}", "[]", "null", "true", "{\"active\":\"true\"}", "{\"active\":1}"]
                .map(str::to_owned),
        )
        .chain([
            described("http://x", &[("exp", "soon".into())]),
            described("http://x", &[("exp", (-1).into())]),
            described("http://x", &[("sub", 7.into())]),
            described("http://x", &[("aud", 7.into())]),
            described("http://x", &[("scope", ["read"].as_slice().into())]),
            "{\"active\":true,\"active\":true}".to_owned(),
            "{\"active\":true}{\"active\":true}".to_owned(),
        ])
    {
        let start = body.chars().take(80).collect::<String>();
        let (answer, fake) = answered(move || json(&body)).await;
        assert_eq!(answer.status, 503, "{start}");
        assert_unavailable(&answer);
        assert_eq!(fake.asked(), 1);
    }
    for status in [201, 204, 400, 403, 404, 429, 500, 503] {
        let answer = move || {
            let mut response = json(&described("http://x", &[]));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        };
        assert_unavailable(&answered(answer).await.0);
    }
    // A response without an end, and one that breaks off.
    for (chunk, count) in [("x".repeat(1000), usize::MAX), ("{\"active\":".to_owned(), 1)] {
        let answer = move || Response::new(Body::new(Chunks { chunk: chunk.clone(), left: count }));
        assert_unavailable(&answered(answer).await.0);
    }
}

/// A body of so many equal chunks, which then breaks off.
struct Chunks {
    chunk: String,
    left: usize,
}

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, io::Error>>> {
        Poll::Ready(Some(match self.left.checked_sub(1) {
            None => Err(io::Error::other("it breaks off")),
            Some(left) => {
                self.left = left;
                Ok(http_body::Frame::data(self.chunk.clone().into()))
            }
        }))
    }
}

#[tokio::test]
async fn i25_a_redirect_is_not_followed_and_the_secret_stays_here() {
    let elsewhere = Fake::new(|| json("{\"active\":true}")).await;
    for status in [301, 302, 303, 307, 308] {
        let target = format!("{}/oauth/introspect", elsewhere.issuer);
        let (answer, fake) = answered(move || {
            let response = Response::builder().status(status).header("location", &target);
            response.body(Body::empty()).unwrap()
        })
        .await;
        assert_unavailable(&answer);
        assert_eq!(fake.asked(), 1);
    }
    assert_eq!(elsewhere.asked(), 0);
}

/// The request is that of RFC 7662 §2.1, with the credentials of RFC 6749 §2.3.1.
#[tokio::test]
async fn introspect_01_the_secret_and_the_token_are_sent_as_the_rfcs_say() {
    let (answer, fake) = answered(|| json("{\"active\":false}")).await;
    assert_dead(&answer);
    let (headers, body) = fake.seen.lock().unwrap().remove(0);
    assert_eq!(body, format!("token={TOKEN}&token_type_hint=access_token"));
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(RESOURCE_SERVER), encode(SECRET));
    assert_eq!(headers["authorization"].to_str().unwrap(), format!("Basic {}", base64(&pair)));
    assert!(headers.get("referer").is_none() && headers.get("cookie").is_none());
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let mut bits = [0; 4];
        bits[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(bits);
        for place in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap();
            encoded.push(if place <= chunk.len() { char::from(DIGITS[digit]) } else { '=' });
        }
    }
    encoded
}

/// Answers a call with the description of a live token that has these changes.
async fn judged(changes: &[(&'static str, serde_json::Value)]) -> super::Answer {
    judged_for("read", changes).await
}

/// As `judged`, for a resource that needs this scope.
async fn judged_for(scope: &str, changes: &[(&'static str, serde_json::Value)]) -> super::Answer {
    judged_by(changes, |policy| policy.needs(policy.resources()[0].identifier(), scope).unwrap())
        .await
}

/// As `judged`, for a resource with these needs.
async fn judged_by(
    changes: &[(&'static str, serde_json::Value)],
    needs: impl FnOnce(&Policy) -> Needs,
) -> super::Answer {
    let issuer = Arc::new(Mutex::new(String::new()));
    let own = Arc::clone(&issuer);
    let changes = changes.to_vec();
    let fake = Fake::new(move || json(&described(&own.lock().unwrap(), &changes))).await;
    fake.issuer.clone_into(&mut issuer.lock().unwrap());
    let introspection = builder(&fake.issuer).build().unwrap();
    let needs = needs(introspection.policy());
    call(&super::resource_with(&introspection, needs), TOKEN).await
}

#[tokio::test]
async fn machine_20_a_token_without_a_user_is_served_only_where_machines_are() {
    let machine = [("sub", serde_json::Value::Null)];
    let refused = judged(&machine).await;
    assert_eq!((refused.status, &*refused.error()), (403, "access_denied"), "{refused:?}");
    // Another token of the client would be refused as well.
    assert!(refused.header("www-authenticate").is_none());
    let open = |policy: &Policy| {
        policy.needs(policy.resources()[0].identifier(), "read").unwrap().machines()
    };
    let served = judged_by(&machine, open).await;
    assert_eq!((served.status, &*served.body), (200, "- app read false"));
}

#[tokio::test]
async fn rs_08_a_token_that_is_not_for_this_resource_or_of_this_server_is_refused() {
    let now = SystemClock.now().unix_seconds();
    let good = judged(&[]).await;
    assert_eq!((good.status, &*good.body), (200, "alice app read false"));
    let null = serde_json::Value::Null;
    for bad in [
        ("active", false.into()),
        ("aud", null.clone()),
        ("aud", "https://other.example/mcp".into()),
        ("aud", "".into()),
        ("aud", serde_json::json!([])),
        ("aud", serde_json::json!(["https://other.example", "https://third.example"])),
        ("iss", "https://other.example".into()),
        ("iss", "".into()),
        ("exp", null.clone()),
        ("exp", 0.into()),
        ("exp", now.into()),
        ("exp", (now - 1).into()),
        // Nobody's token would be that of a user whose name is empty.
        ("sub", "".into()),
    ] {
        let answer = judged(std::slice::from_ref(&bad)).await;
        assert_eq!(answer.status, 401, "{bad:?}");
        assert_dead(&answer);
    }
    // The scope is none, or that of another.
    for (scope, status) in [
        (null.clone(), 403),
        ("".into(), 403),
        ("reader".into(), 403),
        ("read,write".into(), 403),
        ("admin".into(), 200),
        ("x read".into(), 200),
    ] {
        assert_eq!(judged(&[("scope", scope.clone())]).await.status, status, "{scope}");
    }
    // A server need not name itself, and may say more.
    for good in [("iss", null.clone()), ("nbf", 1.into()), ("client_id", null)] {
        assert_eq!(judged(std::slice::from_ref(&good)).await.status, 200, "{good:?}");
    }
}

/// A call that needs no scope has none, and not one whose name is empty.
#[tokio::test]
async fn rs_17_an_introspected_token_without_a_scope_has_none() {
    let answer = judged_for("", &[("scope", serde_json::Value::Null)]).await;
    assert_eq!((answer.status, &*answer.body), (200, "alice app  false"));
}

#[tokio::test]
async fn rs_08_one_of_several_audiences_suffices() {
    let (listener, address) = listen().await;
    drop(listener);
    let issuer = format!("http://{address}");
    let others = serde_json::json!(["https://other.example", format!("{issuer}/mcp")]);
    let body = described(&issuer, &[("aud", others)]);
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let answer = axum::routing::post(move || async move { json(&body) });
    super::serve(listener, axum::Router::new().route("/oauth/introspect", answer));
    let app = resource(&builder(&issuer).build().unwrap(), "read");
    assert_eq!(call(&app, TOKEN).await.status, 200);
}

/// An endpoint that never answers keeps calls for the stated time only, and those that wait for
/// their turn too.
#[tokio::test]
async fn i29_an_endpoint_that_hangs_keeps_no_call_waiting() {
    const CALLS: usize = 200;
    let fake = Fake::closed(|| json("{}")).await;
    let slow = builder(&fake.issuer).timeout(Duration::from_millis(300)).build().unwrap();
    let app = resource(&slow, "read");
    let calls: Vec<_> = (0..CALLS)
        .map(|number| {
            let app = app.clone();
            tokio::spawn(async move { call(&app, &format!("token-{number}")).await })
        })
        .collect();
    for call in calls {
        assert_unavailable(&call.await.unwrap());
    }
    assert!(fake.asked() < CALLS, "calls whose time was over asked all the same");
}

#[tokio::test]
async fn host_31_the_login_of_an_introspected_token_must_suffice() {
    let now = SystemClock.now().unix_seconds();
    let strong = |policy: &Policy| {
        let needs = policy.needs(policy.resources()[0].identifier(), "read").unwrap();
        needs.acr(&["mfa"]).unwrap().max_age(300)
    };
    let recent = [("auth_time", (now - 60).into()), ("acr", "mfa".into())];
    assert_eq!(judged_by(&recent, strong).await.status, 200);
    for insufficient in [
        vec![],
        vec![("auth_time", now.into())],
        vec![("auth_time", now.into()), ("acr", "pwd".into())],
        vec![("auth_time", now.into()), ("acr", "two words".into())],
        vec![("auth_time", (now - 400).into()), ("acr", "mfa".into())],
        vec![("acr", "mfa".into())],
    ] {
        let answer = judged_by(&insufficient, strong).await;
        let error = (answer.status, &*answer.error());
        assert_eq!(error, (401, "insufficient_user_authentication"), "{insufficient:?}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains("acr_values=\"mfa\", max_age=\"300\""), "{challenge}");
    }
    // The audience goes before the login, and the login before the scope.
    let elsewhere = [("aud", "https://elsewhere.example".into())];
    assert_eq!(&*judged_by(&elsewhere, strong).await.error(), "invalid_token");
    let narrow = [("scope", "write".into()), ("auth_time", now.into()), ("acr", "mfa".into())];
    assert_eq!(&*judged_by(&narrow, strong).await.error(), "insufficient_scope");
}
