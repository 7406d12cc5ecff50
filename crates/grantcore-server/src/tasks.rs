//! Requests that run to their end. When a client closes its connection, the future of its request
//! is dropped, with all that was being decided, written or recorded. So each request that can write
//! is decided in a task of its own, which is not cancelled.
//!
//! The body is read before that, in the future of the request. A body that never arrives holds no
//! task.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body::Frame;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::routes::BODY_LIMIT;

/// The most requests that are decided at the same time. Others wait. If the client closes its
/// connection while a request waits, nothing of it has begun.
const AT_ONCE: usize = 1024;

/// The requests that are being decided. A clone shares them.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    room: Arc<Semaphore>,
    running: TaskTracker,
}

impl Default for Tasks {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(AT_ONCE)), running: TaskTracker::new() }
    }
}

impl Tasks {
    /// Waits until all requests have ended, for `at_most` this long. Returns whether they have.
    pub(crate) async fn finish(&self, at_most: Duration) -> bool {
        self.running.close();
        tokio::time::timeout(at_most, self.running.wait()).await.is_ok()
    }
}

/// Runs the rest of a request in a task of its own, once its body is complete.
pub(crate) async fn run_to_the_end(
    State(tasks): State<Tasks>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = match gather(body).await {
        Ok(bytes) => bytes,
        // The handler refuses the body. Nothing is decided, so there is nothing to run to its end.
        Err(body) => return next.run(Request::from_parts(parts, body)).await,
    };
    let Ok(place) = Arc::clone(&tasks.room).acquire_owned().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let rest = async move {
        let response = next.run(Request::from_parts(parts, body.into())).await;
        drop(place);
        response
    };
    let ended = tasks.running.spawn(rest.in_current_span()).await;
    ended.unwrap_or_else(|error| {
        tracing::error!(%error, "a request did not end");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
}

/// Reads a whole body. If it is too large or cannot be read, returns a body with the same fault for
/// the handler, which refuses it.
async fn gather(mut body: Body) -> Result<Bytes, Body> {
    let mut gathered = Vec::new();
    while let Some(frame) =
        std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
    {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => gathered.extend_from_slice(&data),
            Ok(Err(_trailers)) => {}
            Err(error) => return Err(Body::new(Broken(Some(error)))),
        }
        if gathered.len() > BODY_LIMIT {
            return Err(Body::from(vec![0; BODY_LIMIT + 1]));
        }
    }
    Ok(gathered.into())
}

/// A body that cannot be read.
struct Broken(Option<axum::Error>);

impl HttpBody for Broken {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Poll::Ready(self.0.take().map(Err))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_gathered_whole_up_to_the_limit() {
        for length in [0, 1, BODY_LIMIT] {
            assert_eq!(gather(vec![b'x'; length].into()).await.unwrap(), vec![b'x'; length]);
        }
        let large = gather(vec![b'x'; BODY_LIMIT + 1].into()).await.unwrap_err();
        assert!(axum::body::to_bytes(large, BODY_LIMIT).await.is_err(), "its reader refuses it");
        let broken = Body::new(Broken(Some(axum::Error::new("cut off"))));
        let broken = gather(broken).await.unwrap_err();
        let error = axum::body::to_bytes(broken, BODY_LIMIT).await.unwrap_err();
        assert!(error.to_string().contains("cut off"), "{error}");
    }
}
