//! The time-out of a request at an endpoint for programs.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use tower::{Layer, Service};

use super::plain::late_error;
use crate::network::front::Answer;

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
        let answered = self.inner.call(request);
        let limit = self.limit;
        Box::pin(async move {
            let mut answered = pin!(answered);
            if let Some(response) = at_once(answered.as_mut()).await {
                return response;
            }
            tokio::time::timeout(limit, answered).await.unwrap_or_else(|_| Ok(late_error()))
        })
    }
}

/// Answers a request within this time.
pub(crate) async fn within(limit: Duration, mut answer: Answer) -> Response {
    let answered = if let Some(response) = at_once(answer.as_mut()).await {
        response
    } else {
        // On the heap, because most requests need no timer.
        let timed = Box::pin(tokio::time::timeout(limit, answer));
        timed.await.unwrap_or_else(|_| Ok(late_error()))
    };
    answered.unwrap_or_else(|never| match never {})
}

/// Polls a future once. Returns `None` if it waits for something.
async fn at_once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
