//! What is kept of an introspection, how much, and for how long; and calls at the same time.

use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use grantcore::moment::{Clock as _, SystemClock};

use super::{Fake, LONG, assert_dead, builder, call, json, resource};
use crate::support::SOON;

/// Returns an endpoint at which every token lives for this many seconds.
fn alive(seconds: u64) -> impl Fn() -> Response<Body> + Clone + Send + Sync + 'static {
    let exp = SystemClock.now().unix_seconds() + seconds;
    move || {
        json(&format!(
            "{{\"active\":true,\"sub\":\"alice\",\"scope\":\"read\",\"exp\":{exp},\
             \"aud\":\"https://auth.example/mcp\"}}"
        ))
    }
}

/// Returns a resource behind this endpoint that accepts its tokens.
fn behind(
    fake: &Fake,
    settings: impl FnOnce(grantcore_axum::IntrospectionBuilder) -> grantcore_axum::IntrospectionBuilder,
) -> axum::Router {
    let mcp = crate::support::MCP;
    let callers = grantcore::policy::IntrospectionRules::default().with_resource_server("s", mcp);
    let own = grantcore::Policy::builder(&fake.issuer)
        .allow_loopback_http(true)
        .scope("read", "Read")
        .resource(mcp, "read")
        .introspection(callers)
        .build()
        .unwrap();
    let builder = grantcore_axum::Introspection::builder(own, "s", "secret").max_age(LONG);
    resource(&settings(builder).build().unwrap(), "read")
}

#[tokio::test]
async fn introspect_04_calls_at_the_same_time_ask_once() {
    let fake = Fake::closed(alive(3600)).await;
    let app = behind(&fake, |own| own);
    let calls: Vec<_> = (0..30)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move { call(&app, "one").await.status })
        })
        .collect();
    let other = tokio::spawn({
        let app = app.clone();
        async move { call(&app, "other").await.status }
    });
    fake.until_asked(2).await;
    fake.gate.add_permits(100);
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!((other.await.unwrap(), fake.asked()), (200, 2));
}

/// A call that begins after a revocation was acknowledged must not get an answer from before it.
#[tokio::test]
async fn i19_where_nothing_is_kept_each_call_asks_for_itself() {
    let fake = Fake::closed(alive(3600)).await;
    let app = behind(&fake, |own| own.max_age(Duration::ZERO));
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move { call(&app, "one").await.status })
        })
        .collect();
    fake.until_asked(10).await;
    fake.gate.add_permits(100);
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(fake.asked(), 10);
}

/// A caller that hangs up while it asks takes nobody with it.
#[tokio::test]
async fn i45_a_caller_that_hangs_up_leaves_the_others_their_answer() {
    let fake = Fake::closed(alive(3600)).await;
    let app = behind(&fake, |own| own);
    let start = || {
        let app = app.clone();
        tokio::spawn(async move { call(&app, "one").await.status })
    };
    let first = start();
    fake.until_asked(1).await;
    let second = start();
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    fake.gate.add_permits(100);
    let status = tokio::time::timeout(SOON, second).await.unwrap();
    assert_eq!(status.unwrap(), 200);
}

#[tokio::test]
async fn i48_what_is_kept_is_bounded() {
    const TOKENS: usize = 300;
    let fake = Fake::new(alive(3600)).await;
    let none = behind(&fake, |own| own.capacity(0));
    for asked in 1..=3 {
        assert_eq!(call(&none, "one").await.status, 200);
        assert_eq!(fake.asked(), asked);
    }
    let few = behind(&fake, |own| own.capacity(10));
    for _ in 0..2 {
        for number in 0..TOKENS {
            assert_eq!(call(&few, &format!("token-{number}")).await.status, 200);
        }
    }
    // The cache makes room in the background: the bound is not exact at each moment.
    assert!(fake.asked() > 3 + TOKENS + 200, "{}", fake.asked());
    let many = behind(&fake, |own| own.capacity(1000));
    let before = fake.asked();
    for _ in 0..2 {
        for number in 0..TOKENS {
            call(&many, &format!("token-{number}")).await;
        }
    }
    assert_eq!(fake.asked(), before + TOKENS);
}

/// A dead token is asked about each time, and takes no room.
#[tokio::test]
async fn introspect_02_inactive_tokens_are_not_kept() {
    let fake = Fake::new(|| json("{\"active\":false}")).await;
    let app = resource(&builder(&fake.issuer).build().unwrap(), "read");
    for asked in 1..=3 {
        assert_dead(&call(&app, "dead").await);
        assert_eq!(fake.asked(), asked);
    }
}

/// A client that goes on with a dead token costs one introspection. What is kept of such tokens is
/// bounded, and takes nothing from the active ones.
#[tokio::test]
async fn i48_inactive_tokens_are_kept_apart_if_the_host_says_so() {
    const TOKENS: usize = 300;
    let dead = Fake::new(|| json("{\"active\":false}")).await;
    let app = behind(&dead, |own| own.inactive_max_age(LONG).capacity(20));
    for _ in 0..3 {
        assert_dead(&call(&app, "dead").await);
    }
    assert_eq!(dead.asked(), 1);
    for token in 0..TOKENS {
        assert_dead(&call(&app, &format!("invented-{token}")).await);
    }
    assert_eq!(dead.asked(), 1 + TOKENS);
    for token in 0..TOKENS {
        assert_dead(&call(&app, &format!("invented-{token}")).await);
    }
    assert!(dead.asked() > 1 + TOKENS + TOKENS / 2, "{} are forgotten", dead.asked());

    // Also where active tokens are not kept at all.
    let dead = Fake::new(|| json("{\"active\":false}")).await;
    let app = behind(&dead, |own| own.max_age(Duration::ZERO).inactive_max_age(LONG));
    for _ in 0..3 {
        assert_dead(&call(&app, "dead").await);
    }
    assert_eq!(dead.asked(), 1);
    // A failure of the endpoint is no answer about the token.
    let failing = Fake::new(|| Response::builder().status(500).body(Body::empty()).unwrap()).await;
    let app = behind(&failing, |own| own.inactive_max_age(LONG));
    for asked in 1..=2 {
        assert_eq!(call(&app, "one").await.status, 503);
        assert_eq!(failing.asked(), asked);
    }
}

#[tokio::test]
async fn i23_a_token_that_is_kept_ends_at_its_expiry() {
    let fake = Fake::new(alive(2)).await;
    let end = SystemClock.now().unix_seconds() + 2;
    let app = behind(&fake, |own| own);
    // A slow machine may get here too late to see the token alive.
    let first = call(&app, "one").await.status;
    if SystemClock.now().unix_seconds() < end {
        assert_eq!(first, 200);
    }
    while SystemClock.now().unix_seconds() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_dead(&call(&app, "one").await);
}

/// The longest times that a host can write down.
#[tokio::test]
async fn i24_no_duration_overflows() {
    let fake = Fake::new(alive(u64::MAX / 2 / 1_000_000_000)).await;
    let longest =
        behind(&fake, |own| own.max_age(Duration::MAX).timeout(Duration::MAX).capacity(u64::MAX));
    for _ in 0..2 {
        assert_eq!(call(&longest, "one").await.status, 200);
    }
    assert_eq!(fake.asked(), 1);
    let shortest = behind(&fake, |own| own.max_age(Duration::from_nanos(1)));
    for _ in 0..2 {
        assert_eq!(call(&shortest, "one").await.status, 200);
    }
    assert_eq!(fake.asked(), 3);
}
