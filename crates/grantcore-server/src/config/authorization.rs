//! The settings of authorization requests, where the specifications leave a choice.

use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use grantcore::policy::{ConsentRules, PolicyBuilder, Remember};

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
    /// Some clients ask for this address first. The document there is not that of an OpenID
    /// provider: a client that requires one fails, while it would have gone on to the right address
    /// after a 404.
    #[arg(long, env = "GRANTCORE_OPENID_ALIAS", value_name = "BOOL", num_args = 0..=1)]
    #[arg(require_equals = true, action = ArgAction::Set)]
    #[arg(default_value = "false", default_missing_value = "true")]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub(crate) openid_alias: bool,

    /// For which applications an earlier consent of the user replaces the consent page.
    ///
    /// `never`: for none. The page is shown at each request.
    ///
    /// `confidential`: for applications with a secret or a key. An earlier connection of the user
    /// must be alive, cover the request, and have the same https redirect URI. A page of another
    /// site can then start such a connection unnoticed by the user.
    ///
    /// `https-redirect`: for public applications too, if the browser reports that the user did not
    /// come from another site.
    ///
    /// `consent` of a client in `[[clients]]` takes precedence.
    #[arg(long, env = "GRANTCORE_REMEMBER_CONSENT", value_name = "WHOSE")]
    #[arg(default_value = "never")]
    pub(crate) remember_consent: RememberConsent,

    /// How long after a consent page its answer is remembered.
    #[arg(long, env = "GRANTCORE_REMEMBER_CONSENT_FOR", value_name = "DURATION")]
    #[arg(default_value = "30d", value_parser = super::some_seconds)]
    pub(crate) remember_consent_for: Duration,
}

/// Whose consent is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RememberConsent {
    Never,
    Confidential,
    HttpsRedirect,
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
        let remember = match self.remember_consent {
            RememberConsent::Never => Remember::Never,
            RememberConsent::Confidential => Remember::Confidential,
            RememberConsent::HttpsRedirect => Remember::HttpsRedirect,
        };
        let consent = ConsentRules::default()
            .with_remember(remember)
            .with_remember_for(self.remember_consent_for);
        policy
            .consent_rules(consent)
            .error_delivery(match self.error_delivery {
                ErrorDelivery::Auto => grantcore::policy::ErrorDelivery::Auto,
                ErrorDelivery::Redirect => grantcore::policy::ErrorDelivery::AlwaysRedirect,
                ErrorDelivery::Page => grantcore::policy::ErrorDelivery::AlwaysBanner,
            })
            .drop_unknown_scopes(self.drop_unknown_scopes)
            .openid_alias(self.openid_alias)
    }
}
