//! What the host says of an account: whether it stands well, and whether it can pay.

/// How an account stands with the host, and the epoch its grants capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// Whether it is suspended. Its connections are then inactive until the suspension is lifted.
    pub suspended: bool,
    /// Raised to end every grant that captured an older one: at a password change, or a security
    /// event.
    pub epoch: u64,
}

impl Account {
    /// An account in good standing whose grants were never ended.
    pub const ACTIVE: Self = Self { suspended: false, epoch: 0 };
}

/// Whether an account can pay for one more call, in the host's own units. It is the account's,
/// whichever client, grant or token draws on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Balance {
    /// It can.
    Sufficient,
    /// It can, and should be told that not much is left.
    Low {
        /// What is left.
        left: u64,
    },
    /// It cannot: the call is refused with 402 until the balance is topped up.
    Insufficient,
}
