//! The time-out of a request at an endpoint for programs.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use tower::{Layer, Service};

use super::plain::late_error;

/// The layer that ends a request after this time, unless it is answered.
///
/// The time-out of `tower-http` sets a timer for every request. This one sets it for a request that
/// waits for something: its body, or the database.
#[derive(Clone, Copy)]
pub(super) struct TimeOut(pub(super) Duration);

impl<S> Layer<S> for TimeOut {
    type Service = TimeOutService<S>;

    fn layer(&self, inner: S) -> TimeOutService<S> {
        TimeOutService { limit: self.0, inner }
    }
}

/// The service of the layer [`TimeOut`].
#[derive(Clone)]
pub(super) struct TimeOutService<S> {
    limit: Duration,
    inner: S,
}

impl<S> Service<Request> for TimeOutService<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let answered = tokio::time::timeout(self.limit, self.inner.call(request));
        Box::pin(async { answered.await.unwrap_or_else(|_| Ok(late_error())) })
    }
}
