//! The response to a request whose address is longer than hyper reads.
//!
//! hyper answers such a request by itself, with an empty 414. The address may be that of a page,
//! and a person who followed a link to it would see an empty window. So the response is replaced by
//! a page, with the headers of every page.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use grantcore::response::PAGE_HEADERS;
use tokio::io::AsyncWrite;

/// The beginning of hyper's response.
const OWN: &[u8] = b"HTTP/1.1 414 ";

const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>The address is too \
    long</title><h1>The address is too long</h1><p>Nothing was shared. This is a mistake of the \
    application that sent you here: <code>invalid_request</code>, the request has more than 65,534 \
    bytes.</p></html>";

/// Returns whether these bytes begin hyper's own response.
pub(super) fn is_own(bytes: &[u8]) -> bool {
    bytes.starts_with(OWN)
}

/// The part of the page that is not written yet.
pub(super) struct Instead(Vec<u8>);

impl Instead {
    pub(super) fn new() -> Self {
        let headers = PAGE_HEADERS.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
        let length = PAGE.len();
        let response = format!(
            "HTTP/1.1 414 URI Too Long\r\ncontent-type: text/html; charset=utf-8\r\n{headers}\
             connection: close\r\ncontent-length: {length}\r\n\r\n{PAGE}"
        );
        Self(response.into())
    }

    /// Writes the rest of the page.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.0.is_empty() {
            let count = ready!(Pin::new(&mut *stream).poll_write(context, &self.0))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.0.drain(..count);
        }
        Poll::Ready(Ok(()))
    }
}
