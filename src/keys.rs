//! The keys of the records that an attempt needs: grant, client and account.
//!
//! Never here: how a record is loaded. The rules that derive one key from another record are here
//! only, so that no store repeats them.

use std::borrow::Cow;

use crate::grant::{Grant, GrantState};
use crate::value::credential::GrantId;
use crate::value::text::{ClientId, Subject};

/// The records that one attempt needs: the grant, then the client and the account, and the account
/// of the client's owner if it has one.
///
/// A store that loads them in its own way calls [`client_id`](Self::client_id),
/// [`subject_id`](Self::subject_id), [`payer_id`](Self::payer_id) and
/// [`caller_id`](Self::caller_id) with the loaded records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "stores and hosts build it with `..Keys::default()`")]
pub struct Keys<'a> {
    /// The grant, if the request names one.
    pub grant: Option<GrantId>,
    /// The client that the request names. If it names none, the client of the grant is loaded.
    pub client: ClientKey<'a>,
    /// The user that the host has authenticated. If there is none, the user of the grant is loaded.
    pub subject: Option<Cow<'a, str>>,
    /// The client that requests the introspection of a token (RFC 7662).
    pub caller: ClientKey<'a>,
    /// An earlier grant of the user, whose consent may be remembered. It is loaded by itself: see
    /// [`remembered_id`](Self::remembered_id).
    pub remembered: Option<GrantId>,
    /// Whether the balance of the [payer](Self::payer_id) is needed.
    pub balance: bool,
    /// Whether the host's [decision](crate::Accounts::refresh_decision) about the grant is needed.
    /// A store does not load it: the driver asks the accounts.
    pub refresh_decision: bool,
    /// Whether a store that [loads accounts](crate::LoadsAccounts) can leave them out, because the
    /// server takes them from elsewhere.
    pub skip_accounts: bool,
}

/// Several grants of a user that an operation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrantList<'a> {
    /// One page of a user's grants, ascending by their ids.
    Page {
        /// The user.
        subject: &'a str,
        /// The grant after which the page begins.
        after: Option<GrantId>,
        /// The most grants of the page.
        limit: usize,
    },
    /// These grants, in this order.
    Ids(&'a [GrantId]),
}

/// The client that a request names.
///
/// A client that cannot exist differs from an unnamed client (impersonation): without the
/// difference, a request with an impossible `client_id` would act as the grant's own client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a store must distinguish the three cases")]
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
    /// Returns the same keys, borrowing nothing: for a load on another thread.
    pub fn into_owned(self) -> Keys<'static> {
        Keys {
            grant: self.grant,
            client: self.client.into_owned(),
            subject: self.subject.map(|subject| Cow::Owned(subject.into_owned())),
            caller: self.caller.into_owned(),
            remembered: self.remembered,
            balance: self.balance,
            refresh_decision: self.refresh_decision,
            skip_accounts: self.skip_accounts,
        }
    }

    /// Returns whether no record is needed.
    pub fn is_empty(&self) -> bool {
        let is_unnamed = self.client.as_named().is_none() && self.caller.as_named().is_none();
        is_unnamed && self.grant.is_none() && self.subject.is_none()
    }

    /// Returns the `client_id` of the client to load: of the client that the request names, or of
    /// the loaded grant's client if the request names none.
    pub fn client_id<'k>(&'k self, grant: Option<&'k Grant>) -> Option<&'k str> {
        match &self.client {
            ClientKey::Unnamed => grant.map(|grant| grant.client_id().as_str()),
            ClientKey::Named(client_id) => Some(client_id),
            ClientKey::Impossible => None,
        }
    }

    /// Returns the subject of the account to load: the authenticated user, or the loaded grant's
    /// user if there is none. A grant without a user has no account.
    pub fn subject_id<'k>(&'k self, grant: Option<&'k Grant>) -> Option<&'k str> {
        self.subject.as_deref().or_else(|| Some(grant?.subject()?.as_str()))
    }

    /// Returns the subject whose balance is needed, if one is: the loaded grant's user, or the
    /// owner of the loaded client if the grant has no user.
    pub fn payer_id<'k>(
        &self,
        grant: Option<&'k Grant>,
        owner: Option<&'k Subject>,
    ) -> Option<&'k str> {
        let grant = grant.filter(|_| self.balance)?;
        grant.subject().or(owner).map(Subject::as_str)
    }

    /// Returns the earlier grant to load beside all others: the one that the user is remembered by,
    /// or the one that the loaded grant relies on until its code is redeemed.
    ///
    /// A store's `load` leaves it out. The server reads it by [`Store::grant`](crate::Store::grant)
    /// after all others, so that it sees the revocation of a grant whose account it has read
    /// before. For most requests there is none.
    pub fn remembered_id(&self, grant: Option<&Grant>) -> Option<GrantId> {
        self.remembered.or_else(|| grant.and_then(Grant::relies_on))
    }

    /// Returns whether the host's decision about this grant is needed. It is asked for a grant in
    /// use, and by its own client only: no other request could get tokens of it.
    pub(crate) fn is_refresh_of(&self, grant: &Grant) -> bool {
        self.refresh_decision
            && grant.state() == GrantState::Active
            && grant.subject().is_some()
            && self.client_id(Some(grant)) == Some(grant.client_id().as_str())
    }

    /// Returns the `client_id` of the calling client to load, if there is one.
    pub fn caller_id(&self) -> Option<&str> {
        self.caller.as_named()
    }
}
