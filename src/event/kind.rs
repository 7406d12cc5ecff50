//! The kinds of events, who can cause them, and the durability of writes.

use crate::value::names::named_enum;

named_enum! {
    /// The kind of a step.
    pub enum EventKind, name, "a kind of event" {
        /// An authorization request was valid, but no user is signed in.
        LoginNeeded = "login_needed",
        /// A consent page was made.
        ConsentShown = "consent_shown",
        /// The user approved, and an authorization code was issued.
        ConsentApproved = "consent_approved",
        /// An authorization code was issued without a consent page, because the user had granted
        /// the same before. The event's note is the id of the earlier grant.
        ConsentRemembered = "consent_remembered",
        /// An authorization code was issued without a consent page, because the operator lets the
        /// client skip it.
        ConsentSkipped = "consent_skipped",
        /// An authorization code was redeemed.
        CodeRedeemed = "code_redeemed",
        /// A client got an access token on its own behalf.
        MachineIssued = "machine_issued",
        /// An assertion of a trusted issuer brought an access token. The detail has its profile.
        AssertionAccepted = "assertion_accepted",
        /// A refresh token was rotated.
        TokensRefreshed = "tokens_refreshed",
        /// A rotated refresh token got the same successor again, within the replay window.
        RefreshReplayedInWindow = "refresh_replayed_in_window",
        /// A grant was ended by its client, its user or an administrator.
        GrantRevoked = "grant_revoked",
        /// The user or an administrator took scope or resources away from a grant.
        GrantNarrowed = "grant_narrowed",
        /// A grant was to be narrowed, and had no more than what it was to keep.
        NothingNarrowed = "nothing_narrowed",
        /// A client revoked an access token.
        TokenRevoked = "token_revoked",
        /// A client revoked a text that is not a valid token, or not one of its own.
        NothingRevoked = "nothing_revoked",
        /// A page of a user's connections was listed.
        ConnectionsListed = "connections_listed",
        /// An access token was accepted.
        AccessAllowed = "access_allowed",
        /// A resource server introspected an access token, and it is active.
        TokenIntrospected = "token_introspected",
        /// A resource server introspected a token that is not active for it. The event's reason is
        /// why.
        InactiveIntrospected = "inactive_introspected",
        /// A client registered itself.
        ClientRegistered = "client_registered",
        /// A client read its registration.
        ClientRead = "client_read",
        /// A client changed its registration.
        ClientUpdated = "client_updated",
        /// A client deleted its registration, which ends its grants.
        ClientDeleted = "client_deleted",
        /// An administrator deactivated a client.
        ClientDeactivated = "client_deactivated",
        /// An administrator activated a client again.
        ClientReactivated = "client_reactivated",
        /// An administrator ended all grants of a client.
        ClientGrantsEnded = "client_grants_ended",
        /// A client's secret was replaced by a new one.
        SecretRotated = "secret_rotated",
        /// All grants of a user were ended.
        AccountGrantsEnded = "account_grants_ended",
        /// A `client_id` is the URL of a metadata document, which must be fetched.
        DocumentNeeded = "document_needed",
        /// The request was refused. The event's reason is why.
        Refused = "refused",
    }
}

impl EventKind {
    /// Returns whether steps of this kind make up most of the traffic when nothing is wrong.
    pub(crate) fn is_routine(self) -> bool {
        matches!(self, Self::AccessAllowed | Self::TokenIntrospected | Self::ConnectionsListed)
    }
}

named_enum! {
    /// The parties that can cause an event.
    ///
    /// An audit log of limited size keeps the two classes apart, so that requests that anybody can
    /// send displace no event that the operator needs.
    pub enum EventClass, name, "a class of events" {
        /// A step of a live flow, a step that writes a grant, or a step by the operator or by an
        /// authenticated client that the operator registered.
        Attributed = "attributed",
        /// Any other step: the request named no live flow, and its sender proved at most that it
        /// registered itself. Anybody can cause any number of such events. They may be counted
        /// instead of kept one by one, unless they [wrote](super::Event::has_written) something.
        Unattributed = "unattributed",
    }
}

named_enum! {
    /// The durability of a write.
    pub enum Durability, name, "the durability of a write" {
        /// The write is durable.
        Durable = "durable",
        /// The outcome of the write is not known: the store failed, or the request was cancelled
        /// during its commit. The write may never happen, may have happened, or may happen later.
        Unknown = "unknown",
    }
}
