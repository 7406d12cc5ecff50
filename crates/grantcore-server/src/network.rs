//! The network side of the server: its connections, the proxies in front of it, and the host names
//! that it answers to.
//!
//! All of this happens before a route is chosen. It does not depend on what a request is for.

mod activity;
pub(crate) mod connections;
pub(crate) mod hosts;
mod serve;
pub(crate) mod source;

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;

pub(crate) use self::serve::serve;
use self::source::TrustedProxies;

/// The local address of a request's connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local(pub(crate) SocketAddr);

/// Adds the [`Source`](source::Source) of a request to its extensions.
pub(crate) async fn locate(
    State(proxies): State<TrustedProxies>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    if let Some(peer) = peer {
        let source = proxies.source(peer, request.headers());
        request.extensions_mut().insert(source);
    }
    next.run(request).await
}

/// Raises the limit of open files of this process as far as the system allows, and returns it.
pub(crate) fn most_files() -> usize {
    #[cfg(unix)]
    {
        let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
        usize::try_from(limit).unwrap_or(usize::MAX)
    }
    #[cfg(not(unix))]
    usize::MAX
}
