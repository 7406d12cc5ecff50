//! The accounts of the host's users: whether an account is active, whether it can pay, and what the
//! host decides about a grant that is being refreshed.

mod refresh;

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;

pub use self::refresh::{GrantChanges, RefreshDecision};
use crate::grant::Grant;

/// The state of an account, and the epoch that its grants capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it from a row of their users table")]
pub struct Account {
    /// Whether the account is suspended. Its tokens are refused until the suspension is lifted.
    pub suspended: bool,
    /// The account's epoch. Each grant captures it at its consent page; raising it ends all grants
    /// that captured an older one, after a password change or a security event.
    pub epoch: u64,
}

impl Account {
    /// An account that is not suspended and whose grants were never ended.
    pub const ACTIVE: Self = Self { suspended: false, epoch: 0 };
}

/// Whether an account can pay for one more call, in units of the host's own. The balance belongs to
/// the account: all its clients, grants and tokens draw on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "each case has an answer of its own on the wire")]
pub enum Balance {
    /// The account can pay.
    Sufficient,
    /// The account can pay, and the response warns that little is left.
    Low {
        /// The units that are left.
        left: u64,
    },
    /// The account cannot pay: the call is refused with 402 until the balance is topped up.
    Insufficient,
}

/// The users of a host. Implement it on the host's own users table.
///
/// It is a required argument of [`Server::new`](crate::Server::new), separate from the
/// [`Store`](crate::Store), so that no wrapper of a store can silently keep a suspended user's
/// tokens alive. A host whose accounts are never suspended passes [`AlwaysActive`].
///
/// ```
/// # use std::future::Future;
/// use grantcore::{Account, Accounts};
/// # #[derive(Debug, thiserror::Error)]
/// # #[error("no connection")]
/// # struct DatabaseError;
/// # struct Row { locked: bool, sessions_ended: u64 }
///
/// struct Users(/* a connection pool */);
/// # impl Users {
/// #     async fn find(&self, _: &str) -> Result<Option<Row>, DatabaseError> { Ok(None) }
/// # }
///
/// impl Accounts for Users {
///     type Error = DatabaseError;
///
///     async fn account(&self, subject: &str) -> Result<Option<Account>, DatabaseError> {
///         // SELECT locked, sessions_ended FROM users WHERE id = $1
///         let row = self.find(subject).await?;
///         Ok(row.map(|row| Account { suspended: row.locked, epoch: row.sessions_ended }))
///     }
/// }
/// ```
pub trait Accounts: Send + Sync {
    /// A failure of the host's users table. It reaches the host as
    /// [`FailureCause::Accounts`](crate::store::FailureCause::Accounts).
    type Error: Error + Send + Sync + 'static;

    /// Returns the account of this subject, or `None` if there is no such account: its grants are
    /// then refused.
    ///
    /// A suspension takes effect once it is visible here, so [`suspended`](Account::suspended) may
    /// be cached for as long as the host accepts a delay. The [epoch](Account::epoch) must not be:
    /// a raised epoch is returned from the next call on.
    fn account(
        &self,
        subject: &str,
    ) -> impl Future<Output = Result<Option<Account>, Self::Error>> + Send;

    /// Raises the [epoch](Account::epoch) of this account durably and returns `true`. Every grant
    /// that captured an older epoch is refused from then on, also one whose consent page is being
    /// made at the same moment.
    ///
    /// The default returns `false`: these accounts have no epoch, and
    /// [`Server::revoke_user`](crate::Server::revoke_user) revokes the grants one by one.
    ///
    /// An error means that it is not known whether the epoch was raised.
    fn raise_epoch(&self, subject: &str) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        let _ = subject;
        async { Ok(false) }
    }

    /// Returns what the host decides about this grant, whose refresh token was just presented. It
    /// is called once for each attempt of a refresh, and for no other request: neither for a code
    /// nor for a check. The default keeps the grant as it is and reads nothing.
    ///
    /// The decision counts only if the request would get tokens. The presented token may be rotated
    /// already, or stolen; such a request is judged as if there were no decision. It can lessen the
    /// grant or end it, never widen it. See [`RefreshDecision`].
    ///
    /// An error means that the decision is not known. The client then gets a 503 and may send the
    /// same token again.
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// # use grantcore::Account;
    /// use grantcore::Accounts;
    /// use grantcore::account::{GrantChanges, RefreshDecision};
    /// use grantcore::grant::Grant;
    ///
    /// struct Members;
    /// # impl Members {
    /// #     async fn role(&self, _: &str) -> Option<&'static str> { Some("viewer") }
    /// # }
    ///
    /// impl Accounts for Members {
    /// #     type Error = Infallible;
    /// #     async fn account(&self, _: &str) -> Result<Option<Account>, Infallible> {
    /// #         Ok(Some(Account::ACTIVE))
    /// #     }
    ///     async fn refresh_decision(&self, grant: &Grant) -> Result<RefreshDecision, Infallible> {
    ///         // SELECT role FROM members WHERE id = $1
    ///         let Some(user) = grant.subject() else { return Ok(RefreshDecision::Keep) };
    ///         Ok(match self.role(user.as_str()).await {
    ///             Some("editor") => RefreshDecision::Keep,
    ///             Some(_) => GrantChanges::default().with_scope("read".parse().unwrap()).into(),
    ///             None => RefreshDecision::End("has left the organization".into()),
    ///         })
    ///     }
    /// }
    /// ```
    fn refresh_decision(
        &self,
        grant: &Grant,
    ) -> impl Future<Output = Result<RefreshDecision, Self::Error>> + Send {
        let _ = grant;
        async { Ok(RefreshDecision::Keep) }
    }

    /// Returns whether this account can pay for one more call. It is called only for requests that
    /// cost something ([`Needs::billed`](crate::Needs::billed)). By default an account can always
    /// pay.
    fn balance(&self, subject: &str) -> impl Future<Output = Result<Balance, Self::Error>> + Send {
        let _ = subject;
        async { Ok(Balance::Sufficient) }
    }
}

/// [`Accounts`] that all exist, are never suspended and can always pay.
///
/// ```
/// use grantcore::{AlwaysActive, MemoryStore, Policy, Server};
///
/// /// A server for one user: its owner.
/// fn server(policy: Policy) -> Server<MemoryStore, AlwaysActive> {
///     Server::new(policy, MemoryStore::new(), AlwaysActive)
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a unit struct is its own constructor")]
pub struct AlwaysActive;

impl Accounts for AlwaysActive {
    type Error = Infallible;

    async fn account(&self, _: &str) -> Result<Option<Account>, Infallible> {
        Ok(Some(Account::ACTIVE))
    }
}

/// Implements [`Accounts`] for a pointer to an implementor.
macro_rules! forward {
    ($pointer:ty) => {
        impl<A: Accounts> Accounts for $pointer {
            type Error = A::Error;

            async fn account(&self, subject: &str) -> Result<Option<Account>, A::Error> {
                (**self).account(subject).await
            }

            async fn raise_epoch(&self, subject: &str) -> Result<bool, A::Error> {
                (**self).raise_epoch(subject).await
            }

            async fn refresh_decision(&self, grant: &Grant) -> Result<RefreshDecision, A::Error> {
                (**self).refresh_decision(grant).await
            }

            async fn balance(&self, subject: &str) -> Result<Balance, A::Error> {
                (**self).balance(subject).await
            }
        }
    };
}

forward!(&A);
forward!(std::sync::Arc<A>);
