//! The rules that a redirect URI can break at registration.

/// The reason why a URI cannot be registered (`invalid_redirect_uri`, RFC 7591 §3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectUriError {
    /// The URI has more than 2,048 bytes.
    #[error("a redirect URI has at most 2048 bytes")]
    TooLong,
    /// The URI has a space, control character, backslash, quote, angle bracket or a character
    /// outside ASCII, a bracket outside its host, or a percent sign in its host or without two
    /// hexadecimal digits (RFC 3986 §2).
    #[error("a redirect URI is made of URI characters only")]
    Character,
    /// The URI has no scheme, or lacks what must follow its scheme (OAuth 2.1 §2.3).
    #[error("a redirect URI is absolute")]
    NotAbsolute,
    /// The URI has a fragment, which may be empty (OAuth 2.1 §2.3).
    #[error("a redirect URI has no fragment")]
    Fragment,
    /// The URI has a user or a password before the host.
    #[error("a redirect URI has no userinfo")]
    Userinfo,
    /// The scheme is `javascript`, `data`, `file` or another that is never accepted.
    #[error("this scheme is never a redirect URI")]
    ForbiddenScheme,
    /// The rules do not admit this private-use scheme.
    #[error("a private-use scheme is a reversed domain name, as com.example.app")]
    PrivateUseScheme,
    /// The scheme is `http`, and the host is not `127.0.0.1`, `[::1]` or `localhost`.
    #[error("http is for loopback hosts only")]
    InsecureHost,
    /// A browser writes the host in another way, such as `127.1` or `2130706433`, or does not
    /// accept it, or the name has an empty label. The consent page would name another host than the
    /// one that gets the answer.
    #[error("a redirect URI's host is written as a browser writes it")]
    HostSpelling,
    /// The host has `*`. There are no patterns.
    #[error("a redirect URI has no wildcard in its host")]
    Wildcard,
    /// The query has `code`, `state`, `iss` or an `error` parameter.
    #[error("a redirect URI's query holds no parameter of the response")]
    ReservedParameter,
    /// The port is not a number from 1 to 65535 without a leading zero.
    #[error("a redirect URI's port is a number from 1 to 65535")]
    Port,
}
