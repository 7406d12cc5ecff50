//! What an attempt needs loaded: which grant, which client, whose account.
//!
//! Never here: how it is loaded. The rules by which one key stands in for another are here alone,
//! so that no store repeats them.

use std::borrow::Cow;

use crate::grant::Grant;
use crate::value::credential::GrantId;
use crate::value::text::ClientId;

/// The records that one attempt needs: the grant first, then the client and the account. If the
/// client has an owner, the standing of that account as well.
///
/// A store that loads them in its own way asks [`client_id`](Self::client_id),
/// [`subject_id`](Self::subject_id) and [`caller_id`](Self::caller_id) what to load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys<'a> {
    /// The grant, if the request names one.
    pub grant: Option<GrantId>,
    /// The client that the request names; if it names none, the client of the grant.
    pub client: ClientKey<'a>,
    /// The user whom the host has authenticated; if there is none, the user of the grant.
    pub subject: Option<&'a str>,
    /// The client that asks about the grant of another (RFC 7662); if it is not named, none.
    pub caller: ClientKey<'a>,
    /// Whether the balance of the grant's account is needed, too.
    pub balance: bool,
    /// Whether a store that [loads accounts](crate::LoadsAccounts) can leave them out, because the
    /// server takes them from elsewhere.
    pub skip_accounts: bool,
}

/// A part of a user's grants, in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrantList<'a> {
    /// The user.
    pub subject: &'a str,
    /// The grant after which the list begins.
    pub after: Option<GrantId>,
    /// How many grants are listed at most.
    pub limit: usize,
}

impl<'a> GrantList<'a> {
    /// Returns the list of up to `limit` grants of this user after `after`.
    pub fn new(subject: &'a str, after: Option<GrantId>, limit: usize) -> Self {
        Self { subject, after, limit }
    }
}

/// What a request says of its client. A client that was named and cannot exist is not the same as
/// one that was not named: taken for the same, a made-up `client_id` would act as the grant's own
/// client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientKey<'a> {
    /// The request names no client.
    #[default]
    Unnamed,
    /// The request names this client, which may not exist.
    Named(Cow<'a, str>),
    /// The request names a client that cannot exist: its `client_id` is empty, longer than 2,048
    /// bytes or not printable ASCII. There is nothing to load.
    Impossible,
}

impl<'a> ClientKey<'a> {
    /// Returns the key of the client that a request names by this text.
    pub fn named(client_id: impl Into<Cow<'a, str>>) -> Self {
        let client_id = client_id.into();
        if ClientId::can_be(&client_id).is_some() {
            Self::Named(client_id)
        } else {
            Self::Impossible
        }
    }

    /// Returns the same key, borrowing nothing.
    pub fn into_owned(self) -> ClientKey<'static> {
        match self {
            Self::Unnamed => ClientKey::Unnamed,
            Self::Named(client_id) => ClientKey::Named(Cow::Owned(client_id.into_owned())),
            Self::Impossible => ClientKey::Impossible,
        }
    }

    /// Returns the `client_id` to look up, if the request names a client that can exist.
    pub fn as_named(&self) -> Option<&str> {
        match self {
            Self::Named(client_id) => Some(client_id),
            Self::Unnamed | Self::Impossible => None,
        }
    }
}

impl<'a> From<&'a str> for ClientKey<'a> {
    fn from(client_id: &'a str) -> Self {
        Self::named(client_id)
    }
}

impl Keys<'static> {
    /// Returns the keys of a grant with its client and its account.
    pub fn of_grant(id: GrantId) -> Self {
        Self { grant: Some(id), ..Self::default() }
    }
}

impl Keys<'_> {
    /// Returns whether there is nothing to load.
    pub fn is_empty(&self) -> bool {
        let is_unnamed = self.client.as_named().is_none() && self.caller.as_named().is_none();
        is_unnamed && self.grant.is_none() && self.subject.is_none()
    }

    /// Returns the `client_id` of the client to load, if there is one: that of the client that the
    /// request names, and no other; if it names none, that of the client of the grant, as loaded.
    pub fn client_id<'k>(&'k self, grant: Option<&'k Grant>) -> Option<&'k str> {
        match &self.client {
            ClientKey::Unnamed => grant.map(|grant| grant.client_id().as_str()),
            ClientKey::Named(client_id) => Some(client_id),
            ClientKey::Impossible => None,
        }
    }

    /// Returns the name of the account to load, if there is one: that of the authenticated user;
    /// without one, that of the user of the grant, as loaded.
    pub fn subject_id<'k>(&'k self, grant: Option<&'k Grant>) -> Option<&'k str> {
        self.subject.or_else(|| grant.map(|grant| grant.subject().as_str()))
    }

    /// Returns the `client_id` of the calling client to load, if there is one.
    pub fn caller_id(&self) -> Option<&str> {
        self.caller.as_named()
    }
}
