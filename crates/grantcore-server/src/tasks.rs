//! Requests for pages that run to their end ([`Tasks`]). Those for programs do so by themselves.
//!
//! The body is read before that. A body that never arrives takes no place among them.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use grantcore_axum::Tasks;
use http_body::Frame;

use crate::routes::BODY_LIMIT;

/// Runs the rest of a request to its end, once its body is complete.
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
    let rest = async move { next.run(Request::from_parts(parts, body.into())).await };
    let ended = tasks.run(rest).await;
    ended.unwrap_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response())
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
