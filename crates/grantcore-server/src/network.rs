//! The network side of the server: its connections, the proxies in front of it, and the host names
//! that it answers to.
//!
//! All of this happens before a route is chosen. It does not depend on what a request is for.

pub(crate) mod activity;
pub(crate) mod connections;
pub(crate) mod hosts;
mod serve;
mod streams;
mod too_long;
mod unread;

use std::net::SocketAddr;

pub(crate) use self::serve::serve;

/// The local address of a request's connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local(pub(crate) SocketAddr);

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
