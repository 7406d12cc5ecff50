//! The settings of authorization requests, where the specifications leave a choice.

use clap::{ArgAction, Args, ValueEnum};
use grantcore::policy::PolicyBuilder;

/// How authorization requests are read and answered, where the specifications leave a choice.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Authorization")]
pub(crate) struct Authorization {
    /// How the errors of authorization requests are delivered.
    ///
    /// `auto`: by redirect if the user is signed in and the operator registered the client;
    /// otherwise on a page with a link back to the application.
    ///
    /// `redirect`: by redirect whenever the user is signed in. Anybody who registers a client can
    /// then use this server to redirect users to an address of their own.
    ///
    /// `page`: always on a page.
    #[arg(long, env = "GRANTCORE_ERROR_DELIVERY", value_name = "HOW")]
    #[arg(default_value = "auto")]
    pub(crate) error_delivery: ErrorDelivery,

    /// Drop unknown scope tokens from a request instead of refusing it. The token response names
    /// the granted scope.
    ///
    /// `openid`, `profile`, `email` and `offline_access` are dropped in any case, unless this
    /// server has a scope of that name.
    #[arg(long, env = "GRANTCORE_DROP_UNKNOWN_SCOPES", value_name = "BOOL", num_args = 0..=1)]
    #[arg(require_equals = true, action = ArgAction::Set)]
    #[arg(default_value = "false", default_missing_value = "true")]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub(crate) drop_unknown_scopes: bool,

    /// Serve the metadata at `/.well-known/openid-configuration` too.
    ///
    /// It is not the document of an OpenID provider. A client that asks there first and requires
    /// one fails on it, while after a 404 it tries the right address.
    #[arg(long, env = "GRANTCORE_OPENID_ALIAS", value_name = "BOOL", num_args = 0..=1)]
    #[arg(require_equals = true, action = ArgAction::Set)]
    #[arg(default_value = "false", default_missing_value = "true")]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub(crate) openid_alias: bool,
}

/// How the errors of authorization requests are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ErrorDelivery {
    Auto,
    Redirect,
    Page,
}

impl Authorization {
    /// Adds these settings to the policy.
    pub(crate) fn apply(self, policy: PolicyBuilder) -> PolicyBuilder {
        policy
            .error_delivery(match self.error_delivery {
                ErrorDelivery::Auto => grantcore::policy::ErrorDelivery::Auto,
                ErrorDelivery::Redirect => grantcore::policy::ErrorDelivery::AlwaysRedirect,
                ErrorDelivery::Page => grantcore::policy::ErrorDelivery::AlwaysBanner,
            })
            .drop_unknown_scopes(self.drop_unknown_scopes)
            .openid_alias(self.openid_alias)
    }
}
