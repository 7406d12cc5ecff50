//! Why a URI cannot be registered as a redirect URI.

/// Why a URI cannot be registered (`invalid_redirect_uri`, RFC 7591 §3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectUriError {
    /// Over 2,048 bytes.
    #[error("a redirect URI has at most 2048 bytes")]
    TooLong,
    /// A space, control character, backslash, quote, angle bracket or anything outside ASCII; a percent
    /// sign in the host.
    #[error("a redirect URI is made of URI characters only")]
    Character,
    /// No scheme, or one without what must follow it (OAuth 2.1 §2.3).
    #[error("a redirect URI is absolute")]
    NotAbsolute,
    /// A fragment, even an empty one (OAuth 2.1 §2.3).
    #[error("a redirect URI has no fragment")]
    Fragment,
    /// A user or password before the host.
    #[error("a redirect URI has no userinfo")]
    Userinfo,
    /// `javascript:`, `data:`, `file:` and their like.
    #[error("this scheme is never a redirect URI")]
    ForbiddenScheme,
    /// A private-use scheme the rules do not admit.
    #[error("a private-use scheme is a reversed domain name, as com.example.app")]
    PrivateUseScheme,
    /// `http` to a host that is not `127.0.0.1`, `[::1]` or `localhost`.
    #[error("http is for loopback hosts only")]
    InsecureHost,
    /// A host that a browser writes in another way, such as `127.1` or `2130706433`, or does not
    /// take for one. The consent page would name another host than the one that gets
    /// the answer.
    #[error("a redirect URI's host is written as a browser writes it")]
    HostSpelling,
    /// `*` in the host: there are no patterns.
    #[error("a redirect URI has no wildcard in its host")]
    Wildcard,
    /// `code`, `state`, `iss` or an `error` parameter in the query already.
    #[error("a redirect URI's query holds no parameter of the response")]
    ReservedParameter,
    /// A port that is not a number from 1 to 65535 without a leading zero.
    #[error("a redirect URI's port is a number from 1 to 65535")]
    Port,
}
