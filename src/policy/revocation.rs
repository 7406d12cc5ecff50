//! How clients may give tokens back (RFC 7009).

/// The rules of the revocation endpoint. A refresh token always ends its grant, with all access
/// tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevocationRules {
    /// Whether an access token ends its grant as well. Default: it ends alone (RFC 7009 §2.1
    /// leaves it open).
    pub cascade_from_access: bool,
    /// Whether a client that names another's token is answered as if there were none. Default: it
    /// is told so, as RFC 7009 §2.1 has it; the token works on in either case.
    pub silent: bool,
}
