//! The connections of a user: the applications with access, what they may do, and whether they are
//! in use (OAuth 2.1 §7.9).

use std::sync::Arc;

use crate::client::Client;
use crate::decision::Loaded;
use crate::grant::{Active, Basis, Consent, Grant, Phase};
use crate::moment::Timestamp;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::value::credential::GrantId;
use crate::value::properties::Properties;
use crate::value::redirect_uri::VerifiedRedirectUri;
use crate::value::text::ClientId;

/// A connected application of a user: a grant that has working tokens, or can get new ones.
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

/// The state of a connection. The user can revoke a connection in any state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionState {
    /// An access token works now.
    Active,
    /// No access token works now. Either the refresh token yields a new one, or the connection is
    /// blocked while its client is deactivated or an account is suspended.
    Dormant,
}

/// Who has connected an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectedBy<'a> {
    /// The user, on the consent page.
    User,
    /// The user's organization, by its identity provider. The user can end the connection. The
    /// organization can renew it, because the next assertion brings a new one (AMB-92): the page
    /// should say so.
    #[non_exhaustive]
    Enterprise {
        /// The identifier of the identity provider.
        issuer: &'a str,
    },
}

/// One page of a user's connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connections {
    /// The connections, ascending by the ids of their grants.
    pub entries: Vec<Connection>,
    /// The grant after which the next page begins, or `None` if this is the last page.
    pub next: Option<GrantId>,
}

impl Connections {
    /// Returns the grant by which this client was granted access last by a consent page, for
    /// [`User::remembering`](crate::User::remembering). `None`: this page of the list has none.
    pub fn asked(&self, client_id: &str) -> Option<GrantId> {
        let asked = self.entries.iter().filter(|own| {
            own.client_id().as_str() == client_id
                && own.grant.terms().consent() == Some(Consent::Asked)
        });
        asked.max_by_key(|own| own.created()).map(Connection::grant_id)
    }
}

impl Connection {
    /// Returns the connection of these records, or `None` if the grant is not active or has ended.
    pub(crate) fn of(loaded: &Loaded, policy: &Policy, clock: Timestamp) -> Option<Self> {
        let grant = &loaded.grant.as_ref()?.record;
        let client = &loaded.client.as_ref()?.record;
        let Phase::Active(active) = grant.phase() else { return None };
        // A grant without a user is nobody's connection.
        grant.subject()?;
        // A token that an identity provider's assertion brought is used from its issue on, and
        // there is nothing to refresh.
        let created = grant.created();
        let (first_used, last_refreshed) = active
            .code()
            .map_or((created, created), |code| (code.redeemed, code.refresh_family.rotated));
        let now = grant.now(clock);
        let served = loaded.usable_client(grant.client_id().as_str(), policy, now);
        let is_over =
            now >= grant.last_use() || now >= grant.expires() || !loaded.epochs_match(grant);
        if is_over || matches!(served, Err(Reason::ClientUnknown)) {
            return None;
        }
        let access_expires = works_until(active, now).map(|expires| expires.min(grant.expires()));
        let is_active =
            access_expires.is_some() && served.is_ok() && loaded.check_accounts().is_ok();
        Some(Self {
            grant: Arc::clone(grant),
            client: Arc::clone(client),
            state: if is_active { ConnectionState::Active } else { ConnectionState::Dormant },
            first_used,
            last_refreshed,
            access_expires,
            expires: grant.last_use().min(grant.expires()),
        })
    }

    /// Returns the grant, which is revoked by this id, and identifies the flow in the audit log.
    pub fn grant_id(&self) -> GrantId {
        self.grant.id()
    }

    /// Returns the issuer that the grant was made at. Its own server revokes the grant.
    pub fn issuer(&self) -> &str {
        self.grant.issued_by()
    }

    /// Returns who has connected the application.
    pub fn by(&self) -> ConnectedBy<'_> {
        match &self.grant.terms().basis {
            Basis::Enterprise { issuer, .. } => ConnectedBy::Enterprise { issuer },
            Basis::Consent { .. } | Basis::Machine | Basis::Workload { .. } => ConnectedBy::User,
        }
    }

    /// Returns the `client_id` of the application.
    pub fn client_id(&self) -> &ClientId {
        self.grant.client_id()
    }

    /// Returns the name of the application, cleaned for display, or its `client_id` if it has no
    /// name. The name is the client's own claim unless the operator registered the client.
    pub fn client_name(&self) -> String {
        self.client.display_name()
    }

    /// Returns the client's record.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the granted scope tokens, without those that were taken away.
    pub fn scope(&self) -> impl Iterator<Item = &str> {
        self.grant.remaining_scope()
    }

    /// Returns the granted resources, without those that were taken away.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.grant.remaining_resources()
    }

    /// Returns host and port that the code was sent to, or the scheme of a private-use URI. It
    /// tells two connections of one application apart.
    pub fn redirect_host(&self) -> &str {
        self.grant.terms().redirect_uri().map_or("", VerifiedRedirectUri::host)
    }

    /// Returns whether the code was sent to a loopback address.
    pub fn redirects_to_loopback(&self) -> bool {
        self.grant.terms().redirect_uri().is_some_and(VerifiedRedirectUri::is_loopback)
    }

    /// Returns whether the code was sent to the user's own device, by loopback or by a private-use
    /// scheme.
    pub fn redirects_to_own_device(&self) -> bool {
        let uri = self.grant.terms().redirect_uri();
        uri.is_some_and(|uri| uri.is_loopback() || uri.is_private_use())
    }

    /// Returns when the consent page was made.
    pub fn created(&self) -> Timestamp {
        self.grant.created()
    }

    /// Returns when the application fetched its first tokens.
    pub fn first_used(&self) -> Timestamp {
        self.first_used
    }

    /// Returns when the application last fetched tokens. The use of an access token is not
    /// recorded.
    pub fn last_refreshed_at(&self) -> Timestamp {
        self.last_refreshed
    }

    /// Returns when the last access token expires, or `None` if no access token works now.
    pub fn access_expires_at(&self) -> Option<Timestamp> {
        self.access_expires
    }

    /// Returns what the host has bound to the grant, or `None` if it has bound nothing.
    pub fn properties(&self) -> Option<&Properties> {
        self.grant.properties()
    }

    /// Returns when the connection ends: at the end of its absolute lifetime or of the time that
    /// the consent gave it, or earlier if the application does not refresh its tokens.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Returns whether the connection is in use.
    pub fn state(&self) -> ConnectionState {
        self.state
    }
}

/// Returns when the last access token that works now expires.
fn works_until(active: &Active, now: Timestamp) -> Option<Timestamp> {
    active.access_tokens.iter().map(|token| token.expires).filter(|expires| now < *expires).max()
}
