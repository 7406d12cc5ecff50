//! How authorization requests are read and answered, where the specifications leave it open.

use clap::{Args, ValueEnum};
use grantcore::PolicyBuilder;

/// How authorization requests are read and answered.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Authorization")]
pub(crate) struct Authorization {
    /// How an error of an authorization request reaches the application.
    ///
    /// `auto`: by redirect if the user is signed in and the operator registered the client;
    /// otherwise on a page with a link back to the application.
    ///
    /// `redirect`: by redirect whenever the user is signed in. Anybody who registers a client can
    /// then send users to an address of their own by way of this server.
    ///
    /// `page`: on a page, always.
    #[arg(long, env = "GRANTCORE_ERROR_DELIVERY", value_name = "HOW")]
    #[arg(default_value = "auto")]
    pub(crate) error_delivery: ErrorDelivery,

    /// Leave unknown scope tokens out of a request instead of refusing it; the token response says
    /// what was granted.
    ///
    /// `openid`, `profile`, `email` and `offline_access` are left out in any case.
    #[arg(long, env = "GRANTCORE_DROP_UNKNOWN_SCOPES")]
    pub(crate) drop_unknown_scopes: bool,

    /// Serve the metadata at `/.well-known/openid-configuration` too.
    ///
    /// It is no OpenID provider's document: clients that ask there first and want one end on it,
    /// while a 404 sends them on to the right address.
    #[arg(long, env = "GRANTCORE_OPENID_ALIAS")]
    pub(crate) openid_alias: bool,
}

/// How an error of an authorization request reaches the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ErrorDelivery {
    Auto,
    Redirect,
    Page,
}

impl Authorization {
    /// The policy with these settings.
    pub(crate) fn apply(self, policy: PolicyBuilder) -> PolicyBuilder {
        policy
            .error_delivery(match self.error_delivery {
                ErrorDelivery::Auto => grantcore::ErrorDelivery::Auto,
                ErrorDelivery::Redirect => grantcore::ErrorDelivery::AlwaysRedirect,
                ErrorDelivery::Page => grantcore::ErrorDelivery::AlwaysBanner,
            })
            .drop_unknown_scopes(self.drop_unknown_scopes)
            .openid_alias(self.openid_alias)
    }
}
