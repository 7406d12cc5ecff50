//! What an administrator asks of a client's standing. Who may ask is the host's to know.

/// A change of one client's standing.
pub struct StandingChange<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) to: Standing,
}

/// How a client stands from when the change is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Refused everywhere, its tokens included, exactly as if it did not exist. Nothing is lost.
    Deactivated,
    /// Served again, its tokens included as far as they have not expired or been revoked.
    Active,
}

impl<'a> StandingChange<'a> {
    /// The client of this id, and how it is to stand.
    pub fn new(client_id: &'a str, to: Standing) -> Self {
        Self { client_id, to }
    }
}
