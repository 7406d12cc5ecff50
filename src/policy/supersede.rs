//! Whether a new grant ends older ones.

/// The rule for a user's older grants of the same application when a new consent gets tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Supersede {
    /// Never: each consent adds a grant, which lives until it is revoked or expires.
    #[default]
    Never,
    /// If both are at one place: of one user and client, with the same `https` redirect URI that
    /// does not lead to the user's own device, the same resources and the same properties.
    ///
    /// An application on a user's device is never ended by another installation of it, because all
    /// installations share its `client_id`.
    SamePlace,
}
