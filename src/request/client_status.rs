//! A change of a client's status by an administrator. The host checks that the administrator may
//! request it.

use crate::client::ClientStatus;

/// Changes the status of one client.
pub struct ClientStatusChange<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) to: ClientStatus,
}

impl<'a> ClientStatusChange<'a> {
    /// Names the client and its new status.
    pub fn new(client_id: &'a str, to: ClientStatus) -> Self {
        Self { client_id, to }
    }
}
