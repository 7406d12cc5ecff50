//! The rotation of a client's secret by the operator. The host checks that its caller may request
//! it.

use crate::value::overlap::Overlap;

/// A request to give a client a new secret.
#[derive(Clone, Copy, Debug)]
pub struct SecretRotation<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) overlap: Overlap,
    pub(crate) note: Option<&'a str>,
}

impl<'a> SecretRotation<'a> {
    /// Makes the request for this client. Its present secret is accepted until the overlap is over.
    pub fn new(client_id: &'a str, overlap: Overlap) -> Self {
        Self { client_id, overlap, note: None }
    }

    /// Sets the administrator's reason, which becomes the [note](crate::Event::note) of the event.
    /// Default: none.
    #[must_use]
    pub fn with_note(self, note: &'a str) -> Self {
        Self { note: Some(note), ..self }
    }
}
