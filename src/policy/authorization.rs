//! Choices of the authorization code flow that the specifications leave to the server.

/// The way in which an error reaches a client whose redirect URI is verified (OAuth 2.1 §4.1.2.1,
/// §7.13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorDelivery {
    /// By redirect if the user is signed in and the client is trusted, else by a page with a link
    /// to the client.
    #[default]
    Auto,
    /// By redirect whenever the user is signed in. Anybody who registers a client can then redirect
    /// users from this server to any site.
    AlwaysRedirect,
    /// Always by a page.
    AlwaysBanner,
}

/// The rule for the redirect URI that a token request repeats from the authorization request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenRedirectUri {
    /// It must be repeated if the authorization request had one (RFC 6749 §4.1.3).
    #[default]
    RequiredIfSent,
    /// It may be left out. A redirect URI that is sent must be the same (OAuth 2.1 §4.1.3). Clients
    /// that send none are served; PKCE still binds the code to the client that asked for it.
    MatchIfPresent,
}
