//! The change of a client's status by an administrator. The host checks that the administrator may
//! request it.

use crate::client::ClientStatus;

/// A request to change the status of one client.
#[derive(Clone, Copy, Debug)]
pub struct ClientStatusChange<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) to: ClientStatus,
    pub(crate) note: Option<&'a str>,
}

impl<'a> ClientStatusChange<'a> {
    /// Makes the request for this client and its new status.
    pub fn new(client_id: &'a str, to: ClientStatus) -> Self {
        Self { client_id, to, note: None }
    }

    /// Sets the administrator's reason, which becomes the [note](crate::Event::note) of the event.
    /// Default: none.
    #[must_use]
    pub fn with_note(self, note: &'a str) -> Self {
        Self { note: Some(note), ..self }
    }
}
