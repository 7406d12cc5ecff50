//! Caps on the size of requests and records, and on the work that strangers can cause.

/// The caps on what arrives and on what is kept. Each is at least one.
///
/// ```
/// let limits = grantcore::policy::Limits::default().with_token_requests_per_minute(20);
/// assert_eq!(limits.token_requests_per_minute(), 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "limits do nothing until a policy is built with them"]
pub struct Limits {
    pub(crate) request_bytes: usize,
    pub(crate) parameters: usize,
    pub(crate) value_bytes: usize,
    pub(crate) assertion_bytes: usize,
    pub(crate) live_access_tokens: usize,
    pub(crate) token_requests_per_minute: u32,
    pub(crate) failed_authentications_per_minute: u32,
    pub(crate) registration_bytes: usize,
    pub(crate) registrations_per_minute: u32,
    pub(crate) all_registrations_per_minute: u32,
    pub(crate) all_documents_per_minute: u32,
    pub(crate) consent_pages_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 16 * 1024,
            parameters: 64,
            value_bytes: 4 * 1024,
            assertion_bytes: 8 * 1024,
            live_access_tokens: 32,
            token_requests_per_minute: 60,
            failed_authentications_per_minute: 10,
            registration_bytes: 16 * 1024,
            registrations_per_minute: 300,
            all_registrations_per_minute: 600,
            all_documents_per_minute: 600,
            consent_pages_per_minute: 60,
        }
    }
}

impl Limits {
    /// Sets the maximum size of a query string or form body, in bytes. Default: 16 KiB.
    ///
    /// A higher cap lets each request of a stranger cost more parsing.
    pub fn with_request_bytes(self, limit: usize) -> Self {
        Self { request_bytes: limit, ..self }
    }

    /// Sets the maximum number of parameters in one request. Default: 64.
    ///
    /// A higher cap lets each request of a stranger cost more parsing.
    pub fn with_parameters(self, limit: usize) -> Self {
        Self { parameters: limit, ..self }
    }

    /// Sets the maximum size of one parameter's decoded value, in bytes. Default: 4 KiB.
    ///
    /// Values such as `state` are kept in the record of the grant, so that a higher cap makes
    /// records larger.
    pub fn with_value_bytes(self, limit: usize) -> Self {
        Self { value_bytes: limit, ..self }
    }

    /// Sets the maximum size of an assertion, in bytes. It takes the place of
    /// [`with_value_bytes`](Self::with_value_bytes) for the parameters that have one. Default: 8
    /// KiB.
    ///
    /// A higher cap lets each request of a stranger cost more parsing.
    pub fn with_assertion_bytes(self, limit: usize) -> Self {
        Self { assertion_bytes: limit, ..self }
    }

    /// Sets how many access tokens of one grant can be valid at once. One token more ends the one
    /// that expires first. Default: 32.
    ///
    /// It bounds the record of a client that refreshes far more often than it needs to. A higher
    /// cap makes such records larger.
    pub fn with_live_access_tokens(self, limit: usize) -> Self {
        Self { live_access_tokens: limit, ..self }
    }

    /// Sets how many requests to the token endpoint are served in any 60 s for each
    /// [rate key](super::RateKey), by default one `client_id` at one source. Default: 60.
    ///
    /// A higher cap lets a retry storm or a flood cost more reads of the store.
    pub fn with_token_requests_per_minute(self, limit: u32) -> Self {
        Self { token_requests_per_minute: limit, ..self }
    }

    /// Sets how many authentications of one `client_id` can fail in any 60 s. After that, even the
    /// right secret is refused. Default: 10.
    ///
    /// A higher cap lets more secrets be guessed (OAuth 2.1 §2.4.1).
    pub fn with_failed_authentications_per_minute(self, limit: u32) -> Self {
        Self { failed_authentications_per_minute: limit, ..self }
    }

    /// Sets the maximum size of a registration's body, in bytes. Default: 16 KiB.
    ///
    /// With [`with_all_registrations_per_minute`](Self::with_all_registrations_per_minute) it
    /// bounds the storage that strangers can take.
    pub fn with_registration_bytes(self, limit: usize) -> Self {
        Self { registration_bytes: limit, ..self }
    }

    /// Sets how many registrations and their updates are served in any 60 s for one
    /// [source](crate::RequestParts::source). Default: 300, because many users share an address,
    /// and some clients register at each connection.
    ///
    /// A higher cap lets one source use up more of
    /// [all registrations](Self::with_all_registrations_per_minute).
    pub fn with_registrations_per_minute(self, limit: u32) -> Self {
        Self { registrations_per_minute: limit, ..self }
    }

    /// Sets how many registrations and their updates are served in any 60 s for all sources
    /// together. Default: 600.
    ///
    /// With [`with_registration_bytes`](Self::with_registration_bytes) it bounds what strangers can
    /// have stored: by default at most 864,000 registrations or about 14 GiB a day. Each can be
    /// dropped after [`Lifetimes::with_unused_client`](super::Lifetimes::with_unused_client) unless
    /// a user authorizes it. Strangers at several addresses can use the limit up, and other
    /// registrations then wait.
    pub fn with_all_registrations_per_minute(self, limit: u32) -> Self {
        Self { all_registrations_per_minute: limit, ..self }
    }

    /// Sets how many new clients that are known by a metadata document are recorded in any 60 s,
    /// from all sources together. Default: 600.
    ///
    /// It bounds what strangers can have stored: by default at most 864,000 records or about 4 GiB
    /// a day. Each can be dropped after
    /// [`Lifetimes::with_unused_client`](super::Lifetimes::with_unused_client) unless a user
    /// authorizes it. A client that is on record is not counted: it is written again at most once
    /// in [`DocumentRules::with_fresh_at_least`](super::DocumentRules::with_fresh_at_least).
    /// Strangers at several addresses can use the limit up, and new clients then wait.
    pub fn with_all_documents_per_minute(self, limit: u32) -> Self {
        Self { all_documents_per_minute: limit, ..self }
    }

    /// Sets how many consent pages are made for one user in any 60 s. Default: 60.
    ///
    /// Any site can make a signed-in browser open them. Each is a record of some kilobytes that is
    /// kept for an hour beyond [`Lifetimes::with_consent`](super::Lifetimes::with_consent): by
    /// default at most 4,200 records of one user at any time.
    pub fn with_consent_pages_per_minute(self, limit: u32) -> Self {
        Self { consent_pages_per_minute: limit, ..self }
    }

    getters! {
        request_bytes: usize,
        parameters: usize,
        value_bytes: usize,
        assertion_bytes: usize,
        live_access_tokens: usize,
        token_requests_per_minute: u32,
        failed_authentications_per_minute: u32,
        registration_bytes: usize,
        registrations_per_minute: u32,
        all_registrations_per_minute: u32,
        all_documents_per_minute: u32,
        consent_pages_per_minute: u32,
    }
}
