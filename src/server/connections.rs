//! Calls that a host makes for a user or an administrator: the page of connected apps, and every
//! way to end access but that of `revoke_user`.

use super::{Error, Server};
use crate::audit::AuditLog;
use crate::client::ClientStatus;
use crate::policy::Issuers;
use crate::request::client_status::ClientStatusChange;
use crate::request::connection::{ClientRevocation, ConnectionList, GrantRevocation, RevokedBy};
use crate::request::narrowing::{GrantNarrowing, Narrowing};
use crate::response::connection::Connections;
use crate::store::{AccountSource, Store};
use crate::value::credential::GrantId;

/// How many grants are read at once, at least, when a page of connections is not full yet.
const BATCH: usize = 256;
/// After how many grants a page of connections ends, even if it is not full. It then names where to
/// continue.
const READ_LIMIT: usize = 32_768;

/// # For users and administrators
///
/// None of these is an endpoint of the protocol. The host checks that its caller may do it.
impl<S: Store, A: AccountSource<S>, L: AuditLog> Server<S, A, L> {
    /// Lists up to `limit` of a user's connections after this grant, ascending by grant id, for a
    /// page of connected apps. Pass [`Connections::next`] as `after` to continue.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// # example::tokens(&server).await;
    /// // GET /settings/apps, for the user who is signed in
    /// let page = server.connections("alice", None, 20).await?;
    /// for app in &page.entries {
    ///     let scope: Vec<_> = app.scope().collect();
    ///     println!("{} may use {scope:?} until {:?}", app.client_name(), app.expires());
    /// }
    /// # assert_eq!(page.entries.len(), 1);
    /// assert!(page.next.is_none()); // Or the `after` of the next page.
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Failed`] if the store or the accounts failed.
    pub async fn connections(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Connections, Error<S::Error>> {
        self.connections_at(Issuers::Own, subject, after, limit).await
    }

    /// Lists connections as [`connections`](Self::connections) does, of one issuer or of all that
    /// share the store. The server of the connection's own
    /// [issuer](crate::response::Connection::issuer) revokes it.
    ///
    /// # Errors
    /// [`Error::Failed`] if the store or the accounts failed.
    pub async fn connections_at(
        &self,
        issuers: Issuers,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Connections, Error<S::Error>> {
        let mut page = Connections { entries: Vec::new(), next: after };
        let mut read = 0;
        let mut batch = limit;
        // Most grants of a user may be unanswered consent pages and grants that have ended. They
        // must not take the place of connections.
        while page.entries.len() < limit && read < READ_LIMIT {
            let list = ConnectionList::new(subject, page.next, batch).of_issuers(issuers);
            let found = self.run(list).await?;
            page.entries.extend(found.entries);
            page.next = found.next;
            if page.next.is_none() {
                break;
            }
            read += batch;
            batch = limit.max(BATCH);
        }
        // The last batch may have more connections than the page has room for.
        if let Some(last) =
            page.entries.get(..limit).and_then(<[_]>::last).filter(|_| page.entries.len() > limit)
        {
            page.next = Some(last.grant_id());
            page.entries.truncate(limit);
        }
        Ok(page)
    }

    /// Revokes one of a user's connections, at once and for good: the next call with one of its
    /// tokens is refused. A connection that was revoked before is no error. Another user's
    /// connection is refused as unknown.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// # let (token, _) = example::tokens(&server).await;
    /// # let text = server.connections("alice", None, 1).await?.entries[0].grant_id().to_string();
    /// // POST /settings/apps/{grant}/revoke, by the user who is signed in
    /// server.revoke_connection("alice", text.parse()?).await?;
    /// # let (header, needs) = (format!("Bearer {token}"), server.policy().needs("https://mcp.example/mcp", "")?);
    /// # assert!(server.check(&grantcore::Authorization::One(header.as_bytes()), &needs).await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] for an unknown connection, [`Error::Failed`] if the store failed.
    pub async fn revoke_connection(
        &self,
        subject: &str,
        grant: GrantId,
    ) -> Result<(), Error<S::Error>> {
        self.run(GrantRevocation::by_user(grant, subject)).await
    }

    /// Takes scope or resources away from one of a user's connections, at once and for good: the
    /// next check refuses what is gone, and no refresh brings it back. Another user's connection is
    /// refused as unknown, like one that has ended.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// # example::tokens(&server).await;
    /// # let (checked, text) = ("notes", server.connections("alice", None, 1).await?.entries[0].grant_id().to_string());
    /// use grantcore::request::Narrowing;
    ///
    /// // POST /settings/apps/{grant}, by the user who is signed in
    /// let to = Narrowing::default().with_scope(checked.parse()?);
    /// server.narrow_connection("alice", text.parse()?, &to).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] for an unknown connection, for more than was granted, and if nothing would
    /// be left; [`Error::Failed`] if the store failed.
    pub async fn narrow_connection(
        &self,
        subject: &str,
        grant: GrantId,
        to: &Narrowing,
    ) -> Result<(), Error<S::Error>> {
        self.run(GrantNarrowing::by_user(grant, subject, to)).await
    }

    /// Takes scope or resources away from one grant of any user, as
    /// [`narrow_connection`](Self::narrow_connection) does. The note is for the audit log. The host
    /// checks that its caller may do so.
    ///
    /// # Errors
    /// Those of [`narrow_connection`](Self::narrow_connection).
    pub async fn narrow_grant(
        &self,
        grant: GrantId,
        to: &Narrowing,
        note: &str,
    ) -> Result<(), Error<S::Error>> {
        self.run(GrantNarrowing::by_administrator(grant, note, to)).await
    }

    /// Revokes one grant of any user. The host checks that its caller may do so. A grant that does
    /// not exist or was revoked before is no error.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// # example::tokens(&server).await;
    /// # let grant = server.connections("alice", None, 1).await?.entries[0].grant_id();
    /// use grantcore::RevokedBy;
    ///
    /// server.revoke_grant(grant, RevokedBy::Administrator("ticket 4711")).await?;
    /// # assert!(server.connections("alice", None, 1).await?.entries.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Failed`] if the store failed.
    pub async fn revoke_grant(
        &self,
        grant: GrantId,
        revoked_by: RevokedBy<'_>,
    ) -> Result<(), Error<S::Error>> {
        self.run(GrantRevocation::by(revoked_by, grant)).await
    }

    /// Revokes all grants of a client in one write, including those that are being made at the same
    /// moment. New grants can be made at once. The host checks that its caller may do so.
    ///
    /// Where several issuers share the store, this ends the client's grants at all of them that
    /// serve the client.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// # example::tokens(&server).await;
    /// use grantcore::RevokedBy;
    ///
    /// let reason = RevokedBy::SecurityEvent("the app leaked its tokens");
    /// server.revoke_client("notes-app", reason).await?;
    /// assert!(server.connections("alice", None, 20).await?.entries.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] for an unknown client, [`Error::Failed`] if the store failed.
    pub async fn revoke_client(
        &self,
        client_id: &str,
        revoked_by: RevokedBy<'_>,
    ) -> Result<(), Error<S::Error>> {
        self.run(ClientRevocation::by(revoked_by, client_id)).await
    }

    /// Deactivates a client at every endpoint, or activates it again. The host checks that its
    /// caller may do so.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// # example::tokens(&server).await;
    /// use grantcore::client::ClientStatus;
    ///
    /// server.set_client_status("notes-app", ClientStatus::Deactivated).await?;
    /// // Its tokens are refused from the next call on, until it is active again.
    /// server.set_client_status("notes-app", ClientStatus::Active).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] for an unknown client, [`Error::Failed`] if the store failed.
    pub async fn set_client_status(
        &self,
        client_id: &str,
        status: ClientStatus,
    ) -> Result<(), Error<S::Error>> {
        self.run(ClientStatusChange::new(client_id, status)).await
    }

    /// Deactivates a client or activates it again, as
    /// [`set_client_status`](Self::set_client_status), and records the reason that an administrator
    /// gave in the [note](crate::Event::note) of the event.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// # example::tokens(&server).await;
    /// use grantcore::client::ClientStatus;
    ///
    /// let reason = "its publisher lost the signing key";
    /// server.set_client_status_noted("notes-app", ClientStatus::Deactivated, reason).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] for an unknown client, [`Error::Failed`] if the store failed.
    pub async fn set_client_status_noted(
        &self,
        client_id: &str,
        status: ClientStatus,
        note: &str,
    ) -> Result<(), Error<S::Error>> {
        self.run(ClientStatusChange::new(client_id, status).with_note(note)).await
    }
}
