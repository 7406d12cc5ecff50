//! The calls for operators, and for the users' page of connections, each polled to its end.

use super::super::{Ready, block_on};
use super::{AuditLog, Server, Store};
use crate::client::ClientStatus;
use crate::policy::Issuers;
use crate::request::connection::RevokedBy;
use crate::request::narrowing::Narrowing;
use crate::response::connection::Connections;
use crate::response::secret_rotation::RotatedSecret;
use crate::server::{Error, RevokedGrants};
use crate::store::AccountSource;
use crate::value::credential::GrantId;
use crate::value::overlap::Overlap;

/// # Administration
impl<S: Store, A, L: AuditLog> Server<S, A, L>
where
    Ready<A>: AccountSource<Ready<S>>,
{
    /// See [`Server::rotate_secret`](crate::Server::rotate_secret).
    ///
    /// # Errors
    /// Those of [`Server::rotate_secret`](crate::Server::rotate_secret).
    pub fn rotate_secret(
        &self,
        client_id: &str,
        overlap: Overlap,
    ) -> Result<RotatedSecret, Error<S::Error>> {
        block_on(self.0.rotate_secret(client_id, overlap))
    }

    /// See [`Server::rotate_secret_noted`](crate::Server::rotate_secret_noted).
    ///
    /// # Errors
    /// Those of [`Server::rotate_secret`](crate::Server::rotate_secret).
    pub fn rotate_secret_noted(
        &self,
        client_id: &str,
        overlap: Overlap,
        note: &str,
    ) -> Result<RotatedSecret, Error<S::Error>> {
        block_on(self.0.rotate_secret_noted(client_id, overlap, note))
    }

    /// See [`Server::set_client_status`](crate::Server::set_client_status).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn set_client_status(
        &self,
        client_id: &str,
        status: ClientStatus,
    ) -> Result<(), Error<S::Error>> {
        block_on(self.0.set_client_status(client_id, status))
    }

    /// See [`Server::set_client_status_noted`](crate::Server::set_client_status_noted).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn set_client_status_noted(
        &self,
        client_id: &str,
        status: ClientStatus,
        note: &str,
    ) -> Result<(), Error<S::Error>> {
        block_on(self.0.set_client_status_noted(client_id, status, note))
    }

    /// See [`Server::connections`](crate::Server::connections).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn connections(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Connections, Error<S::Error>> {
        block_on(self.0.connections(subject, after, limit))
    }

    /// See [`Server::connections_at`](crate::Server::connections_at).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn connections_at(
        &self,
        issuers: Issuers,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Connections, Error<S::Error>> {
        block_on(self.0.connections_at(issuers, subject, after, limit))
    }

    /// See [`Server::revoke_connection`](crate::Server::revoke_connection).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn revoke_connection(&self, subject: &str, grant: GrantId) -> Result<(), Error<S::Error>> {
        block_on(self.0.revoke_connection(subject, grant))
    }

    /// See [`Server::narrow_connection`](crate::Server::narrow_connection).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn narrow_connection(
        &self,
        subject: &str,
        grant: GrantId,
        to: &Narrowing,
    ) -> Result<(), Error<S::Error>> {
        block_on(self.0.narrow_connection(subject, grant, to))
    }

    /// See [`Server::narrow_grant`](crate::Server::narrow_grant).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn narrow_grant(
        &self,
        grant: GrantId,
        to: &Narrowing,
        note: &str,
    ) -> Result<(), Error<S::Error>> {
        block_on(self.0.narrow_grant(grant, to, note))
    }

    /// See [`Server::revoke_grant`](crate::Server::revoke_grant).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn revoke_grant(
        &self,
        grant: GrantId,
        revoked_by: RevokedBy<'_>,
    ) -> Result<(), Error<S::Error>> {
        block_on(self.0.revoke_grant(grant, revoked_by))
    }

    /// See [`Server::revoke_client`](crate::Server::revoke_client).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn revoke_client(
        &self,
        client_id: &str,
        revoked_by: RevokedBy<'_>,
    ) -> Result<(), Error<S::Error>> {
        block_on(self.0.revoke_client(client_id, revoked_by))
    }

    /// See [`Server::revoke_user`](crate::Server::revoke_user).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn revoke_user(
        &self,
        subject: &str,
        revoked_by: RevokedBy<'_>,
    ) -> Result<RevokedGrants, Error<S::Error>> {
        block_on(self.0.revoke_user(subject, revoked_by))
    }

    /// See [`Server::revoke_user_client`](crate::Server::revoke_user_client).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn revoke_user_client(
        &self,
        subject: &str,
        client_id: &str,
        revoked_by: RevokedBy<'_>,
    ) -> Result<RevokedGrants, Error<S::Error>> {
        block_on(self.0.revoke_user_client(subject, client_id, revoked_by))
    }
}
