//! The new secret of a client, which is shown once.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::client::Client;
use crate::value::credential::Issued;

/// A client with a new secret.
#[must_use = "the secret in it exists nowhere else"]
pub struct RotatedSecret {
    pub(crate) client: Arc<Client>,
    pub(crate) secret: Issued,
}

impl RotatedSecret {
    /// Returns the client as it is stored.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Returns the text of the new secret, for the one response that shows it. It is wiped when it
    /// is dropped.
    pub fn reveal(&self) -> impl Deref<Target = String> + use<> {
        Zeroizing::new(self.secret.reveal().as_str().to_owned())
    }
}

/// Shows the client. The secret is left out.
impl fmt::Debug for RotatedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotatedSecret").field("client", &self.client).finish_non_exhaustive()
    }
}
