//! Where requests come from and what carries them: connections, the proxies in front, and the names
//! that the server answers to.
//!
//! Everything here happens before a route is chosen, and none of it knows what a request is for.

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

/// The address of this server that a request's connection was made to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local(pub(crate) SocketAddr);

/// Notes on the request where it comes from; see [`Source`](source::Source).
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

/// How many files this process may have open, after it has asked for as many as it can get.
pub(crate) fn most_files() -> usize {
    #[cfg(unix)]
    {
        let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
        usize::try_from(limit).unwrap_or(usize::MAX)
    }
    #[cfg(not(unix))]
    usize::MAX
}
