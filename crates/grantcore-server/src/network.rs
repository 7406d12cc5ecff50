//! The network side of the server: its connections, the proxies in front of it, and the host names
//! that it answers to.
//!
//! All of this happens before a route is chosen. It does not depend on what a request is for.

mod activity;
pub(crate) mod connections;
pub(crate) mod front;
pub(crate) mod hosts;
mod serve;
mod streams;
mod too_long;
mod unread;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::activity::Activity;
pub(crate) use self::serve::serve;

/// The connection of a request. Behind an [`Arc`], it is an extension of each request for the
/// routes.
#[derive(Debug)]
pub(crate) struct Connection {
    peer: SocketAddr,
    local: SocketAddr,
    activity: Arc<Activity>,
}

impl Connection {
    /// Allows the response to the request that is under way to be silent for this long: the time is
    /// that of an upstream, and not of the client.
    pub(crate) fn allow_silence(&self, silence: Duration) {
        self.activity.allow_silence(silence);
    }
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
