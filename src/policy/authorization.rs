//! Choices of the authorization code flow that the specifications leave to the server.

/// How an error reaches a client whose redirect URI is verified (OAuth 2.1 §4.1.2.1, §7.13).
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

/// When the token request must repeat the redirect URI of the authorization request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenRedirectUri {
    /// If the authorization request had one (RFC 6749 §4.1.3).
    #[default]
    RequiredIfSent,
    /// Never. One that is sent must be the same (OAuth 2.1 §4.1.3). Clients that send none are
    /// served; PKCE still binds the code to the client that asked for it.
    MatchIfPresent,
}
