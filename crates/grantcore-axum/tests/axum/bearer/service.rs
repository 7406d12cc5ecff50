//! The layer around a service of no framework.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Bytes;
use axum::http::Response;
use grantcore_axum::{Caller, RequireToken};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, Service, ServiceExt as _};

use super::needs;
use crate::support::World;
use crate::support::browser::tokens;

/// A service of no framework, with bodies of its own, that must be polled before each call.
struct Strict {
    is_ready: bool,
    called: Arc<AtomicUsize>,
    is_closed: Arc<AtomicBool>,
}

/// A clone is not ready, as that of a service with a limit.
impl Clone for Strict {
    fn clone(&self) -> Self {
        let (called, is_closed) = (Arc::clone(&self.called), Arc::clone(&self.is_closed));
        Self { is_ready: false, called, is_closed }
    }
}

#[derive(Debug, PartialEq)]
struct Closed;

impl Service<axum::http::Request<u32>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = Closed;
    type Future = Ready<Result<Self::Response, Closed>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        self.is_ready = true;
        Poll::Ready(if self.is_closed.load(Ordering::SeqCst) { Err(Closed) } else { Ok(()) })
    }

    fn call(&mut self, request: axum::http::Request<u32>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called before it was ready");
        self.called.fetch_add(1, Ordering::SeqCst);
        assert!(!request.headers().contains_key("authorization"));
        let caller: &Caller = request.extensions().get().unwrap();
        let text = format!("{} sent {}", caller.subject().unwrap(), request.body());
        ready(Ok(Response::builder().status(201).body(Full::from(text)).unwrap()))
    }
}

#[tokio::test]
async fn rs_17_the_layer_is_one_for_any_service() {
    let world = World::new();
    let token = tokens(&world, "read").await.access;
    let called = Arc::new(AtomicUsize::new(0));
    let is_closed = Arc::new(AtomicBool::new(false));
    let strict =
        Strict { is_ready: false, called: Arc::clone(&called), is_closed: Arc::clone(&is_closed) };
    let layer = RequireToken::new(Arc::clone(&world.server), needs(&world, "read"));
    let mut service = layer.layer(strict);
    let request = |authorization: &str| {
        axum::http::Request::builder().header("authorization", authorization).body(7).unwrap()
    };
    for round in 1..=3 {
        let ready = service.ready().await.unwrap();
        let response = ready.call(request(&format!("Bearer {token}"))).await.unwrap();
        assert_eq!(response.status(), 201);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!((&*body, called.load(Ordering::SeqCst)), (&b"alice sent 7"[..], round));
        // A refused call does not reach the service, and does not use up its readiness.
        let response = service.ready().await.unwrap().call(request("Bearer x")).await.unwrap();
        assert_eq!((response.status().as_u16(), called.load(Ordering::SeqCst)), (401, round));
    }
    // Calls at the same time: each has the service that was ready for it.
    let calls: Vec<_> = (0..50)
        .map(|number| {
            let mut service = service.clone();
            let token = if number % 2 == 0 { format!("Bearer {token}") } else { "x".into() };
            let request = request(&token);
            tokio::spawn(async move {
                service.ready().await.unwrap().call(request).await.unwrap().status().as_u16()
            })
        })
        .collect();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap(), if number % 2 == 0 { 201 } else { 401 });
    }
    is_closed.store(true, Ordering::SeqCst);
    assert_eq!(service.ready().await.err(), Some(Closed), "the service's own error");
}
