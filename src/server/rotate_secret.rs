//! The rotation of a client's secret.

use super::{Error, Server};
use crate::audit::AuditLog;
use crate::request::secret_rotation::SecretRotation;
use crate::response::secret_rotation::RotatedSecret;
use crate::store::{AccountSource, Store};
use crate::value::overlap::Overlap;

/// # Secrets of clients
impl<S: Store, A: AccountSource<S>, L: AuditLog> Server<S, A, L> {
    /// Gives a client a new secret. The present one is accepted until the overlap is over, so that
    /// the client can be changed over without a pause. One that was retiring before ends at once.
    /// The grants of the client stay. The host checks that its caller may do so.
    ///
    /// The [proof](crate::Event::proof) in the events of the client says which secret it presents:
    /// once no event has `retiring`, the former secret is out of use.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// use grantcore::value::Overlap;
    ///
    /// let rotated = server.rotate_secret("files-server", Overlap::default()).await?;
    /// // Shown once, to the person who installs it.
    /// let secret = rotated.reveal();
    /// # assert!(!secret.is_empty());
    ///
    /// // The secret leaked: the former one ends now.
    /// let rotated = server.rotate_secret("files-server", Overlap::NONE).await?;
    /// # drop(rotated);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] for an unknown client or one without a secret, [`Error::Failed`] if the
    /// store failed.
    pub async fn rotate_secret(
        &self,
        client_id: &str,
        overlap: Overlap,
    ) -> Result<RotatedSecret, Error<S::Error>> {
        self.run(SecretRotation::new(client_id, overlap)).await
    }

    /// Gives a client a new secret, as [`rotate_secret`](Self::rotate_secret), and records the
    /// reason that an administrator gave in the [note](crate::Event::note) of the event.
    ///
    /// # Errors
    /// Those of [`rotate_secret`](Self::rotate_secret).
    pub async fn rotate_secret_noted(
        &self,
        client_id: &str,
        overlap: Overlap,
        note: &str,
    ) -> Result<RotatedSecret, Error<S::Error>> {
        self.run(SecretRotation::new(client_id, overlap).with_note(note)).await
    }
}
