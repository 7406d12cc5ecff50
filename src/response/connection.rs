//! A connection, as its user sees it: which application may do what, since when, and whether it is
//! in use (OAuth 2.1 §7.9).

use std::sync::Arc;

use crate::client::Client;
use crate::grant::{Active, Grant, Phase};
use crate::moment::Timestamp;
use crate::operation::Loaded;
use crate::reason::Reason;
use crate::value::credential::GrantId;
use crate::value::text::ClientId;

/// One connected application of a user: a grant whose tokens work, or can be made to.
#[derive(Clone, Debug)]
pub struct Connection {
    grant: Arc<Grant>,
    client: Arc<Client>,
    state: ConnectionState,
    first_used: Timestamp,
    last_refreshed: Timestamp,
    access_expires: Option<Timestamp>,
    expires: Timestamp,
}

/// Whether a connection is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// One of its access tokens works now.
    Active,
    /// None does, but its refresh token would bring one; or it is held up while its client is
    /// deactivated or an account suspended. It is still the user's to revoke.
    Dormant,
}

/// A part of a user's connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connections {
    /// The connections, ascending by the ids of their grants.
    pub entries: Vec<Connection>,
    /// The grant after which the next part begins, or `None` if these were the last connections.
    pub next: Option<GrantId>,
}

impl Connection {
    /// The connection that these records are; nothing if there is none left, or not yet.
    pub(crate) fn of(loaded: &Loaded, clock: Timestamp) -> Option<Self> {
        let (grant, client) = (&loaded.grant.as_ref()?.record, &loaded.client.as_ref()?.record);
        let Phase::Active(active) = grant.phase() else { return None };
        let now = grant.now(clock);
        let served = loaded.usable_client(grant.client_id().as_str(), now);
        let is_over =
            now >= grant.last_use() || now >= grant.expires() || !loaded.is_of_epoch(grant);
        if is_over || matches!(served, Err(Reason::ClientUnknown)) {
            return None;
        }
        let access_expires = works_until(active, now);
        let is_active =
            access_expires.is_some() && served.is_ok() && loaded.check_accounts().is_ok();
        Some(Self {
            grant: Arc::clone(grant),
            client: Arc::clone(client),
            state: if is_active { ConnectionState::Active } else { ConnectionState::Dormant },
            first_used: active.code().redeemed,
            last_refreshed: active.refresh_family().rotated,
            access_expires,
            expires: grant.last_use().min(grant.expires()),
        })
    }

    /// The grant: what to revoke, and the flow in the trail.
    pub fn grant_id(&self) -> GrantId {
        self.grant.id()
    }

    /// The application.
    pub fn client_id(&self) -> &ClientId {
        self.grant.client_id()
    }

    /// Its name, cleaned for display; its `client_id` if it has none. Unless the operator
    /// registered it, the name is its own claim.
    pub fn client_name(&self) -> String {
        self.client.display_name()
    }

    /// The client's record.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What was granted.
    pub fn scope(&self) -> impl Iterator<Item = &str> {
        self.grant.scope().tokens()
    }

    /// The resources it was granted for.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.grant.resources()
    }

    /// When the user was asked.
    pub fn created(&self) -> Timestamp {
        self.grant.created()
    }

    /// When the application fetched its first tokens.
    pub fn first_used(&self) -> Timestamp {
        self.first_used
    }

    /// When it last fetched tokens: at the latest use of its refresh token, or at first. Uses of
    /// access tokens write nothing.
    pub fn last_refreshed_at(&self) -> Timestamp {
        self.last_refreshed
    }

    /// When the last of its access tokens expires; nothing if none is alive.
    pub fn access_expires_at(&self) -> Option<Timestamp> {
        self.access_expires
    }

    /// When it is over unless it refreshes before, or in any case.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Whether it is in use.
    pub fn state(&self) -> ConnectionState {
        self.state
    }
}

fn works_until(active: &Active, now: Timestamp) -> Option<Timestamp> {
    active.access_tokens.iter().map(|live| live.expires).filter(|expires| now < *expires).max()
}
