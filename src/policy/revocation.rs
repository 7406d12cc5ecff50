//! How clients revoke tokens (RFC 7009).

/// The rules of the revocation endpoint. A refresh token always ends its grant, with all access
/// tokens.
///
/// ```
/// let rules = grantcore::policy::RevocationRules::default().with_cascade_from_access(true);
/// assert!(rules.cascade_from_access());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "rules do nothing until a policy is built with them"]
pub struct RevocationRules {
    pub(crate) cascade_from_access: bool,
    pub(crate) silent: bool,
}

impl RevocationRules {
    /// Sets whether the revocation of an access token ends its grant as well. Default: `false`,
    /// only that token ends. RFC 7009 §2.1 leaves the choice.
    ///
    /// With `true`, a client that revokes an access token must ask its user again.
    pub fn with_cascade_from_access(self, cascade: bool) -> Self {
        Self { cascade_from_access: cascade, ..self }
    }

    /// Sets whether a client that names another client's token is answered as if there were no such
    /// token. Default: `false`, it is refused (RFC 7009 §2.1). The token stays valid in either
    /// case.
    ///
    /// With `true`, a client does not notice that it revoked nothing.
    pub fn with_silent(self, silent: bool) -> Self {
        Self { silent, ..self }
    }

    getters! {
        cascade_from_access: bool,
        silent: bool,
    }
}
