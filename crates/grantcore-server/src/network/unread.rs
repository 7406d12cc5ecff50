//! The bodies of requests, and how the rest of a body is discarded after an early response.
//!
//! A refusal often needs no body: a missing token, an unknown address. If the server closed the
//! connection with a part of the body unread, the operating system would reset it, and the client
//! could lose the response that it has not read yet (RFC 9112 §9.6). So the rest is read and thrown
//! away, within limits.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Bytes, HttpBody};
use axum::http::{HeaderMap, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Sleep;

use super::activity::Activity;

/// The longest rest of a body that is read so that the connection can serve the next request. A
/// longer body ends the connection.
const DRAIN_LIMIT: u64 = 8 * 1024 * 1024;
/// The longest time for which the rest of a body is read, and the longest pause of the client.
const DRAIN_TIME: Duration = Duration::from_secs(30);
const DRAIN_SILENCE: Duration = Duration::from_secs(5);
/// The time for which a connection lingers after its last response.
const LINGER_TIME: Duration = Duration::from_secs(10);

/// Returns whether the rest of such a body is read after an early response. Otherwise the
/// connection ends with the response.
///
/// The client of an `Expect: 100-continue` sends no body after a refusal, and must not be invited
/// to (RFC 9110 §10.1.1).
pub(super) fn is_drained(headers: &HeaderMap, body: &Incoming) -> bool {
    !headers.contains_key(header::EXPECT) && body.size_hint().lower() <= DRAIN_LIMIT
}

/// The body of a request. It ends the wait for the body when it is complete, or when it is dropped
/// because no one reads on.
pub(super) struct Upload {
    /// `None` once this is dropped.
    body: Option<Incoming>,
    /// Whether the end of the body has not arrived.
    is_waiting: bool,
    /// Whether the rest is read when this is dropped.
    drains: bool,
    activity: Arc<Activity>,
}

impl Upload {
    pub(super) fn new(body: Incoming, drains: bool, activity: &Arc<Activity>) -> Self {
        let is_waiting = !body.is_end_stream();
        Self { body: Some(body), is_waiting, drains, activity: Arc::clone(activity) }
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(&mut *body).poll_frame(context);
        let is_whole = match &polled {
            Poll::Ready(None) => true,
            Poll::Ready(Some(Ok(_))) => body.is_end_stream(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => false,
        };
        // The connection may have been closed for another since. The request must not be decided
        // then.
        if is_whole && std::mem::take(&mut self.is_waiting) && !self.activity.body_ended() {
            let closing = io::Error::from(io::ErrorKind::ConnectionAborted);
            return Poll::Ready(Some(Err(closing.into())));
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.is_waiting {
            return;
        }
        self.activity.body_dropped(self.drains);
        let runtime = tokio::runtime::Handle::try_current();
        if let (Some(body), true, Ok(runtime)) = (self.body.take(), self.drains, runtime) {
            runtime.spawn(drain(body, Arc::clone(&self.activity)));
        }
    }
}

/// Reads the rest of a body, and throws it away. hyper then reads the next request of the
/// connection.
async fn drain(mut body: Incoming, activity: Arc<Activity>) {
    let read = async {
        let mut left = DRAIN_LIMIT;
        while let Some(frame) = tokio::time::timeout(DRAIN_SILENCE, body.frame()).await.ok()? {
            let frame = frame.ok()?;
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            left = left.checked_sub(u64::try_from(bytes).ok()?)?;
        }
        Some(())
    };
    match tokio::time::timeout(DRAIN_TIME, read).await {
        Ok(Some(())) => _ = activity.body_ended(),
        _ => activity.body_dropped(false),
    }
}

/// The end of a connection whose client may be sending still. The client has the response and the
/// end of the stream already; what it sends is read and thrown away until it closes the connection.
#[derive(Default)]
pub(super) struct Linger(Option<Pin<Box<Sleep>>>);

impl Linger {
    pub(super) fn poll<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let end = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER_TIME)));
        if end.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let mut thrown_away = [0; 8 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut thrown_away);
            match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
